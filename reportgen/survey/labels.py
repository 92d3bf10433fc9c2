"""Labels that a filter tells apart: the area under the ROC curve of its peaks, with the Mann-Whitney test, for all labels at once."""

from __future__ import annotations

from dataclasses import dataclass
from math import erfc, sqrt

import numpy as np

LEAST_IMAGES = 5  # with a label, and without: below, the normal approximation of the test is no good
LEVEL = 0.05  # of the false discovery rate
LEAST_AUROC = (
    0.7  # or at most 1 - 0.7: over thousands of images the smallest difference is no accident, and yet explains nothing
)
PAIRED = 40  # labels of which pairs are formed
_erfc = np.vectorize(erfc, otypes=[float])


@dataclass(frozen=True)
class LabelTests:
    """Every label against all others, for every filter.

    Attributes:
        auroc: float64 (labels, filters), the probability that an image with the label has a larger peak than one without, ties counted
            half; NaN where too few images have the label, or lack it, or a peak is not finite.
        p: of the two-sided test, likewise.
    """

    auroc: np.ndarray
    p: np.ndarray


def average_ranks(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rank the rows of each column.

    Args:
        values: float (n, filters), finite.

    Returns:
        (ranks from 1, float64 (n, filters), equal values sharing their mean rank; float64 (filters,), the sum of t ** 3 - t over groups of
        t equal values).
    """
    count = len(values)
    order = np.argsort(values, axis=0, kind="stable")
    ordered = np.take_along_axis(values, order, axis=0)
    rows = np.arange(count)[:, None]
    differs = ordered[1:] != ordered[:-1]
    starts = np.ones(values.shape, bool)
    starts[1:] = differs
    ends = np.ones(values.shape, bool)
    ends[:-1] = differs
    first = np.maximum.accumulate(np.where(starts, rows, 0), axis=0)
    last = np.minimum.accumulate(np.where(ends, rows, count)[::-1], axis=0)[::-1]
    ranks = np.empty(values.shape)
    np.put_along_axis(ranks, order, (first + last) / 2 + 1, axis=0)
    sizes = np.where(starts, last - first + 1, 1).astype(np.float64)
    return ranks, (sizes**3 - sizes).sum(axis=0)


def compare(peaks: np.ndarray, labels: np.ndarray, count: int) -> LabelTests:
    """Compare the peaks of images with each label with those of all other labeled images.

    Args:
        peaks: float32 (n, filters).
        labels: int (n,), -1 for none.
        count: of labels.

    Returns:
        The tests (Mann & Whitney 1947; normal approximation with correction for ties and continuity).
    """
    known = labels >= 0
    peaks, labels = peaks[known], labels[known]
    total, filters = peaks.shape
    within = np.bincount(labels, minlength=count).astype(np.float64)[:, None]
    beyond = total - within
    usable = ((within >= LEAST_IMAGES) & (beyond >= LEAST_IMAGES)) & np.isfinite(peaks).all(axis=0)
    unknown = np.full((count, filters), np.nan)
    if not usable.any():
        return LabelTests(unknown, unknown)
    ranks, ties = average_ranks(np.where(np.isfinite(peaks), peaks, 0))
    sums = np.zeros((count, filters))
    present, starts = np.unique(np.sort(labels), return_index=True)
    sums[present] = np.add.reduceat(ranks[np.argsort(labels, kind="stable")], starts, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        wins = sums - within * (within + 1) / 2
        pairs = within * beyond
        variance = pairs / 12 * (total + 1 - ties / (total * (total - 1)))
        distance = np.maximum(np.abs(wins - pairs / 2) - 0.5, 0)
        score = np.where(variance > 0, distance / np.sqrt(variance), 0)
    return LabelTests(np.where(usable, wins / pairs, np.nan), np.where(usable, _erfc(score / sqrt(2)), np.nan))


@dataclass(frozen=True)
class PairTests:
    """Of each filter the pair of labels whose images together have the largest AUROC.

    Attributes:
        labels: int32 (2, filters), -1 where there is none.
        auroc: float64 (filters,), of either label against all others.
        p: of its test, multiplied by the number of pairs among which it was chosen (Bonferroni), at most 1.
    """

    labels: np.ndarray
    auroc: np.ndarray
    p: np.ndarray


def compare_pairs(peaks: np.ndarray, labels: np.ndarray, single: LabelTests) -> PairTests:
    """Test unions of two labels.

    Args:
        peaks: as for `compare`, like `labels`.
        labels: see `peaks`.
        single: what `compare` found.

    Returns:
        The best pair of each filter, of labels that have a test of their own. Of many labels pairs among the PAIRED best of each filter.
    """
    count, filters = single.auroc.shape
    chosen = np.full((2, filters), -1, np.int32)
    auroc, p = np.full(filters, np.nan), np.full(filters, np.nan)
    images = np.bincount(labels[labels >= 0], minlength=count).astype(np.float64)
    for index in range(filters):
        usable = np.flatnonzero(np.isfinite(single.auroc[:, index]))
        best = usable[np.argsort(-single.auroc[usable, index], kind="stable")[:PAIRED]]
        if len(best) < 2 or (images[best].sum() == images.sum() and len(best) == 2):
            continue
        own = images[best]
        # The rank sum of a union is that of its parts, which an AUROC states.
        sums = single.auroc[best, index] * own * (images.sum() - own) + own * (own + 1) / 2
        first, second = np.triu_indices(len(best), 1)
        within = own[first] + own[second]
        beyond = images.sum() - within
        wins = sums[first] + sums[second] - within * (within + 1) / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            areas = np.where(beyond >= LEAST_IMAGES, wins / (within * beyond), np.nan)
        if not np.isfinite(areas).any():
            continue
        at = int(np.nanargmax(areas))
        pair = np.sort(best[[first[at], second[at]]])
        tested = compare(
            peaks[:, index : index + 1], np.where(labels < 0, -1, np.isin(labels, pair).astype(np.int64)), 2
        )
        chosen[:, index], auroc[index] = pair, tested.auroc[1, 0]
        p[index] = min(1.0, tested.p[1, 0] * len(usable) * (len(usable) - 1) / 2)
    return PairTests(chosen, auroc, p)


def adjusted(p: np.ndarray) -> np.ndarray:
    """Correct p-values for their number.

    Args:
        p: of any shape; NaN is no test.

    Returns:
        The smallest false discovery rate at which each is a discovery, of the same shape (Benjamini & Hochberg 1995).
    """
    values = p.ravel()
    tests = np.flatnonzero(~np.isnan(values))
    result = np.full(values.shape, np.nan)
    order = tests[np.argsort(values[tests], kind="stable")]
    scaled = values[order] * len(order) / np.arange(1, len(order) + 1)
    result[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1)
    return result.reshape(p.shape)
