"""Shards: each task in one of them, none much larger than another; merged they are the report that one run makes."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reportgen.compute.balance import balanced
from reportgen.compute.executors import Executor
from reportgen.compute.shards import partition
from reportgen.compute.tasks import divide
from reportgen.compute.work import Job
from reportgen.core.errors import UsageError
from reportgen.core.records import Task, TaskKind
from reportgen.core.run import Run
from reportgen.core.shard import Shard
from reportgen.core.store import Store
from sample_build import SINGLE_ASCENT, contents, draw, run, stored
from small_models import conv, functional, layers, randomised

MEMORY = ("--memory", "1KiB")  # so that a batch is one filter
EXTENT = ("--steps", "1", "--preprocess", "unit", "--seed", "3", *MEMORY, *SINGLE_ASCENT)


def a_plan(seed: int) -> Any:
    """Layers of very different cost, in the order of a real plan; two images are equal."""
    numbers = random.Random(seed)
    sizes = [numbers.choice([None, (8, 8), (16, 16)]) for _ in range(numbers.randint(1, 9))]
    records = [SimpleNamespace(slug=f"layer{number}", pattern_size=size) for number, size in enumerate(sizes)]
    tasks = [Task(TaskKind.IMAGE, f"image{number // 2}", "", f"{number}", (), 1.0) for number in range(4)]
    for image in range(3):
        tasks += [
            Task(TaskKind.FEATURE_MAPS, f"maps{image}{one.slug}", one.slug, f"{image}", (), 1.0) for one in records
        ]
    for one in records:
        tasks.append(Task(TaskKind.WEIGHTS, f"weights{one.slug}", one.slug, "", (), 0.0))
        if one.pattern_size is not None:
            tasks.append(Task(TaskKind.NATURAL, f"natural{one.slug}", one.slug, "", (), numbers.uniform(1, 9)))
            cost = 10 ** numbers.uniform(0, 3)
            for chunk in range(numbers.randint(1, 12)):
                tasks.append(Task(TaskKind.PATTERNS, f"patterns{one.slug}{chunk}", one.slug, "", (chunk,), cost))
    return SimpleNamespace(layers=records, tasks=tasks)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 40])
def test_shards_are_disjoint_cover_the_plan_and_are_alike_within_the_largest_piece(count: int) -> None:
    for seed in range(20):
        plan = a_plan(seed)
        shards = partition(plan, count)
        assert len(shards) == count
        assert sorted(key for shard in shards for key in shard) == sorted({task.key for task in plan.tasks})
        costs = {task.key: task.cost for task in plan.tasks}
        loads = [sum(costs[key] for key in shard) for shard in shards]
        pieces = balanced(divide(plan, costs), count)
        largest = max(sum(task.cost for task in piece.tasks) for piece in pieces)
        assert max(loads) - min(loads) <= largest * (1 + 1e-9)
        assert partition(plan, count) == shards
        for piece in pieces:
            assert sum(any(task.key in shard for task in piece.tasks) for shard in shards) == 1


def command(folder: Path) -> tuple[object, ...]:
    return ("build", folder / "model.keras", "-i", folder / "picture.png", *EXTENT)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model and its report, and the two shards of the same report."""
    folder = tmp_path_factory.mktemp("shards")
    stack = [conv(3, activation="relu", name="near"), conv(2, activation="relu", name="far")]
    randomised(functional(*stack, layers.GlobalAveragePooling2D(), shape=(12, 12, 3))).save(folder / "model.keras")
    draw(folder / "picture.png")
    assert run(*command(folder), "-o", folder / "whole").exit_code == 0
    for number in (1, 2):
        one = folder / f"part-{number}-of-2"
        result = run(*command(folder), "-o", one, "--shard", f"{number}/2")
        assert (result.exit_code, result.stdout) == (0, f"{one}\n"), result.output
        assert f"reportgen assemble {folder}/part-*-of-2 -o {folder}/part\n" in result.stderr
        assert not (one / "index.html").exists()
    return folder


def test_two_shards_become_the_report_of_one_run_byte_for_byte(folder: Path, tmp_path: Path) -> None:
    parts = [folder / "part-1-of-2", folder / "part-2-of-2"]
    before = [contents(part) for part in parts]
    split, whole = [stored(part).keys() for part in parts], stored(folder / "whole").keys()
    assert all(split)
    assert not split[0] & split[1]
    assert split[0] | split[1] == whole
    for _ in range(2):  # the second time nothing is left to do
        result = run("assemble", *parts, "-o", tmp_path / "report")
        assert (result.exit_code, result.stdout) == (0, f"{tmp_path / 'report' / 'index.html'}\n"), result.output
        assert contents(tmp_path / "report") == contents(folder / "whole")
    assert [contents(part) for part in parts] == before
    times = json.loads((tmp_path / "report" / "run.json").read_bytes())
    own = [json.loads((part / "run.json").read_bytes()) for part in parts]
    assert len(times["runs"]) == 2
    assert times["seconds"] == pytest.approx(sum(one["seconds"] for one in own))
    assert times["tasks"] == own[0]["tasks"] | own[1]["tasks"]
    assert {slug: layer["patterns_seconds"] is not None for slug, layer in times["layers"].items()} == {
        "near": True,
        "far": True,
    }


def test_a_missing_shard_is_named_and_can_follow_later(folder: Path, tmp_path: Path) -> None:
    result = run("assemble", folder / "part-1-of-2", "-o", tmp_path / "report")
    assert result.exit_code == 3
    assert "shard 2 of 2 is missing." in result.stderr
    plan, store = Store(tmp_path / "report").load_plan(), Store(tmp_path / "report")
    lost = {task.layer for task in plan.tasks if task.layer and not store.has(task.key)}
    assert lost
    for layer in lost:
        assert f"reportgen: {layer}: " in result.stderr
    assert run("assemble", folder / "part-2-of-2", "-o", tmp_path / "report").exit_code == 0
    assert contents(tmp_path / "report") == contents(folder / "whole")


def test_an_unfinished_shard_is_named_and_goes_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = shutil.copytree(folder / "part-2-of-2", tmp_path / "part-2-of-2")
    lost = next(task for task in Store(part).load_plan().tasks if task.kind == "patterns" and Store(part).has(task.key))
    next(part.rglob(f"{lost.key}.npz")).unlink()
    result = run("assemble", folder / "part-1-of-2", part, "-o", tmp_path / "report")
    assert result.exit_code == 3
    assert "reportgen: shard 2 of 2 is not finished.\n" in result.stderr
    assert "missing" not in result.stderr

    def breaks(job: Job, computing: Run, executor: Executor) -> None:
        for key in computing.missing:
            computing.failed(key, "it broke")

    monkeypatch.setattr("reportgen.compute.executors.compute", breaks)
    result = run(*command(folder), "-o", part, "--shard", "2/2")
    assert (result.exit_code, result.stdout) == (3, f"{part}\n")
    assert f"reportgen: {lost.layer}: patterns: it broke.\n" in result.stderr
    assert "broke" in run("assemble", folder / "part-1-of-2", part, "-o", tmp_path / "report").stderr


def test_shards_of_other_reports_are_refused_and_nothing_is_written(folder: Path, tmp_path: Path) -> None:
    other = shutil.copytree(folder / "part-2-of-2", tmp_path / "other")
    plan = json.loads((other / ".store" / "plan.json").read_bytes())
    plan["settings"]["seed"] = 4
    plan["tasks"] = plan["tasks"][1:]
    (other / ".store" / "plan.json").write_text(json.dumps(plan))
    result = run("assemble", folder / "part-1-of-2", other, "-o", tmp_path / "report")
    assert result.exit_code == 2
    assert result.stderr.endswith("are not shards of one report; they differ in settings.seed (3 and 4).\n")
    assert run("assemble", folder / "part-1-of-2", tmp_path / "nothing", "-o", tmp_path / "report").exit_code == 2
    assert run("assemble", folder / "part-1-of-2", folder / "part-2-of-2").exit_code == 2, "no --output"
    assert not (tmp_path / "report").exists()


def array(number: int, least: int, count: int, **others: int) -> dict[str, str]:
    facts = {"ID": number, "MIN": least, "COUNT": count, **others}
    return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in facts.items()}


@pytest.mark.parametrize(
    ("text", "variables", "expected"),
    [
        ("2/3", array(0, 0, 2), (2, 3)),
        ("auto", array(0, 0, 3), (1, 3)),
        ("auto", array(5, 3, 3, MAX=5), (3, 3)),
        ("auto", array(12, 4, 3, STEP=4, MAX=12), (3, 3)),
        ("auto", {"CI_NODE_INDEX": "2", "CI_NODE_TOTAL": "4"}, (2, 4)),
        ("auto", {**array(2, 1, 2), "CI_NODE_TOTAL": "1"}, (2, 2)),  # a job of GitLab that submits an array
    ],
)
def test_a_shard_is_named_or_found_in_the_variables(
    text: str, variables: dict[str, str], expected: tuple[int, int]
) -> None:
    shard = Shard.parse(text, variables)
    assert (shard.number, shard.count) == expected


@pytest.mark.parametrize(
    ("text", "variables", "words"),
    [
        ("0/3", {}, "no shard 0/3"),
        ("4/3", {}, "no shard 4/3"),
        ("2 of 3", {}, "neither of the form I/N"),
        ("auto", {}, "neither a job array of Slurm nor a parallel job of GitLab"),
        ("auto", {"CI_NODE_TOTAL": "3"}, "CI_NODE_INDEX is missing beside CI_NODE_TOTAL"),
        ("auto", {"SLURM_ARRAY_TASK_ID": "1"}, "SLURM_ARRAY_TASK_MIN and SLURM_ARRAY_TASK_COUNT are missing"),
        ("auto", {"CI_NODE_INDEX": "x", "CI_NODE_TOTAL": "3"}, "CI_NODE_INDEX is 'x'"),
        ("auto", array(1, 1, 3, STEP=1, MAX=7), "not numbered in even steps"),
        ("auto", array(2, 1, 3, STEP=2, MAX=5), "not numbered in even steps"),
    ],
)
def test_what_names_no_shard_is_one_sentence(text: str, variables: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        Shard.parse(text, variables)
    assert str(caught.value).count(". ") == 0
