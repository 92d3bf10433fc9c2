"""Labels and groups against other ways to compute them: planted filters are found, permuted labels claim next to nothing."""

from __future__ import annotations

import numpy as np
import pytest

from reportgen.survey.bins import bin_of, edges, histograms
from reportgen.survey.groups import redundancy
from reportgen.survey.labels import LEVEL, adjusted, average_ranks, compare, compare_pairs
from reportgen.survey.outcome import outcome
from reportgen.survey.selection import largest_distinct
from reportgen.survey.statistics import filter_labels


def test_the_area_is_the_share_of_pairs_that_are_won_with_ties_counted_half() -> None:
    random = np.random.default_rng(0)
    peaks = np.maximum(random.integers(-4, 5, (60, 3)), 0).astype(np.float32)  # many ties at 0
    labels = random.integers(-1, 3, 60)
    found = compare(peaks, labels, 3)
    for label in range(3):
        for index in range(3):
            own, others = peaks[labels == label, index], peaks[(labels >= 0) & (labels != label), index]
            pairs = (own[:, None] > others).sum() + 0.5 * (own[:, None] == others).sum()
            assert found.auroc[label, index] == pytest.approx(pairs / (len(own) * len(others)))


def test_p_values_are_those_of_shuffled_labels() -> None:
    random = np.random.default_rng(1)
    peaks = np.maximum(random.normal(size=(80, 1)), 0).astype(np.float32)
    labels = (np.arange(80) < 25).astype(np.int64)
    peaks[labels == 1] += 0.3 * (random.random((25, 1)) < 0.6)
    found = compare(peaks, labels, 2)
    distance = abs(found.auroc[1, 0] - 0.5)
    ranks, _ = average_ranks(peaks)
    shuffled = np.array([ranks[random.permutation(80)[:25]].sum() for _ in range(20000)])
    areas = (shuffled - 25 * 26 / 2) / (25 * 55)
    share = (np.abs(areas - 0.5) >= distance - 1e-12).mean()
    assert found.p[1, 0] == pytest.approx(share, abs=0.01)


def test_a_planted_detector_is_found_with_its_exact_area() -> None:
    random = np.random.default_rng(2)
    peaks = random.random((300, 20)).astype(np.float32)
    labels = np.repeat(np.arange(3), 100)
    peaks[labels == 2, 7] += 2
    found = compare(peaks, labels, 3)
    q = adjusted(found.p)
    assert found.auroc[2, 7] == 1
    assert filter_labels(found.auroc[:, 7], q[:, 7])[0] == 2
    assert sum(bool(filter_labels(found.auroc[:, index], q[:, index])) for index in range(20)) <= 2


def test_permuted_labels_claim_at_most_one_report_in_twenty() -> None:
    random = np.random.default_rng(3)
    peaks = np.maximum(random.normal(size=(200, 64)), 0).astype(np.float32)
    claims = 0
    for _ in range(200):
        found = compare(peaks, random.permutation(np.repeat(np.arange(4), 50)), 4)
        claims += bool((adjusted(found.p) <= LEVEL).any())
    assert claims <= 0.05 * 200 + 3 * np.sqrt(200 * 0.05 * 0.95)


def test_too_few_images_and_broken_peaks_are_no_tests() -> None:
    peaks = np.random.default_rng(4).random((40, 2)).astype(np.float32)
    peaks[3, 1] = np.nan
    found = compare(peaks, np.array([0] * 4 + [1] * 36), 2)
    assert np.isnan(found.auroc).all()
    found = compare(peaks, np.array([0] * 10 + [1] * 30), 2)
    assert np.isfinite(found.auroc[:, 0]).all()
    assert np.isnan(found.auroc[:, 1]).all()


def test_false_discoveries_are_corrected_as_published() -> None:
    p = np.array([[0.01, 0.04, 0.03], [np.nan, 0.005, 0.5]])
    np.testing.assert_allclose(adjusted(p), [[0.025, 0.05, 0.05], [np.nan, 0.025, 0.5]])


def test_copied_and_negated_filters_form_a_group_and_count_once() -> None:
    random = np.random.default_rng(6)
    values = random.normal(size=(500, 6)).astype(np.float32)
    values[:, 4], values[:, 2], values[:, 5] = values[:, 1], -3 * values[:, 1] + 2, 7
    found = redundancy(values)
    assert found.groups == ((1, 2, 4),)
    assert found.nearest[5] == -1
    assert found.nearest[2] in (1, 4)
    assert found.correlation[2] == pytest.approx(-1)
    assert found.effective == pytest.approx(25 / (9 + 2), rel=0.05)


def test_bins_are_two_percent_wide_and_any_parts_can_be_added() -> None:
    values = np.concatenate([[0.0, 1e-12, -1e-12], np.geomspace(1e-6, 1e6, 500), -np.geomspace(1e-6, 1e6, 500)])
    bins = bin_of(values)
    first, last = int(bins.min()), int(bins.max())
    ends = edges(first, last - first + 1)
    inside = np.abs(values) > 1e-9
    low, high = ends[bins - first], ends[bins - first + 1]
    assert (low[inside] <= values[inside] * (1 + 1e-9 * np.sign(values[inside]))).all()
    assert (values[inside] <= high[inside] + 1e-9 * np.abs(high[inside])).all()
    assert len(set(bins[:3])) == 1
    counts, start = histograms(values[:, None])
    assert counts.sum() == len(values)
    halves = np.zeros_like(counts)
    for part in (values[::2], values[1::2]):
        own, at = histograms(part[:, None])
        halves[:, at - start : at - start + own.shape[1]] += own
    np.testing.assert_array_equal(halves, counts)


def test_ties_are_broken_by_hash_and_equal_pixels_count_once() -> None:
    peaks = np.array([[1], [3], [3], [2], [np.nan]], np.float32)
    pixels = np.array([[9], [5], [5], [1], [2]], np.uint8)
    rows, values = largest_distinct(peaks, pixels, 4)
    assert rows[:, 0].tolist() == [1, 3, 0, -1]
    assert values[:3, 0].tolist() == [3, 2, 1]
    rows, _ = largest_distinct(np.full((4, 1), 2, np.float32), np.array([[3], [1], [2], [0]], np.uint8), 4)
    assert rows[:, 0].tolist() == [3, 1, 2, 0]


def test_predictions_beside_labels() -> None:
    found = outcome(
        np.array([0, 0, 1, 1, -1]), np.array([0, 1, 1, 1, 0]), np.array([0.95, 0.61, 0.7, 0.8, 0.9]), classes=2
    )
    assert (found.images, found.correct) == (4, 3)
    assert found.confusion.tolist() == [[1, 1], [0, 2]]
    assert found.wrong.tolist() == [1]
    assert [(each.low, each.images, each.accuracy) for each in found.calibration if each.images] == [
        (0.6, 2, 0.5),
        (0.7, 1, 1),
        (0.9, 1, 1),
    ]
    assert found.calibration_error == pytest.approx((2 * abs(0.5 - 0.655) + 0.2 + 0.05) / 4)


def test_a_filter_of_two_labels_is_explained_by_the_pair() -> None:
    random = np.random.default_rng(8)
    peaks = random.random((400, 6)).astype(np.float32)
    labels = np.repeat(np.arange(8), 50)
    peaks[(labels == 2) | (labels == 5), 3] += 1
    single = compare(peaks, labels, 8)
    found = compare_pairs(peaks, labels, single)
    assert found.labels[:, 3].tolist() == [2, 5]
    assert found.auroc[3] == 1
    assert found.p[3] < 1e-9
    assert single.auroc[:, 3].max() < 0.95
    assert (np.delete(found.p, 3) > 0.05).all()
