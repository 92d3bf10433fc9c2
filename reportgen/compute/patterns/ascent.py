"""The ascent of one layer: many filters' pictures at once, from their starts to their scores; no work per filter in Python."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from threading import Lock
from typing import Any

import numpy as np

from reportgen.compute.patterns import colour, parameterization, results, starts
from reportgen.compute.patterns.objectives import Channel, Direction
from reportgen.compute.patterns.recipe import Recipe
from reportgen.compute.patterns.results import Patterns, Search
from reportgen.compute.patterns.search.gradient import ObjectiveGradient
from reportgen.compute.patterns.search.measurement import Measurement
from reportgen.compute.patterns.search.pixel_steps import PixelAscent
from reportgen.compute.patterns.search.precision import choose_precision
from reportgen.compute.patterns.search.readable import ReadableAscent
from reportgen.compute.patterns.search.silent import SilentSearch
from reportgen.compute.patterns.search.strongest import StrongestSearch
from reportgen.compute.patterns.search.threads import Threads
from reportgen.compute.patterns.transforms import Warps
from reportgen.core.errors import UsageError
from reportgen.network.graph.layer_calls import LayerCall
from reportgen.network.network import Network

Part = tuple[Sequence[int], Direction]


@dataclass(frozen=True)
class Breadth:
    """How many pictures are optimized at once: `abreast` batches of `batch`. Pictures depend on the batch, never on `abreast`."""

    batch: int
    abreast: int = 1


class Ascent:
    """Finds patterns of one layer, always in batches of one shape, so that a picture does not depend on its neighbours.

    Attributes:
        parameters: How pictures are represented.
        gradient: Of the objective.
    """

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
        directions: Sequence[Direction] = (Direction.MAXIMIZE,),
        dead: np.ndarray | None = None,
    ) -> None:
        """Trace the layer.

        Args:
            network: The model.
            layer_call: Whose units are visualized.
            size: Of the pictures, without color channels.
            breadth: Filters per step, the batch from layer and settings alone.
            recipe: Every choice and every number of the ascent.
            seed: Of all random numbers.
            precision: Of the ascent, `float32`, `bfloat16`, or `auto` for bfloat16 where it pays and agrees; scores are always measured in
                the model's own.
            mixing: float32 (bands, bands), the correlation of the color channels, for a recipe that takes it from images.
            directions: What will be asked for.
            dead: bool (channels,), which units are proven to respond to nothing, so that they are not retried.

        Raises:
            ModelError: No gradient reaches the input.
            UsageError: The optimizer couples filters, or the objective does not fit.
        """
        _check(recipe, layer_call, directions)
        self._recipe, self._batch, self._abreast = recipe, breadth.batch, breadth.abreast
        bands = network.contract.bands
        self._mixing = {"imagenet": colour.imagenet(), "images": mixing}.get(recipe.decorrelation)
        self.parameters = parameterization.make(recipe, size, bands, self._mixing, network.contract.is_picture)
        self._measurement = Measurement(network, layer_call, size, breadth.batch, recipe, self.parameters)
        self.gradient = ObjectiveGradient(network, layer_call, size, breadth.batch, recipe, self.parameters)
        self.gradient.precision = choose_precision(
            precision, network, layer_call, size, recipe, self.parameters, self.gradient, seed
        )
        field = None if layer_call.receptive_field is None else max(layer_call.receptive_field)
        bank = starts.bank(recipe, seed, layer_call.path, field, self.parameters, bands, self._mixing)
        self._threads = Threads()
        warps = Warps(seed, size, recipe.transforms, recipe.steps)
        pixel_ascent = PixelAscent(self.gradient, recipe, warps, self._threads)
        shared = (self.gradient, self._measurement, pixel_ascent)
        self._readable = ReadableAscent(
            layer_call.path, size, recipe, seed, self.parameters, bank, *shared, warps, self._threads
        )
        place = (network, layer_call, size, recipe, seed, *shared, self._threads)
        self._make_strongest = partial(StrongestSearch, *place)
        dead = np.zeros(layer_call.channels, bool) if dead is None else dead
        self._silent = SilentSearch(*place, breadth.abreast, self._readable.faint, dead)
        for direction in directions:  # now, so that the first chunk's time is that of any other
            self._prepare(direction)

    @cached_property
    def strongest(self) -> StrongestSearch | None:
        """The search for the strongest response, None where the recipe has none."""
        return self._make_strongest() if self._recipe.strongest_steps > 0 else None

    def _prepare(self, direction: Direction) -> None:
        """Trace what every batch in this direction needs, before threads ask for it."""
        self._readable.prepare(direction)
        if direction is Direction.MAXIMIZE and self.strongest is not None:
            self.strongest.prepare()

    @property
    def traces(self) -> int:
        """How often anything of this layer was traced."""
        return self.gradient.traces + self._measurement.traces

    def describe(self) -> dict[str, Any]:
        """The recipe as it was carried out, as plain JSON values."""
        mixing = None if self._mixing is None else [[float(number) for number in row] for row in self._mixing]
        return {**self._recipe.describe(), "precision": self.gradient.precision, "mixing": mixing}

    def steps_of(self, parts: Sequence[Part]) -> int:
        """How often `find_each` will call `on_step` for these parts."""
        return sum(
            -(-len(filters) // self._batch)
            * (self._recipe.restarts * self._recipe.steps + self._strongest_steps(direction))
            for filters, direction in parts
        )

    def _strongest_steps(self, direction: Direction) -> int:
        return 0 if direction is Direction.MINIMIZE or self.strongest is None else self.strongest.steps

    def find(
        self,
        filters: Sequence[int],
        on_step: Callable[[], None] = lambda: None,
        direction: Direction = Direction.MAXIMIZE,
    ) -> Patterns:
        """Return the patterns of some filters.

        Args:
            filters: Their numbers.
            on_step: Called after every step of the ascent and of the search for the strongest response.
            direction: MAXIMIZE for what excites each filter, MINIMIZE for its minimal pattern.
        """
        ((_, patterns),) = self.find_each([(filters, direction)], on_step)
        return patterns

    def find_each(
        self, parts: Sequence[Part], on_step: Callable[[], None] = lambda: None
    ) -> Iterator[tuple[int, Patterns]]:
        """(number of the part, its patterns) for each part, some filters and a direction, as soon as they are there. See `find`.

        Several batches run at the same time, each in a thread; `on_step` is never called by two at once. Filters that stayed silent are
        retried, several parts' together, so such parts come later than others.
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
            for own, (number, _, direction) in zip(self._found([batch[1:] for batch in some], step), some, strict=True):
                done[number].append(own)
                if len(done[number]) * self._batch >= len(parts[number][0]):
                    of_part = results.joined(done[number])
                    if direction is Direction.MAXIMIZE and self._silent.silent(of_part).any():
                        waiting[number] = of_part
                    else:
                        yield number, of_part
            if self._silent.is_due(waiting.values()):
                yield from self._silent.run(waiting)
                waiting = {}
        yield from self._silent.run(waiting)

    def _found(self, batches: Sequence[Part], on_step: Callable[[], None]) -> list[Patterns]:
        """The patterns of batches that run at once: the best of all restarts, and with their strongest responses where they maximize."""
        restarts = [self._readable.run(batches, restart, on_step) for restart in range(self._recipe.restarts)]
        kept = [
            results.best(own, direction, partial(self._reached, direction))
            for own, (_, direction) in zip(zip(*restarts, strict=True), batches, strict=True)
        ]
        rows = [row for row, (_, direction) in enumerate(batches) if direction is Direction.MAXIMIZE]
        maximal = [kept[row] for row in rows]
        if maximal and self.strongest is not None:
            maximal = self.strongest.run(maximal, on_step)
        else:
            tasks = [partial(self._measurement.completed, each, (), Search.SIGN_ASCENT) for each in maximal]
            maximal = self._threads.run(tasks)
        for row, patterns in zip(rows, maximal, strict=True):
            kept[row] = patterns
        return kept

    def _reached(self, direction: Direction, patterns: Patterns) -> np.ndarray:
        """(n,): how much of what is optimized each pattern reached; of a composed objective the weighted activations of its channels."""
        if direction is Direction.MINIMIZE:
            return -patterns.pre_activation
        if self._recipe.objective.own is not None:
            return patterns.activation
        rows, total = np.arange(len(patterns.indices)), np.zeros(len(patterns.indices), np.float32)
        for weight, term in self._recipe.objective.maximized:
            if isinstance(term, Channel):
                total += (
                    np.float32(weight)
                    * patterns.responses[rows, patterns.indices if term.number is None else term.number]
                )
        return total


def _check(recipe: Recipe, layer_call: LayerCall, directions: Sequence[Direction]) -> None:
    """Raise UsageError where an objective does not fit the layer or what is done with it."""
    objective = recipe.objective
    objective.check(layer_call.path, layer_call.channels)
    if objective.own is None and Direction.MINIMIZE in directions:
        raise UsageError(
            f"A minimal pattern is that of the filter's own channel and cannot be combined with the objective {objective}; "
            "give the objective a negative weight instead."
        )
    if objective.has_functions and recipe.restarts > 1:
        raise UsageError(f"Restarts cannot be compared by the objective {objective}, which has a function of your own.")
