"""Geometry of the small charts that templates draw as inline SVG: numbers and labels, no markup.

Coordinates are SVG user units, y downwards, rounded to HUNDREDTHS so that the same run gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reportgen.render.numbering import Mark
from reportgen.render.text import number, plural

HUNDREDTHS = 2
HISTOGRAM_WIDTH, HISTOGRAM_HEIGHT = 480, 120
FILTERS_WIDTH, FILTERS_HEIGHT = 960, 110
LEAST_APART = 0.16  # of the height, between the numbers of two levels
GAUGE_WIDTH = 160
GAUGE_ROOM = 0.04  # of the width on either side, so that a mark at the end is not cut in half
SHORTEST_BAR = 0.75  # a bin with one weight among millions must still be visible
BAR_SHARE = 0.86  # of the space per bar; the rest is the gap


@dataclass(frozen=True)
class Bar:
    """One rectangle; `kind` is a class of the style sheet."""

    x: float
    y: float
    width: float
    height: float
    kind: str


@dataclass(frozen=True)
class Chart:
    """Bars over an axis at y = `axis`, with the labels `ticks` spread below it from left to right and the values at `levels` beside it."""

    width: int
    height: int
    axis: float
    bars: tuple[Bar, ...]
    ticks: tuple[str, ...]
    alt: str
    caption: str
    levels: tuple[Mark, ...] = ()


@dataclass(frozen=True)
class Gauge:
    """A pattern's activation on one line: a bar from zero, marks at the initial image and the natural maximum."""

    width: int
    zero: float
    bar: Bar
    start: float | None
    natural: float | None
    alt: str


def histogram(counts: Sequence[int], limit: float, total: int) -> Chart | None:
    """Return the histogram of some weights.

    Args:
        counts: of the bins, which lie symmetric about zero.
        limit: upper end of the last bin.
        total: number of weights.

    Returns:
        The chart; None where every weight is zero or none is finite.
    """
    tallest = max(counts, default=0)
    if tallest == 0 or limit == 0:
        return None
    step = HISTOGRAM_WIDTH / len(counts)
    bars = []
    for position, weights in enumerate(counts):
        if weights:
            height = max(SHORTEST_BAR, HISTOGRAM_HEIGHT * weights / tallest)
            left = position * step + step * (1 - BAR_SHARE) / 2
            kind = "zero" if position == len(counts) // 2 else "low" if position < len(counts) // 2 else "high"
            bars.append(_bar(left, HISTOGRAM_HEIGHT - height, step * BAR_SHARE, height, kind))
    caption = (
        f"Histogram of {plural(total, 'weight')}: {len(counts)} bins of equal width, symmetric about zero; "
        f"tallest bin {plural(tallest, 'weight')}."
    )
    return Chart(
        HISTOGRAM_WIDTH,
        HISTOGRAM_HEIGHT,
        HISTOGRAM_HEIGHT,
        tuple(bars),
        (number(-limit), "0", number(limit)),
        f"{caption} From {number(-limit)} to {number(limit)}.",
        caption,
    )


def filter_bars(
    values: Sequence[float] | np.ndarray, what: str, *, signed: bool = True, lost: str = "not finite"
) -> Chart | None:
    """Return a chart of one bar per filter, upwards where positive; a value that is not finite is a full-height bar.

    Args:
        values: one for each filter, in order.
        what: the caption's first words, such as "Bias per filter".
        signed: whether values below and above zero have a color each.
        lost: what is said of values that are not finite.

    Returns:
        The chart; None where all values are zero.
    """
    numbers = np.asarray(values, np.float64)
    finite = np.isfinite(numbers)
    if not np.any(numbers):
        return None
    low = min(0.0, float(np.min(numbers, initial=0, where=finite)))
    high = max(0.0, float(np.max(numbers, initial=0, where=finite)))
    extent = (high - low) if high > low else 1.0
    axis = FILTERS_HEIGHT * high / extent
    step = FILTERS_WIDTH / len(numbers)
    bars = []
    for position, value in enumerate(numbers.tolist()):
        left = position * step + step * (1 - BAR_SHARE) / 2
        if not np.isfinite(value):
            bars.append(_bar(left, 0, step * BAR_SHARE, FILTERS_HEIGHT, "broken"))
        elif value != 0:
            height = FILTERS_HEIGHT * abs(value) / extent
            kind = "size" if not signed else "low" if value < 0 else "high"
            bars.append(_bar(left, axis if value < 0 else axis - height, step * BAR_SHARE, height, kind))
    lacking = len(numbers) - int(finite.sum())
    sound = numbers[finite].tolist()
    reach = f", from {number(min(sound))} to {number(max(sound))}" if sound else ""
    caption = f"{what}, {plural(len(numbers), 'filter')}{reach}" + (f"; {lacking} {lost}." if lacking else ".")
    ticks = ("filter 0", *((f"filter {len(numbers) - 1}",) if len(numbers) > 1 else ()))
    return Chart(
        FILTERS_WIDTH,
        FILTERS_HEIGHT,
        round(axis, HUNDREDTHS),
        tuple(bars),
        ticks,
        caption,
        caption,
        _levels(low, high),
    )


def _levels(low: float, high: float) -> tuple[Mark, ...]:
    """The ends of a scale, and zero where it is far enough from both."""
    if low == high:
        return (Mark("50%", "0", 0),)
    at_zero = high / (high - low)
    zero = ("0", at_zero) if LEAST_APART < at_zero < 1 - LEAST_APART else None
    marks = [(number(high), 0.0), *([zero] if zero else []), (number(low), 1.0)]
    return tuple(Mark(f"{100 * place:.{HUNDREDTHS}f}%", text, 0) for text, place in marks)


def gauge(reached: float | None, start: float | None, natural: float | None) -> Gauge | None:
    """Return the gauge of one filter, on its own scale.

    Args:
        reached: activation of the pattern.
        start: activation of the image that the ascent started from.
        natural: the natural maximum.

    Returns:
        The gauge; None where the activation is not known or all values are equal.
    """
    if reached is None:
        return None
    known = [0.0, reached, *(value for value in (start, natural) if value is not None)]
    low, high = min(known), max(known)
    if low == high:
        return None
    room = GAUGE_ROOM * GAUGE_WIDTH

    def place(value: float) -> float:
        return round(room + (GAUGE_WIDTH - 2 * room) * (value - low) / (high - low), HUNDREDTHS)

    left, right = sorted((place(0), place(reached)))
    words = [f"initial {number(start)}", f"pattern {number(reached)}", f"natural maximum {number(natural)}"]
    return Gauge(
        GAUGE_WIDTH,
        place(0),
        _bar(left, 0, right - left, 1, "high" if reached >= 0 else "low"),
        None if start is None else place(start),
        None if natural is None else place(natural),
        "On one scale: " + ", ".join(words) + ".",
    )


def _bar(x: float, y: float, width: float, height: float, kind: str) -> Bar:
    return Bar(round(x, HUNDREDTHS), round(y, HUNDREDTHS), round(width, HUNDREDTHS), round(height, HUNDREDTHS), kind)
