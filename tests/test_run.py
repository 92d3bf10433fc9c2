"""run.json: its sums, and where a system has no module that tells the memory, as Windows."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from report_fixture import make
from reportgen.core.progress import Progress
from reportgen.core.run import Run, peak_memory_bytes
from reportgen.core.store import Store

MEBIBYTE = 2**20


def test_the_peak_memory_is_in_bytes_and_covers_what_was_taken() -> None:
    taken = bytearray(200 * MEBIBYTE)
    taken[::4096] = b"x" * len(taken[::4096])
    found = peak_memory_bytes()
    assert found is not None
    assert 200 * MEBIBYTE < found < 200 * 1024 * MEBIBYTE


def test_where_the_system_does_not_tell_the_memory_it_is_null(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = make(tmp_path)
    monkeypatch.setitem(sys.modules, "resource", None)  # importing it raises ImportError
    with Run(tmp_path, plan, Store(tmp_path), Progress(False), time.perf_counter()):
        pass
    written = json.loads((tmp_path / "run.json").read_bytes())
    assert written["peak_memory_bytes"] is None
    assert written["seconds"] >= 0


def test_a_layer_takes_as_long_as_its_tasks_in_every_run(tmp_path: Path) -> None:
    plan = make(tmp_path)
    slug, keys = next(
        (layer.slug, [task.key for task in plan.layer_tasks(layer.slug, "patterns")])
        for layer in plan.layers
        if len(plan.layer_tasks(layer.slug, "patterns")) > 1
    )
    for newly_done in (keys, []):  # the second run reads the times of the first
        with Run(tmp_path, plan, Store(tmp_path), Progress(False), time.perf_counter()) as run:
            for key in newly_done:
                run.done(key, {}, {}, 0.1234)
        written = json.loads((tmp_path / "run.json").read_bytes())
        assert [written["tasks"][key] for key in keys] == [0.123] * len(keys)
        assert written["layers"][slug]["patterns_seconds"] == round(0.123 * len(keys), 3)


def test_the_program_starts_where_there_is_no_such_module() -> None:
    code = "import sys; sys.modules['resource'] = None; import reportgen.pipeline, reportgen.core.run"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent.parent)
