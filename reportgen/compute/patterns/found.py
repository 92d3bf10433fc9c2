"""What ascents found: the finished pictures of some filters and their figures, joined and compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from reportgen.compute.activation_scores import FIGURES, Figures
from reportgen.core.records import SEARCHES

START, ASCENT, PIXELS, PATCHES, WAKING = range(len(SEARCHES))
FAR = 0.25  # of the strongest response: a readable picture below it shows too little of what the filter is for


@dataclass(frozen=True)
class Patterns:
    """Finished patterns of n filters; figures are NaN where not finite.

    images: exactly the pixels measured: uint8 (n, height, width, bands), or float32 (n, *size, bands) of signals and volumes.
    activation, activation_start: float32 (n,), of the unit on the finished picture and on the one that the ascent started from.
    pre_activation, pre_activation_start: the same before the activation function. peak, peak_start: the largest position of the same maps.
    answers: float32 (n, channels), the whole layer's figures on each finished picture. restart_similarity: float32
    (n,), how alike the pictures of
    several starts are to the layer; NaN for a single start. redirected_relu: bool (n,), whether the gradient had to be let through silent
    rectifiers. search: uint8 (n,), what found the picture, a place in SEARCHES. survives_warps: float32 (n,), the
    share of the activation that
    is left in the median of warps that no search saw. best_pre_activation: float32 (n,), the largest pre-activation at any position of any
    picture that was measured. strongest_…: the picture of the largest activation that any search found, and its figures; highest_…:
    that of the largest peak. seeds: that each start was drawn from.
    """

    images: np.ndarray
    indices: np.ndarray
    activation: np.ndarray
    activation_start: np.ndarray
    pre_activation: np.ndarray
    pre_activation_start: np.ndarray
    peak: np.ndarray
    peak_start: np.ndarray
    answers: np.ndarray
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
        kept = {name: getattr(self, name) for name in ARRAYS if name != "answers"}
        for name, others in (("strongest", (self.images,)), ("highest", (self.images, self.strongest_images))):
            images = kept[f"{name}_images"]
            own = [
                at for at, image in enumerate(images) if not any(np.array_equal(image, other[at]) for other in others)
            ]
            kept[f"{name}_images"], kept[f"{name}_indices"] = images[own], self.indices[own]
        return kept

    def considered(self, images: np.ndarray, found: Figures, search: int) -> Patterns:
        """With other pictures of the same filters, (n, ...), where one has a larger activation or peak; found: their own figures, (n,)."""
        code = np.full(len(self.indices), search, np.uint8)
        figures = {name: finite_or_nan(getattr(found, name)) for name in FIGURES}
        stronger = _larger(figures["activation"], self.strongest_activation)
        higher = _larger(figures["peak"], self.highest_peak)
        changed: dict[str, Any] = {"best_pre_activation": np.fmax(self.best_pre_activation, figures["pre_peak"])}
        for prefix, won in (("strongest", stronger), ("highest", higher)):
            news = {"images": images, "search": code, **figures}
            for name in ("images", "activation", "pre_activation", "peak", "search"):
                field = f"{prefix}_{name}"
                if field in ARRAYS:
                    own = getattr(self, field)
                    changed[field] = np.where(won.reshape(-1, *(1,) * (own.ndim - 1)), news[name], own)
        return replace(self, **changed)

    def readable(self) -> Patterns:
        """With the strongest picture in place of one that shows less than its start, or too little of what the filter answers to."""
        strongest = np.where(self.strongest_activation > 0, FAR * self.strongest_activation, -np.inf)
        needed = np.fmax(self.activation_start, strongest)
        return self.showing_strongest(
            _larger(needed, self.activation) & _larger(self.strongest_activation, self.activation)
        )

    def showing_strongest(self, chosen: np.ndarray) -> Patterns:
        """With the strongest picture as the one that is shown for `chosen` filters, bool (n,); how it stands warps was not measured."""
        changed: dict[str, Any] = {"survives_warps": np.where(chosen, np.float32(np.nan), self.survives_warps)}
        for name in ("images", "activation", "pre_activation", "peak", "search"):
            own, other = getattr(self, name), getattr(self, f"strongest_{name}")
            changed[name] = np.where(chosen.reshape(-1, *(1,) * (own.ndim - 1)), other, own)
        return replace(self, **changed)


ARRAYS = tuple(field.name for field in fields(Patterns) if field.name != "seeds")  # one row a filter


def begun(
    indices: np.ndarray,
    images: np.ndarray,
    found: Figures,
    answers: np.ndarray,
    start: Figures,
    redirected_relu: np.ndarray,
    seeds: tuple[int, ...],
) -> Patterns:
    """What an ascent found: its pictures with their filters' own figures, (n,) each, and those of their starts; nothing else considered."""
    own = {name: finite_or_nan(getattr(found, name)) for name in FIGURES}
    first = {name: finite_or_nan(getattr(start, name)) for name in FIGURES}
    search = np.full(len(indices), ASCENT, np.uint8)
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
        answers=finite_or_nan(answers),
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
    """Where a figure is larger than another, or finite where the other is not."""
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


def best(found: Sequence[Patterns], direction: float) -> Patterns:
    """Of the same filters' patterns from several starts each filter's best, with how alike they are."""
    kept = found[0]
    for other in found[1:]:
        kept = better(kept, other, direction)
    return replace(kept, restart_similarity=restart_similarity([each.answers for each in found], kept.indices))


def better(one: Patterns, other: Patterns, direction: float) -> Patterns:
    """For every filter what reached more in the wanted direction; the first where neither did.

    Upwards the unit's own activation counts, and the strongest, the highest and the reach are those of both; downwards the
    pre-activation, since a rectifier answers 0 to anything it dislikes.
    """
    name = "activation" if direction > 0 else "pre_activation"
    wins = _larger(direction * getattr(other, name), direction * getattr(one, name))

    def chosen(name: str) -> np.ndarray:
        first, second = getattr(one, name), getattr(other, name)
        if direction > 0 and name == "best_pre_activation":
            return np.asarray(np.fmax(first, second))
        won = wins
        if direction > 0 and name.startswith("strongest_"):
            won = _larger(other.strongest_activation, one.strongest_activation)
        if direction > 0 and name.startswith("highest_"):
            won = _larger(other.highest_peak, one.highest_peak)
        return np.asarray(np.where(won.reshape(-1, *(1,) * (first.ndim - 1)), second, first))

    seeds = tuple(second if won else first for won, first, second in zip(wins, one.seeds, other.seeds, strict=True))
    return replace(one, **{name: chosen(name) for name in ARRAYS}, seeds=seeds)


def restart_similarity(answers: Sequence[np.ndarray], filters: np.ndarray) -> np.ndarray:
    """float32 (n,): the mean cosine, over all pairs of starts, between what the layer's other filters answer to a filter's pictures.

    1 where every start led to the same mixture of features; NaN for a single start or where the other filters are silent.
    """
    if len(answers) < 2:
        return np.full(len(filters), np.nan, np.float32)
    found = np.nan_to_num(np.stack(answers).astype(np.float64), nan=0)  # starts, filters, channels
    found[:, np.arange(len(filters)), filters] = 0  # each picture excites its own filter: that says nothing
    length = np.linalg.norm(found, axis=2, keepdims=True)
    unit = np.divide(found, length, out=np.full_like(found, np.nan), where=length > 0)
    pairs = [(unit[first] * unit[second]).sum(axis=1) for second in range(len(found)) for first in range(second)]
    return np.asarray(np.mean(pairs, axis=0), np.float32)
