"""The gradient that patterns climb is exact: held against finite differences of the objective in NumPy and float64."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from plain_convolution import convolve
from reportgen.compute.patterns import colour, fourier
from reportgen.errors import ModelError
from reportgen.network.quiet import tf
from small_models import QUICK, ascent, functional, layers, randomised


def smooth_model(activation: str) -> tuple[Any, Any, Any]:
    first = layers.Conv2D(4, 3, padding="same", activation="tanh")
    second = layers.Conv2D(3, 3, padding="same", activation=activation, name="conv")
    return randomised(functional(first, second, shape=(8, 9, 3)), seed=1), first, second


def smooth_maps(first: Any, second: Any, shown: np.ndarray) -> np.ndarray:
    """What the second layer of `smooth_model` answers before its activation function."""
    kernel, bias = first.get_weights()
    middle = np.tanh(convolve(shown, kernel, bias, how="same"))
    kernel, bias = second.get_weights()
    return convolve(middle, kernel, bias, how="same")


SPACES = {
    "fourier": QUICK,
    "pixel": dataclasses.replace(QUICK, parameterization="pixel"),
    "free pixel": dataclasses.replace(QUICK, parameterization="pixel", limits="standardised", decorrelation="none"),
}


def shown_picture(space: str, coefficients: np.ndarray) -> np.ndarray:
    """The picture by definition, in NumPy and float64."""
    if space == "free pixel":
        return (coefficients + 1) / 2
    planes = coefficients
    if space == "fourier":
        scaled = (coefficients[..., 0] + 1j * coefficients[..., 1]) * fourier.frequency_scale((8, 9)).astype(np.float64)
        planes = np.fft.irfft2(scaled, (8, 9)).transpose(0, 2, 3, 1) / 4
    return np.asarray(1 / (1 + np.exp(-planes @ colour.imagenet().T.astype(np.float64))))


def objective(
    first: Any, second: Any, space: str, coefficients: np.ndarray, filters: list[int], leak: float
) -> np.ndarray:
    """The objective by definition, in NumPy and float64."""
    maps = smooth_maps(first, second, shown_picture(space, coefficients))[:, 2:-2, 2:-2]
    own = np.stack([maps[number, :, :, index] for number, index in enumerate(filters)])
    return np.asarray(np.where(own > 0, own, leak * own).mean((1, 2)))


@pytest.mark.parametrize(
    ("activation", "leak", "space"),
    [
        ("linear", 1.0, "fourier"),
        ("softplus", 1.0, "fourier"),
        ("relu", 0.1, "fourier"),
        ("relu", 0.1, "pixel"),
        ("softplus", 1.0, "free pixel"),
    ],
)
def test_the_gradient_is_that_of_finite_differences(activation: str, leak: float, space: str) -> None:
    model, first, second = smooth_model(activation)
    sought, filters = ascent(model, batch=3, recipe=SPACES[space]), [2, 0, 1]
    random = np.random.default_rng(0)
    given = random.normal(0, 0.05 if space == "fourier" else 0.8, (3, *sought.parameters.shape)).astype(np.float32)
    values, gradient = tf.function(
        lambda given: sought.slope.gradient(given, filters, lambda shown: shown), autograph=False
    )(tf.constant(given))
    exact = given.astype(np.float64)
    np.testing.assert_allclose(values, objective(first, second, space, exact, filters, leak), rtol=1e-4, atol=1e-6)
    step = 1e-5  # float64 keeps the difference exact to ten digits
    found = np.asarray(gradient, np.float64)
    for direction in (random.standard_normal(given.shape) for _ in range(5)):
        ahead = objective(first, second, space, exact + step * direction, filters, leak)
        behind = objective(first, second, space, exact - step * direction, filters, leak)
        slope = (found * direction).sum(axis=tuple(range(1, found.ndim)))
        np.testing.assert_allclose(slope, (ahead - behind) / (2 * step), rtol=1e-3, atol=1e-5 * np.abs(found).max())


def test_the_gradient_goes_through_the_transform() -> None:
    model, first, second = smooth_model("linear")
    sought = ascent(model, batch=1)
    spectra = tf.constant(
        np.random.default_rng(0).normal(0, 0.05, (1, *fourier.spectrum_shape((8, 9), 3))).astype(np.float32)
    )
    read = tf.function(
        lambda given, scale: sought.slope.gradient(given, [0], lambda shown: shown * scale), autograph=False
    )
    value, gradient = read(spectra, 0.0)
    assert np.asarray(gradient).max() == 0
    assert float(value[0]) == pytest.approx(_dark(first, second), rel=1e-4)
    assert np.abs(read(spectra, 1.0)[1]).max() > 0


def _dark(first: Any, second: Any) -> float:
    return float(smooth_maps(first, second, np.zeros((1, 8, 9, 3)))[0, 2:-2, 2:-2, 0].mean())


def test_a_path_without_a_gradient_is_a_sentence() -> None:
    class Rounding(layers.Layer):  # type: ignore[misc]
        def call(self, inputs: Any) -> Any:
            return tf.stop_gradient(inputs)

    with pytest.raises(ModelError, match="no gradient"):
        ascent(randomised(functional(Rounding(), layers.Conv2D(2, 3, name="conv"))), batch=1).seek([0])
