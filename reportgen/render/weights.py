"""Weight grids: kernels in color where they read the RGB input, slice by slice on a scale symmetric about zero, or as a matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from reportgen.core.axes import RGB_CHANNELS, ChannelOrder, KernelKind, by_filter, input_channels
from reportgen.core.records import LayerRecord
from reportgen.render import curves, kernel_matrix, mosaic, palette, png, slices
from reportgen.render.figure import Figure, Numbering, Tiles
from reportgen.render.scale import SCALE_PERCENTILE
from reportgen.render.text import named, number, percent, plural, shape

TILE_LIMIT = 4096  # 64 filters of 64 channels; beyond it a slice is too small to see
INPUT_LIMIT = 64  # slices side by side, likewise
MOST_SLICES = 16  # per filter: a row that a reader can follow
KERNEL_AXES = (3, 4, 5)  # of one, two or three spatial axes
CURVE_HEIGHTS, CURVE_WIDTHS = (24, 48), (28, 72)  # pixels of a curve: least and most
LARGEST_VOLUME, SMALLEST_VOLUME = 96, 36  # the same of slices side by side
TILE, GAP_SHARE = 12, 4  # pixels along a kernel's longer side at least; weights are so many times as wide as gaps
LARGEST_KERNEL, LARGEST_SLICE = 70, 48  # CSS pixels of a tile where each filter has one, and of one of several
ROWS = 8  # of filters; of more, several stand side by side as long as the grid is taller than half its width
PICTURE_WIDTH, PICTURE_HEIGHT = 1200, 2000  # pixels to stay within where curves can be made smaller
STRONGEST_COLUMNS, STRONGEST_TILE = (
    64,
    12,
)  # tiles per row, and pixels of one, where only the strongest slices are drawn
GRAY_ZERO, GRAY_REACH = 127.5, 127.5  # 8-bit value of a weight of 0, and its distance from that of the largest weight


@dataclass(frozen=True)
class KernelLayout:
    """Which tiles of a weight grid belong to which filter.

    Attributes:
        kind: "color" (a tile per filter, RGB), "slices" (tiles of a filter side by side, one per input channel), "strongest" (some
            tiles per filter, of the input channels with the largest L2 norm), "channels" (depthwise: a tile per filter),
            "depthwise" (separable: a tile per depthwise channel, which belongs to no single filter).
        tiles: the layout.
        tiles_per_filter: consecutive tiles of one filter; 0 where no tile belongs to one.
        taps: of the kernel, on each spatial axis: a curve of one, a picture of two, slices of three.
        channels: of "strongest", the input channels of each filter's tiles, (filters, tiles_per_filter).
        filters: of "strongest", the filters that have tiles, in their order.
    """

    kind: str
    tiles: Tiles
    tiles_per_filter: int
    taps: tuple[int, ...]
    channels: NDArray[np.intp] | None = None
    filters: tuple[int, ...] | None = None

    def place(self, index: int) -> int:
        """Which of the filters that have tiles `index` is, counted from 0."""
        return index if self.filters is None else self.filters.index(index)

    def filter_tiles(self, index: int) -> range:
        """The tiles of filter `index`, empty where no filter owns any."""
        place = self.place(index)
        return range(place * self.tiles_per_filter, (place + 1) * self.tiles_per_filter)

    @property
    def numbering(self) -> Numbering:
        """The numbers of its rows and columns on a page."""
        each, tiles = max(self.tiles_per_filter, 1), self.tiles
        enlarged = len(self.taps) == 2
        if each == 1:
            return replace(mosaic.row_numbers(tiles), largest=LARGEST_KERNEL if enlarged else None)
        largest, filters = (
            LARGEST_SLICE if enlarged else None,
            tuple(range(0, tiles.count // each, tiles.columns // each)),
        )
        if tiles.columns == each:
            return Numbering(filters, tuple(range(each)), largest=largest)
        return Numbering(filters, tuple(range(tiles.columns // each)), each, largest)


def kernel_layout(arrays: Mapping[str, np.ndarray], layer: LayerRecord) -> KernelLayout:
    """Return how `draw` arranges the same arrays where it does not draw a matrix.

    Args:
        arrays: as for `draw`.
        layer: whose kernel it is.

    Raises:
        ValueError: as `draw`.
    """
    return _arrange(arrays, layer)[2]


def matrix(arrays: Mapping[str, np.ndarray], layer: LayerRecord) -> NDArray[np.floating] | None:
    """Return the kernel that `draw` draws as a matrix, (filters, input channels, taps); None where it draws tiles.

    A matrix is drawn where slices have one weight, or where there are more than a page can show.

    Args:
        arrays: as for `draw`.
        layer: whose kernel it is.

    Raises:
        ValueError: as `draw`.
    """
    kernel, kind = _kernel(arrays, layer)
    if kind == KernelKind.DEPTHWISE:
        return None
    parts = by_filter(kind, kernel)
    filters, inputs = parts.shape[:2]
    if inputs == 1 or (layer.kernel_bands is not None and inputs == RGB_CHANNELS):
        return None
    if parts[0, 0].size > 1 and inputs <= INPUT_LIMIT and filters * inputs <= TILE_LIMIT:
        return None
    return parts.reshape(filters, inputs, -1)


def draw(
    arrays: Mapping[str, np.ndarray],
    layer: LayerRecord,
    beside: Mapping[str, np.ndarray] | None = None,
) -> Figure:
    """Draw the kernel of a layer.

    The scale is linear from -m to m, m the largest magnitude of a finite value drawn. Tiles with a value that is not finite are
    hatched; filters of nothing but zeros are drawn as zero and named in the caption. Kernels of one spatial axis are drawn as
    curves, those of three as slices. Where tiles would be single weights, or too many, the kernel is drawn as a matrix.

    Args:
        arrays: as the store keeps them: `kernel` in Keras's order, (height, width, in, out) for Conv2D, (height, width, out, in)
            for Conv2DTranspose, (height, width, in, multiplier) for DepthwiseConv2D; or `depthwise_kernel`, which is then drawn.
        layer: whose kernel it is.
        beside: a kernel of the same shapes that is drawn on the same scale in another figure.

    Returns:
        The figure.

    Raises:
        ValueError: the kernel does not have one to three spatial axes, or does not fit the layer.
    """
    wide = matrix(arrays, layer)
    if wide is not None:
        of = f"{plural(len(wide), 'filter')} of {_size(_kernel(arrays, layer)[0].shape[:-2])} × {_input_words(layer, wide.shape[1])}"
        return kernel_matrix.draw(layer.path, wide, of, None if beside is None else matrix(beside, layer))
    return _tiled(arrays, layer, beside, *_arrange(arrays, layer))


def draw_slices(arrays: Mapping[str, np.ndarray], layer: LayerRecord, filters: Sequence[int]) -> Figure:
    """Draw the slices of some filters of a kernel that `draw` draws as a matrix.

    The scale ends at the 99.5th percentile of the nonzero magnitudes drawn.

    Args:
        arrays: as for `draw`.
        layer: whose kernel it is.
        filters: those to draw.

    Returns:
        The figure, of each filter's slices with the largest L2 norm.

    Raises:
        ValueError: as `draw`.
    """
    parts, layout = _parts_of(arrays, layer, filters), slices_layout(arrays, layer, filters)
    assert layout.channels is not None
    tiles = parts[np.arange(len(parts))[:, None], layout.channels].reshape(-1, *layout.taps)
    return replace(_tiled(arrays, layer, None, tiles, _only_zeros(parts), layout), numbering=None)


def slices_layout(arrays: Mapping[str, np.ndarray], layer: LayerRecord, filters: Sequence[int]) -> KernelLayout:
    """Return how `draw_slices` arranges the same slices."""
    parts = _parts_of(arrays, layer, filters)
    channels = largest_slices(parts, TILE_LIMIT)
    total, each, taps = channels.size, channels.shape[1], parts.shape[2:]
    return KernelLayout("strongest", _grouped(total, taps, each), each, taps, channels, tuple(filters))


def _parts_of(arrays: Mapping[str, np.ndarray], layer: LayerRecord, filters: Sequence[int]) -> NDArray[np.floating]:
    """The kernels of some filters, (filters, inputs, *taps)."""
    kernel, kind = _kernel(arrays, layer)
    return np.asarray(by_filter(kind, kernel)[list(filters)])


def _tiled(
    arrays: Mapping[str, np.ndarray],
    layer: LayerRecord,
    beside: Mapping[str, np.ndarray] | None,
    tiles: NDArray[np.floating],
    zero: NDArray[np.bool_],
    layout: KernelLayout,
) -> Figure:
    """The figure of `tiles` (count, *taps[, 3]); `zero` says which owners have only zeros."""
    finite = np.isfinite(tiles)
    sound = finite.reshape(len(tiles), -1).all(axis=1)
    broken = np.flatnonzero(~sound).tolist()
    values = np.where(finite, tiles, 0)
    limit = _limit(tiles, layout)
    if beside is not None:
        limit = max(limit, _limit(_arrange(beside, layer)[0], layout))
    largest = float(np.abs(values).max())
    per_owner = max(layout.tiles_per_filter, 1)
    owners = np.arange(len(zero)) if layout.filters is None else np.asarray(layout.filters)
    zero_owners = owners[zero].tolist()
    broken_owners = owners[~sound.reshape(-1, per_owner).all(axis=1)].tolist()

    color = layout.kind == "color"
    curved = len(layout.taps) == 1
    paint = _color_picture if color else _curve_picture if curved else _mapped_picture
    data = paint(values, limit, layout, broken)
    owner = "depthwise channel" if layout.kind == "depthwise" else "filter"
    facts = [_scale_sentence(limit, color, curved, beside is not None, layout.kind == "strongest" and not curved)]
    if largest > limit and number(largest) != number(limit):
        beyond = percent(float(np.mean(np.abs(values) > limit)))
        facts.append(f"{beyond} of the weights drawn are clipped (largest magnitude {number(largest)}).")
    if zero_owners:
        facts.append(f"{_owners(zero_owners, owner)} only zeros: {named(zero_owners)}.")
    if broken_owners:
        facts.append(f"{_owners(broken_owners, owner)} non-finite weights (hatched): {named(broken_owners)}.")
    what = _what(layer, layout, arrays)
    return Figure(
        png=data,
        tiles=layout.tiles,
        caption=" ".join([f"{what[0].upper()}{what[1:]}.", *facts]),
        alt=f"Weights of {layer.path}: {plural(layer.filters_total, 'filter')} of {_size(layout.taps)}.",
        legend=None if color or curved or limit == 0 else (-limit, limit, palette.DIVERGING),
        numbering=layout.numbering,
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


def _kernel(arrays: Mapping[str, np.ndarray], layer: LayerRecord) -> tuple[NDArray[np.floating], KernelKind]:
    """The kernel that is drawn, of a floating type, in Keras's order, and how its axes are arranged."""
    separable = "depthwise_kernel" in arrays
    stored = np.asarray(arrays["depthwise_kernel" if separable else "kernel"])
    if stored.ndim not in KERNEL_AXES or stored.size == 0:
        raise ValueError(
            f"{layer.path}: a kernel of shape {stored.shape} is not drawn, only those of one to three spatial axes"
        )
    kernel = stored.astype(np.result_type(stored.dtype, np.float32))
    kind = KernelKind.DEPTHWISE if separable else layer.kernel_kind or KernelKind.PLAIN
    if not separable and len(by_filter(kind, kernel)) != layer.filters_total:
        raise ValueError(f"{layer.path}: a kernel of shape {stored.shape} does not make {layer.filters_total} filters")
    return kernel, kind


def _arrange(
    arrays: Mapping[str, np.ndarray], layer: LayerRecord
) -> tuple[NDArray[np.floating], NDArray[np.bool_], KernelLayout]:
    """The tiles to draw, (count, *taps[, 3]), which owners have only zeros, (owners,), and the layout."""
    kernel, kind = _kernel(arrays, layer)
    taps = kernel.shape[:-2]
    parts = by_filter(kind, kernel)
    if kind == KernelKind.DEPTHWISE:
        tiles = parts[:, 0]
        separable = "depthwise_kernel" in arrays
        name = "depthwise" if separable else "channels"
        return tiles, _only_zeros(tiles), KernelLayout(name, _layout(len(tiles), taps), 0 if separable else 1, taps)
    filters, inputs = parts.shape[:2]
    zero = _only_zeros(parts)
    if layer.kernel_bands is not None and inputs == RGB_CHANNELS:
        tiles = np.moveaxis(parts, 1, -1)
        tiles = tiles[..., ::-1] if layer.kernel_bands == ChannelOrder.BGR else tiles
        return tiles, zero, KernelLayout("color", _layout(len(tiles), taps), 1, taps)
    tiles = parts.reshape(filters * inputs, *taps)
    if inputs == 1:
        return tiles, zero, KernelLayout("slices", _layout(len(tiles), taps), 1, taps)
    return tiles, zero, KernelLayout("slices", _layout(len(tiles), taps, filters, inputs), inputs, taps)


def _only_zeros(owners: NDArray[np.floating]) -> NDArray[np.bool_]:
    return np.asarray((owners == 0).reshape(len(owners), -1).all(axis=1))


def _layout(total: int, taps: Sequence[int], filters: int = 0, inputs: int = 0) -> Tiles:
    """The tiles of all kernels; those of a filter side by side where `inputs` is given."""
    height, width = PICTURE_HEIGHT // max(filters, 1), PICTURE_WIDTH // max(inputs, 1)
    columns = inputs if inputs else mosaic.columns_for(total)
    if len(taps) == 1:
        canvas = (_within(height, CURVE_HEIGHTS), _within(width, CURVE_WIDTHS))
        return mosaic.choose_tiles(total, *canvas, columns=columns, smallest=1)
    if len(taps) > 2:
        smallest = max(min(width, height, LARGEST_VOLUME), SMALLEST_VOLUME) if inputs else LARGEST_VOLUME
        return slices.choose_tiles(total, taps, columns=columns, smallest=smallest)
    abreast = 1  # filters in a row of the grid
    while inputs and -(-filters // abreast) > max(ROWS, abreast * inputs // 2) and 2 * abreast * inputs <= INPUT_LIMIT:
        abreast *= 2
    layout = mosaic.choose_tiles(total, taps[0], taps[1], columns=columns * abreast, smallest=TILE)
    layout = replace(layout, gap=max(1, layout.scale // GAP_SHARE))
    return replace(layout, group=inputs) if abreast > 1 else layout


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


def _owners(owners: list[int], noun: str) -> str:
    return f"{plural(len(owners), noun)} {'has' if len(owners) == 1 else 'have'}"


def _what(layer: LayerRecord, layout: KernelLayout, arrays: Mapping[str, np.ndarray]) -> str:
    tiles = layout.tiles
    size = _size(layout.taps)
    if len(layout.taps) > 2:
        size += f" (each tile shows {slices.words(layout.taps[0])})"
    if layout.kind == "depthwise":
        return f"{plural(tiles.count, 'depthwise kernel')} of {size}, one per tile; the next figure shows the pointwise kernel"
    filters = plural(layer.filters_total, "filter")
    if layout.kind == "color":
        return f"{filters} of {size}, one per tile, in RGB"
    if layout.kind == "channels":
        return f"{filters} of {size}, one per tile in the order of the output channels"
    inputs = _input_words(layer, input_channels(layer.kernel_kind or KernelKind.PLAIN, arrays["kernel"].shape))
    if layout.kind == "strongest":
        filters = plural(len(layout.filters or ()), "filter")
        each = plural(layout.tiles_per_filter, "tile")
        return f"{filters} of {size}, {each} per filter: of its {inputs} those with the largest L2 norm, largest first"
    if layout.tiles_per_filter == 1:
        return f"{filters} of {size}, one per tile, each with {inputs}"
    if tiles.columns > layout.tiles_per_filter:
        return (
            f"{filters} of {size}, {plural(tiles.columns // layout.tiles_per_filter, 'filter')} per row, one tile for each of the "
            f"{inputs}; a filter’s number is that of its row plus that of its column"
        )
    return f"{filters} of {size}, one row per filter and one tile for each of its {inputs}"


def _size(taps: Sequence[int]) -> str:
    return plural(taps[0], "tap") if len(taps) == 1 else shape(taps)


def _input_words(layer: LayerRecord, inputs: int) -> str:
    grouped = " of its group" if layer.groups is not None and layer.groups > 1 else ""
    return f"{plural(inputs, 'input channel')}{grouped}"
