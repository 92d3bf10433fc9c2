"""Recipes composed of values: the command line's words are the same values, and what is composed is what is maximized and stated."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np
import pytest

import reportgen
from plain_convolution import convolve
from reportgen.compute.patterns import recipe
from reportgen.compute.patterns import transforms as warps
from reportgen.core.choices import Measure
from reportgen.core.errors import UsageError
from reportgen.core.settings import Settings
from reportgen.network.backend import keras, tf
from reportgen.recipes import channel, fourier, jitter, l2, of_layer, pixels, rotate, scale, total_variation
from small_models import ascent, functional, layers, randomised

pytestmark = pytest.mark.slow  # whole searches or builds; the fast tests cover their parts

FILTERS = [1, 3]


@pytest.fixture(scope="module")
def model() -> Any:
    return randomised(functional(layers.Conv2D(8, 3, activation="relu", name="conv")), seed=4)


def found(model: Any, filters: Any = FILTERS, **pieces: Any) -> Any:
    return reportgen.patterns(
        model, "conv", filters, **{"quality": "draft", "steps": 4, "preprocess": "unit", **pieces}
    )


# Words and values


SAME: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "the default": ({}, {"objective": channel(), "transforms": list(warps.STANDARD)}),
    "objective": ({"objective": "leaky"}, {"objective": channel(measure="leaky")}),
    "penalties": (
        {"regularize": "tv=0.5,l2=0.1"},
        {"objective": channel() - 0.5 * total_variation() - 0.1 * l2()},
    ),
    "some of each": ({"regularize": "tv=0.5,l2=0.1"}, {"objective": channel() - l2() / 10, "regularize": "tv=0.5"}),
    "pixels": ({"parameterization": "pixel", "transforms": False}, {"parameterization": pixels(), "transforms": []}),
    "fourier": ({"parameterization": "fourier"}, {"parameterization": fourier(decay=1.0)}),
    "keras-io": ({"method": "keras-io"}, {"method": "keras-io", "objective": channel(measure="activation")}),
}
VALUES = {"objective", "parameterization", "transforms"}


@pytest.mark.parametrize("name", SAME)
def test_a_word_and_the_value_that_it_stands_for_are_the_same_recipe(name: str) -> None:
    words, pieces = SAME[name]
    values = {name: value for name, value in pieces.items() if name in VALUES}
    others = {name: value for name, value in pieces.items() if name not in VALUES}
    chosen = recipe.choose(Settings(**others), 3, False, **values)
    assert chosen == recipe.choose(Settings(**words), 3, False)
    assert chosen.describe() == recipe.choose(Settings(**words), 3, False).describe()


def test_equal_recipes_give_equal_bytes(model: Any) -> None:
    word = found(model, objective="leaky", regularize="tv=0.5,l2=0.1", transforms=True)
    objective = channel(measure="leaky") - 0.5 * total_variation() - 0.1 * l2()
    value = found(model, objective=objective, transforms=[rotate(5), scale(0.95, 1.05), jitter(share=1 / 32)])
    assert word.images.tobytes() == value.images.tobytes()
    assert word.strongest_images.tobytes() == value.strongest_images.tobytes()
    assert word.records == value.records
    assert {**word.recipe, "transforms": sorted(word.recipe["transforms"])} == {
        **value.recipe,
        "transforms": sorted(value.recipe["transforms"]),
    }


def test_every_objective_of_the_command_line_is_a_measure_of_a_channel() -> None:
    for measure in Measure:
        assert str(channel(2, measure.value)) == f"channel(2, {measure.value!r})"
    with pytest.raises(UsageError, match="channel: loudest is none of mean-and-peak"):
        channel(2, "loudest")


def test_a_keras_optimizer_moves_pictures_at_its_own_learning_rate_and_stays_as_it_is(model: Any) -> None:
    given = keras.optimizers.SGD(0.3)
    own, named = found(model, optimizer=given), found(model, optimizer="sgd", learning_rate=0.3)
    np.testing.assert_array_equal(own.images, named.images)
    assert own.recipe == {**named.recipe, "optimizer": "SGD"}
    assert not given.built
    given = keras.optimizers.SGD(0.3, momentum=0.5)
    other = recipe.choose(Settings(learning_rate=0.2), 3, False, optimizer=given).describe()
    assert other["optimizer"] == "SGD(momentum=0.5)"
    assert other["learning_rate"] == 0.2


# Objectives


def weighted(images: np.ndarray, model: Any) -> np.ndarray:
    """By definition: the activation of filter 3 and half that of filter 7."""
    maps = np.maximum(convolve(images / 255, *model.get_layer("conv").get_weights()), 0)[:, 2:-2, 2:-2].mean((1, 2))
    return np.asarray(maps[:, 3] + 0.5 * maps[:, 7])


def test_two_filters_are_optimized_together(model: Any) -> None:
    joint = found(model, [3], steps=12, objective=channel(3) + 0.5 * channel(7))
    alone = found(model, [3, 7], steps=12)
    assert weighted(joint.images, model)[0] > weighted(alone.images, model).max()
    assert joint.recipe["objective"] == "channel(3, 'mean-and-peak') + 0.5 * channel(7, 'mean-and-peak')"
    assert joint.records[0]["index"] == 3
    assert joint.records[0]["strongest"]["activation"] == pytest.approx(
        alone.records[0]["strongest"]["activation"], rel=0.1
    )


def test_of_several_starts_the_one_with_the_largest_objective_is_kept(model: Any) -> None:
    pieces = {"parameterization": pixels(), "objective": 0.5 * channel(7) + channel(3)}
    one, many = found(model, [1, 5], **pieces), found(model, [1, 5], restarts=4, **pieces)
    assert (weighted(many.images, model) >= weighted(one.images, model)).all()
    assert (weighted(many.images, model) > weighted(one.images, model)).any()


def test_a_composed_picture_depends_on_no_other(model: Any) -> None:
    objective = channel() - 0.5 * channel(7) - 0.1 * total_variation()
    both = found(model, FILTERS, objective=objective)
    assert found(model, [3], objective=objective).images.tobytes() == both.images[1:].tobytes()
    assert both.recipe["objective"] == "channel('mean-and-peak') - 0.5 * channel(7, 'mean-and-peak')"
    assert both.recipe["total_variation"] == 0.1


def test_a_function_of_the_layer_is_maximized_and_stated_by_its_name(model: Any) -> None:
    """The evenest activation of all filters: its logarithm, which no single channel raises alone."""

    def evenness(maps: Any) -> Any:
        return tf.reduce_sum(tf.math.log(1e-3 + tf.reduce_mean(maps, axis=(1, 2))), axis=1)

    def measured(images: np.ndarray) -> np.ndarray:
        maps = np.maximum(convolve(images / 255, *model.get_layer("conv").get_weights()), 0)
        return np.asarray(np.log(1e-3 + maps.mean((1, 2))).sum(1))

    even, alone = found(model, [3], steps=12, objective=of_layer(evenness, "evenness")), found(model, [3], steps=12)
    assert measured(even.images)[0] > measured(alone.images)[0] + 1
    assert even.recipe["objective"] == "evenness"


def test_objectives_add_up_and_read_as_they_are_written() -> None:
    assert channel() + channel() == 2 * channel()
    assert channel(3) - channel(3) + channel(4) == channel(4)
    assert sum([channel(1), channel(2)]) == channel(1) + channel(2) == channel(2) + channel(1)
    assert -(channel(1) / 2) == channel(1) * -0.5
    assert str(-channel(3) + 0.5 * channel(7, "leaky") - 0.1 * total_variation()) == (
        "-channel(3) + 0.5 * channel(7, 'leaky') - 0.1 * total_variation()"
    )
    for product in (lambda: channel() * channel(), lambda: channel() + 1, lambda: channel() - 1):  # type: ignore[operator]
        with pytest.raises(TypeError):
            product()
    with pytest.raises(UsageError, match="cannot be multiplied by nan"):
        float("nan") * channel()


@pytest.mark.parametrize(
    ("pieces", "sentence"),
    [
        ({"objective": total_variation() * -1.0}, "has no channel: there is nothing to maximize"),
        ({"objective": channel() - channel()}, "The objective 0 has no channel"),
        ({"objective": channel(8)}, "conv has filters 0 to 7; the objective names channel(8, 'mean-and-peak')."),
        ({"objective": channel(-1)}, "conv has filters 0 to 7"),
        ({"objective": channel() + channel(7), "negative": True}, "give the objective a negative weight instead"),
        (
            {"objective": of_layer(lambda maps: maps, "all"), "restarts": 2},
            "Restarts cannot be compared by the objective all",
        ),
        (
            {"objective": of_layer(lambda maps: maps, "all")},
            "The objective all must return one float32 number for each picture",
        ),
        ({"objective": 3}, "objective: 3 is neither a name nor an objective"),
        ({"parameterization": 3}, "parameterization: 3 is neither a name nor a parameterization"),
        ({"optimizer": 3}, "optimizer: 3 is neither a name nor a Keras optimizer"),
        ({"optimizer": keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(1.0, 9))}, "SGD is a schedule"),
        ({"optimizer": keras.optimizers.Adam(global_clipnorm=1.0)}, "couples"),
        ({"transforms": [rotate(5), rotate(6)]}, "rotate(6) is the second of its kind"),
        ({"transforms": ["jitter"]}, "'jitter' is not a transform"),
        ({"transforms": 3}, "transforms: 3 is not a list of transforms"),
        ({"objective": "loudest"}, "--objective loudest is none of"),
    ],
    ids=lambda value: value if isinstance(value, str) else "+".join(value),
)
def test_what_cannot_be_combined_is_one_clear_sentence(model: Any, pieces: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=re.escape(sentence)) as caught:
        found(model, **pieces)
    assert "\n" not in str(caught.value)


# Transforms


def position_of(warp: warps.Warp, size: int, pixel: tuple[int, int]) -> np.ndarray:
    """Where an output pixel looks."""
    at = pixel[0] * size + pixel[1]
    places = np.stack([warp.sources[:, at] // size, warp.sources[:, at] % size], 1)
    return np.asarray((places * warp.weights[:, at, None]).sum(0))


def test_each_transform_stays_within_its_own_limits_and_comes_near_them() -> None:
    shifts, factors, angles = [], [], []
    for step in range(60):
        moved = warps.draw(0, step, (65, 65), transforms=[jitter(6)])
        shifts.append(position_of(moved, 65, (32, 32)) - 32)
        across = position_of(warps.draw(0, step, (65, 65), transforms=[scale(0.9, 1.3)]), 65, (32, 40)) - 32
        factors.append(8 / np.linalg.norm(across))
        across = position_of(warps.draw(0, step, (65, 65), transforms=[rotate(20)]), 65, (32, 40)) - 32
        angles.append(np.degrees(np.arctan2(across[0], across[1])))
    assert 5 < np.abs(shifts).max() <= 6
    assert 0.9 - 1e-6 <= min(factors) < 0.93 < 1.27 < max(factors) <= 1.3 + 1e-6
    assert 18 < np.abs(angles).max() <= 20 + 1e-3


def test_a_share_of_the_side_is_that_many_pixels() -> None:
    share, count = (warps.draw(3, 1, (40, 64), transforms=[each]) for each in (jitter(share=0.1), jitter(4)))
    np.testing.assert_allclose(share.weights, count.weights, atol=1e-5)
    np.testing.assert_array_equal(share.sources, count.sources)


def test_transforms_are_stated_and_change_the_picture(model: Any) -> None:
    some = [jitter(4), rotate(15), scale(0.8, 1.2)]
    more, fewer = found(model, [3], transforms=some), found(model, [3], transforms=some[:2])
    assert more.recipe["transforms"] == ["jitter(4)", "rotate(15)", "scale(0.8, 1.2)"]
    assert fewer.recipe["transforms"] == ["jitter(4)", "rotate(15)"]
    assert more.images.tobytes() != fewer.images.tobytes()


@pytest.mark.parametrize(
    "wrong",
    [
        *(jitter, lambda: jitter(2, share=0.1), lambda: jitter(-1)),
        *(lambda: scale(1.1, 0.9), lambda: scale(0, 1), lambda: rotate(-5), lambda: fourier(-1)),
    ],
)
def test_limits_that_are_none_are_refused(wrong: Any) -> None:
    with pytest.raises(UsageError):
        wrong()


# Parameterization


def test_a_larger_decay_gives_lower_frequencies(model: Any) -> None:
    def frequency(decay: float) -> float:
        given = recipe.choose(Settings(steps=4, transforms=False), 3, False, parameterization=fourier(decay))
        shown = ascent(model, recipe=dataclasses.replace(given, strongest_steps=0)).find([3]).images[0].mean(-1)
        power = np.abs(np.fft.fft2(shown - shown.mean())) ** 2
        across = np.hypot(*np.meshgrid(np.fft.fftfreq(16), np.fft.fftfreq(16)))
        return float(np.average(across, weights=power))

    assert frequency(2.0) < frequency(1.0) < frequency(0.5)
    assert str(fourier(2)) == "fourier(decay=2)"
