"""Filters that every other search leaves silent are retried for single positions; no picture depends on that of another."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import reportgen
from reportgen.compute.patterns.objectives import Direction
from reportgen.compute.patterns.recipe import KERAS_IO, Recipe
from reportgen.compute.patterns.results import Patterns, Search
from small_models import QUICK, ascent, functional, layers, randomised, same

pytestmark = pytest.mark.slow  # whole searches or builds; the fast tests cover their parts

# Filters for a bright spot on a dark ground, which black excites more than any other plain picture.
SPOTS = (0, 2, 5)
MUTE = 4  # responds to nothing at all
RETRIED = dataclasses.replace(QUICK, retry_steps=16)


def spotted(filters: int = 6, activation: str = "relu") -> Any:
    layer = layers.Conv2D(filters, 3, activation=activation, name="conv")
    model = randomised(functional(layer, shape=(16, 17, 3)))
    kernel, bias = layer.get_weights()
    bias[:] = 0.05  # the others are active
    for band, number in enumerate(SPOTS):
        kernel[..., number] = -1.0
        kernel[1, 1, :, number] = 2.0
        kernel[1, 1, band, number] = 8.0
        bias[number] = -8.0
    kernel[..., MUTE], bias[MUTE] = -1.0, -1.0
    layer.set_weights([kernel, bias])
    return model


@functools.cache
def patterns_of_all(recipe: Recipe) -> Patterns:
    """Of all six filters in one batch, found once: tracing is what takes time."""
    return ascent(spotted(), batch=8, recipe=recipe).find(range(6))


def test_what_every_other_search_leaves_silent_is_activated() -> None:
    silent, active = (patterns_of_all(recipe) for recipe in (QUICK, RETRIED))
    assert (silent.activation > 0).tolist() == [number not in (*SPOTS, MUTE) for number in range(6)]
    assert (active.activation > 0).tolist() == [number != MUTE for number in range(6)]
    assert [number for number in range(6) if active.search[number] == Search.SILENT_FILTERS] == list(SPOTS)
    unchanged = [number for number in range(6) if number not in (*SPOTS, MUTE)]
    assert same(silent, active.rows(np.array(unchanged)), unchanged)
    assert (active.best_pre_activation[[*SPOTS, MUTE]] > silent.best_pre_activation[[*SPOTS, MUTE]]).any()
    assert active.best_pre_activation[MUTE] < 0
    assert active.images[MUTE].tobytes() == silent.images[MUTE].tobytes()


def test_units_that_are_proven_dead_are_not_retried() -> None:
    every = patterns_of_all(RETRIED)
    found = ascent(spotted(), batch=8, recipe=RETRIED, dead=np.arange(6) == SPOTS[1]).find(range(6))
    assert found.activation[SPOTS[1]] == 0
    others = [number for number in range(6) if number != SPOTS[1]]
    assert same(every, found.rows(np.array(others)), others)


def test_a_retried_filter_keeps_what_its_starts_have_in_common() -> None:
    silent, active = (
        ascent(spotted(), batch=8, recipe=dataclasses.replace(recipe, restarts=2)).find(SPOTS)
        for recipe in (QUICK, RETRIED)
    )
    assert (silent.activation == 0).all()
    assert (active.activation > 0).all()
    assert np.isfinite(active.restart_similarity).all()
    np.testing.assert_array_equal(silent.restart_similarity, active.restart_similarity)


def test_a_retried_filter_does_not_depend_on_its_company() -> None:
    sought = ascent(spotted(), batch=2, recipe=RETRIED)
    every, traces = sought.find(range(6)), sought.traces
    for filters in ([2], [0], [5, 4], [1, 2, 3, 0], [4, 2, 5, 0]):
        assert same(every, sought.find(filters), filters)
    assert sought.traces == traces


@pytest.mark.slow
def test_a_silent_filter_is_retried_alone_whatever_it_is_found_beside() -> None:
    most, least = Direction
    parts = [([0, 1], most), ([3], most), ([4, 0], least), ([2, 5], most), ([1], most)]
    sought = ascent(spotted(), batch=2, recipe=RETRIED)
    for number, patterns in sought.find_each(parts):
        filters, direction = parts[number]
        assert same(patterns, sought.find(filters, direction=direction))


@pytest.mark.parametrize(
    ("recipe", "activation"),
    [(QUICK, "relu"), (dataclasses.replace(KERAS_IO, steps=2), "relu"), (RETRIED, "linear")],
    ids=["no steps for it", "keras-io", "no rectifier"],
)
def test_only_a_rectified_unit_is_retried_and_only_where_the_recipe_says_so(recipe: Any, activation: str) -> None:
    sought = ascent(spotted(activation=activation), recipe=recipe)
    before = sought.traces
    assert Search.SILENT_FILTERS not in sought.find(range(6)).search
    assert sought.traces == before


def test_the_chunks_of_a_report_are_those_of_their_own_filters(tmp_path: Path) -> None:
    """The first of three chunks comes last, since it has silent filters."""
    model, options = spotted(20), {"steps": 3, "seed": 1, "preprocess": "unit", "filters": "all"}
    built = reportgen.build(model, output=tmp_path / "report", **options)
    assert built.problems == ()
    alone = reportgen.patterns(model, "conv", **options)
    stored = np.load(tmp_path / "report" / "data" / "conv" / "patterns.npz")
    np.testing.assert_array_equal(stored["images"], alone.images)
    assert [record["index"] for record in alone.records] == list(range(20))
    assert [record["activation"] > 0 for record in alone.records[:6]] == [True, True, True, True, False, True]
