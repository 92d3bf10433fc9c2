"""A user's model, walked once: its convolution layers in the order data meets them, ready to be tapped in any later trace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from reportgen.errors import ModelError, UsageError
from reportgen.network import scaling
from reportgen.network.arguments import Arguments, signature, taken_as_floats
from reportgen.network.contract import as_shown, input_shape, make_contract, make_feed
from reportgen.network.diagram import diagram
from reportgen.network.geometry import Costs, Geometry
from reportgen.network.hashes import weights_sha256
from reportgen.network.head import can_select, finite_weights, selected
from reportgen.network.kernels import CONVOLUTIONS, POOLINGS, as_numpy
from reportgen.network.layout import bands_first, bands_moved, stored, stored_shape, varying
from reportgen.network.load import Loaded
from reportgen.network.names import named_layers
from reportgen.network.quiet import keras, tf
from reportgen.network.scaling import COLOUR_BANDS, EIGHT_BIT_MAXIMUM, Scaling
from reportgen.network.sentences import one_line
from reportgen.network.tap import Call, run_until
from reportgen.network.units import Unit, find_unit, own_unit
from reportgen.network.views import View, whole_input
from reportgen.records import HeldInput, HeldRecord, InputContract, ModelInput
from reportgen.settings import Settings

layers = keras.layers
RECURRENT = (layers.ConvLSTM1D, layers.ConvLSTM2D, layers.ConvLSTM3D)
MOST_AXES = 3  # spatial axes, time inside a TimeDistributed among them, that maps can be drawn along
CLASSIFIER_RANK = 2  # batch, classes
HIDDEN = "it runs inside a graph function of its own, where it cannot be watched"
RECURRING = "it convolves step by step inside a recurrence; name its path with --layers to see what it answers"
PROBE_SIDE = 64  # pixels, of pictures that ask a model of any size how it scales them: any size tells that
UNSCALED = Scaling("none", "not known before the model is walked", None)
APART = "it does not depend on the input that is looked at"
PROBABILITY_OPERATIONS = frozenset({"Softmax", "Sigmoid"})
LOGARITHMS = frozenset({"LogSoftmax"})
UNCHANGED = frozenset({"Identity", "Cast", "Reshape", "Squeeze"})  # operations that only pass the numbers on
OUTPUT_NAMES = ("logits", "model/logits", "model/outputs/logits")
WHOLE_INPUT = "the whole input: these are the model's outputs"


@dataclass(frozen=True)
class Site:
    """One call of one convolution layer, as found while walking.

    unit: where its filters are looked at; None with `reason` where that cannot be. view, costs: of the unit, traced at the images' size.
    output_shape: of the unit without batch, channels last, at that size. varies: for each axis of it whether its length follows from one
    of the input's that is dynamic. times: how many of its axes, the first ones, are time inside a TimeDistributed. channels_first: how
    the layer itself keeps its maps. is_output: not a layer but the model's own output before softmax or sigmoid, one position with a
    channel a class.
    """

    path: str
    layer: Any
    occurrence: int
    unit: Unit | None
    unit_path: str
    view: View
    costs: Costs
    output_shape: tuple[int, ...] | None
    kernel_bands: str | None
    reason: str | None
    is_output: bool = False
    varies: tuple[bool, ...] = ()
    times: int = 0
    channels_first: bool = False

    @property
    def is_pooling(self) -> bool:
        """Whether the layer pools."""
        return isinstance(self.layer, POOLINGS)

    @property
    def receptive_field(self) -> tuple[int, ...] | None:
        """Input pixels per spatial axis of the input; None where it cannot be stated."""
        return None if self.view.axes is None else tuple(axis.size for axis in self.view.axes)

    @property
    def channels(self) -> int:
        """Number of filters; 0 where the output is not known."""
        return 0 if self.output_shape is None else self.output_shape[-1]


class Network:
    """The model with its input contract and its sites. The model itself is never changed."""

    def __init__(self, loaded: Loaded, settings: Settings, held: Sequence[HeldInput] = ()) -> None:
        """Walk the model. held: what its other inputs are held at, zero where not given.

        Raises ModelError or UsageError where it cannot be walked or fed.
        """
        self.model = loaded.model
        self.loaded = loaded
        self.named = named_layers(self.model)
        self._covered = (*CONVOLUTIONS, *RECURRENT, *(POOLINGS if settings.pooling else ()))
        self._exact = True  # whole numbers stay whole on their way into the model
        own = signature(self.model, [name for name in (settings.input, *settings.held) if name is not None])
        self._looked_at = looked_at = own.looked_at(settings.input)
        held = held if held else [_zero(one) for one in own.inputs if one is not looked_at]
        self._bands_first = bands_first(self.layers)
        self._wanted = frozenset(settings.layers)
        shape = input_shape(looked_at, settings.input_shape, self._bands_first)
        stated = scaling.chosen(settings)
        contract = make_contract(shape, settings, UNSCALED if stated is None else stated)
        self._arguments = Arguments(own, looked_at, held, lambda pictures: pictures, contract.size[0])
        if not self.model.built:
            self._build(contract)
        self.sites, self.output, self.class_count, before, first = self._walk(contract)
        if stated is None:
            names = [self.model.name, *(path for path, _ in self.named.values())]
            entrance = scaling.Entrance(before, None if first is None else self._entered(contract, first))
            stated = scaling.found(shape, looked_at.dtype, loaded.source, names, entrance)
        contract = make_contract(shape, settings, stated)
        if contract.preprocess == "caffe":
            self.sites = [replace(site, kernel_bands=site.kernel_bands and "BGR") for site in self.sites]
        if held:
            contract = replace(contract, name=looked_at.name, held=tuple(one.record for one in held))
        self.contract = contract
        self._exact = contract.preprocess == "none"
        self.feed = make_feed(contract)
        self._arguments = Arguments(own, looked_at, held, self.feed, contract.size[0])
        self.weights_sha256 = weights_sha256(self.model)

    def limit(self, low: float, high: float) -> None:
        """Let patterns lie between `low` and `high`: of signals and volumes, which are fed as the numbers they are."""
        assert not self.contract.is_picture
        self.contract = replace(self.contract, low=low, high=high)

    def _build(self, contract: InputContract) -> None:
        """Let a model that has never been called make its weights; where it fails, walking finds out how far it gets."""
        try:
            positional, named = self._given(tf.zeros((1, *contract.size, contract.bands)))
            self.model(*positional, **named, training=False)
        except Exception:
            return
        self.named = named_layers(self.model)  # layers may come to be in the first call

    def _entered(self, contract: InputContract, first: Call) -> np.ndarray | None:
        """Float (3, channels): what pictures of nothing but 0, 1 and 255 have become in the middle where the call `first` takes them in."""
        sizes = zip(contract.shape[:-1], contract.size, strict=True)
        shape = (1, *(size if own is not None else min(size, PROBE_SIDE) for own, size in sizes), contract.bands)
        pictures = tf.concat([tf.fill(shape, value) for value in (0.0, 1.0, EIGHT_BIT_MAXIMUM)], axis=0)
        calls: list[Call] = []

        def read(fed: Any) -> Any:
            self._run(fed, lambda call: call.layer is first.layer and call.occurrence == first.occurrence, calls)
            return stored(calls[-1].input, calls[-1].times, self._bands_first)

        try:
            seen = np.asarray(tf.function(read, autograph=False)(pictures), np.float32)
        except Exception:  # what cannot be asked stays unknown
            return None
        return seen[(slice(None), *(length // 2 for length in seen.shape[1:-1]))]

    def _walk(self, contract: InputContract) -> tuple[list[Site], Site | None, int | None, list[Any], Call | None]:
        """Trace the model once at the images' size and read everything off the graph."""
        calls: list[Call] = []
        outputs: list[Any] = []
        entry: list[Any] = []
        failure: list[Exception] = []

        def trace(pictures: Any) -> None:  # nothing is returned: a returned tensor would count as one more consumer
            entry.append(pictures)
            try:
                outputs.extend(tf.nest.flatten(self._run(pictures, lambda call: False, calls)))
            except Exception as error:  # what was reached before is still true
                failure.append(error)

        signature = tf.TensorSpec((1, *contract.size, contract.bands), tf.float32)
        try:
            graph = tf.function(trace, autograph=False).get_concrete_function(signature).graph
        except Exception as error:
            raise ModelError(f"the model cannot be traced ({one_line(error)}).") from error
        if failure and not any(isinstance(call.layer, CONVOLUTIONS) for call in calls):
            raise ModelError(
                f"the model does not run on an input of {contract.size} ({one_line(failure[0])})."
            ) from failure[0]
        geometry = Geometry(graph, {entry[0].name: whole_input(contract.rank)})
        positions = {operation.name: index for index, operation in enumerate(graph.get_operations())}
        sites = [
            self._site(call, calls, geometry, positions, graph, contract)
            for call in calls
            if isinstance(call.layer, self._covered) or self._is_named(call)
        ]
        sites = self._resolved(sites, contract)
        reached = {id(site.layer) for site in sites}
        used = {id(outside) for outside, _ in graph.captures}
        why = f"the model stopped before it ({one_line(failure[0])})" if failure else "the model never calls it"
        for path, layer in self.named.values():
            if isinstance(layer, self._covered) and id(layer) not in reached:
                hidden = any(id(variable.value.handle) in used for variable in layer.weights)
                sites.append(_unreached(path, layer, HIDDEN if hidden else why))
        class_count = _class_count(outputs)
        seeing = [
            call
            for call in calls
            if tf.is_tensor(call.output) and call.output.graph is graph and geometry.depends(call.output)
        ]
        order = sorted(seeing, key=lambda call: call.first_operation)
        first = next((index for index, call in enumerate(order) if isinstance(call.layer, CONVOLUTIONS)), len(order))
        output = self._output_site(outputs, geometry.costs(len(positions)))
        self.diagram = diagram(graph, entry[0], calls, outputs, CONVOLUTIONS, self.path_of)
        entrance = order[first] if first < len(order) else None
        return sites, output, class_count, [call.layer for call in order[:first]], entrance

    def _output_site(self, outputs: list[Any], costs: Costs) -> Site | None:
        """The model's classes as a site; None where it does not answer one number a class."""
        if len(outputs) != 1 or outputs[0].shape.rank != CLASSIFIER_RANK or outputs[0].shape[-1] is None:
            return None
        taken = {path for path, _ in self.named.values()}
        path = next(name for name in OUTPUT_NAMES if name not in taken)
        unit = Unit(self.model, 1, "linear")
        shape = (1, 1, int(outputs[0].shape[-1]))
        return Site(path, self.model, 1, unit, path, View(None, WHOLE_INPUT, False), costs, shape, None, None, True)

    @property
    def by_path(self) -> dict[str, Site]:
        """Every site by its path, the model's own output among them."""
        return {site.path: site for site in (*self.sites, self.output) if site is not None}

    @property
    def layers(self) -> list[Any]:
        """Every layer inside the model."""
        return [layer for _, layer in self.named.values()]

    def path_of(self, layer: Any, occurrence: int) -> str:
        """The path of a layer's k-th call."""
        path = self.named[id(layer)][0]
        return path if occurrence == 1 else f"{path}@{occurrence}"

    def _site(
        self,
        call: Call,
        calls: list[Call],
        geometry: Geometry,
        positions: dict[str, int],
        graph: Any,
        contract: InputContract,
    ) -> Site:
        path = self.path_of(call.layer, call.occurrence)
        if not tf.is_tensor(call.output) or call.output.graph is not graph:
            return _unreached(path, call.layer, HIDDEN)
        if isinstance(call.layer, RECURRENT) and not self._is_named(call):
            return _unreached(path, call.layer, RECURRING)
        spatial = (call.output.shape.rank or 0) - 2 + len(call.times)
        if spatial < 1:
            return _unreached(
                path, call.layer, "its output has no axis beside its channels, so there is no map to draw"
            )
        if spatial > MOST_AXES:
            shape = " × ".join("any" if length is None else str(length) for length in call.output.shape[1:])
            return _unreached(
                path,
                call.layer,
                f"its output of {shape} has {spatial} axes beside its channels; up to {MOST_AXES} are drawn",
            )
        if not geometry.depends(call.output):
            return _unreached(path, call.layer, APART)
        pools = isinstance(call.layer, POOLINGS)
        convolves = isinstance(call.layer, CONVOLUTIONS)
        if pools:
            unit = Unit(call.layer, call.occurrence, "linear", pooling=True)
        else:
            unit = find_unit(call, calls, positions) if convolves else own_unit(call)
        end = next(other for other in calls if unit.is_end(other))
        operations, view = end.last_operation, geometry.view(end.output)
        channels_first = self._keeps_bands_first(call.layer, view)
        looks = convolves and contract.is_picture and contract.bands == COLOUR_BANDS
        colour = looks and geometry.view(call.input).colour
        return Site(
            path=path,
            layer=call.layer,
            occurrence=call.occurrence,
            unit=unit,
            unit_path=self.path_of(unit.layer, unit.occurrence),
            view=view,
            costs=geometry.costs(operations),
            output_shape=stored_shape(end.output, end.times, channels_first),
            kernel_bands="RGB" if colour else None,
            reason=None,
            varies=varying(view, end, contract, channels_first),
            times=len(end.times),
            channels_first=channels_first,
        )

    def _is_named(self, call: Call) -> bool:
        """Whether the user asked for this very call by its path: then any layer will do."""
        return bool(self._wanted) and self.path_of(call.layer, call.occurrence) in self._wanted

    def _keeps_bands_first(self, layer: Any, view: View) -> bool:
        """Whether a layer's maps have their channels behind the batch: as it says, else where the input's own axes leave room for them."""
        stated = getattr(layer, "data_format", None)
        if stated is not None or view.axes is None:
            return bool(stated == "channels_first" if stated is not None else self._bands_first)
        return bool(view.places) and min(view.places) == 2

    def _resolved(self, sites: list[Site], contract: InputContract) -> list[Site]:
        """Which axes follow from the input's cannot be told where no field is known: a second trace without sizes tells."""
        dynamic = None in contract.shape[:-1]
        if not (dynamic and any(site.unit is not None and site.view.axes is None for site in sites)):
            return sites
        calls: list[Call] = []

        def trace(pictures: Any) -> None:
            self._run(pictures, lambda call: False, calls)

        try:
            tf.function(trace, autograph=False).get_concrete_function(tf.TensorSpec((1, *contract.shape), tf.float32))
        except Exception:  # a model that needs a size: then what is known stands
            return sites
        shapes = {(id(call.layer), call.occurrence): call for call in calls if tf.is_tensor(call.output)}
        told = []
        for site in sites:
            end = None if site.unit is None else shapes.get((id(site.unit.layer), site.unit.occurrence))
            if end is not None and site.view.axes is None and end.times == () and site.times == 0:
                shape = stored_shape(end.output, (), site.channels_first)
                site = replace(site, varies=tuple(length is None for length in shape))
            told.append(site)
        return told

    def _run(self, inputs: Any, is_last: Callable[[Call], bool], calls: list[Call] | None = None) -> Any:
        """The model's output for `inputs` as it is fed, see `run_until`. Call inside a trace."""
        with taken_as_floats(self.model, self._looked_at.name) if self._exact else nullcontext():
            return run_until(self.model, self._given(inputs), self.layers, is_last, calls)

    def _given(self, fed: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """(args, kwargs) of a call of the model on `fed` (n, *size, bands)."""
        return self._arguments(bands_moved(fed, -1, 1) if self._bands_first else fed)

    def units(self, inputs: Any, sites: Sequence[Site]) -> list[tuple[Any, Any]]:
        """(pre-activation, activation) of each site's unit, for float32 `inputs` as the model is fed. Call inside a trace.

        Each tensor is (n, *spatial, channels) in the model's own dtype. The model is left as soon as all were seen.
        """
        shown = [site for site in sites if site.unit is not None]
        wanted = [site.unit for site in shown if site.unit is not None]
        to_the_end = {index for index, site in enumerate(sites) if site.is_output}
        missing = set(range(len(wanted)))
        found: dict[int, tuple[Any, Any]] = {}

        def is_last(call: Call) -> bool:
            for index in [index for index in missing - to_the_end if wanted[index].is_end(call)]:
                first = shown[index].channels_first
                before, after = wanted[index].tensors(call)
                kept = stored(after, call.times, first)
                found[index] = (kept if before is after else stored(before, call.times, first), kept)
                missing.discard(index)
            return not missing

        output = self._run(inputs, is_last)
        if to_the_end:
            logits = _logits(tf.nest.flatten(output)[0])[:, None, None, :]
            found.update(dict.fromkeys(to_the_end, (logits, logits)))
            missing -= to_the_end
        if missing:
            raise ModelError("a layer that ran while the model was walked did not run again.")
        return [found[index] for index in range(len(wanted))]

    def own_channels(self, inputs: Any, site: Site, filters: Any, activated: bool = False) -> Any:
        """float32 (n, *spatial): picture k's own channel filters[k] of the site's unit, before or after its activation.

        Call inside a trace. Before the activation only the wanted channels are computed where the layer allows it. Weights of the layer
        that are not finite count as 0.
        """
        unit = site.unit
        assert unit is not None
        if activated or site.times or unit.layer is self.model or not can_select(site.layer, unit.normalisations):
            with finite_weights(self._broken_layers if site.is_output else (site.layer, *unit.normalisations)):
                (maps,) = self.units(inputs, [site])
            return tf.cast(
                tf.gather(maps[activated], filters, axis=len(maps[activated].shape) - 1, batch_dims=1), tf.float32
            )
        calls: list[Call] = []
        self._run(inputs, lambda call: call.layer is site.layer and call.occurrence == site.occurrence, calls)
        return selected(site.layer, unit.normalisations, calls[-1].input, filters)

    @cached_property
    def _broken_layers(self) -> list[Any]:
        """The innermost layers that hold a weight which is not finite."""
        with tf.init_scope():
            return [
                layer
                for layer in self.layers
                if not list(layer._flatten_layers(include_self=False, recursive=False))
                and not all(np.isfinite(as_numpy(weight)).all() for weight in layer.weights)
            ]

    def check_feed(self) -> bool:
        """Whether the preprocessing is differentiable. Raises UsageError where it does not turn pictures into what the model takes."""
        shape = (1, *self.contract.size, self.contract.bands)
        pictures = as_shown(self.contract, tf.fill(shape, 0.5))
        try:
            with tf.GradientTape() as tape:
                tape.watch(pictures)
                fed = self.feed(pictures)
            gradient = tape.gradient(fed, pictures)
        except Exception as error:
            raise UsageError(
                f"--preprocess {self.contract.preprocess} failed on a grey picture ({one_line(error)})."
            ) from error
        return gradient is not None

    def predict(self, pictures: np.ndarray) -> np.ndarray | None:
        """Class probabilities (n, classes) of `pictures` (n, *size, bands); None where the model gives none."""
        if self.class_count is None:
            return None
        (answers,) = tf.nest.flatten(self._predictor(tf.constant(pictures)))
        return np.asarray(answers, np.float32)

    @property
    def _predictor(self) -> Callable[[Any], Any]:
        if not hasattr(self, "_traced_predictor"):

            def answer(pictures: Any) -> Any:
                positional, named = self._given(self.feed(tf.cast(pictures, tf.float32)))
                return self.model(*positional, **named, training=False)

            self._traced_predictor = tf.function(answer, autograph=False)
        return self._traced_predictor  # type: ignore[no-any-return]


def _zero(one: ModelInput) -> HeldInput:
    return HeldInput(HeldRecord(one.name, one.shape, None, None), None, False)


def _unreached(path: str, layer: Any, reason: str) -> Site:
    return Site(path, layer, 1, None, path, View(None, None, False), Costs(0, 0), None, None, reason)


def _class_count(outputs: list[Any]) -> int | None:
    """How many class probabilities the model answers; None where its output is something else."""
    if (
        len(outputs) != 1
        or outputs[0].shape.rank != CLASSIFIER_RANK
        or _made_by(outputs[0]) not in PROBABILITY_OPERATIONS
    ):
        return None
    return int(outputs[0].shape[-1])


def _made_by(tensor: Any) -> str:
    """The type of the operation behind a tensor, seen through copies and casts."""
    return str(_source(tensor).type)


def _logits(output: Any) -> Any:
    """What the model's own softmax or sigmoid was given, shaped as `output`; `output` where there is none. Call inside a trace."""
    operation = _source(output)
    if operation.type not in PROBABILITY_OPERATIONS | LOGARITHMS:
        return output
    return tf.reshape(operation.inputs[0], tf.shape(output))


def _source(tensor: Any) -> Any:
    operation = tensor.op
    while operation.type in UNCHANGED:
        operation = operation.inputs[0].op
    return operation
