"""What an artefact is: one kind of thing that a report shows of a layer, from its stored arrays to its section on a page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from reportgen.artefacts.views import Cut, FigureView, cut, figure_view
from reportgen.core.errors import StoreError
from reportgen.core.records import SLUG_PATTERN, LayerRecord, LayerStatus, Plan, Task, TaskKind
from reportgen.core.settings import MapStyle
from reportgen.core.store import Store
from reportgen.render.figure import Figure, Picture
from reportgen.render.picture import Bands
from reportgen.render.text import NOUNS, Nouns
from reportgen.render.wording import owner_words, reasoned

SLUG = re.compile(SLUG_PATTERN)
Entry = tuple[dict[str, np.ndarray], dict[str, Any]]
Arrays = Mapping[str, np.ndarray]
Figures = Iterator[tuple[str, Figure]]  # file name within the layer's folder of figures, figure
StoredT = TypeVar("StoredT")
RecordT = TypeVar("RecordT")


@dataclass(frozen=True)
class ImageFile:
    """One of the user's images as a file of the report.

    Attributes:
        path: relative to the report.
        width: of the file, in pixels, like `height`.
        lengths: of the image as the model receives it, one per spatial axis.
        drawn: how its channels are drawn, as a clause, where not as gray or RGB, and on what scale where not 8-bit pixels.
    """

    path: str
    width: int
    height: int
    lengths: tuple[int, ...]
    drawn: str | None


@dataclass(frozen=True)
class Appearance:
    """How figures are drawn: the scales of feature maps, and which channels of an image are shown as red, green and blue."""

    maps: MapStyle
    bands: Bands | None = None

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Appearance:
        """Return the appearance that the stored settings of a report state."""
        chosen = settings.get("bands")
        if chosen is None:
            return cls(MapStyle.of(settings))
        red, green, blue = chosen
        return cls(MapStyle.of(settings), (red, green, blue))


@dataclass(frozen=True)
class Section:
    """A section of a layer's page: the template partial `template` prints `view` below the heading `title`."""

    anchor: str
    title: str
    template: str
    view: Any


class Artefact(Generic[StoredT, RecordT]):
    """One kind of thing that a report shows of a layer; every method may be left as it is.

    `name` is the key under which an entry of `layers` in report.json has the record.
    """

    name: str
    comes_late = (
        False  # whether it is computed only after the first pages are written; the figures of others never change then
    )

    def load(self, reader: LayerReader) -> StoredT | None:
        """Read what the store holds of a layer; `reader.lost` notes what was planned and is missing."""
        return None

    def record(self, contents: LayerContents) -> RecordT | None:
        """Return the facts for report.json; None where there are none."""
        return None

    def draw(self, contents: LayerContents, record: RecordT | None, appearance: Appearance) -> Figures:
        """Yield the figures by file name; nothing is written here."""
        return iter(())

    def arrays(self, contents: LayerContents) -> dict[str, Arrays]:
        """Return the arrays for other programs, by the name of their .npz file."""
        return {}

    def section(self, page: LayerPage, record: RecordT | None) -> Section | None:
        """Return the section on the layer's page; None where it has none."""
        return None


class LayerReader:
    """Reads the stored tasks of one layer; an artefact that another one needs is loaded once, when it is first needed."""

    def __init__(self, plan: Plan, store: Store, layer: LayerRecord, awaited: Set[str] = frozenset()) -> None:
        """Read nothing yet; `awaited` are keys of tasks that a run is still to compute."""
        self.plan, self.layer = plan, layer
        self.nouns = NOUNS[plan.contract.rank]
        self._store = store
        self._loaded: dict[str, Any] = {}
        self._missing: list[tuple[str, tuple[str, ...]]] = []
        self._awaited, self._later = awaited, list[str]()
        self._latest: tuple[str, Entry | None] | None = None

    def __getitem__(self, artefact: Artefact[StoredT, Any]) -> StoredT | None:
        """What the store holds of an artefact of this layer."""
        if artefact.name not in self._loaded:
            self._loaded[artefact.name] = artefact.load(self)
        found: StoredT | None = self._loaded[artefact.name]
        return found

    def tasks(self, kind: TaskKind) -> tuple[Task, ...]:
        """The planned tasks of one kind."""
        return self.plan.layer_tasks(self.layer.slug, kind)

    def entry(self, task: Task, names: Sequence[str] = ()) -> Entry | None:
        """A stored task that holds all of `names`; None where it is missing or damaged."""
        if self._latest is None or self._latest[0] != task.key:  # what is beside the weights is read right after them
            self._latest = task.key, stored_entry(self._store, task)
        entry = self._latest[1]
        return entry if entry is not None and set(names) <= set(entry[0]) else None

    def lost(self, clause: str, tasks: Sequence[Task] = ()) -> None:
        """Note what is missing, as a clause; the reasons are those for which `tasks` failed."""
        self._missing.append((clause, failures(self._store, tasks)))

    def awaits(self, kind: TaskKind) -> bool:
        """Whether a task of this kind is still to be computed by the run that goes on."""
        return any(task.key in self._awaited for task in self.tasks(kind))

    def later(self, clause: str) -> None:
        """Note what is not there yet, as a clause."""
        self._later.append(clause)

    def contents(self, artefacts: Sequence[Artefact[Any, Any]]) -> LayerContents:
        """Everything that is stored of the layer."""
        for artefact in artefacts:
            self[artefact]
        return LayerContents(self.plan, self.layer, dict(self._loaded), reasoned(self._missing), tuple(self._later))


@dataclass(frozen=True)
class LayerContents:
    """Everything that is stored of one layer.

    Attributes:
        stored: by the artefacts' names; index with the artefact itself instead.
        missing: what the plan asks for and the store lacks, each as a clause.
        later: what the run that goes on is still to compute, each as a clause.
    """

    plan: Plan
    layer: LayerRecord
    stored: Mapping[str, Any]
    missing: tuple[str, ...]
    later: tuple[str, ...] = ()

    def __getitem__(self, artefact: Artefact[StoredT, Any]) -> StoredT | None:
        """What the store holds of an artefact."""
        found: StoredT | None = self.stored[artefact.name]
        return found

    @property
    def nouns(self) -> Nouns:
        """What a page calls an input of the model."""
        return NOUNS[self.plan.contract.rank]

    @property
    def owners(self) -> tuple[str, str]:
        """What a channel of this layer is called, one and many."""
        return owner_words(self.layer.is_output)

    def planned_filters(self, kind: TaskKind) -> tuple[int, ...]:
        """The filters that tasks of one kind were planned for, in their order."""
        return tuple(number for task in self.plan.layer_tasks(self.layer.slug, kind) for number in task.filters)

    def label(self, index: int) -> str | None:
        """The name of the class `index` where this is the model's output."""
        labels = self.layer.labels
        return None if labels is None else dict(zip(self.layer.filters_shown, labels, strict=True)).get(index)

    def data_path(self, name: str) -> str:
        """Where the arrays in a file lie, relative to the report."""
        return f"data/{self.layer.slug}/{name}"


@dataclass(frozen=True)
class LayerPage:
    """What the sections of a layer's page are made from.

    Attributes:
        pictures: the layer's figures, by file name.
        images: the user's images as report.json has them.
        image_files: their pictures, by slug.
        root: from the page to the report's folder.
    """

    contents: LayerContents
    pictures: Mapping[str, Picture]
    images: Sequence[Any]
    image_files: Mapping[str, ImageFile]
    root: str

    @property
    def layer(self) -> LayerRecord:
        """The layer as the plan has it."""
        return self.contents.layer

    def figure(self, name: str) -> FigureView | None:
        """The figure in a file; None where it was not drawn."""
        return None if name not in self.pictures else figure_view(self.pictures[name], self.root)

    def tile(self, name: str, place: int, pixels: int, label: str) -> Cut | None:
        """One tile of a figure, its longer side `pixels` CSS pixels; None where the figure was not drawn."""
        if name not in self.pictures:
            return None
        picture = self.pictures[name]
        return cut(picture, self.root, picture.tiles.box(place), pixels, label)


def check_slugs(plan: Plan) -> None:
    """Check that the slugs of a stored plan, which may come from anywhere, are file names.

    Raises:
        StoreError: one is not, or two are alike.
    """
    for kind, slugs in (
        ("layer", [layer.slug for layer in plan.layers if layer.status != LayerStatus.SKIPPED]),
        ("image", [image.slug for image in plan.images]),
    ):
        for slug in slugs:
            if not SLUG.fullmatch(slug):
                raise StoreError(
                    f"the stored plan names a {kind} {slug!r}, which is no file name; run `reportgen build` again."
                )
        if len(set(slugs)) != len(slugs):
            raise StoreError(f"the stored plan names two {kind}s alike; run `reportgen build` again.")


def stored_entry(store: Store, task: Task, names: Sequence[str] = ()) -> Entry | None:
    """Return a stored task that holds all of `names`; None where it is missing or damaged."""
    try:
        arrays, facts = store.load(task.key)
    except StoreError:
        return None
    return (arrays, facts) if set(names) <= set(arrays) else None


def failures(store: Store, tasks: Sequence[Task]) -> tuple[str, ...]:
    """Return the reasons for which tasks failed; none where they were only not reached."""
    return tuple(reason for task in tasks if (reason := store.failure(task.key)) is not None)
