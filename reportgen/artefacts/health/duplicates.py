"""Filters of a layer that do the same: kernels of the same direction, and kernels that are zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import lgamma, log, sqrt

import numpy as np
from numpy.typing import NDArray

from reportgen.core.axes import DEPTHWISE, PLAIN, by_filter, filter_shape
from reportgen.core.records import LayerRecord

LEAST_COSINE = (
    0.99  # kernels that differ by less than a seventh of their length; one pair of VGG16's 4,224 filters does
)
CHANCE = 0.01  # pairs that are so near each other by chance, in a layer of kernels of random directions
LARGEST_COSINE = 1 - 1e-9  # float32 weights resolve no smaller angle
AT_ONCE = 1024  # filters compared with all others in one product


@dataclass(frozen=True)
class Duplicates:
    """Filters that do the same.

    Attributes:
        cosine: at which two kernels count as the same; None where the layer's kernels are too small to tell, or no two see the same input.
        groups: filter numbers of each set of duplicates, in ascending order.
        pairs: how many pairs of filters are that near.
        zero: filters whose kernel is zero.
    """

    cosine: float | None
    groups: tuple[tuple[int, ...], ...]
    pairs: int
    zero: tuple[int, ...]


def find_duplicates(arrays: Mapping[str, NDArray[np.floating]], layer: LayerRecord) -> Duplicates | None:
    """Find the duplicated filters of a layer.

    Filters are compared with those that see the same input channels: in a depthwise convolution with those of the same channel, in a
    grouped one with those of the same group.

    Args:
        arrays: the layer's weights, by Keras's names.
        layer: whose weights they are.

    Returns:
        None where a weight is not finite.
    """
    kind, kernel = (
        (PLAIN, arrays["pointwise_kernel"])
        if "pointwise_kernel" in arrays
        else (layer.kernel_kind or PLAIN, arrays["kernel"])
    )
    filters = filter_shape(kind, kernel.shape)[0]
    own = np.ascontiguousarray(by_filter(kind, kernel).reshape(filters, -1), np.float32)
    lengths = np.sqrt(np.einsum("ij,ij->i", own, own, dtype=np.float64))
    if not np.isfinite(lengths).all():
        return None
    zero = tuple(np.flatnonzero(lengths == 0).tolist())
    groups = kernel.shape[-2] if kind == DEPTHWISE else layer.groups or 1
    cosine = least_cosine(own.shape[1], filters, filters // groups)
    if cosine is None:
        return Duplicates(None, (), 0, zero)
    unit = own / np.where(lengths == 0, 1, lengths).astype(np.float32)[:, None]
    return Duplicates(cosine, *_near(unit, groups, cosine), zero)


def least_cosine(weights: int, filters: int, comparable: int) -> float | None:
    """Return the cosine at which kernels count as duplicates: LEAST_COSINE, more where so small kernels come as near by chance.

    Args:
        weights: of each kernel.
        filters: of the layer.
        comparable: filters that see the same input channels.

    Returns:
        None where kernels are too small for any.
    """
    pairs = filters * (comparable - 1) / 2
    chance = chance_cosine(weights, pairs)
    if chance is None:
        return None
    cosine = max(LEAST_COSINE, chance)
    return None if cosine > LARGEST_COSINE else cosine


def chance_cosine(weights: int, pairs: float) -> float | None:
    """Return the cosine that as many as CHANCE pairs of random directions reach among `pairs`.

    Args:
        weights: of each direction.
        pairs: how many are compared.

    Returns:
        None where there is nothing to compare, or where directions have a single number.
    """
    if weights < 2 or pairs <= 0:
        return None
    # Of random directions, a share of about c(n) (1 - cos²)^((n - 1) / 2) is nearer than a small angle (the area of a spherical cap).
    power = (weights - 1) / 2
    constant = lgamma(weights / 2) - lgamma((weights + 1) / 2) - log(2 * sqrt(np.pi))
    sine_squared = float(np.exp((log(CHANCE / pairs) - constant) / power))
    return sqrt(max(0.0, 1 - sine_squared))


def _near(unit: NDArray[np.float32], groups: int, cosine: float) -> tuple[tuple[tuple[int, ...], ...], int]:
    """Sets of filters that are linked by near pairs, and the number of pairs; rows of `unit` have the length 1, or 0."""
    size, links = len(unit) // groups, list[tuple[int, int]]()
    for start in range(0, len(unit), size):
        rows = unit[start : start + size]
        for first in range(0, size, AT_ONCE):
            products = rows[first : first + AT_ONCE] @ rows.T
            left, right = np.nonzero(products >= cosine - np.finfo(np.float32).eps)
            left += first
            links += zip((start + left[left < right]).tolist(), (start + right[left < right]).tolist(), strict=True)
    return _joined(links), len(links)


def _joined(links: Sequence[tuple[int, int]]) -> tuple[tuple[int, ...], ...]:
    """The sets of numbers that are linked, each in ascending order."""
    owner: dict[int, list[int]] = {}
    for one, other in links:
        first, second = owner.setdefault(one, [one]), owner.setdefault(other, [other])
        if first is not second:
            first += second
            owner.update(dict.fromkeys(second, first))
    return tuple(sorted({tuple(sorted(group)) for group in owner.values()}))
