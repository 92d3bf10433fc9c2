"""The Fourier parameterization: a picture as the coefficients of its spectrum, scaled so that every frequency moves at its natural pace.

Source: Olah, Mordvintsev & Schubert, "Feature Visualization", Distill 2017 (preconditioning); constants as in its reference implementation.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from reportgen.compute.patterns.randomness import generator
from reportgen.network.quiet import tf

START_DEVIATION = 0.01  # of each coefficient before scaling: a faint, smooth start
MEAN_GAIN = 4.0  # measured on VGG16's block1_conv1, 16 steps: 5 of 16 filters instead of 3 come out above natural
MAGIC = 4.0  # the reference implementation's constant: keeps the logistic function in its middle range at the start


def spectrum_shape(height: int, width: int, bands: int) -> tuple[int, int, int, int]:
    """(bands, height, width // 2 + 1, 2): real and imaginary part of the half spectrum of a real picture."""
    return (bands, height, width // 2 + 1, 2)


def frequency_scale(height: int, width: int) -> np.ndarray:
    """float32 (height, width // 2 + 1): sqrt(h w) / max(f, 1 / max(h, w)), f in cycles a pixel: natural images' 1/f amplitude.

    The mean (f = 0) moves MEAN_GAIN times as fast: filters of the first layers want a plain colour at its limit, which is a long way.
    """
    vertical = np.fft.fftfreq(height)[:, None]
    horizontal = np.fft.rfftfreq(width)[None, :]
    frequency = np.sqrt(vertical**2 + horizontal**2)
    scale = np.sqrt(height * width) / np.maximum(frequency, 1 / max(height, width))
    scale[0, 0] *= MEAN_GAIN
    return np.asarray(scale, np.float32)


def start(seed: int, height: int, width: int, bands: int) -> np.ndarray:
    """float32 spectrum_shape: the random start of one filter, from its own seed alone."""
    noise = generator(seed).standard_normal(spectrum_shape(height, width, bands), dtype=np.float32)
    return noise * np.float32(START_DEVIATION)


def to_planes(spectra: Any, height: int, width: int) -> Any:
    """float32 (n, height, width, bands) without limits, from float32 spectra (n, bands, height, width // 2 + 1, 2)."""
    scaled = spectra * frequency_scale(height, width)[None, None, :, :, None]
    planes = tf.signal.irfft2d(tf.complex(scaled[..., 0], scaled[..., 1]), [height, width])
    return tf.transpose(planes, (0, 2, 3, 1)) / MAGIC


def plain(planes: np.ndarray, height: int, width: int) -> np.ndarray:
    """float32 (n, bands, height, width // 2 + 1, 2): spectra of pictures of one colour each, from planes (n, bands)."""
    spectra = np.zeros((len(planes), *spectrum_shape(height, width, planes.shape[1])), np.float32)
    spectra[:, :, 0, 0, 0] = planes * (MAGIC * height * width / frequency_scale(height, width)[0, 0])
    return spectra
