"""The patterns of some filters: finished pictures with their scores, joined and compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from enum import IntEnum
from typing import Any

import numpy as np

from reportgen.compute.activation_scores import SCORES, Scores
from reportgen.compute.patterns.objectives import Direction
from reportgen.core.records import SEARCHES


class Search(IntEnum):
    """What found a picture: its place in SEARCHES."""

    START = SEARCHES.index("start")
    ASCENT = SEARCHES.index("ascent")
    SIGN_ASCENT = SEARCHES.index("sign ascent")
    SIGN_PATCHES = SEARCHES.index("sign patches")
    SILENT_FILTERS = SEARCHES.index("search for silent filters")


READABLE_SHARE = (
    0.25  # of the strongest response: a readable picture below it shows too little of what excites the filter
)


@dataclass(frozen=True)
class Patterns:
    """Finished patterns of n filters; scores are NaN where not finite.

    Attributes:
        images: Exactly the pixels measured: uint8 (n, height, width, bands), or float32 (n, *size, bands) of signals and volumes.
        indices: The filters, int32 (n,).
        activation, activation_start: float32 (n,), of the unit on the finished picture and on the one that the ascent started from.
        pre_activation, pre_activation_start: The same before the activation function.
        peak, peak_start: The largest position of the same maps.
        responses: float32 (n, channels), the whole layer's activation scores on each finished picture.
        restart_similarity: float32 (n,), how alike the pictures of several starts are to the layer; NaN for a single start.
        redirected_relu: bool (n,), whether the gradient had to be let through silent rectifiers.
        search: uint8 (n,), what found the picture, a place in SEARCHES.
        survives_warps: float32 (n,), the share of the activation that is left in the median of warps that no search saw.
        best_pre_activation: float32 (n,), the largest pre-activation at any position of any picture that was measured.
        strongest_images and the like: The picture of the largest activation that any search found, and its scores.
        highest_images and the like: That of the largest peak.
        seeds: That each start was drawn from.
    """

    images: np.ndarray
    indices: np.ndarray
    activation: np.ndarray
    activation_start: np.ndarray
    pre_activation: np.ndarray
    pre_activation_start: np.ndarray
    peak: np.ndarray
    peak_start: np.ndarray
    responses: np.ndarray
    restart_similarity: np.ndarray
    redirected_relu: np.ndarray
    search: np.ndarray
    survives_warps: np.ndarray
    best_pre_activation: np.ndarray
    strongest_images: np.ndarray
    strongest_activation: np.ndarray
    strongest_pre_activation: np.ndarray
    strongest_peak: np.ndarray
    strongest_search: np.ndarray
    highest_images: np.ndarray
    highest_activation: np.ndarray
    highest_peak: np.ndarray
    highest_search: np.ndarray
    seeds: tuple[int, ...]

    def rows(self, chosen: np.ndarray) -> Patterns:
        """Those of some filters, by their positions here."""
        arrays = {name: getattr(self, name)[chosen] for name in ARRAYS}
        return Patterns(**arrays, seeds=tuple(self.seeds[row] for row in chosen))

    def arrays(self) -> dict[str, np.ndarray]:
        """What a report keeps of them: strongest and highest pictures where they are not shown already, with their filters' numbers."""
        kept = {name: getattr(self, name) for name in ARRAYS if name != "responses"}
        for name, others in (("strongest", (self.images,)), ("highest", (self.images, self.strongest_images))):
            images = kept[f"{name}_images"]
            own = [
                at for at, image in enumerate(images) if not any(np.array_equal(image, other[at]) for other in others)
            ]
            kept[f"{name}_images"], kept[f"{name}_indices"] = images[own], self.indices[own]
        return kept

    def with_candidates(self, images: np.ndarray, scores: Scores, search: int) -> Patterns:
        """With other pictures of the same filters, (n, ...), where one has a larger activation or peak; scores: their own, (n,)."""
        code = np.full(len(self.indices), search, np.uint8)
        values = {name: finite_or_nan(getattr(scores, name)) for name in SCORES}
        stronger = _larger(values["activation"], self.strongest_activation)
        higher = _larger(values["peak"], self.highest_peak)
        changed: dict[str, Any] = {"best_pre_activation": np.fmax(self.best_pre_activation, values["pre_peak"])}
        for prefix, won in (("strongest", stronger), ("highest", higher)):
            new = {"images": images, "search": code, **values}
            for name in ("images", "activation", "pre_activation", "peak", "search"):
                field = f"{prefix}_{name}"
                if field in ARRAYS:
                    own = getattr(self, field)
                    changed[field] = np.where(won.reshape(-1, *(1,) * (own.ndim - 1)), new[name], own)
        return replace(self, **changed)

    def readable(self) -> Patterns:
        """With the strongest picture in place of one that shows less than its start, or too little of what the filter responds to."""
        strongest = np.where(self.strongest_activation > 0, READABLE_SHARE * self.strongest_activation, -np.inf)
        needed = np.fmax(self.activation_start, strongest)
        return self.showing_strongest(
            _larger(needed, self.activation) & _larger(self.strongest_activation, self.activation)
        )

    def showing_strongest(self, chosen: np.ndarray) -> Patterns:
        """With the strongest picture shown for `chosen` filters, bool (n,); its survival under warps was not measured."""
        changed: dict[str, Any] = {"survives_warps": np.where(chosen, np.float32(np.nan), self.survives_warps)}
        for name in ("images", "activation", "pre_activation", "peak", "search"):
            own, other = getattr(self, name), getattr(self, f"strongest_{name}")
            changed[name] = np.where(chosen.reshape(-1, *(1,) * (own.ndim - 1)), other, own)
        return replace(self, **changed)


ARRAYS = tuple(field.name for field in fields(Patterns) if field.name != "seeds")  # one row a filter


def of_ascent(
    indices: np.ndarray,
    images: np.ndarray,
    end: Scores,
    responses: np.ndarray,
    start: Scores,
    redirected_relu: np.ndarray,
    seeds: tuple[int, ...],
) -> Patterns:
    """The pictures that an ascent ended at with their filters' own scores, (n,) each, and those of their starts; no other candidates."""
    own = {name: finite_or_nan(getattr(end, name)) for name in SCORES}
    first = {name: finite_or_nan(getattr(start, name)) for name in SCORES}
    search = np.full(len(indices), Search.ASCENT, np.uint8)
    unknown = np.full(len(indices), np.nan, np.float32)
    return Patterns(
        images=images,
        indices=indices,
        activation=own["activation"],
        activation_start=first["activation"],
        pre_activation=own["pre_activation"],
        pre_activation_start=first["pre_activation"],
        peak=own["peak"],
        peak_start=first["peak"],
        responses=finite_or_nan(responses),
        restart_similarity=unknown,
        redirected_relu=redirected_relu,
        search=search,
        survives_warps=unknown,
        best_pre_activation=np.fmax(own["pre_peak"], first["pre_peak"]),
        strongest_images=images,
        strongest_activation=own["activation"],
        strongest_pre_activation=own["pre_activation"],
        strongest_peak=own["peak"],
        strongest_search=search,
        highest_images=images,
        highest_activation=own["activation"],
        highest_peak=own["peak"],
        highest_search=search,
        seeds=seeds,
    )


def _larger(new: np.ndarray, old: np.ndarray) -> np.ndarray:
    """Where a score is larger than another, or finite where the other is not."""
    return np.asarray((new > old) | (np.isnan(old) & ~np.isnan(new)))


def finite_or_nan(values: np.ndarray) -> np.ndarray:
    """float32, NaN where not finite."""
    return np.where(np.isfinite(values), values, np.nan).astype(np.float32)


def joined(parts: Sequence[Patterns]) -> Patterns:
    """The patterns of one batch after the other."""
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ARRAYS}
    return Patterns(**arrays, seeds=tuple(seed for part in parts for seed in part.seeds))


def replaced(patterns: Patterns, rows: np.ndarray, others: Patterns) -> Patterns:
    """`patterns` with those at `rows` replaced by `others`, in this order."""
    order = np.arange(len(patterns.indices))
    order[rows] = len(order) + np.arange(len(rows))
    return joined([patterns, others]).rows(order)


def best(found: Sequence[Patterns], direction: Direction, reached: Callable[[Patterns], np.ndarray]) -> Patterns:
    """Of the same filters' patterns from several starts each filter's best, with how alike they are.

    reached: how much of what was optimized each pattern reached, (n,); more is better.
    """
    kept = found[0]
    for other in found[1:]:
        kept = _better(kept, other, direction, reached)
    return replace(kept, restart_similarity=restart_similarity([each.responses for each in found], kept.indices))


def _better(
    one: Patterns, other: Patterns, direction: Direction, reached: Callable[[Patterns], np.ndarray]
) -> Patterns:
    """For every filter what reached more; the first where neither did. Maximizing, the strongest and the highest are those of both."""
    wins = _larger(reached(other), reached(one))
    maximizing = direction is Direction.MAXIMIZE

    def chosen(name: str) -> np.ndarray:
        first, second = getattr(one, name), getattr(other, name)
        if maximizing and name == "best_pre_activation":
            return np.asarray(np.fmax(first, second))
        won = wins
        if maximizing and name.startswith("strongest_"):
            won = _larger(other.strongest_activation, one.strongest_activation)
        if maximizing and name.startswith("highest_"):
            won = _larger(other.highest_peak, one.highest_peak)
        return np.asarray(np.where(won.reshape(-1, *(1,) * (first.ndim - 1)), second, first))

    seeds = tuple(second if won else first for won, first, second in zip(wins, one.seeds, other.seeds, strict=True))
    return replace(one, **{name: chosen(name) for name in ARRAYS}, seeds=seeds)


def restart_similarity(responses: Sequence[np.ndarray], filters: np.ndarray) -> np.ndarray:
    """float32 (n,): the mean cosine, over all pairs of starts, between the other filters' responses to a filter's pictures.

    1 where every start led to the same mixture of features; NaN for a single start or where the other filters are silent.
    """
    if len(responses) < 2:
        return np.full(len(filters), np.nan, np.float32)
    found = np.nan_to_num(np.stack(responses).astype(np.float64), nan=0)  # starts, filters, channels
    found[:, np.arange(len(filters)), filters] = 0  # each picture excites its own filter: that says nothing
    length = np.linalg.norm(found, axis=2, keepdims=True)
    unit = np.divide(found, length, out=np.full_like(found, np.nan), where=length > 0)
    pairs = [(unit[first] * unit[second]).sum(axis=1) for second in range(len(found)) for first in range(second)]
    return np.asarray(np.mean(pairs, axis=0), np.float32)
