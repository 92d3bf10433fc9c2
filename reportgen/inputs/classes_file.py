"""Class names from the file that `--classes` names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from reportgen.core.errors import UsageError

TWO_CLASSES = 2  # that a single probability distinguishes


def read_classes(file: str | None, count: int | None) -> tuple[str, ...] | None:
    """Read class names from a file: one per line, a JSON list, or a JSON object.

    An object is `{"0": "tench", …}`, ImageNet's index `{"0": ["n01440764", "tench"], …}`, of which the last name is taken, or numbers by
    name, `{"tench": 0, …}`, as Keras's generators return.

    Args:
        file: what `--classes` names; None for no file.
        count: number of class probabilities that the model returns, two classes where it is 1; None where there may be any number.

    Returns:
        The names in the order of the classes; None for no file.

    Raises:
        UsageError: the file cannot be read or its names do not fit the model.
    """
    if file is None:
        return None
    path = Path(file)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UsageError(f"--classes {path.name} cannot be read: {why}.") from error
    if text.lstrip().startswith(("[", "{")):
        try:
            names = _names(json.loads(text), path.name)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"--classes {path.name} is not JSON: {error}.") from error
    else:
        names = [line.strip() for line in text.splitlines() if line.strip()]
    expected = TWO_CLASSES if count == 1 else count
    if expected is not None and len(names) != expected:
        named = f"{len(names)} {'class' if len(names) == 1 else 'classes'}"
        wanted = "2 (its output is one probability)" if count == 1 else str(count)
        raise UsageError(f"--classes {path.name} names {named}, the model has {wanted}.")
    return tuple(names)


def _names(data: Any, file: str) -> list[str]:
    """Return the names in a JSON list or object, in the order of their classes."""
    names = data
    if isinstance(data, dict):
        if all(isinstance(value, int) for value in data.values()):
            data = {str(number): name for name, number in data.items()}
        missing = next((number for number in range(len(data)) if str(number) not in data), None)
        if missing is not None:
            raise UsageError(
                f"--classes {file} has no class {missing}; its classes must be numbered from 0 to {len(data) - 1}."
            )
        named = [data[str(number)] for number in range(len(data))]
        names = [name[-1] if isinstance(name, list) and name else name for name in named]
    if not all(isinstance(name, str) for name in names):
        raise UsageError(f"--classes {file} contains something other than names.")
    return list(names)
