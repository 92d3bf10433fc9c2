"""Where work is computed: executors, of which the one that computes in this process is the default; and the driver, which keeps results.

Whichever computes, the report has the same bytes: each task is a function of the job alone, and the driver alone writes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from typing import Protocol

from reportgen.compute.executors_processes import OptionalProcesses, ProcessExecutor
from reportgen.compute.tasks import carry_out, divide
from reportgen.compute.work import Job, Notify, Progressed, Result, Work
from reportgen.compute.workspace import Workspace
from reportgen.core.choices import ExecutorKind
from reportgen.core.execution import Execution
from reportgen.core.run import Run


class Executor(Protocol):
    """Computes the work of a job, wherever that is: `job` and each piece of work can be pickled and carried out by `carry_out`."""

    def run(self, job: Job, work: Iterable[Work], notify: Notify) -> Generator[Result, None, None]:
        """Compute `work`.

        Args:
            job: what all of it shares.
            work: the pieces, in the order of the plan.
            notify: receives the progress, from this process only; an executor may leave it out.

        Yields:
            One result per task in any order, each as soon as there is one, since what was yielded survives an interruption. A task
            without a result is missing in the report. Closing the generator stops the work.
        """
        ...


class InProcessExecutor:
    """Computes one piece of work after the other in this process."""

    processes = 1

    def run(self, job: Job, work: Iterable[Work], notify: Notify) -> Generator[Result, None, None]:
        """Compute `work`; see `Executor`."""
        workspace = Workspace(job)
        for each in work:
            yield from carry_out(workspace, each, notify)


def chosen(execution: Execution, say: Callable[[str], None]) -> Executor:
    """Return the executor that the user chose, or that was chosen for the user.

    Args:
        execution: the choice.
        say: receives notes, one sentence each.

    Raises:
        UsageError: no scheduler answers at the address that the user gave.
    """
    match execution.kind:
        case ExecutorKind.PROCESSES if execution.open:
            return OptionalProcesses(execution, InProcessExecutor().run, say)
        case ExecutorKind.PROCESSES:
            return ProcessExecutor(execution)
        case ExecutorKind.DASK:
            from reportgen.compute.executors_dask import DaskExecutor  # an optional package

            return DaskExecutor(execution, say)
        case ExecutorKind.IN_PROCESS:
            return InProcessExecutor()


def compute(job: Job, run: Run, executor: Executor) -> None:
    """Compute every task of a job that is missing in the store, and keep each result as soon as it is there.

    Args:
        job: what to compute.
        run: the run over the job's plan, which keeps results and shows the progress.
        executor: computes.

    Raises:
        OutputError: a result cannot be written.
    """

    def notify(news: Progressed) -> None:
        if news.doing is not None:
            run.progress.doing(news.doing)
        run.advance(news.cost)

    with closing(executor.run(job, divide(run.plan, run.missing), notify)) as results:
        for result in results:
            run.traced(result.key, result.traces)
            if result.failure is None:
                run.done(result.key, result.arrays, result.facts, result.seconds)
            else:
                run.failed(result.key, result.failure)
            run.processes = getattr(executor, "processes", None)
