"""A finished report as an object: its facts as typed records, its arrays loaded when they are first used. No TensorFlow."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from reportgen.artefacts.data_records import exemplar_file
from reportgen.artefacts.layer_entry import LayerEntry
from reportgen.artefacts.minimal_patterns import MinimalPatternRecord
from reportgen.artefacts.patterns import STRIP, PatternRecord
from reportgen.artefacts.predictions import ImageEntry, input_picture
from reportgen.core.axes import KernelKind, by_filter
from reportgen.core.choices import as_choice
from reportgen.core.errors import StoreError, UsageError, few
from reportgen.core.npz import unpack
from reportgen.core.paper import PaperWidth
from reportgen.core.records import ModelRecord
from reportgen.core.run_options import FigureOptions
from reportgen.core.store import DAMAGE
from reportgen.render.png import decode
from reportgen.report.document import SCHEMA, ReportDocument
from reportgen.report.location import FACTS_FILE as FILE
from reportgen.report.location import Folder, located, shown
from reportgen.report.notebook import filter_html, layer_html, report_html

if TYPE_CHECKING:
    from reportgen.figures.sheet import PaperFigure as Figure

SCORES = (  # of a pattern, in the table of filters
    *("label", "verdict", "activation", "activation_start", "natural_maximum", "natural_image", "peak", "natural_peak"),
    *("natural_peak_image", "survives_warps", "restart_similarity", "seed"),
)
FAMILY = SCHEMA.partition("/")[0]


class Report:
    """A finished report.

    Attributes:
        folder: where it lies; of an archive a `zipfile.Path` into it.
        document: everything that report.json states, as typed records.
        layers: the layers that the report covers, in the order in which data meets them; `report["block3_conv1"]` is one of them.
    """

    def __init__(self, folder: Folder, document: ReportDocument) -> None:
        """Take a report whose facts are read already; `Report.open` reads them."""
        self.folder, self.document = folder, document
        self.layers = tuple(Layer(self, entry) for entry in document.layers if entry.status != "skipped")

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Report:
        """Open a finished report.

        Args:
            path: the report's folder, a file in it such as its first page, or an archive, which need not be unpacked.

        Returns:
            The report; arrays are read when they are first used.

        Raises:
            UsageError: there is no finished report there, or one of another schema version.
        """
        folder = located(path)
        return cls(folder, read_document(folder))

    @property
    def model(self) -> ModelRecord:
        """The model: its name, source, hashes, parameters, input and classes."""
        return self.document.model

    @property
    def images(self) -> tuple[ImageEntry, ...]:
        """The user's images, with the model's predictions."""
        return self.document.images

    @property
    def verdicts(self) -> dict[str, int]:
        """How often each verdict falls on the shown filters of all layers, the model's outputs left out."""
        counts: Counter[str] = Counter()
        for layer in self.layers:
            if not layer.record.is_output:
                counts.update(layer.record.verdicts)
        return dict(counts)

    def __getitem__(self, path: str) -> Layer:
        """The layer with this path, or whose page has this name.

        Raises:
            KeyError: the report does not cover such a layer.
        """
        for layer in self.layers:
            if path in (layer.path, layer.record.slug):
                return layer
        raise KeyError(f"the report has no layer {path}; it has {few([layer.path for layer in self.layers])}")

    def filters(self) -> list[dict[str, Any]]:
        """Return a table with a row for each filter that is shown, as `pandas.DataFrame` takes it.

        Returns:
            Dictionaries with the same keys: the layer's `layer` (path) and `class`, the `filter`, its `label` where it is a class, and
            the verdict and the scores of its pattern (`PatternRecord`), and those of its strongest response as `strongest_activation`
            and `strongest_peak`; None where there is none.
        """
        return [item.row for layer in self.layers for item in layer.filters]

    def figure(
        self,
        layer: str | None = None,
        what: str = "patterns",
        *,
        filters: str | int | Sequence[int] | None = None,
        images: str | Sequence[str] = (),
        width: str | float = PaperWidth.IEEE1.value,
        dpi: int = FigureOptions.dpi,
        style: str | os.PathLike[str] | None = None,
    ) -> Figure:
        """Draw a figure for a paper, as `reportgen figures` does, to change it or to save it with `savefig`.

        Args:
            layer: its path; None for `histograms`, `overview` and `network`, which are of all layers.
            what: `patterns`, `minimal`, `weights`, `maps`, `histograms`, `overview` or `network`.
            filters: `all`, a count, a list such as `0-15,40`, or numbers; None for as many as fit.
            images: names of images whose maps are drawn; the first ones where none is given.
            width: name of a publisher's width, or millimeters.
            dpi: dots per inch.
            style: a Matplotlib style file.

        Returns:
            A Matplotlib figure; fonts are embedded as TrueType whenever it is saved.

        Raises:
            UsageError: a value cannot be meant, or the report has nothing for the figure.
            KeyError: the report does not cover such a layer.
        """
        from reportgen.figures.collection import one

        options = FigureOptions(
            what=what,
            figure_filters=as_choice(filters),
            figure_images=(images,) if isinstance(images, str) else tuple(images),
            width=str(width),
            dpi=dpi,
            style=None if style is None else os.fspath(style),
        )
        return one(self, None if layer is None else self[layer], options).figure

    def _repr_html_(self) -> str:
        """The report in a notebook."""
        return report_html(self.model, [layer.record for layer in self.layers], len(self.images))

    def __repr__(self) -> str:
        """The model, and how much the report has."""
        return f"<Report of {self.model.name}: {len(self.layers)} layers, {len(self.images)} images>"

    def picture(self, image: str) -> NDArray[np.uint8] | None:
        """Return an image as the model is fed it, before preprocessing.

        Args:
            image: its slug.

        Returns:
            uint8 (height, width), or (height, width, 3) RGB; None where the report has no picture of it.
        """
        path = self.folder / input_picture(image)
        return decode(path.read_bytes()) if path.is_file() else None

    def load(self, path: str) -> dict[str, NDArray[Any]]:
        """Read an array file of the report.

        Args:
            path: as report.json states it, relative to the folder.

        Raises:
            StoreError: the file is missing or damaged.
        """
        try:
            with (self.folder / path).open("rb") as file:
                return unpack(file)[0]
        except DAMAGE as error:
            raise StoreError(f"{path} of the report {shown(self.folder)} cannot be read: {error}") from error


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer of a report; arrays are None where the report has none.

    Attributes:
        record: its entry in report.json.
    """

    report: Report
    record: LayerEntry

    @property
    def path(self) -> str:
        """The layer's path in the model."""
        return self.record.path

    @cached_property
    def filters(self) -> tuple[Filter, ...]:
        """The filters that are shown, in the order of their numbers."""
        return tuple(Filter(self, index) for index in self.record.filters_shown)

    def __getitem__(self, index: int) -> Filter:
        """The shown filter with this number.

        Raises:
            KeyError: the report does not show it.
        """
        if index not in self.record.filters_shown:
            raise KeyError(
                f"{self.path} shows {few([str(number) for number in self.record.filters_shown])}, not {index}"
            )
        return Filter(self, index)

    @cached_property
    def weights(self) -> dict[str, NDArray[Any]] | None:
        """Arrays by Keras's names, in its order of axes: `kernel`, `bias`, or `depthwise_kernel` and `pointwise_kernel`."""
        return None if self.record.weights is None else self.report.load(self.record.weights.array)

    @cached_property
    def initial_weights(self) -> dict[str, NDArray[Any]] | None:
        """The same of the weights that training started from."""
        found = self.record.initial_weights
        return None if found is None else self.report.load(found.array)

    @cached_property
    def patterns(self) -> NDArray[Any] | None:
        """uint8 (n, height, width, channels), RGB or the model's own channels, in the order of `record.patterns.filters`."""
        return self._pattern_arrays.get("images")

    @cached_property
    def _pattern_arrays(self) -> dict[str, NDArray[Any]]:
        found = self.record.patterns
        return {} if found is None else self.report.load(found.array)

    @property
    def minimal_patterns(self) -> NDArray[Any] | None:
        """The minimal patterns, like `patterns`, in the order of `record.minimal_patterns.filters`."""
        return self._minimal_arrays.get("images")

    @cached_property
    def _minimal_arrays(self) -> dict[str, NDArray[Any]]:
        found = self.record.minimal_patterns
        return {} if found is None else self.report.load(found.array)

    @cached_property
    def _maps(self) -> dict[str, NDArray[Any]]:
        found = next((record.array for record in self.record.feature_maps if record.array is not None), None)
        return {} if found is None else self.report.load(found)

    def exemplar_sheet(self, index: int) -> NDArray[np.uint8] | None:
        """Return the figure of a shown filter's exemplars as the layer's page has it.

        Args:
            index: of the filter.

        Returns:
            uint8 (height, width), or (height, width, 3) RGB; None where the report has none.
        """
        path = self.report.folder / "figures" / self.record.slug / exemplar_file(index)
        return decode(path.read_bytes()) if path.is_file() else None

    def feature_maps(self, image: str) -> NDArray[Any]:
        """Return the maps of an image after the activation function, float16 (height, width, channels).

        Where `--keep-maps shown` was given, the channels are those of the shown filters, in their order.

        Args:
            image: its name, or its slug.

        Raises:
            KeyError: the report has no maps of it.
        """
        names = {entry.name: entry.slug for entry in self.report.images}
        slug = names.get(image, image)
        if slug not in self._maps:
            raise KeyError(f"{self.path} has no feature maps of {image}; it has those of {few(list(self._maps))}")
        return self._maps[slug]

    def figure(self, name: str) -> Folder | None:
        """Return where a figure of the layer lies, such as `weights.png` or `patterns.png`; None where there is none."""
        path = self.report.folder / "figures" / self.record.slug / name
        return path if path.is_file() else None

    def _repr_html_(self) -> str:
        """The layer in a notebook."""
        strip = self.figure(STRIP)
        return layer_html(self.record, None if strip is None else strip.read_bytes())

    def __repr__(self) -> str:
        """The path, and how many filters are shown."""
        return f"<Layer {self.path}: {len(self.record.filters_shown)} of {self.record.filters_total} filters>"


@dataclass(frozen=True, eq=False)
class Filter:
    """A shown filter of a layer; arrays are None where the report has none."""

    layer: Layer
    index: int

    @cached_property
    def record(self) -> PatternRecord | None:
        """Its pattern's scores and verdict."""
        found = self.layer.record.patterns
        return None if found is None else next((item for item in found.filters if item.index == self.index), None)

    @cached_property
    def minimal_record(self) -> MinimalPatternRecord | None:
        """Its minimal pattern's scores."""
        found = self.layer.record.minimal_patterns
        return None if found is None else next((item for item in found.filters if item.index == self.index), None)

    @property
    def verdict(self) -> str | None:
        """The verdict on its pattern."""
        return None if self.record is None else str(self.record.verdict)

    @property
    def pattern(self) -> NDArray[Any] | None:
        """Its pattern, uint8 (height, width, channels)."""
        return _row(self.layer._pattern_arrays, "images", "indices", self.index)

    @property
    def strongest(self) -> NDArray[Any] | None:
        """The image of the strongest response that any search found: its pattern where that is the one."""
        other = _row(self.layer._pattern_arrays, "strongest_images", "strongest_indices", self.index)
        return self.pattern if other is None else other

    @property
    def minimal_pattern(self) -> NDArray[Any] | None:
        """The image that it responds to least, uint8 (height, width, channels)."""
        return _row(self.layer._minimal_arrays, "images", "indices", self.index)

    @property
    def kernel(self) -> NDArray[Any] | None:
        """Its own slice of the kernel, (input channels, *taps); of a separable layer that of the pointwise kernel."""
        arrays, kind = self.layer.weights, self.layer.record.kernel_kind
        if arrays is None or kind is None:
            return None
        if kind == KernelKind.SEPARABLE:
            return np.asarray(by_filter(KernelKind.PLAIN, arrays["pointwise_kernel"])[self.index])
        return np.asarray(by_filter(kind, arrays["kernel"])[self.index])

    def feature_map(self, image: str) -> NDArray[Any]:
        """Return its map on an image, float16 (height, width).

        Args:
            image: its name, or its slug.

        Raises:
            KeyError: the report has no maps of it.
        """
        maps = self.layer.feature_maps(image)
        channels = self.layer.record.feature_maps[0].channels
        return np.asarray(maps[..., self.index if channels is None else channels.index(self.index)])

    @property
    def row(self) -> dict[str, Any]:
        """Its row of `Report.filters`."""
        layer = self.layer.record
        found: dict[str, Any] = {"layer": layer.path, "class": layer.layer_class, "filter": self.index}
        record = self.record
        found |= {name: None if record is None else msgspec.to_builtins(getattr(record, name)) for name in SCORES}
        strongest = None if record is None else record.strongest
        return found | {
            f"strongest_{name}": None if strongest is None else getattr(strongest, name)
            for name in ("activation", "peak")
        }

    def _repr_html_(self) -> str:
        """The filter in a notebook."""
        bands = self.layer.report.document.settings.get("bands")
        return filter_html(
            f"{self.layer.path}, filter {self.index}",
            self.record,
            self.pattern,
            None if bands is None else tuple(bands),
        )

    def __repr__(self) -> str:
        """The layer, the number and the verdict."""
        return f"<Filter {self.index} of {self.layer.path}: {self.verdict}>"


def read_document(folder: Folder) -> ReportDocument:
    """Read report.json of a report's folder.

    Args:
        folder: of the report.

    Returns:
        The document, every value of the type that the schema states.

    Raises:
        UsageError: there is no finished report, or one of another schema version.
    """
    path = folder / FILE
    if not path.is_file():
        if (folder / ".store" / "plan.json").is_file():
            raise UsageError(
                f"the report in {folder} is unfinished: wait for the run that is writing it, or run the same `reportgen build` again."
            )
        raise UsageError(f"{folder} holds no report: there is no {FILE}.")
    try:
        data = path.read_bytes()
    except DAMAGE as error:
        raise UsageError(f"{path} cannot be read: {error}.") from error
    return parse_document(data, str(path))


def parse_document(data: bytes, path: str) -> ReportDocument:
    """Return the document in the content of a report.json.

    Args:
        data: the content.
        path: how messages name the file.

    Raises:
        UsageError: it is not that of a finished report, or of another schema version.
    """
    try:
        found = json.loads(data)
        schema = found["schema"] if isinstance(found, dict) else None
    except (ValueError, KeyError, RecursionError) as error:
        raise UsageError(f"{path} is not the {FILE} of a report: {error}.") from error
    if schema != SCHEMA:
        if isinstance(schema, str) and schema.startswith(f"{FAMILY}/"):
            raise UsageError(
                f"{path} has the schema {schema}, and this reportgen reads {SCHEMA}: build the report again, or open it with "
                "the version that wrote it."
            )
        raise UsageError(f"{path} is not the {FILE} of a report: it states no schema of reportgen.")
    try:
        return msgspec.convert(found, ReportDocument)
    except msgspec.ValidationError as error:
        raise UsageError(f"{path} does not follow its schema {SCHEMA}: {error}.") from error


def _row(arrays: dict[str, np.ndarray], images: str, indices: str, index: int) -> np.ndarray | None:
    """The image of one filter; None where the file has none."""
    if images not in arrays:
        return None
    for image, number in zip(arrays[images], arrays[indices].tolist(), strict=True):
        if number == index:
            return np.asarray(image)
    return None
