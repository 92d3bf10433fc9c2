"""The small periodic canvas on which filters with small receptive fields are searched for a fraction of the cost of a whole picture.

A picture that repeats itself excites a filter everywhere as it does within one period. So the search needs one period and what its
filters see around it, whatever the size of the finished picture, which the period then tiles.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from reportgen.network.backend import tf
from reportgen.network.graph.axis_reach import Reach
from reportgen.network.graph.layer_calls import LayerCall

SMALLEST_PERIOD = 16  # pixels: below it a texture has no room to find its own period
SMALL_ENOUGH = 0.5  # of the picture's pixels: a larger canvas is not worth its seams


@dataclass(frozen=True)
class Canvas:
    """What a search sees of a picture, lengths one a spatial axis.

    period: pixels that the picture repeats after; the whole picture where it does not. size: pixels shown to the network. first, count:
    positions of the unit's map that see only such pixels and make up one period; None where the whole map counts.
    """

    period: tuple[int, ...]
    size: tuple[int, ...]
    first: tuple[int, ...] | None = None
    count: tuple[int, ...] | None = None

    @property
    def is_whole(self) -> bool:
        """Whether the canvas is the picture itself."""
        return self.first is None

    def spread(self, tiles: Any) -> Any:
        """What the network is shown of `tiles` (n, *period, bands). Call inside a trace."""
        return tiles if self.is_whole else _repeated(tiles, self.size, tf)

    def filled(self, tiles: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
        """The pictures (n, *size, bands) that `tiles` (n, *period, bands) make."""
        return np.asarray(tiles if self.is_whole else _repeated(tiles, size, np))

    def cropped(self, pictures: np.ndarray) -> np.ndarray:
        """One period (n, *period, bands) from the middle of `pictures` (n, *size, bands)."""
        starts = [(have - wanted) // 2 for have, wanted in zip(pictures.shape[1:-1], self.period, strict=True)]
        inner = (slice(start, start + wanted) for start, wanted in zip(starts, self.period, strict=True))
        return pictures[(slice(None), *inner)]

    def own_positions(self, maps: Any) -> Any:
        """One period of `maps` (n, ..., channels) as the canvas has them."""
        if self.first is None or self.count is None:
            return maps
        inner = (slice(first, first + count) for first, count in zip(self.first, self.count, strict=True))
        return maps[(slice(None), *inner)]


def repeated(tiles: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """The pictures (n, *size, bands) that `tiles` (n, *period, bands) fill from a corner on."""
    return np.asarray(_repeated(tiles, size, np))


def _repeated(tiles: Any, size: Sequence[int], library: Any) -> Any:
    times = [-(-wanted // have) for wanted, have in zip(size, tiles.shape[1:-1], strict=True)]
    return library.tile(tiles, (1, *times, 1))[(slice(None), *(slice(length) for length in size))]


def whole(size: tuple[int, ...]) -> Canvas:
    """The picture itself."""
    return Canvas(size, size)


def canvas_for(layer_call: LayerCall, size: tuple[int, ...], traced: tuple[int, ...], fields: float) -> Canvas:
    """The canvas for searches of a layer call whose pictures have `size`.

    traced: the size that the model was traced at. fields: the period in receptive fields.
    """
    axes = _even_axes(layer_call)
    if axes is None:
        return whole(size)
    sides = [_side(axis, fields, *lengths) for axis, *lengths in zip(axes, size, traced, strict=True)]
    period, lengths, first, count = (tuple(side[at] for side in sides) for at in range(4))
    if prod(lengths) > SMALL_ENOUGH * prod(size) or any(a > b for a, b in zip(lengths, size, strict=True)):
        return whole(size)
    return Canvas(period, lengths, first, count)


def fitting_canvas(
    layer_call: LayerCall,
    size: tuple[int, ...],
    traced: tuple[int, ...],
    fields: float,
    trace: Callable[[Canvas], Any],
) -> Canvas:
    """A canvas for searches of a layer call, see `canvas_for`; the whole picture where `trace`, for a smaller one, fails.

    It does where a layer on the way takes no other size, as a dense one before an attention map.
    """
    return _fitting(canvas_for(layer_call, size, traced, fields), size, trace)


def fitting_window(
    layer_call: LayerCall, size: tuple[int, ...], traced: tuple[int, ...], trace: Callable[[Canvas], Any]
) -> Canvas:
    """The smallest picture that a position of a layer call's map sees nothing beyond, see `fitting_canvas`; it does not repeat itself.

    The position sees in it what it sees in any picture of which the window is the first corner.
    """
    axes = _even_axes(layer_call)
    if axes is None:
        return whole(size)
    sides = [_window_side(axis, *lengths) for axis, *lengths in zip(axes, size, traced, strict=True)]
    lengths, first = tuple(length for length, _ in sides), tuple(position for _, position in sides)
    if any(length > have for length, have in zip(lengths, size, strict=True)) or lengths == size:
        return whole(size)
    return _fitting(Canvas(lengths, lengths, first, (1,) * len(first)), size, trace)


def _fitting(canvas: Canvas, size: tuple[int, ...], trace: Callable[[Canvas], Any]) -> Canvas:
    if canvas.is_whole:
        return canvas
    try:
        trace(canvas)
    except Exception:
        return whole(size)
    return canvas


def _even_axes(layer_call: LayerCall) -> tuple[Reach, ...] | None:
    """What positions of a layer call's map see along each axis; None where they can only be searched on the whole picture."""
    return None if layer_call.times or layer_call.is_output else layer_call.even_axes


def _inside(axis: Reach, whole: int, traced: int) -> tuple[int, int, int]:
    """(the first pixel that position 0 may see, its last, the first position that sees only pixels of the picture).

    Padding may have moved positions since the network was traced.
    """
    start = axis.at(0)
    assert start is not None
    off = 0 if (whole - traced) % axis.shift == 0 else axis.shift - 1
    return start[0] + off, start[1] + off, max(0, -((start[0] - off) // axis.shift))


def _aligned(needed: int, whole: int, stride: int) -> int:
    """A length of at least `needed` that differs from `whole` by a multiple of the stride.

    Only then does `same` padding put positions where they lie in the whole picture.
    """
    return needed + (whole - needed) % stride


def _window_side(axis: Reach, whole: int, traced: int) -> tuple[int, int]:
    """(length, position) along one axis: the first position all of whose pixels are there, and pixels up to its last one."""
    _, last, position = _inside(axis, whole, traced)
    return _aligned(last + axis.shift * position + 1, whole, axis.shift), position


def _side(axis: Reach, fields: float, whole: int, traced: int) -> tuple[int, int, int, int]:
    """(period, length, first position, positions) along one axis of a picture of `whole` pixels."""
    stride, field = axis.shift, axis.size
    period = -(-max(SMALLEST_PERIOD, int(fields * field)) // stride) * stride
    begin, _, first = _inside(axis, whole, traced)
    needed = begin + stride * (first - 1) + period + field
    return period, _aligned(needed, whole, stride), first, period // stride
