"""Pictures, signals and volumes of any number of channels as 8-bit pixels: the user's, and patterns before they are tiled."""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from reportgen.core.axes import RGB_CHANNELS
from reportgen.render import curves, palette, slices
from reportgen.render.text import listed, number

WHITE = 255
SIGNAL_AXES, PICTURE_AXES = (
    3,
    4,
)  # of several signals: number, steps, channels; of several pictures: number, height, width, channels
CURVE_WIDTH = 280  # pixels: four signals per row fit a page
CURVE_HEIGHT, LEAST_CURVE_HEIGHT = 96, 24  # pixels of a signal of one channel, and of each channel where there are many
LONG = 16  # channels, and steps, from which a signal is drawn like a picture: a spectrogram, and not a few leads
BAND_GAP = 1  # pixel between the channels of one picture; less than between two pictures

Bands = tuple[int, int, int]


@dataclass(frozen=True)
class Visible:
    """Pixels of pictures, signals or volumes.

    Attributes:
        pixels: uint8 (n, height, width) gray or (n, height, width, 3) RGB; a signal of many channels and steps has a row per channel.
        bands: how the channels are arranged, as a clause; None where they are shown as gray or RGB.
        scale: the sentence that states the range; None for pictures.
        curved: the pixels are of curves.
    """

    pixels: NDArray[np.uint8]
    bands: str | None
    scale: str | None
    curved: bool


def seen(
    values: NDArray[np.generic], bands: Bands | None = None, *, crop: int = 0, of: str = "", width: int = CURVE_WIDTH
) -> Visible:
    """Return pictures, signals or volumes as pixels.

    Signals and volumes are drawn on one scale for all, from the smallest to the largest finite number.

    Args:
        values: pictures (n, height, width, channels), uint8 or float32 from 0 (black) to 255 (white), which are rounded; signals
            float32 (n, steps, channels); volumes float32 (n, depth, height, width, channels).
        bands: as for `visible`.
        crop: pixels of each side of a picture that are left out.
        of: as for `bands_shown`.
        width: of a signal's curve, in pixels.
    """
    count = values.shape[-1]
    if values.ndim == PICTURE_AXES:
        whole = values if values.dtype == np.uint8 else np.clip(np.rint(values), 0, WHITE)
        pictures = whole.astype(np.uint8, copy=False)
        return Visible(visible(cropped(pictures, crop), bands), bands_shown(count, bands, of), None, False)
    finite = np.isfinite(values)
    numbers = np.where(finite, values, 0).astype(np.float64)
    low, high = (float(numbers[finite].min()), float(numbers[finite].max())) if finite.any() else (0.0, 0.0)
    shares = curves.shares_between(numbers, low, high)
    if values.ndim == SIGNAL_AXES and min(values.shape[1:]) >= LONG:
        pixels, each = _plane(shares, width)
        averaged = f", {each} steps averaged to a pixel" if each > 1 else ""
        rows = f"its {count} channels from top to bottom, steps from left to right{averaged}"
        return Visible(pixels, rows, f"Black is {number(low)} and white {number(high)}.", False)
    if values.ndim == SIGNAL_AXES:
        canvas = curves.Canvas(max(CURVE_HEIGHT // count, LEAST_CURVE_HEIGHT), width)
        pixels = curves.stacked(shares, canvas, curves.zero_share(low, high))
        arranged = None if count == 1 else f"the curves of its {count} channels from top to bottom"
        return Visible(pixels, arranged, f"Linear curve height from {number(low)} to {number(high)}.", True)
    eight_bit = np.rint(shares * WHITE).astype(np.uint8)
    gap = palette.GRAYS[palette.GAP]
    own = bands_shown(count, bands)
    arranged = slices.words(values.shape[1]) + ("" if own is None else f", {own}")
    scale = f"Black is {number(low)} and white {number(high)}."
    return Visible(slices.laid_out(visible(eight_bit, bands), gap), arranged, scale, False)


def visible(pixels: NDArray[np.uint8], bands: Bands | None = None) -> NDArray[np.uint8]:
    """Return pictures of any number of channels as RGB or gray.

    Args:
        pixels: uint8 (..., height, width, channels).
        bands: the channels to show as red, green and blue. A single channel is gray nevertheless.

    Returns:
        uint8: RGB (..., height, width, 3) of three channels or with `bands`; gray (..., rows, columns) of any other number, each
        channel in a cell of a nearly square grid, row by row with gaps of one pixel, empty cells in the color of the gaps.
    """
    count = pixels.shape[-1]
    if count == 1:
        return pixels[..., 0]
    if bands is not None:
        return pixels[..., list(bands)]
    return pixels if count == RGB_CHANNELS else _grid(pixels)


def bands_shown(count: int, bands: Bands | None = None, of: str = "") -> str | None:
    """Return how `visible` shows the channels of pictures, as a clause.

    Args:
        count: number of channels.
        bands: as for `visible`.
        of: whose the channels are, such as " of one pattern".

    Returns:
        The clause; None where they are shown as gray or RGB.
    """
    if count == 1 or (bands is None and count == RGB_CHANNELS):
        return None
    if bands is not None:
        return f"channels {listed([str(band) for band in bands])} of 0 to {count - 1} as red, green and blue"
    return f"the {count} channels{of}, row by row, each in gray"


def _plane(shares: NDArray[np.floating], width: int) -> tuple[NDArray[np.uint8], int]:
    """Signals of many channels as pictures, uint8 (n, channels, steps) enlarged by whole numbers, and how many steps make a pixel.

    `shares` are (n, steps, channels), 0 black and 1 white; no picture is wider than `width`.
    """
    steps, bands = shares.shape[1:]
    each = -(-steps // width)
    starts = np.arange(0, steps, each)
    means = np.add.reduceat(shares, starts, axis=1) / np.diff(np.append(starts, steps))[:, None]
    pixels = np.rint(np.swapaxes(means, 1, 2) * WHITE).astype(np.uint8)
    across, down = max(width // len(starts), 1), max(CURVE_HEIGHT // bands, 1)
    return pixels.repeat(down, axis=1).repeat(across, axis=2), each


def cropped(pixels: NDArray[np.uint8], crop: int) -> NDArray[np.uint8]:
    """Return pictures without their borders.

    Args:
        pixels: (..., height, width, channels).
        crop: rows and columns left out at each side.

    Raises:
        ValueError: nothing would be left.
    """
    height, width = pixels.shape[-3:-1]
    if not 0 <= 2 * crop < min(height, width):
        raise ValueError(f"pictures of {height} × {width} pixels cannot lose {crop} at each side")
    return pixels[..., crop : height - crop, crop : width - crop, :]


def _grid(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Every channel of (..., height, width, channels) in a cell: (..., rows, columns)."""
    *before, height, width, count = pixels.shape
    columns = isqrt(count - 1) + 1
    rows = -(-count // columns)
    down, across = height + BAND_GAP, width + BAND_GAP
    size = (rows * down - BAND_GAP, columns * across - BAND_GAP)
    picture = np.full((*before, *size), palette.GRAYS[palette.GAP], dtype=np.uint8)
    for band in range(count):
        row, column = divmod(band, columns)
        top, left = row * down, column * across
        picture[..., top : top + height, left : left + width] = pixels[..., band]
    return picture
