"""Natural maxima: the largest scores of every filter on the user's images, which patterns are compared with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from reportgen.compute.activation_scores import SCORES, Meter, Scores


def natural_maxima(
    meter: Meter, crops: Iterable[tuple[int, np.ndarray]], on_image: Callable[[int], None]
) -> list[tuple[dict[str, np.ndarray], dict[str, Any]]]:
    """Measure the layers of a meter on the user's images.

    Args:
        meter: measures one or more layers.
        crops: (number of the image, inputs (k, *size, channels)), image by image.
        on_image: called with the number of each image that was measured.

    Returns:
        (arrays, facts) per layer. arrays: `maximum`, `minimum` float32 (channels,), NaN where a score is not finite; `pre_minimum`, the
        smallest before the activation function; `best_image` int32 (channels,), the image with the maximum; `peak`, the largest single
        position, `pre_peak` that before the activation function, and `peak_image`, the image with the peak. facts: `crops`, how many
        inputs were measured.
    """
    images: list[np.ndarray] = []
    measured: list[list[Scores]] = []
    for number, pictures in crops:
        measured.append(meter.scores(pictures))
        images.append(np.full(len(pictures), number, np.int32))
        on_image(number)
    of_crop = np.concatenate(images)
    return [
        _summary(Scores(*(np.concatenate([getattr(part, name) for part in layer]) for name in SCORES)), of_crop)
        for layer in zip(*measured, strict=True)
    ]


def _summary(found: Scores, of_crop: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    maximum, best = _largest(found.activation)
    peak, highest = _largest(found.peak)
    arrays = {
        "maximum": maximum,
        "minimum": -_largest(-found.activation)[0],
        "pre_minimum": -_largest(-found.pre_activation)[0],
        "best_image": of_crop[best],
        "peak": peak,
        "pre_peak": _largest(found.pre_peak)[0],
        "peak_image": of_crop[highest],
    }
    return arrays, {"crops": len(found.activation)}


def _largest(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(largest of each column, float32 (channels,), NaN where one is not finite; int (channels,), its row)."""
    finite = np.isfinite(values).all(axis=0)
    best = np.where(finite, values, -np.inf).argmax(axis=0)
    return np.where(finite, values.max(axis=0), np.nan).astype(np.float32), best
