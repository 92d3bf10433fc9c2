"""Which images stand for a filter: those with the largest peaks, and samples at stated percentiles."""

from __future__ import annotations

import numpy as np

EXEMPLARS = 9  # a square of three by three
QUANTILES = (0.5, 0.9, 0.99, 0.999)


def largest_distinct(peaks: np.ndarray, pixels: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the largest peaks of images with different pixels.

    Args:
        peaks: float32 (n, filters); one that is not finite is never chosen.
        pixels: uint8 (n, bytes), hashes of the pixels.
        count: how many are wanted of each filter.

    Returns:
        (rows int32, peaks float32), both (count, filters), the largest first and of equal ones that with the smaller hash; -1 and NaN
        where there are no more.
    """
    _, first = np.unique(pixels, axis=0, return_index=True)  # sorted by hash; of equal ones the first row
    rows = np.full((count, peaks.shape[1]), -1, np.int32)
    values = np.full((count, peaks.shape[1]), np.nan, np.float32)
    if len(first):
        found = peaks[first]
        order = np.argsort(np.where(np.isfinite(found), -found, np.inf), axis=0, kind="stable")[:count]
        chosen = np.take_along_axis(found, order, axis=0)
        finite = np.isfinite(chosen)
        rows[: len(order)] = np.where(finite, first[order], -1)
        values[: len(order)] = np.where(finite, chosen, np.nan)
    return rows, values
