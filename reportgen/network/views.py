"""What the output of one graph operation sees of the model's input, from what its inputs see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reportgen.network.quiet import tf
from reportgen.network.reach import Reach

Axes = tuple[Reach, Reach]

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
        "LogicalNot",
        "LogicalAnd",
    ]
)
POOLING = frozenset({"MaxPool", "MaxPoolV2", "AvgPool"})
REDUCTIONS = frozenset({"Mean", "Sum", "Max", "Min", "Prod", "EuclideanNorm"})
SPATIAL = (1, 2)  # axes of height and width, channels last


@dataclass(frozen=True)
class View:
    """What a tensor sees of the input.

    axes: one Reach for height and one for width, or None with the reason in `note`. colour: channels are still the input's own bands.
    """

    axes: Axes | None
    note: str | None
    colour: bool


WHOLE = "the whole input: a global operation lies before this layer"


def _unknown(operation: Any) -> View:
    return View(None, f"not known: an operation of type {operation.type} lies before this layer", False)


def after(operation: Any, seen: list[tuple[Any, View]]) -> View:
    """The view of an operation's outputs from the views of those of its inputs that depend on the model's input."""
    views = [view for _, view in seen]
    for view in views:
        if view.axes is None:
            return View(None, view.note, False)
    first = views[0]
    assert first.axes is not None
    kind = operation.type
    if kind in ELEMENTWISE:
        if any(_spatial(tensor) != _spatial(operation.outputs[0]) for tensor, _ in seen):
            return _unknown(operation)  # one position spread over many
        return _joined(operation, views, colour=all(view.colour for view in views))
    if kind == "ConcatV2":
        axis = tf.get_static_value(operation.inputs[-1])
        return (
            _joined(operation, views, colour=False)
            if axis is not None and int(axis) in (-1, 3)
            else _unknown(operation)
        )
    if kind in ("Conv2D", "DepthwiseConv2dNative"):
        return _convolved(operation, first.axes)
    if kind in POOLING:
        return _pooled(operation, first)
    if kind == "Conv2DBackpropInput":
        return _transposed(operation, first.axes)
    if kind in ("Pad", "PadV2", "MirrorPad"):
        return _padded(operation, first, -1)
    if kind in ("SpaceToBatchND", "BatchToSpaceND"):
        return _blocked(operation, first)
    if kind in ("ResizeNearestNeighbor", "ResizeBilinear"):
        return _resized(operation, first)
    if kind == "StridedSlice":
        return _sliced(operation, first)
    if kind in REDUCTIONS:
        axes = tf.get_static_value(operation.inputs[1])
        rank = operation.inputs[0].shape.rank
        reduced = {int(axis) % rank for axis in axes.reshape(-1)} if axes is not None and rank else set(SPATIAL)
        return View(None, WHOLE, False) if reduced & set(SPATIAL) else View(first.axes, None, False)
    if kind in ("Shape", "ShapeN", "Size", "Rank"):
        return View(None, None, False)
    return _unknown(operation)


def _spatial(tensor: Any) -> list[int | None]:
    lengths: list[int | None] = tensor.shape.as_list()
    return lengths[SPATIAL[0] : SPATIAL[-1] + 1]


def _joined(operation: Any, views: list[View], colour: bool) -> View:
    height, width = views[0].axes or (Reach(), Reach())
    for view in views[1:]:
        assert view.axes is not None
        joined = (height.joined(view.axes[0]), width.joined(view.axes[1]))
        if joined[0] is None or joined[1] is None:
            return View(
                None, f"not known: an operation of type {operation.type} joins branches that do not run in step", False
            )
        height, width = joined[0], joined[1]
    return View((height, width), None, colour)


def _pads(operation: Any, source: Any, taps: list[int], strides: list[int], dilations: list[int]) -> list[int] | None:
    """Padding before the first position, per spatial axis (TensorFlow's rule for SAME: half of what is missing, rounded down)."""
    padding = operation.get_attr("padding").decode()
    if padding == "VALID":
        return [0, 0]
    if padding == "EXPLICIT":
        explicit = list(operation.get_attr("explicit_paddings"))
        return [explicit[2 * axis] for axis in SPATIAL]
    pads = []
    for index, axis in enumerate(SPATIAL):
        length = source.shape[axis]
        if length is None:
            return None
        covered = (taps[index] - 1) * dilations[index] + 1
        outputs = -(-length // strides[index])
        pads.append(max((outputs - 1) * strides[index] + covered - length, 0) // 2)
    return pads


def _channels_last(operation: Any) -> bool:
    return bool(operation.get_attr("data_format").decode() == "NHWC")


def _windowed(operation: Any, source: Any, axes: Axes, taps: list[int], dilations: list[int]) -> View:
    strides = [list(operation.get_attr("strides"))[axis] for axis in SPATIAL]
    pads = _pads(operation, source, taps, strides, dilations)
    if pads is None or not _channels_last(operation):
        return _unknown(operation)
    height, width = (
        reach.window(taps[index], strides[index], dilations[index], pads[index]) for index, reach in enumerate(axes)
    )
    return View((height, width), None, False)


def _convolved(operation: Any, axes: Axes) -> View:
    dilations = [list(operation.get_attr("dilations"))[axis] for axis in SPATIAL]
    return _windowed(operation, operation.inputs[0], axes, operation.inputs[1].shape.as_list()[:2], dilations)


def _pooled(operation: Any, view: View) -> View:
    assert view.axes is not None
    if operation.type == "MaxPoolV2":
        return _unknown(operation)
    taps = [list(operation.get_attr("ksize"))[axis] for axis in SPATIAL]
    pooled = _windowed(operation, operation.inputs[0], view.axes, taps, [1, 1])
    return View(pooled.axes, pooled.note, view.colour and pooled.axes is not None)


def _transposed(operation: Any, axes: Axes) -> View:
    output = operation.outputs[0]
    taps = operation.inputs[1].shape.as_list()[:2]
    strides = [list(operation.get_attr("strides"))[axis] for axis in SPATIAL]
    dilations = list(operation.get_attr("dilations"))
    pads = _pads(operation, output, taps, strides, [1, 1])
    if pads is None or not _channels_last(operation) or max(dilations) > 1:
        return _unknown(operation)
    height, width = (reach.spread(taps[index], strides[index], pads[index]) for index, reach in enumerate(axes))
    return View((height, width), None, False)


def _padded(operation: Any, view: View, sign: int) -> View:
    assert view.axes is not None
    amounts = tf.get_static_value(operation.inputs[1])
    if amounts is None:
        return _unknown(operation)
    height, width = (reach.moved(sign * int(amounts[axis][0])) for axis, reach in zip(SPATIAL, view.axes, strict=True))
    return View((height, width), None, view.colour)


def _blocked(operation: Any, view: View) -> View:
    assert view.axes is not None
    blocks, amounts = (tf.get_static_value(operation.inputs[index]) for index in (1, 2))
    if blocks is None or amounts is None or len(blocks) != len(SPATIAL):
        return _unknown(operation)
    entering = operation.type == "SpaceToBatchND"
    reaches = []
    for index, reach in enumerate(view.axes):
        before = int(amounts[index][0])
        if entering:
            reaches.append(reach.moved(-before).in_blocks(int(blocks[index])))
        else:
            reaches.append(reach.in_blocks(1).moved(before))
    return View((reaches[0], reaches[1]), None, view.colour)


def _resized(operation: Any, view: View) -> View:
    assert view.axes is not None
    if operation.get_attr("align_corners"):
        return _unknown(operation)
    interpolated = operation.type == "ResizeBilinear"
    if interpolated and not operation.get_attr("half_pixel_centers"):
        return _unknown(operation)
    reaches = []
    for axis, reach in zip(SPATIAL, view.axes, strict=True):
        before, after = operation.inputs[0].shape[axis], operation.outputs[0].shape[axis]
        if not before or not after or after % before:
            return _unknown(operation)
        reaches.append(reach.repeated(after // before, interpolated))
    return View((reaches[0], reaches[1]), None, view.colour)


def _sliced(operation: Any, view: View) -> View:
    """Cropping: a slice with plain bounds that keeps every axis."""
    assert view.axes is not None
    begin, strides = tf.get_static_value(operation.inputs[1]), tf.get_static_value(operation.inputs[3])
    masks = {
        name: operation.get_attr(name) for name in ("begin_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
    }
    if (
        begin is None
        or strides is None
        or masks["ellipsis_mask"]
        or masks["new_axis_mask"]
        or masks["shrink_axis_mask"]
    ):
        return _unknown(operation)
    reaches = list(view.axes)
    for index, axis in enumerate(SPATIAL):
        if axis >= len(begin):
            continue
        start = 0 if masks["begin_mask"] >> axis & 1 else int(begin[axis])
        if start < 0 or int(strides[axis]) < 1:
            return _unknown(operation)
        reaches[index] = reaches[index].moved(start, int(strides[axis]))
    return View((reaches[0], reaches[1]), None, False)
