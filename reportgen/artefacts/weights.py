"""A layer's weights: kernels and biases as the layer holds them, their statistics, weight grids, and each filter's kernel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

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
from reportgen.artefacts.views import Cut, Fact, FigureView, cut
from reportgen.core.numbers import plain
from reportgen.core.records import Count, LayerRecord, LayerStatus, RelativePath, TaskKind
from reportgen.render import weights as grid
from reportgen.render.charts import Chart, filter_bars, histogram
from reportgen.render.figure import Picture
from reportgen.render.text import count, listed, number, percent, plural, span
from reportgen.render.weights import KernelLayout
from reportgen.render.wording import not_finite, sentence

FILE, FIGURE, POINTWISE_FIGURE = "weights.npz", "weights.png", "pointwise_weights.png"
SLICES_FIGURE = "kernel_slices.png"  # of the filters shown, where the weights are drawn as a matrix
INITIAL_WEIGHTS_NAME, INITIAL_FIGURE = (
    "initial_weights",
    "initial_weights.png",
)  # of the artefact drawn on the same scale
HISTOGRAM_BINS = 41  # odd, so that zero lies in the middle of a bin and not on an edge; enough to see a second mode
KERNEL_PIXELS = 56  # longer side of a kernel slice on a card, CSS pixels
KERNEL_ROW = 16  # slices of a kernel in one row of a card
SLICES_ROW = 8  # the same where only those with the largest norm are shown
KERNEL_ROWS = 4  # rows of a card; further slices are only in the weight grid
KERNEL_ROW_PIXELS = 240  # width of a full row, CSS pixels
LARGEST_WEIGHTS = 6  # of a filter whose slices are single weights: numbers that a card states


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """Statistics over the finite values of some weights; null where there is none."""

    count: Count
    nonfinite: Count
    minimum: float | None
    maximum: float | None
    mean: float | None
    std: float | None
    zero_fraction: Annotated[float, Meta(ge=0, le=1)] | None


class Histogram(msgspec.Struct, frozen=True, kw_only=True):
    """Bins of equal width from -limit to limit, over finite weights; no bins where all are zero."""

    limit: float | None
    counts: tuple[Count, ...]


class WeightsRecord(Statistics, frozen=True, kw_only=True):
    """Statistics over every kernel entry that is finite."""

    array: Annotated[RelativePath, Meta(description="file of the arrays")]
    arrays: Annotated[dict[str, tuple[Count, ...]], Meta(description="shape of each stored array")]
    histogram: Histogram
    bias: Annotated[Statistics | None, Meta(description="of the biases; null where the layer has none")]


@dataclass(frozen=True)
class WeightsView:
    """The section: statistics, the weight grid, the pointwise kernel of a separable layer, and biases."""

    warning: str | None
    facts: tuple[Fact, ...]
    histogram: Chart | None
    figure: FigureView | None
    pointwise: FigureView | None
    note: str | None
    bias_facts: tuple[Fact, ...]
    bias: Chart | None
    zero_biases: str | None


class Weights(Artefact[Arrays, WeightsRecord]):
    """Kernels and biases of a layer, as the layer holds them."""

    name = "weights"

    def load(self, reader: LayerReader) -> Arrays | None:
        """Read the arrays of the layer by Keras's names: `kernel`, `bias`, …; None where the layer has no kernel."""
        return load_kernels(reader, TaskKind.WEIGHTS, "the weights are not computed")

    def record(self, contents: LayerContents) -> WeightsRecord | None:
        """Return statistics over every kernel entry, and over the biases."""
        arrays = contents[self]
        if arrays is None:
            return None
        kernels = [array for name, array in arrays.items() if name.endswith("kernel")]
        values = np.concatenate([np.ravel(array).astype(np.float64) for array in kernels])
        finite = values[np.isfinite(values)]
        limit = float(np.max(np.abs(finite), initial=0))
        counts = np.histogram(finite, HISTOGRAM_BINS, (-limit, limit))[0] if limit > 0 else np.zeros(0, np.int64)
        return WeightsRecord(
            **_statistics(values),
            array=contents.data_path(FILE),
            arrays={name: tuple(array.shape) for name, array in arrays.items()},
            histogram=Histogram(limit=plain(limit), counts=tuple(counts.tolist())),
            bias=Statistics(**_statistics(np.ravel(arrays["bias"]).astype(np.float64))) if "bias" in arrays else None,
        )

    def draw(self, contents: LayerContents, record: WeightsRecord | None, appearance: Appearance) -> Figures:
        """Yield the weight grid, and that of the pointwise kernel of a separable layer, which is where its filters differ."""
        arrays, layer = contents[self], contents.layer
        if arrays is None:
            return
        initial = contents.stored.get(INITIAL_WEIGHTS_NAME)
        same_scale = initial is not None and undrawable(initial, layer) is None
        try:
            drawn = grid.draw(arrays, layer, initial if same_scale else None)
        except ValueError:  # the section says why
            return
        yield FIGURE, drawn
        wide = grid.matrix(arrays, layer)
        if wide is not None and wide.shape[-1] > 1 and layer.filters_shown:
            yield SLICES_FIGURE, grid.draw_slices(arrays, layer, layer.filters_shown)
        for plain_arrays, plain_layer in _pointwise(arrays, layer):
            drawn = grid.draw(plain_arrays, plain_layer)
            title = "Pointwise kernel: "
            yield POINTWISE_FIGURE, replace(drawn, alt=title + drawn.alt, caption=title + drawn.caption)

    def arrays(self, contents: LayerContents) -> dict[str, Arrays]:
        """Return the arrays by Keras's names, in Keras's order of axes."""
        arrays = contents[self]
        return {} if arrays is None else {FILE: arrays}

    def section(self, page: LayerPage, record: WeightsRecord | None) -> Section | None:
        """Return the section; None for layers that have no kernel of their own."""
        if page.layer.is_output or page.layer.is_pooling:
            return None
        arrays = page.contents[self]
        has_initial = INITIAL_FIGURE in page.pictures  # shown beside each other in a section of their own
        bias = None if arrays is None else arrays.get("bias")
        chart = None if bias is None else filter_bars(np.ravel(bias), "Bias per filter")
        view = WeightsView(
            warning=_warning(record, page.layer),
            facts=statistics_facts(record, "weights"),
            histogram=None if record is None else _histogram(record),
            figure=None if has_initial else page.figure(FIGURE),
            pointwise=page.figure(POINTWISE_FIGURE),
            note=_note(page, arrays),
            bias_facts=() if chart is None or record is None else statistics_facts(record.bias, "biases"),
            bias=chart,
            zero_biases=_zero_biases(bias.size) if bias is not None and chart is None else None,
        )
        return Section("weights", "Weights", "sections/weights.html", view)


WEIGHTS = Weights()


def load_kernels(reader: LayerReader, kind: TaskKind, lost: str) -> Arrays | None:
    """Read a layer's kernels and biases; `lost` is the clause that says that they are missing."""
    arrays = None
    for task in reader.tasks(kind):
        entry = reader.entry(task)
        arrays = entry[0] if entry is not None and any(name.endswith("kernel") for name in entry[0]) else None
        if arrays is None:
            reader.lost(lost, [task])
    return arrays


def undrawable(arrays: Arrays, layer: LayerRecord) -> str | None:
    """Return why a kernel is not drawn; None where it is."""
    try:
        grid.kernel_layout(arrays, layer)
    except ValueError as error:
        return str(error)
    return None


def _pointwise(arrays: Arrays, layer: LayerRecord) -> Iterator[tuple[Mapping[str, np.ndarray], LayerRecord]]:
    """The second kernel of a separable layer; nothing where it does not fit the layer."""
    plain_kernel = grid.pointwise(arrays, layer)
    if plain_kernel is not None and undrawable(*plain_kernel) is None:
        yield plain_kernel


def _statistics(values: np.ndarray) -> dict[str, Any]:
    finite = values[np.isfinite(values)]
    counts = {"count": len(values), "nonfinite": len(values) - len(finite)}
    if not len(finite):
        return {**counts, **dict.fromkeys(("minimum", "maximum", "mean", "std", "zero_fraction"))}
    return {
        **counts,
        "minimum": plain(finite.min()),
        "maximum": plain(finite.max()),
        "mean": plain(finite.mean()),
        "std": plain(finite.std()),
        "zero_fraction": plain(np.mean(finite == 0)),
    }


def statistics_facts(statistics: Statistics | None, plurals: str) -> tuple[Fact, ...]:
    """Return statistics as rows of a page; `plurals` names what they are of."""
    if statistics is None:
        return ()
    return (
        Fact(f"Number of {plurals}", count(statistics.count)),
        Fact("Range", span(statistics.minimum, statistics.maximum)),
        Fact("Mean", number(statistics.mean)),
        Fact("Standard deviation", number(statistics.std)),
        Fact("Zeros", percent(statistics.zero_fraction)),
    )


def lost_weights(record: WeightsRecord | None) -> str | None:
    """Return how many kernel weights are not finite, as a clause; None where all are."""
    return None if record is None else not_finite(record.nonfinite, record.count, "kernel weight")


def _warning(record: WeightsRecord | None, layer: LayerRecord) -> str | None:
    lost = lost_weights(record)
    notes = [] if lost is None else [f"{lost}; the statistics are of the others."]
    if layer.kernel_note is not None:
        notes.append(f"Kernel, statistics and weights.npz are of {layer.kernel_note}.")
    return " ".join(notes) or None


def _note(page: LayerPage, arrays: Arrays | None) -> str | None:
    """Why there is no weight grid."""
    if arrays is None:
        lacking = page.contents.missing or page.layer.status == LayerStatus.FAILED
        return (
            "The weights of this layer have not been stored; run `reportgen build` again."
            if lacking
            else "This layer has no kernel of its own."
            if page.layer.parameters == 0
            else f"No kernel of this layer is known; its {plural(page.layer.parameters, 'weight')} are not drawn."
        )
    why = None if FIGURE in page.pictures else undrawable(arrays, page.layer)
    return None if why is None else sentence(f"not drawn: {why}")


def _zero_biases(total: int) -> str:
    return "The only bias is zero." if total == 1 else f"All {count(total)} biases are zero."


def _histogram(record: WeightsRecord) -> Chart | None:
    drawn = record.histogram
    return histogram(drawn.counts, drawn.limit or 0.0, record.count - record.nonfinite)


@dataclass(frozen=True)
class KernelGrid:
    """Where each filter of a layer has its kernel.

    Attributes:
        picture: the figure that has tiles of filters; None where a kernel has only single weights.
        layout: which tiles belong to which filter; None without a picture.
        weights: of kernels of single weights, (filters, input channels).
    """

    picture: Picture | None
    layout: KernelLayout | None
    weights: NDArray[np.floating] | None


def kernel_grid(page: LayerPage) -> KernelGrid | None:
    """Return where each filter of a layer has its kernel; None where none was drawn. Once for all cards of a page."""
    arrays, layer = page.contents[WEIGHTS], page.layer
    if arrays is None or FIGURE not in page.pictures:
        return None
    figure = FIGURE
    if POINTWISE_FIGURE in page.pictures:
        (arrays, layer), figure = next(_pointwise(arrays, layer)), POINTWISE_FIGURE
    wide = grid.matrix(arrays, layer)
    if wide is None:
        return KernelGrid(page.pictures[figure], grid.kernel_layout(arrays, layer), None)
    if wide.shape[-1] == 1:
        return KernelGrid(None, None, wide[..., 0])
    if SLICES_FIGURE not in page.pictures:
        return None
    layout = grid.slices_layout(arrays, layer, layer.filters_shown)
    return KernelGrid(page.pictures[SLICES_FIGURE], layout, None)


def kernel_cuts(kernels: KernelGrid, index: int, root: str) -> tuple[tuple[Cut, ...], str | None]:
    """Return the slices of a filter's kernel for its card, and a note on them.

    Args:
        kernels: as `kernel_grid` returns them.
        index: of the filter.
        root: from the page to the report's folder.
    """
    picture, layout = kernels.picture, kernels.layout
    if kernels.weights is not None:
        return (), _largest_weights(kernels.weights[index])
    if picture is None or layout is None:
        return (), None
    tiles = layout.filter_tiles(index)
    if not tiles:
        return (), "its pointwise kernel is not drawn"
    if layout.channels is not None:
        return _largest_slices(picture, layout.channels[layout.place(index)].tolist(), tiles, index, root)
    if len(tiles) == 1:
        label = f"Kernel of filter {index}"
        return (cut(picture, root, picture.tiles.box(tiles[0]), KERNEL_PIXELS, label),), None
    shown = tiles[: KERNEL_ROW * KERNEL_ROWS]
    rows = [shown[first : first + KERNEL_ROW] for first in range(0, len(shown), KERNEL_ROW)]
    pixels = KERNEL_ROW_PIXELS // min(KERNEL_ROW, len(tiles))
    cuts = []
    for place, row in enumerate(rows):
        first = place * KERNEL_ROW
        label = f"Kernel of filter {index}, input channels {first} to {first + len(row) - 1}"
        width = min(pixels, KERNEL_PIXELS) * len(row)
        cuts.append(cut(picture, root, _window(picture, row), width, label))
    left = len(tiles) - len(shown)
    note = (
        f"the first {len(shown)} of {plural(len(tiles), 'input channel')}; all are in the weight grid" if left else None
    )
    return tuple(cuts), note


def _window(picture: Picture, tiles: Sequence[int]) -> tuple[int, int, int, int]:
    """The part of a figure with the `tiles` of one row."""
    x, y, _, height = picture.tiles.box(tiles[0])
    last, _, width, _ = picture.tiles.box(tiles[-1])
    return x, y, last + width - x, height


def _largest_slices(
    picture: Picture, channels: list[int], tiles: range, index: int, root: str
) -> tuple[tuple[Cut, ...], str | None]:
    """The slices of a filter with the largest L2 norm, in rows of SLICES_ROW."""
    pixels = min(KERNEL_ROW_PIXELS // min(SLICES_ROW, len(tiles)), KERNEL_PIXELS)
    cuts = []
    for first in range(0, len(tiles), SLICES_ROW):
        row = tiles[first : first + SLICES_ROW]
        numbers = listed([str(channel) for channel in channels[first : first + SLICES_ROW]])
        label = f"Kernel of filter {index}, input channels {numbers}"
        cuts.append(cut(picture, root, _window(picture, row), pixels * len(row), label))
    return tuple(cuts), f"top input channels, by L2 norm: {', '.join(str(channel) for channel in channels)}"


def _largest_weights(weights: NDArray[np.floating]) -> str:
    """The input channels with the largest weights, each with its weight."""
    sizes = np.where(np.isfinite(weights), np.abs(weights.astype(np.float64)), np.inf)
    order = np.argsort(-sizes, kind="stable")[:LARGEST_WEIGHTS].tolist()
    stated = ", ".join(f"{channel} ({number(float(weights[channel]))})" for channel in order)
    return f"top input channels, by weight: {stated}"
