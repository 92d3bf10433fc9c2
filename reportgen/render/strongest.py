"""Which slices of a wide kernel are drawn: of each filter those that weigh most."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST_SLICES = 16  # of a filter in the picture: a row that can be followed


def strongest(parts: NDArray[np.floating], most: int) -> NDArray[np.intp]:
    """The input channels whose slices weigh most, (filters, slices), of each filter in falling order.

    parts: (filters, inputs, *taps). A slice weighs the square root of the sum of its squares (L2 norm), values that are not
    finite count most; of equals, the lower number comes first. At most `most` slices in all, and MOST_SLICES a filter.
    """
    filters, inputs = parts.shape[:2]
    count = max(1, min(MOST_SLICES, inputs, most // filters))
    values = parts.reshape(filters, inputs, -1).astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        weight = np.sqrt((values**2).sum(axis=2))
    weight = np.where(np.isfinite(weight), weight, np.inf)
    return np.argsort(-weight, axis=1, kind="stable")[:, :count]
