"""Sign ascent: steps of every pixel by the sign of its gradient, for the last steps of patterns and for all searches after them."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from math import prod
from typing import Any

import numpy as np

from reportgen.compute.patterns import transforms
from reportgen.compute.patterns.objectives import Direction
from reportgen.compute.patterns.recipe import Recipe
from reportgen.compute.patterns.search.canvas import Canvas
from reportgen.compute.patterns.search.gradient import NO_GRADIENT, ObjectiveGradient, root_mean_square
from reportgen.compute.patterns.search.threads import Threads
from reportgen.core.errors import ModelError
from reportgen.network.backend import tf

MOMENTUM = 0.5  # of the last step that a pixel's next one keeps (benchmarks/README.md)
NO_WARP = (np.zeros((1, 1), np.int32), np.zeros((1, 1), np.float32))


class Aim(Enum):
    """What steps of pixels maximize."""

    READABLE = "the recipe's objective less its penalties, seen through its transforms"
    STRONGEST = "the own channel's objective, on plain pixels"
    POSITIONS = "the own channel's strongest positions a receptive field apart, on plain pixels"


class PixelSteps:
    """Steps of every pixel by the sign of its gradient, with momentum, for batches of one shape; traced once.

    Where the gradient of a picture is zero or not finite, the picture stays as it is.
    """

    def __init__(
        self,
        gradient: ObjectiveGradient,
        canvas: Canvas,
        batch: int,
        aim: Aim,
        direction: Direction = Direction.MAXIMIZE,
    ) -> None:
        """canvas: what the pictures are shown on."""
        self._gradient, self._canvas, self._aim, self._direction = gradient, canvas, aim, direction
        self.warped = aim is Aim.READABLE and gradient.has_transforms
        self.batch, self.shape = batch, (batch, *canvas.period, gradient.bands)
        corners = (2 ** len(canvas.period), prod(canvas.period)) if self.warped else (1, 1)
        signature = [
            tf.TensorSpec(self.shape, tf.float32),
            tf.TensorSpec(self.shape, tf.float32),
            tf.TensorSpec((batch,), tf.int32),
            tf.TensorSpec((batch,), tf.float32),
            tf.TensorSpec(corners, tf.int32),
            tf.TensorSpec(corners, tf.float32),
        ]
        self._step = tf.function(self._moved, input_signature=signature, autograph=False)
        self._step.get_concrete_function()  # now: later it may be called from another thread

    def __call__(
        self, pictures: Any, momentum: Any, filters: np.ndarray, step_sizes: np.ndarray, warp: transforms.Warp | None
    ) -> tuple[Any, Any]:
        """(pictures, momentum) after one step, both float32 (batch, *period, bands), pictures between 0 and 1.

        step_sizes: (batch,), how far each picture's pixels move, of full scale.
        """
        seen = NO_WARP if warp is None else (warp.sources, warp.weights)
        return self._step(pictures, momentum, filters, step_sizes.astype(np.float32), *seen)  # type: ignore[no-any-return]

    def _moved(
        self, pictures: Any, momentum: Any, filters: Any, step_sizes: Any, sources: Any, weights: Any
    ) -> tuple[Any, Any]:
        self._gradient.traces += 1
        seen = transforms.apply(pictures, sources, weights) if self.warped else pictures
        values = self._value(seen, filters)
        (gradient,) = tf.gradients(values, [pictures])
        if gradient is None:
            raise ModelError(NO_GRADIENT)
        if self._aim is Aim.READABLE:
            gradient = self._gradient.regularized(gradient, pictures)
        rows = tf.reshape(gradient, (self.batch, -1))
        finite = tf.reduce_all(tf.math.is_finite(rows), axis=1, keepdims=True)
        rows = tf.math.multiply_no_nan(rows, tf.cast(finite, tf.float32))
        rows = tf.math.divide_no_nan(rows, root_mean_square(rows)) + MOMENTUM * tf.reshape(momentum, (self.batch, -1))
        kept = tf.reshape(rows, pictures.shape)
        far = tf.reshape(step_sizes, (self.batch, *(1,) * (kept.shape.rank - 1)))
        return tf.clip_by_value(pictures + far * tf.sign(kept), 0.0, 1.0), kept

    def _value(self, seen: Any, filters: Any) -> Any:
        gradient = self._gradient
        if self._aim is Aim.POSITIONS:
            return gradient.separate_peaks(seen, filters, self._canvas)
        if self._aim is Aim.STRONGEST:
            return gradient.own_objective(seen, filters, gradient.precision, self._direction, self._canvas)
        return gradient.objective(seen, filters, gradient.precision, self._direction)


class PixelAscent:
    """Many such steps, each shorter than the one before."""

    def __init__(self, gradient: ObjectiveGradient, recipe: Recipe, warps: transforms.Warps, threads: Threads) -> None:
        """warps: of all steps of the recipe; those of single pixels are its last."""
        self._gradient, self._recipe, self._warps, self._threads = gradient, recipe, warps, threads
        self._traced: dict[tuple[Canvas, int, Aim, Direction], PixelSteps] = {}

    def steps(self, canvas: Canvas, batch: int, aim: Aim, direction: Direction = Direction.MAXIMIZE) -> PixelSteps:
        """Steps of single pixels on a canvas, traced at the first call; threads only ask for what is there."""
        key = (canvas, batch, aim, direction)
        if key not in self._traced:
            self._traced[key] = PixelSteps(self._gradient, *key)
        return self._traced[key]

    def run(
        self,
        steps: PixelSteps,
        pictures: Any,
        filters: np.ndarray,
        count: int,
        step_size: float | np.ndarray,
        on_step: Callable[[], None] = lambda: None,
    ) -> Any:
        """Float32 `pictures` (batch, *period, bands) between 0 and 1 after `count` steps.

        step_size: of the first step, of full scale, for all pictures or (batch,); it falls linearly.
        """
        momentum, step_sizes = tf.zeros(steps.shape), np.broadcast_to(step_size, steps.batch)
        for number in range(count):
            if self._threads.stopping:
                break
            warp = self._warps[self._recipe.coefficient_steps + number + 1] if steps.warped else None
            pictures, momentum = steps(pictures, momentum, filters, step_sizes * (1 - number / count), warp)
            on_step()
        return pictures
