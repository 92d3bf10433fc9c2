"""Exemplars of a layer's filters: a row a filter, the crops of the data set's images that excite it most, the strongest first."""

from __future__ import annotations

from collections.abc import Sequence

from reportgen.artefacts.data_records import COLUMNS
from reportgen.artefacts.layer_entry import LayerEntry
from reportgen.core.grids import largest_box, shown_size
from reportgen.figures import grid
from reportgen.figures.labels import counted, owners_of, spaced
from reportgen.figures.source import Drawn, LayerArrays, Request, Source
from reportgen.render.exemplars import CELL, crops_of
from reportgen.render.text import count, dimensions, named, plural
from reportgen.survey.selection import EXEMPLARS

MOST_ROWS = 12  # filters of a figure unless the user names them
LABEL_MM, GAP_MM = 1.0, 0.4  # between a number and its row, and between rows
OF_GRAY, OF_RGB = 1, 3  # channels of images whose crops are drawn as they are


def draw(source: Source, layer: LayerArrays, request: Request) -> Drawn | None:
    """Draw the exemplars of a layer; None without a data set, or where none of the filters is ever active."""
    record, facts = layer.record, source.document
    if record.data is None or facts.dataset is None:
        return None
    wanted = [index for index in request.filters if index in record.filters_shown]
    numbers = wanted if request.listed else list(spaced(wanted, MOST_ROWS))
    found = {index: record.data.filters[index].exemplars for index in numbers}
    sheets = {index: layer.exemplar_sheet(index) for index in numbers if found[index]}
    if not any(picture is not None for picture in sheets.values()):
        return None
    lengths = _lengths(record, facts.input.size)
    bands = facts.settings.get("bands")
    as_is = facts.input.bands in (OF_GRAY, OF_RGB) or bands is not None
    size = shown_size(lengths) if as_is else (CELL, CELL)
    sheet = request.sheet
    labels = {index: str(index) for index in numbers}
    left = max(sheet.text_width(words) for words in labels.values()) + sheet.mm(LABEL_MM)
    first = next(crops_of(picture, 1, COLUMNS, size)[0] for picture in sheets.values() if picture is not None)
    place = grid.choose(EXEMPLARS, first.shape[:2], round(sheet.width - left), sheet.dpi, columns=EXEMPLARS)
    bottom: float = 0
    for row, index in enumerate(numbers):
        top = round(row * (place.height + sheet.mm(GAP_MM)))
        middle = top + place.height / 2
        sheet.text(left - sheet.mm(LABEL_MM), middle, labels[index], across="right", down="center")
        picture = sheets.get(index)
        if picture is None:
            sheet.text(left, middle, "never active" if not found[index] else "not drawn", down="center")
        else:
            for column, crop in enumerate(crops_of(picture, len(found[index]), COLUMNS, size)):
                sheet.picture(left + place.left(column), top, crop, place.scale)
                sheet.outline(left + place.left(column), top, place.width, place.height)
        bottom = top + place.height
    caption = _caption(source, record, numbers, lengths, [index for index in numbers if not found[index]])
    return Drawn(sheet.finish(bottom, left + place.left(EXEMPLARS - 1) + place.width), caption)


def _lengths(record: LayerEntry, size: Sequence[int]) -> list[int]:
    """The pixels of the largest crop on each axis: what all crops of a layer are drawn as large as."""
    assert record.data is not None
    boxes = [
        each.box
        for item in record.data.filters
        for each in (*item.exemplars, *item.samples)
        if each.box is not None and item.index in record.filters_shown
    ]
    axes = len(size)  # a box has the first pixel on every axis, then the last
    return largest_box(([(box[axis], box[axis + axes]) for axis in range(axes)] for box in boxes), size)


def _caption(
    source: Source, record: LayerEntry, numbers: Sequence[int], lengths: Sequence[int], silent: Sequence[int]
) -> str:
    dataset = source.document.dataset
    assert dataset is not None
    size = shown_size(lengths)
    sentences = [
        f"Exemplars of {counted(numbers, record)}: the {EXEMPLARS} of {plural(dataset.images, 'image')} of the data set {dataset.source} "
        "with the largest peaks, the largest first, at most one of images with the same pixels.",
        f"{_cut(lengths, source.document.input.size)}"
        + (f", reduced to {dimensions(size)} by means." if list(size) != list(lengths) else "; pixels are repeated."),
        "What lies outside of an image is gray.",
        f"Numbers are indices of {owners_of(record)}.",
    ]
    if silent:
        sentences.append(f"{count(len(silent))} never active: {named(silent)}.")
    return " ".join(sentences)


def _cut(lengths: Sequence[int], size: Sequence[int]) -> str:
    """What a picture shows of its image."""
    if list(lengths) == list(size):
        return f"The receptive field of the peak is as large as the images or larger: each is shown whole ({dimensions(lengths)})"
    return f"Each is cut by the receptive field ({dimensions(lengths)}) of its peak"
