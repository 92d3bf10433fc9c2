"""Checks on the data set: filters that none of its images activates, its labels, and the model's accuracy and probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from reportgen.artefacts.dataset import DatasetEntry, ModelOutcome
from reportgen.artefacts.layer_entry import LayerEntry
from reportgen.core.records import Plan
from reportgen.render.text import NAMED, NOUNS, count, listed, number, percent, plural
from reportgen.report.health.record import OK, UNKNOWN, WARNING, Check, Evidence, HealthRecord

LEAST_IMAGES = (
    100  # of the data set: fewer leave many sound filters silent, and a calibration error that is mostly chance
)
LEAST_LABELED = 30  # images whose label is a class: of fewer, accuracy is mostly chance
SILENT_SHARE = 0.5  # of a layer's filters; a quarter of one layer of VGG16 is never active on a thousand photographs
CHANCE_ODDS = 1.5  # times the odds of a uniform guess, as for predictions of single images
SAME_CLASS = 0.99  # of the images, predicted as one class
SAME_LABEL = 0.9  # of the images that may have one label for that to be a finding
CALIBRATION_ERROR = 0.15  # image classifiers without calibration have 0.01 to 0.17 (Guo et al. 2017)
LOWEST = 5  # classes with the lowest recall, as evidence


def never_active_check(plan: Plan, layers: Sequence[LayerEntry]) -> HealthRecord | None:
    """Count the filters that are exactly 0 at every position of every image of the data set."""
    known = [(layer, layer.data) for layer in layers if layer.data is not None]
    if not known:
        return None
    noun, images = NOUNS[plan.contract.rank].one, known[0][1].images
    if images < LEAST_IMAGES:
        words = f"Whether filters are never active is not known: the data set has {plural(images, noun)}, and {LEAST_IMAGES} are needed."
        return HealthRecord(check=Check.NEVER_ACTIVE, status=UNKNOWN, sentence=words)
    silent = sum(len(data.silent_filters) for _, data in known)
    total = sum(len(data.filters) for _, data in known)
    shares = [(len(data.silent_filters) / len(data.filters), layer, data) for layer, data in known]
    evidence = tuple(
        Evidence(
            text=f"{count(len(data.silent_filters))} of {plural(len(data.filters), 'filter')} ({percent(share)})",
            layer=layer.path,
            filters=data.silent_filters,
        )
        for share, layer, data in sorted(shares, key=lambda each: -each[0])
        if share
    )
    bad = tuple(layer.path for share, layer, _ in shares if share >= SILENT_SHARE)
    where = f"at every position of all {plural(images, noun)} of the data set"
    if not silent:
        words = f"None of {plural(total, 'filter')} is 0 {where}."
    else:
        verb = "is" if silent == 1 else "are"
        words = f"{count(silent)} of {plural(total, 'filter')} ({percent(silent / total)}) {verb} 0 {where}."
    if bad:
        words = f"In {plural(len(bad), 'layer')} at least half of the filters are never active. In all, {words}"
    return HealthRecord(
        check=Check.NEVER_ACTIVE, status=WARNING if bad else OK, sentence=words, evidence=evidence, layers=bad
    )


def labels_check(dataset: DatasetEntry | None) -> HealthRecord | None:
    """Check whether the labels of the data set are classes of the model."""
    if dataset is None or not dataset.labels:
        return None
    lost = [each.label for each in dataset.labels if each.class_index is None]
    total = len(dataset.labels)
    if not lost:
        words = (
            "The label of the data set is a class of the model."
            if total == 1
            else f"All {plural(total, 'label')} of the data set are classes of the model."
        )
        return HealthRecord(check=Check.LABELS, status=OK, sentence=words)
    if len(lost) == total:
        none = (
            "the label of the data set is no"
            if total == 1
            else f"none of {plural(total, 'label')} of the data set is a"
        )
        words = (
            f"Accuracy is not known: {none} class of the model; --label-map states which class a label stands for, --classes the names "
            "of the classes."
        )
        return HealthRecord(check=Check.LABELS, status=UNKNOWN, sentence=words)
    images = sum(each.images for each in dataset.labels if each.class_index is None)
    verb = "is" if len(lost) == 1 else "are"
    named = listed([*lost[:NAMED], *([f"{len(lost) - NAMED} more"] if len(lost) > NAMED else [])])
    words = (
        f"{count(len(lost))} of {plural(total, 'label')} of the data set {verb} no class of the model ({named}), and "
        f"{plural(images, 'image')} without a class {'is' if images == 1 else 'are'} left out of the accuracy; --label-map states which "
        "class a label stands for."
    )
    return HealthRecord(check=Check.LABELS, status=WARNING, sentence=words)


def accuracy_check(plan: Plan, dataset: DatasetEntry | None) -> HealthRecord | None:
    """Compare the model's predictions with the labels of the data set, and with a guess."""
    model = None if dataset is None else dataset.model
    if model is None:
        return None
    stated = f"{count(model.correct)} of {plural(model.images, 'labeled image')} ({percent(model.accuracy)})"
    labeled = [each for each in model.classes if each.images]
    if model.images < LEAST_LABELED or len(labeled) < 2:
        words = (
            f"Whether predictions agree with labels is not known: the data set has {plural(model.images, 'labeled image')} of "
            f"{plural(len(labeled), 'class', 'classes')}, and {LEAST_LABELED} of two classes are needed; "
            f"{count(model.correct)} {'is' if model.correct == 1 else 'are'} predicted correctly."
        )
        return HealthRecord(check=Check.ACCURACY, status=UNKNOWN, sentence=words)
    recalls = [each.recall for each in labeled if each.recall is not None]
    mean, classes = fmean(recalls), _classes(plan, model)
    evidence = tuple(
        Evidence(text=f"{each.name}: {count(each.correct)} of {plural(each.images, 'image')} ({percent(each.recall)})")
        for each in sorted(labeled, key=lambda each: each.recall or 0.0)[:LOWEST]
    )
    most = max(model.classes, key=lambda each: each.predicted)
    bad = []
    if (
        most.predicted >= SAME_CLASS * model.images
        and max(each.images for each in labeled) <= SAME_LABEL * model.images
    ):
        bad.append(f"{percent(most.predicted / model.images)} of the images are predicted as {most.name}.")
    if classes is not None and classes > 1 and mean * (classes - 1) < CHANCE_ODDS * (1 - mean):
        bad.append(
            f"The mean recall of the classes is {percent(mean)}, and that of a uniform guess {percent(1 / classes)}; either the model does "
            "not know these images, or labels, classes or preprocessing are not those that it was trained with."
        )
    words = f"The class of the label is predicted for {stated}."
    return HealthRecord(
        check=Check.ACCURACY,
        status=WARNING if bad else OK,
        sentence=" ".join([words, *bad]),
        evidence=evidence,
    )


def _classes(plan: Plan, model: ModelOutcome) -> int | None:
    """How many classes the model has; None where that is not known."""
    if plan.model.classes is not None:
        return len(plan.model.classes)
    return None if model.confusion is None else len(model.confusion)


def calibration_check(dataset: DatasetEntry | None) -> HealthRecord | None:
    """Compare the probabilities of predicted classes with the share that is right."""
    model = None if dataset is None else dataset.model
    if model is None or model.calibration_error is None:
        return None
    if model.images < LEAST_IMAGES:
        words = (
            f"Whether probabilities agree with accuracy is not known: the data set has {plural(model.images, 'labeled image')}, and "
            f"{LEAST_IMAGES} are needed."
        )
        return HealthRecord(check=Check.CALIBRATION, status=UNKNOWN, sentence=words)
    confidence = sum((each.confidence or 0.0) * each.images for each in model.calibration) / model.images
    words = (
        f"the mean probability of the predicted class is {percent(confidence)}, and {percent(model.accuracy)} of predictions are right; "
        f"the expected calibration error is {number(model.calibration_error)}"
    )
    if model.calibration_error < CALIBRATION_ERROR:
        return HealthRecord(check=Check.CALIBRATION, status=OK, sentence=f"{words[0].upper()}{words[1:]}.")
    way = "too high" if confidence > model.accuracy else "too low"
    words = f"The model’s probabilities are {way} for the data set: {words}."
    return HealthRecord(check=Check.CALIBRATION, status=WARNING, sentence=words)
