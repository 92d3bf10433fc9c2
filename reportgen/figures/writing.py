"""A folder of figures: their files, figures.tex to include them, captions.json, the bibliography and the methods paragraph."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reportgen.core import __version__
from reportgen.core.errors import OutputError, ReportgenError, StoreError, UsageError
from reportgen.core.files import write_atomically
from reportgen.core.paper import FigureFormat, FigureKind
from reportgen.figures import collection, latex, methods, references, saving
from reportgen.figures.collection import Item
from reportgen.figures.selection import Selection
from reportgen.figures.source import Drawn, Source

LIST, TEX, METHODS, WORKS = "captions.json", "figures.tex", "methods.tex", "reportgen.bib"
SCHEMA = "reportgen-figures/1"
INCLUDED = (FigureFormat.PDF, FigureFormat.PNG, FigureFormat.PGF)  # what LaTeX can include, the best first
SHA_DIGITS = 12  # enough of a hash to find the model by
TALLEST = 240.0  # mm: what a page of A4 or letter paper has room for


@dataclass(frozen=True)
class WrittenFigures:
    """What was written; `index` is the file to include, or the list where LaTeX can include none of the formats."""

    index: Path
    problems: tuple[str, ...]
    summary: None = None


def write(
    source: Source,
    folder: Path,
    selection: Selection,
    formats: Sequence[FigureFormat],
    *,
    wide: bool = False,
    force: bool = False,
    say: Callable[[str], None] = lambda sentence: None,
) -> WrittenFigures:
    """Write the figures of a report.

    Args:
        source: the report.
        folder: theirs; other files in it stay as they are.
        selection: which figures.
        formats: of the files.
        wide: whether a figure spans two columns of text.
        force: whether to replace a list of figures that is not ours.
        say: receives notes, one sentence each.

    Raises:
        UsageError: there is nothing to draw.
        OutputError: the folder cannot be written.
    """
    _check(folder, force)
    entries: list[dict[str, Any]] = []
    problems: list[str] = []
    for item in collection.items(source, selection):
        try:
            drawn = collection.draw(source, item, selection)
            if drawn is None:
                continue
            names, found = _save(source, item, drawn, folder, formats)
        except StoreError as error:
            problems.append(f"{item.of}: {error}")
            continue
        problems += [f"{item.of}: {problem}" for problem in found]
        if names:
            entries.append(_entry(item, drawn, names))
    if not entries:
        raise UsageError(problems[0] if problems else "the report has nothing to draw in these figures.")
    tall = [entry["name"] for entry in entries if entry["height_mm"] > TALLEST]
    if tall:
        say(f"higher than a page: {', '.join(tall)}; choose fewer filters, or a larger width.")
    return _write_lists(source, folder, entries, wide, tuple(problems))


def _check(folder: Path, force: bool) -> None:
    """Refuse to replace lists of the user's own."""
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file; give a folder with --output.")
    for name, mark in {TEX: latex.MARK, METHODS: latex.MARK, WORKS: latex.MARK, LIST: SCHEMA}.items():
        own = folder / name
        if own.is_file() and mark.encode() not in own.read_bytes() and not force:
            raise OutputError(f"{own} was not written by reportgen; give another folder with --output, or --force.")


def _save(
    source: Source, item: Item, drawn: Drawn, folder: Path, formats: Sequence[FigureFormat]
) -> tuple[list[str], list[str]]:
    """Write a figure's files; returns their names, and what failed."""
    model = source.document.model
    facts = {
        "title": f"{item.of} of {model.name}",
        "subject": f"{drawn.caption} Weights SHA-256 {model.weights_sha256[:SHA_DIGITS]}.",
        "creator": f"reportgen {__version__}",
    }
    names, problems = [], []
    for format in formats:
        try:
            files = saving.files(drawn.figure, format, item.stem, facts)
        except ReportgenError as error:
            problems.append(str(error))
            continue
        for name, data in files.items():
            _write(folder / name, data)
        names.append(f"{item.stem}.{format}")
    return names, problems


def _entry(item: Item, drawn: Drawn, names: Sequence[str]) -> dict[str, Any]:
    width, height = saving.millimeters(drawn.figure)
    return {
        "name": item.stem,
        "kind": str(item.kind),
        "layer": None if item.layer is None else item.layer.record.path,
        "files": list(names),
        "width_mm": width,
        "height_mm": height,
        "label": latex.label(item.stem),
        "caption": drawn.caption,
    }


def _write_lists(
    source: Source, folder: Path, entries: list[dict[str, Any]], wide: bool, problems: tuple[str, ...]
) -> WrittenFigures:
    """Write the list of captions and, where LaTeX can include a format, figures.tex."""
    model = source.document.model
    drawn = {entry["layer"] for entry in entries}
    kinds = {FigureKind(entry["kind"]) for entry in entries}
    paragraph = methods.paragraph(
        source.document, kinds, [layer.record for layer in source.layers if layer.record.path in drawn]
    )
    listed = {
        "schema": SCHEMA,
        "model": {"name": model.name, "weights_sha256": model.weights_sha256},
        "reportgen": __version__,
        "figures": entries,
        "methods": methods.CITED.sub("", paragraph).replace(" ,", ",").replace(" .", "."),
        "references": sorted(set(methods.cited(paragraph))),
    }
    data = json.dumps(listed, indent=1, ensure_ascii=False) + "\n"
    _write(folder / LIST, data.encode())
    _write(folder / METHODS, f"{latex.MARK}.\n{methods.as_latex(paragraph)}\n".encode())
    works = [key for key in methods.cited(paragraph) if key in references.ENTRIES]
    _write(folder / WORKS, f"{latex.MARK}.\n{references.bibliography(works, __version__)}".encode())
    included = [
        (entry, name) for entry in entries for name in [_included(entry["name"], entry["files"])] if name is not None
    ]
    if not included:
        return WrittenFigures(folder / LIST, problems)
    figures = [
        latex.Included(name, entry["width_mm"], entry["caption"], entry["label"], entry["layer"])
        for entry, name in included
    ]
    text = latex.document(figures, folder.resolve().name, wide)
    _write(folder / TEX, text.encode())
    return WrittenFigures(folder / TEX, problems)


def _included(stem: str, files: Sequence[str]) -> str | None:
    return next((f"{stem}.{format}" for format in INCLUDED if f"{stem}.{format}" in files), None)


def _write(path: Path, data: bytes) -> None:
    try:
        write_atomically(path, data)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}.") from error
