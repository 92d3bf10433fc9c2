"""Where a filter's channel has passed its own activation: the layer itself, or the end of its chain of normalisation and activation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reportgen.network.quiet import keras, tf
from reportgen.network.tap import Call

NORMALISATIONS = (keras.layers.BatchNormalization,)
ACTIVATIONS = (keras.layers.Activation, keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.PReLU, keras.layers.ELU)
# Activation functions called on a tensor outside any layer, as subclassed models do: graph operation -> (name, function).
FUNCTIONS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "Relu": ("relu", tf.nn.relu),
    "Relu6": ("relu6", tf.nn.relu6),
    "Elu": ("elu", tf.nn.elu),
    "Selu": ("selu", tf.nn.selu),
    "Softplus": ("softplus", tf.nn.softplus),
    "Tanh": ("tanh", tf.nn.tanh),
}
PROBES = np.array([-1000.0, -30.0, -3.0, -1.0, -0.5, -0.01], np.float32)


@dataclass(frozen=True)
class Unit:
    """The end of a filter's chain, found again in any trace by layer and occurrence.

    layer, occurrence: the call that ends the chain. inner: the activation is that layer's own (its `activation` argument).
    activating: the layer is itself an activation layer, so its input is the pre-activation. function: an activation function applied to
    the layer's output outside any layer. name: of the activation, `linear` where there is none. normalisations: the layers between the
    convolution and the activation, in order. pooling: the layer pools, so "before" is what it is given.
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
        """Whether `call` is the one that ends the chain."""
        return call.layer is self.layer and call.occurrence == self.occurrence

    def tensors(self, call: Call) -> tuple[Any, Any]:
        """(pre-activation, activation) of the unit, from the call that ends its chain; the same tensor where there is no activation."""
        if self.inner and call.pre_activation is not None:
            return call.pre_activation, call.output
        if self.activating or self.pooling:
            return call.input, call.output
        if self.function is not None:
            return call.output, self.function(call.output)
        return call.output, call.output

    def activate(self) -> Callable[[Any], Any] | None:
        """The activation as a function of a tensor, None where there is none."""
        if self.inner:
            return self.layer.activation  # type: ignore[no-any-return]
        return self.layer if self.activating else self.function

    @property
    def rectified(self) -> bool:
        """Whether the activation answers exactly 0 to every negative number, found by asking it."""
        activate = self.activate()
        if activate is None:
            return False
        try:
            answers = np.asarray(activate(tf.constant(PROBES.reshape(1, 1, -1, 1))))
            positive = np.asarray(activate(tf.ones((1, 1, 1, 1))))
        except Exception:  # an activation that needs its layer's own shape (PReLU) is not a plain rectifier
            return False
        return bool((answers == 0).all() and (positive > 0).all())


def find_unit(call: Call, calls: Sequence[Call], positions: Mapping[str, int]) -> Unit:
    """The unit of a convolution's `call`, among all `calls` of one trace; `positions` numbers the graph's operations by name.

    A chain goes on only while one layer alone consumes the tensor: first normalisations, then one activation.
    """
    name = activation_name(getattr(call.layer, "activation", None))
    if name != "linear":
        return Unit(call.layer, call.occurrence, name, inner=True)
    end = call
    normalisations: tuple[Any, ...] = ()
    while True:
        consumers = end.output.consumers()
        following = _sole_layer(end.output, [positions[operation.name] for operation in consumers], calls)
        if following is None and len(consumers) == 1 and consumers[0].type == "Cast":  # a layer of another precision
            cast = consumers[0].outputs[0]
            consumers = cast.consumers()
            following = _sole_layer(cast, [positions[operation.name] for operation in consumers], calls)
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
        elif following is None and len(consumers) == 1 and consumers[0].type in FUNCTIONS:
            function_name, function = FUNCTIONS[consumers[0].type]
            return Unit(end.layer, end.occurrence, function_name, function=function, normalisations=normalisations)
        else:
            return Unit(end.layer, end.occurrence, "linear", normalisations=normalisations)


def _sole_layer(tensor: Any, consumers: list[int], calls: Sequence[Call]) -> Call | None:
    """The innermost layer call that takes `tensor` in and contains every operation that reads it."""
    if not consumers:
        return None
    candidates = [
        call
        for call in calls
        if call.input is tensor and call.first_operation <= min(consumers) and max(consumers) < call.last_operation
    ]
    return min(candidates, key=lambda call: call.last_operation - call.first_operation, default=None)


def activation_name(activation: Any) -> str:
    """A plain word for an activation function or layer: `relu`, `linear`, `leaky_relu` and so on."""
    if activation is None:
        return "linear"
    name = getattr(activation, "__name__", None) or getattr(activation, "name", None) or type(activation).__name__
    return str(name)


def _layer_activation_name(layer: Any) -> str:
    if isinstance(layer, keras.layers.Activation):
        return activation_name(layer.activation)
    return {"ReLU": "relu", "LeakyReLU": "leaky_relu", "PReLU": "prelu", "ELU": "elu"}.get(
        type(layer).__name__, type(layer).__name__
    )
