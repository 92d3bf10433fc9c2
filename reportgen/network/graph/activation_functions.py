"""Activation functions called outside any layer, recognized by their values: a graph of plain operations that computes a known one."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import erf
from typing import Any

import numpy as np

from reportgen.network.backend import keras, tf

# Single operations, and the activation function that each computes.
SINGLE: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "Relu": ("relu", tf.nn.relu),
    "Relu6": ("relu6", tf.nn.relu6),
    "Elu": ("elu", tf.nn.elu),
    "Selu": ("selu", tf.nn.selu),
    "Softplus": ("softplus", tf.nn.softplus),
    "Softsign": ("softsign", tf.nn.softsign),
    "Sigmoid": ("sigmoid", tf.nn.sigmoid),
    "Tanh": ("tanh", tf.nn.tanh),
}
COMPOSED = ("gelu", "silu", "mish", "hard_silu", "hard_sigmoid", "leaky_relu", "hard_tanh", "tanh_shrink")
LONGEST = 14  # operations of a function; the tanh form of gelu, the longest known, has ten
PROBES = np.linspace(-6.0, 6.0, 49)
# Single precision of functions of order 1 to 6; any two of them differ by far more at some probe.
TOLERANCE = 1e-5
TENSORFLOW_SLOPE = 0.2  # default of its leaky_relu
EVALUATED: dict[str, Callable[..., Any]] = {
    "Add": np.add,
    "AddV2": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "RealDiv": np.divide,
    "Div": np.divide,
    "Maximum": np.maximum,
    "Minimum": np.minimum,
    "Pow": np.power,
    "Square": np.square,
    "Neg": np.negative,
    "Exp": np.exp,
    "Log1p": np.log1p,
    "Tanh": np.tanh,
    "Erf": np.vectorize(erf),
    "Erfc": np.vectorize(lambda value: 1 - erf(value)),
    "Sigmoid": lambda values: 1 / (1 + np.exp(-values)),
    "Softplus": lambda values: np.logaddexp(values, 0),
    "Relu": lambda values: np.maximum(values, 0),
    "Relu6": lambda values: np.clip(values, 0, 6),
}
PASSING = frozenset({"Identity", "IdentityN", "StopGradient", "Cast"})


def function_of(tensor: Any) -> tuple[str, Callable[[Any], Any]] | None:
    """Return (name, function) of the activation function that the operations on `tensor` compute; None where they compute no known one."""
    consumers = tensor.consumers()
    if len(consumers) == 1 and consumers[0].type in SINGLE:
        return SINGLE[consumers[0].type]
    if len(consumers) == 1 and consumers[0].type == "LeakyRelu":
        return _leaky(float(consumers[0].get_attr("alpha")))
    return _composed(tensor)


def _leaky(slope: float) -> tuple[str, Callable[[Any], Any]]:
    """Return (name, function) of a leaky ReLU."""
    name = "leaky_relu" if abs(slope - TENSORFLOW_SLOPE) < TOLERANCE else f"leaky_relu (slope {slope:.6g})"
    return name, lambda values: tf.nn.leaky_relu(values, slope)


def _composed(tensor: Any) -> tuple[str, Callable[[Any], Any]] | None:
    """Evaluate the operations after `tensor` on the probes until a single tensor leads on, and recognize its values."""
    values: dict[str, np.ndarray] = {tensor.name: PROBES}
    tensors: dict[str, Any] = {tensor.name: tensor}
    done: set[str] = set()
    for _ in range(LONGEST):
        waiting = {
            operation.name: operation
            for given in tensors.values()
            for operation in given.consumers()
            if operation.name not in done
        }
        ready = [operation for operation in waiting.values() if _operands(operation, values) is not None]
        if not ready:
            return None
        operation = ready[0]
        results = _evaluated(operation, values)
        if results is None:
            return None
        done.add(operation.name)
        for output, result in zip(operation.outputs, results, strict=False):
            values[output.name], tensors[output.name] = result, output
        open_ends = [
            name for name, given in tensors.items() if any(other.name not in done for other in given.consumers())
        ]
        ends = open_ends if open_ends else [operation.outputs[0].name]
        if len(ends) == 1 and (found := _known(values[ends[0]])) is not None:
            return found
    return None


def _operands(operation: Any, values: dict[str, np.ndarray]) -> list[np.ndarray] | None:
    """Return the values of an operation's inputs, constants included; None where one is not known."""
    found = []
    for given in operation.inputs:
        if given.name in values:
            found.append(values[given.name])
            continue
        constant = tf.get_static_value(given)
        if constant is None or np.size(constant) != 1 or np.asarray(constant).dtype.kind not in "fiu":
            return None
        found.append(np.asarray(constant, np.float64).reshape(()))
    return found


def _evaluated(operation: Any, values: dict[str, np.ndarray]) -> list[np.ndarray] | None:
    """Evaluate an operation whose inputs are known; None where it is of no known type."""
    operands = _operands(operation, values)
    assert operands is not None
    if operation.type in PASSING:
        return operands
    if operation.type == "LeakyRelu":
        return [np.where(operands[0] < 0, float(operation.get_attr("alpha")) * operands[0], operands[0])]
    if operation.type not in EVALUATED:
        return None
    with np.errstate(all="ignore"):
        return [np.asarray(EVALUATED[operation.type](*operands))]


def _known(values: np.ndarray) -> tuple[str, Callable[[Any], Any]] | None:
    """Return the known function that has these values at the probes; None where there is none."""
    for name, function, expected in _table():
        if values.shape == expected.shape and np.allclose(values, expected, rtol=0, atol=TOLERANCE):
            return name, function
    return None


@cache
def _table() -> tuple[tuple[str, Callable[[Any], Any], np.ndarray], ...]:
    """The known functions (name, function, values at the probes)."""
    functions: dict[str, Callable[[Any], Any]] = {name: getattr(keras.activations, name) for name in COMPOSED}
    functions["gelu_tanh"] = lambda values: keras.activations.gelu(values, approximate=True)
    functions |= dict(SINGLE.values())
    with tf.init_scope():
        probes = tf.constant(PROBES, tf.float32)
        return tuple((name, function, np.asarray(function(probes), np.float64)) for name, function in functions.items())
