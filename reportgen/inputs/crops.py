"""Small pictures of parts of images: exact pixels where they fit, their means where they do not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from reportgen.inputs.image_reader import Values

OUTSIDE = 128  # gray of what a receptive field has beyond the image

Interval = tuple[int, int]


def crop(pixels: Values, box: Sequence[Interval], size: tuple[int, int]) -> np.ndarray:
    """Cut a part out of an image.

    Args:
        pixels: (height, width, channels) in 0..255.
        box: first and last row, and column, which may lie outside.
        size: (height, width) of the result.

    Returns:
        uint8 (*size, channels). A part that is larger than `size` is reduced to it by means over its pixels; a smaller one keeps them, at
        the upper left. What lies outside the image is OUTSIDE.
    """
    (top, bottom), (left, right) = box
    rows, columns = bottom - top + 1, right - left + 1
    frame = np.full((rows, columns, pixels.shape[2]), OUTSIDE, np.uint8)
    inside = pixels[max(top, 0) : bottom + 1, max(left, 0) : right + 1]
    at = max(-top, 0), max(-left, 0)
    frame[at[0] : at[0] + inside.shape[0], at[1] : at[1] + inside.shape[1]] = np.clip(np.rint(inside), 0, 255)
    if rows <= size[0] and columns <= size[1]:
        kept = np.full((*size, pixels.shape[2]), OUTSIDE, np.uint8)
        kept[:rows, :columns] = frame
        return kept
    bands = (np.ascontiguousarray(frame[..., index]) for index in range(frame.shape[2]))
    reduced = [np.asarray(Image.fromarray(band).resize(size[::-1], Image.Resampling.BOX)) for band in bands]
    return np.stack(reduced, axis=-1)
