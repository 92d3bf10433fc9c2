"""What is stored of the normalization layers between a convolution and its activation: the ends of each weight's range."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from reportgen.network.graph.layer_kinds import as_numpy

WEIGHTS = (
    "gamma",
    "beta",
    "scale",
    "moving_mean",
    "moving_variance",
)  # as Keras names them; RMS normalization has a scale


def normalization_facts(layers: Sequence[Any]) -> list[dict[str, Any]]:
    """Return class, name and weights of normalization layers, as plain JSON values.

    Args:
        layers: in the order in which data passes them.

    Returns:
        One dict each; `weights` has by name `minimum` and `maximum` over the finite values (None without any), `count` and `nonfinite`.
    """
    return [
        {
            "class": type(layer).__name__,
            "name": str(layer.name),
            "weights": {name: _range(value) for name in WEIGHTS if (value := _values(layer, name)) is not None},
        }
        for layer in layers
    ]


def _values(layer: Any, name: str) -> np.ndarray | None:
    """A weight of a layer; None where it has none of that name. GroupNormalization has a `scale` that only says whether there is one."""
    found = getattr(layer, name, None)
    return as_numpy(found) if hasattr(found, "shape") else None


def _range(values: np.ndarray) -> dict[str, Any]:
    finite = values[np.isfinite(values)]
    ends = (float(finite.min()), float(finite.max())) if finite.size else (None, None)
    return {"minimum": ends[0], "maximum": ends[1], "count": values.size, "nonfinite": values.size - finite.size}
