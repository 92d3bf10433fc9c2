"""BagIt bags (RFC 8493): manifests that `sha256sum -c` accepts, and the zip of a bag with the same bytes for the same files."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Protocol

from reportgen.core.npz import PERMISSIONS, UNIX_ATTRIBUTES, ZIP_EPOCH

DECLARATION = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
BAGIT, INFO = "bagit.txt", "bag-info.txt"
MANIFEST, TAG_MANIFEST = "manifest-sha256.txt", "tagmanifest-sha256.txt"
LINE = re.compile(r"([0-9a-f]{64})  (\S.*)")
REGULAR_FILE = 0o100000  # of a Unix mode
UNIX = 3  # the system that an entry's attributes are of, whatever system packs it


class Content(Protocol):
    """Bytes that can be read again and again: a file, or an entry of a zip."""

    def open(self) -> IO[bytes]:
        """Open it at its start."""

    @property
    def size(self) -> int:
        """Its length in bytes."""


class FileContent:
    """The content of a file."""

    def __init__(self, path: Path) -> None:
        self.path, self.size = path, path.stat().st_size

    def open(self) -> IO[bytes]:
        """Open the file."""
        return self.path.open("rb")


class BytesContent:
    """Content in memory."""

    def __init__(self, data: bytes) -> None:
        self.data, self.size = data, len(data)

    def open(self) -> IO[bytes]:
        """Open the bytes."""
        return io.BytesIO(self.data)


class EntryContent:
    """The content of a zip's entry."""

    def __init__(self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
        self.archive, self.entry, self.size = archive, entry, entry.file_size

    def open(self) -> IO[bytes]:
        """Open the entry; reading it to its end checks its CRC-32."""
        return self.archive.open(self.entry)


def sha256(content: Content) -> str:
    """Return the SHA-256 of a content, in hexadecimal.

    Raises:
        Exception: of many kinds where it is damaged, see `store.DAMAGE`.
    """
    digest = hashlib.sha256()
    with content.open() as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def manifest(hashes: Mapping[str, str]) -> bytes:
    """Return the text of a manifest: a line for each file, in the order of the paths.

    Args:
        hashes: SHA-256 in hexadecimal by path, relative to the bag, with slashes.
    """
    return "".join(f"{hashes[path]}  {path}\n" for path in sorted(hashes)).encode()


def read_manifest(data: bytes) -> dict[str, str]:
    """Return the hashes by path that a manifest states; lines of another form are passed over."""
    lines = (LINE.fullmatch(line) for line in data.decode(errors="replace").split("\n"))
    return {line[2]: line[1] for line in lines if line is not None}


def info(fields: Iterable[tuple[str, str]]) -> bytes:
    """Return the text of bag-info.txt; a value's line breaks become spaces."""
    return "".join(f"{name}: {' '.join(value.split())}\n" for name, value in fields).encode()


def read_info(data: bytes) -> dict[str, str]:
    """Return the fields of bag-info.txt by name."""
    pairs = (line.partition(": ") for line in data.decode(errors="replace").splitlines())
    return {name: value for name, separator, value in pairs if separator}


def write_zip(file: IO[bytes], contents: Mapping[str, Content]) -> None:
    """Write a zip: entries stored, sorted by name, without dates, the same bytes for the same contents on any machine.

    Raises:
        OSError: a content cannot be read, or the file not written.
    """
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(contents):
            entry = zipfile.ZipInfo(name, ZIP_EPOCH)
            entry.external_attr = (REGULAR_FILE | PERMISSIONS) << UNIX_ATTRIBUTES
            entry.create_system = UNIX
            entry.file_size = contents[name].size
            with contents[name].open() as source, archive.open(entry, "w") as target:
                shutil.copyfileobj(source, target, 1 << 20)
