"""The feature maps of one layer on one image: one mosaic with every channel, on one scale that the caption states."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reportgen.core.settings import MapStyle
from reportgen.render import curves, mosaic, palette, png, scale, slices
from reportgen.render.figure import Figure, Tiles
from reportgen.render.text import dimensions, figure, named, plural

DEFAULT_STYLE = MapStyle()
MAP_AXES = (2, 3, 4)  # one to three spatial axes and the channels
CURVE = curves.Canvas(48, 140)
FEW_CURVES, FEW_COLUMNS, MANY_COLUMNS = 32, 4, 8  # a layer of few channels has room for wide curves
VOLUME_COLUMNS, SMALLEST_VOLUME = 4, 96  # pixels along the longer side of all slices of a map
MIDDLE = 0.5  # of a scale that is symmetric about zero


def draw(
    maps: NDArray[np.generic],
    *,
    title: str,
    style: MapStyle = DEFAULT_STYLE,
    true_range: tuple[float, float] | None = None,
) -> Figure:
    """The mosaic of `maps`, one tile a channel in channel order, 16 a row.

    maps: (height, width, channels) of any real type, in any range; (steps, channels) are drawn as curves, (depth, height, width,
    channels) as slices. title: what they are of, for the alt text.
    style: the scale and its colour map; a layer's own scale has the diverging map, symmetric about zero, where there are
    negative values. true_range: the smallest and largest finite value of all `maps` before they were rounded or clipped
    for the store; where the layer's scale ends at one of them, the caption and the legend state it and not the rounded one.

    A constant map of more than one position is drawn in plain grey, one with a value that is not finite is hatched. Raises
    ValueError where `maps` has not one to three axes beside its channels or no values.
    """
    if maps.ndim not in MAP_AXES or maps.size == 0:
        raise ValueError(f"feature maps have two to four axes and at least one value, not the shape {maps.shape}")
    *lengths, channels = maps.shape
    positions = tuple(range(1, maps.ndim))
    values = np.ascontiguousarray(np.moveaxis(maps, -1, 0), dtype=np.result_type(maps.dtype, np.float32))
    with np.errstate(invalid="ignore"):
        lowest, highest = values.min(axis=positions), values.max(axis=positions)
    finite = np.isfinite(lowest) & np.isfinite(highest)  # both carry a NaN on
    constant = finite & (lowest == highest) & (values[0].size > 1)
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
    curved = len(lengths) == 1
    if curved:
        columns = FEW_COLUMNS if channels <= FEW_CURVES else MANY_COLUMNS
        data, layout = drawn_curves(indices, used, flat, broken, CURVE, columns)
    else:
        laid_out = slices.laid_out(indices, palette.GAP) if len(lengths) > 2 else indices
        layout = mosaic.choose_tiles(channels, *laid_out.shape[1:])
        if len(lengths) > 2:
            layout = slices.choose_tiles(channels, lengths, columns=VOLUME_COLUMNS, smallest=SMALLEST_VOLUME)
        picture = mosaic.compose(laid_out, layout, palette.GAP)
        mosaic.hatch(picture, layout, broken, palette.BROKEN, palette.BROKEN_LINE)
        data = png.encode_indexed(picture, palette.table(used))

    medium = scale.CURVED if curved else scale.COLOURED
    facts = ["No map has values to draw on a scale." if chosen is None else chosen.sentence(medium)]
    if flat:
        grey = "plain grey" if curved else palette.flat_word(used)
        facts.append(f"{_maps(flat)} constant and drawn in {grey}: {named(flat)} ({_constants(lowest[flat])}).")
    if broken:
        facts.append(f"{_maps(broken)} not finite and drawn hatched: {named(broken)}.")
    what = f"{plural(channels, 'feature map')} of {dimensions(lengths)}"
    how = "" if len(lengths) < 3 else f" A tile holds {slices.words(lengths[0])}."
    return Figure(
        png=data,
        tiles=layout,
        caption=" ".join([f"{what}, every channel in order, {layout.columns} a row.{how}", *facts]),
        alt=" ".join([f"{title}: mosaic of {what}.", *facts]),
        legend=None if chosen is None or curved else chosen.legend,
    )


def drawn_curves(
    indices: NDArray[np.uint8], used: str, flat: list[int], broken: list[int], canvas: curves.Canvas, columns: int
) -> tuple[bytes, Tiles]:
    """A picture of curves from the palette's indices (channels, steps), which are finer than its pixels.

    used: the palette that they are of. flat, broken: channels drawn plain and hatched. canvas: of one curve.
    """
    layout = mosaic.choose_tiles(len(indices), canvas.height, canvas.width, columns=columns, smallest=1)
    shares = (indices.astype(np.float64) - palette.FIRST_VALUE) / (palette.LEVELS - 1)
    zero = MIDDLE if used == palette.DIVERGING else None
    greys = palette.GREYS
    picture = mosaic.compose(curves.draw(shares, canvas, zero), layout, greys[palette.GAP])
    mosaic.fill(picture, layout, flat, greys[palette.FLAT])
    mosaic.hatch(picture, layout, broken, greys[palette.BROKEN], greys[palette.BROKEN_LINE])
    return png.encode(picture), layout


def _finite_range(values: NDArray[np.floating]) -> tuple[float, float]:
    finite = np.isfinite(values)
    low, high = np.min(values, initial=np.inf, where=finite), np.max(values, initial=-np.inf, where=finite)
    return float(low), float(high)


def _maps(channels: list[int]) -> str:
    return f"{plural(len(channels), 'map')} {'is' if len(channels) == 1 else 'are'}"


def _constants(values: NDArray[np.floating]) -> str:
    low, high = figure(float(values.min())), figure(float(values.max()))
    return f"all {low}" if low == high else f"from {low} to {high}"
