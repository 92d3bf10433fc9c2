"""What the documents of an archive are about: the report's facts, the user's statement, and the files of both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from reportgen.archive.statement import Statement
from reportgen.artefacts.dataset import ModelOutcome
from reportgen.artefacts.layer_entry import LayerEntry
from reportgen.core.distributions import Distribution
from reportgen.core.records import LayerStatus, NodeKind
from reportgen.core.verdicts import DEAD, SILENT, VERDICTS
from reportgen.render.text import count, dimensions, percent, plural, shape, stated
from reportgen.report.document import ReportDocument
from reportgen.report.location import PAYLOAD

NOT_STATED = "not stated by the tool"
INDEX = "index.html"
PICTURES = 3  # layers whose patterns a document shows: the first, the middle and the last
STRIP, GRID = "strip.png", "patterns.png"
NAMED_CLASSES = 20  # more are counted and not named


@dataclass(frozen=True)
class FileFacts:
    """A file: its SHA-256 in hexadecimal, and its length in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Subject:
    """Everything that the documents of an archive are made of: equal subjects give equal bytes.

    Attributes:
        document: report.json.
        statement: the user's.
        statement_sha256: of the file that it stands in; "" where there is none.
        date: of the archive, YYYY-MM-DD; None where neither the statement nor SOURCE_DATE_EPOCH has one.
        files: of the report, by path relative to it.
        distributions: installed where the report was built; empty where a report of an earlier version does not say.
        read: returns the content of a file of the report.
    """

    document: ReportDocument
    statement: Statement
    statement_sha256: str
    date: str | None
    files: Mapping[str, FileFacts]
    distributions: tuple[Distribution, ...]
    read: Callable[[str], bytes]

    @property
    def name(self) -> str:
        """The model's name: the stated one, else the report's."""
        return self.statement.name or self.document.model.name

    @cached_property
    def layers(self) -> tuple[LayerEntry, ...]:
        """Layers whose filters have verdicts, without the model's outputs."""
        return tuple(layer for layer in self.document.layers if judged(layer) and not layer.is_output)

    @cached_property
    def convolutions(self) -> tuple[LayerEntry, ...]:
        """The layers that the report covers, without pooling layers and the model's outputs."""
        return tuple(
            layer
            for layer in self.document.layers
            if layer.status == LayerStatus.RENDERED and not layer.is_output and not layer.is_pooling
        )

    @cached_property
    def pictured(self) -> tuple[LayerEntry, ...]:
        """A few layers, from the first to the last, of which there is a strip of patterns."""
        found = [layer for layer in self.layers if self.figure(layer, STRIP) is not None]
        if len(found) <= PICTURES:
            return tuple(found)
        return tuple(found[number * (len(found) - 1) // (PICTURES - 1)] for number in range(PICTURES))

    def page(self, layer: LayerEntry) -> str:
        """Where a layer's page is, relative to the archive; the first page of a report in one file."""
        path = f"layers/{layer.slug}.html"
        return PAYLOAD + (path if path in self.files else INDEX)

    def figure(self, layer: LayerEntry, name: str) -> str | None:
        """Where a figure of a layer is, relative to the archive; None where it is no file of its own."""
        path = f"figures/{layer.slug}/{name}"
        return PAYLOAD + path if path in self.files else None

    @property
    def verdicts(self) -> dict[str, int]:
        """How often each verdict falls on the filters shown, of all layers without the model's outputs."""
        counted = {str(word): sum(layer.verdicts.get(word, 0) for layer in self.layers) for word in VERDICTS}
        return {word: number for word, number in counted.items() if number}

    @property
    def filters_shown(self) -> int:
        """The number of filters shown that have a verdict, of all layers without the model's outputs."""
        return sum(map(judged, self.layers))

    @cached_property
    def surveyed(self) -> tuple[LayerEntry, ...]:
        """Layers of which the images of a data set were measured."""
        return tuple(layer for layer in self.document.layers if layer.data is not None and not layer.is_output)

    @property
    def outcome(self) -> ModelOutcome | None:
        """How the model classified the labeled images of a data set."""
        return None if self.document.dataset is None else self.document.dataset.model

    @property
    def dataset_words(self) -> str | None:
        """The data set, in words."""
        data = self.document.dataset
        if data is None:
            return None
        labels = f", with {plural(len(data.labels), 'label')}" if data.labels else ""
        return f"{count(data.images)} of {plural(data.found, 'image')} of the data set {data.source}{labels} (SHA-256 {data.sha256})"

    @property
    def accuracy_words(self) -> str:
        """What is known of the model's accuracy."""
        outcome = self.outcome
        if outcome is None:
            return "Accuracy is not measured."
        measured = (
            f"{count(outcome.correct)} of {plural(outcome.images, 'labeled image')} ({percent(outcome.accuracy)})"
        )
        return f"Accuracy on the data set: {measured} classified as labeled. Whether the model was trained on them is not known."

    @property
    def method_limits(self) -> tuple[str, ...]:
        """What the report's methods cannot show."""
        unmeasured = "Accuracy, calibration, robustness" if self.outcome is None else "Robustness"
        return (*METHOD_LIMITS, f"{unmeasured} and fairness are not measured.")

    @property
    def input_words(self) -> str:
        """What the model takes, in words."""
        contract = self.document.input
        size, channels = dimensions(contract.shape[:-1]), plural(contract.bands, "channel")
        return f"{size}, {channels}, values from {stated(contract.low)} to {stated(contract.high)}"

    @property
    def outputs(self) -> tuple[str, ...]:
        """What the model gives, in words: the shape of each output, and of a classifier its classes."""
        nodes = [node for node in self.document.diagram if node.kind == NodeKind.OUTPUT]
        shapes = [f"float values of shape {shape(node.shape)}" for node in nodes]
        classes = self.document.model.classes
        if classes:
            named = ", ".join(classes[:NAMED_CLASSES]) + (", …" if len(classes) > NAMED_CLASSES else "")
            shapes.append(f"{plural(len(classes), 'class', 'classes')}: {named}")
        return tuple(shapes)

    @property
    def is_classifier(self) -> bool:
        """Whether the model gave class probabilities for the user's images."""
        return any(image.predictions for image in self.document.images)


def judged(layer: LayerEntry) -> int:
    """Return how many filters of a layer have a verdict."""
    return sum(layer.verdicts.get(word, 0) for word in VERDICTS)


def share(layer: LayerEntry, word: str) -> float:
    """Return the share of a verdict among a layer's filters that have one."""
    return layer.verdicts.get(word, 0) / judged(layer)


def silent_words(layer: LayerEntry) -> str:
    """Return how many filters of a layer are zero everywhere on the data set: `3 of 64`."""
    return "" if layer.data is None else f"{len(layer.data.silent_filters)} of {layer.filters_total}"


def share_words(layer: LayerEntry, word: str) -> str:
    """Return the same with its counts: `1 of 16 (6.2 %)`."""
    return f"{layer.verdicts.get(word, 0)} of {judged(layer)} ({percent(share(layer, word))})"


MEASURED = (DEAD, SILENT)  # the verdicts whose shares are stated of every layer
METHOD_LIMITS = (
    "A pattern shows what excites a filter, not what the filter is for in the model (Borowski et al. 2021; Geirhos et al. 2024).",
    "Patterns are found by search: a filter can respond more strongly to an input that the search did not find. Only the verdict "
    "`dead` is proven.",
    "Shares of filters are those of the filters shown.",
)
