"""Every piece of a recipe does what it says: two steps of the ascent by definition, in NumPy and float64."""

from __future__ import annotations

import dataclasses
from math import cos, pi
from typing import Any

import numpy as np
import pytest

from plain_convolution import convolve
from reportgen.compute.patterns import colour, recipe, transforms
from reportgen.compute.patterns.ascent import Ascent
from reportgen.compute.patterns.optimizers import UNIT_ADAM, BatchOptimizer
from reportgen.compute.patterns.results import Patterns
from reportgen.core.settings import Settings
from small_models import ascent, functional, layers, randomised

HEIGHT, WIDTH = 12, 13
FILTERS = [2, 0]
# Pixels, plain ascent, no warp, no limit on single values: the simplest recipe, of which each test changes one piece.
SIMPLE: dict[str, Any] = {
    "parameterization": "pixel",
    "optimizer": "sgd",
    "transforms": False,
    "learning_rate": 0.5,
    "steps": 2,
}


def chosen(**changes: Any) -> recipe.Recipe:
    """Only the ascent: the searches after it have tests of their own."""
    return dataclasses.replace(
        recipe.choose(Settings(**{**SIMPLE, **changes}), 3, False), strongest_steps=0, retry_steps=0
    )


def some_model(bands: int = 3) -> tuple[Any, Any]:
    """A rectified layer whose filters are 0 on mid-grey: on noise around it they are active here and there."""
    layer = layers.Conv2D(4, 3, activation="relu", name="conv")
    model = randomised(functional(layer, shape=(HEIGHT, WIDTH, bands)), seed=1)
    kernel, _ = layer.get_weights()
    kernel[..., 0] /= 4  # so that gradients differ in length
    layer.set_weights([kernel, -kernel.sum((0, 1, 2)) / 2])
    return model, layer


def seek(given: recipe.Recipe, bands: int = 3, mixing: np.ndarray | None = None) -> tuple[Ascent, Patterns]:
    sought = ascent(some_model(bands)[0], batch=2, recipe=given, mixing=mixing)
    return sought, sought.find(FILTERS)


def warp_of(step: int, used: bool) -> np.ndarray:
    """(pixels, pixels): the warp of a step as a matrix."""
    pixels = HEIGHT * WIDTH
    if not used:
        return np.eye(pixels)
    warp = transforms.draw(0, step + 1, (HEIGHT, WIDTH))
    matrix = np.zeros((pixels, pixels))
    for corner in range(4):
        np.add.at(matrix, (np.arange(pixels), warp.sources[corner]), warp.weights[corner])
    return matrix


def gradient_of(layer: Any, shown: np.ndarray, number: int, given: recipe.Recipe) -> np.ndarray:
    """(height, width, bands): how the objective of one filter changes with each value of the picture `shown`."""
    kernel, bias = (weight.astype(np.float64) for weight in layer.get_weights())
    own = convolve(shown[None], kernel, bias)[0, :, :, number]
    rows, columns = min(given.trim, (own.shape[0] - 1) // 2), min(given.trim, (own.shape[1] - 1) // 2)
    by_pixels = np.zeros_like(shown)
    inner = own[rows : own.shape[0] - rows, columns : own.shape[1] - columns]
    counts = np.exp((inner - inner.max()) / (inner.std() or np.inf))  # how much a position belongs to the strongest
    weight = {
        "mean-and-peak": np.where(inner > 0, 1.0, 0.0) / inner.size + 0.1 * counts / counts.sum(),
        "leaky": np.where(inner > 0, 1, 0.1) / inner.size,
        "pre-activation": np.ones_like(inner) / inner.size,
        "activation": np.where(inner > 0, 1.0, 0.0) / inner.size,
    }[str(given.describe()["objective"])]
    for (y, x), share in np.ndenumerate(weight):
        by_pixels[y + rows : y + rows + 3, x + columns : x + columns + 3] += share * kernel[..., number]
    return by_pixels


def total_variation_gradient(shown: np.ndarray) -> np.ndarray:
    by_pixels = np.zeros_like(shown)
    down, right = np.sign(np.diff(shown, axis=0)), np.sign(np.diff(shown, axis=1))
    by_pixels[1:] += down
    by_pixels[:-1] -= down
    by_pixels[:, 1:] += right
    by_pixels[:, :-1] -= right
    return by_pixels


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def expected_pictures(
    sought: Ascent, found: Patterns, given: recipe.Recipe, correlation: np.ndarray | None = None
) -> np.ndarray:
    """The finished pictures, one filter at a time; `correlation` (bands, bands) in place of ImageNet's."""
    bands = found.images.shape[3]
    layer = some_model(bands)[1]
    mixing = np.eye(bands)
    if given.decorrelation != "none":
        mixing = (colour.imagenet() if correlation is None else correlation).astype(np.float64)
    finished, weights = [], given.describe()
    for row, number in enumerate(FILTERS):
        position = sought.parameters.start(found.seeds[row]).astype(np.float64)
        first, second = np.zeros_like(position), np.zeros_like(position)
        for step in range(given.steps):
            shown = 1 / (1 + np.exp(-position @ mixing.T))
            warp = warp_of(step, given.transforms)
            seen = (warp @ shown.reshape(-1, bands)).reshape(shown.shape)
            by_pixels = (warp.T @ gradient_of(layer, seen, number, given).reshape(-1, bands)).reshape(shown.shape)
            against = weights["total_variation"] * total_variation_gradient(shown) + weights["l2"] * (shown - 0.5)
            by_pixels = by_pixels - rms(by_pixels) * against
            gradient = (by_pixels * shown * (1 - shown)) @ mixing
            if given.clip_norm is not None:
                gradient = gradient * min(1, given.clip_norm / np.linalg.norm(gradient))
            else:
                gradient = gradient / rms(gradient)
                if given.clip_value is not None:
                    gradient = np.clip(gradient, -given.clip_value, given.clip_value)
            rate = given.learning_rate * ((1 + cos(pi * step / given.steps)) / 2 if given.schedule == "cosine" else 1)
            if given.optimizer == "sgd":
                position = position + rate * gradient
                continue
            slow, fast, tiny = UNIT_ADAM.values() if given.clip_norm is None else (0.9, 0.999, 1e-7)  # Keras's own
            first = slow * first + (1 - slow) * gradient
            second = fast * second + (1 - fast) * gradient**2
            pace = rate * np.sqrt(1 - fast ** (step + 1)) / (1 - slow ** (step + 1))
            position = position + pace * first / (np.sqrt(second) + tiny)
        finished.append(np.round(255 / (1 + np.exp(-position @ mixing.T))))
    return np.stack(finished)


CHANGES: dict[str, dict[str, Any]] = {
    "simple": {},
    "rate, steps, bands apart": {"learning_rate": 1.5, "steps": 3, "decorrelate": False},
    "leaky": {"objective": "leaky"},
    "pre-activation, no trim": {"objective": "pre-activation", "trim": 0},
    "activation, a trim of everything but the middle": {"objective": "activation", "trim": 50},
    "one clipped, one not": {"clip_norm": 0.01, "learning_rate": 500.0},
    "total variation and l2": {"regularize": "tv=0.5,l2=10"},
    "adam": {"optimizer": "adam"},
    "adam on raw gradients": {"optimizer": "adam", "clip_norm": 0.01},
    "warps and regularizers": {"transforms": True, "regularize": "tv=0.5,l2=10"},
}


@pytest.mark.parametrize("name", CHANGES)
def test_two_steps_are_those_of_the_definition(name: str) -> None:
    given = chosen(**CHANGES[name])
    sought, found = seek(given)
    expected = expected_pictures(sought, found, given)
    different = np.abs(found.images - expected)
    assert different.max() <= 1
    assert (different > 0).mean() < 0.02


@pytest.mark.parametrize(
    "changes",
    [{"schedule": "constant"}, {"clip_value": 0.5}, {"clip_value": None}],
    ids=["constant rate", "clip", "no clip"],
)
def test_pieces_that_no_setting_names_are_those_of_the_definition_too(changes: dict[str, Any]) -> None:
    given = dataclasses.replace(chosen(trim=50), **changes)
    sought, found = seek(given)
    assert np.abs(found.images - expected_pictures(sought, found, given)).max() <= 1


@pytest.mark.parametrize("bands", [1, 2, 12])
def test_bands_of_the_users_own_move_as_they_do_in_their_images(bands: int) -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (2, 30, 30, bands), dtype=np.uint8)
    images[..., -1] = images[..., 0] // 2 + images[..., -1] // 2
    mixing = colour.estimated(images)
    assert mixing is not None
    given = dataclasses.replace(chosen(), decorrelation="images")
    sought, found = seek(given, bands, mixing)
    assert found.images.shape == (2, HEIGHT, WIDTH, bands)
    assert np.abs(found.images - expected_pictures(sought, found, given, mixing)).max() <= 1
    np.testing.assert_array_equal(np.array(sought.describe()["mixing"], np.float32), mixing)


def test_bands_that_no_image_relates_move_apart() -> None:
    given = chosen(decorrelate=False)
    sought, found = seek(given, 4, np.ones((4, 4), np.float32))
    assert np.abs(found.images - expected_pictures(sought, found, given)).max() <= 1
    assert sought.describe()["mixing"] is None


@pytest.mark.parametrize(
    "changes",
    [{}, {"regularize": "tv=0.5,l2=10"}, {"transforms": True, "regularize": "tv=0.5,l2=10"}],
    ids=["plain", "penalties", "all"],
)
def test_steps_of_pixels_go_by_the_sign_of_the_gradient_with_momentum(changes: dict[str, Any]) -> None:
    """Three of them from the start on, each shorter than the one before."""
    given = dataclasses.replace(chosen(steps=3, **changes), pixel_steps=3, pixel_learning_rate=0.1)
    sought, found = seek(given)
    layer, weights = some_model()[1], given.describe()
    for row, number in enumerate(FILTERS):
        start = sought.parameters.start(found.seeds[row]).astype(np.float64)
        shown = 1 / (1 + np.exp(-start @ colour.imagenet().astype(np.float64).T))
        momentum = np.zeros_like(shown)
        for step, rate in enumerate((0.1, 0.2 / 3, 0.1 / 3)):
            warp = warp_of(step, given.transforms)
            seen = (warp @ shown.reshape(-1, 3)).reshape(shown.shape)
            by_pixels = (warp.T @ gradient_of(layer, seen, number, given).reshape(-1, 3)).reshape(shown.shape)
            by_pixels -= rms(by_pixels) * (
                weights["total_variation"] * total_variation_gradient(shown) + weights["l2"] * (shown - 0.5)
            )
            momentum = by_pixels / rms(by_pixels) + momentum / 2
            shown = np.clip(shown + rate * np.sign(momentum), 0, 1)
        different = np.abs(found.images[row] - np.round(255 * shown))
        assert (different > 1).mean() < 0.02  # a sign may turn where the gradient is nearly nothing


# Lengths of gradients


def lengths(given: recipe.Recipe) -> np.ndarray:
    """(steps, filters): how long the gradients are that the optimizer is handed."""
    sought = ascent(some_model()[0], batch=2, recipe=given)
    handed: list[np.ndarray] = []
    original = BatchOptimizer.step

    def step(self: BatchOptimizer, gradient: Any, learning_rate: float) -> Any:
        handed.append(np.linalg.norm(np.asarray(gradient).reshape(2, -1), axis=1))
        return original(self, gradient, learning_rate)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(BatchOptimizer, "step", step)
        sought.find(FILTERS)
    return np.stack(handed)


@pytest.mark.parametrize("parameterization", ["pixel", "fourier"])
def test_a_gradient_longer_than_the_clip_is_shortened_to_it_and_a_shorter_one_is_left_alone(
    parameterization: str,
) -> None:
    raw = lengths(chosen(clip_norm=1e9, steps=1, parameterization=parameterization))[0]
    assert raw[0] != pytest.approx(raw[1], rel=0.05)
    between = float(raw.mean())  # one filter's is longer, the other's is not
    clipped = lengths(chosen(clip_norm=between, steps=1, parameterization=parameterization))[0]
    np.testing.assert_allclose(clipped, np.minimum(raw, between), rtol=1e-4)


def test_without_a_clip_every_gradient_has_unit_size_a_value() -> None:
    given = dataclasses.replace(chosen(parameterization="fourier", steps=3), clip_value=None)
    np.testing.assert_allclose(lengths(given), np.sqrt(3 * HEIGHT * (WIDTH // 2 + 1) * 2), rtol=1e-4)


# What regularizers are for


@pytest.mark.slow
def test_total_variation_makes_pictures_smoother_and_l2_makes_them_greyer() -> None:
    """Also where that costs so much of the response that a stronger picture is known."""
    model = randomised(functional(layers.Conv2D(4, 5, activation="relu", name="conv")), seed=3)

    def pictures(words: str | None) -> np.ndarray:
        given = recipe.choose(Settings(regularize=words), 3, False)
        return ascent(model, recipe=given).find(range(4)).images.astype(np.float64) / 255

    def roughness(shown: np.ndarray) -> np.ndarray:
        return np.asarray(
            np.abs(np.diff(shown, axis=1)).mean((1, 2, 3)) + np.abs(np.diff(shown, axis=2)).mean((1, 2, 3))
        )

    def strength(shown: np.ndarray) -> np.ndarray:
        return np.asarray(np.square(shown - 0.5).mean((1, 2, 3)))

    free, smooth, grey = pictures(None), pictures("tv=2"), pictures("l2=20")
    assert (roughness(smooth) < 0.7 * roughness(free)).all()
    assert (strength(grey) < 0.7 * strength(free)).all()


# Statement


def test_the_recipe_is_stated_as_it_was_carried_out() -> None:
    model, _ = some_model()
    stated = ascent(model, recipe=chosen()).describe()
    assert stated == {**chosen().describe(), "precision": "float32", "mixing": stated["mixing"]}
    np.testing.assert_array_equal(np.array(stated["mixing"], np.float32), colour.imagenet())
