"""The index page as a view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from reportgen.artefacts import optimization_method
from reportgen.artefacts.base import ImageFile
from reportgen.artefacts.layer_entry import LayerEntry
from reportgen.artefacts.overview import OverviewView
from reportgen.artefacts.patterns import STRIP
from reportgen.artefacts.predictions import ImageView, image_views, images_note
from reportgen.artefacts.telling_patterns import FIGURE as GALLERY_FIGURE
from reportgen.artefacts.telling_patterns import in_depth
from reportgen.artefacts.views import Fact, Link, PageContext, Verdict, verdict_view
from reportgen.artefacts.weights import lost_weights
from reportgen.core.records import PICTURE_RANK, LayerStatus
from reportgen.core.verdicts import BY_PRECEDENCE, SILENT
from reportgen.render.figure import Picture
from reportgen.render.text import AXIS_UNITS, count, listed, plural
from reportgen.render.wording import flattened, stopped, unquoted
from reportgen.report.counts import Counts, counts
from reportgen.report.dataset_view import DatasetView, dataset_view
from reportgen.report.depth_charts import DepthView, depth_view
from reportgen.report.document import ReportDocument
from reportgen.report.gallery import GalleryView, gallery_view
from reportgen.report.health.view import HealthView, health_view
from reportgen.report.layer_rows import LayerRow, LeftOut, OutputsView, layer_row, left_out, outputs_view
from reportgen.report.model_facts import model_facts
from reportgen.report.network_drawing import DiagramView
from reportgen.report.settings_rows import Rows, all_settings, chosen_settings
from reportgen.report.unfinished import Unfinished

FIELD_UNITS = {**AXIS_UNITS, PICTURE_RANK: "px"}  # in the head of a column; by number of spatial axes
LONG = 30  # rows of layers: a longer table has its own scroll bar, below a head that stays in sight
Pictures = Mapping[str, Mapping[str, Picture]]  # the figures of each layer by file name, by the layer's slug


@dataclass(frozen=True)
class IndexView:
    """Everything on index.html.

    Attributes:
        headings: of the sections that there are below the summary, by anchor, in the page's order; the navigation has the same.
        unfinished: the state of a report that is still being computed; None of a finished one.
        complete: the notice shown where there are no problems.
        natural: whether any layer's patterns are compared with natural maxima; `start`: with their initial image.
        has_minimal: whether minimal patterns were requested.
        with_initial: whether initial weights were given.
        recipe: the optimization method, in words.
        effort: what the verdict `silent` rests on; None where no filter has it.
        chosen: settings that are not the default; `settings` has all.
        extent: the size of the report, as a sentence.
        field_unit: of receptive fields.
        is_long: whether the table of layers has more rows than a screen shows.
    """

    page: PageContext
    headings: dict[str, str]
    lede: str
    health: HealthView | None
    unfinished: Unfinished | None
    complete: str | None
    facts: tuple[Fact, ...]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    counts: tuple[Fact, ...]
    shown: str
    verdicts: tuple[Verdict, ...]
    gallery: GalleryView | None
    images: tuple[ImageView, ...]
    images_note: str
    dataset: DatasetView | None
    diagram: DiagramView | None
    overview: OverviewView | None
    depth: DepthView | None
    layers: tuple[LayerRow, ...]
    field_unit: str
    is_long: bool
    outputs: tuple[OutputsView, ...]
    left_out: tuple[LeftOut, ...]
    meanings: tuple[Verdict, ...]
    with_images: bool
    natural: bool
    start: bool
    has_minimal: bool
    with_initial: bool
    recipe: str | None
    effort: str | None
    chosen: Rows
    settings: Rows
    environment: Rows
    downloads: tuple[Link, ...]
    extent: str


def index_view(
    context: PageContext,
    report: ReportDocument,
    image_files: Mapping[str, ImageFile],
    pictures: Pictures,
    overview: OverviewView | None,
    diagram: DiagramView | None,
    extent: str,
    unfinished: Unfinished | None = None,
    wrong: Mapping[str, ImageFile] = MappingProxyType({}),
) -> IndexView:
    """Return the view of the index page.

    Args:
        context: what every page states.
        report: the document of report.json.
        image_files: pictures of the images, by slug.
        pictures: figures of the layers.
        overview: the overview of feature maps; None where there is none.
        diagram: the network graph; None where there is none.
        extent: the size of the report, as a sentence.
        unfinished: the state of a report that is still being computed.
        wrong: pictures of misclassified images, by path.
    """
    noun = context.nouns.one
    shown = [layer for layer in report.layers if layer.status != LayerStatus.SKIPPED]
    rows = [layer for layer in shown if layer.labels is None]
    outputs = [layer for layer in shown if layer.labels is not None]
    covered = in_depth(report.layers)
    numbers = {layer.path: place + 1 for place, layer in enumerate(covered)}
    strips = {slug: files[STRIP] for slug, files in pictures.items() if STRIP in files}
    telling = {slug: files[GALLERY_FIGURE] for slug, files in pictures.items() if GALLERY_FIGURE in files}
    counted = counts(report.layers, len(report.images), noun, patterned=report.settings.get("patterns", True))
    depth, not_covered = depth_view(report.layers, noun), left_out(report.layers)
    return IndexView(
        page=context,
        health=health_view(report.health, report.layers),
        headings=_headings(
            {
                "data": report.dataset is not None,
                "overview": overview is not None,
                "depth": depth is not None,
                "network": diagram is not None,
                "outputs": bool(outputs),
                "left-out": bool(not_covered),
            },
            noun,
        ),
        lede=_lede(counted, report),
        unfinished=unfinished,
        complete=None if report.problems or unfinished is not None else _complete(report.layers),
        facts=model_facts(report),
        problems=tuple(stopped(item) for item in report.problems),
        warnings=tuple(
            stopped(unquoted(item))
            for item in (*([report.input.warning] if report.input.warning else []), *report.notes)
        )
        + tuple(
            stopped(f"{layer.path}: {lost}") for layer in covered if (lost := lost_weights(layer.weights)) is not None
        ),
        counts=counted.facts,
        shown=count(counted.shown),
        verdicts=counted.statuses,
        gallery=gallery_view(report.gallery, report.layers, telling, noun),
        images=image_views(report.images, image_files),
        images_note=images_note(report.images, noun),
        dataset=dataset_view(report.dataset, noun, report.misclassified, wrong),
        diagram=diagram,
        overview=overview,
        depth=depth,
        layers=tuple(
            layer_row(layer, numbers.get(layer.path), strips.get(layer.slug), noun, unfinished is not None)
            for layer in rows
        ),
        field_unit=FIELD_UNITS[len(report.input.size)],
        is_long=len(rows) > LONG,
        outputs=tuple(outputs_view(layer, strips.get(layer.slug), noun) for layer in outputs),
        left_out=not_covered,
        meanings=tuple(
            verdict_view(word, images=counted.natural, start=counted.start, noun=noun) for word in BY_PRECEDENCE
        ),
        with_images=bool(report.images),
        natural=counted.natural,
        start=counted.start,
        has_minimal=bool(report.settings.get("negative")),
        with_initial=any(layer.initial_weights is not None for layer in covered),
        recipe=_recipe(report),
        effort=search_effort(report.settings.get("recipe"), counted.verdicts[SILENT]),
        chosen=chosen_settings(report.settings),
        settings=all_settings(report.settings),
        environment=flattened(report.environment),
        downloads=(Link("report.json", "report.json"),) if unfinished is None else (),
        extent=extent,
    )


def _headings(there: Mapping[str, bool], noun: str) -> dict[str, str]:
    """Headings by anchor in the order of the page; `there` names sections that some reports lack."""
    every = {
        "images": f"Input {noun}s and predictions",
        "data": "The model on the data set",
        "overview": "Feature-map overview",
        "depth": "Over depth",
        "network": "Architecture",
        "layers": "Layers",
        "outputs": "Model outputs",
        "left-out": "Layers not covered",
        "reading": "How to interpret this report",
        "model": "Model",
        "settings": "Reproducibility",
    }
    return {anchor: title for anchor, title in every.items() if there.get(anchor, True)}


def _complete(layers: Sequence[LayerEntry]) -> str:
    """The notice where nothing failed: complete only where no layer lacks anything that was not excluded by the user."""
    lost = sum(layer.status == LayerStatus.SKIPPED and not layer.by_request for layer in layers)
    bare = sum(layer.status == LayerStatus.RENDERED and layer.reason is not None for layer in layers)
    processed = sum(layer.status == LayerStatus.RENDERED for layer in layers)
    judged = "This says nothing about the quality of the model."
    if not lost and not bare:
        whom = f"all {plural(processed, 'layer')}" if processed != 1 else "the layer"
        return f"Build complete: {whom} processed without errors. {judged}"
    parts = [
        *([f"{plural(bare, 'layer')} {'has' if bare == 1 else 'have'} only weights to show"] if bare else []),
        *([f"{plural(lost, 'layer')} cannot be shown"] if lost else []),
    ]
    return f"Build complete without errors; {listed(parts)}, for the reasons below. {judged}"


def _lede(counted: Counts, report: ReportDocument) -> str:
    parts = [
        "weights",
        *(["feature maps"] if report.images else []),
        *(["activation-maximizing patterns"] if counted.patterned else []),
        *([f"responses to the {counted.noun}s of a data set"] if report.dataset is not None else []),
    ]
    contents = listed(parts)
    total = plural(counted.total, "filter")
    filters = total if counted.shown == counted.total else f"{count(counted.shown)} of {total}"
    layers = plural(counted.layers, "convolution layer")
    return f"{contents[0].upper()}{contents[1:]} of {filters} in {layers}."


def _recipe(report: ReportDocument) -> str | None:
    """The optimization method, as far as it is the same for every layer."""
    recipe = report.settings.get("recipe")
    bands = report.input.bands
    return (
        optimization_method.sentence(recipe, bands=bands, rank=len(report.input.size))
        if isinstance(recipe, Mapping)
        else None
    )


def search_effort(recipe: Any, silent: int) -> str | None:
    """Return what calling filters never active rests on: more optimization steps may activate some of them.

    Args:
        recipe: of the settings in report.json; anything but a mapping is ignored.
        silent: how many filters have that verdict.

    Returns:
        One or two sentences; None where no filter is silent.
    """
    if silent == 0 or not isinstance(recipe, Mapping) or recipe.get("steps") is None:
        return None
    steps = optimization_method.retry_steps(recipe)
    again = "" if steps is None else f" and {steps} on single positions"
    return (
        f"“Never active” means that {plural(recipe['steps'], 'gradient-ascent step')}{again} found no activation above zero: "
        "more steps may activate some of these filters (--quality paper takes the most). “Proven inactive” is stated only where it "
        "is proven."
    )
