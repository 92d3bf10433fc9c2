"""The folder of a comparison: its first page, a page for each layer that changed or is affected, and compare.json."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reportgen.artefacts.views import Link, PageContext, legend
from reportgen.compare import views
from reportgen.compare.compare import Examination
from reportgen.compare.figures import KERNELS, PairFigures, draw_pairs, figure_path
from reportgen.compare.records import SAME, Comparison, LayerChange, LayerComparison
from reportgen.core import lock
from reportgen.core.choices import Match
from reportgen.core.errors import OutputError
from reportgen.core.records import PICTURE_RANK
from reportgen.render.text import NOUNS, count, plural
from reportgen.report.html import page_context, render_view
from reportgen.report.location import FACTS_FILE
from reportgen.report.theme import Look, own_look
from reportgen.report.writing import Output, remove_partial

FACTS, INDEX = "compare.json", "index.html"
FAMILY = "reportgen-compare/"
MOST, MOST_OF_LAYER = (
    12,
    24,
)  # filters side by side on the first page, and on a layer's; all are in the table and in compare.json


@dataclass(frozen=True)
class WrittenComparison:
    """What was written: `index` is the first page."""

    index: Path
    comparison: Comparison
    problems: tuple[str, ...] = ()
    summary: None = None


def write_comparison(found: Examination, folder: Path, *, force: bool = False) -> WrittenComparison:
    """Write the pages of a comparison and compare.json.

    Args:
        found: the comparison.
        folder: theirs; only what an earlier comparison wrote there is removed.
        force: whether to write into a folder that holds something else.

    Raises:
        OutputError: the folder is one of the reports, holds something else, is being written, or cannot be.
    """
    check_folder(folder, found, force)
    try:
        with lock.writing(folder):
            remove_partial(folder)
            output = Output(folder)
            _write(found, output, own_look())
            output.remove_stale()
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror}.") from error
    return WrittenComparison(folder / INDEX, found.comparison)


def check_folder(folder: Path, found: Examination, force: bool) -> None:
    """Raise OutputError where a comparison cannot be written to `folder`."""
    for report in (found.old, found.new):
        own = report.folder
        if isinstance(own, Path) and folder.resolve().is_relative_to(own.resolve()):
            raise OutputError(
                f"{folder} is in the report {own}, whose files stay as they are; name another folder with --output."
            )
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file; name a folder with --output.")
    if not folder.is_dir() or force:
        return
    names = {path.name for path in folder.iterdir()}
    if names - {".store"} and not _is_comparison(folder / FACTS):
        what = "is a report" if FACTS_FILE in names else "is not a comparison of reportgen"
        raise OutputError(
            f"{folder} exists and {what}; name another folder with --output, or add --force to write into it."
        )


def _is_comparison(path: Path) -> bool:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and str(found.get("schema")).startswith(FAMILY)


def _write(found: Examination, output: Output, look: Look) -> None:
    comparison = found.comparison
    slugs = {layer.path: found.members[layer.path].new.slug for layer in comparison.layers if views.has_page(layer)}
    drawn: dict[str, PairFigures] = {}
    for layer in comparison.layers:
        if layer.path in slugs:
            figures = draw_pairs(found, found.members[layer.path], views.ranked(layer)[:MOST_OF_LAYER])
            drawn[layer.path] = figures
            for name, figure in figures.files.items():
                output.write(figure_path(slugs[layer.path], name), figure.png)
    for asset in (look.style, look.script):
        output.write(asset.path, asset.text.encode())
    paged = [layer for layer in comparison.layers if layer.path in slugs]
    for place, layer in enumerate(paged):
        view = _layer_view(found, layer, drawn[layer.path], slugs, look, paged, place)
        output.write(f"layers/{slugs[layer.path]}.html", render_view(look, "compare_layer.html", view, view.page))
    output.write(FACTS, comparison.to_json())
    index = _index_view(found, drawn, slugs, look)
    output.write(INDEX, render_view(look, "compare.html", index, index.page))


def title(found: Examination) -> str:
    """Return what the comparison is called."""
    old, new = found.old.document.title, found.new.document.title
    return f"{old} and {new} compared" if old != new else f"{new}: two reports compared"


def _context(found: Examination, look: Look, page_title: str, root: str, palettes: set[str]) -> PageContext:
    rank = found.new.document.input.rank
    return page_context(look, title(found), page_title, root, palettes, NOUNS.get(rank, NOUNS[PICTURE_RANK]))


def _palettes(drawn: Iterator[PairFigures]) -> set[str]:
    return {figure.legend[2] for figures in drawn for figure in figures.files.values() if figure.legend is not None}


def _index_view(
    found: Examination, drawn: dict[str, PairFigures], slugs: dict[str, str], look: Look
) -> views.ComparisonView:
    comparison = found.comparison
    candidates = [
        (layer, item)
        for layer in comparison.layers
        if layer.path in slugs and layer.status not in SAME
        for item in views.ranked(layer)[:MOST_OF_LAYER]
        if item.old_index is not None
    ]
    candidates.sort(
        key=lambda pair: (
            pair[1].verdict is None or pair[1].old_verdict is None,
            -(pair[1].weight_change or 0),
            pair[1].index,
        )
    )
    most = [
        views.pair_view(
            found,
            layer,
            item,
            drawn[layer.path],
            slugs[layer.path],
            "",
            Link(f"layers/{slugs[layer.path]}.html", layer.path),
        )
        for layer, item in candidates[:MOST]
        if item.weight_change != 0 or item.bias_change != 0
    ]
    return views.ComparisonView(
        page=_context(found, look, title(found), "", _palettes(iter(drawn.values()))),
        lede=views.headline(comparison),
        counts=views.counts(comparison),
        fair=None if comparison.unfair else _fair(comparison),
        unfair=comparison.unfair,
        notes=_notes(comparison),
        rows=tuple(views.row(layer, slugs.get(layer.path)) for layer in comparison.layers),
        most=tuple(most),
        most_note=f"{plural(len(most), 'filter')} with the largest weight change, of those with patterns in both reports first.",
        predictions=tuple(views.prediction_row(item) for item in comparison.predictions),
        predictions_note=_predictions_note(comparison),
        classes=views.class_sentences(comparison),
        meanings=tuple(
            (views.StatusView(views.SIGNS[status], str(status)), views.MEANINGS[status])
            for status in LayerChange
            if any(layer.status == status for layer in comparison.layers)
        )
        + (
            (
                (
                    views.StatusView(views.AFFECTED_SIGN, "affected"),
                    "its own weights are the same and what reaches it is not",
                ),
            )
            if any(layer.affected for layer in comparison.layers)
            else ()
        ),
        models=views.model_facts(found),
        not_compared=tuple((item.path, item.reason) for item in comparison.not_compared),
    )


def _fair(comparison: Comparison) -> str:
    shared = plural(len(comparison.images), "image")
    return f"Both reports have the same settings, versions, preprocessing and {shared}: nothing makes the comparison unfair."


def _notes(comparison: Comparison) -> tuple[str, ...]:
    """How filters were matched, and whether activations were compared."""
    if comparison.match == Match.POSITION:
        matched = "Filters were compared by their numbers (--match position)."
    else:
        matched = "Filters were matched before they were compared, since training again puts them in another order."
    if comparison.images:
        return (
            matched,
            f"Activations are compared on {plural(len(comparison.images), 'image')} that both models were fed in the same way.",
        )
    return (matched, "Activations are not compared: weights and patterns alone are.")


def _predictions_note(comparison: Comparison) -> str:
    if not comparison.predictions:
        return "The reports have no image in common with predictions of both models."
    flipped = comparison.predictions_flipped
    return f"{plural(flipped, 'prediction is', 'predictions are')} another class, of {plural(len(comparison.predictions), 'image')}."


def _layer_view(
    found: Examination,
    layer: LayerComparison,
    figures: PairFigures,
    slugs: dict[str, str],
    look: Look,
    paged: list[LayerComparison],
    place: int,
) -> views.ChangedLayerView:
    shown = views.ranked(layer)[:MOST_OF_LAYER]
    slug = slugs[layer.path]
    row = views.row(layer, slug)
    kernels = figures.picture(KERNELS, slug)
    by = "weights" if layer.status not in SAME else "activation"
    beside = [None if at not in range(len(paged)) else paged[at] for at in (place - 1, place + 1)]
    links = [None if other is None else Link(f"{slugs[other.path]}.html", other.path) for other in beside]
    return views.ChangedLayerView(
        page=_context(found, look, f"{layer.path} – {title(found)}", "../", _palettes(iter([figures]))),
        heading=layer.path,
        was=row.was,
        statuses=row.statuses,
        lede=f"{views.MEANINGS[layer.status][:1].upper()}{views.MEANINGS[layer.status][1:]}"
        + ("; what reaches the layer changed." if layer.affected else "."),
        previous=links[0],
        following=links[1],
        notes=row.notes,
        facts=views.layer_numbers(layer),
        pairs=tuple(views.pair_view(found, layer, item, figures, slug, "../", None) for item in shown),
        pairs_note=f"{count(len(shown))} of {plural(len(layer.filters), 'filter')}: those with patterns in both reports first, then by "
        f"change of {by}; filters without a match last. Old on the left, new on the right. Kernels have the normalizations that follow "
        "folded in, and each pair a scale of its own.",
        legend=None if kernels is None or kernels.legend is None else legend(*kernels.legend),
        rows=views.filter_rows(layer),
    )
