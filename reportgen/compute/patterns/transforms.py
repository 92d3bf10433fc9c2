"""One random affine warp a step (jitter, scale, rotation): what only works pixel-exact does not survive it.

Signals are not rotated, volumes only in the plane of height and width. Sampling is linear along every axis and a sparse matrix, so its
gradient is exact; outside the picture the picture is mirrored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import cos, pi, prod, sin
from typing import Any

import numpy as np

from reportgen.compute.patterns.randomness import derived_seed, generator
from reportgen.network.backend import tf

# Half of what the reference implementation of "Feature Visualization" does, about the article's own: measured on VGG16, pictures stand
# warps of twice this size as well or better, and come out more active (benchmarks/README.md).
JITTER = 1 / 32  # of the shorter side, to each side: 4 pixels at 128
SCALE = 0.05  # up to 5 % larger or smaller
ROTATION = 5 * pi / 180  # to each side


HELD_OUT = 3  # warps that no ascent sees, by which pictures are told that only work pixel-exact
HELD_OUT_STRENGTH = 2.0  # of the usual limits: jitter 1/16 of the side, 10 %, 10 degrees
HELD_OUT_SEED = 10**6  # far from any seed that an ascent uses


@dataclass(frozen=True)
class Warp:
    """Where each output pixel looks: its source pixels and their weights, 4 in pictures, 2 in signals, 8 in volumes.

    sources: int32 (4, height * width), row-major pixel numbers. weights: float32 (4, height * width), summing to 1 per pixel.
    """

    sources: np.ndarray
    weights: np.ndarray

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        return self.sources.nbytes + self.weights.nbytes


def draw(seed: int, step: int, size: tuple[int, ...], strength: float = 1.0) -> Warp:
    """The warp of one step, from (seed, step) alone; `strength` times the usual limits."""
    random = generator(derived_seed(seed, "warp", step))
    shifts = strength * random.uniform(-1, 1, len(size)) * JITTER * min(size)
    scale, angle = strength * random.uniform(-1, 1, 2) * (SCALE, ROTATION)
    return affine(size, shifts, 1 + scale, angle)


def held_out(number: int, size: tuple[int, ...]) -> Warp:
    """One of the warps that pictures are measured through: the same for every network, layer and seed."""
    return draw(HELD_OUT_SEED, number, size, HELD_OUT_STRENGTH)


def affine(size: tuple[int, ...], shifts: Sequence[float] | np.ndarray, scale: float, angle: float) -> Warp:
    """The warp that enlarges by `scale`, turns by `angle` (radians) about the centre and moves by the shifts (pixels), one an axis."""
    middles = [(length - 1) / 2 for length in size]
    along = (np.arange(length) - middle - shift for length, middle, shift in zip(size, middles, shifts, strict=True))
    places = list(np.meshgrid(*along, indexing="ij"))
    if len(size) > 1:
        y, x = places[-2:]
        places[-2:] = [cos(angle) * y + sin(angle) * x, -sin(angle) * y + cos(angle) * x]
    places = [place / scale + middle for place, middle in zip(places, middles, strict=True)]
    ends = [_neighbours(place, length) for place, length in zip(places, size, strict=True)]  # of each axis
    sources, weights = [], []
    for corner in product(*ends):
        source, weight = corner[0]
        for length, (other, share) in zip(size[1:], corner[1:], strict=True):
            source, weight = source * length + other, weight * share
        sources.append(source.reshape(-1))
        weights.append(weight.reshape(-1))
    return Warp(np.array(sources, np.int32), np.array(weights, np.float32))


def _neighbours(place: np.ndarray, length: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The two pixels between which each place lies on an axis of `length` pixels, and the share of each."""
    first = np.floor(place)
    share = place - first
    return [(_mirrored(first, length), 1 - share), (_mirrored(first + 1, length), share)]


def _mirrored(position: np.ndarray, length: int) -> np.ndarray:
    """Integer positions folded back into 0..length-1, the border pixel not repeated."""
    if length == 1:
        return np.zeros_like(position, dtype=np.int64)
    period = 2 * (length - 1)
    folded = np.mod(position, period)
    return np.asarray(np.minimum(folded, period - folded), np.int64)


def apply(pictures: Any, sources: Any, weights: Any) -> Any:
    """`pictures` (n, *size, bands) seen through a Warp's `sources` and `weights`, the same for all of them."""
    count, *size, bands = pictures.shape
    pixels, axes = prod(size), range(1, len(size) + 1)
    rows = tf.reshape(tf.transpose(pictures, (*axes, 0, len(size) + 1)), (pixels, count * bands))
    targets = tf.repeat(tf.range(pixels, dtype=tf.int64), 2 ** len(size))
    columns = tf.reshape(tf.transpose(tf.cast(sources, tf.int64)), (-1,))
    matrix = tf.SparseTensor(
        tf.stack([targets, columns], 1), tf.reshape(tf.transpose(weights), (-1,)), (pixels, pixels)
    )
    warped = tf.sparse.sparse_dense_matmul(matrix, rows)  # its gradient is the transposed matrix: exact
    return tf.transpose(tf.reshape(warped, (*size, count, bands)), (len(size), *range(len(size)), len(size) + 1))
