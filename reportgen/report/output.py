"""The folder of a report: files replaced one by one, and what an older report left behind removed at the end."""

from __future__ import annotations

from pathlib import Path

from reportgen.arrays import write_atomically

OWNED = ("layers", "figures", "data", "assets")  # nothing outside these folders is ever removed


class Output:
    """Where the files of one report go; `write` as often as needed, then `remove_stale` once."""

    def __init__(self, folder: Path) -> None:
        """Nothing is written yet; `folder` need not exist."""
        self.folder = folder
        self._written: set[Path] = set()

    def write(self, relative: str, data: bytes) -> None:
        """Replace the file at `relative` (with slashes, inside the folder) unless it already has these bytes."""
        path = self.folder / relative
        self._written.add(path)
        if not _has(path, data):
            write_atomically(path, data)

    def remove_stale(self) -> None:
        """Remove every file in the OWNED folders that was not written through this object, and folders left empty."""
        for name in OWNED:
            top = self.folder / name
            if top.is_dir() and not top.is_symlink():
                self._sweep(top)

    def _sweep(self, folder: Path) -> None:
        for path in sorted(folder.iterdir()):
            if path.is_dir() and not path.is_symlink():
                self._sweep(path)
            elif path not in self._written:
                path.unlink()
        if not any(folder.iterdir()):
            folder.rmdir()


def _has(path: Path, data: bytes) -> bool:
    try:
        return path.stat().st_size == len(data) and path.read_bytes() == data
    except OSError:
        return False
