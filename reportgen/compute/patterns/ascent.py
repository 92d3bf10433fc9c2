"""The ascent itself: many filters' pictures at once, one traced step, no work per filter in Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from math import cos, pi
from typing import Any

import numpy as np

from reportgen.compute.figures import Meter, padded
from reportgen.compute.patterns import colour, fourier, objectives, transforms
from reportgen.compute.patterns.optimizer import adam
from reportgen.compute.patterns.randomness import derived_seed
from reportgen.compute.patterns.recipe import Recipe
from reportgen.errors import ModelError
from reportgen.network.contract import EIGHT_BIT_MAXIMUM
from reportgen.network.network import Network, Site
from reportgen.network.precision import bfloat16, has_bfloat16
from reportgen.network.quiet import tf

# Pixels. On VGG16 a coloured start helps in the first block (fields of 3 and 5) and only tints the picture in the fourth (60 and more).
PLAIN_COLOUR_FIELD = 16
# Multiplications of a picture's forward pass: below, making the pictures takes longer than the network.
FAST_PAYS = 2e8
AGREEMENT = 0.01  # of the largest objective: what bfloat16 may differ by in the middle of the probed filters
PROBES = 4  # filters that the two precisions are compared on
PROBE_CONTRAST = 30.0  # starts are too faint to tell two precisions apart: the probe sees pictures of natural contrast


@dataclass(frozen=True)
class Patterns:
    """Finished patterns. images: uint8 (n, height, width, bands), exactly the pixels measured; figures NaN where not finite."""

    images: np.ndarray
    indices: np.ndarray
    activation: np.ndarray
    activation_start: np.ndarray
    seeds: tuple[int, ...]


class Ascent:
    """Seeks patterns of one layer, always in batches of one shape, so that a picture does not depend on its neighbours."""

    def __init__(
        self,
        network: Network,
        site: Site,
        size: tuple[int, int],
        batch: int,
        recipe: Recipe,
        seed: int,
        precision: str = "float32",
    ) -> None:
        """Trace the layer, once.

        size: (height, width) of the pictures. batch: filters a step, from layer and settings alone. precision: of the ascent,
        `float32`, `bfloat16`, or `auto` for bfloat16 where it pays and agrees; figures are always measured in the model's own.
        Raises ModelError where no gradient reaches the input.
        """
        self._network, self._site, self._size, self._batch = network, site, size, batch
        self._recipe, self._seed = recipe, seed
        self._bands = network.contract.bands
        assert site.unit is not None
        self._rectified = site.unit.rectified
        self._meter = Meter(network, [site], size, batch)
        self._meter.trace()
        self.step_traces = 0
        self._colours = fourier.plain(colour.to_planes(colour.plain(self._bands)), *size)
        self._colour_of = self._best_colours()
        self.precision = self._agreed(precision)
        self._step = self._traced_step()

    @property
    def traces(self) -> int:
        """How often anything of this layer was traced."""
        return self.step_traces + self._meter.traces

    def pictures(self, spectra: Any) -> Any:
        """float32 (n, height, width, bands) in [0, 1]."""
        return colour.to_pictures(fourier.to_planes(spectra, *self._size))

    def objective(self, pictures: Any, filters: Any, precision: str) -> Any:
        """float32 (n,): how strongly each picture, float32 in [0, 1], excites its own filter."""
        with bfloat16(self._network.layers) if precision == "bfloat16" else nullcontext():
            before = self._network.pre_activation(self._network.feed(pictures * EIGHT_BIT_MAXIMUM), self._site, filters)
        return objectives.excitement(before, self._rectified)

    def gradient(
        self, spectra: Any, filters: Any, transform: Callable[[Any], Any], precision: str = "float32"
    ) -> tuple[Any, Any]:
        """(objectives (n,), their gradient by `spectra`), each picture seen through `transform`."""
        with tf.GradientTape() as tape:
            tape.watch(spectra)
            values = self.objective(transform(self.pictures(spectra)), filters, precision)
            total = tf.reduce_sum(values)
        gradient = tape.gradient(total, spectra)
        if gradient is None:
            raise ModelError(
                "no gradient reaches the input (the preprocessing or a layer before this one is not differentiable)"
            )
        return values, gradient

    @property
    def climbs(self) -> int:
        """How many times every filter is sought, each time from another start; the best is kept."""
        return 1 if self._colour_of is None else 2

    def seek(self, filters: Sequence[int], on_step: Callable[[], None] = lambda: None) -> Patterns:
        """The patterns of up to `batch` filters; `on_step` is called after every step, `climbs` times the recipe's steps."""
        seeds = tuple(derived_seed(self._seed, self._site.path, number, "start") for number in filters)
        noise = np.stack([fourier.start(seed, *self._size, self._bands) for seed in seeds])
        numbers = np.array(filters, np.int32)
        found = self._climb(noise, numbers, on_step)
        if self._colour_of is not None:
            other = self._climb(noise + self._colours[self._colour_of[numbers]], numbers, on_step)
            found = _better(found, other)
        return replace(found, seeds=seeds)

    def _climb(self, starts: np.ndarray, filters: np.ndarray, on_step: Callable[[], None]) -> Patterns:
        """One ascent of every filter from its own start, float32 (n, bands, height, width // 2 + 1, 2)."""
        position = tf.constant(padded(starts, self._batch))
        indices = padded(filters, self._batch)
        start_images = self._finished(position)
        first, second = tf.zeros_like(position), tf.zeros_like(position)
        for number in range(1, self._recipe.steps + 1):
            warp = transforms.draw(self._seed, number, *self._size)
            rate = self._recipe.rate * (1 + cos(pi * (number - 1) / self._recipe.steps)) / 2
            position, first, second = self._step(
                position, first, second, indices, warp.sources, warp.weights, np.float32(number), np.float32(rate)
            )
            on_step()
        images = self._finished(position)
        count = len(filters)
        own = (np.arange(count), filters)
        return Patterns(
            images=images[:count],
            indices=filters,
            activation=_finite_or_nan(self._meter(images)[0][own]),
            activation_start=_finite_or_nan(self._meter(start_images)[0][own]),
            seeds=(),
        )

    def _finished(self, spectra: Any) -> np.ndarray:
        return np.asarray(tf.cast(tf.round(self.pictures(spectra) * EIGHT_BIT_MAXIMUM), tf.uint8))

    def _traced_step(self) -> Any:
        spectra = tf.TensorSpec((self._batch, *fourier.spectrum_shape(*self._size, self._bands)), tf.float32)
        corners = (transforms.CORNERS, self._size[0] * self._size[1])
        number = tf.TensorSpec((), tf.float32)
        filters = tf.TensorSpec((self._batch,), tf.int32)
        signature = [
            spectra,
            spectra,
            spectra,
            filters,
            tf.TensorSpec(corners, tf.int32),
            tf.TensorSpec(corners, tf.float32),
            number,
            number,
        ]

        def step(
            position: Any, first: Any, second: Any, filters: Any, sources: Any, weights: Any, number: Any, rate: Any
        ) -> Any:
            self.step_traces += 1

            def warped(pictures: Any) -> Any:
                return transforms.apply(pictures, sources, weights)

            gradient = self.gradient(position, filters, warped, self.precision)[1]
            return adam(position, first, second, gradient, number, rate, self._recipe)

        traced = tf.function(step, input_signature=signature, autograph=False)
        traced.get_concrete_function()  # now, so that the first chunk's time is that of any other
        return traced

    def _best_colours(self) -> np.ndarray | None:
        """For every filter of the layer the number of the plain colour that excites it most; None where filters see more than a few pixels.

        A filter of the first layers may want a plain colour at its limit and answer to nothing near mid-grey, so it is sought
        from there, too. One look at a handful of colours serves all filters at once.
        """
        axes = self._site.view.axes
        if axes is None or max(axis.size for axis in axes) > PLAIN_COLOUR_FIELD:
            return None

        def answer(some: Any) -> Any:
            self.step_traces += 1
            fed = self._network.feed(self.pictures(some) * EIGHT_BIT_MAXIMUM)
            ((before, _),) = self._network.units(fed, [self._site])
            return objectives.excitements(before, self._rectified)

        signature = tf.TensorSpec((1, *self._colours.shape[1:]), tf.float32)
        ask = tf.function(answer, input_signature=[signature], autograph=False)
        answers = [np.asarray(ask(self._colours[number : number + 1])) for number in range(len(self._colours))]
        return np.asarray(np.nan_to_num(np.concatenate(answers), nan=-np.inf).argmax(axis=0))

    def _agreed(self, wanted: str) -> str:
        """The precision of the ascent: what was wanted, or for `auto` bfloat16 where it pays and a probe agrees with float32."""
        if wanted != "auto":
            return wanted
        area = self._size[0] * self._size[1] / (self._network.contract.size[0] * self._network.contract.size[1])
        pays = has_bfloat16() and self._site.costs.macs * area >= FAST_PAYS
        return "bfloat16" if pays and self._probe() else "float32"

    def _probe(self) -> bool:
        """Whether bfloat16 gives the objectives of some filters on pictures of natural contrast within AGREEMENT of float32.

        Always the same few filters in one batch, whatever is sought: what the answer is must follow from layer and seed alone.
        """
        filters = np.linspace(0, self._site.channels - 1, PROBES).astype(np.int32)
        seeds = [derived_seed(self._seed, self._site.path, number, "probe") for number in range(PROBES)]
        noise = np.stack([fourier.start(seed, *self._size, self._bands) for seed in seeds])
        spectra = tf.constant(PROBE_CONTRAST * noise)

        def both(some: Any) -> list[Any]:
            self.step_traces += 1
            pictures = self.pictures(some)
            return [self.objective(pictures, filters, precision) for precision in ("float32", "bfloat16")]

        try:
            exact, fast = (np.asarray(values) for values in tf.function(both, autograph=False)(spectra))
        except Exception:  # a layer that cannot compute in bfloat16: then the model is left at its own precision
            return False
        scale = np.abs(exact[np.isfinite(exact)]).max(initial=0)
        difference = np.abs(fast - exact)
        return bool(scale > 0 and np.median(difference[np.isfinite(difference)]) <= AGREEMENT * scale)


def _finite_or_nan(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, np.nan).astype(np.float32)


def _better(one: Patterns, other: Patterns) -> Patterns:
    """For every filter the picture that reached more; the first where neither did."""
    better = other.activation > one.activation
    return replace(
        one,
        images=np.where(better[:, None, None, None], other.images, one.images),
        activation=np.where(better, other.activation, one.activation),
        activation_start=np.where(better, other.activation_start, one.activation_start),
    )
