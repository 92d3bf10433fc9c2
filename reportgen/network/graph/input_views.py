"""What part of the model's input a tensor depends on: rules for each type of graph operation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from reportgen.core.axes import DEPTHWISE, PLAIN, TRANSPOSED, KernelKind
from reportgen.network.backend import tf
from reportgen.network.graph.axis_reach import Reach
from reportgen.network.graph.static_values import static_value

ELEMENTWISE = frozenset(
    [
        "Identity",
        "IdentityN",
        "Cast",
        "StopGradient",
        "CheckNumerics",
        "Relu",
        "Relu6",
        "Elu",
        "Selu",
        "LeakyRelu",
        "Softplus",
        "Softsign",
        "Sigmoid",
        "Tanh",
        "Erf",
        "Exp",
        "Expm1",
        "Log",
        "Log1p",
        "Neg",
        "Abs",
        "Square",
        "Sqrt",
        "Rsqrt",
        "Reciprocal",
        "Sign",
        "Floor",
        "Round",
        "Clip",
        "ClipByValue",
        "BiasAdd",
        "Add",
        "AddV2",
        "AddN",
        "Sub",
        "Mul",
        "RealDiv",
        "Div",
        "DivNoNan",
        "Maximum",
        "Minimum",
        "Pow",
        "SquaredDifference",
        "SelectV2",
        "Select",
        "Greater",
        "GreaterEqual",
        "Less",
        "LessEqual",
        "Equal",
        "NotEqual",
        "ZerosLike",
        "OnesLike",
        "FusedBatchNorm",
        "FusedBatchNormV2",
        "FusedBatchNormV3",
        "_FusedBatchNormEx",
        "Xlogy",
        "Erfc",
        "Sin",
        "Cos",
        "PreventGradient",
        "EnsureShape",
        "LogicalNot",
        "LogicalAnd",
    ]
)
POOLING = frozenset({"MaxPool", "MaxPoolV2", "AvgPool", "MaxPool3D", "AvgPool3D"})
CONVOLVING = frozenset({"Conv2D", "Conv3D", "DepthwiseConv2dNative"})
TRANSPOSING = frozenset({"Conv2DBackpropInput", "Conv3DBackpropInputV2"})
REDUCTIONS = frozenset({"Mean", "Sum", "Max", "Min", "Prod", "EuclideanNorm"})
LOOPS = frozenset({"While", "StatelessWhile"})
LOOP_PARTS = "TensorList"  # beginning of the types of operations that collect what a loop takes and returns
SOFTMAXES = frozenset({"Softmax", "LogSoftmax"})
LAYOUTS = {"NHWC": 1, "NDHWC": 1, "NCHW": 2, "NCDHW": 2}  # the first spatial axis of a tensor


@dataclass(frozen=True)
class View:
    """What part of the input a tensor depends on.

    axes: one Reach for each spatial axis of the input, or None with the reason in `note`. places: the axis of the tensor that each of
    them lies along. colour: its channels are still those of the input. folded: of the input itself in another shape, the shape that
    `places` belong to.
    """

    axes: tuple[Reach, ...] | None
    note: str | None
    colour: bool
    places: tuple[int, ...] = ()
    folded: tuple[int, ...] | None = None


def whole_input(rank: int) -> View:
    """Return the view of the model's own input, of `rank` spatial axes between batch and channels."""
    return View((Reach(),) * rank, None, True, tuple(range(1, rank + 1)))


WHOLE = "the whole input: a global operation lies before this layer"


def _unknown(operation: Any) -> View:
    """Return the view after an operation without a rule."""
    looped = operation.type in LOOPS or operation.type.startswith(LOOP_PARTS)
    what = "a loop or recurrence" if looped else f"an operation of type {operation.type}"
    return View(None, f"not known: {what} lies before this layer", False)


def after(operation: Any, seen: list[tuple[Any, View]]) -> View:
    """Find the view of an operation's outputs.

    Args:
        operation: of the graph.
        seen: (tensor, view) of each of its inputs that depends on the model's input.
    """
    for _, view in seen:
        if view.axes is None:
            return View(None, view.note, False)
    tensor, first = seen[0]
    kind = operation.type
    if any(view.folded is not None for _, view in seen):
        return _of_folded(operation, seen)
    if kind in ELEMENTWISE:
        return _joined(operation, seen, colour=all(view.colour for _, view in seen))
    if kind in SOFTMAXES:  # along the last axis: if that is the channels, positions stay independent
        last = (tensor.shape.rank or 0) - 1
        return _unknown(operation) if last in first.places else replace(first, colour=False)
    if kind == "ConcatV2":
        axis, rank = tf.get_static_value(operation.inputs[-1]), operation.outputs[0].shape.rank
        if axis is None or rank is None or int(axis) % rank in (0, *first.places):
            return _unknown(operation)
        return _joined(operation, seen, colour=False)
    if kind in CONVOLVING:
        return _convolved(operation, tensor, first)
    if kind in POOLING:
        return _pooled(operation, tensor, first)
    if kind in TRANSPOSING:
        return _transposed(operation, tensor, first)
    if kind in ("Pad", "PadV2", "MirrorPad"):
        return _padded(operation, first, -1)
    if kind in ("SpaceToBatchND", "BatchToSpaceND"):
        return _blocked(operation, first)
    if kind in ("ResizeNearestNeighbor", "ResizeBilinear"):
        return _resized(operation, first)
    if kind == "StridedSlice":
        return _sliced(operation, first)
    if kind in ("ExpandDims", "Squeeze", "Transpose", "Reshape"):
        return _rearranged(operation, tensor, first)
    if kind in REDUCTIONS:
        return _reduced(operation, tensor, first)
    if kind in ("Shape", "ShapeN", "Size", "Rank"):
        return View(None, None, False)
    return _unknown(operation)


def _each(view: View, change: Callable[[int, Reach], Reach]) -> View:
    """Return `view` with each Reach replaced by change(axis of the tensor that it lies along, Reach)."""
    assert view.axes is not None
    return replace(view, axes=tuple(change(place, reach) for place, reach in zip(view.places, view.axes, strict=True)))


def _joined(operation: Any, seen: list[tuple[Any, View]], colour: bool) -> View:
    """Return the view of a sum, product or concatenation of tensors; their positions must correspond one to one."""
    output = operation.outputs[0].shape
    aligned = []
    for tensor, view in seen:
        if output.rank is None or tensor.shape.rank is None:
            return _unknown(operation)
        places = tuple(place + output.rank - tensor.shape.rank for place in view.places)
        if any(tensor.shape[own] != output[place] for own, place in zip(view.places, places, strict=True)):
            return _unknown(operation)  # one position broadcast over many
        aligned.append((places, view.axes or ()))
    places, axes = aligned[0]
    for other_places, other_axes in aligned[1:]:
        joined = [reach.joined(other) for reach, other in zip(axes, other_axes, strict=True)]
        if other_places != places or None in joined:
            return View(
                None,
                f"not known: an operation of type {operation.type} joins branches whose positions do not correspond",
                False,
            )
        axes = tuple(reach for reach in joined if reach is not None)
    return View(axes, None, colour, places)


def _window_axes(operation: Any) -> range:
    """Return the tensor's axes that a convolution or pooling slides along."""
    rank = len(operation.get_attr("strides"))
    first = LAYOUTS[operation.get_attr("data_format").decode()]
    return range(first, rank - 2 + first)


def pad_before(operation: Any, source: Any, axis: int, taps: int, stride: int, dilation: int) -> int | None:
    """Return the padding before the first position of one axis; for SAME half of the total, rounded down, as in TensorFlow.

    Args:
        operation: a convolution or pooling.
        source: the tensor that is padded.
        axis: of that tensor.
        taps: length of the window along the axis.
        stride: along the axis.
        dilation: along the axis.

    Returns:
        A number of positions; None where the length of the axis is not known.
    """
    padding = operation.get_attr("padding").decode()
    if padding == "VALID":
        return 0
    if padding == "EXPLICIT":
        return int(list(operation.get_attr("explicit_paddings"))[2 * axis])
    length = source.shape[axis]
    if length is None:
        return None
    covered = (taps - 1) * dilation + 1
    outputs = -(-length // stride)
    return int(max((outputs - 1) * stride + covered - length, 0) // 2)


def _windowed(operation: Any, source: Any, view: View, taps: dict[int, int], dilations: list[int]) -> View:
    """Return the view after a window slid over a tensor. taps: by axis; all positions along any other axis are mixed."""
    assert view.axes is not None
    strides = list(operation.get_attr("strides"))
    reaches = []
    for place, reach in zip(view.places, view.axes, strict=True):
        if place == 0:  # folded into the batch
            reaches.append(reach)
            continue
        if place not in taps:
            return _unknown(operation)
        pad = pad_before(operation, source, place, taps[place], strides[place], dilations[place])
        if pad is None:
            return _unknown(operation)
        reaches.append(reach.window(taps[place], strides[place], dilations[place], pad))
    return View(tuple(reaches), None, False, view.places)


def kernel_kind_of(operation: Any) -> KernelKind:
    """Return how the kernel of an operation in CONVOLVING or TRANSPOSING is to be read, see `core.axes`."""
    if operation.type in TRANSPOSING:
        return TRANSPOSED
    return DEPTHWISE if operation.type == "DepthwiseConv2dNative" else PLAIN


def _kernel_taps(operation: Any) -> dict[int, int]:
    return dict(zip(_window_axes(operation), operation.inputs[1].shape.as_list(), strict=False))


def _convolved(operation: Any, source: Any, view: View) -> View:
    return _windowed(operation, source, view, _kernel_taps(operation), list(operation.get_attr("dilations")))


def _pooled(operation: Any, source: Any, view: View) -> View:
    if operation.type == "MaxPoolV2":
        return _unknown(operation)
    sides = list(operation.get_attr("ksize"))
    pooled = _windowed(
        operation, source, view, {axis: sides[axis] for axis in _window_axes(operation)}, [1] * len(sides)
    )
    return replace(pooled, colour=view.colour and pooled.axes is not None)


def _transposed(operation: Any, source: Any, view: View) -> View:
    assert view.axes is not None
    if source is not operation.inputs[2]:
        return _unknown(operation)
    output, taps = operation.outputs[0], _kernel_taps(operation)
    strides, dilations = list(operation.get_attr("strides")), list(operation.get_attr("dilations"))
    reaches = []
    for place, reach in zip(view.places, view.axes, strict=True):
        if place == 0:
            reaches.append(reach)
            continue
        if place not in taps:
            return _unknown(operation)
        pad = pad_before(operation, output, place, taps[place], strides[place], dilations[place])
        if pad is None:
            return _unknown(operation)
        reaches.append(reach.spread(taps[place], strides[place], pad, dilations[place]))
    return View(tuple(reaches), None, False, view.places)


def _padded(operation: Any, view: View, sign: int) -> View:
    amounts = static_value(operation.inputs[1])
    if amounts is None:
        return _unknown(operation)
    return _each(view, lambda place, reach: reach.moved(sign * int(amounts[place][0])))


def _blocked(operation: Any, view: View) -> View:
    blocks, amounts = (static_value(operation.inputs[index]) for index in (1, 2))
    if blocks is None or amounts is None:
        return _unknown(operation)
    entering = operation.type == "SpaceToBatchND"

    def change(place: int, reach: Reach) -> Reach:
        if not 1 <= place <= len(blocks):
            return reach
        before = int(amounts[place - 1][0])
        return reach.moved(-before).in_blocks(int(blocks[place - 1])) if entering else reach.in_blocks(1).moved(before)

    return _each(view, change)


def _resized(operation: Any, view: View) -> View:
    if operation.get_attr("align_corners"):
        return _unknown(operation)
    interpolated = operation.type == "ResizeBilinear"
    if interpolated and not operation.get_attr("half_pixel_centers"):
        return _unknown(operation)
    factors = {}
    for place in view.places:
        before, after = operation.inputs[0].shape[place], operation.outputs[0].shape[place]
        if not before or not after or after % before:
            return _unknown(operation)
        factors[place] = after // before
    return _each(view, lambda place, reach: reach.repeated(factors[place], interpolated))


def repeated(view: View, axis: int, factor: int) -> View:
    """Return the view after every position along an axis is repeated.

    Args:
        view: of a tensor.
        axis: of that tensor.
        factor: how many times each position stands in a row.
    """
    return _each(view, lambda place, reach: reach.repeated(factor, False) if place == axis else reach)


def _sliced(operation: Any, view: View) -> View:
    """Return the view after cropping: a slice with plain bounds; axes of a single position may be dropped."""
    assert view.axes is not None
    begin, strides = static_value(operation.inputs[1]), static_value(operation.inputs[3])
    masks = {name: operation.get_attr(f"{name}_mask") for name in ("begin", "ellipsis", "new_axis", "shrink_axis")}
    if begin is None or strides is None or masks["ellipsis"] or masks["new_axis"]:
        return _unknown(operation)
    dropped = [axis for axis in range(len(begin)) if masks["shrink_axis"] >> axis & 1]
    if set(dropped) & set(view.places):
        return _unknown(operation)
    reaches = list(view.axes)
    for index, place in enumerate(view.places):
        if place >= len(begin):
            continue
        start = 0 if masks["begin"] >> place & 1 else int(begin[place])
        if start < 0 or int(strides[place]) < 1:
            return _unknown(operation)
        reaches[index] = reaches[index].moved(start, int(strides[place]))
    return View(tuple(reaches), None, False, _without(view.places, dropped))


def _without(places: tuple[int, ...], dropped: list[int]) -> tuple[int, ...]:
    """Return the same axes of a tensor once those in `dropped` are removed."""
    return tuple(place - sum(axis < place for axis in dropped) for place in places)


def _reduced(operation: Any, source: Any, view: View) -> View:
    axes, rank = tf.get_static_value(operation.inputs[1]), source.shape.rank
    reduced = sorted({int(axis) % rank for axis in axes.reshape(-1)}) if axes is not None and rank else None
    if reduced is None or set(reduced) & set(view.places):
        return View(None, WHOLE, False)
    kept = operation.get_attr("keep_dims")
    return View(view.axes, None, False, view.places if kept else _without(view.places, reduced))


def _rearranged(operation: Any, source: Any, view: View) -> View:
    """Return the view after axes are added, dropped or reordered; every axis of the input must lie along its own axis afterwards."""
    places = _places_after(operation, source, view.places)
    if places is None:
        of_input = operation.type == "Reshape" and all(reach == Reach() for reach in view.axes or ())
        known = of_input and None not in source.shape.as_list()
        return replace(view, folded=tuple(source.shape.as_list())) if known else _unknown(operation)
    before, after = source.shape.as_list(), operation.outputs[0].shape.as_list()
    same_channels = operation.type != "Reshape" or before[-1] == after[-1]
    return View(view.axes, None, view.colour and same_channels, places)


def _of_folded(operation: Any, seen: list[tuple[Any, View]]) -> View:
    """Return the view after an operation on the input in another shape: known if it changes numbers in place or brings the shape back."""
    (tensor, view), *others = seen
    output = operation.outputs[0].shape
    if others or output.rank is None:
        return _unknown(operation)
    if operation.type in ("Reshape", "ExpandDims", "Squeeze"):
        return replace(view, folded=None) if tuple(output.as_list()) == view.folded else view
    return view if operation.type in ELEMENTWISE and output == tensor.shape else _unknown(operation)


def _places_after(operation: Any, source: Any, places: tuple[int, ...]) -> tuple[int, ...] | None:
    rank, output = source.shape.rank, operation.outputs[0].shape
    if rank is None or output.rank is None:
        return None
    if operation.type == "ExpandDims":
        added = tf.get_static_value(operation.inputs[1])
        return None if added is None else tuple(place + (place >= int(added) % (rank + 1)) for place in places)
    if operation.type == "Squeeze":
        named = [axis % rank for axis in operation.get_attr("squeeze_dims")]
        dropped = named or [axis for axis in range(rank) if source.shape[axis] == 1]
        return None if set(dropped) & set(places) else _without(places, dropped)
    if operation.type == "Transpose":
        order = static_value(operation.inputs[1])
        return None if order is None else tuple([int(axis) for axis in order].index(place) for place in places)
    return _places_reshaped(source.shape.as_list(), output.as_list(), places)


def _places_reshaped(
    before: list[int | None], after: list[int | None], places: tuple[int, ...]
) -> tuple[int, ...] | None:
    """Find axes after a reshape: an axis remains where its length and the product of the lengths before it remain."""
    known = [length for length in before if length is not None]
    lengths = [length for length in after if length is not None]
    if len(known) < len(before) or len(lengths) < len(after):
        return None
    found: list[int] = []
    for place in places:
        same = [
            axis
            for axis, length in enumerate(lengths)
            if length == known[place] and prod(lengths[:axis]) == prod(known[:place]) and axis not in found
        ]
        if not same:
            return None
        found.append(next((axis for axis in same if axis > 0), same[0]))
    return tuple(found)
