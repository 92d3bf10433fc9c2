"""Convolution by its definition, in NumPy loops and float64: what feature maps are held against."""

from __future__ import annotations

import numpy as np


def padding(length: int, taps: int, stride: int, dilation: int, how: str) -> tuple[int, int, int]:
    """(before, after, output length) of one axis by the rule of TensorFlow's `same` and `valid`."""
    covered = (taps - 1) * dilation + 1
    if how == "valid":
        return 0, 0, (length - covered) // stride + 1
    outputs = -(-length // stride)
    total = max((outputs - 1) * stride + covered - length, 0)
    return total // 2, total - total // 2, outputs


def convolve(
    images: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | float = 0.0,
    strides: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    how: str = "valid",
    groups: int = 1,
) -> np.ndarray:
    """float64 (n, height, width, filters) for images (n, h, w, bands) and a kernel (rows, columns, bands / groups, filters)."""
    rows, columns, _, filters = kernel.shape
    top, bottom, height = padding(images.shape[1], rows, strides[0], dilation[0], how)
    left, right, width = padding(images.shape[2], columns, strides[1], dilation[1], how)
    framed = np.pad(images.astype(np.float64), ((0, 0), (top, bottom), (left, right), (0, 0)))
    parts = []
    own, given = filters // groups, images.shape[3] // groups
    for group in range(groups):
        weights = kernel[..., group * own : (group + 1) * own].astype(np.float64)
        answers = np.zeros((len(images), height, width, own))
        for y in range(height):
            for x in range(width):
                y0, x0 = y * strides[0], x * strides[1]
                window = framed[
                    :,
                    y0 : y0 + (rows - 1) * dilation[0] + 1 : dilation[0],
                    x0 : x0 + (columns - 1) * dilation[1] + 1 : dilation[1],
                    group * given : (group + 1) * given,
                ]
                answers[:, y, x] = np.tensordot(window, weights, axes=([1, 2, 3], [0, 1, 2]))
        parts.append(answers)
    return np.concatenate(parts, axis=-1) + bias


def normalise(maps: np.ndarray, layer: object) -> np.ndarray:
    """Batch normalisation at inference, from a Keras layer's weights gamma, beta, moving mean and moving variance."""
    gamma, beta, mean, variance = (weight.astype(np.float64) for weight in layer.get_weights())  # type: ignore[attr-defined]
    deviation = np.sqrt(variance + layer.epsilon)  # type: ignore[attr-defined]
    return np.asarray((maps - mean) / deviation * gamma + beta)
