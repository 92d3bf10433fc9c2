"""Geometry of the small charts that templates draw as inline SVG: numbers and labels, no markup.

Coordinates are SVG user units, y downwards, rounded to HUNDREDTHS so that the same run gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reportgen.render.text import figure, plural

HUNDREDTHS = 2
HISTOGRAM_WIDTH, HISTOGRAM_HEIGHT = 480, 120
BIAS_WIDTH, BIAS_HEIGHT = 960, 110
GAUGE_WIDTH = 160
GAUGE_ROOM = 0.04  # of the width on either side, so that a mark at the end is not cut in half
SHORTEST_BAR = 0.75  # a bin with one weight among millions must still be seen
BAR_SHARE = 0.86  # of the room that each bar has; the rest is the gap


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
    """Bars over an axis at y = `axis`; `ticks`: labels below it, spread from its left end to its right.

    alt: for a reader who does not see it.
    """

    width: int
    height: int
    axis: float
    bars: tuple[Bar, ...]
    ticks: tuple[str, ...]
    alt: str
    caption: str


@dataclass(frozen=True)
class Gauge:
    """A pattern's way on one line: a bar from zero to what was reached, marks at the start and the natural maximum."""

    width: int
    zero: float
    bar: Bar
    start: float | None
    natural: float | None
    alt: str


def histogram(counts: Sequence[int], limit: float, total: int) -> Chart | None:
    """Weights by value, symmetric about zero; None where every weight is zero or none is finite."""
    tallest = max(counts, default=0)
    if tallest == 0 or limit == 0:
        return None
    step = HISTOGRAM_WIDTH / len(counts)
    bars = []
    for position, number in enumerate(counts):
        if number:
            height = max(SHORTEST_BAR, HISTOGRAM_HEIGHT * number / tallest)
            left = position * step + step * (1 - BAR_SHARE) / 2
            kind = "zero" if position == len(counts) // 2 else "low" if position < len(counts) // 2 else "high"
            bars.append(_bar(left, HISTOGRAM_HEIGHT - height, step * BAR_SHARE, height, kind))
    caption = (
        f"{plural(total, 'weight')} in {len(counts)} bins of equal width, symmetric about zero; "
        f"the fullest bin holds {plural(tallest, 'weight')}."
    )
    return Chart(
        HISTOGRAM_WIDTH,
        HISTOGRAM_HEIGHT,
        HISTOGRAM_HEIGHT,
        tuple(bars),
        (figure(-limit), "0", figure(limit)),
        f"Histogram of weights from {figure(-limit)} to {figure(limit)}. {caption}",
        caption,
    )


def bias_bars(biases: np.ndarray) -> Chart | None:
    """One bar a filter, float32 (filters,), upwards where positive; None without a finite bias other than zero.

    Biases that are not finite are drawn as a full-height band of their own kind.
    """
    finite = np.isfinite(biases)
    largest = float(np.max(np.abs(biases), initial=0, where=finite))
    if largest == 0 and finite.all():
        return None
    low = min(0.0, float(np.min(biases, initial=0, where=finite)))
    high = max(0.0, float(np.max(biases, initial=0, where=finite)))
    extent = (high - low) if high > low else 1.0
    axis = BIAS_HEIGHT * high / extent
    step = BIAS_WIDTH / len(biases)
    bars = []
    for position, bias in enumerate(biases.tolist()):
        left = position * step + step * (1 - BAR_SHARE) / 2
        if not np.isfinite(bias):
            bars.append(_bar(left, 0, step * BAR_SHARE, BIAS_HEIGHT, "broken"))
        elif bias != 0:
            height = BIAS_HEIGHT * abs(bias) / extent
            bars.append(
                _bar(left, axis if bias < 0 else axis - height, step * BAR_SHARE, height, "low" if bias < 0 else "high")
            )
    lost = len(biases) - int(finite.sum())
    caption = f"Bias of each of {plural(len(biases), 'filter')}, from {figure(low)} to {figure(high)}" + (
        f"; {lost} not finite." if lost else "."
    )
    ticks = ("filter 0", f"filter {len(biases) - 1}")
    return Chart(BIAS_WIDTH, BIAS_HEIGHT, round(axis, HUNDREDTHS), tuple(bars), ticks, caption, caption)


def gauge(reached: float | None, start: float | None, natural: float | None) -> Gauge | None:
    """The line of one filter, on its own scale; None where nothing was reached."""
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
    words = [f"start {figure(start)}", f"reached {figure(reached)}", f"natural maximum {figure(natural)}"]
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
