"""Feature maps of a layer: a row per image, the image first, then the same filters in every row on one scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_lowercase

import numpy as np
from numpy.typing import NDArray

from reportgen.core.choices import Normalization
from reportgen.core.settings import MapStyle
from reportgen.figures import grid
from reportgen.figures.labels import (
    bar_height,
    chosen,
    color_bar,
    color_bar_width,
    counted,
    images_of,
    scale_words,
    spaced,
)
from reportgen.figures.sheet import Sheet
from reportgen.figures.source import Drawn, Facts, LayerArrays, Request, Source
from reportgen.figures.values import is_flat, plane, value_tile
from reportgen.render.scale import Scale, choose
from reportgen.render.text import AXIS_UNITS, listed, plural, shape

MOST_MAPS, FEWEST_MAPS = 8, 4  # of a row, unless the user names filters
GAP_MM, WIDEST_GAP_MM, APART_MM = 0.4, 1.2, 1.6  # between maps at least and at most, and between the image and them
FEWER = 0.04  # what a map less in a row weighs against unused room
LETTERS = ascii_lowercase  # of rows, which captions refer to
LETTER_MM = 0.8  # between a letter and its row
LINE = 1.25  # height of a line of letters, in their size
CURVE_SHAPE = 0.6  # height of a curve, in its width


def draw(source: Source, layer: LayerArrays, request: Request) -> Drawn | None:
    """Draw the maps of some images; None where the report keeps none of them."""
    sheet, record = request.sheet, layer.record
    kept = {item.image: item for item in record.feature_maps if item.array is not None}
    images = [image for image in request.images if image in kept]
    if not images:
        return None
    channels = kept[images[0]].channels
    stored = list(range(record.filters_total)) if channels is None else list(channels)
    places = chosen(stored, request)
    if not places:
        return None
    pictures = [source.picture(image) for image in images]
    arrays = [layer.feature_maps(image) for image in images]
    first = plane(arrays[0][..., 0])
    most = min(len(places), _columns(sheet))

    def tiles(numbers: Sequence[int]) -> list[list[NDArray[np.float32]]]:
        return [[plane(values) for values in np.moveaxis(array[..., list(numbers)], -1, 0)] for array in arrays]

    def fewer(count: int) -> list[int]:
        return places if request.listed else list(spaced(places, count))

    bars = {count: _bar_width(sheet, _scale(tiles(fewer(count)), source.document)) for count in _counts(most)}
    layout = _layout(sheet, first, bars, len(images), any(picture is not None for picture in pictures))
    places = fewer(layout.count)
    maps = tiles(places)
    scale = _scale(maps, source.document)
    numbers = [stored[place] for place in places]
    figure = sheet.finish(*_rows(sheet, layout, pictures, maps, numbers, scale))
    return Drawn(figure, _caption(source.document, layer, images, numbers, maps, scale))


@dataclass(frozen=True)
class Layout:
    """Where maps stand, in pixels of the sheet.

    Attributes:
        count: of maps in a row.
        margin: where pictures begin, after the rows' letters.
        left: where maps begin.
        width: of a map, like its `height`.
    """

    count: int
    margin: int
    left: int
    width: float
    height: float
    gap: int
    letters: tuple[str, ...]


def _counts(most: int) -> range:
    """How many maps may stand in a row, of at most `most`."""
    return range(min(FEWEST_MAPS, most), most + 1)


def _bar_width(sheet: Sheet, scale: Scale | None) -> float:
    """The room that a color bar takes with its distance from the maps."""
    return 0.0 if scale is None or scale.legend is None else color_bar_width(sheet, scale.legend) + sheet.mm(APART_MM)


def _layout(
    sheet: Sheet,
    first: NDArray[np.float32],
    bars: Mapping[int, float],
    images: int,
    pictures: bool,
) -> Layout:
    """Choose how many maps stand in a row and how wide they are, so that most of the room is used.

    Args:
        sheet: to draw on.
        first: one of the maps.
        bars: room for the color bar, by the number of maps.
        images: rows.
        pictures: whether any image has one.
    """
    gap, apart = sheet.mm(GAP_MM), sheet.mm(APART_MM) if pictures else 0
    letters = tuple(f"({letter})" for letter in LETTERS[:images]) if 1 < images <= len(LETTERS) else ()
    margin = round(max(map(sheet.text_width, letters)) + sheet.mm(LETTER_MM)) if letters else 0
    options = []
    for count, bar in bars.items():
        columns, room = count + pictures, sheet.width - margin - bar - apart
        width = _aligned((room - (columns - 1) * gap) / columns, first.shape[-1])
        options.append((columns * width / room - FEWER * (max(bars) - count), count, width, room))
    _, count, width, room = max(options)
    spare = (room - (count + pictures) * width) / max(count - 1, 1)
    wide = round(min(max(gap, spare), sheet.mm(WIDEST_GAP_MM)))
    left = margin + (round(width) + apart if pictures else 0)
    return Layout(count, margin, left, width, _height(width, first), wide, letters)


def _height(width: float, first: NDArray[np.float32]) -> float:
    return width * (CURVE_SHAPE if first.ndim == 1 else first.shape[0] / float(first.shape[1]))


def _columns(sheet: Sheet) -> int:
    """How many maps stand in a row: more on a wider sheet."""
    return max(FEWEST_MAPS, min(2 * MOST_MAPS, int(sheet.width / sheet.mm(11))))


def _scale(maps: Sequence[Sequence[NDArray[np.float32]]], facts: Facts) -> Scale | None:
    """One scale for all maps drawn, constant ones and those that are not finite left out."""
    drawn = [tile.ravel() for row in maps for tile in row if np.isfinite(tile).all() and not is_flat(tile)]
    colormap = MapStyle.of(facts.settings).colormap
    style = MapStyle(normalize=Normalization.PER_LAYER.value, colormap=colormap)
    return choose(np.concatenate(drawn), style) if drawn else None


def _rows(
    sheet: Sheet,
    layout: Layout,
    pictures: Sequence[NDArray[np.uint8] | None],
    maps: Sequence[Sequence[NDArray[np.float32]]],
    numbers: Sequence[int],
    scale: Scale | None,
) -> tuple[float, float]:
    """Draw everything; returns its height and width. Maps of an image that do not fit into a row go on below."""
    line, pitch = sheet.pt(sheet.small * LINE), layout.height + layout.gap
    lines = -(-len(numbers) // layout.count)
    heads = line if lines > 1 else 0.0  # numbers above every row of maps, otherwise above the first alone
    top: float = round(line)
    y = top
    for row, (picture, tiles) in enumerate(zip(pictures, maps, strict=True)):
        if picture is not None:
            sides = (layout.height, picture.shape[0]), (layout.width, picture.shape[1])
            scaled = min(grid.enlargement(room, pixels) for room, pixels in sides)
            across, down = layout.width - scaled * picture.shape[1], layout.height - scaled * picture.shape[0]
            sheet.picture(layout.margin + across // 2, round(y) + down // 2, picture, scaled)
        if layout.letters:
            sheet.text(0, y + line * 0.75, layout.letters[row])
        for place, tile in enumerate(tiles):
            x = layout.left + (place % layout.count) * (round(layout.width) + layout.gap)
            at = y + (place // layout.count) * (pitch + heads)
            value_tile(sheet, x, round(at), (layout.height, layout.width), tile, scale)
            if lines > 1 or row == 0:
                sheet.text(x + layout.width / 2, round(at) - line * 0.25, str(numbers[place]), across="center")
        y += lines * (pitch + heads)
    bottom = y - layout.gap - heads
    columns = min(layout.count, len(numbers))
    right: float = layout.left + columns * (round(layout.width) + layout.gap) - layout.gap
    if scale is not None and scale.legend is not None:
        curves = maps[0][0].ndim == 1
        height = layout.height if curves else bar_height(sheet, bottom - top)  # an axis is that of its row
        right = color_bar(sheet, right + sheet.mm(APART_MM), top, height, scale.legend, curves=curves)
    return bottom, right


def _aligned(room: float, pixels: int) -> float:
    """The largest length not above `room` in which every pixel is a whole number of dots; `room` where there are more pixels."""
    return float(int(room // pixels) * pixels) if room >= pixels else float(room)


def _caption(
    facts: Facts,
    layer: LayerArrays,
    images: Sequence[str],
    numbers: Sequence[int],
    maps: Sequence[Sequence[NDArray[np.float32]]],
    scale: Scale | None,
) -> str:
    record, lengths = layer.record, layer.feature_maps(images[0]).shape[:-1]
    names = {image.slug: image.name for image in facts.images}
    if len(images) > 1:
        shown = listed([f"({letter}) {names[image]}" for letter, image in zip(LETTERS, images, strict=False)])
    else:
        shown = names[images[0]]
    constant = sum(np.isfinite(tile).all() and is_flat(tile) for row in maps for tile in row)
    broken = sum(not np.isfinite(tile).all() for row in maps for tile in row)
    total = sum(image.shown for image in facts.images)
    after = "" if record.activation == "linear" else f" after the activation function ({record.activation})"
    sentences = [
        f"Feature maps{after} of {counted(numbers, record)} for {shown}"
        + (f" ({images_of(images, total)})" if len(images) < total else "")
        + f", {shape(lengths)} {AXIS_UNITS.get(len(lengths), 'positions')} each.",
        "Numbers are indices of filters.",
        *(["Of each volume the middle slice is shown."] if len(lengths) > 2 else []),
        *([scale_words(scale, curves=len(lengths) == 1)] if scale is not None else []),
        *([f"Gray: {plural(constant, 'constant map')}, with the value."] if constant else []),
        *([f"Hatched: {plural(broken, 'map')} with values that are not finite."] if broken else []),
    ]
    return " ".join(sentences)
