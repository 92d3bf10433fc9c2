"""Everything that a gate can be about in a comparison of two reports."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from fractions import Fraction

from reportgen.compare.records import (
    SAME,
    Comparison,
    FilterComparison,
    LayerChange,
    LayerComparison,
    PredictionComparison,
)
from reportgen.core.commands import Command
from reportgen.core.verdicts import DEAD, SILENT
from reportgen.gates.measured import Measured, Place, Result, Unknown, exact, filter_count, most, plain_count, share
from reportgen.gates.quantity import Measure, Quantity, Subject, Unit
from reportgen.gates.report_quantities import is_convolution, is_covered, outcome
from reportgen.render.text import count, plural

ONE_SIDE = "that only one report shows"
NOT_COMPARED = "could not be compared"
INACTIVE = (DEAD, SILENT)
OWN_FILTERS = (LayerChange.CHANGED, LayerChange.RESHAPED)  # of layers whose filters are no longer those that they were


def _comparison(subject: Subject) -> Comparison:
    assert subject.comparison is not None
    return subject.comparison


def _layers(subject: Subject, glob: str | None) -> list[LayerComparison]:
    """The layers whose present or former path a glob matches."""
    return [
        layer
        for layer in _comparison(subject).layers
        if glob is None
        or fnmatchcase(layer.path, glob)
        or (layer.old_path is not None and fnmatchcase(layer.old_path, glob))
    ]


def _lost(subject: Subject, glob: str | None) -> list[str]:
    """The layers that could not be compared, although one of the reports covers them."""
    assert subject.old is not None
    layers = (*subject.document.layers, *subject.old.layers)
    covered = {layer.path for layer in layers if is_covered(layer)}
    return [path for path in _not_compared(subject, glob) if path in covered]


def _not_compared(subject: Subject, glob: str | None) -> list[str]:
    return [item.path for item in _comparison(subject).not_compared if glob is None or fnmatchcase(item.path, glob)]


def _layer_count(
    condition: Callable[[LayerComparison], bool], of: Callable[[LayerComparison], bool], *, by_weights: bool
) -> Measure:
    """The number of layers that meet a condition. by_weights: it cannot be known of a layer that could not be compared."""

    def measure(subject: Subject, glob: str | None, of_total: bool) -> Result:
        layers = [layer for layer in _layers(subject, glob) if of(layer)]
        lost = _lost(subject, glob)
        found = [Place(layer.path) for layer in layers if condition(layer)]
        return share(
            found,
            len(layers) + len(lost),
            "convolution layer",
            missing=len(lost) if by_weights else 0,
            lost=NOT_COMPARED,
        )

    return measure


def _is_new(layer: LayerComparison) -> bool:
    return layer.status != LayerChange.REMOVED


def _is_old(layer: LayerComparison) -> bool:
    return layer.status != LayerChange.ADDED


def _uncompared(subject: Subject, glob: str | None, of_total: bool) -> Result:
    lost = _not_compared(subject, glob)
    return share([Place(path) for path in lost], len(_layers(subject, glob)) + len(lost), "convolution layer")


def _filters(condition: Callable[[LayerComparison, FilterComparison], bool | None], lost: str) -> Measure:
    """The number of filters of the new model that meet a condition; None where that is not known of one."""

    def measure(subject: Subject, glob: str | None, of_total: bool) -> Result:
        found, missing, shown, total = [], 0, 0, 0
        for layer in _layers(subject, glob):
            own = [item for item in layer.filters if of_total or item.is_shown]
            judged = {item.index: condition(layer, item) for item in own}
            found.append((layer.path, [index for index, met in judged.items() if met]))
            missing += sum(met is None for met in judged.values())
            shown, total = shown + sum(item.is_shown for item in layer.filters), total + len(layer.filters)
        if lost_layers := _lost(subject, glob):
            return Unknown(f"{plural(len(lost_layers), 'layer')} {NOT_COMPARED}")
        return filter_count(found, missing, shown, total, of_total=of_total, lost=lost)

    return measure


def _is_other(layer: LayerComparison, item: FilterComparison) -> bool:
    """Whether a filter changed; what moving a normalization into the kernel rounds away is no change."""
    return layer.status not in SAME and item.is_changed


def _is_added(layer: LayerComparison, item: FilterComparison) -> bool:
    return item.old_index is None


def _weight_change(layer: LayerComparison, item: FilterComparison) -> float | None:
    return item.weight_change if layer.status not in SAME else 0.0


def _activation_change(layer: LayerComparison, item: FilterComparison) -> float | None:
    return item.activation_change


def _verdict_changed(layer: LayerComparison, item: FilterComparison) -> bool | None:
    if item.old_index is None:
        return False
    return None if item.verdict is None or item.old_verdict is None else item.verdict != item.old_verdict


def _newly_inactive(layer: LayerComparison, item: FilterComparison) -> bool | None:
    if item.verdict is None:
        return None
    if item.verdict not in INACTIVE:
        return False
    if item.old_index is None:
        return True
    return None if item.old_verdict is None else item.old_verdict not in INACTIVE


def _gone(subject: Subject, glob: str | None, of_total: bool) -> Result:
    layers = [layer for layer in _layers(subject, glob) if _is_old(layer)]
    found = [
        (layer.path, range(layer.old_filters_total) if layer.status == LayerChange.REMOVED else layer.gone)
        for layer in layers
    ]
    if lost := _lost(subject, glob):
        return Unknown(f"{plural(len(lost), 'layer')} {NOT_COMPARED}")
    total = sum(layer.old_filters_total for layer in layers)
    return filter_count(found, 0, total, total, of_total=True, lost="")


def _most(
    value: Callable[[LayerComparison, FilterComparison], float | None], nothing: str, *, least: bool = False
) -> Measure:
    def measure(subject: Subject, glob: str | None, of_total: bool) -> Result:
        values = [
            (layer.path, item.index, value(layer, item)) for layer in _layers(subject, glob) for item in layer.filters
        ]
        return most([*values, *((path, 0, None) for path in _lost(subject, glob))], nothing, least=least)

    return measure


def _predictions(condition: Callable[[PredictionComparison], bool]) -> Measure:
    def measure(subject: Subject, glob: str | None, of_total: bool) -> Result:
        both = _comparison(subject).predictions
        if not both:
            return Unknown("no image has a prediction in both reports")
        return share([Place(_prediction(item)) for item in both if condition(item)], len(both), "image")

    return measure


def _prediction(item: PredictionComparison) -> str:
    return f"{item.image} ({item.old_label} → {item.label})" if item.flipped else item.image


def _classes(subject: Subject, glob: str | None, of_total: bool) -> Result:
    assert subject.old is not None
    if subject.old.model.classes is None or subject.document.model.classes is None:
        return Unknown("the class names of a model are not known")
    found = _comparison(subject).classes
    names: Iterable[str] = () if found is None else dict.fromkeys((*found.added, *found.removed, *found.moved))
    places = [Place(name) for name in names]
    return plain_count(len(places), plural(len(places), "class", "classes"), places)


def _unfair(subject: Subject, glob: str | None, of_total: bool) -> Result:
    found = _comparison(subject).unfair
    return plain_count(len(found), plural(len(found), "difference"), [Place(item.rstrip(".")) for item in found])


def _parameters(subject: Subject, glob: str | None, of_total: bool) -> Result:
    assert subject.old is not None
    old, new = subject.old.model.parameters, subject.document.model.parameters
    if old == 0:
        return Unknown("the old model has no parameters")
    added = max(0, new - old)
    words = f"{count(new)} parameters, {count(old)} before"
    return Measured(Fraction(added), words, old)


def _accuracy_lost(subject: Subject, glob: str | None, of_total: bool) -> Result:
    assert subject.old is not None
    old, new = (outcome(document) for document in (subject.old, subject.document))
    for which, found in (("old", old), ("new", new)):
        if isinstance(found, str):
            return Unknown(f"of the {which} report, {found}")
    assert not isinstance(old, str)
    assert not isinstance(new, str)
    if subject.old.dataset is None or subject.document.dataset is None:
        return Unknown("a report was built without --dataset")
    if subject.old.dataset.sha256 != subject.document.dataset.sha256:
        return Unknown("the reports have other data sets")
    lost = max(Fraction(0), exact(old.accuracy) - exact(new.accuracy))
    words = f", from {old.accuracy:.4g} to {new.accuracy:.4g}"
    return Measured(lost, words, is_ratio=True)


def _quantity(name: str, meaning: str, unit: Unit, measure: Measure, *, of_layers: bool = True) -> Quantity:
    scope = is_convolution if of_layers else None
    return Quantity(name, meaning, unit, measure, (Command.COMPARE,), scope, of_comparison=True)


COMPARISON_QUANTITIES = (
    _quantity(
        "layers_removed",
        "convolution layers of the old model that the new one lacks",
        Unit.LAYERS,
        _layer_count(lambda layer: layer.status == LayerChange.REMOVED, _is_old, by_weights=False),
    ),
    _quantity(
        "layers_added",
        "convolution layers of the new model that the old one lacks",
        Unit.LAYERS,
        _layer_count(lambda layer: layer.status == LayerChange.ADDED, _is_new, by_weights=False),
    ),
    _quantity(
        "layers_changed",
        "convolution layers whose own filters or configuration are not what they were, reshaped ones included",
        Unit.LAYERS,
        _layer_count(lambda layer: layer.status in OWN_FILTERS, _is_new, by_weights=True),
    ),
    _quantity(
        "layers_reshaped",
        "convolution layers whose kernel has another shape",
        Unit.LAYERS,
        _layer_count(lambda layer: layer.status == LayerChange.RESHAPED, _is_new, by_weights=True),
    ),
    _quantity(
        "layers_affected",
        "convolution layers with the same weights that are fed something else",
        Unit.LAYERS,
        _layer_count(lambda layer: layer.affected, _is_new, by_weights=True),
    ),
    _quantity(
        "layers_renamed",
        "convolution layers that had another path",
        Unit.LAYERS,
        _layer_count(lambda layer: layer.is_renamed, _is_new, by_weights=False),
    ),
    _quantity(
        "layers_not_compared",
        "convolution layers that a report does not cover, those that neither does included",
        Unit.LAYERS,
        _uncompared,
    ),
    _quantity(
        "filters_changed",
        "filters whose own weights are not those that they had, new ones included",
        Unit.FILTERS,
        _filters(_is_other, ""),
    ),
    _quantity(
        "filters_added",
        "filters of the new model that no filter of the old one is similar enough to",
        Unit.FILTERS,
        _filters(_is_added, ""),
    ),
    _quantity(
        "filters_removed",
        "filters of the old model, shown or not, that no filter of the new one is similar enough to",
        Unit.FILTERS,
        _gone,
    ),
    _quantity(
        "verdicts_changed",
        "filters with another verdict than before",
        Unit.FILTERS,
        _filters(_verdict_changed, ONE_SIDE),
    ),
    _quantity(
        "newly_inactive_filters",
        "filters that are silent or dead and were not",
        Unit.FILTERS,
        _filters(_newly_inactive, ONE_SIDE),
    ),
    _quantity(
        "weight_change",
        "change of the weights of the filter that changed most, ‖w − w₀‖ / ‖w₀‖, from the old model; 0 in layers with the same filters",
        Unit.RATIO,
        _most(_weight_change, "no filter of the layers is in both models"),
    ),
    _quantity(
        "least_weight_change",
        "the same of the filter that changed least",
        Unit.RATIO,
        _most(_weight_change, "no filter of the layers is in both models", least=True),
    ),
    _quantity(
        "activation_change",
        "the same ratio of the feature maps on the same images, of the filter whose maps changed most",
        Unit.RATIO,
        _most(_activation_change, "the reports have no feature maps of the same images"),
    ),
    _quantity(
        "predictions_flipped",
        "images for which another class is the most probable",
        Unit.IMAGES,
        _predictions(lambda item: item.flipped),
        of_layers=False,
    ),
    _quantity(
        "predictions_changed",
        "images whose most probable class has another probability, or is another",
        Unit.IMAGES,
        _predictions(lambda item: item.flipped or item.probability != item.old_probability),
        of_layers=False,
    ),
    _quantity(
        "accuracy_lost",
        "accuracy of the old model less that of the new one, on the same data set",
        Unit.RATIO,
        _accuracy_lost,
        of_layers=False,
    ),
    _quantity(
        "classes_changed", "class names that were added, removed or moved", Unit.NUMBER, _classes, of_layers=False
    ),
    _quantity(
        "unfair",
        "things that make the comparison unfair, as its page names them",
        Unit.NUMBER,
        _unfair,
        of_layers=False,
    ),
    _quantity(
        "parameters_added",
        "parameters that the new model has more; a percentage is of those of the old one",
        Unit.PARAMETERS,
        _parameters,
        of_layers=False,
    ),
)
