"""The part of the first page that shows the user's images and what the model makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reportgen.core.errors import few
from reportgen.core.records import PICTURE_RANK
from reportgen.render.text import dimensions, percent
from reportgen.core.numbers import Document
from reportgen.artefacts.weights import ImageFile
from reportgen.render.wording import HASH_SHOWN, sentence

BAR_WIDTH = 100  # SVG units of a probability of 1
PICTURE_PIXELS = 168  # longer side of an image, CSS pixels


@dataclass(frozen=True)
class Prediction:
    """One row of a model's answer; bar: 0 to BAR_WIDTH."""

    label: str
    percent: str
    bar: float


@dataclass(frozen=True)
class ImageView:
    """One of the user's images as the model was fed it; href None where its picture is not stored.

    outputs: (name, answer) of each output that classifies, without a name where the model has one output.
    pixelated: it is shown enlarged, so its pixels are repeated and not blurred.
    """

    name: str
    size: str
    sha256: str
    href: str | None
    width: int
    height: int
    pixelated: bool
    alt: str
    outputs: tuple[tuple[str | None, tuple[Prediction, ...]], ...]
    without_predictions: str | None


def image_views(images: Sequence[Document], pictures: dict[str, ImageFile]) -> tuple[ImageView, ...]:
    """Those of the images that are shown. images: of report.json; pictures: by slug."""
    return tuple(_view(image, pictures.get(image["slug"])) for image in images if image["shown"])


def images_note(images: Sequence[Document], noun: str) -> str:
    """Which of the images feature maps are shown for."""
    if not images:
        return f"No {noun}s were given: there are no feature maps, and a pattern is compared with the {noun} it started from."
    shown = sum(image["shown"] for image in images)
    if shown == len(images):
        whom = (
            f"this {noun}, as the model is fed it" if shown == 1 else f"all {shown} {noun}s, as the model is fed them"
        )
        return f"Feature maps are shown for {whom}."
    rest = few([image["name"] for image in images if not image["shown"]])
    return f"Feature maps are shown for {shown} of {len(images)} {noun}s; the others count for natural maxima only: {rest}."


def predictions(image: Document) -> tuple[Prediction, ...]:
    """The model's answer to an image, an entry of `images` in report.json, best first; none where there is none."""
    return _ranked(image["predictions"])


def _ranked(found: list[dict[str, Any]] | None) -> tuple[Prediction, ...]:
    return tuple(
        Prediction(
            item["label"],
            percent(item["probability"]),
            round(BAR_WIDTH * min(1.0, max(0.0, item["probability"] or 0.0)), 2),
        )
        for item in found or ()
    )


def _view(image: Document, picture: ImageFile | None) -> ImageView:
    rows = predictions(image)
    several = image.get("outputs", ())
    outputs = tuple((each["name"], _ranked(each["predictions"])) for each in several) if several else ((None, rows),)
    width, height = (1, 1) if picture is None else (picture.width, picture.height)
    scale = PICTURE_PIXELS / max(width, height)
    best = f"; the model's first answer: {rows[0].label}, {rows[0].percent}" if rows else ""
    own = image["lengths"] if len(image["lengths"]) not in (0, PICTURE_RANK) else (image["width"], image["height"])
    fed = (1, 1) if picture is None else picture.fed
    bands = None if picture is None else picture.bands
    note = image["predictions_note"]
    return ImageView(
        name=image["name"],
        size=dimensions(own) + ("" if bands is None else f", shown: {bands}"),
        sha256=image["sha256"][:HASH_SHOWN],
        href=None if picture is None else picture.path,
        width=round(width * scale),
        height=round(height * scale),
        pixelated=scale > 1,
        alt=f"{image['name']} as the model is fed it{'' if bands is None else f' ({bands})'}, "
        f"{dimensions(fed[::-1] if len(fed) == PICTURE_RANK else fed)}{best}",
        outputs=outputs,
        without_predictions=None
        if all(answers for _, answers in outputs)
        else sentence(note if note is not None else "no predictions were asked for"),
    )
