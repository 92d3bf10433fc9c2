"""The readable ascent: from the start that excites a filter most, by gradient steps of coefficients and then of single pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import cos, pi, sqrt
from typing import Any

import numpy as np

from reportgen.compute.activation_scores import SCORES, Scores, padded
from reportgen.compute.patterns import results, starts
from reportgen.compute.patterns.objectives import Direction
from reportgen.compute.patterns.pipeline import PicturePipeline
from reportgen.compute.patterns.randomness import derived_seed
from reportgen.compute.patterns.recipe import KERAS_IO_SIDE
from reportgen.compute.patterns.results import Patterns, Search
from reportgen.compute.patterns.search.canvas import whole
from reportgen.compute.patterns.search.gradient import Aim, ObjectiveGradient
from reportgen.compute.patterns.search.measurement import Measurement
from reportgen.compute.patterns.search.pixel_steps import PixelAscent
from reportgen.compute.patterns.shared import Shared
from reportgen.core.axes import RGB_CHANNELS
from reportgen.network.backend import fused
from reportgen.network.graph.layer_calls import LayerCall

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
    """Optimizes pictures in batches of one shape, several at once, so that a picture does not depend on its neighbours."""

    def __init__(
        self,
        shared: Shared,
        layer_call: LayerCall,
        size: tuple[int, ...],
        gradient: ObjectiveGradient,
        measurement: Measurement,
        pixel_ascent: PixelAscent,
        pipeline: PicturePipeline,
    ) -> None:
        """size: of the pictures, without color channels."""
        self._path, self._size, self._recipe, self._seed = layer_call.path, size, shared.recipe, shared.seed
        self._gradient, self._measurement, self._pixel_ascent = gradient, measurement, pixel_ascent
        self._pipeline = pipeline
        bank = shared.bank(size)
        self._bank: np.ndarray | None = None
        if bank is not None:
            field = None if layer_call.receptive_field is None else max(layer_call.receptive_field)
            offered = bank.offered(field)
            self._bank, self._bank_images = bank.coefficients[offered], shared.bank_images(size)[offered]
            scores = shared.bank_scores(layer_call, size)
            self._bank_scores = Scores(*(getattr(scores, name)[offered] for name in SCORES))
            self._bank_seeds = [starts.bank_seed(shared.seed, bank.noise_of(int(place))) for place in offered]

    @property
    def faint(self) -> float:
        """The activation up to which a filter of this layer is treated as silent."""
        if self._bank is None:
            return 0.0
        activation = self._bank_scores.activation
        return FAINT * float(np.max(activation[np.isfinite(activation)], initial=0))

    def prepare(self, direction: Direction) -> None:
        """Trace what every batch in this direction needs."""
        self._gradient.function(whole(self._size), self._gradient.batch, Aim.READABLE, direction)

    def run(self, filters: Sequence[int], direction: Direction, restart: int, on_step: Callable[[], None]) -> Patterns:
        """The patterns of one ascent of some filters."""
        begun = self._started(np.array(filters, np.int32), restart, direction)
        with fused():
            images, redirected_relu = self._ascended(begun.filters, begun.coefficients, direction, on_step)
        return self._ended(begun, images, redirected_relu)

    def _ascended(
        self,
        filters: np.ndarray,
        coefficients: np.ndarray,
        direction: Direction,
        on_step: Callable[[], None],
    ) -> tuple[np.ndarray, np.ndarray]:
        """(the finished pictures of a batch, bool (n,) for which of them the gradient was let through silent rectifiers)."""
        batch, count = self._gradient.batch, len(filters)
        indices = padded(filters, batch)
        position: Any = padded(coefficients, batch)
        redirected_relu = np.zeros(batch, bool)
        if self._recipe.coefficient_steps > 0:
            optimizer = self._pipeline.optimizer()
            position = optimizer.start(position)
            for number, rate in enumerate(self._learning_rates()):
                gradient, redirected = self._gradient.at_step(number, position, indices, direction)
                redirected_relu |= redirected
                position = optimizer.step(gradient, rate)
                on_step()
        if self._recipe.pixel_steps == 0:
            return self._measurement.finished(position)[:count], redirected_relu[:count]
        pictures = self._pixel_ascent.run(
            whole(self._size),
            Aim.READABLE,
            self._pipeline.parameters.to_pictures(position),
            indices,
            self._recipe.pixel_steps,
            self._recipe.pixel_learning_rate,
            on_step,
            direction,
        )
        return self._measurement.rounded(pictures)[:count], redirected_relu[:count]

    def _ended(self, start: _Start, images: np.ndarray, redirected_relu: np.ndarray) -> Patterns:
        """The finished pictures, measured, with their starts."""
        scores = self._measurement.scores(images)
        patterns = results.of_ascent(
            start.filters,
            images,
            scores.of(np.arange(len(images)), start.filters),
            scores.activation,
            start.scores,
            redirected_relu,
            start.seeds,
        )
        if start.direction is Direction.MINIMIZE:
            return patterns
        return patterns.with_candidates(start.images, start.scores, Search.START)

    def _started(self, filters: np.ndarray, restart: int, direction: Direction) -> _Start:
        """Where filters begin: in the bank while it lasts, measured once for all filters; then each in its own noise."""
        if self._bank is not None and restart < len(self._bank):
            chosen = self._ranked(filters, direction)[restart]
            seeds = tuple(self._bank_seeds[number] for number in chosen)
            own = self._bank_scores.of(chosen, filters)
            return _Start(filters, direction, seeds, self._bank[chosen], self._bank_images[chosen], own)
        key = ("start",) if restart == 0 else ("start", restart)
        seeds = tuple(derived_seed(self._seed, self._path, int(number), *key) for number in filters)
        noise = np.stack([self._pipeline.parameters.start(seed) for seed in seeds])
        images = self._measurement.finished(noise)
        return _Start(filters, direction, seeds, noise, images, self._measurement.own_scores(images, filters))

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
