"""Slices of the kernels of filters in two models: an old and a new row for each pair, on one scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reportgen.core.axes import ChannelOrder
from reportgen.render import mosaic, palette, png, slices
from reportgen.render.figure import Figure, Tiles
from reportgen.render.palette import DIVERGING

SMALLEST_TILE = 24  # pixels along the longer side of a slice at least
GRAY_ZERO, GRAY_REACH = 127.5, 127.5  # of a color picture: the gray of zero, and from there to black and white


def draw(pairs: NDArray[np.floating], colors: ChannelOrder | None = None) -> Figure:
    """Draw pairs of kernels.

    The scale of each pair is linear from -m to m, m its largest magnitude, see `limits`.

    Args:
        pairs: (pairs, 2, slices, *taps), the old kernel first; finite.
        colors: where the slices are the color channels of the input, their order: each kernel is then one picture.

    Returns:
        The figure: two rows a pair, a tile a slice, or a tile a kernel where it is a picture.
    """
    taps = pairs.shape[3:]
    reach = np.reshape(limits(pairs), (-1, *(1,) * (pairs.ndim - 1)))
    pairs = pairs / np.where(reach == 0, 1.0, reach)
    flat = pairs.reshape(-1, *pairs.shape[2:])
    if colors is not None and len(taps) > 1:
        ordered = flat if colors == ChannelOrder.RGB else flat[:, ::-1]
        pixels = np.rint(GRAY_ZERO + GRAY_REACH * np.moveaxis(ordered, 1, -1)).astype(np.uint8)
        tiles, columns, gap = pixels, 1, palette.GRAYS[palette.GAP]
    else:
        values = flat.reshape(-1, *(taps if len(taps) > 1 else (1, *taps)))
        tiles, columns, gap = palette.diverging_index(values, 1.0), pairs.shape[2], palette.GAP
    if len(taps) > 2:
        tiles = slices.laid_out(tiles, gap)
    layout = mosaic.choose_tiles(len(tiles), *tiles.shape[1:3], columns=columns, smallest=SMALLEST_TILE)
    picture = mosaic.compose(tiles, layout, gap)
    data = png.encode(picture) if picture.ndim > 2 else png.encode_indexed(picture, palette.table(DIVERGING))
    scale = "Each pair has a linear scale of its own, symmetric about zero."
    legend = None if picture.ndim > 2 else ("−m", "m", DIVERGING)
    return Figure(png=data, tiles=layout, caption=scale, alt=scale, legend=legend)


def limits(pairs: NDArray[np.floating]) -> list[float]:
    """Return the end of each pair's scale: its largest magnitude."""
    return [float(np.abs(pair).max(initial=0)) for pair in pairs]


def row_box(layout: Tiles, pair: int, which: int) -> tuple[int, int, int, int]:
    """Return (x, y, width, height) of one kernel of a pair in picture pixels; `which` is 0 of the old one, 1 of the new one."""
    first = (2 * pair + which) * layout.columns
    x, y, _, height = layout.box(first)
    last, _, width, _ = layout.box(first + layout.columns - 1)
    return x, y, last + width - x, height
