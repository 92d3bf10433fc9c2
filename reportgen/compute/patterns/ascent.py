"""The ascent itself: many filters' pictures at once, from their starts to what is measured on them; no work per filter in Python."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property, partial
from math import cos, pi, prod, sqrt
from threading import Event, Lock
from typing import Any

import numpy as np

from reportgen.compute.activation_scores import Figures, Meter, padded
from reportgen.compute.patterns import colour, found, parameterization, patches, starts, transforms
from reportgen.compute.patterns.canvas import Canvas, canvas_for, repeated, whole
from reportgen.compute.patterns.found import Patterns, begun, best, joined, replaced
from reportgen.compute.patterns.objectives import MOST
from reportgen.compute.patterns.optimizers import Climber
from reportgen.compute.patterns.randomness import derived_seed, generator
from reportgen.compute.patterns.recipe import KERAS_IO, KERAS_IO_BANDS, KERAS_IO_SIDE, Recipe
from reportgen.compute.patterns.slope import PixelSteps, Slope
from reportgen.network.backend import fused, tf
from reportgen.network.contract import as_shown
from reportgen.network.graph.axis_reach import Reach
from reportgen.network.graph.layer_calls import LayerCall
from reportgen.network.network import Network
from reportgen.network.preprocessing import EIGHT_BIT_MAXIMUM

DEAR = 8  # times the steps of the search for silent filters: parts that took so many do not wait for more of them
WARP_BYTES = 2**25  # of all steps' warps that are kept
MOST_STEPS = 3  # times the steps of a search, where the canvas is so much smaller than the picture
TILED_RATE = 0.2  # of a search's rate, where it begins at a tiled sign patch, which is nearly the answer
UNRECTIFIED_RATE = 0.4  # of a search's rate, where silent positions count as they are: bold steps lose what they had
AFFINE_FIELD = 32  # pixels: kernels that see more are not looked at as sign patches
# The period of a canvas in receptive fields: a texture may repeat itself within one; what fires at single positions only, and is silent
# otherwise, needs room between them.
TEXTURE_FIELDS, WAKING_FIELDS = 0.5, 3.0
FAINT = 0.01  # of the largest activation of the layer's starts: a filter below it is sought like one that is silent
TILE_SHARES = (
    0.25,
    0.375,
    0.5,
    0.625,
    0.75,
    0.875,
    1.0,
)  # of the receptive field: periods that what woke a filter is repeated in
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
        layer_call: LayerCall,
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
        self._network, self._layer_call, self._size = network, layer_call, size
        self._batch, self._abreast = breadth.batch, breadth.abreast
        self._recipe, self._seed = recipe, seed
        self._meter = Meter(network, [layer_call], size, self._batch)
        self._meter.trace()
        bands = network.contract.bands
        self._mixing = {"imagenet": colour.imagenet(), "images": mixing}.get(recipe.decorrelation)
        self.parameters = parameterization.make(recipe, size, bands, self._mixing, network.contract.is_picture)
        self.slope = Slope(network, layer_call, size, self._batch, recipe, self.parameters, seed, precision)
        field = None if layer_call.receptive_field is None else max(layer_call.receptive_field)
        self._bank = starts.bank(recipe, seed, layer_call.path, field, self.parameters, bands, self._mixing)
        self._faint = 0.0
        if self._bank is not None:
            self._bank_images = self._finished(self._bank)
            self._bank_figures = self._measured(self._bank_images)
            finite = self._bank_figures.activation[np.isfinite(self._bank_figures.activation)]
            self._faint = FAINT * float(np.max(finite, initial=0))
        self._dead = np.zeros(layer_call.channels, bool) if dead is None else dead
        sought = recipe.strongest_steps > 0 and MOST in directions
        self._affine = self._where_affine() if sought else None
        self._climbers = [self._climber()]
        self._stop = Event()
        self._warps: dict[int, transforms.Warp] = {}
        self._pixels: dict[tuple[Canvas, int, bool, float, bool], PixelSteps] = {}
        for direction in directions:  # now, so that the first chunk's time is that of any other
            self._prepare(direction)

    def _prepare(self, direction: float) -> None:
        """Trace what every batch in this direction needs, before threads ask for it."""
        if self._climbing > 0:
            self.slope.prepare(direction)
        if self._recipe.pixel_steps > 0:
            self._pixel_steps(whole(self._size), self._batch, True, direction)
        if direction > 0 and self._recipe.strongest_steps > 0:
            self._pixel_steps(self._strongest_canvas, self._batch, False)

    @cached_property
    def _texture_canvas(self) -> Canvas:
        """Where a texture is searched that repeats itself."""
        return self._canvas(TEXTURE_FIELDS)

    @cached_property
    def _waking_canvas(self) -> Canvas:
        """Where single positions are searched that must not meet; asked for, and so traced, only where a filter is silent."""
        return self._canvas(WAKING_FIELDS)

    def _canvas(self, fields: float) -> Canvas:
        """A canvas of a period in receptive fields, or the whole picture where the network does not take pictures of the canvas's size."""
        contract = self._network.contract
        free = all(length is None for length in contract.shape[:-1])
        canvas = canvas_for(self._layer_call, self._size, contract.size, free, fields)
        fits = canvas.is_whole or self._network.reaches(self._layer_call, canvas.size)
        return canvas if fits else whole(self._size)

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
        return self._texture_canvas if self._affine is None else whole(self._size)

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

        for direction in dict.fromkeys(direction for _, direction in parts):
            self._prepare(direction)
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
        """Which filters a longer search may wake, because they are silent or nearly so: bool (n,)."""
        wakes = self.slope.rectified and self._recipe.wake_steps > 0
        return np.asarray(wakes & (patterns.strongest_activation <= self._faint) & ~self._dead[patterns.indices])

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
            some = batches[at : at + self._abreast]
            ended = self._at_once([self._waking(each) for each in some], fused)
            tiled = [[*pictures, *self._retiled(each, pictures[0])] for each, pictures in zip(some, ended, strict=True)]
            again += self._at_once(
                [partial(self._completed, *each, found.WAKING) for each in zip(some, tiled, strict=True)]
            )
        woken, taken = joined(again), 0
        for number, part in waiting.items():
            rows = np.flatnonzero(self._silent(part))
            yield number, replaced(part, rows, woken.rows(np.arange(taken, taken + len(rows))))
            taken += len(rows)

    def _at_once(
        self, tasks: Sequence[Callable[[], Any]], way: Callable[[], AbstractContextManager[None]] = nullcontext
    ) -> list[Any]:
        """What tasks give that run in threads beside each other, since many of TensorFlow's operations keep one core busy.

        way: `fused` for what only climbs; what is measured must see the NaN that a fused rectifier hides.
        """
        with way():
            if len(tasks) < 2:
                return [task() for task in tasks]
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
            ],
            fused,
        )
        return [self._ended(climb, *end) for climb, end in zip(climbs, ends, strict=True)]

    def _ascended(self, climb: _Climb, climber: Climber, on_step: Callable[[], None]) -> tuple[np.ndarray, np.ndarray]:
        """(the finished pictures, bool (batch,) for which of them the gradient was let through silent rectifiers)."""
        indices = padded(climb.filters, self._batch)
        position = climber.start(padded(climb.start, self._batch))
        redirected_relu = np.zeros(self._batch, bool)
        for number, rate in enumerate(self._rates()):
            if self._stop.is_set():  # another part failed, or the user interrupts
                break
            gradient, woken = self.slope.uphill(position, indices, self._warp(number + 1), number, climb.direction)
            redirected_relu |= woken
            position = climber.move(gradient, rate)
            on_step()
        if self._recipe.pixel_steps == 0:
            return self._finished(position), redirected_relu
        pictures = self.parameters.to_pictures(position)
        steps = self._pixel_steps(whole(self._size), self._batch, True, climb.direction)
        pictures = self._moved(steps, pictures, indices, self._recipe.pixel_steps, self._recipe.pixel_rate, on_step)
        return self._as_measured(pictures), redirected_relu

    def _moved(
        self,
        steps: PixelSteps,
        pictures: Any,
        filters: np.ndarray,
        count: int,
        rate: float | np.ndarray,
        on_step: Callable[[], None] = lambda: None,
    ) -> Any:
        """Float32 `pictures` (batch, *period, bands) between 0 and 1 after so many steps of single pixels.

        rate: of the first step, for all pictures or (batch,).
        """
        momentum, rates = tf.zeros(steps.shape), np.broadcast_to(rate, steps.batch)
        for number in range(count):
            if self._stop.is_set():
                break
            warp = self._warp(self._climbing + number + 1) if steps.warped else None
            pictures, momentum = steps(pictures, momentum, filters, rates * (1 - number / count), warp)
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
        rows = [row for row, (_, _, direction) in enumerate(batches) if direction > 0]
        upwards = [kept[row] for row in rows]
        if upwards and self._recipe.strongest_steps > 0:
            begun = self._at_once([partial(self._before_search, each) for each in upwards])
            ended = self._at_once(
                [partial(self._searched, each, begin, rates, on_step) for each, begin, rates in begun], fused
            )
            upwards = [each for each, _, _ in begun]
        else:
            ended = [[] for _ in upwards]
        done = self._at_once(
            [partial(self._completed, *each, found.PIXELS) for each in zip(upwards, ended, strict=True)]
        )
        every = list(kept)
        for row, each in zip(rows, done, strict=True):
            every[row] = each
        return every

    def _before_search(self, patterns: Patterns) -> tuple[Patterns, np.ndarray, np.ndarray]:
        """(patterns, where on the canvas their search for the strongest response begins, (n,) how far its first step goes)."""
        begin = self._strongest_canvas.cropped(self._as_numbers(patterns.images))
        first = self._recipe.strongest_rate * (1 if self.slope.rectified else UNRECTIFIED_RATE)
        rates = np.full(len(patterns.indices), first)
        if self._affine is not None:
            tiled, whole_patches = self._tilings(patterns.indices)
            for pictures in (tiled, whole_patches):
                patterns = self._considering(patterns, pictures, found.PATCHES)
            from_tile = patterns.strongest_search == found.PATCHES
            begin = np.where(from_tile.reshape(-1, *(1,) * (begin.ndim - 1)), tiled, begin)
            rates[from_tile] *= TILED_RATE
        return patterns, begin, rates

    def _searched(
        self, patterns: Patterns, begin: np.ndarray, rates: np.ndarray, on_step: Callable[[], None]
    ) -> list[np.ndarray]:
        """The pictures that the search for the strongest response ends at."""
        canvas = self._strongest_canvas
        steps, indices = self._pixel_steps(canvas, self._batch, False), padded(patterns.indices, self._batch)
        begin, rates = padded(begin, self._batch), padded(rates, self._batch)
        ended = self._moved(steps, begin, indices, self._searching, rates, on_step)
        return [self._filled(ended, canvas, len(patterns.indices))]

    def _waking(self, patterns: Patterns) -> Callable[[], list[np.ndarray]]:
        """The search for filters that every other one left silent: from noise for single positions, and on from there for the mean."""
        recipe, canvas, batch = self._recipe, self._waking_canvas, self._waking_batch
        # Now: threads only ask for what is there.
        wake, spread = (self._pixel_steps(canvas, batch, False, waking=waking) for waking in (True, False))

        def search() -> list[np.ndarray]:
            indices, count = padded(patterns.indices, batch), len(patterns.indices)
            seeds = [
                derived_seed(self._seed, self._layer_call.path, int(number), "noise") for number in patterns.indices
            ]
            drawn = [generator(seed).standard_normal(wake.shape[1:], dtype=np.float32) for seed in seeds]
            noise = np.clip(0.5 + NOISE * np.stack(drawn), 0, 1).astype(np.float32)
            woken = self._moved(wake, padded(noise, batch), indices, recipe.wake_steps, recipe.wake_rate)
            more = self._moved(spread, woken, indices, recipe.strongest_steps, recipe.wake_rate / 2)
            return [self._filled(each, canvas, count) for each in (woken, more)]

        return search

    def _retiled(self, patterns: Patterns, pictures: np.ndarray) -> list[np.ndarray]:
        """What woke each filter, cut out of `pictures` (n, *size, bands) and repeated in several periods; none where fields are unknown."""
        axes = self._layer_call.even_axes
        if axes is None or self._layer_call.times:
            return []
        begun, indices = padded(pictures, self._waking_batch), padded(patterns.indices, self._waking_batch)
        places = self.slope.highest_positions(begun, indices)[: len(pictures)]
        windows = np.stack(
            [self._seen_from(place, axes, picture) for place, picture in zip(places, pictures, strict=True)]
        )
        tilings = []
        for share in TILE_SHARES:
            periods = [max(axis.shift, round(share * axis.size / axis.shift) * axis.shift) for axis in axes]
            tilings.append(repeated(windows[(slice(None), *map(slice, periods))], self._size))
        return tilings

    def _seen_from(self, place: np.ndarray, axes: Sequence[Reach], picture: np.ndarray) -> np.ndarray:
        """What a position of the map sees of `picture` (*size, bands), moved inside where that is cut off by the border."""
        inner = []
        for axis, length, position in zip(axes, self._size, place, strict=True):
            seen, side = axis.at(int(position)), min(axis.size, length)
            assert seen is not None
            first = min(max(0, seen[0]), length - side)
            inner.append(slice(first, first + side))
        return picture[tuple(inner)]

    def _filled(self, tiles: Any, canvas: Canvas, count: int) -> np.ndarray:
        return canvas.filled(np.asarray(tiles)[:count], self._size)

    def _considering(self, patterns: Patterns, pictures: np.ndarray, search: int) -> Patterns:
        """`patterns` with float32 `pictures` (n, *size, bands) of the same filters where these excite them more."""
        images = self._as_measured(pictures)
        own = self._measured(images).of(np.arange(len(images)), patterns.indices)
        return patterns.considered(images, own, search)

    def _completed(self, patterns: Patterns, others: Sequence[np.ndarray], search: int) -> Patterns:
        """With other pictures that a search found, the one that is shown chosen among all, and how it stands warps that no search saw.

        others: float32 (n, *size, bands) each.
        """
        for pictures in others:
            patterns = self._considering(patterns, pictures, search)
        # A regularized picture, and the article's, are shown as they were found.
        as_found = self._recipe.regularized or self._recipe.method == KERAS_IO.method
        shown = patterns if as_found else patterns.readable()
        rows, images = np.arange(len(shown.indices)), tf.constant(padded(shown.images, self._batch), tf.float32)
        seen = []
        for number in range(transforms.HELD_OUT):
            warp = transforms.held_out(number, self._size)
            warped = transforms.apply(images, warp.sources, warp.weights)
            finished = np.asarray(tf.cast(tf.round(warped), tf.uint8) if self._network.contract.is_picture else warped)
            seen.append(self._measured(finished).activation[rows, shown.indices])
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.median(seen, axis=0) / np.where(shown.activation > 0, shown.activation, np.nan)
        return replace(shown, survives_warps=np.asarray(share, np.float32))

    def _tilings(self, filters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(the best tilings of the filters' sign patches, the best that hold whole patches), float32 (n, *size, bands)."""
        axes = self._layer_call.even_axes
        assert self._affine is not None
        assert axes is not None
        place, window = self._affine
        level, slope = (values[: len(filters)] for values in self._slopes(filters, place, self._grey()))
        inner = tuple(slice(first, last + 1) for first, last in window)
        exact = patches.Affine(
            slope[(slice(None), *inner)].astype(np.float64),
            level.astype(np.float64),
            tuple(first for first, _ in window),
            tuple(axis.shift for axis in axes),
        )
        return exact.tilings(self._size, self.slope.rectified)

    def _where_affine(self) -> tuple[tuple[int, ...], tuple[tuple[int, int], ...]] | None:
        """(a position of the map that sees no border, the first and last pixel along each axis that it sees).

        None where units are not affine in the picture before their activation, as far as some of them show, or where no position sees so
        little.
        """
        looked = self._clear_position()
        if looked is None:
            return None
        place, window = looked
        seed = derived_seed(self._seed, self._layer_call.path, "affine")
        other = generator(seed).random(self._grey().shape, dtype=np.float32)
        for at in range(0, self._layer_call.channels, self._batch):  # seldom beyond the first: there all may be dead
            filters = np.arange(at, min(at + self._batch, self._layer_call.channels), dtype=np.int32)
            try:
                (_, one), (_, two) = (self._slopes(filters, place, each) for each in (self._grey(), other))
            except Exception:  # a map whose axes are not those of the picture
                return None
            affine = patches.agree(one, two)
            if affine is not None:
                return (place, patches.moved_to(window, one)) if affine else None
        return None

    def _clear_position(self) -> tuple[tuple[int, ...], tuple[tuple[int, int], ...]] | None:
        """See `_where_affine`; None where no position sees so little and no border, whatever the units are."""
        axes = self._layer_call.even_axes
        if (
            axes is None
            or self._layer_call.is_output
            or self._layer_call.times
            or max(axis.size for axis in axes) > AFFINE_FIELD
        ):
            return None
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
        return tuple(place), tuple(window)

    def _grey(self) -> np.ndarray:
        return np.full((self._batch, *self._size, self._network.contract.bands), patches.GREY, np.float32)

    def _slopes(
        self, filters: np.ndarray, place: tuple[int, ...], pictures: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """(pre-activations (batch,) of filters at a position, their gradients by the pictures), filled up to a batch."""
        return self.slope.at_position(pictures, padded(filters, self._batch), place)

    def _warp(self, step: int) -> transforms.Warp:
        """What every picture is seen through at `step`, kept for the next batch where all steps' together are small."""
        if step in self._warps:
            return self._warps[step]
        warp = transforms.draw(self._seed, step, self._size)
        if self._recipe.steps * warp.nbytes <= WARP_BYTES:
            self._warps[step] = warp
        return warp

    def _ended(self, climb: _Climb, images: np.ndarray, redirected_relu: np.ndarray) -> Patterns:
        """The climb's finished pictures, measured, and its starts beside them."""
        measured, count = self._measured(images), len(climb.filters)
        own = measured.of(np.arange(count), climb.filters)
        patterns = begun(
            climb.filters,
            images[:count],
            own,
            measured.activation[:count],
            climb.figures,
            redirected_relu[:count],
            climb.seeds,
        )
        return patterns.considered(climb.images, climb.figures, found.START) if climb.direction > 0 else patterns

    def _begun(self, filters: np.ndarray, restart: int, direction: float) -> _Climb:
        """Where each filter's climb begins: in the bank while it lasts, measured once for all filters; then in the filter's own noise."""
        if self._bank is not None and restart < len(self._bank):
            chosen = self._liked(filters, direction)[restart]
            seeds = tuple(starts.cloud_seed(self._seed, self._layer_call.path, int(number)) for number in chosen)
            own = self._bank_figures.of(chosen, filters)
            return _Climb(filters, direction, seeds, self._bank[chosen], self._bank_images[chosen], own)
        key = ("start",) if restart == 0 else ("start", restart)
        seeds = tuple(derived_seed(self._seed, self._layer_call.path, int(number), *key) for number in filters)
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
