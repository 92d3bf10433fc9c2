"""The pipeline from a model to a finished report: load, plan, compute, write."""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reportgen.core import distributions
from reportgen.core.budget import Budget
from reportgen.core.choices import ExecutorKind
from reportgen.core.errors import ModelError, OutputError, UsageError
from reportgen.core.execution import Execution
from reportgen.core.files import is_partial
from reportgen.core.lock import FILE as LOCK
from reportgen.core.lock import writing
from reportgen.core.progress import Progress
from reportgen.core.records import Plan
from reportgen.core.run import Run
from reportgen.core.settings import Settings
from reportgen.core.shard import Shard, unmark
from reportgen.core.store import Store
from reportgen.inputs.image_reader import ImageReader
from reportgen.inputs.images import check_named
from reportgen.inputs.samples import UNIT
from reportgen.render.wording import stopped
from reportgen.report import tables
from reportgen.report.assemble import AssembleResult, Assembly
from reportgen.report.early_pages import EarlyPages
from reportgen.report.theme import Look, load_look
from reportgen.report.writing import remove_partial

if TYPE_CHECKING:
    from reportgen.compute.executors import Executor
    from reportgen.compute.work import Job
    from reportgen.inputs.dataset import Dataset

STORE = ".store"
MODEL_SUFFIXES = (".keras", ".h5", ".hdf5")  # a dot in `package.module:callable` starts none
PLAN_FORMATS, REPORT_SCHEMAS = "reportgen-plan/", "reportgen/"  # how our files name themselves, in every version
LONGEST_SHOWN = 40  # characters of a folder's name that is too long for the file system
IN_PROCESS = Execution()
Say = Callable[[str], None]


@dataclass(frozen=True)
class Built:
    """A finished report; taken for a path (`open`, `shutil.copy`, `Path`) it is its first page.

    Attributes:
        index: the first page; of a shard, which has no pages, its folder.
        problems: one sentence for each thing that failed in the report; none where all is well.
        summary: what is in the report in numbers, and its size, each a clause; None of a shard.
    """

    index: Path
    problems: tuple[str, ...]
    summary: tuple[str, str] | None = None

    def __fspath__(self) -> str:
        """Return the first page's path as text."""
        return str(self.index)


def build(
    specification: Any,
    settings: Settings,
    output: Path | None = None,
    *,
    force: bool = False,
    progress: Progress,
    say: Say,
    execution: Execution = IN_PROCESS,
    executor: Executor | None = None,
    shard: Shard | None = None,
    budget: Budget | None = None,
    expect: bool = False,
    accept: Callable[[Plan], None] = lambda plan: None,
) -> Built:
    """Write the report of a model, or compute a shard of it.

    Args:
        specification: a live Keras model, or what names one.
        settings: all choices of the user.
        output: the report's folder; `reports/<model name>` where it is None.
        force: whether the folder may hold something other than a report.
        progress: the bar.
        say: receives warnings and notes, one sentence each.
        execution: where what the store lacks is computed.
        executor: computes it instead of the one that `execution` names.
        shard: the part of the report to compute, without its pages; None for the whole.
        budget: the time that `quality` and `filters` are chosen for; None where all settings stay as they are.
        expect: whether to measure and say how long it is expected to take.
        accept: raises ReportgenError for a plan that is not to be computed.

    Returns:
        The first page, and what failed.

    Raises:
        ReportgenError: there is nothing to report; an earlier report in the folder is then as it was.
    """
    started = time.perf_counter()
    name = default_name(specification) + ("" if shard is None else shard.suffix)
    folder = output if output is not None else Path("reports") / name
    check_output(folder, force)
    with ExitStack() as held:
        if (folder / STORE).is_dir():  # a new folder is made only when there is something to write
            _hold(held, folder, say)
        if settings.export is not None:
            tables.check()
        look = load_look(*(None if path is None else Path(path) for path in (settings.template, settings.css)))
        reader = ImageReader()
        check_named(settings.images, UNIT if settings.input_range is None else settings.input_range, reader)

        from reportgen.compute.executors import chosen  # with TensorFlow, which nothing above needs
        from reportgen.compute.expectation import SMALL, Expectation
        from reportgen.compute.opening import check_named as check_model_named
        from reportgen.compute.planning.prepare import prepare

        def aside(sentence: str) -> None:
            with progress.paused():
                say(sentence)

        if execution.kind is not ExecutorKind.IN_PROCESS:
            check_model_named(specification)
        if executor is None and execution.kind is not ExecutorKind.IN_PROCESS:  # now: a scheduler may not be there
            executor = chosen(execution, aside)
        if isinstance(specification, str):
            say(f"loading {specification}")
        expectation = Expectation(settings, budget)
        job = prepare(specification, settings, reader, expectation.choose)
        if _has_changed(specification, job.plan):
            raise ModelError(f"{job.plan.model.source} changed while it was read; run the same command again.")
        accept(job.plan)
        _say_notes(job.plan, say)
        spoken = expect or budget is not None
        settling = executor is None and expectation.may_settle(execution, job, shard)
        if spoken or settling:
            expected = expectation.of(job, folder, shard, SMALL)
            for sentence in expectation.sentences(expected) if spoken else ():
                say(sentence)
            if settling:
                execution = expectation.settled(execution, expected)
        if (note := execution.note(job.threads)) is not None:
            say(note)
        if executor is None:
            executor = chosen(execution, aside)
        with _naming(folder):
            if not (folder / STORE).is_dir():
                _hold(held, folder, say)
            Store(folder).save_plan(job.plan)
            distributions.keep(folder)
            if shard is None:
                unmark(folder)
        with _naming(folder, "; what was computed is kept"):
            if shard is None:
                written = _written(job, folder, look, executor, progress, started, expectation.stated)
            else:
                written = _computed(shard, job, folder, executor, progress, started, expectation.stated)
    if _has_changed(specification, job.plan):
        say(f"{job.plan.model.source} has changed since it was read; the report shows the model as it was then.")
    for sentence in written.notes:
        say(sentence)
    return Built(written.index, written.problems, written.summary)


def _written(
    job: Job,
    folder: Path,
    look: Look,
    executor: Executor,
    progress: Progress,
    started: float,
    expected: Mapping[str, Any] | None,
) -> AssembleResult:
    """Compute what the store lacks, and write pages of what there is: meanwhile, and all that are left at the end."""
    from reportgen.compute.executors import compute
    from reportgen.compute.misclassified import explain_misclassified
    from reportgen.compute.response_statistics import finish

    def tell(done: int, total: int, what: str) -> None:
        progress.doing(f"writing pages: {what}")

    assembly = Assembly(folder, job.plan, look)
    with (
        Run(folder, job.plan, Store(folder), progress, started, expected=expected) as run,
        EarlyPages(assembly, run, tell) as pages,
    ):
        run.watch = pages.update
        pages.update()
        compute(job, run, executor)
        progress.doing("statistics and exemplars of the data set")
        finish(job.plan, Store(folder), run, run.missing, job.dataset)
        explain_misclassified(job, Store(folder), run, run.missing, progress.doing)
        return assembly.finish(tell)


def _computed(
    shard: Shard,
    job: Job,
    folder: Path,
    executor: Executor,
    progress: Progress,
    started: float,
    expected: Mapping[str, Any] | None,
) -> AssembleResult:
    """Compute what the store lacks of a shard, which has no pages."""
    from reportgen.compute.executors import compute
    from reportgen.compute.shards import partition

    keys = partition(job.plan, shard.count)[shard.number - 1]
    shard.mark(folder, keys)
    store = Store(folder)
    with Run(folder, job.plan, store, progress, started, keys, expected) as run:
        compute(job, run, executor)
    return AssembleResult(folder, _failures(job.plan, store, keys), (_next_command(shard, folder),))


def finish_dataset(folder: Path, dataset: str | None) -> None:
    """Sum up what shards have computed on a data set, and cut crops where the data set is there; nothing where that is done.

    Args:
        folder: of the report.
        dataset: what `--dataset` names; None where it is not there.

    Raises:
        StoreError: no run is stored.
        UsageError: the data set is not the one of the report.
        OutputError: a result cannot be written, or another run writes to the folder.
    """
    store = Store(folder)
    plan = store.load_plan()
    if plan.dataset is None:
        return
    from reportgen.compute.response_statistics import FINISHED, StoreKeeper, finish

    missing = {task.key for task in plan.tasks if task.kind in FINISHED and not store.has(task.key)}
    if not missing:
        return

    opened = None if dataset is None else _same_dataset(plan, dataset)
    with writing(folder), _naming(folder):
        finish(plan, store, StoreKeeper(store), missing, opened)


def _same_dataset(plan: Plan, text: str) -> Dataset:
    """The data set of a plan. Raises UsageError where `text` names another."""
    from reportgen.inputs.dataset import open_dataset

    def load(name: str, option: str) -> Any:
        from reportgen.network.loading.load import import_callable  # with TensorFlow, which files do not need

        return import_callable(name, option)

    opened = open_dataset(text, plan.settings.get("dataset_limit"), load)
    if plan.dataset is None or opened.record({}).sha256 != plan.dataset.sha256:
        raise UsageError(f"--dataset {opened.name} is not the data set of this report.")
    return opened


def _next_command(shard: Shard, folder: Path) -> str:
    """Say how a report is made of shards."""
    whole = str(folder).removesuffix(shard.suffix)
    if whole == str(folder):
        return f"{shard} is computed; `reportgen assemble` with the folders of all and --output makes the report."
    name = shlex.quote(whole)
    return f"{shard} is computed; when all are, make the report: reportgen assemble {name}-*-of-{shard.count} -o {name}"


def _failures(plan: Plan, store: Store, keys: Iterable[str]) -> tuple[str, ...]:
    """A sentence for each of these tasks that failed."""
    paths = {layer.slug: layer.path for layer in plan.layers} | {"": "the model"}
    reasons = {key: store.failure(key) for key in keys}
    return tuple(
        stopped(f"{paths[task.layer]}{task.image and f', {task.image}'}: {task.kind.replace('_', ' ')}: {reason}")
        for task in plan.tasks
        if (reason := reasons.pop(task.key, None)) is not None
    )


def _hold(held: ExitStack, folder: Path, say: Say) -> None:
    """Hold the lock of a report's folder, and remove what a run that was killed there has left half written."""
    if not held.enter_context(writing(folder)):
        say(f"the file system of {folder} has no locks; start no second run there until this one has ended.")
    remove_partial(folder)


def _has_changed(specification: Any, plan: Plan) -> bool:
    """Whether a model's file has another content than the one that was read; not where there is no file."""
    from reportgen.network.loading.hashes import file_sha256

    try:
        return plan.model.sha256 is not None and file_sha256(Path(specification)) != plan.model.sha256
    except OSError:
        return False


def _say_notes(plan: Plan, say: Say) -> None:
    for sentence in (plan.contract.warning, *plan.notes):
        if sentence is not None:
            say(sentence)


@contextmanager
def _naming(folder: Path, addition: str = "") -> Iterator[None]:
    """Name the folder where it cannot be written."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror}{addition}.") from error


def default_name(specification: Any) -> str:
    """Return the folder name for a model: from what names it, or from a live model's own name."""
    from reportgen.core.slugs import unique_slugs

    if not isinstance(specification, (str, os.PathLike)):
        return unique_slugs([str(getattr(specification, "name", "model"))])[0]
    specification = os.fspath(specification)
    path = Path(specification)
    tail = path.stem if path.suffix.lower() in MODEL_SUFFIXES or path.is_file() else specification.rpartition(":")[2]
    return unique_slugs([tail])[0]


def check_output(folder: Path, force: bool) -> None:
    """Raise OutputError where `folder` holds something other than a report (unless `force`) or cannot be written."""
    try:
        folder.exists()
    except OSError as error:  # a name too long for any file system
        raise OutputError(
            f"{folder.name[:LONGEST_SHOWN]}… cannot be a folder: {error.strerror}; name another with --output."
        ) from error
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file; name a folder with --output.")
    if folder.is_dir() and any(folder.iterdir()) and not is_report(folder) and not force:
        raise OutputError(
            f"{folder} exists and is not a report of reportgen; name another folder, or add --force to write into it."
        )
    nearest = folder
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise OutputError(f"{folder} cannot be written; name another folder with --output.")


def is_report(folder: Path) -> bool:
    """Return whether `folder` holds a report, finished or not."""
    plan, report = _stated(folder / STORE / "plan.json", "format"), _stated(folder / "report.json", "schema")
    if [path.name for path in folder.iterdir()] == [STORE] and all(
        path.name == LOCK or is_partial(path) for path in (folder / STORE).iterdir()
    ):
        return True  # a run was killed before it had written more
    return plan.startswith(PLAN_FORMATS) or report.startswith(REPORT_SCHEMAS)


def _stated(path: Path, key: str) -> str:
    """Return the text under `key` in the JSON object of a file; "" where there is no such file, object or text."""
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return ""
    text = data.get(key) if isinstance(data, dict) else None
    return text if isinstance(text, str) else ""
