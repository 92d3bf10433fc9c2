"""What a picture is seen through at each step: one random affine warp of jitter, scaling and rotation, against pixel-exact patterns.

Signals are not rotated, volumes only in the plane of height and width. Sampling is linear along every axis and a sparse matrix, so its
gradient is exact; outside the picture the picture is mirrored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import cos, inf, pi, prod, sin
from typing import Any

import numpy as np

from reportgen.compute.patterns.randomness import derived_seed, generator
from reportgen.core.errors import UsageError
from reportgen.network.backend import tf

EXACT_DIGITS = 12  # 0.95 to 1.05 is 1 and 0.05 to each side, not 0.050000000000000044
HELD_OUT = 3  # warps that no search sees, by which pictures are recognized that are pixel-exact
HELD_OUT_STRENGTH = 2.0  # of the standard limits: jitter 1/16 of the side, 10 %, 10 degrees
HELD_OUT_SEED = 10**6  # far from any seed that an ascent uses
WARP_BYTES = 2**25  # of all steps' warps that are kept


@dataclass(frozen=True)
class Jitter:
    """A move along every axis, up to so many pixels, or such a share of the shorter side, to each side."""

    pixels: float | None = None
    share: float | None = None

    def __str__(self) -> str:
        """As it was written."""
        return f"jitter(share={self.share:g})" if self.pixels is None else f"jitter({self.pixels:g})"


@dataclass(frozen=True)
class Scale:
    """An enlargement about the centre, between two factors."""

    low: float
    high: float

    def __str__(self) -> str:
        """As it was written."""
        return f"scale({self.low:g}, {self.high:g})"


@dataclass(frozen=True)
class Rotate:
    """A turn about the centre, up to so many degrees to each side."""

    degrees: float

    def __str__(self) -> str:
        """As it was written."""
        return f"rotate({self.degrees:g})"


Transform = Jitter | Scale | Rotate


def jitter(pixels: float | None = None, *, share: float | None = None) -> Jitter:
    """Return the transform that moves pictures by up to `pixels`, or a `share` of the shorter side, to each side.

    Raises:
        UsageError: Not exactly one of the two is given, or it is negative.
    """
    given = [value for value in (pixels, share) if value is not None]
    if len(given) != 1 or not 0 <= given[0] < inf:
        raise UsageError("jitter takes either pixels or a share of the side, 0 or more.")
    return Jitter(pixels, share)


def scale(low: float, high: float) -> Scale:
    """Return the transform that enlarges pictures by a factor between `low` and `high`.

    Raises:
        UsageError: The factors are not above 0 in this order.
    """
    if not 0 < low <= high < inf:
        raise UsageError(f"scale({low:g}, {high:g}): two factors above 0 are needed, the smaller first.")
    return Scale(low, high)


def rotate(degrees: float) -> Rotate:
    """Return the transform that turns pictures by up to `degrees` to each side.

    Raises:
        UsageError: The angle is negative.
    """
    if not 0 <= degrees < inf:
        raise UsageError(f"rotate({degrees:g}): an angle of 0 or more degrees is needed.")
    return Rotate(degrees)


# Half of what the reference implementation of "Feature Visualization" does, about the article's own: measured on VGG16, pictures stand
# warps of twice this size as well or better, and come out more active (benchmarks/README.md).
STANDARD = (jitter(share=1 / 32), scale(0.95, 1.05), rotate(5))


def checked(transforms: Sequence[Transform]) -> tuple[Transform, ...]:
    """Return the transforms of one warp. Raises UsageError where one is none, or two are of a kind."""
    if not isinstance(transforms, Sequence):
        raise UsageError(f"transforms: {transforms!r} is not a list of transforms such as [jitter(8)].")
    for number, transform in enumerate(transforms):
        if not isinstance(transform, Transform):
            raise UsageError(f"{transform!r} is not a transform: jitter, scale and rotate are.")
        if any(isinstance(transform, type(other)) for other in transforms[:number]):
            raise UsageError(f"transforms: {transform} is the second of its kind; a warp has one of each.")
    return tuple(transforms)


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


def draw(
    seed: int, step: int, size: tuple[int, ...], strength: float = 1.0, transforms: Sequence[Transform] = STANDARD
) -> Warp:
    """The warp of one step, from (seed, step) alone; `strength` times the limits of the transforms."""
    random = generator(derived_seed(seed, "warp", step))
    shifts = strength * random.uniform(-1, 1, len(size))
    drawn = strength * random.uniform(
        -1, 1, 2
    )  # whatever is used of it: each transform's draws do not depend on the others
    reach: float = 0
    factor, spread, turn = 1.0, 0.0, 0.0
    for transform in transforms:
        match transform:
            case Jitter(pixels, share):
                shifts = shifts * share if pixels is None and share is not None else shifts
                reach = min(size) if pixels is None else pixels
            case Scale(low, high):
                factor, spread = round((low + high) / 2, EXACT_DIGITS), round((high - low) / 2, EXACT_DIGITS)
            case Rotate(degrees):
                turn = degrees * pi / 180
    enlarged, angle = drawn * (spread, turn)
    return affine(size, shifts * reach, factor + enlarged, angle)


class Warps:
    """The warp of each step of an ascent, kept where all steps' together are small."""

    def __init__(self, seed: int, size: tuple[int, ...], transforms: Sequence[Transform], steps: int) -> None:
        """steps: how many there are in all."""
        self._seed, self._size, self._transforms, self._steps = seed, size, transforms, steps
        self._kept: dict[int, Warp] = {}

    def __getitem__(self, step: int) -> Warp:
        """What every picture is seen through at `step`."""
        if step in self._kept:
            return self._kept[step]
        warp = draw(self._seed, step, self._size, transforms=self._transforms)
        if self._steps * warp.nbytes <= WARP_BYTES:
            self._kept[step] = warp
        return warp


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
