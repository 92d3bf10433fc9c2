"""Feature maps of a layer: a row per image, the image first, then the same filters in every row on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_lowercase

import numpy as np
from numpy.typing import NDArray

from reportgen.core.choices import Normalization
from reportgen.core.settings import MapStyle
from reportgen.figures.labels import chosen, color_bar, color_bar_width, counted, spaced
from reportgen.figures.sheet import Sheet
from reportgen.figures.source import Drawn, Facts, LayerArrays, Request, Source
from reportgen.figures.values import is_flat, plane, value_tile
from reportgen.render.scale import COLORED, CURVED, Scale, choose
from reportgen.render.text import AXIS_UNITS, listed, plural, shape

MOST_MAPS, FEWEST_MAPS = 8, 4  # of a row, unless the user names filters
GAP_MM, WIDEST_GAP_MM, APART_MM = 0.4, 1.2, 1.6  # between maps at least and at most, and between the image and them
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
    if not request.listed:
        places = list(spaced(places, _columns(sheet)))
    if not places:
        return None
    maps = [
        [plane(values) for values in np.moveaxis(layer.feature_maps(image)[..., places], -1, 0)] for image in images
    ]
    scale = _scale([tile for row in maps for tile in row], source.document)
    numbers = [stored[place] for place in places]
    bottom = _rows(source, sheet, images, maps, numbers, scale)
    return Drawn(sheet.finish(bottom), _caption(source.document, layer, images, numbers, maps, scale))


def _columns(sheet: Sheet) -> int:
    """How many maps stand in a row: more on a wider sheet."""
    return max(FEWEST_MAPS, min(2 * MOST_MAPS, int(sheet.width / sheet.mm(11))))


def _scale(tiles: Sequence[NDArray[np.float32]], facts: Facts) -> Scale | None:
    """One scale for all maps drawn, constant ones and those that are not finite left out."""
    drawn = [tile.ravel() for tile in tiles if np.isfinite(tile).all() and not is_flat(tile)]
    colormap = MapStyle.of(facts.settings).colormap
    style = MapStyle(normalize=Normalization.PER_LAYER.value, colormap=colormap)
    return choose(np.concatenate(drawn), style) if drawn else None


def _rows(
    source: Source,
    sheet: Sheet,
    images: Sequence[str],
    maps: Sequence[Sequence[NDArray[np.float32]]],
    numbers: Sequence[int],
    scale: Scale | None,
) -> float:
    """Draw everything; returns where it ends. Rows of more maps than fit go on below, under the image's first row."""
    pictures = [source.picture(image) for image in images]
    gap, line = sheet.mm(GAP_MM), sheet.pt(sheet.small * LINE)
    legend = None if scale is None else scale.legend
    bar = 0.0 if legend is None else color_bar_width(sheet, legend) + sheet.mm(APART_MM)
    with_pictures = any(picture is not None for picture in pictures)
    first = maps[0][0]
    letters = [f"({letter})" for letter in LETTERS[: len(images)]] if 1 < len(images) <= len(LETTERS) else []
    margin = max(map(sheet.text_width, letters)) + sheet.mm(LETTER_MM) if letters else 0.0
    apart = sheet.mm(APART_MM) if with_pictures else 0.0
    room = sheet.width - margin - bar - apart
    count, width = _row_length(room, gap, first.shape[-1], min(len(numbers), _columns(sheet)), with_pictures)
    spare = room - (count + with_pictures) * width - apart + gap
    gap = min(max(gap, int(spare / max(count - 1, 1))), sheet.mm(WIDEST_GAP_MM))
    ratio = CURVE_SHAPE if first.ndim == 1 else first.shape[0] / first.shape[1]
    height = width * ratio
    left = margin + (width + sheet.mm(APART_MM) if with_pictures else 0.0)
    lines = -(-len(numbers) // count)
    y = top = line
    for place in range(count if lines == 1 else 0):
        middle = left + place * (width + gap) + width / 2
        sheet.text(middle, line * 0.75, str(numbers[place]), across="center")
    for row, (picture, tiles) in enumerate(zip(pictures, maps, strict=True)):
        if lines > 1 and row:
            y += line
        if picture is not None:
            fit = _aligned(min(width, height * picture.shape[1] / picture.shape[0]), picture.shape[1])
            sheet.picture(round(margin), round(y), picture, fit / picture.shape[1])
        for place, tile in enumerate(tiles):
            across, down = place % count, place // count
            x, at = left + across * (width + gap), y + down * (height + gap + (line if lines > 1 else 0))
            if lines > 1:
                sheet.text(x + width / 2, at - line * 0.25, str(numbers[place]), across="center")
            value_tile(sheet, x, round(at), (height, width), tile, scale)
        if letters:
            sheet.text(0, y + line * 0.75, letters[row])
        y += lines * (height + gap) + (lines - 1) * line if lines > 1 else height + gap
    bottom = y - gap
    if legend is not None:
        color_bar(sheet, sheet.width - bar + sheet.mm(APART_MM), top, min(bottom - top, sheet.mm(40)), legend)
    return bottom


def _row_length(room: float, gap: float, pixels: int, most: int, with_pictures: bool) -> tuple[int, float]:
    """How many maps stand in a row, and how wide each is, so that most of the room is used."""
    options = []
    for count in range(most, max(min(FEWEST_MAPS, most), 1) - 1, -1):
        columns = count + with_pictures
        width = _aligned((room - (count - 1) * gap) / columns, pixels)
        options.append((round(columns * width / room, 2), count, width))
    _, count, width = max(options)
    return count, width


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
        f"Feature maps{after} of {counted(len(numbers), record)} for {shown}"
        + (f" ({len(images)} of {plural(total, 'image')})" if len(images) < total else "")
        + f", {shape(lengths)} {AXIS_UNITS.get(len(lengths), 'positions')} each.",
        "Numbers are indices of filters.",
        *(["Of each volume the middle slice is shown."] if len(lengths) > 2 else []),
        *([scale.sentence(CURVED if len(lengths) == 1 else COLORED)] if scale is not None else []),
        *([f"Gray: {plural(constant, 'constant map')}."] if constant else []),
        *([f"Hatched: {plural(broken, 'map')} with values that are not finite."] if broken else []),
    ]
    return " ".join(sentences)
