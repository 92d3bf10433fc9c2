"""The one word on each pattern of a layer, from figures alone: `not-finite`, `dead`, `ok` or `weak`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

NOT_FINITE = "not-finite"
DEAD = "dead"
OK = "ok"
WEAK = "weak"
SKIPPED = "skipped"
VERDICTS = (OK, WEAK, DEAD, NOT_FINITE, SKIPPED)

SAME_NUMBER = 1e-6  # float32 keeps about seven digits: two sums of the same terms in another order differ by this much
SILENT = 1e-6  # of the layer's largest figure: below it a rectified unit's answer is rounding, not a response
CLEAR_GAIN = 1e-3  # of the layer's largest figure: a smaller rise above the start image is not worth the word


@dataclass(frozen=True)
class Verdict:
    """The word on one pattern. dead_proven: the weights alone imply that the filter is dead."""

    word: str
    dead_proven: bool


def judge(
    *,
    activation: np.ndarray,
    activation_start: np.ndarray,
    indices: Sequence[int] | np.ndarray,
    natural_maximum: np.ndarray | None,
    natural_minimum: np.ndarray | None,
    rectified: bool,
    proven: Sequence[bool] | np.ndarray,
) -> tuple[Verdict, ...]:
    """The verdicts on a layer's patterns, in the order of `indices`; the first word that fits.

    activation, activation_start: float32 (n,), of the pattern and of the image that the ascent started from; NaN
    where not finite.
    indices: (n,), which filter each pattern belongs to.
    natural_maximum, natural_minimum: float32 (filters_total,) over the user's images, both None without images.
    rectified: the unit answers exactly 0 to every negative number.
    proven: bool (n,), whether the filter's kernel is zero throughout, so that it answers the same number to every
    image.

    Without images, a pattern's own start stands in for the natural figures.
    """
    reached = np.asarray(activation, np.float64)
    start = np.asarray(activation_start, np.float64)
    numbers = np.asarray(indices, np.int64)
    if natural_maximum is None or natural_minimum is None:
        highest, lowest, every_maximum = start, start, np.empty(0)
        needed_gain = np.maximum(np.abs(start), CLEAR_GAIN * _largest(every_maximum, reached))
        better = reached - start > needed_gain
    else:
        every_maximum = np.asarray(natural_maximum, np.float64)
        highest, lowest = every_maximum[numbers], np.asarray(natural_minimum, np.float64)[numbers]
        better = reached > highest

    finite = np.isfinite(reached) & np.isfinite(start) & np.isfinite(highest) & np.isfinite(lowest)
    silent = rectified & (np.maximum(highest, reached) <= SILENT * _largest(every_maximum, reached))
    constant = _same(highest, reached) & _same(lowest, reached)
    dead = silent | constant

    words = np.select([~finite, dead, better], [NOT_FINITE, DEAD, OK], WEAK)
    return tuple(
        Verdict(str(word), str(word) == DEAD and bool(certain)) for word, certain in zip(words, proven, strict=True)
    )


def _largest(*groups: np.ndarray) -> float:
    """The largest absolute finite figure of all groups, 0 where there is none."""
    figures = np.abs(np.concatenate(groups))
    return float(np.max(figures, initial=0, where=np.isfinite(figures)))


def _same(figures: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Whether each figure equals its reference within SAME_NUMBER of the reference's magnitude; NaN never does."""
    with np.errstate(invalid="ignore"):  # infinity minus infinity: answered below by `not-finite`
        difference = np.abs(figures - reference)
    return np.asarray(np.isfinite(difference) & (difference <= SAME_NUMBER * np.abs(reference)))
