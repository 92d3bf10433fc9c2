"""What differs from run to run: times, memory, dates. The only file of a report that holds any of it is run.json."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from reportgen.core.errors import OutputError
from reportgen.core.npz import write_atomically
from reportgen.core.progress import Progress
from reportgen.core.records import Plan, Task
from reportgen.core.store import Store, json_bytes

TIMED = {"patterns": "patterns_seconds", "feature_maps": "feature_maps_seconds"}


class Run:
    """One run over a plan: keeps finished tasks, failures, times and the progress bar; writes run.json however it ends."""

    def __init__(self, folder: Path, plan: Plan, store: Store, progress: Progress, started: float) -> None:
        """`started`: when the command began, by time.perf_counter."""
        self.plan, self.store, self.progress = plan, store, progress
        self._path = folder / "run.json"
        self._seconds: dict[str, float] = self._earlier().get("tasks", {})
        self._traces: defaultdict[str, int] = defaultdict(int)
        self._started = started
        self._date = datetime.now(UTC) - timedelta(seconds=time.perf_counter() - started)

    def _earlier(self) -> dict[str, Any]:
        try:
            earlier = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return {}
        return earlier if isinstance(earlier, dict) and isinstance(earlier.get("tasks"), dict) else {}

    def __enter__(self) -> Self:
        self.missing = {task.key for task in self.plan.tasks if not self.store.has(task.key)}
        self.progress.start(sum(task.cost for task in self.plan.tasks if task.key in self.missing))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.close()
        self._write()

    def todo(self, kind: str, layer: str | None = None) -> list[Task]:
        """Tasks of one kind that are still to be done, in order."""
        return [
            task
            for task in self.plan.tasks
            if task.kind == kind and task.key in self.missing and (layer is None or task.layer == layer)
        ]

    def done(self, task: Task, arrays: Any, facts: Any, seconds: float) -> None:
        """Keep a finished task."""
        try:
            self.store.save(task.key, arrays, facts)
        except OSError as error:
            raise OutputError(
                f"the report's folder cannot be written: {error.strerror}; what was computed is kept."
            ) from error
        self.missing.discard(task.key)
        self._seconds[task.key] = seconds

    def failed(self, tasks: Sequence[Task], reason: str) -> None:
        """Remember why tasks failed; the report names them."""
        for task in tasks:
            self.store.save_failure(task.key, reason)
            self.progress.advance(task.cost)

    def traced(self, layer: str, count: int) -> None:
        """`count` more traces were made for a layer."""
        self._traces[layer] += count

    def _write(self) -> None:
        layers: dict[str, dict[str, Any]] = {}
        for layer in self.plan.layers:
            if layer.status != "rendered":
                continue
            facts: dict[str, Any] = {"traces": self._traces[layer.slug]}
            for kind, name in TIMED.items():
                keys = [task.key for task in self.plan.layer_tasks(layer.slug, kind)]
                known = [self._seconds[key] for key in keys if key in self._seconds]
                facts[name] = round(sum(known), 3) if known else None
            layers[layer.slug] = facts
        report = {
            "started": self._date.isoformat(timespec="seconds"),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(time.perf_counter() - self._started, 3),
            "peak_memory_bytes": peak_memory_bytes(),
            "layers": layers,
            "tasks": {key: round(value, 3) for key, value in self._seconds.items()},
        }
        write_atomically(self._path, json_bytes(report))


def peak_memory_bytes() -> int:
    """The most memory this process ever held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts kibibytes
