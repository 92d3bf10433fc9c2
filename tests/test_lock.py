"""The lock of a report's folder: one process at a time, and none that is dead."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from report_fixture import make
from reportgen.core.errors import OutputError
from reportgen.core.lock import writing
from reportgen.report.assemble import assemble
from sample_build import BARE, build, contents, run

HOLD = "import sys, time; from pathlib import Path; from reportgen.core.lock import writing\n"
HOLD += "with writing(Path(sys.argv[1])): print('held', flush=True); time.sleep(600)"


def test_while_a_process_writes_every_other_is_refused_and_once_it_is_killed_none(tmp_path: Path) -> None:
    make(tmp_path)
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        before = contents(tmp_path)
        for result in (build(tmp_path, extent=BARE), run("assemble", tmp_path)):
            assert result.exit_code == 2
            (said,) = result.stderr.splitlines()
            assert said.startswith(f"reportgen: another run is writing to {tmp_path}; wait")
        assert contents(tmp_path) == before
    finally:
        other.kill()
        other.communicate()
    assert assemble(tmp_path).index.is_file()


def test_a_run_that_fails_gives_the_lock_back(tmp_path: Path) -> None:
    with writing(tmp_path), pytest.raises(OutputError, match="another run"), writing(tmp_path):
        pass
    with pytest.raises(ZeroDivisionError), writing(tmp_path):
        raise ZeroDivisionError
    with writing(tmp_path) as is_locked:
        assert is_locked


def test_where_the_file_system_has_no_locks_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl")

    def unknown(*arguments: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unknown)
    with writing(tmp_path) as is_locked:
        assert not is_locked
