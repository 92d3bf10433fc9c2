"""Which files of a report an archive has: what it shows, and the stored arrays that `assemble` needs; not times, not older runs."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reportgen.core.distributions import FILE as DISTRIBUTIONS
from reportgen.core.errors import UsageError, few
from reportgen.core.lock import writing
from reportgen.core.store import Store
from reportgen.report.location import FACTS_FILE
from reportgen.report.writing import REMOVABLE, WRITTEN

INDEX = "index.html"
PLAN = ".store/plan.json"


def report_files(folder: Path) -> dict[str, Path]:
    """Return the files of a finished report that an archive has, by path relative to the report.

    Args:
        folder: of the report.

    Raises:
        UsageError: files of the report are missing.
        StoreError: there is no stored run.
    """
    store = Store(folder)
    names = {FACTS_FILE, INDEX, PLAN, WRITTEN, *shown_files(folder)}
    if (folder / DISTRIBUTIONS).is_file():
        names.add(DISTRIBUTIONS)
    for task in store.load_plan().tasks:
        stems = (f".store/{task.key[:2]}/{task.key}{suffix}" for suffix in (".npz", ".failed"))
        names.update(name for name in stems if (folder / name).is_file())
    missing = sorted(name for name in names if not (folder / name).is_file())
    if missing:
        raise UsageError(f"the report in {folder} lacks {few(missing)}; run `reportgen assemble {folder}` first.")
    return {name: folder / name for name in sorted(names)}


def shown_files(folder: Path) -> set[str]:
    """Return the relative paths of figures, arrays, pages and assets that the report has by its own list.

    Raises:
        UsageError: there is no such list.
    """
    try:
        names = json.loads((folder / WRITTEN).read_bytes())
        return {name for name in names if REMOVABLE.fullmatch(name)}
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(
            f"the report in {folder} has no list of its files; run `reportgen assemble {folder}` first."
        ) from error


@contextmanager
def unchanging(folder: Path) -> Iterator[None]:
    """Keep other runs from writing to a report's folder; one that this user cannot write to is taken as it is.

    Raises:
        OutputError: another run is writing to it.
    """
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):
            held.enter_context(writing(folder))
        yield
