"""The formulas of attribution maps, from a layer's maps and what a class's score does with them; every map is signed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reportgen.core.choices import MOST_MASKS

Array = NDArray[np.float32]


def grad_cam(maps: Array, gradient: Array) -> Array:
    """Return the Grad-CAM of a class without its last step: `sum_k mean(d score / d A_k) A_k`.

    The published map is `ReLU` of that; the values below zero are kept here, because they say what speaks against the class.
    Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based localization", ICCV 2017, eq. 1 and 2.

    Args:
        maps: A, (*grid, channels).
        gradient: of the class's score by the maps, of the same shape.

    Returns:
        (*grid).
    """
    axes = tuple(range(maps.ndim - 1))
    weights = gradient.astype(np.float64).mean(axis=axes)
    return np.asarray(maps.astype(np.float64) @ weights, np.float32)


def hirescam(maps: Array, gradient: Array) -> Array:
    """Return the HiResCAM of a class: `sum_k (d score / d A_k) A_k`, position by position.

    Where global average pooling and one dense layer follow the maps, its sum is exactly the class's logit less its bias.
    Draelos and Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural networks", 2020,
    arXiv:2011.08891.

    Args:
        maps: A, (*grid, channels).
        gradient: of the class's score by the maps, of the same shape.

    Returns:
        (*grid).
    """
    return np.asarray((maps.astype(np.float64) * gradient).sum(axis=-1), np.float32)


def score_cam(maps: Array, weights: NDArray[np.floating], channels: NDArray[np.integer]) -> Array:
    """Return the Score-CAM of a class without its last step: `sum_k w_k A_k`, `w_k` being the increase of confidence by map k.

    The published map is `ReLU` of that. Confidence is the class's probability after softmax or sigmoid, as in the paper's section 3.3, and
    its increase is that of the masked input over an input of zeros. Wang et al., "Score-CAM: score-weighted visual explanations for
    convolutional neural networks", CVPR Workshops 2020, definitions 3 and 4.

    Args:
        maps: A, (*grid, channels).
        weights: one for each of `channels`.
        channels: that were measured.

    Returns:
        (*grid).
    """
    return np.asarray(maps[..., channels].astype(np.float64) @ weights.astype(np.float64), np.float32)


def masked_channels(maps: Array, most: int = MOST_MASKS) -> NDArray[np.intp]:
    """Return the channels that Score-CAM measures, in ascending order: those whose maps have the widest range; a constant map is no mask.

    Args:
        maps: (*grid, channels).
        most: how many at most.
    """
    axes = tuple(range(maps.ndim - 1))
    ranges = maps.max(axis=axes) - maps.min(axis=axes)
    ranges = np.where(np.isfinite(ranges), ranges, 0)
    widest = np.argsort(-ranges, kind="stable")[:most]
    return np.sort(widest[ranges[widest] > 0])


def masks(maps: Array, size: tuple[int, ...]) -> Array:
    """Return one mask per map: enlarged linearly to the input's size, then scaled from 0, its smallest value, to 1.

    Args:
        maps: (*grid, channels), none of them constant.
        size: of the input.

    Returns:
        float32 (channels, *size).
    """
    large = np.moveaxis(maps, -1, 0).astype(np.float32)
    for axis, length in enumerate(size, start=1):
        large = _enlarged_linearly(large, axis, length)
    axes = tuple(range(1, large.ndim))
    low = large.min(axis=axes, keepdims=True)
    span = large.max(axis=axes, keepdims=True) - low
    return np.asarray((large - low) / np.where(span > 0, span, 1), np.float32)


def _enlarged_linearly(values: Array, axis: int, length: int) -> Array:
    """`values` with `length` positions along an axis: linear between the centers of the positions, constant beyond the first and last."""
    count = values.shape[axis]
    places = np.clip((np.arange(length) + 0.5) * count / length - 0.5, 0, count - 1)
    below = np.minimum(places.astype(int), max(count - 2, 0))
    above = np.minimum(below + 1, count - 1)
    shape = [1] * values.ndim
    shape[axis] = length
    part = (places - below).astype(np.float32).reshape(shape)
    return np.asarray(np.take(values, below, axis) * (1 - part) + np.take(values, above, axis) * part, np.float32)
