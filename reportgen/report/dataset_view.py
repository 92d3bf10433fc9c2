"""The model on the data set, as the index page shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from reportgen.artefacts.base import ImageFile
from reportgen.artefacts.dataset import DatasetEntry, ModelOutcome
from reportgen.artefacts.misclassified import ExplainedImage
from reportgen.artefacts.views import Fact, Link, SmallPicture, small_picture
from reportgen.render.text import NONE, count, number, percent, plural
from reportgen.survey.outcome import MOST_PICTURED

MOST_COLUMNS = 12  # classes of a confusion matrix that a page shows
MOST_PAIRS, MOST_LEFT_OUT = 15, 50  # rows of tables; report.json has more
PICTURE_PIXELS = 96  # longer side of a picture at most, in CSS pixels; pixels are repeated a whole number of times
CLASSES_NOTE = "Recall: the share of a class’s images that is recognized. Precision: the share of predictions of a class that is right."
CALIBRATION_NOTE = (
    "Of images whose predicted class has a probability in a range, the mean of these probabilities beside the share that is right: "
    "equal where probabilities can be believed."
)

Rows = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Matrix:
    """A confusion matrix: `classes` of its columns, and a row for each with the images of each cell and whether they are right."""

    classes: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


@dataclass(frozen=True)
class WrongView:
    """A misclassified image: `href` leads to its page where it has one; `own` is the probability of the label's class."""

    picture: SmallPicture | None
    href: str
    name: str
    label: str
    predicted: str
    probability: str
    own: str

    @property
    def row(self) -> tuple[str, ...]:
        """Its row of a table."""
        return self.name, self.label, self.predicted, self.probability, self.own


@dataclass(frozen=True)
class DatasetView:
    """Everything on a data set."""

    note: str
    facts: tuple[Fact, ...]
    classes: Rows
    classes_note: str
    matrix: Matrix | None
    confusions: Rows
    calibration: Rows
    calibration_note: str
    wrong: tuple[WrongView, ...]
    wrong_note: str
    left_out: Rows
    left_out_note: str
    explained: tuple[Link, ...] = ()
    has_pictures: bool = False


def dataset_view(
    entry: DatasetEntry | None,
    noun: str,
    explained: Sequence[ExplainedImage] = (),
    pictures: Mapping[str, ImageFile] = MappingProxyType({}),
) -> DatasetView | None:
    """Return the view of a data set; None where there is none.

    Args:
        entry: in report.json.
        noun: of what the model is fed.
        explained: misclassified images that have a page.
        pictures: of misclassified images, by path.
    """
    if entry is None:
        return None
    model = entry.model
    return DatasetView(
        note=_note(entry, noun),
        facts=_facts(entry, noun),
        classes=() if model is None else _classes(model),
        classes_note=CLASSES_NOTE,
        matrix=None if model is None else _matrix(model),
        confusions=()
        if model is None
        else tuple((each.label, each.predicted, count(each.images)) for each in model.confusions[:MOST_PAIRS]),
        calibration=() if model is None else _calibration(model),
        calibration_note=CALIBRATION_NOTE,
        wrong=() if model is None else _wrong(model, explained, pictures),
        wrong_note="" if model is None else _wrong_note(model, noun),
        left_out=tuple((each.name, each.reason) for each in entry.left_out[:MOST_LEFT_OUT]),
        left_out_note=_left_out_note(entry, noun),
        explained=tuple(Link(_page(each), each.image.name) for each in explained),
        has_pictures=model is not None and any(each.picture in pictures for each in model.misclassified),
    )


def _note(entry: DatasetEntry, noun: str) -> str:
    taken = (
        f"all {plural(entry.found, noun)}"
        if entry.taken == entry.found
        else f"{count(entry.taken)} of {plural(entry.found, noun)}, evenly spaced"
    )
    parts = [f"Data set {entry.source}: {taken}"]
    if entry.sizes > 1:
        parts.append(f"{count(entry.sizes)} different sizes, fitted to the model’s input")
    if entry.same_pixels:
        parts.append(f"{count(entry.same_pixels)} with the pixels of an earlier one")
    labels = f" {plural(len(entry.labels), 'label')}." if entry.labels else " There are no labels."
    unknown = [each.label for each in entry.labels if each.class_index is None]
    if entry.labels and unknown and len(unknown) < len(entry.labels):
        labels += f" {plural(len(unknown), 'label')} stand for no class of the model."
    if entry.labels and len(unknown) == len(entry.labels):
        labels += " None of them is a class of the model: --label-map states which are."
    return "; ".join(parts) + "." + labels


def _facts(entry: DatasetEntry, noun: str) -> tuple[Fact, ...]:
    facts = [Fact(f"{noun.capitalize()}s read", count(entry.images))]
    if entry.left_out:
        facts.append(Fact("Left out", count(len(entry.left_out)), note="named below"))
    model = entry.model
    if model is not None:
        facts += [
            Fact(
                "Accuracy",
                percent(model.accuracy),
                note=f"{count(model.correct)} of {count(model.images)} with a class",
            ),
            Fact("Misclassified", count(model.misclassified_total)),
        ]
        if model.calibration_error is not None:
            facts.append(
                Fact(
                    "Calibration error",
                    number(model.calibration_error),
                    note=f"expected calibration error, {len(model.calibration)} bins of equal width",
                )
            )
    return tuple(facts)


def _classes(model: ModelOutcome) -> Rows:
    return tuple(
        (
            each.name,
            count(each.images),
            NONE if each.recall is None else percent(each.recall),
            count(each.predicted),
            NONE if each.precision is None else percent(each.precision),
        )
        for each in model.classes
    )


def _matrix(model: ModelOutcome) -> Matrix | None:
    numbers = [each.class_index for each in model.classes]
    if model.confusion is None or len(numbers) > MOST_COLUMNS:
        return None
    confusion = model.confusion
    names = tuple(each.name for each in model.classes)
    return Matrix(
        names,
        tuple(
            (
                each.name,
                tuple(
                    (
                        count(confusion[each.class_index][number]) if confusion[each.class_index][number] else "",
                        "right" if number == each.class_index else "wrong",
                    )
                    for number in numbers
                ),
            )
            for each in model.classes
            if each.images
        ),
    )


def _calibration(model: ModelOutcome) -> Rows:
    return tuple(
        (
            f"{100 * each.low:g} … {100 * each.high:g} %",
            count(each.images),
            NONE if each.confidence is None else percent(each.confidence),
            NONE if each.accuracy is None else percent(each.accuracy),
        )
        for each in model.calibration
        if each.images
    )


def _page(found: ExplainedImage) -> str:
    return f"images/{found.image.slug}.html"


def _wrong(
    model: ModelOutcome, explained: Sequence[ExplainedImage], pictures: Mapping[str, ImageFile]
) -> tuple[WrongView, ...]:
    """The misclassified images that are shown."""
    pages = {each.row: _page(each) for each in explained}
    return tuple(
        WrongView(
            picture=None if each.picture is None else _small(pictures.get(each.picture), each.image),
            href=pages.get(each.row, ""),
            name=each.image,
            label=each.label,
            predicted=each.predicted,
            probability=percent(each.probability),
            own=percent(each.class_probability),
        )
        for each in model.misclassified[:MOST_PICTURED]
    )


def _small(file: ImageFile | None, name: str) -> SmallPicture | None:
    if file is None:
        return None
    longest = max(file.width, file.height)
    scale = max(1, PICTURE_PIXELS // longest) if longest <= PICTURE_PIXELS else PICTURE_PIXELS / longest
    return small_picture(file.path, (file.width, file.height), scale, name)


def _wrong_note(model: ModelOutcome, noun: str) -> str:
    shown = min(len(model.misclassified), MOST_PICTURED)
    if not shown:
        return f"No {noun} is misclassified."
    return f"{count(shown)} of {plural(model.misclassified_total, f'misclassified {noun}')}, the most confident first."


def _left_out_note(entry: DatasetEntry, noun: str) -> str:
    total, shown = len(entry.left_out), min(len(entry.left_out), MOST_LEFT_OUT)
    if not total:
        return ""
    rest = "" if shown == total else f"; the first {shown} are listed, report.json has all"
    return f"{plural(total, noun)} could not be read and {'is' if total == 1 else 'are'} in no number{rest}."
