"""Histograms on fixed logarithmic bins: the same bins for all numbers, so that counts of any parts can be added."""

from __future__ import annotations

from math import log

import numpy as np

WIDTH = 1.02  # ratio of a bin's ends
SMALLEST, LARGEST = (
    1e-9,
    1e9,
)  # magnitudes that have bins of their own; smaller ones are counted as 0, larger ones in the last
EACH = int(log(LARGEST / SMALLEST) / log(WIDTH)) + 1  # bins of positive numbers
BLOCK = 64  # filters that are counted at once
ZERO = EACH  # the bin of 0; negative numbers before it, positive ones after it
BINS = 2 * EACH + 1


def bin_of(values: np.ndarray) -> np.ndarray:
    """Return the bins of finite numbers, int32 of the same shape."""
    size = np.abs(values).astype(np.float64)
    with np.errstate(divide="ignore"):
        step = np.floor(np.log(size / SMALLEST) / log(WIDTH))
    step = np.clip(np.where(size < SMALLEST, -1, step), -1, EACH - 1).astype(np.int32) + 1
    return np.asarray(ZERO + np.sign(values).astype(np.int32) * step, np.int32)


def edges(first: int, count: int) -> np.ndarray:
    """Return the ends of bins, float64 (count + 1,), ascending; the bin of 0 is as narrow as the smallest magnitude."""
    at = np.arange(first, first + count + 1) - ZERO
    return np.where(at <= 0, -SMALLEST * WIDTH ** np.abs(np.minimum(at, 0)), SMALLEST * WIDTH ** np.maximum(at - 1, 0))


def histograms(values: np.ndarray) -> tuple[np.ndarray, int]:
    """Count the rows of each column.

    Args:
        values: float (n, filters); those that are not finite are not counted.

    Returns:
        (int32 (filters, bins), the first bin): bins from the least to the largest that has any.
    """
    filters = values.shape[1]
    blocks = {start: _counted(values[:, start : start + BLOCK]) for start in range(0, filters, BLOCK)}
    known = [block for block in blocks.values() if block is not None]
    if not known:
        return np.zeros((filters, 1), np.int32), ZERO
    first, last = min(first for _, first in known), max(first + counts.shape[1] for counts, first in known)
    found = np.zeros((filters, last - first), np.int32)
    for start, block in blocks.items():
        if block is not None:
            counts, own = block
            found[start : start + BLOCK, own - first : own - first + counts.shape[1]] = counts
    return found, first


def _counted(values: np.ndarray) -> tuple[np.ndarray, int] | None:
    """What `histograms` returns, of a few filters, on the bins that these have; None where nothing is finite."""
    filters = values.shape[1]
    finite = np.isfinite(values)
    if not finite.any():
        return None
    bins = bin_of(np.where(finite, values, 0))
    first, last = int(bins[finite].min()), int(bins[finite].max())
    count = last - first + 1
    flat = (np.arange(filters) * count + bins - first)[finite]
    return np.bincount(flat, minlength=filters * count).reshape(filters, count).astype(np.int32), first
