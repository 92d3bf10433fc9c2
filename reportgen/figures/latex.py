"""LaTeX that needs nothing but the graphicx package: text with every character escaped, and figures that can be included."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"$<$",
    ">": r"$>$",
    "|": r"$|$",
    '"': "''",  # the straight one is not in the default encoding
    "×": r"$\times$",
    "−": r"$-$",
    "±": r"$\pm$",
    "·": r"$\cdot$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "…": r"\ldots{}",
    "–": "--",
    "—": "---",
    "“": "``",
    "”": "''",
    "‘": "`",
    "’": "'",
    "°": r"$^\circ$",
}
SUPERSCRIPTS = dict(zip("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789", strict=True))
LATIN_1 = range(0xC0, 0x100)  # letters with accents, which every LaTeX since 2018 reads as they are
NOT_IN_OT1 = "ÐðÞþ×÷"


def escaped(text: str) -> str:
    """Return plain text as LaTeX: no character of it is a command, and none is lacking in the default fonts."""
    out, power = [], ""
    for character in f"{text}\0":
        if character in SUPERSCRIPTS:
            power += SUPERSCRIPTS[character]
            continue
        if power:
            out.append(f"$^{{{power}}}$")
            power = ""
        if character != "\0":
            out.append(_escaped(character))
    return "".join(out).replace(r" \%", r"~\%").replace(r" $\times$ ", r"~$\times$~")


def _escaped(character: str) -> str:
    if character in SPECIAL:
        return SPECIAL[character]
    if " " <= character <= "~":
        return character
    if ord(character) in LATIN_1 and character not in NOT_IN_OT1:
        return character
    if character.isspace() or unicodedata.category(character).startswith("C"):
        return " "
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return "".join(SPECIAL.get(letter, letter) for letter in plain) if plain else f"[U+{ord(character):04X}]"


MARK = "% Figures by reportgen"  # by which its own files are known
PREFIX = r"\reportgenfolder"
HEAD = (
    MARK
    + """.
% In a document with \\usepackage{graphicx}: \\input{figures.tex}, from this folder or the one above.
% From elsewhere: \\newcommand{\\reportgenfolder}{path/to/this/folder/} before it.
\\providecommand{\\reportgenfolder}{}
% Figures have their own width, and are scaled down where a column is narrower.
\\providecommand{\\reportgenfigure}[2]{\\ifdim#1>\\linewidth\\includegraphics[width=\\linewidth]{\\reportgenfolder #2}\\else
  \\includegraphics{\\reportgenfolder #2}\\fi}
"""
)
FOUND = """\\let\\reportgenstated\\reportgenfolder
\\IfFileExists{%(prefix)s%(first)s}{}{%%
  \\IfFileExists{%(folder)s/%(first)s}{\\renewcommand{\\reportgenfolder}{%(folder)s/}}{}}
"""
MOST_FLOATS = 36  # figures in a row; LaTeX gives up at 52 that it has not placed
RESTORED = r"\let\reportgenfolder\reportgenstated  % the figures of another report may follow"
SAFE_IN_PATHS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


def label(stem: str) -> str:
    """Return the label that a figure is referred to by."""
    return f"fig:{stem}"


@dataclass(frozen=True)
class Included:
    """A figure of figures.tex: its file, its width in millimeters, its caption in plain text, its label, the path of its layer."""

    name: str
    width: float
    caption: str
    label: str
    layer: str | None


def document(figures: Sequence[Included], folder: str, wide: bool) -> str:
    """Return figures.tex.

    Args:
        figures: in order.
        folder: name of the folder that the files are in.
        wide: whether figures span two columns of text.
    """
    parts, found = [HEAD], set(folder) <= SAFE_IN_PATHS
    if found:
        parts.append(FOUND % {"prefix": f"{PREFIX} ", "first": figures[0].name, "folder": folder})
    environment = "figure*" if wide else "figure"
    for place, figure in enumerate(figures):
        if place and place % MOST_FLOATS == 0:
            parts += ["", r"\clearpage  % LaTeX holds few figures that have no page yet"]
        pgf = figure.name.endswith(".pgf")
        include = (
            rf"\input{{{PREFIX} {figure.name}}}" if pgf else rf"\reportgenfigure{{{figure.width}mm}}{{{figure.name}}}"
        )
        parts += [
            "",
            rf"\begin{{{environment}}}[tbp]",
            r"  \centering",
            f"  {include}",
            rf"  \caption{{{with_code(figure.caption, figure.layer)}}}",
            rf"  \label{{{figure.label}}}",
            rf"\end{{{environment}}}",
        ]
    if found:
        parts += ["", RESTORED]
    return "\n".join(parts) + "\n"


def with_code(text: str, code: str | None) -> str:
    """Return plain text as LaTeX, with the name `code` in it in typewriter letters that may break between lines."""
    if not code:
        return escaped(text)
    typed = escaped(code).replace("/", r"/\allowbreak{}").replace(r"\_", r"\_\allowbreak{}")
    return rf"\texttt{{{typed}}}".join(escaped(part) for part in text.split(code))
