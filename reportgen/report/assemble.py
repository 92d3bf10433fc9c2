"""Makes a report of a stored run: pages, figures and data files; the same store gives the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from reportgen.artefacts import overview
from reportgen.artefacts.base import Appearance, ImageFile, LayerContents, LayerPage, check_slugs
from reportgen.artefacts.layer_entry import ARTEFACTS, LayerEntry, layer_entry, read_layer, records_of
from reportgen.artefacts.patterns import STRIP
from reportgen.artefacts.predictions import ImageEntry, draw_image, image_entry, load_image
from reportgen.core.npz import pack
from reportgen.core.records import LayerStatus, Plan
from reportgen.core.store import Store
from reportgen.render.figure import Picture
from reportgen.render.text import NOUNS
from reportgen.report import single_file
from reportgen.report.document import make_document, report_title
from reportgen.report.html import FRAGMENT, PAGE, page_context, render_index, render_layer, render_single
from reportgen.report.index_page import extent, index_view
from reportgen.report.layer_page import layer_view, page_heading
from reportgen.report.network_drawing import diagram_view
from reportgen.report.theme import Look, own_look
from reportgen.report.writing import Output

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class AssembleResult:
    """A report on disk.

    Attributes:
        index: its first page.
        problems: one sentence for each thing that failed or was left out; exit code 3 if any.
        notes: what is worth knowing of the files.
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
    """Write every page, figure and data file of the run stored in `folder`, report.json and index.html last.

    Files that an older report wrote and this one does not have are removed at the end. Whatever single tasks the store lacks is named
    in the result and on the pages.

    Args:
        folder: of the report.
        drawing: settings of a `MapStyle`, and `single_file`, to use and to state instead of the stored ones.
        look: of the pages; the built-in one where None.
        progress: called as (done, total, what) before each layer and once at the end.

    Raises:
        StoreError: no run is stored.
        OutputError: a file cannot be written.
        UsageError: a template of the user's fails.
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
    check_slugs(plan)
    output = Output(folder, single_file.INLINED if plan.settings.get("single_file") else ())
    try:
        problems = _Assembly(plan, store, output, look).write(progress)
    except BaseException:
        output.remember()
        raise
    output.remove_stale()
    index = folder / single_file.INDEX
    return AssembleResult(index, problems, single_file.notes(index.stat().st_size) if output.keeps else ())


@dataclass
class _Assembly:
    """One report being written: this is the only place that writes figures, arrays and pages."""

    plan: Plan
    store: Store
    output: Output
    look: Look
    palettes: set[str] = field(default_factory=set)  # color maps that any page's color bars need

    def __post_init__(self) -> None:
        self.title = report_title(self.plan)
        self.nouns = NOUNS[self.plan.contract.rank]
        self.appearance = Appearance.of(self.plan.settings)
        self.base = FRAGMENT if self.output.keeps else PAGE

    def write(self, progress: Progress | None) -> tuple[str, ...]:
        """Write every file of the report; returns its problems."""
        for asset in (self.look.style, self.look.script):
            self.output.write(asset.path, asset.text.encode())
        images, image_files = self._images()
        entries: list[LayerEntry] = []
        strips: dict[str, Picture] = {}
        columns: list[overview.Column] = []
        in_overview = overview.selected(self.plan)
        for done, layer in enumerate(self.plan.layers):
            if progress is not None:
                progress(done, len(self.plan.layers), layer.path)
            contents = read_layer(self.plan, self.store, layer)
            entry = layer_entry(contents)
            entries.append(entry)
            if layer.status != LayerStatus.SKIPPED:
                pictures = self._layer(contents, entry, images, image_files)
                if STRIP in pictures:
                    strips[layer.slug] = pictures[STRIP]
            if layer.slug in in_overview:
                columns += self._overview_column(contents)
        if progress is not None:
            progress(len(self.plan.layers), len(self.plan.layers), "index.html")

        report = make_document(self.plan, images, tuple(entries), overview.record(self.plan, columns))
        written = report.to_json()
        files, size = self.output.files + 1, self.output.bytes + len(written)
        view = index_view(
            page_context(self.look, self.title, self.title, "", set(), self.nouns, self.base),
            report,
            image_files,
            strips,
            overview.overview_view(report.overview, columns, images, image_files, self.appearance.maps, self.nouns.one),
            diagram_view(self.plan),
            extent(files, size, one_file=self.output.keeps),
        )
        page = render_index(self.look, view)
        self.output.write("report.json", written)
        self.output.write(single_file.INDEX, self._bound(page) if self.output.keeps else page)
        return report.problems

    def _images(self) -> tuple[tuple[ImageEntry, ...], dict[str, ImageFile]]:
        """The entries of all images, and the picture files of those that have one."""
        entries, files = [], {}
        for image in self.plan.images:
            stored = load_image(self.plan, self.store, image)
            entries.append(image_entry(image, stored))
            if stored.picture is not None:
                file, data = draw_image(image, stored.picture, self.appearance.bands, self.plan.contract)
                self.output.write(file.path, data)
                files[image.slug] = file
        return tuple(entries), files

    def _layer(
        self,
        contents: LayerContents,
        entry: LayerEntry,
        images: tuple[ImageEntry, ...],
        image_files: Mapping[str, ImageFile],
    ) -> dict[str, Picture]:
        """Write the figures, arrays and page of one layer; returns its pictures by file name."""
        layer = contents.layer
        pictures: dict[str, Picture] = {}
        for artefact, record in records_of(entry):
            for name, figure in artefact.draw(contents, record, self.appearance):
                path = f"figures/{layer.slug}/{name}"
                self.output.write(path, figure.png)
                pictures[name] = Picture(path, figure.tiles, figure.caption, figure.alt, figure.legend)
        files = []
        for artefact in ARTEFACTS:
            for name, arrays in artefact.arrays(contents).items():
                self.output.write(contents.data_path(name), pack(arrays))
                files.append(name)
        used = {picture.legend[2] for picture in pictures.values() if picture.legend is not None}
        self.palettes |= used
        heading = f"{page_heading(layer)} · {self.title}"
        context = page_context(self.look, self.title, heading, "../", used, self.nouns, self.base)
        page = LayerPage(contents, pictures, images, image_files, context.root)
        view = layer_view(context, page, entry, self.appearance.bands, files)
        self.output.write(f"layers/{layer.slug}.html", render_layer(self.look, view))
        return pictures

    def _overview_column(self, contents: LayerContents) -> list[overview.Column]:
        """A layer's column of the overview, its cells written; nothing where it has none."""
        drawn = overview.draw(contents, self.appearance.maps)
        if drawn is None:
            return []
        column, files = drawn
        for path, data in files:
            self.output.write(path, data)
        return [column]

    def _bound(self, index: bytes) -> bytes:
        """The first page and all others as one file."""
        kept = self.output.kept
        paths = ((f"layers/{layer.slug}.html", page_heading(layer)) for layer in self.plan.layers)
        pages = [(path, heading, kept[path]) for path, heading in paths if path in kept]
        parts = [
            single_file.Part(path, name, html.decode())
            for path, name, html in ((single_file.INDEX, self.title, index), *pages)
        ]
        return render_single(self.look, self.title, self.palettes, self.nouns, single_file.bind(parts, kept))
