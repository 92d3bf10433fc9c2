"""Minimal patterns, and the best of several starts."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from reportgen.compute.patterns.objectives import Direction
from reportgen.compute.patterns.randomness import derived_seed
from reportgen.compute.patterns.recipe import KERAS_IO
from reportgen.compute.patterns.results import ARRAYS, Patterns, restart_similarity
from reportgen.compute.patterns.search import readable
from reportgen.compute.patterns.search.readable import ReadableAscent
from reportgen.recipes import channel, fourier, pixels
from small_models import QUICK, ascent, functional, layers, randomised, same

pytestmark = pytest.mark.slow  # whole searches or builds; the fast tests cover their parts

# The other direction

DEEP = [("relu", 0, fourier()), ("linear", 1, fourier()), ("gelu", 2, fourier()), ("relu", 0, pixels())]


def deep(activation: str, seed: int) -> Any:
    stack = [layers.Conv2D(6, 3, activation="relu"), layers.Conv2D(4, 3, activation=activation, name="conv")]
    return randomised(functional(*stack), seed=seed)


@pytest.mark.parametrize(("activation", "seed", "parameterization"), DEEP, ids=str)
def test_the_minimal_pattern_lowers_the_pre_activation(activation: str, seed: int, parameterization: Any) -> None:
    recipe = dataclasses.replace(QUICK, steps=8, parameterization=parameterization)
    sought = ascent(deep(activation, seed), recipe=recipe)
    most, least = sought.find(range(4)), sought.find(range(4), direction=Direction.MINIMIZE)
    assert (least.pre_activation < least.pre_activation_start).all()
    assert (most.pre_activation > most.pre_activation_start).all()
    assert (least.pre_activation < most.pre_activation).all()
    assert (most.seeds == least.seeds) is (
        parameterization == pixels()
    )  # else the bank holds what lowers each most, too


@pytest.mark.parametrize("recipe", [QUICK, dataclasses.replace(KERAS_IO, steps=4)], ids=["optvis", "keras-io"])
def test_the_minimal_pattern_of_a_linear_filter_is_the_pattern_of_its_negative(recipe: Any) -> None:
    def linear(sign: float) -> Any:
        layer = layers.Conv2D(4, 3, name="conv")
        model = randomised(functional(layer), seed=1)
        kernel, bias = layer.get_weights()
        layer.set_weights([sign * kernel, sign * bias])
        return ascent(model, recipe=recipe)

    least, most = linear(1).find(range(4), direction=Direction.MINIMIZE), linear(-1).find(range(4))
    assert least.images.tobytes() == most.images.tobytes()
    np.testing.assert_array_equal(least.pre_activation, -most.pre_activation)


def test_the_minimal_pattern_of_a_linear_filter_is_the_mirror_image_of_its_pattern() -> None:
    layer = layers.Conv2D(3, 3, name="conv")
    model = randomised(functional(layer))
    sought = ascent(model, recipe=dataclasses.replace(QUICK, steps=12, transforms=(), parameterization=pixels()))
    most = sought.find(range(3)).images.astype(np.float64) - 127.5
    least = sought.find(range(3), direction=Direction.MINIMIZE).images.astype(np.float64) - 127.5
    for first, second in zip(most, least, strict=True):
        assert first.std() > 35
        assert np.corrcoef(first.reshape(-1), second.reshape(-1))[0, 1] < -0.97


def test_minimizing_every_position_counts_fully() -> None:
    """The leaky slope that activates silent positions would keep the strongest ones strong."""
    sought = ascent(deep("relu", 0), recipe=dataclasses.replace(QUICK, transforms=()))
    plain = ascent(
        deep("relu", 0), recipe=dataclasses.replace(QUICK, transforms=(), objective=channel(measure="pre-activation"))
    )
    assert same(sought.find([0, 1], direction=Direction.MINIMIZE), plain.find([0, 1], direction=Direction.MINIMIZE))
    assert not same(sought.find([0, 1]), plain.find([0, 1]))


# Several starts

STARTS = dataclasses.replace(QUICK, steps=2, restarts=3)
NOISY = dataclasses.replace(STARTS, parameterization=pixels())  # whose first start has not been picked from a bank


OF_ALL = (
    *("restart_similarity", "survives_warps"),
    *(f"strongest_{name}" for name in ("images", "activation", "pre_activation", "peak", "search")),
    *(f"highest_{name}" for name in ("images", "activation", "peak", "search")),
    "best_pre_activation",
)


def watched(monkeypatch: pytest.MonkeyPatch) -> list[Patterns]:
    """The patterns of every single ascent from now on."""
    ascents: list[Patterns] = []
    original = ReadableAscent.run

    def run(self: ReadableAscent, *arguments: Any) -> Patterns:
        ascents.append(original(self, *arguments))
        return ascents[-1]

    monkeypatch.setattr(ReadableAscent, "run", run)
    return ascents


def mean_cosine(responses: list[np.ndarray], own: int) -> float:
    """By definition: over all pairs, the responses of the other filters."""
    others = [np.delete(row.astype(np.float64), own) for row in responses]
    pairs = [
        float(others[first] @ others[second] / np.linalg.norm(others[first]) / np.linalg.norm(others[second]))
        for first in range(len(others))
        for second in range(first)
    ]
    return float(np.mean(pairs))


@pytest.mark.parametrize("direction", [Direction.MAXIMIZE, Direction.MINIMIZE])
def test_of_several_starts_the_picture_that_reached_most_is_kept(
    direction: Direction, monkeypatch: pytest.MonkeyPatch
) -> None:
    ascents = watched(monkeypatch)
    filters = [5, 0, 3, 4]
    steps: list[int] = []
    stack = [layers.Conv2D(6, 3, activation="relu"), layers.Conv2D(6, 3, activation="relu", name="conv")]
    found = ascent(randomised(functional(*stack), seed=3), recipe=NOISY).find(
        filters, lambda: steps.append(1), direction
    )
    assert len(ascents) == 3
    assert len(steps) == 6
    assert len({seed for one in ascents for seed in one.seeds}) == 12
    reached = np.stack([one.activation if direction == Direction.MAXIMIZE else -one.pre_activation for one in ascents])
    best = reached.argmax(axis=0)
    assert len(set(best.tolist())) > 1, "one start must not win everywhere, or the test says nothing"
    for row, number in enumerate(best):
        for name in set(ARRAYS) - set(OF_ALL):
            np.testing.assert_array_equal(getattr(found, name)[row], getattr(ascents[number], name)[row])
        if direction == Direction.MAXIMIZE:  # what any start led to
            strongest = max(ascents, key=lambda one: one.strongest_activation[row])
            highest = max(ascents, key=lambda one: one.highest_peak[row])
            for name in OF_ALL[2:7]:
                np.testing.assert_array_equal(getattr(found, name)[row], getattr(strongest, name)[row])
            for name in OF_ALL[7:11]:
                np.testing.assert_array_equal(getattr(found, name)[row], getattr(highest, name)[row])
            assert found.best_pre_activation[row] == max(one.best_pre_activation[row] for one in ascents)
        assert found.seeds[row] == ascents[number].seeds[row]
        expected = mean_cosine([one.responses[row] for one in ascents], filters[row])
        assert -1 <= expected <= 1
        assert found.restart_similarity[row] == pytest.approx(expected, abs=1e-5)


def test_a_single_start_is_the_first_of_several_and_has_no_restart_similarity(monkeypatch: pytest.MonkeyPatch) -> None:
    ascents = watched(monkeypatch)
    model = deep("relu", 0)
    ascent(model, recipe=STARTS).find([1, 2])
    several = list(ascents)
    found = ascent(model, recipe=dataclasses.replace(STARTS, restarts=1)).find([1, 2])
    assert np.isnan(several[0].survives_warps).all()  # measured at the very end
    assert same(dataclasses.replace(several[0], survives_warps=found.survives_warps), found)
    assert found.seeds == several[0].seeds
    assert np.isnan(found.restart_similarity).all()
    assert not (several[0].images == several[1].images).all(axis=(1, 2, 3)).any()


def test_more_starts_never_reach_less() -> None:
    model = deep("relu", 3)
    few, many = (ascent(model, recipe=dataclasses.replace(NOISY, restarts=count)).find(range(4)) for count in (2, 4))
    assert (few.activation <= many.activation).all()
    assert (few.activation < many.activation).any()


def test_pictures_that_are_the_same_are_perfectly_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readable, "derived_seed", lambda *key: derived_seed(*key[:4]))
    found = ascent(deep("relu", 0), recipe=NOISY).find([0, 1])
    assert found.restart_similarity == pytest.approx([1, 1], abs=1e-6)


def test_restart_similarity_is_the_mean_cosine_of_the_other_filters_responses() -> None:
    """Filter 0 of three: its own response, however large, says nothing; where the others are silent there is nothing to compare."""

    def of_first(*responses: list[float]) -> float:
        return float(restart_similarity([np.array([row], np.float32) for row in responses], np.array([0]))[0])

    assert of_first([9, 1, 2], [1, 2, 4]) == pytest.approx(1)
    assert of_first([9, 1, 0], [9, 0, 1]) == pytest.approx(0)
    assert of_first([9, 1, -2], [9, -1, 2]) == pytest.approx(-1)
    assert of_first([5, 1, 0], [5, 1, 0], [5, 0, 1]) == pytest.approx(1 / 3)
    assert np.isnan(of_first([9, 0, 0], [9, 1, 1]))
    assert np.isnan(of_first([9, 1, 1]))


def test_a_filter_that_is_not_finite_takes_no_other_filters_restart_similarity() -> None:
    layer = layers.Conv2D(4, 3, name="conv")
    model = randomised(functional(layer))
    kernel, bias = layer.get_weights()
    kernel[0, 0, 0, 2] = np.nan
    layer.set_weights([kernel, bias])
    found = ascent(model, recipe=STARTS).find([0, 1, 2, 3])
    assert np.isnan(found.activation).tolist() == [False, False, True, False]
    assert np.isfinite(found.restart_similarity[[0, 1, 3]]).all()
