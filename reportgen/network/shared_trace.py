"""One trace of the network and its gradient for all layers, of which each layer's own part is cut out.

Tracing a network in Python takes longer than many steps of an ascent, and the graphs of two layers differ only in where they end. So the
network is traced once as far as the deepest layer, with a gradient from every layer's entry back to the pictures. A layer's own graph has
the operations that its entry depends on, and of the gradient those that carry something from there: gradients are sums over what reads a
tensor, of which the summands from deeper layers are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from reportgen.network.backend import tf
from reportgen.network.graph.layer_calls import LayerCall
from reportgen.network.graph.walk import traced

SEED = "reportgen_seed"
# Operations with a state that may be read in any order. A layer whose part has others is not cut out.
READING = frozenset({"ReadVariableOp", "Placeholder"})
SUM = "AddN"  # what TensorFlow adds up the gradients of a tensor with several readers with


@dataclass(frozen=True)
class _Part:
    """What one layer needs of the trace.

    forward, backward: graph definitions. entry: name of the tensor where the layer begins. passed: of those that the gradient reads.
    gradient: name of the gradient by the pictures.
    """

    forward: Any
    backward: Any
    entry: str
    passed: tuple[str, ...]
    gradient: str


class SharedTrace:
    """The network up to each of some layers, for batches of one shape, and the gradient of any function of what is there."""

    def __init__(
        self,
        entries: Callable[[Any], dict[str, Any]],
        shape: Sequence[int],
    ) -> None:
        """Trace the network.

        Args:
            entries: From float32 pictures of `shape` to the tensor at which each layer begins, by its path. Called inside a trace.
            shape: (n, *size, bands) of the pictures.
        """
        self._pictures = ""
        self._seeds: dict[str, str] = {}
        self._shapes: dict[str, Any] = {}
        self._entries: dict[str, str] = {}
        self._gradient: str | None = None
        self._parts: dict[str, _Part | None] = {}
        forward_operations = 0

        def read(pictures: Any) -> None:
            nonlocal forward_operations
            self._pictures = pictures.op.name
            found = {
                path: entry
                for path, entry in entries(pictures).items()
                if entry.shape.is_fully_defined() and entry.dtype.is_floating
            }
            forward_operations = len(pictures.graph.get_operations())
            self._entries = {path: entry.name for path, entry in found.items()}
            self._shapes = {path: entry.shape for path, entry in found.items()}
            seeds = [
                tf.identity(tf.fill(entry.shape, tf.ones((), entry.dtype)), name=f"{SEED}_{number}")
                for number, entry in enumerate(found.values())
            ]
            self._seeds = {path: seed.op.name for path, seed in zip(found, seeds, strict=True)}
            (gradient,) = tf.gradients(list(found.values()), [pictures], grad_ys=seeds)
            self._gradient = None if gradient is None else gradient.name

        graph = traced(read, tuple(shape))
        self._captured = {inside.op.name: outside for outside, inside in graph.captures}
        self._definition = graph.as_graph_def()
        operations = graph.get_operations()
        self._order = {operation.name: number for number, operation in enumerate(operations)}
        self._stateful = {
            operation.name for operation in operations if operation.op_def.is_stateful and operation.type not in READING
        }
        self._forward_operations = forward_operations

    def has(self, layer_call: LayerCall) -> bool:
        """Return whether a layer's part can be cut out."""
        return self._part(layer_call.path) is not None

    def enter(self, pictures: Any, layer_call: LayerCall) -> tuple[Any, Callable[[Any], Any]]:
        """Compute a layer's entry from pictures. Call inside a trace.

        Args:
            pictures: float32, of the shape of this trace.
            layer_call: One that `has` a part.

        Returns:
            The entry, and a function that returns, for the gradient of something by the entry, its gradient by the pictures.
        """
        path = layer_call.path
        part = self._part(path)
        assert part is not None
        given = self._given(pictures)
        wanted = [tensor for tensor in (part.entry, *part.passed) if tensor not in given]
        forward = tf.graph_util.import_graph_def(part.forward, _read(part.forward, given), wanted, name="")
        known = {**given, **dict(zip(wanted, forward, strict=True))}
        entry = known[part.entry]
        entry.set_shape(self._shapes[path])  # layers may have stated what TensorFlow does not infer

        def gradient(by_entry: Any) -> Any:
            read = {**known, f"{self._seeds[path]}:0": by_entry}
            if part.gradient in read:  # the layer sees the pictures themselves
                return read[part.gradient]
            (found,) = tf.graph_util.import_graph_def(
                part.backward, _read(part.backward, read), [part.gradient], name=""
            )
            found.set_shape(pictures.shape)
            return found

        return entry, gradient

    def _given(self, pictures: Any) -> dict[str, Any]:
        """What the trace is given, by the names that it has there: the pictures, weights and constants."""
        graph = pictures.graph
        captured = {f"{name}:0": graph.capture(value) for name, value in self._captured.items()}
        return {f"{self._pictures}:0": pictures, **captured}

    def _part(self, path: str) -> _Part | None:
        if path not in self._parts:
            self._parts[path] = self._cut(path)
        return self._parts[path]

    def _cut(self, path: str) -> _Part | None:
        """Cut a layer's part out of the trace; None where that cannot be done."""
        if path not in self._entries or self._gradient is None:
            return None
        kept = self._carrying(self._seeds[path])
        if kept is None:
            return None
        inputs, gradient = kept
        backward = self._needed([gradient], inputs, lambda name: self._order[name] >= self._forward_operations)
        read = {tensor for name in backward for tensor in inputs[name]} | {gradient}
        passed = sorted(
            tensor
            for tensor in read
            if self._order[_operation(tensor)] < self._forward_operations and _operation(tensor) not in self._outside
        )
        entry = self._entries[path]
        forward = self._needed([entry, *passed], self._inputs, lambda name: True)
        if self._stateful & {*forward, *backward}:
            return None
        return _Part(
            self._defined(forward, self._inputs), self._defined(backward, inputs), entry, tuple(passed), gradient
        )

    @cached_property
    def _nodes(self) -> dict[str, Any]:
        return {node.name: node for node in self._definition.node}

    @cached_property
    def _inputs(self) -> dict[str, tuple[str, ...]]:
        """The tensors that each operation reads, by its name."""
        return {
            name: tuple(_tensor(each) for each in node.input if each[0] != "^") for name, node in self._nodes.items()
        }

    @cached_property
    def _outside(self) -> set[str]:
        """The operations that stand for what the trace is given."""
        return {self._pictures, *self._captured}

    @cached_property
    def _backward(self) -> list[str]:
        """The operations of the gradient, each after those that it reads."""
        return list(self._order)[self._forward_operations :]

    @cached_property
    def _seeded(self) -> set[str]:
        """The operations of the gradient that depend on any seed."""
        found: set[str] = set()
        for name in self._backward:
            if name.startswith(SEED) or any(_operation(tensor) in found for tensor in self._inputs[name]):
                found.add(name)
        return found

    def _carrying(self, seed: str) -> tuple[dict[str, tuple[str, ...]], str] | None:
        """(the tensors that each operation reads where only one seed counts, the gradient by the pictures); None if none arrives.

        An operation that reads something of the seed and something of another than it, and is no sum, cannot be kept as it is.
        """
        carrying, mixed = {seed}, set()
        inputs, aliases = dict(self._inputs), dict[str, str]()
        for name in self._backward:
            if name not in self._seeded or name.startswith(SEED):
                continue
            tensors = [aliases.get(tensor, tensor) for tensor in self._inputs[name]]
            seeded = [tensor for tensor in tensors if _operation(tensor) in self._seeded]
            own = [tensor for tensor in seeded if _operation(tensor) in carrying]
            if not own:
                continue
            carrying.add(name)
            if len(own) == len(seeded):
                inputs[name] = tuple(tensors)
            elif self._nodes[name].op != SUM:
                mixed.add(name)
            elif len(own) == 1:
                aliases[f"{name}:0"] = own[0]
            else:
                inputs[name] = tuple(own)
        assert self._gradient is not None
        gradient = aliases.get(self._gradient, self._gradient)
        if _operation(gradient) not in carrying:
            return None
        if mixed and mixed & set(self._needed([gradient], inputs, lambda name: name in self._seeded)):
            return None
        return inputs, gradient

    def _needed(
        self, tensors: Iterable[str], inputs: dict[str, tuple[str, ...]], within: Callable[[str], bool]
    ) -> list[str]:
        """The operations that some tensors depend on as far as `within` says, in their order; seeds and what is given are no part."""
        found: set[str] = set()
        left = [_operation(tensor) for tensor in tensors]
        while left:
            name = left.pop()
            if name in found or name in self._outside or name.startswith(SEED) or not within(name):
                continue
            found.add(name)
            left += [_operation(tensor) for tensor in inputs[name]]
        return sorted(found, key=self._order.__getitem__)

    def _defined(self, names: Sequence[str], inputs: dict[str, tuple[str, ...]]) -> Any:
        """The graph definition of some operations that read these tensors."""
        definition = tf.compat.v1.GraphDef(versions=self._definition.versions, library=self._definition.library)
        for name in names:
            node = definition.node.add()
            node.CopyFrom(self._nodes[name])
            del node.input[:]
            node.input.extend(inputs[name])
            node.attr.pop("_class", None)  # names operations that may not be among them
            if node.op == SUM:
                node.attr["N"].i = len(inputs[name])
        return definition


def _read(definition: Any, known: dict[str, Any]) -> dict[str, Any]:
    """Those of `known` tensors that a graph definition reads: TensorFlow refuses others."""
    read = {tensor for node in definition.node for tensor in node.input}
    return {name: tensor for name, tensor in known.items() if name in read}


def _operation(tensor: str) -> str:
    return tensor.split(":", 1)[0]


def _tensor(stated: str) -> str:
    """An input as a graph definition states it, with its output number."""
    return stated if ":" in stated else f"{stated}:0"
