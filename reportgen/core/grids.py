"""Positions of coarse maps over an input, and the size that parts of images are shown in."""

from __future__ import annotations

from collections.abc import Sequence

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
