"""A report to be verified: a folder, an unpacked archive or a zip, as files by name; what cannot be read is named, not raised."""

from __future__ import annotations

import filecmp
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from reportgen.archive import bag
from reportgen.archive.bag import Content, EntryContent, FileContent
from reportgen.core.errors import UsageError
from reportgen.core.store import DAMAGE
from reportgen.report.location import BAG_FILE, FACTS_FILE, PAYLOAD, bag_root, is_archive


@dataclass
class Opened:
    """The files of what is verified.

    Attributes:
        path: where it lies.
        files: of the archive by path relative to it; of a report's folder those of the report, below `data/` as in an archive.
        is_bag: whether there are manifests to compare with.
        differences: what is wrong with the container itself.
    """

    path: Path
    files: Mapping[str, Content] = field(default_factory=dict)
    is_bag: bool = False
    differences: list[str] = field(default_factory=list)

    def read(self, name: str) -> bytes:
        """Return the content of a file.

        Raises:
            KeyError: there is no such file.
            Exception: of many kinds where it is damaged, see `store.DAMAGE`.
        """
        with self.files[name].open() as file:
            return file.read()

    @property
    def report(self) -> dict[str, Content]:
        """The files of the report by path relative to it."""
        return {name.removeprefix(PAYLOAD): each for name, each in self.files.items() if name.startswith(PAYLOAD)}


def opened(path: Path) -> Opened:
    """Open what is to be verified.

    Raises:
        UsageError: there is neither a report nor an archive.
    """
    if path.is_file() and is_archive(path):
        return _zip(path)
    folder = path.parent if path.is_file() and path.name == "index.html" else path
    if not folder.is_dir():
        raise UsageError(f"{path} is neither a report nor an archive.")
    if (folder / BAG_FILE).is_file():
        return Opened(folder, _files(folder, ""), is_bag=True)
    if not (folder / FACTS_FILE).is_file() and not (folder / ".store").is_dir():
        raise UsageError(f"{folder} holds no report: there is no {FACTS_FILE}.")
    return Opened(folder, _files(folder, PAYLOAD))


def _files(folder: Path, prefix: str) -> dict[str, Content]:
    return {
        prefix + path.relative_to(folder).as_posix(): FileContent(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _zip(path: Path) -> Opened:
    found = Opened(path, is_bag=True)
    try:
        archive = zipfile.ZipFile(path)
        entries = archive.infolist()
        root = bag_root(archive)
    except DAMAGE as error:
        found.differences.append(f"{path.name} cannot be read as a zip: {error}")
        return found
    if root is None:
        found.differences.append(f"{path.name} has no BagIt bag: there is no {BAG_FILE}")
        return found
    names = [entry.filename for entry in entries if not entry.is_dir()]
    for name in sorted({name for name in names if names.count(name) > 1 or not _is_inside(name)}):
        found.differences.append(f"{path.name} has the entry {name!r}, which no archive of reportgen has")
    found.files = {
        entry.filename.removeprefix(root): EntryContent(archive, entry)
        for entry in entries
        if not entry.is_dir() and entry.filename.startswith(root) and _is_inside(entry.filename)
    }
    if not found.differences:
        found.differences += _structure(path, archive, found.files, root)
    return found


def _structure(path: Path, archive: zipfile.ZipFile, files: Mapping[str, Content], root: str) -> list[str]:
    """What is not as `reportgen archive` writes a zip of these files: nothing where every byte is."""
    if root:
        return []  # packed again by another program: only its contents can be compared
    try:
        with tempfile.TemporaryDirectory() as folder:
            again = Path(folder) / "again.zip"
            with again.open("wb") as file:
                bag.write_zip(file, files)
            if filecmp.cmp(path, again, shallow=False):
                return []
            return [
                f"{path.name} is not packed as reportgen packs these files: {_first_difference(path, again, archive)}"
            ]
    except DAMAGE as error:
        return [f"{path.name} is damaged: {error}"]


def _first_difference(path: Path, again: Path, archive: zipfile.ZipFile) -> str:
    """Where the first byte that differs is."""
    place = 0
    with path.open("rb") as one, again.open("rb") as other:
        while (block := one.read(1 << 16)) == (wanted := other.read(1 << 16)) and block:
            place += len(block)
        place += next(
            (at for at, (a, b) in enumerate(zip(block, wanted, strict=False)) if a != b), min(len(block), len(wanted))
        )
    before = [entry for entry in archive.infolist() if entry.header_offset <= place]
    where = max(before, key=lambda entry: entry.header_offset).filename if before else "its start"
    return f"byte {place} differs" + (
        ", in the directory at its end" if place >= archive.start_dir else f", at {where}"
    )


def _is_inside(name: str) -> bool:
    """Whether a name stays inside of the folder that it would be unpacked into."""
    return not name.startswith("/") and "\\" not in name and not {"", ".", ".."}.intersection(name.split("/"))
