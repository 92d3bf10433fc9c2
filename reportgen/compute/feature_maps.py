"""Feature maps: those of several layers for one image in one pass, before and after their activation functions."""

from __future__ import annotations

from collections.abc import Sequence
from math import frexp
from typing import Any

import numpy as np

from reportgen.network.backend import tf
from reportgen.network.graph.layer_calls import LayerCall
from reportgen.network.network import Network

FLOAT16_LIMIT = float(np.finfo(np.float16).max)
FLOAT16_SMALL = 2.0**-4  # below, float16 begins to lose digits of values a thousandth as large
FLOAT16_EXPONENT = 10  # of the largest value after scaling: about 1000, far from either end of float16


class MapReader:
    """Computes the feature maps of several layers at once, one image at a time."""

    def __init__(self, network: Network, layer_calls: Sequence[LayerCall]) -> None:
        self.traces = 0
        self._differ = [
            layer_call.is_pooling or (layer_call.unit is not None and layer_call.unit.name != "linear")
            for layer_call in layer_calls
        ]

        def read(image: Any) -> list[tuple[Any, Any]]:
            self.traces += 1
            units = network.units(network.fed(image), layer_calls)
            return [(tf.cast(before, tf.float32), tf.cast(after, tf.float32)) for before, after in units]

        signature = tf.TensorSpec((1, *network.contract.size, network.contract.bands), tf.float32)
        self._read = tf.function(read, input_signature=[signature], autograph=False)

    def __call__(self, image: np.ndarray) -> list[tuple[dict[str, np.ndarray], dict[str, Any]]]:
        """Compute the feature maps for an image.

        Args:
            image: (*size, channels), uint8 or float32.

        Returns:
            (arrays, facts) per layer. arrays: `maps` float16 (..., channels), the values divided by 2 ** `exponent`; `pre`, the same before
            the activation function where that changes anything, or before pooling, with `pre_exponent`; `peak` float32 (channels,), each
            channel's largest value. facts: the exponents, 0 unless float16 could not hold the values; `minimum`, `maximum`,
            `zero_fraction`, `nonfinite_fraction` of the float32 maps; `pre_minimum`, `pre_maximum`.
        """
        results = []
        for (before, after), differs in zip(self._read(image[None].astype(np.float32)), self._differ, strict=True):
            maps = np.asarray(after)[0]
            pre = np.asarray(before)[0] if differs else None
            low, high = _finite_range(maps)
            pre_low, pre_high = (None, None) if pre is None else _finite_range(pre)
            facts = {
                "minimum": low,
                "maximum": high,
                "zero_fraction": float((maps == 0).mean()),
                "nonfinite_fraction": float((~np.isfinite(maps)).mean()),
                "pre_minimum": pre_low,
                "pre_maximum": pre_high,
            }
            arrays = {}
            arrays["maps"], facts["exponent"] = _half(maps)
            arrays["peak"] = maps.max(axis=tuple(range(maps.ndim - 1)))
            if pre is not None:
                arrays["pre"], facts["pre_exponent"] = _half(pre)
            results.append((arrays, facts))
        return results


def _finite_range(values: np.ndarray) -> tuple[float | None, float | None]:
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (None, None)


def _half(values: np.ndarray) -> tuple[np.ndarray, int]:
    """(float16 values, exponent): `values` divided by 2 ** exponent, which is 0 unless they are too large or too small for float16."""
    largest = float(np.abs(values[np.isfinite(values)]).max(initial=0))
    exponent = 0 if largest == 0 or FLOAT16_SMALL <= largest <= FLOAT16_LIMIT else frexp(largest)[1] - FLOAT16_EXPONENT
    return np.ldexp(values, -exponent).astype(np.float16), exponent
