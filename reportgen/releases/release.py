"""One report of an archive: what it is of, what its user states of it, and its numbers."""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from reportgen.archive.pack import STATEMENT
from reportgen.archive.statement import NOTHING, Statement, parse_statement
from reportgen.artefacts.dataset import ModelOutcome
from reportgen.core.errors import UsageError
from reportgen.core.records import ModelRecord
from reportgen.core.store import DAMAGE
from reportgen.render.text import NOUNS, PERCENT
from reportgen.report.counts import Counts, counts
from reportgen.report.location import FACTS_FILE, PAYLOAD, Folder, located
from reportgen.report.opened import Report

BESIDE = ".statement.toml"  # after the name of a report's folder or archive: what is stated of it
APART = (".store", "run.json")  # of a report's folder: no part of what a reader gets
STATED_ACCURACY = re.compile(r"accuracy\b[^\d\n]{0,20}?(\d+(?:\.\d+)?)(?:\s?(%))?", re.IGNORECASE)
VALIDATION = "val_"  # what Keras writes before the name of a number that was measured on data held out


@dataclass(frozen=True)
class Release:
    """A report that could be read.

    What takes much memory is not kept, so that there may be any number of releases.

    Attributes:
        path: where it lies.
        name: the path below the folder that was searched, with slashes.
        sha256: of report.json.
        counts: its layers, filters and verdicts.
        measured: what the model makes of the report's data set; None where that is not known. `dataset` is what the set is called.
        statement: the user's; empty where there is none.
        size: bytes, of a folder without the store.
    """

    path: Path
    name: str
    title: str
    model: ModelRecord
    sha256: str
    counts: Counts
    measured: ModelOutcome | None
    dataset: str | None
    statement: Statement
    size: int

    @property
    def accuracy(self) -> float | None:
        """The share that is classified right: as measured on the report's data set, else as stated; None where neither says it."""
        if self.measured is not None and self.measured.images:
            return self.measured.accuracy
        return stated_accuracy(self.statement.validation)

    @property
    def href(self) -> str:
        """What a link to it leads to, below the folder that was searched: of a folder the first page."""
        if self.path.is_file():
            return self.name
        payload = located(self.path)
        inside = payload.relative_to(self.path) if isinstance(payload, Path) else Path()
        return f"{self.name}/{(inside / 'index.html').as_posix()}"


def read_release(path: Path, name: str) -> tuple[Release, str | None]:
    """Read a report.

    Args:
        path: its folder or archive.
        name: how it is called.

    Returns:
        The report, and a sentence where its statement cannot be used.

    Raises:
        UsageError: there is no finished report that can be read.
    """
    problem, statement = None, NOTHING
    with opened(path) as report:
        try:
            data = (report.folder / FACTS_FILE).read_bytes()
            size = path.stat().st_size if path.is_file() else sum(_sizes(path))
        except DAMAGE as error:
            raise UsageError(f"{name} cannot be read: {error}") from error
        try:
            statement = _statement(path, report.folder)
        except UsageError as error:
            problem = f"{name}: {error}"
        document = report.document
    noun = NOUNS[len(document.input.size)].one
    release = Release(
        path=path,
        name=name,
        title=document.title,
        model=document.model,
        sha256=hashlib.sha256(data).hexdigest(),
        counts=counts(document.layers, len(document.images), noun, patterned=document.settings.get("patterns", True)),
        measured=None if document.dataset is None else brief(document.dataset.model),
        dataset=None if document.dataset is None else document.dataset.source,
        statement=statement,
        size=size,
    )
    return release, problem


def brief(outcome: ModelOutcome | None) -> ModelOutcome | None:
    """Return an outcome without its long lists."""
    if outcome is None:
        return None
    return msgspec.structs.replace(outcome, classes=(), confusion=None, confusions=(), misclassified=())


@contextmanager
def opened(path: Path) -> Iterator[Report]:
    """Open a report while the block runs; of an archive the file is closed then."""
    report = Report.open(path)
    try:
        yield report
    finally:
        if isinstance(report.folder, zipfile.Path):
            report.folder.root.close()


def stated_accuracy(text: str | None) -> float | None:
    """Return the accuracy that a statement on validation has, such as `accuracy 0.93` or `an accuracy of 93 %`; None where it has none.

    What Keras measured on data that was held out (`val_accuracy`) comes before the rest.
    """
    found = list(STATED_ACCURACY.finditer(text or ""))
    found.sort(key=lambda match: not match.string[: match.start()].endswith(VALIDATION))
    for match in found:
        value = float(match[1]) / (PERCENT if match[2] else 1)
        if value <= 1:
            return value
    return None


def _statement(path: Path, folder: Folder) -> Statement:
    """The statement in an archive, or beside a report."""
    name = (path.stem if path.is_file() else path.name) + BESIDE
    places: list[Folder] = [path.with_name(name)]
    if isinstance(folder, zipfile.Path):
        places.insert(0, zipfile.Path(folder.root, folder.at.removesuffix(PAYLOAD) + STATEMENT))
    elif folder != path:
        places.insert(0, path / STATEMENT)
    for place in places:
        try:
            if place.is_file():
                return parse_statement(place.read_bytes(), place.name)
        except DAMAGE as error:
            raise UsageError(f"its statement cannot be read: {error}") from error
    return NOTHING


def _sizes(folder: Path) -> Iterator[int]:
    for path in folder.rglob("*"):
        if path.is_file() and path.relative_to(folder).parts[0] not in APART:
            yield path.stat().st_size
