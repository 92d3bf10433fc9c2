"""Merging: the stores of shards become the store of one report, which `assemble` then makes as if it had been computed at once."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from reportgen.core.distributions import FILE as DISTRIBUTIONS
from reportgen.core.errors import OutputError, StoreError, UsageError, few
from reportgen.core.files import write_atomically
from reportgen.core.lock import writing
from reportgen.core.records import Plan
from reportgen.core.run import layer_times
from reportgen.core.shard import Shard, unmark
from reportgen.core.store import Store, json_bytes
from reportgen.report.writing import remove_partial

LONGEST_VALUE = 40  # characters: a longer one is not repeated in a message
PLAN, RUN = ".store/plan.json", "run.json"
RUNS = "runs"  # what run.json of a merged report states of each run
OF_RUN = ("started", "finished", "seconds", "peak_memory_bytes")


def merge(folders: Sequence[Path], output: Path) -> tuple[str, ...]:
    """Bring the finished tasks of several folders into the store of one report. Nothing is taken away from the folders.

    Args:
        folders: of shards, or of any reports with the same plan.
        output: folder of the report; what it has already is kept.

    Returns:
        A sentence on shards that are missing, and one on those that are not finished; none where every task is there.

    Raises:
        StoreError: a folder has no stored run.
        UsageError: two folders have different plans; nothing is written.
        OutputError: the report's folder cannot be written, or another run writes to it.
    """
    plan = _common_plan(folders)
    store, sources = Store(output), [Store(folder) for folder in folders]
    marks = [mark for mark in map(Shard.marked, folders) if mark is not None]
    missing = set()
    try:
        with writing(output):
            remove_partial(output)
            # The bytes themselves: to write what was read could turn a whole number into another spelling of it.
            write_atomically(output / PLAN, (folders[0] / PLAN).read_bytes())
            with contextlib.suppress(FileNotFoundError):  # of a report of an earlier version
                write_atomically(output / DISTRIBUTIONS, (folders[0] / DISTRIBUTIONS).read_bytes())
            unmark(output)
            for key in dict.fromkeys(task.key for task in plan.tasks):
                if not store.has(key) and not _take(key, sources, store):
                    missing.add(key)
            write_atomically(output / RUN, json_bytes(_times(plan, [*folders, output])))
    except OSError as error:
        raise OutputError(f"{output} cannot be written: {error.strerror}.") from error
    return _incomplete(marks, missing)


def _common_plan(folders: Sequence[Path]) -> Plan:
    """The plan of all folders."""
    plans = []
    for folder in folders:
        try:
            plans.append(Store(folder).load_plan())
        except StoreError as error:
            raise StoreError(f"{folder}: {error}") from error
    for folder, plan in zip(folders, plans, strict=True):
        if plan != plans[0]:
            what = few(differences(plans[0], plan))
            raise UsageError(f"{folders[0]} and {folder} are not shards of one report; they differ in {what}.")
    return plans[0]


def differences(first: Plan, second: Plan) -> list[str]:
    """Return the names of what differs between two plans, with both values where they are short; tasks only if nothing else does."""
    named = {name: _named(name, (first.to_json()[name], second.to_json()[name])) for name in first.to_json()}
    consequences = named.pop("tasks")
    return [name for names in named.values() for name in names] or consequences


def _named(name: str, values: tuple[Any, Any]) -> list[str]:
    first, second = values
    if first == second:
        return []
    if isinstance(first, dict) and isinstance(second, dict):
        return [
            each
            for key in sorted(first.keys() | second.keys())
            for each in _named(f"{name}.{key}", (first.get(key), second.get(key)))
        ]
    shown = [json.dumps(value, ensure_ascii=False) for value in values]
    return [f"{name} ({shown[0]} and {shown[1]})" if max(map(len, shown)) <= LONGEST_VALUE else name]


def _take(key: str, sources: Iterable[Store], store: Store) -> bool:
    """Copy a task from the first source that has it, or the reason why it failed; returns whether it is there."""
    for source in sources:
        try:
            arrays, facts = source.load(key)
        except StoreError:
            reason = source.failure(key)
            if reason is not None:
                store.save_failure(key, reason)
            continue
        store.save(key, arrays, facts)
        return True
    return False


def _incomplete(marks: Sequence[tuple[Shard, frozenset[str]]], missing: Set[str]) -> tuple[str, ...]:
    """Sentences on the shards of missing tasks: those that nobody named, where the folders agree on their count, and unfinished ones."""
    shards = {shard for shard, _ in marks}
    counts = {shard.count for shard in shards}
    if not missing or len(counts) != 1:
        return ()
    (count,) = counts
    absent = [number for number in range(1, count + 1) if Shard(number, count) not in shards]
    unfinished = sorted({shard.number for shard, keys in marks if keys & missing})
    return tuple(
        f"{'shard' if len(numbers) == 1 else 'shards'} {few(list(map(str, numbers)))} of {count} "
        f"{'is' if len(numbers) == 1 else 'are'} {what}."
        for numbers, what in ((absent, "missing"), (unfinished, "not finished"))
        if numbers
    )


def _times(plan: Plan, folders: Iterable[Path]) -> dict[str, Any]:
    """What run.json says: the sums over the runs of all folders, and each run's own times; of memory the largest."""
    seconds: dict[str, float] = {}
    runs: list[dict[str, Any]] = []
    for folder in folders:
        stated = _stated(folder / RUN)
        seconds = {**stated.get("tasks", {}), **seconds}
        for run in stated.get(RUNS, [_run(stated)] if stated else []):
            if run not in runs:
                runs.append(run)
    traces = {layer.slug: sum(run["traces"].get(layer.slug, 0) for run in runs) for layer in plan.layers}
    return {
        "started": min((run["started"] for run in runs), default=None),
        "finished": max((run["finished"] for run in runs), default=None),
        "seconds": round(sum(run["seconds"] for run in runs), 3),
        "peak_memory_bytes": max((run["peak_memory_bytes"] or 0 for run in runs), default=None),
        "layers": layer_times(plan, seconds, traces),
        "tasks": seconds,
        RUNS: sorted(runs, key=lambda run: str(run["started"])),
    }


def _run(stated: Mapping[str, Any]) -> dict[str, Any]:
    traces = {slug: layer["traces"] for slug, layer in stated["layers"].items() if layer["traces"]}
    return {**{name: stated[name] for name in OF_RUN}, "traces": traces}


def _stated(path: Path) -> dict[str, Any]:
    """The content of a run.json; nothing where it cannot be read."""
    try:
        stated = json.loads(path.read_bytes())
        return stated if {*OF_RUN, "layers", "tasks"} <= stated.keys() else {}
    except (OSError, ValueError, AttributeError):
        return {}
