"""Charts over depth: how silent filters, zeros in maps, weights and scores change from layer to layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import median

from reportgen.artefacts.layer_entry import LayerEntry
from reportgen.artefacts.patterns import COMPARED, LEAST_REFERENCE, layer_scale
from reportgen.artefacts.telling_patterns import in_depth
from reportgen.render.depth import DepthBars, depth_bars
from reportgen.render.text import PERCENT, count, number, percent

FEWEST = 2  # layers: with one there is no depth


@dataclass(frozen=True)
class DepthChart:
    """One chart; `top` is the upper end of its scale, `alt` says what the bars say; `constant` takes their place where all are alike."""

    title: str
    meaning: str
    top: str
    alt: str
    constant: str | None
    drawn: DepthBars


@dataclass(frozen=True)
class DepthRow:
    """One layer in the table of the same numbers."""

    number: str
    path: str
    href: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class DepthView:
    """All charts, with the numbers of the first and the last layer, and the table."""

    charts: tuple[DepthChart, ...]
    ticks: tuple[str, ...]
    rows: tuple[DepthRow, ...]


@dataclass(frozen=True)
class _Measure:
    """What a chart shows: `of` a layer, None where not known; its scale ends at `top`, or at the largest value where that is above."""

    title: str
    meaning: str
    of: Callable[[LayerEntry], float | None]
    words: Callable[[float | None], str]
    top: float = 0.0


def depth_view(layers: Sequence[LayerEntry], noun: str) -> DepthView | None:
    """Return the charts of a report.

    Args:
        layers: of report.json.
        noun: what the model is fed.

    Returns:
        The view; None where there is no depth, or nothing known of it.
    """
    deep = in_depth(layers)
    if len(deep) < FEWEST:
        return None
    every = [(measure, [measure.of(layer) for layer in deep]) for measure in _measures(noun)]
    measures = [(measure, values) for measure, values in every if any(value is not None for value in values)]
    if not measures:
        return None
    return DepthView(
        charts=tuple(_chart(measure, values, deep) for measure, values in measures),
        ticks=tuple(f"{count(place + 1)} · {deep[place].path.rpartition('/')[2]}" for place in (0, len(deep) - 1)),
        rows=tuple(
            DepthRow(
                count(place + 1),
                layer.path,
                f"layers/{layer.slug}.html",
                tuple(measure.words(values[place]) for measure, values in measures),
            )
            for place, layer in enumerate(deep)
        ),
    )


def _measures(noun: str) -> tuple[_Measure, ...]:
    return (
        _Measure(
            "Silent filters",
            "never active or proven inactive, of the filters with finite scores",
            _silent_share,
            percent,
            1.0,
        ),
        _Measure("Zeros in feature maps", f"mean over the {noun}s", _zero_share, percent, 1.0),
        _Measure(
            "Silent positions on the data set",
            f"exactly 0, mean over filters and {noun}s",
            _data_silent_share,
            percent,
            1.0,
        ),
        _Measure(
            "Effective filters on the data set",
            "participation ratio of their correlations, share of all filters",
            _effective_share,
            percent,
            1.0,
        ),
        _Measure("Weight norm", "L2, per filter (root mean square)", _weight_norm, number),
        _Measure(
            "Natural maximum ÷ activation of the pattern",
            f"median of the filters; 100 % where your {noun}s reach as much as the pattern",
            _natural_share,
            percent_above,
            1.0,
        ),
        _Measure("Weight change", "‖w − w₀‖ / ‖w₀‖ from the initial weights", _weight_change, number),
    )


def percent_above(share: float | None) -> str:
    """Return a share in percent that may be larger than 1."""
    return percent(share) if share is None or share <= 1 else f"{number(PERCENT * share)} %"


def _chart(measure: _Measure, values: Sequence[float | None], layers: Sequence[LayerEntry]) -> DepthChart:
    known = [(value, place) for place, value in enumerate(values) if value is not None]
    (low, lowest), (high, highest) = min(known), max(known, key=lambda pair: (pair[0], -pair[1]))
    top = max(measure.top, high) or 1.0
    lost = len(values) - len(known)
    unknown = f"; not known of {count(lost)}" if lost else ""
    constant = f"{measure.words(low)} in every layer{unknown}" if low == high else None
    ends = ((low, lowest, "lowest"), (high, highest, "highest"))
    said = ", ".join(f"{word} {measure.words(value)} in {layers[place].path}" for value, place, word in ends)
    alt = f"{measure.title} of layers 1 to {count(len(values))}: {said}{unknown}. Scale 0 to {measure.words(top)}."
    return DepthChart(measure.title, measure.meaning, measure.words(top), alt, constant, depth_bars(values, top))


def _silent_share(layer: LayerEntry) -> float | None:
    return None if layer.health is None else layer.health.silent_share


def _zero_share(layer: LayerEntry) -> float | None:
    return None if layer.health is None else layer.health.map_zero_fraction


def _data_silent_share(layer: LayerEntry) -> float | None:
    if layer.data is None or not layer.data.filters:
        return None
    return sum(item.silent_position_share for item in layer.data.filters) / len(layer.data.filters)


def _effective_share(layer: LayerEntry) -> float | None:
    if layer.data is None or layer.data.effective_filters is None:
        return None
    return layer.data.effective_filters / len(layer.data.filters)


def _weight_norm(layer: LayerEntry) -> float | None:
    weights = layer.weights
    if weights is None or weights.mean is None or weights.std is None or not layer.filters_total:
        return None
    squares = (weights.count - weights.nonfinite) * (weights.mean**2 + weights.std**2)
    return sqrt(squares / layer.filters_total)


def _natural_share(layer: LayerEntry) -> float | None:
    if layer.patterns is None:
        return None
    least = LEAST_REFERENCE * layer_scale(layer.patterns, COMPARED)
    shares = [
        max(0.0, item.natural_maximum) / item.activation
        for item in layer.patterns.filters
        if item.natural_maximum is not None and item.activation is not None and item.activation > least
    ]
    return median(shares) if shares else None


def _weight_change(layer: LayerEntry) -> float | None:
    return None if layer.initial_weights is None else layer.initial_weights.relative_change
