"""What is known of a tensor for all inputs: lower and upper bounds of its values, and whether they depend on the input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reportgen.network.backend import tf

LARGEST = 1 << 20  # entries of an interval; a larger one is reduced to one entry along all axes but its last
# The relative error of one rounding. float64 also covers the arithmetic of these bounds themselves.
ROUNDOFF = {tf.float64: 2.0**-48, tf.float32: 2.0**-24, tf.float16: 2.0**-11, tf.bfloat16: 2.0**-8}
SMALLEST = {tf.float32: 2.0**-126, tf.float16: 2.0**-14, tf.bfloat16: 2.0**-126}  # smallest normal number
TENSOR_FLOAT = 2.0**-10  # of a product of two float32 numbers where a GPU multiplies in TensorFloat-32


@dataclass(frozen=True)
class Interval:
    """Bounds of a tensor, sound for every input.

    low, high: float64, with as many axes as the tensor; an axis has its own length, or 1 where the entry holds for every position along
    it. Unbounded is infinite. varies: bool of the same shape, whether the input can change any value there at all: padding makes values
    differ from position to position although none depends on the input. Nothing is said of values that are not finite.
    """

    low: np.ndarray
    high: np.ndarray
    varies: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the arrays."""
        return self.low.shape

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(low, high, varies)."""
        return self.low, self.high, self.varies


def interval(low: Any, high: Any, varies: Any, exact: bool = True) -> Interval:
    """Make an interval.

    Args:
        low: lower bounds; NaN means none.
        high: upper bounds; NaN means none.
        varies: whether the input can change a value.
        exact: whether entries with equal bounds do not vary.
    """
    low, high, varies = np.broadcast_arrays(
        np.asarray(low, np.float64), np.asarray(high, np.float64), np.asarray(varies, bool)
    )
    if np.isnan(low).any() or np.isnan(high).any():
        low, high = np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high)
    return Interval(low, high, varies & (low < high) if exact else varies)


def constant(values: np.ndarray) -> Interval:
    """Return the interval of a constant."""
    numbers = np.asarray(values).astype(np.float64)
    return interval(numbers, numbers, False)


def unbounded(tensor: Any, varies: bool = True) -> Interval:
    """Return the interval of a tensor of which nothing is known."""
    if tensor.dtype.is_bool:
        return everywhere(tensor, 0, 1, varies)
    return everywhere(tensor, -np.inf, np.inf, varies)


def everywhere(tensor: Any, low: float, high: float, varies: bool) -> Interval:
    """Return the same bounds for every value of `tensor`."""
    ones = (1,) * (tensor.shape.rank or 0)
    return interval(np.full(ones, low), np.full(ones, high), np.full(ones, varies))


def hull(one: Interval, axes: Sequence[int]) -> Interval:
    """Reduce an interval to one entry for all positions along `axes`."""
    axes = tuple(axis for axis in axes if one.shape[axis] > 1)
    if not axes:
        return one
    return interval(
        one.low.min(axis=axes, keepdims=True),
        one.high.max(axis=axes, keepdims=True),
        one.varies.any(axis=axes, keepdims=True),
    )


def hull_but(one: Interval, axis: int) -> Interval:
    """Reduce an interval to one entry for each position along `axis`."""
    return hull(one, [other for other in range(one.low.ndim) if other != axis % one.low.ndim])


def joined(first: Interval, second: Interval) -> Interval:
    """Return the smallest interval around both."""
    return interval(
        np.minimum(first.low, second.low), np.maximum(first.high, second.high), first.varies | second.varies
    )


def broadcast(one: Interval, shape: Sequence[int]) -> Interval:
    """Broadcast an interval to `shape`."""
    return Interval(*(np.broadcast_to(values, shape) for values in one.arrays))


def reshaped(one: Interval, shape: Sequence[int]) -> Interval:
    """Return the same entries in another shape."""
    return Interval(*(values.reshape(shape) for values in one.arrays))


def roundoff(dtype: Any) -> float:
    """Return the relative error of one rounding in `dtype`; 0 for integers."""
    return ROUNDOFF.get(dtype, 0.0)


def outward(one: Interval, relative: float, absolute: float = 0.0) -> Interval:
    """Widen an interval.

    Args:
        one: the interval.
        relative: by this share of each bound's size.
        absolute: and by this.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        return interval(
            one.low - (relative * np.abs(one.low) + absolute),
            one.high + (relative * np.abs(one.high) + absolute),
            one.varies,
        )


def sum_slack(terms: int, dtype: Any, products: bool = False) -> float:
    """Return the relative error of each term in a sum, in any order.

    Source: Higham, "Accuracy and Stability of Numerical Algorithms", 2002, section 3.1. A term counts with its own
    size: a sum in which none is above zero is never above zero, however it is rounded.

    Args:
        terms: how many are summed.
        dtype: in which they are summed.
        products: whether terms are products of two numbers.
    """
    multiplied = TENSOR_FLOAT if products and dtype == tf.float32 else 0.0
    return (terms + 2) * roundoff(dtype) + multiplied


def fitted(one: Interval, tensor: Any) -> Interval:
    """Fit an interval to a tensor: its number of axes, its type's limits, and at most LARGEST entries."""
    rank = tensor.shape.rank
    if rank is None:
        one = reshaped(hull(one, range(one.low.ndim)), ())
    elif one.low.ndim != rank:
        one = reshaped(hull(one, range(one.low.ndim)), (1,) * rank)
    else:
        pairs = zip(one.shape, tensor.shape, strict=True)
        one = hull(one, [axis for axis, (own, length) in enumerate(pairs) if own not in (1, length)])
        if one.low.size > LARGEST:
            one = hull_but(one, -1)
    return limited(one, tensor.dtype)


def limited(one: Interval, dtype: Any) -> Interval:
    """Limit an interval to what `dtype` can represent: infinity above its largest number, 0 below its smallest; integers wrap around."""
    if dtype.is_bool or not (dtype.is_floating or dtype.is_integer):
        return one
    if dtype in SMALLEST:
        least = SMALLEST[dtype]
        low, high = (one.low > 0) & (one.low < least), (one.high < 0) & (one.high > -least)
        if low.any() or high.any():
            one = Interval(np.where(low, 0.0, one.low), np.where(high, 0.0, one.high), one.varies)
    lowest, most = float(dtype.min), float(dtype.max)
    below, above = one.low < lowest, one.high > most
    if not (below.any() or above.any()):
        return one
    if dtype.is_integer:
        beyond = below | above
        return interval(np.where(beyond, lowest, one.low), np.where(beyond, most, one.high), one.varies | beyond)
    return interval(np.where(below, -np.inf, one.low), np.where(above, np.inf, one.high), one.varies)
