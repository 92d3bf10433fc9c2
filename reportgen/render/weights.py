"""A layer's kernel as a picture: in colour where it looks at colours, else slice by slice, symmetric about zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from reportgen.core.records import KernelKind, LayerRecord
from reportgen.render import curves, mosaic, palette, png, slices
from reportgen.render.figure import Figure, Tiles
from reportgen.render.scale import SCALE_PERCENTILE
from reportgen.render.strongest import strongest
from reportgen.render.text import count, figure, named, percent, plural, shape

TILE_LIMIT = 4096  # 64 filters of 64 channels; beyond it a slice is too small to see and the picture too large to load
COLOURS = 3
KERNEL_AXES = (3, 4, 5)  # of one, two or three spatial axes
CURVE_HEIGHTS, CURVE_WIDTHS = (24, 48), (28, 72)  # pixels of a curve: least and most
LARGEST_VOLUME, SMALLEST_VOLUME = 96, 36  # the same of slices side by side
LARGEST_TILE, SMALLEST_TILE = 24, 6  # pixels along a kernel's longer side, where the picture's size leaves the choice
PICTURE_WIDTH, PICTURE_HEIGHT = 1200, 4000  # pixels to stay within where tiles can be made smaller
STRONGEST_COLUMNS, STRONGEST_TILE = 64, 12  # tiles a row, and pixels of one, where only the strongest slices are drawn
GREY_ZERO, GREY_REACH = 127.5, 127.5  # 8-bit value of a weight of 0, and the way from there to the largest weight


@dataclass(frozen=True)
class KernelLayout:
    """Which tiles of a weight picture belong to which filter.

    kind: "colour" (a tile a filter, RGB), "slices" (a row of tiles a filter, one an input channel), "strongest" (some
    tiles a filter, of the input channels that weigh most), "channels" (depthwise: a tile a filter), "depthwise" (separable: a tile
    a depthwise channel, which no single filter owns). tiles_per_filter: consecutive tiles of one filter, 0 where no
    filter owns any. taps: of the kernel, on each spatial axis: a curve of one, a picture of two, slices of three.
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
    """How `draw` lays out the same arrays. Raises ValueError as `draw` does."""
    return _arrange(arrays, layer)[2]


def draw(
    arrays: Mapping[str, np.ndarray],
    layer: LayerRecord,
    beside: Mapping[str, np.ndarray] | None = None,
    chosen_by: Mapping[str, np.ndarray] | None = None,
) -> Figure:
    """The kernel of `layer`.

    arrays: as the store keeps them: `kernel` in Keras order, (height, width, in, out) for Conv2D, (height, width,
    out, in) for Conv2DTranspose, (height, width, in, multiplier) for DepthwiseConv2D; or `depthwise_kernel`, of which
    the picture is made. Kernels of one spatial axis are drawn as curves, those of three as slices.

    beside: the arrays of a kernel of the same shapes that is drawn on the same scale in a picture of its own.
    chosen_by: the arrays whose strongest slices are drawn where not all are; `arrays` where not given.

    Every weight v is drawn on a linear scale from -m to m, m the largest magnitude of a finite value drawn, or the 99.5th
    percentile of the magnitudes other than 0 where only the strongest slices are drawn. Tiles
    with a value that is not finite are hatched; filters of nothing but zeros are drawn as zero and named. Raises
    ValueError where the kernel does not have one to three spatial axes or does not fit the layer.
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

    colour = layout.kind == "colour"
    curved = len(layout.taps) == 1
    paint = _colour_picture if colour else _curve_picture if curved else _mapped_picture
    data = paint(values, limit, layout, broken)
    owner = "depthwise channel" if layout.kind == "depthwise" else "filter"
    facts = [_scale_sentence(limit, colour, curved, beside is not None, layout.kind == "strongest" and not curved)]
    if largest > limit:
        beyond = percent(float(np.mean(np.abs(values) > limit)))
        facts.append(f"{beyond} of the weights drawn are larger (up to {figure(largest)}) and have an end colour.")
    if zero_owners:
        facts.append(f"{_owners(zero_owners, owner)} nothing but zeros: {named(zero_owners)}.")
    if broken_owners:
        facts.append(f"{_owners(broken_owners, owner)} non-finite weights, drawn hatched: {named(broken_owners)}.")
    what = _what(layer, layout, arrays)
    return Figure(
        png=data,
        tiles=layout.tiles,
        caption=" ".join([f"{what[0].upper()}{what[1:]}.", *facts]),
        alt=" ".join([f"Weights of {layer.path}: {what}.", *facts]),
        legend=None if colour or curved or limit == 0 else (-limit, limit, palette.DIVERGING),
    )


def pointwise(arrays: Mapping[str, np.ndarray], layer: LayerRecord) -> tuple[dict[str, np.ndarray], LayerRecord] | None:
    """A separable layer's second kernel as `draw` and `kernel_layout` take it, a plain kernel of one tap; None where there is none.

    One tap of one axis would be a curve of a single position, so it is drawn as a plane.
    """
    if "pointwise_kernel" not in arrays:
        return None
    kernel = np.asarray(arrays["pointwise_kernel"])
    plain = msgspec.structs.replace(layer, kernel_kind=KernelKind.PLAIN, kernel_bands=None, groups=None)
    return {"kernel": kernel.reshape(1, 1, *kernel.shape[-2:])}, plain


def _limit(tiles: NDArray[np.floating], layout: KernelLayout) -> float:
    """Where the scale ends: at the largest finite magnitude; of many slices at a percentile, or a few would leave the others pale."""
    magnitudes = np.abs(tiles[np.isfinite(tiles)])
    if layout.kind != "strongest" or len(layout.taps) == 1:
        return float(magnitudes.max(initial=0))
    magnitudes = magnitudes[magnitudes > 0]
    return float(np.percentile(magnitudes, SCALE_PERCENTILE, method="higher")) if magnitudes.size else 0.0


def _arrange(
    arrays: Mapping[str, np.ndarray], layer: LayerRecord, channels: NDArray[np.intp] | None = None
) -> tuple[NDArray[np.floating], NDArray[np.bool_], KernelLayout]:
    """The tiles to draw, (count, *taps[, 3]), which owners have only zeros, (owners,), and the layout.

    channels: the input channels to draw where not all are; the strongest without it.
    """
    separable = "depthwise_kernel" in arrays
    stored = np.asarray(arrays["depthwise_kernel" if separable else "kernel"])
    if stored.ndim not in KERNEL_AXES or stored.size == 0:
        raise ValueError(
            f"{layer.path}: a kernel of shape {stored.shape} is not drawn, only those of one to three spatial axes"
        )
    kernel = stored.astype(np.result_type(stored.dtype, np.float32))
    taps = kernel.shape[:-2]
    if separable or layer.kernel_kind == "depthwise":
        tiles = np.moveaxis(kernel.reshape(*taps, -1), -1, 0)
        kind = "depthwise" if separable else "channels"
        if not separable and len(tiles) != layer.filters_total:
            raise _misfit(layer, stored)
        return tiles, _only_zeros(tiles), KernelLayout(kind, _layout(len(tiles), taps), 0 if separable else 1, taps)
    if layer.kernel_kind == "transposed":
        kernel = np.swapaxes(kernel, -1, -2)
    inputs, filters = kernel.shape[-2:]
    if filters != layer.filters_total:
        raise _misfit(layer, stored)
    parts = np.moveaxis(kernel, (-1, -2), (0, 1))  # (filters, inputs, *taps)
    zero = _only_zeros(parts)
    if layer.kernel_bands in ("RGB", "BGR") and inputs == COLOURS:
        tiles = np.moveaxis(parts, 1, -1)
        tiles = tiles[..., ::-1] if layer.kernel_bands == "BGR" else tiles
        return tiles, zero, KernelLayout("colour", _layout(len(tiles), taps), 1, taps)
    if filters * inputs > TILE_LIMIT:
        if channels is None:
            channels = strongest(parts, TILE_LIMIT)
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
    """The tiles of all kernels; a row a filter and a column an input where these are given."""
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
    """The tiles of filters that stand side by side, `each` tiles a filter."""
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


def _colour_picture(values: NDArray[np.floating], limit: float, layout: KernelLayout, broken: Sequence[int]) -> bytes:
    shares = values / values.dtype.type(limit if limit > 0 else 1.0)
    pixels = _flat(np.rint(GREY_ZERO + GREY_REACH * shares).astype(np.uint8), layout, palette.GREYS[palette.GAP])
    picture = mosaic.compose(pixels, layout.tiles, palette.GREYS[palette.GAP])
    mosaic.hatch(picture, layout.tiles, broken, palette.GREYS[palette.BROKEN], palette.GREYS[palette.BROKEN_LINE])
    return png.encode(picture)


def _flat(tiles: NDArray[np.uint8], layout: KernelLayout, gap: int) -> NDArray[np.uint8]:
    return slices.laid_out(tiles, gap) if len(layout.taps) > 2 else tiles


def _curve_picture(values: NDArray[np.floating], limit: float, layout: KernelLayout, broken: Sequence[int]) -> bytes:
    reach = limit if limit > 0 else 1.0
    canvas = curves.Canvas(layout.tiles.tile_height, layout.tiles.tile_width)
    drawn = curves.draw(curves.shares_between(values, -reach, reach), canvas, zero=0.5)
    picture = mosaic.compose(drawn, layout.tiles, palette.GREYS[palette.GAP])
    mosaic.hatch(picture, layout.tiles, broken, palette.GREYS[palette.BROKEN], palette.GREYS[palette.BROKEN_LINE])
    return png.encode(picture)


def _scale_sentence(limit: float, colour: bool, curved: bool, shared: bool, most: bool) -> str:
    """shared: another picture has the same scale. most: it ends where a few weights are still larger."""
    if limit == 0:
        return "Every finite weight drawn is 0."
    bottom, top = figure(-limit), figure(limit)
    if colour:
        largest = "the largest magnitude in the layer"
        scale = f"Red, green and blue are each linear from {bottom} (none) through 0 (mid grey) to {top} (full)"
    elif curved:
        largest = "the largest magnitude drawn"
        scale = f"Each curve is linear from {bottom} (bottom) through 0 (grey line) to {top} (top)"
    else:
        largest = "the largest magnitude drawn"
        scale = f"Colours ({palette.DIVERGING}) are linear from {bottom} (blue) through 0 (white) to {top} (red)"
    if most:
        largest = f"the {SCALE_PERCENTILE}th percentile of the magnitudes drawn other than 0"
    if shared and most:
        largest += ", the larger one of before and after training, on one scale with the picture beside it"
    elif shared:
        largest = "the largest magnitude before or after training, on one scale with the picture beside it"
    return f"{scale}, {largest}."


def _owners(owners: list[int], noun: str) -> str:
    return f"{plural(len(owners), noun)} {'has' if len(owners) == 1 else 'have'}"


def _what(layer: LayerRecord, layout: KernelLayout, arrays: Mapping[str, np.ndarray]) -> str:
    tiles = layout.tiles
    size = plural(layout.taps[0], "tap") if len(layout.taps) == 1 else shape(layout.taps)
    if len(layout.taps) > 2:
        size += f" (a tile holds {slices.words(layout.taps[0])})"
    if layout.kind == "depthwise":
        return f"{plural(tiles.count, 'depthwise kernel')} of {size}, one a tile; the pointwise kernel that mixes them follows"
    filters = plural(layer.filters_total, "filter")
    if layout.kind == "colour":
        return f"{filters} of {size} in the colours of the input image, one a tile"
    if layout.kind == "channels":
        return f"{filters} of {size}, one a tile in the order of the output channels"
    inputs = plural(_inputs(layer, arrays), "input channel")
    grouped = " of its group" if layer.groups is not None and layer.groups > 1 else ""
    if layout.kind == "strongest":
        each = "1 tile" if layout.tiles_per_filter == 1 else f"{layout.tiles_per_filter} tiles side by side"
        return (
            f"{filters} of {size}, {each} a filter: of its {inputs}{grouped} those whose weights are largest (L2 norm), "
            f"the strongest first, because all would be more than {count(TILE_LIMIT)} tiles"
        )
    if layout.tiles_per_filter == 1:
        return f"{filters} of {size}, one a tile, each over {inputs}{grouped}"
    return f"{filters} of {size}, one a row; its tiles are the {inputs}{grouped}"


def _inputs(layer: LayerRecord, arrays: Mapping[str, np.ndarray]) -> int:
    return int(arrays["kernel"].shape[-1 if layer.kernel_kind == "transposed" else -2])
