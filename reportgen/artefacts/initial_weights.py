"""The initial weights beside the trained ones: how much training changed each filter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from reportgen.artefacts.base import (
    Appearance,
    Arrays,
    Artefact,
    Figures,
    LayerContents,
    LayerPage,
    LayerReader,
    Section,
)
from reportgen.artefacts.views import Fact, FigureView, Link, anchor
from reportgen.artefacts.weights import FIGURE, INITIAL_FIGURE, INITIAL_WEIGHTS_NAME, WEIGHTS, load_kernels, undrawable
from reportgen.core.axes import KernelKind, by_filter
from reportgen.core.numbers import plain
from reportgen.core.records import Count, LayerRecord, RelativePath, TaskKind
from reportgen.render import weights as grid
from reportgen.render.charts import Chart, filter_bars
from reportgen.render.text import number, plural, span

FILE = "initial_weights.npz"
MOST_BESIDE = 64  # columns of a weight grid; wider ones stand one below the other
MOST_CHANGED = 5  # filters named as those that changed most
RELATIVE_CHANGE = (
    "length (L2 norm) of trained minus initial weights over that of the initial ones; null where that is 0"
)
Change = Annotated[float, Meta(ge=0, description=RELATIVE_CHANGE)]
Cosine = Annotated[float, Meta(ge=-1, le=1)]


class FilterChange(msgspec.Struct, frozen=True, kw_only=True):
    """How much training changed one filter."""

    index: Count
    relative_change: Change | None
    cosine_similarity: Cosine | None


class InitialWeightsRecord(msgspec.Struct, frozen=True, kw_only=True):
    """How much training changed the kernel from the weights of --initial, whole and filter by filter."""

    array: Annotated[RelativePath, Meta(description="file of the initial weights")]
    relative_change: Change | None
    cosine_similarity: Cosine | None
    relative_change_median: Change | None
    relative_change_minimum: Change | None
    relative_change_maximum: Change | None
    cosine_similarity_median: Cosine | None
    filters: tuple[FilterChange, ...]


@dataclass(frozen=True)
class InitialWeightsView:
    """The weights before training, beside the trained ones; `most` are the filters that changed most, `chart` has the change of each."""

    facts: tuple[Fact, ...]
    most: tuple[Link, ...]
    chart: Chart | None
    initial: FigureView | None
    trained: FigureView | None
    stacked: bool


class InitialWeights(Artefact[Arrays, InitialWeightsRecord]):
    """The kernel that training started from."""

    name = INITIAL_WEIGHTS_NAME

    def load(self, reader: LayerReader) -> Arrays | None:
        """Read the arrays by Keras's names."""
        return load_kernels(reader, TaskKind.INITIAL, "the initial weights are not stored")

    def record(self, contents: LayerContents) -> InitialWeightsRecord | None:
        """Return how much the kernel changed; None where either one is missing."""
        trained_arrays, initial_arrays = contents[WEIGHTS], contents[self]
        if trained_arrays is None or initial_arrays is None:
            return None
        trained, initial = (filter_rows(arrays, contents.layer) for arrays in (trained_arrays, initial_arrays))
        filters = [_change(*pair) for pair in zip(trained, initial, strict=True)]
        changes = [change for change, _ in filters if change is not None]
        cosines = [cosine for _, cosine in filters if cosine is not None]
        change, cosine = _change(trained.ravel(), initial.ravel())
        return InitialWeightsRecord(
            array=contents.data_path(FILE),
            relative_change=change,
            cosine_similarity=cosine,
            relative_change_median=plain(np.median(changes)) if changes else None,
            relative_change_minimum=min(changes, default=None),
            relative_change_maximum=max(changes, default=None),
            cosine_similarity_median=plain(np.median(cosines)) if cosines else None,
            filters=tuple(
                FilterChange(index=index, relative_change=own, cosine_similarity=angle)
                for index, (own, angle) in enumerate(filters)
            ),
        )

    def draw(self, contents: LayerContents, record: InitialWeightsRecord | None, appearance: Appearance) -> Figures:
        """Yield the weight grid, on the scale of the trained weights."""
        trained, initial = contents[WEIGHTS], contents[self]
        if trained is None or initial is None:
            return
        if any(undrawable(arrays, contents.layer) is not None for arrays in (trained, initial)):
            return
        drawn = grid.draw(initial, contents.layer, trained)
        yield INITIAL_FIGURE, replace(drawn, alt=f"Initial weights: {drawn.alt}")

    def arrays(self, contents: LayerContents) -> dict[str, Arrays]:
        """Return the arrays by Keras's names."""
        arrays = contents[self]
        return {} if arrays is None else {FILE: arrays}

    def section(self, page: LayerPage, record: InitialWeightsRecord | None) -> Section | None:
        """Return the section; None where no initial weights are known."""
        if record is None:
            return None
        changes = [np.nan if item.relative_change is None else item.relative_change for item in record.filters]
        view = InitialWeightsView(
            summary(record),
            most_changed(record, page.layer),
            filter_bars(changes, "Relative weight change per filter", signed=False, lost="not defined"),
            page.figure(INITIAL_FIGURE),
            page.figure(FIGURE),
            stacked=INITIAL_FIGURE in page.pictures and page.pictures[INITIAL_FIGURE].tiles.columns > MOST_BESIDE,
        )
        return Section("change", "Change during training", "sections/initial_weights.html", view)


INITIAL_WEIGHTS = InitialWeights()


def filter_rows(arrays: Mapping[str, np.ndarray], layer: LayerRecord) -> NDArray[np.float64]:
    """Return each filter's own slice of the kernel.

    Args:
        arrays: the layer's weights; kernels have any number of spatial axes.
        layer: whose weights they are.

    Returns:
        float64 (filters, weights). A separable filter's own slice is that of the pointwise kernel; the depthwise one is shared by all.
    """
    if "pointwise_kernel" in arrays:
        kernel = by_filter(KernelKind.PLAIN, arrays["pointwise_kernel"])
    else:
        kernel = by_filter(layer.kernel_kind or KernelKind.PLAIN, arrays["kernel"])
    return np.moveaxis(kernel, 1, -1).reshape(len(kernel), -1).astype(np.float64)


def _change(trained: NDArray[np.float64], initial: NDArray[np.float64]) -> tuple[float | None, float | None]:
    """(relative change, cosine similarity) of two vectors; None where a length is 0 or a weight is not finite."""
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        length, start = np.linalg.norm(trained), np.linalg.norm(initial)
        change = np.linalg.norm(trained - initial) / start
        cosine = np.clip(trained @ initial / (length * start), -1, 1)
    return plain(change), plain(cosine)


def summary(record: InitialWeightsRecord) -> tuple[Fact, ...]:
    """Return the layer's numbers for its page."""
    known = sum(item.relative_change is not None for item in record.filters)
    return (
        Fact("Relative weight change", number(record.relative_change), note="‖w − w₀‖ / ‖w₀‖, whole layer"),
        Fact(
            "Cosine similarity to the initial weights",
            number(record.cosine_similarity),
            note="whole layer; 1 means only rescaled",
        ),
        Fact(
            f"Change of {plural(known, 'filter')}",
            f"median {number(record.relative_change_median)}",
            note=f"range {span(record.relative_change_minimum, record.relative_change_maximum)}",
        ),
    )


def most_changed(record: InitialWeightsRecord, layer: LayerRecord) -> tuple[Link, ...]:
    """Return the filters that changed most, largest change first, as links to those that the page shows."""
    known = [(item.relative_change, item.index) for item in record.filters if item.relative_change is not None]
    most = [index for _, index in sorted(known, key=lambda item: (-item[0], item[1]))[:MOST_CHANGED]]
    return tuple(
        Link(f"#{anchor(index)}" if index in layer.filters_shown else "", str(index), code=False) for index in most
    )


def card_facts(record: InitialWeightsRecord | None, index: int) -> tuple[Fact, ...]:
    """Return how much training changed one filter, for its card."""
    if record is None:
        return ()
    item = record.filters[index]
    return (Fact("Weight change", number(item.relative_change), note=f"cosine {number(item.cosine_similarity)}"),)
