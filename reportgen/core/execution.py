"""Where work is computed, and in how many processes: no result depends on it, and no report states it."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, replace

from reportgen.core import DISTRIBUTION
from reportgen.core.choices import ExecutorKind, parse_jobs
from reportgen.core.cores import usable_cores
from reportgen.core.errors import UsageError

# `settled` chooses several processes where one would take longer: each costs some 15 seconds of processor time to start.
WORTHWHILE = 180  # seconds
MOST = 4  # processes: beside tracing, more only share the cores that TensorFlow's threads have already
MEMORY_SHARE = 0.6  # of the memory that is left, for all processes and the one that draws the pages


@dataclass(frozen=True)
class Execution:
    """The user's choice of an executor.

    Attributes:
        executor: its kind, one of ExecutorKind; None for `processes` where there are several jobs, else `in-process`.
        jobs: processes that compute at once; None for as many as there are cores for.
        scheduler: address of a Dask scheduler; None for a cluster of this machine's own.
        open: whether the number of processes may follow from what is expected, see `settled`.

    Raises:
        UsageError: the choice cannot be meant, or the package that it needs is missing.
    """

    executor: str | None = None
    jobs: int | None = None
    scheduler: str | None = None
    open: bool = False

    def __post_init__(self) -> None:
        if self.executor is not None and self.executor not in tuple(ExecutorKind):
            raise UsageError(f"--executor {self.executor} is none of {', '.join(ExecutorKind)}.")
        if self.jobs is not None and self.jobs < 1:
            raise UsageError(f"--jobs {self.jobs} is below 1.")
        if self.kind is ExecutorKind.IN_PROCESS and self.jobs not in (None, 1):
            raise UsageError(f"--executor in-process computes in one process; leave --jobs {self.jobs} out.")
        if self.scheduler is not None and self.kind is not ExecutorKind.DASK:
            raise UsageError("--scheduler names a Dask scheduler; add --executor dask.")
        if self.scheduler is not None and self.jobs is not None:
            raise UsageError("--jobs is for workers on this machine; those of a --scheduler are started beside it.")
        if self.kind is ExecutorKind.DASK and importlib.util.find_spec("distributed") is None:
            raise UsageError(
                f"--executor dask needs the package `distributed`; install it with `pip install '{DISTRIBUTION}[dask]'`."
            )

    @property
    def kind(self) -> ExecutorKind:
        """The kind of the executor."""
        if self.executor is not None:
            return ExecutorKind(self.executor)
        return ExecutorKind.IN_PROCESS if self.jobs in (None, 1) else ExecutorKind.PROCESSES

    def settled(self, seconds: float | None, pieces: int, memory: float, available: int | None) -> Execution:
        """Return this choice, or where it is open, several processes for a long run; no byte of a report depends on it.

        Args:
            seconds: that the patterns that are missing are expected to take in one process; None where that is not known.
            pieces: of work, of which each process computes some: layers that lack patterns.
            memory: bytes of one process.
            available: bytes that the machine has left; None where that is not known.
        """
        if not self.open or seconds is None or available is None or seconds < WORTHWHILE:
            return self
        room = int(MEMORY_SHARE * available / memory) - 1
        count = min(usable_cores(), MOST, pieces, room)
        return replace(self, executor=ExecutorKind.PROCESSES, jobs=count) if count > 1 else self

    @classmethod
    def stated(cls, executor: str | None, jobs: str | int | None, scheduler: str | None) -> Execution:
        """Return what a user states, open where that is nothing, or `auto` jobs."""
        jobs = None if jobs is None else parse_jobs(str(jobs))
        return cls(executor, jobs, scheduler, open=executor is None and jobs is None)

    def workers(self, threads: int) -> int:
        """Return how many processes compute on this machine, each operation with so many threads."""
        return max(1, usable_cores() // threads) if self.jobs is None else self.jobs

    def here(self, threads: int) -> int | None:
        """Return how many processes of this machine compute, this one counted where it does; None where a scheduler has them."""
        if self.scheduler is not None:
            return None
        return 1 if self.kind is ExecutorKind.IN_PROCESS else self.workers(threads)

    def note(self, threads: int) -> str | None:
        """Return a sentence where several processes were chosen, or have more threads than this machine has cores; None elsewhere."""
        cores, workers = usable_cores(), self.workers(threads)
        if self.kind is ExecutorKind.IN_PROCESS or self.scheduler is not None:
            return None
        if self.open:
            return f"{workers} processes compute at once; --jobs 1 computes in this one, in less memory."
        if workers == 1 or threads == 1 or workers * threads <= cores:
            return None
        return (
            f"{workers} processes of {threads} threads share {cores} {'core' if cores == 1 else 'cores'}; "
            f"--threads {max(1, cores // workers)} suits them better (sums are then rounded otherwise)."
        )
