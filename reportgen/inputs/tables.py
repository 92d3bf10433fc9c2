"""A CSV file as a table of numbers: a row a line, an optional header."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TABLE_SUFFIX = ".csv"
DELIMITERS = ",;\t"
LONGEST_FIELD = 40  # signs of a field that a sentence shows


def read_table(path: Path) -> NDArray[np.float64]:
    """float64 (rows, columns) of a CSV file, separated by commas, semicolons or tabs; a first row that holds no number is a header.

    Raises ValueError, one clause without the file's name, for what is no table of numbers, and OSError.
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
        raise ValueError("it holds no numbers")
    for line, row in zip(lines, rows, strict=True):
        if len(row) != len(rows[0]):
            raise ValueError(f"row {line} has {len(row)} columns, the first has {len(rows[0])}")
        wrong = next((field for field in row if not _is_number(field)), None)
        if wrong is not None:
            raise ValueError(f"row {line} holds `{_shown(wrong.strip())}`, which is no number")
    return np.array([[float(field) for field in row] for row in rows])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _shown(text: str) -> str:
    """The beginning of a field, without signs that would disturb a terminal."""
    plain = "".join(sign if sign.isprintable() else "?" for sign in text)
    return plain if len(plain) <= LONGEST_FIELD else plain[: LONGEST_FIELD - 1] + "…"
