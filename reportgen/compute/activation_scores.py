"""The two figures by which filters are measured: a unit's map averaged over the positions away from its border, and its peak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from reportgen.core.border import BORDER, inner_slices
from reportgen.network.backend import tf
from reportgen.network.graph.layer_calls import LayerCall
from reportgen.network.network import Network


def trimmed(maps: Any, border: int = BORDER, times: int = 0) -> Any:
    """Return maps without their border.

    Args:
        maps: tensor (n, ..., channels) of static spatial size.
        border: positions to leave out at each end of an axis, fewer on small maps: see `border_width`.
        times: how many of the axes after the first are time steps, which have no border.

    Returns:
        The inner part of `maps`, a tensor of as many axes.

    Raises:
        ValueError: the size of the maps is not known.
    """
    lengths = maps.shape[1:-1]
    if None in tuple(lengths):
        raise ValueError("maps must have a known size to be trimmed")
    return maps[(slice(None), *inner_slices(lengths, border, times))]


def figures(maps: Any, times: int = 0) -> Any:
    """float32 (n, channels): the mean of `maps` (n, ..., channels) over trimmed positions; n must be static. times: see `trimmed`.

    Picture by picture: a mean over the whole batch adds up in an order that depends on a picture's place in it.
    """
    pictures = tf.unstack(tf.cast(trimmed(maps, times=times), tf.float32))
    return tf.stack([tf.reduce_mean(picture, axis=tuple(range(picture.shape.rank - 1))) for picture in pictures])


def peaks(maps: Any) -> Any:
    """float32 (n, channels): the largest position of `maps` (n, ..., channels), all positions counted; NaN where one is not finite."""
    values = tf.cast(maps, tf.float32)
    axes = tuple(range(1, values.shape.rank - 1))
    return tf.reduce_max(values, axis=axes) + tf.reduce_sum(0 * values, axis=axes)


@dataclass(frozen=True)
class Figures:
    """What n pictures make of a layer's units, float32 (n, channels) each.

    activation, peak: the mean over trimmed positions and the largest of all positions. pre_activation, pre_peak: the same before the
    unit's activation function.
    """

    activation: np.ndarray
    peak: np.ndarray
    pre_activation: np.ndarray
    pre_peak: np.ndarray

    def of(self, rows: np.ndarray, filters: np.ndarray) -> Figures:
        """The figures, (m,) each, of some pictures' own filters."""
        return Figures(*(getattr(self, name)[rows, filters] for name in FIGURES))


FIGURES = tuple(field.name for field in fields(Figures))


class Meter:
    """Measures units on finished pictures, signals or volumes with the untouched model, always in batches of one shape."""

    def __init__(self, network: Network, layer_calls: Sequence[LayerCall], size: tuple[int, ...], batch: int) -> None:
        """`sites` are measured together in one pass; `size` is of the pictures, without bands."""
        self._batch = batch
        self.traces = 0

        def measure(pictures: Any) -> list[tuple[Any, ...]]:
            self.traces += 1
            units = network.units(network.fed(pictures), layer_calls)
            return [
                (figures(after, layer_call.times), peaks(after), figures(before, layer_call.times), peaks(before))
                for layer_call, (before, after) in zip(layer_calls, units, strict=True)
            ]

        signature = tf.TensorSpec((batch, *size, network.contract.bands), tf.float32)
        self._measure = tf.function(measure, input_signature=[signature], autograph=False)

    def trace(self) -> None:
        """Trace now instead of at the first measurement."""
        self._measure.get_concrete_function()

    def __call__(self, pictures: np.ndarray) -> list[np.ndarray]:
        """float32 (n, channels) per site, for `pictures` (n, *size, bands), uint8 or float32."""
        return [found.activation for found in self.figures(pictures)]

    def figures(self, pictures: np.ndarray) -> list[Figures]:
        """The figures per site of such `pictures`."""
        parts = [
            self._measure(padded(pictures[start : start + self._batch], self._batch).astype(np.float32))
            for start in range(0, len(pictures), self._batch)
        ]
        count = len(pictures)
        return [
            Figures(*(_joined(values, count) for values in zip(*layer_call, strict=True)))
            for layer_call in zip(*parts, strict=True)
        ]


def _joined(parts: Sequence[Any], count: int) -> np.ndarray:
    return np.concatenate([np.asarray(part) for part in parts])[:count]


def padded(rows: np.ndarray, count: int) -> np.ndarray:
    """`rows` filled up to `count` by repeating the last one: a traced batch keeps one shape."""
    if len(rows) == count:
        return rows
    return np.concatenate([rows, np.repeat(rows[-1:], count - len(rows), axis=0)])
