"""From what the optimizer moves to a picture: a parameterization, the correlation of the color channels and the limits, put together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any, Protocol

import numpy as np

from reportgen.compute.patterns import colour
from reportgen.compute.patterns import fourier as spectra
from reportgen.compute.patterns.randomness import generator
from reportgen.core.errors import UsageError
from reportgen.network.backend import tf
from reportgen.network.preprocessing import EIGHT_BIT_MAXIMUM

STANDARD_MEAN, STANDARD_DEVIATION = 0.5, 0.15  # of a standardized picture: "Visualizing what convnets learn" (keras.io)
STANDARD_EPSILON = 1e-5  # keeps a constant picture grey
START_RANGE = 0.25  # of pixels at the start, centered on grey: "Visualizing what convnets learn" (keras.io)


@dataclass(frozen=True)
class Fourier:
    """A picture as the coefficients of its spectrum, scaled by 1 / frequency ** decay."""

    decay: float = 1.0

    def __str__(self) -> str:
        """As the recipe states it."""
        return "fourier" if self.decay == 1 else f"fourier(decay={self.decay:g})"

    def shape(self, size: tuple[int, ...], bands: int) -> tuple[int, ...]:
        """The shape of one picture's coefficients."""
        return spectra.spectrum_shape(size, bands)

    def start(self, seed: int, size: tuple[int, ...], bands: int) -> np.ndarray:
        """The random start of one filter, float32 `shape`, from its own seed alone."""
        return spectra.start(seed, size, bands)

    def plain(self, planes: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
        """float32 (n, *shape): pictures of one color each, from planes (n, bands)."""
        return spectra.plain(planes, size, self.decay)

    def to_planes(self, coefficients: Any, size: tuple[int, ...]) -> Any:
        """float32 (n, *size, bands) without limits, from float32 coefficients (n, *shape)."""
        return spectra.to_planes(coefficients, size, self.decay)


@dataclass(frozen=True)
class Pixels:
    """A picture as its own values. Simple, and given to fine noise: kept to reproduce older recipes."""

    def __str__(self) -> str:
        """As the recipe states it."""
        return "pixel"

    def shape(self, size: tuple[int, ...], bands: int) -> tuple[int, ...]:
        """See `Fourier`."""
        return (*size, bands)

    def start(self, seed: int, size: tuple[int, ...], bands: int) -> np.ndarray:
        """float32 (*size, bands) in [-0.125, 0.125): the random start of one filter, from its own seed alone."""
        noise = generator(seed).random((*size, bands), dtype=np.float32)
        return (noise - np.float32(0.5)) * np.float32(START_RANGE)

    def plain(self, planes: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
        """See `Fourier`."""
        count, bands = planes.shape
        spread = planes.reshape(count, *(1,) * len(size), bands)
        return np.broadcast_to(spread, (count, *size, bands)).astype(np.float32)

    def to_planes(self, coefficients: Any, size: tuple[int, ...]) -> Any:
        """See `Fourier`."""
        return coefficients


def fourier(decay: float = 1.0) -> Fourier:
    """Return the Fourier parameterization, whose coefficients are scaled by 1 / frequency ** `decay`; 1 is that of natural images.

    Source: Olah, Mordvintsev & Schubert, "Feature Visualization", Distill 2017.

    Raises:
        UsageError: `decay` is not a finite number of 0 or more.
    """
    if not 0 <= decay < inf:
        raise UsageError(f"fourier(decay={decay:g}): a number of 0 or more is needed.")
    return Fourier(decay)


def pixels() -> Pixels:
    """Return the pixel parameterization: a picture as its own values."""
    return Pixels()


BY_NAME: dict[str, Fourier | Pixels] = {"fourier": fourier(), "pixel": pixels()}


@dataclass(frozen=True)
class Parameterization:
    """How pictures of one size are represented while they are optimized.

    Attributes:
        shape: Of one picture's coefficients.
        start: seed -> float32 shape.
        plain: Planes (n, bands) -> float32 (n, *shape), one color each.
        to_pictures: float32 (n, *shape) -> float32 (n, *size, bands), 0 black and 1 white.
        finish: Those pictures -> uint8 of the same shape, as they are measured and shown; of signals and volumes float32, still between
            0 and 1.
    """

    shape: tuple[int, ...]
    start: Callable[[int], np.ndarray]
    plain: Callable[[np.ndarray], np.ndarray]
    to_pictures: Callable[[Any], Any]
    finish: Callable[[Any], Any]


class Choices(Protocol):
    """What a recipe says of a parameterization."""

    @property
    def parameterization(self) -> Fourier | Pixels:
        """What is optimized."""

    @property
    def limits(self) -> str:
        """How pictures are kept between black and white."""


def make(
    recipe: Choices, size: tuple[int, ...], bands: int, mixing: np.ndarray | None, eight_bit: bool = True
) -> Parameterization:
    """The parameterization of `recipe` for pictures of this size, finished in 8 bits or as numbers.

    mixing: float32 (bands, bands) from `colour`, None where the color channels are taken as independent.
    """
    own, limited = recipe.parameterization, recipe.limits == "sigmoid"

    def to_pictures(coefficients: Any) -> Any:
        planes = colour.mixed(own.to_planes(coefficients, size), mixing)
        return tf.sigmoid(planes) if limited else (planes + 1.0) / 2.0

    return Parameterization(
        shape=own.shape(size, bands),
        start=lambda seed: own.start(seed, size, bands),
        plain=lambda planes: own.plain(planes, size),
        to_pictures=to_pictures,
        finish=_finish(limited, eight_bit),
    )


def _finish(limited: bool, eight_bit: bool) -> Callable[[Any], Any]:
    if limited:
        return rounded if eight_bit else tf.identity
    return standardized if eight_bit else _standard


def rounded(pictures: Any) -> Any:
    """uint8, from float32 pictures in [0, 1]."""
    return tf.cast(tf.round(pictures * EIGHT_BIT_MAXIMUM), tf.uint8)


def standardized(pictures: Any) -> Any:
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
    return tf.clip_by_value(centred * STANDARD_DEVIATION + STANDARD_MEAN, 0.0, 1.0)
