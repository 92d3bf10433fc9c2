"""Labels of a data set matched to the model's classes."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from reportgen.core.errors import UsageError

APART = re.compile(r"[\W_]+")


def matched(labels: Sequence[str], classes: Sequence[str] | None, label_map: str | None) -> dict[str, int]:
    """Return the number of the class that each label stands for.

    Labels and names of classes are compared without regard to case, spaces and punctuation. Where no class has the name of a label that is
    a whole number, it is taken for the class's number.

    Args:
        labels: of the data set.
        classes: names of the model's classes; None where they are not known.
        label_map: the file that `--label-map` names, from labels to names or numbers of classes; None for none.

    Returns:
        The labels that stand for a class.

    Raises:
        UsageError: the file cannot be read, or names no class of the model.
    """
    known = {plain(name): number for number, name in reversed(list(enumerate(classes or ())))}
    given = {} if label_map is None else read_map(Path(label_map))
    found = {}
    for label in labels:
        name = given.get(label, label)
        number = known.get(plain(name))
        if number is None and name.isdecimal() and (classes is None or int(name) < len(classes)):
            number = int(name)
        if number is None and label in given:
            raise UsageError(f"--label-map: the model has no class {name}.")
        if number is not None:
            found[label] = number
    return found


def plain(name: str) -> str:
    """Return a name as names are compared."""
    return APART.sub(" ", name).strip().casefold()


def read_map(path: Path) -> Mapping[str, str]:
    """Return what a file says of labels.

    Args:
        path: a JSON object, or a CSV of two columns.

    Raises:
        UsageError: it is neither.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        if text.lstrip().startswith("{"):
            return {str(label): str(name) for label, name in json.loads(text).items()}
        return {row[0].strip(): row[1].strip() for row in csv.reader(text.splitlines()) if row}
    except (OSError, UnicodeDecodeError, ValueError, IndexError, csv.Error) as error:
        raise UsageError(
            f"--label-map {path.name} cannot be read: it is neither a JSON object nor a CSV of two columns."
        ) from error
