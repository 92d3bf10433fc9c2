"""A finished report as an object: the same facts and arrays as its files, without TensorFlow, and a sentence where there is none."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import report_fixture
import reportgen
from reportgen.core.errors import StoreError, UsageError
from reportgen.report.opened import Report

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def report(whole_report: Path) -> Report:
    return reportgen.open(whole_report)


def test_every_fact_of_the_file_is_in_the_records(whole_report: Path, report: Report) -> None:
    assert json.loads(report.document.to_json()) == json.loads((whole_report / "report.json").read_bytes())


def test_a_report_from_before_keys_were_added_opens(tmp_path: Path) -> None:
    """tests/legacy/report.json was written before data sets, attribution maps and comparisons; it may never be replaced."""
    (tmp_path / "report.json").write_bytes((ROOT / "tests" / "legacy" / "report.json").read_bytes())
    old = reportgen.open(tmp_path)
    assert sum(layer.record.patterns is not None for layer in old.layers) == 4
    assert old.document.dataset is None
    assert all(layer.record.data is None and layer.record.channel_runs is None for layer in old.layers)
    assert not any(image.attribution for image in old.images)


def test_layers_are_those_that_are_covered_in_order(report: Report) -> None:
    covered = [layer.path for layer in report_fixture.LAYERS if layer.status != "skipped"]
    assert [
        layer.path for layer in report.layers if layer.record.kind == "convolution" and not layer.record.is_output
    ] == covered
    assert report["deep"].path == "deep"
    assert report[report_fixture.HOSTILE_PATH].record.slug == report["colour"].record.slug == "colour"


def test_filters_have_their_own_arrays(whole_report: Path, report: Report) -> None:
    layer = report["colour"]
    stored = np.load(whole_report / "data" / "colour" / "patterns.npz")
    kernel = np.load(whole_report / "data" / "colour" / "weights.npz")["kernel"]
    maps = np.load(whole_report / "data" / "colour" / "feature_maps.npz")["cat"]
    assert len(layer.filters) == len(stored["indices"]) == 6
    for row, item in enumerate(layer.filters):
        assert item.record is not None
        assert item.record.index == item.index == stored["indices"][row]
        np.testing.assert_array_equal(item.pattern, stored["images"][row])
        for tap in ((0, 0), (1, 2)):
            np.testing.assert_array_equal(item.kernel[(slice(None), *tap)], kernel[(*tap, slice(None), item.index)])
        np.testing.assert_array_equal(item.feature_map(report_fixture.HOSTILE_IMAGE), maps[..., item.index])
    far = layer[report_fixture.FAR[1]]
    place = stored["strongest_indices"].tolist().index(far.index)
    np.testing.assert_array_equal(far.strongest, stored["strongest_images"][place])
    assert (far.strongest != far.pattern).any()


def test_minimal_patterns_are_those_of_the_filter(whole_report: Path, report: Report) -> None:
    stored = np.load(whole_report / "data" / "colour" / "minimal_patterns.npz")
    for row, item in enumerate(report["colour"].filters):
        np.testing.assert_array_equal(item.minimal_pattern, stored["images"][row])
        assert item.minimal_record is not None
        assert item.minimal_record.index == item.index


def test_what_is_not_there_is_none(report: Report) -> None:
    lost = [item for item in report["deep"].filters if item.record is None]
    assert lost
    assert {(item.verdict, item.pattern is None, item.strongest is None) for item in lost} == {(None, True, True)}
    assert report["pool"].weights is None
    assert report["pool"].filters == ()
    assert report["colour"].figure("nothing.png") is None
    assert report["colour"].figure("weights.png").is_file()


def test_verdicts_are_counted_over_the_layers_alone(report: Report) -> None:
    counted = [item.verdict for layer in report.layers if not layer.record.is_output for item in layer.filters]
    assert report.verdicts["ok"] == counted.count("ok") > 0
    assert report.verdicts["dead"] == counted.count("dead") > 0
    assert report.verdicts["not computed"] == counted.count(None) > 0


def test_a_name_that_is_not_there_is_named(report: Report) -> None:
    with pytest.raises(KeyError, match="no layer dep; it has"):
        report["dep"]
    with pytest.raises(KeyError, match=r"deep shows 0, 5, 10, .*, not 1"):
        report["deep"][1]
    with pytest.raises(KeyError, match="no feature maps of dog; it has those of cat"):
        report["deep"].feature_maps("dog")


def test_a_damaged_array_file_is_a_sentence(whole_report: Path, tmp_path: Path) -> None:
    for name in ("report.json", "index.html"):
        (tmp_path / name).write_bytes((whole_report / name).read_bytes())
    with pytest.raises(StoreError, match=r"^data/colour/weights.npz of the report \S+ cannot be read"):
        assert reportgen.open(tmp_path / "index.html")["colour"].weights


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "holds no report: there is no report.json"),
        (
            {".store/plan.json": "{}"},
            "is unfinished: wait for the run that is writing it, or run the same `reportgen build` again",
        ),
        (
            {"report.json": '{"schema": "reportgen/1"}'},
            "has the schema reportgen/1, and this reportgen reads reportgen/2",
        ),
        ({"report.json": '{"schema": "reportgen/3"}'}, "has the schema reportgen/3"),
        ({"report.json": '{"schema": "other/2"}'}, "states no schema of reportgen"),
        ({"report.json": "[]"}, "states no schema of reportgen"),
        ({"report.json": "{"}, "is not the report.json of a report"),
        ({"report.json": "{}"}, "is not the report.json of a report"),
        ({"report.json": '{"schema": "reportgen/2"}'}, "does not follow its schema reportgen/2"),
    ],
)
def test_what_is_no_finished_report_is_refused_with_a_sentence(
    tmp_path: Path, files: dict[str, str], words: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(UsageError) as refused:
        reportgen.open(tmp_path)
    assert words in str(refused.value)
    assert str(tmp_path) in str(refused.value)


def test_the_example_of_the_documentation_runs_without_tensorflow(whole_report: Path, tmp_path: Path) -> None:
    (example,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(encoding="utf-8"), re.DOTALL
    )
    example = example.replace('"report"', repr(str(whole_report))).replace('"conv2"', '"deep"')
    program = f"{example}\nimport sys\nprint({{'tensorflow', 'keras', 'jinja2', 'matplotlib'}} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, cwd=ROOT, check=True
    )
    assert done.stdout.startswith("tiny 1234 {")
    assert done.stdout.endswith("set()\n")


def test_layers_and_filters_can_be_put_into_sets(report: Report) -> None:
    assert len({*report.layers, *report.layers}) == len(report.layers)
    layer = report["colour"]
    assert len({*layer.filters, *layer.filters}) == len(layer.filters)
