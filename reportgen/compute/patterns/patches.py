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
SAME_SLOPE = 1e-3  # of the largest: slopes at two pictures that differ by less are rounding


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
        pictures = [np.zeros((count, *size, self.slope.shape[-1]), np.float32) for _ in range(2)]
        patch = GREY + np.sign(self.slope) / 2
        field = self.slope.shape[1:-1]
        for period, gap in self._choices():
            tile = _tile(patch, period, gap)
            mean = self._mean(tile, rectified)
            complete = all(own >= needed for own, needed in zip(period, field, strict=True))
            for at, (reached, eligible) in enumerate(((best, True), (whole, complete))):
                won = np.flatnonzero((mean > reached) & eligible)
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
        windows = tile - GREY
        rank = len(self.stride)
        for axis, (period, length, stride) in enumerate(
            zip(tile.shape[1:-1], self.slope.shape[1:-1], self.stride, strict=True)
        ):
            visited = np.arange(0, period, gcd(stride, period))
            places = (visited[:, None] + np.arange(length)) % period
            windows = np.take(windows, places, axis=1 + 2 * axis)
        offsets = [1 + 2 * axis for axis in range(rank)]
        pixels = [2 + 2 * axis for axis in range(rank)]
        ordered = windows.transpose(0, *offsets, *pixels, windows.ndim - 1).reshape(len(tile), -1, self.slope[0].size)
        values = np.einsum("nop,np->no", ordered, self.slope.reshape(len(tile), -1)) + self.level[:, None]
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


def affine(
    gradients: tuple[np.ndarray, np.ndarray],
    level: np.ndarray,
    window: tuple[tuple[int, int], ...],
    stride: tuple[int, ...],
) -> Affine | None:
    """The filters, or None where they are not affine.

    gradients: float (n, *size, bands) each, of one position by the picture, at two pictures. level: (n,), that position on mid-grey.
    window: the first and last pixel along each axis that the position sees.
    """
    one, other = (np.asarray(gradient, np.float64) for gradient in gradients)
    largest = np.abs(one).max(initial=0)
    if not np.isfinite(largest) or largest == 0 or np.abs(one - other).max() > SAME_SLOPE * largest:
        return None
    inner = tuple(slice(first, last + 1) for first, last in window)
    return Affine(
        one[(slice(None), *inner)], np.asarray(level, np.float64), tuple(first for first, _ in window), stride
    )
