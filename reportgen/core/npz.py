"""NumPy archives (.npz) with the same bytes for the same arrays, never with pickles."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np

PERMISSIONS, UNIX_ATTRIBUTES = 0o644, 16  # of an entry: read by all, and the bits where ZIP keeps that
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date a ZIP entry can carry: no time of day in the file
COMPRESSION_LEVEL = 1  # of zlib; measured on feature maps: level 6 takes four times as long and saves a twentieth


def pack(
    arrays: Mapping[str, np.ndarray], members: Mapping[str, bytes] | None = None, *, compressed: bool = True
) -> bytes:
    """Return the content of an .npz archive, the same for the same arrays in the same memory order.

    Args:
        arrays: by name, in the order in which they are packed.
        members: further files of the archive by name.
        compressed: whether the arrays are deflated, which takes thirty times as long as writing them.

    Raises:
        ValueError: an array holds Python objects.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.asanyarray(array), allow_pickle=False)
            _add(archive, f"{name}.npy", content.getvalue(), compressed)
        for name, data in (members or {}).items():
            _add(archive, name, data, compressed)
    return buffer.getvalue()


def _add(archive: zipfile.ZipFile, name: str, data: bytes, compressed: bool) -> None:
    entry = zipfile.ZipInfo(name, ZIP_EPOCH)
    entry.external_attr = PERMISSIONS << UNIX_ATTRIBUTES
    archive.writestr(entry, data, zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED, COMPRESSION_LEVEL)


def unpack_one(path: Path | IO[bytes], name: str) -> np.ndarray:
    """Read one array of an archive that `pack` made.

    Raises:
        Exception: of many kinds where the file is damaged, see `store.DAMAGE`.
    """
    with zipfile.ZipFile(path) as archive:
        return np.lib.format.read_array(io.BytesIO(archive.read(f"{name}.npy")), allow_pickle=False)


def unpack(path: Path | IO[bytes]) -> tuple[dict[str, np.ndarray], dict[str, bytes]]:
    """Read an archive that `pack` made.

    Returns:
        The arrays by name, and the further files by name.

    Raises:
        Exception: of many kinds where the file is damaged, see `store.DAMAGE`.
    """
    arrays: dict[str, np.ndarray] = {}
    members: dict[str, bytes] = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            data = archive.read(name)
            if name.endswith(".npy"):
                arrays[name.removesuffix(".npy")] = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
            else:
                members[name] = data
    return arrays, members
