"""Which channels of which layers each convolution is applied to: labels of channels, followed through the traced graph.

Each channel of the model's input and of each convolution's output has a label. An operation passes labels on where it keeps, moves or joins
channels, and takes them together where it combines tensors channel by channel. Behind any other operation channels have no label.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reportgen.core.records import ChannelRun
from reportgen.network.backend import tf
from reportgen.network.graph.hooks import Call
from reportgen.network.graph.layer_kinds import CONVOLUTIONS
from reportgen.network.graph.static_values import static_value, strided_index

Labels = NDArray[
    np.int64
]  # of a tensor: an axis along which nothing changes has the length 1; 0 where there is no label
UNKNOWN = 0
NONE = -1  # stands where a label has fewer bases than another
LARGEST = 1 << 22  # labels of one tensor: maps that are flattened in several steps need no more
SAME = frozenset({  # each number becomes another, or stays
    "Identity", "StopGradient", "PreventGradient", "Cast", "Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Softplus", "Softsign", "Sigmoid",
    "Tanh", "Exp", "Expm1", "Log", "Log1p", "Abs", "Neg", "Sign", "Square", "Sqrt", "Rsqrt", "Reciprocal", "Erf", "Erfc", "Floor", "Ceil",
    "Round", "Rint", "Sin", "Cos", "ClipByValue", "BiasAdd", "FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3", "Softmax",
    "EnsureShape", "CheckNumerics", "Gelu", "FakeQuantWithMinMaxVars",
})  # fmt: skip
COMBINED = frozenset({  # tensors become one, number by number
    "Add", "AddV2", "AddN", "Sub", "Mul", "RealDiv", "Div", "DivNoNan", "Maximum", "Minimum", "Pow", "SquaredDifference",
})  # fmt: skip
SPATIAL = frozenset({  # positions are joined, moved or repeated, each channel by itself
    "MaxPool", "MaxPool3D", "AvgPool", "AvgPool3D", "ResizeNearestNeighbor", "ResizeBilinear", "ResizeArea", "ResizeBicubic",
    "SpaceToBatchND", "BatchToSpaceND",
})  # fmt: skip
REDUCED = frozenset({"Mean", "Sum", "Max", "Min", "Prod"})


class Channels:
    """The labels of all tensors of a graph."""

    def __init__(self, graph: Any, entry: Any, calls: Sequence[Call], path_of: Callable[[Any, int], str]) -> None:
        """Follow the labels.

        Args:
            graph: of the trace.
            entry: the tensor of the primary input.
            calls: all layer calls of the trace.
            path_of: returns the path of a layer's k-th call.
        """
        self._of: dict[str, Labels] = {}
        self._bases: list[tuple[str, int]] = [("", -1)]  # by label: (path, channel) of those that stand for one channel
        self._firsts: list[int] = []  # of the bases of each tensor
        self._together: list[tuple[int, ...]] = [()]  # by label: the bases that it stands for
        self._numbers: dict[tuple[int, ...], int] = {}
        self._of[entry.name] = self._fresh("", entry.shape.as_list(), -1)
        inside: set[int] = set()
        for call in calls:
            if isinstance(call.layer, CONVOLUTIONS) and tf.is_tensor(call.output) and call.output.graph is graph:
                inside |= set(range(call.first_operation, call.last_operation))
                first = getattr(call.layer, "data_format", None) == "channels_first"
                shape = call.output.shape.as_list()
                self._of[call.output.name] = self._fresh(
                    path_of(call.layer, call.occurrence), shape, 1 if first else -1
                )
        for position, operation in enumerate(graph.get_operations()):
            if position not in inside and not any(tensor.name in self._of for tensor in operation.outputs):
                self._pass_on(operation)

    def runs(self, call: Call, channels_first: bool) -> tuple[ChannelRun, ...] | None:
        """Return which channels a convolution's call is applied to; None where its input is no tensor of a known shape."""
        tensor = call.input
        if not tf.is_tensor(tensor) or tensor.shape.rank is None or tensor.shape.rank < 2:
            return None
        axis = 1 if channels_first else tensor.shape.rank - 1
        length = tensor.shape.as_list()[axis]
        if length is None:
            return None
        labels = self._of.get(tensor.name)
        if labels is None or any(size != 1 for at, size in enumerate(labels.shape) if at != axis):
            return (ChannelRun(channels=length, sources=()),)
        return self._joined(np.broadcast_to(labels.reshape(-1), (length,)).tolist())

    def _joined(self, labels: Sequence[int]) -> tuple[ChannelRun, ...]:
        """The runs of channels whose sources go on one by one."""
        together = [self._together[label] for label in labels]
        table = list(zip_longest(*together, fillvalue=NONE))  # a row for each place among a channel's bases
        bases = np.array(table, np.int64).reshape(len(table), len(labels))
        owners = np.searchsorted(self._firsts, bases, side="right")
        goes_on = (np.diff(bases) == (bases[:, 1:] != NONE)) & (np.diff(owners) == 0)
        starts = [0, *(np.flatnonzero(~goes_on.all(axis=0)) + 1).tolist()] if labels else []
        return tuple(
            ChannelRun(channels=end - start, sources=tuple(self._bases[base] for base in together[start]))
            for start, end in zip(starts, [*starts[1:], len(labels)], strict=True)
        )

    def _fresh(self, path: str, shape: Sequence[int | None], axis: int) -> Labels:
        """Labels that no channel had before."""
        count, first = shape[axis], len(self._bases)
        if count is None:
            return np.zeros((1,) * len(shape), np.int64)
        self._bases += [(path, channel) for channel in range(count)]
        self._firsts.append(first)
        alone = [(base,) for base in range(first, first + count)]
        label = len(self._together)
        self._together += alone
        self._numbers.update(zip(alone, range(label, label + count), strict=True))
        lengths = [1] * len(shape)
        lengths[axis] = count
        return np.arange(label, label + count, dtype=np.int64).reshape(lengths)

    def _label(self, bases: tuple[int, ...]) -> int:
        if bases not in self._numbers:
            self._numbers[bases] = len(self._together)
            self._together.append(bases)
        return self._numbers[bases]

    def _combined(self, one: Labels, other: Labels) -> Labels:
        """Labels that stand for both."""
        one, other = np.broadcast_arrays(one, other)
        found: Labels = np.maximum(one, other)  # where one of them is UNKNOWN, or both are the same
        both = (one != other) & (one != UNKNOWN) & (other != UNKNOWN)
        count = len(self._together)
        pairs, places = np.unique(one[both] * count + other[both], return_inverse=True)  # a number for each pair
        labels = [
            self._label(tuple(dict.fromkeys((*self._together[left], *self._together[right]))))
            for left, right in zip((pairs // count).tolist(), (pairs % count).tolist(), strict=True)
        ]
        found[both] = np.array(labels, np.int64)[places]
        return found

    def _pass_on(self, operation: Any) -> None:
        """Find the labels of an operation's outputs; none where that is not possible."""
        if not any(tensor.name in self._of for tensor in operation.inputs):
            return
        try:
            found = self._labels(operation)
        except (ValueError, IndexError, TypeError, KeyError):  # a shape that does not fit what the rule expects
            return
        for tensor, labels in zip(operation.outputs, found, strict=False):
            if tensor.shape.rank == labels.ndim and all(
                size in (1, length) for size, length in zip(labels.shape, tensor.shape.as_list(), strict=True)
            ):
                self._of[tensor.name] = _compact(labels)

    def _labels(self, operation: Any) -> list[Labels]:
        """The labels of the outputs, by the rule of the operation."""
        kind, inputs = operation.type, operation.inputs
        if kind in COMBINED:
            return [self._of_combined(operation)]
        if kind in ("ConcatV2", "Pack"):
            return [self._concatenated(operation)]
        if kind == "IdentityN":  # of functions with a gradient of their own, such as swish
            return [self._of.get(tensor.name, np.zeros((1,) * (tensor.shape.rank or 0), np.int64)) for tensor in inputs]
        data = inputs[1] if kind == "Split" else inputs[0]
        if data.name not in self._of:
            return []
        labels = self._of[data.name]
        if kind in SAME:
            return [labels]
        if kind in SPATIAL:
            return [labels] if sum(size > 1 for size in labels.shape) <= 1 else []
        if kind in REDUCED:
            axes = tuple(int(axis) for axis in np.reshape(_known(inputs[1]), -1))
            if any(labels.shape[axis] > 1 for axis in axes):
                return []
            return [labels if operation.get_attr("keep_dims") else labels.squeeze(axes)]
        if kind == "Reshape":
            return [_reshaped(labels, inputs[0].shape.as_list(), operation.outputs[0].shape.as_list())]
        if kind == "Transpose":
            return [labels.transpose([int(axis) for axis in _known(inputs[1])])]
        if kind == "ExpandDims":
            return [np.expand_dims(labels, int(_known(inputs[1])))]
        if kind == "Squeeze":
            axes = tuple(operation.get_attr("squeeze_dims"))
            shape = inputs[0].shape.as_list()
            return [labels.squeeze(axes or tuple(axis for axis, length in enumerate(shape) if length == 1))]
        if kind in ("Split", "SplitV"):
            return _split(operation, labels)
        if kind == "StridedSlice":
            return [_sliced(operation, labels)]
        if kind == "Slice":
            return [_cut(operation, labels)]
        if kind == "GatherV2" and not operation.get_attr("batch_dims"):
            axis = int(_known(inputs[2])) % labels.ndim
            return [] if labels.shape[axis] == 1 else [np.take(labels, _known(inputs[1]), axis=axis)]
        if kind == "Tile":
            lengths = zip(labels.shape, inputs[0].shape.as_list(), operation.outputs[0].shape.as_list(), strict=True)
            return [np.tile(labels, [1 if size == 1 else after // before for size, before, after in lengths])]
        if kind in ("Pad", "PadV2", "MirrorPad"):
            return [_padded(labels, _known(inputs[1]), kind == "MirrorPad")]
        return []

    def _of_combined(self, operation: Any) -> Labels:
        """Labels of tensors that are combined number by number; one that has a single channel for all gives none."""
        rank, result = operation.outputs[0].shape.rank, operation.outputs[0].shape.as_list()
        found: Labels = np.zeros((1,) * rank, np.int64)
        for tensor in operation.inputs:
            labels = self._of.get(tensor.name)
            if labels is None:
                continue
            labels = labels.reshape((1,) * (rank - labels.ndim) + labels.shape)
            lengths = [1] * (rank - tensor.shape.rank) + tensor.shape.as_list()
            if (
                all(length == whole or length != 1 for length, whole in zip(lengths, result, strict=True))
                or labels.size > 1
            ):
                found = self._combined(found, labels)
        return found

    def _concatenated(self, operation: Any) -> Labels:
        """Labels of tensors one after the other."""
        packs = operation.type == "Pack"
        tensors = list(operation.inputs) if packs else list(operation.inputs)[:-1]
        axis = operation.get_attr("axis") if packs else int(_known(operation.inputs[-1]))
        parts = []
        for tensor in tensors:
            labels = self._of.get(tensor.name, np.zeros((1,) * tensor.shape.rank, np.int64))
            labels = np.expand_dims(labels, axis) if packs else labels
            lengths = list(labels.shape)
            lengths[axis] = 1 if packs else tensor.shape.as_list()[axis]
            parts.append(np.broadcast_to(labels, lengths))
        whole = np.broadcast_shapes(*(_without(part.shape, axis) for part in parts))
        return np.concatenate(
            [
                np.broadcast_to(part, (*whole[: axis % part.ndim], part.shape[axis], *whole[axis % part.ndim + 1 :]))
                for part in parts
            ],
            axis,
        )


def _without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    lengths = list(shape)
    lengths[axis] = 1
    return tuple(lengths)


def _known(tensor: Any) -> NDArray[Any]:
    """The value of a tensor that is always the same. Raises ValueError where it is not known."""
    value = static_value(tensor)
    if value is None:
        raise ValueError
    return value


def _compact(labels: Labels) -> Labels:
    """The same with the length 1 of every axis along which nothing changes."""
    for axis, size in enumerate(labels.shape):
        if size > 1 and (labels == (first := labels.take([0], axis))).all():
            labels = first
    return labels


def _reshaped(labels: Labels, before: Sequence[int | None], after: Sequence[int | None]) -> Labels:
    """Labels of a reshaped tensor: leading axes that stay are left as they are, all others are expanded."""
    kept = 0
    while kept < min(len(before), len(after)) and before[kept] == after[kept]:
        kept += 1
    rest, wanted = before[kept:], after[kept:]
    if None in rest or None in wanted:
        raise ValueError
    if prod(int(length or 1) for length in rest) * prod(labels.shape[:kept]) > LARGEST:
        raise ValueError
    whole = np.broadcast_to(labels, (*labels.shape[:kept], *(int(length or 1) for length in rest)))
    return whole.reshape((*labels.shape[:kept], *(int(length or 1) for length in wanted)))


def _split(operation: Any, labels: Labels) -> list[Labels]:
    """Labels of the parts of a tensor."""
    even = operation.type == "Split"
    axis = int(_known(operation.inputs[0 if even else 2]))
    if labels.shape[axis] == 1:
        return [labels] * len(operation.outputs)
    if even:
        return np.split(labels, len(operation.outputs), axis)
    return np.split(labels, np.cumsum(_known(operation.inputs[1]))[:-1], axis)


def _sliced(operation: Any, labels: Labels) -> Labels:
    """Labels of a strided slice."""
    begin, end, step = (_known(tensor).tolist() for tensor in operation.inputs[1:])
    index = strided_index(operation, begin, end, step, labels.shape)
    found: Labels = labels[index]
    return found


def _cut(operation: Any, labels: Labels) -> Labels:
    """Labels of a slice."""
    begin, size = (_known(tensor).tolist() for tensor in operation.inputs[1:])
    found: Labels = labels[
        tuple(
            slice(None) if length == 1 else slice(first, None if count < 0 else first + count)
            for length, first, count in zip(labels.shape, begin, size, strict=True)
        )
    ]
    return found


def _padded(labels: Labels, widths: NDArray[Any], mirrored: bool) -> Labels:
    """Labels of a padded tensor: what is added along positions changes nothing, added channels have no label."""
    added = [
        (0, 0) if size == 1 else (int(before), int(after))
        for size, (before, after) in zip(labels.shape, widths.tolist(), strict=True)
    ]
    if mirrored and any(width != (0, 0) for width in added):
        raise ValueError
    return np.pad(labels, added)
