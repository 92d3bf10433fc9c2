"""Reports from Python: the same files as the command line's, from a live model or from what names one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import reportgen
from reportgen.core.errors import OutputError, UsageError
from small_models import functional, layers, pictures, randomised

QUICK: dict[str, Any] = {"steps": 2, "preprocess": "unit", "filters": np.int64(2), "layers": "conv"}


@pytest.fixture(scope="module")
def model() -> Any:
    made = randomised(functional(layers.Conv2D(3, 3, name="conv"), layers.Conv2D(2, 3, name="other")))
    made.name = "my_model"
    return made


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "noise.png"
    Image.fromarray(pictures(1)[0]).save(path)
    return path


def facts(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "report.json").read_bytes())
    return found


@pytest.fixture(scope="module")
def built(model: Any, picture: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, list[str]]:
    said: list[str] = []
    output = tmp_path_factory.mktemp("built") / "report"
    return reportgen.build(model, [picture], output, say=said.append, **QUICK), said


def test_a_live_model_is_reported_with_images_and_settings(built: tuple[Any, list[str]]) -> None:
    report, said = built
    assert report.problems == ()
    written = facts(report.index.parent)
    assert (written["model"]["name"], written["model"]["source"], written["model"]["sha256"]) == (
        *("my_model", "a live model"),
        None,
    )
    assert [image["name"] for image in written["images"]] == ["noise.png"]
    assert [layer["status"] for layer in written["layers"]] == ["rendered", "skipped"]
    assert written["layers"][0]["filters_shown"] == [0, 2]
    assert said == written["notes"]


def test_the_result_stands_for_the_first_pages_path(built: tuple[Any, list[str]], tmp_path: Path) -> None:
    report, _ = built
    shutil.copy(report, tmp_path / "copy.html")
    assert (tmp_path / "copy.html").read_bytes() == report.index.read_bytes()
    assert report.index.name == "index.html"


def test_without_an_output_the_report_is_named_after_the_model(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert reportgen.build(model, **QUICK).index == Path("reports/my_model/index.html")


def test_one_image_may_be_given_by_itself_and_a_file_by_its_path(model: Any, picture: Path, tmp_path: Path) -> None:
    path = tmp_path / "saved.keras"
    model.save(path)
    reportgen.build(path, picture, tmp_path / "report", **QUICK)
    written = facts(tmp_path / "report")
    assert written["model"]["source"] == "saved.keras"
    assert len(written["images"]) == 1


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"colour": "red"}, "there is no setting `colour`"),
        ({"steps": "many"}, "the call gives `steps` a value of the wrong type: 'many'"),
        ({"images": 7}, "the call gives `images` a value of the wrong type"),
        ({"quality": "best"}, "--quality best is none of"),
    ],
)
def test_a_wrong_setting_is_one_sentence_and_nothing_is_written(
    model: Any, tmp_path: Path, settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        reportgen.build(model, output=tmp_path / "report", **settings)
    assert not (tmp_path / "report").exists()


def test_a_folder_of_something_else_is_refused_unless_forced(model: Any, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match="not a report"):
        reportgen.build(model, output=tmp_path, **QUICK)
    reportgen.build(model, output=tmp_path, force=True, **QUICK)
    assert (tmp_path / "thesis.txt").read_text() == "mine"
