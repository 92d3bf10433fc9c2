"""A second process that reads HDF5 files first: on damaged ones the library can crash or never return, which then ends that process only.

Run as a program this module is that process: it takes one JSON list [path, member of a ZIP archive or null] per line on stdin, and writes a
line to stdout when it is ready and after each file.
"""

from __future__ import annotations

import atexit
import json
import queue
import subprocess
import sys
import threading
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

TIMEOUT = 60.0  # seconds for a small file; the slowest seen takes a hundredth on a busy machine
BYTES_PER_SECOND = 10 << 20  # of a slow disk, for large ones
MEMORY = 4 << 30  # bytes beside the file's own size: damaged sizes ask for more
SKIPPED = (
    256 << 20
)  # bytes of an array that is not read where the file is smaller: it is refused later for its stated size


class DamagedError(ValueError):
    """A file on which the HDF5 library crashes or does not return."""


class Reader:
    """The second process, started when it is first needed and again after it has died."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None

    def read(self, path: Path, member: str | None) -> None:
        """Let the process read a file.

        Raises:
            DamagedError: the process died or did not return.
            OSError: there is no file.
        """
        timeout = TIMEOUT + path.stat().st_size / BYTES_PER_SECOND
        used = self.process is not None
        reply = self._reply(path, member, timeout)
        if reply == b"" and used:  # what killed a process that had read other files need not be this one
            reply = self._reply(path, member, timeout)
        if not reply:
            raise DamagedError("reading it does not end" if reply is None else "the HDF5 library crashes on it")

    def _reply(self, path: Path, member: str | None, timeout: float) -> bytes | None:
        """Return the line that the process writes: empty where it died, None where it wrote nothing for `timeout` seconds."""
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        reply: bytes | None = b""
        try:
            process.stdin.write(json.dumps([str(path.resolve()), member]).encode() + b"\n")
            process.stdin.flush()
            lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
            # In a thread, since not every system can wait for a pipe; when the process ends, it ends too.
            threading.Thread(target=lambda pipe=process.stdout: lines.put(pipe.readline()), daemon=True).start()
            reply = _next(lines, timeout)
        except BrokenPipeError:
            pass
        finally:
            if not reply:  # also when interrupted: a reply that was not read would be taken for that of the next file
                self.stop()
        return reply

    def _started(self) -> subprocess.Popen[bytes]:
        if self.process is None or self.process.poll() is not None:
            self.stop()
            self.process = subprocess.Popen(
                [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            assert self.process.stdout is not None
            self.process.stdout.readline()  # it is ready: starting it does not count as reading a file
        return self.process

    def stop(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            for pipe in (self.process.stdin, self.process.stdout):
                if pipe is not None:
                    try:
                        pipe.close()
                    except BrokenPipeError:  # what was never read
                        pass
            self.process = None


def _next(lines: queue.SimpleQueue[bytes], timeout: float) -> bytes | None:
    try:
        return lines.get(timeout=timeout)
    except queue.Empty:
        return None


READER = Reader()
atexit.register(READER.stop)


def probe(path: Path, member: str | None = None) -> None:
    """Read a whole HDF5 file in a second process. Errors that the library itself raises are left to the next reader of the file.

    Args:
        path: of the file, or of a ZIP archive.
        member: of the archive, that is an HDF5 file.

    Raises:
        DamagedError: the library crashes or does not return.
        OSError: there is no file.
    """
    READER.read(path, member)


def _serve() -> None:
    """Read files until stdin is closed."""
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
        except Exception:  # raised by the library; the next reader will meet it, too
            pass
        print("read", flush=True)


def _read_all(file: Any, size: int) -> None:
    """Read every attribute and array of an HDF5 file of `size` bytes."""
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
    """Return whether an array lies in its file, which has `size` bytes, and is not larger than allowed."""
    return (
        not dataset.external and not dataset.is_virtual and dataset.dtype.itemsize * dataset.size <= max(size, SKIPPED)
    )


if __name__ == "__main__":
    _serve()
