"""How a layer keeps its maps, and how a report does: channels last, time unfolded from the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reportgen.core.records import InputContract
from reportgen.network.backend import keras, tf
from reportgen.network.graph.hooks import Call
from reportgen.network.graph.input_views import View


def bands_first(layers: Sequence[Any]) -> bool:
    """Whether a model takes its bands behind the batch: as the first of its layers that has a say, unless axes are reordered before."""
    for layer in layers:
        if isinstance(layer, (keras.layers.Permute, keras.layers.Reshape, keras.layers.Lambda)):
            return False
        if getattr(layer, "data_format", None) is not None:
            return bool(layer.data_format == "channels_first")
    return False


def stored(tensor: Any, times: tuple[int, ...], channels_first: bool) -> Any:
    """A layer's own tensor as reports keep it: channels last, time unfolded from the batch."""
    if channels_first:
        tensor = keras.ops.moveaxis(tensor, 1, -1)
    return tf.reshape(tensor, (-1, *times, *tensor.shape[1:])) if times else tensor


def stored_shape(tensor: Any, times: tuple[int, ...], channels_first: bool) -> tuple[int, ...]:
    """The shape of `stored` without the batch."""
    own = tuple(tensor.shape[1:])
    return (*times, *((*own[1:], own[0]) if channels_first else own))


def varying(view: View, end: Call, contract: InputContract, channels_first: bool) -> tuple[bool, ...]:
    """For each axis of the unit's maps whether its length follows from a dynamic one of the input's."""
    count = end.output.shape.rank - 1 + len(end.times)
    dynamic = [length is None for length in contract.shape[:-1]]
    if view.axes is None:
        return tuple(
            (dynamic[axis] if axis < len(dynamic) else any(dynamic)) and axis < count - 1 for axis in range(count)
        )
    behind_batch = 2 if channels_first else 1
    places = [place - behind_batch + len(end.times) if place > 0 else 0 for place in view.places]
    return tuple(
        axis in [place for place, varies in zip(places, dynamic, strict=True) if varies] for axis in range(count)
    )
