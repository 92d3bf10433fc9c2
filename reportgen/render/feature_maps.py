"""The feature maps of one layer on one image: one mosaic with every channel, on one scale that the caption states."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from reportgen.core.settings import MapStyle
from reportgen.render import curves, mosaic, palette, png, scale, slices
from reportgen.render.figure import Figure, Tiles
from reportgen.render.numbering import FULL
from reportgen.render.text import dimensions, listed, named, number, plural

DEFAULT_STYLE = MapStyle()
MAP_AXES = (2, 3, 4)  # one to three spatial axes and the channels
CURVE = curves.Canvas(48, 140)
FEW_CURVES, FEW_COLUMNS, MANY_COLUMNS = 32, 4, 8  # few channels leave room for wide curves
VOLUME_COLUMNS, SMALLEST_VOLUME = 4, 96  # pixels along the longer side of all slices of a map
SMALLEST_MAP = 7  # pixels along the longer side of a map, so that a single position is a tile
LARGEST_MAP = 112  # likewise at most: a page shows a map at half of it, an enlarged one at twice
STRONGEST = 3  # channels that an alternative text names
LARGE_MAP, FEW_LARGE = 28, 8  # pixels of maps whose details need room, and columns of few of these
MAP_GAP, WIDE_GAP = (
    1,
    2,
)  # pixels between small maps, and between those that make a mosaic so wide that a page shrinks it
MIDDLE = 0.5  # of a scale that is symmetric about zero


def draw(
    maps: NDArray[np.generic],
    *,
    title: str,
    style: MapStyle = DEFAULT_STYLE,
    true_range: tuple[float, float] | None = None,
) -> Figure:
    """Draw the mosaic of all maps, one tile per channel in order.

    A file has one pixel for each position: pages enlarge it. Maps of more than LARGEST_MAP positions along a side are downsampled
    by averaging on the color scale.

    A constant map of more than one position is drawn in gray, one with a value that is not finite is hatched.

    Args:
        maps: (height, width, channels) of any real type, in any range; (steps, channels) are drawn as curves, (depth, height,
            width, channels) as slices.
        title: what they are of, for the alt text.
        style: the scale and its color map; the scale of a layer is diverging and symmetric about zero where there are negative
            values.
        true_range: the smallest and largest finite value of all `maps` before they were rounded or clipped for the store; where
            the scale ends at one of them, caption and legend state it and not the rounded one.

    Returns:
        The figure.

    Raises:
        ValueError: `maps` has no values, or not one to three axes beside its channels.
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
    if chosen is not None and drawn.size:
        indices[drawn] = scale.indices_of_maps(chosen, values[drawn] if drawn.size < channels else values)
    curved = len(lengths) == 1
    if curved:
        columns = FEW_COLUMNS if channels <= FEW_CURVES else MANY_COLUMNS
        data, layout = drawn_curves(indices, used, flat, broken, CURVE, columns)
    else:
        if len(lengths) > 2:
            laid_out = slices.laid_out(indices, palette.GAP)
            layout = slices.choose_tiles(channels, lengths, columns=VOLUME_COLUMNS, smallest=SMALLEST_VOLUME)
        else:
            laid_out = _downsampled(indices)
            height, width = laid_out.shape[1:]
            columns = mosaic.columns_for(channels, FEW_LARGE if max(height, width) >= LARGE_MAP else mosaic.COLUMNS)
            gap = WIDE_GAP if columns * width > FULL else MAP_GAP
            layout = mosaic.choose_tiles(channels, height, width, columns=columns, smallest=SMALLEST_MAP, gap=gap)
        picture = mosaic.compose(laid_out, layout, palette.GAP)
        mosaic.hatch(picture, layout, broken, palette.BROKEN, palette.BROKEN_LINE)
        data = png.encode_indexed(picture, palette.table(used))

    medium = scale.CURVED if curved else scale.COLORED
    facts = ["No map has values to draw." if chosen is None else chosen.sentence(medium)]
    if flat:
        flat_color = "gray" if curved else palette.flat_word(used)
        facts.append(f"Constant, {flat_color}: {_maps(flat)}, {_constants(lowest[flat])}.")
    if broken:
        facts.append(f"Not finite, hatched: {_maps(broken)}.")
    what = f"{plural(channels, 'feature map')} of {dimensions(lengths)}"
    how = "" if len(lengths) < 3 else f" Each tile shows {slices.words(lengths[0])}."
    if len(lengths) == 2 and layout.tile_height * layout.tile_width < lengths[0] * lengths[1]:
        how = f" Downsampled to {layout.tile_height} × {layout.tile_width} by averaging."
    numbering = mosaic.row_numbers(layout)
    return Figure(
        png=data,
        tiles=layout,
        caption=" ".join([f"{what}, all channels in order{mosaic.numbered(layout)}.{how}", *facts]),
        alt=f"{title}: mosaic of {what}{_strongest(highest, drawn)}.",
        legend=None if chosen is None or curved else chosen.legend,
        numbering=replace(numbering, largest=None) if curved or len(lengths) > 2 else numbering,
    )


def _strongest(highest: NDArray[np.floating], drawn: NDArray[np.intp]) -> str:
    """The channels with the largest values, for readers who do not see them."""
    first = drawn[np.argsort(-highest[drawn], kind="stable")[:STRONGEST]].tolist()
    return f", largest values in channels {listed([str(channel) for channel in first])}" if len(first) > 1 else ""


def drawn_curves(
    indices: NDArray[np.uint8], used: str, flat: list[int], broken: list[int], canvas: curves.Canvas, columns: int
) -> tuple[bytes, Tiles]:
    """Draw curves from palette indices, which are finer than pixels.

    Args:
        indices: uint8 (channels, steps).
        used: the palette that they are of.
        flat: channels drawn in gray.
        broken: channels drawn hatched.
        canvas: of one curve.
        columns: of the mosaic.

    Returns:
        The PNG file and the layout of its tiles.
    """
    layout = mosaic.choose_tiles(len(indices), canvas.height, canvas.width, columns=columns, smallest=1)
    shares = (indices.astype(np.float64) - palette.FIRST_VALUE) / (palette.LEVELS - 1)
    zero = MIDDLE if used == palette.DIVERGING else None
    grays = palette.GRAYS
    picture = mosaic.compose(curves.draw(shares, canvas, zero), layout, grays[palette.GAP])
    mosaic.fill(picture, layout, flat, grays[palette.FLAT])
    mosaic.hatch(picture, layout, broken, grays[palette.BROKEN], grays[palette.BROKEN_LINE])
    return png.encode(picture), layout


def _downsampled(indices: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Maps (channels, height, width) of at most LARGEST_MAP positions along a side."""
    factor = -(-max(indices.shape[1:]) // LARGEST_MAP)
    if factor == 1:
        return indices
    down, across = (min(factor, max(1, length // LARGE_MAP)) for length in indices.shape[1:])  # few rows are kept
    means = (mosaic.block_means(each, (down, across)) for each in indices)
    return np.stack([np.rint(each).astype(np.uint8) for each in means])


def _finite_range(values: NDArray[np.floating]) -> tuple[float, float]:
    finite = np.isfinite(values)
    low, high = np.min(values, initial=np.inf, where=finite), np.max(values, initial=-np.inf, where=finite)
    return float(low), float(high)


def _maps(channels: list[int]) -> str:
    return f"{plural(len(channels), 'map')} ({named(channels)})"


def _constants(values: NDArray[np.floating]) -> str:
    low, high = number(float(values.min())), number(float(values.max()))
    return f"all {low}" if low == high else f"from {low} to {high}"
