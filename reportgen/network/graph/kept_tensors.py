"""Kept tensors: what the gradient with respect to the input needs of a forward pass, told by the type of each graph operation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reportgen.network.backend import tf

ALIASES = frozenset(
    {"Identity", "Reshape", "Squeeze", "ExpandDims", "StopGradient", "PreventGradient", "CheckNumerics", "EnsureShape"}
)
LINEAR = (
    frozenset(  # in each of the tensors that they take, or the same for every input: their gradients need none of them
        [
            *("IdentityN", "Cast", "Transpose", "Pack", "Unpack", "Split", "SplitV", "ConcatV2", "Tile", "BroadcastTo"),
            *("StridedSlice", "Slice", "GatherV2", "Pad", "PadV2", "MirrorPad", "SpaceToBatchND", "BatchToSpaceND"),
            *("DepthToSpace", "SpaceToDepth", "ReverseV2", "ResizeNearestNeighbor", "ResizeBilinear", "ResizeBicubic"),
            *("BiasAdd", "Add", "AddV2", "AddN", "Sub", "Neg", "Mean", "Sum", "Cumsum", "AvgPool", "AvgPool3D"),
            *("Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike", "Sign", "Floor", "Round", "Rint", "Ceil"),
            *(
                "Greater",
                "GreaterEqual",
                "Less",
                "LessEqual",
                "Equal",
                "NotEqual",
                "LogicalAnd",
                "LogicalOr",
                "LogicalNot",
            ),
            *("ArgMax", "ArgMin", "FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"),  # in inference
        ]
    )
)
PRODUCTS = frozenset(  # linear in each of two tensors
    [
        *("Mul", "MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum"),
        *("Conv2D", "Conv3D", "DepthwiseConv2dNative", "Conv2DBackpropInput", "Conv3DBackpropInputV2"),
    ]
)
BY_OUTPUT = frozenset(  # TensorFlow computes their gradients from what they return alone
    [
        *("Relu", "Relu6", "Elu", "Selu", "Sigmoid", "Tanh", "Exp", "Sqrt", "Rsqrt", "Reciprocal", "Inv"),
        *("Softmax", "LogSoftmax"),
    ]
)
BY_INPUT = frozenset(  # from what they take alone
    [
        *("LeakyRelu", "Softplus", "Softsign", "Square", "SquaredDifference", "Log", "Log1p", "Erf", "Erfc", "Abs"),
        *("Maximum", "Minimum", "Sin", "Cos", "ClipByValue"),
    ]
)
CHOICES = frozenset({"Select", "SelectV2"})  # their gradients need the condition, the first input
QUOTIENTS = frozenset({"RealDiv", "Div", "DivNoNan"})  # linear in the first input


class KeptTensors:
    """The tensors of one graph that the gradient with respect to the input keeps, each once, found operation by operation."""

    def __init__(self, graph: Any, depends: Callable[[Any], bool]) -> None:
        """Find what custom gradients of the graph stand for.

        Args:
            graph: of the trace.
            depends: whether a tensor depends on the model's input.
        """
        self._depends = depends
        self._owner: dict[str, str] = {}  # of a tensor's name, the name of the one whose memory it shares
        self._kept: set[str] = set()
        self._bypassed: set[str] = set()  # operations inside a custom gradient: only what it was given is kept
        for operation in graph.get_operations():
            if _has_custom_gradient(operation):
                self._bypassed |= _inside(operation)

    def added(self, operation: Any) -> list[Any]:
        """Return the tensors that `operation` adds to those that are kept. Call for each of the graph in order.

        A tensor that shares its memory with another, as after a reshape, counts as that one.
        """
        self._share(operation)
        added = []
        for tensor in self._needed(operation):
            owner = self._owner.get(tensor.name, tensor.name)
            if owner not in self._kept:
                self._kept.add(owner)
                added.append(tensor)
        return added

    def _share(self, operation: Any) -> None:
        """Note which outputs of an operation are the memory of an input."""
        if operation.type in ALIASES:
            pairs = [(operation.outputs[0], operation.inputs[0])]
        elif operation.type == "IdentityN":
            pairs = list(zip(operation.outputs, operation.inputs, strict=True))
        else:
            return
        for output, source in pairs:
            self._owner[output.name] = self._owner.get(source.name, source.name)

    def _needed(self, operation: Any) -> list[Any]:
        """Return the tensors that the gradient of an operation is computed from."""
        kind = operation.type
        given = [tensor for tensor in operation.inputs if self._depends(tensor)]
        if not given or operation.name in self._bypassed:
            return []
        if _has_custom_gradient(operation):
            return [tensor for tensor in _arguments(operation) if self._depends(tensor)]
        if kind in LINEAR or kind in ALIASES:
            return []
        if kind in CHOICES:
            return [operation.inputs[0]]
        if kind in PRODUCTS:
            return given if len(given) > 1 else []
        if kind in QUOTIENTS:
            return list(operation.inputs) if self._depends(operation.inputs[1]) else []
        if kind in BY_OUTPUT:
            return list(operation.outputs)
        return given if kind in BY_INPUT else [*given, *operation.outputs]


def _has_custom_gradient(operation: Any) -> bool:
    """Return whether `operation` ends a function with a gradient of its own: its inputs are the function's results, then its arguments."""
    return operation.type == "IdentityN" and "_gradient_op_type" in operation.node_def.attr


def _arguments(operation: Any) -> list[Any]:
    """Return the arguments of a function with a gradient of its own that returns one tensor."""
    return list(operation.inputs)[1:]


def _inside(operation: Any) -> set[str]:
    """Return the names of the operations between the arguments and the result of a function with a gradient of its own."""
    known = {tensor.name for tensor in _arguments(operation)}
    found: set[str] = set()
    waiting = [operation.inputs[0]]
    while waiting:
        tensor = waiting.pop()
        if tensor.name not in known and tensor.op.name not in found:
            found.add(tensor.op.name)
            waiting.extend(tensor.op.inputs)
    return found


def size_of(tensor: Any, float_bytes: int) -> int:
    """Return the bytes of a tensor, with `float_bytes` for each floating-point number; 0 where its shape is not known."""
    elements = tensor.shape.num_elements() or 0
    return int(elements * (float_bytes if tensor.dtype.is_floating else tf.as_dtype(tensor.dtype).size))
