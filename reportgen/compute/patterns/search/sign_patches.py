"""The strongest picture in closed form where a filter is affine in the picture, as in a first layer: the sign patch and its tilings.

Such a filter gives at one position `level` + sum of `gradient` times (pixel - 1/2). Over pixels between 0 and 1 that is largest where every
pixel is white whose gradient is positive and black where it is negative: a linear program over a box, solved by the signs. What the whole
map can reach at most is not known in closed form, but tilings of that patch come close, and their mean is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import gcd

import numpy as np

from reportgen.compute.activation_scores import padded
from reportgen.compute.patterns.randomness import derived_seed, generator
from reportgen.compute.patterns.search.gradient import ObjectiveGradient
from reportgen.network.graph.layer_calls import LayerCall

GREY = 0.5
LARGEST_FIELD = 32  # pixels: kernels that see more are not treated as affine
GAPS = (0.0, GREY, 1.0)  # what lies between patches whose period is longer than the field
MAX_PERIODS = 7  # tried along an axis, from one pixel less than the field to twice the field
SAME_GRADIENT = 1e-3  # of a filter's largest: differences of gradients at two pictures below it are rounding
TIE = 1e-9  # of the most that a filter can change by: tilings that differ by less are equally good, the first is taken


@dataclass(frozen=True)
class Affine:
    """n filters that are affine in the picture.

    gradient: float64 (n, *field, bands), of the pre-activation at one position by the pixels that it sees, between 0 and 1. level: float64
    (n,), there on mid-grey. first: where in the picture those pixels begin. stride: pixels between neighbouring positions.
    """

    gradient: np.ndarray
    level: np.ndarray
    first: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def bound(self) -> np.ndarray:
        """float64 (n,): the largest pre-activation that any picture reaches at that position."""
        return np.asarray(self.level + np.abs(self.gradient).reshape(len(self.gradient), -1).sum(axis=1) / 2)

    def tilings(self, size: tuple[int, ...], rectified: bool) -> tuple[np.ndarray, np.ndarray]:
        """(the best tilings by the map's mean, the best of those that hold whole patches), each float32 (n, *size, bands)."""
        count = len(self.gradient)
        best, whole = np.full(count, -np.inf), np.full(count, -np.inf)
        tie = TIE * (self.bound - self.level)
        pictures = [np.zeros((count, *size, self.gradient.shape[-1]), np.float32) for _ in range(2)]
        patch = GREY + np.sign(self.gradient) / 2
        field = self.gradient.shape[1:-1]
        for period, gap in self.choices():
            tile = tile_of(patch, period, gap)
            mean = self.mean(tile, rectified)
            complete = all(own >= needed for own, needed in zip(period, field, strict=True))
            for at, (reached, eligible) in enumerate(((best, True), (whole, complete))):
                won = np.flatnonzero((mean > reached + tie) & eligible)
                if len(won):
                    pictures[at][won] = self.filled(tile[won], size)
                    reached[won] = mean[won]
        return pictures[0], pictures[1]

    def choices(self) -> Iterator[tuple[tuple[int, ...], float]]:
        """The tilings that are tried: their period, and what lies between patches."""
        field = self.gradient.shape[1:-1]
        along = [np.unique(np.linspace(max(1, n - 1), 2 * n, MAX_PERIODS).round().astype(int)) for n in field]
        if len(field) > 2:  # of volumes only cubes: all combinations would be hundreds
            along = [np.array([max(1, n - 1), n]) for n in field]
        for period in product(*along):
            lengths = tuple(int(length) for length in period)
            gapped = any(own > needed for own, needed in zip(lengths, field, strict=True))
            for gap in GAPS if gapped else (GREY,):
                yield lengths, gap

    def mean(self, tile: np.ndarray, rectified: bool) -> np.ndarray:
        """float64 (n,): the mean of the map on the plane that `tile` (n, *period, bands) fills."""
        period = tile.shape[1:-1]
        axes = tuple(range(1, 1 + len(period)))
        gradient = self.gradient
        for axis, length in zip(axes, period, strict=True):
            gradient = _wrapped(gradient, axis, length)
        # A correlation of what repeats itself is a product of spectra.
        spectra = np.conj(np.fft.rfftn(gradient, axes=axes)) * np.fft.rfftn(tile - GREY, axes=axes)
        values = np.fft.irfftn(spectra.sum(axis=-1), s=period, axes=axes)
        visited = (slice(None, None, gcd(stride, length)) for stride, length in zip(self.stride, period, strict=True))
        values = values[(slice(None), *visited)].reshape(len(tile), -1) + self.level[:, None]
        return np.asarray((np.maximum(values, 0) if rectified else values).mean(axis=1))

    def filled(self, tile: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
        """Pictures (n, *size, bands) of repeated tiles, one of which begins where the position's pixels do."""
        for axis, (length, first) in enumerate(zip(size, self.first, strict=True), start=1):
            tile = np.take(tile, (np.arange(length) - first) % tile.shape[axis], axis=axis)
        return tile


def tile_of(patch: np.ndarray, period: tuple[int, ...], gap: float) -> np.ndarray:
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
    """Whether filters are affine: each has the same gradient at two pictures; None where no filter has one.

    one, other: float (n, *size, bands), the gradients of one position by the pictures. Filters that are not finite say nothing.
    """
    first, second = (each.reshape(len(each), -1).astype(np.float64) for each in (one, other))
    largest = np.abs(first).max(axis=1, initial=0)
    telling = np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1) & (largest > 0)
    if not telling.any():
        return None
    return bool((np.abs(first - second)[telling].max(axis=1) <= SAME_GRADIENT * largest[telling]).all())


def moved_to(window: tuple[tuple[int, int], ...], gradient: np.ndarray) -> tuple[tuple[int, int], ...]:
    """`window`, the first and last pixel along each axis, moved no further than it takes to hold all that is not 0 of `gradient`.

    gradient: float (n, *size, bands). Where a size is no multiple of the strides, `same` padding puts positions elsewhere than in another.
    """
    seen = np.nan_to_num(gradient) != 0
    moved = []
    for axis, (first, last) in enumerate(window, start=1):
        pixels = np.flatnonzero(seen.any(axis=tuple(other for other in range(seen.ndim) if other != axis)))
        by = max(0, int(pixels[-1]) - last) - max(0, first - int(pixels[0]))
        moved.append((first + by, last + by))
    return tuple(moved)


class SignPatches:
    """The tilings of sign patches of one layer whose units are affine in the picture before their activation."""

    def __init__(
        self,
        layer_call: LayerCall,
        size: tuple[int, ...],
        gradient: ObjectiveGradient,
        place: tuple[int, ...],
        window: tuple[tuple[int, int], ...],
    ) -> None:
        """place: a position of the map that sees no border. window: the first and last pixel along each axis that it sees."""
        self._layer_call, self._size, self._gradient = layer_call, size, gradient
        self.place, self.window = place, window

    @classmethod
    def find(
        cls, layer_call: LayerCall, size: tuple[int, ...], gradient: ObjectiveGradient, seed: int
    ) -> SignPatches | None:
        """Return the sign patches of a layer call.

        None where units are not affine in the picture before their activation, as far as some of them show, or where no position sees so
        little.
        """
        clear = _clear_position(layer_call, size)
        if clear is None:
            return None
        place, window = clear
        key = derived_seed(seed, layer_call.path, "affine")
        grey, batch = _grey(size, gradient), gradient.batch
        other = generator(key).random(grey.shape, dtype=np.float32)
        for at in range(0, layer_call.channels, batch):  # seldom beyond the first: there all may be dead
            filters = padded(np.arange(at, min(at + batch, layer_call.channels), dtype=np.int32), batch)
            try:
                (_, one), (_, two) = (gradient.at_position(each, filters, place) for each in (grey, other))
            except Exception:  # a map whose axes are not those of the picture
                return None
            affine = agree(one, two)
            if affine is not None:
                return cls(layer_call, size, gradient, place, moved_to(window, one)) if affine else None
        return None

    def affine(self, filters: np.ndarray) -> Affine:
        """The affine form of some filters."""
        axes, batch = self._layer_call.even_axes, self._gradient.batch
        assert axes is not None
        grey = _grey(self._size, self._gradient)
        parts = [
            self._gradient.at_position(grey, padded(filters[at : at + batch], batch), self.place)
            for at in range(0, len(filters), batch)
        ]
        level, gradients = (np.concatenate(values)[: len(filters)] for values in zip(*parts, strict=True))
        inner = tuple(slice(first, last + 1) for first, last in self.window)
        return Affine(
            gradients[(slice(None), *inner)].astype(np.float64),
            level.astype(np.float64),
            tuple(first for first, _ in self.window),
            tuple(axis.shift for axis in axes),
        )

    def tilings(self, filters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(the best tilings of the filters' sign patches, the best that hold whole patches), float32 (n, *size, bands)."""
        return self.affine(filters).tilings(self._size, self._gradient.rectified)


def _grey(size: tuple[int, ...], gradient: ObjectiveGradient) -> np.ndarray:
    return np.full((gradient.batch, *size, gradient.bands), GREY, np.float32)


def _clear_position(
    layer_call: LayerCall, size: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[tuple[int, int], ...]] | None:
    """(a position of the map, what it sees) as in `SignPatches`; None where no position sees so little and no border."""
    axes = layer_call.even_axes
    if axes is None or layer_call.is_output or layer_call.times or max(axis.size for axis in axes) > LARGEST_FIELD:
        return None
    place, window = [], []
    for axis, length in zip(axes, size, strict=True):
        start = axis.at(0)
        assert start is not None
        positions = max(1, -(-length // axis.shift))
        middle = min(positions // 2, (length - 1 - start[1]) // axis.shift)
        middle = max(middle, -(start[0] // axis.shift))
        first, last = (end + axis.shift * middle for end in start)
        if first < 0 or last >= length:
            return None
        place.append(middle)
        window.append((first, last))
    return tuple(place), tuple(window)
