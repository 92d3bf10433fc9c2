"""The ascent itself: many filters' pictures at once, a constant number of traces, no work per filter in Python."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from math import cos, pi, prod, sqrt
from threading import Event, Lock
from typing import Any

import numpy as np

from reportgen.compute.figures import Meter, padded
from reportgen.compute.patterns import colour, objectives, parameterization, starts, transforms
from reportgen.compute.patterns.found import Patterns, best, finite_or_nan, joined
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
WARP_BYTES = 2**25  # of all steps' warps that are kept
MOST, LEAST = 1.0, -1.0  # what is sought: the picture that a filter answers most to, or least


@dataclass(frozen=True)
class Breadth:
    """How many pictures climb at once: `abreast` batches of `batch`. Pictures depend on the batch, never on how many are abreast."""

    batch: int
    abreast: int = 1


@dataclass(frozen=True)
class _Climb:
    """Where one climb of n filters begins.

    seeds: that each start was drawn from. start: float32 (n, ...), coefficients. pre_activation, activation: float32 (n,), there.
    """

    filters: np.ndarray
    direction: float
    seeds: tuple[int, ...]
    start: np.ndarray
    pre_activation: np.ndarray
    activation: np.ndarray


class Ascent:
    """Seeks patterns of one layer, always in batches of one shape, so that a picture does not depend on its neighbours."""

    def __init__(
        self,
        network: Network,
        site: Site,
        size: tuple[int, ...],
        breadth: Breadth,
        recipe: Recipe,
        seed: int,
        precision: str = "float32",
        mixing: np.ndarray | None = None,
        directions: Sequence[float] = (MOST,),
    ) -> None:
        """Trace the layer.

        size: of the pictures, without bands. breadth: filters a step, the batch from layer and settings alone. precision: of the ascent,
        `float32`, `bfloat16`, or `auto` for bfloat16 where it pays and agrees; figures are always measured in the model's own. mixing:
        float32 (bands, bands), the correlation of the bands, for a recipe that takes it from images. directions: what will be sought.
        Raises ModelError where no gradient reaches the input, UsageError for an optimizer that couples filters.
        """
        self._network, self._site, self._size = network, site, size
        self._batch, self._abreast = breadth.batch, breadth.abreast
        self._recipe, self._seed = recipe, seed
        assert site.unit is not None
        self._leaky = recipe.objective == "leaky" and site.unit.rectified
        self.step_traces = 0
        self._meter = Meter(network, [site], size, self._batch)
        self._meter.trace()
        bands = network.contract.bands
        self._mixing = {"imagenet": colour.imagenet(), "images": mixing}.get(recipe.decorrelation)
        self.parameters = parameterization.make(recipe, size, bands, self._mixing, network.contract.is_picture)
        self.precision = self._agreed(precision)
        field = None if site.receptive_field is None else max(site.receptive_field)
        self._bank = starts.bank(recipe, seed, site.path, field, self.parameters, bands, self._mixing)
        if self._bank is not None:
            self._bank_before, self._bank_after = self._measured(self._finished(self._bank))
        self._climbers = [self._climber()]
        self._tracing = Lock()
        self._warps: dict[int, transforms.Warp] = {}
        self._gradients: dict[tuple[float, bool], Any] = {}
        for direction in directions:  # now, so that the first chunk's time is that of any other
            self._traced(direction, rescuing=False)

    def _climber(self) -> Climber:
        return Climber(self._recipe.optimizer, (self._batch, *self.parameters.shape), self._recipe.clip_norm is None)

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

    def steps_of(self, parts: Sequence[tuple[Sequence[int], float]]) -> int:
        """How often `seek_each` will call `on_step` for these parts."""
        return self.climbs * self._recipe.steps * sum(-(-len(filters) // self._batch) for filters, _ in parts)

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
        return next(self.seek_each([(filters, direction)], on_step))

    def seek_each(
        self, parts: Sequence[tuple[Sequence[int], float]], on_step: Callable[[], None] = lambda: None
    ) -> Iterator[Patterns]:
        """The patterns of each part, some filters and the direction, in order and as soon as they are there. See `seek`.

        Several batches climb at the same time, each in a thread; `on_step` is never called by two at once.
        """
        lock = Lock()

        def step() -> None:
            with lock:
                on_step()

        batches = [
            (number, filters[at : at + self._batch], direction)
            for number, (filters, direction) in enumerate(parts)
            for at in range(0, len(filters), self._batch)
        ]
        found: list[list[Patterns]] = [[] for _ in parts]
        for at in range(0, len(batches), self._abreast):
            some = batches[at : at + self._abreast]
            climbs = [self._climbed([batch[1:] for batch in some], restart, step) for restart in range(self.climbs)]
            for own, (number, _, direction) in zip(zip(*climbs, strict=True), some, strict=True):
                found[number].append(best(own, direction))
                if len(found[number]) * self._batch >= len(parts[number][0]):
                    yield joined(found[number])

    def _climbed(
        self, parts: Sequence[tuple[Sequence[int], float]], restart: int, on_step: Callable[[], None]
    ) -> list[Patterns]:
        """One climb of every filter of each part; the parts' steps overlap, since many of TensorFlow's operations keep one core busy."""
        climbs = [self._begun(np.array(filters, np.int32), restart, direction) for filters, direction in parts]
        while len(self._climbers) < len(climbs):
            self._climbers.append(self._climber())
        stop = Event()
        with fused():
            if len(climbs) == 1:
                ends = [self._ascended(climbs[0], self._climbers[0], on_step, stop)]
            else:
                # In new threads: TensorFlow keeps for each thread what `fused` sets.
                with ThreadPoolExecutor(len(climbs)) as pool:
                    running = [
                        pool.submit(self._ascended, climb, climber, on_step, stop)
                        for climb, climber in zip(climbs, self._climbers, strict=False)
                    ]
                    try:
                        ends = [each.result() for each in running]
                    except BaseException:
                        stop.set()
                        raise
        return [self._ended(climb, *end) for climb, end in zip(climbs, ends, strict=True)]

    def _ascended(
        self, climb: _Climb, climber: Climber, on_step: Callable[[], None], stop: Event
    ) -> tuple[Any, np.ndarray]:
        """(where the climb ends, bool (batch,) for which pictures the gradient was let through silent rectifiers)."""
        indices = padded(climb.filters, self._batch)
        position = climber.start(padded(climb.start, self._batch))
        rescued = np.zeros(self._batch, bool)
        for number in range(self._recipe.steps):
            if stop.is_set():  # another part failed, or the user interrupts
                break
            warp = self._warp(number + 1)
            gradient, woken = self._uphill(position, indices, warp, number, climb.direction)
            rescued |= woken
            position = climber.move(gradient, self._rate(number))
            on_step()
        return position, rescued

    def _warp(self, step: int) -> transforms.Warp:
        """What every picture is seen through at `step`, kept for the next batch where all steps' together are small."""
        if step in self._warps:
            return self._warps[step]
        warp = transforms.draw(self._seed, step, self._size)
        if self._recipe.steps * warp.nbytes <= WARP_BYTES:
            self._warps[step] = warp
        return warp

    def _ended(self, climb: _Climb, position: Any, rescued: np.ndarray) -> Patterns:
        """The climb's finished pictures, measured."""
        images = self._finished(position)
        before, answers = self._measured(images)
        count = len(climb.filters)
        own = (np.arange(count), climb.filters)
        return Patterns(
            images=images[:count],
            indices=climb.filters,
            activation=finite_or_nan(answers[own]),
            activation_start=finite_or_nan(climb.activation),
            pre_activation=finite_or_nan(before[own]),
            pre_activation_start=finite_or_nan(climb.pre_activation),
            answers=finite_or_nan(answers[:count]),
            likeness=np.full(count, np.nan, np.float32),
            rescued=rescued[:count],
            seeds=climb.seeds,
        )

    def _begun(self, filters: np.ndarray, restart: int, direction: float) -> _Climb:
        """Where each filter's climb begins: in the bank while it lasts, measured once for all filters; then in the filter's own noise."""
        if self._bank is not None and restart < len(self._bank):
            chosen = self._liked(direction)[restart, filters]
            seeds = tuple(starts.cloud_seed(self._seed, self._site.path, int(number)) for number in chosen)
            own = (chosen, filters)
            return _Climb(filters, direction, seeds, self._bank[chosen], self._bank_before[own], self._bank_after[own])
        key = ("start",) if restart == 0 else ("start", restart)
        seeds = tuple(derived_seed(self._seed, self._site.path, int(number), *key) for number in filters)
        noise = np.stack([self.parameters.start(seed) for seed in seeds])
        before, after = self._measured(self._finished(padded(noise, self._batch)))
        own = (np.arange(len(filters)), filters)
        return _Climb(filters, direction, seeds, noise, before[own], after[own])

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
        with self._tracing:  # climbs that run abreast may both be the first to need it
            if (direction, rescuing) not in self._gradients:
                self._gradients[direction, rescuing] = self._trace(direction, rescuing)
            return self._gradients[direction, rescuing]

    def _trace(self, direction: float, rescuing: bool) -> Any:
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
