"""The overview of feature maps: images as rows, layers as columns, a few maps in each cell, and the predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from reportgen.artefacts.base import ImageFile, LayerContents
from reportgen.artefacts.feature_maps import FEATURE_MAPS
from reportgen.artefacts.image_maps import ImageMaps
from reportgen.artefacts.predictions import ImageEntry, PredictionView, prediction_views
from reportgen.artefacts.views import SmallPicture, small_picture
from reportgen.core.choices import Normalization
from reportgen.core.numbers import plain
from reportgen.core.records import Count, LayerRecord, Plan, Slug
from reportgen.core.settings import MapStyle
from reportgen.render import overview as drawing
from reportgen.render.figure import Tiles
from reportgen.render.scale import SCALE_PERCENTILE, Fixed, Scale, Shared
from reportgen.render.text import listed, number, plural, shape, span

MOST_LAYERS = 20  # columns: all of VGG16, with pooling; longer rows cannot be followed
MOST_IMAGES = 8  # rows: what fits on a screen and on a sheet
MOST_PREDICTIONS = 3
CELL_PIXELS, PICTURE_PIXELS = 84, 84  # longer side of a cell and of an image, CSS pixels
CELL = "cell"  # what a cell is kept as, of maps that are not
EVEN = "evenly spaced from the first to the last"
RULE = (
    "those with the highest mean peak activation over the inputs shown, excluding a border of 2 positions, in the order "
    "of their numbers"
)
SCALES: dict[str, str] = {
    Normalization.PER_LAYER: (
        "Each column has one linear scale, stated in its head ({}, or red and blue about zero where there are negative values); it "
        f"ends at the {SCALE_PERCENTILE}th percentile of the nonzero magnitudes, and larger ones are clipped."
    ),
    Normalization.FIXED: "All columns share one linear scale, stated in their heads ({}).",
    Normalization.PER_MAP: "Each map has a linear scale of its own ({}), so brightness cannot be compared.",
}


class OverviewColumn(msgspec.Struct, frozen=True, kw_only=True):
    """One layer of the overview."""

    slug: Slug
    filters: tuple[Count, ...]
    scale: Annotated[
        tuple[float | None, float | None] | None,
        Meta(description="ends of its linear scale; null where each map has its own"),
    ]


class OverviewRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The overview of feature maps on the first page."""

    layers_total: Annotated[
        int, Meta(ge=1, description="layers with feature maps, of which those in `layers` have a column")
    ]
    filters_rule: Annotated[str, Meta(description="how the filters of a column are chosen")]
    layers: tuple[OverviewColumn, ...]


@dataclass(frozen=True)
class CellPicture:
    """A cell's file at `path`, its layout and its text."""

    path: str
    tiles: Tiles
    alt: str


@dataclass(frozen=True)
class Column:
    """One layer of the overview.

    Attributes:
        size: of its maps.
        ends: of its linear scale; None where each map has its own, or all are `constant`.
        reach: the smallest and largest value of the maps shown, before they were downsampled; None where it is not known.
        clipped: some of the values drawn lie beyond the scale.
        cells: by image slug.
        style: how they are drawn.
    """

    layer: LayerRecord
    filters: tuple[int, ...]
    size: tuple[int, ...]
    ends: tuple[float, float] | None
    constant: bool
    cells: dict[str, CellPicture]
    style: MapStyle
    reach: tuple[float, float] | None = None
    clipped: bool = False


@dataclass(frozen=True)
class ColumnView:
    """The head of a column; its `name` is the last part of the layer's path."""

    href: str
    path: str
    name: str
    size: str
    filters: str
    scale: str


@dataclass(frozen=True)
class RowView:
    """One image: its picture, a cell per column (None where it is not computed), the most probable classes."""

    name: str
    picture: SmallPicture | None
    cells: tuple[SmallPicture | None, ...]
    predictions: tuple[PredictionView, ...]


@dataclass(frozen=True)
class OverviewView:
    """The whole figure; `output` names the output that predicts, None where the model has one."""

    note: str
    columns: tuple[ColumnView, ...]
    rows: tuple[RowView, ...]
    with_predictions: bool
    output: str | None


def selected(plan: Plan) -> tuple[str, ...]:
    """Return the slugs of the layers that get a column: all with feature maps, or MOST_LAYERS evenly spaced ones."""
    mapped = [layer.slug for layer in plan.layers if layer.is_met and not layer.is_output]
    if len(mapped) <= MOST_LAYERS:
        return tuple(mapped)
    return tuple(mapped[round(place * (len(mapped) - 1) / (MOST_LAYERS - 1))] for place in range(MOST_LAYERS))


def draw(contents: LayerContents, style: MapStyle) -> tuple[Column, list[tuple[str, bytes]]] | None:
    """Draw a layer's column.

    Args:
        contents: of the layer.
        style: of feature maps.

    Returns:
        The column, and (path, PNG) of its cells; None where the layer has no maps, or maps of too many axes.
    """
    maps = (contents[FEATURE_MAPS] or ())[:MOST_IMAGES]
    if any(item.is_drawn for item in maps):
        return _kept(contents, maps)
    if not maps:
        return None
    try:
        column = drawing.draw_column([item.maps for item in maps], style, contents.layer.time_axes)
    except ValueError:
        return None
    cells, files = {}, []
    for item, cell in zip(maps, column.cells, strict=True):
        path = f"figures/{contents.layer.slug}/overview/{item.image.slug}.png"
        files.append((path, cell.png))
        numbers = listed([str(index) for index in column.filters])
        reached = listed([number(peak) for peak in cell.peaks])
        noun = "filter" if len(column.filters) == 1 else "filters"
        alt = f"{contents.layer.path} on {item.image.name}: {noun} {numbers}, peaks {reached}"
        cells[item.image.slug] = CellPicture(path, cell.tiles, alt)
    constant = column.scale is None
    return Column(
        contents.layer,
        column.filters,
        column.size,
        _ends(column.scale),
        constant,
        cells,
        style,
        column.reach,
        _clips(column.scale),
    ), files


def _kept(contents: LayerContents, maps: Sequence[ImageMaps]) -> tuple[Column, list[tuple[str, bytes]]] | None:
    """A column as it was drawn, of maps that are not stored any more."""
    cells, files, column, style = {}, [], None, MapStyle()
    for item in maps:
        texts = item.texts(CELL) if item.is_drawn else None
        if texts is not None:
            style = item.style or style
            column, cell = texts["column"], msgspec.convert(texts["cell"], CellPicture)
            cells[item.image.slug] = cell
            files.append((cell.path, item.png(CELL)))
    if column is None:
        return None
    ends, reach = _pair(column["ends"]), _pair(column.get("reach"))
    return Column(
        contents.layer,
        tuple(column["filters"]),
        tuple(column["size"]),
        ends,
        column["constant"],
        cells,
        style,
        reach,
        column.get("clipped", False),
    ), files


def _pair(stored: Any) -> tuple[float, float] | None:
    return None if stored is None else (float(stored[0]), float(stored[1]))


def cell_texts(column: Column, image: str) -> tuple[str, dict[str, Any]] | None:
    """Return the path of an image's cell and what `ImageMaps.texts` is to return of it; None where the column has none."""
    cell = column.cells.get(image)
    if cell is None:
        return None
    named = {name: getattr(column, name) for name in ("filters", "size", "ends", "constant", "reach", "clipped")}
    return cell.path, {"column": named, "cell": cell}


def record(plan: Plan, columns: Sequence[Column]) -> OverviewRecord | None:
    """Return `overview` of report.json; None where there is no figure."""
    if not columns:
        return None
    return OverviewRecord(
        layers_total=sum(layer.is_met and not layer.is_output for layer in plan.layers),
        filters_rule=RULE,
        layers=tuple(
            OverviewColumn(slug=column.layer.slug, filters=column.filters, scale=_plain_ends(column.ends))
            for column in columns
        ),
    )


def overview_view(
    overview: OverviewRecord | None,
    columns: Sequence[Column],
    images: Sequence[ImageEntry],
    files: Mapping[str, ImageFile],
    noun: str,
) -> OverviewView | None:
    """Return the overview as a view.

    Args:
        overview: its record; None where there is no overview.
        columns: that were drawn.
        images: in report.json.
        files: pictures of the images, by slug.
        noun: what the model is fed.
    """
    if overview is None:
        return None
    shown = [image for image in images if any(image.slug in column.cells for column in columns)]
    rows = tuple(
        RowView(
            image.name,
            _picture(files.get(image.slug)),
            tuple(_cell(column.cells.get(image.slug)) for column in columns),
            prediction_views(image.predictions)[:MOST_PREDICTIONS],
        )
        for image in shown
    )
    return OverviewView(
        note=_note(overview, columns, len(shown), sum(image.shown for image in images), noun),
        columns=tuple(
            ColumnView(
                href=f"layers/{column.layer.slug}.html#maps",
                path=column.layer.path,
                name=column.layer.path.rpartition("/")[2],
                size=shape(column.size),
                filters=f"{'filter' if len(column.filters) == 1 else 'filters'} {', '.join(str(index) for index in column.filters)}",
                scale=scale_words(column),
            )
            for column in columns
        ),
        rows=rows,
        with_predictions=any(row.predictions for row in rows),
        output=next((image.outputs[0].name for image in shown if image.outputs), None),
    )


def _plain_ends(ends: tuple[float, float] | None) -> tuple[float | None, float | None] | None:
    return None if ends is None else (plain(ends[0]), plain(ends[1]))


def _note(overview: OverviewRecord, columns: Sequence[Column], shown: int, images: int, noun: str) -> str:
    style = columns[0].style
    total, ranks = overview.layers_total, {len(column.size) for column in columns}
    which = "Every layer" if len(columns) == total else f"{len(columns)} of {plural(total, 'layer')}"
    even = f", {EVEN}," if total > MOST_LAYERS else ""
    without = min(total, MOST_LAYERS) - len(columns)
    hows = (
        SCALES[style.normalize].format(style.colormap),
        *(["One-dimensional maps are curves from the bottom to the top of the scale."] if 1 in ranks else []),
        *(["Of three-dimensional maps the middle slice along the first axis is shown."] if max(ranks) > 2 else []),
        *(["Large maps are downsampled by averaging."] if ranks - {1} else []),
        *([f"The first {shown} of {images} {noun}s."] if shown != images else []),
        *(
            [f"{plural(without, 'further layer')} {'has' if without == 1 else 'have'} no maps that can be drawn."]
            if without
            else []
        ),
    )
    return (
        f"{which}{even} from input to output; the same filters in every row: {overview.filters_rule}. {' '.join(hows)}"
    )


def _ends(scale: Scale | None) -> tuple[float, float] | None:
    if isinstance(scale, Shared):
        return (-scale.top if scale.diverging else 0.0), scale.top
    return (scale.low, scale.high) if isinstance(scale, Fixed) else None


def scale_words(column: Column) -> str:
    """Return the scale for the head of a column, with the maps' extremes where these lie beyond it and read otherwise than its ends."""
    if column.ends is None:
        return "constant" if column.constant else "one scale per map"
    if not any(column.ends):
        return "all 0"
    low, high = column.reach or column.ends
    beyond = [("peak", high, column.ends[1])] if high > column.ends[1] else []
    beyond += [("minimum", low, column.ends[0])] if low < column.ends[0] else []
    extremes = [f"{name} {number(value)}" for name, value, end in beyond if number(value) != number(end)]
    clipped = ["clipped"] if column.clipped and extremes else []
    return f"scale {span(*column.ends)}" + (f" ({'; '.join([*clipped, ', '.join(extremes)])})" if extremes else "")


def _clips(scale: Scale | None) -> bool:
    """Whether values that are drawn lie beyond the scale."""
    if isinstance(scale, Shared):
        return scale.outside > 0
    return isinstance(scale, Fixed) and scale.below + scale.above > 0


def _cell(cell: CellPicture | None) -> SmallPicture | None:
    if cell is None:
        return None
    size = cell.tiles.width, cell.tiles.height
    return small_picture(cell.path, size, CELL_PIXELS / max(size), cell.alt)


def _picture(picture: ImageFile | None) -> SmallPicture | None:
    if picture is None:
        return None
    size = picture.width, picture.height
    return small_picture(picture.path, size, PICTURE_PIXELS / max(size))  # its name is below it
