"""Patterns of a layer, or its minimal patterns: one picture a filter with its number, pixel for pixel as it was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reportgen.artefacts.layer_entry import LayerEntry
from reportgen.core.verdicts import DEAD, NOT_FINITE, OK, SILENT, WEAK
from reportgen.figures import grid
from reportgen.figures.labels import MIDDLE_GRAY, chosen, counted, owners_of, scale_bars, steps_and_seed, tile_labels
from reportgen.figures.sheet import PaperFigure
from reportgen.figures.source import Drawn, Facts, LayerArrays, Request, Source
from reportgen.figures.style import LIGHT
from reportgen.figures.values import curve
from reportgen.render.curves import shares_between, zero_share
from reportgen.render.picture import PICTURE_AXES, seen
from reportgen.render.text import NOUNS, count, dimensions, named, plural

UNSEEN = {DEAD: "dead", SILENT: "silent", NOT_FINITE: "not finite"}  # pictures of which would be noise
UNMOVED = "unchanged"  # the word at a minimal picture that its filter responds to as to the start
LINE = 1.25  # height of a line of letters, in their size
ROW_GAP_MM = 0.5
CURVE_MM, CURVE_GAP_MM = (24.0, 7.0), 1.5  # least width and the height of a signal's curve, and between two signals


def draw(source: Source, layer: LayerArrays, request: Request) -> Drawn | None:
    """Draw the patterns of a layer; None where it has none of the filters."""
    record, images = layer.record.patterns, layer.patterns
    rows = chosen([] if record is None else [item.index for item in record.filters], request)
    if record is None or images is None or not rows:
        return None
    found = [record.filters[row] for row in rows]
    numbers = [item.index for item in found]
    words = {item.index: UNSEEN[item.verdict] for item in found if item.verdict in UNSEEN}
    sentences = [
        f"Activation-maximizing {_pictures(images)} (patterns) of {counted(numbers, layer.record)}, {_size(images)}.",
        steps_and_seed(source.document, record.recipe, record.steps),
        _against_images({item.index: item.verdict for item in found}, record.natural_crops),
    ]
    return _drawn(
        source.document,
        layer.record,
        images[rows],
        numbers,
        record.crop,
        words,
        sentences,
        request,
    )


def draw_minimal(source: Source, layer: LayerArrays, request: Request) -> Drawn | None:
    """Draw the minimal patterns of a layer; None where it has none of the filters."""
    record, patterns, images = layer.record.minimal_patterns, layer.record.patterns, layer.minimal_patterns
    rows = chosen([] if record is None else [item.index for item in record.filters], request)
    if record is None or images is None or not rows:
        return None
    found = [record.filters[row] for row in rows]
    numbers = [item.index for item in found]
    words = {item.index: UNMOVED for item in found if item.is_unmoved}
    words |= {item.index: UNSEEN[NOT_FINITE] for item in found if item.is_broken}
    sentences = [
        f"Minimizing {_pictures(images)} of {counted(numbers, layer.record)}, {_size(images)}: optimized for the least "
        "pre-activation.",
        "" if patterns is None else steps_and_seed(source.document, patterns.recipe, patterns.steps),
    ]
    crop = 0 if patterns is None else patterns.crop
    return _drawn(source.document, layer.record, images[rows], numbers, crop, words, sentences, request)


def _pictures(images: NDArray[Any]) -> str:
    return f"{NOUNS[images.ndim - 2].one}s"


def _size(images: NDArray[Any]) -> str:
    return dimensions(images.shape[1:-1])


def _against_images(verdicts: Mapping[int, str], crops: int | None) -> str:
    """How many of the drawn patterns exceed the user's images, and which do not."""
    above = [number for number, verdict in verdicts.items() if verdict == OK]
    below = [number for number, verdict in verdicts.items() if verdict == WEAK]
    if crops is None or not above + below:
        return ""
    verb = "exceeds" if len(above) == 1 else "exceed"
    judged = len(above) + len(below)
    who = "All" if not below and judged > 1 else f"{count(len(above))} of {count(judged)}"
    but = f" (all but {named(below)})" if below and above else ""
    return f"{who}{but} {verb} the largest response to {plural(crops, 'natural input')}."


def _drawn(
    facts: Facts,
    layer: LayerEntry,
    images: NDArray[Any],
    numbers: Sequence[int],
    crop: int,
    words: Mapping[int, str],
    sentences: Sequence[str],
    request: Request,
) -> Drawn:
    """The grid with its caption; `words` stand in the place of pictures that would be noise."""
    bands = facts.settings.get("bands")
    channels = None if bands is None else (bands[0], bands[1], bands[2])
    view = seen(images, channels, crop=crop)
    caption = [
        *sentences,
        *([] if layer.is_output else [f"Numbers are indices of {owners_of(layer)}."]),
        *([f"Each shows {view.bands}."] if view.bands else []),
        *([view.scale] if view.scale else []),
        *([f"{plural(crop, 'pixel')} at each side not shown."] if crop else []),
        *(
            f"Gray, {word}: {named([number for number in numbers if words.get(number) == word])}."
            for word in dict.fromkeys(words.values())
        ),
    ]
    plain = images.ndim == PICTURE_AXES and (view.bands is None or channels is not None)
    if view.curved:
        figure = _curves(layer, images, numbers, words, request)
    else:
        figure = _tiles(layer, view.pixels, numbers, words, request, layer.receptive_field if plain else None, plain)
    return Drawn(figure, " ".join(filter(None, caption)))


def _curves(
    layer: LayerEntry, images: NDArray[Any], numbers: Sequence[int], words: Mapping[int, str], request: Request
) -> PaperFigure:
    """The sheet of signals of few channels: the curves of the channels below one another, all on one scale."""
    sheet = request.sheet
    finite = images[np.isfinite(images)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    shares = shares_between(np.nan_to_num(images.astype(np.float64)), low, high)
    zero = zero_share(low, high)
    bands, gap = images.shape[-1], sheet.mm(CURVE_GAP_MM)
    columns = max(1, min(len(numbers), int((sheet.width + gap) // (sheet.mm(CURVE_MM[0]) + gap))))
    width, height = (sheet.width - (columns - 1) * gap) / columns, sheet.mm(CURVE_MM[1])
    above = sheet.pt(sheet.small * LINE)
    pitch = above + bands * height + sheet.mm(ROW_GAP_MM)
    bottom: float = 0
    for position, (number, label) in enumerate(zip(numbers, tile_labels(layer, numbers), strict=True)):
        row, column = divmod(position, columns)
        x, y = column * (width + gap), row * pitch + above
        sheet.text(x, y - above * 0.25, sheet.fitted(label, width))
        if number in words:
            sheet.text(x + width / 2, y + bands * height / 2, words[number], across="center", down="center")
            sheet.box(x, y, width, bands * height, edge=LIGHT)
        for band in range(0 if number in words else bands):
            curve(sheet, x, y + band * height, (height, width), shares[position, :, band], zero)
        bottom = max(bottom, y + bands * height)
    return sheet.finish(bottom + 1)


def _tiles(
    layer: LayerEntry,
    pixels: NDArray[np.uint8],
    numbers: Sequence[int],
    words: Mapping[int, str],
    request: Request,
    field: Sequence[int | None] | None,
    measured: bool,
) -> PaperFigure:
    """The sheet; where pixels are `measured`, bars below the grid state lengths."""
    sheet = request.sheet
    height, width = pixels.shape[1:3]
    place = grid.choose(len(numbers), (height, width), sheet.width, sheet.dpi)
    labels = tile_labels(layer, numbers)
    above = sheet.pt(sheet.small * LINE)
    pitch = above + place.height + sheet.mm(ROW_GAP_MM)
    bottom: float = 0
    for position, number in enumerate(numbers):
        row, column = divmod(position, place.columns)
        x, y = place.left(column), round(row * pitch + above)
        sheet.text(x, y - above * 0.25, sheet.fitted(labels[position], place.width))
        if number in words:
            sheet.picture(x, y, np.full((height, width), MIDDLE_GRAY, np.uint8), place.scale)
            size = min(sheet.small, sheet.small * 0.9 * place.width / sheet.text_width(words[number]))
            center = x + place.width / 2, y + place.height / 2
            sheet.text(*center, words[number], size=size, across="center", down="center", color="white")
        else:
            sheet.picture(x, y, pixels[position], place.scale)
            sheet.outline(x, y, place.width, place.height)
        bottom = max(bottom, y + place.height)
    across = place.left(min(place.columns, len(numbers)) - 1) + place.width
    if not measured or width == 1:
        return sheet.finish(bottom, across)
    bottom, right = scale_bars(sheet, bottom + sheet.mm(1.2), place, width, field)
    return sheet.finish(bottom, max(across, right))
