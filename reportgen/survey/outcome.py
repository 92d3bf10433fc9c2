"""What the model makes of labeled images: accuracy, every class, confusions, and whether its probabilities can be believed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

MOST_PICTURED = 30  # misclassified images that have a picture on the first page, the most confident ones
BINS = 10  # of equal width, of the probability of the predicted class: as reliability diagrams have


@dataclass(frozen=True)
class Reliability:
    """The images whose predicted class has a probability above `low` (of the first bin from `low` on) and up to `high`.

    Attributes:
        confidence: mean of those probabilities; None where there are no images, like `accuracy`, the share that is right.
    """

    low: float
    high: float
    images: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True)
class Outcome:
    """Predictions beside labels.

    Attributes:
        confusion: int64 (classes, classes), images by the class of their label and the predicted one.
        correct: how many are right, of `images`.
        calibration: the bins.
        calibration_error: the expected calibration error (Naeini et al. 2015): the mean of |accuracy - confidence|, weighted by images.
        wrong: int64, rows of the images that are misclassified, the most confident first.
    """

    images: int
    correct: int
    confusion: np.ndarray
    calibration: tuple[Reliability, ...]
    calibration_error: float | None
    wrong: np.ndarray


def outcome(label: np.ndarray, predicted: np.ndarray, probability: np.ndarray, classes: int) -> Outcome:
    """Compare predictions with labels.

    Args:
        label: int (n,), the class of each image's label; -1 where it stands for none, which leaves the image out.
        predicted: int (n,), the most probable class.
        probability: float (n,), its probability.
        classes: how many there are.
    """
    rows = np.flatnonzero((label >= 0) & (label < classes) & np.isfinite(probability))
    label, predicted, probability = label[rows], predicted[rows], probability[rows].astype(np.float64)
    right = label == predicted
    confusion = np.bincount(label * classes + predicted, minlength=classes**2).reshape(classes, classes)
    bins = np.clip(np.ceil(probability * BINS).astype(int) - 1, 0, BINS - 1)
    reliability, error = [], 0.0
    for number in range(BINS):
        own = bins == number
        count = int(own.sum())
        confidence = float(probability[own].mean()) if count else None
        accuracy = float(right[own].mean()) if count else None
        if confidence is not None and accuracy is not None:
            error += count * abs(accuracy - confidence) / len(rows)
        reliability.append(Reliability(number / BINS, (number + 1) / BINS, count, confidence, accuracy))
    wrong = rows[~right][np.argsort(-probability[~right], kind="stable")]
    return Outcome(len(rows), int(right.sum()), confusion, tuple(reliability), error if len(rows) else None, wrong)


def misclassified(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the rows of misclassified images.

    Args:
        arrays: of all parts together, see `joined_images`.

    Returns:
        int64, the most confident first; none where the model predicts no classes.
    """
    if "top_classes" not in arrays:
        return np.zeros(0, np.int64)
    predicted, probability = arrays["top_classes"][:, 0], arrays["top_probabilities"][:, 0]
    classes = int(max(predicted.max(initial=0), arrays["class"].max(initial=0))) + 1
    return outcome(arrays["class"], predicted, probability, classes).wrong
