"""The ascent: pictures depend on nothing beside them, and scores are those of the finished pixels."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from threading import get_ident
from typing import Any

import numpy as np
import pytest

from plain_convolution import convolve
from reportgen.compute.patterns.ascent import Ascent
from reportgen.compute.patterns.objectives import Direction
from reportgen.compute.patterns.recipe import KERAS_IO, OPTVIS
from reportgen.compute.patterns.results import ARRAYS, Search
from reportgen.compute.patterns.search.gradient import ObjectiveGradient
from reportgen.network.backend import keras, tf
from reportgen.recipes import l2, pixels, total_variation
from small_models import QUICK, ascent, functional, layers, network, randomised, same

pytestmark = pytest.mark.slow  # whole searches or builds; the fast tests cover their parts

# Every picture by itself

STACKS: dict[str, Callable[[], list[Any]]] = {
    "plain": lambda: [
        layers.Conv2D(6, 3, activation="relu"),
        layers.Conv2D(10, 3, strides=2, activation="relu", name="conv"),
    ],
    "chain": lambda: [layers.Conv2D(10, 3, padding="same", name="conv"), layers.BatchNormalization(), layers.ReLU()],
    "first layer": lambda: [layers.Conv2D(10, 5, padding="same", name="conv")],
    "dilated": lambda: [layers.Conv2D(10, 3, dilation_rate=2, activation="gelu", name="conv")],
    "grouped": lambda: [layers.Conv2D(4, 3), layers.Conv2D(10, 3, groups=2, activation="relu", name="conv")],
    "separable": lambda: [layers.Conv2D(4, 3), layers.SeparableConv2D(10, 3, activation="relu", name="conv")],
    "depthwise": lambda: [layers.Conv2D(10, 3), layers.DepthwiseConv2D(3, activation="relu", name="conv")],
    "transposed": lambda: [layers.Conv2D(4, 3), layers.Conv2DTranspose(10, 3, strides=2, name="conv"), layers.ReLU()],
}


def stack(name: str) -> Any:
    """A model of its own of the stack `name`, always with the same weights."""
    return randomised(functional(*STACKS[name]()))


@functools.cache
def traced(name: str) -> Ascent:
    """The ascent of `stack(name)`, shared: tracing it is what takes time. Nobody changes its model."""
    return ascent(stack(name), batch=8)


@pytest.mark.parametrize("name", STACKS)
def test_a_picture_does_not_depend_on_the_filters_found_beside_it(name: str) -> None:
    sought = traced(name)
    eight, traces = sought.find(range(8)), sought.traces
    assert same(eight, sought.find([3]), [3])
    assert same(eight, sought.find([5, 3, 1]), [5, 3, 1])
    assert same(eight, sought.find([7, 6, 5, 4, 3, 2, 1, 0]), [7, 6, 5, 4, 3, 2, 1, 0])
    assert same(sought.find([9, 3]), sought.find([3]), [1])
    assert sought.traces == traces
    assert len({eight.images[number].tobytes() for number in range(8)}) == 8


# Every search that there is, of a first layer from its sign patches.
FULL = dataclasses.replace(OPTVIS, steps=3, pixel_steps=2, strongest_steps=2, retry_steps=2)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["plain", "first layer"])
def test_with_every_search_a_picture_does_not_depend_on_its_neighbours(name: str) -> None:
    """Nor on a neighbour that is not finite."""
    model = stack(name)
    for layer in model.layers[1:]:  # so that some are silent and some are not
        layer.set_weights([layer.get_weights()[0], layer.get_weights()[1] - 0.5])
    sought = ascent(model, batch=3, recipe=FULL)
    every, traces = sought.find(range(7)), sought.traces
    for filters in ([4], [6, 0], [5, 3, 1, 2]):
        assert same(every, sought.find(filters), filters)
    assert sought.traces == traces
    assert (every.search == Search.SIGN_PATCHES).any() or (every.strongest_search == Search.SIGN_ASCENT).any()
    for number in (0, 2):
        broken(model.get_layer("conv"), number, np.nan)
    found = ascent(model, batch=3, recipe=FULL).find(range(7))
    assert np.isnan(found.strongest_activation).tolist() == [number in (0, 2) for number in range(7)]
    assert np.isnan(found.highest_peak).tolist() == [number in (0, 2) for number in range(7)]
    others = [1, 3, 4, 5, 6]
    for array in set(ARRAYS) - {"responses"}:
        assert getattr(found, array)[others].tobytes() == getattr(every, array)[others].tobytes()


RECIPES = {
    "pixels": dataclasses.replace(QUICK, parameterization=pixels()),
    "keras-io": dataclasses.replace(KERAS_IO, steps=4),
    "regularized": dataclasses.replace(QUICK, objective=QUICK.objective - 0.02 * total_variation() - 0.1 * l2()),
    "clipped": dataclasses.replace(QUICK, clip_norm=0.1, optimizer="sgd", learning_rate=20.0),
    "three starts": dataclasses.replace(QUICK, steps=2, restarts=3),
}


@pytest.mark.parametrize("name", RECIPES)
def test_whatever_the_recipe_a_picture_does_not_depend_on_the_filters_found_beside_it(name: str) -> None:
    sought = ascent(stack("plain"), batch=4, recipe=RECIPES[name])
    for direction in (Direction.MAXIMIZE, Direction.MINIMIZE):
        four, traces = sought.find(range(4), direction=direction), sought.traces
        assert same(four, sought.find([2], direction=direction), [2])
        assert same(four, sought.find([3, 0, 1], direction=direction), [3, 0, 1])
        assert same(sought.find([9, 2], direction=direction), sought.find([2], direction=direction), [1])
        assert sought.traces == traces
        assert len({four.images[number].tobytes() for number in range(4)}) == 4


def test_more_filters_than_a_batch_holds_are_found_batch_after_batch() -> None:
    steps: list[int] = []
    sought = ascent(stack("plain"), batch=3, recipe=dataclasses.replace(QUICK, steps=2))
    every = sought.find([7, 1, 4, 9, 0, 2, 5], lambda: steps.append(1))
    assert every.indices.tolist() == [7, 1, 4, 9, 0, 2, 5]
    assert len(steps) == 3 * 2
    assert same(every, sought.find([7, 1, 4]), [0, 1, 2])
    assert same(every, sought.find([2, 9]), [5, 3])


def test_batches_of_several_parts_find_the_same_pictures_as_each_part_alone() -> None:
    """Also where the last batch is not full, from several starts, in both directions, and where rectifiers let the gradient through."""
    recipe = dataclasses.replace(QUICK, restarts=2)
    alone, together = (ascent(stack("plain"), batch=2, recipe=recipe) for _ in range(2))
    steps: list[int] = []
    parts = [
        ([7, 1], Direction.MAXIMIZE),
        ([4], Direction.MINIMIZE),
        ([9, 0, 2, 5], Direction.MAXIMIZE),
        ([3, 8], Direction.MINIMIZE),
    ]
    found = list(together.find_each(parts, lambda: steps.append(1)))
    assert len(steps) == together.steps_of(parts) == 5 * 2 * QUICK.steps
    assert sorted(number for number, _ in found) == [0, 1, 2, 3]
    for number, patterns in found:
        filters, direction = parts[number]
        assert same(patterns, alone.find(filters, direction=direction))
    assert together.traces == alone.traces


def test_a_network_never_computes_two_batches_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two calls at once of convolutions that are fused with an addition read each other's memory, see `backend.fused`."""
    threads: set[int] = set()
    original = ObjectiveGradient.function

    def function(self: ObjectiveGradient, *given: Any) -> Any:
        compute = original(self, *given)

        def called(*inputs: Any) -> Any:
            threads.add(get_ident())
            return compute(*inputs)

        return called

    monkeypatch.setattr(ObjectiveGradient, "function", function)
    ascent(stack("plain"), batch=2, recipe=FULL).find(range(8))
    assert threads == {get_ident()}


def test_nothing_is_traced_again_whatever_is_found_and_however_often() -> None:
    counts = set()
    for filters in (3, 40):
        model = randomised(functional(layers.Conv2D(filters, 3, activation="relu", name="conv")))
        sought = ascent(model, batch=3, recipe=dataclasses.replace(QUICK, steps=1, restarts=2))
        sought.find([0], direction=Direction.MINIMIZE)  # the other direction is traced when it is first asked for
        before = sought.traces
        for first in range(0, filters, 3):
            sought.find(
                range(first, min(first + 3, filters)), direction=Direction.MAXIMIZE if first % 2 else Direction.MINIMIZE
            )
        assert sought.traces == before
        counts.add(before)
    assert len(counts) == 1


def test_two_runs_are_identical_and_another_seed_is_not() -> None:
    first = traced("plain").find([0, 1, 2])
    again, other = (ascent(stack("plain"), batch=8, seed=seed).find([0, 1, 2]) for seed in (0, 1))
    assert same(first, again)
    assert first.seeds != other.seeds
    assert not (first.images == other.images).all(axis=(1, 2, 3)).any()


def test_patterns_have_their_shape_and_their_range() -> None:
    steps: list[int] = []
    seeking = ascent(randomised(functional(*STACKS["plain"](), shape=(12, 15, 1))))
    found = seeking.find([4, 2], lambda: steps.append(1))
    assert found.images.shape == (2, 12, 15, 1)
    assert found.images.dtype == np.uint8
    assert found.indices.tolist() == [4, 2]
    assert found.indices.dtype == np.int32
    figures = ("activation", "activation_start", "pre_activation", "pre_activation_start", "restart_similarity")
    assert all(getattr(found, name).dtype == np.float32 for name in figures)
    assert found.redirected_relu.dtype == bool
    assert found.responses.shape == (2, 10)
    np.testing.assert_array_equal(found.responses[[0, 1], [4, 2]], found.activation)
    assert len(steps) == QUICK.steps


# What the wanted channel is, and what is not finite


@pytest.mark.parametrize("name", STACKS)
def test_the_wanted_channels_are_those_of_the_whole_layer(name: str) -> None:
    walked = network(stack(name))
    found = next(item for item in walked.layer_calls if item.path == "conv")
    shown = tf.constant(np.random.default_rng(0).uniform(size=(3, 16, 16, 3)).astype(np.float32))
    filters = tf.constant([7, 0, 7])
    own = tf.function(lambda entry: walked.own_channels(entry, found, filters), autograph=False)(shown)
    ((before, _),) = tf.function(lambda entry: walked.units(entry, [found]), autograph=False)(shown)
    expected = np.stack([np.asarray(before)[row, :, :, index] for row, index in enumerate([7, 0, 7])])
    np.testing.assert_allclose(own, expected, rtol=1e-4, atol=1e-5)


def test_the_wanted_channel_of_a_causal_layer_is_that_of_the_whole_layer() -> None:
    causal = layers.Conv1D(5, 3, dilation_rate=2, padding="causal", name="causal")
    walked = network(randomised(functional(layers.Conv1D(4, 3), causal, shape=(16, 2))))
    found, filters = walked.layer_calls[-1], tf.constant([3])
    shown = tf.constant(np.random.default_rng(0).uniform(size=(1, 16, 2)).astype(np.float32))

    def both(entry: Any) -> Any:
        return walked.own_channels(entry, found, filters), walked.units(entry, [found])[0][0][..., 3]

    own, whole = tf.function(both, autograph=False)(shown)
    np.testing.assert_allclose(own, whole, rtol=1e-4, atol=1e-5)


def broken(layer: Any, filter_number: int, value: float) -> None:
    """Put `value` into one entry of one filter's own slice of the kernel."""
    weights = layer.get_weights()
    kernel = weights[1] if isinstance(layer, layers.SeparableConv2D) else weights[0]
    if isinstance(layer, layers.Conv2DTranspose | layers.DepthwiseConv2D):
        kernel[0, 0, filter_number, 0] = value
    else:
        kernel[0, 0, 0, filter_number] = value
    layer.set_weights(weights)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [*((name, np.nan, np.nan) for name in STACKS), ("plain", np.inf, np.nan), ("separable", np.inf, 0.0)],
)
def test_one_filter_that_is_not_finite_leaves_every_other_picture_as_it_was(
    name: str, value: float, expected: float
) -> None:
    """Infinity times what is negative everywhere is silent."""
    model = stack(name)
    whole = traced(name).find([1, 2, 3])
    broken(model.get_layer("conv"), 2, value)
    found = ascent(model, batch=8).find([1, 2, 3])
    assert np.isfinite(found.activation[[0, 2]]).all()
    np.testing.assert_equal(found.activation[1], np.float32(expected))
    others = [0, 2]
    for array in set(ARRAYS) - {"responses"}:  # those of the whole layer
        assert getattr(found, array)[others].tobytes() == getattr(whole, array)[others].tobytes()
    assert (whole.images[0] != whole.images[1]).any()


def test_one_channel_of_the_normalisation_that_is_not_finite_leaves_the_others_as_they_were() -> None:
    model = stack("chain")
    whole = traced("chain").find([1, 2, 3])
    norm = model.layers[2]
    gamma, *rest = norm.get_weights()
    gamma[2] = np.nan
    norm.set_weights([gamma, *rest])
    found = ascent(model, batch=8).find([1, 2, 3])
    assert np.isnan(found.activation).tolist() == [False, True, False]
    assert found.images[[0, 2]].tobytes() == whole.images[[0, 2]].tobytes()


def test_behind_a_layer_that_is_not_finite_nothing_is_whatever_searches() -> None:
    """What is measured sees the NaN that a convolution fused with its rectifier hides."""
    model = stack("plain")
    broken(model.layers[1], 0, np.nan)
    found = ascent(model, recipe=FULL, batch=2).find([0, 1, 2])
    for name in ("activation", "strongest_activation", "highest_peak", "best_pre_activation", "survives_warps"):
        assert np.isnan(getattr(found, name)).all(), name


def test_behind_a_layer_that_is_not_finite_nothing_is() -> None:
    model = stack("plain")
    broken(model.layers[1], 0, np.nan)
    found = ascent(model).find([0, 1])
    assert np.isnan(found.activation).all()
    assert np.isnan(found.activation_start).all()
    assert found.images.std() < 30


# The scores


@pytest.mark.parametrize(("shape", "strides"), [((16, 16, 3), 1), ((12, 15, 1), 2), ((7, 9, 3), 3)])
def test_the_scores_are_measured_on_the_finished_pixels(shape: tuple[int, int, int], strides: int) -> None:
    layer = layers.Conv2D(5, 3, strides=strides, padding="same", activation="relu", name="conv")
    model = randomised(functional(layer, shape=shape))
    sought = ascent(model)
    kernel, bias = layer.get_weights()
    for found in (sought.find([0, 3, 4]), sought.find([0, 3, 4], direction=Direction.MINIMIZE)):
        maps = convolve(found.images / 255, kernel, bias, (strides, strides), how="same")
        rows, columns = ((min(2, (length - 1) // 2)) for length in maps.shape[1:3])
        inner = maps[:, rows : maps.shape[1] - rows, columns : maps.shape[2] - columns]
        np.testing.assert_allclose(found.responses, np.maximum(inner, 0).mean((1, 2)), rtol=1e-4, atol=1e-6)
        own = np.stack([inner[number, :, :, index] for number, index in enumerate([0, 3, 4])])
        np.testing.assert_allclose(found.pre_activation, own.mean((1, 2)), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(found.activation, np.maximum(own, 0).mean((1, 2)), rtol=1e-4, atol=1e-6)
    assert (found.pre_activation < found.activation).any(), "a filter must fall silent, or the two say the same"


def test_the_scores_of_the_start_are_those_of_an_ascent_that_goes_nowhere() -> None:
    found = traced("plain").find([0, 1, 2, 3])
    still = ascent(stack("plain"), batch=8, recipe=dataclasses.replace(QUICK, learning_rate=1e-12)).find([0, 1, 2, 3])
    assert still.activation.tobytes() == still.activation_start.tobytes() == found.activation_start.tobytes()
    assert still.pre_activation.tobytes() == found.pre_activation_start.tobytes()
    assert (found.pre_activation != found.pre_activation_start).all()


def test_the_models_weights_and_attributes_are_as_before() -> None:
    model = stack("chain")
    model(tf.zeros((1, 16, 16, 3)))
    broken(model.get_layer("conv"), 2, np.nan)
    weights = [weight.tobytes() for weight in model.get_weights()]
    attributes = [{name: id(value) for name, value in vars(layer).items()} for layer in model.layers]
    ascent(model).find([0, 1])
    assert [weight.tobytes() for weight in model.get_weights()] == weights
    assert [{name: id(value) for name, value in vars(layer).items()} for layer in model.layers] == attributes


def test_a_model_in_half_precision_is_measured_in_its_own() -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = randomised(functional(layers.Conv2D(4, 3, activation="relu", name="conv"), shape=(16, 16, 3)))
    finally:
        keras.config.set_dtype_policy("float32")
    found = ascent(model, batch=2).find([0, 1])
    exact = np.maximum(convolve(found.images / 255, *model.get_weights()), 0)[:, 2:-2, 2:-2].mean((1, 2))
    assert np.isfinite(found.activation).all()
    assert found.activation == pytest.approx(exact[[0, 1], [0, 1]], rel=0.03, abs=0.01)
