"""The keras.io recipe against a plain implementation of its own: one filter at a time, as the article has it."""

from __future__ import annotations

import dataclasses
from math import sqrt
from typing import Any

import numpy as np
import pytest

from reportgen.compute.patterns.ascent import Ascent
from reportgen.compute.patterns.recipe import KERAS_IO
from reportgen.network.backend import keras, tf
from small_models import ascent, functional, layers, randomised

pytestmark = pytest.mark.slow  # whole searches or builds; the fast tests cover their parts

ARTICLE_RATE, ARTICLE_STEPS = 10.0, 30
ARTICLE_VALUES = 180 * 180 * 3


def some_model(bands: int = 3) -> Any:
    """Two rectified layers on an input of any size that takes values from -1 (black) to +1 (white)."""
    stack = [
        layers.Conv2D(8, 3, activation="relu"),
        layers.Conv2D(6, 3, strides=2, activation="relu", name="conv"),
    ]
    return randomised(functional(*stack, shape=(None, None, bands)), seed=5)


def sought(model: Any, size: tuple[int, int], batch: int = 2, steps: int | None = None) -> Ascent:
    given = KERAS_IO if steps is None else dataclasses.replace(KERAS_IO, steps=steps)
    return ascent(model, batch=batch, recipe=given, size=size, preprocess="tf", image_size=64)


def plain(model: Any, number: int, start: np.ndarray, rate: float) -> np.ndarray:
    """The picture of one filter: `start` float32 (height, width, bands), black -1 and white +1."""
    extractor = keras.Model(model.inputs, model.get_layer("conv").output)
    picture = tf.constant(start[None])
    for _ in range(ARTICLE_STEPS):
        with tf.GradientTape() as tape:
            tape.watch(picture)
            loss = tf.reduce_mean(extractor(picture)[:, 2:-2, 2:-2, number])
        picture = picture + rate * tf.math.l2_normalize(tape.gradient(loss, picture))
    values = picture[0].numpy()
    values -= values.mean()
    values /= values.std() + 1e-5
    values = np.clip(values * 0.15 + 0.5, 0, 1)
    return np.asarray((values * 255).astype("uint8"))


def assert_alike(found: np.ndarray, expected: np.ndarray) -> None:
    """The same but for rounding: truncation turns a difference in the last bit into one grey level."""
    different = np.abs(found.astype(int) - expected.astype(int))
    assert expected.std() > 10, "a flat picture says nothing"
    assert different.max() <= 1
    assert (different > 0).mean() < 0.01


def test_the_picture_is_that_of_the_articles_own_code() -> None:
    model = some_model()
    seeking = sought(model, (180, 180))
    found = seeking.find([1, 4])
    for row, number in enumerate([1, 4]):
        start = seeking.parameters.start(found.seeds[row])
        assert -0.125 <= start.min() < -0.12
        assert 0.12 < start.max() < 0.125
        assert_alike(found.images[row], plain(model, number, start, ARTICLE_RATE))


@pytest.mark.parametrize(("size", "bands"), [((40, 64), 3), ((48, 48), 1)])
def test_at_another_size_a_step_moves_a_pixel_as_far_on_average_as_in_the_article(
    size: tuple[int, int], bands: int
) -> None:
    """A gradient of unit length has the root mean square 1 / sqrt(values): the rate has to follow."""
    model = some_model(bands)
    seeking = sought(model, size)
    found = seeking.find([4])
    start = seeking.parameters.start(found.seeds[0])
    rate = ARTICLE_RATE * sqrt(size[0] * size[1] * bands / ARTICLE_VALUES)
    assert_alike(found.images[0], plain(model, 4, start, rate))


def test_two_filters_of_one_batch_do_not_share_the_length_of_their_gradient() -> None:
    """The article's code divides by the length of the whole tensor: right for one picture, wrong for two."""
    seeking = sought(some_model(), (24, 24), batch=3, steps=5)
    together = seeking.find([0, 4, 5])
    for row, number in enumerate([0, 4, 5]):
        alone = seeking.find([number])
        assert alone.images.tobytes() == together.images[row : row + 1].tobytes()
        assert alone.activation.tobytes() == together.activation[row : row + 1].tobytes()


def test_a_filter_without_a_gradient_keeps_its_noise() -> None:
    """As in the article's code, where the length of a gradient of zeros is taken as a tiny number: no rescue, no NaN."""
    model = some_model()
    layer = model.get_layer("conv")
    kernel, bias = layer.get_weights()
    bias[2] = -1000
    layer.set_weights([kernel, bias])
    seeking = sought(model, (24, 24), steps=5)
    found = seeking.find([2, 4])
    start = seeking.parameters.start(found.seeds[0])[None]
    np.testing.assert_array_equal(found.images[:1], seeking.parameters.finish(seeking.parameters.to_pictures(start)))
    assert found.redirected_relu.tolist() == [False, False]
    assert found.activation[0] == 0 < found.activation[1]
