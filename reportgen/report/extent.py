"""The size of a report on disk, in words: the same on the first page and in the terminal."""

from __future__ import annotations

from dataclasses import dataclass

from reportgen.render.text import data_size, plural


@dataclass(frozen=True)
class Extent:
    """Files and bytes of a report's folder.

    Not counted: run.json and the bookkeeping in .store, a few kilobytes that differ from run to run.

    Attributes:
        files: of the pages, figures and arrays; `size` in bytes.
        stored: files in .store; `stored_size` in bytes.
        one_file: whether the first page holds all pages and figures.
    """

    files: int
    size: int
    stored: int
    stored_size: int
    one_file: bool = False

    @property
    def words(self) -> str:
        """Number of files and size of the folder, and of the store in it."""
        cache = f", of which .store, the cache for later builds, has {data_size(self.stored_size)}"
        return f"{plural(self.files + self.stored, 'file')}, {data_size(self.size + self.stored_size)}{cache if self.stored else ''}"

    @property
    def sentence(self) -> str:
        """The same as a sentence of the first page."""
        if self.one_file:
            return f"This file has all pages and figures; report.json and the arrays lie beside it. Report size: {self.words}."
        return f"Report size: {self.words}."
