"""Small pictures of curves: gray lines on white, anti-aliased, the same bytes for the same numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PAPER, ZERO_LINE, INK = 255, 195, 25  # grays
HALF_LINE = 0.75  # pixels to each side of the middle of a curve: thin, and still visible where a page shrinks it
MARGIN = 3  # pixels around a curve, so that its marks at an end are whole
MARK_ROOM = 8  # pixels between two positions from which on each has a mark: the taps of a kernel
BAND_GAP = 1  # pixel between the curves of one tile
GAP = 165  # gray between the channels of one tile, as between tiles


@dataclass(frozen=True)
class Canvas:
    """Pixels of one curve."""

    height: int
    width: int


def draw(shares: NDArray[np.floating], canvas: Canvas, zero: float | None = None) -> NDArray[np.uint8]:
    """Draw one curve per tile.

    Where there are more positions than pixels, a column spans from the smallest to the largest value in it.

    Args:
        shares: (count, steps), 0 at the bottom and 1 at the top; values beyond are clipped.
        canvas: of one curve.
        zero: the share at which a faint line is drawn.

    Returns:
        uint8 (count, height, width).
    """
    count, steps = shares.shape
    inner = Canvas(max(canvas.height - 2 * MARGIN, 1), max(canvas.width - 2 * MARGIN, 1))
    clipped = np.clip(np.asarray(shares, np.float64), 0, 1)
    lowest, highest = _spans(clipped, inner.width)
    first, last = _row(highest, inner.height) - HALF_LINE, _row(lowest, inner.height) + HALF_LINE  # (count, columns)
    rows = np.arange(canvas.height)[None, :, None]
    covered = np.clip(np.minimum(last[:, None] + 0.5, rows + 1) - np.maximum(first[:, None] + 0.5, rows), 0, 1)
    pictures = np.full((count, canvas.height, canvas.width), float(PAPER))
    if zero is not None:
        pictures[:, round(float(_row(np.array(zero), inner.height)))] = ZERO_LINE
    middle = pictures[:, :, MARGIN : MARGIN + inner.width]
    middle += (INK - middle) * covered[:, :, : middle.shape[2]]
    if steps > 1 and inner.width / (steps - 1) >= MARK_ROOM:
        _mark(pictures, clipped, inner)
    return np.asarray(np.rint(pictures), np.uint8)


def _spans(shares: NDArray[np.floating], columns: int) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """The smallest and largest share in each column, neighboring columns joined: (count, columns) each."""
    steps = shares.shape[1]
    edges = np.linspace(0, steps - 1, columns + 1)
    if steps > columns:
        ends = np.stack([np.floor(edges[:-1]), np.ceil(edges[1:]) + 1], axis=1).astype(int).ravel()
        framed = np.concatenate([shares, shares[:, -1:]], axis=1)
        return np.minimum.reduceat(framed, ends, axis=1)[:, ::2], np.maximum.reduceat(framed, ends, axis=1)[:, ::2]
    places = np.stack([edges[:-1], edges[1:]], axis=1)
    below = np.clip(places.astype(int), 0, max(steps - 2, 0))
    above, part = np.minimum(below + 1, steps - 1), places - below
    at_edges = shares[:, below] * (1 - part) + shares[:, above] * part
    return at_edges.min(axis=2), at_edges.max(axis=2)


def _row(shares: NDArray[np.floating], height: int) -> NDArray[np.floating]:
    """The row, counted from the top, on which a share lies."""
    return MARGIN + (1 - shares) * (height - 1)


def _mark(pictures: NDArray[np.floating], shares: NDArray[np.floating], inner: Canvas) -> None:
    """A small square at every position, in place."""
    count, steps = shares.shape
    columns = MARGIN + np.rint(np.arange(steps) * (inner.width - 1) / (steps - 1)).astype(int)
    rows = np.rint(_row(shares, inner.height)).astype(int)
    tiles = np.arange(count)[:, None]
    for down in (-1, 0, 1):
        for across in (-1, 0, 1):
            pictures[tiles, rows + down, columns + across] = INK


def stacked(shares: NDArray[np.floating], canvas: Canvas, zero: float | None = None) -> NDArray[np.uint8]:
    """Draw several curves per tile, the first on top.

    Args:
        shares: (count, steps, channels), as for `draw`.
        canvas: of one curve.
        zero: the share at which a faint line is drawn.

    Returns:
        uint8 (count, channels * (height + 1) - 1, width).
    """
    count, steps, bands = shares.shape
    each = draw(np.moveaxis(shares, -1, 1).reshape(count * bands, steps), canvas, zero)
    tiles = np.full((count, bands, canvas.height + BAND_GAP, canvas.width), GAP, np.uint8)
    tiles[:, :, : canvas.height] = each.reshape(count, bands, canvas.height, canvas.width)
    return tiles.reshape(count, -1, canvas.width)[:, :-BAND_GAP]


def shares_between(values: NDArray[np.floating], low: float, high: float) -> NDArray[np.floating]:
    """Return where finite `values` lie between `low` and `high`; all in the middle where these are the same."""
    if low == high:
        return np.full(values.shape, 0.5)
    return np.asarray((values.astype(np.float64) - low) / (high - low))


def zero_share(low: float, high: float) -> float | None:
    """Return where zero lies between `low` and `high`; None where it does not."""
    return -low / (high - low) if low <= 0 <= high and low < high else None
