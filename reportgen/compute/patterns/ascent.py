"""The ascent itself: many filters' pictures at once, a constant number of traces, no work per filter in Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields, replace
from math import cos, pi, prod, sqrt
from typing import Any

import numpy as np

from reportgen.compute.figures import Meter, padded
from reportgen.compute.patterns import colour, objectives, parameterization, starts, transforms
from reportgen.compute.patterns.optimizers import Climber
from reportgen.compute.patterns.randomness import derived_seed
from reportgen.compute.patterns.recipe import KERAS_IO, KERAS_IO_BANDS, KERAS_IO_SIDE, Recipe
from reportgen.errors import ModelError
from reportgen.network.contract import as_shown
from reportgen.network.network import Network
from reportgen.network.precision import bfloat16, has_bfloat16
from reportgen.network.quiet import fused, tf
from reportgen.network.redirected import redirected
from reportgen.network.sites import Site

# Multiplications of a picture's forward pass: below, making the pictures takes longer than the network.
FAST_PAYS = 2e8
AGREEMENT = 0.01  # of the largest objective: what bfloat16 may differ by in the middle of the probed filters
PROBES = 4  # filters that the two precisions are compared on
RESCUE_STEPS = (
    16  # at most, and never more than half: how long a picture without any gradient is let through silent rectifiers
)
MOST, LEAST = 1.0, -1.0  # what is sought: the picture that a filter answers most to, or least


@dataclass(frozen=True)
class Patterns:
    """Finished patterns of n filters; figures are NaN where not finite.

    images: exactly the pixels measured: uint8 (n, height, width, bands), or float32 (n, *size, bands) of signals and volumes.
    activation, activation_start: float32 (n,), of the unit on the finished picture and on the one that the ascent started from.
    pre_activation, pre_activation_start: the same before the activation function. answers: float32 (n, channels), the whole layer's
    figures on each finished picture. likeness: float32 (n,), how alike the pictures of several starts are to the layer; NaN for a single
    start. rescued: bool (n,), whether the gradient had to be let through silent rectifiers.
    """

    images: np.ndarray
    indices: np.ndarray
    activation: np.ndarray
    activation_start: np.ndarray
    pre_activation: np.ndarray
    pre_activation_start: np.ndarray
    answers: np.ndarray
    likeness: np.ndarray
    rescued: np.ndarray
    seeds: tuple[int, ...]

    def arrays(self) -> dict[str, np.ndarray]:
        """What a report keeps of them."""
        return {name: getattr(self, name) for name in ARRAYS if name != "answers"}


ARRAYS = tuple(field.name for field in fields(Patterns) if field.name != "seeds")  # one row a filter


class Ascent:
    """Seeks patterns of one layer, always in batches of one shape, so that a picture does not depend on its neighbours."""

    def __init__(
        self,
        network: Network,
        site: Site,
        size: tuple[int, ...],
        batch: int,
        recipe: Recipe,
        seed: int,
        precision: str = "float32",
        mixing: np.ndarray | None = None,
        directions: Sequence[float] = (MOST,),
    ) -> None:
        """Trace the layer.

        size: of the pictures, without bands. batch: filters a step, from layer and settings alone. precision: of the ascent,
        `float32`, `bfloat16`, or `auto` for bfloat16 where it pays and agrees; figures are always measured in the model's own. mixing:
        float32 (bands, bands), the correlation of the bands, for a recipe that takes it from images. directions: what will be sought.
        Raises ModelError where no gradient reaches the input, UsageError for an optimizer that couples filters.
        """
        self._network, self._site, self._size, self._batch = network, site, size, batch
        self._recipe, self._seed = recipe, seed
        assert site.unit is not None
        self._leaky = recipe.objective == "leaky" and site.unit.rectified
        self.step_traces = 0
        self._meter = Meter(network, [site], size, batch)
        self._meter.trace()
        bands = network.contract.bands
        self._mixing = {"imagenet": colour.imagenet(), "images": mixing}.get(recipe.decorrelation)
        self.parameters = parameterization.make(recipe, size, bands, self._mixing, network.contract.is_picture)
        self.precision = self._agreed(precision)
        field = None if site.receptive_field is None else max(site.receptive_field)
        self._bank = starts.bank(recipe, seed, site.path, field, self.parameters, bands, self._mixing)
        if self._bank is not None:
            self._bank_before, self._bank_after = self._measured(self._finished(self._bank))
        self._climber = Climber(recipe.optimizer, (batch, *self.parameters.shape), recipe.clip_norm is None)
        self._gradients: dict[tuple[float, bool], Any] = {}
        for direction in directions:  # now, so that the first chunk's time is that of any other
            self._traced(direction, rescuing=False)

    @property
    def traces(self) -> int:
        """How often anything of this layer was traced."""
        return self.step_traces + self._meter.traces

    def describe(self) -> dict[str, Any]:
        """The recipe as it was carried out, as plain JSON values."""
        mixing = None if self._mixing is None else [[float(number) for number in row] for row in self._mixing]
        return {**self._recipe.describe(), "precision": self.precision, "mixing": mixing}

    @property
    def climbs(self) -> int:
        """How many times every filter is sought, each time from another start; the best is kept."""
        return self._recipe.restarts

    def objective(self, pictures: Any, filters: Any, precision: str, direction: float = MOST) -> Any:
        """float32 (n,): how strongly each picture, float32 with 0 black and 1 white, excites its own filter.

        direction: MOST, or LEAST for how strongly it silences it: always before the activation, since a rectifier answers 0 to anything it
        dislikes. Call inside a trace.
        """
        with bfloat16(self._network.layers) if precision == "bfloat16" else nullcontext():
            fed = self._network.feed(as_shown(self._network.contract, pictures))
            maps = self._network.own_channels(fed, self._site, filters, self._activated(direction))[..., None]
        return self._means(maps, direction)[:, 0]

    def _activated(self, direction: float) -> bool:
        """Whether the objective looks behind the unit's activation function."""
        return direction > 0 and self._recipe.objective == "activation"

    def _means(self, maps: Any, direction: float) -> Any:
        """float32 (n, channels): the objective of each of `maps` (n, height, width, channels), taken where `_activated` says."""
        return direction * objectives.means(maps, self._recipe.trim, direction > 0 and self._leaky, self._site.times)

    def gradient(
        self,
        coefficients: Any,
        filters: Any,
        transform: Callable[[Any], Any],
        precision: str = "float32",
        direction: float = MOST,
    ) -> tuple[Any, Any]:
        """(objectives (n,), their gradient by `coefficients`), each picture seen through `transform`. Call inside a trace."""
        pictures = self.parameters.to_pictures(coefficients)
        values = self.objective(transform(pictures), filters, precision, direction)
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

    def seek(
        self, filters: Sequence[int], on_step: Callable[[], None] = lambda: None, direction: float = MOST
    ) -> Patterns:
        """The patterns of some filters; `on_step` is called after every step, for each batch `climbs` times the recipe's steps.

        direction: MOST for what excites each filter, LEAST for what it answers least to.
        """
        firsts = range(0, len(filters), self._batch)
        return _joined([self._seek_batch(filters[at : at + self._batch], on_step, direction) for at in firsts])

    def _seek_batch(self, filters: Sequence[int], on_step: Callable[[], None], direction: float) -> Patterns:
        found = [self._climb(filters, restart, on_step, direction) for restart in range(self.climbs)]
        best = found[0]
        for other in found[1:]:
            best = _better(best, other, direction)
        return replace(best, likeness=_likeness([each.answers for each in found], best.indices))

    def _climb(self, filters: Sequence[int], restart: int, on_step: Callable[[], None], direction: float) -> Patterns:
        """One ascent of every filter from its own start."""
        numbers = np.array(filters, np.int32)
        key = ("start",) if restart == 0 else ("start", restart)
        seeds = tuple(derived_seed(self._seed, self._site.path, int(number), *key) for number in filters)
        own = (np.arange(len(numbers)), numbers)
        start, before_start, at_start = self._started(numbers, seeds, restart, direction)
        indices = padded(numbers, self._batch)
        position = self._climber.start(padded(start, self._batch))
        rescued = np.zeros(self._batch, bool)
        with fused():
            for number in range(self._recipe.steps):
                warp = transforms.draw(self._seed, number + 1, self._size)
                gradient, woken = self._uphill(position, indices, warp, number, direction)
                rescued |= woken
                position = self._climber.move(gradient, self._rate(number))
                on_step()
        images = self._finished(position)
        count = len(numbers)
        before, answers = self._measured(images)
        return Patterns(
            images=images[:count],
            indices=numbers,
            activation=_finite_or_nan(answers[own]),
            activation_start=_finite_or_nan(at_start),
            pre_activation=_finite_or_nan(before[own]),
            pre_activation_start=_finite_or_nan(before_start),
            answers=_finite_or_nan(answers[:count]),
            likeness=np.full(count, np.nan, np.float32),
            rescued=rescued[:count],
            seeds=seeds,
        )

    def _started(
        self, filters: np.ndarray, seeds: Sequence[int], restart: int, direction: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where each filter's climb begins, float32 (n, *parameters.shape), and its two figures there, each float32 (n,).

        From the bank while it lasts: it was measured once for all filters. Otherwise from the filter's own noise.
        """
        if self._bank is not None and restart < len(self._bank):
            chosen = self._liked(direction)[restart, filters]
            return self._bank[chosen], self._bank_before[chosen, filters], self._bank_after[chosen, filters]
        noise = np.stack([self.parameters.start(seed) for seed in seeds])
        before, after = self._measured(self._finished(padded(noise, self._batch)))
        own = (np.arange(len(filters)), filters)
        return noise, before[own], after[own]

    def _liked(self, direction: float) -> np.ndarray:
        """For every filter of the layer the numbers of the bank's starts, the best first: int (k, channels)."""
        before, after = direction * self._bank_before, self._bank_after
        if self._activated(direction):
            value = after
        elif direction > 0 and self._leaky:
            value = objectives.leaky_mean(before, after)
        else:
            value = before
        return np.argsort(-np.nan_to_num(value, nan=-np.inf), axis=0, kind="stable")

    def _measured(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(before, after the activation) of all the layer's units on finished `images`, each float32 (n, channels)."""
        return self._meter.both(images)[0]

    def _uphill(
        self, position: Any, indices: np.ndarray, warp: transforms.Warp, number: int, direction: float
    ) -> tuple[Any, np.ndarray]:
        """(the gradient that step `number` follows, bool (n,) for which pictures it was let through silent rectifiers)."""
        given = (position, indices, warp.sources, warp.weights)
        gradient, stuck = self._traced(direction, rescuing=False)(*given)
        woken = np.zeros(self._batch, bool)
        rescuing = self._recipe.rescue and number < min(RESCUE_STEPS, self._recipe.steps // 2)
        if rescuing and np.asarray(stuck).any():
            other, still = self._traced(direction, rescuing=True)(*given)
            woken = np.asarray(stuck) & ~np.asarray(still)
            gradient = tf.where(woken.reshape(-1, *(1,) * len(self.parameters.shape)), other, gradient)
        return gradient, woken

    def _rate(self, number: int) -> float:
        """The optimizer's rate at step `number`, from 0."""
        rate = self._recipe.rate
        if self._recipe.schedule == "cosine":
            rate *= (1 + cos(pi * number / self._recipe.steps)) / 2
        if self._recipe.keras_io_steps:
            rate /= sqrt(KERAS_IO_SIDE * KERAS_IO_SIDE * KERAS_IO_BANDS)  # stated for a gradient of unit length there
        return rate

    def _finished(self, coefficients: Any) -> np.ndarray:
        """What `coefficients` stand for as it is measured and shown."""
        finished, contract = self.parameters.finish(self.parameters.to_pictures(coefficients)), self._network.contract
        return np.asarray(finished if contract.is_picture else as_shown(contract, finished))

    def _traced(self, direction: float, rescuing: bool) -> Any:
        """(gradient as the optimizer takes it, bool (n,) whether a picture has none at all), traced at the first call."""
        if (direction, rescuing) in self._gradients:
            return self._gradients[direction, rescuing]
        corners = (2 ** len(self._size), prod(self._size))
        signature = [
            tf.TensorSpec((self._batch, *self.parameters.shape), tf.float32),
            tf.TensorSpec((self._batch,), tf.int32),
            tf.TensorSpec(corners, tf.int32),
            tf.TensorSpec(corners, tf.float32),
        ]

        def read(position: Any, filters: Any, sources: Any, weights: Any) -> tuple[Any, Any]:
            self.step_traces += 1

            def warped(pictures: Any) -> Any:
                return transforms.apply(pictures, sources, weights) if self._recipe.transforms else pictures

            with redirected() if rescuing else nullcontext():
                values, gradient = self.gradient(position, filters, warped, self.precision, direction)
            stuck = tf.reduce_all(tf.reshape(gradient, (self._batch, -1)) == 0, axis=1) & tf.math.is_finite(values)
            return self._tamed(gradient), stuck

        traced = tf.function(read, input_signature=signature, autograph=False)
        traced.get_concrete_function()
        self._gradients[direction, rescuing] = traced
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
        noise = tf.constant(
            np.stack([self.parameters.start(seed) for seed in seeds]) * np.float32(starts.PROBE_CONTRAST)
        )

        def both(some: Any) -> list[Any]:
            self.step_traces += 1
            pictures = self.parameters.to_pictures(some)
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


def _finite_or_nan(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, np.nan).astype(np.float32)


def _joined(parts: Sequence[Patterns]) -> Patterns:
    """The patterns of one batch after the other."""
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ARRAYS}
    return Patterns(**joined, seeds=tuple(seed for part in parts for seed in part.seeds))


def _better(one: Patterns, other: Patterns, direction: float) -> Patterns:
    """For every filter what reached more in the wanted direction; the first where neither did.

    Upwards the unit's own activation counts; downwards the pre-activation, since a rectifier answers 0 to anything it dislikes.
    """
    name = "activation" if direction > 0 else "pre_activation"
    kept, new = direction * getattr(one, name), direction * getattr(other, name)
    better = (new > kept) | (np.isnan(kept) & ~np.isnan(new))

    def chosen(name: str) -> np.ndarray:
        first, second = getattr(one, name), getattr(other, name)
        return np.asarray(np.where(better.reshape(-1, *(1,) * (first.ndim - 1)), second, first))

    seeds = tuple(second if wins else first for wins, first, second in zip(better, one.seeds, other.seeds, strict=True))
    return replace(one, **{name: chosen(name) for name in ARRAYS}, seeds=seeds)


def _likeness(answers: Sequence[np.ndarray], filters: np.ndarray) -> np.ndarray:
    """float32 (n,): the mean cosine, over all pairs of starts, between what the layer's other filters answer to a filter's pictures.

    1 where every start led to the same mixture of features; NaN for a single start or where the other filters are silent.
    """
    if len(answers) < 2:
        return np.full(len(filters), np.nan, np.float32)
    found = np.nan_to_num(np.stack(answers).astype(np.float64), nan=0)  # starts, filters, channels
    found[:, np.arange(len(filters)), filters] = 0  # each picture excites its own filter: that says nothing
    length = np.linalg.norm(found, axis=2, keepdims=True)
    unit = np.divide(found, length, out=np.full_like(found, np.nan), where=length > 0)
    pairs = [(unit[first] * unit[second]).sum(axis=1) for second in range(len(found)) for first in range(second)]
    return np.asarray(np.mean(pairs, axis=0), np.float32)
