"""The objective of a batch of pictures and its gradient by what the network sees, traced once for all steps of a layer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from enum import Enum
from typing import Any

import numpy as np

from reportgen.compute.activation_scores import Scores
from reportgen.compute.patterns import reductions
from reportgen.compute.patterns.objectives import Channel, Direction, Function
from reportgen.compute.patterns.pipeline import PicturePipeline
from reportgen.compute.patterns.recipe import Recipe
from reportgen.compute.patterns.search.canvas import Canvas, whole
from reportgen.core.choices import Measure, Precision
from reportgen.core.errors import ModelError, UsageError
from reportgen.network.backend import tf
from reportgen.network.contract import as_shown
from reportgen.network.graph.layer_calls import LayerCall
from reportgen.network.network import Network
from reportgen.network.precision import bfloat16
from reportgen.network.redirected_relu import redirected
from reportgen.network.shared_trace import SharedTrace

NO_GRADIENT = "no gradient reaches the input (the preprocessing or a layer before this one is not differentiable)"
REDIRECTED_STEPS = 16  # at most, and never more than half: how long silent rectifiers let the gradient through


class Aim(Enum):
    """What an ascent maximizes."""

    READABLE = "the recipe's objective"
    STRONGEST = "the own channel's objective"
    POSITIONS = "the own channel's strongest positions a receptive field apart"


Gradient = Callable[[Any, Any], tuple[Any, Any]]
# From (batch, precision, whether silent rectifiers let gradients through, whether after the activation) to what layers share.
FindTrace = Callable[[int, str, bool, bool], SharedTrace | None]


def no_trace(batch: int, precision: str, redirecting: bool, activated: bool) -> None:
    """Share nothing: the layer is traced by itself."""


class ObjectiveGradient:
    """The objective of one layer's filters and its gradient by what the network sees, for batches of one shape.

    precision: that the network computes in here. rectified: of the unit. traces: how often anything was traced.
    """

    def __init__(
        self,
        network: Network,
        layer_call: LayerCall,
        size: tuple[int, ...],
        recipe: Recipe,
        pipeline: PicturePipeline,
        find_trace: FindTrace = no_trace,
    ) -> None:
        """size: of the pictures, without color channels. find_trace: returns what layers share, None where this one is traced by itself."""
        self._network, self._layer_call, self._size, self.batch = network, layer_call, size, pipeline.batch
        self._find_trace = find_trace
        self.bands = network.contract.bands
        self._recipe, self._pipeline = recipe, pipeline
        assert layer_call.unit is not None
        self.rectified = layer_call.unit.rectified
        self.traces = 0
        self.precision = Precision.FLOAT32
        self._reading: Any = None
        self._mapping: Any = None
        self._gradients: dict[tuple[Canvas, int, Aim, Direction, bool, Precision], Gradient] = {}

    def at_step(self, number: int, position: Any, indices: np.ndarray, direction: Direction) -> tuple[Any, np.ndarray]:
        """(the gradient that step `number` follows, bool (batch,) for which pictures it was let through silent rectifiers).

        position: float32 (batch, ...), coefficients. indices: int32 (batch,), each picture's filter.
        """
        pipeline, warp = self._pipeline, self._pipeline.warps[number + 1]
        canvas = whole(self._size)
        seen = pipeline.seen(position, warp)
        values, by_seen = self.function(canvas, self.batch, Aim.READABLE, direction)(seen, indices)
        gradient, stuck = pipeline.by_coefficients(position, by_seen, values, warp)
        redirected_relu = np.zeros(self.batch, bool)
        redirecting = self._recipe.redirected_relu and number < min(REDIRECTED_STEPS, self._recipe.steps // 2)
        if redirecting and stuck.any():
            values, by_seen = self.function(canvas, self.batch, Aim.READABLE, direction, True)(seen, indices)
            other, still = pipeline.by_coefficients(position, by_seen, values, warp)
            redirected_relu = stuck & ~still
            gradient = tf.where(redirected_relu.reshape(-1, *(1,) * len(pipeline.parameters.shape)), other, gradient)
        return gradient, redirected_relu

    def function(
        self, canvas: Canvas, batch: int, aim: Aim, direction: Direction = Direction.MAXIMIZE, redirecting: bool = False
    ) -> Gradient:
        """Return what computes an objective and its gradient, traced at the first call.

        Args:
            canvas: What the pictures are shown on.
            batch: How many there are.
            aim: What is maximized.
            direction: MINIMIZE for how little a filter responds.
            redirecting: Whether silent rectifiers let the gradient through.

        Returns:
            A function of float32 pictures (batch, *period, bands), as the network sees them, and int32 filters (batch,); it returns the
            objectives (batch,) and their gradients by the pictures.

        Raises:
            ModelError: No gradient reaches the input.
        """
        if aim is Aim.READABLE and self._recipe.objective.own is not None:
            aim = Aim.STRONGEST  # which is the same then, and traced once for both
        key = canvas, batch, aim, direction, redirecting, self.precision
        if key not in self._gradients:
            self._gradients[key] = self._trace(canvas, batch, aim, direction, redirecting)
        return self._gradients[key]

    def _trace(self, canvas: Canvas, batch: int, aim: Aim, direction: Direction, redirecting: bool) -> Gradient:
        trace = self._trace_of(canvas, batch, aim, direction, redirecting)

        def read(pictures: Any, filters: Any) -> tuple[Any, Any]:
            self.traces += trace is None
            with redirected() if redirecting else nullcontext():
                if trace is None:
                    values = self._value(pictures, filters, canvas, aim, direction)
                    (gradient,) = tf.gradients(values, [pictures])
                else:
                    entry, by_pictures = trace.enter(pictures, self._layer_call)
                    activated = self._begins_activated(aim, direction)
                    maps = self._network.own_channels_at(entry, self._layer_call, filters, activated)[..., None]
                    values = self._own_value(maps, canvas, aim, direction)
                    (by_entry,) = tf.gradients(values, [entry])
                    gradient = None if by_entry is None else by_pictures(by_entry)
            if gradient is None:
                raise ModelError(NO_GRADIENT)
            return values, gradient

        signature = [
            tf.TensorSpec((batch, *canvas.period, self.bands), tf.float32),
            tf.TensorSpec((batch,), tf.int32),
        ]
        # No value here depends on the order of operations with a state, which `tf.function` takes its time to find.
        with nullcontext() if canvas.is_whole else self._network.unstated_sizes():
            return tf.compat.v1.wrap_function(read, signature)  # type: ignore[no-any-return]

    def _trace_of(
        self, canvas: Canvas, batch: int, aim: Aim, direction: Direction, redirecting: bool
    ) -> SharedTrace | None:
        """What this layer shares with others of its depth and beyond; None where it is traced by itself."""
        composed = aim is Aim.READABLE and direction is Direction.MAXIMIZE and self._recipe.objective.own is None
        if composed or not canvas.is_whole:
            return None
        trace = self._find_trace(batch, self.precision, redirecting, self._begins_activated(aim, direction))
        return trace if trace is not None and trace.has(self._layer_call) else None

    def _value(self, pictures: Any, filters: Any, canvas: Canvas, aim: Aim, direction: Direction) -> Any:
        if aim is Aim.READABLE:
            return self.objective(pictures, filters, self.precision, direction)
        maps = self._maps(pictures, filters, self.precision, canvas, self._begins_activated(aim, direction))
        return self._own_value(maps, canvas, aim, direction)

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
            canvas = whole(self._size)
            measure = self._own_measure(Aim.READABLE, direction)
            return direction.sign * self._channel(measure, pictures, filters, precision, canvas)
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

    def _own_measure(self, aim: Aim, direction: Direction) -> Measure | None:
        """What of the own channel counts; minimizing goes by the pre-activation, since a rectifier is 0 below it."""
        if aim is Aim.POSITIONS or direction is Direction.MINIMIZE:
            return Measure.PRE_ACTIVATION
        return self._recipe.objective.own_measure

    def _begins_activated(self, aim: Aim, direction: Direction) -> bool:
        """Whether what counts is measured after the activation function."""
        return self._own_measure(aim, direction) is Measure.ACTIVATION

    def _own_value(self, maps: Any, canvas: Canvas, aim: Aim, direction: Direction) -> Any:
        """float32 (n,): how strongly each picture excites its own filter, of which `maps` (n, ..., 1) are, or how little."""
        if aim is Aim.POSITIONS:
            trim = self._recipe.trim if canvas.is_whole else 0
            return reductions.separate_peaks(maps, self._blocks(maps), trim, self._layer_call.times)[:, 0]
        return direction.sign * self._reduced(self._own_measure(aim, direction), maps, canvas)

    def _channel(self, measure: Measure | None, pictures: Any, filters: Any, precision: str, canvas: Canvas) -> Any:
        """float32 (n,): the measure of channel filters[k] on picture k."""
        maps = self._maps(pictures, filters, precision, canvas, measure is Measure.ACTIVATION)
        return self._reduced(measure, maps, canvas)

    def _reduced(self, measure: Measure | None, maps: Any, canvas: Canvas) -> Any:
        """float32 (n,): the measure of `maps` (n, ..., 1)."""
        trim, times = self._recipe.trim if canvas.is_whole else 0, self._layer_call.times
        return reductions.own(measure, maps, trim, rectified=self.rectified, times=times)

    def _maps(self, pictures: Any, filters: Any, precision: str, canvas: Canvas, activated: bool) -> Any:
        """float32 (n, ..., 1): the map of channel filters[k] on picture k."""
        with bfloat16(self._network.layers) if precision == "bfloat16" else nullcontext():
            fed = self._network.feed(as_shown(self._network.contract, canvas.spread(pictures)))
            maps = self._network.own_channels(fed, self._layer_call, filters, activated)[..., None]
        return canvas.own_positions(maps)

    def _blocks(self, maps: Any) -> list[int]:
        """Positions of the unit's map between two that see no pixel in common, along each axis; the whole map where that is not known."""
        axes = self._layer_call.even_axes
        lengths: list[int] = maps.shape.as_list()[1 + self._layer_call.times : -1]
        if axes is None or len(axes) != len(lengths):
            return lengths
        return [-(-axis.size // axis.shift) for axis in axes]

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

    def highest_position(self, pictures: np.ndarray, number: int) -> np.ndarray:
        """Int (rank,): where a filter is largest on one picture, before its activation.

        pictures: float32 (1, *size, bands), 0 black and 1 white.
        """
        trace = self._trace_of(whole(self._size), 1, Aim.POSITIONS, Direction.MAXIMIZE, redirecting=False)

        def read(pictures: Any, filters: Any) -> Any:
            if trace is not None:
                entry, _ = trace.enter(pictures, self._layer_call)
                return self._network.own_channels_at(entry, self._layer_call, filters)
            self.traces += 1
            fed = self._network.feed(as_shown(self._network.contract, pictures))
            return self._network.own_channels(fed, self._layer_call, filters)

        if self._mapping is None:
            self._mapping = tf.function(read, autograph=False, reduce_retracing=True)
        (own,) = np.asarray(self._mapping(tf.constant(pictures), tf.constant([number], tf.int32)))
        return np.array(np.unravel_index(own.argmax(), own.shape))
