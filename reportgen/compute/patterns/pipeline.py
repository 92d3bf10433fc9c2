"""From what is optimized to what the network sees, and the gradient back: the same for every layer, so traced once for all of them."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from reportgen.compute.patterns import reductions, transforms
from reportgen.compute.patterns.objectives import PenaltyKind
from reportgen.compute.patterns.optimizers import BatchOptimizer
from reportgen.compute.patterns.parameterization import Parameterization
from reportgen.compute.patterns.recipe import Recipe
from reportgen.network.backend import tf

MOMENTUM = 0.5  # of the last step that a pixel's next one keeps (benchmarks/README.md)
PENALTIES = {PenaltyKind.TOTAL_VARIATION: reductions.total_variation, PenaltyKind.L2: reductions.l2}
NO_WARP = transforms.Warp(np.zeros((1, 1), np.int32), np.zeros((1, 1), np.float32))


class PicturePipeline:
    """Coefficients or pixels of a batch of pictures, seen through a warp, and moved along gradients of what was seen.

    Attributes:
        batch: Pictures of a batch.
        parameters: How pictures are represented.
        warped: Whether the recipe has transforms.
        warps: What each step of the recipe sees pictures through.
    """

    def __init__(
        self, size: tuple[int, ...], bands: int, batch: int, recipe: Recipe, parameters: Parameterization, seed: int
    ) -> None:
        """size: of the pictures, without color channels. seed: of the warps."""
        self.batch, self.parameters = batch, parameters
        self.warped = bool(recipe.transforms)
        self.warps = transforms.Warps(seed, size, recipe.transforms, recipe.steps)
        self._size, self._bands, self._recipe = size, bands, recipe
        self._functions: dict[tuple[Any, ...], Any] = {}
        self._optimizer: BatchOptimizer | None = None

    def optimizer(self) -> BatchOptimizer:
        """Return the optimizer, whose state `start` resets. Raises UsageError where the optimizer couples filters."""
        if self._optimizer is None:
            shape = (self.batch, *self.parameters.shape)
            self._optimizer = BatchOptimizer(self._recipe.optimizer, shape, self._recipe.clip_norm is None)
        return self._optimizer

    def seen(self, coefficients: Any, warp: transforms.Warp) -> Any:
        """Return what the network sees of `coefficients` (batch, ...): float32 (batch, *size, bands), 0 black and 1 white."""
        signature = [self._spec(self.parameters.shape), *self._warp_specs(self._size, self.warped)]
        read = self._traced(
            ("seen",), lambda given, *warp: self._warp(self.parameters.to_pictures(given), *warp), signature
        )
        return read(coefficients, warp.sources, warp.weights)

    def by_coefficients(
        self, coefficients: Any, seen_gradient: Any, values: Any, warp: transforms.Warp
    ) -> tuple[Any, np.ndarray]:
        """Return the gradient that an optimizer follows, and for which pictures there is none.

        Args:
            coefficients: float32 (batch, ...).
            seen_gradient: float32 (batch, *size, bands), of the objective by what was seen of them.
            values: float32 (batch,), the objective.
            warp: That they were seen through.

        Returns:
            (the gradient by the coefficients less the penalties' own, clipped as the recipe says; bool (batch,), whether it is zero
            throughout while the objective is finite).
        """

        def read(given: Any, gradient: Any, values: Any, *warp: Any) -> tuple[Any, Any]:
            pictures = self.parameters.to_pictures(given)
            (by_pixels,) = tf.gradients(self._warp(pictures, *warp), [pictures], grad_ys=[gradient])
            by_pixels = self._regularized(by_pixels, pictures)
            (own,) = tf.gradients(pictures, [given], grad_ys=[by_pixels])
            none = tf.reduce_all(tf.reshape(own, (self.batch, -1)) == 0, axis=1) & tf.math.is_finite(values)
            return self._normalized(own), none

        signature = [
            self._spec(self.parameters.shape),
            self._spec((*self._size, self._bands)),
            self._spec(()),
            *self._warp_specs(self._size, self.warped),
        ]
        found, none = self._traced(("by coefficients",), read, signature)(
            coefficients, seen_gradient, values, warp.sources, warp.weights
        )
        return found, np.asarray(none)

    def seen_pixels(self, pictures: Any, warp: transforms.Warp) -> Any:
        """Return float32 `pictures` (batch, *size, bands) as they are seen through a warp."""
        signature = [self._spec((*self._size, self._bands)), *self._warp_specs(self._size, True)]
        return self._traced(("seen pixels",), transforms.apply, signature)(pictures, warp.sources, warp.weights)

    def moved(
        self,
        pictures: Any,
        momentum: Any,
        seen_gradient: Any,
        step_sizes: np.ndarray,
        warp: transforms.Warp | None,
        readable: bool,
    ) -> tuple[Any, Any]:
        """Move every pixel by the sign of its gradient; a picture whose gradient is zero or not finite stays as it is.

        Args:
            pictures: float32 (batch, *size, bands), 0 black and 1 white, of any size.
            momentum: Of the same shape, from the step before.
            seen_gradient: Of the objective by what was seen of them.
            step_sizes: (batch,), of full scale.
            warp: That they were seen through, None for none.
            readable: Whether the recipe's penalties count.

        Returns:
            (the pictures, their momentum).
        """
        shape = tuple(pictures.shape)

        def move(pictures: Any, momentum: Any, gradient: Any, step_sizes: Any, *warp: Any) -> tuple[Any, Any]:
            if warped:
                (gradient,) = tf.gradients(transforms.apply(pictures, *warp), [pictures], grad_ys=[gradient])
            if readable:
                gradient = self._regularized(gradient, pictures)
            batch = shape[0]
            rows = tf.reshape(gradient, (batch, -1))
            finite = tf.reduce_all(tf.math.is_finite(rows), axis=1, keepdims=True)
            rows = tf.math.multiply_no_nan(rows, tf.cast(finite, tf.float32))
            rows = tf.math.divide_no_nan(rows, root_mean_square(rows)) + MOMENTUM * tf.reshape(momentum, (batch, -1))
            kept = tf.reshape(rows, shape)
            far = tf.reshape(step_sizes, (batch, *(1,) * (len(shape) - 1)))
            return tf.clip_by_value(pictures + far * tf.sign(kept), 0.0, 1.0), kept

        warped = warp is not None
        one = tf.TensorSpec(shape, tf.float32)
        signature = [one, one, one, tf.TensorSpec(shape[:1], tf.float32), *self._warp_specs(shape[1:-1], warped)]
        warp = NO_WARP if warp is None else warp
        return self._traced(("moved", shape, warped, readable), move, signature)(  # type: ignore[no-any-return]
            pictures, momentum, seen_gradient, step_sizes.astype(np.float32), warp.sources, warp.weights
        )

    def _warp(self, pictures: Any, sources: Any, weights: Any) -> Any:
        return transforms.apply(pictures, sources, weights) if self.warped else tf.identity(pictures)

    def _spec(self, shape: tuple[int, ...]) -> Any:
        return tf.TensorSpec((self.batch, *shape), tf.float32)

    def _warp_specs(self, size: tuple[int, ...], warped: bool) -> list[Any]:
        corners = (2 ** len(size), prod(size)) if warped else (None, None)
        return [tf.TensorSpec(corners, tf.int32), tf.TensorSpec(corners, tf.float32)]

    def _traced(self, key: tuple[Any, ...], function: Callable[..., Any], signature: list[Any]) -> Any:
        """Return a function, traced at the first call that asks for it."""
        if key not in self._functions:
            made = tf.function(function, input_signature=signature, autograph=False)
            made.get_concrete_function()
            self._functions[key] = made
        return self._functions[key]

    def _regularized(self, gradient: Any, pictures: Any) -> Any:
        """Subtract the penalties' gradients, in units of the gradient's size: a weight means the same in every layer."""
        weights = self._recipe.objective.penalties
        terms = [(weights[kind], penalty) for kind, penalty in PENALTIES.items() if weights.get(kind, 0) != 0]
        if not terms:
            return gradient
        against = tf.add_n([weight * tf.gradients(penalty(pictures), [pictures])[0] for weight, penalty in terms])
        return gradient - root_mean_square(gradient) * against

    def _normalized(self, gradient: Any) -> Any:
        """Clip each picture's gradient at a length, or bring it to unit size per value and clip it there; 0 where not finite."""
        rows = tf.reshape(gradient, (self.batch, -1))  # TensorFlow is slow at spreading one number over many axes
        finite = tf.reduce_all(tf.math.is_finite(rows), axis=1, keepdims=True)
        rows = tf.math.multiply_no_nan(rows, tf.cast(finite, tf.float32))
        if self._recipe.clip_norm is not None:
            rows = tf.clip_by_norm(rows, self._recipe.clip_norm, axes=[1])
        else:
            rows = tf.math.divide_no_nan(rows, root_mean_square(rows))
            if self._recipe.clip_value is not None:
                rows = tf.clip_by_value(rows, -self._recipe.clip_value, self._recipe.clip_value)
        return tf.reshape(rows, gradient.shape)


def root_mean_square(gradient: Any) -> Any:
    """Return each picture's root mean square, shaped to divide it; scaled first, since squares of very small numbers are 0."""
    axes = tuple(range(1, gradient.shape.rank))
    largest = tf.reduce_max(tf.abs(gradient), axis=axes, keepdims=True)
    scaled = tf.math.divide_no_nan(gradient, largest)
    return largest * tf.sqrt(tf.reduce_mean(tf.square(scaled), axis=axes, keepdims=True))
