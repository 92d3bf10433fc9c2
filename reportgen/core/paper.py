"""The words that figures for papers are asked for with: what they show, their widths and file formats."""

from __future__ import annotations

from enum import StrEnum
from math import isfinite

from reportgen.core.errors import UsageError


class FigureKind(StrEnum):
    """What a figure for a paper shows."""

    PATTERNS = "patterns"
    MINIMAL = "minimal"
    WEIGHTS = "weights"
    MAPS = "maps"
    EXEMPLARS = "exemplars"
    HISTOGRAMS = "histograms"
    OVERVIEW = "overview"
    NETWORK = "network"


OF_ONE_LAYER = (
    FigureKind.PATTERNS,
    FigureKind.MINIMAL,
    FigureKind.WEIGHTS,
    FigureKind.MAPS,
    FigureKind.EXEMPLARS,
)


class FigureFormat(StrEnum):
    """The file formats of figures for papers."""

    PDF = "pdf"
    SVG = "svg"
    PNG = "png"
    PGF = "pgf"


class PaperWidth(StrEnum):
    """Widths that publishers state, by name."""

    IEEE1 = "ieee1"
    IEEE2 = "ieee2"
    NATURE1 = "nature1"
    NATURE2 = "nature2"
    NEURIPS = "neurips"


MILLIMETERS = {  # IEEE: 3.5 and 7.16 inches; Nature: 89 and 183 mm; NeurIPS, ICLR: one column of 5.5 inches
    PaperWidth.IEEE1: 88.9,
    PaperWidth.IEEE2: 181.9,
    PaperWidth.NATURE1: 89.0,
    PaperWidth.NATURE2: 183.0,
    PaperWidth.NEURIPS: 139.7,
}
TWO_COLUMNS = (PaperWidth.IEEE2, PaperWidth.NATURE2)
NARROWEST, WIDEST = 30.0, 600.0  # mm: below nothing is legible, above no sheet is that wide


def parse_width(text: str) -> float:
    """Return a width in millimeters.

    Args:
        text: the name of a publisher's width, or a number of millimeters.

    Raises:
        UsageError: it is neither, or no width of a figure.
    """
    if text in tuple(PaperWidth):
        return MILLIMETERS[PaperWidth(text)]
    try:
        width = float(text.removesuffix("mm"))
    except ValueError:
        raise UsageError(f"--width {text} is none of {', '.join(PaperWidth)} and no number of millimeters.") from None
    if not (isfinite(width) and NARROWEST <= width <= WIDEST):
        raise UsageError(f"--width {text}: a figure is {NARROWEST:g} to {WIDEST:g} mm wide.")
    return width


def parse_words(flag: str, text: str, words: type[StrEnum]) -> tuple[StrEnum, ...]:
    """Return the words of a comma-separated list, each once, in the order of `words`.

    Raises:
        UsageError: one of them is unknown, or there is none.
    """
    given = [part.strip() for part in text.split(",") if part.strip()]
    for word in given:
        if word not in tuple(words):
            raise UsageError(f"{flag} {word} is none of {', '.join(words)}.")
    if not given:
        raise UsageError(f"{flag} names none of {', '.join(words)}.")
    return tuple(word for word in words if word in given)
