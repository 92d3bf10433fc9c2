"""How layers of a Functional model are connected: Keras 2's lists, read and rewritten as Keras 3 reads them."""

from __future__ import annotations

import inspect
from typing import Any

from reportgen.network.backend import keras
from reportgen.network.loading.legacy import operations

RECURRENT = frozenset({"LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"})
CONSTANT = "_CONSTANT_VALUE"  # Keras 2's word for an argument that is no tensor


def connected(connections: Any, names: dict[str, str], inner: set[str]) -> Any:
    """Rename the layers in connections, and count calls of inner models from 0: Keras 2 counted their construction as the first.

    Args:
        connections: nested lists and dicts of them, as the file has them.
        names: new name of each layer by its old one.
        inner: new names of the inner models whose calls are counted from 1.
    """
    if isinstance(connections, dict):
        return {key: connected(value, names, inner) for key, value in connections.items()}
    if not isinstance(connections, list):
        return connections
    if is_connection(connections):
        name, call, *rest = connections
        name = names.get(name, name)
        return [name, call - (name in inner), *(connected(item, names, inner) for item in rest)]
    return [connected(item, names, inner) for item in connections]


def placed(value: Any, tensors: list[Any]) -> Any:
    """Replace each connection in an argument of a function by its place in `tensors`, to which it is appended.

    Args:
        value: the argument; a constant among the connections stays in its own place.
        tensors: connections found so far, extended in place.
    """
    if is_connection(value):
        if value[0] == CONSTANT:
            return value[2]
        tensors.append(value[:3])
        return {operations.TENSOR: len(tensors) - 1}
    if isinstance(value, dict):
        return {key: placed(item, tensors) for key, item in value.items()}
    return [placed(item, tensors) for item in value] if isinstance(value, list) else value


def with_tensors(call: Any, kind: str) -> Any:
    """Rewrite a call of a layer in Keras 3's form where arguments beside the first are tensors, which it does not read from the older form.

    Keras 2 listed the initial states of a recurrent layer after its input.

    Args:
        call: connections of one call.
        kind: class of the layer.
    """
    if not isinstance(call, list) or not call:
        return call
    connections = [call] if is_connection(call) else call
    given = dict(connections[0][3]) if is_connection(connections[0]) and len(connections[0]) > 3 else {}
    recurrent = kind in RECURRENT and len(connections) > 1
    if not recurrent and not _holds_connection(given):
        return call
    first, *more = [_tensor(connection) for connection in connections]
    if recurrent:
        return {"args": [first], "kwargs": {**_tensor(given), "initial_state": more}}
    args = [[first, *more] if more else first]
    while given and next(iter(given)) == _parameter(
        kind, len(args)
    ):  # by place, as Keras 2 counted the layers that they come from
        args.append(_tensor(given.pop(next(iter(given)))))
    return {"args": args, "kwargs": _tensor(given)}


def _parameter(kind: str, place: int) -> str | None:
    """Return the name of the argument of a Keras layer's call at a place, counted from 0; None where there is none."""
    layer = getattr(keras.layers, kind, None)
    parameters = [] if layer is None else list(inspect.signature(layer.call).parameters)[1:]
    return parameters[place] if place < len(parameters) else None


def _tensor(value: Any) -> Any:
    """Return a value with each connection in it as Keras 3 writes a tensor, whose shape and type are never read."""
    if is_connection(value):
        return {
            "class_name": "__keras_tensor__",
            "config": {"shape": [None], "dtype": "float32", "keras_history": value[:3]},
        }
    if isinstance(value, dict):
        return {key: _tensor(item) for key, item in value.items()}
    return [_tensor(item) for item in value] if isinstance(value, list) else value


def single(connections: Any) -> Any:
    """Return one connection by itself instead of a list of one."""
    one = isinstance(connections, list) and len(connections) == 1 and is_connection(connections[0])
    return connections[0] if one else connections


def is_connection(value: Any) -> bool:
    """Return whether a value is a layer's name, the number of its call and of its output (and possibly the arguments of the call)."""
    return isinstance(value, list) and len(value) >= 3 and isinstance(value[0], str) and isinstance(value[1], int)


def _holds_connection(value: Any) -> bool:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return is_connection(value) or any(_holds_connection(item) for item in items)
