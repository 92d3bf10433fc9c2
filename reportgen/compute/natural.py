"""What natural images reach: every filter's figure on the user's images, the yardstick for patterns."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from reportgen.compute.figures import Meter


def natural_figures(
    meter: Meter, crops: Iterable[tuple[int, np.ndarray]], on_image: Callable[[int], None]
) -> list[tuple[dict[str, np.ndarray], dict[str, Any]]]:
    """(arrays, facts) per layer of `meter`.

    crops: (image number, pictures (k, *size, bands)) image by image. arrays: `maximum`, `minimum` float32 (channels,), NaN where a
    figure is not finite; `pre_minimum`, the lowest before the activation function; `best_image` int32 (channels,): the image that reached
    the maximum. facts: `crops`, how many were measured.
    """
    images: list[np.ndarray] = []
    measured: list[list[tuple[np.ndarray, np.ndarray]]] = []
    for number, pictures in crops:
        measured.append(meter.both(pictures))
        images.append(np.full(len(pictures), number, np.int32))
        on_image(number)
    of_crop = np.concatenate(images)
    return [
        _summary(np.concatenate([pre for pre, _ in layer]), np.concatenate([own for _, own in layer]), of_crop)
        for layer in zip(*measured, strict=True)
    ]


def _summary(
    before: np.ndarray, values: np.ndarray, of_crop: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    finite = np.isfinite(values).all(axis=0)
    best = of_crop[np.where(finite, values, -np.inf).argmax(axis=0)]
    arrays = {
        "maximum": np.where(finite, values.max(axis=0), np.nan).astype(np.float32),
        "minimum": np.where(finite, values.min(axis=0), np.nan).astype(np.float32),
        "pre_minimum": np.where(np.isfinite(before).all(axis=0), before.min(axis=0), np.nan).astype(np.float32),
        "best_image": best.astype(np.int32),
    }
    return arrays, {"crops": len(values)}
