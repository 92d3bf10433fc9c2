"""Which layer of the old model is which of the new: by path, else by equal weights, else by shape and place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from reportgen.artefacts.layer_entry import LayerEntry


@dataclass(frozen=True)
class Pair:
    """A layer in both models, or in one alone."""

    old: LayerEntry | None
    new: LayerEntry | None


def convolutions(layers: Sequence[LayerEntry]) -> list[LayerEntry]:
    """Return the layers with a kernel, in the order in which data meets them; a layer that a report leaves out is among them."""
    return [layer for layer in layers if layer.kernel_shape is not None and not layer.is_output]


def pair_layers(
    old: Sequence[LayerEntry], new: Sequence[LayerEntry], same_weights: Callable[[LayerEntry, LayerEntry], bool]
) -> list[Pair]:
    """Pair the layers of two models.

    Networks whose layers have the same shapes throughout are paired one by one where their paths differ: names such as `conv2d_7` go on
    counting from model to model, and an equal name may then be another layer. Elsewhere an equal path decides, then equal weights, then
    shape and place among the layers that are left.

    Args:
        old: layers of the old model, in order, like `new`.
        new: those of the new one.
        same_weights: whether two layers of the same shape have the same weights to the byte.

    Returns:
        One a layer, in the order of the new model; layers that were removed stand behind those that they followed.
    """
    if [_shape(layer) for layer in old] == [_shape(layer) for layer in new] and {layer.path for layer in old} != {
        layer.path for layer in new
    }:
        return [Pair(*both) for both in zip(old, new, strict=True)]
    found = {new_at: old_at for new_at, old_at in _by_path(old, new)}
    _add_same(found, old, new, same_weights)
    _add_by_place(found, old, new)
    return _in_order(found, old, new)


def _shape(layer: LayerEntry) -> Hashable:
    return layer.kernel_kind, layer.kernel_shape, layer.strides, layer.dilation, layer.groups


def _by_path(old: Sequence[LayerEntry], new: Sequence[LayerEntry]) -> list[tuple[int, int]]:
    places = {layer.path: place for place, layer in enumerate(old)}
    return [(place, places[layer.path]) for place, layer in enumerate(new) if layer.path in places]


def _left(found: dict[int, int], old: Sequence[LayerEntry], new: Sequence[LayerEntry]) -> tuple[list[int], list[int]]:
    """Places of the layers that are not paired yet, old and new."""
    taken = set(found.values())
    return [at for at in range(len(old)) if at not in taken], [at for at in range(len(new)) if at not in found]


def _add_same(
    found: dict[int, int],
    old: Sequence[LayerEntry],
    new: Sequence[LayerEntry],
    same_weights: Callable[[LayerEntry, LayerEntry], bool],
) -> None:
    """Pair layers with equal weights, where that is unambiguous."""
    left_old, left_new = _left(found, old, new)
    equal = [
        (new_at, old_at)
        for new_at in left_new
        for old_at in left_old
        if _shape(new[new_at]) == _shape(old[old_at]) and same_weights(old[old_at], new[new_at])
    ]
    once_new, once_old = Counter(pair[0] for pair in equal), Counter(pair[1] for pair in equal)
    found |= {new_at: old_at for new_at, old_at in equal if once_new[new_at] == once_old[old_at] == 1}


def _add_by_place(found: dict[int, int], old: Sequence[LayerEntry], new: Sequence[LayerEntry]) -> None:
    """Pair layers of the same shape in the same order, between neighbors that are paired."""
    marks = {old_at: f"pair {old_at}" for old_at in found.values()}
    old_words: list[Hashable] = [marks.get(at, _shape(layer)) for at, layer in enumerate(old)]
    new_words: list[Hashable] = [marks[found[at]] if at in found else _shape(layer) for at, layer in enumerate(new)]
    for block in SequenceMatcher(None, old_words, new_words, autojunk=False).get_matching_blocks():
        for step in range(block.size):
            found.setdefault(block.b + step, block.a + step)


def _in_order(found: dict[int, int], old: Sequence[LayerEntry], new: Sequence[LayerEntry]) -> list[Pair]:
    """The pairs in the order of the new model, with the removed layers where they were."""
    after: dict[int, list[Pair]] = {}
    news = {old_at: new_at for new_at, old_at in found.items()}
    last = -1
    for old_at, layer in enumerate(old):
        if old_at in news:
            last = news[old_at]
        else:
            after.setdefault(last, []).append(Pair(layer, None))
    pairs = list(after.get(-1, []))
    for new_at, layer in enumerate(new):
        pairs.append(Pair(old[found[new_at]] if new_at in found else None, layer))
        pairs += after.get(new_at, [])
    return pairs
