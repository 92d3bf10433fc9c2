"""Positions of coarse maps over an input, and the size that parts of images are shown in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

LONGEST_SHOWN = 72  # pixels along a side of a crop: what a page shows without enlarging


def cell_numbers(grid: Sequence[int], size: Sequence[int]) -> NDArray[np.intp]:
    """Return for each position of the input which position of a map lies over it, both spread evenly over the same area.

    Args:
        grid: positions of the map on each axis.
        size: of the input.

    Returns:
        int (*size), numbers in C order of the grid.
    """
    numbers = np.zeros(tuple(size), np.intp)
    for axis, (cells, length) in enumerate(zip(grid, size, strict=True)):
        shape = [1] * len(size)
        shape[axis] = length
        numbers = numbers * cells + ((np.arange(length) * cells) // length).reshape(shape)
    return numbers


def shown_size(lengths: Sequence[int]) -> tuple[int, int]:
    """Return the size of a picture of (height, width) pixels as it is kept."""
    scale = min(1.0, LONGEST_SHOWN / max(lengths))
    height, width = (max(1, round(length * scale)) for length in lengths)
    return height, width


def largest_box(boxes: Iterable[Sequence[tuple[int, int]]], size: Sequence[int]) -> list[int]:
    """Return the pixels of the largest box on each axis, which all crops of a layer are as large as.

    Args:
        boxes: of each crop the first and the last pixel on each axis; 1 on each axis where there are none.
        size: of the input, which no crop exceeds.
    """
    found = list(boxes)
    return [
        min(max((box[axis][1] - box[axis][0] + 1 for box in found), default=1), length)
        for axis, length in enumerate(size)
    ]
