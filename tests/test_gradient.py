"""The gradient of the objective is exact: compared with finite differences of the objective in NumPy and float64."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from plain_convolution import convolve
from reportgen.compute.patterns import colour, fourier, transforms
from reportgen.compute.patterns.ascent import Ascent
from reportgen.compute.patterns.recipe import OPTVIS, Recipe
from reportgen.compute.patterns.search.canvas import whole
from reportgen.compute.patterns.search.gradient import Aim
from reportgen.core.errors import ModelError
from reportgen.network.backend import tf
from reportgen.recipes import channel, jitter, pixels
from small_models import QUICK, ascent, functional, layers, randomised


def smooth_model(activation: str) -> tuple[Any, Any, Any]:
    first = layers.Conv2D(4, 3, padding="same", activation="tanh")
    second = layers.Conv2D(3, 3, padding="same", activation=activation, name="conv")
    return randomised(functional(first, second, shape=(8, 9, 3)), seed=1), first, second


def smooth_maps(first: Any, second: Any, shown: np.ndarray) -> np.ndarray:
    """The second layer of `smooth_model` before its activation function."""
    kernel, bias = first.get_weights()
    middle = np.tanh(convolve(shown, kernel, bias, how="same"))
    kernel, bias = second.get_weights()
    return convolve(middle, kernel, bias, how="same")


STRAIGHT = transforms.affine((8, 9), (0, 0), 1.0, 0.0)
SPACES = {
    "fourier": QUICK,
    "pixel": dataclasses.replace(QUICK, parameterization=pixels()),
    "free pixel": dataclasses.replace(QUICK, parameterization=pixels(), limits="standardized", decorrelation="none"),
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
    first: Any, second: Any, space: str, coefficients: np.ndarray, filters: list[int], kind: str, counts: Any = None
) -> np.ndarray:
    """The objective by definition, in NumPy and float64; counts: what positions count in the level of the strongest, none for their own."""
    maps = smooth_maps(first, second, shown_picture(space, coefficients))[:, 2:-2, 2:-2]
    own = np.stack([maps[number, :, :, index] for number, index in enumerate(filters)])
    if kind == "mean-and-peak":
        counts = strongest_positions(own) if counts is None else counts
        return np.asarray(np.maximum(own, 0).mean((1, 2)) + 0.1 * (counts * own).sum((1, 2)) / counts.sum((1, 2)))
    return np.asarray((np.where(own > 0, own, 0.1 * own) if kind == "leaky" else own).mean((1, 2)))


def strongest_positions(own: np.ndarray) -> np.ndarray:
    """What each position counts in the level of the strongest: less the further below it, in deviations of the map."""
    largest, deviation = (function(own, axis=(1, 2), keepdims=True) for function in (np.max, np.std))
    return np.asarray(np.exp((own - largest) / deviation))


@pytest.mark.parametrize(
    ("activation", "kind", "space"),
    [
        ("linear", "mean", "fourier"),
        ("softplus", "mean", "fourier"),
        ("relu", "leaky", "fourier"),
        ("relu", "mean-and-peak", "fourier"),
        ("relu", "mean-and-peak", "pixel"),
        ("softplus", "mean", "free pixel"),
    ],
)
def test_the_gradient_is_that_of_finite_differences(activation: str, kind: str, space: str) -> None:
    model, first, second = smooth_model(activation)
    given_recipe = (
        SPACES[space] if kind == "mean" else dataclasses.replace(SPACES[space], objective=channel(measure=kind))
    )
    sought, filters = ascent(model, batch=3, recipe=given_recipe), [2, 0, 1]
    random = np.random.default_rng(0)
    given = random.normal(0, 0.05 if space == "fourier" else 0.8, (3, *sought.parameters.shape)).astype(np.float32)
    values, gradient = by_coefficients(sought, given, filters)
    exact = given.astype(np.float64)
    np.testing.assert_allclose(values, objective(first, second, space, exact, filters, kind), rtol=1e-4, atol=1e-6)
    maps = smooth_maps(first, second, shown_picture(space, exact))[:, 2:-2, 2:-2]
    counts = strongest_positions(np.stack([maps[number, :, :, index] for number, index in enumerate(filters)]))
    step = 1e-5  # float64 keeps the difference exact to ten digits
    found = np.asarray(gradient, np.float64)
    for direction in (random.standard_normal(given.shape) for _ in range(5)):
        ahead = objective(first, second, space, exact + step * direction, filters, kind, counts)
        behind = objective(first, second, space, exact - step * direction, filters, kind, counts)
        slope = (found * direction).sum(axis=tuple(range(1, found.ndim)))
        np.testing.assert_allclose(slope, (ahead - behind) / (2 * step), rtol=1e-3, atol=1e-5 * np.abs(found).max())


def by_coefficients(sought: Ascent, given: np.ndarray, filters: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """(objectives, their gradient by coefficients) as the steps of `sought` see them, but not brought to unit size."""
    pipeline, (_, *size, _) = sought.pipeline, sought.parameters.to_pictures(tf.constant(given)).shape
    seen = pipeline.seen(given, STRAIGHT)
    function = sought.gradient.function(whole(tuple(size)), len(given), Aim.READABLE)
    values, gradient = function(seen, np.array(filters, np.int32))
    with tf.GradientTape() as tape:
        coefficients = tf.constant(given)
        tape.watch(coefficients)
        pictures = sought.parameters.to_pictures(coefficients)
    own = tape.gradient(pictures, coefficients, output_gradients=gradient)
    return np.asarray(values), np.asarray(own)


def test_the_gradient_goes_through_the_transform() -> None:
    """Moved by a pixel, mirrored at the border: the gradient by coefficients is that by the moved pixels, moved back."""
    model, _, _ = smooth_model("linear")
    recipe = dataclasses.replace(SPACES["pixel"], transforms=(jitter(1),), clip_value=None)
    sought = ascent(model, batch=1, recipe=recipe)
    given = np.random.default_rng(0).normal(0, 0.5, (1, *sought.parameters.shape)).astype(np.float32)
    warp = transforms.affine((8, 9), (0, 1), 1.0, 0.0)
    upstream = np.random.default_rng(1).standard_normal((1, 8, 9, 3)).astype(np.float32)
    gradient, none = sought.pipeline.by_coefficients(given, upstream, np.zeros(1, np.float32), warp)
    mixing = colour.imagenet().astype(np.float64)
    shown = 1 / (1 + np.exp(-given.astype(np.float64) @ mixing.T))
    back = np.zeros_like(upstream, dtype=np.float64)
    for to in range(9):
        back[:, :, abs(to - 1)] += upstream[:, :, to]
    expected = (back * shown * (1 - shown)) @ mixing
    expected /= np.sqrt((expected**2).mean())
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-5)
    assert not none.any()
    moved = sought.pipeline.seen(given, warp)
    np.testing.assert_allclose(moved[:, :, 1:], shown[:, :, :-1], rtol=1e-5)


@pytest.mark.parametrize(
    "recipe", [QUICK, OPTVIS, dataclasses.replace(OPTVIS, steps=8)], ids=["quick", "full", "pixels"]
)
def test_a_path_without_a_gradient_is_a_sentence(recipe: Recipe) -> None:
    class Rounding(layers.Layer):  # type: ignore[misc]
        def call(self, inputs: Any) -> Any:
            return tf.stop_gradient(inputs)

    with pytest.raises(ModelError, match="no gradient"):
        ascent(randomised(functional(Rounding(), layers.Conv2D(2, 3, name="conv"))), batch=1, recipe=recipe)
