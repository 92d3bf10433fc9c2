"""Two reports compared: layers, filters, predictions and classes, as records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from reportgen.artefacts.layer_entry import LayerEntry
from reportgen.artefacts.patterns import PatternRecord
from reportgen.compare import matching
from reportgen.compare.activations import SharedMaps
from reportgen.compare.channel_order import sources
from reportgen.compare.groups import Member, match_all
from reportgen.compare.pairs import Pair, convolutions, pair_layers
from reportgen.compare.pattern_similarity import pattern_similarity
from reportgen.compare.predictions import compare_classes, compare_predictions
from reportgen.compare.records import (
    SAME,
    Comparison,
    FactChange,
    FilterComparison,
    LayerChange,
    LayerComparison,
    NotCompared,
    Side,
    known_verdict,
)
from reportgen.compare.unfair import same_input, unfair
from reportgen.compare.unit_weights import UnitWeights, lacks_normalizations
from reportgen.core.choices import Match
from reportgen.core.errors import StoreError, UsageError
from reportgen.core.numbers import plain
from reportgen.core.records import LayerStatus
from reportgen.core.store import DAMAGE
from reportgen.report.opened import Report

FOLDING = 1e-5  # relative difference of float32 weights that folding a normalization, in float32, leaves
ROUNDING = (
    2e-3  # relative difference of maps in half precision, whose numbers are rounded by up to 0.0005, that says nothing
)
UNNORMALIZED = (
    "a report of an earlier version lacks the weights of the normalizations that follow: they were not compared"
)
NO_MAPS = (
    "A report keeps no feature maps of the common images (--keep-maps none): weights and patterns alone are compared."
)
SOME_MAPS = "A report keeps the feature maps of the shown filters alone (--keep-maps shown): filters are matched by their weights."
FACTS = (
    "layer_class",
    "strides",
    "dilation",
    "groups",
    "padding",
    "activation",
)  # configuration that decides what a layer does


def compare_reports(old: Report, new: Report, match: Match | str = Match.AUTO) -> Comparison:
    """Compare two finished reports.

    Args:
        old: the earlier report, as `reportgen.open` returns it.
        new: the later one.
        match: how filters are matched: `auto`, `position` or `activation`.

    Returns:
        What compare.json states.

    Raises:
        UsageError: filters are to be matched by activation, and the reports have no maps of the same images.
        StoreError: an array of a report is missing or damaged.
    """
    return examine(old, new, match).comparison


@dataclass(frozen=True)
class Examination:
    """A comparison, and how the layers of both models were matched: what pages are drawn from.

    Attributes:
        members: the layers that both models have, by their path in the new one.
    """

    old: Report
    new: Report
    comparison: Comparison
    members: Mapping[str, Member]


def examine(old: Report, new: Report, match: Match | str = Match.AUTO) -> Examination:
    """Compare two finished reports, see `compare_reports`, and keep how layers were matched."""
    match = Match(match)
    slugs = _shared_images(old, new)
    pairs = pair_layers(
        convolutions(old.document.layers),
        convolutions(new.document.layers),
        lambda one, other: _same_file(old, one, new, other),
    )
    members = {
        id(pair): Member(
            pair.old,
            pair.new,
            _is_identical(old, pair.old, new, pair.new),
            _loader(old, pair.old, new, pair.new),
            SharedMaps.of((old, pair.old), (new, pair.new), slugs),
        )
        for pair in pairs
        if pair.old is not None and pair.new is not None and not _missing(pair)
    }
    if match == Match.ACTIVATION and not any(member.maps and member.maps.is_whole for member in members.values()):
        raise UsageError(
            "--match activation needs feature maps of all filters on the same images, fed in the same way, in both reports; "
            "use --match auto."
        )
    match_all(list(members.values()), match)
    layers, not_compared = [], []
    for pair in pairs:
        reason = _missing(pair)
        if reason is not None:
            layer = pair.new or pair.old
            assert layer is not None
            not_compared.append(NotCompared(path=layer.path, reason=reason))
        elif id(pair) in members:
            layers.append(_compared(old, new, members[id(pair)]))
        else:
            layers.append(_alone(pair))
    predictions = compare_predictions(old.document, new.document)
    compared = {slug for member in members.values() if member.maps is not None for slug in member.maps.images}
    sentences = unfair(old.document, new.document)
    if slugs and not compared:
        sentences = (*sentences, NO_MAPS)
    elif any(member.maps is not None and not member.maps.is_whole for member in members.values()):
        sentences = (*sentences, SOME_MAPS)
    comparison = Comparison(
        old=Side(name=old.model.name, weights_sha256=old.model.weights_sha256),
        new=Side(name=new.model.name, weights_sha256=new.model.weights_sha256),
        match=match,
        unfair=sentences,
        images=tuple(image.name for image in new.images if image.slug in compared),
        predictions_flipped=sum(item.flipped for item in predictions),
        predictions=predictions,
        classes=compare_classes(old.model.classes, new.model.classes),
        layers=tuple(_with_affected(layers, list(members.values()))),
        not_compared=tuple(not_compared),
    )
    return Examination(old, new, comparison, {member.new.path: member for member in members.values()})


def _shared_images(old: Report, new: Report) -> list[tuple[str, str]]:
    """Old and new slugs of the images that both models were fed in the same way."""
    if not same_input(old.document, new.document):
        return []
    before = {image.sha256: image.slug for image in old.images}
    return [(before[image.sha256], image.slug) for image in new.images if image.sha256 in before]


def _missing(pair: Pair) -> str | None:
    """Why a layer that is in both models, or in one, cannot be compared; None where it can."""
    for layer, which in ((pair.old, "old"), (pair.new, "new")):
        if layer is not None and pair.old is not None and pair.new is not None and layer.weights is None:
            left_out = "does not cover it" if layer.status == LayerStatus.SKIPPED else "has no weights of it"
            return f"the {which} report {left_out}"
    return None


def _same_file(old: Report, before: LayerEntry, new: Report, after: LayerEntry) -> bool:
    """Whether the stored weights are the same to the byte."""
    if before.weights is None or after.weights is None or before.weights.arrays != after.weights.arrays:
        return False
    try:
        return (old.folder / before.weights.array).read_bytes() == (new.folder / after.weights.array).read_bytes()
    except DAMAGE as error:
        raise StoreError(f"weights of {after.path} cannot be read: {error}") from error


def _is_identical(old: Report, before: LayerEntry, new: Report, after: LayerEntry) -> bool:
    """Whether all weights are the same to the byte; files may differ in how they are packed."""
    if _same_file(old, before, new, after):
        return True
    assert before.weights is not None
    assert after.weights is not None
    if before.weights.arrays != after.weights.arrays:
        return False
    one, other = old.load(before.weights.array), new.load(after.weights.array)
    return all(one[name].dtype == other[name].dtype and one[name].tobytes() == other[name].tobytes() for name in one)


@dataclass(frozen=True)
class _Loader:
    """Reads the weights of a layer in both reports."""

    old: Report
    before: LayerEntry
    new: Report
    after: LayerEntry

    def __call__(self) -> tuple[UnitWeights, UnitWeights] | None:
        if self.before.weights is None or self.after.weights is None:
            return None
        known = not any(lacks_normalizations(layer) for layer in (self.before, self.after))
        return (
            UnitWeights.of(self.old.load(self.before.weights.array), self.before, normalized=known),
            UnitWeights.of(self.new.load(self.after.weights.array), self.after, normalized=known),
        )


def _loader(old: Report, before: LayerEntry, new: Report, after: LayerEntry) -> _Loader:
    return _Loader(old, before, new, after)


def _alone(pair: Pair) -> LayerComparison:
    """A layer that only one of the models has."""
    layer = pair.new or pair.old
    assert layer is not None
    added = pair.old is None
    return LayerComparison(
        path=layer.path,
        old_path=None if added else layer.path,
        status=LayerChange.ADDED if added else LayerChange.REMOVED,
        affected=False,
        matched_by=None,
        filters_total=layer.filters_total if added else 0,
        old_filters_total=0 if added else layer.filters_total,
        gone=(),
        facts=(),
        notes=(),
        filters=(),
    )


@dataclass(frozen=True)
class _Changes:
    """Of each new filter the change of its kernel and of its bias, NaN where it cannot be measured, and whether it is the same filter."""

    kernel: np.ndarray
    bias: np.ndarray
    same: np.ndarray
    folded: bool = False


def _compared(old: Report, new: Report, member: Member) -> LayerComparison:
    """A layer that both models have."""
    before, after = member.old, member.new
    matched, similarity = member.matched, member.similarity
    assert matched is not None
    assert similarity is not None
    changes = _weight_changes(member, matched)
    maps = {} if member.maps is None else _map_changes(member, matched)
    facts = _fact_changes(before, after)
    gone = tuple(sorted(set(range(before.filters_total)) - set(matched.tolist())))
    old_layer, new_layer = old[before.path], new[after.path]
    old_verdicts, verdicts = _patterns(before), _patterns(after)
    similarity = np.where(changes.same, 1.0, similarity)
    filters = []
    for index, old_index in enumerate(matched.tolist()):
        own, other = verdicts.get(index), old_verdicts.get(old_index)
        alike = None
        if own is not None and other is not None:
            alike = pattern_similarity(old_layer[old_index].pattern, new_layer[index].pattern)
        paired = old_index >= 0
        filters.append(
            FilterComparison(
                index=index,
                old_index=old_index if paired else None,
                match=plain(similarity[index]) if paired else None,
                weight_change=plain(changes.kernel[index]) if paired else None,
                bias_change=plain(changes.bias[index]) if paired else None,
                activation_change=plain(maps[index]) if paired and index in maps else None,
                pattern_similarity=plain(alike),
                verdict=None if own is None else known_verdict(str(own.verdict)),
                old_verdict=None if other is None else known_verdict(str(other.verdict)),
            )
        )
    return LayerComparison(
        path=after.path,
        old_path=before.path,
        status=_status(member, changes, gone, facts),
        affected=False,
        matched_by=member.basis,
        filters_total=after.filters_total,
        old_filters_total=before.filters_total,
        gone=gone,
        facts=facts,
        notes=(*member.notes, *([UNNORMALIZED] if lacks_normalizations(before) or lacks_normalizations(after) else [])),
        filters=tuple(filters),
    )


def _status(member: Member, changes: _Changes, gone: Sequence[int], facts: Sequence[FactChange]) -> LayerChange:
    before, after = member.old, member.new
    if (before.kernel_shape, before.kernel_kind) != (after.kernel_shape, after.kernel_kind):
        return LayerChange.RESHAPED
    if facts or gone or not changes.same.all():
        return LayerChange.CHANGED
    if member.identical:
        return LayerChange.IDENTICAL
    if changes.folded:
        return LayerChange.FOLDED
    orders = [member.matched, None if member.inputs is None else member.inputs.order]
    moved = any(order is not None and (order != np.arange(len(order))).any() for order in orders)
    return LayerChange.PERMUTED if moved else LayerChange.IDENTICAL


def _patterns(layer: LayerEntry) -> dict[int, PatternRecord]:
    return {} if layer.patterns is None else {item.index: item for item in layer.patterns.filters}


def _fact_changes(old: LayerEntry, new: LayerEntry) -> tuple[FactChange, ...]:
    """Configuration that changed; of a layer whose normalization was folded the unit may end elsewhere, which says nothing."""
    return tuple(
        FactChange(
            name={"layer_class": "class"}.get(name, name), old=str(getattr(old, name)), new=str(getattr(new, name))
        )
        for name in FACTS
        if getattr(old, name) != getattr(new, name)
    )


def _weight_changes(member: Member, matched: np.ndarray) -> _Changes:
    """How much the weights of each filter changed."""
    total = member.new.filters_total
    nothing = np.full(total, np.nan)
    if member.identical:
        return _Changes(np.zeros(total), np.zeros(total), np.ones(total, bool))
    loaded = member.weights()
    if loaded is None or member.inputs is None:
        return _Changes(nothing, nothing, np.zeros(total, bool))
    old, new = loaded
    found = matching.blocks(old, new, member.inputs.order)
    if found is None:
        return _Changes(nothing, nothing, np.zeros(total, bool))
    kernel, bias, same = nothing.copy(), nothing.copy(), np.zeros(total, bool)
    one_structure = old.structure == new.structure and old.own.shape[1] == new.own.shape[1]
    old_folded, new_folded = old.folded, new.folded
    for block in found:
        places = {number: place for place, number in enumerate(block.old.tolist())}
        for row, number in enumerate(block.new.tolist()):
            before = int(matched[number])
            if before not in places:
                continue
            one, other = block.old_rows[places[before]], block.new_rows[row]
            equal = one_structure and np.array_equal(one, other) and np.array_equal(old.own[before], new.own[number])
            if equal:
                kernel[number] = bias[number] = 0
                same[number] = True
                continue
            if old_folded is not None and new_folded is not None:
                one, other = one * old_folded[0][before], other * new_folded[0][number]
                bias[number] = abs(new_folded[1][number] - old_folded[1][before])
            elif one_structure:
                bias[number] = abs(new.bias[number] - old.bias[before])
            kernel[number] = _ratio(other - one, one)
            if not one_structure and old_folded is not None and new_folded is not None:
                room = FOLDING * max(old_folded[2][before], new_folded[2][number], float(np.linalg.norm(one)))
                same[number] = kernel[number] <= FOLDING and bias[number] <= room
                if same[number]:
                    kernel[number] = bias[number] = 0
    return _Changes(kernel, bias, same, folded=not one_structure)


def _ratio(difference: np.ndarray, reference: np.ndarray) -> float:
    """The norm of a difference over that of what it is a change of; NaN where that is zero and something is not."""
    change, length = float(np.linalg.norm(difference)), float(np.linalg.norm(reference))
    return 0.0 if change == 0 else change / length if length else float("nan")


def _map_changes(member: Member, matched: np.ndarray) -> Mapping[int, float]:
    assert member.maps is not None
    if member.identical and member.maps.is_same_file:
        return dict.fromkeys(member.maps.filters[1].tolist(), 0.0)
    return member.maps.changes(matched)


def _with_affected(layers: Sequence[LayerComparison], members: Sequence[Member]) -> Iterator[LayerComparison]:
    """The layers, those named that have their own filters and other inputs."""
    pairs = {member.new.path: member for member in members}
    renamed = {member.old.path: member.new.path for member in members}
    differs: dict[str, bool] = {}
    earlier = False
    for layer in layers:
        member = pairs.get(layer.path)
        if member is None or layer.status not in SAME:
            differs[layer.path] = True
            earlier = True
            yield layer
            continue
        after, before = sources(member.new), sources(member.old)
        if after is None or before is None:
            reached = earlier
        else:
            others = {renamed.get(path, path) for path in before} != after
            reached = others or any(differs.get(path, False) for path in after)
        changes = [item.activation_change for item in layer.filters if item.activation_change is not None]
        affected = reached or (bool(changes) and max(changes) > ROUNDING)
        differs[layer.path] = affected
        yield msgspec.structs.replace(layer, affected=affected)
