"""Makes a report of a stored run: pages, figures and data files; the same store gives the same bytes."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from reportgen.artefacts import attribution_figures, image_maps, overview
from reportgen.artefacts.attribution import StoredAttribution, array_path, attribution_arrays, load_attribution
from reportgen.artefacts.base import Appearance, Arrays, ImageFile, LayerContents, LayerPage, check_slugs
from reportgen.artefacts.data_records import FOLDER as EXEMPLARS_FOLDER
from reportgen.artefacts.dataset import dataset_entry
from reportgen.artefacts.feature_maps import FEATURE_MAPS, figures, maps_by_task
from reportgen.artefacts.layer_entry import ARTEFACTS, LayerEntry, layer_entry, read_layer, records_of
from reportgen.artefacts.misclassified import (
    ExplainedImage,
    StoredMisclassified,
    explained_images,
    load_misclassified,
)
from reportgen.artefacts.misclassified_pictures import draw_pictures, load_pictures
from reportgen.artefacts.predictions import ImageEntry, draw_image, has_page, image_entry, load_image
from reportgen.core.choices import Export
from reportgen.core.errors import OutputError, few
from reportgen.core.kept_maps import wanted_channels
from reportgen.core.lock import writing
from reportgen.core.npz import pack
from reportgen.core.records import ImageRecord, LayerRecord, LayerStatus, Plan, Task, TaskKind
from reportgen.core.store import Store
from reportgen.render.figure import Figure, Picture
from reportgen.render.palette import DIVERGING
from reportgen.render.text import NOUNS, plural
from reportgen.report import single_file, tables
from reportgen.report.counts import counts
from reportgen.report.document import make_document, report_title
from reportgen.report.extent import Extent
from reportgen.report.html import (
    FRAGMENT,
    PAGE,
    page_context,
    render_index,
    render_layer,
    render_single,
    render_unfinished,
    render_view,
)
from reportgen.report.image_page import WhyView, image_path, image_view, why_view
from reportgen.report.index_page import IndexView, index_view
from reportgen.report.layer_page import layer_view, page_heading
from reportgen.report.location import FACTS_FILE
from reportgen.report.network_drawing import diagram_view
from reportgen.report.theme import Look, own_look
from reportgen.report.unfinished import Unfinished
from reportgen.report.writing import Output, remove_partial

Progress = Callable[[int, int, str], None]
AHEAD = 2  # layers that are drawn at once, beside an earlier one that is written; more would have more arrays in memory
SHARED_FOLDERS = ("data/", "figures/")  # whose files the store leaves arrays to, and figures of maps that are not kept


@dataclass(frozen=True)
class AssembleResult:
    """A report on disk.

    Attributes:
        index: its first page.
        problems: one sentence for each thing that failed or was left out; exit code 3 if any.
        notes: what is worth knowing of the files.
        summary: what is in it in numbers, and its size, each a clause; None of a shard, which has no pages.
    """

    index: Path
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    summary: tuple[str, str] | None = None


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
        OutputError: a file cannot be written, or another run writes to the folder.
        UsageError: a template of the user's fails.
    """
    plan = Store(folder).load_plan()
    with writing(folder):
        remove_partial(folder)
        assembly = Assembly(folder, plan, own_look() if look is None else look, drawing)
        written = assembly.finish(progress)
        return (
            replace(written, notes=(*_as_drawn(assembly.as_drawn), *written.notes)) if drawing is not None else written
        )


def _drawn_texts(image: str, drawn: _Drawn) -> dict[str, tuple[str, Any]]:
    """Path and texts of the figures of a layer's maps on one image, by what they are kept as."""
    pictures = drawn.all_pictures
    texts: dict[str, tuple[str, Any]] = {
        kind: (pictures[name].path, pictures[name]) for kind, name in figures(image).items() if name in pictures
    }
    cell = None if drawn.column is None else overview.cell_texts(drawn.column, image)
    return texts if cell is None else {**texts, overview.CELL: cell}


def _as_drawn(layers: Sequence[str]) -> tuple[str, ...]:
    """The sentence on layers whose maps cannot be drawn anew."""
    if not layers:
        return ()
    keep = "keeps its figures" if len(layers) == 1 else "keep their figures"
    return (
        f"The feature maps of {plural(len(layers), 'layer')} {keep} as they are, without arrays to draw anew: {few(layers)}.",
    )


def _releasing(store: Store) -> Callable[[str, bytes | None], None]:
    """What is called before a file changes: tasks must not lose the arrays that it has."""

    def release(relative: str, data: bytes | None) -> None:
        if relative.startswith(SHARED_FOLDERS):
            store.release(relative, data)

    return release


@dataclass(frozen=True)
class _Drawn:
    """A layer whose page is written.

    Attributes:
        awaited: the tasks that were still to be computed then.
        pictures: of each artefact by file name, by the artefact's name; likewise `arrays`, the names of its array files.
        column: of the overview; None where the layer has none.
    """

    entry: LayerEntry
    awaited: frozenset[str] = frozenset()
    pictures: Mapping[str, Mapping[str, Picture]] = field(default_factory=dict)
    arrays: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    column: overview.Column | None = None

    @property
    def all_pictures(self) -> dict[str, Picture]:
        """The pictures of all artefacts."""
        return {name: picture for pictures in self.pictures.values() for name, picture in pictures.items()}

    @property
    def all_arrays(self) -> tuple[str, ...]:
        """The names of all array files."""
        return tuple(name for names in self.arrays.values() for name in names)

    @property
    def palettes(self) -> set[str]:
        """Color maps that the color bars of its page need."""
        return {picture.legend[2] for picture in self.all_pictures.values() if picture.legend is not None}


@dataclass(frozen=True)
class _Made:
    """What a layer shows, before any of it is written.

    Attributes:
        figures: of each artefact by its name, each with its file name.
        arrays: the array files of each artefact by its name, by file name.
        column: of the overview, and the files of its cells.
    """

    contents: LayerContents
    entry: LayerEntry
    figures: Mapping[str, Sequence[tuple[str, Figure]]] = field(default_factory=dict)
    arrays: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)
    column: tuple[overview.Column, Sequence[tuple[str, bytes]]] | None = None


class Assembly:
    """A report being written: this is the only place that writes figures, arrays and pages.

    Layers can be drawn as they are finished, each with the page and the index as they are then; `finish` draws what is left. What was
    drawn before changes no byte of the finished report.
    """

    def __init__(self, folder: Path, plan: Plan, look: Look, drawing: Mapping[str, Any] | None = None) -> None:
        """Write nothing yet.

        Args:
            folder: of the report.
            plan: of the run that is stored there.
            look: of the pages.
            drawing: as for `assemble`.

        Raises:
            StoreError: the plan cannot be one of ours.
        """
        stated = {
            name: given
            for name, given in (("template", look.template), ("css", look.css))
            if name in plan.settings or given is not None
        }
        self.plan = replace(plan, settings={**plan.settings, **stated, **({} if drawing is None else drawing)})
        check_slugs(self.plan)
        self._store, self._look = Store(folder), look
        keeps = single_file.INLINED if self.plan.settings.get("single_file") else ()
        self.output = Output(folder, keeps, _releasing(self._store))
        self.as_drawn: list[str] = []  # layers with maps of which only the figures are left
        self._title = report_title(self.plan)
        self._nouns = NOUNS[self.plan.contract.rank]
        self._appearance = Appearance.of(self.plan.settings)
        self._base = FRAGMENT if self.output.keeps else PAGE
        self._in_overview = frozenset(overview.selected(self.plan))
        self._drawn: dict[str, _Drawn] = {}  # by path, which alone is unique
        self._pages: list[tuple[str, str]] = []  # of images, path and title
        self._wrong: tuple[StoredMisclassified, ...] = ()
        self._summary: tuple[str, str] | None = None

    @cached_property
    def _images(self) -> tuple[tuple[ImageEntry, ...], dict[str, ImageFile]]:
        """The entries of all images, and the picture files of those that have one, which are written."""
        entries, files = [], {}
        for image in self.plan.images:
            stored = load_image(self.plan, self._store, image)
            found = load_attribution(self.plan, self._store, image)
            entries.append(image_entry(image, stored, found))
            if stored.picture is not None:
                files[image.slug] = self._image_figures(image, stored.picture, entries[-1], found)
        return tuple(entries), files

    def _write_image_pages(self) -> list[tuple[str, str]]:
        """Write the pages of images; returns path and title of each."""
        entries, files = self._images
        shown = [entry for entry in entries if has_page(entry) and entry.slug in files]
        records = {image.slug: image for image in self.plan.images}
        pages = []
        for entry in shown:
            arrays = load_attribution(self.plan, self._store, records[entry.slug]).arrays
            pages.append(self._image_page(entry, shown, files[entry.slug], arrays))
        return pages

    def _image_page(
        self,
        entry: ImageEntry,
        shown: Sequence[ImageEntry],
        file: ImageFile,
        arrays: Arrays,
        why: WhyView | None = None,
    ) -> tuple[str, str]:
        """Write the page of an image, one of `shown`; returns its path and title."""
        heading = f"{entry.name} · {self._title}"
        palettes = {DIVERGING} if entry.attribution else set()
        context = page_context(self._look, self._title, heading, "../", palettes, self._nouns, self._base)
        view = image_view(context, entry, shown, file, arrays, why)
        self.output.write(image_path(entry.slug), render_view(self._look, "image.html", view, context))
        return image_path(entry.slug), entry.name

    def _misclassified(self, is_finished: bool) -> tuple[tuple[ExplainedImage, ...], tuple[str, ...]]:
        """The records of misclassified images that have a page, and what is missing; none before the report is finished."""
        if not is_finished:
            return (), ()
        self._wrong, lost = load_misclassified(self.plan, self._store)
        missing = (lost, load_pictures(self.plan, self._store)[1])
        records = explained_images(self.plan, self._store, self._wrong)
        return records, tuple(each for each in missing if each is not None)

    def _misclassified_pictures(self) -> dict[str, ImageFile]:
        """Write the pictures of misclassified images; returns what is known of them by path."""
        files = {}
        for file, data in draw_pictures(load_pictures(self.plan, self._store)[0], self._appearance.bands):
            self.output.write(file.path, data)
            files[file.path] = file
        return files

    def _write_misclassified_pages(self, found: Sequence[ExplainedImage]) -> list[tuple[str, str]]:
        """Write the pages of misclassified images, with their pictures and arrays."""
        pages, shown = [], [each.image for each in found]
        for stored, each in zip(self._wrong, found, strict=False):
            file = self._image_figures(stored.record, stored.picture, each.image, stored.attribution)
            why = why_view(each, self._exemplars, "../", self._nouns.one)
            pages.append(self._image_page(each.image, shown, file, stored.attribution.arrays, why))
        return pages

    @property
    def _exemplars(self) -> dict[str, Picture]:
        """The figures of filters' exemplars, by path."""
        return {
            picture.path: picture
            for drawn in self._drawn.values()
            for picture in drawn.all_pictures.values()
            if f"/{EXEMPLARS_FOLDER}/" in picture.path
        }

    def _image_figures(
        self, image: ImageRecord, picture: np.ndarray, entry: ImageEntry, found: StoredAttribution
    ) -> ImageFile:
        """Write the picture of an image, those of its attribution maps, and their arrays."""
        file, data = draw_image(image, picture, self._appearance.bands, self.plan.contract)
        self.output.write(file.path, data)
        for path, drawn in attribution_figures.draw(image.slug, entry.attribution, found, picture, file):
            self.output.write(path, drawn)
        if found.facts:
            self.output.write(array_path(image.slug), pack(attribution_arrays(found)))
        return file

    def draw(self, awaited: Set[str], progress: Progress | None = None) -> None:
        """Write the pages of layers that are not written, or were when more was still to be computed; their figures and arrays before.

        Args:
            awaited: keys of the tasks that are still to be computed; of what is partly there nothing is drawn twice until all of it is.
            progress: called as (done, total, what) before each layer.

        Raises:
            OutputError: a file cannot be written.
            UsageError: a template of the user's fails.
        """
        todo: list[tuple[int, LayerRecord, frozenset[str], _Drawn | None]] = []
        for done, layer in enumerate(self.plan.layers):
            known = self._drawn.get(layer.path)
            left = frozenset(task.key for task in self._tasks[layer.slug] if task.key in awaited)
            if known is None or (known.awaited and not left):
                todo.append((done, layer, left, known))
        with ThreadPoolExecutor(AHEAD) as beside:
            made: deque[Future[_Made]] = deque()
            for place, (done, layer, left, known) in enumerate(todo):
                for _, following, waits, drawn in todo[place + len(made) : place + AHEAD]:
                    made.append(beside.submit(self._make, following, waits, drawn))
                if progress is not None:
                    progress(done, len(self.plan.layers), layer.path)
                self._drawn[layer.path] = self._layer(layer, left, known, made.popleft().result())

    @cached_property
    def _tasks(self) -> defaultdict[str, list[Task]]:
        tasks: defaultdict[str, list[Task]] = defaultdict(list)
        for task in self.plan.tasks:
            tasks[task.layer].append(task)
        return tasks

    @property
    def has_index(self) -> bool:
        """Whether there is a first page, of this report or an earlier one."""
        return (self.output.folder / single_file.INDEX).exists()

    def announce(self, unfinished: Unfinished) -> None:
        """Write a first page that only says that there is none yet.

        Raises:
            OutputError: it cannot be written.
        """
        self._assets()
        context = page_context(self._look, self._title, self._title, "", set(), self._nouns, self._base)
        page = render_unfinished(self._look, context, unfinished)
        if self.output.keeps:
            page = render_single(self._look, self._title, set(), self._nouns, page.decode())
        self.output.write(single_file.INDEX, page)

    def write_index(self, unfinished: Unfinished) -> None:
        """Write the first page of a report that is unfinished: of all layers as they are drawn.

        Raises:
            OutputError: it cannot be written.
        """
        self._assets()
        self._index(unfinished)
        self.output.remember()

    def finish(self, progress: Progress | None = None) -> AssembleResult:
        """Write whatever is not written, report.json and index.html last; then remove what is of no use any more.

        Raises:
            OutputError: a file cannot be written.
            UsageError: a template of the user's fails.
        """
        try:
            self._assets()
            self.draw(frozenset(), progress)
            if progress is not None:
                progress(len(self.plan.layers), len(self.plan.layers), single_file.INDEX)
            problems = self._index(None)
        except BaseException:
            self.output.remember()
            raise
        self.output.remove_stale()
        index = self.output.folder / single_file.INDEX
        notes = single_file.notes(index.stat().st_size) if self.output.keeps else ()
        return AssembleResult(index, problems, notes, self._summary)

    def _assets(self) -> None:
        for asset in (self._look.style, self._look.script):
            self.output.write(asset.path, asset.text.encode())

    def _index(self, unfinished: Unfinished | None) -> tuple[str, ...]:
        """Write index.html, and before it report.json where the report is finished; returns its problems."""
        images, image_files = self._images
        drawn = [self._drawn[layer.path] for layer in self.plan.layers]
        columns = [each.column for each in drawn if each.column is not None]
        entries = tuple(each.entry for each in drawn)
        report = make_document(
            self.plan,
            images,
            entries,
            overview.record(self.plan, columns),
            dataset_entry(self.plan, self._store),
            *self._misclassified(unfinished is None),
        )
        written = report.to_json()
        pictures = {each.entry.slug: each.all_pictures for each in drawn}
        view = index_view(
            page_context(self._look, self._title, self._title, "", set(), self._nouns, self._base),
            report,
            image_files,
            pictures,
            overview.overview_view(report.overview, columns, images, image_files, self._nouns.one),
            diagram_view(self.plan),
            "",
            unfinished,
            self._misclassified_pictures(),
        )
        self._pages = [*self._write_image_pages(), *self._write_misclassified_pages(report.misclassified)]
        if unfinished is None and self.plan.settings.get("export") == Export.PARQUET:
            tables.check()
            for path, data in tables.tables(self.plan, self._store, report):
                self.output.write(path, data)
        page, extent = self._sized(view, len(written))
        if unfinished is None:
            self.output.write(FACTS_FILE, written)
        self.output.write(single_file.INDEX, page)
        counted = counts(entries, len(images), self._nouns.one, patterned=self.plan.settings.get("patterns", True))
        self._summary = (counted.sentence, extent.words)
        return report.problems

    def _sized(self, view: IndexView, facts: int) -> tuple[bytes, Extent]:
        """The first page, which states the size of the report and so its own, and that size; `facts` are the bytes of report.json."""
        files, size = self.output.beside(single_file.INDEX, FACTS_FILE)
        stored, stored_size = self._store.extent(task.key for task in self.plan.tasks)
        extent = Extent(files + 2, size + facts, stored, stored_size, self.output.keeps)
        page = self._page(view, extent)
        whole = replace(extent, size=extent.size + len(page))
        if whole.words == extent.words:
            return page, extent
        return self._page(view, whole), whole

    def _page(self, view: IndexView, extent: Extent) -> bytes:
        page = render_index(self._look, replace(view, extent=extent.sentence))
        return self._bound(page) if self.output.keeps else page

    def _make(self, layer: LayerRecord, awaited: frozenset[str], known: _Drawn | None) -> _Made:
        """Read a layer, draw its figures and pack its arrays, but for what is `known` and cannot have changed; nothing is written."""
        contents = read_layer(self.plan, Store(self.output.folder), layer, awaited)  # no two threads share a reader
        entry = layer_entry(contents)
        if layer.status == LayerStatus.SKIPPED:
            return _Made(contents, entry)
        fresh = [each for each in records_of(entry) if known is None or each[0].comes_late]
        figures = {artefact.name: list(artefact.draw(contents, record, self._appearance)) for artefact, record in fresh}
        arrays = {
            artefact.name: {name: pack(found) for name, found in artefact.arrays(contents).items()}
            for artefact, _ in fresh
        }
        column = None
        if known is None and layer.slug in self._in_overview:
            column = overview.draw(contents, self._appearance.maps)
        return _Made(contents, entry, figures, arrays, column)

    def _layer(self, layer: LayerRecord, awaited: frozenset[str], known: _Drawn | None, made: _Made) -> _Drawn:
        """Write the figures, arrays and page of one layer."""
        contents, entry = made.contents, made.entry
        if layer.status == LayerStatus.SKIPPED:
            return _Drawn(entry)
        if known is None and any(maps.is_drawn for maps in contents[FEATURE_MAPS] or ()):
            self.as_drawn.append(layer.path)
        pictures: dict[str, Mapping[str, Picture]] = {} if known is None else dict(known.pictures)
        arrays: dict[str, tuple[str, ...]] = {} if known is None else dict(known.arrays)
        for name, drawings in made.figures.items():
            pictures[name] = self._figures(layer, drawings)
            arrays[name] = self._arrays(contents, made.arrays[name])
        column = self._overview_column(made) if known is None else known.column
        drawn = _Drawn(entry, awaited, pictures, arrays, column)
        heading = f"{page_heading(layer)} · {self._title}"
        context = page_context(self._look, self._title, heading, "../", drawn.palettes, self._nouns, self._base)
        images, image_files = self._images
        page = LayerPage(contents, drawn.all_pictures, images, image_files, context.root)
        view = layer_view(context, page, entry, self._appearance.bands, drawn.all_arrays)
        self.output.write(page_path(layer), render_layer(self._look, view))
        self._settle(contents, drawn)
        return drawn

    def _settle(self, contents: LayerContents, drawn: _Drawn) -> None:
        """Leave to the layer's files what they have of its stored tasks, now that all is drawn, and of maps what is not to be kept."""
        shared: dict[str, Arrays] = {
            contents.data_path(name): arrays
            for artefact in ARTEFACTS
            for name, arrays in artefact.arrays(contents).items()
        }
        found = maps_by_task(contents)
        texts = {maps.image.slug: _drawn_texts(maps.image.slug, drawn) for each in found.values() for maps in each}
        if not self.output.keeps and wanted_channels(self.plan, contents.layer) is not None:
            paths = [path for named in texts.values() for path, _ in named.values()]
            shared |= {path: {"": np.frombuffer(self.output.content(path), np.uint8)} for path in paths}
        entries = image_maps.drawn(self.plan, contents.layer, found, texts, self.output.content)
        try:
            for key, entry in entries.items():
                self._store.save(key, *entry)
            settled = [task for task in self._tasks[contents.layer.slug] if task.kind != TaskKind.RESPONSES]
            self._store.settle([task.key for task in settled], shared)
        except OSError as error:
            raise OutputError(
                f"the store in the report's folder cannot be written ({error.strerror}); what was computed is kept."
            ) from error

    def _figures(self, layer: LayerRecord, figures: Sequence[tuple[str, Figure]]) -> dict[str, Picture]:
        """Write the figures of an artefact; returns them by file name."""
        pictures = {}
        for name, figure in figures:
            path = f"figures/{layer.slug}/{name}"
            self.output.write(path, figure.png)
            pictures[name] = Picture(path, figure.tiles, figure.caption, figure.alt, figure.legend, figure.numbering)
        return pictures

    def _arrays(self, contents: LayerContents, arrays: Mapping[str, bytes]) -> tuple[str, ...]:
        """Write the array files of an artefact; returns their names."""
        for name, packed in arrays.items():
            self.output.write(contents.data_path(name), packed)
        return tuple(arrays)

    def _overview_column(self, made: _Made) -> overview.Column | None:
        """A layer's column of the overview, its cells written; None where it has none."""
        if made.column is None:
            return None
        column, files = made.column
        for path, data in files:
            self.output.write(path, data)
        return column

    def _bound(self, index: bytes) -> bytes:
        """The first page and all others as one file."""
        kept = self.output.kept
        paths = (*((page_path(layer), page_heading(layer)) for layer in self.plan.layers), *self._pages)
        pages = [(path, heading, kept[path]) for path, heading in paths if path in kept]
        parts = [
            single_file.Part(path, name, html.decode())
            for path, name, html in ((single_file.INDEX, self._title, index), *pages)
        ]
        palettes = set().union(*(drawn.palettes for drawn in self._drawn.values()))
        palettes |= {DIVERGING} if self._pages else set()
        return render_single(self._look, self._title, palettes, self._nouns, single_file.bind(parts, kept))


def page_path(layer: LayerRecord) -> str:
    """Return where a layer's page lies, relative to the report."""
    return f"layers/{layer.slug}.html"
