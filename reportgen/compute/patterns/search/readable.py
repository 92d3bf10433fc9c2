"""The readable ascent: from the start that excites a filter most, by gradient steps of coefficients and then of single pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import cos, pi, sqrt

import numpy as np

from reportgen.compute.activation_scores import Scores, padded
from reportgen.compute.patterns import results, starts
from reportgen.compute.patterns.objectives import Direction
from reportgen.compute.patterns.optimizers import BatchOptimizer
from reportgen.compute.patterns.parameterization import Parameterization
from reportgen.compute.patterns.randomness import derived_seed
from reportgen.compute.patterns.recipe import KERAS_IO_SIDE, Recipe
from reportgen.compute.patterns.results import Patterns, Search
from reportgen.compute.patterns.search.canvas import whole
from reportgen.compute.patterns.search.gradient import ObjectiveGradient
from reportgen.compute.patterns.search.measurement import Measurement
from reportgen.compute.patterns.search.pixel_steps import Aim, PixelAscent
from reportgen.compute.patterns.search.threads import Threads
from reportgen.compute.patterns.transforms import Warps
from reportgen.core.axes import RGB_CHANNELS
from reportgen.network.backend import fused

FAINT = 0.01  # of the largest activation of the layer's starts: a filter below it is treated as silent


@dataclass(frozen=True)
class _Start:
    """Where one ascent of n filters begins.

    seeds: that each start was drawn from. coefficients: float32 (n, ...). images: those as finished pictures. scores: (n,) each, of every
    filter on its own one.
    """

    filters: np.ndarray
    direction: Direction
    seeds: tuple[int, ...]
    coefficients: np.ndarray
    images: np.ndarray
    scores: Scores


class ReadableAscent:
    """Optimizes batches of pictures, all of one shape, so that a picture does not depend on its neighbours."""

    def __init__(
        self,
        path: str,
        size: tuple[int, ...],
        recipe: Recipe,
        seed: int,
        parameters: Parameterization,
        bank: np.ndarray | None,
        gradient: ObjectiveGradient,
        measurement: Measurement,
        pixel_ascent: PixelAscent,
        warps: Warps,
        threads: Threads,
    ) -> None:
        """path: of the layer, for seeds. bank: starts that all filters share, None where each has its own noise."""
        self._path, self._size, self._recipe, self._seed = path, size, recipe, seed
        self._parameters, self._gradient, self._measurement = parameters, gradient, measurement
        self._pixel_ascent, self._warps, self._threads = pixel_ascent, warps, threads
        self._bank = bank
        if bank is not None:
            self._bank_images = measurement.finished(bank)
            self._bank_scores = measurement.scores(self._bank_images)
        self._optimizers = [self._optimizer()]

    def _optimizer(self) -> BatchOptimizer:
        shape = (self._gradient.batch, *self._parameters.shape)
        return BatchOptimizer(self._recipe.optimizer, shape, self._recipe.clip_norm is None)

    @property
    def faint(self) -> float:
        """The activation up to which a filter of this layer is treated as silent."""
        if self._bank is None:
            return 0.0
        activation = self._bank_scores.activation
        return FAINT * float(np.max(activation[np.isfinite(activation)], initial=0))

    def prepare(self, direction: Direction) -> None:
        """Trace what every batch in this direction needs, before threads ask for it."""
        if self._recipe.coefficient_steps > 0:
            self._gradient.prepare(direction)
        if self._recipe.pixel_steps > 0:
            self._pixel_ascent.steps(whole(self._size), self._gradient.batch, Aim.READABLE, direction)

    def run(
        self, batches: Sequence[tuple[Sequence[int], Direction]], restart: int, on_step: Callable[[], None]
    ) -> list[Patterns]:
        """The patterns of one ascent of every batch of filters."""
        begun = [self._started(np.array(filters, np.int32), restart, direction) for filters, direction in batches]
        while len(self._optimizers) < len(begun):
            self._optimizers.append(self._optimizer())
        ends = self._threads.run(
            [
                partial(self._ascended, start, optimizer, on_step)
                for start, optimizer in zip(begun, self._optimizers, strict=False)
            ],
            fused,
        )
        return [self._ended(start, *end) for start, end in zip(begun, ends, strict=True)]

    def _ascended(
        self, start: _Start, optimizer: BatchOptimizer, on_step: Callable[[], None]
    ) -> tuple[np.ndarray, np.ndarray]:
        """(the finished pictures, bool (batch,) for which of them the gradient was let through silent rectifiers)."""
        batch = self._gradient.batch
        indices = padded(start.filters, batch)
        position = optimizer.start(padded(start.coefficients, batch))
        redirected_relu = np.zeros(batch, bool)
        for number, rate in enumerate(self._learning_rates()):
            if self._threads.stopping:
                break
            gradient, redirected = self._gradient.at_step(
                number, position, indices, self._warps[number + 1], start.direction
            )
            redirected_relu |= redirected
            position = optimizer.step(gradient, rate)
            on_step()
        if self._recipe.pixel_steps == 0:
            return self._measurement.finished(position), redirected_relu
        pictures = self._pixel_ascent.run(
            self._pixel_ascent.steps(whole(self._size), batch, Aim.READABLE, start.direction),
            self._parameters.to_pictures(position),
            indices,
            self._recipe.pixel_steps,
            self._recipe.pixel_learning_rate,
            on_step,
        )
        return self._measurement.rounded(pictures), redirected_relu

    def _ended(self, start: _Start, images: np.ndarray, redirected_relu: np.ndarray) -> Patterns:
        """The finished pictures, measured, with their starts."""
        scores, count = self._measurement.scores(images), len(start.filters)
        patterns = results.of_ascent(
            start.filters,
            images[:count],
            scores.of(np.arange(count), start.filters),
            scores.activation[:count],
            start.scores,
            redirected_relu[:count],
            start.seeds,
        )
        if start.direction is Direction.MINIMIZE:
            return patterns
        return patterns.with_candidates(start.images, start.scores, Search.START)

    def _started(self, filters: np.ndarray, restart: int, direction: Direction) -> _Start:
        """Where filters begin: in the bank while it lasts, measured once for all filters; then each in its own noise."""
        if self._bank is not None and restart < len(self._bank):
            chosen = self._ranked(filters, direction)[restart]
            seeds = tuple(starts.bank_seed(self._seed, self._path, int(number)) for number in chosen)
            own = self._bank_scores.of(chosen, filters)
            return _Start(filters, direction, seeds, self._bank[chosen], self._bank_images[chosen], own)
        key = ("start",) if restart == 0 else ("start", restart)
        seeds = tuple(derived_seed(self._seed, self._path, int(number), *key) for number in filters)
        noise = np.stack([self._parameters.start(seed) for seed in seeds])
        images = self._measurement.finished(padded(noise, self._gradient.batch))
        own = self._measurement.own_scores(images[: len(filters)], filters)
        return _Start(filters, direction, seeds, noise, images[: len(filters)], own)

    def _ranked(self, filters: np.ndarray, direction: Direction) -> np.ndarray:
        """For each of n filters the numbers of the bank's starts, the best first: int (k, n)."""
        value = self._gradient.from_scores(self._bank_scores, filters, direction)
        return np.argsort(-np.nan_to_num(value, nan=-np.inf), axis=0, kind="stable")

    def _learning_rates(self) -> list[float]:
        """The optimizer's learning rate at every step of coefficients."""
        recipe, steps = self._recipe, self._recipe.coefficient_steps
        rates = [recipe.learning_rate] * steps
        if recipe.schedule == "cosine":
            rates = [recipe.learning_rate * ((1 + cos(pi * number / steps)) / 2) for number in range(steps)]
        if recipe.keras_io_steps:  # stated for a gradient of unit length there
            rates = [rate / sqrt(KERAS_IO_SIDE * KERAS_IO_SIDE * RGB_CHANNELS) for rate in rates]
        return rates
