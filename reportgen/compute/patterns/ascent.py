"""The ascent itself: many filters' pictures at once, from their starts to what is measured on them; no work per filter in Python."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from math import cos, pi, prod, sqrt
from threading import Event, Lock
from typing import Any

import numpy as np

from reportgen.compute.figures import Figures, Meter, padded
from reportgen.compute.patterns import colour, found, parameterization, patches, starts, transforms
from reportgen.compute.patterns.canvas import Canvas, canvas_for, whole
from reportgen.compute.patterns.found import Patterns, begun, best, joined, replaced
from reportgen.compute.patterns.objectives import MOST
from reportgen.compute.patterns.optimizers import Climber
from reportgen.compute.patterns.randomness import derived_seed, generator
from reportgen.compute.patterns.recipe import KERAS_IO_BANDS, KERAS_IO_SIDE, Recipe
from reportgen.compute.patterns.slope import PixelSteps, Slope
from reportgen.network.contract import as_shown
from reportgen.network.network import Network
from reportgen.network.quiet import fused, tf
from reportgen.network.scaling import EIGHT_BIT_MAXIMUM
from reportgen.network.sites import Site

DEAR = 8  # times the steps of the search for silent filters: parts that took so many do not wait for more of them
WARP_BYTES = 2**25  # of all steps' warps that are kept
MOST_STEPS = 3  # times the steps of a search, where the canvas is so much smaller than the picture
TILED_RATE = 0.2  # of a search's rate, where it begins at a tiled sign patch, which is nearly the answer
UNRECTIFIED_RATE = 0.4  # of a search's rate, where silent positions count as they are: bold steps lose what they had
AFFINE_FIELD = 32  # pixels: kernels that see more are not looked at as sign patches
# The period of a canvas in receptive fields: a texture may repeat itself within one; what fires at single positions only, and is silent
# otherwise, needs room between them.
TEXTURE_FIELDS, WAKING_FIELDS = 0.5, 3.0
FEW = 2  # silent filters that are sought at once: there are seldom more, and a batch is always filled
NOISE = 0.05  # deviation around mid-grey of the start of the search for silent filters


@dataclass(frozen=True)
class Breadth:
    """How many pictures climb at once: `abreast` batches of `batch`. Pictures depend on the batch, never on how many are abreast."""

    batch: int
    abreast: int = 1


@dataclass(frozen=True)
class _Climb:
    """Where one climb of n filters begins.

    seeds: that each start was drawn from. start: float32 (n, ...), coefficients. images: those as finished pictures. figures: (n,) each,
    of every filter on its own one.
    """

    filters: np.ndarray
    direction: float
    seeds: tuple[int, ...]
    start: np.ndarray
    images: np.ndarray
    figures: Figures


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
        dead: np.ndarray | None = None,
    ) -> None:
        """Trace the layer.

        size: of the pictures, without bands. breadth: filters a step, the batch from layer and settings alone. precision: of the ascent,
        `float32`, `bfloat16`, or `auto` for bfloat16 where it pays and agrees; figures are always measured in the model's own. mixing:
        float32 (bands, bands), the correlation of the bands, for a recipe that takes it from images. directions: what will be sought.
        dead: bool (channels,), which units are proven to answer to nothing, so that no search for silent filters is spent on them.
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
            self._bank_images = self._finished(self._bank)
            self._bank_figures = self._measured(self._bank_images)
        free = all(length is None for length in network.contract.shape[:-1])
        self._canvas = canvas_for(site, size, free, TEXTURE_FIELDS)
        self._waking_canvas = canvas_for(site, size, free, WAKING_FIELDS)
        self._dead = np.zeros(site.channels, bool) if dead is None else dead
        self._affine = recipe.strongest_steps > 0 and MOST in directions and self._is_affine()
        self._climbers = [self._climber()]
        self._stop = Event()
        self._warps: dict[int, transforms.Warp] = {}
        self._pixels: dict[tuple[Canvas, int, bool, float, bool], PixelSteps] = {}
        for direction in directions:  # now, so that the first chunk's time is that of any other
            if self._climbing > 0:
                self.slope.prepare(direction)
            if recipe.pixel_steps > 0:
                self._pixel_steps(whole(size), self._batch, True, direction)
        if MOST in directions and recipe.strongest_steps > 0:
            self._pixel_steps(self._strongest_canvas, self._batch, False)

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
    def _climbing(self) -> int:
        """Steps of coefficients, before those of single pixels."""
        return self._recipe.steps - self._recipe.pixel_steps

    @property
    def _strongest_canvas(self) -> Canvas:
        """Where the strongest response is sought: on the whole picture where tiled sign patches are the start."""
        return whole(self._size) if self._affine else self._canvas

    @property
    def climbs(self) -> int:
        """How many times every filter is sought, each time from another start; the best is kept."""
        return self._recipe.restarts

    def steps_of(self, parts: Sequence[tuple[Sequence[int], float]]) -> int:
        """How often `seek_each` will call `on_step` for these parts."""
        return sum(
            -(-len(filters) // self._batch)
            * (self.climbs * self._recipe.steps + (self._searching if direction > 0 else 0))
            for filters, direction in parts
        )

    def seek(
        self, filters: Sequence[int], on_step: Callable[[], None] = lambda: None, direction: float = MOST
    ) -> Patterns:
        """The patterns of some filters; `on_step` is called after every step of the ascent and of the search for the strongest response.

        direction: MOST for what excites each filter, LEAST for what it answers least to.
        """
        ((_, patterns),) = self.seek_each([(filters, direction)], on_step)
        return patterns

    def seek_each(
        self, parts: Sequence[tuple[Sequence[int], float]], on_step: Callable[[], None] = lambda: None
    ) -> Iterator[tuple[int, Patterns]]:
        """(number of the part, its patterns) for each part, some filters and a direction, as soon as they are there. See `seek`.

        Several batches climb at the same time, each in a thread; `on_step` is never called by two at once. Filters that stayed silent are
        sought longer, several parts' together, so such parts come later than others.
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
        done: list[list[Patterns]] = [[] for _ in parts]
        waiting: dict[int, Patterns] = {}
        for at in range(0, len(batches), self._abreast):
            some = batches[at : at + self._abreast]
            climbs = [self._climbed([batch[1:] for batch in some], restart, step) for restart in range(self.climbs)]
            kept = [
                best(own, direction) for own, (_, _, direction) in zip(zip(*climbs, strict=True), some, strict=True)
            ]
            for own, (number, _, direction) in zip(self._strengthened(kept, some, step), some, strict=True):
                done[number].append(own)
                if len(done[number]) * self._batch >= len(parts[number][0]):
                    of_part = joined(done[number])
                    if direction > 0 and self._silent(of_part).any():
                        waiting[number] = of_part
                    else:
                        yield number, of_part
            if self._waited_enough(waiting.values()):
                yield from self._woken(waiting)
                waiting = {}
        yield from self._woken(waiting)

    @property
    def _waking_batch(self) -> int:
        return min(self._batch, FEW)

    def _waited_enough(self, waiting: Collection[Patterns]) -> bool:
        """Whether silent filters fill what is sought at once, or what would be lost by waiting is dear beside the search for them."""
        silent = sum(self._silent(part).sum() for part in waiting)
        taken = len(waiting) * self.climbs * self._recipe.steps
        return bool(silent >= self._waking_batch * self._abreast or taken >= DEAR * self._recipe.wake_steps > 0)

    def _silent(self, patterns: Patterns) -> np.ndarray:
        """Which filters a longer search may wake: bool (n,)."""
        wakes = self.slope.rectified and self._recipe.wake_steps > 0
        return np.asarray(wakes & (patterns.strongest_activation <= 0) & ~self._dead[patterns.indices])

    def _woken(self, waiting: dict[int, Patterns]) -> Iterator[tuple[int, Patterns]]:
        """The parts, silent filters after a longer search."""
        if not waiting:
            return
        silent = joined([part.rows(np.flatnonzero(self._silent(part))) for part in waiting.values()])
        batches = [
            silent.rows(np.arange(at, min(at + self._waking_batch, len(silent.indices))))
            for at in range(0, len(silent.indices), self._waking_batch)
        ]
        again: list[Patterns] = []
        for at in range(0, len(batches), self._abreast):
            again += self._at_once([self._waking(each) for each in batches[at : at + self._abreast]])
        woken, taken = joined(again), 0
        for number, part in waiting.items():
            rows = np.flatnonzero(self._silent(part))
            yield number, replaced(part, rows, woken.rows(np.arange(taken, taken + len(rows))))
            taken += len(rows)

    def _at_once(self, tasks: Sequence[Callable[[], Any]]) -> list[Any]:
        """What tasks give that run in threads beside each other, since many of TensorFlow's operations keep one core busy."""
        with fused():
            if len(tasks) == 1:
                return [tasks[0]()]
            stop = self._stop = Event()
            # In new threads: TensorFlow keeps for each thread what `fused` sets.
            with ThreadPoolExecutor(len(tasks)) as pool:
                running = [pool.submit(task) for task in tasks]
                try:
                    return [each.result() for each in running]
                except BaseException:
                    stop.set()
                    raise
                finally:
                    self._stop = Event()

    def _climbed(
        self, parts: Sequence[tuple[Sequence[int], float]], restart: int, on_step: Callable[[], None]
    ) -> list[Patterns]:
        """One climb of every filter of each part."""
        climbs = [self._begun(np.array(filters, np.int32), restart, direction) for filters, direction in parts]
        while len(self._climbers) < len(climbs):
            self._climbers.append(self._climber())
        ends = self._at_once(
            [
                partial(self._ascended, climb, climber, on_step)
                for climb, climber in zip(climbs, self._climbers, strict=False)
            ]
        )
        return [self._ended(climb, *end) for climb, end in zip(climbs, ends, strict=True)]

    def _ascended(self, climb: _Climb, climber: Climber, on_step: Callable[[], None]) -> tuple[np.ndarray, np.ndarray]:
        """(the finished pictures, bool (batch,) for which of them the gradient was let through silent rectifiers)."""
        indices = padded(climb.filters, self._batch)
        position = climber.start(padded(climb.start, self._batch))
        rescued = np.zeros(self._batch, bool)
        for number, rate in enumerate(self._rates()):
            if self._stop.is_set():  # another part failed, or the user interrupts
                break
            gradient, woken = self.slope.uphill(position, indices, self._warp(number + 1), number, climb.direction)
            rescued |= woken
            position = climber.move(gradient, rate)
            on_step()
        if self._recipe.pixel_steps == 0:
            return self._finished(position), rescued
        pictures = self.parameters.to_pictures(position)
        steps = self._pixel_steps(whole(self._size), self._batch, True, climb.direction)
        pictures = self._moved(steps, pictures, indices, self._recipe.pixel_steps, self._recipe.pixel_rate, on_step)
        return self._as_measured(pictures), rescued

    def _moved(
        self,
        steps: PixelSteps,
        pictures: Any,
        filters: np.ndarray,
        count: int,
        rate: float,
        on_step: Callable[[], None] = lambda: None,
    ) -> Any:
        """Float32 `pictures` (batch, *period, bands) between 0 and 1 after so many steps of single pixels."""
        momentum = tf.zeros(steps.shape)
        for number in range(count):
            if self._stop.is_set():
                break
            warp = self._warp(self._climbing + number + 1) if steps.warped else None
            pictures, momentum = steps(pictures, momentum, filters, rate * (1 - number / count), warp)
            on_step()
        return pictures

    def _pixel_steps(
        self, canvas: Canvas, batch: int, warped: bool, direction: float = MOST, waking: bool = False
    ) -> PixelSteps:
        """Steps of single pixels on a canvas, traced at the first call; threads only ask for what is there."""
        key = (canvas, batch, warped and self._recipe.transforms, direction, waking)
        if key not in self._pixels:
            self._pixels[key] = PixelSteps(self.slope, *key)
        return self._pixels[key]

    @property
    def _searching(self) -> int:
        """Steps of the search for the strongest response: more where a step on the canvas costs less."""
        smaller = prod(self._size) / prod(self._strongest_canvas.size)
        return int(self._recipe.strongest_steps * min(MOST_STEPS, smaller))

    def _strengthened(
        self, kept: Sequence[Patterns], batches: Sequence[tuple[int, Sequence[int], float]], on_step: Callable[[], None]
    ) -> list[Patterns]:
        """Each batch with the strongest responses that a search on plain pixels finds, where it is sought upwards."""
        tasks = [
            partial(self._strongest, each, on_step) if direction > 0 else partial(replace, each)
            for each, (_, _, direction) in zip(kept, batches, strict=True)
        ]
        return self._at_once(tasks)

    def _strongest(self, patterns: Patterns, on_step: Callable[[], None]) -> Patterns:
        if self._recipe.strongest_steps == 0:
            return self._completed(patterns)
        rate, canvas = self._recipe.strongest_rate, self._strongest_canvas
        rate *= 1 if self.slope.rectified else UNRECTIFIED_RATE
        begin = canvas.cropped(self._as_numbers(patterns.images))
        if self._affine:
            tiled, whole_patches = self._tilings(patterns.indices)
            for pictures in (tiled, whole_patches):
                patterns = self._considering(patterns, pictures, found.PATCHES)
            from_tile = patterns.strongest_search == found.PATCHES
            begin = np.where(from_tile.reshape(-1, *(1,) * (begin.ndim - 1)), tiled, begin)
            rate *= TILED_RATE if from_tile.all() else 1
        steps = self._pixel_steps(canvas, self._batch, False)
        indices = padded(patterns.indices, self._batch)
        ended = self._moved(steps, padded(begin, self._batch), indices, self._searching, rate, on_step)
        return self._completed(self._considering(patterns, self._filled(ended, canvas, len(begin)), found.PIXELS))

    def _waking(self, patterns: Patterns) -> Callable[[], Patterns]:
        """The search for filters that every other one left silent: from noise for single positions, and on from there for the mean."""
        recipe, canvas, batch = self._recipe, self._waking_canvas, self._waking_batch
        # Now: threads only ask for what is there.
        wake, spread = (self._pixel_steps(canvas, batch, False, waking=waking) for waking in (True, False))

        def search() -> Patterns:
            indices = padded(patterns.indices, batch)
            seeds = [derived_seed(self._seed, self._site.path, int(number), "noise") for number in patterns.indices]
            drawn = [generator(seed).standard_normal(wake.shape[1:], dtype=np.float32) for seed in seeds]
            noise = np.clip(0.5 + NOISE * np.stack(drawn), 0, 1).astype(np.float32)
            found_here = self._moved(wake, padded(noise, batch), indices, recipe.wake_steps, recipe.wake_rate)
            kept = self._considering(patterns, self._filled(found_here, canvas, len(noise)), found.WAKING)
            found_here = self._moved(spread, found_here, indices, recipe.strongest_steps, recipe.wake_rate / 2)
            return self._completed(self._considering(kept, self._filled(found_here, canvas, len(noise)), found.WAKING))

        return search

    def _filled(self, tiles: Any, canvas: Canvas, count: int) -> np.ndarray:
        return canvas.filled(np.asarray(tiles)[:count], self._size)

    def _considering(self, patterns: Patterns, pictures: np.ndarray, search: int) -> Patterns:
        """`patterns` with float32 `pictures` (n, *size, bands) of the same filters where these excite them more."""
        images = self._as_measured(pictures)
        own = self._measured(images).of(np.arange(len(images)), patterns.indices)
        return patterns.considered(images, own, search)

    def _completed(self, patterns: Patterns) -> Patterns:
        """With the picture that is shown chosen among what was found, and how pictures stand warps that no search saw."""
        own, strongest = (
            self._surviving(images, activation, patterns.indices)
            for images, activation in (
                (patterns.images, patterns.activation),
                (patterns.strongest_images, patterns.strongest_activation),
            )
        )
        return replace(patterns, survives=own, strongest_survives=strongest).readable()

    def _surviving(self, images: np.ndarray, activation: np.ndarray, filters: np.ndarray) -> np.ndarray:
        """float32 (n,): the share of each picture's activation left in the median of the held-out warps; NaN where it is not above 0."""
        rows, seen = np.arange(len(filters)), []
        for number in range(transforms.HELD_OUT):
            warp = transforms.held_out(number, self._size)
            warped = transforms.apply(tf.constant(images, tf.float32), warp.sources, warp.weights)
            finished = np.asarray(tf.cast(tf.round(warped), tf.uint8) if self._network.contract.is_picture else warped)
            seen.append(self._measured(finished).activation[rows, filters])
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.median(seen, axis=0) / np.where(activation > 0, activation, np.nan)
        return np.asarray(share, np.float32)

    def _tilings(self, filters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(the best tilings of the filters' sign patches, the best that hold whole patches), float32 (n, *size, bands)."""
        exact = self._as_affine(filters)
        assert exact is not None
        return exact.tilings(self._size, self.slope.rectified)

    def _is_affine(self) -> bool:
        """Whether the layer's units are affine in the picture before their activation, as far as some of them show."""
        axes, field = self._site.view.axes, self._site.receptive_field
        shape = self._site.output_shape
        if axes is None or field is None or shape is None or self._site.is_output or self._site.times:
            return False
        if any(len(axis.intervals) != 1 for axis in axes) or max(field) > AFFINE_FIELD:
            return False
        if any(own > length for own, length in zip(field, self._size, strict=True)):
            return False
        filters = np.linspace(0, self._site.channels - 1, min(self._batch, self._site.channels)).astype(np.int32)
        return self._as_affine(filters) is not None

    def _as_affine(self, filters: np.ndarray) -> patches.Affine | None:
        """The filters' exact form at a position that sees no border; None where they are not affine, or no position does."""
        axes = self._site.view.axes
        assert axes is not None
        place, window = [], []
        for axis, length in zip(axes, self._size, strict=True):
            start = axis.at(0)
            assert start is not None
            positions = max(1, -(-length // axis.shift))
            middle = min(positions // 2, (length - 1 - start[1]) // axis.shift)
            middle = max(middle, -(start[0] // axis.shift))
            first, last = (end + axis.shift * middle for end in start)
            if first < 0 or last >= length:
                return None
            place.append(middle)
            window.append((first, last))
        indices = padded(filters, self._batch)
        shape = (self._batch, *self._size, self._network.contract.bands)
        other = generator(derived_seed(self._seed, self._site.path, "affine")).random(shape, dtype=np.float32)
        try:
            level, grey = self.slope.at_position(np.full(shape, patches.GREY, np.float32), indices, tuple(place))
            _, elsewhere = self.slope.at_position(other, indices, tuple(place))
        except Exception:  # a map whose axes are not those of the picture
            return None
        count = len(filters)
        gradients = (grey[:count], elsewhere[:count])
        return patches.affine(gradients, level[:count], tuple(window), tuple(axis.shift for axis in axes))

    def _warp(self, step: int) -> transforms.Warp:
        """What every picture is seen through at `step`, kept for the next batch where all steps' together are small."""
        if step in self._warps:
            return self._warps[step]
        warp = transforms.draw(self._seed, step, self._size)
        if self._recipe.steps * warp.nbytes <= WARP_BYTES:
            self._warps[step] = warp
        return warp

    def _ended(self, climb: _Climb, images: np.ndarray, rescued: np.ndarray) -> Patterns:
        """The climb's finished pictures, measured, and its starts beside them."""
        measured, count = self._measured(images), len(climb.filters)
        own = measured.of(np.arange(count), climb.filters)
        patterns = begun(
            climb.filters, images[:count], own, measured.activation[:count], climb.figures, rescued[:count], climb.seeds
        )
        return patterns.considered(climb.images, climb.figures, found.START) if climb.direction > 0 else patterns

    def _begun(self, filters: np.ndarray, restart: int, direction: float) -> _Climb:
        """Where each filter's climb begins: in the bank while it lasts, measured once for all filters; then in the filter's own noise."""
        if self._bank is not None and restart < len(self._bank):
            chosen = self._liked(filters, direction)[restart]
            seeds = tuple(starts.cloud_seed(self._seed, self._site.path, int(number)) for number in chosen)
            own = self._bank_figures.of(chosen, filters)
            return _Climb(filters, direction, seeds, self._bank[chosen], self._bank_images[chosen], own)
        key = ("start",) if restart == 0 else ("start", restart)
        seeds = tuple(derived_seed(self._seed, self._site.path, int(number), *key) for number in filters)
        noise = np.stack([self.parameters.start(seed) for seed in seeds])
        images = self._finished(padded(noise, self._batch))
        own = self._measured(images).of(np.arange(len(filters)), filters)
        return _Climb(filters, direction, seeds, noise, images[: len(filters)], own)

    def _liked(self, filters: np.ndarray, direction: float) -> np.ndarray:
        """For each of n filters the numbers of the bank's starts, the best first: int (k, n)."""
        every = np.arange(len(self._bank_images))[:, None]
        value = self.slope.of_figures(self._bank_figures.of(every, filters[None]), direction)
        return np.argsort(-np.nan_to_num(value, nan=-np.inf), axis=0, kind="stable")

    def _measured(self, images: np.ndarray) -> Figures:
        """The figures of all the layer's units on finished `images`, float32 (n, channels) each."""
        return self._meter.figures(images)[0]

    def _rates(self) -> list[float]:
        """The optimizer's rate at every step of a climb."""
        recipe, steps = self._recipe, self._climbing
        rates = [recipe.rate] * steps
        if recipe.schedule == "cosine":
            rates = [recipe.rate * ((1 + cos(pi * number / steps)) / 2) for number in range(steps)]
        if recipe.keras_io_steps:  # stated for a gradient of unit length there
            rates = [rate / sqrt(KERAS_IO_SIDE * KERAS_IO_SIDE * KERAS_IO_BANDS) for rate in rates]
        return rates

    def _finished(self, coefficients: Any) -> np.ndarray:
        """What `coefficients` stand for as it is measured and shown."""
        return self._shown(self.parameters.finish(self.parameters.to_pictures(coefficients)))

    def _as_measured(self, pictures: Any) -> np.ndarray:
        """Float32 `pictures` between 0 and 1 as they are measured and shown."""
        return self._shown(parameterization.rounded(pictures) if self._network.contract.is_picture else pictures)

    def _shown(self, finished: Any) -> np.ndarray:
        contract = self._network.contract
        return np.asarray(finished if contract.is_picture else as_shown(contract, finished))

    def _as_numbers(self, images: np.ndarray) -> np.ndarray:
        """Finished `images` as float32 between 0 and 1."""
        contract = self._network.contract
        if contract.is_picture:
            return images.astype(np.float32) / np.float32(EIGHT_BIT_MAXIMUM)
        return np.asarray((images - contract.low) / (contract.high - contract.low), np.float32)
