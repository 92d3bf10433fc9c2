"""Pictures, signals and volumes of any number of bands as something that can be seen: the user's, and patterns before they are tiled."""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from reportgen.render import curves, palette, slices
from reportgen.render.text import figure, listed

RGB_BANDS = 3
WHITE = 255
SIGNAL_AXES, PICTURE_AXES = (
    3,
    4,
)  # of several signals: number, steps, bands; of several pictures: number, height, width, bands
CURVE_WIDTH = 280  # pixels: four signals a row fit a page
CURVE_HEIGHT, LEAST_CURVE_HEIGHT = 96, 24  # pixels of a signal of one band, and of each band where there are many
LONG = 16  # bands, and steps, from which a signal looks like a picture: a spectrogram, and not a few leads side by side
BAND_GAP = 1  # pixel between the bands of one picture: they belong together more than two pictures do

Bands = tuple[int, int, int]


@dataclass(frozen=True)
class Visible:
    """What can be seen of pictures, signals or volumes.

    pixels: uint8 (n, height, width) grey or (n, height, width, 3) RGB; of a signal of many bands and steps a picture with a row a band.
    bands: how the bands lie in it, as a clause; None where it has their own grey or colours. scale: the sentence that states the numbers,
    None for pictures. curved: the pixels are of curves.
    """

    pixels: NDArray[np.uint8]
    bands: str | None
    scale: str | None
    curved: bool


def seen(
    values: NDArray[np.generic], bands: Bands | None = None, *, crop: int = 0, of: str = "", width: int = CURVE_WIDTH
) -> Visible:
    """Pictures (n, height, width, bands), signals float32 (n, steps, bands) or volumes float32 (n, depth, height, width, bands).

    bands, of: as for `visible` and `bands_shown`. crop: pixels of each side of a picture that are left out. width: of a signal's curve.
    Pictures are uint8, or float32 from 0 (black) to 255 (white), which are rounded to be drawn. Signals and volumes are drawn on one
    scale for all, from the smallest to the largest finite number.
    """
    count = values.shape[-1]
    if values.ndim == PICTURE_AXES:
        pictures = np.clip(np.rint(values), 0, WHITE).astype(np.uint8)
        return Visible(visible(cropped(pictures, crop), bands), bands_shown(count, bands, of), None, False)
    finite = np.isfinite(values)
    numbers = np.where(finite, values, 0).astype(np.float64)
    low, high = (float(numbers[finite].min()), float(numbers[finite].max())) if finite.any() else (0.0, 0.0)
    shares = curves.shares_between(numbers, low, high)
    if values.ndim == SIGNAL_AXES and min(values.shape[1:]) >= LONG:
        pixels, each = _plane(shares, width)
        averaged = f", {each} steps averaged to a pixel" if each > 1 else ""
        rows = f"its {count} bands from top to bottom, steps from left to right{averaged}"
        return Visible(pixels, rows, f"Black is {figure(low)} and white {figure(high)}.", False)
    if values.ndim == SIGNAL_AXES:
        canvas = curves.Canvas(max(CURVE_HEIGHT // count, LEAST_CURVE_HEIGHT), width)
        pixels = curves.stacked(shares, canvas, curves.zero_share(low, high))
        told = None if count == 1 else f"the curves of its {count} bands from top to bottom"
        return Visible(pixels, told, f"Curves are linear from {figure(low)} to {figure(high)}.", True)
    eight_bit = np.rint(shares * WHITE).astype(np.uint8)
    gap = palette.GREYS[palette.GAP]
    own = bands_shown(count, bands)
    told = slices.words(values.shape[1]) + ("" if own is None else f", {own}")
    scale = f"Black is {figure(low)} and white {figure(high)}."
    return Visible(slices.laid_out(visible(eight_bit, bands), gap), told, scale, False)


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


def _plane(shares: NDArray[np.floating], width: int) -> tuple[NDArray[np.uint8], int]:
    """Signals of many bands as pictures, uint8 (n, bands, steps) enlarged by whole numbers, and how many steps make a pixel.

    shares: (n, steps, bands), 0 black and 1 white. width: that no picture is wider than, CURVE_HEIGHT high where that is room enough.
    """
    steps, bands = shares.shape[1:]
    each = -(-steps // width)
    starts = np.arange(0, steps, each)
    means = np.add.reduceat(shares, starts, axis=1) / np.diff(np.append(starts, steps))[:, None]
    pixels = np.rint(np.swapaxes(means, 1, 2) * WHITE).astype(np.uint8)
    across, down = max(width // len(starts), 1), max(CURVE_HEIGHT // bands, 1)
    return pixels.repeat(down, axis=1).repeat(across, axis=2), each


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
