"""What a process that computes for another one does: open the job, or refuse it; `main` is such a process, talking over its pipes."""

from __future__ import annotations

import os
import pickle
import signal
import sys
from collections.abc import Iterator
from queue import SimpleQueue
from threading import Lock, Thread
from typing import BinaryIO

from reportgen.compute.machine import stated
from reportgen.compute.tasks import carry_out
from reportgen.compute.work import Done, Job, Message, Notify, Ready, Refused
from reportgen.compute.workspace import Workspace
from reportgen.core.errors import ReportgenError, UsageError
from reportgen.inputs.images import check_unchanged
from reportgen.network.backend import fix_threads
from reportgen.network.error_text import one_line


def open_job(payload: bytes) -> Workspace:
    """Open a job that another process planned.

    Args:
        payload: the pickled `Job`.

    Returns:
        The job, open in this process.

    Raises:
        ReportgenError: the model, an image or the versions here are not those that the job was planned with, or something is missing here.
    """
    try:
        job = pickle.loads(payload)
    except Exception as error:
        raise UsageError(
            f"the work cannot be read here, where another reportgen or Python may run: {one_line(error)}"
        ) from error
    assert isinstance(job, Job)
    for name, here in stated().items():
        planned = job.machine[name]
        if here != planned:
            raise UsageError(f"{name} is {here} here and {planned} where the report was planned; bytes would differ.")
    fix_threads(job.threads)
    for image in job.images:
        check_unchanged(image)
    return Workspace(job)


def main() -> None:
    """Compute what comes in at stdin, pickled, and write what comes of it to stdout; end when stdin does, so with the driver."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C reaches every process of a terminal; the driver ends its workers
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a user's own layers print must not mix with answers
    inbox: SimpleQueue[bytes] = SimpleQueue()
    Thread(target=_receive, args=(sys.stdin.buffer, inbox), daemon=True).start()

    one_at_a_time = Lock()

    def answer(message: Message) -> None:
        with one_at_a_time:
            pickle.dump(message, answers, pickle.HIGHEST_PROTOCOL)
            answers.flush()

    for message in _answers(inbox, answer):
        answer(message)


def _answers(inbox: SimpleQueue[bytes], notify: Notify) -> Iterator[Message]:
    """What is answered to the job and to each piece of work that comes in after it."""
    try:
        workspace = open_job(inbox.get())
    except Exception as error:
        yield Refused(str(error) if isinstance(error, ReportgenError) else one_line(error))
        return
    yield Ready()
    while True:
        yield from carry_out(workspace, pickle.loads(inbox.get()), notify)
        yield Done()


def _receive(source: BinaryIO, inbox: SimpleQueue[bytes]) -> None:
    """Pass on what comes in; end the process, whatever it computes, when nothing more can come."""
    try:
        while True:
            inbox.put(pickle.load(source))
    except Exception:
        os._exit(0)
