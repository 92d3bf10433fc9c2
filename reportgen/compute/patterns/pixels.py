"""The pixel parameterization: a picture as its own values. Simple, and given to fine noise: kept to reproduce older recipes."""

from __future__ import annotations

import numpy as np

from reportgen.compute.patterns.randomness import generator

START_RANGE = 0.25  # of the values, centred on grey: "Visualizing what convnets learn" (keras.io)


def start(seed: int, size: tuple[int, ...], bands: int) -> np.ndarray:
    """float32 (*size, bands) in [-0.125, 0.125): the random start of one filter, from its own seed alone."""
    noise = generator(seed).random((*size, bands), dtype=np.float32)
    return (noise - np.float32(0.5)) * np.float32(START_RANGE)


def plain(planes: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """float32 (n, *size, bands): pictures of one colour each, from planes (n, bands)."""
    count, bands = planes.shape
    spread = planes.reshape(count, *(1,) * len(size), bands)
    return np.broadcast_to(spread, (count, *size, bands)).astype(np.float32)
