"""Which position of a coarse map lies over each position of an input."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


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
