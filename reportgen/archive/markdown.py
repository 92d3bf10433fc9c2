"""Text of others in Markdown: escaped, quoted, in tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

SPECIAL = re.compile(r"([\\`*_\[\]<>|#~&])")


def plain(text: str) -> str:
    """Return text on one line that Markdown shows as it is."""
    return SPECIAL.sub(r"\\\1", " ".join(text.split()))


def quoted(text: str) -> str:
    """Return a block quotation, its paragraphs kept."""
    return "\n".join(f"> {plain(line)}".rstrip() for line in text.splitlines())


def link(path: str) -> str:
    """Return a link to a file of the archive, which shows its path."""
    return f"[{plain(path)}]({path})"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; cells are Markdown already."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
