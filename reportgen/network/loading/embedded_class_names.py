"""Class names that the model itself carries: in its config, an attribute, its file, or a layer's vocabulary."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reportgen.network.loading.applications import IMAGENET_CLASSES, PREFIX, imagenet_names
from reportgen.network.outputs import TWO_CLASSES

KEYS = ("class_names", "classes", "labels")  # usual names of the attribute; the first that fits is taken


def names_of(
    model: Any, source: str, stated: tuple[str, ...] | None, count: int | None
) -> tuple[tuple[str, ...] | None, str | None]:
    """Find the names of a model's classes. Only as many names as the model has classes are taken.

    Args:
        model: the Keras model.
        source: where it came from, as `Loaded.source`.
        stated: class names in the model's file.
        count: number of class probabilities that it returns; None where it returns something else.

    Returns:
        (names or None, a note for the reader or None).
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
    """Return a list of texts as names, None for anything else."""
    if not isinstance(value, (list, tuple)) or not value or not all(isinstance(item, str) and item for item in value):
        return None
    return tuple(value)


def in_mapping(values: Any) -> tuple[str, ...] | None:
    """Return the names that a mapping keeps under one of the usual keys; None where there are none."""
    found = [listed(values.get(key)) for key in KEYS] if isinstance(values, dict) else []
    return next((names for names in found if names is not None), None)


def _within(model: Any) -> Iterator[tuple[str, ...] | None]:
    """Yield what may be class names on the model and its layers: attributes, configs, vocabularies."""
    for part in (model, *getattr(model, "_flatten_layers", lambda **_: ())(include_self=False)):
        yield next((names for key in KEYS if (names := listed(getattr(part, key, None))) is not None), None)
        try:
            yield in_mapping(part.get_config())
            if hasattr(part, "get_vocabulary"):
                yield listed([str(word) for word in part.get_vocabulary()])
        except Exception:  # a part of the user's own need not describe itself
            continue
