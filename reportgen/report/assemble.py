"""A stored run becomes a folder of pages, pictures and data; the same store gives the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reportgen.records import Plan
from reportgen.render.picture import Bands
from reportgen.report import overview
from reportgen.report.documents import Document
from reportgen.report.drawing import ImageFile, LayerPictures, Picture, draw_layer, write_data, write_picture
from reportgen.report.facts import document, image_facts, layer_facts
from reportgen.report.index_page import index_view
from reportgen.report.layer_page import layer_view, page_heading
from reportgen.report.output import Output
from reportgen.report.pages import render_index, render_layer, script, site, style
from reportgen.report.stored import StoredLayer, check_slugs, load_image, load_layer
from reportgen.settings import MapStyle
from reportgen.store import Store, json_bytes

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class AssembleResult:
    """A report on disk.

    index: its first page. problems: one sentence for each thing that failed or was left out; exit code 3 if any.
    """

    index: Path
    problems: tuple[str, ...]


def assemble(
    folder: Path, *, drawing: Mapping[str, Any] | None = None, progress: Progress | None = None
) -> AssembleResult:
    """Write every page, picture and data file of the run stored in `folder`, report.json and index.html last.

    Files that an older report wrote and this one does not have are removed at the end. drawing: settings of a `MapStyle` to use
    and to state instead of the stored ones. progress: called as (done, total, what) before each layer and once at the
    end. Raises StoreError where no run is stored, and OutputError
    where a file cannot be written; whatever single tasks the store lacks is named in the result and on the pages.
    """
    store = Store(folder)
    plan = store.load_plan()
    plan = replace(plan, settings={**plan.settings, **({} if drawing is None else drawing)})
    style = MapStyle.of(plan.settings)
    check_slugs(plan)
    output = Output(folder)
    try:
        problems = _write(plan, store, output, style, progress)
    except BaseException:
        output.remember()
        raise
    output.remove_stale()
    return AssembleResult(folder / "index.html", problems)


def _write(plan: Plan, store: Store, output: Output, map_style: MapStyle, progress: Progress | None) -> tuple[str, ...]:
    """Write every file of the report; returns its problems."""
    output.write(*style())
    output.write(*script())
    images, pictures = _images(plan, store, output)
    title = str(plan.settings.get("title") or plan.model.name)
    facts: list[Document] = []
    strips: dict[str, Picture] = {}
    columns: list[overview.Column] = []
    in_overview = overview.selected(plan)
    for done, layer in enumerate(plan.layers):
        if progress is not None:
            progress(done, len(plan.layers), layer.path)
        stored = load_layer(plan, store, layer)
        entry, strip = _layer(plan, stored, output, map_style, title, images, pictures)
        facts.append(entry)
        if strip is not None:
            strips[layer.slug] = strip
        if layer.slug in in_overview and (column := overview.draw(stored, map_style, output)) is not None:
            columns.append(column)
    if progress is not None:
        progress(len(plan.layers), len(plan.layers), "index.html")

    report = document(plan, images, facts, overview.facts(plan, columns))
    figure = overview.overview_view(report["overview"], columns, images, pictures, map_style)
    page = render_index(index_view(site(title, title, "", set()), report, pictures, strips, figure))
    output.write("report.json", json_bytes(report))
    output.write("index.html", page)
    return tuple(report["problems"])


def _images(plan: Plan, store: Store, output: Output) -> tuple[list[Document], dict[str, ImageFile]]:
    """The facts of all images, and the picture files of those that have one."""
    facts, pictures = [], {}
    for image in plan.images:
        stored = load_image(plan, store, image)
        facts.append(image_facts(image, stored))
        if stored.picture is not None:
            pictures[image.slug] = write_picture(image, stored.picture, output, _bands(plan))
    return facts, pictures


def _layer(
    plan: Plan,
    stored: StoredLayer,
    output: Output,
    map_style: MapStyle,
    title: str,
    images: list[Document],
    pictures: dict[str, ImageFile],
) -> tuple[Document, Picture | None]:
    """Write everything of one layer; returns its entry of report.json and its thumbnails."""
    layer = stored.layer
    facts = layer_facts(plan, stored)
    if layer.status == "skipped":
        return facts, None
    drawn = draw_layer(stored, facts, output, map_style, _bands(plan))
    write_data(stored, output)
    view = layer_view(
        site(title, f"{page_heading(layer)} – {title}", "../", _palettes(drawn)),
        plan,
        stored,
        facts,
        drawn,
        images,
        pictures,
    )
    output.write(f"layers/{layer.slug}.html", render_layer(view))
    return facts, drawn.strip


def _bands(plan: Plan) -> Bands | None:
    """The bands that the user wants to see as red, green and blue; None where nothing was said."""
    chosen = plan.settings.get("bands")
    if chosen is None:
        return None
    red, green, blue = chosen
    return red, green, blue


def _palettes(drawn: LayerPictures) -> set[str]:
    pictures = [drawn.weights, *(picture for maps in drawn.maps for picture in (maps.after, maps.before))]
    return {picture.legend[2] for picture in pictures if picture is not None and picture.legend is not None}
