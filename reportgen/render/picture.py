"""One of the user's images as the model was fed it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reportgen.render import png

RGB_BANDS = 3


def encode(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG of `pixels`, uint8 (height, width, bands): grey for 1 band, RGB for 3, else the first band as grey."""
    return png.encode(visible(pixels))


def visible(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What can be seen of `pixels`, uint8 (..., bands): RGB as it is, else the first band without its axis."""
    return pixels if pixels.shape[-1] == RGB_BANDS else pixels[..., 0]
