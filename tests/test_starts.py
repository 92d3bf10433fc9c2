"""Filters that see only a few pixels are sought from two starts, and the better picture is kept."""

from __future__ import annotations

import numpy as np
import pytest

from reportgen.compute.patterns.ascent import Ascent, Patterns
from small_models import ascent, functional, layers, randomised


def test_only_filters_that_see_a_few_pixels_have_a_second_start() -> None:
    assert ascent(randomised(functional(layers.Conv2D(4, 3, name="conv")))).climbs == 2
    assert ascent(randomised(functional(layers.Conv2D(4, 17, name="conv"), shape=(24, 24, 3)))).climbs == 1


def test_of_two_starts_the_picture_that_reached_more_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    climbed: list[Patterns] = []
    original = Ascent._climb

    def climb(self: Ascent, *arguments: object) -> Patterns:
        climbed.append(original(self, *arguments))
        return climbed[-1]

    monkeypatch.setattr(Ascent, "_climb", climb)
    layer = layers.Conv2D(6, 3, activation="relu", name="conv")
    model = randomised(functional(layer))
    kernel, bias = layer.get_weights()
    kernel[..., :3] -= kernel[..., :3].mean(axis=(0, 1))  # edges: no plain colour excites them
    layer.set_weights([kernel, np.minimum(bias, 0)])
    seeking = ascent(model, batch=6)
    found = seeking.seek([0, 1, 2, 3, 4, 5])
    grey, coloured = climbed
    best = np.where(coloured.activation > grey.activation, 1, 0)
    assert {0, 1} == set(best.tolist()), "this network must have filters of both kinds, or the test says nothing"
    for row, number in enumerate(best):
        kept = climbed[number]
        np.testing.assert_array_equal(found.images[row], kept.images[row])
        assert found.activation[row] == kept.activation[row] == max(one.activation[row] for one in climbed)
        assert found.activation_start[row] == kept.activation_start[row]


def test_the_colour_to_start_from_is_the_one_that_excites_most() -> None:
    layer = layers.Conv2D(3, 1, name="conv")
    model = functional(layer)
    kernel = np.array([[1, -1, -1], [-1, 1, -1], [-1, -1, 1]], np.float32)  # one filter each for red, green and blue
    layer.set_weights([kernel.reshape(1, 1, 3, 3), np.zeros(3, np.float32)])
    seeking = ascent(model)
    assert seeking._colour_of is not None
    shown = np.asarray(seeking.pictures(seeking._colours[seeking._colour_of]))
    assert (shown.mean(axis=(1, 2)).argmax(axis=1) == [0, 1, 2]).all()
    np.testing.assert_allclose(shown.mean(axis=(1, 2)).max(axis=1), 1 / (1 + np.exp(-2.0)), rtol=1e-4)
