"""The Fourier parameterization: a picture as the coefficients of its spectrum, scaled so that every frequency moves at its natural pace.

Source: Olah, Mordvintsev & Schubert, "Feature Visualization", Distill 2017 (preconditioning); constants as in its reference implementation.
"""

from __future__ import annotations

from functools import reduce
from math import prod
from typing import Any

import numpy as np

from reportgen.compute.patterns.randomness import generator
from reportgen.network.backend import tf

START_DEVIATION = 0.01  # of each coefficient before scaling: a faint, smooth start
MEAN_GAIN = 4.0  # measured on VGG16's block1_conv1, 16 steps: 5 of 16 filters instead of 3 come out above natural
MAGIC = 4.0  # the reference implementation's constant: keeps the logistic function in its middle range at the start


def spectrum_shape(size: tuple[int, ...], bands: int) -> tuple[int, ...]:
    """(bands, height, width // 2 + 1, 2) of a size (height, width): real and imaginary part of the half spectrum of a real picture.

    So for signals and volumes too: the last axis is halved.
    """
    return (bands, *size[:-1], size[-1] // 2 + 1, 2)


def frequency_scale(size: tuple[int, ...], decay: float = 1.0) -> np.ndarray:
    """float32 (height, width // 2 + 1): sqrt(h w) / max(f, 1 / max(h, w)) ** decay, f in cycles per pixel: 1/f as in natural images.

    The mean (f = 0) moves MEAN_GAIN times as fast: filters of the first layers want a plain colour at its limit, which is a long way.
    """
    axes = [*(np.fft.fftfreq(length) for length in size[:-1]), np.fft.rfftfreq(size[-1])]
    frequency = np.sqrt(reduce(np.add.outer, [axis**2 for axis in axes]))
    scale = np.sqrt(prod(size)) / np.maximum(frequency, 1 / max(size)) ** decay
    scale[(0,) * len(size)] *= MEAN_GAIN
    return np.asarray(scale, np.float32)


def start(seed: int, size: tuple[int, ...], bands: int) -> np.ndarray:
    """float32 spectrum_shape: the random start of one filter, from its own seed alone."""
    noise = generator(seed).standard_normal(spectrum_shape(size, bands), dtype=np.float32)
    return noise * np.float32(START_DEVIATION)


def to_planes(spectra: Any, size: tuple[int, ...], decay: float = 1.0) -> Any:
    """float32 (n, *size, bands) without limits, from float32 spectra (n, *spectrum_shape)."""
    coefficients = _complex(spectra * frequency_scale(size, decay)[None, None, ..., None])
    if len(size) > 2:  # TensorFlow's own three-dimensional transform has no gradient
        coefficients = tf.transpose(tf.signal.ifft(tf.transpose(coefficients, (0, 1, 3, 4, 2))), (0, 1, 4, 2, 3))
    planes = (
        tf.signal.irfft(coefficients, [size[-1]])
        if len(size) == 1
        else tf.signal.irfft2d(coefficients, list(size[-2:]))
    )
    return tf.transpose(planes, (0, *range(2, len(size) + 2), 1)) / MAGIC


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _complex(pairs: Any) -> Any:
    """complex64 (...) from float32 (..., 2), real and imaginary part: the same memory, which slices and their gradients would copy."""

    def gradient(upstream: Any) -> Any:
        return tf.bitcast(upstream, tf.float32)

    return tf.bitcast(pairs, tf.complex64), gradient


def plain(planes: np.ndarray, size: tuple[int, ...], decay: float = 1.0) -> np.ndarray:
    """float32 (n, *spectrum_shape): spectra of pictures of one colour each, from planes (n, bands)."""
    spectra = np.zeros((len(planes), *spectrum_shape(size, planes.shape[1])), np.float32)
    constant = spectra.reshape(*planes.shape, -1, 2)[:, :, 0, 0]  # a view: the coefficient of frequency 0
    constant[...] = planes * (MAGIC * prod(size) / frequency_scale(size, decay).flat[0])
    return spectra
