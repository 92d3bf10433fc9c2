"""Several processes: whatever ends, the rest is computed, nothing is computed without end, and no process stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fake_worker
from fake_worker import FakeJob
from reportgen.compute import executors_processes
from reportgen.compute.balance import PIECES, balanced
from reportgen.compute.executors_processes import TRIES, OptionalProcesses, ProcessExecutor
from reportgen.compute.work import Progressed, Result, Work
from reportgen.core import memory
from reportgen.core.errors import ModelError, UsageError
from reportgen.core.execution import Execution
from reportgen.core.memory import available_bytes
from reportgen.core.records import Task, TaskKind

PATIENCE = 60  # seconds after which a process is taken to stay for ever


@pytest.fixture(autouse=True)
def without_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors_processes, "PROGRAM", fake_worker.PROGRAM)


def pieces(*keys: str, kind: TaskKind = TaskKind.WEIGHTS, cost: float = 1.0) -> list[Work]:
    """One piece of work for each text, of the tasks that it names between commas."""
    return [Work(kind, tuple(Task(kind, key, "layer", "", (), cost) for key in text.split(","))) for text in keys]


def run(job: FakeJob, work: list[Work], jobs: int = 2, heard: list[Progressed] | None = None) -> Iterator[Result]:
    news: list[Progressed] = [] if heard is None else heard
    return ProcessExecutor(Execution("processes", jobs)).run(job, work, news.append)  # type: ignore[arg-type]


def workers(folder: Path) -> list[int]:
    return [int(path.name.partition("-")[2]) for path in folder.glob("worker-*")]


def assert_gone(processes: list[int]) -> None:
    assert processes
    until = time.monotonic() + PATIENCE
    while any(Path(f"/proc/{each}").exists() for each in processes) and time.monotonic() < until:
        time.sleep(0.05)
    assert not [each for each in processes if Path(f"/proc/{each}").exists()]


def test_every_worker_computes_and_all_of_them_end(tmp_path: Path) -> None:
    keys = [f"task {number}" for number in range(20)]
    heard: list[Progressed] = []
    results = list(run(FakeJob(tmp_path), pieces(*keys), 2, heard))
    assert sorted(result.key for result in results) == sorted(keys)
    assert sorted(str(news.doing) for news in heard) == sorted(keys)
    assert {int(result.arrays["pid"]) for result in results} <= set(workers(tmp_path))
    assert len(workers(tmp_path)) == 2
    assert os.getpid() not in workers(tmp_path)
    assert_gone(workers(tmp_path))


def test_no_more_workers_are_started_than_there_are_pieces(tmp_path: Path) -> None:
    assert len(list(run(FakeJob(tmp_path), pieces("a", "b"), 9))) == 2
    assert len(workers(tmp_path)) == 2
    assert list(run(FakeJob(tmp_path), [])) == []


def test_a_killed_workers_work_is_tried_again_without_what_it_had_given(tmp_path: Path) -> None:
    results = list(run(FakeJob(tmp_path), pieces("a,kill-once b,c", "d", "e"), 2))
    assert sorted(result.key for result in results) == ["a", "c", "d", "e", "kill-once b"]
    assert all(result.failure is None for result in results)
    assert len(workers(tmp_path)) == 3


def test_work_that_ends_every_worker_is_named_and_the_rest_is_computed(tmp_path: Path) -> None:
    results = list(run(FakeJob(tmp_path), pieces("a,kill b,c", "d", "e"), 2))
    failures = {result.key: result.failure for result in results if result.failure is not None}
    assert failures.keys() == {"kill b", "c"}
    assert set(failures.values()) == {
        f"the process that computed it ended {TRIES} times (signal 9, as where memory runs out)."
    }
    assert {result.key for result in results} == {"a", "kill b", "c", "d", "e"}
    assert len(results) == 5
    assert_gone(workers(tmp_path))


@pytest.mark.parametrize(("behaviour", "sentence"), [("refuse", "another model"), ("break", "ValueError: no such")])
def test_a_worker_that_refuses_the_model_ends_the_run(tmp_path: Path, behaviour: str, sentence: str) -> None:
    with pytest.raises(ModelError, match=f"^{sentence}"):
        list(run(FakeJob(tmp_path, behaviour), pieces("a", "b")))
    assert_gone(workers(tmp_path))


def test_workers_that_cannot_open_the_model_are_not_started_without_end(tmp_path: Path) -> None:
    results = list(run(FakeJob(tmp_path, "end"), pieces("a,b", "c"), 2))
    assert {result.key for result in results} == {"a", "b", "c"}
    assert {result.failure for result in results} == {
        f"no process could open the model: {TRIES} ended over it (exit status 7)."
    }
    assert len(workers(tmp_path)) == TRIES


def test_closing_ends_the_workers_at_once(tmp_path: Path) -> None:
    results = run(FakeJob(tmp_path), pieces("a", "wait b", "wait c"), 2)
    assert next(results).key == "a"
    results.close()  # type: ignore[attr-defined]
    assert_gone(workers(tmp_path))


def test_workers_end_with_a_driver_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; import test_processes as tests; from fake_worker import FakeJob;"
        "from reportgen.compute import executors_processes; executors_processes.PROGRAM = tests.fake_worker.PROGRAM;"
        "list(tests.run(FakeJob(Path(sys.argv[1])), tests.pieces('wait a', 'wait b')))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], env=environment) as driver:
        until = time.monotonic() + PATIENCE
        while len(list(tmp_path.glob("mark-*"))) < 2 and time.monotonic() < until:
            time.sleep(0.05)
        driver.send_signal(signal.SIGKILL)
    assert len(workers(tmp_path)) == 2
    assert_gone(workers(tmp_path))


def test_only_large_patterns_are_divided_and_nothing_is_lost() -> None:
    small = pieces("s1,s2", kind=TaskKind.PATTERNS, cost=0.1)
    maps = pieces("m1,m2,m3", kind=TaskKind.FEATURE_MAPS, cost=20.0)
    large = pieces(",".join(f"p{number}" for number in range(20)), kind=TaskKind.PATTERNS)
    work = [*small, *maps, *large]
    assert balanced(work, 1) == work
    divided = balanced(work, 2)
    assert divided[:2] == [*small, *maps]
    assert [task for each in divided for task in each.tasks] == [task for each in work for task in each.tasks]
    most = sum(task.cost for each in work for task in each.tasks) / (2 * PIECES)
    assert 1 < len(divided[2:]) < 20
    assert all(sum(task.cost for task in each.tasks) <= most for each in divided[2:])


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        ({"executor": "threads"}, "--executor threads is none of in-process, processes, dask."),
        ({"jobs": 0}, "--jobs 0 is below 1."),
        ({"executor": "in-process", "jobs": 2}, "--executor in-process computes in one process; leave --jobs 2 out."),
        ({"scheduler": "tcp://a:1"}, "--scheduler names a Dask scheduler; add --executor dask."),
        (
            {"executor": "dask", "scheduler": "tcp://a:1", "jobs": 2},
            "--jobs is for workers on this machine; those of a --scheduler are started beside it.",
        ),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(choice: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        Execution(**choice)
    assert str(caught.value) == sentence


def test_a_missing_dask_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"^--executor dask needs the package `distributed`; install it with"):
        Execution("dask")


def test_there_are_as_many_workers_as_cores_for_their_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reportgen.core.execution.usable_cores", lambda: 8)
    assert [Execution("processes").workers(threads) for threads in (1, 3, 8, 9)] == [8, 2, 1, 1]
    assert Execution(jobs=3).workers(8) == 3
    assert [Execution(jobs=jobs).kind.value for jobs in (None, 1, 2)] == ["in-process", "in-process", "processes"]


def test_more_threads_than_cores_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reportgen.core.execution.usable_cores", lambda: 8)
    assert Execution(jobs=4).note(4) == (
        "4 processes of 4 threads share 8 cores; --threads 2 suits them better (sums are then rounded otherwise)."
    )
    assert [Execution(jobs=jobs).note(threads) for jobs, threads in ((4, 2), (1, 9), (9, 1))] == [None, None, None]
    assert Execution("processes").note(9) is None, "it is one process"


def optional(job: FakeJob, work: list[Work]) -> tuple[list[Result], list[str], int | None]:
    """What comes of work that several processes may compute, what is said, and how many processes are stated."""
    said: list[str] = []

    def alone(job: Any, work: Any, notify: Any) -> Any:
        yield from (Result(task.key, {"pid": np.array(os.getpid())}) for each in work for task in each.tasks)

    executor = OptionalProcesses(Execution("processes", 2, open=True), alone, said.append)
    results = list(executor.run(job, work, lambda news: None))  # type: ignore[arg-type]
    return results, said, executor.processes


@pytest.mark.parametrize("behaviour", ["refuse", "break", "end"])
def test_what_processes_that_nobody_asked_for_cannot_compute_this_one_does(tmp_path: Path, behaviour: str) -> None:
    results, (sentence,), processes = optional(FakeJob(tmp_path, behaviour), pieces("a,b", "c", kind=TaskKind.PATTERNS))
    assert sorted(result.key for result in results) == ["a", "b", "c"]
    assert {int(result.arrays["pid"]) for result in results} == {os.getpid()}
    assert sentence.startswith("this process computes alone, since others could not: ")
    assert sentence.endswith(".")
    assert processes == 1
    assert_gone(workers(tmp_path))


def test_where_no_process_may_be_started_this_one_computes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*arguments: Any, **named: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(executors_processes.subprocess, "Popen", refused)
    results, said, processes = optional(FakeJob(tmp_path), pieces("a", "b", kind=TaskKind.PATTERNS))
    assert ([result.key for result in results], processes) == (["a", "b"], 1)
    assert said == ["this process computes alone, since others could not: [Errno 1] Operation not permitted."]
    with pytest.raises(PermissionError):
        list(run(FakeJob(tmp_path), pieces("a", "b")))


def test_what_processes_computed_before_they_failed_is_not_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails_midway(self: Any, job: Any, work: list[Work], notify: Any) -> Iterator[Result]:
        yield Result(work[0].tasks[0].key, {"pid": np.array(0)})
        raise ModelError("another model")

    monkeypatch.setattr(ProcessExecutor, "run", fails_midway)
    results, said, processes = optional(FakeJob(tmp_path), pieces("a,b", "c", kind=TaskKind.PATTERNS))
    assert [(result.key, int(result.arrays["pid"]) == os.getpid()) for result in results] == [
        ("a", False), ("b", True), ("c", True),
    ]  # fmt: skip
    assert (len(said), processes) == (1, 1)


def test_processes_that_can_be_had_compute_all(tmp_path: Path) -> None:
    results, said, processes = optional(FakeJob(tmp_path), pieces("a", "b", kind=TaskKind.PATTERNS))
    assert {int(result.arrays["pid"]) for result in results} <= set(workers(tmp_path))
    assert (len(results), said, processes) == (2, [], 2)


def test_what_comes_before_patterns_does_not_wait_for_processes(tmp_path: Path) -> None:
    work = [*pieces("maps"), *pieces("a", "b", kind=TaskKind.PATTERNS)]
    results, _, processes = optional(FakeJob(tmp_path), work)
    assert len(results) == 3
    assert (results[0].key, int(results[0].arrays["pid"]), processes) == ("maps", os.getpid(), 2)
    assert {int(result.arrays["pid"]) for result in results[1:]} <= set(workers(tmp_path))


@pytest.mark.parametrize(
    ("seconds", "pieces", "memory", "available", "jobs"),
    [
        (1000, 50, 1, 1000, 4),
        (1000, 3, 1, 1000, 3),
        (1000, 50, 1, 6, 2),  # .6 of it holds three: two, and the one that draws
        (1000, 50, 1, 4, None),
        (100, 50, 1, 1000, None),
        (None, 50, 1, 1000, None),
        (1000, 50, 1, None, None),
        (1000, 0, 1, 1000, None),  # nothing is missing but pages
    ],
)
def test_an_open_choice_becomes_several_processes_for_a_long_run(
    seconds: float | None,
    pieces: int,
    memory: float,
    available: int | None,
    jobs: int | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("reportgen.core.execution.usable_cores", lambda: 8)
    found = Execution.stated(None, None, None).settled(seconds, pieces, memory, available)
    assert found.jobs == jobs
    assert found.kind.value == ("in-process" if jobs is None else "processes")
    assert (found.note(8) is None) == (jobs is None)
    assert Execution.stated(None, "auto", None).open
    for stated in (("in-process", None), (None, 1), (None, "2"), ("processes", "auto")):
        choice = Execution.stated(*stated, None)
        assert choice.settled(seconds, pieces, memory, available) is choice


def test_memory_left_is_some_of_the_machine() -> None:
    found = available_bytes()
    assert found is None or 0 < found < 1e15


def test_one_core_has_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reportgen.core.execution.usable_cores", lambda: 1)
    choice = Execution.stated(None, None, None)
    assert choice.settled(1000, 50, 1, 1000) is choice


@pytest.mark.parametrize("jobs", ["0", "-1", "many", "1.5"])
def test_jobs_are_a_number_or_auto(jobs: str) -> None:
    with pytest.raises(UsageError, match=rf"^--jobs {jobs} is "):
        Execution.stated(None, jobs, None)


@pytest.mark.parametrize(
    ("line", "folder", "names"),
    [("0::/box/inner", "box", memory.VERSION_2), ("4:memory:/not/seen/from/here", "memory", memory.VERSION_1)],
)
def test_a_containers_limit_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, folder: str, names: tuple[str, str, str]
) -> None:
    group = tmp_path / folder
    limit_memory(group, names, "1000", 700, 200)
    limit_memory(
        tmp_path / "memory" / "other", memory.VERSION_1, "10", 10, 0
    )  # not a group of memory that this process is in
    (tmp_path / "own").write_text(f"3:cpuset:/other\n{line}\n")
    monkeypatch.setattr(memory, "OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(memory, "GROUPS", tmp_path)
    assert available_bytes() == 500
    limit_memory(group, names, "max", 700, 200)
    unlimited = available_bytes()
    assert unlimited is None or unlimited > 1000


def limit_memory(group: Path, names: tuple[str, str, str], most: str, used: int, cached: int) -> None:
    """Write the files by which a control group limits memory."""
    limit, usage, cache = names
    group.mkdir(parents=True, exist_ok=True)
    (group / limit).write_text(f"{most}\n")
    (group / usage).write_text(f"{used}\n")
    (group / "memory.stat").write_text(f"anon 5\n{cache} {cached}\n")
