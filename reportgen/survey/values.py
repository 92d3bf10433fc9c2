"""Numbers of the data set as they are stored: float16 with a common exponent."""

from __future__ import annotations

from math import frexp

import numpy as np

FLOAT16_LIMIT = float(np.finfo(np.float16).max)
FLOAT16_SMALL = 2.0**-4  # below, float16 begins to lose digits of values a thousandth as large
FLOAT16_EXPONENT = 10  # of the largest value after scaling: about 1000, far from either end of float16


def half(values: np.ndarray) -> tuple[np.ndarray, int]:
    """Return float16 values and an exponent.

    Args:
        values: float32.

    Returns:
        `values` divided by 2 ** exponent, which is 0 unless they are too large or too small for float16.
    """
    largest = float(np.abs(values[np.isfinite(values)]).max(initial=0))
    exponent = 0 if largest == 0 or FLOAT16_SMALL <= largest <= FLOAT16_LIMIT else frexp(largest)[1] - FLOAT16_EXPONENT
    return np.ldexp(values, -exponent).astype(np.float16), exponent


def whole(values: np.ndarray, exponent: int) -> np.ndarray:
    """Return float32 values that `half` has made small."""
    return np.ldexp(values.astype(np.float32), exponent)
