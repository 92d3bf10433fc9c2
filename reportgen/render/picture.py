"""Pictures of any number of bands as something that can be seen: the user's images, and patterns before they are tiled."""

from __future__ import annotations

from math import isqrt

import numpy as np
from numpy.typing import NDArray

from reportgen.render import palette, png
from reportgen.render.text import listed

RGB_BANDS = 3
BAND_GAP = 1  # pixel between the bands of one picture: they belong together more than two pictures do

Bands = tuple[int, int, int]


def encode(pixels: NDArray[np.uint8], bands: Bands | None = None) -> bytes:
    """A PNG of what `visible` makes of `pixels`, uint8 (height, width, bands)."""
    return png.encode(visible(pixels, bands))


def visible(pixels: NDArray[np.uint8], bands: Bands | None = None) -> NDArray[np.uint8]:
    """What can be seen of `pixels`, uint8 (..., height, width, bands): RGB (..., height, width, 3) or grey (..., rows, columns).

    bands: the numbers of those to show as red, green and blue. One band is grey whatever they say; without them three are
    RGB as they are, and any other number becomes one grey picture that holds every band: a grid that is nearly square, row by
    row, with a gap of one pixel, and the gap's colour where a cell has no band.
    """
    count = pixels.shape[-1]
    if count == 1:
        return pixels[..., 0]
    if bands is not None:
        return pixels[..., list(bands)]
    return pixels if count == RGB_BANDS else _grid(pixels)


def bands_shown(count: int, bands: Bands | None = None, of: str = "") -> str | None:
    """How `visible` shows pictures of so many bands, as a clause; None where it shows their own grey or colours.

    of: whose the bands are, such as " of one pattern".
    """
    if count == 1 or (bands is None and count == RGB_BANDS):
        return None
    if bands is not None:
        return f"bands {listed([str(band) for band in bands])} of 0 to {count - 1} as red, green and blue"
    return f"the {count} bands{of}, row by row, each in grey"


def cropped(pixels: NDArray[np.uint8], crop: int) -> NDArray[np.uint8]:
    """`pixels`, (..., height, width, bands), without `crop` rows and columns at each side.

    Raises ValueError where nothing would be left.
    """
    height, width = pixels.shape[-3:-1]
    if not 0 <= 2 * crop < min(height, width):
        raise ValueError(f"pictures of {height} × {width} pixels cannot lose {crop} at each side")
    return pixels[..., crop : height - crop, crop : width - crop, :]


def _grid(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Every band of (..., height, width, bands) in a cell of its own: (..., rows, columns)."""
    *before, height, width, count = pixels.shape
    columns = isqrt(count - 1) + 1
    rows = -(-count // columns)
    down, across = height + BAND_GAP, width + BAND_GAP
    size = (rows * down - BAND_GAP, columns * across - BAND_GAP)
    picture = np.full((*before, *size), palette.GREYS[palette.GAP], dtype=np.uint8)
    for band in range(count):
        row, column = divmod(band, columns)
        top, left = row * down, column * across
        picture[..., top : top + height, left : left + width] = pixels[..., band]
    return picture
