"""NumPy archives (.npz) with the same bytes for the same arrays, never with pickles."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np

PERMISSIONS, UNIX_ATTRIBUTES = 0o644, 16  # of an entry: read by all, and the bits where ZIP keeps that
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date a ZIP entry can carry: no time of day in the file
COMPRESSION_LEVEL = 1  # of zlib; measured on feature maps: level 6 takes four times as long and saves a twentieth
# Weights, maps and pictures hardly recur but for runs of zeros: looking for nothing but runs takes half as long and makes smaller files.
# What does recur, such as weights of few different values, is told by a sample.
STRATEGIES = zlib.Z_RLE, zlib.Z_DEFAULT_STRATEGY
SAMPLE_BYTES, MOST_MEMORY = 2**16, 9  # of an array, by which the strategy is chosen; of zlib, so that blocks are long


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
    entry.compress_type = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    entry.file_size = len(data)
    with archive.open(entry, "w") as member:
        if compressed:
            member._compressor = _compressor(data)  # type: ignore[attr-defined] # zipfile leaves no choice of the strategy
        member.write(data)


def _compressor(data: bytes) -> zlib._Compress:
    """What deflates `data` best, judging by a sample from its middle."""
    sample = data[len(data) // 2 :][:SAMPLE_BYTES]
    return _deflate(min(STRATEGIES, key=lambda each: _size(_deflate(each), sample)))


def _deflate(strategy: int) -> zlib._Compress:
    return zlib.compressobj(COMPRESSION_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS, MOST_MEMORY, strategy)


def _size(compressor: zlib._Compress, data: bytes) -> int:
    return len(compressor.compress(data)) + len(compressor.flush())


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
