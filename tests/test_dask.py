"""Dask's workers: whatever is lost, the rest is computed, and what cannot be computed is named."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import fake_worker
from fake_worker import FakeJob
from reportgen.compute.work import Progressed, Result
from reportgen.core.errors import ModelError, UsageError
from reportgen.core.execution import Execution
from test_processes import assert_gone, pieces, workers

pytest.importorskip("distributed")

from reportgen.compute import executors_dask
from reportgen.compute.executors_dask import DaskExecutor

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::ResourceWarning")]  # sockets of Dask's
PATIENCE = 60  # seconds that a scheduler has to start


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without TensorFlow, and with a scheduler that has little time to answer."""
    monkeypatch.setattr(executors_dask, "carry_out_pickled", fake_worker.carry_out_pickled)
    monkeypatch.setattr(executors_dask, "PATIENCE", 1)
    monkeypatch.setattr(executors_dask, "ANSWER", 2)


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], str, Callable[[], None]]]:
    """A scheduler in a process of its own, its address, and what gives it a worker."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: object) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "distributed.cli.dask_" + str(arguments[0]), *map(str, arguments[1:])]
        started.append(subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL))
        return started[-1]

    file = tmp_path / "scheduler.json"
    process = start("scheduler", "--port", 0, "--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", file)
    until = time.monotonic() + PATIENCE
    while not file.exists() and time.monotonic() < until:
        time.sleep(0.1)
    address = str(__import__("json").loads(file.read_text())["address"])
    yield process, address, lambda: start("worker", address, "--no-nanny", "--no-dashboard", "--nthreads", 1) and None
    for each in started:
        each.kill()
        each.wait()


def run(job: FakeJob, work: list[Any], said: list[str] | None = None, **execution: Any) -> Iterator[Result]:
    executor = DaskExecutor(Execution("dask", **execution), [].append if said is None else said.append)
    return executor.run(job, work, lambda news: None)  # type: ignore[arg-type]


def failures(results: list[Result]) -> dict[str, str]:
    return {result.key: result.failure for result in results if result.failure is not None}


def test_a_killed_workers_work_is_tried_again_elsewhere_and_all_workers_end(tmp_path: Path) -> None:
    results = list(run(FakeJob(tmp_path), pieces("a,kill-once b,c", "d", "e"), jobs=2))
    assert sorted(result.key for result in results) == ["a", "c", "d", "e", "kill-once b"]
    assert failures(results) == {}
    assert len(workers(tmp_path)) > 1
    assert_gone(workers(tmp_path))


def test_work_that_ends_every_worker_is_named_and_the_rest_is_computed(tmp_path: Path) -> None:
    results = list(run(FakeJob(tmp_path), pieces("kill a,b", "c", "d"), jobs=2))
    assert sorted(result.key for result in results) == ["b", "c", "d", "kill a"]
    named = failures(results)
    assert named.keys() == {"kill a", "b"}
    assert all(
        reason.startswith("the worker that computed it ended, the last time tcp://") for reason in named.values()
    )


def test_a_worker_that_refuses_the_model_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"^a Dask worker refuses the work: another model$"):
        list(run(FakeJob(tmp_path, "refuse"), pieces("a", "b"), jobs=1))
    assert_gone(workers(tmp_path))


def test_a_scheduler_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(UsageError, match=r"^--scheduler tcp://127.0.0.1:1: no Dask scheduler answers there;"):
        DaskExecutor(Execution("dask", scheduler="tcp://127.0.0.1:1"), print)
    with pytest.raises(UsageError, match=r"^--scheduler nonsense: no Dask scheduler answers there;"):
        DaskExecutor(Execution("dask", scheduler="nonsense"), print)


def test_a_scheduler_without_workers_is_waited_for(scheduler: Any, tmp_path: Path) -> None:
    _, address, add_worker = scheduler
    said: list[str] = []

    class Said(list[str]):
        def append(self, sentence: str) -> None:
            said.append(sentence)
            add_worker()

    results = list(run(FakeJob(tmp_path), pieces("a", "b"), Said(), scheduler=address))
    assert sorted(result.key for result in results) == ["a", "b"]
    assert said == [f"the Dask scheduler at {address} has no workers yet; waiting for them."]


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGSTOP])
def test_a_scheduler_that_falls_silent_is_named_for_all_that_is_left(
    scheduler: Any, tmp_path: Path, ending: signal.Signals
) -> None:
    process, address, add_worker = scheduler
    add_worker()
    results = run(FakeJob(tmp_path), pieces("a", "wait b", "c"), scheduler=address)
    assert next(results).key == "a"
    process.send_signal(ending)
    left = list(results)
    assert failures(left) == dict.fromkeys(["wait b", "c"], f"the Dask scheduler at {address} no longer answers.")
    assert len(left) == 2


def test_progress_is_told_in_pieces(tmp_path: Path) -> None:
    heard: list[Progressed] = []
    executor = DaskExecutor(Execution("dask", jobs=1), print)
    assert len(list(executor.run(FakeJob(tmp_path), pieces("a"), heard.append))) == 1  # type: ignore[arg-type]
    assert [news.doing for news in heard] == ["0 of 1 pieces of work"]
