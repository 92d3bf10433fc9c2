"""Charts and words: every bar where arithmetic puts it, every figure as a reader wants it."""

from __future__ import annotations

import numpy as np
import pytest

from reportgen.report import wording
from reportgen.report.charts import BIAS_HEIGHT, HISTOGRAM_HEIGHT, HISTOGRAM_WIDTH, bias_bars, gauge, histogram
from reportgen.report.views import signed


def test_histogram_bars_stand_on_the_axis_and_rise_with_their_counts() -> None:
    chart = histogram([0, 5, 10, 0, 1], 2.0, 16)
    assert chart is not None
    assert [bar.kind for bar in chart.bars] == ["low", "zero", "high"]
    assert [bar.height for bar in chart.bars] == [60, 120, 12]
    assert all(bar.y + bar.height == HISTOGRAM_HEIGHT for bar in chart.bars)
    centres = [bar.x + bar.width / 2 for bar in chart.bars]
    assert centres == pytest.approx([HISTOGRAM_WIDTH * share for share in (0.3, 0.5, 0.9)])
    assert [tick.label for tick in chart.ticks] == ["−2.000", "0", "2.000"]


def test_a_single_weight_among_millions_is_still_seen() -> None:
    chart = histogram([1, 0, 10**7], 1.0, 10**7 + 1)
    assert chart is not None
    assert chart.bars[0].height > 0.5


def test_there_is_no_histogram_of_nothing() -> None:
    assert histogram([], 0.0, 0) is None
    assert histogram([0, 0, 0], 1.0, 0) is None


def test_bias_bars_rise_from_one_axis_or_fall_from_it() -> None:
    chart = bias_bars(np.array([1, -1, 0, 3], np.float32))
    assert chart is not None
    assert chart.axis == BIAS_HEIGHT * 3 / 4
    assert [(bar.kind, bar.height) for bar in chart.bars] == [("high", 27.5), ("low", 27.5), ("high", 82.5)]
    assert chart.bars[0].y + chart.bars[0].height == chart.axis == chart.bars[1].y
    assert chart.bars[2].y == 0


def test_a_bias_that_is_not_finite_is_drawn_apart_and_counted() -> None:
    chart = bias_bars(np.array([0, np.nan, -np.inf], np.float32))
    assert chart is not None
    assert [bar.kind for bar in chart.bars] == ["broken", "broken"]
    assert "2 not finite" in chart.alt
    assert bias_bars(np.zeros(3, np.float32)) is None


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


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "—"),
        (float("nan"), "—"),
        (0.0, "0"),
        (-0.0, "0"),
        (1.0, "1.000"),
        (-12.3456, "−12.35"),
        (999.96, "1,000"),
        (123456.0, "123,500"),
        (9.9999999, "10.00"),
        (0.0012345, "0.001234"),
        (0.00012345, "1.234 × 10⁻⁴"),
        (-3.2e7, "−3.200 × 10⁷"),
        (999999.7, "1.000 × 10⁶"),
        (1e-45, "1.000 × 10⁻⁴⁵"),
    ],
)
def test_figures_have_four_significant_digits_and_a_true_minus(value: float | None, expected: str) -> None:
    assert wording.figure(value) == expected


@pytest.mark.parametrize(
    ("fraction", "expected"),
    [(None, "—"), (0, "0 %"), (1e-9, "< 0.1 %"), (0.5, "50.0 %"), (0.99999, "> 99.9 %"), (1.0, "100 %")],
)
def test_percentages_are_never_rounded_to_nothing_or_everything(fraction: float | None, expected: str) -> None:
    assert wording.percent(fraction) == expected


def test_ratios_need_a_positive_reference() -> None:
    assert wording.ratio(6.4, 2.0) == "×3.20"
    assert wording.ratio(6.4, 0.0) is wording.ratio(6.4, -1.0) is wording.ratio(None, 1.0) is None


def test_settings_are_flattened_in_the_order_of_their_names() -> None:
    values = {"b": {"y": [1, 2], "x": None}, "a": True, "c": {}, "d": ()}
    assert wording.flattened(values) == (("a", "yes"), ("b.x", "none"), ("b.y", "1, 2"), ("c", "none"), ("d", "none"))


def test_only_signs_become_minus_signs() -> None:
    text = "from -0.41 to 0.5; filters 0-15; 1.2e-05; conv-2; -m; (-3)"
    assert signed(text) == "from −0.41 to 0.5; filters 0-15; 1.2e-05; conv-2; -m; (−3)"
