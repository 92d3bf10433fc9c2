"""What figures are drawn from: the facts and arrays of a finished report, whoever reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from reportgen.artefacts.dataset import DatasetEntry
from reportgen.artefacts.layer_entry import LayerEntry
from reportgen.artefacts.overview import OverviewRecord
from reportgen.artefacts.predictions import ImageEntry
from reportgen.core.records import DiagramNode, InputContract, ModelRecord
from reportgen.figures.sheet import PaperFigure, Sheet


class Facts(Protocol):
    """The facts of report.json that figures and captions state."""

    @property
    def model(self) -> ModelRecord:
        """The model."""

    @property
    def input(self) -> InputContract:
        """What it expects."""

    @property
    def settings(self) -> dict[str, Any]:
        """Every resolved setting."""

    @property
    def environment(self) -> dict[str, Any]:
        """Versions."""

    @property
    def images(self) -> tuple[ImageEntry, ...]:
        """The user's images."""

    @property
    def dataset(self) -> DatasetEntry | None:
        """The data set."""

    @property
    def layers(self) -> tuple[LayerEntry, ...]:
        """Every layer, in the order in which data meets them."""

    @property
    def overview(self) -> OverviewRecord | None:
        """Which maps stand for a layer."""

    @property
    def diagram(self) -> tuple[DiagramNode, ...]:
        """How data flows through the network."""


class LayerArrays(Protocol):
    """A layer with its arrays; None where there is none."""

    @property
    def record(self) -> LayerEntry:
        """Its entry in report.json."""

    @property
    def weights(self) -> dict[str, NDArray[Any]] | None:
        """Arrays by Keras's names."""

    @property
    def patterns(self) -> NDArray[Any] | None:
        """The patterns, in the order of `record.patterns.filters`."""

    @property
    def minimal_patterns(self) -> NDArray[Any] | None:
        """The minimal patterns, in the order of `record.minimal_patterns.filters`."""

    def feature_maps(self, image: str) -> NDArray[Any]:
        """The maps of an image."""

    def exemplar_sheet(self, index: int) -> NDArray[np.uint8] | None:
        """The figure of a filter's exemplars, (height, width) or (height, width, 3)."""


class Source(Protocol):
    """A finished report."""

    @property
    def document(self) -> Facts:
        """Its facts."""

    @property
    def layers(self) -> Sequence[LayerArrays]:
        """The layers that it covers."""

    def picture(self, image: str) -> NDArray[np.uint8] | None:
        """The pixels of an image as the model is fed them, (height, width) or (height, width, 3); None where there is no picture."""


@dataclass(frozen=True)
class Request:
    """What a figure is to show.

    Attributes:
        sheet: to draw on.
        filters: their numbers, in order; of those that a layer lacks none is drawn.
        images: slugs.
        listed: whether the user named the filters, so that none is left out for want of room.
    """

    sheet: Sheet
    filters: tuple[int, ...] = ()
    images: tuple[str, ...] = ()
    listed: bool = False


@dataclass(frozen=True)
class Drawn:
    """A figure and its caption, in plain text."""

    figure: PaperFigure
    caption: str
