"""Tables of numbers in CSV files: one row per line, an optional header."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TABLE_SUFFIX = ".csv"
DELIMITERS = ",;\t"
LONGEST_FIELD = 40  # characters of a field that a message shows


def read_table(path: Path) -> NDArray[np.float64]:
    """Read a CSV file, separated by commas, semicolons or tabs; a first row without a number is a header.

    Args:
        path: of the file.

    Returns:
        float64 (rows, columns).

    Raises:
        ValueError: it is not a table of numbers; one clause without the file's name.
        OSError: it cannot be read.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        first = file.readline()
        file.seek(0)
        delimiter = max(DELIMITERS, key=first.count)
        rows = [row for row in csv.reader(file, delimiter=delimiter) if any(field.strip() for field in row)]
    lines = range(1, len(rows) + 1)
    if rows and not any(_is_number(field) for field in rows[0]):
        rows, lines = rows[1:], lines[1:]
    if not rows:
        raise ValueError("it contains no numbers")
    for line, row in zip(lines, rows, strict=True):
        if len(row) != len(rows[0]):
            columns = "1 column" if len(row) == 1 else f"{len(row)} columns"
            raise ValueError(f"row {line} has {columns}, the first has {len(rows[0])}")
        wrong = next((field for field in row if not _is_number(field)), None)
        if wrong is not None:
            raise ValueError(f"row {line} contains `{_shown(wrong.strip())}`, which is not a number")
    return np.array([[float(field) for field in row] for row in rows])


def _is_number(text: str) -> bool:
    """Return whether a text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _shown(text: str) -> str:
    """Return the beginning of a field, without characters that would disturb a terminal."""
    plain = "".join(character if character.isprintable() else "?" for character in text)
    return plain if len(plain) <= LONGEST_FIELD else plain[: LONGEST_FIELD - 1] + "…"
