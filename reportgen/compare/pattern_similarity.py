"""How much two patterns are alike: ascent places what it finds anywhere, so the pictures are compared at every shift."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def pattern_similarity(old: NDArray[np.generic] | None, new: NDArray[np.generic] | None) -> float | None:
    """Return the largest correlation of two patterns over all circular shifts along the spatial axes.

    Args:
        old: (*lengths, channels), like `new`.
        new: see `old`.

    Returns:
        Pearson's correlation over all numbers of the pictures, each channel less its own mean; None where there is no such picture, they
        have other shapes, or one is constant.
    """
    if old is None or new is None or old.shape != new.shape:
        return None
    if np.array_equal(old, new):
        return 1.0
    axes = tuple(range(old.ndim - 1))
    one, other = (
        values - values.mean(axes, keepdims=True) for values in (old.astype(np.float64), new.astype(np.float64))
    )
    size = float(np.linalg.norm(one) * np.linalg.norm(other))
    if not np.isfinite(size) or size == 0:
        return None
    spectrum = np.fft.rfftn(one, axes=axes) * np.conj(np.fft.rfftn(other, axes=axes))
    products = np.fft.irfftn(spectrum.sum(-1), s=old.shape[:-1], axes=axes)
    return min(1.0, float(products.max()) / size)
