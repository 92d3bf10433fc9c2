"""Executors: work that was pickled and results in any order give the same report, and whatever was finished is kept."""

from __future__ import annotations

import dataclasses
import json
import pickle
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import reportgen
from reportgen.compute.balance import balanced
from reportgen.compute.executors import Executor, InProcessExecutor, chosen
from reportgen.compute.opening import ModelReference
from reportgen.compute.planning.plan import TaskKind
from reportgen.compute.planning.prepare import prepare
from reportgen.compute.received import open_job
from reportgen.compute.recompute import recompute, settings_of
from reportgen.compute.tasks import COMPUTATIONS, Computation, carry_out, divide
from reportgen.compute.work import Job, Notify, Progressed, Result, Work
from reportgen.compute.workspace import Workspace
from reportgen.core.errors import ImageError, ModelError, OutputError, UsageError
from reportgen.core.execution import Execution
from reportgen.core.progress import Progress
from reportgen.core.records import Task
from reportgen.core.settings import Settings
from reportgen.core.store import Store
from reportgen.network.backend import fix_threads
from reportgen.pipeline import Built, build
from sample_build import contents
from small_models import conv, functional, layers, pictures, randomised


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of any size of image, its weights before training, and two images."""
    folder = tmp_path_factory.mktemp("executors")
    stack = [conv(3, activation="relu", name="near"), conv(2, dilation_rate=20, name="far")]
    model = functional(*stack, layers.GlobalAveragePooling2D(), layers.Softmax(), shape=(None, None, 3))
    randomised(model, seed=1).save(folder / "initial.keras")
    randomised(model).save(folder / "model.keras")
    for number, picture in enumerate(pictures(2, 20, 24)):
        Image.fromarray(picture).save(folder / f"{number}.png")
    return folder


def settings(folder: Path, **changes: Any) -> Settings:
    quick: dict[str, Any] = {
        "steps": 1,
        "filters": "2",
        "preprocess": "unit",
        "image_size": 24,
        "size": "24",
        "method": "keras-io",
    }
    everything = {"negative": True, "outputs": "1", "initial": str(folder / "initial.keras")}
    images = tuple(str(path) for path in sorted(folder.glob("?.png")))
    return Settings(**{**quick, **everything, "images": images, **changes})


LITTLE: dict[str, Any] = {"negative": False, "outputs": None, "initial": None, "layers": ("near",), "filters": "1"}


def built(
    folder: Path, output: Path, executor: Executor | None = None, progress: Progress | None = None, **changes: Any
) -> Built:
    return build(
        str(folder / "model.keras"),
        settings(folder, **changes),
        output,
        progress=Progress(False) if progress is None else progress,
        say=lambda sentence: None,
        executor=executor,
    )


@pytest.fixture(scope="module")
def report(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report that the default executor computes."""
    output = tmp_path_factory.mktemp("default") / "report"
    assert built(folder, output).problems == ()
    return output


class Reversing:
    """Pickles all that it is given and all that it gives, opens the model anew, and gives the last result first."""

    def run(self, job: Job, work: Iterable[Work], notify: Notify) -> Generator[Result, None, None]:
        copy = pickle.loads(pickle.dumps(job))
        assert copy.model.network is not job.model.network
        workspace = Workspace(copy)
        pieces = [pickle.dumps(each) for each in work]
        results = [
            pickle.dumps(result) for each in pieces for result in carry_out(workspace, pickle.loads(each), notify)
        ]
        for result in reversed(results):
            yield pickle.loads(result)


def test_pickled_work_and_results_in_reverse_order_give_the_same_report(
    folder: Path, report: Path, tmp_path: Path
) -> None:
    for label in "01":  # the same images with each label, so that some are misclassified
        (tmp_path / "data" / label).mkdir(parents=True)
        for number in "01":
            (tmp_path / "data" / label / f"{number}.png").write_bytes((folder / f"{number}.png").read_bytes())
    survey: dict[str, Any] = {"dataset": str(tmp_path / "data"), "attribution": ("grad-cam",), "patterns": False}
    assert built(folder, tmp_path / "survey", **survey).problems == ()
    kinds = {task.kind for each in (report, tmp_path / "survey") for task in Store(each).load_plan().tasks}
    assert kinds == set(TaskKind), "or the reports do not show that every kind of work can be sent"
    assert built(folder, tmp_path / "report", Reversing()).problems == ()
    assert contents(tmp_path / "report") == contents(report)
    assert built(folder, tmp_path / "reversed", Reversing(), **survey).problems == ()
    assert contents(tmp_path / "reversed") == contents(tmp_path / "survey")


def test_without_all_labels_attribution_maps_are_not_compared(folder: Path, tmp_path: Path) -> None:
    for label in "01":
        (tmp_path / "data" / label).mkdir(parents=True)
        (tmp_path / "data" / label / "0.png").write_bytes((folder / "0.png").read_bytes())
    survey: dict[str, Any] = {"dataset": str(tmp_path / "data"), "attribution": ("grad-cam",), "patterns": False}
    report, model = tmp_path / "report", str(folder / "model.keras")
    assert built(folder, report, **LITTLE, **survey).problems == ()
    again = settings_of(reportgen.open(report).document.settings, {"preprocess": "unit"})
    whole = recompute(model, again, report, 9, lambda words: None)
    assert (whole.differences, whole.attributions) == ([], 3)  # of two images, and of a misclassified one
    (part,) = Store(report).load_plan().layer_tasks("", TaskKind.DATASET_IMAGES)
    next((report / ".store").rglob(f"{part.key}.npz")).unlink()
    lost = recompute(model, again, report, 9, lambda words: None)
    assert lost.attributions == 0
    assert [each.partition(":")[0] for each in lost.differences] == ["images of part 1 of the data set"]
    assert lost.notes == ["attribution maps were not computed again: parts of the data set are missing"]


def test_a_signals_pattern_range_is_sent_with_the_model(tmp_path: Path) -> None:
    randomised(functional(layers.Conv1D(2, 3, name="c"), shape=(20, 1))).save(tmp_path / "model.keras")
    np.save(tmp_path / "line.npy", np.linspace(-3, 5, 20).astype(np.float32)[:, None])
    job = prepare(str(tmp_path / "model.keras"), Settings(images=(str(tmp_path / "line.npy"),)))
    copy = pickle.loads(pickle.dumps(job))
    assert (copy.model.network.contract.low, copy.model.network.contract.high) == (-3, 5)
    assert copy.model.network.contract == job.plan.contract


class Failing:
    """Computes in this process, but for one piece of work, whose results say that it failed."""

    def run(self, job: Job, work: Iterable[Work], notify: Notify) -> Generator[Result, None, None]:
        failed, *others = work
        for task in failed.tasks:
            yield Result(task.key, failure="the third machine is on fire")
        yield from InProcessExecutor().run(job, others, notify)


def test_work_that_failed_is_named_and_all_other_work_is_kept(folder: Path, tmp_path: Path) -> None:
    (problem,) = built(folder, tmp_path / "report", Failing(), **LITTLE).problems
    assert "the third machine is on fire" in problem
    store = Store(tmp_path / "report")
    missing = [task for task in store.load_plan().tasks if not store.has(task.key)]
    assert [(task.kind, task.image) for task in missing] == [("image", "0")]


class Interrupted:
    """Is interrupted after three results."""

    def __init__(self, error: BaseException) -> None:
        self.error, self.given = error, list[str]()

    def run(self, job: Job, work: Iterable[Work], notify: Notify) -> Generator[Result, None, None]:
        for result in InProcessExecutor().run(job, work, notify):
            if len(self.given) == 3:
                raise self.error
            self.given.append(result.key)
            yield result


def test_what_was_given_before_an_interruption_is_kept(folder: Path, tmp_path: Path) -> None:
    executor = Interrupted(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        built(folder, tmp_path / "report", executor)
    kept = {path.stem for path in (tmp_path / "report" / ".store").rglob("*.npz")}
    assert kept == set(executor.given)
    assert len(kept) == 3
    assert (tmp_path / "report" / "run.json").is_file()


class Closing:
    """Notes that it was told to stop."""

    closed = False

    def run(self, job: Job, work: Iterable[Work], notify: Notify) -> Generator[Result, None, None]:
        try:
            yield from InProcessExecutor().run(job, work, notify)
        finally:
            self.closed = True


def test_a_full_disk_stops_the_executor_and_is_one_sentence(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Store, *arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Store, "save", full)
    executor = Closing()
    with pytest.raises(OutputError, match="No space left on device; what was computed is kept") as caught:
        built(folder, tmp_path / "report", executor)
    assert executor.closed, caught  # which keeps the generator from being collected
    assert not list((tmp_path / "report" / ".store").rglob("*.failed")), "the tasks did not fail"


class Bar(Progress):
    """Adds up what it is told."""

    def __init__(self) -> None:
        super().__init__(False)
        self.total = self.behind = 0.0
        self.said: list[str] = []

    def start(self, total: float) -> None:
        self.total = total

    def advance(self, cost: float) -> None:
        assert cost >= 0
        self.behind += cost

    def doing(self, what: str) -> None:
        self.said.append(what)


class Silent:
    """Computes in this process and tells no progress."""

    def run(self, job: Job, work: Iterable[Work], notify: Notify) -> Generator[Result, None, None]:
        yield from InProcessExecutor().run(job, work, lambda news: None)


@pytest.mark.parametrize("executor", [InProcessExecutor, Silent, Failing])
def test_the_bar_ends_at_its_end_whatever_an_executor_tells(
    folder: Path, tmp_path: Path, executor: Callable[[], Executor]
) -> None:
    bar = Bar()
    built(folder, tmp_path / "report", executor(), bar, **LITTLE)
    assert bar.behind == pytest.approx(bar.total)
    assert bar.total > 0
    assert ("near: patterns" in bar.said) == (executor is not Silent)


def test_a_live_model_stays_in_its_process() -> None:
    job = prepare(randomised(functional(conv(2))), Settings(preprocess="unit"))
    with pytest.raises(UsageError, match="save it and name its file"):
        pickle.dumps(job)


def test_a_model_that_changed_since_the_plan_is_refused(tmp_path: Path) -> None:
    model = randomised(functional(conv(2)))
    model.save(tmp_path / "model.keras")
    sent = pickle.dumps(prepare(str(tmp_path / "model.keras"), Settings(preprocess="unit")))
    randomised(model, seed=1).save(tmp_path / "model.keras")
    with pytest.raises(ModelError, match=r"^model.keras has changed since the report was planned"):
        Workspace(pickle.loads(sent))


def test_work_holds_together_what_shares_a_pass_and_is_small(folder: Path) -> None:
    job = prepare(str(folder / "model.keras"), settings(folder, size="auto"))
    work = divide(job.plan, [task.key for task in job.plan.tasks])
    assert Counter(each.kind for each in work) == {
        TaskKind.IMAGE: 2,
        TaskKind.WEIGHTS: 2,
        TaskKind.INITIAL: 2,
        TaskKind.FEATURE_MAPS: 2,  # one per image, for both layers
        TaskKind.NATURAL: 3,  # one per size of patterns, of which every layer has its own
        TaskKind.PATTERNS: 3,  # one per layer, minimal patterns included
    }
    assert sorted(task.key for each in work for task in each.tasks) == sorted(task.key for task in job.plan.tasks)
    assert max(len(pickle.dumps(each)) for each in work) < 2000
    alike = prepare(str(folder / "model.keras"), settings(folder)).plan
    assert [
        len(each.tasks) for each in divide(alike, [task.key for task in alike.tasks]) if each.kind == "natural"
    ] == [3]
    some = [task.key for task in job.plan.tasks if task.kind == TaskKind.FEATURE_MAPS][1:]
    assert [[task.key for task in each.tasks] for each in divide(job.plan, some)] == [some[:1], some[1:]]


def test_equal_images_are_computed_once(folder: Path, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes((folder / "0.png").read_bytes())
    job = prepare(str(folder / "model.keras"), settings(folder, images=(str(tmp_path),)))
    work = divide(job.plan, [task.key for task in job.plan.tasks])
    assert [task.image for each in work for task in each.tasks if task.kind == TaskKind.IMAGE] == ["a"]


def test_every_kind_of_task_has_one_computation() -> None:
    # From what others stored.
    wrong = {TaskKind.MISCLASSIFIED, TaskKind.MISCLASSIFIED_PICTURES}
    summed_up = {TaskKind.RESPONSE_STATISTICS, TaskKind.EXEMPLARS, *wrong}
    assert sorted(kind for each in COMPUTATIONS for kind in each.kinds) == sorted(set(TaskKind) - summed_up)


def test_one_broken_piece_of_work_gives_a_reason_for_each_task_that_has_no_result(folder: Path) -> None:
    job = prepare(str(folder / "model.keras"), settings(folder))
    work = next(each for each in divide(job.plan, [task.key for task in job.plan.tasks]) if len(each.tasks) > 1)
    lost = dataclasses.replace(work.tasks[-1], layer="lost")
    results = list(carry_out(Workspace(job), dataclasses.replace(work, tasks=(*work.tasks[:-1], lost)), _unheard))
    assert {result.key for result in results} == {task.key for task in work.tasks}
    assert all(result.failure is not None and "lost" in result.failure for result in results)


def test_results_that_were_there_before_a_failure_stay(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(workspace: Workspace, tasks: Sequence[Task], notify: Notify) -> Generator[Result, None, None]:
        yield Result(tasks[0].key)
        raise RuntimeError("the second one broke")

    work = Work(TaskKind.WEIGHTS, tuple(Task("weights", key, "near", "", (), 1.0) for key in ("one", "two", "three")))
    monkeypatch.setattr("reportgen.compute.tasks.COMPUTATIONS", (Computation((TaskKind.WEIGHTS,), id, breaks),))
    results = list(carry_out(Workspace(prepare(str(folder / "model.keras"), settings(folder))), work, _unheard))
    assert [(result.key, result.failure is None) for result in results] == [
        ("one", True),
        ("two", False),
        ("three", False),
    ]


def _unheard(news: Progressed) -> None:
    pass


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["processes", "dask"])
def test_several_processes_give_the_same_report(folder: Path, report: Path, tmp_path: Path, kind: str) -> None:
    if kind == "dask":
        pytest.importorskip("distributed")
    pieces = divide(Store(report).load_plan(), [task.key for task in Store(report).load_plan().tasks])
    assert len(balanced(pieces, 2)) > len(pieces), "or the report does not show that patterns can be divided"
    executor = chosen(Execution(kind, 2), print)
    assert built(folder, tmp_path / "report", executor).problems == ()
    assert contents(tmp_path / "report") == contents(report)


@pytest.mark.slow
def test_a_long_build_computes_in_several_processes_and_gives_the_same_report(
    folder: Path, report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reportgen.compute.expectation.SMALL", 0)
    monkeypatch.setattr("reportgen.core.execution.WORTHWHILE", 0)
    monkeypatch.setattr("reportgen.core.execution.usable_cores", lambda: 2)
    said: list[str] = []
    given = {"progress": Progress(False), "say": said.append, "execution": Execution.stated(None, "auto", None)}
    assert build(str(folder / "model.keras"), settings(folder), tmp_path / "report", **given).problems == ()
    assert "2 processes compute at once; --jobs 1 computes in this one, in less memory." in said
    assert json.loads((tmp_path / "report" / "run.json").read_bytes())["processes"] == 2
    assert contents(tmp_path / "report") == contents(report)


def received(job: Job, **changes: Any) -> Workspace:
    return open_job(pickle.dumps(dataclasses.replace(job, **changes)))


def test_a_job_is_refused_by_a_process_that_would_give_other_bytes(folder: Path, tmp_path: Path) -> None:
    image = tmp_path / "image.png"
    image.write_bytes((folder / "0.png").read_bytes())
    job = prepare(str(folder / "model.keras"), settings(folder, **LITTLE, images=(str(image),)))
    assert received(job).plan == job.plan
    for name in ("tensorflow", "keras", "numpy", "pillow", "reportgen", "device", "bfloat16"):
        with pytest.raises(UsageError, match=rf"^{name} is .* here and 0\.1 where the report was planned"):
            received(job, machine={**job.machine, name: "0.1"})
    others = dataclasses.replace(job.plan, settings={**job.plan.settings, "threads": job.threads + 1})
    with pytest.raises(UsageError, match=rf"computes with {job.threads} threads? in this process already"):
        received(job, plan=others)
    with pytest.raises(UsageError, match=r"^the work cannot be read here: "):
        open_job(b"nothing")
    image.write_bytes((folder / "1.png").read_bytes())
    with pytest.raises(ImageError, match=r"^image.png has changed since the report was planned"):
        received(job)


def test_the_number_of_threads_is_stated_and_part_of_every_key(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = prepare(str(folder / "model.keras"), settings(folder, **LITTLE)).plan
    assert one.settings["threads"] == fix_threads()
    monkeypatch.setattr("reportgen.compute.planning.prepare.fix_threads", lambda wanted: 7)
    other = prepare(str(folder / "model.keras"), settings(folder, **LITTLE)).plan
    assert other.settings["threads"] == 7
    initial = {task.key for task in one.tasks if task.kind == TaskKind.INITIAL}
    assert {task.key for task in one.tasks} & {task.key for task in other.tasks} == initial


def test_a_live_model_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="save it and name its file"):
        reportgen.build(randomised(functional(conv(2))), output=tmp_path / "report", jobs=2)
    assert not (tmp_path / "report").exists()


def test_a_job_is_opened_in_another_folder(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    job = prepare("model.keras", settings(folder, **{**LITTLE, "initial": "initial.keras"}, images=("0.png",)))
    sent = pickle.dumps(job.absolute())
    monkeypatch.chdir(tmp_path)
    workspace = open_job(sent)
    assert workspace.fitted("0").shape == (24, 24, 3)
    assert workspace.job.model.initial_weights.keys() == {"near", "far"}
    assert (workspace.job.model.specification, job.model.specification) == (str(folder / "model.keras"), "model.keras")
    held = ModelReference(functional(conv(1)), Settings(hold=("a=b.npy",), weights="w.h5"), (), "").absolute()
    assert held.settings.constant_inputs == {"a": str(tmp_path / "b.npy")}
    assert held.settings.weights == str(tmp_path / "w.h5")
