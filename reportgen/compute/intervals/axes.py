"""Rules of operations that move, cut, join or reduce positions and channels.

A rule takes an operation of the graph and its operands in order, an Interval where one varies or is merely bounded and an array where
it is known exactly, and returns the interval of the operation's output, or a list of those of several.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from reportgen.compute.intervals.interval import (
    LARGEST,
    Interval,
    broadcast,
    everywhere,
    hull,
    hull_but,
    interval,
    joined,
    outward,
    reshaped,
    roundoff,
    sum_slack,
    unbounded,
)
from reportgen.compute.intervals.linear import Operand, as_interval
from reportgen.network.graph.static_values import strided_index

Lengths = Sequence[int | None]
INTERPOLATION = 16.0  # roundings of a mean of up to eight neighbours


def _each(one: Interval, change: Callable[[np.ndarray], np.ndarray]) -> Interval:
    """Apply a rearrangement to all arrays of an interval."""
    return Interval(*(change(values) for values in one.arrays))


def _whole(operand: Operand) -> list[int] | None:
    """Return a vector of integers; None where it is not known."""
    return None if isinstance(operand, Interval) else [int(number) for number in np.reshape(operand, -1)]


def _scalar_hull(one: Interval, tensor: Any) -> Interval:
    """Return the bounds of all values together, for an output in which they may lie anywhere."""
    whole = hull(one, range(one.low.ndim))
    return reshaped(whole, (1,) * (tensor.shape.rank or 0))


def moved(operation: Any, operands: Sequence[Operand]) -> Interval:
    """Bound the result of an operation that moves values in some way that is not followed."""
    return _scalar_hull(as_interval(operands[0]), operation.outputs[0])


def refolded(operation: Any, operands: Sequence[Operand]) -> Interval:
    """Bound the result of `Reshape`."""
    one, before, after = as_interval(operands[0]), operation.inputs[0].shape, operation.outputs[0].shape
    if before.rank is None or after.rank is None or None in (*before, *after) or 0 in (*before, *after):
        return _scalar_hull(one, operation.outputs[0])
    return _refolded(one, before.as_list(), after.as_list())


def _refolded(one: Interval, before: list[int], after: list[int]) -> Interval:
    """Reshape an interval: axes that are folded into one another are expanded together where any of them is, unless that is large."""
    shape, kept = list(one.shape), []
    for own, new in _groups(before, after):
        spread = any(shape[axis] > 1 for axis in own)
        if spread and prod(before[axis] for axis in own) > LARGEST:
            one, spread = hull(one, own), False
        for axis in own:
            shape[axis] = before[axis] if spread else 1
        kept += [after[axis] if spread else 1 for axis in new]
    if prod(shape) > LARGEST:
        one, shape, kept = hull(one, range(one.low.ndim)), [1] * len(before), [1] * len(after)
    return reshaped(broadcast(one, shape), kept)


def _groups(before: list[int], after: list[int]) -> list[tuple[range, range]]:
    """Return the shortest runs of axes of either shape that contain the same positions."""
    groups = []
    own = new = 0
    while own < len(before) and new < len(after):
        first_own, first_new = own, new
        left, right = before[own], after[new]
        own, new = own + 1, new + 1
        while left != right:
            if left < right:
                left, own = left * before[own], own + 1
            else:
                right, new = right * after[new], new + 1
        groups.append((range(first_own, own), range(first_new, new)))
    return [*groups, (range(own, len(before)), range(new, len(after)))]


def transposed_axes(operation: Any, operands: Sequence[Operand]) -> Interval:
    """Bound the result of `Transpose`."""
    order = _whole(operands[1])
    if order is None:
        return moved(operation, operands)
    return _each(as_interval(operands[0]), lambda values: values.transpose(order))


def expanded(operation: Any, operands: Sequence[Operand]) -> Interval:
    """Bound the result of `ExpandDims`."""
    axis = _whole(operands[1])
    if axis is None:
        return moved(operation, operands)
    return _each(as_interval(operands[0]), lambda values: np.expand_dims(values, axis[0]))


def squeezed(operation: Any, operands: Sequence[Operand]) -> Interval:
    """Bound the result of `Squeeze`."""
    one, source = as_interval(operands[0]), operation.inputs[0].shape
    named = tuple(operation.get_attr("squeeze_dims"))
    if not named:
        if source.rank is None or None in tuple(source):
            return moved(operation, operands)
        named = tuple(axis for axis, length in enumerate(source) if length == 1)
    return _each(one, lambda values: values.squeeze(named))


def sliced(operation: Any, operands: Sequence[Operand]) -> Interval:
    """Bound the result of `StridedSlice`: along an axis of one entry it changes nothing."""
    begin, end, step = (_whole(operand) for operand in operands[1:4])
    one = as_interval(operands[0])
    if begin is None or end is None or step is None:
        return moved(operation, operands)
    index = strided_index(operation, begin, end, step, one.shape)
    return _each(one, lambda values: values[index])


def cut(operation: Any, operands: Sequence[Operand]) -> Interval:
    """Bound the result of `Slice`."""
    begin, size = _whole(operands[1]), _whole(operands[2])
    one = as_interval(operands[0])
    if begin is None or size is None:
        return moved(operation, operands)
    index = tuple(
        slice(None) if length == 1 else slice(first, None if count < 0 else first + count)
        for length, first, count in zip(one.shape, begin, size, strict=True)
    )
    return _each(one, lambda values: values[index])


def gathered(operation: Any, operands: Sequence[Operand]) -> Interval:
    """Bound the result of `GatherV2`: entries of one axis, chosen by whole numbers."""
    one, indices, axis = as_interval(operands[0]), operands[1], _whole(operands[2])
    if axis is None or operation.get_attr("batch_dims"):
        return moved(operation, operands)
    place = axis[0] % one.low.ndim
    if isinstance(indices, Interval) or one.shape[place] == 1:
        one = hull(one, [place])
        varies = indices.varies.any() if isinstance(indices, Interval) else False
        shape = (*one.shape[:place], *(1,) * len(indices.shape), *one.shape[place + 1 :])
        one = reshaped(one, shape)
        return interval(one.low, one.high, one.varies | varies)
    return _each(one, lambda values: np.take(values, indices, axis=place))


def reversed_axes(operation: Any, operands: Sequence[Operand]) -> Interval:
    """Bound the result of `ReverseV2`."""
    axes = _whole(operands[1])
    return (
        moved(operation, operands)
        if axes is None
        else _each(as_interval(operands[0]), lambda values: np.flip(values, tuple(axes)))
    )


def _concatenated(given: Sequence[Interval], lengths: Lengths, axis: int) -> Interval:
    """Concatenate intervals along `axis`, where their tensors have `lengths`."""
    uniform = all(one.shape[axis] == 1 and length != 1 for one, length in zip(given, lengths, strict=True))
    if uniform or None in lengths or sum(length or 0 for length in lengths) > LARGEST:
        found = hull(given[0], [axis])
        for one in given[1:]:
            found = joined(found, hull(one, [axis]))
        return found
    others = [tuple(length for place, length in enumerate(one.shape) if place != axis) for one in given]
    common = list(np.broadcast_shapes(*others))
    spread = [
        broadcast(one, (*common[:axis], length or 1, *common[axis:])).arrays
        for one, length in zip(given, lengths, strict=True)
    ]
    return Interval(*(np.concatenate(arrays, axis=axis) for arrays in zip(*spread, strict=True)))


def concatenated(operation: Any, operands: Sequence[Operand]) -> Interval:
    """Bound the result of `ConcatV2`."""
    axis, given = _whole(operands[-1]), [as_interval(operand) for operand in operands[:-1]]
    ranks = {one.low.ndim for one in given}
    if axis is None or len(ranks) > 1 or ranks == {0}:
        return unbounded(operation.outputs[0])
    place = axis[0] % given[0].low.ndim
    return _concatenated(given, [tensor.shape[place] for tensor in operation.inputs[:-1]], place)


def packed(operation: Any, operands: Sequence[Operand]) -> Interval:
    """Bound the result of `Pack`: a new axis, with one entry for each operand."""
    given = [as_interval(operand) for operand in operands]
    axis = operation.get_attr("axis") % (given[0].low.ndim + 1)
    return _concatenated(
        [_each(one, lambda values: np.expand_dims(values, axis)) for one in given], [1] * len(given), axis
    )


def unpacked(operation: Any, operands: Sequence[Operand]) -> list[Interval]:
    """Bound the result of `Unpack`."""
    one = as_interval(operands[0])
    axis = operation.get_attr("axis") % one.low.ndim
    last = one.shape[axis] - 1

    def part(number: int) -> Interval:
        return _each(one, lambda values: np.take(values, min(number, last), axis=axis))

    return [part(number) for number in range(len(operation.outputs))]


def split(operation: Any, operands: Sequence[Operand]) -> list[Interval]:
    """Bound the result of `Split` and `SplitV`."""
    given, axis = (operands[1], operands[0]) if operation.type == "Split" else (operands[0], operands[2])
    one, place = as_interval(given), _whole(axis)
    outputs = operation.outputs
    if place is None:
        return [_scalar_hull(one, output) for output in outputs]
    where = place[0] % one.low.ndim
    lengths = [output.shape[where] for output in outputs]
    if one.shape[where] == 1 or None in lengths:
        return [hull(one, [where])] * len(outputs)
    ends = np.cumsum([0, *lengths])

    def part(number: int) -> Interval:
        return _each(one, lambda values: np.take(values, np.arange(ends[number], ends[number + 1]), axis=where))

    return [part(number) for number in range(len(outputs))]


def padded(operation: Any, operands: Sequence[Operand]) -> Interval:
    """Bound the result of `Pad`, `PadV2` and `MirrorPad`."""
    one, amounts = as_interval(operands[0]), operands[1]
    mirrored = operation.type == "MirrorPad"
    filling = as_interval(operands[2] if operation.type == "PadV2" else np.zeros(()))
    if isinstance(amounts, Interval):
        whole = moved(operation, operands)
        return whole if mirrored else joined(whole, hull(filling, range(filling.low.ndim)))
    wide = [axis for axis, (before, after) in enumerate(amounts) if before or after]
    if mirrored:
        return hull(one, wide)
    if not wide:
        return one
    if filling.low.ndim == 0 and all(one.shape[axis] == operation.inputs[0].shape[axis] != 1 for axis in wide):
        return Interval(
            *(
                np.pad(values, amounts, constant_values=fill)
                for values, fill in zip(one.arrays, filling.arrays, strict=True)
            )
        )
    return joined(hull(one, wide), filling)


def tiled(operation: Any, operands: Sequence[Operand]) -> Interval:
    """Bound the result of `Tile`."""
    one, counts = as_interval(operands[0]), _whole(operands[1])
    if counts is None:
        return moved(operation, operands)
    repeated = [count if length > 1 else 1 for length, count in zip(one.shape, counts, strict=True)]
    if prod(repeated) * one.low.size > LARGEST:
        return moved(operation, operands)
    return _each(one, lambda values: np.tile(values, repeated))


def broadcast_to(operation: Any, operands: Sequence[Operand]) -> Interval:
    """Bound the result of `BroadcastTo`."""
    one, rank = as_interval(operands[0]), operation.outputs[0].shape.rank
    return moved(operation, operands) if rank is None else reshaped(one, (*(1,) * (rank - one.low.ndim), *one.shape))


def reduced(operation: Any, operands: Sequence[Operand]) -> Interval:
    """Bound the result of `Mean`, `Sum`, `Max` and `Min`."""
    one, axes, source = as_interval(operands[0]), _whole(operands[1]), operation.inputs[0].shape
    output = operation.outputs[0]
    if axes is None or source.rank is None or one.low.ndim != source.rank:
        return unbounded(output, bool(one.varies.any()))
    places = tuple(sorted({axis % source.rank for axis in axes}))
    kept = bool(operation.get_attr("keep_dims"))
    lengths = [source[axis] for axis in places]
    varies = one.varies.any(axis=places, keepdims=kept)
    if operation.type in ("Max", "Min"):
        choose = np.max if operation.type == "Max" else np.min
        return interval(
            choose(one.low, axis=places, keepdims=kept), choose(one.high, axis=places, keepdims=kept), varies
        )
    if None in lengths:
        return unbounded(output, bool(one.varies.any()))
    count = prod(length for length in lengths if length is not None)
    # An entry that stands for n positions counts n times.
    factor = 1.0 if operation.type == "Mean" else float(count)
    slack = sum_slack(count, output.dtype)
    if slack >= 1:
        return unbounded(output, bool(one.varies.any()))
    wide = outward(one, slack)
    with np.errstate(invalid="ignore"):
        low, high = (factor * bound.mean(axis=places, keepdims=kept) for bound in (wide.low, wide.high))
    return interval(low, high, varies)


def pooled(operation: Any, operands: Sequence[Operand]) -> Interval:
    """Bound the result of maximum and average pooling, which ignore positions beyond the border."""
    one, sides = as_interval(operands[0]), list(operation.get_attr("ksize"))
    channel_axis = 1 if operation.get_attr("data_format").decode().startswith("NC") else len(sides) - 1
    found = hull_but(one, channel_axis)
    if sides[0] != 1 or sides[channel_axis] != 1:
        found = hull(found, [channel_axis])
    if operation.type.startswith("Max"):
        return found
    return outward(found, sum_slack(prod(sides), operation.outputs[0].dtype))


def resized(operation: Any, operands: Sequence[Operand]) -> Interval:
    """Bound the result of resizing by means of neighbours."""
    found = hull_but(as_interval(operands[0]), -1)
    if operation.type == "ResizeNearestNeighbor":
        return found
    count = prod(length or 1 for length in operation.inputs[0].shape[1:-1]) if operation.type == "ResizeArea" else 0
    return outward(
        found, sum_slack(count, operation.outputs[0].dtype) + INTERPOLATION * roundoff(operation.outputs[0].dtype)
    )


def in_blocks(operation: Any, operands: Sequence[Operand]) -> Interval:
    """Bound the result of `SpaceToBatchND`, which pads with zeros, and `BatchToSpaceND`."""
    one, sides, amounts = as_interval(operands[0]), _whole(operands[1]), operands[2]
    if sides is None:
        return joined(moved(operation, operands), everywhere(operation.outputs[0], 0, 0, False))
    found = hull(one, range(len(sides) + 1))
    if operation.type == "BatchToSpaceND" or (isinstance(amounts, np.ndarray) and not amounts.any()):
        return found
    return joined(found, interval(0.0, 0.0, False))


def depth_to_space(operation: Any, operands: Sequence[Operand]) -> Interval:
    """Bound the result of `DepthToSpace` and `SpaceToDepth`."""
    one, block = hull_but(as_interval(operands[0]), -1), int(operation.get_attr("block_size"))
    if operation.get_attr("data_format") != b"NHWC" or one.shape[-1] == 1:
        return moved(operation, operands)
    if operation.type == "DepthToSpace":
        return reshaped(hull(reshaped(one, (block * block, -1)), [0]), (1, 1, 1, -1))
    return _each(one, lambda values: np.tile(values, (1, 1, 1, block * block)))


def shares(operation: Any, operands: Sequence[Operand]) -> Interval:
    """Bound the result of `Softmax`: numbers that add up to 1."""
    one = as_interval(operands[0])
    return everywhere(
        operation.outputs[0], 0, 1 + INTERPOLATION * roundoff(operation.outputs[0].dtype), bool(one.varies.any())
    )


def logarithms(operation: Any, operands: Sequence[Operand]) -> Interval:
    """Bound the result of `LogSoftmax`."""
    varies = bool(as_interval(operands[0]).varies.any())
    return everywhere(operation.outputs[0], -np.inf, INTERPOLATION * roundoff(operation.outputs[0].dtype), varies)
