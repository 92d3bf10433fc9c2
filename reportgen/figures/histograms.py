"""Histograms of the weights of several layers: small charts with one scale of shares, so that they can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import matplotlib as mpl
import numpy as np

from reportgen.figures.labels import spaced
from reportgen.figures.sheet import Sheet
from reportgen.figures.source import Drawn, LayerArrays
from reportgen.figures.style import DARK, LIGHT, MIDDLE
from reportgen.render.text import PERCENT, number, plural

PANEL_MM = (23.5, 12.0)  # wished width and height of a chart
GAP_MM, TITLE_MM, TICKS_MM = 3.0, 3.2, 3.4  # between charts, above one, and below it
MOST_PANELS = 24  # what a page has room for
LEFT_MM = 8.0  # of the numbers at the left edge
STEPS = (1, 2, 5, 10, 20, 25, 50, 100)  # percent: where the common scale may end


def draw(layers: Sequence[LayerArrays], sheet: Sheet) -> Drawn | None:
    """Draw the histograms of layers with weights; None where none has any."""
    found = [
        layer for layer in layers if layer.record.weights is not None and any(layer.record.weights.histogram.counts)
    ]
    if not found:
        return None
    shown = [found[place] for place in spaced(range(len(found)), MOST_PANELS)]
    left, gap = sheet.mm(LEFT_MM), sheet.mm(GAP_MM)
    columns = min(len(shown), max(1, int((sheet.width - left + gap) // (sheet.mm(PANEL_MM[0]) + gap))))
    width = min((sheet.width - left - (columns - 1) * gap) / columns, sheet.mm(2 * PANEL_MM[0]))
    height, above, below = sheet.mm(PANEL_MM[1]), sheet.mm(TITLE_MM), sheet.mm(TICKS_MM)
    top = _top(shown)
    paths, names = ([getattr(layer.record, key) for layer in shown] for key in ("path", "name"))
    titles = names if len(set(names)) == len(names) and max(map(sheet.text_width, paths)) > width else paths
    for place, layer in enumerate(shown):
        row, column = divmod(place, columns)
        x, y = left + column * (width + gap), row * (above + height + below + sheet.mm(1)) + above
        sheet.text(x, y - above * 0.3, sheet.fitted(titles[place], width))
        _panel(sheet, layer, (x, y, width, height), top, first=column == 0)
    rows = ceil(len(shown) / columns)
    bottom = rows * (above + height + below + sheet.mm(1))
    sheet.text(sheet.mm(1.2), bottom / 2, "share of weights (%)", across="center", down="top", rotation=90)
    which = "" if len(shown) == len(found) else f" ({len(shown)} of {plural(len(found), 'layer')}, evenly spaced)"
    bins = len(shown[0].record.weights.histogram.counts) if shown[0].record.weights else 0
    return Drawn(
        sheet.finish(bottom),
        f"Histograms of the weights of {plural(len(shown), 'layer')}{which}, biases left out: {bins} bins from minus to plus the "
        "largest magnitude of a layer, in percent of its weights; the vertical scale is common. Dashed line: 0. "
        "n: number of weights, sd: standard deviation.",
    )


def _top(layers: Sequence[LayerArrays]) -> int:
    """Where the common scale ends, in percent."""
    highest = 0.0
    for layer in layers:
        assert layer.record.weights is not None
        counts = layer.record.weights.histogram.counts
        highest = max(highest, max(counts) / sum(counts) * PERCENT)
    return next(step for step in STEPS if step >= highest)


def _panel(
    sheet: Sheet, layer: LayerArrays, place: tuple[float, float, float, float], top: int, *, first: bool
) -> None:
    record = layer.record.weights
    assert record is not None
    axes = sheet.axes(*place)
    counts = np.asarray(record.histogram.counts, float)
    limit = record.histogram.limit or 1.0
    edges = np.linspace(-limit, limit, len(counts) + 1)
    with mpl.rc_context(sheet.parameters):
        axes.stairs(counts / counts.sum() * PERCENT, edges, fill=True, facecolor=LIGHT, edgecolor=DARK, linewidth=0.5)
        axes.axvline(0, color=MIDDLE, linewidth=0.5, linestyle=(0, (3, 2)))
        axes.set_xlim(-limit, limit)
        axes.set_ylim(0, top)
        axes.set_xticks([-limit, limit], [number(-limit), number(limit)])
        axes.set_yticks([0, top], ["0", str(top)] if first else ["", ""])
        axes.tick_params(pad=1.5)
        left, right = axes.get_xticklabels()
        left.set_horizontalalignment("left")
        right.set_horizontalalignment("right")
        words = f"n {record.count:,}\nsd {number(record.std)}"
        axes.text(0.98, 0.97, words, transform=axes.transAxes, ha="right", va="top", fontsize=sheet.small * 0.9)
