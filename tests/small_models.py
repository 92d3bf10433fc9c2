"""Tiny networks for tests: walked as a user's model would be, with weights that no initializer of the day decides."""

from __future__ import annotations

from typing import Any

import numpy as np

from reportgen.network.load import Loaded
from reportgen.network.network import Network, Site
from reportgen.network.quiet import keras
from reportgen.settings import Settings

layers = keras.layers


def functional(*stack: Any, shape: tuple[int | None, ...] = (16, 16, 3)) -> Any:
    """A Functional model that applies `stack` one after the other."""
    entry = keras.Input(shape)
    tensor = entry
    for layer in stack:
        tensor = layer(tensor)
    return keras.Model(entry, tensor)


def randomised(model: Any, seed: int = 0, low: float = -0.5, high: float = 0.5) -> Any:
    """`model` with every weight drawn from [low, high), variances of normalisations from [0.5, 1.5)."""
    random = np.random.default_rng(seed)
    for variable in model.weights:
        positive = "variance" in variable.name
        drawn = random.uniform(0.5, 1.5, variable.shape) if positive else random.uniform(low, high, variable.shape)
        variable.assign(drawn.astype(np.float32))
    return model


def network(model: Any, **settings: Any) -> Network:
    """The walked network; preprocessing is `none` unless stated."""
    return Network(Loaded(model, "small", "small.keras", None), Settings(**{"preprocess": "none", **settings}))


def site(walked: Network, path: str) -> Site:
    """The one site with this path."""
    (found,) = [item for item in walked.sites if item.path == path]
    return found


def pictures(count: int, height: int = 16, width: int = 16, bands: int = 3, seed: int = 0) -> np.ndarray:
    """Random uint8 (count, height, width, bands)."""
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, bands), dtype=np.uint8)
