"""A process that computes for another one and talks with it over its pipes."""

from __future__ import annotations

import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, BinaryIO

from reportgen.compute.work import Done, Message, Notify, Ready, Refused, Result, Work
from reportgen.core.errors import ReportgenError

if TYPE_CHECKING:
    from reportgen.compute.workspace import Workspace

CarryOut = Callable[[Any, Work, Notify], Iterator[Result]]


def main() -> None:
    """Compute for the process that started this one."""
    serve(open_job, carry_out)


def open_job(payload: bytes) -> Workspace:
    """See `received.open_job`; TensorFlow is imported now and not before."""
    from reportgen.compute import received

    return received.open_job(payload)


def carry_out(workspace: Workspace, work: Work, notify: Notify) -> Iterator[Result]:
    """See `tasks.carry_out`."""
    from reportgen.compute import tasks

    return tasks.carry_out(workspace, work, notify)


def serve(open_job: Callable[[bytes], Any], carry_out: CarryOut) -> None:
    """Compute what comes in at stdin and write what comes of it to stdout, pickled; end when stdin does, and so with the driver.

    Args:
        open_job: opens what comes in first, a pickled job.
        carry_out: computes each piece of work that comes in later, from the open job.
    """
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C reaches all processes of a terminal; the driver ends its workers
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a user's own layers print must not mix with answers
    inbox: SimpleQueue[bytes] = SimpleQueue()
    Thread(target=_receive, args=(sys.stdin.buffer, inbox), daemon=True).start()
    one_at_a_time = Lock()

    def answer(message: Message) -> None:
        with one_at_a_time:
            pickle.dump(message, answers, pickle.HIGHEST_PROTOCOL)
            answers.flush()

    try:
        job = open_job(inbox.get())
    except Exception as error:
        answer(Refused(str(error) if isinstance(error, ReportgenError) else f"{type(error).__name__}: {error}"))
        return
    answer(Ready())
    while True:
        for result in carry_out(job, pickle.loads(inbox.get()), answer):
            answer(result)
        answer(Done())


def _receive(source: BinaryIO, inbox: SimpleQueue[bytes]) -> None:
    """Pass on what comes in; end the process, whatever it computes, when nothing more can come."""
    try:
        while True:
            inbox.put(pickle.load(source))
    except Exception:
        os._exit(0)
