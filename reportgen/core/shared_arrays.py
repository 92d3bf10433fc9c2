"""Arrays that a report has once: what a stored task notes of those that lie in the report's own files, and how they are read there."""

from __future__ import annotations

import io
import re
import zlib
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from reportgen.core.npz import unpack, unpack_one

Arrays = Mapping[str, np.ndarray]
SMALLEST = 2048  # bytes of an array: below, the note is no smaller than what it stands for
RECENT = 3  # arrays of a file that are kept in memory, since several tasks have rows of them: patterns and two kinds of strongest
ARCHIVE = ".npz"
SHAREABLE = re.compile(
    r"(?:data|figures)(?:/[a-z0-9_-][a-z0-9_.-]*)+"
)  # whatever a note contains, nothing else is read


def checksum(array: np.ndarray) -> int:
    """Return the CRC-32 of an array's values, whatever their order in memory."""
    return zlib.crc32(np.ascontiguousarray(array).data)


class SharedFiles:
    """Files of a report by relative path, with the arrays that each has.

    A PNG file is one array of its bytes, whose name is empty.
    """

    def __init__(self, files: Mapping[str, Arrays]) -> None:
        """Take the files as they were just written."""
        self.paths = sorted(files)
        self._arrays = [(path, name, array) for path in self.paths for name, array in files[path].items()]
        self._wholes = {_kind(array): (path, name) for path, name, array in reversed(self._arrays)}
        self._rows: dict[Any, dict[int, tuple[str, str, int]]] = {}

    def noted(self, arrays: Arrays) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Divide the arrays of a task.

        Args:
            arrays: by name.

        Returns:
            (arrays, note): what no file has, of an array of rows the rows that none has; and where the others lie, as JSON.
        """
        own, notes = dict(arrays), {}
        for name, array in arrays.items():
            if array.nbytes < SMALLEST:
                continue
            whole = self._wholes.get(_kind(array))
            if whole is not None:
                del own[name]
                notes[name] = {"crc": checksum(array), "whole": list(whole)}
                continue
            rows = self._rows_like(array)
            places = [rows.get(checksum(row)) for row in array] if rows else []
            if any(places):
                own[name] = array[[place is None for place in places]]
                notes[name] = {
                    "crc": checksum(array),
                    "rows": [None if place is None else list(place) for place in places],
                }
        return own, {"files": self.paths, "order": list(arrays), "arrays": notes}

    def _rows_like(self, array: np.ndarray) -> dict[int, tuple[str, str, int]]:
        kind = array.dtype.str, array.shape[1:]
        if kind not in self._rows:
            self._rows[kind] = {
                checksum(row): (path, name, number)
                for path, name, one in reversed(self._arrays)
                if (one.dtype.str, one.shape[1:]) == kind and one.ndim > 1
                for number, row in enumerate(one)
            }
        return self._rows[kind]


class SharedReader:
    """Reads arrays where notes say that they lie."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._recent: deque[tuple[Any, np.ndarray]] = deque(maxlen=RECENT)

    def completed(self, own: Arrays, note: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Return all arrays of a task.

        Args:
            own: those stored with it.
            note: by `SharedFiles.noted`.

        Raises:
            ValueError: a file has other values now.
            Exception: of many kinds where a file is missing or damaged, see `store.DAMAGE`.
        """
        made = {}
        for name in note["order"]:
            noted = note["arrays"].get(name)
            if noted is None:
                made[name] = own[name]
                continue
            if "whole" in noted:
                made[name] = self._read(*noted["whole"])
            else:
                left = iter(own[name])
                rows = [next(left) if row is None else self._remembered(*row[:2])[row[2]] for row in noted["rows"]]
                made[name] = np.stack(rows)
            if checksum(made[name]) != noted["crc"]:
                raise ValueError(f"{name} is no longer what it was")
        return made

    def survives(self, note: Mapping[str, Any], relative: str, data: bytes) -> bool:
        """Return whether what a note says of a file will hold once the file's content is `data`.

        Raises:
            Exception: as `completed` does.
        """
        pieces: list[tuple[str, str, int | None]] = []
        for noted in note["arrays"].values():
            if None in noted.get("rows", ()):  # what no file had may be there then
                return False
            pieces += [(*noted["whole"], None)] if "whole" in noted else noted["rows"]
        new = unpack(io.BytesIO(data))[0] if relative.endswith(ARCHIVE) else {"": np.frombuffer(data, np.uint8)}
        for path, name, row in pieces:
            if path != relative:
                continue
            old = self._remembered(path, name)
            if name not in new or (row is not None and row >= len(new[name])):
                return False
            if _kind(new[name] if row is None else new[name][row]) != _kind(old if row is None else old[row]):
                return False
        return True

    def _read(self, relative: str, name: str) -> np.ndarray:
        if not SHAREABLE.fullmatch(relative):
            raise ValueError(f"{relative} is no file of a report")
        path = self._folder / relative
        return unpack_one(path, name) if name else np.frombuffer(path.read_bytes(), np.uint8)

    def _remembered(self, relative: str, name: str) -> np.ndarray:
        found = (self._folder / relative).stat()
        key = relative, name, found.st_mtime_ns, found.st_size
        for known, array in self._recent:
            if known == key:
                return array
        array = self._read(relative, name)
        self._recent.append((key, array))
        return array


def _kind(array: np.ndarray) -> tuple[Any, ...]:
    return array.dtype.str, array.shape, checksum(array)
