"""The kernels of a layer: in color where they read the RGB input, as a matrix where they have one tap, otherwise slice by slice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reportgen.artefacts.layer_entry import LayerEntry
from reportgen.core.axes import RGB_CHANNELS, ChannelOrder, KernelKind, by_filter
from reportgen.figures import grid
from reportgen.figures.labels import bar_height, chosen, color_bar, color_bar_width, counted, spaced
from reportgen.figures.sheet import Sheet
from reportgen.figures.source import Drawn, LayerArrays, Request, Source
from reportgen.figures.values import value_tile
from reportgen.render import slices
from reportgen.render.scale import SCALE_PERCENTILE, Shared
from reportgen.render.text import count, named, number, percent, plural, shape
from reportgen.render.weights import largest_slices

MOST_ROWS = 12  # filters of which each has a row of slices, unless the user names filters
SLICE_MM, LARGEST_SLICE_MM = 5.0, 8.0  # the wished length of a slice's longer side, and the most
GAP_MM, ROW_GAP_MM, APART_MM = 0.25, 0.6, 1.6
LINE = 1.25  # height of a line of letters, in their size
MIDDLE_GRAY, REACH = (
    127.5,
    127.5,
)  # 8-bit value of a weight of 0 in an RGB kernel, and its distance from that of the largest
USUAL_RGB, LARGEST_RGB = 8.0, 12.0  # mm along a kernel's longer side, as wished and at most
SHORTEST_BAR_MM = 7.5
LEAST_DOTS = 1.0
LARGEST_DOT_MM, TALLEST_MM = 1.2, 90.0  # of one weight in a matrix, and of the matrix


def draw(source: Source, layer: LayerArrays, request: Request) -> Drawn | None:
    """Draw the kernel of a layer; None where it has none that can be drawn."""
    arrays, record = layer.weights, layer.record
    if arrays is None or record.kernel_kind is None:
        return None
    parts = _parts(arrays, record)
    if parts is None or parts.ndim < 3 or parts.size == 0 or len(parts) != record.filters_total:
        return None
    sheet, taps = request.sheet, parts.shape[2:]
    places = chosen(range(len(parts)), request)
    shared = f"{plural(parts.shape[1], 'input channel')}"
    grouped = " of its group" if record.groups is not None and record.groups > 1 else ""
    if not places:
        return None
    if record.kernel_bands is not None and parts.shape[1] == RGB_CHANNELS and len(taps) == 2:
        return _rgb(parts, places, record, sheet)
    if all(tap == 1 for tap in taps) and parts.shape[1] > 1:
        places = places if request.listed else list(range(len(parts)))
        return _matrix(parts, places, record, sheet, f"{shared}{grouped}")
    if parts.shape[1] == 1:
        return _tiles(parts[:, 0], places, record, sheet)
    places = places if request.listed else list(spaced(places, MOST_ROWS))
    return _slices(parts, places, record, sheet, f"{shared}{grouped}")


def _parts(arrays: Mapping[str, NDArray[Any]], record: LayerEntry) -> NDArray[np.float32] | None:
    """(filters, inputs, *taps); of a separable layer those of the pointwise kernel, in which its filters differ."""
    if record.kernel_kind == KernelKind.SEPARABLE:
        found = arrays.get("pointwise_kernel")
        return None if found is None else np.asarray(by_filter(KernelKind.PLAIN, found), np.float32)
    kernel = arrays.get("kernel")
    if kernel is None or record.kernel_kind is None:
        return None
    return np.asarray(by_filter(record.kernel_kind, kernel), np.float32)


def _rgb(parts: NDArray[np.float32], places: Sequence[int], record: LayerEntry, sheet: Sheet) -> Drawn:
    finite = np.where(np.isfinite(parts), parts, 0)
    limit = float(np.abs(finite).max())
    channels = finite[:, ::-1] if record.kernel_bands == ChannelOrder.BGR else finite
    pixels = np.rint(MIDDLE_GRAY + REACH * np.moveaxis(channels, 1, -1) / (limit or 1.0)).astype(np.uint8)
    height, width = pixels.shape[1:3]
    place = grid.choose(len(places), (height, width), sheet.width, sheet.dpi, usual=USUAL_RGB, largest=LARGEST_RGB)
    line = sheet.pt(sheet.small * LINE)
    y: float = 0
    for position, filter_number in enumerate(places):
        row, column = divmod(position, place.columns)
        x, y = place.left(column), round(line + row * (place.height + line + sheet.mm(0.3)))
        sheet.text(x, y - line * 0.25, str(filter_number))
        sheet.picture(x, y, pixels[filter_number], place.scale)
    what = f"Kernels of {counted(places, record)}, {shape((height, width))} taps in RGB, one pixel per tap."
    scale = f"Linear scale from {number(-limit)} (no color) through 0 (mid-gray) to {number(limit)} (full color)."
    sentences = [what, scale, "Numbers are indices of filters.", *_remarks(parts, places)]
    across = place.left(min(place.columns, len(places)) - 1) + place.width
    return Drawn(sheet.finish(y + place.height, across), " ".join(sentences))


def _tiles(parts: NDArray[np.float32], places: Sequence[int], record: LayerEntry, sheet: Sheet) -> Drawn:
    """A tile per filter, of kernels that are applied to one channel."""
    drawn = parts[list(places)]
    scale, sentences = _scale(drawn)
    tiles = _flat(drawn)
    bar = 0.0 if scale.legend is None else color_bar_width(sheet, scale.legend) + sheet.mm(APART_MM)
    size = _tile_shape(tiles)
    place = grid.choose(len(places), size, int(sheet.width - bar), sheet.dpi, usual=USUAL_RGB, largest=LARGEST_RGB)
    line = sheet.pt(sheet.small * LINE)
    y: float = 0
    for position, filter_number in enumerate(places):
        row, column = divmod(position, place.columns)
        x, y = place.left(column), round(line + row * (place.height + line + sheet.mm(0.3)))
        sheet.text(x, y - line * 0.25, str(filter_number))
        value_tile(sheet, x, y, (place.height, place.width), tiles[position], scale)
        sheet.outline(x, y, place.width, place.height)
    bottom = y + place.height
    across = place.left(min(place.columns, len(places)) - 1) + place.width
    _bar(sheet, line, bottom, scale, at=across)
    what = f"Kernels of {counted(places, record)}, {_taps(parts.shape[1:])}."
    lowest = max(bottom, line + sheet.mm(SHORTEST_BAR_MM)) if scale.legend is not None else bottom
    return Drawn(
        sheet.finish(lowest, across + bar),
        " ".join([what, *sentences, "Numbers are indices of filters.", *_remarks(parts, places)]),
    )


def _slices(parts: NDArray[np.float32], places: Sequence[int], record: LayerEntry, sheet: Sheet, inputs: str) -> Drawn:
    """A row of slices per filter, those of the largest norm first where not all fit."""
    own = parts[list(places)]
    line, gap = sheet.pt(sheet.small * LINE), sheet.mm(GAP_MM)
    left = max(sheet.text_width(str(filter_number)) for filter_number in places) + sheet.mm(0.8)
    room = sheet.width - left - sheet.mm(16)
    fitting = max(1, int((room + gap) // (sheet.mm(SLICE_MM) + gap)))
    everything = parts.shape[1] <= fitting
    channels = (
        np.tile(np.arange(parts.shape[1]), (len(places), 1))
        if everything
        else largest_slices(own, own.size)[:, :fitting]
    )
    drawn = own[np.arange(len(places))[:, None], channels]
    scale, sentences = _scale(drawn)
    tiles = _flat(drawn.reshape(-1, *drawn.shape[2:])).reshape(*drawn.shape[:2], *_flat(drawn[:1, 0]).shape[1:])
    bar = 0.0 if scale.legend is None else color_bar_width(sheet, scale.legend) + sheet.mm(APART_MM)
    columns = channels.shape[1]
    size = _tile_shape(tiles[:, 0])
    place = grid.choose(
        columns,
        size,
        int(sheet.width - left - bar),
        sheet.dpi,
        columns=columns,
        usual=SLICE_MM,
        largest=LARGEST_SLICE_MM,
    )
    pitch = max(place.height + max(gap, sheet.mm(ROW_GAP_MM)), line * 0.9)  # numbers of rows do not touch
    head = line if everything else 0.0
    y = head
    for row, filter_number in enumerate(places):
        y = round(head + row * pitch)
        middle = y + place.height / 2 + sheet.pt(sheet.small * 0.36)
        sheet.text(left - sheet.mm(0.8), middle, str(filter_number), across="right")
        for column in range(columns):
            x = round(left) + place.left(column)
            value_tile(sheet, x, y, (place.height, place.width), tiles[row, column], scale)
            sheet.outline(x, y, place.width, place.height)
    for column in range(columns if everything else 0):
        x = round(left) + place.left(column) + place.width / 2
        sheet.text(x, line * 0.75, str(column), across="center")
    bottom = y + place.height
    across = round(left) + place.left(columns - 1) + place.width
    _bar(sheet, round(head), bottom, scale, at=across)
    which = (
        f"columns are its {inputs}"
        if everything
        else f"columns are the {count(columns)} of its {inputs} with the largest norm, largest first"
    )
    what = f"Kernels of {counted(places, record)}, one row per filter; {which}; {_taps(parts.shape[2:])} each."
    lowest = max(bottom, round(head) + sheet.mm(SHORTEST_BAR_MM)) if scale.legend is not None else bottom
    return Drawn(sheet.finish(lowest, across + bar), " ".join([what, *sentences, *_remarks(parts, places)]))


def _matrix(parts: NDArray[np.float32], places: Sequence[int], record: LayerEntry, sheet: Sheet, inputs: str) -> Drawn:
    """One pixel per weight: the more numerous of filters and input channels from left to right."""
    by_filter = parts[list(places)].reshape(len(places), parts.shape[1])
    lying = len(places) > parts.shape[1]
    matrix = by_filter.T if lying else by_filter
    scale, sentences = _scale(matrix)
    bar = 0.0 if scale.legend is None else color_bar_width(sheet, scale.legend) + sheet.mm(APART_MM)
    line = sheet.pt(sheet.small * LINE)
    left, top = line, line
    room = sheet.width - left - bar
    each = min(room / matrix.shape[1], sheet.mm(LARGEST_DOT_MM), sheet.mm(TALLEST_MM) / len(matrix))
    each = float(int(each)) if each >= LEAST_DOTS else each
    height, width = each * len(matrix), each * matrix.shape[1]
    value_tile(sheet, left, top, (height, width), matrix, scale)
    sheet.box(left, top, width, height, edge="0.3")
    filters = "filters" if len(places) < len(parts) else f"filters 0–{len(parts) - 1}"
    channels = f"input channels 0–{parts.shape[1] - 1}"
    rows, columns = (channels, filters) if lying else (filters, channels)
    if sheet.text_width(rows) < height:
        sheet.text(line * 0.7, top + height / 2, rows, across="center", rotation=90)
    else:
        columns = f"columns: {columns}; rows: {rows}"
    wide = max(width, sheet.text_width(columns))
    sheet.text(left + wide / 2, line * 0.7, columns, across="center")
    _bar(sheet, top, top + height, scale, at=left + width)
    what = (
        f"Kernel of {counted(places, record)}, {_taps(parts.shape[2:])}: one pixel per weight, one {'column' if lying else 'row'} per "
        f"filter, one {'row' if lying else 'column'} for each of its {inputs}."
    )
    bottom = max(top + height, top + sheet.mm(SHORTEST_BAR_MM) if scale.legend is not None else 0)
    figure = sheet.finish(bottom + 1, left + max(width + bar, wide))
    return Drawn(figure, " ".join([what, *sentences, *_remarks(parts, places)]))


def _bar(sheet: Sheet, top: float, bottom: float, scale: Shared, at: float) -> None:
    if scale.legend is not None:
        height = bar_height(sheet, max(bottom - top, sheet.mm(SHORTEST_BAR_MM)))
        color_bar(sheet, at + sheet.mm(APART_MM), top, height, scale.legend)


def _scale(drawn: NDArray[np.float32]) -> tuple[Shared, list[str]]:
    """A scale symmetric about zero that ends at a percentile of the magnitudes drawn, and what is said of it."""
    finite = drawn[np.isfinite(drawn)]
    magnitudes = np.abs(finite)
    nonzero = magnitudes[magnitudes > 0]
    top = float(np.percentile(nonzero, SCALE_PERCENTILE, method="higher")) if nonzero.size else 0.0
    outside = int(np.count_nonzero(magnitudes > top))
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    scale = Shared(top, True, low, high, outside, max(finite.size, 1), "viridis")
    if top == 0:
        return scale, ["All finite weights drawn are 0."]
    ends = f"Linear color scale from {number(-top)} (blue) through 0 (white) to {number(top)} (red)"
    if outside == 0:
        return scale, [f"{ends}, the largest magnitude drawn."]
    largest = number(float(magnitudes.max()))
    return scale, [
        f"{ends}, the {SCALE_PERCENTILE}th percentile of the magnitudes drawn; {percent(outside / finite.size)} are clipped "
        f"(largest magnitude {largest})."
    ]


def _flat(tiles: NDArray[np.float32]) -> NDArray[np.float32]:
    """(count, *taps) as (count, height, width); a volume's slices stand side by side, with zeros between them."""
    if tiles.ndim < 4:
        return tiles if tiles.ndim > 2 else tiles[:, None, :]
    across = slices.columns(tiles.shape[1])
    flat = np.zeros((len(tiles), *slices.flat_size(tiles.shape[1:])), np.float32)
    for place in range(tiles.shape[1]):
        row, column = divmod(place, across)
        y, x = row * (tiles.shape[2] + slices.SLICE_GAP), column * (tiles.shape[3] + slices.SLICE_GAP)
        flat[:, y : y + tiles.shape[2], x : x + tiles.shape[3]] = tiles[:, place]
    return flat


def _tile_shape(tiles: NDArray[np.float32]) -> tuple[int, int]:
    return tiles.shape[-2], tiles.shape[-1]


def _taps(taps: Sequence[int]) -> str:
    return plural(taps[0], "tap") if len(taps) == 1 else f"{shape(taps)} taps"


def _remarks(parts: NDArray[np.float32], places: Sequence[int]) -> list[str]:
    """Filters of nothing but zeros, and with values that are not finite."""
    zero = [place for place in places if not parts[place].any()]
    broken = [place for place in places if not np.isfinite(parts[place]).all()]
    remarks = []
    if zero:
        remarks.append(f"Only zeros: {plural(len(zero), 'filter')} ({named(zero)}).")
    if broken:
        remarks.append(f"Not finite, hatched: {plural(len(broken), 'filter')} ({named(broken)}).")
    return remarks
