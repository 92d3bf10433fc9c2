"""Filters of a layer that answer alike: correlations over images, groups, and the effective number of filters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ALIKE = 0.95  # |r| of two filters' activations over the images
LEAST_IMAGES = 20  # of fewer, large correlations say nothing
BLOCK = 4096  # images that are standardized at once
FILTERS = 64  # whose spread is computed at once, in float64


@dataclass(frozen=True)
class Redundancy:
    """What the correlations of a layer's filters come to.

    Attributes:
        groups: numbers of filters, each group sorted; a filter is in a group if its |r| with any other of it is at least ALIKE.
        effective: the participation ratio of the correlation matrix, from 1, where all answer alike, to the number of filters that vary;
            None where none varies, or there are fewer than LEAST_IMAGES images, which give no groups either.
        nearest: int32 (filters,), the filter with the largest |r|; -1 where there is none.
        correlation: float32 (filters,), r with it; NaN where there is none.
    """

    groups: tuple[tuple[int, ...], ...]
    effective: float | None
    nearest: np.ndarray
    correlation: np.ndarray


def redundancy(activations: np.ndarray) -> Redundancy:
    """Correlate the activations of a layer's filters.

    Args:
        activations: float32 (n, filters).

    Returns:
        Groups and the effective number of filters: (sum of eigenvalues) ** 2 / sum of their squares.
    """
    filters = activations.shape[1]
    nearest, correlation = np.full(filters, -1, np.int32), np.full(filters, np.nan, np.float32)
    finite, mean, spread = np.zeros(filters, bool), np.zeros(filters), np.zeros(filters)
    for start in range(0, filters, FILTERS):
        block = slice(start, start + FILTERS)
        finite[block] = np.isfinite(activations[:, block]).all(axis=0)
        known = np.where(finite[block], activations[:, block], 0).astype(np.float64)
        mean[block], spread[block] = known.mean(axis=0), known.std(axis=0)
    varies = np.flatnonzero(finite & (spread > 1e-7 * np.abs(mean)) & (spread > 0))
    if len(varies) == 0 or len(activations) < LEAST_IMAGES:
        return Redundancy((), None, nearest, correlation)
    matrix = np.zeros((len(varies), len(varies)))
    for start in range(0, len(activations), BLOCK):
        part = (activations[start : start + BLOCK, varies] - mean[varies]) / spread[varies]
        matrix += part.T @ part
    matrix = np.clip(matrix / len(activations), -1, 1)
    effective = float(len(varies) ** 2 / (matrix**2).sum())
    np.fill_diagonal(matrix, 0)
    if len(varies) > 1:
        best = np.abs(matrix).argmax(axis=1)
        nearest[varies], correlation[varies] = varies[best], matrix[np.arange(len(varies)), best]
    return Redundancy(_components(np.abs(matrix) >= ALIKE, varies), effective, nearest, correlation)


def _components(linked: np.ndarray, numbers: np.ndarray) -> tuple[tuple[int, ...], ...]:
    """The groups of two and more that links join."""
    left, groups = set(range(len(numbers))), []
    while left:
        group, ahead = set[int](), [min(left)]
        while ahead:
            one = ahead.pop()
            if one in left:
                left.discard(one)
                group.add(one)
                ahead += [int(other) for other in np.flatnonzero(linked[one]) if int(other) in left]
        if len(group) > 1:
            groups.append(tuple(sorted(int(numbers[one]) for one in group)))
    return tuple(sorted(groups))
