"""The picture and data files of one layer: drawn, written, and described without their bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from reportgen.arrays import pack
from reportgen.records import Figure, ImageRecord, Tiles
from reportgen.render import feature_maps, mosaic, palette, png, weights
from reportgen.render import patterns as pattern_grid
from reportgen.render.picture import RGB_BANDS, encode, visible
from reportgen.render.weights import KernelLayout
from reportgen.report.output import Output
from reportgen.report.stored import ImageMaps, StoredLayer
from reportgen.verdict import DEAD, NOT_FINITE

FLOAT16_LARGEST = float(np.finfo(np.float16).max)
STRIP_PATTERNS = 8  # thumbnails in a row of the layer table
STRIP_PIXELS = 64  # a thumbnail's longer side; shown smaller, so that it is sharp on dense screens


@dataclass(frozen=True)
class Picture:
    """A picture file at `path` (relative to the report) and what its reader must be told; see `records.Figure`."""

    path: str
    tiles: Tiles
    caption: str
    alt: str
    legend: tuple[float, float, str] | None


@dataclass(frozen=True)
class ImageFile:
    """One of the user's images as a file at `path`. first_of: how many bands it has where only the first is drawn."""

    path: str
    width: int
    height: int
    first_of: int | None


@dataclass(frozen=True)
class MapPictures:
    """The mosaics of one image, after the activation function and before it; None where there is none to draw."""

    image: ImageRecord
    after: Picture | None
    before: Picture | None


@dataclass(frozen=True)
class LayerPictures:
    """Every picture of one layer.

    weights_note: why the kernel is not drawn. kernel: which of its tiles belong to a filter.
    """

    weights: Picture | None
    weights_note: str | None
    kernel: KernelLayout | None
    maps: tuple[MapPictures, ...]
    patterns: Picture | None
    strip: Picture | None


def draw_layer(stored: StoredLayer, facts: dict[str, Any], output: Output) -> LayerPictures:
    """Draw and write every figure of a layer; `facts` is its entry of report.json."""
    slug = stored.layer.slug
    kernel_picture, kernel, note = None, None, None
    if stored.weights is not None:
        try:
            kernel_picture = _keep(output, f"figures/{slug}/weights.png", weights.draw(stored.weights, stored.layer))
            kernel = weights.kernel_layout(stored.weights, stored.layer)
        except ValueError as error:
            note = str(error)
    maps = tuple(_draw_maps(stored, item, output) for item in stored.maps)
    if stored.patterns is None:
        return LayerPictures(kernel_picture, note, kernel, maps, None, None)

    words = [item["verdict"] for item in facts["patterns"]["filters"]]
    dead = frozenset(position for position, word in enumerate(words) if word == DEAD)
    broken = frozenset(position for position, word in enumerate(words) if word == NOT_FINITE)
    grid = pattern_grid.draw(
        stored.patterns.images,
        stored.patterns.indices,
        dead,
        broken,
        title=f"Patterns of {stored.layer.path}",
        filters_total=stored.layer.filters_total,
    )
    return LayerPictures(
        kernel_picture,
        note,
        kernel,
        maps,
        _keep(output, f"figures/{slug}/patterns.png", grid),
        _keep(output, f"figures/{slug}/strip.png", draw_strip(stored, dead, broken)),
    )


def write_data(stored: StoredLayer, output: Output) -> None:
    """Write the arrays of a layer as other programs read them."""
    folder = f"data/{stored.layer.slug}"
    if stored.weights is not None:
        output.write(f"{folder}/weights.npz", pack(stored.weights))
    if stored.patterns is not None:
        arrays = {"images": stored.patterns.images, "indices": stored.patterns.indices.astype(np.int32, copy=False)}
        output.write(f"{folder}/patterns.npz", pack(arrays))
    if stored.maps:
        output.write(f"{folder}/feature_maps.npz", pack({maps.image.slug: _half(maps.maps) for maps in stored.maps}))


def _half(maps: np.ndarray) -> np.ndarray:
    """`maps` as float16, finite values beyond what it holds clipped."""
    if maps.dtype == np.float16:
        return maps
    clipped = np.clip(maps, -FLOAT16_LARGEST, FLOAT16_LARGEST)
    return np.where(np.isfinite(maps), clipped, maps).astype(np.float16)


def write_picture(image: ImageRecord, pixels: np.ndarray, output: Output) -> ImageFile:
    """Write one of the user's images, uint8 (height, width, bands), as the model was fed it."""
    height, width, bands = pixels.shape
    path = f"assets/images/{image.slug}.png"
    output.write(path, encode(pixels))
    return ImageFile(path, width, height, None if bands in (1, RGB_BANDS) else bands)


def draw_strip(stored: StoredLayer, dead: frozenset[int], broken: frozenset[int]) -> Figure:
    """A row of at most STRIP_PATTERNS patterns, evenly spaced among those shown; only here are patterns ever shrunk."""
    assert stored.patterns is not None
    count = min(STRIP_PATTERNS, len(stored.patterns.images))
    chosen = [round(position) for position in np.linspace(0, len(stored.patterns.images) - 1, count)]
    small = np.stack([_shrunk(visible(stored.patterns.images[position])) for position in chosen])
    tiles = mosaic.choose_tiles(count, *small.shape[1:3], columns=count, smallest=STRIP_PIXELS)
    picture = mosaic.compose(small, tiles, palette.GREYS[palette.GAP])
    mosaic.fill(
        picture, tiles, [place for place, item in enumerate(chosen) if item in dead], palette.GREYS[palette.FLAT]
    )
    hatched = [place for place, item in enumerate(chosen) if item in broken]
    mosaic.hatch(picture, tiles, hatched, palette.GREYS[palette.BROKEN], palette.GREYS[palette.BROKEN_LINE])
    names = ", ".join(str(int(stored.patterns.indices[position])) for position in chosen)
    alt = f"Patterns of filters {names} of {stored.layer.path}, small"
    return Figure(png.encode(picture), tiles, "", alt, None)


def _shrunk(pixels: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    longer = max(height, width)
    if longer <= STRIP_PIXELS:
        return pixels
    size = (max(1, width * STRIP_PIXELS // longer), max(1, height * STRIP_PIXELS // longer))
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize(size, Image.Resampling.BOX))


def _draw_maps(stored: StoredLayer, maps: ImageMaps, output: Output) -> MapPictures:
    base = f"figures/{stored.layer.slug}/feature_maps/{maps.image.slug}"
    title = f"{stored.layer.path} on {maps.image.name}"
    after = _draw_map(output, f"{base}.png", maps.maps, title, maps.facts, "")
    if maps.pre is None:
        return MapPictures(maps.image, after, None)
    return MapPictures(
        maps.image,
        after,
        _draw_map(output, f"{base}.pre.png", maps.pre, f"{title}, before the activation function", maps.facts, "pre_"),
    )


def _draw_map(
    output: Output, path: str, maps: np.ndarray, title: str, facts: dict[str, Any], prefix: str
) -> Picture | None:
    low, high = facts.get(f"{prefix}minimum"), facts.get(f"{prefix}maximum")
    truth = None if low is None or high is None else (float(low), float(high))
    try:
        return _keep(output, path, feature_maps.draw(maps, title=title, true_range=truth))
    except ValueError:  # not (height, width, channels): the arrays are still in the data file
        return None


def _keep(output: Output, path: str, figure: Figure) -> Picture:
    output.write(path, figure.png)
    return Picture(path, figure.tiles, figure.caption, figure.alt, figure.legend)
