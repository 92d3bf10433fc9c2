"""One trace of a model at the images' size, and everything that its graph tells before anything is computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

from reportgen.core.axes import RGB_CHANNELS, ChannelOrder, readable_shape
from reportgen.core.errors import ModelError
from reportgen.core.records import InputContract
from reportgen.network.backend import keras, tf
from reportgen.network.error_text import one_line
from reportgen.network.graph.applied_kernels import kernel_note, read_variables
from reportgen.network.graph.channels import Channels
from reportgen.network.graph.diagram import diagram
from reportgen.network.graph.hooks import Call
from reportgen.network.graph.input_views import CONVOLVING, TRANSPOSING, View, whole_input
from reportgen.network.graph.layer_calls import LayerCall, unreached
from reportgen.network.graph.layer_kinds import CONVOLUTIONS, POOLINGS
from reportgen.network.graph.map_layout import stored_shape, varying
from reportgen.network.graph.paths import path_of
from reportgen.network.graph.receptive_fields import Geometry
from reportgen.network.graph.units import Unit, find_unit, own_unit
from reportgen.network.outputs import class_count, has_classes, heads

layers = keras.layers
RECURRENT = (layers.ConvLSTM1D, layers.ConvLSTM2D, layers.ConvLSTM3D)
LEARNED = (
    *CONVOLUTIONS,
    layers.RNN,
    layers.Dense,
    layers.EinsumDense,
)  # their output is no longer scaled input
MOST_AXES = 3  # spatial axes, time inside a TimeDistributed among them, that maps can be drawn along
HIDDEN = "it runs inside a graph function of its own, where its calls cannot be recorded"
RECURRING = "it convolves step by step inside a recurrence; name its path with --layers to see its output"
INDEPENDENT = "it does not depend on the primary input"
UNCALLED = "the model never calls it"
EMPTY = "its maps have no positions at this size of the input"
FLAT = "its output has no spatial axis, so there is no map to draw"
OUTPUT_NAMES = ("logits", "model/logits", "model/outputs/logits")
WHOLE_INPUT = "the whole input: these are the model's outputs"
Run = Callable[[Any, Callable[[Call], bool], list[Call]], Any]  # (inputs, is_last, calls) of `run_until`


class Walk:
    """What one trace tells of a model.

    layer_calls: of every layer that is covered, in the order in which data meets them, those that cannot be measured last, with the reason.
    misfit: why the model does not run to its end at this size; None where it does. output: the model's classes as a layer call, None where
    its output is not one number per class. class_count: number of class probabilities, None where the output is something else. heads:
    positions of the outputs with one number per class among several, by name; head_outputs: the same as layer calls; classifying: (name,
    position) of those of them that are probabilities. diagram: how data flows. before: the layers that were called before `entrance`, the
    first call that mixes the input by learned weights; None where there is no such call.
    """

    def __init__(
        self,
        model: Any,
        named: Mapping[int, tuple[str, Any]],
        run: Run,
        contract: InputContract,
        covered: tuple[Any, ...],
        wanted: Sequence[str],
        takes_channels_first: bool,
    ) -> None:
        """Trace the model.

        Args:
            model: the Keras model.
            named: its layers by id, as `named_layers` returns them.
            run: calls the model, see `run_until`.
            contract: of the input.
            covered: classes of layers whose calls are found.
            wanted: paths of any others.
            takes_channels_first: whether the model itself takes (channels, height, width).

        Raises:
            ModelError: the model cannot be traced.
        """
        self._named, self._contract, self._wanted = named, contract, frozenset(wanted)
        self._takes_channels_first = takes_channels_first
        self._calls: list[Call] = []
        outputs: list[Any] = []
        entry: list[Any] = []
        failure: list[Exception] = []
        self.heads: dict[str, int] = {}

        def trace(pictures: Any) -> None:  # nothing is returned: a returned tensor would count as one more consumer
            entry.append(pictures)
            try:
                result = run(pictures, never, self._calls)
                outputs.extend(tf.nest.flatten(result))
                self.heads = heads(model, result)
            except Exception as error:  # what was reached before is still true
                failure.append(error)

        try:
            self._graph = traced(trace, (1, *contract.size, contract.bands))
        except Exception as error:
            raise ModelError(f"the model cannot be traced ({one_line(error)}).") from error
        empty = next(
            (
                call
                for call in self._calls
                if isinstance(call.layer, (*CONVOLUTIONS, *POOLINGS)) and is_empty(call.output)
            ),
            None,
        )
        self.misfit = one_line(failure[0]) if failure else None if empty is None else f"{self._path(empty)}: {EMPTY}"
        self._geometry = Geometry(self._graph, {entry[0].name: whole_input(contract.rank)})
        self._operations = self._graph.get_operations()
        self._positions = {operation.name: index for index, operation in enumerate(self._operations)}
        self._variables = read_variables(self._graph)
        self._channels = Channels(self._graph, entry[0], self._calls, lambda *call: path_of(named, *call))
        convolving = self._own_convolutions()
        met = [
            self._layer_call(call)
            for number, call in enumerate(self._calls)
            if isinstance(call.layer, covered) or number in convolving or self._path(call) in self._wanted
        ]
        stopped = f"the model stopped before it ({one_line(failure[0])})" if failure else None
        self.layer_calls = [*sorted(self._resolved(met, run), key=_order), *self._missed(met, covered, stopped)]
        self.output = self._output_call(model, outputs) if len(outputs) == 1 else None
        self.class_count = class_count(outputs)
        self.classifying = [
            (name, place) for name, place in self.heads.items() if class_count(outputs[place : place + 1]) is not None
        ]
        self.head_outputs = {name: self._output_call(model, outputs, place) for name, place in self.heads.items()}
        self.diagram = diagram(
            self._graph, entry[0], self._calls, outputs, CONVOLUTIONS, lambda *call: path_of(named, *call)
        )
        order = sorted(filter(self._depends, self._calls), key=lambda call: call.first_operation)
        first = next((index for index, call in enumerate(order) if isinstance(call.layer, LEARNED)), len(order))
        self.before = [call.layer for call in order[:first]]
        self.entrance = order[first] if first < len(order) else None

    def _own_convolutions(self) -> set[int]:
        """Find the calls, by their numbers, of layers of the user's own that convolve with weights of theirs by TensorFlow's operations."""
        found = set()
        for at, operation in enumerate(self._operations):
            if operation.type in CONVOLVING | TRANSPOSING:
                around = (
                    number
                    for number, call in enumerate(self._calls)
                    if call.first_operation <= at < call.last_operation
                )
                innermost = next(around, None)  # which finishes before those around it
                if innermost is not None and _may_convolve(self._calls[innermost].layer):
                    found.add(innermost)
        return found

    def _path(self, call: Call) -> str:
        """Return the path of a call."""
        return path_of(self._named, call.layer, call.occurrence)

    def _is_reached(self, call: Call) -> bool:
        """Return whether the call returned a tensor of this very graph."""
        return bool(tf.is_tensor(call.output) and call.output.graph is self._graph)

    def _depends(self, call: Call) -> bool:
        """Return whether the call's output depends on the primary input."""
        return self._is_reached(call) and self._geometry.depends(call.output)

    def _missed(self, met: Sequence[LayerCall], covered: tuple[Any, ...], stopped: str | None) -> list[LayerCall]:
        """Make layer calls for covered layers that were not called. stopped: why the model did not run to its end, None where it did."""
        reached = {id(layer_call.layer) for layer_call in met}
        used = {id(outside) for outside, _ in self._graph.captures}
        missed = []
        for path, layer in self._named.values():
            if isinstance(layer, covered) and id(layer) not in reached:
                hidden = any(id(weight.value.handle) in used for weight in layer.weights)
                reason = HIDDEN if hidden else UNCALLED if stopped is None else stopped
                missed.append(unreached(path, layer, reason, failed=not hidden and stopped is not None))
        return missed

    def _output_call(self, model: Any, outputs: Sequence[Any], place: int = 0) -> LayerCall | None:
        """Return the output at a position among all as a layer call; None where it is not one number per class."""
        if not has_classes(outputs[place : place + 1]):
            return None
        taken = {path for path, _ in self._named.values()}
        path = next(name for name in OUTPUT_NAMES if name not in taken)
        costs = self._geometry.costs(len(self._positions))
        shape = (1, 1, int(outputs[place].shape[-1]))
        view = View(None, WHOLE_INPUT, False)
        return LayerCall(
            path, model, 1, Unit(model, 1, "linear"), path, view, costs, shape, None, None, True, place=place
        )

    def _obstacle(self, call: Call) -> str | None:
        """Return why a call cannot be measured; None where it can."""
        if not self._is_reached(call):
            return HIDDEN
        if isinstance(call.layer, RECURRENT) and self._path(call) not in self._wanted:
            return RECURRING
        spatial = (call.output.shape.rank or 0) - 2 + len(call.times)
        if spatial < 1:
            return FLAT
        if spatial > MOST_AXES:
            shape = readable_shape(call.output.shape[1:])
            return f"its output of {shape} has {spatial} spatial axes; up to {MOST_AXES} are drawn"
        if not self._depends(call):
            return INDEPENDENT
        return EMPTY if is_empty(call.output) else None

    def _layer_call(self, call: Call) -> LayerCall:
        """Find everything that is known of a call."""
        obstacle = self._obstacle(call)
        if obstacle is not None:
            return unreached(self._path(call), call.layer, obstacle, failed=obstacle == EMPTY)
        convolves, contract = isinstance(call.layer, CONVOLUTIONS), self._contract
        if isinstance(call.layer, POOLINGS):
            unit = Unit(call.layer, call.occurrence, "linear", pooling=True)
        else:
            unit = find_unit(call, self._calls, self._positions) if convolves else own_unit(call)
        end = next(other for other in self._calls if unit.is_end(other))
        view = self._geometry.view(end.output)
        channels_first = self._keeps_channels_first(call.layer, view)
        on_colours = convolves and contract.is_picture and contract.bands == RGB_CHANNELS
        colour = on_colours and self._geometry.view(call.input).colour
        return LayerCall(
            path=self._path(call),
            layer=call.layer,
            occurrence=call.occurrence,
            unit=unit,
            unit_path=path_of(self._named, unit.layer, unit.occurrence),
            view=view,
            costs=self._geometry.costs(end.last_operation),
            output_shape=stored_shape(end.output, end.times, channels_first),
            kernel_bands=ChannelOrder.RGB if colour else None,
            reason=None,
            varies=varying(view, end, contract, channels_first),
            times=len(end.times),
            pieces=end.pieces,
            channels_first=channels_first,
            kernel_note=kernel_note(call, self._variables, self._operations) if convolves else None,
            channel_runs=self._channels.runs(call, channels_first) if convolves else None,
        )

    def _keeps_channels_first(self, layer: Any, view: View) -> bool:
        """Return whether a layer keeps channels after the batch: as it states, else where the input's own axes leave room for them."""
        stated = getattr(layer, "data_format", None)
        if stated is not None:
            return bool(stated == "channels_first")
        if view.axes is None:
            return self._takes_channels_first
        return bool(view.places) and min(view.places) == 2

    def _resolved(self, layer_calls: list[LayerCall], run: Run) -> list[LayerCall]:
        """Find by a second trace without sizes which axes follow from the input's, where the receptive field does not tell."""
        contract = self._contract
        dynamic = None in contract.shape[:-1]
        if not (
            dynamic and any(layer_call.unit is not None and layer_call.view.axes is None for layer_call in layer_calls)
        ):
            return layer_calls
        calls: list[Call] = []

        def trace(pictures: Any) -> None:
            run(pictures, never, calls)

        try:
            traced(trace, (1, *contract.shape))
        except Exception:  # a model that needs a size: then what is known stands
            return layer_calls
        shapes = {(id(call.layer), call.occurrence): call for call in calls if tf.is_tensor(call.output)}
        resolved = []
        for layer_call in layer_calls:
            end = (
                None if layer_call.unit is None else shapes.get((id(layer_call.unit.layer), layer_call.unit.occurrence))
            )
            if end is not None and layer_call.view.axes is None and end.times == () and layer_call.times == 0:
                shape = stored_shape(end.output, (), layer_call.channels_first)
                layer_call = replace(layer_call, varies=tuple(length is None for length in shape))
            resolved.append(layer_call)
        return resolved


def _may_convolve(layer: Any) -> bool:
    """Whether a layer is of a class of the user's own and has weights that a convolution may have as its kernel."""
    known = (
        isinstance(layer, (keras.Model, *CONVOLUTIONS, *RECURRENT))
        or type(layer).__module__.partition(".")[0] == "keras"
    )
    return not known and any(len(weight.shape) > 2 for weight in layer.weights)


def _order(layer_call: LayerCall) -> tuple[bool, bool, int]:
    """Return the sort key of a layer call, stable in the order of calls: no receptive field is smaller than one before it."""
    field = layer_call.receptive_field
    return layer_call.unit is None, field is None, 0 if field is None else prod(field)


def is_empty(tensor: Any) -> bool:
    """Return whether a layer's output is a tensor without any position."""
    return bool(tf.is_tensor(tensor)) and tensor.shape.rank is not None and 0 in tensor.shape.as_list()


def never(call: Call) -> bool:
    """Return False for every call: the model is run to its end."""
    return False


def traced(trace: Callable[[Any], None], shape: tuple[int | None, ...]) -> Any:
    """Return the graph of `trace` for a float32 input of `shape`.

    It is only looked at. To make it a function that can run would take TensorFlow a fifth of the time again.
    """
    graph = tf.__internal__.FuncGraph("trace")
    with graph.as_default():
        trace(tf.compat.v1.placeholder(tf.float32, shape))
    return graph
