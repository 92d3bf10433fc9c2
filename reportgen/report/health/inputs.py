"""Checks of what goes in and comes out: predictions that do not depend on the image, and a guessed preprocessing."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, log

from reportgen.artefacts.predictions import ImageEntry, Prediction
from reportgen.core.records import InputContract, NodeKind, Plan
from reportgen.render.text import NOUNS, percent, plural
from reportgen.render.wording import stopped, unquoted
from reportgen.report.health.record import OK, UNKNOWN, WARNING, Check, Evidence, HealthRecord, Status

LEAST_IMAGES = 2  # predictions for one image cannot be compared
LISTED = 5  # classes of a prediction in report.json; a model with fewer has them all there
SAME_ODDS = log(1.1)  # classes whose odds differ by less than a tenth between all images do not depend on them
CHANCE_ODDS = log(1.5)  # of every listed class, from those of a uniform guess: of two classes, probabilities 0.4 to 0.6
LEAST = 1e-38  # float32 has hardly any smaller probability
ROUNDING = 2.0**-24  # of a float32 just below 1

Predictions = tuple[Prediction, ...]


def predictions_check(plan: Plan, images: Sequence[ImageEntry]) -> HealthRecord:
    """Check, output by output, whether predictions depend on the image, and whether any class stands out."""
    nouns = NOUNS[plan.contract.rank].one
    distinct = {image.sha256: image for image in images if image.predictions}
    known = [image for image in images if distinct.get(image.sha256) is image]
    if len(known) < LEAST_IMAGES:
        return HealthRecord(check=Check.PREDICTIONS, status=UNKNOWN, sentence=_lacking(images, len(known), nouns))
    how_many = plural(len(known), nouns)
    found = [_judge(name, each, how_many, plan) for name, each in _by_output(known).items()]
    bad = [words for status, words in found if status == WARNING]
    return HealthRecord(
        check=Check.PREDICTIONS,
        status=WARNING if bad else OK,
        sentence=" ".join(bad or [words for _, words in found]),
        evidence=tuple(
            Evidence(text=f"{image.name}: {image.predictions[0].label}, {percent(image.predictions[0].probability)}")
            for image in known
            if image.predictions
        ),
    )


def _lacking(images: Sequence[ImageEntry], known: int, noun: str) -> str:
    """Why predictions cannot be compared."""
    if not images:
        return f"Whether the prediction depends on the {noun} is not known: no {noun}s were given."
    if known:
        return f"Whether the prediction depends on the {noun} is not known: there is one for a single {noun} only."
    return f"Whether the prediction depends on the {noun} is not known: the model's output has no class probabilities."


def _by_output(images: Sequence[ImageEntry]) -> dict[str | None, list[Predictions]]:
    """The predictions for all images, by the name of the output; None where the model has one."""
    found: dict[str | None, list[Predictions]] = {}
    for image in images:
        for output in image.outputs:
            if output.predictions:
                found.setdefault(output.name, []).append(output.predictions)
        if not image.outputs and image.predictions:
            found.setdefault(None, []).append(image.predictions)
    return {name: each for name, each in found.items() if len(each) == len(images)}


def _judge(name: str | None, predictions: Sequence[Predictions], images: str, plan: Plan) -> tuple[Status, str]:
    """Status and sentence of one output."""
    owner = "" if name is None else f" of the output {name}"
    best = {each[0].label for each in predictions}
    chance = _chance(predictions[0], plan, name)
    every = [item.probability or 0.0 for each in predictions for item in each]
    is_even = chance is not None and all(abs(log_odds(one) - log_odds(chance)) < CHANCE_ODDS for one in every)
    even = f"at most {percent(max(every))}, where a uniform guess gives {percent(chance)}, as of an untrained network"
    if _spread(predictions) < SAME_ODDS:
        words = f"All {images} get the same prediction{owner}: the odds of each class stay within 10 %."
        return WARNING, f"{words} It is no clearer than chance: {even}." if is_even else words
    if is_even:
        return WARNING, f"The predictions{owner} for {images} are no clearer than chance: {even}."
    if len(best) == 1:
        return OK, f"All {images} are predicted as {next(iter(best))}{owner}, with odds that depend on them."
    return OK, f"Predictions{owner} depend on the input: {plural(len(best), 'class', 'classes')} for {images}."


def _spread(predictions: Sequence[Predictions]) -> float:
    """How far the log-odds of any listed class differ between images; infinite where other classes are listed."""
    listed = [{item.label: log_odds(item.probability or 0.0) for item in each} for each in predictions]
    if any(each.keys() != listed[0].keys() for each in listed):
        return inf
    return max(max(each[label] for each in listed) - min(each[label] for each in listed) for label in listed[0])


def _chance(best: Predictions, plan: Plan, name: str | None) -> float | None:
    """The probability of each class in a uniform guess; None where the number of classes is not known."""
    if len(best) == 1:
        return 0.5
    if len(best) < LISTED:
        return 1 / len(best)
    classes = plan.model.classes if name is None else None
    outputs = [node.shape for node in plan.diagram if node.kind == NodeKind.OUTPUT and node.shape]
    number = len(classes) if classes is not None else outputs[0][-1] if name is None and len(outputs) == 1 else None
    return None if not number else 1 / number


def log_odds(probability: float) -> float:
    """Return the natural logarithm of p / (1 - p), finite at 0 and 1."""
    return log(max(probability, LEAST)) - log(max(1 - probability, ROUNDING))


def preprocessing_check(contract: InputContract) -> HealthRecord:
    """State whether the preprocessing is known or was guessed."""
    if contract.warning is not None:
        return HealthRecord(check=Check.PREPROCESSING, status=WARNING, sentence=stopped(unquoted(contract.warning)))
    return HealthRecord(
        check=Check.PREPROCESSING,
        status=OK,
        sentence=f"The preprocessing ({contract.preprocess}) is not a guess: {stopped(unquoted(contract.reason))}",
    )
