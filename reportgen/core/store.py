"""Finished tasks on disk by key: written atomically, read by a later run or by `assemble`."""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from reportgen.core.errors import StoreError
from reportgen.core.npz import pack, unpack, write_atomically
from reportgen.core.records import Plan

PLAN_FORMAT = "reportgen-plan/2"
FACTS = "facts.json"
# What reading a damaged archive can raise: no two places in a ZIP fail alike.
DAMAGE = (
    OSError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    KeyError,
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
    """The folder `.store` of a report: one .npz per task, named by its key, and the plan of the latest run."""

    def __init__(self, report_folder: Path) -> None:
        self.folder = report_folder / ".store"

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.npz"

    def has(self, key: str) -> bool:
        """Return whether the task is finished and readable; a damaged file counts as missing."""
        try:
            with zipfile.ZipFile(self._path(key)) as archive:
                return FACTS in archive.namelist() and archive.testzip() is None
        except DAMAGE:
            return False

    def save(self, key: str, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
        """Keep a finished task.

        Args:
            key: the task's.
            arrays: by name.
            facts: plain JSON values.

        Raises:
            OSError: the file cannot be written.
        """
        write_atomically(self._path(key), pack(arrays, {FACTS: json_bytes(facts)}))
        self._failure_path(key).unlink(missing_ok=True)

    def load(self, key: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return the arrays and facts of a finished task.

        Raises:
            StoreError: the task is missing or damaged.
        """
        try:
            arrays, members = unpack(self._path(key))
            return arrays, json.loads(members[FACTS])
        except DAMAGE as error:
            raise StoreError(f"stored task {key} cannot be read: {error}") from error

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
        write_atomically(self.folder / "plan.json", json_bytes({"format": PLAN_FORMAT, **plan.to_json()}))

    def load_plan(self) -> Plan:
        """Return the plan of the latest run.

        Raises:
            StoreError: there is none that this version can read.
        """
        path = self.folder / "plan.json"
        try:
            data = json.loads(path.read_bytes())
            if data.pop("format") != PLAN_FORMAT:
                raise StoreError(
                    f"{path.name} was written by another version of reportgen; run `reportgen build` again."
                )
            return Plan.from_json(data)
        except FileNotFoundError as error:
            raise StoreError("there is no stored report in this folder; run `reportgen build` first.") from error
        except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise StoreError(f"the stored plan cannot be read ({error}); run `reportgen build` again.") from error
