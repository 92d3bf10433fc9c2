"""One random affine warp a step (jitter, scale, rotation): what only works pixel-exact does not survive it.

Sampling is bilinear and a sparse matrix, so its gradient is exact; outside the picture the picture is mirrored.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi, sin
from typing import Any

import numpy as np

from reportgen.compute.patterns.randomness import derived_seed, generator
from reportgen.network.quiet import tf

# Half of what the reference implementation of "Feature Visualization" does, about the article's own: measured on VGG16, pictures stand
# warps of twice this size as well or better, and come out more active (benchmarks/README.md).
JITTER = 1 / 32  # of the shorter side, to each side: 4 pixels at 128
SCALE = 0.05  # up to 5 % larger or smaller
CORNERS = 4  # source pixels of a bilinear sample
ROTATION = 5 * pi / 180  # to each side


@dataclass(frozen=True)
class Warp:
    """Where each output pixel looks: four source pixels and their weights.

    sources: int32 (4, height * width), row-major pixel numbers. weights: float32 (4, height * width), summing to 1 per pixel.
    """

    sources: np.ndarray
    weights: np.ndarray


def draw(seed: int, step: int, height: int, width: int, strength: float = 1.0) -> Warp:
    """The warp of one step, from (seed, step) alone; `strength` times the usual limits."""
    random = generator(derived_seed(seed, "warp", step))
    shift_y, shift_x = strength * random.uniform(-1, 1, 2) * JITTER * min(height, width)
    scale, angle = strength * random.uniform(-1, 1, 2) * (SCALE, ROTATION)
    return affine(height, width, shift_y, shift_x, 1 + scale, angle)


def affine(height: int, width: int, shift_y: float, shift_x: float, scale: float, angle: float) -> Warp:
    """The warp that enlarges by `scale`, turns by `angle` (radians) about the centre and moves by the shifts (pixels)."""
    middle_y, middle_x = (height - 1) / 2, (width - 1) / 2
    y, x = np.meshgrid(np.arange(height) - middle_y - shift_y, np.arange(width) - middle_x - shift_x, indexing="ij")
    source_y = (cos(angle) * y + sin(angle) * x) / scale + middle_y
    source_x = (-sin(angle) * y + cos(angle) * x) / scale + middle_x
    top, left = np.floor(source_y), np.floor(source_x)
    down, right = source_y - top, source_x - left
    sources, weights = [], []
    for step_y, weight_y in ((0, 1 - down), (1, down)):
        for step_x, weight_x in ((0, 1 - right), (1, right)):
            row = _mirrored(top + step_y, height)
            column = _mirrored(left + step_x, width)
            sources.append((row * width + column).reshape(-1))
            weights.append((weight_y * weight_x).reshape(-1))
    return Warp(np.array(sources, np.int32), np.array(weights, np.float32))


def _mirrored(position: np.ndarray, length: int) -> np.ndarray:
    """Integer positions folded back into 0..length-1, the border pixel not repeated."""
    if length == 1:
        return np.zeros_like(position, dtype=np.int64)
    period = 2 * (length - 1)
    folded = np.mod(position, period)
    return np.asarray(np.minimum(folded, period - folded), np.int64)


def apply(pictures: Any, sources: Any, weights: Any) -> Any:
    """`pictures` (n, height, width, bands) seen through a Warp's `sources` and `weights`, the same for all of them."""
    count, height, width, bands = pictures.shape
    pixels = height * width
    rows = tf.reshape(tf.transpose(pictures, (1, 2, 0, 3)), (pixels, count * bands))
    targets = tf.repeat(tf.range(pixels, dtype=tf.int64), CORNERS)
    columns = tf.reshape(tf.transpose(tf.cast(sources, tf.int64)), (-1,))
    matrix = tf.SparseTensor(
        tf.stack([targets, columns], 1), tf.reshape(tf.transpose(weights), (-1,)), (pixels, pixels)
    )
    warped = tf.sparse.sparse_dense_matmul(matrix, rows)  # its gradient is the transposed matrix: exact
    return tf.transpose(tf.reshape(warped, (height, width, count, bands)), (2, 0, 1, 3))
