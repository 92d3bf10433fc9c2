"""Figures in words: how captions and alt texts write numbers, shares and lists."""

from __future__ import annotations

from collections.abc import Sequence

SMALLEST_PLAIN = 1e-3  # below it a figure is nothing but zeros until one reads its exponent
LARGEST_PLAIN = 1e6  # from here on digits must be counted
SIGNIFICANT_DIGITS = 3
NAMED = 8  # more numbers than this nobody reads in a caption


def number(value: float) -> str:
    """`value` with 3 significant digits: "3.21", "12300", "-0.05", "1.2e-05". `value` must be finite."""
    rounded = float(f"{value:.{SIGNIFICANT_DIGITS - 1}e}")
    if rounded == 0:
        return "0"
    if SMALLEST_PLAIN <= abs(rounded) < LARGEST_PLAIN:
        return f"{int(rounded)}" if rounded.is_integer() else f"{rounded:.{SIGNIFICANT_DIGITS}g}"
    return f"{rounded:.{SIGNIFICANT_DIGITS}g}"


def percent(part: int, whole: int) -> str:
    """The share of `part` in `whole` as "0.4 %"; `whole` is at least 1."""
    return f"{number(100 * part / whole)} %"


def named(numbers: Sequence[int]) -> str:
    """The first few of `numbers` and how many more there are: "5, 12, 40 and 17 more"."""
    shown = ", ".join(str(item) for item in numbers[:NAMED])
    return shown if len(numbers) <= NAMED else f"{shown} and {len(numbers) - NAMED} more"


def counted(count: int, noun: str) -> str:
    """A count with its noun: "1 filter", "3 filters"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
