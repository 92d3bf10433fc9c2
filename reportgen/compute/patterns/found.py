"""What ascents found: the finished pictures of some filters and their figures, joined and compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np


@dataclass(frozen=True)
class Patterns:
    """Finished patterns of n filters; figures are NaN where not finite.

    images: exactly the pixels measured: uint8 (n, height, width, bands), or float32 (n, *size, bands) of signals and volumes.
    activation, activation_start: float32 (n,), of the unit on the finished picture and on the one that the ascent started from.
    pre_activation, pre_activation_start: the same before the activation function. answers: float32 (n, channels), the whole layer's
    figures on each finished picture. likeness: float32 (n,), how alike the pictures of several starts are to the layer; NaN for a single
    start. rescued: bool (n,), whether the gradient had to be let through silent rectifiers. seeds: that each start was drawn from.
    """

    images: np.ndarray
    indices: np.ndarray
    activation: np.ndarray
    activation_start: np.ndarray
    pre_activation: np.ndarray
    pre_activation_start: np.ndarray
    answers: np.ndarray
    likeness: np.ndarray
    rescued: np.ndarray
    seeds: tuple[int, ...]

    def rows(self, chosen: np.ndarray) -> Patterns:
        """Those of some filters, by their positions here."""
        arrays = {name: getattr(self, name)[chosen] for name in ARRAYS}
        return Patterns(**arrays, seeds=tuple(self.seeds[row] for row in chosen))

    def arrays(self) -> dict[str, np.ndarray]:
        """What a report keeps of them."""
        return {name: getattr(self, name) for name in ARRAYS if name != "answers"}


ARRAYS = tuple(field.name for field in fields(Patterns) if field.name != "seeds")  # one row a filter


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
    return replace(kept, likeness=likeness([each.answers for each in found], kept.indices))


def better(one: Patterns, other: Patterns, direction: float) -> Patterns:
    """For every filter what reached more in the wanted direction; the first where neither did.

    Upwards the unit's own activation counts; downwards the pre-activation, since a rectifier answers 0 to anything it dislikes.
    """
    name = "activation" if direction > 0 else "pre_activation"
    kept, new = direction * getattr(one, name), direction * getattr(other, name)
    wins = (new > kept) | (np.isnan(kept) & ~np.isnan(new))

    def chosen(name: str) -> np.ndarray:
        first, second = getattr(one, name), getattr(other, name)
        return np.asarray(np.where(wins.reshape(-1, *(1,) * (first.ndim - 1)), second, first))

    seeds = tuple(second if won else first for won, first, second in zip(wins, one.seeds, other.seeds, strict=True))
    return replace(one, **{name: chosen(name) for name in ARRAYS}, seeds=seeds)


def likeness(answers: Sequence[np.ndarray], filters: np.ndarray) -> np.ndarray:
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
