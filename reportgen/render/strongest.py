"""Which slices of a wide kernel are drawn: those of each filter with the largest L2 norm."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST_SLICES = 16  # per filter: a row that a reader can follow


def strongest(parts: NDArray[np.floating], most: int) -> NDArray[np.intp]:
    """Return the input channels whose slices have the largest L2 norm.

    Args:
        parts: (filters, inputs, *taps).
        most: slices of all filters together; per filter at most MOST_SLICES.

    Returns:
        (filters, slices), by falling norm; slices with values that are not finite come first, and of equals the lower number.
    """
    filters, inputs = parts.shape[:2]
    count = max(1, min(MOST_SLICES, inputs, most // filters))
    values = parts.reshape(filters, inputs, -1).astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        weight = np.sqrt((values**2).sum(axis=2))
    weight = np.where(np.isfinite(weight), weight, np.inf)
    return np.argsort(-weight, axis=1, kind="stable")[:, :count]
