"""Rules of linear operations: convolutions, transposed ones, dense layers, normalizations with fixed statistics.

A rule takes an operation of the graph and its operands in order, an Interval where one varies or is merely bounded and an array where
it is known exactly, and returns the interval of the operation's output, or a list of those of several.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from reportgen.compute.intervals.elementwise import FUNCTION, total
from reportgen.compute.intervals.interval import (
    Interval,
    broadcast,
    constant,
    hull_but,
    interval,
    outward,
    reshaped,
    roundoff,
    sum_slack,
    unbounded,
)
from reportgen.core.axes import by_filter, filter_shape
from reportgen.network.graph.input_views import LAYOUTS, kernel_kind_of, pad_before

CHUNK = 1 << 22  # weights that are processed at once
Operand = Interval | np.ndarray  # what varies or is merely bounded; what is known exactly


def as_interval(operand: Operand) -> Interval:
    """Return the bounds of an operand."""
    return operand if isinstance(operand, Interval) else constant(operand)


def mixed(one: Interval, weights: np.ndarray, slack: float) -> Interval:
    """Bound a product of matrices. For independent inputs the bounds are exact but for `slack`.

    Args:
        one: (..., n, inputs), one entry per input.
        weights: (..., inputs, outputs).
        slack: relative error of each product of two numbers.

    Returns:
        (..., n, outputs).
    """
    step = max(CHUNK // max(prod(weights.shape[:-1]), 1), 1)
    starts = range(0, weights.shape[-1], step)
    parts = [_mixed(one, weights[..., start : start + step].astype(np.float64), slack) for start in starts]
    return Interval(*(np.concatenate(arrays, axis=-1) for arrays in zip(*(part.arrays for part in parts), strict=True)))


def _mixed(one: Interval, weights: np.ndarray, slack: float) -> Interval:
    rising, falling = np.maximum(weights, 0), np.minimum(weights, 0)
    low, high = (np.where(np.isfinite(bound), bound, 0.0) for bound in (one.low, one.high))
    count = low.shape[-2]
    size = np.maximum(np.abs(low), np.abs(high))
    # A product as large as its bound errs by that much; with errors above its own size a smaller bound could err by more.
    small, large = (np.abs(low), np.abs(high)) if slack < 1 else (size, size)
    with np.errstate(invalid="ignore", over="ignore"):
        sums = np.concatenate([high, large, low, small], axis=-2) @ rising
        sums += np.concatenate([low, -small, high, -large], axis=-2) @ falling
    above, above_sizes, below, below_sizes = (sums[..., part * count : (part + 1) * count, :] for part in range(4))
    lows, highs = below - slack * below_sizes, above + slack * above_sizes
    if not (np.isfinite(one.low).all() and np.isfinite(one.high).all()):
        up, down = (rising > 0).astype(np.float64), (falling < 0).astype(np.float64)
        no_least, no_most = (np.isinf(bound).astype(np.float64) for bound in (one.low, one.high))
        highs = np.where(no_most @ up + no_least @ down > 0, np.inf, highs)
        lows = np.where(no_least @ up + no_most @ down > 0, -np.inf, lows)
    used = weights != 0
    if one.varies.all():
        varies = np.broadcast_to(used.any(axis=-2, keepdims=True), lows.shape)
    else:
        varies = one.varies.astype(np.float32) @ used.astype(np.float32) > 0
    return interval(lows, highs, varies)


def _by_channel(one: Interval, axis: int, channels: int) -> Interval:
    """Return bounds (channels,) for all positions."""
    return broadcast(reshaped(hull_but(one, axis), (-1,)), (channels,))


def _window(operation: Any) -> tuple[list[int], int]:
    """Return (spatial axes, channel axis) of the input and output of a convolution."""
    rank = len(operation.get_attr("strides"))
    first = LAYOUTS[operation.get_attr("data_format").decode()]
    return list(range(first, first + rank - 2)), rank - 1 if first == 1 else 1


def convolved(operation: Any, operands: Sequence[Operand]) -> Interval:
    """Bound the result of a convolution with a kernel that is known."""
    kernel, source = operands[1], operation.inputs[0]
    axes, channel_axis = _window(operation)
    channels = source.shape[channel_axis]
    if isinstance(kernel, Interval) or channels is None:
        return unbounded(operation.outputs[0])
    weights, taps = _by_group(operation, kernel, channels)
    one = _by_channel(as_interval(operands[0]), channel_axis, channels)
    seen = [_seen(operation, source, operation.outputs[0], axis, taps[index]) for index, axis in enumerate(axes)]
    return _placed(operation, _of_taps(one, weights, taps, operation), seen, channel_axis)


def transposed(operation: Any, operands: Sequence[Operand]) -> Interval:
    """Bound the result of a transposed convolution with a kernel that is known."""
    kernel, source, output = operands[1], operation.inputs[2], operation.outputs[0]
    axes, channel_axis = _window(operation)
    if isinstance(kernel, Interval):
        return unbounded(output)
    channels = filter_shape(kernel_kind_of(operation), kernel.shape)[1]
    weights, taps = _by_group(operation, kernel, channels)
    one = _by_channel(as_interval(operands[2]), channel_axis, channels)
    seen = [_reached(operation, source, output, axis, taps[index]) for index, axis in enumerate(axes)]
    return _placed(operation, _of_taps(one, weights, taps, operation), seen, channel_axis)


def _by_group(operation: Any, kernel: np.ndarray, channels: int) -> tuple[np.ndarray, tuple[int, ...]]:
    """Return (weights (taps, groups, inputs of a group, outputs of a group), taps along each spatial axis) of an operation."""
    filters = by_filter(kernel_kind_of(operation), kernel)
    count, inputs, *taps = filters.shape
    groups = channels // inputs
    weights = filters.reshape(groups, count // groups, inputs, prod(taps)).transpose(3, 0, 2, 1)
    return np.ascontiguousarray(weights), tuple(taps)


def _of_taps(one: Interval, weights: np.ndarray, taps: Sequence[int], operation: Any) -> Interval:
    """Return bounds (*taps, outputs) of what each tap adds; weights as `_by_group` returns them."""
    _, groups, inputs, _ = weights.shape
    slack = sum_slack(prod(taps) * inputs, operation.outputs[0].dtype, products=True)
    return reshaped(mixed(reshaped(one, (groups, 1, inputs)), weights, slack), (*taps, -1))


def _seen(operation: Any, source: Any, output: Any, axis: int, taps: int) -> np.ndarray | None:
    """Return bool (kinds of positions, taps) along one axis of a convolution: which taps lie inside; None where that is not known."""
    stride, dilation = (list(operation.get_attr(name))[axis] for name in ("strides", "dilations"))
    pad = pad_before(operation, source, axis, taps, stride, dilation)
    if source.shape[axis] is None or output.shape[axis] is None or pad is None:
        return None
    places = np.arange(output.shape[axis])[:, None] * stride - pad + np.arange(taps) * dilation
    return np.unique((places >= 0) & (places < source.shape[axis]), axis=0)


def _reached(operation: Any, source: Any, output: Any, axis: int, taps: int) -> np.ndarray | None:
    """Return the same for a transposed convolution: which taps add to a position of the output."""
    stride, dilation = (list(operation.get_attr(name))[axis] for name in ("strides", "dilations"))
    pad = pad_before(operation, output, axis, taps, stride, dilation)
    if source.shape[axis] is None or output.shape[axis] is None or pad is None:
        return None
    places = np.arange(output.shape[axis])[:, None] + pad - np.arange(taps) * dilation
    return np.unique((places % stride == 0) & (places >= 0) & (places // stride < source.shape[axis]), axis=0)


def _placed(operation: Any, by_tap: Interval, seen: Sequence[np.ndarray | None], channel_axis: int) -> Interval:
    """Return the hull over all positions, each of which sums the taps that are `seen` there along every axis."""
    output = operation.outputs[0]
    known = [kinds for kinds in seen if kinds is not None and len(kinds)]
    if len(known) < len(seen):
        return unbounded(output, bool(by_tap.varies.any()))
    low, high = _summed(by_tap.low, known, -np.inf), _summed(by_tap.high, known, np.inf)
    varies = _contracted(by_tap.varies.astype(np.float64), known) > 0
    axes = tuple(range(len(known)))
    shape = [1] * (len(known) + 2)
    shape[channel_axis] = -1
    return reshaped(interval(low.min(axis=axes), high.max(axis=axes), varies.any(axis=axes)), shape)


def _summed(by_tap: np.ndarray, kinds: Sequence[np.ndarray], no_bound: float) -> np.ndarray:
    """Return (kinds along each axis, outputs): the sums of the taps seen there, `no_bound` where one of them is infinite."""
    finite = np.isfinite(by_tap)
    sums = _contracted(np.where(finite, by_tap, 0.0), kinds)
    if finite.all():
        return sums
    return np.where(_contracted((~finite).astype(np.float64), kinds) > 0, no_bound, sums)


def _contracted(values: np.ndarray, kinds: Sequence[np.ndarray]) -> np.ndarray:
    for axis, chosen in enumerate(kinds):
        values = np.moveaxis(np.tensordot(chosen.astype(np.float64), values, axes=(1, axis)), 0, axis)
    return values


def multiplied(operation: Any, operands: Sequence[Operand]) -> Interval:
    """Bound the result of a matrix product in which one side is known."""
    names = ("transpose_a", "transpose_b") if operation.type == "MatMul" else ("adj_x", "adj_y")
    swapped = [bool(operation.get_attr(name)) for name in names]
    output = operation.outputs[0]
    first, second = (
        _transposed_operand(operand) if swap else operand for operand, swap in zip(operands, swapped, strict=True)
    )
    if isinstance(first, np.ndarray):  # the same product, transposed
        found = _product(_transposed_operand(second), _transposed_operand(first), output)
        return found if found.low.ndim < 2 else _transposed_interval(found)
    return _product(first, second, output)


def _transposed_operand(operand: Operand) -> Operand:
    return np.swapaxes(operand, -1, -2) if isinstance(operand, np.ndarray) else _transposed_interval(operand)


def _transposed_interval(one: Interval) -> Interval:
    return Interval(*(np.swapaxes(values, -1, -2) for values in one.arrays))


def _product(first: Operand, second: Operand, output: Any) -> Interval:
    if not isinstance(second, np.ndarray) or len(first.shape) < 2:
        return unbounded(output)
    inputs = second.shape[-2]
    one = broadcast(as_interval(first), (*first.shape[:-1], inputs))
    return mixed(one, second, sum_slack(inputs, output.dtype, products=True))


def summed_over_labels(operation: Any, operands: Sequence[Operand]) -> Interval:
    """Bound the result of `Einsum` of two operands of which one is known."""
    output = operation.outputs[0]
    equation = operation.get_attr("equation").decode()
    if len(operands) != 2 or "." in equation or not any(isinstance(one, np.ndarray) for one in operands):
        return unbounded(output)
    terms, result = equation.split("->")
    labels = terms.split(",")
    swap = isinstance(operands[0], np.ndarray)
    one, weights = (as_interval(operands[1]), operands[0]) if swap else (as_interval(operands[0]), operands[1])
    own, theirs = labels[::-1] if swap else labels
    if any(len(set(part)) < len(part) for part in (own, theirs, result)) or not isinstance(weights, np.ndarray):
        return unbounded(output)
    varying = operation.inputs[1 if swap else 0]
    lengths = dict(zip(theirs, weights.shape, strict=True)) | dict(zip(own, varying.shape.as_list(), strict=True))
    gone = [label for label in lengths if label not in result]
    if any(lengths[label] is None for label in gone):
        return unbounded(output)
    one = broadcast(
        one, [lengths[label] if label in gone else length for label, length in zip(own, one.shape, strict=True)]
    )
    slack = sum_slack(prod(lengths[label] for label in gone), output.dtype, products=True)
    if slack >= 1 or not (np.isfinite(one.low).all() and np.isfinite(one.high).all()):
        return unbounded(output)
    weights = weights.astype(np.float64)
    rising, falling = np.maximum(weights, 0), np.minimum(weights, 0)
    plain = f"{own},{theirs}->{result}"

    def added(values: np.ndarray, factors: np.ndarray) -> np.ndarray:
        return np.asarray(np.einsum(plain, values, factors))

    above = added(one.high, rising) + added(one.low, falling)
    below = added(one.low, rising) + added(one.high, falling)
    above_sizes = added(np.abs(one.high), rising) - added(np.abs(one.low), falling)
    below_sizes = added(np.abs(one.low), rising) - added(np.abs(one.high), falling)
    varies = added(one.varies.astype(np.float64), (weights != 0).astype(np.float64)) > 0
    return interval(below - slack * below_sizes, above + slack * above_sizes, varies)


def along_channels(operation: Any, values: np.ndarray) -> np.ndarray:
    """Reshape `values` (channels,) to broadcast with the maps that `operation` takes."""
    rank = operation.inputs[0].shape.rank or 2
    layout = operation.get_attr("data_format").decode()
    return values.reshape(-1, *(1,) * (rank - 2)) if layout.startswith("NC") else values


def biased(operation: Any, operands: Sequence[Operand]) -> Interval:
    """Bound the result of `BiasAdd`."""
    one, bias = as_interval(operands[0]), operands[1]
    if isinstance(bias, Interval):
        return unbounded(operation.outputs[0])
    unit = 2 * roundoff(operation.outputs[0].dtype)
    added = along_channels(operation, np.asarray(bias).astype(np.float64))
    return outward(interval(one.low + added, one.high + added, one.varies, exact=False), unit)


def normalised(operation: Any, operands: Sequence[Operand]) -> Interval:
    """Bound the result of a fused batch normalisation with moving statistics that are known."""
    if operation.get_attr("is_training") or any(isinstance(operand, Interval) for operand in operands[1:5]):
        return unbounded(operation.outputs[0])
    scale, offset, mean, variance = (
        along_channels(operation, np.asarray(operand).astype(np.float64)) for operand in operands[1:5]
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        factor = scale / np.sqrt(variance + float(operation.get_attr("epsilon")))
    return scaled(as_interval(operands[0]), factor, [-mean * factor, offset], operation.outputs[0].dtype)


def scaled(one: Interval, factor: np.ndarray, added: Sequence[np.ndarray], dtype: Any) -> Interval:
    """Bound a scaled and shifted interval, in whichever order that is computed.

    Args:
        one: the interval.
        factor: by which it is multiplied.
        added: what is added.
        dtype: of the computation.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        ends = [np.where(factor == 0, 0.0, bound * factor) for bound in (one.low, one.high)]
    product = interval(np.minimum(*ends), np.maximum(*ends), one.varies)
    return total([product, *map(constant, added)], 2 * FUNCTION * roundoff(dtype))
