"""Numbers in words: four significant digits, true minus signs, nothing rounded to nothing."""

from __future__ import annotations

import pytest

from reportgen.render import text


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
    assert text.number(value) == expected


@pytest.mark.parametrize(
    ("fraction", "expected"),
    [(None, "—"), (0, "0 %"), (1e-9, "< 0.1 %"), (0.5, "50.0 %"), (0.99999, "> 99.9 %"), (1.0, "100 %")],
)
def test_percentages_are_never_rounded_to_nothing_or_everything(fraction: float | None, expected: str) -> None:
    assert text.percent(fraction) == expected


def test_ratios_need_a_positive_reference() -> None:
    assert text.ratio(6.4, 2.0) == "3.200×"
    assert text.ratio(6.4, 0.0) is text.ratio(6.4, -1.0) is text.ratio(None, 1.0) is None


@pytest.mark.parametrize(("value", "expected"), [(255.0, "255"), (-1.0, "−1"), (0.5, "0.5"), (0.0, "0")])
def test_stated_numbers_are_as_they_were_typed_but_for_the_minus(value: float, expected: str) -> None:
    assert text.stated(value) == expected


def test_lists_counts_shapes_and_ranges_are_written_for_reading() -> None:
    assert text.named([5, 12, 40]) == "5, 12, 40"
    assert text.named(list(range(8))) == "0, 1, 2, 3, 4, 5, 6, 7"
    assert text.named(list(range(25))) == "0, 1, 2, 3, 4, 5, 6, 7 and 17 more"
    assert (text.plural(1, "map"), text.plural(3000, "map")) == ("1 map", "3,000 maps")
    assert text.shape((None, 3, 16)) == "variable × 3 × 16"
    assert text.shape(None) == text.span(None, None) == "—"
    assert text.span(-1.5, 2.0) == "−1.500 … 2.000"
    assert [text.listed(items) for items in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]
