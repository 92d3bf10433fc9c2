"""The ascent itself: many filters' pictures at once, from their starts to what is measured on them; no work per filter in Python."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from math import cos, pi, sqrt
from threading import Event, Lock
from typing import Any

import numpy as np

from reportgen.compute.figures import Meter, padded
from reportgen.compute.patterns import colour, parameterization, starts, transforms
from reportgen.compute.patterns.found import Patterns, best, better, finite_or_nan, joined, replaced
from reportgen.compute.patterns.objectives import MOST
from reportgen.compute.patterns.optimizers import Climber
from reportgen.compute.patterns.randomness import derived_seed
from reportgen.compute.patterns.recipe import KERAS_IO_BANDS, KERAS_IO_SIDE, Recipe
from reportgen.compute.patterns.slope import Slope
from reportgen.network.contract import as_shown
from reportgen.network.network import Network
from reportgen.network.quiet import fused
from reportgen.network.sites import Site

DEAR = 8  # times the steps of a second climb: parts that took so many do not wait for more silent filters
WARP_BYTES = 2**25  # of all steps' warps that are kept


@dataclass(frozen=True)
class Breadth:
    """How many pictures climb at once: `abreast` batches of `batch`. Pictures depend on the batch, never on how many are abreast."""

    batch: int
    abreast: int = 1


@dataclass(frozen=True)
class _Climb:
    """Where one climb of n filters begins.

    insisting: whether it is for the strongest positions of filters that another climb left silent. seeds: that each start was drawn from.
    start: float32 (n, ...), coefficients. pre_activation, activation: float32 (n,), there.
    """

    filters: np.ndarray
    direction: float
    insisting: bool
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
        self._meter = Meter(network, [site], size, self._batch)
        self._meter.trace()
        bands = network.contract.bands
        self._mixing = {"imagenet": colour.imagenet(), "images": mixing}.get(recipe.decorrelation)
        self.parameters = parameterization.make(recipe, size, bands, self._mixing, network.contract.is_picture)
        self.slope = Slope(network, site, size, self._batch, recipe, self.parameters, seed, precision)
        field = None if site.receptive_field is None else max(site.receptive_field)
        self._bank = starts.bank(recipe, seed, site.path, field, self.parameters, bands, self._mixing)
        if self._bank is not None:
            self._bank_before, self._bank_after = self._measured(self._finished(self._bank))
        self._climbers = [self._climber()]
        self._warps: dict[int, transforms.Warp] = {}
        for direction in directions:  # now, so that the first chunk's time is that of any other
            self.slope.prepare(direction)

    def _climber(self) -> Climber:
        return Climber(self._recipe.optimizer, (self._batch, *self.parameters.shape), self._recipe.clip_norm is None)

    @property
    def traces(self) -> int:
        """How often anything of this layer was traced."""
        return self.slope.traces + self._meter.traces

    def describe(self) -> dict[str, Any]:
        """The recipe as it was carried out, as plain JSON values."""
        mixing = None if self._mixing is None else [[float(number) for number in row] for row in self._mixing]
        return {**self._recipe.describe(), "precision": self.slope.precision, "mixing": mixing}

    @property
    def climbs(self) -> int:
        """How many times every filter is sought, each time from another start; the best is kept."""
        return self._recipe.restarts

    def steps_of(self, parts: Sequence[tuple[Sequence[int], float]]) -> int:
        """How often `seek_each` will call `on_step` for these parts."""
        return self.climbs * self._recipe.steps * sum(-(-len(filters) // self._batch) for filters, _ in parts)

    def seek(
        self, filters: Sequence[int], on_step: Callable[[], None] = lambda: None, direction: float = MOST
    ) -> Patterns:
        """The patterns of some filters; `on_step` is called after every step, for each batch `climbs` times the recipe's steps.

        direction: MOST for what excites each filter, LEAST for what it answers least to.
        """
        ((_, found),) = self.seek_each([(filters, direction)], on_step)
        return found

    def seek_each(
        self, parts: Sequence[tuple[Sequence[int], float]], on_step: Callable[[], None] = lambda: None
    ) -> Iterator[tuple[int, Patterns]]:
        """(number of the part, its patterns) for each part, some filters and a direction, as soon as they are there. See `seek`.

        Several batches climb at the same time, each in a thread; `on_step` is never called by two at once. Filters that stayed silent are
        sought again, several parts' together, so such parts come later than others.
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
        waiting: dict[int, Patterns] = {}
        for at in range(0, len(batches), self._abreast):
            some = batches[at : at + self._abreast]
            climbs = [self._climbed([batch[1:] for batch in some], restart, step) for restart in range(self.climbs)]
            for own, (number, _, direction) in zip(zip(*climbs, strict=True), some, strict=True):
                found[number].append(best(own, direction))
                if len(found[number]) * self._batch >= len(parts[number][0]):
                    whole = joined(found[number])
                    if direction > 0 and self._silent(whole).any():
                        waiting[number] = whole
                    else:
                        yield number, whole
            if self._waited_enough(waiting.values()):
                yield from self._insisted(waiting)
                waiting = {}
        yield from self._insisted(waiting)

    def _waited_enough(self, waiting: Collection[Patterns]) -> bool:
        """Whether silent filters fill what climbs at once, or what would be lost by waiting is dear beside a second climb."""
        silent = sum(self._silent(part).sum() for part in waiting)
        taken = len(waiting) * self.climbs * self._recipe.steps
        return bool(silent >= self._batch * self._abreast or taken >= DEAR * self._recipe.insistence > 0)

    def _silent(self, found: Patterns) -> np.ndarray:
        """Which filters a second climb may wake: bool (n,)."""
        return self.slope.insists & (found.activation <= 0)

    def _insisted(self, waiting: dict[int, Patterns]) -> Iterator[tuple[int, Patterns]]:
        """The parts, with the better pattern of each silent filter after a second climb for its strongest positions."""
        if not waiting:
            return
        filters = np.concatenate([part.indices[self._silent(part)] for part in waiting.values()]).tolist()
        batches = [(filters[at : at + self._batch], MOST) for at in range(0, len(filters), self._batch)]
        found: list[Patterns] = []
        for at in range(0, len(batches), self._abreast):
            found += self._climbed(batches[at : at + self._abreast], 0, lambda: None, insisting=True)
        again, taken = joined(found), 0
        for number, part in waiting.items():
            rows = np.flatnonzero(self._silent(part))
            first, second = part.rows(rows), again.rows(np.arange(taken, taken + len(rows)))
            taken += len(rows)
            kept = replace(better(first, second, MOST), likeness=first.likeness)  # that is of the starts
            yield number, replaced(part, rows, kept)

    def _climbed(
        self,
        parts: Sequence[tuple[Sequence[int], float]],
        restart: int,
        on_step: Callable[[], None],
        insisting: bool = False,
    ) -> list[Patterns]:
        """One climb of every filter of each part; the parts' steps overlap, since many of TensorFlow's operations keep one core busy."""
        climbs = [
            self._begun(np.array(filters, np.int32), restart, direction, insisting) for filters, direction in parts
        ]
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
        for number, rate in enumerate(self._rates(climb.insisting)):
            if stop.is_set():  # another part failed, or the user interrupts
                break
            warp = self._warp(number + 1)
            gradient, woken = self.slope.uphill(position, indices, warp, number, climb.direction, climb.insisting)
            rescued |= woken
            position = climber.move(gradient, rate)
            on_step()
        return position, rescued

    def _warp(self, step: int) -> transforms.Warp:
        """What every picture is seen through at `step`, kept for the next batch where all steps' together are small."""
        if step in self._warps:
            return self._warps[step]
        warp = transforms.draw(self._seed, step, self._size)
        if max(self._recipe.steps, self._recipe.insistence) * warp.nbytes <= WARP_BYTES:
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

    def _begun(self, filters: np.ndarray, restart: int, direction: float, insisting: bool) -> _Climb:
        """Where each filter's climb begins: in the bank while it lasts, measured once for all filters; then in the filter's own noise."""
        if self._bank is not None and restart < len(self._bank):
            chosen = self._liked(filters, direction)[restart]
            seeds = tuple(starts.cloud_seed(self._seed, self._site.path, int(number)) for number in chosen)
            own = (chosen, filters)
            start, before, after = self._bank[chosen], self._bank_before[own], self._bank_after[own]
            return _Climb(filters, direction, insisting, seeds, start, before, after)
        key = ("start",) if restart == 0 else ("start", restart)
        seeds = tuple(derived_seed(self._seed, self._site.path, int(number), *key) for number in filters)
        noise = np.stack([self.parameters.start(seed) for seed in seeds])
        before, after = self._measured(self._finished(padded(noise, self._batch)))
        own = (np.arange(len(filters)), filters)
        return _Climb(filters, direction, insisting, seeds, noise, before[own], after[own])

    def _liked(self, filters: np.ndarray, direction: float) -> np.ndarray:
        """For each of n filters the numbers of the bank's starts, the best first: int (k, n)."""
        value = self.slope.of_figures(self._bank_before[:, filters], self._bank_after[:, filters], direction)
        return np.argsort(-np.nan_to_num(value, nan=-np.inf), axis=0, kind="stable")

    def _measured(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(before, after the activation) of all the layer's units on finished `images`, each float32 (n, channels)."""
        return self._meter.both(images)[0]

    def _rates(self, insisting: bool) -> list[float]:
        """The optimizer's rate at every step of a climb."""
        recipe = self._recipe
        rate, steps = (recipe.insistent_rate, recipe.insistence) if insisting else (recipe.rate, recipe.steps)
        rates = [rate] * steps
        if recipe.schedule == "cosine":
            rates = [rate * ((1 + cos(pi * number / steps)) / 2) for number in range(steps)]
        if recipe.keras_io_steps:  # stated for a gradient of unit length there
            rates = [rate / sqrt(KERAS_IO_SIDE * KERAS_IO_SIDE * KERAS_IO_BANDS) for rate in rates]
        return rates

    def _finished(self, coefficients: Any) -> np.ndarray:
        """What `coefficients` stand for as it is measured and shown."""
        finished, contract = self.parameters.finish(self.parameters.to_pictures(coefficients)), self._network.contract
        return np.asarray(finished if contract.is_picture else as_shown(contract, finished))
