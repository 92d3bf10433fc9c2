"""The axis order of feature maps: from that of a layer to that of a report, channels last and time unfolded from the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reportgen.core.records import InputContract
from reportgen.network.backend import keras, tf
from reportgen.network.graph.hooks import Call
from reportgen.network.graph.input_views import View


def takes_channels_first(layers: Sequence[Any]) -> bool:
    """Return whether a model takes its input channels first: as its first layer with a `data_format`, unless axes are reordered before.

    Args:
        layers: of the model, in order.
    """
    for layer in layers:
        if isinstance(layer, (keras.layers.Permute, keras.layers.Reshape, keras.layers.Lambda)):
            return False
        if getattr(layer, "data_format", None) is not None:
            return bool(layer.data_format == "channels_first")
    return False


def stored(tensor: Any, times: tuple[int, ...], channels_first: bool) -> Any:
    """Bring a layer's own tensor into the axis order of a report: (n, *times, *spatial, channels).

    Args:
        tensor: (n * time, *spatial, channels), or channels first.
        times: lengths that are folded into the batch, see `Call`.
        channels_first: whether the channels follow the batch.
    """
    if channels_first:
        tensor = keras.ops.moveaxis(tensor, 1, -1)
    return tf.reshape(tensor, (-1, *times, *tensor.shape[1:])) if times else tensor


def stored_shape(tensor: Any, times: tuple[int, ...], channels_first: bool) -> tuple[int, ...]:
    """Return the shape of the result of `stored` without the batch; the arguments are its own."""
    own = tuple(tensor.shape[1:])
    return (*times, *((*own[1:], own[0]) if channels_first else own))


def varying(view: View, end: Call, contract: InputContract, channels_first: bool) -> tuple[bool, ...]:
    """Return for each axis of a unit's maps whether its length follows from a dynamic one of the input.

    Args:
        view: of the unit.
        end: the call that ends the unit's chain.
        contract: of the input.
        channels_first: whether the layer keeps its channels after the batch.
    """
    count = end.output.shape.rank - 1 + len(end.times)
    dynamic = [length is None for length in contract.shape[:-1]]
    if view.axes is None:
        return tuple(
            (dynamic[axis] if axis < len(dynamic) else any(dynamic)) and axis < count - 1 for axis in range(count)
        )
    first_spatial = 2 if channels_first else 1
    places = [place - first_spatial + len(end.times) if place > 0 else 0 for place in view.places]
    return tuple(
        axis in [place for place, varies in zip(places, dynamic, strict=True) if varies] for axis in range(count)
    )
