"""The reports below a folder: folders, archives, and archives that were unpacked."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

from reportgen.core.store import DAMAGE
from reportgen.report.location import BAG_FILE, FACTS_FILE, bag_root

MARKS = (
    FACTS_FILE,
    BAG_FILE,
    ".store/plan.json",
)  # one of these is in the folder of every report, the last in unfinished ones
DIGITS = re.compile(r"(\d+)")


def find(folder: Path) -> list[Path]:
    """Return the reports below a folder, in the order of their names.

    Args:
        folder: to be searched, whatever is hidden and what lies inside of a report left out.

    Returns:
        Folders and zips, also those that turn out to be damaged.
    """
    return sorted(_below(folder), key=lambda path: natural(path.relative_to(folder).as_posix()))


def natural(name: str) -> tuple[tuple[int, str], ...]:
    """Return a key by which names are sorted with numbers in their order: `epoch-9` before `epoch-10`."""
    parts = DIGITS.split(name)
    return tuple((int(part), part) if at % 2 else (-1, part.casefold()) for at, part in enumerate(parts))


def is_report(folder: Path) -> bool:
    """Return whether a folder is that of a report, finished or not."""
    return any((folder / mark).is_file() for mark in MARKS)


def _below(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        here = Path(place)
        own = [name for name in folders if not name.startswith(".")]
        reports = [name for name in own if is_report(here / name)]
        yield from (here / name for name in reports)
        yield from (here / name for name in files if not name.startswith(".") and _is_archive(here / name))
        folders[:] = [name for name in own if name not in reports]


def _is_archive(path: Path) -> bool:
    """Whether a zip has a BagIt bag, or cannot be read: then it may have had one."""
    if path.suffix.lower() != ".zip":
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return bag_root(archive) is not None
    except DAMAGE:
        return True
