"""What a class's score is computed from: the score before softmax or sigmoid, the last maps before it, and its gradient by them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from math import prod
from typing import Any

import numpy as np

from reportgen.core.errors import UsageError, few
from reportgen.network.backend import keras, tf
from reportgen.network.error_text import one_line
from reportgen.network.graph.applied_kernels import read_variables
from reportgen.network.graph.hooks import Call
from reportgen.network.graph.layer_calls import LayerCall
from reportgen.network.graph.layer_kinds import POOLINGS
from reportgen.network.graph.map_layout import stored, stored_shape
from reportgen.network.graph.walk import traced
from reportgen.network.network import Network
from reportgen.network.outputs import TWO_CLASSES, logits

PASSING = frozenset({"Identity", "Cast"})
ELEMENTWISE = PASSING | {  # of which each value of the result follows from the values at its own position
    *("Add", "AddV2", "AddN", "Sub", "Mul", "BiasAdd", "Maximum"),
    *("Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Softplus", "Sigmoid", "Tanh"),
}
PROBABILITY_SUM = 1e-3  # how far from 1 the sum of probabilities may be in single or half precision


@dataclass(frozen=True)
class Head:
    """An output with one number per class.

    Attributes:
        name: None of a model with one output.
        place: among all outputs.
        count: of its numbers.
        classifies: whether they are known to be probabilities, by the softmax or sigmoid that they come from.
    """

    name: str | None
    place: int
    count: int
    classifies: bool


@dataclass(frozen=True)
class Place:
    """Maps that an output is computed from.

    Attributes:
        head: the output.
        path: of the layer.
        unit: path of the layer whose call returns the maps.
        layer: that layer, like `occurrence`, the number of the call.
        steps: operations outside of any layer that are followed behind what the call returns: additions, activation functions.
        times: lengths of the TimeDistributed layers around it.
        channels_first: how the layer keeps its maps.
        grid: positions on each spatial axis.
        channels: number of maps.
        above: the variables that only what follows the maps reads.
    """

    head: Head
    path: str
    unit: str
    layer: Any
    occurrence: int
    steps: int
    times: tuple[int, ...]
    channels_first: bool
    grid: tuple[int, ...]
    channels: int
    above: tuple[Any, ...]

    def tensor(self, calls: Iterable[Call]) -> Any:
        """Return the maps in the trace whose calls these are, in the layer's own order of axes."""
        output = next(call.output for call in calls if call.layer is self.layer and call.occurrence == self.occurrence)
        for _ in range(self.steps):
            output = output.consumers()[0].outputs[0]
        return output

    def stored(self, tensor: Any) -> Any:
        """Return maps, or their gradient, as float32 (n, *spatial, channels)."""
        return tf.cast(stored(tensor, self.times, self.channels_first), tf.float32)


def heads(network: Network) -> tuple[Head, ...]:
    """Return the outputs that have one number per class; of a model with several outputs those that return probabilities."""
    if network.heads:
        return tuple(Head(name, network.place_of(name), count, True) for name, count in network.classifying.items())
    if network.output is None:
        return ()
    return (Head(None, 0, network.output.channels, network.class_count is not None),)


class _Trace:
    """One trace of a model, and what depends on what in it."""

    def __init__(self, network: Network, found: Sequence[Head]) -> None:
        self.network = network
        self.scores: dict[int, Any] = {}
        self.calls: list[Call] = []
        outputs: list[Any] = []
        entry: list[Any] = []

        def trace(fed: Any) -> None:
            entry.append(fed)
            calls, output = network.whole_pass(fed)
            self.calls.extend(calls)
            outputs.extend(tf.nest.flatten(output))
            self.scores = {head.place: logits(outputs[head.place]) for head in found}

        contract = network.contract
        graph = traced(trace, (1, *contract.size, contract.bands))
        self.operations = graph.get_operations()
        self.order = {operation.name: place for place, operation in enumerate(self.operations)}
        self.fed = self.after(entry)
        handles = {inside: id(outside) for outside, inside in ((one, two) for one, two in _captures(graph))}
        kept = {id(weight.value.handle): weight for weight in network.model.weights if hasattr(weight.value, "handle")}
        self.variables = {name: kept[handle] for name, handle in handles.items() if handle in kept}

    def after(self, tensors: Sequence[Any]) -> set[str]:
        """Return the names of the operations that make `tensors`, and of all that depend on them."""
        found = {tensor.op.name for tensor in tensors}
        for operation in self.operations:
            if any(given.op.name in found for given in operation.inputs):
                found.add(operation.name)
        return found

    def before(self, operations: Iterable[Any], stop: Collection[str] = ()) -> set[str]:
        """Return the names of `operations` and of all that they depend on, but for those in `stop`."""
        found: set[str] = set()
        waiting = [operation for operation in operations if operation.name not in stop]
        while waiting:
            operation = waiting.pop()
            if operation.name not in found:
                found.add(operation.name)
                waiting += [
                    given.op for given in operation.inputs if given.op.name not in stop and given.op.name not in found
                ]
        return found

    def read_by(self, names: Collection[str]) -> list[Any]:
        """Return the variables among operations, in the order of the model's weights."""
        found = {id(self.variables[name]) for name in names if name in self.variables}
        return [weight for weight in self.network.model.weights if id(weight) in found]

    def above(self, tensor: Any, score: Any) -> tuple[Any, ...]:
        """Return the floating-point variables that lie between `tensor` and `score`, and nowhere before it."""
        between = self.after([tensor]) & self.before([score.op])
        sides = [
            given.op
            for operation in self.operations
            if operation.name in between and operation.name != tensor.op.name
            for given in operation.inputs
            if given.op.name not in self.fed
        ]
        earlier = {id(weight) for weight in self.read_by(self.before([tensor.op]))}
        return tuple(
            weight
            for weight in self.read_by(self.before(sides, self.fed))
            if id(weight) not in earlier and np.issubdtype(tf.as_dtype(weight.dtype).as_numpy_dtype, np.inexact)
        )


def _captures(graph: Any) -> Iterable[tuple[Any, str]]:
    """Yield each captured tensor with the name of the operation that stands for it."""
    names = read_variables(graph)
    return [(outside, names[id(outside)]) for outside, _ in graph.captures]


def find_places(network: Network, globs: Sequence[str]) -> tuple[tuple[Place, ...], tuple[str, ...]]:
    """Find the maps that attribution maps are made of, for each output that has classes.

    Without `globs` these are the last maps with the positions of the last convolution unit that has more than one: behind it, what keeps
    its positions is followed, such as the addition that ends a residual block, so that nothing passes beside them.

    Args:
        network: the model.
        globs: of paths, convolutions only; an exact path may name any layer whose maps have the input's spatial axes.

    Returns:
        The places, those of each output in the order in which data meets them, and a sentence on each thing that has none.

    Raises:
        UsageError: a glob matches nothing that can be attributed to.
    """
    found = heads(network)
    if not found:
        return (), ("There are no attribution maps: the model's output is not one number per class.",)
    try:
        trace = _Trace(network, found)
    except Exception as error:
        return (), (f"There are no attribution maps: the model cannot be traced to its end ({one_line(error)}).",)
    places: list[Place] = []
    notes: list[str] = []
    matched: set[str] = set()
    for head in found:
        of_head = "" if head.name is None else f" of output {head.name}"
        score = trace.scores[head.place]
        candidates = _candidates(trace, score)
        if globs:
            chosen = [one for one in candidates if _is_named(one, globs)]
            matched |= {glob for glob in globs for one in chosen if _is_named(one, [glob])}
        else:
            chosen = _last(trace, candidates)
        if not chosen:
            notes.append(
                f"There are no attribution maps{of_head}: no convolution with more than one position leads to its classes."
            )
        places += [_place(trace, head, one, score) for one in chosen]
    unmatched = [glob for glob in globs if glob not in matched]
    if unmatched:
        raise UsageError(
            f"--attribution-layers {unmatched[0]} matches no layer whose maps lead to a class; "
            f"there are {few([each.path for each in network.layer_calls if each.unit is not None])}."
        )
    return tuple(places), tuple(notes)


@dataclass(frozen=True)
class _Candidate:
    """A tensor of maps. convolves: whether it is the unit of a convolution. steps: see `Place`."""

    path: str
    unit: str
    call: Call
    tensor: Any
    grid: tuple[int, ...]
    channels: int
    channels_first: bool
    convolves: bool
    steps: int = 0


def _is_named(candidate: _Candidate, globs: Sequence[str]) -> bool:
    return any(candidate.path == glob or (candidate.convolves and fnmatchcase(candidate.path, glob)) for glob in globs)


def _candidates(trace: _Trace, score: Any) -> list[_Candidate]:
    """All maps of the input's spatial axes on the way to a score, in the order in which data meets them; each tensor once."""
    network, leading = trace.network, trace.before([score.op]) & trace.fed
    units = [layer_call for layer_call in network.layer_calls if layer_call.unit is not None]
    found: dict[str, _Candidate] = {}
    for layer_call in units:
        if not layer_call.is_pooling:
            one = _of_unit(trace, layer_call)
            if one is not None and one.tensor.op.name in leading:
                found.setdefault(one.path, one)
    taken = {one.tensor.name for one in found.values()}
    first = {id(layer_call.layer): layer_call.channels_first for layer_call in units}
    for call in trace.calls:
        tensor, path = call.output, network.path_of(call.layer, call.occurrence)
        if not tf.is_tensor(tensor) or tensor.graph is not score.graph or path in found or tensor.name in taken:
            continue
        stated = getattr(call.layer, "data_format", None)
        channels_first = first.get(
            id(call.layer), network.takes_channels_first if stated is None else stated == "channels_first"
        )
        one = _candidate(path, path, call, tensor, channels_first, False, network.contract.rank)
        if one is not None and tensor.op.name in leading:
            found[path] = one
            taken.add(tensor.name)
    return sorted(found.values(), key=lambda one: trace.order[one.tensor.op.name])


def _of_unit(trace: _Trace, layer_call: LayerCall) -> _Candidate | None:
    unit = layer_call.unit
    assert unit is not None
    call = next((call for call in trace.calls if unit.is_end(call)), None)
    if call is None or not tf.is_tensor(call.output):
        return None
    tensor, steps = call.output, 0
    if unit.function is not None and len(tensor.consumers()) == 1 and len(tensor.consumers()[0].outputs) == 1:
        following = tensor.consumers()[0].outputs[0]
        if following.shape.as_list() == tensor.shape.as_list():
            tensor, steps = following, 1
    rank, first = trace.network.contract.rank, layer_call.channels_first
    return _candidate(layer_call.path, layer_call.unit_path, call, tensor, first, True, rank, steps)


def _candidate(
    path: str, unit: str, call: Call, tensor: Any, channels_first: bool, convolves: bool, rank: int, steps: int = 0
) -> _Candidate | None:
    """None where the tensor has other axes than maps of the input, or a single position."""
    if tensor.shape.rank is None or tensor.shape.rank + len(call.times) != rank + 2 or not tensor.dtype.is_floating:
        return None
    *grid, channels = stored_shape(tensor, call.times, channels_first)
    if None in (*grid, channels) or prod(grid) < 2:
        return None
    return _Candidate(path, unit, call, tensor, tuple(grid), channels, channels_first, convolves, steps)


def _last(trace: _Trace, candidates: Sequence[_Candidate]) -> list[_Candidate]:
    """The last maps that have the positions of the last convolution unit and follow from it."""
    convolutions = [one for one in candidates if one.convolves]
    if not convolutions:
        return []
    end = convolutions[-1]
    following = trace.after([end.tensor])
    same = [
        one
        for one in candidates
        if one.grid == end.grid
        and one.call.times == end.call.times
        and one.tensor.op.name in following
        and not isinstance(one.call.layer, POOLINGS)
    ]
    return [_followed(same[-1])]


def _followed(one: _Candidate) -> _Candidate:
    """The maps after the elementwise operations outside of any layer that alone read them, as `x + shortcut` in a model's own code."""
    tensor, steps, kinds = one.tensor, one.steps, list[str]()
    while len(tensor.consumers()) == 1 and tensor.consumers()[0].type in ELEMENTWISE:
        operation = tensor.consumers()[0]
        if operation.outputs[0].shape.as_list() != tensor.shape.as_list():
            break
        tensor, steps = operation.outputs[0], steps + 1
        kinds += [operation.type] if operation.type not in PASSING else []
    if not kinds:
        return one
    return replace(one, tensor=tensor, steps=steps, unit=f"{one.unit}, then {', '.join(kinds)}")


def _place(trace: _Trace, head: Head, one: _Candidate, score: Any) -> Place:
    return Place(
        head,
        one.path,
        one.unit,
        one.call.layer,
        one.call.occurrence,
        one.steps,
        one.call.times,
        one.channels_first,
        one.grid,
        one.channels,
        trace.above(one.tensor, score),
    )


@dataclass(frozen=True)
class Seen:
    """One pass of an input with its gradient.

    Attributes:
        maps: float32 (*grid, channels).
        gradient: of a class's score by the maps, of the same shape.
        score: of the class.
    """

    maps: np.ndarray
    gradient: np.ndarray
    score: float


class ScoreReader:
    """Computes scores of one output, and their gradients by the maps of one place, with any values of the variables above."""

    def __init__(self, network: Network, place: Place, batch: int) -> None:
        """Trace nothing yet.

        Args:
            network: the model, which is never changed: other weights are arguments of its trace.
            place: of the maps.
            batch: number of inputs of `outputs` that are computed together, always the same, so that none depends on its neighbors.
        """
        self.place, self.batch = place, batch
        self._network = network
        self.as_logarithm = False
        self.kept = tuple(tf.convert_to_tensor(weight) for weight in place.above)
        shape = (*network.contract.size, network.contract.bands)
        self.feed = tf.function(network.fed, input_signature=[tf.TensorSpec((1, *shape), tf.float32)], autograph=False)
        self.forget()

    def forget(self) -> None:
        """Trace anew at the next call: after `as_logarithm` was set, which makes the score the logarithm of the output."""
        self._gradients = tf.function(self._gradient, autograph=False)
        self._forward = tf.function(self._scores, autograph=False)

    def _observed(self, fed: Any, weights: Sequence[Any]) -> tuple[list[Call], Any]:
        with keras.StatelessScope(state_mapping=list(zip(self.place.above, weights, strict=True))):
            calls, output = self._network.whole_pass(fed)
        return calls, tf.nest.flatten(output)[self.place.head.place]

    def _gradient(self, fed: Any, number: Any, weights: Sequence[Any]) -> tuple[Any, Any, Any]:
        calls, output = self._observed(fed, weights)
        tensor = self.place.tensor(calls)
        score = tf.gather(self._score(output), number, axis=1)
        gradient = tf.gradients(score, tensor)[0]
        if gradient is None:
            gradient = tf.zeros_like(tensor)
        return self.place.stored(tensor), self.place.stored(gradient), tf.cast(score, tf.float32)

    def _score(self, output: Any) -> Any:
        own = logits(output)
        return tf.math.log(output) if self.as_logarithm and own is output else own

    def _scores(self, fed: Any, weights: Sequence[Any]) -> tuple[Any, Any]:
        _, output = self._observed(fed, weights)
        return tf.cast(self._score(output), tf.float32), tf.cast(output, tf.float32)

    def seen(self, fed: Any, number: int, weights: Sequence[Any] | None = None) -> Seen:
        """Return the maps on an input and the gradient of a class's score by them.

        Args:
            fed: (1, *size, channels), as the model is fed.
            number: of the class.
            weights: values for the variables above the maps; their own where None.
        """
        maps, gradient, score = self._gradients(
            fed, tf.constant(number), self.kept if weights is None else tuple(weights)
        )
        return Seen(np.asarray(maps)[0], np.asarray(gradient)[0], float(np.asarray(score)[0]))

    def outputs(self, fed: np.ndarray, weights: Sequence[Any] | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return (scores, outputs) of inputs, both float32 (n, classes).

        Args:
            fed: (n, *size, channels), as the model is fed.
            weights: as for `seen`.
        """
        given = self.kept if weights is None else tuple(weights)
        scores: list[np.ndarray] = []
        outputs: list[np.ndarray] = []
        for start in range(0, len(fed), self.batch):
            part = fed[start : start + self.batch]
            padded = np.concatenate([part, np.repeat(part[-1:], self.batch - len(part), axis=0)])
            found = self._forward(tf.constant(padded, tf.float32), given)
            for values, each in zip((scores, outputs), found, strict=True):
                values.append(np.asarray(each)[: len(part)])
        return np.concatenate(scores), np.concatenate(outputs)


def are_probabilities(outputs: np.ndarray) -> bool:
    """Return whether outputs (n, classes) are probabilities of classes that exclude each other: none negative, with a sum of 1."""
    return bool(
        outputs.shape[-1] >= TWO_CLASSES
        and np.isfinite(outputs).all()
        and (outputs >= 0).all()
        and (np.abs(outputs.sum(axis=-1) - 1) < PROBABILITY_SUM).all()
    )
