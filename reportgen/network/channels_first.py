"""Channels-first layers on a processor, where TensorFlow has few of their operations: they compute channels-last instead."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from reportgen.network.backend import gpu_details, keras, tf
from reportgen.network.graph.hooks import restore, shadow

FIRST, LAST = "channels_first", "channels_last"
# Layers whose operations TensorFlow has for GPUs alone where channels come first.
KINDS = tuple(
    getattr(keras.layers, f"{kind}{rank}D")
    for kind, ranks in {
        "Conv": (1, 2, 3), "DepthwiseConv": (1, 2), "SeparableConv": (1, 2), "MaxPooling": (1, 2, 3), "AveragePooling": (1, 2, 3),
    }.items()
    for rank in ranks
) + tuple(getattr(keras.layers, f"Conv{rank}DTranspose") for rank in (1, 2, 3))  # fmt: skip


@contextmanager
def computed_channels_last(layers: Sequence[Any]) -> Iterator[None]:
    """Let the channels-first convolutions and poolings among `layers` compute channels-last while the block is traced.

    Their inputs, pre-activations and outputs stay as they are. On a GPU nothing changes.
    """
    shadowed: list[tuple[Any, str, Any]] = []
    try:
        for layer in layers:
            if getattr(layer, "data_format", None) == FIRST and _computes_as_keras_does(layer) and not gpu_details():
                shadow(layer, "call", partial(_between_transpositions, layer, layer.call), shadowed)
        yield
    finally:
        restore(shadowed)


def _computes_as_keras_does(layer: Any) -> bool:
    """Whether a layer's call is that of one of KINDS, not a subclass's own, which may state axes."""
    return any(isinstance(layer, kind) and type(layer).call is kind.call for kind in KINDS)


def _between_transpositions(layer: Any, call: Callable[..., Any], inputs: Any, *args: Any, **kwargs: Any) -> Any:
    shadowed: list[tuple[Any, str, Any]] = []
    activation = getattr(layer, "activation", None)
    try:
        shadow(layer, "data_format", LAST, shadowed)
        if activation is not None:
            shadow(layer, "activation", lambda maps: _last(activation(_first(maps))), shadowed)
        return _first(call(_last(inputs), *args, **kwargs))
    finally:
        restore(shadowed)


def _last(maps: Any) -> Any:
    rank = maps.shape.rank
    return tf.transpose(maps, (0, *range(2, rank), 1))


def _first(maps: Any) -> Any:
    rank = maps.shape.rank
    return tf.transpose(maps, (0, rank - 1, *range(1, rank - 1)))
