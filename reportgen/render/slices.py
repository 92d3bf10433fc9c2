"""What fills a volume, laid out flat: its slices along the first axis, row by row, every one in its place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reportgen.render import mosaic
from reportgen.render.figure import Tiles

IN_ONE_ROW = 4  # as many slices as stand side by side; more make a grid that is nearly square
TILE_GAP = 2  # cells between two tiles
SLICE_GAP = 1  # cell between two slices: they belong together more than two tiles do


def columns(depth: int) -> int:
    """How many slices stand in a row."""
    return depth if depth <= IN_ONE_ROW else int(np.ceil(np.sqrt(depth)))


def flat_size(lengths: Sequence[int]) -> tuple[int, int]:
    """(height, width) in cells of a volume of `lengths` (depth, height, width) laid out flat."""
    depth, height, width = lengths
    across = columns(depth)
    down = -(-depth // across)
    return down * (height + SLICE_GAP) - SLICE_GAP, across * (width + SLICE_GAP) - SLICE_GAP


def choose_tiles(total: int, lengths: Sequence[int], *, columns: int, smallest: int) -> Tiles:
    """The layout of so many volumes: `mosaic.choose_tiles` with wider gaps than those between slices."""
    flat = flat_size(lengths)
    scale = mosaic.choose_tiles(total, *flat, smallest=smallest).scale
    return mosaic.choose_tiles(total, *flat, columns=columns, smallest=smallest, gap=TILE_GAP * scale)


def laid_out(tiles: NDArray[np.uint8], gap: ArrayLike) -> NDArray[np.uint8]:
    """uint8 (count, *flat_size[, 3]) from (count, depth, height, width[, 3]); `gap` between slices and where a row has none left."""
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
    """How a tile is to be read, as a clause."""
    if depth == 1:
        return "one slice along the first axis"
    order = "from left to right" if depth <= IN_ONE_ROW else "row by row"
    return f"{depth} slices along the first axis {order}"
