"""A stored run becomes a folder of pages, pictures and data; the same store gives the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reportgen.core.records import Plan
from reportgen.core.settings import MapStyle
from reportgen.core.store import Store, json_bytes
from reportgen.render.picture import Bands
from reportgen.render.text import NOUNS
from reportgen.artefacts import overview
from reportgen.report import single_file
from reportgen.core.numbers import Document
from reportgen.report.document import document, image_facts, layer_facts
from reportgen.report.html import FRAGMENT, PAGE, render_index, render_layer, render_single, site
from reportgen.report.index_page import extent, index_view
from reportgen.artefacts.weights import ImageFile, LayerPictures, Picture, draw_layer, write_data, write_picture
from reportgen.report.layer_page import layer_view, page_heading
from reportgen.report.network_drawing import diagram_view
from reportgen.artefacts.base import StoredLayer, check_slugs, load_image, load_layer
from reportgen.report.theme import Look, own_look
from reportgen.report.writing import Output

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class AssembleResult:
    """A report on disk.

    index: its first page. problems: one sentence for each thing that failed or was left out; exit code 3 if any. notes: what is
    worth knowing of the files.
    """

    index: Path
    problems: tuple[str, ...]
    notes: tuple[str, ...]


def assemble(
    folder: Path,
    *,
    drawing: Mapping[str, Any] | None = None,
    look: Look | None = None,
    progress: Progress | None = None,
) -> AssembleResult:
    """Write every page, picture and data file of the run stored in `folder`, report.json and index.html last.

    Files that an older report wrote and this one does not have are removed at the end. drawing: settings of a `MapStyle`, and
    `single_file`, to use and to state instead of the stored ones. look: of the pages, ours where None. progress: called as
    (done, total, what) before each layer and once at the end. Raises StoreError where no run is stored, OutputError where
    a file cannot be written, and UsageError where a template of the user's fails; whatever single tasks the store lacks is
    named in the result and on the pages.
    """
    store = Store(folder)
    plan = store.load_plan()
    look = own_look() if look is None else look
    stated = {
        name: given
        for name, given in (("template", look.template), ("css", look.css))
        if name in plan.settings or given is not None
    }
    plan = replace(plan, settings={**plan.settings, **stated, **({} if drawing is None else drawing)})
    map_style = MapStyle.of(plan.settings)
    check_slugs(plan)
    output = Output(folder, single_file.HELD if plan.settings.get("single_file") else ())
    try:
        problems = _write(plan, store, output, look, map_style, progress)
    except BaseException:
        output.remember()
        raise
    output.remove_stale()
    index = folder / single_file.INDEX
    return AssembleResult(index, problems, single_file.notes(index.stat().st_size) if output.holds else ())


def _write(
    plan: Plan, store: Store, output: Output, look: Look, map_style: MapStyle, progress: Progress | None
) -> tuple[str, ...]:
    """Write every file of the report; returns its problems."""
    for asset in (look.style, look.script):
        output.write(asset.path, asset.text.encode())
    images, pictures = _images(plan, store, output)
    title = str(plan.settings.get("title") or plan.model.name)
    facts: list[Document] = []
    strips: dict[str, Picture] = {}
    columns: list[overview.Column] = []
    palettes: set[str] = set()
    in_overview = overview.selected(plan)
    for done, layer in enumerate(plan.layers):
        if progress is not None:
            progress(done, len(plan.layers), layer.path)
        stored = load_layer(plan, store, layer)
        entry, strip = _layer(plan, stored, output, look, map_style, title, palettes, images, pictures)
        facts.append(entry)
        if strip is not None:
            strips[layer.slug] = strip
        if layer.slug in in_overview and (column := overview.draw(stored, map_style, output)) is not None:
            columns.append(column)
    if progress is not None:
        progress(len(plan.layers), len(plan.layers), "index.html")

    report = document(plan, images, facts, overview.facts(plan, columns))
    figure = overview.overview_view(
        report["overview"], columns, images, pictures, map_style, NOUNS[plan.contract.rank].one
    )
    written = json_bytes(report)
    view = index_view(
        site(look, title, title, "", set(), NOUNS[plan.contract.rank], _base(output)),
        report,
        pictures,
        strips,
        figure,
        diagram_view(plan),
        extent(output.files + 1, output.bytes + len(written), one_file=output.holds),
    )
    page = render_index(look, view)
    output.write("report.json", written)
    output.write(single_file.INDEX, _bound(plan, output, look, title, palettes, page) if output.holds else page)
    return tuple(report["problems"])


def _base(output: Output) -> str:
    """What pages extend: they are documents, or parts of one."""
    return FRAGMENT if output.holds else PAGE


def _bound(plan: Plan, output: Output, look: Look, title: str, palettes: set[str], index: bytes) -> bytes:
    """The first page and all others as one file."""
    paths = ((f"layers/{layer.slug}.html", page_heading(layer)) for layer in plan.layers)
    pages = [(path, heading, output.held[path]) for path, heading in paths if path in output.held]
    parts = [
        single_file.Part(path, name, html.decode()) for path, name, html in ((single_file.INDEX, title, index), *pages)
    ]
    return render_single(look, title, palettes, NOUNS[plan.contract.rank], single_file.bind(parts, output.held))


def _images(plan: Plan, store: Store, output: Output) -> tuple[list[Document], dict[str, ImageFile]]:
    """The facts of all images, and the picture files of those that have one."""
    facts, pictures = [], {}
    for image in plan.images:
        stored = load_image(plan, store, image)
        facts.append(image_facts(image, stored))
        if stored.picture is not None:
            pictures[image.slug] = write_picture(image, stored.picture, output, _bands(plan), plan.contract)
    return facts, pictures


def _layer(
    plan: Plan,
    stored: StoredLayer,
    output: Output,
    look: Look,
    map_style: MapStyle,
    title: str,
    palettes: set[str],
    images: list[Document],
    pictures: dict[str, ImageFile],
) -> tuple[Document, Picture | None]:
    """Write everything of one layer; returns its entry of report.json and its thumbnails.

    The colour maps that it used are added to `palettes`.
    """
    layer = stored.layer
    facts = layer_facts(plan, stored)
    if layer.status == "skipped":
        return facts, None
    drawn = draw_layer(stored, facts, output, map_style, _bands(plan))
    write_data(stored, output)
    used = _palettes(drawn)
    palettes |= used
    view = layer_view(
        site(look, title, f"{page_heading(layer)} – {title}", "../", used, stored.nouns, _base(output)),
        plan,
        stored,
        facts,
        drawn,
        images,
        pictures,
    )
    output.write(f"layers/{layer.slug}.html", render_layer(look, view))
    return facts, drawn.strip


def _bands(plan: Plan) -> Bands | None:
    """The bands that the user wants to see as red, green and blue; None where nothing was said."""
    chosen = plan.settings.get("bands")
    if chosen is None:
        return None
    red, green, blue = chosen
    return red, green, blue


def _palettes(drawn: LayerPictures) -> set[str]:
    pictures = [
        drawn.weights,
        drawn.pointwise,
        *(picture for maps in drawn.maps for picture in (maps.after, maps.before)),
    ]
    return {picture.legend[2] for picture in pictures if picture is not None and picture.legend is not None}
