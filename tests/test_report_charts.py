"""Charts and words: every bar where arithmetic puts it, every number as a reader wants it."""

from __future__ import annotations

import numpy as np
import pytest

from reportgen.artefacts.minimal_patterns import MinimalPatternRecord, below_natural
from reportgen.artefacts.weights import lost_weights
from reportgen.render import wording
from reportgen.render.charts import FILTERS_HEIGHT, HISTOGRAM_HEIGHT, HISTOGRAM_WIDTH, filter_bars, gauge, histogram


def test_histogram_bars_stand_on_the_axis_and_rise_with_their_counts() -> None:
    chart = histogram([0, 5, 10, 0, 1], 2.0, 16)
    assert chart is not None
    assert [bar.kind for bar in chart.bars] == ["low", "zero", "high"]
    assert [bar.height for bar in chart.bars] == [60, 120, 12]
    assert all(bar.y + bar.height == HISTOGRAM_HEIGHT for bar in chart.bars)
    centres = [bar.x + bar.width / 2 for bar in chart.bars]
    assert centres == pytest.approx([HISTOGRAM_WIDTH * share for share in (0.3, 0.5, 0.9)])
    assert list(chart.ticks) == ["−2.000", "0", "2.000"]


def test_a_single_weight_among_millions_is_still_seen() -> None:
    chart = histogram([1, 0, 10**7], 1.0, 10**7 + 1)
    assert chart is not None
    assert chart.bars[0].height > 0.5


def test_there_is_no_histogram_of_nothing() -> None:
    assert histogram([], 0.0, 0) is None
    assert histogram([0, 0, 0], 1.0, 0) is None


def test_bias_bars_rise_from_one_axis_or_fall_from_it() -> None:
    chart = filter_bars(np.array([1, -1, 0, 3], np.float32), "Bias per filter")
    assert chart is not None
    assert chart.axis == FILTERS_HEIGHT * 3 / 4
    assert [(bar.kind, bar.height) for bar in chart.bars] == [("high", 27.5), ("low", 27.5), ("high", 82.5)]
    assert chart.bars[0].y + chart.bars[0].height == chart.axis == chart.bars[1].y
    assert chart.bars[2].y == 0
    assert [(mark.text, mark.place) for mark in chart.levels] == [
        ("3.000", "0.00%"),
        ("0", "75.00%"),
        ("−1.000", "100.00%"),
    ]


def test_a_bias_that_is_not_finite_is_drawn_apart_and_counted() -> None:
    chart = filter_bars(np.array([0, np.nan, -np.inf], np.float32), "Bias per filter")
    assert chart is not None
    assert [bar.kind for bar in chart.bars] == ["broken", "broken"]
    assert "2 not finite" in chart.alt
    assert filter_bars(np.zeros(3, np.float32), "Bias per filter") is None


def test_the_gauge_puts_zero_start_reached_and_natural_maximum_on_one_scale() -> None:
    drawn = gauge(4.0, 1.0, 2.0)
    assert drawn is not None
    assert drawn.start is not None
    assert drawn.natural is not None
    length = drawn.bar.width
    assert drawn.bar.x == drawn.zero
    assert drawn.start - drawn.zero == pytest.approx(length / 4, abs=0.02)
    assert drawn.natural - drawn.zero == pytest.approx(length / 2, abs=0.02)
    assert drawn.zero > 0
    assert drawn.bar.x + length < drawn.width
    negative = gauge(-1.0, -4.0, -2.0)
    assert negative is not None
    assert negative.bar.x + negative.bar.width == pytest.approx(negative.zero)
    assert negative.bar.kind == "low"


def test_there_is_no_gauge_without_a_figure() -> None:
    assert gauge(None, 0.0, 1.0) is None
    assert gauge(0.0, 0.0, 0.0) is None


def test_settings_are_flattened_in_the_order_of_their_names() -> None:
    values = {"b": {"y": [1, 2], "x": None}, "a": True, "c": {}, "d": ()}
    assert wording.flattened(values) == (("a", "yes"), ("b.x", "none"), ("b.y", "1, 2"), ("c", "none"), ("d", "none"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("it is torn", "it is torn."),
        ("it is torn.", "it is torn."),
        ("cannot read:\n  line 3 :", "cannot read: line 3."),
        ("and so on...", "and so on."),
        ("really?", "really?"),
        ("and more…", "and more…"),
    ],
)
def test_a_sentence_ends_in_one_stop_whatever_its_words_ended_in(text: str, expected: str) -> None:
    assert wording.stopped(text) == expected


def test_a_reason_that_several_clauses_share_stands_once_after_all_of_them() -> None:
    clauses = [("a", ("boom.", "boom:")), ("b", ()), ("c", ("boom",)), ("d", ("bang", "boom")), ("e", (" . ",))]
    assert wording.reasoned(clauses) == ("a, and c: boom", "d: bang; boom", "b", "e")


@pytest.mark.parametrize(
    ("pictures", "images", "expected"),
    [
        (78, 3, "78 inputs (3 images and 25 crops of each)"),
        (26, 1, "26 inputs (1 image and 25 crops of it)"),
        (320, 64, "320 inputs (64 images and 4 crops of each)"),
        (4, 2, "4 inputs (2 images and 1 crop of each)"),
        (2, 2, "2 inputs (2 images)"),
    ],
)
def test_whole_images_are_not_counted_as_crops(pictures: int, images: int, expected: str) -> None:
    assert wording.compared_inputs(pictures, images) == expected


def minimal_pattern(below: bool | None) -> MinimalPatternRecord:
    return MinimalPatternRecord(
        index=0,
        activation=0.0,
        pre_activation=-1.0,
        pre_activation_start=0.0,
        natural_pre_minimum=-0.5,
        below_natural=below,
        restart_similarity=None,
        redirected_relu=False,
        seed=1,
    )


@pytest.mark.parametrize(
    ("below", "is_output", "expected"),
    [
        (
            [True, False, None, True],
            False,
            "2 of 3 go below the lowest pre-activation on the images.",
        ),
        ([True], True, "1 of 1 goes below the lowest logit on the images."),
        ([False], True, "0 of 1 go below the lowest logit on the images."),
        ([None], False, None),
        ([], False, None),
    ],
)
def test_minimal_patterns_are_counted_where_there_is_something_to_compare(
    below: list[bool | None], is_output: bool, expected: str | None
) -> None:
    patterns = [minimal_pattern(item) for item in below]
    assert below_natural(patterns, is_output=is_output, noun="image") == expected


def test_only_what_is_not_finite_is_said_to_be() -> None:
    assert wording.not_finite(2, 1200, "weight") == "2 of 1,200 weights are not finite"
    assert wording.not_finite(1, 54, "weight") == "1 of 54 weights is not finite"
    assert wording.not_finite(0, 54, "weight") is None
    assert lost_weights(None) is None
