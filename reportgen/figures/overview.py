"""The overview of a network on images: images as rows, layers as columns, the strongest map of each layer, and the predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reportgen.artefacts.predictions import ImageEntry
from reportgen.core.axes import inner_slices
from reportgen.core.choices import Normalization
from reportgen.core.settings import MapStyle
from reportgen.figures import grid
from reportgen.figures.labels import LAST_PARTS, images_of, spaced
from reportgen.figures.sheet import Sheet
from reportgen.figures.source import Drawn, LayerArrays, Source
from reportgen.figures.values import is_flat, plane, value_tile
from reportgen.render import palette
from reportgen.render.scale import Scale, choose
from reportgen.render.text import number, percent, plural

CELL_MM = 6.7  # width of a cell at least
LARGEST_CELL_MM = 16.0
GAP_MM, APART_MM = 0.5, 1.4
WIDER_MM = 0.8  # what the gap grows by at most where cells are narrower than the room
LEAST_CELL = 0.8  # of the room for a cell that it may take, so that pictures fit it
HEAD_MM = 26.0  # of the layers' names, at most
ANSWER_MM = 18.0  # of the predictions, at most
MOST_CERTAIN = "> 99.9 %"  # the widest probability
BAR_MM = (12.0, 1.6)  # length and thickness of a color bar
LINE = 1.25


@dataclass(frozen=True)
class Column:
    """A layer's strongest filter: its maps, one an image, on one scale."""

    layer: LayerArrays
    filter: int
    maps: tuple[NDArray[np.float32], ...]
    scale: Scale | None


def draw(source: Source, layers: Sequence[LayerArrays], images: Sequence[str], sheet: Sheet) -> Drawn | None:
    """Draw the overview; None where the report keeps no maps."""
    entries = [image for image in source.document.images if image.slug in images]
    entries.sort(key=lambda image: images.index(image.slug))
    found = [
        layer
        for layer in layers
        if not layer.record.is_output
        and entries
        and {image.slug for image in entries}
        <= {item.image for item in layer.record.feature_maps if item.array is not None}
    ]
    if not found:
        return None
    predicted = any(image.predictions for image in entries)
    gap, line = sheet.mm(GAP_MM), sheet.pt(sheet.small * LINE)
    labels = [image.predictions[0].label for image in entries if image.predictions]
    answers = (
        min(max(map(sheet.text_width, [*labels, MOST_CERTAIN])), sheet.mm(ANSWER_MM)) + sheet.mm(APART_MM)
        if predicted
        else 0.0
    )
    room = sheet.width - answers - sheet.mm(APART_MM)
    most = max(1, int((room + gap) // (sheet.mm(CELL_MM) + gap)) - 1)
    shown = [found[place] for place in spaced(range(len(found)), most)]
    columns = [_column(layer, entries, source) for layer in shown]
    widest = min((room - len(shown) * gap) / (len(shown) + 1), sheet.mm(LARGEST_CELL_MM))
    pictures = [source.picture(image.slug) for image in entries]
    sides = [item.shape[1] for item in pictures if item is not None]
    sides += [column.maps[0].shape[1] for column in columns if column.maps[0].ndim > 1]
    cell = _cell(widest, sides)
    gap += round(min(widest - cell, sheet.mm(WIDER_MM)))
    names = [column.layer.record.name for column in columns]
    head = min(max(map(sheet.text_width, names)), sheet.mm(HEAD_MM)) + sheet.mm(0.8)
    left = cell + sheet.mm(APART_MM)
    for place, name in enumerate(names):
        middle = left + place * (cell + gap) + cell / 2 + sheet.pt(sheet.small * 0.36)
        sheet.text(middle, head - sheet.mm(0.6), sheet.fitted(name, head), rotation=90)
    y: float = round(head)
    for row, image in enumerate(entries):
        height = _row(sheet, pictures[row], image, row, columns, (cell, gap), y)
        if predicted and image.predictions:
            best = image.predictions[0]
            x = left + len(columns) * (cell + gap) + sheet.mm(APART_MM) - gap
            words = sheet.fitted(best.label, sheet.width - x)
            sheet.text(x, y + height / 2 - line * 0.1, words)
            sheet.text(x, y + height / 2 + line * 0.9, percent(best.probability), color="0.3")
        y += round(height) + gap
    bottom = _feet(sheet, columns, left, cell, gap, y + line * 0.75)
    right = left + len(columns) * (cell + gap) - gap + answers
    return Drawn(sheet.finish(bottom, right), _caption(source, entries, found, columns, predicted))


def _column(layer: LayerArrays, images: Sequence[ImageEntry], source: Source) -> Column:
    """The filter whose peaks, without the border, are highest in the mean over the images; among the channels that are kept."""
    arrays = [layer.feature_maps(image.slug) for image in images]
    inner = [maps[inner_slices(maps.shape[:-1], times=layer.record.time_axes)] for maps in arrays]
    peaks = np.mean(
        [np.max(np.nan_to_num(maps, nan=-np.inf), axis=tuple(range(maps.ndim - 1))) for maps in inner], axis=0
    )
    place = int(np.argmax(peaks))
    maps = tuple(plane(array[..., place]) for array in arrays)
    drawn = [values.ravel() for values in maps if np.isfinite(values).all() and not is_flat(values)]
    style = MapStyle(normalize=Normalization.PER_LAYER.value, colormap=MapStyle.of(source.document.settings).colormap)
    channels = layer.record.feature_maps[0].channels
    scale = choose(np.concatenate(drawn), style) if drawn else None
    return Column(layer, place if channels is None else channels[place], maps, scale)


def _cell(widest: float, sides: Sequence[int]) -> float:
    """The width of a cell that is large, and that pictures of some widths fill."""

    def filled(size: int) -> float:
        return min((grid.enlargement(size, side) * side / size for side in sides), default=1.0)

    least = max(1, int(widest * LEAST_CELL))
    return float(max(range(max(int(widest), least), least - 1, -1), key=lambda size: size * filled(size) ** 2))


def _row(
    sheet: Sheet,
    picture: NDArray[np.uint8] | None,
    image: ImageEntry,
    row: int,
    columns: Sequence[Column],
    pitch: tuple[float, float],
    y: float,
) -> float:
    """Draw an image and its maps, in cells of `pitch` (width, gap); returns the height."""
    cell, gap = pitch
    ratio = image.height / image.width if picture is None else picture.shape[0] / picture.shape[1]
    height = cell * min(ratio, 1.5)
    if picture is not None:
        scale = min(grid.enlargement(cell, picture.shape[1]), grid.enlargement(height, picture.shape[0]))
        across, down = cell - scale * picture.shape[1], height - scale * picture.shape[0]
        sheet.picture(across // 2, y + down // 2, picture, scale)
    left = cell + sheet.mm(APART_MM)
    for place, column in enumerate(columns):
        values = column.maps[row]
        high, wide = height, cell
        if values.ndim > 1:
            scale = min(grid.enlargement(cell, values.shape[1]), grid.enlargement(height, values.shape[0]))
            high, wide = values.shape[0] * scale, values.shape[1] * scale
        x = left + place * (cell + gap) + (cell - wide) // 2
        value_tile(sheet, round(x), y + (height - high) // 2, (high, wide), values, column.scale)
    return height


def _feet(sheet: Sheet, columns: Sequence[Column], left: float, cell: float, gap: float, y: float) -> float:
    """Below each column its filter and where its scale ends; then the color bars that all share. Returns where they end."""
    line = sheet.pt(sheet.small * LINE)
    sheet.text(left - sheet.mm(APART_MM), y, "filter", across="right")
    sheet.text(left - sheet.mm(APART_MM), y + line, "max.", across="right")
    for place, column in enumerate(columns):
        middle = left + place * (cell + gap) + cell / 2
        sheet.text(middle, y, str(column.filter), across="center")
        if column.scale is not None and column.scale.legend is not None:
            top = column.scale.legend[1]
            sheet.text(middle, y + line, _short(top) if isinstance(top, float) else top, across="center")
    y += 2 * line
    x = left
    planes = [column for column in columns if column.maps[0].ndim > 1]
    scales = {column.scale.palette: column.scale for column in planes if column.scale is not None}
    for name, scale in sorted(scales.items()):
        if scale.legend is not None:
            low = "−max." if name == palette.DIVERGING else "0"
            x = _bar(sheet, x, y, name, low) + sheet.mm(3)
    return y + (sheet.mm(BAR_MM[1]) if scales else -0.7 * line) + 1


def _bar(sheet: Sheet, x: float, y: float, name: str, low: str) -> float:
    """Draw a horizontal color bar up to a column's maximum; returns its right end."""
    length, thick = (sheet.mm(side) for side in BAR_MM)
    base = y + thick / 2 + sheet.pt(sheet.small * 0.36)
    sheet.text(x, base, low)
    x += sheet.text_width(low) + sheet.mm(0.8)
    sheet.picture(x, y, palette.colors(name, palette.LEVELS)[None], length / palette.LEVELS, thick, frame=True)
    x += length + sheet.mm(0.8)
    sheet.text(x, base, "max.")
    return x + sheet.text_width("max.")


def _short(value: float) -> str:
    """Three digits: more do not fit below a cell."""
    return number(float(f"{value:.3g}")).rstrip("0").rstrip(".") if 1e-3 <= abs(value) < 1e6 else number(value)


def _caption(
    source: Source,
    images: Sequence[ImageEntry],
    found: Sequence[LayerArrays],
    columns: Sequence[Column],
    predicted: bool,
) -> str:
    signed = any(column.scale is not None and column.scale.palette == palette.DIVERGING for column in columns)
    maps = MapStyle.of(source.document.settings).colormap
    total = sum(image.shown for image in source.document.images)
    which = "all" if len(columns) == len(found) else f"{len(columns)} of"
    sentences = [
        f"Feature maps of the model {source.document.model.name} for {images_of([image.name for image in images], total)} (left), from "
        f"input to output: {which} {plural(len(found), 'layer')}{'' if which == 'all' else ', evenly spaced'}, of each the filter with "
        "the highest mean peak activation over these images, borders left out.",
        f"Each column has a linear scale of its own ({maps}) from 0 to the number below it"
        + (
            "; columns with negative values are blue for negative, white for 0 and red for positive values, symmetric about 0."
            if signed
            else "."
        ),
        "Values above it are clipped.",
        *(["Right: the most probable class."] if predicted else []),
        *([LAST_PARTS] if any(column.layer.record.name != column.layer.record.path for column in columns) else []),
    ]
    return " ".join(sentences)
