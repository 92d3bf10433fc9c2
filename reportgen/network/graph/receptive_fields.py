"""Receptive fields and costs: a walk through a traced graph from the input on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from reportgen.core.axes import filter_shape
from reportgen.network.backend import tf
from reportgen.network.graph.input_views import CONVOLVING, TRANSPOSING, View, after, kernel_kind_of, repeated
from reportgen.network.graph.kept_tensors import KeptTensors, size_of

CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
FLOAT_BYTES = 4


@dataclass(frozen=True)
class Costs:
    """The forward pass of one image up to an operation, with float32 tensors.

    macs: multiplications. tensor_bytes: of all tensors made on the way. kept_bytes: of those that the gradient with respect to the input
    needs. largest_bytes: of the largest one on the way.
    """

    macs: int = 0
    tensor_bytes: int = 0
    kept_bytes: int = 0
    largest_bytes: int = 0

    def with_more(self, other: Costs) -> Costs:
        """Return the costs of this pass and what follows it."""
        return Costs(
            self.macs + other.macs,
            self.tensor_bytes + other.tensor_bytes,
            self.kept_bytes + other.kept_bytes,
            max(self.largest_bytes, other.largest_bytes),
        )


class Geometry:
    """The views and costs of one traced graph of a model."""

    def __init__(self, graph: Any, views: Mapping[str, View]) -> None:
        """Walk through the graph.

        Args:
            graph: of the trace.
            views: of the graph's inputs, by tensor name; that of the model's input is `whole_input`.
        """
        self._views = dict(views)
        self._costs: list[Costs] = [Costs()]
        self._kept = KeptTensors(graph, self.depends)
        for operation in graph.get_operations():
            body = body_of(operation)
            if body is None:
                self._visit(operation)
                self._count(operation)
            else:
                self._enter(operation, body)

    def view(self, tensor: Any) -> View:
        """Return the view of a tensor of the graph."""
        return self._views.get(tensor.name, View(None, "it does not depend on the input", False))

    def depends(self, tensor: Any) -> bool:
        """Return whether a tensor of the graph depends on the input at all."""
        return tensor.name in self._views

    def costs(self, operation_count: int) -> Costs:
        """Return the costs of the graph's first `operation_count` operations."""
        return self._costs[min(operation_count, len(self._costs) - 1)]

    def _visit(self, operation: Any) -> None:
        """Find the view of an operation's outputs."""
        if any(output.name in self._views for output in operation.outputs):
            return  # the model's input itself
        seen = [(tensor, self._views[tensor.name]) for tensor in operation.inputs if tensor.name in self._views]
        if not seen:
            return
        view = self._composed(operation)
        if view is None:
            view = after(operation, seen)
        for output in operation.outputs:
            self._views[output.name] = view

    def _composed(self, operation: Any) -> View | None:
        """Return the view after the last of several operations that are known as one; None where `operation` is no such end."""
        repetition = _repetition(operation)
        if repetition is not None:
            source = self.view(repetition.source)
            if source.axes is not None and repetition.axis in source.places:
                return repeated(source, repetition.axis, repetition.factor)
        mixed = _pointwise(operation)
        if mixed is not None:
            source = self.view(mixed)
            if source.axes is not None and mixed.shape.rank - 1 not in source.places:
                return replace(source, colour=False)
        return None

    def _count(self, operation: Any) -> None:
        """Add the costs of an operation."""
        sizes = [size_of(tensor, FLOAT_BYTES) for tensor in operation.outputs if tensor.dtype.is_floating]
        kept = [size_of(tensor, FLOAT_BYTES) for tensor in self._kept.added(operation)]
        self._add(Costs(_macs(operation), sum(sizes), sum(kept), max(sizes, default=0)))

    def _add(self, costs: Costs) -> None:
        self._costs.append(self._costs[-1].with_more(costs))

    def _enter(self, operation: Any, body: Any) -> None:
        """Walk through a function that the graph calls: Keras compiles grouped convolutions as one."""
        pairs = list(zip(body.inputs, operation.inputs, strict=True))
        inner = Geometry(body, {own.name: self._views[given.name] for own, given in pairs if given.name in self._views})
        for own, returned in zip(operation.outputs, body.outputs, strict=True):
            if returned.name in inner._views:
                self._views[own.name] = inner.view(returned)
        self._add(inner._costs[-1])


def body_of(operation: Any) -> Any | None:
    """Return the graph of the function that `operation` calls; None where it calls none."""
    if operation.type not in CALLS:
        return None
    return operation.graph._get_function(operation.get_attr("f").name).graph


def _macs(operation: Any) -> int:
    """Return the number of multiplications of an operation."""
    if operation.type in CONVOLVING | TRANSPOSING:
        filters, inputs, *taps = filter_shape(kernel_kind_of(operation), operation.inputs[1].shape.as_list())
        if operation.type in CONVOLVING:
            return int(inputs * prod(taps) * (operation.outputs[0].shape.num_elements() or 0))
        return int(filters * prod(taps) * (operation.inputs[2].shape.num_elements() or 0))
    if operation.type == "MatMul":
        inner = operation.inputs[0].shape[0 if operation.get_attr("transpose_a") else 1]
        return (inner or 0) * (operation.outputs[0].shape.num_elements() or 0)
    return 0


def _pointwise(operation: Any) -> Any | None:
    """Return the tensor whose last axis alone is mixed where `operation` ends a dense layer on maps: folded, multiplied, unfolded."""
    product = operation.inputs[0].op if operation.type == "Reshape" else operation
    rows = product.inputs[0].op if product.type == "MatMul" else product
    if product is operation or rows is product or rows.type != "Reshape" or product.get_attr("transpose_a"):
        return None
    source, result = rows.inputs[0], operation.outputs[0]
    known = source.shape.as_list() if source.shape.rank is not None else [None]
    folded = product.inputs[0].shape.as_list()
    if None in known or result.shape.rank != len(known) or folded != [prod(known[:-1]), known[-1]]:
        return None
    return source if result.shape.as_list() == [*known[:-1], product.outputs[0].shape[-1]] else None


@dataclass(frozen=True)
class _Repetition:
    """Every position of `source` along `axis`, repeated `factor` times in a row."""

    source: Any
    axis: int
    factor: int


def _repetition(operation: Any) -> _Repetition | None:
    """Return the repetition that `operation` ends, as `tf.repeat` is made of: an axis added after another, tiled, and folded into it."""
    tile = operation.inputs[0].op if operation.type == "Reshape" else operation
    expand = tile.inputs[0].op if tile.type == "Tile" else tile
    added = tf.get_static_value(expand.inputs[1]) if expand.type == "ExpandDims" else None
    if tile is operation or added is None or int(added) < 1:
        return None
    source, axis, factor = expand.inputs[0], int(added) - 1, tile.outputs[0].shape[int(added)]
    tiled, folded = expand.outputs[0].shape.as_list(), source.shape.as_list()
    if len(folded) != len(operation.outputs[0].shape) or None in (*folded, factor):
        return None
    tiled[axis + 1] = factor
    folded[axis] *= factor
    whole = tile.outputs[0].shape.as_list() == tiled and operation.outputs[0].shape.as_list() == folded
    return _Repetition(source, axis, factor) if whole else None
