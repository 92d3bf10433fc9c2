"""Decorrelation of the bands: natural pictures' red, green and blue rise and fall together, so ascent runs in directions that do not.

Source: Olah, Mordvintsev & Schubert, "Feature Visualization", Distill 2017, with its published colour correlation of ImageNet.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from reportgen.network.backend import tf

CORRELATION_ROOT = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]], np.float32)
SMALLEST_VARIANCE = 1e-9  # of values 0..255: below it a picture is one colour
# Of the fastest direction. ImageNet's own second and third have 0.28 and 0.13: so slow that colours hardly move in a few steps, and of a
# kernel that is negative on the whole the ascent then finds nothing but black (benchmarks/README.md).
SLOWEST_DIRECTION = 0.6


def imagenet() -> np.ndarray:
    """float32 (3, 3), rows R, G, B: the square root of ImageNet's colour correlation over its largest column norm.

    No direction is slower than SLOWEST_DIRECTION of the fastest.
    """
    directions, lengths, others = np.linalg.svd(CORRELATION_ROOT.astype(np.float64))
    return _scaled(directions * np.maximum(lengths, SLOWEST_DIRECTION * lengths.max()) @ others)


def estimated(pictures: Iterable[np.ndarray]) -> np.ndarray | None:
    """float32 (bands, bands): the same from uint8 `pictures` (height, width, bands); None where their bands never change.

    With the covariance U S U' of the bands over all pixels, U sqrt(S) over its largest column norm: its columns are the directions that
    vary independently of one another, the strongest the longest.
    """
    count, sums, products = 0, [], []
    for picture in pictures:
        values = picture.reshape(-1, picture.shape[-1]).astype(np.float64)
        count += len(values)
        sums.append(values.sum(axis=0))
        products.append(values.T @ values)
    if count == 0:
        return None
    mean = np.sum(sums, axis=0) / count
    directions, variances, _ = np.linalg.svd(np.sum(products, axis=0) / count - np.outer(mean, mean))
    if variances.max() <= SMALLEST_VARIANCE:
        return None
    # A band that hardly varies in these images may still matter to the network: no direction is made slower than this.
    floor = SLOWEST_DIRECTION**2 * variances.max()
    signs = np.where(directions.sum(axis=0) < 0, -1.0, 1.0)  # a direction and its opposite are the same: pick one
    return _scaled(directions * signs * np.sqrt(np.maximum(variances, floor)))


def _scaled(root: np.ndarray) -> np.ndarray:
    return np.asarray(root / np.linalg.norm(root, axis=0).max(), np.float32)


def mixed(planes: Any, mixing: np.ndarray | None) -> Any:
    """Planes (n, height, width, bands) of independent directions turned into those of the bands, by `mixing` (bands, bands)."""
    return planes if mixing is None else tf.tensordot(planes, tf.constant(mixing.T), 1)


def unmixed(values: np.ndarray, mixing: np.ndarray | None) -> np.ndarray:
    """float32 (n, bands): the planes that `mixed` turns into `values`."""
    if mixing is None:
        return values
    return np.asarray(np.linalg.solve(mixing.astype(np.float64), values.T).T, np.float32)
