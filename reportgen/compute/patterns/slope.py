"""Which way is up for a batch of pictures: what each is sought for and the gradient of that, in a constant number of traces."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from math import prod
from threading import Lock
from typing import Any

import numpy as np

from reportgen.compute.activation_scores import Figures
from reportgen.compute.patterns import objectives, transforms
from reportgen.compute.patterns.canvas import Canvas, whole
from reportgen.compute.patterns.objectives import MOST
from reportgen.compute.patterns.parameterization import Parameterization
from reportgen.compute.patterns.randomness import derived_seed
from reportgen.compute.patterns.recipe import KERAS_IO, Recipe
from reportgen.core.errors import ModelError
from reportgen.network.backend import tf
from reportgen.network.contract import as_shown
from reportgen.network.graph.layer_calls import LayerCall
from reportgen.network.network import Network
from reportgen.network.precision import bfloat16, has_bfloat16
from reportgen.network.redirected_relu import redirected

NO_GRADIENT = "no gradient reaches the input (the preprocessing or a layer before this one is not differentiable)"
MOMENTUM = 0.5  # of the last step that a pixel's next one keeps (benchmarks/README.md)
# Multiplications of a picture's forward pass: below, making the pictures takes longer than the network.
FAST_PAYS = 2e8
AGREEMENT = 0.01  # of the largest objective: what bfloat16 may differ by in the middle of the probed filters
PROBES = 4  # filters that the two precisions are compared on
PROBE_CONTRAST = 30.0  # starts are too faint to tell two precisions apart: the probe sees pictures of strong contrast
RESCUE_STEPS = (
    16  # at most, and never more than half: how long a picture without any gradient is let through silent rectifiers
)


class Slope:
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
        seed: int,
        precision: str = "float32",
    ) -> None:
        """size: of the pictures, without bands. seed: of the noise that the two precisions are compared on.

        precision: `float32`, `bfloat16`, or `auto` for bfloat16 where it pays and agrees.
        """
        self._network, self._layer_call, self._size, self.batch = network, layer_call, size, batch
        self.bands = network.contract.bands
        self._recipe, self._parameters, self._seed = recipe, parameters, seed
        assert layer_call.unit is not None
        self.rectified = layer_call.unit.rectified
        self._leaky = recipe.objective == "leaky" and self.rectified
        self._peaked = recipe.objective == "mean-and-peak" and self.rectified
        self.traces = 0
        self.precision = self._agreed(precision)
        self._tracing = Lock()
        self._reading: Any = None
        self._mapping: Any = None
        self._gradients: dict[tuple[float, bool], Any] = {}

    def prepare(self, direction: float) -> None:
        """Trace what a climb in this direction needs. Raises ModelError where no gradient reaches the input."""
        self._traced(direction, rescuing=False)

    def uphill(
        self,
        position: Any,
        indices: np.ndarray,
        warp: transforms.Warp,
        number: int,
        direction: float,
    ) -> tuple[Any, np.ndarray]:
        """(the gradient that step `number` follows, bool (batch,) for which pictures it was let through silent rectifiers).

        position: float32 (batch, ...), coefficients. indices: int32 (batch,), each picture's filter. warp: what all are seen through.
        """
        given = (position, indices, warp.sources, warp.weights)
        gradient, stuck = self._traced(direction, False)(*given)
        woken = np.zeros(self.batch, bool)
        rescuing = self._recipe.rescue and number < min(RESCUE_STEPS, self._recipe.steps // 2)
        if rescuing and np.asarray(stuck).any():
            other, still = self._traced(direction, True)(*given)
            woken = np.asarray(stuck) & ~np.asarray(still)
            gradient = tf.where(woken.reshape(-1, *(1,) * len(self._parameters.shape)), other, gradient)
        return gradient, woken

    def of_figures(self, found: Figures, direction: float) -> np.ndarray:
        """The objective, up to the border that `--trim` leaves out, from units' figures; a peak stands for the level of the strongest."""
        if self._activated(direction):
            return found.activation
        rising = direction * found.pre_activation
        if direction > 0 and self._peaked:
            return np.asarray(found.activation + objectives.LEAK * found.pre_peak)
        return np.asarray(objectives.leaky_mean(rising, found.activation)) if direction > 0 and self._leaky else rising

    def objective(
        self,
        pictures: Any,
        filters: Any,
        precision: str,
        direction: float = MOST,
        canvas: Canvas | None = None,
        waking: bool = False,
    ) -> Any:
        """float32 (n,): how strongly each picture, float32 with 0 black and 1 white, excites its own filter.

        direction: MOST, or LEAST for how strongly it silences it: always before the activation, since a rectifier answers 0 to anything it
        dislikes. canvas: of which `pictures` are the periods, None where they are whole. waking: by single positions a field apart,
        before the activation. Call inside a trace.
        """
        canvas = whole(self._size) if canvas is None else canvas
        trim = self._recipe.trim if canvas.is_whole else 0
        with bfloat16(self._network.layers) if precision == "bfloat16" else nullcontext():
            fed = self._network.feed(as_shown(self._network.contract, canvas.spread(pictures)))
            activated = self._activated(direction) and not waking
            maps = self._network.own_channels(fed, self._layer_call, filters, activated)[..., None]
        maps = canvas.own_positions(maps)
        if waking:
            return objectives.separate_peaks(maps, self._blocks(maps), trim, self._layer_call.times)[:, 0]
        if direction > 0 and self._peaked:
            return objectives.means_and_peaks(maps, trim, self._layer_call.times)[:, 0]
        leaky = direction > 0 and self._leaky
        return direction * objectives.means(maps, trim, leaky, self._layer_call.times)[:, 0]

    def _blocks(self, maps: Any) -> list[int]:
        """Positions of the unit's map between two that see no pixel in common, along each axis; the whole map where that is not known."""
        axes = self._layer_call.even_axes
        lengths: list[int] = maps.shape.as_list()[1 + self._layer_call.times : -1]
        if axes is None or len(axes) != len(lengths):
            return lengths
        return [-(-axis.size // axis.shift) for axis in axes]

    def _activated(self, direction: float) -> bool:
        """Whether the objective looks behind the unit's activation function."""
        return direction > 0 and self._recipe.objective == "activation"

    def gradient(
        self,
        coefficients: Any,
        filters: Any,
        transform: Callable[[Any], Any],
        precision: str = "float32",
        direction: float = MOST,
    ) -> tuple[Any, Any]:
        """(objectives (n,), their gradient by `coefficients`), each picture seen through `transform`. Call inside a trace."""
        pictures = self._parameters.to_pictures(coefficients)
        values = self.objective(transform(pictures), filters, precision, direction)
        (slope,) = tf.gradients(values, [pictures])
        if slope is None:
            raise ModelError(NO_GRADIENT)
        slope = self.regularized(slope, pictures)
        (gradient,) = tf.gradients(pictures, [coefficients], grad_ys=[slope])
        return values, gradient

    def regularized(self, slope: Any, pictures: Any) -> Any:
        """The slope less the regularizers' own, in units of its size: a weight means the same in every layer."""
        terms = [
            (weight, penalty)
            for weight, penalty in (
                (self._recipe.total_variation, objectives.total_variation),
                (self._recipe.l2, objectives.l2),
            )
            if weight != 0
        ]
        if not terms:
            return slope
        against = tf.add_n([weight * tf.gradients(penalty(pictures), [pictures])[0] for weight, penalty in terms])
        return slope - _size(slope) * against

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

    def _traced(self, direction: float, rescuing: bool) -> Any:
        """(gradient as the optimizer takes it, bool (n,) whether a picture has none at all), traced at the first call."""
        with self._tracing:  # climbs that run abreast may both be the first to need it
            key = direction, rescuing
            if key not in self._gradients:
                self._gradients[key] = self._trace(*key)
            return self._gradients[key]

    def _trace(self, direction: float, rescuing: bool) -> Any:
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
                return transforms.apply(pictures, sources, weights) if self._recipe.transforms else pictures

            with redirected() if rescuing else nullcontext():
                values, gradient = self.gradient(position, filters, warped, self.precision, direction)
            stuck = tf.reduce_all(tf.reshape(gradient, (self.batch, -1)) == 0, axis=1) & tf.math.is_finite(values)
            return self._tamed(gradient), stuck

        traced = tf.function(read, input_signature=signature, autograph=False)
        traced.get_concrete_function()
        return traced

    def _tamed(self, gradient: Any) -> Any:
        """Each picture's gradient clipped at a length, or brought to unit size per value and clipped there; 0 where not finite."""
        rows = tf.reshape(gradient, (self.batch, -1))  # TensorFlow is slow at spreading one number over many axes
        finite = tf.reduce_all(tf.math.is_finite(rows), axis=1, keepdims=True)
        rows = tf.math.multiply_no_nan(rows, tf.cast(finite, tf.float32))
        if self._recipe.clip_norm is not None:
            rows = tf.clip_by_norm(rows, self._recipe.clip_norm, axes=[1])
        else:
            rows = tf.math.divide_no_nan(rows, _size(rows))
            if self._recipe.clip is not None:
                rows = tf.clip_by_value(rows, -self._recipe.clip, self._recipe.clip)
        return tf.reshape(rows, gradient.shape)

    def _agreed(self, wanted: str) -> str:
        """The precision of the ascent: what was wanted, or for `auto` bfloat16 where it pays and a probe agrees with float32."""
        if wanted != "auto":
            return wanted
        if self._recipe.method == KERAS_IO.method:  # there to reproduce what others computed in float32
            return "float32"
        area = prod(self._size) / prod(self._network.contract.size)
        pays = has_bfloat16() and self._layer_call.costs.macs * area >= FAST_PAYS
        return "bfloat16" if pays and self._probe() else "float32"

    def _probe(self) -> bool:
        """Whether bfloat16 gives the objectives of some filters on pictures of natural contrast within AGREEMENT of float32.

        Always the same few filters in one batch, whatever is sought: what the answer is must follow from layer and seed alone.
        """
        filters = np.linspace(0, self._layer_call.channels - 1, PROBES).astype(np.int32)
        seeds = [derived_seed(self._seed, self._layer_call.path, number, "probe") for number in range(PROBES)]
        noise = tf.constant(np.stack([self._parameters.start(seed) for seed in seeds]) * np.float32(PROBE_CONTRAST))

        def both(some: Any) -> list[Any]:
            self.traces += 1
            pictures = self._parameters.to_pictures(some)
            return [self.objective(pictures, filters, precision) for precision in ("float32", "bfloat16")]

        try:
            exact, fast = (np.asarray(values) for values in tf.function(both, autograph=False)(noise))
        except Exception:  # a layer that cannot compute in bfloat16: then the model is left at its own precision
            return False
        scale = np.abs(exact[np.isfinite(exact)]).max(initial=0)
        difference = np.abs(fast - exact)
        return bool(scale > 0 and np.median(difference[np.isfinite(difference)]) <= AGREEMENT * scale)


class PixelSteps:
    """Steps of every pixel by the sign of its gradient, with momentum, for batches of one shape; traced once.

    Where the gradient of a picture is zero or not finite, the picture stays as it is.
    """

    def __init__(
        self,
        slope: Slope,
        canvas: Canvas,
        batch: int,
        warped: bool,
        direction: float = MOST,
        waking: bool = False,
    ) -> None:
        """canvas: what the pictures are shown on. warped: whether each step sees them through a warp; then the regularizers count, too.

        waking: towards single positions, see `Slope.objective`.
        """
        self._slope, self._canvas, self.warped = slope, canvas, warped
        self._direction, self._waking = direction, waking
        self.batch, self.shape = batch, (batch, *canvas.period, slope.bands)
        corners = (2 ** len(canvas.period), prod(canvas.period)) if warped else (1, 1)
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
        self, pictures: Any, momentum: Any, filters: np.ndarray, rates: np.ndarray, warp: transforms.Warp | None
    ) -> tuple[Any, Any]:
        """(pictures, momentum) after one step, both float32 (batch, *period, bands), pictures between 0 and 1.

        rates: (batch,), how far each picture's pixels move, of full scale.
        """
        seen = (
            (warp.sources, warp.weights)
            if warp is not None
            else (np.zeros((1, 1), np.int32), np.zeros((1, 1), np.float32))
        )
        return self._step(pictures, momentum, filters, rates.astype(np.float32), *seen)  # type: ignore[no-any-return]

    def _moved(
        self, pictures: Any, momentum: Any, filters: Any, rates: Any, sources: Any, weights: Any
    ) -> tuple[Any, Any]:
        slope = self._slope
        slope.traces += 1
        seen = transforms.apply(pictures, sources, weights) if self.warped else pictures
        values = slope.objective(seen, filters, slope.precision, self._direction, self._canvas, self._waking)
        (gradient,) = tf.gradients(values, [pictures])
        if gradient is None:
            raise ModelError(NO_GRADIENT)
        if self.warped:
            gradient = slope.regularized(gradient, pictures)
        rows = tf.reshape(gradient, (self.batch, -1))
        finite = tf.reduce_all(tf.math.is_finite(rows), axis=1, keepdims=True)
        rows = tf.math.multiply_no_nan(rows, tf.cast(finite, tf.float32))
        rows = tf.math.divide_no_nan(rows, _size(rows)) + MOMENTUM * tf.reshape(momentum, (self.batch, -1))
        kept = tf.reshape(rows, pictures.shape)
        far = tf.reshape(rates, (self.batch, *(1,) * (kept.shape.rank - 1)))
        return tf.clip_by_value(pictures + far * tf.sign(kept), 0.0, 1.0), kept


def _size(gradient: Any) -> Any:
    """Each picture's root mean square, shaped to divide it; scaled first, since squares of very small numbers are 0."""
    axes = tuple(range(1, gradient.shape.rank))
    largest = tf.reduce_max(tf.abs(gradient), axis=axes, keepdims=True)
    scaled = tf.math.divide_no_nan(gradient, largest)
    return largest * tf.sqrt(tf.reduce_mean(tf.square(scaled), axis=axes, keepdims=True))
