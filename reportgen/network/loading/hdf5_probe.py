"""A second process that reads HDF5 files first: on damaged ones the library can crash or never return, and then it is that process's end.

Run as a program it is that process: a JSON list [path, member of a ZIP archive or null] a line on stdin; on stdout a line when it is
ready, and a line for each when all is read.
"""

from __future__ import annotations

import atexit
import json
import select
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

PATIENCE = 60.0  # seconds for a small file; the slowest seen takes a hundredth on a busy machine
BYTES_PER_SECOND = 10 << 20  # of a slow disk, for large ones
MEMORY = 4 << 30  # bytes beside the file's own size: damaged sizes ask for more
SKIPPED = (
    256 << 20
)  # bytes of an array that is not read where the file is smaller: it is refused later for what it claims to be


class DamagedError(ValueError):
    """A file on which the HDF5 library crashes or does not end."""


class _Reader:
    """The second process, started when it is first needed and again after it has died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def read(self, path: Path, member: str | None) -> None:
        """Let the process read a file. Raises DamagedError, and OSError where there is no file."""
        patience = PATIENCE + path.stat().st_size / BYTES_PER_SECOND
        used = self._process is not None
        answer = self._answer(path, member, patience)
        if answer == b"" and used:  # what killed a process that had read other files need not be this one
            answer = self._answer(path, member, patience)
        if not answer:
            raise DamagedError("reading it does not end" if answer is None else "the HDF5 library crashes on it")

    def _answer(self, path: Path, member: str | None, patience: float) -> bytes | None:
        """The line that the process answers: empty where it died, None where it said nothing for `patience` seconds."""
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        answer: bytes | None = b""
        try:
            process.stdin.write(json.dumps([str(path.resolve()), member]).encode() + b"\n")
            process.stdin.flush()
            ready, _, _ = select.select([process.stdout], [], [], patience)
            answer = process.stdout.readline() if ready else None
        except BrokenPipeError:
            pass
        finally:
            if not answer:  # interrupted, too: an answer that nobody waited for would be taken for the next file's
                self.stop()
        return answer

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.stop()
            self._process = subprocess.Popen(
                [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            assert self._process.stdout is not None
            self._process.stdout.readline()  # it is ready: starting it is no part of a file's time
        return self._process

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    try:
                        pipe.close()
                    except BrokenPipeError:  # what was never read
                        pass
            self._process = None


_READER = _Reader()
atexit.register(_READER.stop)


def probe(path: Path, member: str | None = None) -> None:
    """Read an HDF5 file, or a member of a ZIP archive that is one, in a second process, whole. Raises DamagedError where that fails.

    Errors that the library states are left to who reads the file next.
    """
    _READER.read(path, member)


def _serve() -> None:
    import h5py

    try:
        import resource
    except ImportError:  # not on Windows
        resource = None  # type: ignore[assignment]
    print("ready", flush=True)
    for line in sys.stdin:
        path, member = json.loads(line)
        try:
            size = Path(path).stat().st_size
            if resource is not None:
                resource.setrlimit(resource.RLIMIT_AS, (MEMORY + 4 * size, resource.getrlimit(resource.RLIMIT_AS)[1]))
            source: Any = path
            if member is not None:
                with zipfile.ZipFile(path) as archive:
                    source = BytesIO(archive.read(member))
            with h5py.File(source, "r") as file:
                _read_all(file, size)
        except Exception:  # stated; the next reader will meet it, too
            pass
        print("read", flush=True)


def _read_all(file: Any, size: int) -> None:
    import h5py

    waiting, seen = [file], set()
    while waiting:
        item = waiting.pop()
        address = h5py.h5o.get_info(item.id).addr
        if address in seen:
            continue
        seen.add(address)
        for name in item.attrs:
            item.attrs[name]
        if isinstance(item, h5py.Group):
            waiting.extend(item[name] for name in item if isinstance(item.get(name, getlink=True), h5py.HardLink))
        elif isinstance(item, h5py.Dataset) and _is_readable(item, size):
            item[()]


def _is_readable(dataset: Any, size: int) -> bool:
    """Whether an array lies in its file, which has `size` bytes, and is no larger than it may be."""
    return (
        not dataset.external and not dataset.is_virtual and dataset.dtype.itemsize * dataset.size <= max(size, SKIPPED)
    )


if __name__ == "__main__":
    _serve()
