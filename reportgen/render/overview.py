"""One column of the overview figure: a few maps of a layer on several images, small, on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reportgen.core.axes import inner_slices
from reportgen.core.settings import MapStyle
from reportgen.render import curves, feature_maps, mosaic, palette, png
from reportgen.render.figure import Tiles
from reportgen.render.scale import Scale, choose, indices_of_maps

MAPS_PER_CELL = 4  # two by two: a cell then has the shape of the image it belongs to
CELL_COLUMNS = 2
TILE_PIXELS = 80  # longer side of a map; displayed at half of it, so that it is sharp on dense screens
CURVE = curves.Canvas(40, TILE_PIXELS)


@dataclass(frozen=True)
class Cell:
    """The maps of one image, with their `peaks`: the largest finite value of each, NaN where it has none."""

    png: bytes
    tiles: Tiles
    peaks: tuple[float, ...]


@dataclass(frozen=True)
class Column:
    """A layer's cells, image by image, of the same `filters`, maps of `size`, on one scale; None where no value can be drawn.

    `reach` are the smallest and largest finite value of these maps, before they were downsampled; None where there is none.
    """

    filters: tuple[int, ...]
    size: tuple[int, ...]
    scale: Scale | None
    cells: tuple[Cell, ...]
    reach: tuple[float, float] | None


def draw_column(images: Sequence[NDArray[np.generic]], style: MapStyle, times: int = 0) -> Column:
    """Draw the strongest filters of a layer on some images.

    A constant map of more than one position is drawn flat, one that is not finite is hatched.

    Args:
        images: the maps of each image, (height, width, channels), downsampled to TILE_PIXELS by averaging before the scale is
            taken; (steps, channels) are drawn as curves, of (depth, height, width, channels) the middle slice is drawn.
        style: of feature maps.
        times: how many of their first axes are time.

    Raises:
        ValueError: maps have no values, or not one to three axes beside their channels.
    """
    if any(maps.ndim not in feature_maps.MAP_AXES or maps.size == 0 for maps in images):
        raise ValueError("an overview has maps of two to four axes and at least one value")
    filters = strongest(images, times)
    chosen = [np.moveaxis(maps[..., list(filters)], -1, 0).astype(np.float32) for maps in images]
    peaks = [_peaks(maps) for maps in chosen]
    small = np.stack([_small(maps) for maps in chosen])  # (images, filters, height, width) or (images, filters, steps)
    positions = tuple(range(2, small.ndim))
    sound: NDArray[np.bool_] = np.all(np.isfinite(small), axis=positions)
    values = np.where(np.isfinite(small), small, 0)
    varied: NDArray[np.bool_] = np.logical_and(sound, (np.ptp(values, axis=positions) > 0) | (values[0, 0].size == 1))
    scale = choose(small[varied], style)
    used = style.colormap if scale is None else scale.palette
    cells = []
    for image in range(len(images)):
        indices = np.full(small.shape[1:], palette.FLAT, np.uint8)
        if scale is not None and varied[image].any():
            indices[varied[image]] = indices_of_maps(scale, small[image, varied[image]])
        flat, broken = np.flatnonzero(sound[image] & ~varied[image]).tolist(), np.flatnonzero(~sound[image]).tolist()
        if indices.ndim == 2:
            data, layout = feature_maps.drawn_curves(indices, used, flat, broken, CURVE, CELL_COLUMNS)
        else:
            layout = mosaic.choose_tiles(len(filters), *small.shape[2:], columns=CELL_COLUMNS, smallest=TILE_PIXELS)
            picture = mosaic.compose(indices, layout, palette.GAP)
            mosaic.hatch(picture, layout, broken, palette.BROKEN, palette.BROKEN_LINE)
            data = png.encode_indexed(picture, palette.table(used))
        cells.append(Cell(data, layout, tuple(peaks[image].tolist())))
    finite = np.concatenate([maps[np.isfinite(maps)] for maps in chosen])
    reach = (float(finite.min()), float(finite.max())) if finite.size else None
    return Column(filters, images[0].shape[:-1], scale, tuple(cells), reach)


def strongest(images: Sequence[NDArray[np.generic]], times: int = 0) -> tuple[int, ...]:
    """Return the strongest filters of a layer, at most MAPS_PER_CELL, in the order of their numbers.

    These have the highest mean peak over the images. Values that are not finite are ignored; of equals, the lower number is taken.

    Args:
        images: the maps of each image, (..., channels).
        times: how many of their first axes are time; on every other axis the border (see `reportgen.core.axes`) is excluded.
    """
    reached = np.mean(
        [_peaks(np.moveaxis(maps[inner_slices(maps.shape[:-1], times=times)], -1, 0)) for maps in images], axis=0
    )
    order = np.argsort(-np.where(np.isfinite(reached), reached, -np.inf), kind="stable")
    return tuple(sorted(order[:MAPS_PER_CELL].tolist()))


def _peaks(maps: NDArray[np.generic]) -> NDArray[np.float64]:
    """The largest finite value of each of (channels, ...), NaN where there is none."""
    values = maps.reshape(len(maps), -1).astype(np.float64)
    highest = np.max(values, axis=1, initial=-np.inf, where=np.isfinite(values))
    return np.where(np.isfinite(highest), highest, np.nan)


def _small(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Maps (filters, *lengths) as they are drawn: planes shrunk, the middle slice of volumes, signals whole."""
    if maps.ndim == 2:
        return maps
    planes = maps[:, maps.shape[1] // 2] if maps.ndim > 3 else maps
    return np.stack([mosaic.shrunk(tile, TILE_PIXELS) for tile in planes])
