"""The feature maps of one layer on one image: one mosaic with every channel, on one scale that the caption states."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reportgen.records import Figure
from reportgen.render import mosaic, palette, png, scale
from reportgen.render.text import figure, named, plural, shape
from reportgen.settings import MapStyle

DEFAULT_STYLE = MapStyle()


def draw(
    maps: NDArray[np.generic],
    *,
    title: str,
    style: MapStyle = DEFAULT_STYLE,
    true_range: tuple[float, float] | None = None,
) -> Figure:
    """The mosaic of `maps`, one tile a channel in channel order, 16 a row.

    maps: (height, width, channels) of any real type, in any range. title: what they are of, for the alt text.
    style: the scale and its colour map; a layer's own scale has the diverging map, symmetric about zero, where there are
    negative values. true_range: the smallest and largest finite value of all `maps` before they were rounded or clipped
    for the store; where the layer's scale ends at one of them, the caption and the legend state it and not the rounded one.

    A constant map of more than one position is drawn in plain grey, one with a value that is not finite is hatched. Raises
    ValueError where `maps` is not three-dimensional or has no values.
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

    chosen = scale.choose(values[drawn] if drawn.size < channels else values, style)
    if isinstance(chosen, scale.Shared) and true_range is not None:
        chosen = chosen.trued(_finite_range(values), true_range)
    used = style.colormap if chosen is None else chosen.palette
    indices = np.full(values.shape, palette.FLAT, dtype=np.uint8)
    if chosen is not None:
        for channel in drawn:
            indices[channel] = chosen.indices(values[channel])
    layout = mosaic.choose_tiles(channels, height, width)
    picture = mosaic.compose(indices, layout, palette.GAP)
    mosaic.hatch(picture, layout, broken, palette.BROKEN, palette.BROKEN_LINE)

    facts = ["No map has values to draw on a scale." if chosen is None else chosen.sentence()]
    if flat:
        facts.append(
            f"{_maps(flat)} constant and drawn in {palette.flat_word(used)}: {named(flat)} ({_constants(lowest[flat])})."
        )
    if broken:
        facts.append(f"{_maps(broken)} not finite and drawn hatched: {named(broken)}.")
    what = f"{plural(channels, 'feature map')} of {shape((height, width))}"
    return Figure(
        png=png.encode_indexed(picture, palette.table(used)),
        tiles=layout,
        caption=" ".join([f"{what}, every channel in order, {layout.columns} a row.", *facts]),
        alt=" ".join([f"{title}: mosaic of {what}.", *facts]),
        legend=None if chosen is None else chosen.legend,
    )


def _finite_range(values: NDArray[np.floating]) -> tuple[float, float]:
    finite = np.isfinite(values)
    low, high = np.min(values, initial=np.inf, where=finite), np.max(values, initial=-np.inf, where=finite)
    return float(low), float(high)


def _maps(channels: list[int]) -> str:
    return f"{plural(len(channels), 'map')} {'is' if len(channels) == 1 else 'are'}"


def _constants(values: NDArray[np.floating]) -> str:
    low, high = figure(float(values.min())), figure(float(values.max()))
    return f"all {low}" if low == high else f"from {low} to {high}"
