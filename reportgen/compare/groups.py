"""Layers whose filters must be in one order, since their outputs are added channel by channel, and the matching of all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from reportgen.artefacts.layer_entry import LayerEntry
from reportgen.compare import matching
from reportgen.compare.activations import Correlations, SharedMaps
from reportgen.compare.channel_order import InputOrder, Order, complete, input_order
from reportgen.compare.matching import Similarity
from reportgen.compare.records import Basis
from reportgen.compare.unit_weights import UnitWeights
from reportgen.core.choices import Match

PASSES = 3  # over layers that depend on each other in a circle, as in residual networks; most are settled in the second


@dataclass
class Member:
    """A layer in both models on its way to being matched.

    Attributes:
        identical: whether its weights are the same to the byte.
        weights: read anew each time, since the weights of a whole network may not fit into memory: (old, new).
        maps: on the same images.
        order: the old number of each new filter, those without a match filled up; None before it is known.
        matched: the same with -1 where no old filter is similar enough.
        similarity: of the filters with the old ones that they are paired with; NaN where it cannot be measured.
    """

    old: LayerEntry
    new: LayerEntry
    identical: bool
    weights: Callable[[], tuple[UnitWeights, UnitWeights] | None]
    maps: SharedMaps | None
    order: Order | None = None
    matched: Order | None = None
    similarity: np.ndarray | None = None
    basis: Basis = Basis.POSITION
    inputs: InputOrder | None = None
    notes: list[str] = field(default_factory=list)
    known: tuple[Any, tuple[Similarity, Basis] | None] | None = None  # similarity, and what it was measured for
    correlations: Correlations | None = None


def match_all(members: Sequence[Member], match: Match) -> None:
    """Match the filters of all layers, in the order in which data meets them.

    Args:
        members: the layers that both models have; what is found is written into them.
        match: how.
    """
    groups = _groups(members)
    for count in range(PASSES):
        before = [None if member.order is None else member.order.tolist() for member in members]
        for group in groups:
            if count == 0 or len(group) > 1 or _moved(group[0], members):
                _match(group, members, match)
        if before == [None if member.order is None else member.order.tolist() for member in members]:
            break
    for member in members:
        member.known = member.correlations = None


def _moved(member: Member, members: Sequence[Member]) -> bool:
    """Whether the order of a layer's input channels is another than when it was matched."""
    if member.identical or member.inputs is None:
        return False
    found = input_order(member.old, member.new, *_widths(member), _orders(members))
    return found is not None and not np.array_equal(found.order, member.inputs.order)


def _groups(members: Sequence[Member]) -> list[list[Member]]:
    """The layers in order, those together that must have one order of filters."""
    owner = {member.new.path: place for place, member in enumerate(members)}
    parent = list(range(len(members)))

    def root(place: int) -> int:
        while parent[place] != place:
            place = parent[place]
        return place

    for member in members:
        for run in member.new.channel_runs or ():
            together = [owner[path] for path, first in run.sources if path in owner and first == 0]
            whole = [at for at in together if _total(members[at]) == (run.channels, run.channels)]
            if member.new.kernel_kind == "depthwise" and _total(member) == (run.channels, run.channels):
                whole.append(owner[member.new.path])
            for one, other in pairwise(whole):
                parent[max(root(one), root(other))] = min(root(one), root(other))
    groups: dict[int, list[Member]] = {}
    for place, member in enumerate(members):
        groups.setdefault(root(place), []).append(member)
    return list(groups.values())


def _total(member: Member) -> tuple[int, int]:
    return member.new.filters_total, member.new.filters_total


def _orders(members: Sequence[Member]) -> dict[str, tuple[str, Order]]:
    return {member.new.path: (member.old.path, member.order) for member in members if member.order is not None}


def _widths(member: Member) -> tuple[int, int]:
    """How many input channels the old and the new layer are applied to."""
    return tuple(  # type: ignore[return-value]
        _inputs(layer) for layer in (member.old, member.new)
    )


def _inputs(layer: LayerEntry) -> int:
    assert layer.kernel_shape is not None
    shape = [length or 0 for length in layer.kernel_shape]
    if layer.kernel_kind == "transposed":
        return shape[-1]
    if layer.kernel_kind in ("depthwise", "separable"):
        return shape[-2]
    return shape[-2] * (layer.groups or 1)


def _match(group: Sequence[Member], members: Sequence[Member], match: Match) -> None:
    """Match the filters of layers that have one order."""
    if all(member.identical for member in group) or match == Match.POSITION:
        order: Order | None = None
    else:
        order = _common_order(group, members, match)
    for member in group:
        _settle(member, members, order, match)
        if len(group) == 1:
            member.known = None  # of the large layers of a whole network these take a gigabyte


def _common_order(group: Sequence[Member], members: Sequence[Member], match: Match) -> Order | None:
    """The order in which the filters of a group are most similar; None where nothing can be compared."""
    orders = _orders(members)
    parts: list[Similarity] = []
    paths = {member.new.path for member in group}
    for member in group:
        found = input_order(member.old, member.new, *_widths(member), orders)
        bound = _is_bound(member, paths)
        if found is None and parts and not bound:
            continue  # a later pass knows the order of its input channels
        part = _similarity(member, found, match, bound=bound)
        if part is not None:
            parts.append(part[0])
    fitting = [part for part in parts if part.values.shape == parts[0].values.shape]
    return complete(matching.assign(fitting), fitting[0].values.shape[1]) if fitting else None


def _is_bound(member: Member, paths: Set[str]) -> bool:
    """Whether a layer's filters are in one order with its input channels, which layers of its own group give."""
    runs = member.new.channel_runs or ()
    return member.new.kernel_kind == "depthwise" and any(path in paths for run in runs for path, _ in run.sources)


def _similarity(
    member: Member, inputs: InputOrder | None, match: Match, *, bound: bool = False
) -> tuple[Similarity, Basis] | None:
    """The similarity of a layer's filters by activation and weights; `bound` as `_is_bound` tells. Kept for the same order of inputs."""
    key = (match, bound, None if bound or inputs is None else inputs.order.tobytes())
    if member.known is None or member.known[0] != key:
        member.known = key, _measured(member, inputs, match, bound=bound)
    return member.known[1]


def _measured(
    member: Member, inputs: InputOrder | None, match: Match, *, bound: bool
) -> tuple[Similarity, Basis] | None:
    loaded = member.weights()
    by_weights = None
    if loaded is not None and (bound or inputs is not None) and all(each.is_finite for each in loaded):
        found = matching.one_block(*loaded) if bound or inputs is None else matching.blocks(*loaded, inputs.order)
        by_weights = None if found is None else matching.weight_similarity(found, *loaded)
    correlations = None
    if member.maps is not None and member.maps.is_whole and match != Match.POSITION:
        if member.correlations is None:
            member.correlations = member.maps.correlations()
        correlations = member.correlations
    if correlations is None:
        return None if by_weights is None or match == Match.ACTIVATION else (by_weights, Basis.WEIGHTS)
    if match == Match.ACTIVATION or by_weights is None:
        return matching.with_activation(correlations, None), Basis.ACTIVATION
    return matching.with_activation(correlations, by_weights), Basis.BOTH


def _settle(member: Member, members: Sequence[Member], order: Order | None, match: Match) -> None:
    """Write down what was found of one layer."""
    member.notes = []
    new_total, old_total = member.new.filters_total, member.old.filters_total
    numbers = np.arange(new_total)
    by_place = np.where(numbers < old_total, numbers, -1)
    if member.identical:
        member.order = by_place if order is None else order
        member.matched, member.similarity, member.basis = by_place, np.ones(new_total), Basis.IDENTITY
        return
    inputs = input_order(member.old, member.new, *_widths(member), _orders(members))
    member.inputs = inputs
    found = _similarity(member, inputs, match)
    member.order = by_place if order is None else order
    member.basis = Basis.POSITION if order is None or found is None else found[1]
    if inputs is not None:
        member.notes += inputs.notes
    if found is None or found[0].values.shape != (new_total, old_total):
        member.matched, member.similarity = member.order, np.full(new_total, np.nan)
        if match != Match.POSITION:
            member.notes.append("its filters cannot be compared with the old ones and were matched by their numbers")
        return
    rows = np.flatnonzero(member.order >= 0)
    member.similarity = np.full(new_total, np.nan)
    member.similarity[rows] = found[0].values[rows, member.order[rows]]
    member.matched = member.order if match == Match.POSITION else matching.matched(member.order, found[0])
