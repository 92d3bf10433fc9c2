"""A report's pages, figures and arrays assembled again from what is stored, and compared byte for byte."""

from __future__ import annotations

import io
import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from reportgen.archive.bag import Content, FileContent, sha256
from reportgen.archive.opened import Opened
from reportgen.core.commands import Command
from reportgen.core.errors import ReportgenError, UsageError
from reportgen.core.npz import unpack
from reportgen.core.settings import SETTINGS
from reportgen.core.store import DAMAGE
from reportgen.report.assemble import assemble
from reportgen.report.document import ReportDocument
from reportgen.report.location import PAYLOAD
from reportgen.report.theme import load_look
from reportgen.report.writing import WRITTEN

# What tasks are read from; nothing else is unpacked, whatever an archive has.
NEEDED = re.compile(
    r"\.store/(?:plan\.json|[a-z0-9_-]{2}/[a-z0-9_-]+\.(?:npz|failed))|(?:data|figures)(?:/[a-z0-9_-][a-z0-9_.-]*)+"
)
LOOKS = {"template": "--template", "css": "--css"}
DRAWING = tuple(option.name for option in SETTINGS if Command.ASSEMBLE in option.commands and option.name not in LOOKS)


def differences(
    files: Mapping[str, Content], document: ReportDocument, template: Path | None, css: Path | None
) -> Iterator[str]:
    """Yield a sentence for each file that differs from what the stored arrays give.

    Args:
        files: of the report, by path relative to it.
        document: its report.json.
        template: the folder of templates that it was written with; None for the built-in ones.
        css: likewise the style that was added.

    Raises:
        UsageError: the report was written with templates or a style that are not given.
    """
    for name, given in (("template", template), ("css", css)):
        stated = document.settings.get(name)
        if stated is not None and given is None:
            raise UsageError(
                f"the pages were written with the {name} {stated}; name it with {LOOKS[name]} to rebuild them."
            )
    drawing = {name: document.settings[name] for name in DRAWING if name in document.settings}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "report"
        try:
            _unpack(files, folder)
            assemble(folder, drawing=drawing, look=load_look(template, css))
            made = json.loads((folder / WRITTEN).read_bytes())
        except ReportgenError as error:
            yield f"the pages cannot be assembled again: {error}"
            return
        except DAMAGE as error:
            yield f"the stored arrays cannot be read: {error}"
            return
        for name in made:
            again = FileContent(folder / name)
            if name not in files:
                yield f"{name} is missing: the stored arrays give it"
            elif not _equal(files[name], again):
                yield f"{name} is not what the stored arrays give{_arrays_note(name, files[name], again)}"
        yield from (f"{name} is not made from the stored arrays" for name in _listed(files) if name not in made)


@contextmanager
def stored_run(opened: Opened) -> Iterator[Path]:
    """Give a folder of the report whose stored arrays can be read: its own, or a temporary one for a zip.

    Raises:
        Exception: of many kinds where the zip is damaged, see `store.DAMAGE`.
    """
    if opened.path.is_dir():
        yield opened.path / PAYLOAD if opened.is_bag else opened.path
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "report"
        _unpack(opened.report, folder)
        yield folder


def _unpack(files: Mapping[str, Content], folder: Path) -> None:
    for name, content in files.items():
        if NEEDED.fullmatch(name):
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with content.open() as file:
                target.write_bytes(file.read())


def _equal(one: Content, other: Content) -> bool:
    try:
        return one.size == other.size and sha256(one) == sha256(other)
    except DAMAGE:
        return False


def _arrays_note(name: str, one: Content, other: Content) -> str:
    """What to add where only the compression of arrays differs, as between two versions of zlib."""
    if not name.endswith(".npz"):
        return ""
    try:
        old, new = (unpack(io.BytesIO(content.open().read()))[0] for content in (one, other))
    except DAMAGE:
        return ""
    same = list(old) == list(new) and all(
        old[key].dtype == new[key].dtype and np.array_equal(old[key], new[key], equal_nan=old[key].dtype.kind == "f")
        for key in old
    )
    return " (the arrays are the same, compressed differently)" if same else ""


def _listed(files: Mapping[str, Content]) -> list[str]:
    """The files that the report's own list names; none where it cannot be read."""
    try:
        with files[WRITTEN].open() as file:
            names = json.loads(file.read())
    except DAMAGE:
        return []
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
