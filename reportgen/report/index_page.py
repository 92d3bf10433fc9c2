"""The first page as a view: what is this model, and is anything wrong with it?"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from reportgen.render.text import NONE, count, percent, plural, shape, stated
from reportgen.report.drawing import ImageFile, Picture
from reportgen.report.facts import NOT_COMPUTED, Document, against_images
from reportgen.report.views import Fact, Link, Site, Verdict, verdict_view, verdict_views
from reportgen.report.wording import HASH_SHOWN, flattened, not_finite, sentence, stopped
from reportgen.verdict import VERDICTS

BAR_WIDTH = 100  # SVG units of a probability of 1
THUMBNAIL_PIXELS = 34  # height of a thumbnail in the layer table, CSS pixels
PICTURE_PIXELS = 168  # longer side of a user's image on the first page, CSS pixels


@dataclass(frozen=True)
class Prediction:
    """One row of a model's answer; bar: 0 to BAR_WIDTH."""

    label: str
    percent: str
    bar: float


@dataclass(frozen=True)
class ImageView:
    """One of the user's images as the model was fed it; href None where its picture is not stored."""

    name: str
    size: str
    sha256: str
    href: str | None
    width: int
    height: int
    alt: str
    predictions: tuple[Prediction, ...]
    without_predictions: str | None


@dataclass(frozen=True)
class Thumbnails:
    """The strip of small patterns of one layer."""

    href: str
    width: int
    height: int
    alt: str


@dataclass(frozen=True)
class LayerRow:
    """One row of the layer table."""

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
    strip: Thumbnails | None


@dataclass(frozen=True)
class LeftOut:
    """A layer that the report does not cover."""

    path: str
    class_name: str
    reason: str


@dataclass(frozen=True)
class IndexView:
    """Everything on index.html. natural, start: whether any layer's patterns are compared with that."""

    site: Site
    lede: str
    facts: tuple[Fact, ...]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    counts: tuple[Fact, ...]
    verdicts: tuple[Verdict, ...]
    images: tuple[ImageView, ...]
    images_note: str
    layers: tuple[LayerRow, ...]
    left_out: tuple[LeftOut, ...]
    meanings: tuple[Verdict, ...]
    with_images: bool
    natural: bool
    start: bool
    settings: tuple[tuple[str, str], ...]
    environment: tuple[tuple[str, str], ...]
    downloads: tuple[Link, ...]


def index_view(
    site: Site,
    report: Document,
    pictures: dict[str, ImageFile],
    strips: dict[str, Picture],
) -> IndexView:
    """The view of report.json's document.

    pictures: by image slug; strips: thumbnails by layer slug.
    """
    covered = [layer for layer in report["layers"] if layer["status"] != "skipped"]
    left_out = [layer for layer in report["layers"] if layer["status"] == "skipped"]
    with_images = bool(report["images"])
    references = {against_images(layer["patterns"]) for layer in covered} - {None} or {with_images}
    natural, start = True in references, False in references
    verdicts: Counter[str] = Counter()
    for layer in covered:
        verdicts.update(layer["verdicts"])
    totals = {word: verdicts[word] for word in (*VERDICTS, NOT_COMPUTED)}
    shown = sum(len(layer["filters_shown"]) for layer in covered)
    total = sum(layer["filters_total"] for layer in covered)
    return IndexView(
        site=site,
        lede=_lede(total, len(covered)),
        facts=model_facts(report),
        problems=tuple(stopped(item) for item in report["problems"]),
        warnings=tuple(
            stopped(item)
            for item in ([report["input"]["warning"]] if report["input"]["warning"] else []) + report["notes"]
        )
        + tuple(
            stopped(f"{layer['path']}: {lost}")
            for layer in covered
            if (lost := not_finite(layer["weights"], "kernel weight")) is not None
        ),
        counts=(
            Fact("Layers", count(len(covered)), note=f"{count(len(left_out))} left out" if left_out else None),
            Fact("Filters shown", count(shown), note=f"of {count(total)}"),
            Fact("Images", count(len(report["images"])), note=None if with_images else "none were given"),
        ),
        verdicts=verdict_views(totals, images=natural, start=start),
        images=tuple(_image(image, pictures.get(image["slug"])) for image in report["images"] if image["shown"]),
        images_note=_images_note(report["images"]),
        layers=tuple(_row(layer, strips.get(layer["slug"])) for layer in covered),
        left_out=tuple(
            LeftOut(
                layer["path"],
                layer["class"],
                sentence(layer["reason"] if layer["reason"] is not None else "not asked for"),
            )
            for layer in left_out
        ),
        meanings=tuple(verdict_view(word, images=natural, start=start) for word in VERDICTS),
        with_images=with_images,
        natural=natural,
        start=start,
        settings=flattened(report["settings"]),
        environment=flattened(report["environment"]),
        downloads=(Link("report.json", "report.json"),),
    )


def _lede(filters: int, layers: int) -> str:
    return f"What {plural(filters, 'filter')} in {plural(layers, 'layer')} of this network weigh, answer and look for."


def model_facts(report: Document) -> tuple[Fact, ...]:
    """What the model is and what it is fed."""
    model, contract = report["model"], report["input"]
    classes = model["classes"]
    size = f"{shape(contract['size'])} pixels ({contract['fit']})"
    low, high = stated(contract["low"]), stated(contract["high"])
    return (
        Fact("Model", model["name"]),
        Fact("Source", model["source"], code=True),
        Fact(
            "SHA-256 of the file",
            model["sha256"] if model["sha256"] is not None else "none: the model did not come from one file",
            code=True,
        ),
        Fact("SHA-256 of the weights", model["weights_sha256"], code=True),
        Fact("Parameters", count(model["parameters"])),
        Fact(
            "Classes",
            NONE if classes is None else count(len(classes)),
            note="no class names known" if classes is None else None,
        ),
        Fact("Input", shape(contract["shape"]), note=f"images are fed at {size}"),
        Fact(
            "Preprocessing",
            contract["preprocess"],
            note=f"black is {low}, white is {high} before it; {contract['reason']}",
        ),
    )


def _image(image: Document, picture: ImageFile | None) -> ImageView:
    predictions: list[dict[str, Any]] | None = image["predictions"]
    rows = tuple(
        Prediction(
            item["label"],
            percent(item["probability"]),
            round(BAR_WIDTH * min(1.0, max(0.0, item["probability"] or 0.0)), 2),
        )
        for item in predictions or ()
    )
    width, height = (1, 1) if picture is None else (picture.width, picture.height)
    scale = PICTURE_PIXELS / max(width, height)
    best = f"; the model's first answer: {rows[0].label}, {rows[0].percent}" if rows else ""
    part = None if picture is None or picture.first_of is None else f"band 1 of {picture.first_of}"
    note = image["predictions_note"]
    return ImageView(
        name=image["name"],
        size=f"{shape((image['width'], image['height']))} pixels" + (f", shown in grey: {part}" if part else ""),
        sha256=image["sha256"][:HASH_SHOWN],
        href=None if picture is None else picture.path,
        width=round(width * scale),
        height=round(height * scale),
        alt=f"{image['name']} as the model is fed it{f' ({part}, in grey)' if part else ''}, "
        f"{shape((width, height))} pixels{best}",
        predictions=rows,
        without_predictions=None if rows else sentence(note if note is not None else "no predictions were asked for"),
    )


def _images_note(images: list[Document]) -> str:
    if not images:
        return (
            "No images were given: there are no feature maps, and a pattern is compared with the image it started from."
        )
    shown = sum(image["shown"] for image in images)
    if shown == len(images):
        whom = "this image, as the model is fed it" if shown == 1 else f"all {shown} images, as the model is fed them"
        return f"Feature maps are shown for {whom}."
    rest = ", ".join(image["name"] for image in images if not image["shown"])
    return (
        f"Feature maps are shown for {shown} of {len(images)} images; the others count for natural maxima only: {rest}."
    )


def _row(layer: Document, strip: Picture | None) -> LayerRow:
    field = layer["receptive_field"]
    return LayerRow(
        path=layer["path"],
        href=f"layers/{layer['slug']}.html",
        class_name=layer["class"],
        kernel=shape(layer["kernel_shape"]),
        output=shape(layer["output_shape"]),
        receptive_field=shape(field),
        parameters=count(layer["parameters"]),
        filters=f"{count(len(layer['filters_shown']))} of {count(layer['filters_total'])}",
        verdicts=verdict_views(layer["verdicts"], images=against_images(layer["patterns"]) is True),
        failed=sentence(layer["reason"] if layer["reason"] is not None else "failed")
        if layer["status"] == "failed"
        else None,
        strip=None if strip is None else _thumbnails(strip),
    )


def _thumbnails(strip: Picture) -> Thumbnails:
    tall = strip.tiles.height
    return Thumbnails(strip.path, round(strip.tiles.width * THUMBNAIL_PIXELS / tall), THUMBNAIL_PIXELS, strip.alt)
