"""Images that excite a filter: crops side by side with the whole images, on which the crop is marked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reportgen.render import palette, png
from reportgen.render.figure import Figure, Tiles
from reportgen.render.picture import Bands, visible

CELL = 72  # pixels along a cell; a smaller picture is enlarged by repeating its pixels a whole number of times
GAP = 2
MARK, UNDER_MARK = 255, 0  # a white line with a black one around it shows on any picture
ARM = 4  # pixels of a cross; its lines and outlines have two, so that none is lost where a browser shrinks the figure
Box = Sequence[int]  # top, left, bottom, right, ends included
Pixels = NDArray[np.uint8]


def draw(
    crops: Pixels,
    wholes: Pixels,
    boxes: Sequence[Box],
    size: tuple[int, int],
    columns: int,
    bands: Bands | None,
    caption: str,
    alt: str,
) -> Figure:
    """Draw crops on the left, and on the right the images that they are cut from.

    Args:
        crops: uint8 (n, height, width, channels).
        wholes: likewise, of the whole images.
        boxes: of the crops in the images; empty where there is none.
        size: (height, width) of the images that the boxes are of.
        columns: crops in a row.
        bands: channels to show as red, green and blue.
        caption: of the figure.
        alt: of the figure.
    """
    count = len(crops)
    left, right = visible(crops, bands), visible(wholes, bands)
    ground = np.uint8(palette.GRAYS[palette.GAP])
    rows = -(-count // columns)
    side = CELL + GAP
    deep = left.shape[3:]
    picture = np.full((rows * side + GAP, 2 * columns * side + 2 * GAP, *deep), ground, np.uint8)
    for index in range(count):
        if len(boxes[index]) == 0:
            continue
        row, column = divmod(index, columns)
        for start, tile in (
            (0, _enlarged(left[index])),
            (columns * side + GAP, _marked(_enlarged(right[index]), boxes[index], size)),
        ):
            height, width = tile.shape[:2]
            top = GAP + row * side + (CELL - height) // 2
            at = GAP + start + column * side + (CELL - width) // 2
            picture[top : top + height, at : at + width] = tile
    tiles = Tiles(1, 1, picture.shape[0], picture.shape[1], 1, 0)
    return Figure(png.encode(picture), tiles, caption, alt, None)


def crops_of(picture: Pixels, count: int, columns: int, size: tuple[int, int]) -> list[Pixels]:
    """Return the crops of a picture that `draw` has drawn.

    Args:
        picture: (height, width) or (height, width, 3).
        count: of crops.
        columns: crops in a row.
        size: (height, width) of a crop before it was enlarged.

    Returns:
        The crops with their own pixels.
    """
    times = max(1, CELL // max(size))
    height, width = (min(length * times, CELL) for length in size)
    found = []
    for index in range(count):
        row, column = divmod(index, columns)
        top = GAP + row * (CELL + GAP) + (CELL - height) // 2
        left = GAP + column * (CELL + GAP) + (CELL - width) // 2
        found.append(picture[top : top + height : times, left : left + width : times])
    return found


def _enlarged(tile: Pixels) -> Pixels:
    """A tile with each pixel repeated as often as its cell has room for; one that is too large is cut."""
    times = max(1, CELL // max(tile.shape[:2]))
    return tile.repeat(times, axis=0).repeat(times, axis=1)[:CELL, :CELL]


def _marked(tile: Pixels, box: Box, size: tuple[int, int]) -> Pixels:
    """A whole image with the outline of its crop; of a crop that is no smaller, a cross at its middle."""
    marked = tile.copy()
    height, width = tile.shape[:2]
    top, left, bottom, right = box
    y, x = height / size[0], width / size[1]
    if bottom - top + 1 >= size[0] and right - left + 1 >= size[1]:
        row = int(np.clip((top + bottom + 1) / 2 * y, 0, height - 1))
        column = int(np.clip((left + right + 1) / 2 * x, 0, width - 1))
        for reach, thick, value in ((ARM + 1, 2, UNDER_MARK), (ARM, 1, MARK)):
            marked[max(row - reach, 0) : row + reach, max(column - thick, 0) : column + thick] = value
            marked[max(row - thick, 0) : row + thick, max(column - reach, 0) : column + reach] = value
        return marked
    first = int(np.clip(round(top * y), 0, height - 1)), int(np.clip(round(left * x), 0, width - 1))
    last = (
        int(np.clip(round((bottom + 1) * y) - 1, 0, height - 1)),
        int(np.clip(round((right + 1) * x) - 1, 0, width - 1)),
    )
    for out, value in ((2, UNDER_MARK), (1, MARK), (0, MARK)):
        rows = max(first[0] - out, 0), min(last[0] + out, height - 1)
        columns = max(first[1] - out, 0), min(last[1] + out, width - 1)
        marked[rows[0] : rows[1] + 1, list(columns)] = value
        marked[list(rows), columns[0] : columns[1] + 1] = value
    return marked
