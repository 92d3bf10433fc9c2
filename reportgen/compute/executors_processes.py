"""The executor of several processes on this machine: fresh interpreters, one model each, that talk over their pipes."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread

from reportgen.compute.balance import balanced
from reportgen.compute.work import Done, Job, Message, Notify, Progressed, Ready, Refused, Result, Work
from reportgen.core.errors import ModelError
from reportgen.core.execution import Execution
from reportgen.core.records import PATTERN_KINDS
from reportgen.network.error_text import one_line

TRIES = 3  # of a piece of work whose worker ends, and of starting workers none of which opens the model
Compute = Callable[[Job, Iterable[Work], Notify], Generator[Result, None, None]]  # `Executor.run`
PROGRAM = "from reportgen.compute.worker import main; main()"


class ProcessExecutor:
    """Computes in several processes, each of which opens the model once and gets one piece of work after the other.

    Processes are new interpreters and never forks of this one, whose TensorFlow has threads. None imports the user's script, so that
    it needs no `if __name__ == "__main__"`.
    """

    def __init__(self, execution: Execution, *, strict: bool = False) -> None:
        """Prepare processes, of which none is started yet.

        Args:
            execution: how many.
            strict: whether to raise ModelError where none could open the model, instead of naming all work as failed.
        """
        self._execution, self._strict = execution, strict
        self.processes: int | None = 1

    def run(self, job: Job, work: Iterable[Work], notify: Notify) -> Generator[Result, None, None]:
        """Compute `work`; see `Executor`.

        Raises:
            ModelError: a worker could not open the model, or found another than was planned for.
        """
        workers = self._execution.workers(job.threads)
        pieces = [_Piece(each) for each in balanced(work, workers)]
        if pieces:
            self.processes = min(workers, len(pieces))
            crew = _Crew(pickle.dumps(job), pieces, notify)
            try:
                yield from crew.run(self.processes)
                if crew.unopened is not None and self._strict:
                    raise ModelError(f"{crew.unopened}.")
                for left in crew.waiting:
                    yield from _failures(left, str(crew.unopened))
            finally:
                crew.end()


class OptionalProcesses:
    """Computes in several processes that nobody asked for, so that where they cannot be had, this one computes what they leave.

    A sandbox may start no processes, and a function that makes another model each time, or a layer that only the user's script has,
    can be opened in this one alone.
    """

    def __init__(self, execution: Execution, alone: Compute, say: Callable[[str], None]) -> None:
        """Prepare processes, of which none is started yet.

        Args:
            execution: how many.
            alone: computes work in this process.
            say: receives why the others cannot be had, one sentence.
        """
        self._several, self._compute, self._say = ProcessExecutor(execution, strict=True), alone, say
        self._alone = False

    @property
    def processes(self) -> int | None:
        """How many processes compute."""
        return 1 if self._alone else self._several.processes

    def run(self, job: Job, work: Iterable[Work], notify: Notify) -> Generator[Result, None, None]:
        """Compute `work`; see `Executor`.

        Patterns alone are worth several processes: what the first pages show is there sooner if it does not wait for them to start.
        """
        every, over = list(work), set()
        yield from self._compute(job, [each for each in every if each.kind not in PATTERN_KINDS], notify)
        pieces = [each for each in every if each.kind in PATTERN_KINDS]
        try:
            with closing(self._several.run(job, pieces, notify)) as results:
                for result in results:
                    over.add(result.key)
                    yield result
            return
        except Exception as error:  # whatever it is, this process has the model open
            reason, _, _ = one_line(error).partition(
                "; "
            )  # after it stands what the user should do, which nobody has to
            self._say(f"this process computes alone, since others could not: {reason.rstrip('.')}.")
        self._alone = True
        left = (Work(each.kind, tuple(task for task in each.tasks if task.key not in over)) for each in pieces)
        yield from self._compute(job, (each for each in left if each.tasks), notify)


class _Piece:
    """A piece of work, and how often a worker has ended over it."""

    def __init__(self, work: Work) -> None:
        self.left = {task.key: task for task in work.tasks}
        self.kind, self.ends = work.kind, 0

    @property
    def work(self) -> Work:
        return Work(self.kind, tuple(self.left.values()))


@dataclass(frozen=True)
class _Ended:
    """What is heard of a worker last."""


class _Worker:
    """One process and the thread that listens to it."""

    def __init__(self, job: bytes, heard: SimpleQueue[tuple[_Worker, Message | _Ended]]) -> None:
        self.piece: _Piece | None = None
        self.is_ready = False
        folders = os.pathsep.join(path or os.getcwd() for path in sys.path)
        environment = {**os.environ, "PYTHONPATH": folders}
        environment.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # else the first takes all memory of a GPU
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )
        Thread(target=self._listen, args=(heard,), daemon=True).start()
        self._send(job)

    def _listen(self, heard: SimpleQueue[tuple[_Worker, Message | _Ended]]) -> None:
        assert self.process.stdout is not None
        try:
            while True:
                heard.put((self, pickle.load(self.process.stdout)))
        except Exception:  # it ended, maybe in the middle of a word
            heard.put((self, _Ended()))

    def _send(self, message: bytes) -> None:
        assert self.process.stdin is not None
        try:
            pickle.dump(message, self.process.stdin)
            self.process.stdin.flush()
        except OSError:  # it ended, which `_listen` tells
            pass

    def give(self, piece: _Piece) -> None:
        """Let the worker, which has nothing to do, compute a piece of work."""
        self.piece = piece
        self._send(pickle.dumps(piece.work))

    def end(self) -> int:
        """End the process, whatever it does; return its exit status."""
        self.process.kill()
        status = self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except OSError:  # what was not read any more
                pass
        return status


class _Crew:
    """Workers and the work that is left; each worker has at most one piece, so that little waits in memory to be written.

    Attributes:
        waiting: work that no worker has.
        unopened: why it stays so, where no worker could open the model; None elsewhere.
    """

    def __init__(self, job: bytes, pieces: Iterable[_Piece], notify: Notify) -> None:
        self._job, self.waiting, self._notify = job, deque(pieces), notify
        self.unopened: str | None = None
        self._heard: SimpleQueue[tuple[_Worker, Message | _Ended]] = SimpleQueue()
        self._workers: set[_Worker] = set()
        self._failed_starts = 0

    def run(self, count: int) -> Generator[Result, None, None]:
        """Yield the results of all work, computed by so many workers."""
        for _ in range(count):
            self._start()
        while self._workers:
            worker, message = self._heard.get()
            match message:
                case Progressed():
                    self._notify(message)
                case Result():
                    assert worker.piece is not None
                    worker.piece.left.pop(message.key, None)
                    yield message
                case Refused(reason):
                    raise ModelError(reason)
                case Ready() | Done():
                    worker.is_ready, self._failed_starts, worker.piece = True, 0, None
                    self._supply(worker)
                case _Ended() if worker in self._workers:  # and was not let go
                    yield from self._lost(worker)

    def end(self) -> None:
        """End all workers, at once."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.end()
        self._workers = set()

    def _start(self) -> None:
        self._workers.add(_Worker(self._job, self._heard))

    def _supply(self, worker: _Worker) -> None:
        """Give a worker the next piece of work, or let it go."""
        if self.waiting:
            worker.give(self.waiting.popleft())
        else:
            self._workers.discard(worker)
            worker.end()

    def _lost(self, worker: _Worker) -> Generator[Result, None, None]:
        """Try a lost worker's work again, by another; yield failures where that was tried often enough."""
        self._workers.discard(worker)
        status = worker.end()
        piece = worker.piece
        if not worker.is_ready:
            self._failed_starts += 1
        elif piece is not None and piece.left:
            piece.ends += 1
            if piece.ends < TRIES:
                self.waiting.appendleft(piece)
            else:
                yield from _failures(piece, f"the process that computed it ended {TRIES} times ({_ending(status)})")
        busy = len(self._workers)
        if self.waiting and self._failed_starts < TRIES and (worker.is_ready or not busy):
            self._start()
        elif self.waiting and not busy:
            self.unopened = f"no process could open the model: {TRIES} ended over it ({_ending(status)})"


def _failures(piece: _Piece, reason: str) -> Generator[Result, None, None]:
    for key in piece.left:
        yield Result(key, failure=f"{reason}.")


def _ending(status: int) -> str:
    """How a process ended, for a sentence."""
    return f"signal {-status}, as where memory runs out" if status < 0 else f"exit status {status}"
