"""Oracles of the pattern kernel: in a first layer the strongest response is known in closed form, from the kernel alone.

At one position a filter gives bias + sum of kernel times what it is fed, and every pixel may be anything between black and white: the
largest value is reached where each pixel is at the end that its tap prefers. Over the whole map no closed form is known; the oracle is
the best of the tilings of that patch, each computed here by a plain convolution.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import reportgen
from reportgen.network.backend import keras
from small_models import layers

pytestmark = pytest.mark.slow  # whole searches or builds; the fast tests cover their parts

ROOT = Path(__file__).parent.parent
GAPS = (0.0, 0.5, 1.0)


@dataclass(frozen=True)
class Oracle:
    """taps: float64 (height, width, bands, filters), by pixels between 0 and 1. level: float64 (filters,), on black."""

    taps: np.ndarray
    level: np.ndarray
    stride: int

    @property
    def peak(self) -> np.ndarray:
        """The largest value of any single position."""
        return np.asarray(self.level + np.maximum(self.taps, 0).sum(axis=(0, 1, 2)))

    def best_tiling(self, number: int) -> float:
        """The largest mean, behind a rectifier, of the planes that square tiles of the sign patch fill."""
        taps, best = self.taps[..., number], 0.0
        field = taps.shape[0]
        for period in range(field, 2 * field + 1):
            for gap in GAPS if period > field else (0.5,):
                tile = np.full((period, period, taps.shape[2]), gap)
                tile[:field, :field] = (taps > 0) * 1.0
                best = max(best, self._mean(tile, taps, number))
        return best

    def _mean(self, tile: np.ndarray, taps: np.ndarray, number: int) -> float:
        period, field = tile.shape[0], taps.shape[0]
        plane = np.tile(tile, (3, 3, 1))
        places = range(0, period * self.stride, self.stride)
        values = [
            (plane[y % period :, x % period :][:field, :field] * taps).sum() + self.level[number]
            for y in places
            for x in places
        ]
        return float(np.maximum(values, 0).mean())


@cache
def negative_kernels() -> Any:
    """A network whose first kernels are negative on the whole: on natural pictures most of its filters are silent."""
    random = np.random.default_rng(3)
    kernel, bias = random.normal(-0.03, 0.08, (3, 3, 3, 32)), random.uniform(-0.3, 0.05, 32)
    inputs = keras.Input((48, 48, 3))
    tensor = layers.Rescaling(1 / 255)(inputs)
    tensor = layers.Conv2D(32, 3, activation="relu", name="first")(tensor)
    tensor = layers.Conv2D(8, 3, activation="relu", name="second")(layers.MaxPooling2D()(tensor))
    tensor = layers.Dense(4, activation="softmax")(layers.GlobalAveragePooling2D()(tensor))
    model = keras.Model(inputs, tensor)
    model.get_layer("first").set_weights([kernel, bias])
    return model


@cache
def sample(name: str) -> Any:
    return keras.saving.load_model(ROOT / "sample_models" / f"{name}.keras", compile=False)


def of_negative_kernels() -> Oracle:
    kernel, bias = negative_kernels().get_layer("first").get_weights()
    return Oracle(kernel.astype(np.float64), bias.astype(np.float64), 1)


def of_galaxies() -> Oracle:
    kernel, bias = sample("galaxies").get_layer("conv1").get_weights()
    return Oracle(kernel.astype(np.float64), bias.astype(np.float64), 1)


def of_photos() -> Oracle:
    backbone = sample("photos").get_layer("backbone")
    (kernel,) = backbone.get_layer("stem_conv").get_weights()
    normalisation = backbone.get_layer("stem_bn")
    gamma, beta, mean, variance = (weights.astype(np.float64) for weights in normalisation.get_weights())
    scale = gamma / np.sqrt(variance + normalisation.epsilon)
    return Oracle(kernel * scale, beta - mean * scale, 2)


def check(found: Any, oracle: Oracle) -> None:
    """No living filter is called dead or silent; the strongest pictures reach what is known to be there; none lies below its start."""
    for record in found.records:
        number = record["index"]
        if oracle.peak[number] <= 0:
            assert record["verdict"] == "dead"
            continue
        assert record["verdict"] not in ("dead", "silent"), number
        assert record["strongest_peak"]["peak"] >= 0.99 * oracle.peak[number], number
        assert record["strongest"]["activation"] >= 0.95 * oracle.best_tiling(number), number
        assert record["activation"] >= record["activation_start"], number
        assert record["strongest"]["activation"] >= record["activation"], number


CASES = {
    "negative kernels": (negative_kernels, "first", of_negative_kernels, {}),
    "galaxies": (lambda: sample("galaxies"), "conv1", of_galaxies, {}),
    "photos": (lambda: sample("photos"), "backbone/stem_conv", of_photos, {}),
}


@pytest.mark.parametrize("quality", ["draft", pytest.param("standard", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[pytest.mark.slow] if case == "photos" else []) for case in CASES]
)
def test_what_a_first_layer_answers_to_is_found(case: str, quality: str) -> None:
    model, layer, oracle, settings = CASES[case]
    check(reportgen.patterns(model(), layer, "all", quality=quality, **settings), oracle())


def test_a_first_layer_of_dead_filters_is_proven_dead_and_its_living_neighbours_are_not() -> None:
    model = keras.models.clone_model(negative_kernels())
    model.set_weights(negative_kernels().get_weights())
    layer = model.get_layer("first")
    kernel, bias = layer.get_weights()
    bound = of_negative_kernels().peak - bias
    bias[:4] = -bound[:4] - 0.01  # just out of reach of any picture
    bias[4:8] = -bound[4:8] + 0.01  # just within reach of one picture of all
    layer.set_weights([kernel, bias])
    found = reportgen.patterns(model, "first", "0-7", quality="draft")
    assert [record["verdict"] for record in found.records] == ["dead"] * 4 + ["ok"] * 4
    assert all(record["strongest_peak"]["peak"] == pytest.approx(0.01, rel=0.05) for record in found.records[4:])


@pytest.mark.slow
@pytest.mark.parametrize("quality", ["draft", "standard"])
def test_what_the_first_layer_of_vgg16_answers_to_is_found(quality: str) -> None:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    import material

    model = material.vgg16()
    kernel, bias = model.get_layer("block1_conv1").get_weights()
    mean = np.array(
        [103.939, 116.779, 123.68]
    )  # of ImageNet's blue, green and red, which the kernel meets in this order
    level = bias - (kernel * mean[:, None]).sum(axis=(0, 1, 2))
    oracle = Oracle(255.0 * kernel[:, :, ::-1].astype(np.float64), level.astype(np.float64), 1)
    check(reportgen.patterns(model, "block1_conv1", "all", quality=quality, preprocess="caffe", size=64), oracle)
