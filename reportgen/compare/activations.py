"""Feature maps of the same images in two reports: how the maps of two filters correlate, and how much they changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reportgen.artefacts.layer_entry import LayerEntry
from reportgen.compare.channel_order import Order
from reportgen.core.npz import unpack_one
from reportgen.core.store import DAMAGE
from reportgen.report.opened import Report

CONSTANT = 1e-12  # of the mean square: below it the variance of a map is rounding
LEAST_SIMILARITY = 0.3  # for two filters to count as the same, however little chance makes of many numbers
CHANCE, CHANCE_AT_PLACE = 95, 99  # percentiles of the null, see `Correlations.enough`
MOST_POSITIONS = (
    2048  # of an image, for correlations: neighbors say little more, and the work grows with the square of the filters
)
LEAST_SHARE = (
    1e-3  # of the root mean square of a layer's strongest filter: changes of weaker filters are relative to that
)


class _Moments:
    """Sums over positions from which the correlations of two sets of maps follow."""

    def __init__(self) -> None:
        self._count = 0
        self._sums: list[NDArray[np.float64]] = []

    def add(self, new: NDArray[np.float32], old: NDArray[np.float32]) -> None:
        """Count the maps of one image, (positions, filters) each."""
        parts = [
            new.sum(0, dtype=np.float64),
            old.sum(0, dtype=np.float64),
            np.square(new, dtype=np.float64).sum(0),
            np.square(old, dtype=np.float64).sum(0),
            (new.T @ old).astype(np.float64),
        ]
        self._sums = [one + other for one, other in zip(self._sums, parts, strict=True)] if self._sums else parts
        self._count += len(new)

    def correlations(self) -> NDArray[np.float32]:
        """Pearson's correlation, (new filters, old filters); NaN where maps are constant."""
        new_sum, old_sum, new_square, old_square, product = self._sums
        new_spread, old_spread = (
            np.where(spread > CONSTANT * square, spread, np.nan)
            for spread, square in (
                (new_square - new_sum**2 / self._count, new_square),
                (old_square - old_sum**2 / self._count, old_square),
            )
        )
        found = (product - np.outer(new_sum, old_sum) / self._count) / np.sqrt(np.outer(new_spread, old_spread))
        return np.asarray(np.clip(found, -1, 1), np.float32)


def _some(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Evenly spaced positions of maps, MOST_POSITIONS at most."""
    if len(maps) <= MOST_POSITIONS:
        return maps
    return maps[np.linspace(0, len(maps) - 1, MOST_POSITIONS).astype(np.int64)]


def _other(previous: NDArray[np.float32], before: NDArray[np.float32], own: NDArray[np.float32]) -> NDArray[np.float32]:
    """Maps that have nothing to do with `before`: of another image where it has as many positions, else of its own, turned by 180°."""
    return (previous if len(previous) == len(before) else own)[::-1]


@dataclass(frozen=True)
class Correlations:
    """Pearson's correlations of maps over positions of all images, (new filters, old filters); NaN where maps are constant.

    Attributes:
        values: on the same images.
        null: where the old maps are of one image and the new ones of another, turned by 180°; of a single image, of that.
    """

    values: NDArray[np.float32]
    null: NDArray[np.float32]

    def enough(self) -> NDArray[np.bool_]:
        """Return which pairs of filters are more alike than chance makes them.

        Two filters with the same number are so above the CHANCE_AT_PLACE percentile of all correlations of the null, other pairs above the
        CHANCE percentile of the largest one of each new filter; none below LEAST_SIMILARITY.
        """
        if np.isnan(self.null).all():
            return np.zeros(self.values.shape, bool)
        largest = np.nanmax(np.nan_to_num(self.null, nan=-1.0), axis=1)
        least = np.full(self.values.shape, max(LEAST_SIMILARITY, float(np.percentile(largest, CHANCE))))
        at_place = max(LEAST_SIMILARITY, float(np.nanpercentile(self.null, CHANCE_AT_PLACE)))
        np.fill_diagonal(least, at_place)
        return np.asarray(np.nan_to_num(self.values, nan=-1.0) >= least)


@dataclass(frozen=True)
class SharedMaps:
    """The maps of a layer on the images that both reports have.

    Attributes:
        keys: of each image, names of its maps in the old and in the new file.
        images: slugs of the images in the new report.
        filters: numbers of the filters whose maps the old and the new report have.
    """

    old: tuple[Report, str]
    new: tuple[Report, str]
    keys: tuple[tuple[str, str], ...]
    images: tuple[str, ...]
    filters: tuple[NDArray[np.int64], NDArray[np.int64]]

    @classmethod
    def of(
        cls, old: tuple[Report, LayerEntry], new: tuple[Report, LayerEntry], slugs: Sequence[tuple[str, str]]
    ) -> SharedMaps | None:
        """Return the maps of a layer; None where the reports have none of the same images."""
        before = {record.image: record for record in old[1].feature_maps if record.array is not None}
        after = {record.image: record for record in new[1].feature_maps if record.array is not None}
        both = [(before[one], after[other]) for one, other in slugs if one in before and other in after]
        if not both:
            return None
        first, second = both[0]
        assert first.array is not None
        assert second.array is not None
        filters = tuple(
            np.arange(layer.filters_total) if record.channels is None else np.array(record.channels, np.int64)
            for record, layer in ((first, old[1]), (second, new[1]))
        )
        if any(len(each) == 0 for each in filters):
            return None
        return cls(
            (old[0], first.array),
            (new[0], second.array),
            tuple((str(one.key), str(other.key)) for one, other in both),
            tuple(other.image for _, other in both),
            (filters[0], filters[1]),
        )

    @property
    def is_whole(self) -> bool:
        """Whether maps of all filters are there: the filters can then be matched by them."""
        return all(len(own) and own[-1] == len(own) - 1 for own in self.filters)

    @property
    def is_same_file(self) -> bool:
        """Whether both reports have these maps to the byte."""
        if self.filters[0].shape != self.filters[1].shape or any(one != other for one, other in self.keys):
            return False
        first, second = ((report.folder / path).read_bytes() for report, path in (self.old, self.new))
        return first == second

    def pairs(self) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Yield the maps of each image, old and new, as (positions, filters); nothing where they have other sizes."""
        for old_key, new_key in self.keys:
            before, after = _read(*self.old, old_key), _read(*self.new, new_key)
            if before is None or after is None or before.shape[:-1] != after.shape[:-1]:
                continue
            if (before.shape[-1], after.shape[-1]) != tuple(len(own) for own in self.filters):
                continue
            maps = [np.reshape(each, (-1, each.shape[-1])).astype(np.float32) for each in (before, after)]
            if all(np.isfinite(each).all() for each in maps):
                yield maps[0], maps[1]

    def correlations(self) -> Correlations | None:
        """Return how the maps of all pairs of filters correlate; None where no image has maps of the same size."""
        own, null = _Moments(), _Moments()
        first = previous = None
        for before, after in self.pairs():
            before, after = _some(before), _some(after)
            own.add(after, before)
            if previous is None:
                first = before
            else:
                null.add(_other(previous, before, after), before)
            previous = after
        if first is None or previous is None:
            return None
        null.add(_other(previous, first, previous), first)
        return Correlations(own.correlations(), null.correlations())

    def changes(self, order: Order) -> dict[int, float]:
        """Return by new filter the norm of the change of its maps, over that of the old maps.

        Args:
            order: the old filter of each new one, -1 where there is none.

        Returns:
            Of the filters whose maps both reports have.
        """
        old_places = {number: place for place, number in enumerate(self.filters[0].tolist())}
        chosen = [
            (int(number), place, old_places[int(order[number])])
            for place, number in enumerate(self.filters[1].tolist())
            if number < len(order) and int(order[number]) in old_places
        ]
        new_at, old_at = [item[1] for item in chosen], [item[2] for item in chosen]
        difference, size, largest, seen = np.zeros(len(chosen)), np.zeros(len(chosen)), 0.0, False
        for before, after in self.pairs():
            own = before[:, old_at]
            difference += np.square(after[:, new_at] - own).sum(0, dtype=np.float64)
            size += np.square(own).sum(0, dtype=np.float64)
            largest += float(np.square(before).sum(0, dtype=np.float64).max())
            seen = True
        if not seen:
            return {}
        floor = np.maximum(np.sqrt(size), LEAST_SHARE * np.sqrt(largest))
        ratios = np.divide(np.sqrt(difference), floor, out=np.zeros_like(floor), where=difference > 0)
        return {
            number: float(ratio)
            for (number, _, _), ratio in zip(chosen, ratios.tolist(), strict=True)
            if np.isfinite(ratio)
        }


def _read(report: Report, path: str, name: str) -> NDArray[np.floating] | None:
    """The maps of one image; None where they cannot be read."""
    try:
        with (report.folder / path).open("rb") as file:
            return unpack_one(file, name)
    except DAMAGE:
        return None
