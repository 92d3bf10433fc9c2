"""The pages of a report while it is computed: all of them before the first pattern, then each finished layer's, and the index."""

from __future__ import annotations

import contextlib
import time
from datetime import datetime
from types import TracebackType
from typing import Self

from reportgen.core.errors import OutputError, UsageError
from reportgen.core.records import TaskKind
from reportgen.core.run import Run
from reportgen.report.assemble import Assembly, Progress
from reportgen.report.location import FACTS_FILE
from reportgen.report.unfinished import Unfinished

# What the first pages do not wait for.
LATE = frozenset(
    {
        *(TaskKind.PATTERNS, TaskKind.MINIMAL_PATTERNS),
        *(TaskKind.RESPONSE_STATISTICS, TaskKind.EXEMPLARS),
        *(TaskKind.MISCLASSIFIED, TaskKind.MISCLASSIFIED_PICTURES),
    }
)
SHORTEST_PAUSE = 5.0  # seconds between two versions of the index
PAUSE = 50  # times as long as writing the index took: at most so small a share of the run


class EarlyPages:
    """Writes pages of a run that goes on; a report that has nothing to wait for is left alone."""

    def __init__(self, assembly: Assembly, run: Run, progress: Progress) -> None:
        """Write nothing yet.

        Args:
            assembly: the report.
            run: over its plan.
            progress: called as (done, total, what) before each layer of the first pages.
        """
        self._assembly, self._run, self._progress = assembly, run, progress
        self._late = {task.key: len(task.filters) for task in run.plan.tasks if task.kind in LATE}
        self._began: tuple[float, float] | None = None  # moment of the first pages, and the cost behind it
        self._next = 0.0  # moment of the next index
        self._announced = False

    def __enter__(self) -> Self:
        """Announce the pages where there is no index yet. Raises OutputError where it cannot be written."""
        if self._run.left and not self._assembly.has_index:
            self._assembly.announce(self._state())
            self._announced = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Say where the run has ended early; what stops that stays unsaid, since there is a reason to end already."""
        if kind is not None and self._run.left:
            with contextlib.suppress(OutputError, UsageError):
                self._interrupted()

    def update(self) -> None:
        """Write what can be written now: the first pages, or those of layers that are finished since.

        Raises:
            OutputError: a file cannot be written.
            UsageError: a template of the user's fails.
        """
        left = self._run.left
        if not left or not left <= self._late.keys():
            return
        if self._began is None:
            self._assembly.output.withdraw(FACTS_FILE)  # an earlier report's, whose pages are replaced now
            self._assembly.draw(left, self._progress)
            self._began = time.monotonic(), self._run.behind
        else:
            self._assembly.draw(left)
        if time.monotonic() >= self._next:
            self._write_index(self._state())

    def _interrupted(self) -> None:
        if self._began is not None:
            self._assembly.write_index(self._state(interrupted=True))
        elif self._announced:
            self._assembly.announce(self._state(interrupted=True))

    def _write_index(self, state: Unfinished) -> None:
        started = time.monotonic()
        self._assembly.write_index(state)
        ended = time.monotonic()
        self._next = ended + max(SHORTEST_PAUSE, PAUSE * (ended - started))

    def _state(self, *, interrupted: bool = False) -> Unfinished:
        moment = datetime.now().astimezone()
        if self._began is None:
            return Unfinished(moment, interrupted=interrupted)
        total = sum(self._late.values())
        left = sum(self._late[key] for key in self._run.left if key in self._late)
        began, behind = self._began
        seconds, cost = time.monotonic() - began, self._run.behind - behind
        expected = seconds * self._run.ahead / cost if cost > 0 else None
        return Unfinished(moment, total - left, total, expected, interrupted)
