"""What a run is expected to take, said before it starts; and the settings that a budget chooses."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from reportgen.compute.planning.calibration import Calibration, calibrate
from reportgen.compute.planning.estimate import Estimate, estimate, in_words, seconds_of, steps_of
from reportgen.compute.planning.prepare import Effort
from reportgen.compute.shards import partition
from reportgen.compute.work import Job
from reportgen.core.budget import CHOSEN, Budget
from reportgen.core.choices import Quality
from reportgen.core.execution import Execution
from reportgen.core.memory import available_bytes
from reportgen.core.records import PATTERN_KINDS, LayerRecord
from reportgen.core.settings import Settings
from reportgen.core.shard import Shard
from reportgen.core.store import Store
from reportgen.network.backend import gpu_details
from reportgen.network.network import Network

COUNTS = ("1", "2", "4", "8")
# From least to most. Each is at least the one before it in both settings, so that a larger budget never chooses less of either.
LADDER = (
    *((Quality.DRAFT, count) for count in COUNTS),
    (Quality.STANDARD, "8"),
    (Quality.STANDARD, "16"),
    (Quality.STANDARD, "32"),
    (Quality.STANDARD, "64"),
    (Quality.STANDARD, "all"),
    (Quality.PAPER, "all"),
)
LONG = 600  # seconds: a longer run says so before it starts
SMALL = 2e9  # multiply-adds that no machine needs minutes for: `build` does not measure for fewer


def rungs(settings: Settings, given: Collection[str]) -> Iterator[Settings]:
    """Yield the settings that a budget may choose, from least to most; those that the user gave stay."""
    seen = set()
    for quality, filters in LADDER:
        choice = {"quality": quality.value, "filters": filters}
        changed = {name: value for name, value in choice.items() if name not in given}
        if tuple(changed.items()) not in seen:
            seen.add(tuple(changed.items()))
            yield dataclasses.replace(settings, **changed)  # type: ignore[arg-type]


class Expectation:
    """What a run is expected to take, by a measurement that is made at most once.

    Attributes:
        settings: the user's own, or what the budget chose.
        calibration: the measurement, where one was made.
        stated: the latest estimate as run.json states it; None before there is one.
        chosen: the options that the budget chose, as a command line has them; "" where there is no budget or nothing to choose.
    """

    def __init__(self, settings: Settings, budget: Budget | None) -> None:
        """settings: the user's own."""
        self.settings, self._budget = settings, budget
        self.calibration: Calibration | None = None
        self.stated: dict[str, Any] | None = None
        self.chosen = ""

    @property
    def choose(self) -> Callable[[Network, Callable[[Settings], Effort]], Settings] | None:
        """What `prepare` is given; None without a budget."""
        return None if self._budget is None else self._choose

    def _choose(self, network: Network, effort: Callable[[Settings], Effort]) -> Settings:
        """Return the most effort that fits into the budget; the least where none does."""
        assert self._budget is not None
        best: Settings | None = None
        for settings in rungs(self.settings, self._budget.given):
            layers, tasks, _, recipe = effort(settings)
            calibration = self._measured(network, layers)
            if best is not None and seconds_of(layers, tasks, steps_of(recipe), calibration) > self._budget.seconds:
                break
            best = settings
        assert best is not None
        free = [name for name in CHOSEN if name not in self._budget.given]
        self.settings = best
        self.chosen = " ".join(f"--{name} {getattr(best, name)}" for name in free)
        return best

    def _measured(self, network: Network, layers: Sequence[LayerRecord]) -> Calibration:
        if self.calibration is None:
            self.calibration = calibrate(network, layers, self.settings.precision)
        return self.calibration

    def of(self, job: Job, folder: Path, shard: Shard | None = None, least: float = 0) -> Estimate:
        """Return the estimate of what a run has left to do.

        Args:
            job: the job.
            folder: of the report, where some of it may be done.
            shard: the part of the job that is the run's; None for all.
            least: multiply-adds; nothing is measured for fewer, and no time expected.
        """
        keys = {task.key for task in job.plan.tasks}
        if shard is not None:
            keys &= partition(job.plan, shard.count)[shard.number - 1]
        store = Store(folder)
        left = {key for key in keys if not store.has(key)}
        found = estimate(job, left, self.calibration)
        if self.calibration is None and found.operations >= least:
            found = estimate(job, left, self._measured(job.model.network, job.plan.layers))
        self.stated = found.facts()
        return found

    def may_settle(self, execution: Execution, job: Job, shard: Shard | None) -> bool:
        """Return whether several processes can be chosen: not for a live model, a shard, without patterns, or on a GPU."""
        if not execution.open or shard is not None or not isinstance(job.model.specification, str):
            return False
        return any(task.kind in PATTERN_KINDS for task in job.plan.tasks) and not gpu_details()

    def settled(self, execution: Execution, found: Estimate) -> Execution:
        """Return where the run is computed, as follows from what is missing; see `may_settle`."""
        return execution.settled(found.ascent_seconds, found.ascending, found.memory_bytes, available_bytes())

    def sentences(self, found: Estimate) -> Iterator[str]:
        """Yield what a run says before it starts."""
        yield f"{in_words(found)}."
        yield from self.remarks(found)

    def remarks(self, found: Estimate) -> Iterator[str]:
        """Yield what the budget chose, or that there should be one."""
        if self._budget is None:
            if found.seconds is not None and found.seconds > LONG:
                yield "this takes more than ten minutes; --budget 10m would choose quality and filters that fit into ten."
            return
        late = found.seconds is not None and found.seconds > self._budget.seconds
        if self.chosen:
            end = "which is the least there is and is expected to take longer" if late else "which give the same report"
            yield f"--budget {self._budget.text} chose {self.chosen}, {end}."
        elif late:
            yield f"--budget {self._budget.text} is less than what the settings that were given are expected to take."
