"""Hooks on a model's layers while it is traced: every call's input, pre-activation and output, without changing the model.

For the duration of one trace each layer's `call` (and, where it has its own, `activation`) is shadowed on the instance by a wrapper that
records the tensors; afterwards the instance is as it was. What the recorded tensors do not need is pruned by the graph.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

from reportgen.network.backend import keras, tf


@dataclass(frozen=True)
class Call:
    """One call of one layer in a trace.

    occurrence: 1 for the layer's first call, 2 for its second. pre_activation: the input of the layer's own activation function, None
    where it has none. first_operation, last_operation: the half-open range of graph operations that the call created. times: the lengths
    that are folded into the batch, so a tensor's first axis is n times them: of the TimeDistributed layers around it, the outermost first,
    then how many pieces the model's own operations cut each input into. pieces: whether they do.
    """

    layer: Any
    occurrence: int
    input: Any
    pre_activation: Any | None
    output: Any
    first_operation: int
    last_operation: int
    times: tuple[int, ...] = ()
    pieces: bool = False


class _Reached(BaseException):
    """Leaves a trace once every wanted call is recorded; not an Exception, so no layer swallows it."""


@contextmanager
def watch(layers: Collection[Any], on_call: Callable[[Call], None], batch: int | None = None) -> Iterator[None]:
    """Report every call of `layers` while the block runs.

    Args:
        layers: to be hooked.
        on_call: is given each call, in the order in which they finish.
        batch: how many inputs the model is fed; None where that is not known.
    """
    shadowed: list[tuple[Any, str, Any]] = []
    counts: Counter[int] = Counter()
    times: list[int] = []
    try:
        for layer in layers:
            original = _python_call(layer)
            if isinstance(layer, keras.layers.TimeDistributed):
                original = _all_times_at_once(layer, original, times)
            shadow(layer, "call", _watched_call(layer, original, counts, times, on_call, batch), shadowed)
        yield
    finally:
        restore(shadowed)


_ABSENT = object()


def restore(shadowed: list[tuple[Any, str, Any]]) -> None:
    """Put back what `shadow` replaced, the last first."""
    for layer, name, original in reversed(shadowed):
        if original is _ABSENT:
            layer.__dict__.pop(name, None)
        else:
            layer.__dict__[name] = original


def shadow(layer: Any, name: str, value: Any, shadowed: list[tuple[Any, str, Any]]) -> None:
    """Set an attribute on the instance, and note what was there."""
    shadowed.append((layer, name, layer.__dict__.get(name, _ABSENT)))
    layer.__dict__[name] = value  # past Keras's __setattr__: nothing is tracked, nothing remains


def _all_times_at_once(layer: Any, original: Callable[..., Any], times: list[int]) -> Callable[..., Any]:
    """Make a call of a TimeDistributed layer that folds time into the batch: one call of the wrapped layer instead of one per step.

    In inference no step depends on another, so the outputs are the same.
    """
    inside = layer.layer

    def call(inputs: Any, training: Any = None, mask: Any = None) -> Any:
        lengths = inputs.shape[1:]
        if mask is not None or None in tuple(lengths):
            return original(inputs, training=training, mask=mask)
        count = lengths[0] * inputs.shape[0] if inputs.shape[0] is not None else -1
        times.append(lengths[0])
        try:
            named = {"training": training} if inside._call_has_training_arg else {}
            output = inside.call(tf.reshape(inputs, (count, *lengths[1:])), **named)
        finally:
            times.pop()
        batch = inputs.shape[0] if inputs.shape[0] is not None else -1
        return tf.reshape(output, (batch, lengths[0], *output.shape[1:]))

    return call


def _watched_call(
    layer: Any,
    original: Callable[..., Any],
    counts: Counter[int],
    times: list[int],
    on_call: Callable[[Call], None],
    batch: int | None,
) -> Callable[..., Any]:
    """Make a call of a layer that also reports itself to `on_call`."""

    def call(*args: Any, **kwargs: Any) -> Any:
        counts[id(layer)] += 1
        occurrence = counts[id(layer)]
        first = _operation_count()
        with _own_activation(layer) as pre_activations:
            output = original(*args, **kwargs)
        first_argument = args[0] if args else next(iter(kwargs.values()), None)
        pieces = _pieces(output, batch, times)
        on_call(
            Call(
                layer,
                occurrence,
                first_argument,
                pre_activations[-1] if pre_activations else None,
                output,
                first,
                _operation_count(),
                (*times, *pieces),
                bool(pieces),
            )
        )
        return output

    return call


def _pieces(output: Any, batch: int | None, times: list[int]) -> tuple[int, ...]:
    """How many pieces each input was cut into that lie beside each other in the batch, as windows or the frames of a film; () for none."""
    if batch is None or not tf.is_tensor(output) or not output.shape.rank:
        return ()
    count, whole = output.shape[0], batch * prod(times)
    return (count // whole,) if count is not None and count > whole and count % whole == 0 else ()


@contextmanager
def _own_activation(layer: Any) -> Iterator[list[Any]]:
    """Record the inputs of the layer's own activation function while the block runs."""
    recorded: list[Any] = []
    activation = layer.__dict__.get("activation")
    if not callable(activation):
        yield recorded
        return

    def recording(tensor: Any, *args: Any, **kwargs: Any) -> Any:
        recorded.append(tensor)
        return activation(tensor, *args, **kwargs)

    layer.__dict__["activation"] = recording
    try:
        yield recorded
    finally:
        layer.__dict__["activation"] = activation


def _python_call(layer: Any) -> Callable[..., Any]:
    """Return the layer's `call` as plain Python: inside a nested tf.function its tensors could not be recorded."""
    function = getattr(type(layer).call, "python_function", None)
    if function is None:
        return layer.call  # type: ignore[no-any-return]
    try:
        function = tf.autograph.to_graph(function)
    except Exception:  # no source to convert, or nothing to convert: the function as it was written
        pass
    return function.__get__(layer)  # type: ignore[no-any-return]


def _operation_count() -> int:
    """Return the number of operations of the graph that is being traced."""
    if tf.executing_eagerly():
        return 0
    return int(tf.compat.v1.get_default_graph().version)  # grows by one per operation, and is cheap to read


GivenArguments = tuple[tuple[Any, ...], dict[str, Any]]  # of a call: by position, and by name


def run_until(
    model: Any,
    arguments: GivenArguments,
    layers: Collection[Any],
    is_last: Callable[[Call], bool],
    calls: list[Call] | None = None,
    batch: int | None = None,
) -> Any:
    """Call `model` in inference mode, and stop as soon as a layer call is the last that is needed.

    Args:
        model: the Keras model.
        arguments: (args, kwargs) of its call.
        layers: to be hooked.
        is_last: whether to stop after a call of one of `layers`.
        calls: receives every call as it finishes, also where the model fails later on.
        batch: how many inputs it is given; None where that is not known.

    Returns:
        The model's output; None where it was stopped.
    """

    def on_call(call: Call) -> None:
        if calls is not None:
            calls.append(call)
        if is_last(call):
            raise _Reached

    with watch(layers, on_call, batch), _in_python(model), safe_scopes():
        try:
            positional, named = arguments
            return model(*positional, **named, training=False)
        except _Reached:
            return None


SAFE, UNSAFE = (
    re.compile(r"[A-Za-z0-9.][A-Za-z0-9_./-]*"),
    re.compile(r"[^A-Za-z0-9_./-]"),
)  # names that TensorFlow accepts


@contextmanager
def safe_scopes() -> Iterator[None]:
    """Accept any name for scopes while the block is traced: in the graph, and only there, it becomes one that TensorFlow accepts."""
    if tf.executing_eagerly():  # where any name will do
        yield
        return
    graph = tf.compat.v1.get_default_graph()
    original = graph.name_scope

    def name_scope(name: str | None) -> Any:
        if name and SAFE.fullmatch(name) is None:
            name = f"scope{UNSAFE.sub('_', name)}"
        return original(name)

    graph.name_scope = name_scope
    try:
        yield
    finally:
        del graph.name_scope


@contextmanager
def _in_python(model: Any) -> Iterator[None]:
    """Run the model's own `call` as plain Python while the block runs: calls inside a graph function could not be recorded."""
    shadowed: list[tuple[Any, str, Any]] = []
    shadow(model, "call", _python_call(model), shadowed)
    try:
        yield
    finally:
        restore(shadowed)
