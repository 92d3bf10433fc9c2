"""Which of several pictures is kept, peaks, steps of single pixels and the objectives of single positions, against plain NumPy."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from reportgen.compute.activation_scores import Scores, peaks
from reportgen.compute.patterns import reductions, results
from reportgen.compute.patterns.results import Patterns, Search
from reportgen.compute.patterns.search.canvas import whole
from reportgen.compute.patterns.search.gradient import Aim
from reportgen.network.backend import tf
from reportgen.recipes import channel
from small_models import QUICK, ascent, functional, layers, randomised

NAN = float("nan")


def figures(activation: list[float], peak: list[float] | None = None) -> Scores:
    first, second = (np.array(values, np.float32) for values in (activation, peak or activation))
    return Scores(first, second, first - 1, second - 1)


def images(value: int, count: int = 3) -> np.ndarray:
    return np.full((count, 2, 2, 1), value, np.uint8)


def begun(end: list[float], start: list[float], peak: list[float] | None = None) -> Patterns:
    count = len(end)
    return results.of_ascent(
        np.arange(count),
        images(1, count),
        figures(end, peak),
        np.zeros((count, 9)),
        figures(start),
        np.zeros(count, bool),
        (7,) * count,
    )


def test_the_strongest_is_so_by_activation_and_the_highest_by_peak() -> None:
    kept = begun([1, 5, 5], [0, 0, 0], [2, 9, 2]).with_candidates(
        images(2), figures([3, 3, 3], [8, 8, 8]), Search.SIGN_ASCENT
    )
    assert kept.strongest_activation.tolist() == [3, 5, 5]
    assert kept.strongest_images[:, 0, 0, 0].tolist() == [2, 1, 1]
    assert kept.strongest_pre_activation.tolist() == [2, 4, 4]
    assert kept.strongest_peak.tolist() == [8, 9, 2]
    assert kept.strongest_search.tolist() == [Search.SIGN_ASCENT, Search.ASCENT, Search.ASCENT]
    assert kept.highest_peak.tolist() == [8, 9, 8]
    assert kept.highest_activation.tolist() == [3, 5, 3]
    assert kept.highest_images[:, 0, 0, 0].tolist() == [2, 1, 2]
    assert kept.highest_search.tolist() == [Search.SIGN_ASCENT, Search.ASCENT, Search.SIGN_ASCENT]
    assert kept.best_pre_activation.tolist() == [7, 8, 7]
    assert kept.activation.tolist() == [1, 5, 5]


def test_the_earlier_picture_stays_where_another_is_no_better() -> None:
    kept = begun([1, 1, 1], [0, 0, 0]).with_candidates(images(2), figures([1, 1, 1]), Search.SIGN_ASCENT)
    assert kept.strongest_search.tolist() == kept.highest_search.tolist() == [Search.ASCENT] * 3


def test_what_is_finite_counts_more_than_what_is_not() -> None:
    kept = begun([NAN, 1, float("inf")], [NAN, 0, 0]).with_candidates(
        images(2), figures([3, NAN, float("inf")]), Search.SIGN_ASCENT
    )
    np.testing.assert_array_equal(kept.strongest_activation, [3, 1, NAN])
    np.testing.assert_array_equal(kept.best_pre_activation, [2, 0, -1])
    assert kept.strongest_search.tolist() == [Search.SIGN_ASCENT, Search.ASCENT, Search.ASCENT]
    shown = kept.readable()
    np.testing.assert_array_equal(shown.activation, [3, 1, NAN])
    assert shown.search.tolist() == [Search.SIGN_ASCENT, Search.ASCENT, Search.ASCENT]


@pytest.mark.parametrize(
    ("end", "start", "strongest", "search"),
    [
        (5, 1, 9, Search.ASCENT),  # shows more than a quarter of the strongest
        (2, 1, 9, Search.SIGN_ASCENT),  # less
        (5, 6, 9, Search.SIGN_ASCENT),  # less than its start
        (5, 6, 4, Search.START),  # which is the strongest
        (-3, -4, -1, Search.ASCENT),  # of nothing there is no quarter
        (-5, -4, -1, Search.SIGN_ASCENT),
        (0, 0, 0, Search.ASCENT),
    ],
)
def test_a_readable_picture_is_never_below_its_start_nor_far_below_the_strongest(
    end: float, start: float, strongest: float, search: int
) -> None:
    kept = begun([end], [start]).with_candidates(images(3, 1), figures([start]), Search.START)
    shown = kept.with_candidates(images(2, 1), figures([strongest]), Search.SIGN_ASCENT).readable()
    assert shown.search.tolist() == [search]
    assert shown.images[0, 0, 0, 0] == {Search.ASCENT: 1, Search.SIGN_ASCENT: 2, Search.START: 3}[search]
    expected = {Search.ASCENT: end, Search.SIGN_ASCENT: strongest, Search.START: start}[search]
    assert shown.activation.tolist() == shown.peak.tolist() == [expected]
    assert shown.pre_activation.tolist() == [expected - 1]


def test_of_several_pictures_those_are_kept_that_are_not_shown_already() -> None:
    kept = begun([1, 5, 1], [0, 0, 0], [1, 9, 5]).with_candidates(
        images(2), figures([3, 3, 3], [3, 3, 3]), Search.SIGN_ASCENT
    )
    arrays = kept.arrays()
    assert arrays["strongest_indices"].tolist() == [0, 2]
    assert arrays["strongest_images"].shape == (2, 2, 2, 1)
    assert arrays["highest_indices"].tolist() == []
    assert "responses" not in arrays


def test_a_peak_is_the_largest_of_all_positions() -> None:
    maps = np.random.default_rng(0).normal(size=(3, 5, 4, 2)).astype(np.float32)
    maps[0, 0, 0, 1] = 9  # at the border
    maps[1, 2, 2, 0] = np.nan
    maps[2, 2, 2, 0] = np.inf
    result = np.asarray(peaks(tf.constant(maps)))
    expected = maps.max((1, 2))
    assert result.dtype == np.float32
    assert result[0].tolist() == expected[0].tolist()
    assert expected[0, 1] == 9
    assert not np.isfinite(result[1:, 0]).any()
    assert result[1:, 1].tolist() == expected[1:, 1].tolist()


@pytest.mark.parametrize("border", [0, 1])
def test_means_and_peaks_are_the_mean_of_what_fires_and_a_tenth_of_the_strongest_level(border: int) -> None:
    maps = np.random.default_rng(0).standard_normal((4, 7, 6, 1)).astype(np.float32)
    maps[1:3] -= 20  # silent
    maps[3] = -2  # silent and everywhere the same
    result = np.asarray(reductions.means_and_peaks(tf.constant(maps), border))[:, 0]
    inner = maps[:, border : 7 - border, border : 6 - border, 0].astype(np.float64)
    assert (inner[0] > 0).any()
    for number in range(3):
        counts = np.exp((inner[number] - inner[number].max()) / inner[number].std())
        level = (counts * inner[number]).sum() / counts.sum()
        assert result[number] == pytest.approx(np.maximum(inner[number], 0).mean() + 0.1 * level, rel=1e-4)
    assert result[3] == pytest.approx(-0.2)


@pytest.mark.parametrize("blocks", [(3, 2), (7, 6), (9, 9), (1, 1)], ids=str)
@pytest.mark.parametrize("times", [0, 1])
def test_separate_peaks_are_the_sum_of_the_largest_position_of_each_block(blocks: tuple[int, int], times: int) -> None:
    maps = np.random.default_rng(0).normal(size=(2, *(3,) * times, 9, 8, 2)).astype(np.float32)
    result = np.asarray(reductions.separate_peaks(tf.constant(maps), blocks, 1, times))
    expected = np.zeros((2, 2))
    for frame in maps.reshape(2, -1, 9, 8, 2)[:, :, 1:-1, 1:-1].transpose(1, 0, 2, 3, 4):
        for y in range(0, 7, blocks[0]):
            for x in range(0, 6, blocks[1]):
                expected += frame[:, y : y + blocks[0], x : x + blocks[1]].max((1, 2))
    np.testing.assert_allclose(result, expected, rtol=1e-5)


def test_a_pixel_step_goes_by_the_sign_of_gradient_and_half_the_last_one_within_black_and_white() -> None:
    """Of a sum over one pixel the gradient is the kernel itself, brought to unit size."""
    layer = layers.Conv2D(4, 1, name="conv")
    model = randomised(functional(layer, shape=(6, 5, 3)))
    kernel, bias = layer.get_weights()
    kernel[0, 0] = np.array([[1, 0, np.inf, 0.5], [-1, 0, 1, 0.25], [2, 0, 1, 0]], np.float32)
    layer.set_weights([kernel, bias])
    sought = ascent(model, recipe=dataclasses.replace(QUICK, trim=0, objective=channel(measure="pre-activation")))
    shown = whole((6, 5))

    def steps(pictures: np.ndarray, momentum: np.ndarray, filters: np.ndarray, sizes: np.ndarray) -> tuple[Any, Any]:
        _, gradient = sought.gradient.function(shown, 4, Aim.STRONGEST)(pictures, filters.astype(np.int32))
        return sought.pipeline.moved(tf.constant(pictures), momentum, gradient, sizes, None, False)

    start = np.random.default_rng(0).random((4, 6, 5, 3)).astype(np.float32)
    rates = np.array([0.1, 0.1, 0.1, 0.7])
    moved, momentum = steps(start, np.zeros_like(start), np.arange(4), rates)
    directions = np.array([[1, -1, 2], [0, 0, 0], [0, 1, 1], [0.5, 0.25, 0]], np.float64)
    signs = np.sign(directions)
    unit = directions / np.maximum(np.sqrt((directions**2).mean(1, keepdims=True)), 1e-9)
    expected = np.clip(start + (rates[:, None] * signs)[:, None, None], 0, 1)
    np.testing.assert_allclose(moved, expected, atol=1e-6)
    np.testing.assert_array_equal(np.asarray(moved)[1], start[1])
    assert np.asarray(moved).max() == 1
    assert np.asarray(moved).min() == 0
    np.testing.assert_allclose(momentum, np.broadcast_to(unit[:, None, None], start.shape), rtol=1e-4, atol=1e-6)
    against = np.broadcast_to(-unit[:, None, None] * np.array([1.9, 2.1, 2.1, 1.9])[:, None, None, None], start.shape)
    middle = np.full_like(start, 0.5)
    turned, left = steps(middle, against.astype(np.float32), np.arange(4), np.full(4, 0.1))
    stronger = np.array([1, 0, -1, 1])[:, None] * signs
    np.testing.assert_allclose(turned, np.broadcast_to(0.5 + 0.1 * stronger[:, None, None], start.shape), atol=1e-6)
    np.testing.assert_allclose(left, unit[:, None, None] + 0.5 * against, rtol=1e-3, atol=1e-4)
