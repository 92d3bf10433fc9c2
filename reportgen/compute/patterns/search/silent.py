"""The retry for filters that every other search left silent, or nearly so: for single positions, whose stimulus is then tiled."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from math import prod
from typing import Any

import numpy as np

from reportgen.compute.patterns.randomness import derived_seed, generator
from reportgen.compute.patterns.results import Patterns, Search, replaced
from reportgen.compute.patterns.search.canvas import Canvas, fitting_canvas, fitting_window, repeated
from reportgen.compute.patterns.search.gradient import Aim, ObjectiveGradient
from reportgen.compute.patterns.search.measurement import Measurement
from reportgen.compute.patterns.search.pixel_steps import PixelAscent
from reportgen.compute.patterns.shared import Shared
from reportgen.network.backend import fused
from reportgen.network.graph.axis_reach import Reach
from reportgen.network.graph.layer_calls import LayerCall

# The period of the canvas in receptive fields, where what activates single positions is repeated.
POSITION_FIELDS = 3.0
# Of the receptive field: periods that what activated a filter is repeated in.
TILE_SHARES = (0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0)
# Steps for single positions that wake planted filters, and how many on a whole picture all of them may cost.
FEWEST = 16
ALONE = 1  # filter of a batch: there are seldom more, and rounding may depend on what else is in a batch
NOISE = 0.05  # deviation around mid-grey of the start


class SilentSearch:
    """Retries a layer's silent filters, each by itself."""

    def __init__(
        self,
        shared: Shared,
        layer_call: LayerCall,
        size: tuple[int, ...],
        gradient: ObjectiveGradient,
        pixel_ascent: PixelAscent,
        faint: float,
        dead: np.ndarray,
    ) -> None:
        """Args beyond those of `StrongestSearch`.

        faint: the activation up to which a filter is retried. dead: bool (channels,), which units are proven dead and not retried.
        """
        self._traced, self._layer_call, self._size = shared.network.contract.size, layer_call, size
        self._recipe, self._seed, self._gradient = shared.recipe, shared.seed, gradient
        self._measurement = Measurement(shared, layer_call, size, ALONE)
        self._pixel_ascent, self._faint, self._dead = pixel_ascent, faint, dead

    @cached_property
    def _window(self) -> Canvas:
        """Where a single position is searched; computed, and so traced, only where a filter is silent."""
        return fitting_window(self._layer_call, self._size, self._traced, self._function)

    @cached_property
    def _canvas(self) -> Canvas:
        """Where the mean is searched from there."""
        trace = partial(self._function, aim=Aim.STRONGEST)
        return fitting_canvas(self._layer_call, self._size, self._traced, POSITION_FIELDS, trace)

    def _function(self, canvas: Canvas, aim: Aim = Aim.POSITIONS) -> Any:
        return self._gradient.function(canvas, ALONE, aim)

    @property
    def steps(self) -> tuple[int, int]:
        """Steps for a single position and for the mean: on whole pictures no more than a first ascent takes, but never too few."""
        mean = self._recipe.strongest_steps // (2 if self._canvas.is_whole else 1)
        measuring = len(TILE_SHARES) // 2  # in steps: two measurements cost as much as one
        first = self._recipe.steps + self._recipe.strongest_steps - mean - measuring
        affordable = max(FEWEST, first) * prod(self._size) // prod(self._window.size)
        return min(self._recipe.retry_steps, affordable), mean

    def silent(self, patterns: Patterns) -> np.ndarray:
        """Which filters are to be retried: bool (n,)."""
        retries = self._gradient.rectified and self._recipe.retry_steps > 0
        return np.asarray(retries & (patterns.strongest_activation <= self._faint) & ~self._dead[patterns.indices])

    def run(self, patterns: Patterns) -> Patterns:
        """The patterns, those of silent filters retried."""
        rows = np.flatnonzero(self.silent(patterns))
        if len(rows) == 0:
            return patterns
        silent = patterns.rows(rows)
        pictures = self._searched(silent.indices)
        tilings = self._tilings(silent, pictures[0])
        return replaced(
            patterns, rows, self._measurement.completed(silent, [*pictures, *tilings], Search.SILENT_FILTERS)
        )

    def _searched(self, filters: np.ndarray) -> list[np.ndarray]:
        """The pictures that the search of some filters ends at: from noise for single positions, and on from there for the mean."""
        with fused():
            ended = [self._search(int(one)) for one in filters]
        return [np.concatenate(pictures) for pictures in zip(*ended, strict=True)]

    def _search(self, number: int) -> list[np.ndarray]:
        """The two pictures (1, *size, bands) of one filter: of a window that repeats itself, and of what the mean makes of it."""
        recipe, window, canvas, run = self._recipe, self._window, self._canvas, self._pixel_ascent.run
        filters, rate = np.array([number], np.int32), recipe.retry_learning_rate
        random = generator(derived_seed(self._seed, self._layer_call.path, number, "noise"))
        drawn = random.standard_normal((ALONE, *window.period, self._gradient.bands), dtype=np.float32)
        noise = np.clip(0.5 + NOISE * drawn, 0, 1).astype(np.float32)
        positions, mean = self.steps
        first = window.filled(np.asarray(run(window, Aim.POSITIONS, noise, filters, positions, rate)), self._size)
        second = run(canvas, Aim.STRONGEST, canvas.cropped(first), filters, mean, rate / 2)
        return [first, canvas.filled(np.asarray(second), self._size)]

    def _tilings(self, patterns: Patterns, pictures: np.ndarray) -> list[np.ndarray]:
        """What activates each filter, cut out of `pictures` (n, *size, bands) and tiled in several periods; none of unknown fields."""
        axes = self._layer_call.even_axes
        if axes is None or self._layer_call.times:
            return []
        windows = np.stack(
            [
                self._seen_from(self._gradient.highest_position(picture[None], number), axes, picture)
                for picture, number in zip(pictures, patterns.indices, strict=True)
            ]
        )
        tilings = []
        for share in TILE_SHARES:
            periods = [max(axis.shift, round(share * axis.size / axis.shift) * axis.shift) for axis in axes]
            tilings.append(repeated(windows[(slice(None), *map(slice, periods))], self._size))
        return tilings

    def _seen_from(self, place: np.ndarray, axes: Sequence[Reach], picture: np.ndarray) -> np.ndarray:
        """What a position of the map sees of `picture` (*size, bands), moved inside where that is cut off by the border."""
        inner = []
        for axis, length, position in zip(axes, self._size, place, strict=True):
            seen, side = axis.at(int(position)), min(axis.size, length)
            assert seen is not None
            first = min(max(0, seen[0]), length - side)
            inner.append(slice(first, first + side))
        return picture[tuple(inner)]
