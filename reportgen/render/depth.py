"""Geometry of charts over depth: one bar per layer on one linear scale from zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reportgen.render.charts import Bar

STEP, HEIGHT = 10, 40  # user units of a layer and of the whole scale; a page stretches both
GAP = 2  # user units between bars
SHORTEST = 0.5  # of a value above zero


@dataclass(frozen=True)
class DepthBars:
    """Bars in user units, y downwards; a layer whose value is not known has none."""

    width: int
    height: int
    bars: tuple[Bar, ...]


def depth_bars(values: Sequence[float | None], top: float) -> DepthBars:
    """Return the bars of one chart.

    Args:
        values: from input to output, at least 0; None where not known.
        top: upper end of the scale, above 0.
    """
    bars = []
    for place, value in enumerate(values):
        if value is not None and value > 0:
            height = round(max(SHORTEST, HEIGHT * min(1.0, value / top)), 2)
            bars.append(Bar(STEP * place + GAP / 2, round(HEIGHT - height, 2), STEP - GAP, height, "depth"))
    return DepthBars(STEP * len(values), HEIGHT, tuple(bars))
