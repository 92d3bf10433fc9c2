"""The folder of a report: files replaced one by one, and what an older report left behind removed at the end.

Only files that a list in `.store` names are ever removed: the folder may contain the user's own.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from reportgen.core.errors import OutputError
from reportgen.core.files import is_partial, write_atomically
from reportgen.core.store import json_bytes

# What may be removed, whatever the list contains: nothing outside these folders, and no part of a name that is `..`.
REMOVABLE = re.compile(r"(?:layers|images|figures|data|assets)(?:/[a-z0-9_-][a-z0-9_.-]*)+")
WRITTEN = ".store/written.json"
FOLDERS, FILES = (".store", "layers", "images", "figures", "data", "assets"), ("index.html", "report.json", "run.json")


class Output:
    """Where the files of one report go; `write` as often as needed, then `remove_stale` once.

    Attributes:
        kept: the bytes of files that are kept here instead of being written, by relative path.
    """

    def __init__(
        self,
        folder: Path,
        keeps: tuple[str, ...] = (),
        before_change: Callable[[str, bytes | None], None] = lambda relative, data: None,
    ) -> None:
        """Nothing is written yet.

        Args:
            folder: need not exist.
            keeps: files whose paths begin with one of these are kept and not written.
            before_change: called before a file that exists changes, with its relative path and its content to come, None of one that
                is removed.
        """
        self.folder = folder
        self.kept: dict[str, bytes] = {}
        self._keeps = keeps
        self._before_change = before_change
        self._earlier = _listed(folder / WRITTEN)
        self._written: dict[str, int] = {}  # bytes of each file

    @property
    def keeps(self) -> bool:
        """Whether any file is kept here instead of being written."""
        return bool(self._keeps)

    def beside(self, *names: str) -> tuple[int, int]:
        """Return how many files were written beside those at `names`, and their bytes."""
        sizes = [size for name, size in self._written.items() if name not in names]
        return len(sizes), sum(sizes)

    def write(self, relative: str, data: bytes) -> None:
        """Replace the file at `relative` (with slashes, inside the folder) unless it already has these bytes.

        Raises:
            OutputError: it cannot be written; the message names the file by `relative`.
        """
        if relative.startswith(self._keeps):
            self.kept[relative] = data
            return
        self._replace(relative, data)
        self._written[relative] = len(data)

    def content(self, relative: str) -> bytes:
        """Return a file that was written or kept.

        Raises:
            OSError: it cannot be read.
        """
        return self.kept[relative] if relative in self.kept else (self.folder / relative).read_bytes()

    def withdraw(self, relative: str) -> None:
        """Remove a file at once.

        Raises:
            OutputError: it cannot be removed.
        """
        self._remove(relative)

    def remember(self) -> None:
        """List what was written so far beside what an earlier list names: for a run that ends before it is done."""
        with contextlib.suppress(OutputError):  # the error that ended the run is the one to report
            self._replace(WRITTEN, json_bytes(sorted(self._earlier.union(self._written))))

    def remove_stale(self) -> None:
        """Remove the files that an earlier list names and this report does not have, and folders left empty by that.

        Then list this report's own files. Without an earlier list nothing is removed.

        Raises:
            OutputError: a file cannot be removed.
        """
        for relative in sorted(self._earlier.difference(self._written)):
            self._remove(relative)
        self._replace(WRITTEN, json_bytes(sorted(self._written)))

    def _replace(self, relative: str, data: bytes) -> None:
        path = self.folder / relative
        try:
            if not _has(path, data):
                if path.is_file():
                    self._before_change(relative, data)
                write_atomically(path, data)
        except OSError as error:
            raise OutputError(
                f"{relative} cannot be written in the report's folder ({self._obstacle(relative, error)}); "
                "what was computed is kept."
            ) from error

    def _obstacle(self, relative: str, error: OSError) -> str:
        """What is in the way, without the folder's own path, which `error` names."""
        for parent in reversed(PurePosixPath(relative).parents[:-1]):
            if (self.folder / parent).exists() and not (self.folder / parent).is_dir():
                return f"{parent} is a file"
        return error.strerror if error.strerror is not None else type(error).__name__

    def _remove(self, relative: str) -> None:
        """Remove a file and the folders that this leaves empty; nothing that is reached through a linked folder."""
        path = self.folder / relative
        parents = path.parents[: relative.count("/")]
        if any(parent.is_symlink() for parent in parents) or not (path.is_file() or path.is_symlink()):
            return
        try:
            self._before_change(relative, None)
            path.unlink()
            for parent in parents:
                if any(parent.iterdir()):
                    break
                parent.rmdir()
        except OSError as error:
            raise OutputError(
                f"{relative} of an older report cannot be removed ({error.strerror}); remove it by hand."
            ) from error


def remove_partial(folder: Path) -> None:
    """Remove what processes that were killed left half written; only while the folder's lock is held, or it is another's work."""
    found = [path for name in FOLDERS for path in (folder / name).rglob(".*.tmp")]
    for path in (*found, *(path for name in FILES for path in folder.glob(f".{name}.*.tmp"))):
        if is_partial(path):
            with contextlib.suppress(OSError):  # it is only in the way
                path.unlink()


def _listed(path: Path) -> frozenset[str]:
    """The removable files in a list, by relative path; none where there is no list that can be read."""
    try:
        names = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return frozenset()
    if not isinstance(names, list):
        return frozenset()
    return frozenset(name for name in names if isinstance(name, str) and REMOVABLE.fullmatch(name))


def _has(path: Path, data: bytes) -> bool:
    try:
        return path.stat().st_size == len(data) and path.read_bytes() == data
    except OSError:
        return False
