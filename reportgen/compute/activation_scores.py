"""Activation scores: a unit's map averaged over the positions away from its border, and its peak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from reportgen.core.axes import BORDER, inner_slices
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


def trimmed_mean(maps: Any, times: int = 0) -> Any:
    """Return the mean of maps over trimmed positions.

    Map by map: a mean over the whole batch adds up in an order that depends on an input's place in it.

    Args:
        maps: tensor (n, ..., channels) of static shape.
        times: how many of the axes after the first are time steps, see `trimmed`.

    Returns:
        float32 (n, channels).
    """
    each = tf.unstack(tf.cast(trimmed(maps, times=times), tf.float32))
    return tf.stack([tf.reduce_mean(one, axis=tuple(range(one.shape.rank - 1))) for one in each])


def peaks(maps: Any) -> Any:
    """Return the largest position of maps, all positions counted.

    Args:
        maps: tensor (n, ..., channels).

    Returns:
        float32 (n, channels), NaN where a position is not finite.
    """
    values = tf.cast(maps, tf.float32)
    axes = tuple(range(1, values.shape.rank - 1))
    return tf.reduce_max(values, axis=axes) + tf.reduce_sum(0 * values, axis=axes)


@dataclass(frozen=True)
class Scores:
    """The scores of a layer's units on n inputs, float32 (n, channels) each.

    Attributes:
        activation: the mean over trimmed positions.
        peak: the largest of all positions.
        pre_activation: the mean before the unit's activation function.
        pre_peak: the peak before the unit's activation function.
    """

    activation: np.ndarray
    peak: np.ndarray
    pre_activation: np.ndarray
    pre_peak: np.ndarray

    def of(self, rows: np.ndarray, filters: np.ndarray) -> Scores:
        """Return the scores of single pairs.

        Args:
            rows: int (m,), inputs.
            filters: int (m,), the filter that is scored on each of them.

        Returns:
            Scores, (m,) each.
        """
        return Scores(*(getattr(self, name)[rows, filters] for name in SCORES))


SCORES = tuple(field.name for field in fields(Scores))


class Meter:
    """Measures units on finished images, signals or volumes with the unmodified model, always in batches of one shape."""

    def __init__(self, network: Network, layer_calls: Sequence[LayerCall], size: tuple[int, ...], batch: int) -> None:
        """Prepare to measure.

        Args:
            network: the model.
            layer_calls: the layers, measured together in one pass.
            size: of the inputs, on each spatial axis.
            batch: how many inputs are measured at once.
        """
        self._batch = batch
        self.traces = 0

        def measure(images: Any) -> list[tuple[Any, ...]]:
            self.traces += 1
            units = network.units(network.fed(images), layer_calls)
            return [
                (
                    trimmed_mean(after, layer_call.times),
                    peaks(after),
                    trimmed_mean(before, layer_call.times),
                    peaks(before),
                )
                for layer_call, (before, after) in zip(layer_calls, units, strict=True)
            ]

        signature = tf.TensorSpec((batch, *size, network.contract.bands), tf.float32)
        self._measure = tf.function(measure, input_signature=[signature], autograph=False)

    def trace(self) -> None:
        """Trace now instead of at the first measurement."""
        self._measure.get_concrete_function()

    def __call__(self, images: np.ndarray) -> list[np.ndarray]:
        """Return the activation, float32 (n, channels) per layer, for `images` (n, *size, channels), uint8 or float32."""
        return [found.activation for found in self.scores(images)]

    def scores(self, images: np.ndarray) -> list[Scores]:
        """Return all scores per layer, for `images` (n, *size, channels), uint8 or float32."""
        parts = [
            self._measure(padded(images[start : start + self._batch], self._batch).astype(np.float32))
            for start in range(0, len(images), self._batch)
        ]
        count = len(images)
        return [
            Scores(*(_joined(values, count) for values in zip(*layer_call, strict=True)))
            for layer_call in zip(*parts, strict=True)
        ]


def _joined(parts: Sequence[Any], count: int) -> np.ndarray:
    return np.concatenate([np.asarray(part) for part in parts])[:count]


def padded(rows: np.ndarray, count: int) -> np.ndarray:
    """Return `rows` filled up to `count` by repeating the last one: a traced batch keeps one shape."""
    if len(rows) == count:
        return rows
    return np.concatenate([rows, np.repeat(rows[-1:], count - len(rows), axis=0)])
