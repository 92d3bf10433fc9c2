"""What a run survives: being killed, and a model file that changes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import kill_test
from reportgen.compute.planning import prepare as preparing
from reportgen.compute.tasks import carry_out
from sample_build import BARE, SAMPLES, build, contents

KILLS, SEED = 3, 0


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return Path(shutil.copy(SAMPLES / "galaxies.keras", tmp_path / "model.keras"))


@pytest.mark.slow
def test_killed_at_random_moments_a_report_ends_as_if_it_was_left_alone(tmp_path: Path) -> None:
    reports, differing = kill_test.check(KILLS, SEED, tmp_path)
    assert reports > 0
    assert differing == set()


def test_a_model_file_that_changes_while_a_run_computes_is_named_and_the_report_is_of_the_model_that_was_read(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tmp_path / "whole"
    assert build(whole, model=model, extent=BARE).exit_code == 0

    def changing(*arguments: Any) -> Any:
        model.write_bytes(b"another model")
        return carry_out(*arguments)

    monkeypatch.setattr("reportgen.compute.executors.carry_out", changing)
    result = build(tmp_path / "report", model=model, extent=BARE)
    assert result.exit_code == 0
    (said,) = [line for line in result.stderr.splitlines() if "changed" in line]
    assert said == "reportgen: model.keras has changed since it was read; the report shows the model as it was then."
    assert contents(tmp_path / "report") == contents(whole)


def test_a_model_file_that_changes_while_it_is_read_is_refused_and_nothing_is_written(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = preparing.prepare

    def changing(*arguments: Any) -> Any:
        job = prepare(*arguments)
        model.write_bytes(b"another model")
        return job

    monkeypatch.setattr(preparing, "prepare", changing)
    result = build(tmp_path / "report", model=model, extent=BARE)
    assert result.exit_code == 2
    assert (
        result.stderr.splitlines()[-1]
        == "reportgen: model.keras changed while it was read; run the same command again."
    )
    assert not (tmp_path / "report").exists()


def test_what_a_killed_run_left_half_written_is_removed_and_nothing_of_the_users(tmp_path: Path) -> None:
    report = tmp_path / "report"
    (report / ".store").mkdir(parents=True)
    left = [".store/.plan.json.123.tmp", ".store/ab/.abc.npz.9.tmp", "figures/conv1/.weights.png.123.tmp"]
    left += ["data/conv1/.weights.npz.123.tmp", "layers/.conv1.html.1.tmp", ".index.html.123.tmp", ".run.json.4.tmp"]
    (report / left[0]).write_bytes(b"half")
    assert build(report, extent=BARE).exit_code == 0, "a run that was killed before it had written more is no stranger"
    expected = contents(report)
    for name in left:
        (report / name).parent.mkdir(parents=True, exist_ok=True)
        (report / name).write_bytes(b"half")
    own = {".my.notes.5.tmp": b"mine", "figures/my.tmp": b"mine"}
    for name, data in own.items():
        (report / name).write_bytes(data)
    assert build(report, extent=BARE).exit_code == 0
    assert set(contents(report)) == {*expected, *own}
    assert json.loads((report / "report.json").read_bytes())["problems"] == []
