"""The executor of Dask's workers, on this machine or wherever a scheduler has some; needs the package `distributed`."""

from __future__ import annotations

import asyncio
import logging
import pickle
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent import futures

from distributed import Client, Future, KilledWorker, LocalCluster, wait

from reportgen.compute.balance import balanced
from reportgen.compute.remote import carry_out_pickled, kept
from reportgen.compute.work import Job, Notify, Progressed, Refused, Result, Work
from reportgen.core.errors import ModelError, UsageError
from reportgen.core.execution import Execution
from reportgen.network.error_text import one_line

CANCELLED = (asyncio.CancelledError, futures.CancelledError)  # which of them Dask raises depends on the place
ANSWER = 30  # seconds that a scheduler has to answer; it does nothing else that takes long
PATIENCE = 30  # seconds without a result after which the scheduler is asked whether it is there
WINDOW = (
    2  # pieces of work for each worker: one that is computed and one that waits, so that few results wait in memory
)
LEAST_WINDOW = 16  # pieces that a cluster is shown which starts workers as there is work for them
FEW_WORKERS = 8  # that work is divided for at least, since workers may come later


class DaskExecutor:
    """Computes on Dask's workers: those of a scheduler that the user names, else on a cluster of this machine's own.

    What Dask forgets when its scheduler ends, the report's store keeps: a run that is started again computes what is missing there.
    """

    def __init__(self, execution: Execution, say: Callable[[str], None]) -> None:
        """Connect to the scheduler, if the user names one. Raises UsageError where none answers."""
        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # our own sentences tell what is lost
        self._execution, self._say = execution, say
        self._client = None if execution.scheduler is None else _connected(execution.scheduler)

    def run(self, job: Job, work: Iterable[Work], notify: Notify) -> Generator[Result, None, None]:
        """Compute `work`; see `Executor`.

        Raises:
            ModelError: a worker could not open the model, or found another than was planned for.
        """
        work = list(work)
        if self._client is not None:
            with self._client:
                yield from _Computation(self._client, self._say).run(job, work, notify)
        elif work:
            workers = min(
                self._execution.workers(job.threads), len(balanced(work, self._execution.workers(job.threads)))
            )
            with (
                LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    memory_limit=0,  # what a worker needs follows from --memory
                    dashboard_address=None,
                    silence_logs=logging.CRITICAL,
                ) as cluster,
                Client(cluster, set_as_default=False) as client,
            ):
                yield from _Computation(client, self._say).run(job, work, notify)


def _connected(address: str) -> Client:
    try:
        return Client(address, timeout=ANSWER, set_as_default=False)
    except (OSError, ValueError) as error:  # ValueError: nothing that can be an address
        raise UsageError(
            f"--scheduler {address}: no Dask scheduler answers there; start one with `dask scheduler`, or leave --scheduler out."
        ) from error


class _Computation:
    """One job on one cluster."""

    def __init__(self, client: Client, say: Callable[[str], None]) -> None:
        self._client, self._say = client, say
        self._address = client.scheduler.address
        self._running: dict[Future, Work] = {}
        # Dask suspects all that lay with a worker that ended: what it gives up is tried once more, with nothing else beside it.
        self._suspected: deque[Work] = deque()
        self._alone: Work | None = None

    def run(self, job: Job, work: list[Work], notify: Notify) -> Generator[Result, None, None]:
        """Yield the results of all work, of which some is with the workers at any time."""
        waiting = deque(balanced(work, max(FEW_WORKERS, self._workers())))
        total = len(waiting)
        payload = self._client.submit(kept, pickle.dumps(job.absolute()), pure=False)
        try:
            while waiting or self._running or self._suspected:
                self._alone = None
                if not waiting and not self._running:
                    self._alone = self._suspected.popleft()
                    self._submit(payload, self._alone, total)
                while waiting and len(self._running) < max(LEAST_WINDOW, WINDOW * self._workers()):
                    place, piece = total - len(waiting), waiting.popleft()
                    self._submit(payload, piece, place)
                left = len(waiting) + len(self._running) + len(self._suspected)
                notify(Progressed(f"{total - left} of {total} pieces of work"))
                for future in self._next():
                    yield from self._results(future, self._running.pop(future))
        except _SilenceError:
            for piece in (*self._running.values(), *waiting, *self._suspected):
                yield from _failures(piece, f"the Dask scheduler at {self._address} no longer answers.")
        finally:
            self._running = {}  # which lets Dask drop what is left

    def _submit(self, payload: Future, piece: Work, place: int) -> None:
        """Hand in a piece of work; by its place in the plan, an order that Dask keeps for no tasks that come at the same moment."""
        future = self._client.submit(carry_out_pickled, payload, pickle.dumps(piece), pure=False, priority=-place)
        self._running[future] = piece

    def _workers(self) -> int:
        return len(self._client.scheduler_info(n_workers=-1)["workers"])

    def _next(self) -> list[Future]:
        """Wait for pieces of work that are finished, well or badly."""
        told = False
        while True:
            try:
                with self._client.as_current():
                    return list(wait(list(self._running), timeout=PATIENCE, return_when="FIRST_COMPLETED").done)
            except TimeoutError:
                if not self._answers():
                    raise _SilenceError from None
                if not self._workers() and not told:
                    told = True
                    self._say(f"the Dask scheduler at {self._address} has no workers yet; waiting for them.")
            except CANCELLED:  # what Dask does with everything that a lost scheduler had
                raise _SilenceError from None

    def _answers(self) -> bool:
        try:
            self._client.sync(self._client.scheduler.identity, callback_timeout=ANSWER)
        except (OSError, TimeoutError, *CANCELLED):
            return False
        return True

    def _results(self, future: Future, piece: Work) -> Iterable[Result]:
        try:
            found = future.result(timeout=None)
        except CANCELLED:
            self._running[future] = piece
            raise _SilenceError from None
        except KilledWorker as error:
            if piece is not self._alone:
                self._suspected.append(piece)
                return []
            return _failures(piece, f"the worker that computed it ended, the last time {error.last_worker.address}.")
        except Exception as error:
            return _failures(piece, f"{one_line(error)}.")
        if isinstance(found, Refused):
            raise ModelError(f"a Dask worker refuses the work: {found.reason}")
        return list(found)


class _SilenceError(Exception):
    """The scheduler is no longer there."""


def _failures(piece: Work, reason: str) -> list[Result]:
    return [Result(task.key, failure=reason) for task in piece.tasks]
