"""The ascent itself: many filters' pictures at once, one traced step, no work per filter in Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from math import cos, pi
from typing import Any

import numpy as np

from reportgen.compute.figures import Meter, padded
from reportgen.compute.patterns import colour, fourier, objectives, transforms
from reportgen.compute.patterns.randomness import derived_seed
from reportgen.compute.patterns.recipe import Recipe
from reportgen.errors import ModelError
from reportgen.network.network import Network, Site
from reportgen.network.quiet import keras, tf

EPSILON = 1e-8  # keeps a zero gradient from being divided by zero; far below any gradient that moves a picture
LEVELS = 255.0


@dataclass(frozen=True)
class Patterns:
    """Finished patterns. images: uint8 (n, height, width, bands), exactly the pixels measured; NaN where a figure is not finite."""

    images: np.ndarray
    indices: np.ndarray
    activation: np.ndarray
    activation_start: np.ndarray
    seeds: tuple[int, ...]


class Ascent:
    """Seeks patterns of one layer, always in batches of one shape, so that a picture does not depend on its neighbours."""

    def __init__(self, network: Network, site: Site, size: tuple[int, int], batch: int, recipe: Recipe, seed: int) -> None:
        """`size`: (height, width) of the pictures; `batch`: filters a step, from layer and settings alone."""
        self._site, self._size, self._batch, self._recipe, self._seed = site, size, batch, recipe, seed
        self._network = network
        self._bands = network.contract.bands
        self._broken = _broken_weights(site.layer)
        self._meter = Meter(network, [site], size, batch)
        self._warps = [transforms.draw(seed, step, *size) for step in range(recipe.steps)]
        self.step_traces = 0
        self._step = self._traced_step()

    @property
    def traces(self) -> int:
        """How often anything of this layer was traced."""
        return self.step_traces + self._meter.traces

    def _traced_step(self) -> Any:
        spectra = tf.TensorSpec((self._batch, *fourier.spectrum_shape(*self._size, self._bands)), tf.float32)
        pixels = self._size[0] * self._size[1]
        signature = [
            spectra,
            spectra,
            spectra,
            tf.TensorSpec((self._batch,), tf.int32),
            tf.TensorSpec((4, pixels), tf.int32),
            tf.TensorSpec((4, pixels), tf.float32),
            tf.TensorSpec((), tf.float32),
            tf.TensorSpec((), tf.float32),
        ]

        def step(position: Any, first: Any, second: Any, filters: Any, sources: Any, weights: Any, number: Any, rate: Any) -> Any:
            self.step_traces += 1
            gradient = self.gradient(position, filters, lambda pictures: transforms.apply(pictures, sources, weights))[1]
            return self._moved(position, first, second, gradient, number, rate)

        return tf.function(step, input_signature=signature, autograph=False)

    def trace(self) -> None:
        """Trace everything now, so that the first chunk's time is that of any other."""
        self._step.get_concrete_function()
        self._meter.trace()

    def pictures(self, spectra: Any) -> Any:
        """float32 (n, height, width, bands) in [0, 1]."""
        return colour.to_pictures(fourier.to_planes(spectra, *self._size))

    def gradient(self, spectra: Any, filters: Any, transform: Callable[[Any], Any]) -> tuple[Any, Any]:
        """(objectives (n,), their gradient by `spectra`), each picture seen through `transform`."""
        site = self._site
        assert site.unit is not None
        with tf.GradientTape() as tape:
            tape.watch(spectra)
            fed = self._network.feed(transform(self.pictures(spectra)) * LEVELS)
            with _finite(self._broken):
                ((before, _),) = self._network.units(fed, [site])
            values = objectives.excitement(before, filters, site.unit.rectified)
            total = tf.reduce_sum(values)
        gradient = tape.gradient(total, spectra)
        if gradient is None:
            raise ModelError("no gradient reaches the input (the preprocessing or a layer before this one is not differentiable)")
        return values, gradient

    def _moved(self, position: Any, first: Any, second: Any, gradient: Any, number: Any, rate: Any) -> tuple[Any, Any, Any]:
        """One step of Adam, every number of it per picture; a picture whose gradient is not finite stays where it is."""
        recipe = self._recipe
        axes = tuple(range(1, len(gradient.shape)))
        finite = tf.reduce_all(tf.math.is_finite(gradient), axis=axes, keepdims=True)
        gradient = tf.where(finite, gradient, 0.0)
        size = tf.sqrt(tf.reduce_mean(tf.square(gradient), axis=axes, keepdims=True))
        gradient = tf.clip_by_value(tf.math.divide_no_nan(gradient, size), -recipe.clip, recipe.clip)
        first = recipe.first_decay * first + (1 - recipe.first_decay) * gradient
        second = recipe.second_decay * second + (1 - recipe.second_decay) * tf.square(gradient)
        unbiased_first = first / (1 - recipe.first_decay**number)
        unbiased_second = second / (1 - recipe.second_decay**number)
        return position + rate * unbiased_first / (tf.sqrt(unbiased_second) + EPSILON), first, second

    def seek(self, filters: Sequence[int], on_step: Callable[[], None] = lambda: None) -> Patterns:
        """The patterns of up to `batch` filters; `on_step` is called after every step."""
        seeds = tuple(derived_seed(self._seed, self._site.path, number, "start") for number in filters)
        starts = np.stack([fourier.start(seed, *self._size, self._bands) for seed in seeds])
        position = tf.constant(padded(starts, self._batch))
        indices = padded(np.array(filters, np.int32), self._batch)
        start_images = self._finished(position)
        first, second = tf.zeros_like(position), tf.zeros_like(position)
        for number, warp in enumerate(self._warps, start=1):
            rate = self._recipe.rate * (1 + cos(pi * (number - 1) / len(self._warps))) / 2
            position, first, second = self._step(
                position, first, second, indices, warp.sources, warp.weights, np.float32(number), np.float32(rate)
            )
            on_step()
        images = self._finished(position)
        count = len(filters)
        own = (np.arange(count), indices[:count])
        return Patterns(
            images=images[:count],
            indices=indices[:count],
            activation=_finite_or_nan(self._meter(images)[0][own]),
            activation_start=_finite_or_nan(self._meter(start_images)[0][own]),
            seeds=seeds,
        )

    def _finished(self, spectra: Any) -> np.ndarray:
        return np.asarray(tf.cast(tf.round(self.pictures(spectra) * LEVELS), tf.uint8))


def _finite_or_nan(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, np.nan).astype(np.float32)


def _broken_weights(layer: Any) -> list[Any]:
    """The layer's variables that hold a NaN or an infinity."""
    return [variable for variable in layer.weights if not np.isfinite(keras.ops.convert_to_numpy(variable)).all()]


def _finite(variables: Sequence[Any]) -> AbstractContextManager[Any]:
    """While tracing, read `variables` with 0 in place of what is not finite: one filter's NaN times another's zero gradient is NaN.

    The layer itself keeps its weights; the finished pictures are measured with them.
    """
    if not variables:
        return nullcontext()
    values = [(variable, tf.where(tf.math.is_finite(variable.value), variable.value, 0.0)) for variable in variables]
    return keras.StatelessScope(state_mapping=values)  # type: ignore[no-any-return]
