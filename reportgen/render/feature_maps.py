"""The feature maps of one layer on one image: one mosaic with every channel, on one scale that the caption states."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reportgen.records import Figure
from reportgen.render import mosaic, palette, png
from reportgen.render.text import figure, named, percent, plural, shape

SCALE_PERCENTILE = 99.5  # a few extreme positions, often at a padded border, would leave everything else in the dark
DEFAULT_PALETTE = "viridis"
HALF_LARGEST = float(np.finfo(np.float16).max)  # maps stored in half precision are cut off there


@dataclass(frozen=True)
class Scale:
    """A linear scale and what lies outside it.

    top: the value of the top colour, 0 where every drawn value is 0. diverging: the scale runs from -top to top, else
    from 0. lowest, highest: of all values drawn. outside: how many of the `count` values drawn are beyond an end and
    have its colour. clipped: the top is where stored values were cut off, not the largest of the true ones.
    """

    top: float
    diverging: bool
    lowest: float
    highest: float
    outside: int
    count: int
    clipped: bool = False


def draw(
    maps: NDArray[np.generic],
    *,
    title: str,
    palette_name: str = DEFAULT_PALETTE,
    true_range: tuple[float, float] | None = None,
) -> Figure:
    """The mosaic of `maps`, one tile a channel in channel order, 16 a row.

    maps: (height, width, channels) of any real type, in any range. title: what they are of, for the alt text.
    palette_name: "viridis" or "magma", for maps without negative values; others get the diverging map, symmetric
    about zero. true_range: the smallest and largest finite value of all `maps` before they were rounded or clipped for
    the store; where the scale ends at one of them, the caption and the legend state it and not the rounded one.

    The scale is linear and shared: from 0 (or its own negative) to the 99.5th percentile of the magnitudes other than
    0, and is taken from the maps drawn. A constant map of more than one position is drawn in plain grey, one with a value
    that is not finite is hatched. Raises ValueError where `maps` is not three-dimensional or
    has no values.
    """
    if maps.ndim != 3 or maps.size == 0:
        raise ValueError(f"feature maps have three axes and at least one value, not the shape {maps.shape}")
    height, width, channels = maps.shape
    values = np.ascontiguousarray(np.moveaxis(maps, -1, 0), dtype=np.result_type(maps.dtype, np.float32))
    with np.errstate(invalid="ignore"):
        lowest, highest = values.min(axis=(1, 2)), values.max(axis=(1, 2))
    finite = np.isfinite(lowest) & np.isfinite(highest)  # both carry a NaN on
    constant = finite & (lowest == highest) & (height * width > 1)
    drawn = np.flatnonzero(finite & ~constant)
    flat, broken = np.flatnonzero(constant).tolist(), np.flatnonzero(~finite).tolist()

    scale = _scale(values, drawn, lowest, highest)
    if scale is not None and true_range is not None:
        scale = _trued(scale, _finite_range(values), true_range)
    used = palette.DIVERGING if scale is not None and scale.diverging else palette_name
    indices = np.full(values.shape, palette.FLAT, dtype=np.uint8)
    for channel in drawn:
        indices[channel] = _indices(values[channel], scale)
    layout = mosaic.choose_tiles(channels, height, width)
    picture = mosaic.compose(indices, layout, palette.GAP)
    mosaic.hatch(picture, layout, broken, palette.BROKEN, palette.BROKEN_LINE)

    facts = [_scale_sentence(scale, used)]
    if flat:
        facts.append(f"{_maps(flat)} constant and drawn in plain grey: {named(flat)} ({_constants(lowest[flat])}).")
    if broken:
        facts.append(f"{_maps(broken)} not finite and drawn hatched: {named(broken)}.")
    what = f"{plural(channels, 'feature map')} of {shape((height, width))}"
    legend = None if scale is None or scale.top == 0 else (-scale.top if scale.diverging else 0.0, scale.top, used)
    return Figure(
        png=png.encode_indexed(picture, palette.table(used)),
        tiles=layout,
        caption=" ".join([f"{what}, every channel in order, {layout.columns} a row.", *facts]),
        alt=" ".join([f"{title}: mosaic of {what}.", *facts]),
        legend=legend,
    )


def _scale(
    values: NDArray[np.floating], drawn: NDArray[np.intp], lowest: NDArray[np.floating], highest: NDArray[np.floating]
) -> Scale | None:
    """The shared scale of the channels `drawn`, None where there are none."""
    if drawn.size == 0:
        return None
    magnitudes = np.abs(values[drawn] if drawn.size < len(values) else values).ravel()
    other_than_zero = magnitudes[magnitudes > 0]
    low, high = float(lowest[drawn].min()), float(highest[drawn].max())
    if other_than_zero.size == 0:
        return Scale(0.0, False, low, high, 0, magnitudes.size)
    rank = math.ceil(SCALE_PERCENTILE / 100 * (other_than_zero.size - 1))
    other_than_zero.partition(rank)
    top = other_than_zero[rank]
    return Scale(float(top), low < 0, low, high, int(np.count_nonzero(other_than_zero > top)), magnitudes.size)


def _finite_range(values: NDArray[np.floating]) -> tuple[float, float]:
    finite = np.isfinite(values)
    low, high = np.min(values, initial=np.inf, where=finite), np.max(values, initial=-np.inf, where=finite)
    return float(low), float(high)


def _trued(scale: Scale, stored: tuple[float, float], true: tuple[float, float]) -> Scale:
    """The same scale with the true figures where it ends at the ends of what was stored.

    stored, true: the smallest and largest finite value of all maps, as stored and before.
    """
    lowest = true[0] if scale.lowest == stored[0] else scale.lowest
    highest = true[1] if scale.highest == stored[1] else scale.highest
    largest = max(abs(lowest), abs(highest))
    clipped = scale.top == HALF_LARGEST < largest and scale.outside == 0
    ends_at_largest = scale.outside == 0 and scale.top > 0 and not clipped
    return replace(
        scale, top=largest if ends_at_largest else scale.top, lowest=lowest, highest=highest, clipped=clipped
    )


def _indices(values: NDArray[np.floating], scale: Scale | None) -> NDArray[np.uint8] | int:
    if scale is None or scale.top == 0:
        return palette.FIRST_VALUE
    if scale.diverging:
        return palette.diverging_index(values, scale.top)
    return palette.sequential_index(values, scale.top)


def _scale_sentence(scale: Scale | None, used: str) -> str:
    if scale is None:
        return "No map has values to draw on a scale."
    if scale.top == 0:
        return "Every value drawn is 0 and has the bottom colour."
    top = figure(scale.top)
    if scale.diverging:
        sentence = f"Colours ({used}) are linear from {figure(-scale.top)} through 0 to {top}"
        outside, reach, colour = "outside", f"from {figure(scale.lowest)} to {figure(scale.highest)}", "an end colour"
        largest = "the largest magnitude"
    else:
        sentence = f"Colours ({used}) are linear from 0 to {top}"
        outside, reach, colour = "above", f"up to {figure(scale.highest)}", "the top colour"
        largest = "the largest value"
    if scale.clipped:
        return f"{sentence}, where the stored values end; the true ones go {reach} and have {colour} beyond it."
    if scale.outside == 0:
        return f"{sentence}, {largest}."
    return (
        f"{sentence}, the {SCALE_PERCENTILE}th percentile of the magnitudes other than 0; "
        f"{percent(scale.outside / scale.count)} of the values lie {outside} ({reach}) and have {colour}."
    )


def _maps(channels: list[int]) -> str:
    return f"{plural(len(channels), 'map')} {'is' if len(channels) == 1 else 'are'}"


def _constants(values: NDArray[np.floating]) -> str:
    low, high = figure(float(values.min())), figure(float(values.max()))
    return f"all {low}" if low == high else f"from {low} to {high}"
