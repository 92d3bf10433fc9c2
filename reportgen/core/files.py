"""Files written so that no reader, and no process that is killed, leaves half of one."""

from __future__ import annotations

import os
import re
from pathlib import Path

PARTIAL = re.compile(r"\..+\.\d+\.tmp")


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never a part of it.

    Args:
        path: the file; its folder is made where there is none.
        data: the content.

    Raises:
        OSError: the file cannot be written; the old one is then as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")  # a name by PARTIAL
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def is_partial(path: Path) -> bool:
    """Return whether this is what `write_atomically` leaves where its process is killed."""
    return PARTIAL.fullmatch(path.name) is not None and path.is_file()
