"""Tiny networks for tests: walked as a user's model would be, with weights that no initializer of the day decides."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from reportgen.compute.patterns.ascent import Ascent
from reportgen.compute.patterns.recipe import OPTVIS, Recipe
from reportgen.compute.patterns.results import ARRAYS, Patterns
from reportgen.compute.patterns.shared import Shared
from reportgen.core.settings import Settings
from reportgen.network.backend import keras, tf
from reportgen.network.graph.layer_calls import LayerCall
from reportgen.network.loading.load import Loaded
from reportgen.network.network import Network

layers = keras.layers
SHAPE = (16, 16, 3)


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


def layer_call(walked: Network, path: str) -> LayerCall:
    """The one layer call with this path."""
    (found,) = [item for item in walked.layer_calls if item.path == path]
    return found


def pictures(count: int, height: int = 16, width: int = 16, bands: int = 3, seed: int = 0) -> np.ndarray:
    """Random uint8 (count, height, width, bands)."""
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, bands), dtype=np.uint8)


def conv(filters: int = 4, **named: Any) -> Any:
    """A 3 x 3 convolution that keeps the size."""
    return layers.Conv2D(filters, 3, padding="same", **named)


def built(model: Any) -> Any:
    """`model` after its first call."""
    model(tf.zeros((1, *SHAPE)))
    return model


def unit_maps(walked: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """(pre-activation, activation) of every layer call that has a unit, on one picture, computed in a trace of its own."""
    shown = [item for item in walked.layer_calls if item.unit is not None]
    read = tf.function(lambda entry: walked.units(entry, shown), autograph=False)
    return [(np.asarray(before), np.asarray(after)) for before, after in read(one_picture())]


def one_picture() -> Any:
    """One random picture of SHAPE in [0, 1], as a batch."""
    return tf.constant(pictures(1).astype(np.float32) / 255)


QUICK = dataclasses.replace(  # one ascent of coefficients
    OPTVIS, steps=4, learning_rate=0.4, pixel_steps=0, strongest_steps=0, retry_steps=0
)


def ascent(
    model: Any,
    path: str = "conv",
    batch: int = 4,
    recipe: Recipe = QUICK,
    seed: int = 0,
    size: tuple[int, int] | None = None,
    mixing: np.ndarray | None = None,
    dead: np.ndarray | None = None,
    **settings: Any,
) -> Ascent:
    """The ascent of one layer of `model`, or of its output; preprocessing is `unit` unless stated."""
    walked = network(model, **{"preprocess": "unit", **settings})
    layer_calls = [*walked.layer_calls, *([] if walked.output is None else [walked.output])]
    found = next(item for item in layer_calls if item.path == path)
    if size is None:
        height, width = (length if length is not None else SHAPE[0] for length in walked.contract.shape[:2])
        size = (height, width)
    if walked.contract.bands != 3 and recipe.decorrelation == "imagenet":
        recipe = dataclasses.replace(recipe, decorrelation="none")
    return Ascent(Shared(walked, recipe, seed, mixing), found, size, batch, dead=dead)


def same(first: Patterns, second: Patterns, where: list[int] | None = None) -> bool:
    """Whether `second`'s pictures and scores are, byte by byte, those of `first` at the positions `where`."""
    chosen = first if where is None else first.rows(np.array(where))
    return (
        all(getattr(chosen, name).tobytes() == getattr(second, name).tobytes() for name in ARRAYS)
        and chosen.seeds == second.seeds
    )
