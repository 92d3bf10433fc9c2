"""Attribution maps as pictures: positions enlarged by repeating them, blue below zero and red above, alone and over the image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reportgen.core.grids import cell_numbers
from reportgen.core.records import PICTURE_RANK
from reportgen.render import palette, png, slices
from reportgen.render.picture import WHITE, seen
from reportgen.render.text import listed

MOST_COVERED = 0.75  # of the image, by the color of the largest magnitude: what is below stays visible
STRIP_HEIGHT = 32  # pixels of the map of a signal
THIRDS = 3
PLACES = {  # by number of axes: what the thirds of each are called
    1: (("at the beginning", "in the middle", "at the end"),),
    2: (("upper", "middle", "lower"), ("left", "center", "right")),
}


def spread(values: NDArray[np.uint8], size: Sequence[int]) -> NDArray[np.uint8]:
    """Return a map with as many positions as the input, each repeated.

    Args:
        values: (*grid).
        size: of the input.
    """
    return np.asarray(values.ravel()[cell_numbers(values.shape, size)], np.uint8)


def draw_map(values: NDArray[np.floating], size: Sequence[int], top: float, width: int) -> bytes:
    """Draw a map as large as its input.

    Args:
        values: (*grid).
        size: of the input.
        top: end of the color scale, which is symmetric about zero.
        width: of the input's own picture, for a signal.

    Returns:
        The PNG file.
    """
    return png.encode_indexed(_indices(values, size, top, width), palette.table(palette.DIVERGING))


def _indices(values: NDArray[np.floating], size: Sequence[int], top: float, width: int) -> NDArray[np.uint8]:
    """The map in palette indices, uint8 (height, width)."""
    finite = np.where(np.isfinite(values), values, 0)
    indices = palette.diverging_index(finite, top) if top > 0 else np.full(values.shape, palette.MIDDLE_VALUE, np.uint8)
    indices = np.where(np.isfinite(values), indices, palette.BROKEN).astype(np.uint8)
    if len(size) == 1:
        return np.broadcast_to(spread(indices, (width,)), (STRIP_HEIGHT, width)).astype(np.uint8)
    large = spread(indices, size)
    return large if len(size) == PICTURE_RANK else slices.laid_out(large[None], palette.GAP)[0]


def draw_over(values: NDArray[np.floating], picture: NDArray[np.generic], top: float, width: int) -> bytes:
    """Draw a map over its input in gray: a position's color covers it in proportion to the magnitude, the largest by MOST_COVERED.

    Args:
        values: (*grid).
        picture: the input, (*size, channels).
        top: as for `draw_map`.
        width: see there.

    Returns:
        The PNG file.
    """
    size = picture.shape[:-1]
    indices = _indices(values, size, top, width)
    colors = np.frombuffer(palette.table(palette.DIVERGING), np.uint8).reshape(-1, THIRDS)[indices].astype(np.float64)
    gray = _gray(picture)
    if len(size) == 1:
        colors, indices = np.broadcast_to(colors[:1], (*gray.shape, THIRDS)), np.broadcast_to(indices[:1], gray.shape)
    steps = palette.LEVELS // 2
    shares = MOST_COVERED * np.abs(indices.astype(np.float64) - palette.MIDDLE_VALUE) / steps
    shares = np.where(indices < palette.FIRST_VALUE, 1.0, shares)[..., None]
    mixed = gray[..., None] * (1 - shares) + colors * shares
    return png.encode(np.rint(mixed).astype(np.uint8))


def _gray(picture: NDArray[np.generic]) -> NDArray[np.float64]:
    """The input as one gray picture: the mean of its channels; of a signal its curves."""
    if picture.ndim - 1 == PICTURE_RANK:
        return np.asarray(np.clip(picture.astype(np.float64).mean(axis=-1), 0, WHITE), np.float64)
    one = picture if picture.ndim == PICTURE_RANK else picture.mean(axis=-1, keepdims=True)
    pixels = seen(np.asarray(one, np.float32)[None]).pixels[0].astype(np.float64)
    return pixels if pixels.ndim == PICTURE_RANK else np.asarray(pixels.mean(axis=-1))


def place_words(position: Sequence[int], grid: Sequence[int]) -> str:
    """Return where a position of a map lies: `at row 2 of 7, column 6 of 7 (upper right)`."""
    if len(grid) == 1:
        return f"at position {position[0] + 1} of {grid[0]}"
    names = ("row", "column") if len(grid) == PICTURE_RANK else ("slice", "row", "column")
    numbers = listed([f"{name} {at + 1} of {count}" for name, at, count in zip(names, position, grid, strict=True)])
    if len(grid) != PICTURE_RANK:
        return f"at {numbers}"
    words = [
        each[THIRDS * (2 * at + 1) // (2 * count)]
        for each, at, count in zip(PLACES[PICTURE_RANK], position, grid, strict=True)
    ]
    return f"at {numbers} ({' '.join(words)})"
