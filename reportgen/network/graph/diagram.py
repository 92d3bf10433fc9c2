"""How data flows through the model: its layers and merges as nodes, found in the traced graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from reportgen.core.records import DiagramNode, NodeKind
from reportgen.network.backend import keras, tf
from reportgen.network.graph.hooks import Call
from reportgen.network.graph.layer_kinds import POOLINGS

layers = keras.layers
# Layers that are drawn besides those of the report: what shapes a network, not what only rescales or reorders.
LANDMARKS = (
    layers.Dense, *POOLINGS, layers.UpSampling1D, layers.UpSampling2D, layers.UpSampling3D,
    layers.MultiHeadAttention, layers.LSTM, layers.GRU,
)  # fmt: skip
MERGES = {  # graph operation -> what the layer that does the same is called
    "AddV2": "Add", "Add": "Add", "AddN": "Add", "Sub": "Subtract", "Mul": "Multiply", "ConcatV2": "Concatenate", "Maximum": "Maximum",
    "Minimum": "Minimum",
}  # fmt: skip


def diagram(
    graph: Any,
    entry: Any,
    calls: Sequence[Call],
    outputs: Sequence[Any],
    covered: tuple[type, ...],
    path_of: Callable[[Any, int], str],
) -> tuple[DiagramNode, ...]:
    """Find the nodes, in the order in which data meets them: the input first, the model's outputs last.

    Where tensors of several nodes meet outside of any node they merge in a node of its own. What does not depend on the input is left out.

    Args:
        graph: of the trace.
        entry: the tensor of the primary input.
        calls: all layer calls of the trace.
        outputs: tensors that the model returned.
        covered: classes of layers that are nodes besides LANDMARKS.
        path_of: returns the path of a layer's k-th call.
    """
    shown = _outermost(
        [call for call in calls if isinstance(call.layer, (*covered, *LANDMARKS)) and tf.is_tensor(call.output)]
    )
    owner: dict[int, Call] = {}
    for one in shown:
        owner.update(dict.fromkeys(range(one.first_operation, one.last_operation), one))
    nodes = [DiagramNode(entry.name, NodeKind.INPUT, "", "Input", _shape(entry), ())]
    sources: dict[str, str] = {entry.name: entry.name}  # the node that a tensor comes from, by tensor name
    made: dict[int, str] = {}  # id of a call -> its node
    for position, operation in enumerate(graph.get_operations()):
        seen = tuple(dict.fromkeys(sources[tensor.name] for tensor in operation.inputs if tensor.name in sources))
        carries = any(tensor.dtype.is_floating for tensor in operation.outputs)  # a computed size is not data
        if not seen or not carries or entry.name in {tensor.name for tensor in operation.outputs}:
            continue
        call = owner.get(position)
        if call is None:
            here = seen[0] if len(seen) == 1 else _merge(operation, seen, calls, position, path_of, nodes)
        else:
            inside = made.get(id(call))
            outside = tuple(name for name in seen if name != inside)
            if inside is None:
                here = made[id(call)] = f"{position}"
                path = path_of(call.layer, call.occurrence)
                nodes.append(
                    DiagramNode(
                        here, _kind(call, covered), path, type(call.layer).__name__, _shape(call.output), outside
                    )
                )
            else:
                here = inside
                _join(nodes, here, outside)
        sources.update((tensor.name, here) for tensor in operation.outputs)
    for number, tensor in enumerate(outputs):
        source = sources.get(tensor.name) if tf.is_tensor(tensor) and tensor.graph is graph else None
        if source is not None:
            nodes.append(DiagramNode(f"output {number}", NodeKind.OUTPUT, "", "Output", _shape(tensor), (source,)))
    return _numbered(nodes)


def _outermost(calls: Sequence[Call]) -> list[Call]:
    """Return the calls that are not inside another one of them."""
    return [
        call
        for call in calls
        if not any(
            other is not call
            and other.first_operation <= call.first_operation
            and call.last_operation <= other.last_operation
            for other in calls
        )
    ]


def _kind(call: Call, covered: tuple[type, ...]) -> NodeKind:
    if isinstance(call.layer, POOLINGS):
        return NodeKind.POOLING
    return NodeKind.CONVOLUTION if isinstance(call.layer, covered) else NodeKind.OTHER


def _merge(
    operation: Any,
    seen: tuple[str, ...],
    calls: Sequence[Call],
    position: int,
    path_of: Callable[[Any, int], str],
    nodes: list[DiagramNode],
) -> str:
    """Return the node where several meet, made unless it is there: that of a merging layer, else of the operation alone."""
    around = [call for call in calls if call.first_operation <= position < call.last_operation]
    inner = min(around, key=lambda call: call.last_operation - call.first_operation, default=None)
    merging = inner is not None and "merging" in type(inner.layer).__module__
    path = path_of(inner.layer, inner.occurrence) if inner is not None and merging else ""
    label = type(inner.layer).__name__ if inner is not None and merging else MERGES.get(operation.type, operation.type)
    for node in nodes:  # a merging layer of three tensors adds them two by two
        if path and node.path == path:
            _join(nodes, node.key, tuple(name for name in seen if name != node.key))
            return node.key
    key = f"{position}"
    shape = _shape(operation.outputs[0]) if operation.outputs else None
    nodes.append(DiagramNode(key, NodeKind.MERGE, path, label, shape, seen))
    return key


def _join(nodes: list[DiagramNode], key: str, more: tuple[str, ...]) -> None:
    """Add the nodes `more` to the inputs of the node `key`."""
    for place, node in enumerate(nodes):
        if node.key == key:
            inputs = tuple(dict.fromkeys((*node.inputs, *more)))
            nodes[place] = DiagramNode(node.key, node.kind, node.path, node.label, node.shape, inputs)


def _numbered(nodes: Sequence[DiagramNode]) -> tuple[DiagramNode, ...]:
    """Return the same nodes with plain keys, `n0`, `n1` and so on."""
    keys = {node.key: f"n{number}" for number, node in enumerate(nodes)}
    return tuple(
        DiagramNode(
            keys[node.key], node.kind, node.path, node.label, node.shape, tuple(keys[name] for name in node.inputs)
        )
        for node in nodes
    )


def _shape(tensor: Any) -> tuple[int | None, ...] | None:
    """Return a tensor's shape without the batch axis."""
    return None if tensor.shape.rank is None else tuple(tensor.shape.as_list()[1:])
