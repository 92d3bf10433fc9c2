"""Filters whose best picture is known: what the ascent finds is it."""

from __future__ import annotations

from math import cos, pi, sin
from typing import Any

import numpy as np
import pytest

from plain_convolution import convolve
from reportgen.compute.patterns.recipe import OPTVIS as THOROUGH
from small_models import ascent, functional, layers, randomised

pytestmark = pytest.mark.slow  # whole searches or builds; the fast tests cover their parts


def planted(kernel: np.ndarray, activation: str = "linear", bias: float = 0.0, size: int = 32) -> Any:
    layer = layers.Conv2D(kernel.shape[-1], kernel.shape[:2], activation=activation, name="conv")
    model = functional(layer, shape=(size, size, kernel.shape[2]))
    layer.set_weights([kernel.astype(np.float32), np.full(kernel.shape[-1], bias, np.float32)])
    return model


def test_a_filter_for_red_and_against_blue_finds_red() -> None:
    kernel = np.array([1.0, 0.0, -1.0]).reshape(1, 1, 3, 1)
    found = ascent(planted(kernel), batch=1, recipe=THOROUGH).find([0])
    red, _, blue = found.images[0].reshape(-1, 3).mean(0) / 255
    assert red > 0.8
    assert blue < 0.2
    assert found.activation[0] > max(0.6, found.activation_start[0])


def test_a_filter_against_light_finds_black() -> None:
    found = ascent(planted(-np.ones((3, 3, 1, 1)) / 9), batch=1, recipe=THOROUGH).find([0])
    assert found.images[0].mean() / 255 < 0.05


@pytest.mark.parametrize(
    ("frequency", "degrees"),
    [(0.2, 30), *(pytest.param(*each, marks=pytest.mark.slow) for each in ((0.125, 90), (0.25, -45), (0.16, 0)))],
)
def test_a_grating_filter_finds_its_frequency_and_orientation(frequency: float, degrees: float) -> None:
    angle = degrees * pi / 180
    wanted = np.array([frequency * sin(angle), frequency * cos(angle)])  # cycles a pixel, down and across
    y, x = np.meshgrid(np.arange(11) - 5, np.arange(11) - 5, indexing="ij")
    kernel = np.exp(-(x**2 + y**2) / 18) * np.cos(2 * pi * (wanted[0] * y + wanted[1] * x))
    kernel = (kernel - kernel.mean())[:, :, None, None]
    found = ascent(planted(kernel, "relu", size=64), batch=1, recipe=THOROUGH).find([0])
    centre = found.images[0, 8:56, 8:56, 0].astype(np.float64)
    window = np.hanning(48)[:, None] * np.hanning(48)
    power = np.abs(np.fft.fft2((centre - centre.mean()) * window)) ** 2
    grid = np.stack(np.meshgrid(np.fft.fftfreq(48), np.fft.fftfreq(48), indexing="ij"), -1)
    pace = np.linalg.norm(grid, axis=-1)
    power[(pace < frequency / 2) | (pace > 2 * frequency)] = (
        0  # slow shading costs the filter nothing, sharp edges neither
    )
    assert np.average(pace, weights=power) == pytest.approx(frequency, rel=0.25)
    axis = (
        np.average((grid @ [1j, 1]) ** 2 / np.maximum(pace, 1e-9) ** 2, weights=power)
    ) ** 0.5  # an axis has no sign: double angles
    turned = np.angle(axis / np.exp(1j * angle) * np.sign((axis / np.exp(1j * angle)).real))
    assert abs(turned) < 10 * pi / 180
    rows, columns = np.arange(64)[:, None], np.arange(64)
    best = 0.5 + 0.5 * np.sign(np.cos(2 * pi * (wanted[0] * rows + wanted[1] * columns)))
    reference = np.maximum(convolve(best[None, :, :, None], kernel), 0)[:, 2:-2, 2:-2].mean()
    assert found.activation[0] > 0.3 * reference


def test_ascent_rises_for_every_filter_of_a_deeper_layer() -> None:
    model = randomised(
        functional(
            layers.Conv2D(6, 3, activation="relu"),
            layers.Conv2D(10, 3, strides=2, activation="relu", name="conv"),
            shape=(24, 24, 3),
        ),
        seed=3,
    )
    found = ascent(model, batch=8, recipe=THOROUGH).find(range(8))
    awake = found.activation > 0
    assert awake.sum() >= 4
    assert (found.activation[awake] > found.activation_start[awake]).all()
