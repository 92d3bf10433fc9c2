"""Histograms of the weights of several layers: small charts with one logarithmic scale of shares, so that they can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, log10

import numpy as np

from reportgen.figures.labels import LAST_PARTS, spaced
from reportgen.figures.sheet import Sheet
from reportgen.figures.source import Drawn, LayerArrays
from reportgen.figures.style import DARK, LIGHT, MIDDLE
from reportgen.render.text import PERCENT, SUPERSCRIPTS, number, plural

PANEL_MM = (23.5, 12.0)  # wished width and height of a chart
GAP_MM, TITLE_MM, TICKS_MM = 3.0, 5.6, 3.4  # between charts, above one, and below it
MOST_PANELS = 24  # what a page has room for
LINE, SMALLER = 1.25, 0.88  # height of a line of letters, and size of the second, in the usual size
LEFT_MM = 9.0  # of the numbers at the left edge
LOWEST = -5  # power of ten, in percent, below which the common scale never begins


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
    ends = _powers(shown)
    paths, names = ([getattr(layer.record, key) for layer in shown] for key in ("path", "name"))
    titles = names if len(set(names)) == len(names) and max(map(sheet.text_width, paths)) > width else paths
    for place, layer in enumerate(shown):
        row, column = divmod(place, columns)
        x, y = left + column * (width + gap), row * (above + height + below + sheet.mm(1)) + above
        line = sheet.pt(sheet.small * LINE)
        sheet.text(x, y - sheet.mm(0.8) - line, sheet.fitted(titles[place], width))
        weights = layer.record.weights
        assert weights is not None
        words = f"n {weights.count:,}, sd {number(weights.std)}"
        sheet.text(x, y - sheet.mm(0.8), sheet.fitted(words, width, sheet.small * SMALLER), size=sheet.small * SMALLER)
        _panel(sheet, layer, (x, y, width, height), ends, first=column == 0)
    rows = ceil(len(shown) / columns)
    bottom = rows * (above + height + below + sheet.mm(1))
    words = "share of weights (%)" if rows > 1 else "share (%)"
    middle = bottom / 2 if rows > 1 else above + height / 2
    sheet.text(sheet.pt(sheet.small), middle, words, across="center", rotation=90)
    which = "" if len(shown) == len(found) else f" ({len(shown)} of {plural(len(found), 'layer')}, evenly spaced)"
    bins = len(shown[0].record.weights.histogram.counts) if shown[0].record.weights else 0
    return Drawn(
        sheet.finish(bottom),
        f"Histograms of the weights of {plural(len(shown), 'layer')}{which}, biases left out: {bins} bins from minus to plus the "
        "largest magnitude of a layer, in percent of its weights, on a common logarithmic scale. Dashed line: 0. "
        f"n: number of weights, sd: standard deviation.{' ' + LAST_PARTS if titles is names and names != paths else ''}",
    )


def _powers(layers: Sequence[LayerArrays]) -> tuple[int, int]:
    """Where the common scale begins and ends, as powers of ten in percent."""
    shares = []
    for layer in layers:
        assert layer.record.weights is not None
        counts = layer.record.weights.histogram.counts
        shares += [count / sum(counts) * PERCENT for count in counts if count]
    low = max(LOWEST, floor(log10(min(shares))))
    return low, max(low + 1, ceil(log10(max(shares))))


def _panel(
    sheet: Sheet, layer: LayerArrays, place: tuple[float, float, float, float], ends: tuple[int, int], *, first: bool
) -> None:
    record = layer.record.weights
    assert record is not None
    axes = sheet.axes(*place)
    counts = np.asarray(record.histogram.counts, float)
    limit = record.histogram.limit or 1.0
    edges = np.linspace(-limit, limit, len(counts) + 1)
    axes.stairs(counts / counts.sum() * PERCENT, edges, fill=True, facecolor=LIGHT, edgecolor=DARK, linewidth=0.5)
    axes.axvline(0, color=MIDDLE, linewidth=0.5, linestyle=(0, (3, 2)))
    axes.set_xlim(-limit, limit)
    axes.set_yscale("log")
    low, high = ends
    axes.set_ylim(10.0**low, 10.0**high)
    axes.set_xticks([-limit, limit], [number(-limit), number(limit)])
    powers = list(range(high, low - 1, -2 if high - low > 2 else -1))
    axes.set_yticks([10.0**power for power in powers], [_power(power) if first else "" for power in powers])
    axes.minorticks_off()
    axes.tick_params(pad=1.5)
    left, right = axes.get_xticklabels()
    left.set_horizontalalignment("left")
    right.set_horizontalalignment("right")


def _power(exponent: int) -> str:
    return f"10{str(exponent).translate(SUPERSCRIPTS)}"
