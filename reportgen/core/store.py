"""Finished tasks on disk by key: written atomically, read by a later run or by `assemble`."""

from __future__ import annotations

import contextlib
import json
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from reportgen.core.errors import StoreError
from reportgen.core.files import write_atomically
from reportgen.core.npz import pack, unpack
from reportgen.core.records import Plan
from reportgen.core.shared_arrays import SharedFiles, SharedReader

PLAN_FORMAT = "reportgen-plan/3"
READABLE_FORMATS = (PLAN_FORMAT, "reportgen-plan/2")  # before arrays were shared, every task had its own
FACTS, SHARED, PLAN_FILE = "facts.json", "shared.json", "plan.json"
WHOLE: dict[str, Any] = {"files": []}
# What reading a damaged archive can raise: no two places in a ZIP fail alike.
DAMAGE = (
    OSError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    LookupError,
    TypeError,
    ValueError,
    EOFError,
    NotImplementedError,
    RuntimeError,
)


def json_bytes(data: Any) -> bytes:
    """Return JSON with sorted keys, the same bytes for the same data.

    Raises:
        ValueError: the data has a value that is not finite, which must be null.
    """
    return (json.dumps(data, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode()


class Store:
    """The folder `.store` of a report: one .npz per task, named by its key, and the plan of the latest run.

    A task is first kept whole. Once the report's own files have its arrays, `settle` leaves them to those files; before such a file
    changes, `release` makes the tasks whole again. So each array is on the disk once, and a task can be read at every moment.
    """

    def __init__(self, report_folder: Path) -> None:
        self.folder = report_folder / ".store"
        self._reader = SharedReader(report_folder)
        self._settled: dict[str, list[str]] | None = (
            None  # files by key; None until a file changes and they are looked up
        )

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.npz"

    def has(self, key: str) -> bool:
        """Return whether the task is finished and readable; a damaged file counts as missing."""
        try:
            self.load(key)
        except StoreError:
            return False
        return True

    def save(self, key: str, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
        """Keep a finished task.

        Args:
            key: the task's.
            arrays: by name.
            facts: plain JSON values.

        Raises:
            OSError: the file cannot be written.
        """
        # Not compressed: most of it moves to the report's files, where it is.
        write_atomically(self._path(key), pack(arrays, {FACTS: json_bytes(facts)}, compressed=False))
        self._know(key, [])
        self._failure_path(key).unlink(missing_ok=True)

    def load(self, key: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return the arrays and facts of a finished task.

        Raises:
            StoreError: the task is missing or damaged, or a file of the report that has its arrays.
        """
        try:
            arrays, members = unpack(self._path(key))
            facts = json.loads(members[FACTS])
            return (self._reader.completed(arrays, json.loads(members[SHARED])) if SHARED in members else arrays), facts
        except DAMAGE as error:
            raise StoreError(f"stored task {key} cannot be read: {error}") from error

    def extent(self, keys: Iterable[str]) -> tuple[int, int]:
        """Return how many files the plan and these tasks have in the store, and their bytes; a task that is missing has none."""
        paths = [self.folder / PLAN_FILE, *(self._path(key) for key in set(keys))]
        sizes = [path.stat().st_size for path in paths if path.is_file()]
        return len(sizes), sum(sizes)

    def settle(self, keys: Iterable[str], files: Mapping[str, Mapping[str, np.ndarray]]) -> None:
        """Leave the arrays of tasks to files of the report that have the same, and compress the rest.

        Args:
            keys: of the tasks; those that are missing are passed over.
            files: by path relative to the report, as they are on the disk, with their arrays by name; a PNG file is one array of
                its bytes, whose name is empty.

        Raises:
            OSError: a task cannot be written; it is then as it was.
        """
        shared = SharedFiles(files)
        for key in sorted(set(keys)):
            if self._note(self._path(key))["files"] == shared.paths:
                continue
            try:
                arrays, facts = self.load(key)
            except StoreError:
                continue
            own, note = shared.noted(arrays)
            write_atomically(self._path(key), pack(own, {FACTS: json_bytes(facts), SHARED: json_bytes(note)}))
            self._know(key, shared.paths)

    def release(self, relative: str, data: bytes | None = None) -> None:
        """Make every task whole again that would lose arrays to a change of a file of the report: before it changes.

        Args:
            relative: path of the file.
            data: its coming content; None where it is to be removed.

        Raises:
            OSError: a task cannot be written; the file must not be changed then.
        """
        if self._settled is None:
            self._settled = {path.stem: self._note(path)["files"] for path in sorted(self.folder.glob("*/*.npz"))}
        for key in [key for key, files in self._settled.items() if relative in files]:
            with contextlib.suppress(StoreError):  # lost already
                try:
                    survives = data is not None and self._reader.survives(self._note(self._path(key)), relative, data)
                except DAMAGE:
                    survives = False
                if not survives:
                    self.save(key, *self.load(key))

    def _know(self, key: str, files: list[str]) -> None:
        if self._settled is not None:
            self._settled[key] = files

    def _note(self, path: Path) -> dict[str, Any]:
        """What a task leaves to which files; it is whole where there are none."""
        try:
            with zipfile.ZipFile(path) as archive:
                note: dict[str, Any] = json.loads(archive.read(SHARED))
            return note if isinstance(note["files"], list) else WHOLE
        except DAMAGE:
            return WHOLE

    def _failure_path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.failed"

    def save_failure(self, key: str, reason: str) -> None:
        """Remember why a task failed, until it succeeds."""
        write_atomically(self._failure_path(key), reason.encode())

    def failure(self, key: str) -> str | None:
        """Return why the task failed in the latest run that tried it; None where it did not fail."""
        try:
            return self._failure_path(key).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None

    def save_plan(self, plan: Plan) -> None:
        """Keep the plan, for `assemble`."""
        write_atomically(self.folder / PLAN_FILE, json_bytes({"format": PLAN_FORMAT, **plan.to_json()}))

    def load_plan(self) -> Plan:
        """Return the plan of the latest run.

        Raises:
            StoreError: there is none that this version can read.
        """
        path = self.folder / PLAN_FILE
        try:
            data = json.loads(path.read_bytes())
            if data.pop("format") not in READABLE_FORMATS:
                raise StoreError(
                    f"{path.name} was written by another version of reportgen; run `reportgen build` again."
                )
            return Plan.from_json(data)
        except FileNotFoundError as error:
            raise StoreError("there is no stored report in this folder; run `reportgen build` first.") from error
        except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise StoreError(f"the stored plan cannot be read ({error}); run `reportgen build` again.") from error
