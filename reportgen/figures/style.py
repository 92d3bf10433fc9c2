"""How figures for papers look: widths of journals, letter sizes, fonts, and a user's own Matplotlib style."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

from reportgen.core.errors import UsageError

SMALL = 6.0  # points: numbers at tiles and ticks; Nature asks for 5 at least
TEXT = 7.0  # points: labels and panel letters
HAIRLINE = 0.5  # points: the thinnest line that journals print
OUTLINE, OUTLINE_POINTS = "0.7", 0.25  # of a picture that may be as white as the paper
DARK, MIDDLE, LIGHT = "0.15", "0.45", "0.8"  # gray levels of lines and letters, distinct on any printer

STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # ships with Matplotlib, so that letters are the same on every machine
    "font.size": TEXT,
    "text.color": "black",
    "text.parse_math": False,  # a dollar sign in a layer's name is a dollar sign
    "axes.linewidth": HAIRLINE,
    "axes.labelsize": TEXT,
    "axes.titlesize": TEXT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "xtick.major.width": HAIRLINE,
    "ytick.major.width": HAIRLINE,
    "xtick.major.size": 2.0,
    "ytick.major.size": 2.0,
    "lines.linewidth": 0.8,
    "hatch.linewidth": HAIRLINE,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "savefig.dpi": "figure",
    "image.composite_image": False,  # every picture stays one object, at its own resolution
    "pdf.fonttype": 42,  # TrueType: arXiv and IEEE refuse Type 3
    "ps.fonttype": 42,
    "svg.fonttype": "path",  # the same letters where the font is not installed
    "svg.hashsalt": "reportgen",  # otherwise identifiers are random
    "pgf.texsystem": "pdflatex",
    "pgf.rcfonts": False,  # the letters of the document that it is included in
}
OF_THE_MACHINE = ("backend", "backend_fallback", "interactive", "toolbar", "timezone", "webagg.port")


def style(file: Path | None = None) -> dict[str, Any]:
    """Return every parameter of Matplotlib that figures are drawn with: its defaults, ours, and those of a style file.

    The user's own matplotlibrc is left out, so that a figure has the same bytes on every machine.

    Args:
        file: a Matplotlib style file; its parameters win.

    Raises:
        UsageError: the file cannot be read, or has a parameter that Matplotlib does not know.
    """
    defaults = {name: value for name, value in mpl.rcParamsDefault.items() if name not in OF_THE_MACHINE}
    return {**defaults, **STYLE, **({} if file is None else _own(file))}


def _own(file: Path) -> Mapping[str, Any]:
    if not file.is_file():
        raise UsageError(f"the style file {file} does not exist; check its name and folder.")
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
        names = [line.partition("#")[0].partition(":")[0].strip() for line in lines]
        unknown = [name for name in names if name and name not in mpl.rcParams]  # Matplotlib only warns of these
        if unknown:
            raise UsageError(
                f"the style file {file.name} has the parameter {unknown[0]}, which Matplotlib does not know."
            )
        found = mpl.rc_params_from_file(str(file), fail_on_error=True, use_default_template=False)
    except (OSError, UnicodeDecodeError, KeyError, ValueError) as error:
        raise UsageError(f"the style file {file.name} is not a Matplotlib style: {error}.") from error
    return {name: value for name, value in found.items() if name not in OF_THE_MACHINE}
