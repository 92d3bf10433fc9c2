"""Which input channel of the old layer is which of the new, from the matched filters of the layers that feed both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reportgen.artefacts.layer_entry import LayerEntry
from reportgen.core.errors import few

Order = NDArray[np.int64]  # by new number the old one, -1 where there is none
INPUT = ""  # path of the model's input, whose channels stay


@dataclass(frozen=True)
class InputOrder:
    """The old input channel of each new one.

    Attributes:
        order: (channels,), -1 where the old layer had no such channel.
        notes: what is not known of it, a sentence each.
    """

    order: Order
    notes: tuple[str, ...] = ()


def input_order(
    old: LayerEntry, new: LayerEntry, old_inputs: int, new_inputs: int, orders: Mapping[str, tuple[str, Order]]
) -> InputOrder | None:
    """Find the order of the input channels.

    Args:
        old: the layer in the old model.
        new: the layer in the new one.
        old_inputs: how many input channels the old layer is applied to.
        new_inputs: the same of the new one.
        orders: by path of a new layer the path that it had, and the order of its filters.

    Returns:
        None where a layer that feeds it is still to be matched: `orders` then lacks it.
    """
    old_labels, new_labels = _labels(old, old_inputs), _labels(new, new_inputs)
    if old_labels is None or new_labels is None:
        return _as_given(old_inputs, new_inputs, "where the input channels come from is not recorded")
    if all(not labels for labels in new_labels) or all(not labels for labels in old_labels):
        return _as_given(old_inputs, new_inputs, "the channels could not be followed through the layers before it")
    places: dict[tuple[str, int], list[int]] = {}
    for place, labels in enumerate(old_labels):
        for label in labels:
            places.setdefault(label, []).append(place)
    order = np.full(new_inputs, -1, np.int64)
    used: dict[tuple[str, int], int] = {}
    unknown, torn = set[str](), 0
    for place, labels in enumerate(new_labels):
        found = []
        for path, channel in labels:
            if path == INPUT:
                before: tuple[str, int] = (path, channel)
            elif path not in orders:
                return None
            else:
                old_path, own = orders[path]
                before = (old_path, int(own[channel]) if channel < len(own) else -1)
            if before in places:
                nth = used.get((path, channel), 0)
                used[path, channel] = nth + 1
                candidates = places[before]
                found.append(candidates[min(nth, len(candidates) - 1)])
        if not labels and place < old_inputs and not old_labels[place]:
            found, unknown = [place], unknown | {str(place)}
        torn += len(set(found)) > 1
        if found:
            order[place] = found[0]
    notes = []
    if unknown:
        notes.append(
            f"input channels {few(sorted(unknown, key=int))} could not be followed and were compared in the given order"
        )
    if torn:
        notes.append(
            "layers whose outputs are added have their filters in different orders; the order of the first was used"
        )
    return InputOrder(_paired(order, old_inputs), tuple(notes))


def sources(layer: LayerEntry) -> frozenset[str] | None:
    """Return the paths of the layers that feed a layer, "" for the model's input; None where that is not known throughout."""
    runs = layer.channel_runs
    if runs is None or any(not run.sources for run in runs):
        return None
    return frozenset(path for run in runs for path, _ in run.sources)


def _labels(layer: LayerEntry, inputs: int) -> list[tuple[tuple[str, int], ...]] | None:
    """The sources of each input channel; None where they are not recorded."""
    if layer.channel_runs is None or sum(run.channels for run in layer.channel_runs) != inputs:
        return None
    return [
        tuple((path, first + step) for path, first in run.sources)
        for run in layer.channel_runs
        for step in range(run.channels)
    ]


def _as_given(old_inputs: int, new_inputs: int, why: str) -> InputOrder:
    """The order in which the channels are stored."""
    numbers = np.arange(new_inputs)
    order = np.where(numbers < old_inputs, numbers, -1)
    return InputOrder(order, (f"{why}: its input channels were compared in the given order",))


def _paired(order: Order, old_total: int) -> Order:
    """The order where new channels without an old one take those that are left, see `complete`; an old channel is taken once."""
    seen: set[int] = set()
    for place, before in enumerate(order.tolist()):
        if before in seen:
            order[place] = -1
        elif before >= 0:
            seen.add(before)
    return complete(order, old_total)


def complete(order: Order, old_total: int) -> Order:
    """Return the order in which new numbers without a match take old ones that are left.

    The same number comes first; where as many are left on both sides the rest follow in order, and elsewhere they stay without one.

    Args:
        order: by new number the old one, -1 without a match.
        old_total: how many old numbers there are.
    """
    order = order.copy()
    free = set(range(old_total)) - set(order.tolist())
    for place in np.flatnonzero(order < 0).tolist():
        if place in free:
            order[place] = place
            free.discard(place)
    left = np.flatnonzero(order < 0)
    if len(left) == len(free):
        order[left] = sorted(free)
    return order
