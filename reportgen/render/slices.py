"""Volumes as flat tiles: their slices along the first axis, row by row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reportgen.render import mosaic
from reportgen.render.figure import Tiles

IN_ONE_ROW = 4  # as many slices as stand side by side; more make a grid that is nearly square
TILE_GAP = 2  # cells between two tiles
SLICE_GAP = 1  # cell between two slices; less than between two tiles


def columns(depth: int) -> int:
    """Return how many slices stand in a row."""
    return depth if depth <= IN_ONE_ROW else int(np.ceil(np.sqrt(depth)))


def flat_size(lengths: Sequence[int]) -> tuple[int, int]:
    """Return (height, width) in cells of a volume of `lengths` (depth, height, width) laid out flat."""
    depth, height, width = lengths
    across = columns(depth)
    down = -(-depth // across)
    return down * (height + SLICE_GAP) - SLICE_GAP, across * (width + SLICE_GAP) - SLICE_GAP


def choose_tiles(total: int, lengths: Sequence[int], *, columns: int, smallest: int) -> Tiles:
    """Return the layout of a mosaic of volumes, with wider gaps between tiles than between slices.

    Args:
        total: number of volumes.
        lengths: (depth, height, width) of each.
        columns: tiles per row at most.
        smallest: pixels along the longer side of a tile at least.
    """
    flat = flat_size(lengths)
    scale = mosaic.choose_tiles(total, *flat, smallest=smallest).scale
    return mosaic.choose_tiles(total, *flat, columns=columns, smallest=smallest, gap=TILE_GAP * scale)


def laid_out(tiles: NDArray[np.uint8], gap: ArrayLike) -> NDArray[np.uint8]:
    """Return volumes as flat tiles.

    Args:
        tiles: uint8 (count, depth, height, width) or (count, depth, height, width, 3).
        gap: value between slices and in the unused rest of the last row.

    Returns:
        uint8 (count, *flat_size) or (count, *flat_size, 3).
    """
    count, depth, height, width = tiles.shape[:4]
    across = columns(depth)
    flat = np.empty((count, *flat_size((depth, height, width)), *tiles.shape[4:]), np.uint8)
    flat[...] = gap
    for number in range(depth):
        row, column = divmod(number, across)
        top, left = row * (height + SLICE_GAP), column * (width + SLICE_GAP)
        flat[:, top : top + height, left : left + width] = tiles[:, number]
    return flat


def words(depth: int) -> str:
    """Return how the slices of a tile are arranged, as a clause."""
    if depth == 1:
        return "one slice along the first axis"
    order = "from left to right" if depth <= IN_ONE_ROW else "row by row"
    return f"{depth} slices along the first axis {order}"
