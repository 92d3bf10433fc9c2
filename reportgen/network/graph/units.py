"""Units: where a filter's channel has passed its own activation, in its layer or after a chain of normalization and activation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from types import FunctionType
from typing import Any

import numpy as np

from reportgen.network.backend import keras, tf
from reportgen.network.graph.activation_functions import function_of
from reportgen.network.graph.hooks import Call

NORMALISATIONS = tuple(
    getattr(keras.layers, f"{kind}Normalization")
    for kind in ("Batch", "Group", "Layer", "RMS", "Unit")
    if hasattr(keras.layers, f"{kind}Normalization")
)
ACTIVATIONS = (keras.layers.Activation, keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.PReLU, keras.layers.ELU)
LEAKY_SLOPE = 0.3  # default of a LeakyReLU layer
RELU6_MOST = 6
KERAS = "keras."  # how the names of modules of Keras begin
PROBES = np.array([-1000.0, -30.0, -3.0, -1.0, -0.5, -0.01], np.float32)


@dataclass(frozen=True)
class Unit:
    """The end of a filter's chain, found again in any trace by layer and occurrence.

    layer, occurrence: the call that ends the chain. inner: the activation is that layer's own (its `activation` argument).
    activating: the layer is itself an activation layer, so its input is the pre-activation. function: an activation function applied to
    the layer's output outside any layer. name: of the activation, `linear` where there is none. normalisations: the layers between the
    convolution and the activation, in order. pooling: the layer pools, and "before" is its input.
    """

    layer: Any
    occurrence: int
    name: str
    inner: bool = False
    activating: bool = False
    function: Callable[[Any], Any] | None = None
    normalisations: tuple[Any, ...] = ()
    pooling: bool = False

    def is_end(self, call: Call) -> bool:
        """Return whether `call` is the one that ends the chain."""
        return call.layer is self.layer and call.occurrence == self.occurrence

    def tensors(self, call: Call) -> tuple[Any, Any]:
        """Return (pre-activation, activation), from the call that ends the chain; the same tensor where there is no activation."""
        if self.inner and call.pre_activation is not None:
            return call.pre_activation, call.output
        if self.activating or self.pooling:
            return call.input, call.output
        if self.function is not None:
            return call.output, self.function(call.output)
        return call.output, call.output

    def activate(self) -> Callable[[Any], Any] | None:
        """Return the activation as a function of a tensor, None where there is none."""
        if self.inner:
            return self.layer.activation  # type: ignore[no-any-return]
        return self.layer if self.activating else self.function

    @property
    def rectified(self) -> bool:
        """Whether the activation is exactly 0 for every negative number, found by evaluating it."""
        activate = self.activate()
        function: Any = activate
        if type(function) is keras.layers.Activation:
            function = function.activation
        if isinstance(function, FunctionType) and str(function.__module__).startswith(KERAS):
            return _keras_rectifies(function)
        return activate is not None and _rectifies(activate)


def _rectifies(activate: Callable[[Any], Any]) -> bool:
    """Return whether an activation is exactly 0 for every negative number, and above 0 for 1."""
    try:
        with tf.init_scope():
            negative = np.asarray(activate(tf.constant(PROBES.reshape(1, 1, -1, 1))))
            positive = np.asarray(activate(tf.ones((1, 1, 1, 1))))
    except Exception:  # an activation that needs its layer's own shape (PReLU) is not a plain rectifier
        return False
    return bool((negative == 0).all() and (positive > 0).all())


_keras_rectifies = cache(_rectifies)  # Keras's own functions: the same in every layer


def find_unit(call: Call, calls: Sequence[Call], positions: Mapping[str, int]) -> Unit:
    """Find the unit of a convolution's call.

    A chain continues only while one layer alone consumes the tensor: first normalizations, then one activation.

    Args:
        call: of the convolution.
        calls: all of the same trace.
        positions: number of each operation of the graph, by its name.
    """
    name = activation_name(getattr(call.layer, "activation", None))
    if name != "linear":
        return Unit(call.layer, call.occurrence, name, inner=True)
    end = call
    normalisations: tuple[Any, ...] = ()
    while True:
        following = None
        for tensor in _passed_on(end.output):
            consumers = [positions[operation.name] for operation in tensor.consumers()]
            following = _sole_layer(tensor, consumers, calls)
            if following is not None and isinstance(following.layer, (*NORMALISATIONS, *ACTIVATIONS)):
                break
        if following is not None and isinstance(following.layer, NORMALISATIONS):
            end = following
            normalisations = (*normalisations, following.layer)
        elif following is not None and isinstance(following.layer, ACTIVATIONS):
            return Unit(
                following.layer,
                following.occurrence,
                _layer_activation_name(following.layer),
                activating=True,
                normalisations=normalisations,
            )
        elif following is None and (function := function_of(end.output)) is not None:
            return Unit(end.layer, end.occurrence, function[0], function=function[1], normalisations=normalisations)
        else:
            return Unit(end.layer, end.occurrence, "linear", normalisations=normalisations)


def own_unit(call: Call) -> Unit:
    """Return the unit of a layer that the user named: its output, whatever follows, around its own activation function if it has one."""
    name = activation_name(getattr(call.layer, "activation", None))
    if isinstance(call.layer, ACTIVATIONS):
        return Unit(call.layer, call.occurrence, _layer_activation_name(call.layer), activating=True)
    return Unit(call.layer, call.occurrence, name, inner=name != "linear")


def _passed_on(tensor: Any) -> Iterator[Any]:
    """Yield `tensor`, and what casts and reshapes make of it before a layer of another precision or the next TimeDistributed takes it."""
    yield tensor
    shape, passed = tensor.shape.as_list(), tensor
    while len(passed.consumers()) == 1 and passed.consumers()[0].type in ("Cast", "Reshape"):
        passed = passed.consumers()[0].outputs[0]
        if passed.shape.as_list() == shape:
            yield passed


def _sole_layer(tensor: Any, consumers: list[int], calls: Sequence[Call]) -> Call | None:
    """Return the innermost layer call that has `tensor` as its input and contains every operation that reads it."""
    if not consumers:
        return None
    candidates = [
        call
        for call in calls
        if call.input is tensor and call.first_operation <= min(consumers) and max(consumers) < call.last_operation
    ]
    return min(candidates, key=lambda call: call.last_operation - call.first_operation, default=None)


def activation_name(activation: Any) -> str:
    """Return the name of an activation function or layer: `relu`, `relu6`, `linear`, `leaky_relu (slope 0.1)` and so on."""
    if activation is None:
        return "linear"
    if isinstance(activation, partial):
        return _with(activation_name(activation.func), activation.keywords)
    if isinstance(activation, keras.layers.Layer):
        return _layer_activation_name(activation)
    return str(getattr(activation, "__name__", None) or getattr(activation, "name", None) or type(activation).__name__)


def _layer_activation_name(layer: Any) -> str:
    """Return the name of what an activation layer computes."""
    if isinstance(layer, keras.layers.Activation):
        return activation_name(layer.activation)
    if isinstance(layer, keras.layers.ReLU):
        return _rectifier_name(_number(layer.negative_slope), layer.max_value, _number(layer.threshold))
    if isinstance(layer, keras.layers.LeakyReLU):
        slope = _number(layer.negative_slope)
        return _with("leaky_relu", {} if slope == LEAKY_SLOPE else {"slope": slope})
    if isinstance(layer, keras.layers.ELU):
        return _with("elu", {} if _number(layer.alpha) == 1 else {"alpha": _number(layer.alpha)})
    return "prelu" if isinstance(layer, keras.layers.PReLU) else str(layer.name)


def _rectifier_name(slope: float, most: float | None, threshold: float) -> str:
    """Return the name of a ReLU layer with these arguments."""
    if (slope, most, threshold) == (0, RELU6_MOST, 0):
        return "relu6"
    stated = {"slope": slope, "max": most, "threshold": threshold}
    return _with(
        "leaky_relu" if slope else "relu",
        {key: value for key, value in stated.items() if value or (value == 0 and key == "max")},
    )


def _with(name: str, stated: Mapping[str, Any]) -> str:
    """Return a name with its numbers, each in its shortest form: `leaky_relu (slope 0.1, max 4)`."""
    words = [
        f"{key} {_number(value):g}" if isinstance(value, (int, float)) else f"{key} {value}"
        for key, value in stated.items()
    ]
    return f"{name} ({', '.join(words)})" if words else name


def _number(value: Any) -> float:
    """Return a number that a layer may keep as an array of one in single precision."""
    return float(f"{float(np.asarray(value)):.6g}")
