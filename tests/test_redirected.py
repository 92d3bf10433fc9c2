"""Silent rectifiers: a picture without any gradient is let through them, and no other picture is touched."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from plain_convolution import convolve
from reportgen.compute.activation_scores import Meter
from reportgen.compute.patterns import starts
from reportgen.compute.patterns.ascent import Ascent
from reportgen.compute.patterns.objectives import Direction
from reportgen.compute.patterns.recipe import OPTVIS
from reportgen.network.backend import keras, tf
from reportgen.network.redirected_relu import redirected
from small_models import QUICK, ascent, layers, same

# The rule


def by_definition(given: np.ndarray, gradient: np.ndarray, highest: float) -> np.ndarray:
    """Picture by picture, for a gradient that is to be followed."""
    result = np.zeros_like(gradient)
    for number, (values, upstream) in enumerate(zip(given, gradient, strict=True)):
        plain = np.where((values > 0) & (values < highest), upstream, 0)
        blocked = ((values < 0) & (upstream < 0)) | ((values > highest) & (upstream > 0))
        result[number] = plain if np.linalg.norm(plain) > 0 else np.where(blocked, 0, upstream)
    return result


def some_pictures() -> tuple[np.ndarray, np.ndarray]:
    """Six pictures' inputs of a rectifier and gradients of its outputs: awake, silent, saturated, and awake where nothing pulls."""
    random = np.random.default_rng(0)
    given = random.uniform(-9, 15, (6, 4, 5, 3)).astype(np.float32)
    gradient = random.standard_normal(given.shape).astype(np.float32)
    given[1] = -np.abs(given[1])
    given[2] = 6 + np.abs(given[2])
    given[3] = np.where(given[3] < 5, -1, 20)
    gradient[4] = np.where(given[4] > 0, 0, gradient[4])
    gradient[5] = 0
    return given, gradient


def gradients_of(function: Any, given: np.ndarray, gradient: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rectifier's gradient inside the block, and of another call of it after the block in the same trace."""

    def read(values: Any, upstream: Any) -> Any:
        with redirected():
            inside = tf.gradients(function(values), [values], grad_ys=[upstream])[0]
        return inside, tf.gradients(function(values), [values], grad_ys=[upstream])[0]

    inside, after = tf.function(read, autograph=False)(tf.constant(given), tf.constant(gradient))
    return np.asarray(inside), np.asarray(after)


@pytest.mark.parametrize(("function", "highest"), [(tf.nn.relu, np.inf), (tf.nn.relu6, 6.0)])
def test_a_rectifier_passes_what_the_rule_says_of_each_picture(function: Any, highest: float) -> None:
    given, gradient = some_pictures()
    expected = by_definition(given, gradient, highest)
    assert expected[1].any()
    assert expected[4].any()
    assert (expected[1] >= 0).all()
    found, _ = gradients_of(function, given, gradient)
    np.testing.assert_array_equal(found, expected)
    for number in range(len(given)):
        alone, _ = gradients_of(function, given[number : number + 1], gradient[number : number + 1])
        np.testing.assert_array_equal(alone[0], found[number])


@pytest.mark.parametrize(("function", "highest"), [(tf.nn.relu, np.inf), (tf.nn.relu6, 6.0)])
def test_after_the_block_rectifiers_have_their_own_gradient(function: Any, highest: float) -> None:
    given, gradient = some_pictures()
    _, found = gradients_of(function, given, gradient)
    np.testing.assert_array_equal(found, np.where((given > 0) & (given < highest), gradient, 0))


def test_what_a_rectifier_returns_stays_as_it_is() -> None:
    given, _ = some_pictures()

    def read(values: Any) -> Any:
        with redirected():
            return tf.nn.relu(values), tf.nn.relu6(values)

    plain, limited = tf.function(read, autograph=False)(tf.constant(given))
    np.testing.assert_array_equal(plain, np.maximum(given, 0))
    np.testing.assert_array_equal(limited, np.clip(given, 0, 6))


# A network in which only a picture near white activates anything

REDIRECTING = dataclasses.replace(QUICK, steps=16, learning_rate=OPTVIS.learning_rate)
WITHOUT = dataclasses.replace(REDIRECTING, redirected_relu=False)
STUCK, AWAKE, HOPELESS, AGAINST, MIXED = range(5)


def sleeping(highest: float | None = None) -> Any:
    """Two units with a rectifier each, one of which sleeps on anything but a bright picture; and filters above them.

    In their order: of the sleeper, of the one that is awake, of neither, against the sleeper, of both.
    """
    random = np.random.default_rng(0)
    bright, any_noise = layers.Conv2D(1, 3, name="bright"), layers.Conv2D(1, 3)
    above = layers.Conv2D(5, 1, name="conv")
    entry = keras.Input((16, 16, 3))
    units = [layers.ReLU(max_value=highest)(layer(entry)) for layer in (bright, any_noise)]
    model = keras.Model(entry, above(layers.Concatenate()(units)))
    bright.set_weights([np.full((3, 3, 3, 1), 1 / 27, np.float32), np.array([-0.93], np.float32)])
    any_noise.set_weights([random.uniform(-0.2, 0.3, (3, 3, 3, 1)).astype(np.float32), np.array([0.1], np.float32)])
    kernel = np.zeros((1, 1, 2, 5), np.float32)
    kernel[0, 0, 0, [STUCK, AGAINST, MIXED]] = 1, -1, 1
    kernel[0, 0, 1, [AWAKE, MIXED]] = 1, 1
    above.set_weights([kernel, np.zeros(5, np.float32)])
    return model


@pytest.fixture(scope="module")
def helped() -> Ascent:
    return ascent(sleeping(), recipe=REDIRECTING)


@pytest.fixture(scope="module")
def unhelped() -> Ascent:
    return ascent(sleeping(), recipe=WITHOUT)


def test_without_help_a_picture_below_silent_rectifiers_stays_exactly_its_start(unhelped: Ascent) -> None:
    found = unhelped.find([STUCK, AWAKE, HOPELESS])
    noise = unhelped.parameters.start(starts.bank_seed(0, 0))[None]
    faint = np.asarray(unhelped.parameters.finish(unhelped.parameters.to_pictures(noise)))
    np.testing.assert_array_equal(found.images[[0, 2]], np.repeat(faint, 2, axis=0))
    assert (found.images[1] != faint[0]).mean() > 0.5
    assert found.activation[0] == found.activation_start[0] == 0
    assert found.redirected_relu.tolist() == [False, False, False]


@pytest.mark.parametrize("highest", [None, 6.0])
def test_a_picture_below_silent_rectifiers_is_activated_and_says_so(highest: float | None, helped: Ascent) -> None:
    model = sleeping(highest)
    sought = helped if highest is None else ascent(model, recipe=REDIRECTING)
    found = sought.find([STUCK, AWAKE, HOPELESS])
    kernel, bias = model.get_layer("bright").get_weights()
    own = np.maximum(convolve(found.images[:1] / 255, kernel, bias), 0)[0, 2:-2, 2:-2, 0]
    assert own.mean() > 0.001
    assert found.activation[0] == pytest.approx(own.mean(), rel=1e-3)
    assert found.redirected_relu.tolist() == [True, False, False]


def test_a_stuck_filter_changes_no_byte_of_those_beside_it(helped: Ascent, unhelped: Ascent) -> None:
    filters = [STUCK, AWAKE, MIXED, AGAINST]
    together = helped.find(filters)
    for row, number in enumerate(filters):
        assert same(together, helped.find([number]), [row])
    assert same(together, unhelped.find([AWAKE, MIXED]), [1, 2])
    assert together.redirected_relu.tolist() == [True, False, False, False]


def test_the_help_is_traced_once_and_only_where_it_is_needed() -> None:
    sought = ascent(sleeping(), recipe=REDIRECTING)
    before = sought.traces
    sought.find([AWAKE])
    assert sought.traces == before
    sought.find([STUCK])
    assert sought.traces == before + 1
    sought.find([AWAKE, STUCK])
    sought.find([HOPELESS])
    assert sought.traces == before + 1


def test_where_there_is_a_gradient_the_help_is_never_given() -> None:
    """The layer of the sleeper itself: its own pre-activation always has a gradient."""
    model = sleeping()
    sought = ascent(model, path="bright", batch=1, recipe=REDIRECTING)
    found = sought.find([0])
    assert found.redirected_relu.tolist() == [False]
    assert found.activation[0] > 0 == found.activation_start[0]


def test_convolutions_are_fused_with_their_rectifiers_only_while_pictures_are_optimized(unhelped: Ascent) -> None:
    """What is measured must see the NaN that a fused rectifier would hide."""
    during: list[object] = []
    unhelped.find([AWAKE], on_step=lambda: during.append(tf.config.optimizer.get_experimental_options()["remapping"]))
    assert during == [True] * unhelped.steps_of([([AWAKE], Direction.MAXIMIZE)])
    assert tf.config.optimizer.get_experimental_options()["remapping"] is False
    with pytest.raises(ZeroDivisionError):
        unhelped.find([AWAKE], on_step=lambda: 1 / 0)  # type: ignore[arg-type,return-value]
    assert tf.config.optimizer.get_experimental_options()["remapping"] is False


def test_nothing_is_measured_while_convolutions_are_fused(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = dataclasses.replace(OPTVIS, steps=2, pixel_steps=1, strongest_steps=1, retry_steps=1)
    sought = ascent(sleeping(), batch=2, recipe=recipe)
    measured: list[object] = []
    original = Meter.scores

    def scores(self: Meter, pictures: np.ndarray) -> Any:
        measured.append(tf.config.optimizer.get_experimental_options()["remapping"])
        return original(self, pictures)

    monkeypatch.setattr(Meter, "scores", scores)
    sought.find([STUCK, AWAKE, HOPELESS])
    assert len(measured) > 6
    assert not any(measured)
