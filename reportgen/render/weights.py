"""A layer's kernel as a picture: in colour where it looks at colours, else slice by slice, symmetric about zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reportgen.records import Figure, LayerRecord, Tiles
from reportgen.render import mosaic, palette, png
from reportgen.render.text import count, figure, named, plural, shape

TILE_LIMIT = 4096  # 64 filters of 64 channels; beyond it a slice is too small to see and the picture too large to load
COLOURS = 3
KERNEL_AXES = 4
LARGEST_TILE, SMALLEST_TILE = 24, 6  # pixels along a kernel's longer side, where the picture's size leaves the choice
PICTURE_WIDTH, PICTURE_HEIGHT = 1200, 4000  # pixels to stay within where tiles can be made smaller
GREY_ZERO, GREY_REACH = 127.5, 127.5  # 8-bit value of a weight of 0, and the way from there to the largest weight


@dataclass(frozen=True)
class KernelLayout:
    """Which tiles of a weight picture belong to which filter.

    kind: "colour" (a tile a filter, RGB), "slices" (a row of tiles a filter, one an input channel), "means" (a tile a
    filter: the mean over its input channels), "channels" (depthwise: a tile a filter), "depthwise" (separable: a tile
    a depthwise channel, which no single filter owns). tiles_per_filter: consecutive tiles of one filter, 0 where no
    filter owns any.
    """

    kind: str
    tiles: Tiles
    tiles_per_filter: int

    def filter_tiles(self, index: int) -> range:
        """The tiles of filter `index`, empty where no filter owns any."""
        return range(index * self.tiles_per_filter, (index + 1) * self.tiles_per_filter)


def kernel_layout(arrays: Mapping[str, np.ndarray], layer: LayerRecord) -> KernelLayout:
    """How `draw` lays out the same arrays. Raises ValueError as `draw` does."""
    return _arrange(arrays, layer)[2]


def draw(
    arrays: Mapping[str, np.ndarray], layer: LayerRecord, beside: Mapping[str, np.ndarray] | None = None
) -> Figure:
    """The kernel of `layer`.

    arrays: as the store keeps them: `kernel` in Keras order, (height, width, in, out) for Conv2D, (height, width,
    out, in) for Conv2DTranspose, (height, width, in, multiplier) for DepthwiseConv2D; or `depthwise_kernel`, of which
    the picture is made.

    beside: the arrays of a kernel of the same shapes that is drawn on the same scale in a picture of its own.

    Every weight v is drawn on a linear scale from -m to m, m the largest magnitude of a finite value drawn. Tiles
    with a value that is not finite are hatched; filters of nothing but zeros are drawn as zero and named. Raises
    ValueError where the kernel does not have four axes or does not fit the layer.
    """
    tiles, zero, layout = _arrange(arrays, layer)
    finite = np.isfinite(tiles)
    sound = finite.reshape(len(tiles), -1).all(axis=1)
    broken = np.flatnonzero(~sound).tolist()
    values = np.where(finite, tiles, 0)
    limit = float(np.abs(values).max())
    if beside is not None:
        other = _arrange(beside, layer)[0]
        limit = max(limit, float(np.abs(other).max(initial=0, where=np.isfinite(other))))
    per_owner = max(layout.tiles_per_filter, 1)
    zero_owners = np.flatnonzero(zero).tolist()
    broken_owners = np.flatnonzero(~sound.reshape(-1, per_owner).all(axis=1)).tolist()

    colour = layout.kind == "colour"
    data = _colour_picture(values, limit, layout, broken) if colour else _mapped_picture(values, limit, layout, broken)
    owner = "depthwise channel" if layout.kind == "depthwise" else "filter"
    facts = [_scale_sentence(limit, colour, beside is not None)]
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
        legend=None if colour or limit == 0 else (-limit, limit, palette.DIVERGING),
    )


def _arrange(
    arrays: Mapping[str, np.ndarray], layer: LayerRecord
) -> tuple[NDArray[np.floating], NDArray[np.bool_], KernelLayout]:
    """The tiles to draw, (count, height, width[, 3]), which owners have only zeros, (owners,), and the layout."""
    separable = "depthwise_kernel" in arrays
    stored = np.asarray(arrays["depthwise_kernel" if separable else "kernel"])
    if stored.ndim != KERNEL_AXES or stored.size == 0:
        raise ValueError(f"{layer.path}: a kernel of shape {stored.shape} is not drawn, only those with four axes")
    kernel = stored.astype(np.result_type(stored.dtype, np.float32))
    height, width, third, fourth = kernel.shape
    if separable or "Depthwise" in layer.layer_class:
        tiles = np.moveaxis(kernel.reshape(height, width, third * fourth), -1, 0)
        kind = "depthwise" if separable else "channels"
        if not separable and len(tiles) != layer.filters_total:
            raise _misfit(layer, stored)
        return tiles, _only_zeros(tiles), KernelLayout(kind, _square_layout(tiles.shape), 0 if separable else 1)
    if layer.layer_class.endswith("Transpose"):
        kernel = np.swapaxes(kernel, 2, 3)
    inputs, filters = kernel.shape[2:]
    if filters != layer.filters_total:
        raise _misfit(layer, stored)
    slices = np.transpose(kernel, (3, 2, 0, 1))  # (filters, inputs, height, width)
    zero = _only_zeros(slices)
    if layer.kernel_bands in ("RGB", "BGR") and inputs == COLOURS:
        tiles = np.moveaxis(slices, 1, -1)
        tiles = tiles[..., ::-1] if layer.kernel_bands == "BGR" else tiles
        return tiles, zero, KernelLayout("colour", _square_layout(tiles.shape), 1)
    if filters * inputs > TILE_LIMIT:
        tiles = _means(slices)
        return tiles, zero, KernelLayout("means", _square_layout(tiles.shape), 1)
    tiles = slices.reshape(filters * inputs, height, width)
    if inputs == 1:
        return tiles, zero, KernelLayout("slices", _square_layout(tiles.shape), 1)
    smallest = min(PICTURE_WIDTH // inputs, PICTURE_HEIGHT // filters, LARGEST_TILE)
    layout = mosaic.choose_tiles(len(tiles), height, width, columns=inputs, smallest=max(smallest, SMALLEST_TILE))
    return tiles, zero, KernelLayout("slices", layout, inputs)


def _misfit(layer: LayerRecord, kernel: NDArray[np.generic]) -> ValueError:
    return ValueError(f"{layer.path}: a kernel of shape {kernel.shape} does not make {layer.filters_total} filters")


def _only_zeros(owners: NDArray[np.floating]) -> NDArray[np.bool_]:
    return np.asarray((owners == 0).reshape(len(owners), -1).all(axis=1))


def _square_layout(axes: Sequence[int]) -> Tiles:
    return mosaic.choose_tiles(axes[0], axes[1], axes[2])


def _means(slices: NDArray[np.floating]) -> NDArray[np.floating]:
    with np.errstate(invalid="ignore", over="ignore"):  # infinities of both signs have no mean: the tile is hatched
        return np.asarray(slices.mean(axis=1, dtype=np.float64))


def _mapped_picture(values: NDArray[np.floating], limit: float, layout: KernelLayout, broken: Sequence[int]) -> bytes:
    indices = palette.diverging_index(values, limit if limit > 0 else 1.0)
    picture = mosaic.compose(indices, layout.tiles, palette.GAP)
    mosaic.hatch(picture, layout.tiles, broken, palette.BROKEN, palette.BROKEN_LINE)
    return png.encode_indexed(picture, palette.table(palette.DIVERGING))


def _colour_picture(values: NDArray[np.floating], limit: float, layout: KernelLayout, broken: Sequence[int]) -> bytes:
    shares = values / values.dtype.type(limit if limit > 0 else 1.0)
    pixels = np.rint(GREY_ZERO + GREY_REACH * shares).astype(np.uint8)
    picture = mosaic.compose(pixels, layout.tiles, palette.GREYS[palette.GAP])
    mosaic.hatch(picture, layout.tiles, broken, palette.GREYS[palette.BROKEN], palette.GREYS[palette.BROKEN_LINE])
    return png.encode(picture)


def _scale_sentence(limit: float, colour: bool, shared: bool) -> str:
    """shared: another picture has the same scale."""
    if limit == 0:
        return "Every finite weight drawn is 0."
    bottom, top = figure(-limit), figure(limit)
    if colour:
        largest = "the largest magnitude in the layer"
        scale = f"Red, green and blue are each linear from {bottom} (none) through 0 (mid grey) to {top} (full)"
    else:
        largest = "the largest magnitude drawn"
        scale = f"Colours ({palette.DIVERGING}) are linear from {bottom} (blue) through 0 (white) to {top} (red)"
    if shared:
        largest = "the largest magnitude before or after training, on one scale with the picture beside it"
    return f"{scale}, {largest}."


def _owners(owners: list[int], noun: str) -> str:
    return f"{plural(len(owners), noun)} {'has' if len(owners) == 1 else 'have'}"


def _what(layer: LayerRecord, layout: KernelLayout, arrays: Mapping[str, np.ndarray]) -> str:
    tiles = layout.tiles
    size = shape((tiles.tile_height, tiles.tile_width))
    if layout.kind == "depthwise":
        return f"{plural(tiles.count, 'depthwise kernel')} of {size}, one a tile; the pointwise kernel is not drawn"
    filters = plural(layer.filters_total, "filter")
    if layout.kind == "colour":
        return f"{filters} of {size} in the colours of the input image, one a tile"
    if layout.kind == "channels":
        return f"{filters} of {size}, one a tile in the order of the output channels"
    inputs = plural(tiles.columns if layout.tiles_per_filter > 1 else _inputs(layer, arrays), "input channel")
    grouped = " of its group" if layer.groups is not None and layer.groups > 1 else ""
    if layout.kind == "means":
        return (
            f"{filters} of {size}, one a tile: the mean over the {inputs}{grouped}, "
            f"because single slices would be more than {count(TILE_LIMIT)} tiles"
        )
    if layout.tiles_per_filter == 1:
        return f"{filters} of {size}, one a tile, each over {inputs}{grouped}"
    return f"{filters} of {size}, one a row; its tiles are the {inputs}{grouped}"


def _inputs(layer: LayerRecord, arrays: Mapping[str, np.ndarray]) -> int:
    return int(arrays["kernel"].shape[3 if layer.layer_class.endswith("Transpose") else 2])
