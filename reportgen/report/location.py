"""Where a finished report lies: in a folder, or in an archive, whose files are read without unpacking it."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

from reportgen.core.errors import UsageError

Folder = Path | zipfile.Path  # both have `/`, is_file, open, read_bytes and read_text
BAG_FILE = "bagit.txt"  # at the top of every BagIt bag
PAYLOAD = "data/"  # of a bag: where the report is
FACTS_FILE = "report.json"


def located(path: str | os.PathLike[str]) -> Folder:
    """Return the folder of a report.

    Args:
        path: the report's folder, a file in it such as its first page, an archive, or the folder that an archive was unpacked into.

    Returns:
        The folder that has report.json where the report is finished.

    Raises:
        UsageError: the archive cannot be read, or holds no report.
    """
    given = Path(path)
    if given.is_file() and is_archive(given):
        return _in_archive(given)
    folder = given.parent if given.is_file() else given
    payload = folder / PAYLOAD
    is_bag = (folder / BAG_FILE).is_file() and not (folder / FACTS_FILE).is_file() and payload.is_dir()
    return payload if is_bag else folder


def is_archive(path: Path) -> bool:
    """Return whether a file is a zip, or was one before it was damaged, going by its name."""
    return path.suffix.lower() == ".zip" or zipfile.is_zipfile(path)


def bag_root(archive: zipfile.ZipFile) -> str | None:
    """Return the folder of a zip that has the bag, "" where that is its top level; None where it has no bag.

    Programs that pack a folder put its name before every file: one such level is accepted.
    """
    found = [
        name
        for name in archive.namelist()
        if name == BAG_FILE or (name.count("/") == 1 and name.endswith(f"/{BAG_FILE}"))
    ]
    return found[0].removesuffix(BAG_FILE) if len(found) == 1 else None


def shown(folder: Folder) -> str:
    """Return how messages name a report: the name of its folder, of an archive the name of the file."""
    return folder.name if isinstance(folder, Path) else Path(str(folder.root.filename)).name


def _in_archive(path: Path) -> zipfile.Path:
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        raise UsageError(f"{path} cannot be read as a zip: {error}.") from error
    root = bag_root(archive)
    if root is None or f"{root}{PAYLOAD}{FACTS_FILE}" not in archive.NameToInfo:
        archive.close()
        raise UsageError(f"{path} is no archive of a report: it has no {PAYLOAD}{FACTS_FILE} in a BagIt bag.")
    return zipfile.Path(archive, f"{root}{PAYLOAD}")
