"""Everything that a gate can be about in one report."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction

from reportgen.artefacts.dataset import ModelOutcome
from reportgen.artefacts.health.layer import Start
from reportgen.artefacts.layer_entry import LayerEntry
from reportgen.core.records import CONVOLUTION, LayerFacts, LayerStatus
from reportgen.core.verdicts import DEAD, NOT_FINITE, SILENT, WEAK, Word
from reportgen.gates.measured import (
    Measured,
    Place,
    Result,
    Unknown,
    exact,
    filter_count,
    matching,
    most,
    plain_count,
    ratio,
    share,
)
from reportgen.gates.quantity import ONE_REPORT, Measure, Need, Quantity, Subject, Unit
from reportgen.render.text import count, plural
from reportgen.report.document import ReportDocument
from reportgen.report.health.record import UNKNOWN, WARNING

NO_PATTERN = "without a verdict"


def is_convolution(layer: LayerFacts) -> bool:
    """Return whether a layer convolves; the model's outputs do not."""
    return layer.kind == CONVOLUTION and not layer.is_output


def is_covered(layer: LayerFacts) -> bool:
    """Return whether a report covers a convolution layer."""
    return is_convolution(layer) and layer.status != LayerStatus.SKIPPED


def _covered(subject: Subject, glob: str | None) -> list[LayerEntry]:
    return matching(filter(is_covered, subject.document.layers), glob)


def _filters(
    of: Callable[[LayerEntry], Iterable[int] | None], lost: str, judged: Callable[[LayerEntry], int] | None = None
) -> Measure:
    """The number of filters that `of` a layer names; None, or a number below that of its filters in `judged`, is not known."""

    def measure(subject: Subject, glob: str | None, of_total: bool) -> Result:
        layers = _covered(subject, glob)
        found, missing = [], 0
        for layer in layers:
            named = of(layer)
            counted = range(layer.filters_total) if of_total else layer.filters_shown
            if named is None:
                missing += len(counted)
            else:
                found.append((layer.path, sorted(set(named).intersection(counted))))
                missing += 0 if judged is None else len(layer.filters_shown) - judged(layer)
        shown, total = sum(len(layer.filters_shown) for layer in layers), sum(layer.filters_total for layer in layers)
        return filter_count(found, missing, shown, total, of_total=of_total, lost=lost)

    return measure


def _verdict(*words: Word) -> Measure:
    def of(layer: LayerEntry) -> list[int] | None:
        if layer.patterns is None:
            return None
        return [item.index for item in layer.patterns.filters if item.verdict in words]

    return _filters(
        of, f"{NO_PATTERN} may be such", lambda layer: len(layer.patterns.filters) if layer.patterns is not None else 0
    )


def _unjudged(layer: LayerEntry) -> set[int]:
    judged = () if layer.patterns is None else layer.patterns.filters
    return set(layer.filters_shown) - {item.index for item in judged}


def _duplicates(layer: LayerEntry) -> list[int] | None:
    """Filters that do the same as one with a lower number."""
    if layer.health is None or layer.health.duplicates is None:
        return None
    return [index for group in layer.health.duplicates.groups for index in sorted(group)[1:]]


def _layers(condition: Callable[[LayerEntry], bool], of: Callable[[LayerFacts], bool] = is_covered) -> Measure:
    def measure(subject: Subject, glob: str | None, of_total: bool) -> Result:
        layers = matching(filter(of, subject.document.layers), glob)
        return share([Place(layer.path) for layer in layers if condition(layer)], len(layers), "convolution layer")

    return measure


def _warnings(subject: Subject, glob: str | None, of_total: bool) -> Result:
    paths = {layer.path for layer in _covered(subject, glob)}
    found = [
        record
        for record in subject.document.health
        if record.status == WARNING and (glob is None or paths.intersection(record.layers))
    ]
    words = plural(len(found), "warning")
    return plain_count(len(found), words, [Place(f"{record.check}: {record.sentence.rstrip('.')}") for record in found])


def _unknown_checks(subject: Subject, glob: str | None, of_total: bool) -> Result:
    found = [record for record in subject.document.health if record.status == UNKNOWN]
    return plain_count(len(found), plural(len(found), "check"), [Place(record.check) for record in found])


def _problems(subject: Subject, glob: str | None, of_total: bool) -> Result:
    found = subject.document.problems
    return plain_count(len(found), plural(len(found), "problem"), [Place(sentence.rstrip(".")) for sentence in found])


def _images_left_out(subject: Subject, glob: str | None, of_total: bool) -> Result:
    found = subject.document.images_left_out
    return plain_count(len(found), plural(len(found), "image"), [Place(item.get("name", "an image")) for item in found])


def _images(subject: Subject, glob: str | None, of_total: bool) -> Result:
    number = len(subject.document.images)
    return plain_count(number, plural(number, "image"))


def _parameters(subject: Subject, glob: str | None, of_total: bool) -> Result:
    return plain_count(subject.document.model.parameters, plural(subject.document.model.parameters, "parameter"))


def _layer_count(subject: Subject, glob: str | None, of_total: bool) -> Result:
    layers = _covered(subject, glob)
    return plain_count(len(layers), plural(len(layers), "layer"))


def _initial_change(subject: Subject, glob: str | None, of_total: bool, *, least: bool = False) -> Result:
    layers = _covered(subject, glob)
    lacking = [layer.path for layer in layers if layer.initial_weights is None]
    if len(lacking) == len(layers):
        return Unknown("the report was built without --initial")
    values = [
        (layer.path, item.index, item.relative_change)
        for layer in layers
        if layer.initial_weights is not None
        for item in layer.initial_weights.filters
    ]
    values += [(path, 0, None) for path in lacking]
    return most(values, "no change of weights is defined", least=least)


def _least_initial_change(subject: Subject, glob: str | None, of_total: bool) -> Result:
    return _initial_change(subject, glob, of_total, least=True)


def _lowest_probability(subject: Subject, glob: str | None, of_total: bool) -> Result:
    images = subject.document.images
    if not images:
        return Unknown("the report has no images")
    best = [
        (image.name, image.predictions[0].probability)
        for image in images
        if image.predictions and image.predictions[0].probability is not None
    ]
    if not best:
        return Unknown("the report has no class probabilities")
    name, lowest = min(best, key=lambda one: one[1] or 0.0)
    value, lost = exact(lowest or 0.0), len(images) - len(best)
    if not lost:
        return ratio(lowest or 0.0, "", [Place(name)])
    why = f"{count(lost)} of {plural(len(images), 'image')} have no prediction"
    return Measured(value, "", None, lambda beyond: (Place(name),), (Fraction(0), value), why, is_ratio=True)


def outcome(document: ReportDocument) -> ModelOutcome | str:
    """Return what the model makes of the images of the data set, or why that is not known, as a clause."""
    if document.dataset is None:
        return "the report was built without --dataset"
    if document.dataset.model is None:
        return "no label of the data set stands for a class of the model"
    return document.dataset.model


def _of_dataset(measure: Callable[[ModelOutcome], Result]) -> Measure:
    def found(subject: Subject, glob: str | None, of_total: bool) -> Result:
        known = outcome(subject.document)
        return Unknown(known) if isinstance(known, str) else measure(known)

    return found


def _accuracy(model: ModelOutcome) -> Result:
    if not model.images:
        return Unknown("no image of the data set has a label that stands for a class")
    return ratio(model.accuracy, f", {count(model.correct)} of {plural(model.images, 'image')}")


def _lowest_recall(model: ModelOutcome) -> Result:
    known = [(each.recall, each) for each in model.classes if each.recall is not None]
    if not known:
        return Unknown("no class of the data set has an image")
    lowest, worst = min(known, key=lambda one: one[0])
    words = f", {count(worst.correct)} of {plural(worst.images, 'image')}"
    return ratio(lowest, words, [Place(each.name) for recall, each in known if recall == lowest])


def _calibration_error(model: ModelOutcome) -> Result:
    if model.calibration_error is None:
        return Unknown("the predictions of the model are no probabilities")
    return ratio(model.calibration_error, "")


def _dataset_left_out(subject: Subject, glob: str | None, of_total: bool) -> Result:
    if subject.document.dataset is None:
        return Unknown("the report was built without --dataset")
    found = subject.document.dataset.left_out
    return plain_count(len(found), plural(len(found), "image"), [Place(item.name) for item in found])


def _unmatched_labels(subject: Subject, glob: str | None, of_total: bool) -> Result:
    if subject.document.dataset is None:
        return Unknown("the report was built without --dataset")
    found = [each.label for each in subject.document.dataset.labels if each.class_index is None]
    return plain_count(len(found), plural(len(found), "label"), [Place(label) for label in found])


REPORT_QUANTITIES = (
    Quantity(
        "dead_filters",
        "filters that are proven inactive",
        Unit.FILTERS,
        _verdict(DEAD),
        scope=is_covered,
    ),
    Quantity(
        "silent_filters",
        "filters that no image and no pattern activates, and that are not proven inactive",
        Unit.FILTERS,
        _verdict(SILENT),
        scope=is_covered,
    ),
    Quantity("inactive_filters", "both of these", Unit.FILTERS, _verdict(DEAD, SILENT), scope=is_covered),
    Quantity(
        "weak_filters",
        "filters whose pattern does not exceed the images, or without images does not clearly exceed its start",
        Unit.FILTERS,
        _verdict(WEAK),
        scope=is_covered,
    ),
    Quantity(
        "not_finite_filters",
        "filters with a score that is infinite or not a number",
        Unit.FILTERS,
        _verdict(NOT_FINITE),
        scope=is_covered,
    ),
    Quantity(
        "unjudged_filters",
        "shown filters without a verdict, since their pattern was not computed",
        Unit.FILTERS,
        _filters(_unjudged, ""),
        scope=is_covered,
    ),
    Quantity(
        "zero_filters",
        "filters whose kernel is zero",
        Unit.FILTERS,
        _filters(
            lambda layer: None if layer.health is None else layer.health.zero_filters, "whose weights are not known"
        ),
        scope=is_covered,
    ),
    Quantity(
        "duplicate_filters",
        "filters that do the same as an earlier one of their layer",
        Unit.FILTERS,
        _filters(_duplicates, "that cannot be compared"),
        scope=is_covered,
    ),
    Quantity(
        "constant_maps",
        "filters whose feature maps have one value on all images",
        Unit.FILTERS,
        _filters(
            lambda layer: None if layer.health is None else layer.health.constant_maps, "with too few maps to tell"
        ),
        scope=is_covered,
        need=Need.IMAGES,
    ),
    Quantity(
        "silent_on_dataset",
        "filters that are 0 at every position of every image of the data set",
        Unit.FILTERS,
        _filters(
            lambda layer: None if layer.data is None else layer.data.silent_filters, "without numbers on a data set"
        ),
        scope=is_covered,
        need=Need.DATASET,
    ),
    Quantity(
        "failed_layers",
        "convolution layers in which something failed",
        Unit.LAYERS,
        _layers(lambda layer: layer.status == LayerStatus.FAILED),
        scope=is_covered,
    ),
    Quantity(
        "skipped_layers",
        "convolution layers that the report does not cover, those left out by --layers or --exclude included",
        Unit.LAYERS,
        _layers(lambda layer: layer.status == LayerStatus.SKIPPED, is_convolution),
        scope=is_convolution,
    ),
    Quantity(
        "untrained_layers",
        "convolution layers whose weights are those that training starts from",
        Unit.LAYERS,
        _layers(lambda layer: layer.health is not None and layer.health.start == Start.UNTRAINED),
        scope=is_covered,
    ),
    Quantity(
        "layers",
        "convolution layers that the report covers",
        Unit.NUMBER,
        _layer_count,
        scope=is_covered,
    ),
    Quantity("parameters", "parameters of the model", Unit.NUMBER, _parameters),
    Quantity("images", "images that the report has", Unit.NUMBER, _images),
    Quantity("images_left_out", "images that could not be used", Unit.NUMBER, _images_left_out),
    Quantity("problems", "problems that the report names, exit code 3", Unit.NUMBER, _problems),
    Quantity(
        "health_warnings",
        "checks of model health that found something; with layers, those that name one of them",
        Unit.NUMBER,
        _warnings,
        scope=is_covered,
    ),
    Quantity(
        "health_unknown",
        "checks of model health that could not be done",
        Unit.NUMBER,
        _unknown_checks,
    ),
    Quantity(
        "lowest_probability",
        "probability of the first prediction of the image where it is lowest",
        Unit.RATIO,
        _lowest_probability,
        need=Need.IMAGES,
    ),
    Quantity(
        "accuracy",
        "share of the labeled images of the data set whose class is predicted",
        Unit.RATIO,
        _of_dataset(_accuracy),
        need=Need.DATASET,
    ),
    Quantity(
        "lowest_recall",
        "the same among the images of one class, of the class where it is lowest",
        Unit.RATIO,
        _of_dataset(_lowest_recall),
        need=Need.DATASET,
    ),
    Quantity(
        "calibration_error",
        "expected calibration error on the data set",
        Unit.RATIO,
        _of_dataset(_calibration_error),
        need=Need.DATASET,
    ),
    Quantity(
        "dataset_left_out",
        "images of the data set that could not be read",
        Unit.NUMBER,
        _dataset_left_out,
        need=Need.DATASET,
    ),
    Quantity(
        "unmatched_labels",
        "labels of the data set that stand for no class of the model",
        Unit.NUMBER,
        _unmatched_labels,
        need=Need.DATASET,
    ),
    Quantity(
        "weight_change",
        "change of the weights of the filter that changed most, ‖w − w₀‖ / ‖w₀‖, from those of --initial",
        Unit.RATIO,
        _initial_change,
        ONE_REPORT,
        scope=is_covered,
        need=Need.INITIAL,
    ),
    Quantity(
        "least_weight_change",
        "the same of the filter that changed least",
        Unit.RATIO,
        _least_initial_change,
        ONE_REPORT,
        scope=is_covered,
        need=Need.INITIAL,
    ),
)
