"""Misclassified images of a data set: which filters respond to them as to no other image of the label. Made without a model."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import report_fixture
from reportgen.artefacts.misclassified import MOST_OF_LAYER, explained_images, load_misclassified
from reportgen.core.records import DatasetRecord, LabelRecord, Task, TaskKind
from reportgen.core.store import Store
from reportgen.report.assemble import assemble
from reportgen.survey.values import half

IMAGES, WRONG = 24, 5
PLANTED, EQUAL = 3, 1  # filters: one far below every other image of the label, one that is the same on all


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A stored run with a data set of two labels, in which image WRONG, a cat, is taken for a dog."""
    plan = report_fixture.make(tmp_path, missing=False)
    store, random = Store(tmp_path), np.random.default_rng(3)
    label = np.arange(IMAGES, dtype=np.int32) % 2
    predicted = label.copy()
    predicted[WRONG] = 1 - predicted[WRONG]
    shares = np.stack([np.full(IMAGES, 0.9), np.full(IMAGES, 0.1)], axis=1).astype(np.float32)
    arrays = {
        "image": np.arange(IMAGES, dtype=np.int32),
        "label": label,
        "class": label,
        "pixels": random.integers(0, 256, (IMAGES, 16), dtype=np.uint8),
        "lengths": np.full((IMAGES, 2), 16, np.int32),
        "top_classes": np.stack([predicted, 1 - predicted], axis=1),
        "top_probabilities": shares,
        "class_probability": np.where(label == predicted, 0.9, 0.1).astype(np.float32),
    }
    names = [f"{number:02d}.png" for number in range(IMAGES)]
    facts = {"names": names, "sha256": ["0" * 64] * IMAGES, "left_out": []}
    store.save("images", arrays, facts)
    peaks = random.normal(10, 1, (IMAGES, 6)).astype(np.float32)
    peaks[:, EQUAL] = 1
    peaks[WRONG, PLANTED] = -10
    kept, exponent = half(peaks)
    store.save("statistics", {"peaks": kept}, {"peaks_exponent": exponent, "images": 0})
    picture = random.integers(0, 256, (20, 24, 3), dtype=np.uint8)
    store.save("wrong", {"picture": picture}, {"row": WRONG, "lengths": [16, 16], "maps": []})
    store.save("none", {}, {"row": None, "maps": []})
    colour = next(layer for layer in plan.layers if layer.slug == "colour")
    tasks = (
        Task(TaskKind.DATASET_IMAGES, "images", "", "", (), 1.0, 0),
        Task(TaskKind.RESPONSE_STATISTICS, "statistics", colour.slug, "", (), 0.0),
        Task(TaskKind.MISCLASSIFIED, "wrong", "", "", (), 1.0, 0),
        Task(TaskKind.MISCLASSIFIED, "none", "", "", (), 1.0, 1),
        Task(TaskKind.MISCLASSIFIED, "lost", "", "", (), 1.0, 2),
    )
    dataset = DatasetRecord(
        "animals", IMAGES, IMAGES, (LabelRecord("cat", 12, 0), LabelRecord("dog", 12, 1)), (IMAGES,), "0" * 64
    )
    store.save_plan(dataclasses.replace(plan, tasks=(*plan.tasks, *tasks), dataset=dataset))
    return tmp_path


def test_the_planted_filter_is_the_most_unusual_with_its_percentile_within_the_label(folder: Path) -> None:
    store = Store(folder)
    plan = store.load_plan()
    found, lost = load_misclassified(plan, store)
    (explained,) = explained_images(plan, store, found)
    assert lost is not None
    assert (explained.image.name, explained.label) == (f"{WRONG:02d}.png", "dog")
    assert [each.label for each in explained.image.predictions or ()] == ["cat", "dog"]
    assert len(explained.unusual) == MOST_OF_LAYER
    first = explained.unusual[0]
    assert (first.index, first.percentile, first.images) == (PLANTED, 0.0, IMAGES // 2 - 1)
    assert first.deviations is not None
    assert first.deviations < -5
    assert EQUAL not in [each.index for each in explained.unusual]


def test_it_has_a_page_that_the_data_set_links_and_what_is_missing_is_a_problem(folder: Path) -> None:
    written = assemble(folder)
    page = (folder / "images" / "misclassified-1.html").read_text()
    assert "Label dog (10.0 %), taken for cat (90.0 %)." in page
    assert f'href="../layers/colour.html#f{PLANTED:03d}"' in page
    assert 'href="images/misclassified-1.html"' in (folder / "index.html").read_text()
    assert any("aps of misclassified images are not computed" in problem for problem in written.problems)
