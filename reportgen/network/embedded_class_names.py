"""The names of a model's classes where the model itself has them: in its config, an attribute, its file, or a layer's vocabulary."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reportgen.network.loading.applications import IMAGENET_CLASSES, PREFIX, imagenet_names
from reportgen.network.outputs import TWO_CLASSES

KEYS = ("class_names", "classes", "labels")  # where people keep them; the first that fits is taken


def names_of(
    model: Any, source: str, stated: tuple[str, ...] | None, count: int | None
) -> tuple[tuple[str, ...] | None, str | None]:
    """(names of the classes or None, a note for the reader or None). stated: what the model's file has. count: numbers that it answers.

    Only as many names as the model has classes are names of its classes.
    """
    if count is None:
        return None, None
    if source.startswith(PREFIX) and count == IMAGENET_CLASSES:
        return imagenet_names()
    for names in (stated, *_within(model)):
        if names is not None and len(names) == (TWO_CLASSES if count == 1 else count) and len(set(names)) == len(names):
            return names, "The names of the classes are the model's own; another list can be given with --classes."
    return None, None


def listed(value: Any) -> tuple[str, ...] | None:
    """A list of texts as names, else None."""
    if not isinstance(value, (list, tuple)) or not value or not all(isinstance(item, str) and item for item in value):
        return None
    return tuple(value)


def in_mapping(values: Any) -> tuple[str, ...] | None:
    """The names that a mapping keeps under one of the usual keys."""
    found = [listed(values.get(key)) for key in KEYS] if isinstance(values, dict) else []
    return next((names for names in found if names is not None), None)


def _within(model: Any) -> Iterator[tuple[str, ...] | None]:
    for part in (model, *getattr(model, "_flatten_layers", lambda **_: ())(include_self=False)):
        yield next((names for key in KEYS if (names := listed(getattr(part, key, None))) is not None), None)
        try:
            yield in_mapping(part.get_config())
            if hasattr(part, "get_vocabulary"):
                yield listed([str(word) for word in part.get_vocabulary()])
        except Exception:  # a part of the user's own need not describe itself
            continue
