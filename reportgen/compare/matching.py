"""Filters of one layer in two models: how similar each pair is, and the assignment that makes the similarities largest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from reportgen.artefacts.health.duplicates import chance_cosine
from reportgen.compare.activations import LEAST_SIMILARITY, Correlations
from reportgen.compare.channel_order import Order
from reportgen.compare.unit_weights import UnitWeights

EXACT_BONUS, PLACE_BONUS = (
    1.0,
    1e-3,
)  # in the assignment: equal weights before similar ones; of equals the one at its old number
IMPOSSIBLE = -8.0  # similarity of filters that cannot be matched, below all that others add up to


@dataclass(frozen=True)
class Block:
    """Filters that can be matched with each other, since they see the same input channels.

    Attributes:
        new: numbers of the new filters.
        old: numbers of the old ones.
        new_rows: float64 (new filters, weights).
        old_rows: float64 (old filters, weights), input channels in the new order.
    """

    new: NDArray[np.int64]
    old: NDArray[np.int64]
    new_rows: NDArray[np.float64]
    old_rows: NDArray[np.float64]


@dataclass(frozen=True)
class Similarity:
    """How similar the filters of a layer are; all (new filters, old filters).

    Attributes:
        values: -1 to 1; NaN where two filters cannot be compared.
        score: what an assignment makes as large as possible.
        possible: whether two filters can be the same at all.
        exact: whether they have equal weights.
        enough: whether they are more similar than unrelated filters.
    """

    values: NDArray[np.float32]
    score: NDArray[np.float32]
    possible: NDArray[np.bool_]
    exact: NDArray[np.bool_]
    enough: NDArray[np.bool_]


def blocks(old: UnitWeights, new: UnitWeights, order: Order) -> list[Block] | None:
    """Divide the filters of a layer into those that see the same input channels.

    Args:
        old: the old filters.
        new: the new ones.
        order: the old input channel of each new one, -1 where there is none.

    Returns:
        None where kernels have other shapes, or groups of channels were torn apart.
    """
    if old.kernel.shape[2] != new.kernel.shape[2] or len(order) != new.inputs:
        return None
    if old.groups == new.groups == 1:
        known = order >= 0
        return [
            _block(np.arange(new.filters), np.arange(old.filters), new.kernel[:, known], old.kernel[:, order[known]])
        ]
    if (old.groups == 1) != (new.groups == 1):
        return None
    width, old_width = new.kernel.shape[1], old.kernel.shape[1]
    many, old_many = new.filters // new.groups, old.filters // old.groups
    found = []
    for group in range(new.groups):
        before = order[group * width : (group + 1) * width]
        known = before >= 0
        owners = set((before[known] // old_width).tolist())
        if not owners:
            continue
        if len(owners) > 1:
            return None
        (owner,) = owners
        own, its = np.arange(group * many, (group + 1) * many), np.arange(owner * old_many, (owner + 1) * old_many)
        found.append(_block(own, its, new.kernel[own][:, known], old.kernel[its][:, before[known] % old_width]))
    return found


def one_block(old: UnitWeights, new: UnitWeights) -> list[Block] | None:
    """Return all filters of a depthwise layer as one block: for layers whose channels are still to be put in order with their input's.

    Args:
        old: the old filters.
        new: the new ones.

    Returns:
        None where kernels have other shapes.
    """
    if old.kernel.shape[1:] != new.kernel.shape[1:]:
        return None
    return [_block(np.arange(new.filters), np.arange(old.filters), new.kernel, old.kernel)]


def _block(
    new: NDArray[np.int64], old: NDArray[np.int64], new_kernel: NDArray[np.float64], old_kernel: NDArray[np.float64]
) -> Block:
    return Block(new, old, new_kernel.reshape(len(new), -1), old_kernel.reshape(len(old), -1))


def weight_similarity(found: Sequence[Block], old: UnitWeights, new: UnitWeights) -> Similarity:
    """Return the cosine between the kernels of all pairs of filters that see the same input channels.

    Args:
        found: the blocks of the layer.
        old: the old filters.
        new: the new ones.
    """
    shape = new.filters, old.filters
    values = np.full(shape, np.nan, np.float32)
    possible, exact = np.zeros(shape, bool), np.zeros(shape, bool)
    same_parts = old.structure == new.structure and old.own.shape[1] == new.own.shape[1]
    pairs = sum(len(block.new) * len(block.old) for block in found)
    for block in found:
        window = np.ix_(block.new, block.old)
        new_rows, old_rows = block.new_rows * new.signs[block.new, None], block.old_rows * old.signs[block.old, None]
        values[window] = np.clip(_unit(new_rows) @ _unit(old_rows).T, -1, 1)
        possible[window] = True
        if same_parts:
            for row, column in _equal(block, old, new):
                exact[row, column] = True
    values[exact] = 1
    weights = found[0].new_rows.shape[1] if found else 0
    least, at_place = (
        1.0 if cosine is None else max(cosine, LEAST_SIMILARITY)
        for cosine in (chance_cosine(weights, pairs), chance_cosine(weights, 1))
    )
    needed = np.full(shape, least)
    np.fill_diagonal(needed, at_place)
    alike = np.nan_to_num(values, nan=-1.0)
    return Similarity(values, np.nan_to_num(values), possible, exact, exact | (alike >= needed))


def with_activation(correlations: Correlations, weights: Similarity | None) -> Similarity:
    """Return how similar filters are by their maps, and by their weights where these can be compared: the larger of both."""
    values, enough = correlations.values, correlations.enough()
    if weights is None or weights.values.shape != values.shape:
        every = np.ones(values.shape, bool)
        return Similarity(values, np.nan_to_num(values), every, ~every, enough)
    return Similarity(
        np.where(weights.exact, np.float32(1), np.fmax(values, weights.values)),
        np.nan_to_num(values) + weights.score,
        weights.possible,
        weights.exact,
        weights.enough | (enough & weights.possible),
    )


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    """Rows of the length 1; NaN where a filter is zero."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(rows / lengths, np.float32)


def _equal(block: Block, old: UnitWeights, new: UnitWeights) -> Iterator[tuple[int, int]]:
    """Yield the pairs of filters with equal weights; a filter is in several where others are like it."""
    places: dict[bytes, list[int]] = {}
    for number, row in zip(block.old.tolist(), block.old_rows, strict=True):
        places.setdefault(_bytes(row, old.own[number]), []).append(number)
    for number, row in zip(block.new.tolist(), block.new_rows, strict=True):
        yield from ((number, other) for other in places.get(_bytes(row, new.own[number]), []))


def _bytes(row: NDArray[np.float64], own: NDArray[np.float64]) -> bytes:
    return (row + 0.0).tobytes() + (own + 0.0).tobytes()  # -0 and 0 are equal


def assign(parts: Sequence[Similarity]) -> Order:
    """Match the filters of layers whose channels are added one by one, which therefore have one order.

    Args:
        parts: similarities of each of the layers.

    Returns:
        The old number of each new filter; -1 where none is left.
    """
    total = np.zeros(parts[0].values.shape)
    exact, possible = np.zeros_like(total), np.ones(total.shape, bool)
    for part in parts:
        total += part.score
        exact += part.exact
        possible &= part.possible
    order = np.full(len(total), -1, np.int64)
    only = exact == len(parts)
    if (only.sum(1) == 1).all() and (only.sum(0) <= 1).all():
        rows, columns = np.nonzero(only)
    else:
        total = total / len(parts) + EXACT_BONUS * exact / len(parts)
        diagonal = np.arange(min(total.shape))
        total[diagonal, diagonal] += PLACE_BONUS
        rows, columns = linear_sum_assignment(np.where(possible, total, IMPOSSIBLE), maximize=True)
    kept = possible[rows, columns]
    order[rows[kept]] = columns[kept]
    return order


def matched(order: Order, similarity: Similarity) -> Order:
    """Return the order with only those matches that are similar enough, -1 elsewhere."""
    rows = np.flatnonzero(order >= 0)
    columns = order[rows]
    unknown = np.isnan(similarity.values[rows, columns]) & (rows == columns)  # a kernel of zeros has no direction
    enough = similarity.enough[rows, columns] | unknown
    found = np.full(len(order), -1, np.int64)
    found[rows[enough]] = columns[enough]
    return found
