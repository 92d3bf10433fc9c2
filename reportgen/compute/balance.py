"""Divides work for several workers: pieces small enough that none is left alone at the end, large enough to share a trace."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from reportgen.compute.work import Work
from reportgen.core.records import Task, TaskKind

PIECES = 4  # for each worker: the last one then works alone for at most a quarter of its time
DIVISIBLE = (TaskKind.PATTERNS,)  # kinds of work whose tasks share a trace only; others share passes through the model


def balanced(work: Iterable[Work], workers: int) -> list[Work]:
    """Divide large pieces of work; the results are the same.

    Args:
        work: the pieces, in the order of the plan.
        workers: that compute at once.

    Returns:
        The pieces in the same order. None that can be divided costs much more than a `PIECES`-th of a worker's share; for a single
        worker they are as they were.
    """
    work = list(work)
    most = sum(task.cost for each in work for task in each.tasks) / (PIECES * workers)
    if workers == 1:
        return work
    return [part for each in work for part in (_parts(each, most) if each.kind in DIVISIBLE else [each])]


def _parts(work: Work, most: float) -> Iterator[Work]:
    tasks: list[Task] = []
    for task in work.tasks:
        if tasks and sum(each.cost for each in tasks) + task.cost > most:
            yield replace(work, tasks=tuple(tasks))
            tasks = []
        tasks.append(task)
    yield replace(work, tasks=tuple(tasks))
