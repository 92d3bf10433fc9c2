"""Misclassified images of the data set: maps of both classes, and the filters whose response is unusual for the image's label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from reportgen.artefacts.attribution import StoredAttribution
from reportgen.artefacts.base import failures, stored_entry
from reportgen.artefacts.predictions import ImageEntry, Prediction, StoredImage, image_entry
from reportgen.core.numbers import plain
from reportgen.core.records import Count, ImageRecord, LayerRecord, Plan, Task, TaskKind
from reportgen.core.store import Store
from reportgen.survey.statistics import joined_images
from reportgen.survey.values import whole

LEAST_IMAGES = 8  # of a label, beside the image: of fewer a percentile says nothing
MOST_UNUSUAL = 8  # filters of an image
MOST_OF_LAYER = 2  # of them of one layer, so that one that differs as a whole does not fill the list
HOW = "they need the model; the command of the report or of any shard, with this folder as --output and without --shard, adds them"
NORMAL_DEVIATION = 1.4826  # standard deviation of a normal distribution over its median absolute deviation


class UnusualFilter(msgspec.Struct, frozen=True, kw_only=True):
    """A shown filter whose peak on the image is unusual for the image's label."""

    layer: str
    slug: str
    index: Count
    peak: float | None
    median: Annotated[float | None, Meta(description="of the label's other images")]
    images: Annotated[Count, Meta(description="other images of the label")]
    percentile: Annotated[float, Meta(ge=0, le=100, description="of them, those with a smaller peak; equal ones half")]
    deviations: Annotated[
        float | None, Meta(description="from the median, in robust standard deviations; null where they do not vary")
    ]
    has_pictures: Annotated[bool, Meta(description="whether its exemplars are drawn")]


class ExplainedImage(msgspec.Struct, frozen=True, kw_only=True):
    """A misclassified image that has a page."""

    image: ImageEntry
    row: Annotated[Count, Meta(description="of the arrays in data.npz")]
    label: str
    class_probability: float | None
    unusual: tuple[UnusualFilter, ...]


@dataclass(frozen=True)
class StoredMisclassified:
    """What is stored of a misclassified image.

    Attributes:
        record: its name, slug and sizes.
        picture: as the model is fed it.
        attribution: its maps.
    """

    record: ImageRecord
    picture: np.ndarray
    attribution: StoredAttribution
    row: int


def load_misclassified(plan: Plan, store: Store) -> tuple[tuple[StoredMisclassified, ...], str | None]:
    """Read the misclassified images, and why some are missing although planned, as a clause."""
    taken = {image.slug for image in plan.images}
    tasks = plan.layer_tasks("", TaskKind.MISCLASSIFIED)
    names, hashes = _images(plan, store)[1:] if tasks else ([], [])
    found, lost = [], list[Task]()
    for place, task in enumerate(tasks):
        entry = stored_entry(store, task)
        if entry is None:
            lost.append(task)
            continue
        arrays, facts = entry
        row = facts["row"]
        if row is None or row >= len(names):
            continue
        slug = f"misclassified-{place + 1}"
        while slug in taken:
            slug += "-x"
        lengths = tuple(facts["lengths"])
        height, width = (1, *lengths)[-2:]
        record = ImageRecord(names[row], slug, hashes[row], width, height, True, lengths)
        picture = arrays.pop("picture")
        found.append(StoredMisclassified(record, picture, StoredAttribution(arrays, tuple(facts["maps"])), row))
    if not lost:
        return tuple(found), None
    reasons = "; ".join(dict.fromkeys(failures(store, lost))) or HOW
    return (
        tuple(found),
        f"maps of misclassified images are not computed: {reasons}",
    )


def _images(plan: Plan, store: Store) -> tuple[Mapping[str, np.ndarray], list[str], list[str]]:
    parts = [stored_entry(store, task) for task in plan.layer_tasks("", TaskKind.DATASET_IMAGES)]
    known = [part for part in parts if part is not None]
    return joined_images(known) if known and len(known) == len(parts) else ({}, [], [])


def explained_images(plan: Plan, store: Store, found: tuple[StoredMisclassified, ...]) -> tuple[ExplainedImage, ...]:
    """Return the records of misclassified images."""
    if not found or plan.dataset is None:
        return ()
    arrays, _, _ = _images(plan, store)
    unusual: dict[int, list[tuple[tuple[float, float], UnusualFilter]]] = {each.row: [] for each in found}
    for layer in plan.layers:
        for task in plan.layer_tasks(layer.slug, TaskKind.RESPONSE_STATISTICS):
            entry = stored_entry(store, task, ("peaks",))
            if entry is not None:
                for row in unusual:
                    unusual[row] += _of_layer(plan, layer, entry[0], entry[1], arrays["label"], row)
    words = plan.model.classes
    return tuple(
        ExplainedImage(
            image=_entry(each, arrays, words),
            row=each.row,
            label=plan.dataset.labels[int(arrays["label"][each.row])].label,
            class_probability=plain(arrays["class_probability"][each.row]),
            unusual=tuple(item for _, item in sorted(unusual[each.row], key=lambda pair: pair[0])[:MOST_UNUSUAL]),
        )
        for each in found
    )


def _entry(each: StoredMisclassified, arrays: Mapping[str, np.ndarray], classes: Any) -> ImageEntry:
    """The image as an entry, with its predictions."""
    numbers, shares = arrays["top_classes"][each.row].tolist(), arrays["top_probabilities"][each.row]
    labels = [
        classes[number] if classes is not None and number < len(classes) else f"output {number}" for number in numbers
    ]
    entry = image_entry(each.record, StoredImage(each.picture, None, None), each.attribution)
    rows = tuple(Prediction(label=label, probability=plain(share)) for label, share in zip(labels, shares, strict=True))
    return msgspec.structs.replace(entry, predictions=rows, predictions_note=None)


def _of_layer(
    plan: Plan,
    layer: LayerRecord,
    arrays: Mapping[str, np.ndarray],
    facts: Mapping[str, Any],
    labels: np.ndarray,
    row: int,
) -> list[tuple[tuple[float, float], UnusualFilter]]:
    """The most unusual filters of a layer, each with what it is ordered by: the tail, then the distance from the median."""
    others = np.flatnonzero((labels == labels[row]) & (np.arange(len(labels)) != row))
    if len(others) < LEAST_IMAGES or not layer.filters_shown:
        return []
    shown = list(layer.filters_shown)
    peaks = whole(arrays["peaks"][:, shown], int(facts["peaks_exponent"])).astype(np.float64)
    own, rest = peaks[row], peaks[others]
    below = ((rest < own).sum(axis=0) + 0.5 * (rest == own).sum(axis=0)) / len(others)
    middle = np.median(rest, axis=0)
    spread = NORMAL_DEVIATION * np.median(np.abs(rest - middle), axis=0)
    apart = np.divide(own - middle, spread, out=np.full(len(shown), np.nan), where=spread > 0)
    tails, distances = np.minimum(below, 1 - below), np.nan_to_num(np.abs(apart), nan=0.0)
    order = np.lexsort((-distances, tails))[:MOST_OF_LAYER]
    has_pictures = bool(plan.layer_tasks(layer.slug, TaskKind.EXEMPLARS))
    return [
        (
            (float(tails[at]), -float(distances[at])),
            UnusualFilter(
                layer=layer.path,
                slug=layer.slug,
                index=shown[at],
                peak=plain(own[at]),
                median=plain(middle[at]),
                images=len(others),
                percentile=float(round(100 * below[at], 2)),
                deviations=plain(apart[at]),
                has_pictures=has_pictures,
            ),
        )
        for at in order.tolist()
    ]
