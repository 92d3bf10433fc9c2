"""The retry for filters that every other search left silent, or nearly so: for single positions, whose stimulus is then tiled."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cached_property, partial

import numpy as np

from reportgen.compute.activation_scores import padded
from reportgen.compute.patterns.randomness import derived_seed, generator
from reportgen.compute.patterns.recipe import Recipe
from reportgen.compute.patterns.results import Patterns, Search, joined, replaced
from reportgen.compute.patterns.search.canvas import Canvas, fitting_canvas, repeated
from reportgen.compute.patterns.search.gradient import ObjectiveGradient
from reportgen.compute.patterns.search.measurement import Measurement
from reportgen.compute.patterns.search.pixel_steps import Aim, PixelAscent
from reportgen.compute.patterns.search.threads import Threads
from reportgen.network.backend import fused
from reportgen.network.graph.axis_reach import Reach
from reportgen.network.graph.layer_calls import LayerCall
from reportgen.network.network import Network

COSTLY = 8  # times the steps of a retry: parts that took so many do not wait for more silent filters
# The period of the canvas in receptive fields: what is active at single positions only needs room between them.
POSITION_FIELDS = 3.0
# Of the receptive field: periods that what activated a filter is repeated in.
TILE_SHARES = (0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0)
BATCH = 2  # silent filters at once: there are seldom more, and a batch is always filled
NOISE = 0.05  # deviation around mid-grey of the start


class SilentSearch:
    """Retries a layer's silent filters, several parts' together, always in batches of one shape."""

    def __init__(
        self,
        network: Network,
        layer_call: LayerCall,
        size: tuple[int, ...],
        recipe: Recipe,
        seed: int,
        gradient: ObjectiveGradient,
        measurement: Measurement,
        pixel_ascent: PixelAscent,
        threads: Threads,
        abreast: int,
        faint: float,
        dead: np.ndarray,
    ) -> None:
        """Args beyond those of `StrongestSearch`.

        abreast: batches that run at once. faint: the activation up to which a filter is retried. dead: bool (channels,), which units are
        proven dead and not retried.
        """
        self._network, self._layer_call, self._size = network, layer_call, size
        self._recipe, self._seed, self._gradient = recipe, seed, gradient
        self._measurement, self._pixel_ascent, self._threads = measurement, pixel_ascent, threads
        self._batch, self._abreast = min(gradient.batch, BATCH), abreast
        self._faint, self._dead = faint, dead

    @cached_property
    def _canvas(self) -> Canvas:
        """Where single positions are searched that must not meet; computed, and so traced, only where a filter is silent."""
        return fitting_canvas(self._network, self._layer_call, self._size, POSITION_FIELDS)

    def silent(self, patterns: Patterns) -> np.ndarray:
        """Which filters are to be retried: bool (n,)."""
        retries = self._gradient.rectified and self._recipe.retry_steps > 0
        return np.asarray(retries & (patterns.strongest_activation <= self._faint) & ~self._dead[patterns.indices])

    def is_due(self, waiting: Collection[Patterns]) -> bool:
        """Whether silent filters fill what runs at once, or what would be lost by waiting is costly beside a retry."""
        silent = sum(self.silent(part).sum() for part in waiting)
        taken = len(waiting) * self._recipe.restarts * self._recipe.steps
        return bool(silent >= self._batch * self._abreast or taken >= COSTLY * self._recipe.retry_steps > 0)

    def run(self, waiting: dict[int, Patterns]) -> Iterator[tuple[int, Patterns]]:
        """The parts by their numbers, their silent filters retried."""
        if not waiting:
            return
        silent = joined([part.rows(np.flatnonzero(self.silent(part))) for part in waiting.values()])
        batches = [
            silent.rows(np.arange(at, min(at + self._batch, len(silent.indices))))
            for at in range(0, len(silent.indices), self._batch)
        ]
        again: list[Patterns] = []
        for at in range(0, len(batches), self._abreast):
            some = batches[at : at + self._abreast]
            ended = self._threads.run([self._searching(each) for each in some], fused)
            tiled = [[*pictures, *self._tilings(each, pictures[0])] for each, pictures in zip(some, ended, strict=True)]
            again += self._threads.run(
                [
                    partial(self._measurement.completed, *each, Search.SILENT_FILTERS)
                    for each in zip(some, tiled, strict=True)
                ]
            )
        retried, taken = joined(again), 0
        for number, part in waiting.items():
            rows = np.flatnonzero(self.silent(part))
            yield number, replaced(part, rows, retried.rows(np.arange(taken, taken + len(rows))))
            taken += len(rows)

    def _searching(self, patterns: Patterns) -> Callable[[], list[np.ndarray]]:
        """The search of one batch: from noise for single positions, and on from there for the mean."""
        recipe, canvas, run = self._recipe, self._canvas, self._pixel_ascent.run
        # Now: threads only ask for what is there.
        positions, spread = (
            self._pixel_ascent.steps(canvas, self._batch, aim) for aim in (Aim.POSITIONS, Aim.STRONGEST)
        )

        def search() -> list[np.ndarray]:
            indices, count = padded(patterns.indices, self._batch), len(patterns.indices)
            seeds = [
                derived_seed(self._seed, self._layer_call.path, int(number), "noise") for number in patterns.indices
            ]
            drawn = [generator(seed).standard_normal(positions.shape[1:], dtype=np.float32) for seed in seeds]
            noise = np.clip(0.5 + NOISE * np.stack(drawn), 0, 1).astype(np.float32)
            rate = recipe.retry_learning_rate
            first = run(positions, padded(noise, self._batch), indices, recipe.retry_steps, rate)
            second = run(spread, first, indices, recipe.strongest_steps, rate / 2)
            return [canvas.filled(np.asarray(each)[:count], self._size) for each in (first, second)]

        return search

    def _tilings(self, patterns: Patterns, pictures: np.ndarray) -> list[np.ndarray]:
        """What activates each filter, cut out of `pictures` (n, *size, bands) and tiled in several periods; none of unknown fields."""
        axes = self._layer_call.even_axes
        if axes is None or self._layer_call.times:
            return []
        shown, indices = padded(pictures, self._batch), padded(patterns.indices, self._batch)
        places = self._gradient.highest_positions(shown, indices)[: len(pictures)]
        windows = np.stack(
            [self._seen_from(place, axes, picture) for place, picture in zip(places, pictures, strict=True)]
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
