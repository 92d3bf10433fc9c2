"""The ascent of one layer: many filters' pictures at once, from their starts to their scores; no work per filter in Python."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from typing import Any, TypeVar

import numpy as np

from reportgen.compute.patterns import results
from reportgen.compute.patterns.objectives import Channel, Direction
from reportgen.compute.patterns.precision import agrees, pays
from reportgen.compute.patterns.recipe import KERAS_IO, Recipe
from reportgen.compute.patterns.results import Patterns, Search
from reportgen.compute.patterns.search.gradient import ObjectiveGradient
from reportgen.compute.patterns.search.measurement import Measurement
from reportgen.compute.patterns.search.pixel_steps import PixelAscent
from reportgen.compute.patterns.search.readable import ReadableAscent
from reportgen.compute.patterns.search.silent import SilentSearch
from reportgen.compute.patterns.search.strongest import StrongestSearch
from reportgen.compute.patterns.shared import Shared
from reportgen.core.choices import Precision
from reportgen.core.errors import UsageError
from reportgen.network.backend import tf
from reportgen.network.graph.layer_calls import LayerCall

Part = tuple[Sequence[int], Direction]
Result = TypeVar("Result")


class Ascent:
    """Finds patterns of one layer, always in batches of one shape, so that a picture does not depend on its neighbours.

    Attributes:
        parameters: How pictures are represented.
        pipeline: From coefficients or pixels to what the network sees, and back.
        gradient: Of the objective.
    """

    def __init__(
        self,
        shared: Shared,
        layer_call: LayerCall,
        size: tuple[int, ...],
        batch: int,
        precision: str = "float32",
        directions: Sequence[Direction] = (Direction.MAXIMIZE,),
        dead: np.ndarray | None = None,
    ) -> None:
        """Trace the layer.

        Args:
            shared: The model, the recipe and the seed, and what the ascents of other layers have made already.
            layer_call: Whose units are visualized.
            size: Of the pictures, without color channels.
            batch: Filters per step, from layer and settings alone.
            precision: Of the ascent, `float32`, `bfloat16`, or `auto` for bfloat16 where it pays and agrees; scores are always measured in
                the model's own.
            directions: What will be asked for.
            dead: bool (channels,), which units are proven to respond to nothing, so that they are not retried.

        Raises:
            ModelError: No gradient reaches the input.
            UsageError: The optimizer couples filters, or the objective does not fit.
        """
        network, recipe, seed = shared.network, shared.recipe, shared.seed
        _check(recipe, layer_call, directions)
        self._shared, self._recipe, self._batch = shared, recipe, batch
        self._measured_before = shared.traces
        self.parameters = shared.parameters(size)
        self.pipeline = pipeline = shared.pipeline(size, batch)
        if recipe.coefficient_steps > 0:
            pipeline.optimizer()
        find_trace = partial(shared.network_trace, layer_call, size)
        self.gradient = ObjectiveGradient(network, layer_call, size, recipe, pipeline, find_trace)
        self._may_change_precision = precision == Precision.AUTO
        chosen = self._choose(layer_call, size) if self._may_change_precision else Precision(precision)
        self.gradient.precision = chosen
        self._measurement = measurement = Measurement(shared, layer_call, size, batch)
        pixel_ascent = PixelAscent(self.gradient, recipe, pipeline)
        searching = (self.gradient, measurement, pixel_ascent)
        self._readable = ReadableAscent(shared, layer_call, size, *searching, pipeline)
        place = (network, layer_call, size, recipe, seed, *searching)
        self._make_strongest = partial(StrongestSearch, *place)
        dead = np.zeros(layer_call.channels, bool) if dead is None else dead
        self._silent = SilentSearch(shared, layer_call, size, self.gradient, pixel_ascent, self._readable.faint, dead)
        measurement.prepare()
        for direction in directions:  # now, so that the first chunk's time is that of any other
            self._or_in_float32(partial(self._prepare, direction))

    @cached_property
    def strongest(self) -> StrongestSearch | None:
        """The search for the strongest response, None where the recipe has none."""
        return self._make_strongest() if self._recipe.strongest_steps > 0 else None

    def _prepare(self, direction: Direction) -> None:
        """Trace what every batch in this direction needs."""
        self._readable.prepare(direction)
        if direction is Direction.MAXIMIZE and self.strongest is not None:
            self.strongest.prepare()

    def _choose(self, layer_call: LayerCall, size: tuple[int, ...]) -> Precision:
        """bfloat16 where it pays and agrees with float32; keras.io's recipe is there to reproduce what others computed in float32."""
        shared = self._shared
        if self._recipe.method == KERAS_IO.method or not pays(shared.network, layer_call, size):
            return Precision.FLOAT32
        agreed = shared.agrees(layer_call, size)
        if agreed is None:
            self.gradient.traces += 1
            agreed = agrees(layer_call, self.parameters, self.gradient.objective, shared.seed)
        return Precision.BFLOAT16 if agreed else Precision.FLOAT32

    def _or_in_float32(self, compute: Callable[[], Result]) -> Result:
        """What `compute` returns; once more in float32 where it fails in a bfloat16 that was not asked for: it lacks some gradients."""
        try:
            return compute()
        except (UsageError, tf.errors.ResourceExhaustedError):
            raise
        except Exception:
            if not self._may_change_precision or self.gradient.precision is not Precision.BFLOAT16:
                raise
            self.gradient.precision = Precision.FLOAT32
            return compute()

    @property
    def traces(self) -> int:
        """How often anything was traced for this layer."""
        return self.gradient.traces + self._shared.traces - self._measured_before

    def describe(self) -> dict[str, Any]:
        """The recipe as it was carried out, as plain JSON values."""
        mixing = self._shared.mixing
        stated = None if mixing is None else [[float(number) for number in row] for row in mixing]
        return {**self._recipe.describe(), "precision": self.gradient.precision, "mixing": stated}

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

        Filters that stayed silent are retried.
        """
        for direction in dict.fromkeys(direction for _, direction in parts):
            self._or_in_float32(partial(self._prepare, direction))
        for number, patterns in self._joined_rounds(parts, on_step):
            if parts[number][1] is Direction.MAXIMIZE:
                patterns = self._or_in_float32(partial(self._silent.run, patterns))
            yield number, patterns

    def _joined_rounds(self, parts: Sequence[Part], on_step: Callable[[], None]) -> Iterator[tuple[int, Patterns]]:
        """(number of the part, its patterns before any retry), a batch at once, whatever parts its filters are of."""
        for direction in dict.fromkeys(direction for _, direction in parts):
            wanted = [
                (number, each) for number, (filters, own) in enumerate(parts) if own is direction for each in filters
            ]
            done: dict[int, list[Patterns]] = {}
            for at in range(0, len(wanted), self._batch):
                numbers, filters = zip(*wanted[at : at + self._batch], strict=True)
                found = self._or_in_float32(partial(self._found, filters, direction, on_step))
                for number in dict.fromkeys(numbers):
                    done.setdefault(number, []).append(found.rows(np.flatnonzero(np.array(numbers) == number)))
                    if sum(len(own.indices) for own in done[number]) == len(parts[number][0]):
                        yield number, results.joined(done.pop(number))

    def _found(self, filters: Sequence[int], direction: Direction, on_step: Callable[[], None]) -> Patterns:
        """The patterns of filters that run at once: the best of all restarts, and with their strongest responses where they maximize."""
        restarts = [
            self._readable.run(filters, direction, restart, on_step) for restart in range(self._recipe.restarts)
        ]
        kept = results.best(restarts, direction, partial(self._reached, direction))
        if direction is Direction.MINIMIZE:
            return kept
        if self.strongest is not None:
            return self.strongest.run(kept, on_step)
        return self._measurement.completed(kept, (), Search.SIGN_ASCENT)

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
