"""Checks of model health on a data set: each on a planted fault and on what is sound, on records, without TensorFlow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import msgspec
import pytest

import report_fixture
from reportgen.artefacts.data_records import LayerData
from reportgen.artefacts.dataset import DatasetEntry, LabelCount
from reportgen.artefacts.layer_entry import LayerEntry
from reportgen.core.records import Plan
from reportgen.report.health.dataset import accuracy_check, calibration_check, labels_check, never_active_check
from test_health import entry


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    made = report_fixture.make(tmp_path_factory.mktemp("plan"))
    return replace(made, model=replace(made.model, classes=("cat", "dog", "fox", "owl")))


def dataset(confusion: list[list[int]], confidence: float = 0.9, unknown: tuple[str, ...] = ()) -> DatasetEntry:
    """A data set of four classes with such a confusion matrix, all predictions with one probability."""
    names = ("cat", "dog", "fox", "owl")
    images, correct = sum(map(sum, confusion)), sum(row[place] for place, row in enumerate(confusion))
    classes = [
        {
            "class_index": place,
            "name": names[place],
            "images": sum(row),
            "predicted": sum(each[place] for each in confusion),
            "correct": row[place],
            "recall": row[place] / sum(row) if sum(row) else None,
            "precision": None,
        }
        for place, row in enumerate(confusion)
    ]
    accuracy = correct / images
    model = {
        **{"images": images, "correct": correct, "accuracy": accuracy, "classes": classes, "confusion": confusion},
        **{"confusions": [], "misclassified_total": images - correct, "misclassified": []},
        "calibration": [{"low": 0, "high": 1, "images": images, "confidence": confidence, "accuracy": accuracy}],
        "calibration_error": abs(confidence - accuracy),
    }
    labels = [
        *(
            {"label": name, "images": sum(row), "class_index": place}
            for place, (name, row) in enumerate(zip(names, confusion, strict=True))
        ),
        *({"label": name, "images": 7, "class_index": None} for name in unknown),
    ]
    facts: dict[str, Any] = {"source": "animals", "sha256": "0" * 64, "same_pixels": 0, "sizes": 1, "left_out": []}
    facts |= {"found": images, "taken": images, "images": images, "labels": labels, "model": model}
    return msgspec.convert(facts, DatasetEntry)


GOOD = [[95, 5, 0, 0], [3, 97, 0, 0], [0, 0, 99, 1], [0, 2, 0, 98]]
UNSURE = [[62, 13, 13, 12], [13, 60, 14, 13], [12, 13, 62, 13], [13, 12, 13, 62]]
CHANCE = [[27, 25, 24, 24], [25, 25, 26, 24], [22, 28, 26, 24], [26, 24, 25, 25]]
ONE = [[100, 0, 0, 0], [99, 1, 0, 0], [100, 0, 0, 0], [98, 0, 0, 2]]


@pytest.mark.parametrize(
    ("confusion", "status", "words"),
    [
        (GOOD, "ok", "predicted for 389 of 400 labeled images (97.2 %)."),
        (UNSURE, "ok", "predicted for 246 of 400 labeled images"),
        (CHANCE, "warning", "The mean recall of the classes is 25.8 %, and that of a uniform guess 25.0 %"),
        (ONE, "warning", "99.2 % of the images are predicted as cat."),
        (
            [[9, 1, 0, 0], [0, 9, 1, 0], [0] * 4, [0] * 4],
            "unknown",
            "20 labeled images of 2 classes, and 30 of two classes are needed; 18 are predicted correctly.",
        ),
        (
            [[100, 0, 0, 0], [0] * 4, [0] * 4, [0] * 4],
            "unknown",
            "100 labeled images of 1 class, and 30 of two classes are needed",
        ),
    ],
)
def test_a_model_that_does_not_know_the_data_set_is_told_from_one_that_errs(
    confusion: list[list[int]], status: str, words: str, plan: Plan
) -> None:
    found = accuracy_check(plan, dataset(confusion))
    assert found is not None
    assert (found.status, words in found.sentence) == (status, True), found.sentence


def test_probabilities_that_promise_too_much_are_a_warning() -> None:
    for confidence, confusion, status in ((0.95, GOOD, "ok"), (0.99, UNSURE, "warning"), (0.3, UNSURE, "warning")):
        found = calibration_check(dataset(confusion, confidence))
        assert found is not None
        assert found.status == status
    found = calibration_check(dataset([[9, 1, 0, 0], [0, 9, 1, 0], [0] * 4, [0] * 4]))
    assert found is not None
    assert found.status == "unknown"


def test_labels_that_stand_for_no_class_are_named_with_the_images_that_do_not_count() -> None:
    found, sound = labels_check(dataset(GOOD, unknown=("emu", "elk"))), labels_check(dataset(GOOD))
    assert found is not None
    assert sound is not None
    assert (found.status, sound.status) == ("warning", "ok")
    assert "2 of 6 labels of the data set are no class of the model (emu and elk), and 14 images" in found.sentence
    assert labels_check(None) is None


def test_a_single_label_is_spoken_of_as_one() -> None:
    found = [
        labels_check(
            msgspec.structs.replace(dataset(GOOD), labels=(LabelCount(label="cat", images=1, class_index=number),))
        )
        for number in (0, None)
    ]
    assert [each and each.sentence.partition(";")[0] for each in found] == [
        "The label of the data set is a class of the model.",
        "Accuracy is not known: the label of the data set is no class of the model",
    ]


@pytest.mark.parametrize(
    ("silent", "images", "status"),
    [((), 2000, "ok"), ((1, 2), 2000, "ok"), ((1, 2, 3, 4), 2000, "warning"), ((1,), 99, "unknown")],
)
def test_filters_that_no_image_of_the_data_set_activates(
    silent: tuple[int, ...], images: int, status: str, plan: Plan
) -> None:
    empty = dict.fromkeys(field.name for field in msgspec.structs.fields(LayerData))
    facts = {**empty, "images": images, "filters": (None,) * 8}
    layers = [
        msgspec.structs.replace(entry(path), data=LayerData(**{**facts, "silent_filters": numbers}))
        for path, numbers in (("sound", ()), ("narrow", silent))
    ]
    found = never_active_check(plan, cast("list[LayerEntry]", layers))
    assert found is not None
    assert found.status == status
    assert found.layers == (("narrow",) if status == "warning" else ())
    if silent and images > 99:
        assert f"{len(silent)} of 16 filters" in found.sentence
        assert "every position of all 2,000 images" in found.sentence
        assert [(each.layer, each.filters) for each in found.evidence] == [("narrow", silent)]
    assert never_active_check(plan, [entry("conv")]) is None
