"""From what the optimizer moves to a picture: the two parameterizations, the correlation of the bands and the limits, put together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from reportgen.compute.patterns import colour, fourier, pixels
from reportgen.compute.patterns.recipe import Recipe
from reportgen.network.backend import tf
from reportgen.network.preprocessing import EIGHT_BIT_MAXIMUM

STANDARD_DEVIATION = 0.15  # of a standardised picture, around 1/2: "Visualizing what convnets learn" (keras.io)
STANDARD_EPSILON = 1e-5  # keeps a constant picture grey


@dataclass(frozen=True)
class Parameterization:
    """How a picture is represented while it is sought.

    shape: of one picture's coefficients. start: seed -> float32 shape. plain: planes (n, bands) -> float32 (n, *shape), one
    colour each. to_pictures: float32 (n, *shape) -> float32 (n, *size, bands), 0 black and 1 white. finish: those pictures -> uint8 of the
    same shape, as they are measured and shown; of signals and volumes float32, still between 0 and 1.
    """

    shape: tuple[int, ...]
    start: Callable[[int], np.ndarray]
    plain: Callable[[np.ndarray], np.ndarray]
    to_pictures: Callable[[Any], Any]
    finish: Callable[[Any], Any]


def make(
    recipe: Recipe, size: tuple[int, ...], bands: int, mixing: np.ndarray | None, eight_bit: bool = True
) -> Parameterization:
    """The parameterization of `recipe` for pictures of this size, finished in 8 bits or as numbers.

    mixing: float32 (bands, bands) from `colour`, None where the bands are taken as independent.
    """
    in_fourier_space = recipe.parameterization == "fourier"
    limited = recipe.limits == "logistic"
    module: ModuleType = fourier if in_fourier_space else pixels

    def to_pictures(coefficients: Any) -> Any:
        planes = fourier.to_planes(coefficients, size) if in_fourier_space else coefficients
        planes = colour.mixed(planes, mixing)
        return tf.sigmoid(planes) if limited else (planes + 1.0) / 2.0

    return Parameterization(
        shape=fourier.spectrum_shape(size, bands) if in_fourier_space else (*size, bands),
        start=lambda seed: module.start(seed, size, bands),
        plain=lambda planes: module.plain(planes, size),
        to_pictures=to_pictures,
        finish=_finish(limited, eight_bit),
    )


def _finish(limited: bool, eight_bit: bool) -> Callable[[Any], Any]:
    if limited:
        return rounded if eight_bit else tf.identity
    return standardised if eight_bit else _standard


def rounded(pictures: Any) -> Any:
    """uint8, from float32 pictures in [0, 1]."""
    return tf.cast(tf.round(pictures * EIGHT_BIT_MAXIMUM), tf.uint8)


def standardised(pictures: Any) -> Any:
    """uint8 with mean 1/2 and deviation 0.15 of full scale, clipped at black and white, from float32 pictures without limits.

    Each picture by itself, as `deprocess_image` of keras.io's example does; it also cuts off the border, which here only display does.
    """
    return tf.cast(_standard(pictures) * EIGHT_BIT_MAXIMUM, tf.uint8)  # not rounded: as the recipe does


def _standard(pictures: Any) -> Any:
    """float32, the same between 0 and 1."""
    axes = tuple(range(1, len(pictures.shape)))
    values = 2.0 * pictures - 1.0
    spread = tf.math.reduce_std(values, axis=axes, keepdims=True)
    centred = (values - tf.reduce_mean(values, axis=axes, keepdims=True)) / (spread + STANDARD_EPSILON)
    return tf.clip_by_value(centred * STANDARD_DEVIATION + 0.5, 0.0, 1.0)
