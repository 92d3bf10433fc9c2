"""The objective of a batch of pictures and its gradient, in a constant number of traces."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from math import prod
from threading import Lock
from typing import Any

import numpy as np

from reportgen.compute.activation_scores import Scores
from reportgen.compute.patterns import reductions, transforms
from reportgen.compute.patterns.objectives import Channel, Direction, Function, PenaltyKind
from reportgen.compute.patterns.parameterization import Parameterization
from reportgen.compute.patterns.recipe import Recipe
from reportgen.compute.patterns.search.canvas import Canvas, whole
from reportgen.core.choices import Measure
from reportgen.core.errors import ModelError, UsageError
from reportgen.network.backend import tf
from reportgen.network.contract import as_shown
from reportgen.network.graph.layer_calls import LayerCall
from reportgen.network.network import Network
from reportgen.network.precision import bfloat16
from reportgen.network.redirected_relu import redirected

NO_GRADIENT = "no gradient reaches the input (the preprocessing or a layer before this one is not differentiable)"
REDIRECTED_STEPS = 16  # at most, and never more than half: how long silent rectifiers let the gradient through
PENALTIES = {PenaltyKind.TOTAL_VARIATION: reductions.total_variation, PenaltyKind.L2: reductions.l2}


class ObjectiveGradient:
    """The objective of one layer's filters and its gradient by the pictures' coefficients, for batches of one shape.

    precision: that the network computes in here, `float32` or `bfloat16`. rectified: of the unit. traces: how often anything was traced.
    """

    def __init__(
        self,
        network: Network,
        layer_call: LayerCall,
        size: tuple[int, ...],
        batch: int,
        recipe: Recipe,
        parameters: Parameterization,
    ) -> None:
        """size: of the pictures, without color channels."""
        self._network, self._layer_call, self._size, self.batch = network, layer_call, size, batch
        self.bands = network.contract.bands
        self._recipe, self._parameters = recipe, parameters
        assert layer_call.unit is not None
        self.rectified = layer_call.unit.rectified
        self.has_transforms = bool(recipe.transforms)
        self.traces = 0
        self.precision = "float32"
        self._tracing = Lock()
        self._reading: Any = None
        self._mapping: Any = None
        self._gradients: dict[tuple[Direction, bool], Any] = {}

    def prepare(self, direction: Direction) -> None:
        """Trace what an ascent in this direction needs. Raises ModelError where no gradient reaches the input."""
        self._traced(direction, redirecting=False)

    def at_step(
        self,
        number: int,
        position: Any,
        indices: np.ndarray,
        warp: transforms.Warp,
        direction: Direction,
    ) -> tuple[Any, np.ndarray]:
        """(the gradient that step `number` follows, bool (batch,) for which pictures it was let through silent rectifiers).

        position: float32 (batch, ...), coefficients. indices: int32 (batch,), each picture's filter. warp: what all are seen through.
        """
        given = (position, indices, warp.sources, warp.weights)
        gradient, stuck = self._traced(direction, False)(*given)
        redirected_relu = np.zeros(self.batch, bool)
        redirecting = self._recipe.redirected_relu and number < min(REDIRECTED_STEPS, self._recipe.steps // 2)
        if redirecting and np.asarray(stuck).any():
            other, still = self._traced(direction, True)(*given)
            redirected_relu = np.asarray(stuck) & ~np.asarray(still)
            gradient = tf.where(redirected_relu.reshape(-1, *(1,) * len(self._parameters.shape)), other, gradient)
        return gradient, redirected_relu

    def from_scores(self, scores: Scores, filters: np.ndarray, direction: Direction) -> np.ndarray:
        """(k, n): the objective of each of n filters on each of k pictures, as far as the scores (k, channels) of these tell.

        That is up to the border that `--trim` leaves out, a peak standing for the level of the strongest positions; functions are left out.
        """
        rows = np.arange(len(scores.activation))[:, None]
        if direction is Direction.MINIMIZE:
            return -scores.of(rows, filters[None]).pre_activation
        total: np.ndarray = np.zeros((len(rows), len(filters)), np.float32)
        for weight, term in self._recipe.objective.maximized:
            if isinstance(term, Channel):
                own = scores.of(rows, (filters if term.number is None else np.full_like(filters, term.number))[None])
                total = total + np.float32(weight) * self._measured(own, term.measure)
        return total

    def _measured(self, own: Scores, measure: Measure | None) -> np.ndarray:
        if measure is Measure.ACTIVATION:
            return own.activation
        if measure is Measure.MEAN_AND_PEAK and self.rectified:
            return np.asarray(own.activation + reductions.LEAKY_SLOPE * own.pre_peak)
        leaky = measure is Measure.LEAKY and self.rectified
        return np.asarray(reductions.leaky_mean(own.pre_activation, own.activation)) if leaky else own.pre_activation

    def objective(self, pictures: Any, filters: Any, precision: str, direction: Direction = Direction.MAXIMIZE) -> Any:
        """float32 (n,): the recipe's objective of each picture, without penalties; of each picture's own filter where it minimizes.

        pictures: float32 (n, *size, bands), 0 black and 1 white. Call inside a trace.
        """
        if direction is Direction.MINIMIZE or self._recipe.objective.own is not None:
            return self.own_objective(pictures, filters, precision, direction)
        terms = [
            weight * self._term(term, pictures, filters, precision) for weight, term in self._recipe.objective.maximized
        ]
        return tf.add_n(terms)

    def _term(self, term: Channel | Function, pictures: Any, filters: Any, precision: str) -> Any:
        """float32 (n,): one term of the objective."""
        if isinstance(term, Channel):
            chosen = filters if term.number is None else tf.fill(tf.shape(filters), term.number)
            return self._channel(term.measure, pictures, chosen, precision, whole(self._size))
        with bfloat16(self._network.layers) if precision == "bfloat16" else nullcontext():
            fed = self._network.feed(as_shown(self._network.contract, pictures))
            ((_, maps),) = self._network.units(fed, [self._layer_call])
        values = term.function(tf.cast(maps, tf.float32))
        if getattr(values, "dtype", None) != tf.float32 or values.shape.as_list() != [pictures.shape[0]]:
            raise UsageError(f"The objective {term} must return one float32 number for each picture.")
        return values

    def own_objective(
        self,
        pictures: Any,
        filters: Any,
        precision: str,
        direction: Direction = Direction.MAXIMIZE,
        canvas: Canvas | None = None,
    ) -> Any:
        """float32 (n,): how strongly each picture excites its own filter, or how little where it minimizes.

        Minimizing goes by the pre-activation, since a rectifier is 0 below it. canvas: of which `pictures` are the periods, None where
        they are whole. Call inside a trace.
        """
        canvas = whole(self._size) if canvas is None else canvas
        measure = Measure.PRE_ACTIVATION if direction is Direction.MINIMIZE else self._recipe.objective.own_measure
        value = self._channel(measure, pictures, filters, precision, canvas)
        return direction.sign * value

    def _channel(self, measure: Measure | None, pictures: Any, filters: Any, precision: str, canvas: Canvas) -> Any:
        """float32 (n,): the measure of channel filters[k] on picture k."""
        trim, times = self._recipe.trim if canvas.is_whole else 0, self._layer_call.times
        maps = self._maps(pictures, filters, precision, canvas, measure is Measure.ACTIVATION)
        if measure is Measure.MEAN_AND_PEAK and self.rectified:
            return reductions.means_and_peaks(maps, trim, times)[:, 0]
        leaky = measure is Measure.LEAKY and self.rectified
        return reductions.means(maps, trim, leaky, times)[:, 0]

    def _maps(self, pictures: Any, filters: Any, precision: str, canvas: Canvas, activated: bool) -> Any:
        """float32 (n, ..., 1): the map of channel filters[k] on picture k."""
        with bfloat16(self._network.layers) if precision == "bfloat16" else nullcontext():
            fed = self._network.feed(as_shown(self._network.contract, canvas.spread(pictures)))
            maps = self._network.own_channels(fed, self._layer_call, filters, activated)[..., None]
        return canvas.own_positions(maps)

    def separate_peaks(self, pictures: Any, filters: Any, canvas: Canvas) -> Any:
        """float32 (n,): the own channel's pre-activation at its strongest positions a receptive field apart. Call inside a trace."""
        maps = self._maps(pictures, filters, self.precision, canvas, activated=False)
        trim = self._recipe.trim if canvas.is_whole else 0
        return reductions.separate_peaks(maps, self._blocks(maps), trim, self._layer_call.times)[:, 0]

    def _blocks(self, maps: Any) -> list[int]:
        """Positions of the unit's map between two that see no pixel in common, along each axis; the whole map where that is not known."""
        axes = self._layer_call.even_axes
        lengths: list[int] = maps.shape.as_list()[1 + self._layer_call.times : -1]
        if axes is None or len(axes) != len(lengths):
            return lengths
        return [-(-axis.size // axis.shift) for axis in axes]

    def by_coefficients(
        self,
        coefficients: Any,
        filters: Any,
        transform: Callable[[Any], Any],
        precision: str = "float32",
        direction: Direction = Direction.MAXIMIZE,
    ) -> tuple[Any, Any]:
        """(objectives (n,), their gradient by `coefficients`), each picture seen through `transform`. Call inside a trace."""
        pictures = self._parameters.to_pictures(coefficients)
        values = self.objective(transform(pictures), filters, precision, direction)
        (by_pixels,) = tf.gradients(values, [pictures])
        if by_pixels is None:
            raise ModelError(NO_GRADIENT)
        by_pixels = self.regularized(by_pixels, pictures)
        (gradient,) = tf.gradients(pictures, [coefficients], grad_ys=[by_pixels])
        return values, gradient

    def regularized(self, gradient: Any, pictures: Any) -> Any:
        """The gradient less the penalties' own, in units of its size: a weight means the same in every layer."""
        weights = self._recipe.objective.penalties
        terms = [(weights[kind], penalty) for kind, penalty in PENALTIES.items() if weights.get(kind, 0) != 0]
        if not terms:
            return gradient
        against = tf.add_n([weight * tf.gradients(penalty(pictures), [pictures])[0] for weight, penalty in terms])
        return gradient - root_mean_square(gradient) * against

    def at_position(self, pictures: np.ndarray, filters: np.ndarray, place: tuple[int, ...]) -> tuple[Any, Any]:
        """(pre-activations (n,) at one place of the map, their gradients by the pictures).

        pictures: float32 (n, *size, bands), 0 black and 1 white. Raises ModelError where no gradient reaches the input.
        """

        def read(pictures: Any, filters: Any) -> tuple[Any, Any]:
            self.traces += 1
            fed = self._network.feed(as_shown(self._network.contract, pictures))
            values = self._network.own_channels(fed, self._layer_call, filters)[(slice(None), *place)]
            (gradient,) = tf.gradients(values, [pictures])
            if gradient is None:
                raise ModelError(NO_GRADIENT)
            return values, gradient

        if self._reading is None:
            self._reading = tf.function(read, autograph=False, reduce_retracing=True)
        values, gradients = self._reading(tf.constant(pictures), tf.constant(filters, tf.int32))
        return np.asarray(values), np.asarray(gradients)

    def highest_positions(self, pictures: np.ndarray, filters: np.ndarray) -> np.ndarray:
        """Int (n, rank): where each picture's own filter is largest before its activation.

        pictures: float32 (n, *size, bands), 0 black and 1 white.
        """

        def read(pictures: Any, filters: Any) -> Any:
            self.traces += 1
            fed = self._network.feed(as_shown(self._network.contract, pictures))
            return self._network.own_channels(fed, self._layer_call, filters)

        if self._mapping is None:
            self._mapping = tf.function(read, autograph=False, reduce_retracing=True)
        maps = np.asarray(self._mapping(tf.constant(pictures), tf.constant(filters, tf.int32)))
        flat = maps.reshape(len(maps), -1).argmax(axis=1)
        return np.stack(np.unravel_index(flat, maps.shape[1:]), axis=1)

    def _traced(self, direction: Direction, redirecting: bool) -> Any:
        """(gradient as the optimizer takes it, bool (n,) whether a picture has none at all), traced at the first call."""
        with self._tracing:  # batches that run at once may both be the first to need it
            key = direction, redirecting
            if key not in self._gradients:
                self._gradients[key] = self._trace(*key)
            return self._gradients[key]

    def _trace(self, direction: Direction, redirecting: bool) -> Any:
        corners = (2 ** len(self._size), prod(self._size))
        signature = [
            tf.TensorSpec((self.batch, *self._parameters.shape), tf.float32),
            tf.TensorSpec((self.batch,), tf.int32),
            tf.TensorSpec(corners, tf.int32),
            tf.TensorSpec(corners, tf.float32),
        ]

        def read(position: Any, filters: Any, sources: Any, weights: Any) -> tuple[Any, Any]:
            self.traces += 1

            def warped(pictures: Any) -> Any:
                return transforms.apply(pictures, sources, weights) if self.has_transforms else pictures

            with redirected() if redirecting else nullcontext():
                values, gradient = self.by_coefficients(position, filters, warped, self.precision, direction)
            stuck = tf.reduce_all(tf.reshape(gradient, (self.batch, -1)) == 0, axis=1) & tf.math.is_finite(values)
            return self._normalized(gradient), stuck

        traced = tf.function(read, input_signature=signature, autograph=False)
        traced.get_concrete_function()
        return traced

    def _normalized(self, gradient: Any) -> Any:
        """Each picture's gradient clipped at a length, or brought to unit size per value and clipped there; 0 where not finite."""
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
    """Each picture's root mean square, shaped to divide it; scaled first, since squares of very small numbers are 0."""
    axes = tuple(range(1, gradient.shape.rank))
    largest = tf.reduce_max(tf.abs(gradient), axis=axes, keepdims=True)
    scaled = tf.math.divide_no_nan(gradient, largest)
    return largest * tf.sqrt(tf.reduce_mean(tf.square(scaled), axis=axes, keepdims=True))
