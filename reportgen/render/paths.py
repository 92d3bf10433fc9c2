"""Geometry of small line charts that templates draw as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 240, 96  # user units


@dataclass(frozen=True)
class Line:
    """One curve: `points` of a polyline; `kind` is a class of the style sheet."""

    points: str
    kind: str


@dataclass(frozen=True)
class LineChart:
    """Curves on one scale, from 0 or the lowest value at the bottom to the `top`."""

    width: int
    height: int
    lines: tuple[Line, ...]
    low: float
    top: float


def line_chart(curves: Sequence[tuple[str, Sequence[float]]], low: float, top: float) -> LineChart:
    """Return a chart of curves whose points are equally far apart.

    Args:
        curves: (kind, values) each.
        low: lower end of the scale.
        top: upper end, above it.
    """
    lines = []
    for kind, values in curves:
        step = WIDTH / max(1, len(values) - 1)
        places = [
            f"{round(step * place, 2):g},{round(HEIGHT * (1 - (value - low) / (top - low)), 2):g}"
            for place, value in enumerate(values)
        ]
        lines.append(Line(" ".join(places), kind))
    return LineChart(WIDTH, HEIGHT, tuple(lines), low, top)
