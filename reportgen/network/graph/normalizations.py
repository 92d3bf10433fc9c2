"""What is stored of the normalization layers between a convolution and its activation: their weights, and the ends of each one's range."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from reportgen.core.axes import NORMALIZATION_PREFIX
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


def normalization_arrays(layers: Sequence[Any]) -> dict[str, np.ndarray]:
    """Return the weights of normalization layers, to be stored beside the kernel that they follow.

    Args:
        layers: in the order in which data passes them.

    Returns:
        By name: `normalization_gamma`, `normalization_epsilon` (1,) and so on; those of a second layer begin with `normalization_2_`.
    """
    found: dict[str, np.ndarray] = {}
    for place, layer in enumerate(layers, 1):
        prefix = NORMALIZATION_PREFIX if place == 1 else f"{NORMALIZATION_PREFIX}{place}_"
        own = {name: value for name in WEIGHTS if (value := _values(layer, name)) is not None}
        found |= {f"{prefix}{name}": value for name, value in own.items()}
        epsilon = getattr(layer, "epsilon", None)
        if isinstance(epsilon, float):
            found[f"{prefix}epsilon"] = np.array([epsilon])
    return found


def _values(layer: Any, name: str) -> np.ndarray | None:
    """A weight of a layer; None where it has none of that name. GroupNormalization has a `scale` that only says whether there is one."""
    found = getattr(layer, name, None)
    return as_numpy(found) if hasattr(found, "shape") else None


def _range(values: np.ndarray) -> dict[str, Any]:
    finite = values[np.isfinite(values)]
    ends = (float(finite.min()), float(finite.max())) if finite.size else (None, None)
    return {"minimum": ends[0], "maximum": ends[1], "count": values.size, "nonfinite": values.size - finite.size}
