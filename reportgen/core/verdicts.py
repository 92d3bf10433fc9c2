"""The verdict on each pattern of a layer, from scores alone: `not-finite`, `dead`, `silent`, `ok` or `weak`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np


class Word(StrEnum):
    """The word of a verdict."""

    OK = "ok"
    WEAK = "weak"
    SILENT = "silent"
    DEAD = "dead"
    NOT_FINITE = "not-finite"
    SKIPPED = "skipped"


OK, WEAK, SILENT, DEAD, NOT_FINITE, SKIPPED = Word
Score = Literal["activation", "peak"]
NOT_COMPUTED = "not computed"  # counted among the verdicts, but is none: there is no pattern to judge
VERDICTS = tuple(Word)
BY_PRECEDENCE = (SKIPPED, NOT_FINITE, DEAD, SILENT, OK, WEAK)  # the first that fits is the verdict

SILENCE = 1e-6  # of the layer's largest score: below it a rectified unit's output is rounding, not a response
CLEAR_GAIN = 1e-3  # of the layer's largest score: a smaller rise above the initial image does not count


@dataclass(frozen=True)
class Verdict:
    """The word on one pattern. by: of an `ok`, which scores are above what they are compared with: `activation`, `peak`."""

    word: Word
    by: tuple[Score, ...] = ()


def judge(
    *,
    activation: np.ndarray,
    activation_start: np.ndarray,
    peak: np.ndarray,
    response: np.ndarray,
    indices: Sequence[int] | np.ndarray,
    natural_maximum: np.ndarray | None,
    natural_peak: np.ndarray | None,
    rectified: bool,
    dead: Sequence[bool] | np.ndarray,
) -> tuple[Verdict, ...]:
    """The verdicts on a layer's patterns, in the order of `indices`; the first word that fits.

    activation, peak: float32 (n,), of the readable pattern: the mean over trimmed positions and the largest position. activation_start:
    of the picture that the ascent started from. response: float32 (n,), the largest activation or peak of any start, pattern or strongest
    picture. NaN where not finite.
    indices: (n,), which filter each pattern belongs to.
    natural_maximum, natural_peak: float32 (filters_total,) over the user's images, both None without images.
    rectified: whether the unit returns exactly 0 for every negative number.
    dead: bool (n,), whether it is proven that no input activates the unit above zero, or that its output is the same for all.

    Without images, a pattern's own start stands in for the natural scores.
    """
    reached, start, highest = (np.asarray(values, np.float64) for values in (activation, activation_start, peak))
    strongest = np.asarray(response, np.float64)
    numbers = np.asarray(indices, np.int64)
    finite = np.isfinite(reached) & np.isfinite(start) & np.isfinite(highest)
    if natural_maximum is None or natural_peak is None:
        largest = _largest(reached, highest, strongest)
        needed_gain = np.maximum(np.abs(start), CLEAR_GAIN * largest)
        above: dict[Score, np.ndarray] = {
            "activation": reached - start > needed_gain,
            "peak": np.zeros(len(numbers), bool),
        }
        loudest = strongest
    else:
        maximum, natural = (np.asarray(values, np.float64) for values in (natural_maximum, natural_peak))
        largest = _largest(reached, highest, strongest, maximum, natural)
        above = {"activation": reached > maximum[numbers], "peak": highest > natural[numbers]}
        loudest = np.fmax(strongest, np.fmax(maximum[numbers], natural[numbers]))
        finite &= np.isfinite(maximum[numbers]) & np.isfinite(natural[numbers])
    loudest = np.fmax(loudest, np.fmax(np.fmax(reached, start), highest))
    silent = rectified & (loudest <= SILENCE * largest)
    better = above["activation"] | above["peak"]
    words = np.select([~finite, np.asarray(dead, bool), silent, better], [NOT_FINITE, DEAD, SILENT, OK], WEAK)
    return tuple(
        Verdict(Word(word), tuple(name for name in above if word == OK and above[name][at]))
        for at, word in enumerate(words)
    )


def prefers_strongest(
    activation: np.ndarray,
    peak: np.ndarray,
    strongest_activation: np.ndarray,
    strongest_peak: np.ndarray,
    natural_maximum: np.ndarray,
    natural_peak: np.ndarray,
) -> np.ndarray:
    """Bool (n,): a readable pattern is above nothing that the images reach, and the picture of the strongest response is: show that one.

    All float (n,), of the same filters.
    """
    readable = (activation > natural_maximum) | (peak > natural_peak)
    strongest = (strongest_activation > natural_maximum) | (strongest_peak > natural_peak)
    return np.asarray(~readable & strongest & (strongest_activation > activation))


def _largest(*groups: np.ndarray) -> float:
    """The largest absolute finite score of all groups, 0 where there is none."""
    figures = np.abs(np.concatenate(groups))
    return float(np.max(figures, initial=0, where=np.isfinite(figures)))
