"""Filters that a climb leaves silent are sought again, for their strongest positions; no picture depends on that of another."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import reportgen
from reportgen.compute.patterns.objectives import LEAST, MOST, insistent_means
from reportgen.compute.patterns.recipe import KERAS_IO
from reportgen.network.quiet import tf
from small_models import QUICK, ascent, functional, layers, randomised, same

SPOTS = (
    0,
    2,
    5,
)  # filters that answer to a bright spot on a dark ground, and to black more than to any other plain picture
MUTE = 4  # answers to nothing at all
TWICE = dataclasses.replace(QUICK, insistence=16)


def spotted(filters: int = 6, activation: str = "relu") -> Any:
    layer = layers.Conv2D(filters, 3, activation=activation, name="conv")
    model = randomised(functional(layer, shape=(16, 17, 3)))
    kernel, bias = layer.get_weights()
    bias[:] = 0.05  # the others fire
    for band, number in enumerate(SPOTS):
        kernel[..., number] = -1.0
        kernel[1, 1, :, number] = 2.0
        kernel[1, 1, band, number] = 8.0
        bias[number] = -3.0
    kernel[..., MUTE], bias[MUTE] = -1.0, -1.0
    layer.set_weights([kernel, bias])
    return model


def test_what_one_climb_leaves_silent_a_second_wakes() -> None:
    once, twice = (ascent(spotted(), batch=8, recipe=recipe).seek(range(6)) for recipe in (QUICK, TWICE))
    assert (once.activation > 0).tolist() == [number not in (*SPOTS, MUTE) for number in range(6)]
    assert (twice.activation > 0).tolist() == [number != MUTE for number in range(6)]
    unchanged = [number for number in range(6) if number not in SPOTS]
    assert same(once, twice.rows(np.array(unchanged)), unchanged)
    assert not any((once.images[number] == twice.images[number]).all() for number in SPOTS)


def test_a_filter_sought_again_keeps_what_its_starts_have_in_common() -> None:
    once, twice = (
        ascent(spotted(), batch=8, recipe=dataclasses.replace(recipe, restarts=2)).seek(SPOTS)
        for recipe in (QUICK, TWICE)
    )
    assert (once.activation == 0).all()
    assert (twice.activation > 0).all()
    assert np.isfinite(twice.likeness).all()
    np.testing.assert_array_equal(once.likeness, twice.likeness)


def test_a_filter_sought_again_does_not_depend_on_its_company() -> None:
    sought = ascent(spotted(), batch=2, recipe=TWICE)
    every, traces = sought.seek(range(6)), sought.traces
    for filters in ([2], [0], [5, 4], [1, 2, 3, 0], [4, 2, 5, 0]):
        assert same(every, sought.seek(filters), filters)
    assert sought.traces == traces
    assert same(every, ascent(spotted(), batch=2, abreast=3, recipe=TWICE).seek(range(6)))


def test_parts_with_silent_filters_wait_for_a_full_batch_of_them_while_that_is_cheap() -> None:
    parts = [([0, 1], MOST), ([3], MOST), ([4, 0], LEAST), ([2, 5], MOST), ([1], MOST), ([5], MOST)]
    short, long = TWICE, dataclasses.replace(QUICK, insistence=1, steps=8)
    for batch, recipe, order in (
        (1, short, [0, 1, 2, 3, 4, 5]),
        (3, short, [1, 2, 0, 3, 4, 5]),
        (8, short, [1, 2, 4, 0, 3, 5]),
        (8, long, [0, 1, 2, 3, 4, 5]),
    ):
        sought = ascent(spotted(), batch=batch, recipe=recipe)
        found = list(sought.seek_each(parts))
        assert [number for number, _ in found] == order
        for number, patterns in found:
            filters, direction = parts[number]
            assert same(patterns, sought.seek(filters, direction=direction))


@pytest.mark.parametrize(
    ("recipe", "activation"),
    [
        (dataclasses.replace(TWICE, objective="pre-activation"), "relu"),
        (dataclasses.replace(KERAS_IO, steps=2, insistence=16), "relu"),
        (TWICE, "linear"),
    ],
)
def test_only_the_leaky_objective_of_a_rectified_unit_insists(recipe: Any, activation: str) -> None:
    sought = ascent(spotted(activation=activation), recipe=recipe)
    before = sought.traces
    sought.seek(range(6))
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


@pytest.mark.parametrize("border", [0, 1])
def test_a_silent_map_is_worth_what_its_strongest_positions_are(border: int) -> None:
    maps = np.random.default_rng(0).standard_normal((4, 7, 6, 1)).astype(np.float32)
    maps[1:3] -= 20  # silent
    maps[3] = -2  # silent and everywhere the same
    found = np.asarray(insistent_means(tf.constant(maps), border))[:, 0]
    inner = maps[:, border : 7 - border, border : 6 - border, 0].astype(np.float64)
    assert (inner[0] > 0).any()
    assert found[0] == pytest.approx(np.where(inner[0] > 0, inner[0], 0.1 * inner[0]).mean(), rel=1e-5)
    for number in (1, 2):
        counts = np.exp((inner[number] - inner[number].max()) / inner[number].std())
        assert found[number] == pytest.approx(0.1 * (counts * inner[number]).sum() / counts.sum(), rel=1e-5)
    assert found[3] == pytest.approx(-0.2)
