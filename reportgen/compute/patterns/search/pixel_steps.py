"""Sign ascent: steps of every pixel by the sign of its gradient, for the last steps of patterns and for all searches after them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from reportgen.compute.patterns.objectives import Direction
from reportgen.compute.patterns.pipeline import PicturePipeline
from reportgen.compute.patterns.recipe import Recipe
from reportgen.compute.patterns.search.canvas import Canvas
from reportgen.compute.patterns.search.gradient import Aim, ObjectiveGradient
from reportgen.network.backend import tf


class PixelAscent:
    """Many such steps with momentum, each shorter than the one before; patterns are seen through the recipe's transforms."""

    def __init__(self, gradient: ObjectiveGradient, recipe: Recipe, pipeline: PicturePipeline) -> None:
        self._gradient, self._recipe, self._pipeline = gradient, recipe, pipeline

    def run(
        self,
        canvas: Canvas,
        aim: Aim,
        pictures: Any,
        filters: np.ndarray,
        count: int,
        step_size: float | np.ndarray,
        on_step: Callable[[], None] = lambda: None,
        direction: Direction = Direction.MAXIMIZE,
    ) -> Any:
        """Float32 `pictures` (n, *period, bands) between 0 and 1 after `count` steps.

        canvas: what they are shown on. step_size: of the first step, of full scale, for all pictures or (n,); it falls linearly.
        """
        batch = len(filters)
        by_seen = self._gradient.function(canvas, batch, aim, direction)
        readable = aim is Aim.READABLE
        pictures = tf.constant(pictures)
        momentum, step_sizes = tf.zeros_like(pictures), np.broadcast_to(step_size, batch)
        for number in range(count):
            warp = None
            if readable and self._pipeline.warped:
                warp = self._pipeline.warps[self._recipe.coefficient_steps + number + 1]
            seen = pictures if warp is None else self._pipeline.seen_pixels(pictures, warp)
            _, gradient = by_seen(seen, filters)
            sizes = step_sizes * (1 - number / count)
            pictures, momentum = self._pipeline.moved(pictures, momentum, gradient, sizes, warp, readable)
            on_step()
        return pictures
