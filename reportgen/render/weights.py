"""Weight grids: kernels in color where they read the RGB input, otherwise slice by slice on a scale symmetric about zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from reportgen.core.axes import RGB_CHANNELS, ChannelOrder, KernelKind, by_filter, input_channels
from reportgen.core.records import LayerRecord
from reportgen.render import curves, mosaic, palette, png, slices
from reportgen.render.figure import Figure, Tiles
from reportgen.render.scale import SCALE_PERCENTILE
from reportgen.render.text import count, named, number, percent, plural, shape

TILE_LIMIT = 4096  # 64 filters of 64 channels; beyond it a slice is too small to see and the picture too large to load
MOST_SLICES = 16  # per filter: a row that a reader can follow
KERNEL_AXES = (3, 4, 5)  # of one, two or three spatial axes
CURVE_HEIGHTS, CURVE_WIDTHS = (24, 48), (28, 72)  # pixels of a curve: least and most
LARGEST_VOLUME, SMALLEST_VOLUME = 96, 36  # the same of slices side by side
LARGEST_TILE, SMALLEST_TILE = 24, 6  # pixels along a kernel's longer side, where the picture's size leaves the choice
PICTURE_WIDTH, PICTURE_HEIGHT = 1200, 4000  # pixels to stay within where tiles can be made smaller
STRONGEST_COLUMNS, STRONGEST_TILE = (
    64,
    12,
)  # tiles per row, and pixels of one, where only the strongest slices are drawn
GRAY_ZERO, GRAY_REACH = 127.5, 127.5  # 8-bit value of a weight of 0, and its distance from that of the largest weight


@dataclass(frozen=True)
class KernelLayout:
    """Which tiles of a weight grid belong to which filter.

    Attributes:
        kind: "color" (a tile per filter, RGB), "slices" (a row of tiles per filter, one per input channel), "strongest" (some
            tiles per filter, of the input channels with the largest L2 norm), "channels" (depthwise: a tile per filter),
            "depthwise" (separable: a tile per depthwise channel, which belongs to no single filter).
        tiles: the layout.
        tiles_per_filter: consecutive tiles of one filter; 0 where no tile belongs to one.
        taps: of the kernel, on each spatial axis: a curve of one, a picture of two, slices of three.
        channels: of "strongest", the input channels of each filter's tiles, (filters, tiles_per_filter).
    """

    kind: str
    tiles: Tiles
    tiles_per_filter: int
    taps: tuple[int, ...]
    channels: NDArray[np.intp] | None = None

    def filter_tiles(self, index: int) -> range:
        """The tiles of filter `index`, empty where no filter owns any."""
        return range(index * self.tiles_per_filter, (index + 1) * self.tiles_per_filter)


def kernel_layout(arrays: Mapping[str, np.ndarray], layer: LayerRecord) -> KernelLayout:
    """Return how `draw` arranges the same arrays.

    Args:
        arrays: as for `draw`.
        layer: whose kernel it is.

    Raises:
        ValueError: as `draw`.
    """
    return _arrange(arrays, layer)[2]


def draw(
    arrays: Mapping[str, np.ndarray],
    layer: LayerRecord,
    beside: Mapping[str, np.ndarray] | None = None,
    chosen_by: Mapping[str, np.ndarray] | None = None,
) -> Figure:
    """Draw the kernel of a layer.

    The scale is linear from -m to m, m the largest magnitude of a finite value drawn, or the 99.5th percentile of the nonzero
    magnitudes where only the strongest slices are drawn. Tiles with a value that is not finite are hatched; filters of nothing but
    zeros are drawn as zero and named in the caption. Kernels of one spatial axis are drawn as curves, those of three as slices.

    Args:
        arrays: as the store keeps them: `kernel` in Keras's order, (height, width, in, out) for Conv2D, (height, width, out, in)
            for Conv2DTranspose, (height, width, in, multiplier) for DepthwiseConv2D; or `depthwise_kernel`, which is then drawn.
        layer: whose kernel it is.
        beside: a kernel of the same shapes that is drawn on the same scale in another figure.
        chosen_by: the arrays whose strongest slices are drawn where not all are; `arrays` where not given.

    Returns:
        The figure.

    Raises:
        ValueError: the kernel does not have one to three spatial axes, or does not fit the layer.
    """
    tiles, zero, layout = _arrange(arrays, layer, None if chosen_by is None else _arrange(chosen_by, layer)[2].channels)
    finite = np.isfinite(tiles)
    sound = finite.reshape(len(tiles), -1).all(axis=1)
    broken = np.flatnonzero(~sound).tolist()
    values = np.where(finite, tiles, 0)
    limit = _limit(tiles, layout)
    if beside is not None:
        limit = max(limit, _limit(_arrange(beside, layer, layout.channels)[0], layout))
    largest = float(np.abs(values).max())
    per_owner = max(layout.tiles_per_filter, 1)
    zero_owners = np.flatnonzero(zero).tolist()
    broken_owners = np.flatnonzero(~sound.reshape(-1, per_owner).all(axis=1)).tolist()

    color = layout.kind == "color"
    curved = len(layout.taps) == 1
    paint = _color_picture if color else _curve_picture if curved else _mapped_picture
    data = paint(values, limit, layout, broken)
    owner = "depthwise channel" if layout.kind == "depthwise" else "filter"
    facts = [_scale_sentence(limit, color, curved, beside is not None, layout.kind == "strongest" and not curved)]
    if largest > limit:
        beyond = percent(float(np.mean(np.abs(values) > limit)))
        facts.append(f"{beyond} of the weights drawn are clipped{_maximum(limit, largest)}.")
    if zero_owners:
        facts.append(f"{_owners(zero_owners, owner)} only zeros: {named(zero_owners)}.")
    if broken_owners:
        facts.append(f"{_owners(broken_owners, owner)} non-finite weights (hatched): {named(broken_owners)}.")
    what = _what(layer, layout, arrays)
    return Figure(
        png=data,
        tiles=layout.tiles,
        caption=" ".join([f"{what[0].upper()}{what[1:]}.", *facts]),
        alt=" ".join([f"Weights of {layer.path}: {what}.", *facts]),
        legend=None if color or curved or limit == 0 else (-limit, limit, palette.DIVERGING),
    )


def pointwise(arrays: Mapping[str, np.ndarray], layer: LayerRecord) -> tuple[dict[str, np.ndarray], LayerRecord] | None:
    """Return a separable layer's second kernel as a plain kernel of one tap, and a layer that has it; None where there is none.

    One tap of one axis would be a curve of a single position, so it is drawn as a plane.
    """
    if "pointwise_kernel" not in arrays:
        return None
    kernel = np.asarray(arrays["pointwise_kernel"])
    plain = msgspec.structs.replace(layer, kernel_kind=KernelKind.PLAIN, kernel_bands=None, groups=None)
    return {"kernel": kernel.reshape(1, 1, *kernel.shape[-2:])}, plain


def largest_slices(parts: NDArray[np.floating], most: int) -> NDArray[np.intp]:
    """Return the input channels whose slices have the largest L2 norm.

    Args:
        parts: (filters, inputs, *taps).
        most: slices of all filters together; per filter at most MOST_SLICES.

    Returns:
        (filters, slices), by falling norm; slices with values that are not finite come first, and of equals the lower number.
    """
    filters, inputs = parts.shape[:2]
    count = max(1, min(MOST_SLICES, inputs, most // filters))
    values = parts.reshape(filters, inputs, -1).astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        weight = np.sqrt((values**2).sum(axis=2))
    weight = np.where(np.isfinite(weight), weight, np.inf)
    return np.argsort(-weight, axis=1, kind="stable")[:, :count]


def _limit(tiles: NDArray[np.floating], layout: KernelLayout) -> float:
    """Where the scale ends: at the largest finite magnitude; of many slices at a percentile, or a few would make the others pale."""
    magnitudes = np.abs(tiles[np.isfinite(tiles)])
    if layout.kind != "strongest" or len(layout.taps) == 1:
        return float(magnitudes.max(initial=0))
    magnitudes = magnitudes[magnitudes > 0]
    return float(np.percentile(magnitudes, SCALE_PERCENTILE, method="higher")) if magnitudes.size else 0.0


def _arrange(
    arrays: Mapping[str, np.ndarray], layer: LayerRecord, channels: NDArray[np.intp] | None = None
) -> tuple[NDArray[np.floating], NDArray[np.bool_], KernelLayout]:
    """The tiles to draw, (count, *taps[, 3]), which owners have only zeros, (owners,), and the layout.

    `channels` are the input channels to draw where not all are; the strongest where not given.
    """
    separable = "depthwise_kernel" in arrays
    stored = np.asarray(arrays["depthwise_kernel" if separable else "kernel"])
    if stored.ndim not in KERNEL_AXES or stored.size == 0:
        raise ValueError(
            f"{layer.path}: a kernel of shape {stored.shape} is not drawn, only those of one to three spatial axes"
        )
    kernel = stored.astype(np.result_type(stored.dtype, np.float32))
    taps = kernel.shape[:-2]
    if separable or layer.kernel_kind == KernelKind.DEPTHWISE:
        tiles = by_filter(KernelKind.DEPTHWISE, kernel)[:, 0]
        kind = "depthwise" if separable else "channels"
        if not separable and len(tiles) != layer.filters_total:
            raise _misfit(layer, stored)
        return tiles, _only_zeros(tiles), KernelLayout(kind, _layout(len(tiles), taps), 0 if separable else 1, taps)
    parts = by_filter(layer.kernel_kind or KernelKind.PLAIN, kernel)
    filters, inputs = parts.shape[:2]
    if filters != layer.filters_total:
        raise _misfit(layer, stored)
    zero = _only_zeros(parts)
    if layer.kernel_bands is not None and inputs == RGB_CHANNELS:
        tiles = np.moveaxis(parts, 1, -1)
        tiles = tiles[..., ::-1] if layer.kernel_bands == ChannelOrder.BGR else tiles
        return tiles, zero, KernelLayout("color", _layout(len(tiles), taps), 1, taps)
    if filters * inputs > TILE_LIMIT:
        if channels is None:
            channels = largest_slices(parts, TILE_LIMIT)
        tiles = parts[np.arange(filters)[:, None], channels].reshape(-1, *taps)
        each = channels.shape[1]
        return tiles, zero, KernelLayout("strongest", _grouped(len(tiles), taps, each), each, taps, channels)
    tiles = parts.reshape(filters * inputs, *taps)
    if inputs == 1:
        return tiles, zero, KernelLayout("slices", _layout(len(tiles), taps), 1, taps)
    return tiles, zero, KernelLayout("slices", _layout(len(tiles), taps, filters, inputs), inputs, taps)


def _misfit(layer: LayerRecord, kernel: NDArray[np.generic]) -> ValueError:
    return ValueError(f"{layer.path}: a kernel of shape {kernel.shape} does not make {layer.filters_total} filters")


def _only_zeros(owners: NDArray[np.floating]) -> NDArray[np.bool_]:
    return np.asarray((owners == 0).reshape(len(owners), -1).all(axis=1))


def _layout(total: int, taps: Sequence[int], filters: int = 0, inputs: int = 0) -> Tiles:
    """The tiles of all kernels; a row per filter and a column per input where these are given."""
    height, width = PICTURE_HEIGHT // max(filters, 1), PICTURE_WIDTH // max(inputs, 1)
    columns = inputs if inputs else mosaic.COLUMNS
    if len(taps) == 1:
        canvas = (_within(height, CURVE_HEIGHTS), _within(width, CURVE_WIDTHS))
        return mosaic.choose_tiles(total, *canvas, columns=columns, smallest=1)
    if len(taps) > 2:
        smallest = max(min(width, height, LARGEST_VOLUME), SMALLEST_VOLUME) if inputs else LARGEST_VOLUME
        return slices.choose_tiles(total, taps, columns=columns, smallest=smallest)
    flat = (taps[0], taps[1])
    smallest = max(min(width, height, LARGEST_TILE), SMALLEST_TILE) if inputs else mosaic.SMALLEST_TILE
    return mosaic.choose_tiles(total, *flat, columns=columns, smallest=smallest)


def _within(pixels: int, limits: tuple[int, int]) -> int:
    return max(limits[0], min(limits[1], pixels))


def _grouped(total: int, taps: Sequence[int], each: int) -> Tiles:
    """The tiles of filters that stand side by side, `each` tiles per filter."""
    columns = each * max(1, STRONGEST_COLUMNS // each)
    if len(taps) == 1:
        layout = mosaic.choose_tiles(total, CURVE_HEIGHTS[0], CURVE_WIDTHS[0], columns=columns, smallest=1)
    elif len(taps) > 2:
        layout = slices.choose_tiles(total, taps, columns=columns, smallest=SMALLEST_VOLUME)
    else:
        layout = mosaic.choose_tiles(total, taps[0], taps[1], columns=columns, smallest=STRONGEST_TILE)
    return replace(layout, group=each)


def _mapped_picture(values: NDArray[np.floating], limit: float, layout: KernelLayout, broken: Sequence[int]) -> bytes:
    indices = _flat(palette.diverging_index(values, limit if limit > 0 else 1.0), layout, palette.GAP)
    picture = mosaic.compose(indices, layout.tiles, palette.GAP)
    mosaic.hatch(picture, layout.tiles, broken, palette.BROKEN, palette.BROKEN_LINE)
    return png.encode_indexed(picture, palette.table(palette.DIVERGING))


def _color_picture(values: NDArray[np.floating], limit: float, layout: KernelLayout, broken: Sequence[int]) -> bytes:
    shares = values / values.dtype.type(limit if limit > 0 else 1.0)
    pixels = _flat(np.rint(GRAY_ZERO + GRAY_REACH * shares).astype(np.uint8), layout, palette.GRAYS[palette.GAP])
    picture = mosaic.compose(pixels, layout.tiles, palette.GRAYS[palette.GAP])
    mosaic.hatch(picture, layout.tiles, broken, palette.GRAYS[palette.BROKEN], palette.GRAYS[palette.BROKEN_LINE])
    return png.encode(picture)


def _flat(tiles: NDArray[np.uint8], layout: KernelLayout, gap: int) -> NDArray[np.uint8]:
    return slices.laid_out(tiles, gap) if len(layout.taps) > 2 else tiles


def _curve_picture(values: NDArray[np.floating], limit: float, layout: KernelLayout, broken: Sequence[int]) -> bytes:
    reach = limit if limit > 0 else 1.0
    canvas = curves.Canvas(layout.tiles.tile_height, layout.tiles.tile_width)
    drawn = curves.draw(curves.shares_between(values, -reach, reach), canvas, zero=0.5)
    picture = mosaic.compose(drawn, layout.tiles, palette.GRAYS[palette.GAP])
    mosaic.hatch(picture, layout.tiles, broken, palette.GRAYS[palette.BROKEN], palette.GRAYS[palette.BROKEN_LINE])
    return png.encode(picture)


def _scale_sentence(limit: float, color: bool, curved: bool, shared: bool, most: bool) -> str:
    """The scale in words; `shared` with another figure, and with `most` of the weights on it but a few beyond its ends."""
    if limit == 0:
        return "All finite weights drawn are 0."
    bottom, top = number(-limit), number(limit)
    if color:
        largest = "the largest magnitude in the layer"
        scale = f"Linear scale of red, green and blue from {bottom} (none) through 0 (mid-gray) to {top} (full)"
    elif curved:
        largest = "the largest magnitude drawn"
        scale = f"Linear curve height from {bottom} (bottom) through 0 (gray line) to {top} (top)"
    else:
        largest = "the largest magnitude drawn"
        scale = f"Linear color scale ({palette.DIVERGING}) from {bottom} (blue) through 0 (white) to {top} (red)"
    if most:
        largest = f"the {SCALE_PERCENTILE}th percentile of the nonzero magnitudes drawn"
    if shared and most:
        largest += ", the larger one of the initial and the trained weights; both figures have the same scale"
    elif shared:
        largest = "the largest magnitude of the initial and the trained weights; both figures have the same scale"
    return f"{scale}, {largest}."


def _maximum(limit: float, largest: float) -> str:
    """The largest magnitude in parentheses; nothing where it reads like the end of the scale."""
    return "" if number(largest) == number(limit) else f" (largest magnitude {number(largest)})"


def _owners(owners: list[int], noun: str) -> str:
    return f"{plural(len(owners), noun)} {'has' if len(owners) == 1 else 'have'}"


def _what(layer: LayerRecord, layout: KernelLayout, arrays: Mapping[str, np.ndarray]) -> str:
    tiles = layout.tiles
    size = plural(layout.taps[0], "tap") if len(layout.taps) == 1 else shape(layout.taps)
    if len(layout.taps) > 2:
        size += f" (each tile shows {slices.words(layout.taps[0])})"
    if layout.kind == "depthwise":
        return f"{plural(tiles.count, 'depthwise kernel')} of {size}, one per tile; the next figure shows the pointwise kernel"
    filters = plural(layer.filters_total, "filter")
    if layout.kind == "color":
        return f"{filters} of {size}, one per tile, in RGB"
    if layout.kind == "channels":
        return f"{filters} of {size}, one per tile in the order of the output channels"
    inputs = plural(_inputs(layer, arrays), "input channel")
    grouped = " of its group" if layer.groups is not None and layer.groups > 1 else ""
    if layout.kind == "strongest":
        each = plural(layout.tiles_per_filter, "tile")
        return (
            f"{filters} of {size}, {each} per filter: of its {inputs}{grouped} those with the largest L2 norm, largest first, "
            f"because all would be more than {count(TILE_LIMIT)} tiles"
        )
    if layout.tiles_per_filter == 1:
        return f"{filters} of {size}, one per tile, each with {inputs}{grouped}"
    return f"{filters} of {size}, one row per filter and one tile for each of its {inputs}{grouped}"


def _inputs(layer: LayerRecord, arrays: Mapping[str, np.ndarray]) -> int:
    return input_channels(layer.kernel_kind or KernelKind.PLAIN, arrays["kernel"].shape)
