"""Whether an attribution map is true for the model: what deleting and inserting its positions does, and how random weights change it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reportgen.compute.patterns.randomness import derived_seed, generator
from reportgen.network.backend import tf

STEPS = 16  # of a curve: each is one pass of the model, and an area changes little with more
ORDERS = 2  # random orders that the area of a map is compared with
DRAWS = 5  # of random weights, for maps that take one gradient
MASKED_DRAWS = 2  # for Score-CAM, which passes the model once for every mask
Values = NDArray[np.floating]


def step_counts(cells: int) -> NDArray[np.intp]:
    """Return how many of a map's positions are changed at each step of a curve, from none to all."""
    steps = min(STEPS, cells)
    return np.rint(np.linspace(0, cells, steps + 1)).astype(np.intp)


def altered(picture: np.ndarray, baseline: np.ndarray, cells: NDArray[np.intp], order: NDArray[np.intp]) -> np.ndarray:
    """Return an input with ever more of its positions at the baseline.

    Args:
        picture: (*size, channels).
        baseline: (channels,), what stands in for a position.
        cells: as `cell_numbers` returns them.
        order: of a map's positions, the first one replaced first.

    Returns:
        float32 (steps + 1, *size, channels): nothing replaced, ..., all replaced.
    """
    rank = np.empty(len(order), np.intp)
    rank[order] = np.arange(len(order))
    places = rank[cells]
    counts = step_counts(len(order)).reshape(-1, *(1,) * cells.ndim)
    return np.where((places[None] < counts)[..., None], baseline.astype(np.float32), picture.astype(np.float32)[None])


def area(values: Values) -> float:
    """Return the area under a curve whose steps are equally wide, over a width of 1 (the trapezoidal rule)."""
    return float(((values[1:] + values[:-1]) / 2).mean())


def random_orders(cells: int, seed: int, image: str) -> list[NDArray[np.intp]]:
    """Return random orders of a map's positions, the same for every map with as many positions on an image."""
    return [
        generator(derived_seed(seed, image, cells, number, "order of positions")).permutation(cells)
        for number in range(ORDERS)
    ]


def shuffled(weights: Sequence[Any], seed: int, draw: int) -> list[Any]:
    """Return tensors with the values of `weights`, each in a random order: as large as before, and nothing that was learned is left.

    Args:
        weights: tensors.
        seed: of the report.
        draw: number of the draw.
    """
    result = []
    for number, weight in enumerate(weights):
        values = np.asarray(tf.cast(weight, tf.float32))
        order = generator(derived_seed(seed, number, draw, "shuffled weights"))
        mixed = order.permutation(values.ravel()).reshape(values.shape)
        result.append(tf.cast(tf.constant(mixed), weight.dtype))
    return result


def rank_correlation(one: Values, other: Values) -> float | None:
    """Return Spearman's correlation of two maps, None where one of them is constant or not finite."""
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        return None
    first, second = _ranks(one.ravel()), _ranks(other.ravel())
    first, second = first - first.mean(), second - second.mean()
    length = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return None if length == 0 else float((first * second).sum() / length)


def _ranks(values: Values) -> NDArray[np.float64]:
    """The rank of each value, that of equal ones their mean."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[places.ravel()], np.float64)
