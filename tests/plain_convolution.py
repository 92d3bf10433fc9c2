"""Convolution by its definition, in NumPy loops and float64: what feature maps are held against."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
    strides: Sequence[int] = (),
    dilation: Sequence[int] = (),
    how: str = "valid",
    groups: int = 1,
) -> np.ndarray:
    """float64 (n, *outputs, filters) for images (n, *lengths, bands) and a kernel (*taps, bands / groups, filters), of any rank."""
    *taps, _, filters = kernel.shape
    strides, dilation = strides or [1] * len(taps), dilation or [1] * len(taps)
    pads = [
        padding(length, count, stride, spread, how)
        for length, count, stride, spread in zip(images.shape[1:-1], taps, strides, dilation, strict=True)
    ]
    framed = np.pad(images.astype(np.float64), ((0, 0), *((before, after) for before, after, _ in pads), (0, 0)))
    parts = []
    own, given = filters // groups, images.shape[-1] // groups
    axes = range(len(taps) + 1)
    for group in range(groups):
        weights = kernel[..., group * own : (group + 1) * own].astype(np.float64)
        answers = np.zeros((len(images), *(length for *_, length in pads), own))
        for position in np.ndindex(answers.shape[1:-1]):
            window = tuple(
                slice(place * stride, place * stride + (count - 1) * spread + 1, spread)
                for place, stride, count, spread in zip(position, strides, taps, dilation, strict=True)
            )
            seen = framed[(slice(None), *window, slice(group * given, (group + 1) * given))]
            answers[(slice(None), *position)] = np.tensordot(
                seen, weights, axes=([axis + 1 for axis in axes], list(axes))
            )
        parts.append(answers)
    return np.concatenate(parts, axis=-1) + bias


def depthwise(images: np.ndarray, kernel: np.ndarray, bias: np.ndarray | float = 0.0, **named: Any) -> np.ndarray:
    """The same for a depthwise kernel (*taps, bands, multiplier): each band by itself."""
    *taps, bands, multiplier = kernel.shape
    return convolve(images, kernel.reshape(*taps, 1, bands * multiplier), bias, groups=bands, **named)


def transposed(
    images: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | float = 0.0,
    strides: Sequence[int] = (),
    how: str = "valid",
) -> np.ndarray:
    """Every input position spreads its value over the output through a kernel (*taps, filters, bands)."""
    *taps, filters, _ = kernel.shape
    strides = strides or [1] * len(taps)
    lengths = images.shape[1:-1]
    full = [(length - 1) * stride + count for length, stride, count in zip(lengths, strides, taps, strict=True)]
    answers = np.zeros((len(images), *full, filters))
    for position in np.ndindex(lengths):
        window = tuple(
            slice(place * stride, place * stride + count)
            for place, stride, count in zip(position, strides, taps, strict=True)
        )
        answers[(slice(None), *window)] += np.tensordot(
            images[(slice(None), *position)].astype(np.float64), kernel.astype(np.float64), axes=([-1], [-1])
        )
    if how == "same":
        wanted = [length * stride for length, stride in zip(lengths, strides, strict=True)]
        starts = [
            padding(whole, count, stride, 1, "same")[0]
            for whole, count, stride in zip(wanted, taps, strides, strict=True)
        ]
        answers = np.pad(
            answers,
            (
                (0, 0),
                *((0, max(start + length - own, 0)) for start, length, own in zip(starts, wanted, full, strict=True)),
                (0, 0),
            ),
        )
        answers = answers[
            (slice(None), *(slice(start, start + length) for start, length in zip(starts, wanted, strict=True)))
        ]
    return answers + bias


def normalise(maps: np.ndarray, layer: object) -> np.ndarray:
    """Batch normalisation at inference, from a Keras layer's weights gamma, beta, moving mean and moving variance."""
    gamma, beta, mean, variance = (weight.astype(np.float64) for weight in layer.get_weights())  # type: ignore[attr-defined]
    deviation = np.sqrt(variance + layer.epsilon)  # type: ignore[attr-defined]
    return np.asarray((maps - mean) / deviation * gamma + beta)
