"""The story of a report: load, walk, plan, compute, render, assemble."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reportgen.core.errors import OutputError
from reportgen.core.progress import Progress
from reportgen.core.run import Run
from reportgen.core.settings import Settings
from reportgen.core.store import Store
from reportgen.inputs.images import check_named
from reportgen.report.assemble import assemble
from reportgen.report.theme import load_look

MODEL_SUFFIXES = (".keras", ".h5", ".hdf5")  # a dot in `package.module:callable` starts none
PLAN_FORMATS, REPORT_SCHEMAS = "reportgen-plan/", "reportgen/"  # how our files name themselves, in every version
Say = Callable[[str], None]


@dataclass(frozen=True)
class Built:
    """A finished report. problems: one sentence for each thing that failed in it; none where all is well.

    Taken for a path (`open`, `shutil.copy`, `Path`) it is its first page, `index`.
    """

    index: Path
    problems: tuple[str, ...]

    def __fspath__(self) -> str:
        """The first page's path as text."""
        return str(self.index)


def build(
    specification: Any,
    settings: Settings,
    output: Path | None = None,
    *,
    force: bool = False,
    progress: Progress,
    say: Say,
) -> Built:
    """The report of the model that `specification` names or is, in the folder `output`. `say` receives warnings and notes.

    Raises ReportgenError where there is nothing to report; an earlier report in the folder is then as it was.
    """
    started = time.perf_counter()
    folder = output if output is not None else Path("reports") / default_name(specification)
    check_output(folder, force)
    look = load_look(*(None if path is None else Path(path) for path in (settings.template, settings.css)))
    check_named(settings.images)
    from reportgen.compute.prepare import prepare  # brings TensorFlow in: nothing above needs it

    if isinstance(specification, str):
        say(f"loading {specification}")
    job = prepare(specification, settings)
    for sentence in (job.plan.contract.warning, *job.plan.notes):
        if sentence is not None:
            say(sentence)
    store = Store(folder)
    try:
        store.save_plan(job.plan)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror}.") from error
    try:
        with Run(folder, job.plan, store, progress, started) as run:
            job.compute(run)
            written = assemble(
                folder, look=look, progress=lambda done, total, what: progress.doing(f"writing pages: {what}")
            )
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror}; what was computed is kept.") from error
    for sentence in written.notes:
        say(sentence)
    return Built(written.index, written.problems)


def default_name(specification: Any) -> str:
    """The folder name for a model: from what names it, or from a live model's own name."""
    from reportgen.core.slugs import unique_slugs

    if not isinstance(specification, (str, os.PathLike)):
        return unique_slugs([str(getattr(specification, "name", "model"))])[0]
    specification = os.fspath(specification)
    path = Path(specification)
    tail = path.stem if path.suffix.lower() in MODEL_SUFFIXES or path.is_file() else specification.rpartition(":")[2]
    return unique_slugs([tail])[0]


def check_output(folder: Path, force: bool) -> None:
    """Raise OutputError where `folder` is not a report of ours (unless `force`) or cannot be written."""
    try:
        folder.exists()
    except OSError as error:  # a name too long for any file system
        raise OutputError(
            f"{folder.name[:40]}… cannot be a folder: {error.strerror}; name another with --output."
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
    """Whether `folder` holds a report of ours, finished or not."""
    plan, report = _stated(folder / ".store" / "plan.json", "format"), _stated(folder / "report.json", "schema")
    return plan.startswith(PLAN_FORMATS) or report.startswith(REPORT_SCHEMAS)


def _stated(path: Path, key: str) -> str:
    """What the JSON object in a file says under `key`; "" where there is no such file, object or text."""
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return ""
    text = data.get(key) if isinstance(data, dict) else None
    return text if isinstance(text, str) else ""
