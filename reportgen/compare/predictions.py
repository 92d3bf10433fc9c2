"""Class lists and predictions of two models on the same images."""

from __future__ import annotations

from collections.abc import Sequence

from reportgen.compare.records import ClassesComparison, PredictionComparison
from reportgen.report.document import ReportDocument


def compare_classes(old: Sequence[str] | None, new: Sequence[str] | None) -> ClassesComparison | None:
    """Return what changed in the list of classes; None where a model's classes are not known, or nothing changed."""
    if old is None or new is None or list(old) == list(new):
        return None
    kept = set(old) & set(new)
    return ClassesComparison(
        added=tuple(name for name in new if name not in kept),
        removed=tuple(name for name in old if name not in kept),
        moved=tuple(name for name in new if name in kept and list(old).index(name) != list(new).index(name)),
    )


def compare_predictions(old: ReportDocument, new: ReportDocument) -> tuple[PredictionComparison, ...]:
    """Return what both models predict for each image that both reports have; of several outputs that of the first that classifies."""
    before = {image.sha256: image for image in old.images}
    found = []
    for image in new.images:
        other = before.get(image.sha256)
        if other is None or not image.predictions or not other.predictions:
            continue
        now, then = image.predictions[0], other.predictions[0]
        names = now.label, then.label
        if (old.model.classes is None) != (new.model.classes is None):  # one report has names, the other numbers
            names = _numbered(now.label, new.model.classes), _numbered(then.label, old.model.classes)
        found.append(
            PredictionComparison(
                image=image.name,
                label=now.label,
                old_label=then.label,
                probability=now.probability,
                old_probability=then.probability,
                flipped=names[0] != names[1],
            )
        )
    return tuple(found)


def _numbered(label: str, classes: Sequence[str] | None) -> str:
    """What a class is called where its name is not known: as a prediction without names calls it."""
    return label if classes is None or label not in classes else f"output {list(classes).index(label)}"
