"""Numbers of a picture's file become a picture: scaled, right way round, laid on white, in the model's bands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reportgen.core.channels import RGB_CHANNELS
from reportgen.core.errors import ImageError

Picture = NDArray[
    Any
]  # uint8 where the file holds 8 bits a band, else float32 from 0 (black) to 255 (white), not rounded
UNIT = (0.0, 1.0)  # black and white of floating-point pixels unless stated
ROUNDING = 1e-5  # of the distance from black to white: what arithmetic before saving may have added
WHITE = 255.0
LUMA = np.array([19595, 38470, 7471]) / 65536  # of red, green and blue: Pillow's `L`, ITU-R 601
CHUNK = 2**20  # numbers scaled at once in double precision


@dataclass(frozen=True)
class Meaning:
    """What the numbers of a picture's file mean.

    alpha: which of the samples is opacity, if any; premultiplied: the others are multiplied by it already. inverted: white is 0.
    inks: cyan, magenta, yellow and black. white: the whole number of white, that of the type unless stated. key: the one colour that
    is transparent.
    """

    alpha: int | None = None
    premultiplied: bool = False
    inverted: bool = False
    inks: bool = False
    white: int | None = None
    key: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Samples:
    """The numbers of a file, (height, width, samples), upright, and what they mean."""

    values: NDArray[Any]
    meaning: Meaning = Meaning()

    def picture(self, name: str, floats: tuple[float, float]) -> Picture:
        """(height, width, bands): grey, RGB or bands of their own, without transparency. floats: see `scaled`. Raises ImageError."""
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
    """8 bits as they are; 16 bits and floating-point numbers as float32, linearly to 0..255, where nothing is rounded or clipped.

    floats: the floating-point numbers of black and white, outside which none may lie but by ROUNDING. white: of whole numbers, 65535
    unless stated. Raises ImageError, one sentence that starts with `name`, for any other type and for numbers outside.
    """
    if values.dtype == np.uint8:
        return np.array(values)
    whole = values.dtype == np.dtype(np.uint16).newbyteorder(values.dtype.byteorder)
    if not whole and values.dtype.kind != "f":
        raise ImageError(f"{name} holds {values.dtype}; save it as uint8, uint16 or floating-point numbers.")
    black, full = (0.0, float(np.iinfo(np.uint16).max if white is None else white)) if whole else floats
    least, most = float(values.min()), float(values.max())
    slack = ROUNDING * (full - black)
    if not (least >= black - slack and most <= full + slack):  # so written that NaN fails
        kind = "pixels" if whole else "floating-point pixels"
        hint = (
            "save it with its own white"
            if whole
            else "scale them, or state with --input-range what the model takes as black and white"
        )
        raise ImageError(f"{name} has {kind} outside {black:g}..{full:g}, from {least:g} to {most:g}; {hint}.")
    pixels = np.empty(values.shape, np.float32)
    rows = max(1, CHUNK * len(values) // values.size)
    for top in range(0, len(values), rows):
        part = values[top : top + rows].astype(np.float64)
        pixels[top : top + rows] = (part - black) * WHITE / (full - black)
    return pixels


def in_bands(name: str, pixels: Picture, bands: int) -> Picture:
    """Grey or RGB (height, width, samples) as the model's bands. Raises ImageError where they cannot become those."""
    count = pixels.shape[-1]
    if count == bands:
        return pixels
    if count == 1 and bands == RGB_CHANNELS:
        return np.repeat(pixels, bands, axis=-1)
    if count == RGB_CHANNELS and bands == 1:
        if pixels.dtype == np.uint8:
            return np.array(Image.fromarray(pixels).convert("L"))[..., np.newaxis]
        return np.asarray(pixels @ LUMA, np.float32)[..., np.newaxis]
    raise mismatch(name, count, bands)


def mismatch(name: str, found: int, bands: int) -> ImageError:
    """What is said of a file with another number of bands than the model takes."""
    return ImageError(
        f"{name} has {found} band{'' if found == 1 else 's'} but the model takes {bands}; "
        f"give a NumPy array (.npy) of shape (height, width, {bands})."
    )
