"""The index page as a view."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from reportgen.artefacts import optimization_method
from reportgen.artefacts.base import ImageFile
from reportgen.artefacts.layer_entry import LayerEntry
from reportgen.artefacts.overview import OverviewView
from reportgen.artefacts.patterns import against_images
from reportgen.artefacts.predictions import ImageView, image_views, images_note
from reportgen.artefacts.views import (
    Fact,
    Keys,
    Link,
    PageContext,
    SmallPicture,
    Verdict,
    known_keys,
    small_picture,
    verdict_key,
    verdict_view,
    verdict_views,
)
from reportgen.artefacts.weights import lost_weights
from reportgen.core.records import CONVOLUTION, PICTURE_RANK, ConstantInputRecord, InputContract, LayerStatus
from reportgen.core.verdicts import BY_PRECEDENCE, NOT_COMPUTED, OK, SILENT, SKIPPED, VERDICTS
from reportgen.render.figure import Picture
from reportgen.render.text import NAMED, NONE, NOUNS, count, data_size, dimensions, listed, plural, shape, stated
from reportgen.render.wording import MODEL_OUTPUTS, flattened, sentence, stopped, unquoted
from reportgen.report.document import ReportDocument
from reportgen.report.health.view import HealthView, health_view
from reportgen.report.network_drawing import DiagramView
from reportgen.report.unfinished import Unfinished

THUMBNAIL_PIXELS = 34  # height of a thumbnail in the layer table, CSS pixels


@dataclass(frozen=True)
class LayerRow:
    """One row of the layer table.

    Attributes:
        later: whether patterns are still to be computed.
        keys: what scripts search, filter and sort it by, as (name, value).
    """

    path: str
    href: str
    class_name: str
    kernel: str
    output: str
    receptive_field: str
    parameters: str
    filters: str
    verdicts: tuple[Verdict, ...]
    failed: str | None
    partial: str | None
    later: bool
    strip: SmallPicture | None
    keys: Keys


@dataclass(frozen=True)
class OutputsView:
    """The model's outputs, which are no layer; `label` of the link to their page, `classes` the names of those shown."""

    href: str
    label: str
    note: str
    classes: str
    verdicts: tuple[Verdict, ...]
    failed: str | None
    strip: SmallPicture | None


@dataclass(frozen=True)
class LeftOut:
    """A layer that the report does not cover."""

    path: str
    class_name: str
    reason: str


@dataclass(frozen=True)
class IndexView:
    """Everything on index.html.

    Attributes:
        unfinished: the state of a report that is still being computed; None of a finished one.
        complete: the notice shown where there are no problems.
        natural: whether any layer's patterns are compared with natural maxima; `start`: with their initial image.
        has_minimal: whether minimal patterns were requested.
        with_initial: whether initial weights were given.
        recipe: the optimization method, in words.
        effort: what the verdict `silent` rests on; None where no filter has it.
    """

    page: PageContext
    lede: str
    health: HealthView | None
    unfinished: Unfinished | None
    complete: str | None
    facts: tuple[Fact, ...]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    counts: tuple[Fact, ...]
    verdicts: tuple[Verdict, ...]
    images: tuple[ImageView, ...]
    images_note: str
    diagram: DiagramView | None
    overview: OverviewView | None
    layers: tuple[LayerRow, ...]
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
    settings: tuple[tuple[str, str], ...]
    environment: tuple[tuple[str, str], ...]
    downloads: tuple[Link, ...]
    extent: str


def index_view(
    context: PageContext,
    report: ReportDocument,
    image_files: Mapping[str, ImageFile],
    strips: Mapping[str, Picture],
    overview: OverviewView | None,
    diagram: DiagramView | None,
    extent: str,
    unfinished: Unfinished | None = None,
) -> IndexView:
    """Return the view of the index page.

    Args:
        context: what every page states.
        report: the document of report.json.
        image_files: pictures of the images, by slug.
        strips: thumbnails of patterns, by layer slug.
        overview: the overview of feature maps; None where there is none.
        diagram: the network graph; None where there is none.
        extent: the size of the report, as a sentence.
        unfinished: the state of a report that is still being computed.
    """
    shown_at_all = [layer for layer in report.layers if layer.status != LayerStatus.SKIPPED]
    rows = [layer for layer in shown_at_all if layer.labels is None]
    covered = [layer for layer in rows if layer.kind == CONVOLUTION]
    outputs = [layer for layer in shown_at_all if layer.labels is not None]
    left_out = [layer for layer in report.layers if layer.status == LayerStatus.SKIPPED]
    with_images, noun = bool(report.images), context.nouns.one
    references = {against_images(layer.patterns) for layer in shown_at_all} - {None} or {with_images}
    natural, start = True in references, False in references
    verdicts: Counter[str] = Counter()
    for layer in covered:
        verdicts.update(layer.verdicts)
    totals = {word: verdicts[word] for word in (*VERDICTS, NOT_COMPUTED)}
    shown = sum(len(layer.filters_shown) for layer in covered)
    total = sum(layer.filters_total for layer in covered)
    return IndexView(
        page=context,
        lede=_lede(shown, total, len(covered)),
        health=health_view(report.health, report.layers),
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
        counts=(
            Fact("Convolution layers", count(len(covered)), note=_beside(len(rows) - len(covered), len(left_out))),
            Fact("Filters shown", count(shown), note=f"of {count(total)}"),
            Fact(f"{noun}s".capitalize(), count(len(report.images)), note=None if with_images else "none given"),
        ),
        verdicts=verdict_views(totals, images=natural, start=start, noun=noun),
        images=image_views(report.images, image_files),
        images_note=images_note(report.images, noun),
        diagram=diagram,
        overview=overview,
        layers=tuple(_row(layer, strips.get(layer.slug), unfinished is not None) for layer in rows),
        outputs=tuple(_outputs(layer, strips.get(layer.slug)) for layer in outputs),
        left_out=tuple(
            LeftOut(
                layer.path,
                layer.layer_class,
                sentence(layer.reason if layer.reason is not None else "not requested"),
            )
            for layer in left_out
        ),
        meanings=tuple(verdict_view(word, images=natural, start=start, noun=noun) for word in BY_PRECEDENCE),
        with_images=with_images,
        natural=natural,
        start=start,
        has_minimal=bool(report.settings.get("negative")),
        with_initial=any(layer.initial_weights is not None for layer in covered),
        recipe=_recipe(report),
        effort=search_effort(report.settings.get("recipe"), verdicts[SILENT]),
        settings=flattened(report.settings),
        environment=flattened(report.environment),
        downloads=(Link("report.json", "report.json"),) if unfinished is None else (),
        extent=extent,
    )


def _complete(layers: Sequence[LayerEntry]) -> str:
    """The notice where nothing failed: complete only where no layer lacks anything that was not excluded by the user."""
    lost = sum(layer.status == LayerStatus.SKIPPED and not layer.by_request for layer in layers)
    bare = sum(layer.status == LayerStatus.RENDERED and layer.reason is not None for layer in layers)
    if not lost and not bare:
        return "Build complete: every planned part was computed without errors. This says nothing about the quality of the model."
    parts = [
        *([f"{plural(bare, 'layer')} {'has' if bare == 1 else 'have'} only weights to show"] if bare else []),
        *([f"{plural(lost, 'layer')} cannot be shown"] if lost else []),
    ]
    return f"Build complete without errors, but {listed(parts)}; the reasons are below."


def _beside(pooling: int, left_out: int) -> str | None:
    """What there is besides the convolution layers."""
    parts = [
        *([f"+ {plural(pooling, 'pooling layer')}"] if pooling else []),
        *([f"{count(left_out)} not covered"] if left_out else []),
    ]
    return ", ".join(parts) if parts else None


def extent(files: int, size: int, *, one_file: bool) -> str:
    """Return the size of the report as a sentence.

    Args:
        files: number of files beside the index page.
        size: of all of them, in bytes.
        one_file: whether the index page holds all pages and pictures.
    """
    beside = f"{plural(files, 'file')} of {data_size(size)}"
    if one_file:
        return f"This file holds all pages and pictures; report.json and the arrays are stored beside it: {beside}."
    return f"Report size: {beside}, with all pages, pictures and arrays."


def _lede(shown: int, total: int, layers: int) -> str:
    filters = plural(total, "filter") if shown == total else f"{count(shown)} of {plural(total, 'filter')}"
    return f"Weights, feature maps and activation-maximizing patterns of {filters} in {plural(layers, 'convolution layer')}."


PICTURE_FITS = {
    "crop": "resized (bicubic) and center-cropped to {}",
    "pad": "resized to fit (bicubic) and padded with black to {}",
    "stretch": "resized (bicubic) to {} without preserving the aspect ratio",
}
ARRAY_FITS = {
    "crop": "cut to their central {}, or zero-padded to it",
    "pad": "cut to their central {}, or zero-padded to it",
    "stretch": "resampled linearly to {}",
}


def model_facts(report: ReportDocument) -> tuple[Fact, ...]:
    """Return the facts about the model and its input."""
    model, contract = report.model, report.input
    classes = model.classes
    is_picture = len(contract.size) == PICTURE_RANK
    low, high = stated(contract.low), stated(contract.high)
    return (
        Fact("Model", model.name),
        Fact("Source", model.source, code=True),
        Fact(
            "Model file (SHA-256)",
            model.sha256 if model.sha256 is not None else "n/a: the model was not loaded from a single file",
            code=True,
        ),
        Fact("Weights (SHA-256)", model.weights_sha256, code=True),
        Fact("Parameters", count(model.parameters)),
        Fact(
            "Classes",
            NONE if classes is None else count(len(classes)),
            note="class names unknown" if classes is None else None,
        ),
        Fact("Input", _primary_input(contract), note=_resizing(contract)),
        *(Fact(f"Input {one.name}", _constant(one)) for one in contract.constant_inputs),
        Fact(
            "Preprocessing",
            contract.preprocess,
            note=(
                f"input pixels from {low} (black) to {high} (white){_floats(contract)}; {unquoted(contract.reason)}"
                if is_picture
                else f"{unquoted(contract.reason)}; patterns have values from {low} to {high}"
            ),
        ),
    )


def _floats(contract: InputContract) -> str:
    """The range of files with floating-point pixels; nothing for signals and volumes, whose values are used as they are."""
    if len(contract.size) != PICTURE_RANK:
        return ""
    low, high = contract.floats
    return f", in files with floating-point pixels from {stated(low)} to {stated(high)}"


def _resizing(contract: InputContract) -> str:
    """How the user's files are brought to the size of the input."""
    is_picture = len(contract.size) == PICTURE_RANK
    how = (PICTURE_FITS if is_picture else ARRAY_FITS)[contract.fit]
    return f"{NOUNS[len(contract.size)].one}s are {how.format(dimensions(contract.size))} (--fit {contract.fit})"


def _primary_input(contract: InputContract) -> str:
    lengths = shape(contract.shape)
    return lengths if contract.name is None else f"{lengths} ({contract.name}, the input that is visualized)"


def _constant(one: ConstantInputRecord) -> str:
    return "constant: zeros" if one.file is None else f"constant: the content of {one.file}"


def _row(layer: LayerEntry, strip: Picture | None, is_unfinished: bool) -> LayerRow:
    field, convolves = layer.receptive_field, layer.kind == CONVOLUTION
    return LayerRow(
        path=layer.path,
        href=f"layers/{layer.slug}.html",
        class_name=layer.layer_class,
        kernel=shape(layer.kernel_shape)
        if convolves
        else f"window {shape(layer.window)}"
        if layer.window
        else "global",
        output=shape(layer.output_shape),
        receptive_field=shape(field),
        parameters=count(layer.parameters),
        filters=f"{count(len(layer.filters_shown))} of {count(layer.filters_total)}" if convolves else NONE,
        verdicts=_verdicts(layer),
        failed=_failed(layer),
        partial=sentence(layer.reason) if layer.status == LayerStatus.RENDERED and layer.reason else None,
        later=is_unfinished and layer.status == LayerStatus.RENDERED and layer.verdicts[NOT_COMPUTED] > 0,
        strip=None if strip is None else _thumbnails(strip),
        keys=_keys(layer),
    )


def _keys(layer: LayerEntry) -> Keys:
    """Shapes by their size, verdicts by how many are not `ok`; a variable axis counts once."""
    doubtful = sum(number for word, number in layer.verdicts.items() if word not in (OK, SKIPPED))
    return known_keys(
        words=f"{layer.path} {layer.layer_class}",
        verdict=" ".join(verdict_key(word) for word, number in layer.verdicts.items() if number),
        path=layer.path,
        kernel=_size(layer.kernel_shape),
        output=_size(layer.output_shape),
        field=_size(layer.receptive_field),
        parameters=layer.parameters,
        filters=len(layer.filters_shown),
        doubtful=doubtful,
    )


def _size(axes: Sequence[int | None] | None) -> int | None:
    return None if axes is None else prod(axis for axis in axes if axis is not None)


def _outputs(layer: LayerEntry, strip: Picture | None) -> OutputsView:
    shown, total = len(layer.filters_shown), layer.filters_total
    return OutputsView(
        href=f"layers/{layer.slug}.html",
        label=f"{MODEL_OUTPUTS}: {count(shown)} of {plural(total, 'class', 'classes')}",
        note="Patterns that maximize the logit of a class: its value before softmax or sigmoid, where the model ends in one. "
        "Classes are not counted among the layers and filters above.",
        classes=_few(layer.labels or ()),
        verdicts=_verdicts(layer),
        failed=_failed(layer),
        strip=None if strip is None else _thumbnails(strip),
    )


def _few(names: Sequence[str]) -> str:
    left = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {count(left)} more" if left > 0 else "")


def _verdicts(layer: LayerEntry) -> tuple[Verdict, ...]:
    return verdict_views(layer.verdicts, images=against_images(layer.patterns) is True)


def _failed(layer: LayerEntry) -> str | None:
    if layer.status != LayerStatus.FAILED:
        return None
    return sentence(layer.reason if layer.reason is not None else "failed")


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
    """Return what calling filters silent rests on: more optimization steps may activate some of them.

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
        f"“Silent” means that {plural(recipe['steps'], 'gradient-ascent step')}{again} found no activation above zero: "
        "more steps may activate some of these filters (--quality paper takes the most). “Dead” is stated only where it is proven."
    )


def _thumbnails(strip: Picture) -> SmallPicture:
    size = strip.tiles.width, strip.tiles.height
    return small_picture(strip.path, size, THUMBNAIL_PIXELS / strip.tiles.height, strip.alt)
