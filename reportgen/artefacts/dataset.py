"""The data set as a whole, as report.json states it: its images, its labels, and what the model makes of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from reportgen.artefacts.base import stored_entry
from reportgen.artefacts.misclassified_pictures import load_pictures, picture_path
from reportgen.core.numbers import plain
from reportgen.core.records import Count, Plan, RelativePath, TaskKind
from reportgen.core.store import Store
from reportgen.survey.outcome import Outcome, outcome
from reportgen.survey.statistics import joined_images

MOST_CLASSES = 100  # of a confusion matrix that is stated; of more the confusions that occur most
MOST_PAIRS = 100
MOST_WRONG = 1000  # misclassified images that are stated, the most confident ones
Share = Annotated[float, Meta(ge=0, le=1)]


class LabelCount(msgspec.Struct, frozen=True, kw_only=True):
    """A label and how many of the images that were read have it."""

    label: str
    images: Count
    class_index: Annotated[Count | None, Meta(description="the model's class that it stands for")]


class LeftOutImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image that could not be read, and why."""

    name: str
    reason: str


class ClassOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """A class with labeled images, or that is predicted for any."""

    class_index: Count
    name: str
    images: Annotated[Count, Meta(description="whose label stands for it")]
    predicted: Count
    correct: Count
    recall: Share | None
    precision: Share | None


class Confusion(msgspec.Struct, frozen=True, kw_only=True):
    """How often images of one class are taken for another."""

    label: str
    predicted: str
    images: Count


class CalibrationBin(msgspec.Struct, frozen=True, kw_only=True):
    """Images by the probability of the predicted class: above `low`, up to `high`."""

    low: Share
    high: Share
    images: Count
    confidence: Share | None
    accuracy: Share | None


class MisclassifiedImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image that is taken for another class than its label's."""

    image: str
    sha256: str
    row: Annotated[Count, Meta(description="of the arrays in data.npz")]
    label: str
    class_index: Count
    predicted_index: Count
    predicted: str
    probability: Annotated[float | None, Meta(description="of the predicted class")]
    class_probability: Annotated[float | None, Meta(description="of the label's class")]
    picture: Annotated[RelativePath | None, Meta(description="of the most confident ones, reduced")] = None


class ModelOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """The model on the images whose label stands for a class."""

    images: Count
    correct: Count
    accuracy: Share
    classes: tuple[ClassOutcome, ...]
    confusion: Annotated[
        tuple[tuple[Count, ...], ...] | None,
        Meta(description=f"images by class of the label (rows) and predicted class; null above {MOST_CLASSES} classes"),
    ]
    confusions: Annotated[tuple[Confusion, ...], Meta(description="the most frequent first")]
    calibration: tuple[CalibrationBin, ...]
    calibration_error: Annotated[Share | None, Meta(description="expected calibration error over these bins")]
    misclassified_total: Count
    misclassified: Annotated[tuple[MisclassifiedImage, ...], Meta(description="the most confident first")]


class DatasetEntry(msgspec.Struct, frozen=True, kw_only=True):
    """The data set."""

    source: str
    sha256: Annotated[str, Meta(description="of the names, hashes and labels of all images that were taken")]
    found: Annotated[Count, Meta(description="images of the source")]
    taken: Annotated[Count, Meta(description="of them, evenly spaced")]
    images: Annotated[Count, Meta(description="that could be read; the rows of the arrays in data.npz")]
    same_pixels: Annotated[Count, Meta(description="of them, with the pixels of an earlier one")]
    sizes: Annotated[Count, Meta(description="different sizes of images before they were resized")]
    left_out: tuple[LeftOutImage, ...]
    labels: tuple[LabelCount, ...]
    model: Annotated[ModelOutcome | None, Meta(description="null where no label stands for a class of the model")]


def dataset_entry(plan: Plan, store: Store) -> DatasetEntry | None:
    """Return what report.json states of the data set, of the parts that are stored; None where there is none."""
    if plan.dataset is None:
        return None
    found = [stored_entry(store, task) for task in plan.layer_tasks("", TaskKind.DATASET_IMAGES)]
    parts = [entry for entry in found if entry is not None]
    if not parts:
        return DatasetEntry(
            source=plan.dataset.source,
            sha256=plan.dataset.sha256,
            found=plan.dataset.found,
            taken=plan.dataset.images,
            images=0,
            same_pixels=0,
            sizes=0,
            left_out=(),
            labels=(),
            model=None,
        )
    arrays, names, hashes = joined_images(parts)
    counts = np.bincount(arrays["label"][arrays["label"] >= 0], minlength=len(plan.dataset.labels))
    return DatasetEntry(
        source=plan.dataset.source,
        sha256=plan.dataset.sha256,
        found=plan.dataset.found,
        taken=plan.dataset.images,
        images=len(names),
        same_pixels=len(names) - len(np.unique(arrays["pixels"], axis=0)),
        sizes=len(np.unique(arrays["lengths"], axis=0)),
        left_out=tuple(
            LeftOutImage(name=each["name"], reason=each["reason"]) for _, facts in parts for each in facts["left_out"]
        ),
        labels=tuple(
            LabelCount(label=label.label, images=int(count), class_index=label.class_index)
            for label, count in zip(plan.dataset.labels, counts, strict=True)
        ),
        model=_model(plan, arrays, names, hashes, load_pictures(plan, store)[0]),
    )


def _model(
    plan: Plan,
    arrays: Mapping[str, np.ndarray],
    names: Sequence[str],
    hashes: Sequence[str],
    pictured: Collection[int],
) -> ModelOutcome | None:
    if "top_classes" not in arrays or plan.dataset is None or not (arrays["class"] >= 0).any():
        return None
    classes = plan.model.classes
    known = int(max(arrays["top_classes"].max(), arrays["class"].max())) + 1
    total = max(known, 0 if classes is None else len(classes))
    words = [
        classes[number] if classes is not None and number < len(classes) else str(number) for number in range(total)
    ]
    predicted, probability = arrays["top_classes"][:, 0], arrays["top_probabilities"][:, 0]
    found = outcome(arrays["class"], predicted, probability, total)
    if found.images == 0:
        return None
    labels = plan.dataset.labels
    return ModelOutcome(
        images=found.images,
        correct=found.correct,
        accuracy=found.correct / found.images,
        classes=_classes(found, words),
        confusion=tuple(tuple(row) for row in found.confusion.tolist()) if total <= MOST_CLASSES else None,
        confusions=_confusions(found, words),
        calibration=tuple(
            CalibrationBin(
                low=each.low,
                high=each.high,
                images=each.images,
                confidence=plain(each.confidence),
                accuracy=plain(each.accuracy),
            )
            for each in found.calibration
        ),
        calibration_error=plain(found.calibration_error),
        misclassified_total=len(found.wrong),
        misclassified=tuple(
            MisclassifiedImage(
                image=names[row],
                sha256=hashes[row],
                row=row,
                label=labels[int(arrays["label"][row])].label,
                class_index=int(arrays["class"][row]),
                predicted_index=int(predicted[row]),
                predicted=words[int(predicted[row])],
                probability=plain(probability[row]),
                class_probability=plain(arrays["class_probability"][row]),
                picture=picture_path(row) if row in pictured else None,
            )
            for row in found.wrong[:MOST_WRONG].tolist()
        ),
    )


def _classes(found: Outcome, words: Sequence[str]) -> tuple[ClassOutcome, ...]:
    images, predicted = found.confusion.sum(axis=1), found.confusion.sum(axis=0)
    correct = found.confusion.diagonal()
    return tuple(
        ClassOutcome(
            class_index=number,
            name=words[number],
            images=int(images[number]),
            predicted=int(predicted[number]),
            correct=int(correct[number]),
            recall=int(correct[number]) / int(images[number]) if images[number] else None,
            precision=int(correct[number]) / int(predicted[number]) if predicted[number] else None,
        )
        for number in range(len(words))
        if images[number] or predicted[number]
    )


def _confusions(found: Outcome, words: Sequence[str]) -> tuple[Confusion, ...]:
    pairs = found.confusion.copy()
    np.fill_diagonal(pairs, 0)
    order = np.argsort(-pairs, axis=None, kind="stable")[:MOST_PAIRS]
    return tuple(
        Confusion(label=words[row], predicted=words[column], images=int(pairs[row, column]))
        for row, column in (divmod(int(at), len(words)) for at in order)
        if pairs[row, column]
    )
