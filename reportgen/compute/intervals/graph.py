"""Intervals of the tensors of a traced graph: a walk from the input on, by the rules of each operation."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np

from reportgen.compute.intervals import axes, linear
from reportgen.compute.intervals.elementwise import ELEMENTWISE, applied, pieces, union_of_pieces
from reportgen.compute.intervals.interval import Interval, fitted, limited, unbounded
from reportgen.compute.intervals.linear import Operand, as_interval
from reportgen.network.backend import tf
from reportgen.network.graph.receptive_fields import body_of

Rule = Callable[[Any, Sequence[Operand]], Interval | list[Interval]]
RULES: dict[str, Rule] = {
    **dict.fromkeys(("Conv2D", "Conv3D", "DepthwiseConv2dNative"), linear.convolved),
    **dict.fromkeys(("Conv2DBackpropInput", "Conv3DBackpropInputV2"), linear.transposed),
    **dict.fromkeys(("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"), linear.multiplied),
    **dict.fromkeys(("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"), linear.normalised),
    **dict.fromkeys(("MaxPool", "MaxPool3D", "AvgPool", "AvgPool3D"), axes.pooled),
    **dict.fromkeys(("Mean", "Sum", "Max", "Min"), axes.reduced),
    **dict.fromkeys(("Pad", "PadV2", "MirrorPad"), axes.padded),
    **dict.fromkeys(("ResizeNearestNeighbor", "ResizeBilinear", "ResizeArea"), axes.resized),
    **dict.fromkeys(("SpaceToBatchND", "BatchToSpaceND"), axes.in_blocks),
    **dict.fromkeys(("DepthToSpace", "SpaceToDepth"), axes.depth_to_space),
    **dict.fromkeys(("Split", "SplitV"), axes.split),
    "Einsum": linear.summed_over_labels,
    "BiasAdd": linear.biased,
    "Reshape": axes.refolded,
    "Transpose": axes.transposed_axes,
    "ExpandDims": axes.expanded,
    "Squeeze": axes.squeezed,
    "StridedSlice": axes.sliced,
    "Slice": axes.cut,
    "GatherV2": axes.gathered,
    "ReverseV2": axes.reversed_axes,
    "ConcatV2": axes.concatenated,
    "Pack": axes.packed,
    "Unpack": axes.unpacked,
    "Tile": axes.tiled,
    "BroadcastTo": axes.broadcast_to,
    "Softmax": axes.shares,
    "LogSoftmax": axes.logarithms,
}
SHAPES = frozenset({"Shape", "ShapeN", "Size", "Rank"})
READING = frozenset({"ReadVariableOp", "VarIsInitializedOp", "VariableShape", "ResourceGather", "ResourceGatherNd"})
LONGEST = 24  # operations of a function that is evaluated in pieces


@dataclass(frozen=True)
class Variable:
    """A variable of the model that a graph reads. written: some operation may change it while the model runs."""

    handle: Any
    written: bool


@dataclass(frozen=True)
class Known:
    """A tensor that does not depend on the input, as TensorFlow computed it."""

    tensor: Any

    @property
    def array(self) -> np.ndarray:
        """Its values."""
        return np.asarray(self.tensor)


Value = Interval | Known | Variable


class Bounded:
    """What is known of every needed tensor of a graph."""

    def __init__(self, graph: Any, given: Mapping[str, Value], wanted: Sequence[Any]) -> None:
        """Walk through the graph.

        Args:
            graph: of a trace.
            given: what is known of the graph's inputs, by the tensors' names.
            wanted: tensors whose values are needed.
        """
        self._values: dict[str, Value] = dict(given)
        self._order = {operation.name: place for place, operation in enumerate(graph.get_operations())}
        needed = _needed(wanted)
        for operation in graph.get_operations():
            if operation.name in needed and not all(output.name in self._values for output in operation.outputs):
                self._visit(operation)

    def of(self, tensor: Any) -> Value:
        """Return what is known of `tensor`."""
        return self._values[tensor.name] if tensor.name in self._values else unbounded(tensor)

    def _visit(self, operation: Any) -> None:
        """Find what is known of an operation's outputs."""
        values: list[Value] = self._results(operation)
        for output, value in zip(operation.outputs, values, strict=True):
            self._values[output.name] = fitted(value, output) if isinstance(value, Interval) else value

    def _results(self, operation: Any) -> list[Value]:
        """Return what is known of each output of an operation."""
        outputs = operation.outputs
        if operation.type == "Const":
            return [Known(_eagerly(lambda: tf.constant(tf.make_ndarray(operation.get_attr("value")))))]
        if operation.type in SHAPES and all(tensor.shape.is_fully_defined() for tensor in operation.inputs):
            return [
                _static(operation, tensor, output) for tensor, output in zip(operation.inputs, outputs, strict=True)
            ]
        given = [self.of(tensor) for tensor in operation.inputs]
        body = body_of(operation)
        if body is not None:
            own = {tensor.name: value for tensor, value in zip(body.inputs, given, strict=True)}
            inner = Bounded(body, own, body.outputs)
            return [inner.of(tensor) for tensor in body.outputs]
        known = _computed(operation, given)
        if known is not None:
            return list(known)
        varies = _chance(operation) or any(not isinstance(one, Known) and _can_vary(one) for one in given)
        operands = [one.array if isinstance(one, Known) else one for one in given if not isinstance(one, Variable)]
        if len(operands) < len(given) or any(_is_no_number(operand) for operand in operands):
            return [unbounded(output, varies) for output in outputs]
        if operation.type == "IdentityN":
            return list(given)
        try:
            found = self._ruled(operation, operands)
        except Exception:  # a form of the operation that its rule does not cover: then nothing is known of its result
            found = []
        return [*found, *(unbounded(output, varies) for output in outputs[len(found) :])]

    def _ruled(self, operation: Any, operands: Sequence[Operand]) -> list[Interval]:
        """Apply the rule of an operation to its first outputs; further ones of a fused normalization are its statistics."""
        if operation.type in ELEMENTWISE:
            return [self._elementwise(operation, operands)]
        if operation.type not in RULES:
            return []
        with np.errstate(invalid="ignore", over="ignore"):
            found = RULES[operation.type](operation, operands)
        return found if isinstance(found, list) else [found]

    def _elementwise(self, operation: Any, operands: Sequence[Operand]) -> Interval:
        """Apply the rule of an elementwise operation, in pieces where its operands depend on one common tensor."""
        plain = applied(operation, [as_interval(operand) for operand in operands])
        if sum(isinstance(operand, Interval) and bool(operand.varies.any()) for operand in operands) < 2:
            return plain
        source, between = self._source(operation)
        if source is None:
            return plain
        return self._in_pieces(source, between, plain)

    def _source(self, operation: Any) -> tuple[Any | None, list[Any]]:
        """Return the nearest tensor of which `operation` is an elementwise function, and the operations from there on, in order."""
        open_ends = {tensor.name: tensor for tensor in operation.inputs if self._open(tensor)}
        between = [operation]
        while len(open_ends) > 1 and len(between) < LONGEST:
            last = max(open_ends.values(), key=lambda tensor: self._order[tensor.op.name])
            if last.op.type not in (*ELEMENTWISE, "IdentityN"):
                return None, []
            del open_ends[last.name]
            if last.op.type == "IdentityN":
                same = last.op.inputs[last.op.outputs.index(last)]
                open_ends[same.name] = same
            else:
                open_ends.update({tensor.name: tensor for tensor in last.op.inputs if self._open(tensor)})
            if last.op not in between:
                between.append(last.op)
        if len(open_ends) != 1:
            return None, []
        (source,) = open_ends.values()
        return source, sorted(between, key=lambda one: self._order[one.name])

    def _open(self, tensor: Any) -> bool:
        """Return whether a tensor can vary with the input."""
        value = self.of(tensor)
        return isinstance(value, Interval) and bool(value.varies.any())

    def _in_pieces(self, source: Any, between: Sequence[Any], plain: Interval) -> Interval:
        """Bound the last operation of `between`, a function of `source`, piece by piece between the bends of functions."""
        base = self.of(source)
        assert isinstance(base, Interval)
        cuts = {source.name: pieces(base, float(source.dtype.max))}
        axes_of_parts = base.low.ndim + 1
        for operation in between:
            outputs = operation.outputs
            if operation.type == "IdentityN":
                found = [cuts.get(tensor.name) for tensor in operation.inputs]
                cuts.update(
                    {output.name: part for output, part in zip(outputs, found, strict=True) if part is not None}
                )
                continue
            given = [cuts[one.name] if one.name in cuts else self._bounds(one) for one in operation.inputs]
            pairs = zip(given, operation.inputs, strict=True)
            if any(one.low.ndim >= axes_of_parts and tensor.name not in cuts for one, tensor in pairs):
                return plain  # broadcast to more axes than the source has
            cuts[outputs[0].name] = limited(applied(operation, given), outputs[0].dtype)
        parts = cuts[between[-1].outputs[0].name]
        return union_of_pieces(parts, plain) if parts.low.ndim == axes_of_parts else plain

    def _bounds(self, tensor: Any) -> Interval:
        value = self.of(tensor)
        if isinstance(value, Known):
            return as_interval(value.array)
        assert isinstance(value, Interval)
        return value


def _needed(wanted: Sequence[Any]) -> set[str]:
    """Return the names of the operations that the `wanted` tensors depend on."""
    waiting, found = [tensor.op for tensor in wanted], set()
    while waiting:
        operation = waiting.pop()
        if operation.name not in found:
            found.add(operation.name)
            waiting.extend(tensor.op for tensor in operation.inputs)
    return found


def _can_vary(value: Value) -> bool:
    """Return whether a value may change from input to input."""
    return value.written if isinstance(value, Variable) else isinstance(value, Interval) and bool(value.varies.any())


def _is_fixed(value: Value) -> TypeGuard[Known | Variable]:
    return isinstance(value, Known) or (isinstance(value, Variable) and not value.written)


def _is_no_number(operand: Operand) -> bool:
    return isinstance(operand, np.ndarray) and operand.dtype.kind in "OSUc"


def _eagerly(function: Callable[[], Any]) -> Any:
    """Call a function outside the trace, on the processor."""
    with tf.init_scope(), tf.device("CPU:0"):
        return function()


def _static(operation: Any, tensor: Any, output: Any) -> Known:
    """Return the shape, size or rank of a tensor."""
    shape = tensor.shape.as_list()
    number = {"Size": int(np.prod(shape)), "Rank": len(shape)}.get(operation.type, shape)
    return Known(_eagerly(lambda: tf.constant(number, output.dtype)))


def _chance(operation: Any) -> bool:
    """Return whether an operation may have another result when it runs again."""
    name = operation.type
    return (
        (operation.op_def.is_stateful and name != "ReadVariableOp") or "Random" in name or name.startswith("Stateless")
    )


def _computed(operation: Any, given: Sequence[Value]) -> list[Known] | None:
    """Compute an operation that depends on nothing but weights and constants; None where it depends on more or cannot be computed."""
    if _chance(operation) or not all(_is_fixed(one) for one in given):
        return None
    function = getattr(tf.raw_ops, operation.type, None)
    if function is None:
        return None
    tensors = iter([one.handle if isinstance(one, Variable) else one.tensor for one in given if _is_fixed(one)])
    definition = operation.op_def
    own = {part.name for part in (*definition.input_arg, *definition.attr)}
    taken = [name for name in inspect.signature(function).parameters if name != "name"]
    renamed = iter(
        [name for name in taken if name not in own]
    )  # Python has other names for some inputs, in the same order
    arguments: dict[str, Any] = {}
    for argument in definition.input_arg:
        name = argument.name if argument.name in taken else next(renamed, argument.name)
        if argument.number_attr:
            arguments[name] = [next(tensors) for _ in range(operation.get_attr(argument.number_attr))]
        elif argument.type_list_attr:
            arguments[name] = [next(tensors) for _ in operation.get_attr(argument.type_list_attr)]
        else:
            arguments[name] = next(tensors)
    arguments |= {part.name: operation.get_attr(part.name) for part in definition.attr if part.name in taken}
    try:
        results = _eagerly(lambda: function(**arguments))
    except Exception:  # then it is merely not known
        return None
    if len(operation.outputs) == 1 and not isinstance(results, list):
        results = [results]
    return [Known(result) for result in results]


def variables(graph: Any) -> dict[str, Value]:
    """Return what a traced graph captures, by the names of its own tensors: variables and constants of the model."""
    inside = {own.name: outside for outside, own in graph.captures}
    written = _written(graph, {name: id(outside) for name, outside in inside.items()})
    found: dict[str, Value] = {}
    for name, outside in inside.items():
        if outside.dtype == tf.resource:
            found[name] = Variable(outside, id(outside) in written or None in written)
        elif hasattr(outside, "numpy"):
            found[name] = Known(outside)
    return found


def _written(graph: Any, handles: Mapping[str, int]) -> set[int | None]:
    """Return which `handles`, by name, the graph may write; None stands for one that is not known."""
    found: set[int | None] = set()
    for operation in graph.get_operations():
        taken = [tensor for tensor in operation.inputs if tensor.dtype == tf.resource]
        if not taken or operation.type in READING:
            continue
        body = body_of(operation)
        if body is None:
            found.update(handles.get(tensor.name) for tensor in taken)
        else:
            own = zip(body.inputs, operation.inputs, strict=True)
            found |= _written(body, {inner.name: handles[outer.name] for inner, outer in own if outer.name in handles})
    return found
