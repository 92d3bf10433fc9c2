"""The lock of a report's folder: held by the one process that writes there, and by none once that process is dead.

The operating system holds it, not the content of a file, so nothing is left over after a crash. On network file systems Linux carries it
to the server, where it ends with the connection; a file system that knows no locks gives none.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reportgen.core.errors import OutputError

FILE = "lock"
HELD = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK})  # another process has it


@contextmanager
def writing(folder: Path) -> Iterator[bool]:
    """Hold the lock of a report's folder.

    Args:
        folder: of the report; made where there is none.

    Yields:
        Whether the folder is locked; not where its file system knows no locks.

    Raises:
        OutputError: another process holds the lock.
        OSError: the folder cannot be written.
    """
    path = folder / ".store" / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        yield _taken(file, folder)
    finally:
        os.close(file)  # which gives the lock back; the empty file stays, since who removes it could remove another's


def _taken(file: int, folder: Path) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in HELD:
            raise OutputError(
                f"another run is writing to {folder}; wait until it has ended, or name another folder with --output."
            ) from error
        return False
    return True
