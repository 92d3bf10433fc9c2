"""The user's files beside model and images: class names, and the code whose change must be noticed."""

from __future__ import annotations

import hashlib
import inspect
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reportgen.errors import UsageError

TWO_CLASSES = 2  # what a single probability tells apart


def read_classes(file: str | None, count: int | None) -> tuple[str, ...] | None:
    """Class names from a file: one a line, or a JSON list; two where the model answers one probability. Raises UsageError."""
    if file is None:
        return None
    path = Path(file)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UsageError(f"--classes {path.name} cannot be read: {why}.") from error
    if text.lstrip().startswith("["):
        try:
            names = json.loads(text)
        except ValueError as error:
            raise UsageError(f"--classes {path.name} is not a JSON list: {error}.") from error
        if not all(isinstance(name, str) for name in names):
            raise UsageError(f"--classes {path.name} holds something else than names.")
    else:
        names = [line.strip() for line in text.splitlines() if line.strip()]
    expected = TWO_CLASSES if count == 1 else count
    if expected is not None and len(names) != expected:
        answers = "one probability, which tells 2 classes apart" if count == 1 else str(count)
        raise UsageError(f"--classes {path.name} names {len(names)} classes, the model answers {answers}.")
    return tuple(names)


def code_key(objects: Sequence[Any]) -> str:
    """A hash of the source of the modules that define `objects`, as far as there is any; "" for none."""
    if not objects:
        return ""
    digest = hashlib.sha256()
    for name in sorted({str(getattr(item, "__module__", None)) for item in objects}):
        try:
            digest.update(inspect.getsource(sys.modules[name]).encode())
        except (KeyError, OSError, TypeError):  # made without a file
            digest.update(name.encode())
    return digest.hexdigest()
