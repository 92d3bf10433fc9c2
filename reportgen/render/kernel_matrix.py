"""Kernels as a matrix: a row per filter and a column per input channel, where tiles would be single pixels or too many."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from reportgen.render import mosaic, palette, png
from reportgen.render.figure import Figure, Numbering, Tiles
from reportgen.render.scale import SCALE_PERCENTILE
from reportgen.render.text import count, named, number, percent, plural

MOST_ROWS, MOST_COLUMNS = (
    128,
    256,
)  # cells that a page shows at four pixels each; of more weights a cell sums up several
LARGEST_CELL = 28  # CSS pixels along a cell's height
ASPECT, WIDEST_CELL = (
    2,
    4,
)  # a matrix that is taller than half its width has wider cells, up to so many times their height
SHORTEST_SIDE = 8  # pixels of a picture of few cells, so that it is no hairline as a file


@dataclass(frozen=True)
class Scale:
    """From 0, or -`limit`, to `limit`; of the values drawn the `largest` magnitude and the share that is `clipped`."""

    limit: float
    largest: float
    clipped: float

    @property
    def is_clipping(self) -> bool:
        """Whether a value beyond the scale reads otherwise than its end."""
        return self.clipped > 0 and number(self.largest) != number(self.limit)


def draw(path: str, kernel: NDArray[np.floating], of: str, beside: NDArray[np.floating] | None = None) -> Figure:
    """Draw a kernel as a matrix.

    The weights themselves are drawn where a slice has one weight and there is a cell for each, on a linear scale symmetric about
    zero. Otherwise a cell is the root mean square of its weights, on a linear scale from 0. A scale ends at the 99.5th percentile
    of the nonzero magnitudes drawn. Cells with a weight that is not finite have a color of their own.

    Args:
        path: of the layer.
        kernel: (filters, input channels, taps), finite or not.
        of: the kernel in words.
        beside: a kernel of the same shape that is drawn on the same scale in another figure.

    Returns:
        The figure.
    """
    filters, inputs, taps = kernel.shape
    blocks = ceil(filters / MOST_ROWS), ceil(inputs / MOST_COLUMNS)
    signed = blocks == (1, 1) and taps == 1
    values = _cells(kernel, blocks, signed=signed)
    drawn = [values] if beside is None else [values, _cells(beside, blocks, signed=signed)]
    scale = _scale(drawn)
    finite = np.isfinite(values)
    safe, limit = np.where(finite, values, 0), scale.limit if scale.limit > 0 else 1.0
    indices = palette.diverging_index(safe, limit) if signed else palette.sequential_index(safe, limit)
    indices[~finite] = palette.BROKEN
    enlarged = ceil(SHORTEST_SIDE / min(indices.shape))
    used = palette.DIVERGING if signed else palette.SEQUENTIAL[0]
    rows, columns = indices.shape
    wide = min(ceil(ASPECT * rows / columns), WIDEST_CELL)
    tiles = Tiles(indices.size, columns, 1, wide, enlarged, 0)
    picture = mosaic.compose(indices.reshape(-1, 1, 1).repeat(wide, axis=2), tiles, palette.GAP)

    facts = [_scale_sentence(scale, used, signed=signed, shared=beside is not None)]
    if scale.is_clipping:
        facts.append(f"{percent(scale.clipped)} of the cells are clipped (peak {number(scale.largest)}).")
    zero = np.flatnonzero((kernel == 0).reshape(filters, -1).all(axis=1)).tolist()
    broken = np.flatnonzero(~np.isfinite(kernel).reshape(filters, -1).all(axis=1)).tolist()
    if zero:
        facts.append(f"{plural(len(zero), 'filter')} {'has' if len(zero) == 1 else 'have'} only zeros: {named(zero)}.")
    unused = np.flatnonzero((kernel == 0).all(axis=(0, 2))).tolist()
    if unused and len(zero) < filters:
        channels = plural(len(unused), "input channel")
        facts.append(f"{channels} {'has' if len(unused) == 1 else 'have'} only weights of 0: {named(unused)}.")
    if broken:
        owners = f"{plural(len(broken), 'filter')} {'has' if len(broken) == 1 else 'have'}"
        facts.append(f"{owners} non-finite weights (dark gray): {named(broken)}.")
    what = f"{of} as a matrix: a row per filter, a column per input channel, both numbered from 0{_cell(blocks, taps)}"
    return Figure(
        png=png.encode_indexed(picture, palette.table(used)),
        tiles=tiles,
        caption=" ".join([f"{what[0].upper()}{what[1:]}.", *facts]),
        alt=f"Weights of {path}: {of} as a matrix.",
        legend=None if scale.limit == 0 else (-scale.limit if signed else 0.0, scale.limit, used),
        numbering=Numbering(
            tuple(range(0, filters, blocks[0])), tuple(range(0, inputs, blocks[1])), largest=LARGEST_CELL * wide
        ),
    )


def _cells(kernel: NDArray[np.floating], blocks: tuple[int, int], *, signed: bool) -> NDArray[np.float64]:
    """The weights, or the root mean squares of blocks of them: float64 (rows, columns)."""
    if signed:
        return kernel[..., 0].astype(np.float64)
    wide = kernel.astype(np.float64)
    reach = np.abs(wide[np.isfinite(wide)]).max(initial=0) or 1.0  # no square of a share is too large to write
    with np.errstate(invalid="ignore"):
        return np.asarray(np.sqrt(mosaic.block_means(((wide / reach) ** 2).mean(axis=2), blocks)) * reach)


def _scale(drawn: list[NDArray[np.float64]]) -> Scale:
    """The scale of the first of some matrices that share it."""
    limits = []
    for values in drawn:
        magnitudes = np.abs(values[np.isfinite(values) & (values != 0)])
        limits.append(float(np.percentile(magnitudes, SCALE_PERCENTILE, method="higher")) if magnitudes.size else 0.0)
    limit, own = max(limits), np.abs(drawn[0][np.isfinite(drawn[0])])
    return Scale(limit, float(own.max(initial=0)), float(np.mean(own > limit)) if own.size else 0.0)


def _cell(blocks: tuple[int, int], taps: int) -> str:
    """What a cell sums up, as a clause; nothing where it is one weight."""
    if blocks == (1, 1):
        return "" if taps == 1 else f"; a cell is the root mean square of the {plural(taps, 'weight')} of a slice"
    filters, inputs = plural(blocks[0], "filter"), plural(blocks[1], "input channel")
    of = f", {count(taps)} weights each" if taps > 1 else ""
    return f"; a cell is the root mean square over {filters} and {inputs}{of}"


def _scale_sentence(scale: Scale, used: str, *, signed: bool, shared: bool) -> str:
    if scale.limit == 0:
        return "All finite weights are 0."
    top = number(scale.limit)
    ends = f"{number(-scale.limit)} (blue) through 0 (white) to {top} (red)" if signed else f"0 to {top}"
    both = ", the larger one of the initial and the trained weights; both figures have the same scale" if shared else ""
    end = (
        f"the {SCALE_PERCENTILE}th percentile of the nonzero magnitudes"
        if scale.is_clipping
        else "the largest magnitude"
    )
    return f"Linear color scale ({used}) from {ends}, {end}{both}."
