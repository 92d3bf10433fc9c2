"""The exact answer where a filter is affine in the picture, as in a first layer: the sign patch, and the tilings of it.

Such a filter gives at one position `level` + sum of `slope` times (pixel - 1/2). Over pixels between 0 and 1 that is largest where every
pixel is white whose slope is positive and black where it is negative: a linear programme over a box, solved by the signs. What the whole
map can reach at most is not known in closed form, but tilings of that patch come close, and their mean is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import gcd

import numpy as np

GREY = 0.5
GAPS = (0.0, GREY, 1.0)  # what lies between patches whose period is longer than the field
MOST_PERIODS = 7  # tried along an axis, from one pixel less than the field to twice the field
SAME_SLOPE = 1e-3  # of a filter's largest: slopes at two pictures that differ by less are rounding
TIE = 1e-9  # of the most that a filter can change by: tilings that differ by less are equally good, the first is taken


@dataclass(frozen=True)
class Affine:
    """n filters that are affine in the picture.

    slope: float64 (n, *field, bands), of the pre-activation at one position by the pixels that it sees, between 0 and 1. level: float64
    (n,), there on mid-grey. first: where in the picture those pixels begin. stride: pixels between neighbouring positions.
    """

    slope: np.ndarray
    level: np.ndarray
    first: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def bound(self) -> np.ndarray:
        """float64 (n,): the largest pre-activation that any picture reaches at that position."""
        return np.asarray(self.level + np.abs(self.slope).reshape(len(self.slope), -1).sum(axis=1) / 2)

    def tilings(self, size: tuple[int, ...], rectified: bool) -> tuple[np.ndarray, np.ndarray]:
        """(the best tilings by the map's mean, the best of those that hold whole patches), each float32 (n, *size, bands)."""
        count = len(self.slope)
        best, whole = np.full(count, -np.inf), np.full(count, -np.inf)
        tie = TIE * (self.bound - self.level)
        pictures = [np.zeros((count, *size, self.slope.shape[-1]), np.float32) for _ in range(2)]
        patch = GREY + np.sign(self.slope) / 2
        field = self.slope.shape[1:-1]
        for period, gap in self._choices():
            tile = _tile(patch, period, gap)
            mean = self._mean(tile, rectified)
            complete = all(own >= needed for own, needed in zip(period, field, strict=True))
            for at, (reached, eligible) in enumerate(((best, True), (whole, complete))):
                won = np.flatnonzero((mean > reached + tie) & eligible)
                if len(won):
                    pictures[at][won] = self._filled(tile[won], size)
                    reached[won] = mean[won]
        return pictures[0], pictures[1]

    def _choices(self) -> Iterator[tuple[tuple[int, ...], float]]:
        field = self.slope.shape[1:-1]
        along = [np.unique(np.linspace(max(1, n - 1), 2 * n, MOST_PERIODS).round().astype(int)) for n in field]
        if len(field) > 2:  # of volumes only cubes: all combinations would be hundreds
            along = [np.array([max(1, n - 1), n]) for n in field]
        for period in product(*along):
            lengths = tuple(int(length) for length in period)
            gapped = any(own > needed for own, needed in zip(lengths, field, strict=True))
            for gap in GAPS if gapped else (GREY,):
                yield lengths, gap

    def _mean(self, tile: np.ndarray, rectified: bool) -> np.ndarray:
        """float64 (n,): the mean of the map on the plane that `tile` (n, *period, bands) fills."""
        period = tile.shape[1:-1]
        axes = tuple(range(1, 1 + len(period)))
        slope = self.slope
        for axis, length in zip(axes, period, strict=True):
            slope = _wrapped(slope, axis, length)
        # A correlation of what repeats itself is a product of spectra.
        spectra = np.conj(np.fft.rfftn(slope, axes=axes)) * np.fft.rfftn(tile - GREY, axes=axes)
        values = np.fft.irfftn(spectra.sum(axis=-1), s=period, axes=axes)
        visited = (slice(None, None, gcd(stride, length)) for stride, length in zip(self.stride, period, strict=True))
        values = values[(slice(None), *visited)].reshape(len(tile), -1) + self.level[:, None]
        return np.asarray((np.maximum(values, 0) if rectified else values).mean(axis=1))

    def _filled(self, tile: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
        """Pictures (n, *size, bands) of repeated tiles, one of which begins where the position's pixels do."""
        for axis, (length, first) in enumerate(zip(size, self.first, strict=True), start=1):
            tile = np.take(tile, (np.arange(length) - first) % tile.shape[axis], axis=axis)
        return tile


def _tile(patch: np.ndarray, period: tuple[int, ...], gap: float) -> np.ndarray:
    """(n, *period, bands): `patch` (n, *field, bands) cut to a shorter period or set into a longer one."""
    tile = np.full((len(patch), *period, patch.shape[-1]), gap)
    inner = tuple(slice(min(own, have)) for own, have in zip(period, patch.shape[1:-1], strict=True))
    tile[(slice(None), *inner)] = patch[(slice(None), *inner)]
    return tile


def _wrapped(values: np.ndarray, axis: int, length: int) -> np.ndarray:
    """`values` with what lies `length` apart along an axis added up, which is then so long."""
    turns = -(-values.shape[axis] // length)
    missing = [(0, turns * length - values.shape[axis]) if at == axis else (0, 0) for at in range(values.ndim)]
    shape = (*values.shape[:axis], turns, length, *values.shape[axis + 1 :])
    return np.asarray(np.pad(values, missing).reshape(shape).sum(axis=axis))


def agree(one: np.ndarray, other: np.ndarray) -> bool | None:
    """Whether filters are affine: each has the same slope at two pictures. None where no filter has a slope.

    one, other: float (n, *size, bands), the gradients of one position by the pictures. Filters that are not finite say nothing.
    """
    first, second = (gradient.reshape(len(gradient), -1).astype(np.float64) for gradient in (one, other))
    largest = np.abs(first).max(axis=1, initial=0)
    telling = np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1) & (largest > 0)
    if not telling.any():
        return None
    return bool((np.abs(first - second)[telling].max(axis=1) <= SAME_SLOPE * largest[telling]).all())


def moved_to(window: tuple[tuple[int, int], ...], slope: np.ndarray) -> tuple[tuple[int, int], ...]:
    """`window`, the first and last pixel along each axis, moved no further than it takes to hold all that is not 0 of `slope`.

    slope: float (n, *size, bands). Where a size is no multiple of the strides, `same` padding puts positions elsewhere than in another.
    """
    seen = np.nan_to_num(slope) != 0
    constant_inputs = []
    for axis, (first, last) in enumerate(window, start=1):
        pixels = np.flatnonzero(seen.any(axis=tuple(other for other in range(seen.ndim) if other != axis)))
        by = max(0, int(pixels[-1]) - last) - max(0, first - int(pixels[0]))
        constant_inputs.append((first + by, last + by))
    return tuple(constant_inputs)
