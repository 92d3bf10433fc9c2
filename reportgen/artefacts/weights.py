"""The picture and data files of one layer: drawn, written, and described without their bytes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from reportgen.core.npz import pack
from reportgen.core.records import ImageRecord, InputContract
from reportgen.render.figure import Figure, Tiles
from reportgen.core.settings import MapStyle
from reportgen.core.verdicts import DEAD, NOT_FINITE, SILENT
from reportgen.render import feature_maps, mosaic, palette, png, weights
from reportgen.render import patterns as pattern_grid
from reportgen.render.picture import Bands, seen
from reportgen.render.scale import HALF_LARGEST
from reportgen.render.text import stated
from reportgen.render.weights import KernelLayout
from reportgen.core.numbers import Document
from reportgen.artefacts.patterns import (
    NEGATIVE_IMAGES,
    NEGATIVE_INDICES,
    PEAK_IMAGES,
    PEAK_INDICES,
    STRONGEST_IMAGES,
    STRONGEST_INDICES,
    is_broken,
    is_far,
    is_unmoved,
)
from reportgen.artefacts.base import ImageMaps, Patterns, StoredLayer
from reportgen.render.wording import below_natural, owner_words
from reportgen.report.writing import Output

STRIP_PATTERNS = 8  # thumbnails in a row of the layer table
STRIP_PIXELS = 64  # a thumbnail's longer side; shown smaller, so that it is sharp on dense screens


@dataclass(frozen=True)
class Picture:
    """A picture file at `path` (relative to the report) and what its reader must be told; see `records.Figure`."""

    path: str
    tiles: Tiles
    caption: str
    alt: str
    legend: tuple[float | str, float | str, str] | None


@dataclass(frozen=True)
class ImageFile:
    """One of the user's images as a file at `path`.

    width, height: of the file. fed: the image's lengths as the model was fed it. bands: how its bands are drawn, as a clause, where
    not in their own grey or colours, and on what scale where it is not their own pixels.
    """

    path: str
    width: int
    height: int
    fed: tuple[int, ...]
    bands: str | None


@dataclass(frozen=True)
class MapPictures:
    """The mosaics of one image, after the activation function and before it; None where there is none to draw.

    ranges, before_ranges: float32 (channels, 2), the smallest and largest value of each of their maps; None without maps before it.
    """

    image: ImageRecord
    after: Picture | None
    before: Picture | None
    ranges: np.ndarray
    before_ranges: np.ndarray | None


@dataclass(frozen=True)
class LayerPictures:
    """Every picture of one layer. initial: the kernel before training, on the scale of `weights`.

    weights_note: why the kernel is not drawn. kernel: which of its tiles belong to a filter. bands: how the bands of a
    pattern are drawn, as a clause, where not in their own grey or colours. pointwise, pointwise_layout: the second kernel of a
    separable layer, which is where its filters differ. strongest: the pictures of the strongest response of `strongest_filters`,
    whose readable pattern is far from it.
    """

    weights: Picture | None
    initial: Picture | None
    weights_note: str | None
    kernel: KernelLayout | None
    maps: tuple[MapPictures, ...]
    patterns: Picture | None
    negatives: Picture | None
    strip: Picture | None
    bands: str | None
    strongest: Picture | None = None
    strongest_filters: tuple[int, ...] = ()
    pointwise: Picture | None = None
    pointwise_layout: KernelLayout | None = None


def draw_layer(
    stored: StoredLayer, facts: Document, output: Output, style: MapStyle, bands: Bands | None = None
) -> LayerPictures:
    """Draw and write every figure of a layer.

    facts: its entry of report.json; style: of feature maps; bands: those to show in colour.
    """
    slug = stored.layer.slug
    kernel_picture, initial, kernel, note = None, None, None, None
    if stored.weights is not None:
        try:
            drawn = weights.draw(stored.weights, stored.layer, stored.initial)
            kernel_picture = _keep(output, f"figures/{slug}/weights.png", drawn)
            if stored.initial is not None:
                before = weights.draw(stored.initial, stored.layer, stored.weights, stored.weights)
                before = replace(before, alt=f"Before training: {before.alt}")
                initial = _keep(output, f"figures/{slug}/initial_weights.png", before)
            kernel = weights.kernel_layout(stored.weights, stored.layer)
        except ValueError as error:
            note = str(error)
    pointwise, pointwise_layout = _draw_pointwise(stored, output)
    maps = tuple(_draw_maps(stored, item, output, style) for item in stored.maps)
    if stored.patterns is None:
        return LayerPictures(
            kernel_picture,
            initial,
            note,
            kernel,
            maps,
            None,
            None,
            None,
            None,
            pointwise=pointwise,
            pointwise_layout=pointwise_layout,
        )

    words = [item["verdict"] for item in facts["patterns"]["filters"]]
    dead = frozenset(position for position, word in enumerate(words) if word in (DEAD, SILENT))
    broken = frozenset(position for position, word in enumerate(words) if word == NOT_FINITE)
    grid = pattern_grid.draw(
        stored.patterns.images,
        stored.patterns.indices,
        dead,
        broken,
        title=f"Patterns of {stored.layer.path}",
        filters_total=stored.layer.filters_total,
        crop=stored.patterns.crop,
        bands=bands,
        words=pattern_grid.Words("pattern", *owner_words(stored.layer.is_output), "Dead or silent"),
    )
    negatives = None
    if stored.negatives is not None:
        drawn = _draw_negatives(stored, stored.negatives, facts["patterns"]["negative"]["filters"], bands)
        negatives = _keep(output, f"figures/{slug}/negatives.png", drawn)
    return LayerPictures(
        kernel_picture,
        initial,
        note,
        kernel,
        maps,
        _keep(output, f"figures/{slug}/patterns.png", grid),
        negatives,
        _keep(output, f"figures/{slug}/strip.png", draw_strip(stored, stored.patterns, dead, broken, bands)),
        seen(stored.patterns.images[:1], bands).bands,
        *_draw_strongest(stored, stored.patterns, facts["patterns"]["filters"], output, bands),
        pointwise=pointwise,
        pointwise_layout=pointwise_layout,
    )


def _draw_strongest(
    stored: StoredLayer, found: Patterns, facts: list[Document], output: Output, bands: Bands | None
) -> tuple[Picture | None, tuple[int, ...]]:
    """The grid of the strongest pictures of filters whose readable pattern is far from them, and those filters."""
    far = {item["index"] for item in facts if is_far(item)}
    rows = [row for row, index in enumerate(found.strongest_indices.tolist()) if index in far]
    if not rows:
        return None, ()
    grid = pattern_grid.draw(
        found.strongest_images[rows],
        found.strongest_indices[rows],
        title=f"Strongest responses of {stored.layer.path}",
        filters_total=stored.layer.filters_total,
        bands=bands,
        words=pattern_grid.Words(f"strongest {stored.nouns.made}", *owner_words(stored.layer.is_output)),
    )
    picture = _keep(output, f"figures/{stored.layer.slug}/strongest.png", grid)
    return picture, tuple(int(index) for index in found.strongest_indices[rows])


def _draw_pointwise(stored: StoredLayer, output: Output) -> tuple[Picture | None, KernelLayout | None]:
    """The second kernel of a separable layer, which is where its filters differ, and which of its tiles are whose."""
    plain = None if stored.weights is None else weights.pointwise(stored.weights, stored.layer)
    if plain is None:
        return None, None
    try:
        drawn = weights.draw(*plain)
        layout = weights.kernel_layout(*plain)
    except ValueError:  # a kernel that does not fit the layer: it is in the data file
        return None, None
    drawn = replace(drawn, alt=f"Pointwise kernel: {drawn.alt}", caption=f"Pointwise kernel: {drawn.caption}")
    return _keep(output, f"figures/{stored.layer.slug}/pointwise_weights.png", drawn), layout


def _draw_negatives(stored: StoredLayer, found: Patterns, facts: list[Document], bands: Bands | None) -> Figure:
    """The grid of what each filter answers least to; `facts` are the entries of `patterns.negative` in report.json."""
    owner, owners = owner_words(stored.layer.is_output)
    grid = pattern_grid.draw(
        found.images,
        found.indices,
        frozenset(position for position, item in enumerate(facts) if is_unmoved(item)),
        frozenset(position for position, item in enumerate(facts) if is_broken(item)),
        title=f"Negative patterns of {stored.layer.path}",
        filters_total=stored.layer.filters_total,
        crop=found.crop,
        bands=bands,
        words=pattern_grid.Words("negative pattern", owner, owners, "Answered exactly like the start"),
    )
    what = f"The {stored.nouns.made} that each {owner} answers least to."
    below = below_natural(facts, stored.layer.is_output, stored.nouns.one)
    figures = "" if below is None else f" {below}"
    return replace(grid, caption=f"{what}{figures} {grid.caption}", alt=f"{grid.alt}{figures}")


def write_data(stored: StoredLayer, output: Output) -> None:
    """Write the arrays of a layer as other programs read them."""
    folder = f"data/{stored.layer.slug}"
    if stored.weights is not None:
        output.write(f"{folder}/weights.npz", pack(stored.weights))
    if stored.initial is not None:
        output.write(f"{folder}/initial_weights.npz", pack(stored.initial))
    if stored.patterns is not None:
        found = stored.patterns
        arrays = {"images": found.images, "indices": _numbers(found)}
        arrays |= {
            STRONGEST_IMAGES: found.strongest_images,
            STRONGEST_INDICES: found.strongest_indices.astype(np.int32),
        }
        arrays |= {PEAK_IMAGES: found.highest_images, PEAK_INDICES: found.highest_indices.astype(np.int32)}
        if stored.negatives is not None:
            arrays |= {NEGATIVE_IMAGES: stored.negatives.images, NEGATIVE_INDICES: _numbers(stored.negatives)}
        output.write(f"{folder}/patterns.npz", pack(arrays))
    if stored.maps:
        output.write(f"{folder}/feature_maps.npz", pack({maps.image.slug: _half(maps.maps) for maps in stored.maps}))


def _numbers(patterns: Patterns) -> np.ndarray:
    return patterns.indices.astype(np.int32, copy=False)


def _half(maps: np.ndarray) -> np.ndarray:
    """`maps` as float16, finite values beyond what it holds clipped."""
    if maps.dtype == np.float16:
        return maps
    clipped = np.clip(maps, -HALF_LARGEST, HALF_LARGEST)
    return np.where(np.isfinite(maps), clipped, maps).astype(np.float16)


def write_picture(
    image: ImageRecord, pixels: np.ndarray, output: Output, bands: Bands | None, contract: InputContract
) -> ImageFile:
    """Write one of the user's images, (*lengths, bands), as the model was fed it; `bands` as for `seen`."""
    path = f"assets/images/{image.slug}.png"
    view = seen(pixels[None], bands)
    output.write(path, png.encode(view.pixels[0]))
    height, width = view.pixels.shape[1:3]
    scale = None if view.scale is None else view.scale[0].lower() + view.scale[1:].rstrip(".")
    if contract.is_picture and pixels.dtype != np.uint8:
        low, high = stated(contract.low), stated(contract.high)
        scale = f"in 8 bits, black is what is fed as {low}, white as {high}"
    told = [text for text in (view.bands, scale) if text is not None]
    return ImageFile(path, width, height, pixels.shape[:-1], "; ".join(told) if told else None)


def draw_strip(
    stored: StoredLayer, patterns: Patterns, dead: frozenset[int], broken: frozenset[int], bands: Bands | None
) -> Figure:
    """A row of at most STRIP_PATTERNS patterns, evenly spaced among those shown; only here are patterns ever shrunk."""
    count = min(STRIP_PATTERNS, len(patterns.images))
    chosen = [round(position) for position in np.linspace(0, len(patterns.images) - 1, count)]
    view = seen(patterns.images[chosen], bands, crop=patterns.crop, width=STRIP_PIXELS)
    small = np.stack([mosaic.shrunk(pixels, STRIP_PIXELS) for pixels in view.pixels])
    tiles = mosaic.choose_tiles(count, *small.shape[1:3], columns=count, smallest=STRIP_PIXELS)
    picture = mosaic.compose(small, tiles, palette.GREYS[palette.GAP])
    mosaic.fill(
        picture, tiles, [place for place, item in enumerate(chosen) if item in dead], palette.GREYS[palette.FLAT]
    )
    hatched = [place for place, item in enumerate(chosen) if item in broken]
    mosaic.hatch(picture, tiles, hatched, palette.GREYS[palette.BROKEN], palette.GREYS[palette.BROKEN_LINE])
    names = ", ".join(str(int(patterns.indices[position])) for position in chosen)
    alt = f"Patterns of {owner_words(stored.layer.is_output)[1]} {names} of {stored.layer.path}, small"
    alt = alt if view.bands is None else f"{alt}: {view.bands}"
    return Figure(png.encode(picture), tiles, "", alt, None)


def _draw_maps(stored: StoredLayer, maps: ImageMaps, output: Output, style: MapStyle) -> MapPictures:
    base = f"figures/{stored.layer.slug}/feature_maps/{maps.image.slug}"
    title = f"{stored.layer.path} on {maps.image.name}"
    after = _draw_map(output, f"{base}.png", maps.maps, title, style, maps.facts, "")
    ranges = map_ranges(maps.maps)
    if maps.pre is None:
        return MapPictures(maps.image, after, None, ranges, None)
    title = f"{title}, before {'pooling' if stored.layer.is_pooling else 'the activation function'}"
    before = _draw_map(output, f"{base}.pre.png", maps.pre, title, style, maps.facts, "pre_")
    return MapPictures(maps.image, after, before, ranges, map_ranges(maps.pre))


def map_ranges(maps: np.ndarray) -> np.ndarray:
    """float32 (channels, 2): the smallest and largest finite value of each map of (height, width, channels), NaN without any."""
    flat = maps.reshape(-1, maps.shape[-1]).astype(np.float32)
    finite = np.isfinite(flat)
    low = np.min(flat, axis=0, initial=np.inf, where=finite)
    high = np.max(flat, axis=0, initial=-np.inf, where=finite)
    ranges = np.stack([low, high], axis=1)
    return np.where(np.isfinite(ranges), ranges, np.nan)


def _draw_map(
    output: Output, path: str, maps: np.ndarray, title: str, style: MapStyle, facts: dict[str, Any], prefix: str
) -> Picture | None:
    low, high = facts.get(f"{prefix}minimum"), facts.get(f"{prefix}maximum")
    truth = None if low is None or high is None else (float(low), float(high))
    try:
        return _keep(output, path, feature_maps.draw(maps, title=title, style=style, true_range=truth))
    except ValueError:  # not (height, width, channels): the arrays are still in the data file
        return None


def _keep(output: Output, path: str, figure: Figure) -> Picture:
    output.write(path, figure.png)
    return Picture(path, figure.tiles, figure.caption, figure.alt, figure.legend)
