"""Filters that every other search leaves silent are sought for single positions; no picture depends on that of another."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import reportgen
from reportgen.compute.patterns.found import WAKING
from reportgen.compute.patterns.objectives import LEAST, MOST
from reportgen.compute.patterns.recipe import KERAS_IO
from small_models import QUICK, ascent, functional, layers, randomised, same

# Filters that answer to a bright spot on a dark ground, and to black more than to any other plain picture.
SPOTS = (0, 2, 5)
MUTE = 4  # answers to nothing at all
WAKES = dataclasses.replace(QUICK, wake_steps=16)


def spotted(filters: int = 6, activation: str = "relu") -> Any:
    layer = layers.Conv2D(filters, 3, activation=activation, name="conv")
    model = randomised(functional(layer, shape=(16, 17, 3)))
    kernel, bias = layer.get_weights()
    bias[:] = 0.05  # the others fire
    for band, number in enumerate(SPOTS):
        kernel[..., number] = -1.0
        kernel[1, 1, :, number] = 2.0
        kernel[1, 1, band, number] = 8.0
        bias[number] = -8.0
    kernel[..., MUTE], bias[MUTE] = -1.0, -1.0
    layer.set_weights([kernel, bias])
    return model


def test_what_every_other_search_leaves_silent_is_woken() -> None:
    asleep, awake = (ascent(spotted(), batch=8, recipe=recipe).seek(range(6)) for recipe in (QUICK, WAKES))
    assert (asleep.activation > 0).tolist() == [number not in (*SPOTS, MUTE) for number in range(6)]
    assert (awake.activation > 0).tolist() == [number != MUTE for number in range(6)]
    assert [number for number in range(6) if awake.search[number] == WAKING] == list(SPOTS)
    unchanged = [number for number in range(6) if number not in (*SPOTS, MUTE)]
    assert same(asleep, awake.rows(np.array(unchanged)), unchanged)
    assert (awake.best_pre_activation[[*SPOTS, MUTE]] > asleep.best_pre_activation[[*SPOTS, MUTE]]).any()
    assert awake.best_pre_activation[MUTE] < 0
    assert awake.images[MUTE].tobytes() == asleep.images[MUTE].tobytes()


def test_units_that_are_proven_dead_are_not_sought_again() -> None:
    sought = ascent(spotted(), batch=8, recipe=WAKES)
    every = sought.seek(range(6))
    sought._dead = np.arange(6) == SPOTS[1]
    found = sought.seek(range(6))
    assert found.activation[SPOTS[1]] == 0
    others = [number for number in range(6) if number != SPOTS[1]]
    assert same(every, found.rows(np.array(others)), others)


def test_a_woken_filter_keeps_what_its_starts_have_in_common() -> None:
    asleep, awake = (
        ascent(spotted(), batch=8, recipe=dataclasses.replace(recipe, restarts=2)).seek(SPOTS)
        for recipe in (QUICK, WAKES)
    )
    assert (asleep.activation == 0).all()
    assert (awake.activation > 0).all()
    assert np.isfinite(awake.restart_similarity).all()
    np.testing.assert_array_equal(asleep.restart_similarity, awake.restart_similarity)


def test_a_woken_filter_does_not_depend_on_its_company() -> None:
    sought = ascent(spotted(), batch=2, recipe=WAKES)
    every, traces = sought.seek(range(6)), sought.traces
    for filters in ([2], [0], [5, 4], [1, 2, 3, 0], [4, 2, 5, 0]):
        assert same(every, sought.seek(filters), filters)
    assert sought.traces == traces
    assert same(every, ascent(spotted(), batch=2, abreast=3, recipe=WAKES).seek(range(6)))


def test_parts_with_silent_filters_wait_for_enough_of_them_while_that_is_cheap() -> None:
    """Two silent filters are sought at once, where a batch holds as many."""
    parts = [([0, 1], MOST), ([3], MOST), ([4, 0], LEAST), ([2, 5], MOST), ([1], MOST), ([5], MOST)]
    short, long = WAKES, dataclasses.replace(QUICK, wake_steps=1, steps=8)
    for batch, abreast, recipe, order in (
        (1, 1, short, [0, 1, 2, 3, 4, 5]),
        (3, 1, short, [1, 2, 0, 3, 4, 5]),
        (2, 3, short, [1, 2, 4, 0, 3, 5]),
        (2, 3, long, [1, 2, 0, 4, 3, 5]),
    ):
        sought = ascent(spotted(), batch=batch, abreast=abreast, recipe=recipe)
        found = list(sought.seek_each(parts))
        assert [number for number, _ in found] == order
        for number, patterns in found:
            filters, direction = parts[number]
            assert same(patterns, sought.seek(filters, direction=direction))


@pytest.mark.parametrize(
    ("recipe", "activation"),
    [(QUICK, "relu"), (dataclasses.replace(KERAS_IO, steps=2), "relu"), (WAKES, "linear")],
    ids=["no steps for it", "keras-io", "no rectifier"],
)
def test_only_a_rectified_unit_is_woken_and_only_where_the_recipe_says_so(recipe: Any, activation: str) -> None:
    sought = ascent(spotted(activation=activation), recipe=recipe)
    before = sought.traces
    assert WAKING not in sought.seek(range(6)).search
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
