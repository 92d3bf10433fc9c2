"""What an ascent maximizes, as values that can be added and scaled: channels of a layer, penalties on the picture, functions of one's own.

`channel()` is each picture's own filter, `channel(7)` filter 7 for every picture:

    channel(3) + 0.5 * channel(7) - 0.1 * total_variation()
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, StrEnum
from typing import Any

from reportgen.core.choices import Measure
from reportgen.core.errors import UsageError


class Direction(Enum):
    """Whether pictures are optimized to raise their filters' responses or to lower them."""

    MAXIMIZE = 1.0
    MINIMIZE = -1.0

    @property
    def sign(self) -> float:
        """What responses are multiplied by, so that more is always better."""
        return self.value


class PenaltyKind(StrEnum):
    """Measures of the picture itself."""

    TOTAL_VARIATION = "total_variation"
    L2 = "l2"


@dataclass(frozen=True)
class Channel:
    """One channel of the layer. number: None for each picture's own filter. measure: None for the method's own."""

    number: int | None = None
    measure: Measure | None = None

    def __str__(self) -> str:
        """As it was written."""
        parts = [] if self.number is None else [str(self.number)]
        return f"channel({', '.join([*parts, *([] if self.measure is None else [repr(str(self.measure))])])})"


@dataclass(frozen=True)
class Penalty:
    """A measure of the picture itself; its weight is in units of the size of the gradient of what is maximized."""

    kind: PenaltyKind

    def __str__(self) -> str:
        """As it was written."""
        return f"{self.kind}()"


@dataclass(frozen=True)
class Function:
    """A function of the layer's maps. Two are equal where name and function are."""

    name: str
    function: Callable[[Any], Any]

    def __str__(self) -> str:
        """The name that was given."""
        return self.name


Term = Channel | Penalty | Function


def _rank(term: Term) -> tuple[int, int, str]:
    """The place of a term among others: channels by their numbers, then functions, then penalties."""
    if isinstance(term, Channel):
        return 0, -1 if term.number is None else term.number, str(term.measure)
    return (1, 0, term.name) if isinstance(term, Function) else (2, 0, term.kind)


@dataclass(frozen=True)
class Objective:
    """A sum of weighted terms, no two of them equal. Objectives can be added, subtracted, and multiplied by numbers.

    Terms stand in one order, whatever order they were added in: equal objectives are then optimized to equal bytes.
    """

    terms: tuple[tuple[float, Term], ...]

    def __add__(self, other: Objective) -> Objective:
        """The sum; equal terms become one."""
        if not isinstance(other, Objective):
            return NotImplemented
        weights: dict[Term, float] = {}
        for weight, term in (*self.terms, *other.terms):
            weights[term] = weights.get(term, 0.0) + weight
        kept = ((weight, term) for term, weight in weights.items() if weight != 0)
        return Objective(tuple(sorted(kept, key=lambda each: _rank(each[1]))))

    def __radd__(self, other: Any) -> Objective:
        """`sum` begins with 0."""
        return self if other == 0 else NotImplemented

    def __mul__(self, factor: float) -> Objective:
        """Every weight times a number. Raises UsageError where it is not finite."""
        if not isinstance(factor, int | float):
            return NotImplemented
        if not math.isfinite(factor):
            raise UsageError(f"An objective cannot be multiplied by {factor}.")
        return Objective(tuple((factor * weight, term) for weight, term in self.terms if factor != 0))

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> Objective:
        """Every weight divided by a number."""
        return self * (1 / divisor)

    def __neg__(self) -> Objective:
        """Every weight with the other sign."""
        return self * -1.0

    def __sub__(self, other: Objective) -> Objective:
        """The difference."""
        return self + -other if isinstance(other, Objective) else NotImplemented

    def __str__(self) -> str:
        """As it could be written."""
        text = "" if self.terms else "0"
        for weight, term in self.terms:
            sign = ("-" if weight < 0 else "") if not text else (" - " if weight < 0 else " + ")
            text += f"{sign}{'' if abs(weight) == 1 else f'{abs(weight):g} * '}{term}"
        return text

    @property
    def maximized(self) -> tuple[tuple[float, Channel | Function], ...]:
        """The terms that are not penalties."""
        return tuple((weight, term) for weight, term in self.terms if not isinstance(term, Penalty))

    @property
    def penalties(self) -> dict[PenaltyKind, float]:
        """Weights that are subtracted, by kind."""
        return {term.kind: -weight for weight, term in self.terms if isinstance(term, Penalty)}

    @property
    def own(self) -> Channel | None:
        """The channel where nothing but each picture's own filter is maximized; None for any other combination."""
        match self.maximized:
            case ((1.0, Channel(None) as own),):
                return own
        return None

    @property
    def own_measure(self) -> Measure | None:
        """The measure of the first channel among the terms, by which searches for a filter's own strongest response go."""
        return next((term.measure for _, term in self.maximized if isinstance(term, Channel)), None)

    @property
    def has_functions(self) -> bool:
        """Whether a term is a function, whose value is known only in a trace."""
        return any(isinstance(term, Function) for _, term in self.terms)

    def with_measure(self, measure: Measure) -> Objective:
        """Where channels state no measure of their own, they have this one. Raises UsageError where nothing is maximized."""
        if not self.maximized:
            raise UsageError(f"The objective {self} has no channel: there is nothing to maximize.")
        stated = (
            (weight, replace(term, measure=measure) if isinstance(term, Channel) and term.measure is None else term)
            for weight, term in self.terms
        )
        total = Objective(())
        for weight, term in stated:  # added, because two may have become equal
            total = total + Objective(((weight, term),))
        return total

    def check(self, path: str, channels: int) -> None:
        """Raise UsageError where a layer's `channels` lack one that is named."""
        for _, term in self.terms:
            if isinstance(term, Channel) and term.number is not None and not 0 <= term.number < channels:
                raise UsageError(f"{path} has filters 0 to {channels - 1}; the objective names {term}.")

    def describe(self) -> dict[str, Any]:
        """The objective as a recipe states it: `objective` in words, and the weight of each penalty."""
        own = self.own
        words = str(Objective(self.maximized)) if own is None else str(own.measure or own)
        penalties = self.penalties
        return {"objective": words, **{str(kind): penalties.get(kind, 0.0) for kind in PenaltyKind}}


def channel(number: int | None = None, measure: str | None = None) -> Objective:
    """Return the objective that raises one channel of the layer.

    Args:
        number: The filter, from 0; None for each picture's own.
        measure: `mean-and-peak`, `leaky`, `pre-activation` or `activation`, as `--objective` names them; None for the method's own.

    Returns:
        An objective, which can be added to others and multiplied by numbers.

    Raises:
        UsageError: `measure` is none of these.
    """
    if measure is not None and measure not in list(Measure):
        raise UsageError(f"channel: {measure} is none of {', '.join(Measure)}.")
    return Objective(((1.0, Channel(number, None if measure is None else Measure(measure))),))


def total_variation() -> Objective:
    """Return the sum of absolute differences of neighbouring pixels, to be subtracted as a penalty.

    The weight is in units of the size of the gradient of everything else, so that it means the same in every layer.
    Source: Mahendran & Vedaldi, "Understanding Deep Image Representations by Inverting Them", CVPR 2015 (here with exponent 1).
    """
    return Objective(((1.0, Penalty(PenaltyKind.TOTAL_VARIATION)),))


def l2() -> Objective:
    """Return half the sum of squared distances from mid-grey, to be subtracted as a penalty; weights as for `total_variation`."""
    return Objective(((1.0, Penalty(PenaltyKind.L2)),))


def of_layer(function: Callable[[Any], Any], name: str) -> Objective:
    """Return an objective that is a function of all maps of the layer.

    Args:
        function: Takes the layer's activations, a float32 tensor (n, ..., channels), and returns a float32 tensor (n,), differentiably and
            deterministically, each picture's value from its own maps alone.
        name: What the recipe states in place of the function.
    """
    return Objective(((1.0, Function(name, function)),))
