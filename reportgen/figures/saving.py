"""Figures as files: the same bytes for the same figure, fonts embedded, colors without transparency."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from reportgen.core.errors import UsageError
from reportgen.core.paper import FigureFormat
from reportgen.figures.latex import PREFIX, escaped
from reportgen.figures.sheet import MM_PER_INCH, PaperFigure

EPOCH = "SOURCE_DATE_EPOCH"  # https://reproducible-builds.org/specs/source-date-epoch/


def files(figure: PaperFigure, format: FigureFormat, stem: str, facts: dict[str, str]) -> dict[str, bytes]:
    """Return the files of a figure by name: one, and with PGF also the pictures that it includes.

    A date is in them only where SOURCE_DATE_EPOCH states one.

    Args:
        figure: to save.
        format: of the files.
        stem: name of the files without their suffix.
        facts: `title`, `subject` and `creator`, so that a stray file can be traced.

    Raises:
        UsageError: PGF is asked for where there is no LaTeX that measures its letters.
    """
    with mpl.rc_context(figure.parameters):
        if format == FigureFormat.PNG:
            return {f"{stem}.png": _png(figure, facts)}
        if format == FigureFormat.PGF:
            return _pgf(figure, stem)
        buffer = io.BytesIO()
        figure.savefig(buffer, format=format.value, metadata=_metadata(format, facts))
        return {f"{stem}.{format}": buffer.getvalue()}


def _metadata(format: FigureFormat, facts: dict[str, str]) -> dict[str, object]:
    date = _date()
    if format == FigureFormat.PDF:
        return {
            "Title": facts["title"],
            "Subject": facts["subject"],
            "Creator": facts["creator"],
            "CreationDate": date,
        }
    return {
        "Title": facts["title"],
        "Description": facts["subject"],
        "Creator": facts["creator"],
        "Date": None if date is None else date.date().isoformat(),
    }


def _date() -> datetime | None:
    stated = os.environ.get(EPOCH, "")
    return datetime.fromtimestamp(int(stated), UTC) if stated.isdecimal() else None


def _png(figure: PaperFigure, facts: dict[str, str]) -> bytes:
    raw = io.BytesIO()
    figure.savefig(raw, format="rgba")
    width, height = (round(length * figure.dpi) for length in figure.get_size_inches())
    pixels = np.frombuffer(raw.getvalue(), np.uint8).reshape(height, width, 4)
    info = PngInfo()
    for key, value in (("Title", facts["title"]), ("Description", facts["subject"]), ("Software", facts["creator"])):
        info.add_itxt(key, value)
    packed = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels[..., :3])).save(packed, "PNG", pnginfo=info, dpi=(figure.dpi,) * 2)
    return packed.getvalue()


def _pgf(figure: PaperFigure, stem: str) -> dict[str, bytes]:
    try:
        with _escaped(figure), tempfile.TemporaryDirectory() as folder:
            figure.savefig(Path(folder) / f"{stem}.pgf", format="pgf")
            found = {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}
    except (FileNotFoundError, RuntimeError) as error:
        raise UsageError(
            f"--format pgf needs a LaTeX on this machine, which measures the letters ({mpl.rcParams['pgf.texsystem']}): {error}."
        ) from error
    name = f"{stem}.pgf"  # its pictures are looked for beside the paper, unless it says where they are
    placed = found[name].replace(b"{" + stem.encode() + b"-img", b"{" + f"{PREFIX} {stem}".encode() + b"-img")
    return {**found, name: f"\\providecommand{{{PREFIX}}}{{}}%\n".encode() + placed}


@contextmanager
def _escaped(figure: PaperFigure) -> Iterator[None]:
    """Have a figure's letters and the numbers of its axes as LaTeX."""
    letters = [(text, text.get_text()) for text in figure.findobj(Text)]
    ticks = [axis.get_major_formatter() for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]
    named = [(formatter, formatter.func) for formatter in ticks if isinstance(formatter, FuncFormatter)]
    try:
        for text, words in letters:
            text.set_text(escaped(words))
        for formatter, words_of in named:  # Matplotlib takes the words of ticks from it whenever it draws
            formatter.func = partial(_escaped_tick, words_of)
        yield
    finally:
        for text, words in letters:
            text.set_text(words)
        for formatter, words_of in named:
            formatter.func = words_of


def _escaped_tick(words_of: Callable[[float, int | None], str], value: float, position: int | None = None) -> str:
    return escaped(words_of(value, position))


def millimeters(figure: PaperFigure) -> tuple[float, float]:
    """Return the width and the height of a figure."""
    width, height = figure.get_size_inches()
    return round(float(width) * MM_PER_INCH, 2), round(float(height) * MM_PER_INCH, 2)
