"""How fast this machine runs the user's own network: a short measurement that expected times follow from."""

from __future__ import annotations

import statistics
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

import numpy as np

from reportgen.compute.patterns.precision import pays
from reportgen.core.choices import Precision
from reportgen.core.records import LayerRecord
from reportgen.network.backend import fused, tf
from reportgen.network.contract import as_shown
from reportgen.network.network import Network
from reportgen.network.precision import bfloat16

BATCH = 2  # inputs of a measured pass: enough to occupy two cores, few enough for the deepest networks
SECONDS = 0.6  # that passes of a kind are repeated for
MOST_PASSES = 5  # of a kind: their median is no steadier with more
# What drawing and storing mostly is: compressing. It tells how the machine, and what else runs on it, compare with where rates
# were measured.
PIXELS = np.random.default_rng(0).integers(0, 32, 500_000).astype(np.uint8).tobytes()
PIXELS_SECONDS = 0.02  # of one core, 2026


@dataclass(frozen=True)
class Calibration:
    """What was measured.

    Attributes:
        layer: path of the layer up to which the network ran.
        size: of the inputs, on each spatial axis.
        batch: inputs of a pass.
        macs: multiply-adds of the forward pass of one input.
        forward_seconds: of the forward pass of one input.
        gradient_seconds: of the forward pass and the gradient by one input.
        trace_seconds: of tracing both once.
        pace: seconds of one core for one of the machine that fixed rates were measured on.
    """

    layer: str
    size: tuple[int, ...]
    batch: int
    macs: float
    forward_seconds: float
    gradient_seconds: float
    trace_seconds: float
    pace: float

    def stated(self) -> dict[str, Any]:
        """Return what run.json states of it, as plain JSON values."""
        values = {name: round(value, 6) if isinstance(value, float) else value for name, value in asdict(self).items()}
        return values | {"size": list(self.size)}


def calibrate(network: Network, layers: Sequence[LayerRecord], precision: str = Precision.FLOAT32) -> Calibration:
    """Measure how long a forward pass and an input gradient take on the way to the most expensive layer.

    Args:
        network: the model.
        layers: of the report, at least one of them rendered.
        precision: of the gradient, as for `--precision`.

    Returns:
        The measurement, of one or two seconds on a network such as ResNet50, and of a few passes on a larger one.
    """
    shown = [layer for layer in layers if layer.status == "rendered"]

    def size_of(layer: LayerRecord) -> tuple[int, ...]:
        return layer.pattern_size or network.contract.size

    deepest = max(shown, key=lambda layer: layer.macs * prod(size_of(layer)))
    size, layer_call = size_of(deepest), network.by_path[deepest.path]
    low = precision == Precision.BFLOAT16 or (precision == Precision.AUTO and pays(network, layer_call, size))
    filters = tf.zeros((BATCH,), tf.int32)
    pictures = tf.fill((BATCH, *size, network.contract.bands), 0.5)

    def forward(shown: Any) -> Any:
        ((_, maps),) = network.units(network.feed(as_shown(network.contract, shown)), [layer_call])
        return tf.reduce_sum(tf.cast(maps, tf.float32))

    def gradient(shown: Any) -> Any:
        maps = network.own_channels(network.feed(as_shown(network.contract, shown)), layer_call, filters)
        (by_pictures,) = tf.gradients(tf.cast(maps, tf.float32), [shown])
        return tf.zeros(()) if by_pictures is None else tf.reduce_sum(by_pictures)

    def low_gradient(shown: Any) -> Any:
        with bfloat16(network.layers):
            return gradient(shown)

    forward_trace, forward_seconds = _measured(forward, pictures)
    with fused():
        try:
            gradient_trace, gradient_seconds = _measured(low_gradient if low else gradient, pictures)
        except Exception:
            if not low:
                raise
            # A layer that cannot compute in bfloat16: layers behind it are left in float32, or name the failure where it was asked for.
            gradient_trace, gradient_seconds = _measured(gradient, pictures)
    macs = max(1.0, deepest.macs * prod(size) / prod(network.contract.size))
    return Calibration(
        layer=deepest.path,
        size=size,
        batch=BATCH,
        macs=macs,
        forward_seconds=forward_seconds / BATCH,
        gradient_seconds=gradient_seconds / BATCH,
        trace_seconds=forward_trace + gradient_trace,
        pace=_median(lambda: len(zlib.compress(PIXELS))) / PIXELS_SECONDS,
    )


def _measured(computed: Callable[[Any], Any], pictures: Any) -> tuple[float, float]:
    """The seconds of tracing a pass, and the median of running it."""
    started = time.perf_counter()
    traced = tf.function(computed, input_signature=[tf.TensorSpec(pictures.shape, tf.float32)], autograph=False)
    traced.get_concrete_function()
    trace_seconds = time.perf_counter() - started
    return trace_seconds, _median(lambda: traced(pictures))


def _median(run: Callable[[], Any]) -> float:
    """The median seconds of a pass, without the first, which prepares what the others use."""
    float(run())
    seconds: list[float] = []
    while len(seconds) < MOST_PASSES and sum(seconds) < SECONDS:
        started = time.perf_counter()
        float(run())
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)
