"""Pages of images with attribution maps, from stored arrays: scales, words of checks, and pictures that repeat positions."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import report_fixture
from reportgen.core.records import Task, TaskKind
from reportgen.core.store import Store
from reportgen.report.assemble import assemble

SIGNED = np.array([[0.0, 0.5, -2.0], [1.0, 0.25, 0.0]], np.float32)


def facts(key: str, **changes: Any) -> dict[str, Any]:
    """What is stored of one map."""
    plain = {
        **{"key": key, "method": "grad-cam", "output": None, "layer": "deep", "unit": "deep/relu", "grid": [2, 3]},
        **{"channels": 70, "channels_measured": 70, "label": "cat <i>", "number": 0, "sign": 1, "role": "predicted"},
        **{"kind": "logit", "score": 3.5, "value": 0.75, "is_probability": True, "deletion_area": 0.2},
        **{"insertion_area": 0.6, "random_area": 0.5, "span": 0.7, "randomized": 2, "correlations": [0.1, -0.3]},
    }
    return {**plain, **changes}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A report of two maps of one image: one that passes, one of another class that fails two checks."""
    plan = report_fixture.make(tmp_path, missing=False)
    curve = np.linspace(0.75, 0.05, 7, dtype=np.float32)
    arrays: dict[str, np.ndarray] = {}
    for key, values in (("m0", SIGNED), ("m1", -SIGNED / 2)):
        arrays |= {key: values, f"{key}.deletion": curve, f"{key}.insertion": curve[::-1], f"{key}.random": curve}
    failing = facts("m1", role="named", label="dog", deletion_area=0.6, correlations=[0.9, -0.95, None])
    Store(tmp_path).save("maps", arrays, {"maps": [facts("m0"), failing]})
    task = Task(TaskKind.ATTRIBUTION, "maps", "", "cat", (), 1.0)
    lost = Task(TaskKind.ATTRIBUTION, "lost", "", "plain", (), 1.0)
    Store(tmp_path).save_plan(dataclasses.replace(plan, tasks=(*plan.tasks, task, lost)))
    return tmp_path


def test_a_map_is_drawn_by_repeating_positions_on_a_scale_that_its_classes_share(folder: Path) -> None:
    assemble(folder)
    first = np.asarray(Image.open(folder / "figures/images/cat/grad-cam-m0.png").convert("RGB")).astype(int)
    other = np.asarray(Image.open(folder / "figures/images/cat/grad-cam-m1.png").convert("RGB")).astype(int)
    assert first.shape == (20, 24, 3)
    blocks = first.reshape(2, 10, 3, 8, 3).transpose(0, 2, 1, 3, 4).reshape(6, -1, 3)
    assert (blocks == blocks[:, :1]).all()
    assert first[0, -1, 2] > first[0, -1, 0] + 50  # the lowest is blue
    assert other[0, -1, 0] > other[0, -1, 2] + 50  # and of the other class red
    assert (other[0, -1] > first[0, -1]).any()  # half as far from zero: paler
    page = (folder / "images/cat.html").read_text()
    assert page.count("Linear scale (RdBu_r) from −2.000 through 0 to 2.000, the largest magnitude of these maps.") == 2
    assert "lowest (−2.000) at row 1 of 2 and column 3 of 3 (upper right); 50.0 % of the positions above zero" in page


def test_checks_are_printed_and_a_map_that_fails_says_so(folder: Path) -> None:
    written = assemble(folder)
    page = (folder / "images/cat.html").read_text()
    assert "This map fails 2 checks (deletion and randomization): do not rely on it alone." in page
    assert "2 attribution maps (Grad-CAM); 1 fails a check." in page
    records = json.loads((folder / "report.json").read_text())["images"][0]["attribution"]
    assert [record["checks"]["deletion"] for record in records] == ["passed", "failed"]
    assert records[0]["correlation"] == pytest.approx(0.2)
    assert records[1]["checks"]["randomization"] == "failed"
    with np.load(folder / records[0]["array"]) as stored:
        np.testing.assert_array_equal(stored[records[0]["key"]], SIGNED)
    assert any("attribution maps are not computed" in problem for problem in written.problems)
