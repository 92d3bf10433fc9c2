"""Where ascents begin: every filter at that picture of the layer's bank which excites it most, or least."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from plain_convolution import convolve
from reportgen.compute.patterns import colour, parameterization, recipe, starts
from reportgen.compute.patterns.ascent import Ascent
from reportgen.compute.patterns.objectives import Direction
from reportgen.compute.patterns.results import Patterns
from reportgen.compute.patterns.search.readable import ReadableAscent
from reportgen.recipes import channel, fourier, pixels
from small_models import QUICK, ascent, functional, layers, randomised

STILL = dataclasses.replace(QUICK, steps=1, learning_rate=1e-12)  # the finished picture is the one it starts from


def made(
    bands: int = 3, field: int | None = 3, seed: int = 0, given: recipe.Recipe = recipe.OPTVIS
) -> tuple[np.ndarray | None, parameterization.Parameterization]:
    """What a layer with this receptive field is offered of the bank, and what its pictures are made of."""
    mixing = colour.imagenet() if bands == 3 else None
    parameters = parameterization.make(given, (10, 12), bands, mixing)
    bank = starts.bank(given, seed, parameters, bands, mixing)
    return None if bank is None else bank.coefficients[bank.offered(field)], parameters


def offered(sought: Ascent) -> tuple[np.ndarray, list[int]]:
    """(the starts of a first layer of `sought`'s recipe STILL, the seeds of each)."""
    bank = starts.bank(STILL, 0, sought.parameters, 3, colour.imagenet())
    assert bank is not None
    places = bank.offered(3).tolist()
    return bank.coefficients[places], [starts.bank_seed(0, bank.noise_of(place)) for place in places]


def test_the_bank_follows_from_size_and_seed_alone() -> None:
    bank, again, longer = made()[0], made()[0], made(given=dataclasses.replace(recipe.OPTVIS, steps=99, restarts=4))[0]
    assert bank is not None
    assert again is not None
    assert longer is not None
    assert bank.dtype == np.float32
    assert bank.tobytes() == again.tobytes() == longer.tobytes()
    assert len({picture.tobytes() for picture in bank}) == len(bank) == 21
    other = made(seed=1)[0]
    assert other is not None
    assert (other != bank).any(axis=(1, 2, 3, 4)).all()


def test_the_bank_has_one_faint_noise_image_and_many_of_far_more_contrast() -> None:
    bank, parameters = made(field=None)
    assert bank is not None
    spread = np.asarray(parameters.to_pictures(bank)).std(axis=(1, 2, 3))
    assert 0 < spread[0] < 0.05
    assert (spread[1:] > 5 * spread[0]).all()


LOW, HIGH = 1 / (1 + np.exp(1.0)), 1 / (1 + np.exp(-1.0))
CORNERS = {
    1: [[LOW], [HIGH]] * 4,
    2: [[LOW, LOW], [LOW, HIGH], [HIGH, LOW], [HIGH, HIGH]] * 2,
    3: [[red, green, blue] for red in (LOW, HIGH) for green in (LOW, HIGH) for blue in (LOW, HIGH)],
    4: [[LOW] * 4, [HIGH] * 4, *np.where(np.eye(4), HIGH, LOW).tolist(), [LOW] * 4, [HIGH] * 4],
    12: [[LOW] * 12, [HIGH] * 12, *np.where(np.eye(12), HIGH, LOW)[:6].tolist()],
}


@pytest.mark.parametrize("bands", CORNERS)
def test_where_filters_see_a_few_pixels_some_starts_have_a_plain_colour(bands: int) -> None:
    """What such a bank has on top of any other is, alone, one colour: dark, bright, or single bands."""
    (near, parameters), (edge, _) = made(bands, field=1), made(bands, field=16)
    (far, _), (unknown, _) = made(bands, field=17), made(bands, field=None)
    assert near is not None
    assert edge is not None
    assert far is not None
    assert unknown is not None
    assert near.tobytes() == edge.tobytes()
    assert far.tobytes() == unknown.tobytes()
    assert near[:-8].tobytes() == far[:-8].tobytes()
    plain = np.asarray(parameters.to_pictures(near[-8:] - far[-8:]))
    np.testing.assert_allclose(plain, np.broadcast_to(np.array(CORNERS[bands])[:, None, None], plain.shape), rtol=2e-3)


@pytest.mark.parametrize(
    "given",
    [
        recipe.KERAS_IO,
        dataclasses.replace(recipe.OPTVIS, parameterization=pixels()),
        dataclasses.replace(recipe.KERAS_IO, parameterization=fourier()),
    ],
)
def test_recipes_that_begin_from_plain_noise_have_no_bank(given: recipe.Recipe) -> None:
    assert made(given=given)[0] is None


def test_without_a_bank_a_filter_starts_from_its_own_noise() -> None:
    given = dataclasses.replace(STILL, parameterization=pixels())
    sought = ascent(randomised(functional(layers.Conv2D(3, 3, name="conv"))), recipe=given)
    found = sought.find([0, 2])
    own = np.stack([sought.parameters.start(seed) for seed in found.seeds])
    np.testing.assert_array_equal(found.images, sought.parameters.finish(sought.parameters.to_pictures(own)))


@pytest.mark.parametrize("objective", ["mean-and-peak", "leaky", "pre-activation", "activation"])
def test_each_filter_begins_at_the_start_that_excites_it_most_or_least(objective: str) -> None:
    """Every finished picture of the bank shown to every filter by itself, in NumPy."""
    layer = layers.Conv2D(9, 3, activation="relu", name="conv")
    given = dataclasses.replace(STILL, objective=channel(measure=objective))
    sought = ascent(randomised(functional(layer), seed=2), batch=4, recipe=given)
    bank, seeds = offered(sought)
    pictures = np.asarray(sought.parameters.finish(sought.parameters.to_pictures(bank)))
    maps = convolve(pictures / 255, *layer.get_weights())
    inner = maps[:, 2:12, 2:12]
    most = {
        "mean-and-peak": np.maximum(inner, 0),
        "leaky": np.where(inner > 0, inner, 0.1 * inner),
        "pre-activation": inner,
        "activation": np.maximum(inner, 0),
    }[objective]
    value = most.mean((1, 2)) + (0.1 * maps.max((1, 2)) if objective == "mean-and-peak" else 0)
    best = {Direction.MAXIMIZE: value.argmax(axis=0), Direction.MINIMIZE: (-inner).mean((1, 2)).argmax(axis=0)}
    assert len(set(best[Direction.MAXIMIZE])) > 2
    assert (best[Direction.MAXIMIZE] != best[Direction.MINIMIZE]).any()
    for direction, expected in best.items():
        for first in (0, 4, 8):
            filters = range(first, min(first + 4, 9))
            found = sought.find(filters, direction=direction)
            starts_of = expected[list(filters)]
            np.testing.assert_array_equal(found.images, pictures[starts_of])
            assert found.seeds == tuple(seeds[number] for number in starts_of)
            np.testing.assert_allclose(
                found.pre_activation_start, inner.mean((1, 2))[starts_of, list(filters)], rtol=1e-4, atol=1e-6
            )
            np.testing.assert_array_equal(found.pre_activation_start, found.pre_activation)
            np.testing.assert_array_equal(found.activation_start, found.activation)


def test_every_restart_begins_at_the_next_start_of_the_bank_and_from_own_noise_when_there_is_none_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = dataclasses.replace(STILL, restarts=23)
    sought = ascent(randomised(functional(layers.Conv2D(2, 3, name="conv"))), recipe=given)
    found: list[Patterns] = []
    original = ReadableAscent.run

    def run(self: ReadableAscent, *arguments: Any) -> Patterns:
        found.append(original(self, *arguments))
        return found[-1]

    monkeypatch.setattr(ReadableAscent, "run", run)
    sought.find([0, 1])
    for own in range(2):
        assert len({each.images[own].tobytes() for each in found}) == 23
        reached = [float(each.activation[own]) for each in found[:21]]
        assert reached == sorted(reached, reverse=True)
    noise = np.stack([sought.parameters.start(seed) for seed in found[21].seeds])
    np.testing.assert_array_equal(found[21].images, sought.parameters.finish(sought.parameters.to_pictures(noise)))
    assert found[21].seeds != found[22].seeds


def test_a_filter_that_is_not_finite_starts_from_the_faint_noise_and_no_other_changes() -> None:
    layer = layers.Conv2D(4, 3, name="conv")
    model = randomised(functional(layer))
    whole = ascent(model, recipe=STILL).find([0, 1, 2, 3])
    kernel, bias = layer.get_weights()
    kernel[0, 0, 0, 2] = np.nan
    layer.set_weights([kernel, bias])
    sought = ascent(model, recipe=STILL)
    found = sought.find([0, 1, 2, 3])
    assert found.images[[0, 1, 3]].tobytes() == whole.images[[0, 1, 3]].tobytes()
    bank, _ = offered(sought)
    np.testing.assert_array_equal(found.images[2:3], sought.parameters.finish(sought.parameters.to_pictures(bank[:1])))
