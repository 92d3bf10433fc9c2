"""A worker process without TensorFlow, whose tasks do what their keys say: talk, end the process, or never end."""

from __future__ import annotations

import os
import pickle
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reportgen.compute.work import Notify, Progressed, Refused, Result, Work
from reportgen.compute.worker import serve
from reportgen.core.errors import ModelError

PROGRAM = "import fake_worker; fake_worker.main()"


@dataclass(frozen=True)
class FakeJob:
    """Stands for a job; `behaviour` is what opening it does, `folder` where the tasks leave traces."""

    folder: Path
    behaviour: str = ""
    threads: int = 1

    def absolute(self) -> FakeJob:
        return self


def open_job(payload: bytes) -> FakeJob:
    job = pickle.loads(payload)
    (job.folder / f"worker-{os.getpid()}").touch()
    if job.behaviour == "refuse":
        raise ModelError("another model")
    if job.behaviour == "break":
        raise ValueError("no such thing")
    if job.behaviour == "end":
        os._exit(7)
    return job


def carry_out(job: FakeJob, work: Work, notify: Notify) -> Iterator[Result]:
    for task in work.tasks:
        print("a layer of the user's prints this")
        notify(Progressed(task.key, 1.0))
        kind, _, name = task.key.partition(" ")
        mark = job.folder / f"mark-{name}"
        if kind == "kill" or (kind == "kill-once" and not mark.exists()):
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if kind == "wait":
            mark.touch()
            time.sleep(600)
        yield Result(task.key, {"pid": np.array(os.getpid())})


def main() -> None:
    serve(open_job, carry_out)


def carry_out_pickled(payload: bytes, work: bytes) -> list[Result] | Refused:
    """The same for a worker of Dask."""
    try:
        job = open_job(payload)
    except ModelError as error:
        return Refused(str(error))
    return list(carry_out(job, pickle.loads(work), lambda news: None))
