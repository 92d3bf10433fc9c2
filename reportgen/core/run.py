"""What differs from run to run: times, memory, dates. The only file of a report that holds any of it is run.json."""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from reportgen.core.errors import OutputError, StoreError
from reportgen.core.files import write_atomically
from reportgen.core.kept_maps import suffices
from reportgen.core.progress import Progress
from reportgen.core.records import Plan, Task
from reportgen.core.store import Store, json_bytes

KIBIBYTE = 1024  # bytes: the unit of `ru_maxrss` on Linux; macOS counts bytes
DECIMALS = 3  # of times in run.json: milliseconds
TIMED = {"patterns": "patterns_seconds", "feature_maps": "feature_maps_seconds"}


class Run:
    """One run over a plan: keeps finished tasks, failures, times and the progress bar; writes run.json however it ends.

    Attributes:
        plan: what the run is about.
        missing: keys of the tasks that are not in the store yet.
        left: those of them that are neither finished nor failed by now.
        progress: the bar.
        watch: called after each task that is over.
        processes: how many of this machine have computed; None where that is not known.
    """

    def __init__(
        self,
        folder: Path,
        plan: Plan,
        store: Store,
        progress: Progress,
        started: float,
        only: frozenset[str] | None = None,
        expected: Mapping[str, Any] | None = None,
    ) -> None:
        """Prepare a run.

        Args:
            folder: of the report.
            plan: its tasks.
            store: where finished ones are kept.
            progress: the bar.
            started: when the command began, by time.perf_counter.
            only: keys of the tasks that are this run's; None for all.
            expected: what was expected of the run, and the measurement that this follows from; None where nothing was.
        """
        self.plan, self.progress = plan, progress
        self._store, self._path = store, folder / "run.json"
        self._tasks: defaultdict[str, list[Task]] = defaultdict(list)  # equal images have tasks that share a key
        for task in plan.tasks:
            self._tasks[task.key].append(task)
        self._seconds: dict[str, float] = self._earlier().get("tasks", {})
        self._traces: defaultdict[str, int] = defaultdict(int)
        self._started, self._only, self._expected = started, only, expected
        self._date = datetime.now(UTC) - timedelta(seconds=time.perf_counter() - started)
        self.missing: frozenset[str] = frozenset()
        self.left: set[str] = set()
        self.watch: Callable[[], None] = lambda: None
        self.processes: int | None = 1
        self._behind = self._finished = 0.0  # cost that the bar shows, and that of the tasks which are over

    def _earlier(self) -> dict[str, Any]:
        try:
            earlier = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return {}
        return earlier if isinstance(earlier, dict) and isinstance(earlier.get("tasks"), dict) else {}

    def __enter__(self) -> Self:
        own = self._tasks if self._only is None else self._only
        self.missing = frozenset(key for key in own if not self._is_stored(key))
        self.left = set(self.missing)
        self.progress.start(sum(self._cost(key) for key in self.missing))
        return self

    def _is_stored(self, key: str) -> bool:
        """Whether a task is finished, and what is stored of its maps is enough for this plan."""
        try:
            _, facts = self._store.load(key)
        except StoreError:
            return False
        return suffices(facts, self.plan, self._tasks[key][0].layer)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.close()
        self._write()

    def _cost(self, key: str) -> float:
        return sum(task.cost for task in self._tasks[key])

    def done(self, key: str, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any], seconds: float) -> None:
        """Keep a finished task.

        Args:
            key: the task's.
            arrays: what was computed, by name.
            facts: plain JSON values beside it.
            seconds: that computing took.

        Raises:
            OutputError: the result cannot be written.
        """
        try:
            self._store.save(key, arrays, facts)
        except OSError as error:
            raise OutputError(
                f"the report's folder cannot be written: {error.strerror}; what was computed is kept."
            ) from error
        self._seconds[key] = round(seconds, DECIMALS)  # as it is read back, so that sums stay the same
        self._over(key)

    def failed(self, key: str, reason: str) -> None:
        """Remember why a task failed; the report names it."""
        self._store.save_failure(key, reason)
        self._over(key)

    def traced(self, key: str, count: int) -> None:
        """Count `count` more traces for the layer of a task."""
        self._traces[self._tasks[key][0].layer] += count

    def advance(self, cost: float) -> None:
        """Move the bar by the cost of a part of a task."""
        self._behind += cost
        self.progress.advance(cost)

    def _over(self, key: str) -> None:
        """Move the bar to the end of a task, of which parts may be counted already, and tell whoever watches."""
        self.left.discard(key)
        self._finished += self._cost(key)
        if self._finished > self._behind:
            self.advance(self._finished - self._behind)
        self.watch()

    @property
    def behind(self) -> float:
        """The cost of what is computed, in the unit of `Task.cost`."""
        return self._behind

    @property
    def ahead(self) -> float:
        """The cost of what is still to be computed."""
        return sum(self._cost(key) for key in self.missing) - self._behind

    def _write(self) -> None:
        report = {
            "started": self._date.isoformat(timespec="seconds"),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(time.perf_counter() - self._started, DECIMALS),
            "peak_memory_bytes": peak_memory_bytes(),
            "processes": self.processes,
            "expected": None if self._expected is None else dict(self._expected),
            "layers": layer_times(self.plan, self._seconds, self._traces),
            "tasks": self._seconds,
        }
        write_atomically(self._path, json_bytes(report))


def layer_times(plan: Plan, seconds: Mapping[str, float], traces: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    """Return what run.json states of each layer by slug.

    Args:
        plan: the layers and their tasks.
        seconds: that tasks took, by key, of those that are known.
        traces: of the model, by layer slug.
    """
    layers = {}
    for layer in plan.layers:
        if layer.status != "rendered":
            continue
        facts: dict[str, Any] = {"traces": traces.get(layer.slug, 0)}
        for kind, name in TIMED.items():
            keys = [task.key for task in plan.layer_tasks(layer.slug, kind)]
            known = [seconds[key] for key in keys if key in seconds]
            facts[name] = round(sum(known), DECIMALS) if known else None
        layers[layer.slug] = facts
    return layers


def peak_memory_bytes() -> int | None:
    """Return the peak memory of this process in bytes; None where the system does not tell (Windows)."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * KIBIBYTE
