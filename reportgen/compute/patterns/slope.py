"""Which way is up for a batch of pictures: what each is sought for and the gradient of that, in a constant number of traces."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from math import prod
from threading import Lock
from typing import Any

import numpy as np

from reportgen.compute.patterns import objectives, transforms
from reportgen.compute.patterns.objectives import MOST
from reportgen.compute.patterns.parameterization import Parameterization
from reportgen.compute.patterns.randomness import derived_seed
from reportgen.compute.patterns.recipe import KERAS_IO, Recipe
from reportgen.errors import ModelError
from reportgen.network.contract import as_shown
from reportgen.network.network import Network
from reportgen.network.precision import bfloat16, has_bfloat16
from reportgen.network.quiet import tf
from reportgen.network.redirected import redirected
from reportgen.network.sites import Site

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

    precision: that the network computes in here, `float32` or `bfloat16`. insists: whether silent filters are worth a second climb. traces:
    how often anything was traced.
    """

    def __init__(
        self,
        network: Network,
        site: Site,
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
        self._network, self._site, self._size, self._batch = network, site, size, batch
        self._recipe, self._parameters, self._seed = recipe, parameters, seed
        assert site.unit is not None
        self._leaky = recipe.objective == "leaky" and site.unit.rectified
        self.insists = self._leaky and recipe.insistence > 0
        self.traces = 0
        self.precision = self._agreed(precision)
        self._tracing = Lock()
        self._gradients: dict[tuple[float, bool, bool], Any] = {}

    def prepare(self, direction: float) -> None:
        """Trace what a climb in this direction needs. Raises ModelError where no gradient reaches the input."""
        self._traced(direction, rescuing=False, insisting=False)

    def uphill(
        self,
        position: Any,
        indices: np.ndarray,
        warp: transforms.Warp,
        number: int,
        direction: float,
        insisting: bool = False,
    ) -> tuple[Any, np.ndarray]:
        """(the gradient that step `number` follows, bool (batch,) for which pictures it was let through silent rectifiers).

        position: float32 (batch, ...), coefficients. indices: int32 (batch,), each picture's filter. warp: what all are seen through.
        insisting: whether only the strongest positions of a silent filter count.
        """
        given = (position, indices, warp.sources, warp.weights)
        gradient, stuck = self._traced(direction, False, insisting)(*given)
        woken = np.zeros(self._batch, bool)
        rescuing = self._recipe.rescue and number < min(RESCUE_STEPS, self._recipe.steps // 2)
        if rescuing and np.asarray(stuck).any():
            other, still = self._traced(direction, True, insisting)(*given)
            woken = np.asarray(stuck) & ~np.asarray(still)
            gradient = tf.where(woken.reshape(-1, *(1,) * len(self._parameters.shape)), other, gradient)
        return gradient, woken

    def of_figures(self, before: np.ndarray, after: np.ndarray, direction: float) -> np.ndarray:
        """The objective, up to the border that `--trim` leaves out, from units' figures before and after their activation."""
        if self._activated(direction):
            return after
        rising = direction * before
        return np.asarray(objectives.leaky_mean(rising, after)) if direction > 0 and self._leaky else rising

    def objective(
        self, pictures: Any, filters: Any, precision: str, direction: float = MOST, insisting: bool = False
    ) -> Any:
        """float32 (n,): how strongly each picture, float32 with 0 black and 1 white, excites its own filter.

        direction: MOST, or LEAST for how strongly it silences it: always before the activation, since a rectifier answers 0 to anything it
        dislikes. insisting: by its strongest positions alone where it is silent. Call inside a trace.
        """
        with bfloat16(self._network.layers) if precision == "bfloat16" else nullcontext():
            fed = self._network.feed(as_shown(self._network.contract, pictures))
            maps = self._network.own_channels(fed, self._site, filters, self._activated(direction))[..., None]
        if insisting:
            return objectives.insistent_means(maps, self._recipe.trim, self._site.times)[:, 0]
        leaky = direction > 0 and self._leaky
        return direction * objectives.means(maps, self._recipe.trim, leaky, self._site.times)[:, 0]

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
        insisting: bool = False,
    ) -> tuple[Any, Any]:
        """(objectives (n,), their gradient by `coefficients`), each picture seen through `transform`. Call inside a trace."""
        pictures = self._parameters.to_pictures(coefficients)
        values = self.objective(transform(pictures), filters, precision, direction, insisting)
        (slope,) = tf.gradients(values, [pictures])
        if slope is None:
            raise ModelError(
                "no gradient reaches the input (the preprocessing or a layer before this one is not differentiable)"
            )
        slope = self._regularized(slope, pictures)
        (gradient,) = tf.gradients(pictures, [coefficients], grad_ys=[slope])
        return values, gradient

    def _regularized(self, slope: Any, pictures: Any) -> Any:
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

    def _traced(self, direction: float, rescuing: bool, insisting: bool) -> Any:
        """(gradient as the optimizer takes it, bool (n,) whether a picture has none at all), traced at the first call."""
        with self._tracing:  # climbs that run abreast may both be the first to need it
            key = direction, rescuing, insisting
            if key not in self._gradients:
                self._gradients[key] = self._trace(*key)
            return self._gradients[key]

    def _trace(self, direction: float, rescuing: bool, insisting: bool) -> Any:
        corners = (2 ** len(self._size), prod(self._size))
        signature = [
            tf.TensorSpec((self._batch, *self._parameters.shape), tf.float32),
            tf.TensorSpec((self._batch,), tf.int32),
            tf.TensorSpec(corners, tf.int32),
            tf.TensorSpec(corners, tf.float32),
        ]

        def read(position: Any, filters: Any, sources: Any, weights: Any) -> tuple[Any, Any]:
            self.traces += 1

            def warped(pictures: Any) -> Any:
                return transforms.apply(pictures, sources, weights) if self._recipe.transforms else pictures

            with redirected() if rescuing else nullcontext():
                values, gradient = self.gradient(position, filters, warped, self.precision, direction, insisting)
            stuck = tf.reduce_all(tf.reshape(gradient, (self._batch, -1)) == 0, axis=1) & tf.math.is_finite(values)
            return self._tamed(gradient), stuck

        traced = tf.function(read, input_signature=signature, autograph=False)
        traced.get_concrete_function()
        return traced

    def _tamed(self, gradient: Any) -> Any:
        """Each picture's gradient clipped at a length, or brought to unit size per value and clipped there; 0 where not finite."""
        rows = tf.reshape(gradient, (self._batch, -1))  # TensorFlow is slow at spreading one number over many axes
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
        pays = has_bfloat16() and self._site.costs.macs * area >= FAST_PAYS
        return "bfloat16" if pays and self._probe() else "float32"

    def _probe(self) -> bool:
        """Whether bfloat16 gives the objectives of some filters on pictures of natural contrast within AGREEMENT of float32.

        Always the same few filters in one batch, whatever is sought: what the answer is must follow from layer and seed alone.
        """
        filters = np.linspace(0, self._site.channels - 1, PROBES).astype(np.int32)
        seeds = [derived_seed(self._seed, self._site.path, number, "probe") for number in range(PROBES)]
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


def _size(gradient: Any) -> Any:
    """Each picture's root mean square, shaped to divide it; scaled first, since squares of very small numbers are 0."""
    axes = tuple(range(1, gradient.shape.rank))
    largest = tf.reduce_max(tf.abs(gradient), axis=axes, keepdims=True)
    scaled = tf.math.divide_no_nan(gradient, largest)
    return largest * tf.sqrt(tf.reduce_mean(tf.square(scaled), axis=axes, keepdims=True))
