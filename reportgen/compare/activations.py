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
LEAST_SHARE = (
    1e-3  # of the root mean square of a layer's strongest filter: changes of weaker filters are relative to that
)


@dataclass(frozen=True)
class SharedMaps:
    """The maps of a layer on the images that both reports have.

    Attributes:
        keys: of each image, names of its maps in the old and in the new file.
        filters: numbers of the filters whose maps the old and the new report have.
    """

    old: tuple[Report, str]
    new: tuple[Report, str]
    keys: tuple[tuple[str, str], ...]
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

    def correlations(self) -> NDArray[np.float32] | None:
        """Return Pearson's correlation over all positions of all images, (new filters, old filters).

        Returns:
            NaN where a filter's maps are constant; None where no image has maps of the same size.
        """
        count, sums = 0, None
        for before, after in self.pairs():
            old64, new64 = before.astype(np.float64), after.astype(np.float64)
            parts = (
                new64.sum(0),
                old64.sum(0),
                np.einsum("ij,ij->j", new64, new64),
                np.einsum("ij,ij->j", old64, old64),
                (after.T @ before).astype(np.float64),
            )
            sums = list(parts) if sums is None else [one + other for one, other in zip(sums, parts, strict=True)]
            count += len(before)
        if sums is None:
            return None
        new_sum, old_sum, new_square, old_square, product = sums
        new_spread, old_spread = new_square - new_sum**2 / count, old_square - old_sum**2 / count
        new_spread[new_spread <= CONSTANT * new_square] = np.nan
        old_spread[old_spread <= CONSTANT * old_square] = np.nan
        with np.errstate(invalid="ignore"):
            found = (product - np.outer(new_sum, old_sum) / count) / np.sqrt(np.outer(new_spread, old_spread))
        return np.asarray(np.clip(found, -1, 1), np.float32)

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
