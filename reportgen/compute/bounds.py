"""Bounds of a unit's values over every input, and which units are thereby proven dead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reportgen.compute.intervals.graph import Bounded, Value, variables
from reportgen.compute.intervals.interval import Interval, everywhere, hull_but
from reportgen.network.backend import tf
from reportgen.network.graph.layer_calls import LayerCall
from reportgen.network.network import Network
from reportgen.network.preprocessing import EIGHT_BIT_MAXIMUM

SAME_NUMBER = 1e-6  # of a number's size: numbers that are closer are the same in single precision


@dataclass(frozen=True)
class Bounds:
    """Lower and upper bounds of a unit's channels at every position, for every input within the contract's range.

    before_low, before_high: float64 (channels,), before the unit's activation function; infinite where nothing is known. after_low,
    after_high: after it. varies: bool (channels,), whether the input can change the channel's map at all as far as is known. rectified:
    of the unit.

    Rounding of the model's own arithmetic is included: each term of a sum of n products counts with a relative error of n + 2 roundings
    of the tensor's type, and in single precision 2**-10 more for GPUs that multiply in TensorFloat-32. Values that are not finite are not.
    """

    before_low: np.ndarray
    before_high: np.ndarray
    after_low: np.ndarray
    after_high: np.ndarray
    varies: np.ndarray
    rectified: bool

    @property
    def constant(self) -> np.ndarray:
        """Bool (channels,): proven to have the same map for every input, up to SAME_NUMBER of its values' size.

        That map need not be one number: zero padding may show at its border.
        """
        size = np.maximum(np.abs(self.after_low), np.abs(self.after_high))
        with np.errstate(invalid="ignore"):
            equal = self.after_high - self.after_low <= SAME_NUMBER * size + np.finfo(np.float32).tiny
        return np.asarray(~self.varies | (equal & np.isfinite(size)))

    @property
    def dead(self) -> np.ndarray:
        """Bool (channels,): proven that no input makes the rectified unit exceed zero, or that it is the same for all inputs."""
        return self.constant | (self.after_high <= 0) if self.rectified else self.constant


def bounds_of(network: Network, layer_calls: Sequence[LayerCall], size: tuple[int, ...]) -> dict[str, Bounds]:
    """Bound the unit of every layer call, in one trace.

    Args:
        network: the model.
        layer_calls: those without a unit are left out.
        size: length of each spatial axis of the input.

    Returns:
        The bounds by path.

    Raises:
        Exception: what the model raises where it does not run at that size.
    """
    shown = [layer_call for layer_call in layer_calls if layer_call.unit is not None]
    entry: list[Any] = []
    units: list[tuple[Any, Any]] = []

    def trace(pictures: Any) -> None:
        entry.append(pictures)
        units.extend(network.units(network.feed(pictures), shown))

    contract = network.contract
    signature = tf.TensorSpec((1, *size, contract.bands), tf.float32)
    traced = tf.function(trace, autograph=False).get_concrete_function(signature)
    low, high = (0.0, EIGHT_BIT_MAXIMUM) if contract.is_picture else (contract.low, contract.high)
    given: dict[str, Value] = {**variables(traced.graph), entry[0].name: everywhere(entry[0], low, high, True)}
    known = Bounded(traced.graph, given, [tensor for pair in units for tensor in pair])
    found = {}
    for layer_call, (before, after) in zip(shown, units, strict=True):
        assert layer_call.unit is not None
        first, second = _by_channel(known.of(before), before), _by_channel(known.of(after), after)
        found[layer_call.path] = Bounds(
            first.low, first.high, second.low, second.high, second.varies, layer_call.unit.rectified
        )
    return found


def _by_channel(value: Value, tensor: Any) -> Interval:
    """Return bounds (channels,) of a unit's maps (1, ..., channels), for all positions."""
    assert isinstance(value, Interval)
    one = hull_but(value, -1)
    return Interval(*(np.broadcast_to(values.reshape(-1), (tensor.shape[-1],)).copy() for values in one.arrays))
