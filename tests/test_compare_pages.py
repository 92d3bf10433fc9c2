"""`reportgen compare`: its folder, its exit codes, and what makes a comparison unfair."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from page_parser import parse
from reportgen.compare.compare import compare_reports
from reportgen.compare.records import Comparison
from reportgen.compare.unfair import unfair
from reportgen.core.npz import pack, unpack
from reportgen.report.opened import Report
from sample_build import contents, run


@pytest.fixture(scope="module")
def other(whole_report: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same report with other weights in the layer `deep`."""
    folder = tmp_path_factory.mktemp("other") / "report"
    shutil.copytree(whole_report, folder)
    path = folder / "data" / "deep" / "weights.npz"
    arrays, _ = unpack(path)
    arrays["kernel"] = arrays["kernel"].copy()
    arrays["kernel"][..., 5] *= 1.5
    path.write_bytes(pack(arrays))
    return folder


def test_a_folder_of_pages_and_compare_json(whole_report: Path, other: Path, tmp_path: Path) -> None:
    result = run("compare", whole_report, other, "-o", tmp_path / "compared")

    assert (result.exit_code, result.stdout) == (0, f"{tmp_path / 'compared' / 'index.html'}\n")
    found = json.loads((tmp_path / "compared" / "compare.json").read_text())
    assert found["schema"] == "reportgen-compare/1"
    assert msgspec.convert(found, Comparison) == compare_reports(Report.open(whole_report), Report.open(other))
    deep = next(layer for layer in found["layers"] if layer["path"] == "deep")
    assert deep["status"] == "changed"
    assert [item["index"] for item in deep["filters"] if item["weight_change"]] == [5]
    assert deep["filters"][5]["weight_change"] == pytest.approx(0.5, rel=1e-6)
    page = parse(tmp_path / "compared" / "layers" / "deep.html")
    assert "f005" in page.attributes("id")


def test_pages_load_nothing_from_elsewhere_and_have_the_same_bytes(
    whole_report: Path, other: Path, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        assert run("compare", whole_report, other, "-q", "-o", tmp_path / name).exit_code == 0

    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    for path in (tmp_path / "one").rglob("*.html"):
        page = parse(path)
        for link in (*page.attributes("src"), *page.attributes("href")):
            target = link.partition("#")[0]
            assert not target or target.startswith("https://") or (path.parent / target).is_file(), link


def test_what_an_earlier_comparison_left_is_removed(whole_report: Path, other: Path, tmp_path: Path) -> None:
    folder = tmp_path / "compared"
    run("compare", whole_report, other, "-q", "-o", folder)
    assert (folder / "layers" / "deep.html").is_file()

    assert run("compare", whole_report, whole_report, "-q", "-o", folder).exit_code == 0

    assert not (folder / "layers").exists()


@pytest.mark.parametrize("wrong", ["no report", "unfinished", "in the report", "not ours", "a file"])
def test_wrong_input_is_one_sentence_and_exit_2(whole_report: Path, tmp_path: Path, wrong: str) -> None:
    old, output = whole_report, tmp_path / "compared"
    said = {
        "no report": "holds no report",
        "unfinished": "is unfinished",
        "in the report": "whose files stay as they are",
        "not ours": "is not a comparison of reportgen",
        "a file": "is a file",
    }
    if wrong == "no report":
        old = tmp_path
    elif wrong == "unfinished":
        old = tmp_path / "half"
        (old / ".store").mkdir(parents=True)
        shutil.copy(whole_report / ".store" / "plan.json", old / ".store")
    elif wrong == "in the report":
        output = whole_report / "compared"
    elif wrong == "not ours":
        output.mkdir()
        (output / "own.txt").write_text("mine")
    else:
        output.write_text("mine")

    result = run("compare", old, whole_report, "-o", output)

    assert result.exit_code == 2
    assert said[wrong] in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (whole_report / "compared").exists()


def test_force_writes_beside_what_is_there(whole_report: Path, tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("mine")

    assert run("compare", whole_report, whole_report, "-q", "-f", "-o", tmp_path).exit_code == 0

    assert (tmp_path / "own.txt").read_text() == "mine"


def test_filters_can_be_compared_by_position(whole_report: Path, tmp_path: Path) -> None:
    """A report whose filters 2 and 3 of a layer have changed places."""
    swapped = tmp_path / "report"
    shutil.copytree(whole_report, swapped)
    path = swapped / "data" / "colour" / "weights.npz"
    arrays, _ = unpack(path)
    arrays = {name: np.take(array, [0, 1, 3, 2, 4, 5], -1) for name, array in arrays.items()}
    path.write_bytes(pack(arrays))
    reports = Report.open(whole_report), Report.open(swapped)

    matched, placed = (compare_reports(*reports, match).layers[0] for match in ("auto", "position"))

    assert [item.old_index for item in matched.filters] == [0, 1, 3, 2, 4, 5]
    assert matched.status == "permuted"
    assert [item.index for item in placed.filters if item.weight_change] == [2, 3]
    assert placed.status == "changed"


def changed(report: Report, **facts: Any) -> Any:
    return msgspec.structs.replace(report.document, **facts)


def test_whatever_makes_a_comparison_unfair_is_said(whole_report: Path) -> None:
    report = Report.open(whole_report)
    own = report.document
    assert unfair(own, own) == ()

    assert unfair(own, changed(report, settings={**own.settings, "seed": 7, "title": "another"})) == (
        f"The patterns were computed with other settings, old and new: seed ({own.settings.get('seed', 'not given')} and 7); their "
        "pictures and scores differ for that reason, too.",
    )
    assert "other environments" not in str(unfair(own, changed(report, settings={**own.settings, "title": "another"})))
    (sentence,) = unfair(own, changed(report, environment={**own.environment, "tensorflow": "9.9"}))
    assert "9.9" in sentence
    assert "environments" in sentence
    (sentence,) = unfair(own, changed(report, images=own.images[:1]))
    assert "in the old report alone" in sentence
