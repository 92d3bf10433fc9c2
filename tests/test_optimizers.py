"""Optimizers: any that moves each value by itself, and none that lets one filter's picture depend on another's."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from reportgen.compute.patterns import optimizers
from reportgen.compute.patterns.optimizers import UNIT_ADAM, BatchOptimizer
from reportgen.core.errors import UsageError
from reportgen.network.backend import keras, tf
from reportgen.recipes import pixels
from small_models import QUICK, ascent, functional, layers, randomised

ELEMENT_WISE = ["adam", "sgd", "rmsprop", "nadam", "adamw", "lion", "adagrad", "adadelta", "adamax", "ftrl"]
NEWER = [name for name in ("ScheduleFreeAdamW",) if hasattr(keras.optimizers, name)]
COUPLING = [name for name in ("Lamb", "Adafactor", "Muon") if hasattr(keras.optimizers, name)]
SHAPE = (3, 4, 5)


def gradients(steps: int) -> list[np.ndarray]:
    """Of very different size for each picture, as those of different filters are."""
    random = np.random.default_rng(0)
    scale = np.array([1, 1e-3, 1e3], np.float32)[:, None, None]
    return [random.standard_normal(SHAPE).astype(np.float32) * scale for _ in range(steps)]


def moved(optimizer: BatchOptimizer, start: np.ndarray, rates: list[float], pushed: list[np.ndarray]) -> np.ndarray:
    position = optimizer.start(start)
    for rate, gradient in zip(rates, pushed, strict=True):
        position = optimizer.step(gradient, rate)
    return np.asarray(position)


RATES = [0.3, 0.2, 0.2, 0.05]
START = np.random.default_rng(1).standard_normal(SHAPE).astype(np.float32)


@pytest.mark.parametrize("name", [*ELEMENT_WISE, *NEWER])
def test_every_picture_moves_as_kerass_own_optimizer_moves_it_alone_whatever_was_moved_before(name: str) -> None:
    optimizer = BatchOptimizer(name, SHAPE, False)
    first = moved(optimizer, START, RATES, gradients(4))
    other = moved(optimizer, 2 * START, RATES, [3 * gradient for gradient in gradients(4)])
    again = moved(optimizer, START, RATES, gradients(4))
    assert first.tobytes() == again.tobytes() != other.tobytes()
    for row in (0, 2):
        alone = keras.Variable(START[row])
        own = keras.optimizers.get(name)
        for rate, gradient in zip(RATES, gradients(4), strict=True):
            own.learning_rate = rate
            own.apply([tf.constant(-gradient[row])], [alone])
        np.testing.assert_allclose(first[row], np.asarray(alone), rtol=1e-5, atol=1e-6)


def test_nothing_moves_where_there_is_no_gradient() -> None:
    still = moved(BatchOptimizer("adam", SHAPE, True), START, RATES, [np.zeros(SHAPE, np.float32)] * 4)
    np.testing.assert_array_equal(still, START)


def test_adam_is_damped_for_gradients_of_unit_size_and_kerass_own_for_raw_ones() -> None:
    """One step by definition: rate * gradient / (|gradient| + epsilon), both moments being corrected for their start."""
    gradient = gradients(1)[0]
    damped = (True, UNIT_ADAM["epsilon"], UNIT_ADAM["beta_2"])
    assert UNIT_ADAM["epsilon"] > 0.01
    for unit_size, epsilon, fast in (damped, (False, 1e-7, 0.999)):
        found = moved(BatchOptimizer("adam", SHAPE, unit_size), np.zeros(SHAPE, np.float32), [0.5], [gradient])
        exact = gradient.astype(np.float64)
        expected = 0.5 * exact / (np.abs(exact) + epsilon / np.sqrt(1 - fast))
        np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("name", ["Adam", "ADAM", "SGD", "RMSprop"])
def test_names_are_taken_in_upper_and_lower_case(name: str) -> None:
    assert type(optimizers.make(name)) is type(optimizers.make(name.lower()))


@pytest.mark.parametrize("name", COUPLING)
def test_an_optimizer_that_couples_pictures_is_refused_in_a_sentence(name: str) -> None:
    with pytest.raises(UsageError, match=rf"^--optimizer {name} couples ") as caught:
        optimizers.make(getattr(keras.optimizers, name)())
    assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match=rf"^--optimizer {name.lower()} "):
        optimizers.make(name.lower())


@pytest.mark.parametrize("clip", [{"global_clipnorm": 1.0}, {"clipnorm": 1.0}], ids=str)
def test_an_optimizer_that_clips_over_all_pictures_at_once_is_refused(clip: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=r"^--optimizer Adam couples "):
        optimizers.make(keras.optimizers.Adam(**clip))
    assert optimizers.make(keras.optimizers.Adam(clipvalue=1.0)).clipvalue == 1.0


@pytest.mark.parametrize("name", ["no-such", "", "adam2", "keras.optimizers.Adam", "dense"])
def test_an_unknown_optimizer_is_one_sentence(name: str) -> None:
    with pytest.raises(UsageError, match=r"^--optimizer .*is no optimizer that Keras knows") as caught:
        optimizers.make(name)
    assert "\n" not in str(caught.value)


def decaying() -> Any:
    return keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)


@pytest.mark.parametrize("rate", [lambda: 7.0, decaying], ids=["number", "schedule"])
def test_a_given_optimizer_is_a_model_that_stays_as_it_is_and_its_rate_does_not_count(rate: Any) -> None:
    given: Any = keras.optimizers.SGD(rate(), momentum=0.9)
    before = given.get_config()
    found = moved(BatchOptimizer(given, SHAPE, True), START, RATES, gradients(4))
    expected, speed = START.astype(np.float64), np.zeros(SHAPE)
    for rate, gradient in zip(RATES, gradients(4), strict=True):
        speed = 0.9 * speed + rate * gradient
        expected = expected + speed
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert given.get_config() == before
    assert not given.built


def test_the_named_optimizer_is_the_one_that_moves_pictures() -> None:
    model = randomised(functional(layers.Conv2D(2, 3, name="conv")))
    simple = dataclasses.replace(QUICK, parameterization=pixels(), transforms=(), steps=2)
    pictures = {
        name: ascent(model, batch=1, recipe=dataclasses.replace(simple, optimizer=name)).find([0]).images.tobytes()
        for name in ("adam", "lion")
    }
    assert pictures["adam"] != pictures["lion"]


def test_an_optimizer_that_couples_is_refused_before_anything_is_computed() -> None:
    model = randomised(functional(layers.Conv2D(2, 3, name="conv")))
    with pytest.raises(UsageError, match="couples"):
        ascent(model, batch=1, recipe=dataclasses.replace(QUICK, optimizer=keras.optimizers.Adam(global_clipnorm=1.0)))
