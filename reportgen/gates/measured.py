"""What a gate is judged by: a quantity's value in one report or comparison, as far as it is known, and where it comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import Protocol, TypeVar

from reportgen.render.text import count, plural


class HasPath(Protocol):
    """A layer of a report, a plan or a comparison."""

    @property
    def path(self) -> str:
        """Its path."""


LayerT = TypeVar("LayerT", bound=HasPath)


@dataclass(frozen=True)
class Place:
    """A layer that a value comes from, and its filters; `layer` may also name an image or a check."""

    layer: str
    filters: tuple[int, ...] = ()


Beyond = Callable[[Fraction], bool]  # tells which values a gate fails on


def _nowhere(beyond: Beyond) -> tuple[Place, ...]:
    return ()


@dataclass(frozen=True)
class Unknown:
    """A quantity's value that is not known at all; `why`, as a clause."""

    why: str


@dataclass(frozen=True)
class Measured:
    """A quantity's value.

    Attributes:
        value: as far as it is known.
        words: the value with its unit, such as `2 of 32 shown filters`; of a ratio what follows its number.
        base: what a percentage is of; None where there is none.
        where: gives, for a function that tells which values are beyond a limit, the places that these come from.
        bounds: the least and the most that the value can be where not all of it is known, the most None where there is none.
        lost: what is not known, as a clause; None where all is.
    """

    value: Fraction
    words: str
    base: int | None = None
    where: Callable[[Beyond], tuple[Place, ...]] = _nowhere
    bounds: tuple[Fraction, Fraction | None] | None = None
    lost: str | None = None
    is_ratio: bool = False


Result = Measured | Unknown


def matching(layers: Iterable[LayerT], glob: str | None) -> list[LayerT]:
    """Return the layers whose whole path a glob matches, as `--layers` does; all where there is no glob."""
    return [layer for layer in layers if glob is None or fnmatchcase(layer.path, glob)]


def exact(value: float) -> Fraction:
    """Return a number of report.json as the decimal number that stands there, so that 0.2 is not above 0.2."""
    return Fraction(repr(float(value)))


def plain_count(number: int, words: str, places: Iterable[Place] = ()) -> Measured:
    """Return the measurement of a number of things that nothing is a share of."""
    found = tuple(places)
    return Measured(Fraction(number), words, where=lambda beyond: found)


def ratio(value: float, words: str, places: Iterable[Place] = ()) -> Measured:
    """Return the measurement of a number that report.json states; `words` follow it in a sentence."""
    found = tuple(places)
    return Measured(exact(value), words, where=lambda beyond: found, is_ratio=True)


def share(
    found: Sequence[Place], total: int, noun: str, nouns: str | None = None, *, missing: int = 0, lost: str = ""
) -> Result:
    """Return the measurement of a number of layers or images, of which a percentage is a share.

    Args:
        found: those that count.
        total: how many there are, `missing` of which may count, since `lost`.
        noun: what one of them is called.
        nouns: its plural, where that does not end in s.
        missing: how many are not known.
        lost: why, as a clause after their number.
    """
    if total == 0:
        return Unknown(f"there is no {noun}")
    words = f"{count(len(found))} of {plural(total, noun, nouns)}"
    places = tuple(found)
    return _counted(len(found), missing, total, words, places, f"{plural(missing, noun, nouns)} {lost}")


def _counted(number: int, missing: int, base: int, words: str, places: tuple[Place, ...], lost: str) -> Measured:
    """A number of things, and how many more there may be, since something is lost."""
    value, most = Fraction(number), Fraction(number + missing)
    if not missing:
        return Measured(value, words, base, lambda beyond: places)
    return Measured(value, words, base, lambda beyond: places, (value, most), lost)


def filter_count(
    found: Sequence[tuple[str, Iterable[int]]], missing: int, shown: int, total: int, *, of_total: bool, lost: str
) -> Result:
    """Return the measurement of a number of filters.

    Args:
        found: filters that count, by path of their layer.
        missing: how many more may count, since that is not known of them.
        shown: filters that the report shows.
        total: filters of the same layers.
        of_total: whether a percentage is of all filters.
        lost: what is missing, as a clause after their number.
    """
    places = tuple(Place(path, tuple(filters)) for path, filters in found)
    places = tuple(place for place in places if place.filters)
    number = sum(len(place.filters) for place in places)
    base = total if of_total else shown
    if base == 0 or (shown == 0 and not of_total):
        return Unknown("no filter is shown")
    words = f"{count(number)} of {plural(base, 'filter' if of_total else 'shown filter')}"
    if of_total and shown < total:
        words += f", of which {count(shown)} {'is' if shown == 1 else 'are'} shown"
    return _counted(number, missing, base, words, places, f"{plural(missing, 'filter')} {lost}")


def most(values: Sequence[tuple[str, int, float | None]], nothing: str, *, least: bool = False) -> Result:
    """Return the measurement of the filter with the largest value, or with the smallest.

    Args:
        values: (layer, filter, value) of each filter; None where the value is not known.
        nothing: why no value is known, where that is so.
        least: whether the smallest counts.
    """
    known = [(layer, index, exact(value)) for layer, index, value in values if value is not None]
    if not known:
        return Unknown(nothing)
    lost = len(values) - len(known)
    end = min(value for *_, value in known) if least else max(value for *_, value in known)
    words = f" in the {'least' if least else 'most'} changed of {plural(len(known), 'filter')}"

    def where(beyond: Beyond) -> tuple[Place, ...]:
        chosen = [(layer, index, value) for layer, index, value in known if beyond(value)] or [
            one for one in known if one[2] == end
        ]
        chosen.sort(key=lambda one: one[2], reverse=not least)
        by_layer: dict[str, list[int]] = {}
        for layer, index, _ in chosen:
            by_layer.setdefault(layer, []).append(index)
        return tuple(Place(layer, tuple(filters)) for layer, filters in by_layer.items())

    if not lost:
        return Measured(end, words, where=where, is_ratio=True)
    why = f"the change of {plural(lost, 'filter')} is not defined"
    return Measured(end, words, None, where, (Fraction(0), end) if least else (end, None), why, is_ratio=True)
