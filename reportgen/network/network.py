"""A user's model, traced once: its convolution layers in the order in which data meets them, to be observed in any later trace."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from reportgen.core.axes import ChannelOrder, readable_shape
from reportgen.core.choices import Preprocess
from reportgen.core.errors import ModelError, UsageError
from reportgen.core.garbage import paused
from reportgen.core.records import ConstantInput, ConstantInputRecord, InputContract
from reportgen.core.settings import Settings
from reportgen.network import preprocessing as scaling
from reportgen.network.accepted_sizes import NEAR, Size, next_size
from reportgen.network.backend import keras, tf
from reportgen.network.channels_first import computed_channels_last
from reportgen.network.contract import as_shown, follows, input_shape, longest, make_contract, make_feed, measured
from reportgen.network.error_text import one_line
from reportgen.network.flat_inputs import seen_shape
from reportgen.network.graph.hooks import Call, restore, run_until, safe_scopes, shadow
from reportgen.network.graph.layer_calls import LayerCall, unreached
from reportgen.network.graph.layer_kinds import CONVOLUTIONS, POOLINGS, as_numpy
from reportgen.network.graph.map_layout import stored, takes_channels_first
from reportgen.network.graph.paths import named_layers, path_of
from reportgen.network.graph.walk import RECURRENT, Walk, is_empty, never, traced
from reportgen.network.grouped_convolutions import own_operations
from reportgen.network.inference_layers import Replacement, replaced, replacements
from reportgen.network.loading.hashes import weights_sha256
from reportgen.network.loading.load import Loaded
from reportgen.network.outputs import logits
from reportgen.network.preprocessing import EIGHT_BIT_MAXIMUM, Scaling
from reportgen.network.selected_channels import can_select, finite_weights, selected
from reportgen.network.signature import Arguments, as_floating_point, is_whole, signature

PROBE_SIDE = 64  # pixels, of pictures that show how a model of any input size scales them
MOST_BUILT = 512  # longest side at which a model is called to create its weights
COVERED = (*CONVOLUTIONS, *POOLINGS)
NOT_AGAIN = "a layer that ran when the model was first traced did not run again."
SAME_MAPS = 1e-3  # of the largest value: what the place in a batch may change
MIXED_PIECES = "its batch holds pieces of the input in an order in which those of several inputs cannot be told apart"
UNSCALED = Scaling(Preprocess.NONE, "not known before the model is traced", None)


@dataclass(frozen=True)
class Trial:
    """How far an input of some size gets. reached: calls that return something, as (id of the layer, occurrence)."""

    reached: frozenset[tuple[int, int]]
    complete: bool


class Network:
    """The model with its input contract and its layer calls. The model itself is never changed."""

    def __init__(
        self,
        loaded: Loaded,
        settings: Settings,
        hold: Callable[[Size], Sequence[ConstantInput]] | None = None,
        lengths: Sequence[Sequence[int]] = (),
    ) -> None:
        """Trace the model and find its layer calls and input contract.

        Args:
            loaded: the model.
            settings: of the run.
            hold: returns the constant values of all other inputs for a size of the primary one; zero where not given.
            lengths: of each of the user's images along each spatial axis, which the size that the model is fed may follow.

        Raises:
            ModelError: the model cannot be traced.
            UsageError: a setting does not fit the model.
        """
        self.model = loaded.model
        self.loaded = loaded
        self.named = named_layers(self.model)
        self._exact = True  # whole numbers stay whole on their way into the model
        own = signature(self.model, [name for name in (settings.input, *settings.constant_inputs) if name is not None])
        self._primary = primary = own.primary(settings.input)
        self._signature, self._hold = own, hold if hold is not None else self._zeros
        self._channels_first = takes_channels_first(self.layers)
        shape = input_shape(
            primary, settings.input_shape, self._channels_first, seen_shape(self.model, primary, self.layers)
        )
        self._flat = primary.shape if primary.shape is not None and len(primary.shape) != len(shape) else None
        self._input_channels = shape[-1]
        stated = scaling.chosen(settings)
        contract = make_contract(shape, settings, UNSCALED if stated is None else stated, lengths)
        self.feed: Callable[[Any], Any] = lambda pictures: pictures
        self.notes: list[str] = []
        self._trials: dict[Size, Trial] = {}
        if self._flat is not None:
            self.notes.append(
                f"The model's input of {readable_shape(self._flat)} is fed as {readable_shape(shape)}; "
                "--input-shape states another shape."
            )
        if settings.image_size is not None and None not in shape[:-1]:
            shown = measured(contract.size)[0]
            self.notes.append(
                f"--image-size {settings.image_size} changes nothing: this model's input is fixed at {shown}."
            )
        following = follows(contract, settings, lengths)
        if following is not None:
            self.notes.append(following)
        contract, walk = self._walked(contract, settings)
        self.layer_calls, self.output, self.class_count, self.diagram = (
            walk.layer_calls,
            walk.output,
            walk.class_count,
            walk.diagram,
        )
        self._classifying = dict(walk.classifying)
        self.heads = {
            name: layer_call.channels for name, layer_call in walk.head_outputs.items() if layer_call is not None
        }
        self.output = walk.head_outputs.get(str(settings.outputs).partition(":")[0], self.output)
        if stated is None:
            names = [self.model.name, *(path for path, _ in self.named.values())]
            first = walk.entrance if contract.is_picture else None
            entered = None if first is None else self._entered(contract, first)
            entrance = scaling.Entrance(walk.before, entered)
            stated = scaling.found(shape, primary.dtype, loaded.source, names, entrance)
        contract = replace(make_contract(shape, settings, stated, lengths), size=contract.size)
        if contract.preprocess == Preprocess.CAFFE:
            self.layer_calls = [
                replace(layer_call, kernel_bands=layer_call.kernel_bands and ChannelOrder.BGR)
                for layer_call in self.layer_calls
            ]
        constant_inputs = self._hold(contract.size)
        if constant_inputs:
            contract = replace(
                contract, name=primary.name, constant_inputs=tuple(one.record for one in constant_inputs)
            )
        self.contract = contract
        self._exact = contract.preprocess == Preprocess.NONE
        self.feed = make_feed(contract)
        self._feed_at(contract.size)
        self.layer_calls = self._with_ordered_pieces(self.layer_calls)
        self.weights_sha256 = weights_sha256(self.model)

    def fed(self, pictures: Any) -> Any:
        """Return what the model is fed for finished pictures, signals or volumes, float32 (n, *size, channels), see `make_feed`.

        Values are rounded where the model takes pictures of whole numbers.
        """
        fed = self.feed(pictures)
        whole = self._exact and self.contract.is_picture and is_whole(self._primary.dtype)
        return tf.round(fed) if whole else fed

    def limit(self, low: float, high: float) -> None:
        """Set the range of patterns of signals and volumes, whose numbers are fed unchanged."""
        assert not self.contract.is_picture
        self.contract = replace(self.contract, low=low, high=high)

    def _walked(self, contract: InputContract, settings: Settings) -> tuple[InputContract, Walk]:
        """Walk the model at the contract's size, or at the next that it accepts where it has no size of its own."""
        self._feed_at(contract.size)
        if not self.model.built:
            built = self._build(contract.size)  # which computes: only a few sizes are tried
            contract = self._fitted(contract, settings, built, lambda size: self._build(size) is None, MOST_BUILT, 0)
            self.named = named_layers(self.model)  # layers may come to be in the first call
        covered = (*CONVOLUTIONS, *RECURRENT, *(POOLINGS if settings.pooling else ()))

        def walk(contract: InputContract) -> Walk:
            self._feed_at(contract.size)
            with paused():
                return Walk(self.model, self.named, self._run, contract, covered, settings.layers, self._channels_first)

        walked = walk(contract)
        most = longest(contract.rank)
        fitted = self._fitted(contract, settings, walked.misfit, self._runs, most, NEAR)
        if fitted is not contract:
            contract, walked = fitted, walk(fitted)
        if walked.misfit is not None and not any(layer_call.unit is not None for layer_call in walked.layer_calls):
            raise ModelError(f"the model does not run at {measured(contract.size)[0]} ({walked.misfit}).")
        self._feed_at(contract.size)
        self.problem = None
        if walked.misfit is not None:
            shown = measured(contract.size)[0]
            self.problem = f"The model does not run to its end at {shown} ({walked.misfit}): its outputs are not known."
        return contract, walked

    def _fitted(
        self,
        contract: InputContract,
        settings: Settings,
        misfit: str | None,
        fits: Callable[[Size], bool],
        most: int,
        near: int,
    ) -> InputContract:
        """Return the contract at the next size that `fits` where there is a `misfit`; unchanged where there is none, or no such size.

        most, near: `longest` and `near` of `next_size`. Raises UsageError where the size was stated.
        """
        free = tuple(length is None for length in contract.shape[:-1])
        if misfit is None or not any(free):
            return contract
        recorded = () if self._primary.shape is None or self._channels_first else self._primary.shape[:-1]
        lengths = tuple(length for length in recorded if length is not None)  # of a first call
        known = [lengths] if len(lengths) == contract.rank else []
        size = next_size(contract.size, free, fits, most, known, near)
        if size is None:
            return contract
        shown, what, _ = measured(contract.size)
        if settings.image_size is not None:
            accepted = next(length for length, varies in zip(size, free, strict=True) if varies)
            raise UsageError(
                f"--image-size {settings.image_size}: the network does not run at {shown} ({misfit}); "
                f"the next size that it accepts is {accepted}."
            )
        self.notes.append(
            f"The network does not run at {shown}: {what}s are fed at {measured(size)[0]}, the next size that it accepts."
        )
        return replace(contract, size=size)

    def _with_ordered_pieces(self, layer_calls: list[LayerCall]) -> list[LayerCall]:
        """Return `layer_calls`, without a unit those whose pieces of several inputs do not follow each other input by input."""
        asked = [layer_call for layer_call in layer_calls if layer_call.pieces]
        if not asked:
            return layer_calls

        def read(inputs: Any) -> list[Any]:
            return [tf.cast(maps, tf.float32) for _, maps in self.units(self.fed(inputs), asked)]

        drawn = np.random.default_rng(0).random((2, *self.contract.size, self.contract.bands), np.float32)
        inputs = drawn * EIGHT_BIT_MAXIMUM if self.contract.is_picture else drawn
        try:
            compute = tf.function(read, autograph=False)
            found, exchanged = (
                [np.asarray(maps) for maps in compute(tf.constant(each))] for each in (inputs, inputs[::-1])
            )
        except Exception:  # each layer says by itself what is wrong with it
            return layer_calls
        mixed = [
            id(layer_call)
            for layer_call, maps, other in zip(asked, found, exchanged, strict=True)
            if not np.allclose(maps, other[::-1], rtol=SAME_MAPS, atol=SAME_MAPS * np.abs(maps).max(), equal_nan=True)
        ]
        return [unreached(each.path, each.layer, MIXED_PIECES) if id(each) in mixed else each for each in layer_calls]

    def _feed_at(self, size: Size) -> None:
        """Feed the model at `size` from now on, which its other inputs may follow."""
        self._arguments = Arguments(self._signature, self._primary, self._hold(size), self.feed, size)

    def _zeros(self, size: Size) -> list[ConstantInput]:
        """Return zero for every input but the primary one."""
        return [
            ConstantInput(ConstantInputRecord(one.name, one.shape, None, None), None, False)
            for one in self._signature.inputs
            if one is not self._primary
        ]

    def _build(self, size: Size) -> str | None:
        """Call a model for the first time, so that it creates its weights; return why it does not run at `size`, None where it does."""
        self._feed_at(size)
        try:
            positional, named = self._given(tf.zeros((1, *size, self._input_channels)))
            with computed_channels_last(self.layers):
                self.model(*positional, **named, training=False)
        except Exception as error:
            return one_line(error)
        return None

    def _runs(self, size: Size) -> bool:
        """Return whether the model runs to its end on an input of `size`, its other inputs fitted to it."""
        self._feed_at(size)
        return self._trial(size).complete

    def reaches(self, layer_call: LayerCall, size: Size) -> bool:
        """Return whether an input of `size` gets as far as the unit of a layer call, and leaves at least one position there."""
        if layer_call.unit is None or size == self.contract.size:
            return layer_call.unit is not None
        if size not in self._trials:
            self._trials[size] = self._trial(size)
        trial = self._trials[size]
        return (
            trial.complete
            if layer_call.is_output
            else (id(layer_call.unit.layer), layer_call.unit.occurrence) in trial.reached
        )

    @contextmanager
    def unstated_sizes(self) -> Iterator[None]:
        """Let the model take inputs of sizes that it does not state, while it is traced as far as layers that do not care.

        Convolutions up to a layer compute the same whatever the size. Keras refuses the size for what may follow, as a flattened map.
        """
        shadowed: list[tuple[Any, str, Any]] = []
        try:
            for model in (self.model, *self.layers):
                if isinstance(model, keras.Model):
                    shadow(model, "_assert_input_compatibility", lambda inputs: None, shadowed)
            yield
        finally:
            restore(shadowed)

    def _trial(self, size: Size) -> Trial:
        """Find how far an input of `size` gets, by shapes alone: nothing is computed."""
        calls: list[Call] = []

        def trace(fed: Any) -> None:
            self._run(fed, never, calls)

        try:
            traced(trace, (1, *size, self._input_channels))
            complete = True
        except Exception:
            complete = False
        empty = [call for call in calls if isinstance(call.layer, COVERED) and is_empty(call.output)]
        reached = frozenset((id(call.layer), call.occurrence) for call in calls if not is_empty(call.output))
        return Trial(reached, complete and not empty)

    def _entered(self, contract: InputContract, first: Call) -> np.ndarray | None:
        """Return float (3, channels): what constant pictures of 0, 1 and 255 are in the middle of the input of the call `first`."""
        sizes = zip(contract.shape[:-1], contract.size, strict=True)
        shape = (1, *(size if own is not None else min(size, PROBE_SIDE) for own, size in sizes), contract.bands)
        pictures = tf.concat([tf.fill(shape, value) for value in (0.0, 1.0, EIGHT_BIT_MAXIMUM)], axis=0)
        calls: list[Call] = []

        def read(fed: Any) -> Any:
            self._run(fed, lambda call: call.layer is first.layer and call.occurrence == first.occurrence, calls)
            return stored(calls[-1].input, calls[-1].times, self._channels_first)

        try:
            seen = np.asarray(tf.function(read, autograph=False)(pictures), np.float32)
        except Exception:  # then the scaling stays unknown
            return None
        return seen[(slice(None), *(length // 2 for length in seen.shape[1:-1]))]

    @property
    def by_path(self) -> dict[str, LayerCall]:
        """Every layer call by its path, the model's own output among them."""
        return {
            layer_call.path: layer_call for layer_call in (*self.layer_calls, self.output) if layer_call is not None
        }

    @property
    def layers(self) -> list[Any]:
        """Every layer inside the model."""
        return [layer for _, layer in self.named.values()]

    def path_of(self, layer: Any, occurrence: int) -> str:
        """Return the path of a layer's k-th call."""
        return path_of(self.named, layer, occurrence)

    def _run(self, inputs: Any, is_last: Callable[[Call], bool], calls: list[Call] | None = None) -> Any:
        """Return the model's output for `inputs` as it is fed, see `run_until`. Call inside a trace."""
        exact = as_floating_point(self.model, self._primary.name) if self._exact else nullcontext()
        with exact, own_operations(self.layers), computed_channels_last(self.layers):
            return run_until(self.model, self._given(inputs), self.layers, is_last, calls, inputs.shape[0])

    def whole_pass(self, inputs: Any) -> tuple[list[Call], Any]:
        """Return every layer call of a whole pass of `inputs`, as the model is fed, and its output. Call inside a trace."""
        calls: list[Call] = []
        return calls, self._run(inputs, never, calls)

    def _given(self, fed: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return (args, kwargs) of a call of the model on `fed` (n, *size, channels)."""
        if self._flat is not None:
            free = None in self._flat  # a signal of any length, without its axis of channels
            fed = tf.squeeze(fed, -1) if free else tf.reshape(fed, (-1, *self._flat))
        elif self._channels_first:
            fed = keras.ops.moveaxis(fed, -1, 1)
        return self._arguments(fed)

    def observed(
        self, inputs: Any, layer_calls: Sequence[LayerCall], to_the_end: bool
    ) -> tuple[list[tuple[Any, Any]], list[Any]]:
        """Compute the unit of each layer call, and the class probabilities. Call inside a trace.

        Args:
            inputs: as for `units`.
            layer_calls: as for `units`.
            to_the_end: whether the model's outputs are wanted.

        Returns:
            What `units` returns, and the class probabilities (n, classes) of the only output, or of each that classifies.
        """
        outputs: list[Any] = []
        units = self.units(inputs, layer_calls, outputs if to_the_end else None)
        places = [0] if self.class_count is not None else list(self._classifying.values())
        return units, [outputs[place] for place in places] if to_the_end else []

    def units(
        self, inputs: Any, layer_calls: Sequence[LayerCall], outputs: list[Any] | None = None
    ) -> list[tuple[Any, Any]]:
        """Compute the unit of each layer call. Call inside a trace; the model is left as soon as all units are known.

        Args:
            inputs: float32 (n, *size, channels), as the model is fed.
            layer_calls: those without a unit are left out.
            outputs: receives the model's outputs, for which it runs to its end; None where they are not wanted.

        Returns:
            (pre-activation, activation) of each unit, both (n, *spatial, channels) in the model's own dtype.

        Raises:
            ModelError: a layer does not run that ran before.
        """
        shown = [layer_call for layer_call in layer_calls if layer_call.unit is not None]
        wanted = [layer_call.unit for layer_call in shown if layer_call.unit is not None]
        to_the_end = {index for index, layer_call in enumerate(layer_calls) if layer_call.is_output}
        missing = set(range(len(wanted)))
        found: dict[int, tuple[Any, Any]] = {}

        def is_last(call: Call) -> bool:
            for index in [index for index in missing - to_the_end if wanted[index].is_end(call)]:
                first = shown[index].channels_first
                before, after = wanted[index].tensors(call)
                kept = stored(after, call.times, first)
                found[index] = (kept if before is after else stored(before, call.times, first), kept)
                missing.discard(index)
            return not missing and outputs is None

        output = self._run(inputs, is_last)
        if outputs is not None:
            outputs += tf.nest.flatten(output)
        if to_the_end:
            for index in to_the_end:
                classes = logits(tf.nest.flatten(output)[layer_calls[index].place])[:, None, None, :]
                found[index] = (classes, classes)
            missing -= to_the_end
        if missing:
            raise ModelError(NOT_AGAIN)
        return [found[index] for index in range(len(wanted))]

    def own_channels(self, inputs: Any, layer_call: LayerCall, filters: Any, activated: bool = False) -> Any:
        """Compute one chosen filter of a unit per picture. Call inside a trace.

        Before the activation only the chosen channels are computed where the layer allows it. Layers compute as in `inference_layers`, but
        for those of this unit where their weights are not finite: these count as 0.

        Args:
            inputs: float32 (n, *size, channels), as the model is fed.
            layer_call: has a unit.
            filters: int (n,), the filter of each picture.
            activated: whether after its activation function, otherwise before.

        Returns:
            float32 (n, *spatial).
        """
        unit = layer_call.unit
        assert unit is not None
        if self._selects(layer_call, activated) or self.has_entry(layer_call):
            entry = self._entries(inputs, [layer_call], activated)
            if not entry:
                raise ModelError(NOT_AGAIN)
            return self.own_channels_at(entry[layer_call.path], layer_call, filters, activated)
        own = self._broken_layers if layer_call.is_output else (layer_call.layer, *unit.normalisations)
        with finite_weights(own), replaced(self._replacements_but(own)):
            (maps,) = self.units(inputs, [layer_call])
        return _own_maps(maps[activated], filters)

    def entries(self, inputs: Any, layer_calls: Sequence[LayerCall], activated: bool = False) -> dict[str, Any]:
        """Compute what `own_channels_at` begins from, for many layer calls in one pass. Call inside a trace.

        Args:
            inputs: float32 (n, *size, channels), as the model is fed.
            layer_calls: those that `has_entry`.
            activated: as for `own_channels`.

        Returns:
            By path the layer's input, or where its channels cannot be computed one by one, all maps of its unit. Layers are missing that
            the model does not get as far as.
        """
        found: dict[str, Any] = {}
        with suppress(Exception):
            self._entries(inputs, layer_calls, activated, found)
        return found

    def _entries(
        self, inputs: Any, layer_calls: Sequence[LayerCall], activated: bool, found: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """`entries`, in `found` as soon as they are there, where the model may fail."""
        found = {} if found is None else found
        begins: dict[tuple[int, int], list[LayerCall]] = defaultdict(list)  # by the call that ends where a layer begins
        selecting = {layer_call.path for layer_call in layer_calls if self._selects(layer_call, activated)}
        for layer_call in layer_calls:
            assert layer_call.unit is not None
            end = layer_call if layer_call.path in selecting else layer_call.unit
            begins[id(end.layer), end.occurrence].append(layer_call)

        def is_last(call: Call) -> bool:
            for layer_call in begins[id(call.layer), call.occurrence]:
                if layer_call.path in selecting:
                    found[layer_call.path] = call.input
                else:
                    assert layer_call.unit is not None
                    tensors = layer_call.unit.tensors(call)
                    found[layer_call.path] = stored(tensors[activated], call.times, layer_call.channels_first)
            return len(found) == len(layer_calls)

        with replaced(self._replacements):
            self._run(inputs, is_last)
        return found

    def has_entry(self, layer_call: LayerCall) -> bool:
        """Return whether a layer's own channels can be computed from an entry: not those of a model's output or of broken weights."""
        unit = layer_call.unit
        if unit is None or layer_call.is_output or unit.layer is self.model:
            return False
        return not any(
            layer is broken for layer in (layer_call.layer, *unit.normalisations) for broken in self._broken_layers
        )

    def own_channels_at(self, entry: Any, layer_call: LayerCall, filters: Any, activated: bool = False) -> Any:
        """Compute what `own_channels` does from the layer's own one of `entries`. Call inside a trace."""
        assert layer_call.unit is not None
        if self._selects(layer_call, activated):
            return selected(layer_call.layer, layer_call.unit.normalisations, entry, filters)
        return _own_maps(entry, filters)

    def _selects(self, layer_call: LayerCall, activated: bool) -> bool:
        """Whether chosen channels are computed alone, from the layer's input."""
        unit = layer_call.unit
        assert unit is not None
        if activated or layer_call.times or unit.layer is self.model:
            return False
        return can_select(layer_call.layer, unit.normalisations)

    @cached_property
    def _replacements(self) -> tuple[Replacement, ...]:
        return replacements(self.layers, self.layer_calls)

    def _replacements_but(self, layers: Sequence[Any]) -> list[Replacement]:
        """Those that replace none of `layers`, whose own weights are read."""
        kept = {id(layer) for layer in layers}
        return [each for each in self._replacements if not any(id(layer) in kept for layer, _ in each)]

    @cached_property
    def _broken_layers(self) -> list[Any]:
        """The innermost layers with a weight that is not finite."""
        with tf.init_scope():
            return [
                layer
                for layer in self.layers
                if not list(layer._flatten_layers(include_self=False, recursive=False))
                and not all(np.isfinite(as_numpy(weight)).all() for weight in layer.weights)
            ]

    def check_feed(self) -> bool:
        """Return whether the preprocessing is differentiable.

        Raises:
            UsageError: it fails on a picture.
        """
        shape = (1, *self.contract.size, self.contract.bands)
        pictures = as_shown(self.contract, tf.fill(shape, 0.5))
        try:
            with tf.GradientTape() as tape:
                tape.watch(pictures)
                fed = self.feed(pictures)
            gradient = tape.gradient(fed, pictures)
        except Exception as error:
            raise UsageError(
                f"--preprocess {self.contract.preprocess} failed on a gray picture ({one_line(error)})."
            ) from error
        return gradient is not None

    def predict(self, pictures: np.ndarray) -> np.ndarray | None:
        """Return class probabilities (n, classes) of `pictures` (n, *size, channels), uint8 or float32; None where the model has none."""
        if self.class_count is None:
            return None
        (probabilities,) = tf.nest.flatten(self._predictor(tf.constant(pictures, tf.float32)))
        return np.asarray(probabilities, np.float32)

    def predict_each(self, pictures: np.ndarray) -> list[tuple[str, np.ndarray]]:
        """Return (name, class probabilities (n, classes)) of each output that classifies; nothing for a model with one output."""
        if not self._classifying:
            return []
        outputs = tf.nest.flatten(self._predictor(tf.constant(pictures, tf.float32)))
        return [(name, np.asarray(outputs[place], np.float32)) for name, place in self._classifying.items()]

    def place_of(self, head: str) -> int:
        """Return the position of a classifying output among all."""
        return self._classifying[head]

    @property
    def takes_channels_first(self) -> bool:
        """Whether the model itself takes (channels, *size)."""
        return self._channels_first

    @property
    def classifying(self) -> dict[str, int]:
        """The number of class probabilities of each output that returns any, of a model with several outputs."""
        return {name: self.heads[name] for name in self._classifying}

    @property
    def _predictor(self) -> Callable[[Any], Any]:
        if not hasattr(self, "_traced_predictor"):

            def predict(pictures: Any) -> Any:
                positional, named = self._given(self.fed(pictures))
                with safe_scopes(), own_operations(self.layers), computed_channels_last(self.layers):
                    return self.model(*positional, **named, training=False)

            self._traced_predictor = tf.function(predict, autograph=False)
        return self._traced_predictor  # type: ignore[no-any-return]


def _own_maps(maps: Any, filters: Any) -> Any:
    """Float32 (n, *spatial): of `maps` (n, *spatial, channels) the channel filters[k] of picture k.

    By a selection and a sum, whose gradients are a few operations: that of `tf.gather` takes a third of the trace of a layer.
    """
    own = tf.one_hot(filters, maps.shape[-1], on_value=True, off_value=False, dtype=tf.bool)
    own = tf.reshape(own, (-1, *(1,) * (len(maps.shape) - 2), maps.shape[-1]))
    return tf.reduce_sum(tf.where(own, tf.cast(maps, tf.float32), 0.0), axis=-1)


def unwalked(model: Any, settings: Settings) -> InputContract:
    """Return what is known of a model's contract before it is traced: channels, axes, and what the settings say.

    Raises:
        ModelError: the shape of the input cannot be known.
        UsageError: a setting does not fit the model.
    """
    own = signature(model, [name for name in (settings.input, *settings.constant_inputs) if name is not None])
    layers = [layer for _, layer in named_layers(model).values()]
    primary = own.primary(settings.input)
    seen = seen_shape(model, primary, layers)
    shape = input_shape(primary, settings.input_shape, takes_channels_first(layers), seen)
    return make_contract(shape, settings, UNSCALED)
