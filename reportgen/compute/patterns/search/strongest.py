"""The search for each filter's strongest response, readable or not: on from its pattern, or from a tiling of its sign patch."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from reportgen.compute.activation_scores import padded
from reportgen.compute.patterns.recipe import Recipe
from reportgen.compute.patterns.results import Patterns, Search
from reportgen.compute.patterns.search.canvas import Canvas, fitting_canvas, whole
from reportgen.compute.patterns.search.gradient import Aim, ObjectiveGradient
from reportgen.compute.patterns.search.measurement import Measurement
from reportgen.compute.patterns.search.pixel_steps import PixelAscent
from reportgen.compute.patterns.search.sign_patches import SignPatches
from reportgen.network.backend import fused
from reportgen.network.graph.layer_calls import LayerCall
from reportgen.network.network import Network

MAX_STEPS_FACTOR = 3  # times the steps of a search, where the canvas is so much smaller than the picture
TILED_STEP = 0.2  # of the step size, where a search begins at a tiled sign patch, which is nearly the best
UNRECTIFIED_STEP = 0.4  # of the step size, where silent positions count as they are: bold steps lose what they had
TEXTURE_FIELDS = 0.5  # the period of the canvas in receptive fields: a texture may repeat itself within one


class StrongestSearch:
    """Looks for the strongest responses of a layer's filters, whatever their patterns' objective was."""

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
    ) -> None:
        """seed: of the picture that shows whether the layer's units are affine."""
        self._traced, self._layer_call, self._size = network.contract.size, layer_call, size
        self._recipe, self._gradient, self._measurement = recipe, gradient, measurement
        self._pixel_ascent = pixel_ascent
        self.sign_patches = SignPatches.find(layer_call, size, gradient, seed)

    def prepare(self) -> None:
        """Trace what every batch needs."""
        self._function(self._canvas)

    @cached_property
    def _canvas(self) -> Canvas:
        """Where the search runs: on the whole picture where tiled sign patches are the start."""
        if self.sign_patches is not None:
            return whole(self._size)
        return fitting_canvas(self._layer_call, self._size, self._traced, TEXTURE_FIELDS, self._function)

    def _function(self, canvas: Canvas) -> Any:
        return self._gradient.function(canvas, self._gradient.batch, Aim.STRONGEST)

    @property
    def steps(self) -> int:
        """Steps of the search: more where a step on the canvas costs less."""
        smaller = prod(self._size) / prod(self._canvas.size)
        return int(self._recipe.strongest_steps * min(MAX_STEPS_FACTOR, smaller))

    def run(self, patterns: Patterns, on_step: Callable[[], None]) -> Patterns:
        """The patterns with the strongest responses found, and completed."""
        patterns, start, step_sizes = self.start(patterns)
        with fused():
            pictures = self._searched(patterns.indices, start, step_sizes, on_step)
        return self._measurement.completed(patterns, [pictures], Search.SIGN_ASCENT)

    def start(self, patterns: Patterns) -> tuple[Patterns, np.ndarray, np.ndarray]:
        """(patterns, where on the canvas their search begins, (n,) how far its first step goes)."""
        start = self._canvas.cropped(self._measurement.as_numbers(patterns.images))
        first = self._recipe.strongest_learning_rate * (1 if self._gradient.rectified else UNRECTIFIED_STEP)
        step_sizes = np.full(len(patterns.indices), first)
        if self.sign_patches is not None:
            tiled, whole_patches = self.sign_patches.tilings(patterns.indices)
            for pictures in (tiled, whole_patches):
                patterns = self._measurement.with_candidates(patterns, pictures, Search.SIGN_PATCHES)
            from_tile = patterns.strongest_search == Search.SIGN_PATCHES
            start = np.where(from_tile.reshape(-1, *(1,) * (start.ndim - 1)), tiled, start)
            step_sizes[from_tile] *= TILED_STEP
        return patterns, start, step_sizes

    def _searched(
        self, filters: np.ndarray, start: np.ndarray, step_sizes: np.ndarray, on_step: Callable[[], None]
    ) -> np.ndarray:
        """The pictures that the search of a batch ends at, float32 (n, *size, bands)."""
        batch = self._gradient.batch
        start, step_sizes = padded(start, batch), padded(step_sizes, batch)
        ended = self._pixel_ascent.run(
            self._canvas, Aim.STRONGEST, start, padded(filters, batch), self.steps, step_sizes, on_step
        )
        return self._canvas.filled(np.asarray(ended)[: len(filters)], self._size)
