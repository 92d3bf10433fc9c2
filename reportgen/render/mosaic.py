"""Many equal tiles in one picture: every tile in its place, enlarged by repeating pixels and never by blurring."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from reportgen.render.figure import Numbering, Tiles

COLUMNS, MOST_COLUMNS = 16, 64  # at least, and at most: tiles of more columns are too small on a page
GAP_PIXELS = 2  # a gap of one pixel disappears where a browser shrinks a wide mosaic
SMALLEST_TILE = 32  # pixels along the longer side of a tile: what can be distinguished at arm's length
SMALLEST_SIDE = 4  # pixels along its shorter side, so that a very long tile is more than a hairline
HATCH_PERIOD, SHORT_PERIOD = 8, 4  # pixels from one line of the hatching to the next; the shorter one in small tiles


def shrunk(tile: NDArray[Any], longest: int) -> NDArray[Any]:
    """Downsample a tile by averaging.

    Args:
        tile: uint8 (height, width) or (height, width, 3), or float32 (height, width).
        longest: pixels along its longer side; a smaller tile is returned as it is.
    """
    height, width = tile.shape[:2]
    longer = max(height, width)
    if longer <= longest:
        return tile
    size = (max(1, width * longest // longer), max(1, height * longest // longer))
    return np.asarray(Image.fromarray(np.ascontiguousarray(tile)).resize(size, Image.Resampling.BOX))


def columns_for(count: int, least: int = COLUMNS) -> int:
    """Return how many columns make a mosaic of `count` tiles no taller than wide: a power of two from `least` to MOST_COLUMNS."""
    columns = least
    while columns < MOST_COLUMNS and columns**2 < count:
        columns *= 2
    return columns


def row_numbers(layout: Tiles) -> Numbering:
    """Return the numbering of tiles that are numbered from 0 on, row by row."""
    return Numbering(tuple(range(0, layout.count, layout.columns)), tuple(range(layout.columns)))


def numbered(layout: Tiles) -> str:
    """Return how the tiles of `row_numbers` are numbered, as a clause."""
    if layout.rows == 1:
        return ", numbered above"
    return f", {layout.columns} per row: a tile’s number is that of its row plus that of its column"


def block_means(plane: NDArray[Any], blocks: tuple[int, int]) -> NDArray[np.float64]:
    """Return the means of the blocks of a plane, those at the ends smaller where it does not divide.

    Args:
        plane: (height, width).
        blocks: height and width of a block.
    """
    means: NDArray[np.float64] = plane.astype(np.float64)
    for axis, block in enumerate(blocks):
        starts = np.arange(0, plane.shape[axis], block)
        sizes = np.diff(np.append(starts, plane.shape[axis]))
        means = np.add.reduceat(means, starts, axis=axis) / np.expand_dims(sizes, 1 - axis)
    return means


def choose_tiles(
    count: int,
    tile_height: int,
    tile_width: int,
    *,
    columns: int = COLUMNS,
    smallest: int = SMALLEST_TILE,
    gap: int = GAP_PIXELS,
) -> Tiles:
    """Return the layout of a mosaic.

    The scale is the smallest whole number that makes the longer side of a tile at least `smallest` pixels and the
    shorter one SMALLEST_SIDE; a tile that is large enough keeps its own pixels (scale 1).

    Args:
        count: number of tiles, at least 1.
        tile_height: in cells.
        tile_width: in cells.
        columns: tiles per row at most.
        smallest: pixels along the longer side of a tile at least.
        gap: pixels between tiles.
    """
    if min(count, tile_height, tile_width, columns) < 1:
        raise ValueError(f"no mosaic of {count} tiles of {tile_height} × {tile_width} cells, {columns} per row")
    longer, shorter = max(tile_height, tile_width), min(tile_height, tile_width)
    scale = max(-(-smallest // longer), -(-SMALLEST_SIDE // shorter), 1)
    return Tiles(count, min(columns, count), tile_height, tile_width, scale, gap)


def compose(tiles: NDArray[np.uint8], layout: Tiles, gap_value: ArrayLike) -> NDArray[np.uint8]:
    """Return the picture of all tiles, row by row from the top left.

    Args:
        tiles: uint8 (count, tile_height, tile_width) or (count, tile_height, tile_width, 3).
        layout: of the mosaic.
        gap_value: the value (or RGB triple) between tiles and in the unused rest of the last row.

    Returns:
        uint8 (layout.height, layout.width) or (layout.height, layout.width, 3).
    """
    expected = (layout.count, layout.tile_height, layout.tile_width)
    if tiles.shape[:3] != expected:
        raise ValueError(f"tiles of shape {tiles.shape} do not fit a layout of {expected}")
    down, across, *rest = tiles.shape[1:]
    cells = np.empty((layout.rows * layout.columns, down, across, *rest), np.uint8)
    cells[...] = gap_value
    cells[: layout.count] = tiles
    plane = np.empty((layout.rows * down + 1, layout.columns * across + 1, *rest), np.uint8)
    plane[...] = gap_value
    rows = cells.reshape(layout.rows, layout.columns, down, across, *rest).swapaxes(1, 2)
    plane[:-1, :-1] = rows.reshape(layout.rows * down, layout.columns * across, *rest)
    lefts = [layout.box(column)[0] for column in range(layout.columns)]
    tops = [layout.box(row * layout.columns)[1] for row in range(layout.rows)]
    wide = plane.take(_sources(layout.width, lefts, across, layout.scale), axis=1)
    return wide.take(_sources(layout.height, tops, down, layout.scale), axis=0)


def _sources(pixels: int, starts: list[int], cells: int, scale: int) -> NDArray[np.intp]:
    """The cell that each of so many pixels along an axis shows, of tiles of `cells` cells side by side; -1 between tiles."""
    places = np.asarray(starts)[:, None] + np.arange(cells * scale)
    sources = np.full(pixels, -1)
    sources[places.ravel()] = np.arange(len(starts) * cells).repeat(scale)
    return sources


def fill(picture: NDArray[np.uint8], layout: Tiles, positions: Iterable[int], value: ArrayLike) -> None:
    """Draw the tiles at `positions` flat, in `value` (an index, a gray or an RGB triple), in place."""
    for position in positions:
        x, y, width, height = layout.box(position)
        picture[y : y + height, x : x + width] = value


def hatch(
    picture: NDArray[np.uint8], layout: Tiles, positions: Iterable[int], ground: ArrayLike, line: ArrayLike
) -> None:
    """Draw the tiles at `positions` as `ground` with rising diagonals in `line`, in place: needs no color."""
    x, y, width, height = layout.box(0)
    rows, columns = np.indices((height, width))
    period = HATCH_PERIOD if min(height, width) >= 2 * HATCH_PERIOD else SHORT_PERIOD
    lines = (rows + columns) % period < period // 4
    for position in positions:
        x, y, width, height = layout.box(position)
        tile = picture[y : y + height, x : x + width]
        tile[...] = ground
        tile[lines] = line
