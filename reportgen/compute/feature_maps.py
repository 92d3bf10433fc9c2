"""What every filter answers to a picture: all layers' maps, before and after their activation, in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from reportgen.network.network import Network, Site
from reportgen.network.quiet import tf

FLOAT16_LIMIT = float(np.finfo(np.float16).max)


class MapReader:
    """Reads the maps of several layers at once, one picture at a time."""

    def __init__(self, network: Network, sites: Sequence[Site]) -> None:
        self.traces = 0
        self._differ = [site.unit is not None and site.unit.name != "linear" for site in sites]

        def read(picture: Any) -> list[tuple[Any, Any]]:
            self.traces += 1
            units = network.units(network.feed(tf.cast(picture, tf.float32)), sites)
            return [(tf.cast(before, tf.float32), tf.cast(after, tf.float32)) for before, after in units]

        signature = tf.TensorSpec((1, *network.contract.size, network.contract.bands), tf.uint8)
        self._read = tf.function(read, input_signature=[signature], autograph=False)

    def __call__(self, picture: np.ndarray) -> list[tuple[dict[str, np.ndarray], dict[str, Any]]]:
        """(arrays, facts) per layer for a uint8 `picture` (height, width, bands).

        arrays: `maps` float16 (h, w, channels), finite values clipped to what float16 holds; `pre`, the same before the activation.
        facts: `minimum`, `maximum`, `zero_fraction`, `nonfinite_fraction` of the float32 maps, `pre_minimum`, `pre_maximum`.
        """
        results = []
        for (before, after), differs in zip(self._read(picture[None]), self._differ, strict=True):
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
            arrays = {"maps": _half(maps)}
            if pre is not None:
                arrays["pre"] = _half(pre)
            results.append((arrays, facts))
        return results


def _finite_range(values: np.ndarray) -> tuple[float | None, float | None]:
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (None, None)


def _half(values: np.ndarray) -> np.ndarray:
    clipped = np.clip(values, -FLOAT16_LIMIT, FLOAT16_LIMIT)
    return np.where(np.isfinite(values), clipped, values).astype(np.float16)
