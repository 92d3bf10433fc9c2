"""The path of every layer inside a model: layer names in Functional and Sequential models, attribute names elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reportgen.network.backend import keras

# Attributes of a layer that are Keras's own, never the user's.
INTERNAL = frozenset(
    {"_layers", "_functional", "_metrics", "_tracker", "_losses", "_loss_tracker", "_inbound_nodes", "_outbound_nodes"}
)

WRAPPERS = (keras.layers.Wrapper, keras.layers.Bidirectional)
WRAPPED = ("layer", "forward_layer", "backward_layer")  # attributes that hold the wrapped layers
TRACKING = "_self_"  # TensorFlow's own bookkeeping on every object that it tracks


def named_layers(model: Any) -> dict[int, tuple[str, Any]]:
    """Return {id(layer): (path, layer)} for every layer inside `model`, depth first; a layer reached twice keeps its first path."""
    found: dict[int, tuple[str, Any]] = {}
    seen = {id(model)}
    _collect(model, "", found, seen)
    return found


def path_of(named: Mapping[int, tuple[str, Any]], layer: Any, occurrence: int) -> str:
    """Return the path of a layer's k-th call.

    Args:
        named: as `named_layers` returns it.
        layer: one of its layers.
        occurrence: k, from 1.
    """
    path = named[id(layer)][0]
    return path if occurrence == 1 else f"{path}@{occurrence}"


def _collect(
    container: Any, prefix: str, found: dict[int, tuple[str, Any]], seen: set[int], named: bool = False
) -> None:
    """Collect the layers inside `container`. named: its own name is in its path; then so is that of a layer that it wraps."""
    wraps = named and isinstance(container, WRAPPERS)
    for name, layer in _children(container):
        if wraps and name in WRAPPED:
            name = layer.name
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        path = f"{prefix}{name}"
        found[id(layer)] = (path, layer)
        _collect(layer, f"{path}/", found, seen, wraps or _lists_its_layers(container))


def _children(container: Any) -> Iterator[tuple[str, Any]]:
    """Yield (name, layer) of the layers directly inside `container`."""
    if _lists_its_layers(container):
        for layer in container.layers:
            yield layer.name, layer
        return
    public = {name: value for name, value in vars(container).items() if not name.startswith("_")}
    private = {
        name: value
        for name, value in vars(container).items()
        if name.startswith("_") and name not in INTERNAL and not name.startswith(TRACKING)
    }
    for name, value in (*public.items(), *private.items()):
        yield from _layers_of(name, value)


def _lists_its_layers(container: Any) -> bool:
    """Return whether `container` is a Functional or Sequential model, or of a subclass: its layers have stable names."""
    return isinstance(container, keras.Sequential) or (
        isinstance(container, keras.Model) and hasattr(container, "_operations")
    )


def _layers_of(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield (name, layer) of the layers in the value of an attribute."""
    if isinstance(value, keras.layers.Layer):
        yield name, value
    elif isinstance(value, (list, tuple)):
        for position, item in enumerate(value):
            yield from _layers_of(f"{name}/{position}", item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _layers_of(f"{name}/{key}", item)
