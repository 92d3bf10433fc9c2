"""The values in an image file and what they mean: scaled, laid on white, and converted to the model's channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reportgen.core.axes import RGB_CHANNELS
from reportgen.core.errors import ImageError

# uint8 where the file has 8 bits per channel, else float32 from 0 (black) to 255 (white), not rounded.
Picture = NDArray[Any]
UNIT = (0.0, 1.0)  # black and white of floating-point pixels unless stated
ROUNDING = 1e-5  # of the distance from black to white: what arithmetic before saving may have added
WHITE = 255.0
LUMA = np.array([19595, 38470, 7471]) / 65536  # of red, green and blue: Pillow's `L`, ITU-R 601
CHUNK = 2**20  # values scaled at once in double precision


@dataclass(frozen=True)
class Meaning:
    """What the values in an image file mean.

    alpha: which of the samples is opacity, if any; premultiplied: the others are multiplied by it already. inverted: white is 0.
    inks: cyan, magenta, yellow and black. white: the integer that stands for white, the largest of the type unless stated. key: the
    one colour that is transparent.
    """

    alpha: int | None = None
    premultiplied: bool = False
    inverted: bool = False
    inks: bool = False
    white: int | None = None
    key: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Samples:
    """The values in a file, (height, width, samples), upright, and what they mean."""

    values: NDArray[Any]
    meaning: Meaning = Meaning()

    def picture(self, name: str, floats: tuple[float, float]) -> Picture:
        """Return (height, width, channels): gray, RGB or other channels, without transparency.

        Args:
            name: of the file, for messages.
            floats: floating-point values of black and white.

        Raises:
            ImageError: as `scaled`.
        """
        mean = self.meaning
        values = self.values if mean.alpha is None else np.delete(self.values, mean.alpha, axis=-1)
        pixels = scaled(name, values, floats, mean.white)
        if mean.inverted:
            pixels = np.asarray(WHITE - pixels, pixels.dtype)
        if mean.inks:
            paper = WHITE - pixels.astype(np.float32)
            pixels = paper[..., :-1] * paper[..., -1:] / np.float32(WHITE)
        if mean.alpha is not None:
            share = scaled(name, self.values[..., mean.alpha, np.newaxis], UNIT, mean.white) / np.float32(WHITE)
        elif mean.key is not None:
            share = np.any(values != np.array(mean.key), axis=-1, keepdims=True).astype(np.float32)
        else:
            return pixels
        return np.asarray((pixels if mean.premultiplied else pixels * share) + WHITE * (1 - share), np.float32)


def scaled(name: str, values: NDArray[Any], floats: tuple[float, float] = UNIT, white: int | None = None) -> Picture:
    """Scale values linearly to 0..255; 8 bits stay as they are, and nothing is rounded or clipped.

    Args:
        name: of the file, for messages.
        values: uint8, uint16 or floating-point.
        floats: floating-point values of black and white, outside which none may lie by more than ROUNDING.
        white: integer that stands for white in uint16; 65535 unless stated.

    Returns:
        uint8 of the same shape for uint8, otherwise float32.

    Raises:
        ImageError: the values have another type or lie outside.
    """
    if values.dtype == np.uint8:
        return np.array(values)
    whole = values.dtype == np.dtype(np.uint16).newbyteorder(values.dtype.byteorder)
    if not whole and values.dtype.kind != "f":
        raise ImageError(f"{name} contains {values.dtype}; save it as uint8, uint16 or floating-point numbers.")
    black, full = (0.0, float(np.iinfo(np.uint16).max if white is None else white)) if whole else floats
    least, most = float(values.min()), float(values.max())
    slack = ROUNDING * (full - black)
    if not (least >= black - slack and most <= full + slack):  # so written that NaN fails
        kind = "pixels" if whole else "floating-point pixels"
        hint = (
            "save it with its own white"
            if whole
            else "scale them, or state the values of black and white with --input-range"
        )
        raise ImageError(f"{name} has {kind} outside {black:g}..{full:g}, from {least:g} to {most:g}; {hint}.")
    pixels = np.empty(values.shape, np.float32)
    rows = max(1, CHUNK * len(values) // values.size)
    for top in range(0, len(values), rows):
        part = values[top : top + rows].astype(np.float64)
        pixels[top : top + rows] = (part - black) * WHITE / (full - black)
    return pixels


def in_bands(name: str, pixels: Picture, channels: int) -> Picture:
    """Convert gray or RGB to the model's channels.

    Args:
        name: of the file, for messages.
        pixels: (height, width, samples).
        channels: number of channels of the model's input.

    Raises:
        ImageError: the samples cannot be converted.
    """
    count = pixels.shape[-1]
    if count == channels:
        return pixels
    if count == 1 and channels == RGB_CHANNELS:
        return np.repeat(pixels, channels, axis=-1)
    if count == RGB_CHANNELS and channels == 1:
        if pixels.dtype == np.uint8:
            return np.array(Image.fromarray(pixels).convert("L"))[..., np.newaxis]
        return np.asarray(pixels @ LUMA, np.float32)[..., np.newaxis]
    raise mismatch(name, count, channels)


def mismatch(name: str, found: int, channels: int) -> ImageError:
    """Return the error for a file with another number of channels than the model takes.

    Args:
        name: of the file.
        found: number of channels in the file.
        channels: number of channels of the model's input.
    """
    return ImageError(
        f"{name} has {found} channel{'' if found == 1 else 's'} but the model takes {channels}; "
        f"give a NumPy array (.npy) of shape (height, width, {channels})."
    )
