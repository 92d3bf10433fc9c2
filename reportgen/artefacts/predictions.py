"""The user's images as the model receives them, and its predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from reportgen.artefacts.attribution import NOTHING, AttributionRecord, StoredAttribution, attribution_records
from reportgen.artefacts.base import ImageFile, failures, stored_entry
from reportgen.artefacts.views import SmallPicture, small_picture
from reportgen.core.errors import few
from reportgen.core.numbers import plain
from reportgen.core.records import PICTURE_RANK, Count, ImageRecord, InputContract, Plan, Slug, TaskKind
from reportgen.core.store import Store
from reportgen.render import png
from reportgen.render.picture import Bands, seen
from reportgen.render.text import dimensions, percent, stated
from reportgen.render.wording import HASH_SHOWN, reasoned, sentence

BAR_WIDTH = 100  # SVG units of a probability of 1
PICTURE_PIXELS = 168  # longer side of an image, CSS pixels
NO_PROBABILITIES = (
    "no predictions: the model's output is not a vector of class probabilities"  # a fact of the model, not a problem
)


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """One class of a prediction."""

    label: str
    probability: Annotated[float, Meta(ge=0, le=1)] | None


class OutputPredictions(msgspec.Struct, frozen=True, kw_only=True):
    """The prediction of one of several outputs."""

    name: str
    predictions: tuple[Prediction, ...] | None


class ImageEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One of the user's images, and what the model predicts for it."""

    name: str
    slug: Slug
    sha256: str
    width: Count
    height: Count
    lengths: Annotated[
        tuple[Count, ...],
        Meta(
            description="one a spatial axis: height and width of an image, steps of a signal, depth, height and width"
        ),
    ]
    colour_profile: Annotated[
        str | None,
        Meta(description="the color profile of its file, where that is not sRGB"),
    ]
    shown: Annotated[bool, Meta(description="has feature maps; otherwise it is used only for natural maxima")]
    predictions: Annotated[tuple[Prediction, ...] | None, Meta(description="most probable first")]
    predictions_note: str | None
    outputs: Annotated[
        tuple[OutputPredictions, ...],
        Meta(description="of a model with several outputs: each that classifies; `predictions` is the first's"),
    ]
    attribution: Annotated[
        tuple[AttributionRecord, ...], Meta(description="maps of what a prediction rests on, with their checks")
    ] = ()
    attribution_note: Annotated[str | None, Meta(description="why such maps are missing although requested")] = None


@dataclass(frozen=True)
class StoredImage:
    """A shown image as the model receives it, and its prediction.

    Attributes:
        picture: (*lengths, channels); None where missing, like `predictions`.
        problem: why the picture or the prediction is missing although it was planned, as a clause.
    """

    picture: np.ndarray | None
    predictions: list[dict[str, Any]] | None
    problem: str | None
    outputs: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class PredictionView:
    """One row of a prediction; the `bar` is from 0 to BAR_WIDTH long."""

    label: str
    percent: str
    bar: float


@dataclass(frozen=True)
class ImageView:
    """One of the user's images as the model receives it.

    Attributes:
        picture: None where it is not stored.
        outputs: (name, prediction) of each output that classifies, without a name where the model has one output.
        page: where its own page is; None where it has none. maps: how many attribution maps that has, and whether any fails a check.
    """

    name: str
    size: str
    sha256: str
    picture: SmallPicture | None
    outputs: tuple[tuple[str | None, tuple[PredictionView, ...]], ...]
    without_predictions: str | None
    page: str | None = None
    maps: str | None = None


def load_image(plan: Plan, store: Store, image: ImageRecord) -> StoredImage:
    """Read what the store holds of an image; nothing and no problem where the plan asks for nothing."""
    for task in plan.tasks:
        if task.kind == TaskKind.IMAGE and task.image == image.slug:
            entry = stored_entry(store, task, ("picture",))
            if entry is not None:
                facts = entry[1]
                outputs = tuple(facts.get("outputs", ()))
                return StoredImage(entry[0]["picture"], facts.get("predictions"), facts.get("reason"), outputs)
            lost = ("its picture and predictions are not computed", failures(store, [task]))
            return StoredImage(None, None, reasoned([lost])[0])
    return StoredImage(None, None, None)


def image_entry(image: ImageRecord, stored: StoredImage, attribution: StoredAttribution = NOTHING) -> ImageEntry:
    """Return the entry of an image in report.json."""
    note = stored.problem
    if note is None and stored.picture is not None and not stored.predictions:
        note = NO_PROBABILITIES
    return ImageEntry(
        name=image.name,
        slug=image.slug,
        sha256=image.sha256,
        width=image.width,
        height=image.height,
        lengths=image.lengths,
        colour_profile=image.colour_profile,
        shown=image.shown,
        predictions=_predictions(stored.predictions),
        predictions_note=note,
        outputs=tuple(
            OutputPredictions(name=each["name"], predictions=_predictions(each["predictions"]))
            for each in stored.outputs
        ),
        attribution=attribution_records(image, attribution),
        attribution_note=attribution.problem,
    )


def _predictions(found: list[dict[str, Any]] | None) -> tuple[Prediction, ...] | None:
    if found is None:
        return None
    return tuple(Prediction(label=item["label"], probability=plain(item["probability"])) for item in found)


def draw_image(
    image: ImageRecord, pixels: np.ndarray, bands: Bands | None, contract: InputContract
) -> tuple[ImageFile, bytes]:
    """Draw one of the user's images as the model receives it.

    Args:
        image: its record.
        pixels: (*lengths, channels).
        bands: channels to show as red, green and blue.
        contract: of the model's input.

    Returns:
        What is known of the file, and its bytes (PNG).
    """
    view = seen(pixels[None], bands)
    height, width = view.pixels.shape[1:3]
    scale = None if view.scale is None else view.scale[0].lower() + view.scale[1:].rstrip(".")
    if contract.is_picture and pixels.dtype != np.uint8:
        low, high = stated(contract.low), stated(contract.high)
        scale = f"in 8 bits, black is an input of {low}, white of {high}"
    parts = [text for text in (view.bands, scale) if text is not None]
    file = ImageFile(input_picture(image.slug), width, height, pixels.shape[:-1], "; ".join(parts) if parts else None)
    return file, png.encode(view.pixels[0])


def input_picture(image: str) -> str:
    """Return the path of the picture of an image, as the model is fed it, in the report's folder."""
    return f"assets/images/{image}.png"


def image_views(images: Sequence[ImageEntry], files: Mapping[str, ImageFile], root: str = "") -> tuple[ImageView, ...]:
    """Return the views of the images that are shown.

    Args:
        images: of report.json.
        files: their pictures, by slug.
        root: from the page to the report's folder.
    """
    return tuple(_view(image, files.get(image.slug), root) for image in images if image.shown)


def images_note(images: Sequence[ImageEntry], noun: str) -> str:
    """Return which of the images feature maps are shown for."""
    if not images:
        return f"No {noun}s were given: there are no feature maps."
    shown = sum(image.shown for image in images)
    if shown == len(images):
        whom = f"this {noun}" if shown == 1 else f"all {shown} {noun}s"
        return f"Feature maps are shown for {whom}. Each {noun} is shown as the model receives it."
    rest = few([image.name for image in images if not image.shown])
    return f"Feature maps are shown for {shown} of {len(images)} {noun}s; the others are used only for natural maxima: {rest}."


def prediction_views(found: Sequence[Prediction] | None) -> tuple[PredictionView, ...]:
    """Return the rows of a prediction, most probable first; none where there is none."""
    return tuple(
        PredictionView(
            item.label,
            percent(item.probability),
            round(BAR_WIDTH * min(1.0, max(0.0, item.probability or 0.0)), 2),
        )
        for item in found or ()
    )


def _view(image: ImageEntry, file: ImageFile | None, root: str) -> ImageView:
    rows = prediction_views(image.predictions)
    outputs: tuple[tuple[str | None, tuple[PredictionView, ...]], ...] = ((None, rows),)
    if image.outputs:
        outputs = tuple((each.name, prediction_views(each.predictions)) for each in image.outputs)
    own = image.lengths if len(image.lengths) not in (0, PICTURE_RANK) else (image.width, image.height)
    drawn = None if file is None else file.drawn
    note = image.predictions_note
    return ImageView(
        name=image.name,
        size=dimensions(own) + ("" if drawn is None else f", displayed: {drawn}"),
        sha256=image.sha256[:HASH_SHOWN],
        picture=None if file is None else _picture(image, file, root),
        outputs=outputs,
        without_predictions=None
        if all(found for _, found in outputs)
        else sentence(note if note is not None else "no predictions were requested"),
        page=f"{root}images/{image.slug}.html" if has_page(image) else None,
        maps=_maps_words(image),
    )


def has_page(image: ImageEntry) -> bool:
    """Return whether an image has a page of its own: where attribution maps of it were requested."""
    return bool(image.attribution or image.attribution_note)


def _maps_words(image: ImageEntry) -> str:
    failed = sum(bool(record.failed) for record in image.attribution)
    checks = f"{failed} of {len(image.attribution)} {'fails' if failed == 1 else 'fail'} a check"
    return checks if image.attribution else "not computed"


def _picture(image: ImageEntry, file: ImageFile, root: str) -> SmallPicture:
    rows, fed = prediction_views(image.predictions), file.lengths
    best = f"; prediction: {rows[0].label}, {rows[0].percent}" if rows else ""
    drawn = "" if file.drawn is None else f" ({file.drawn})"
    size = dimensions(fed[::-1] if len(fed) == PICTURE_RANK else fed)
    alt = f"{image.name} as the model receives it{drawn}, {size}{best}"
    return small_picture(
        root + file.path, (file.width, file.height), PICTURE_PIXELS / max(file.width, file.height), alt
    )
