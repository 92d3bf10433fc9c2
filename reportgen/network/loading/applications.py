"""The networks of `keras.applications`, with weights from Keras's cache or the user's file; nothing is downloaded."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reportgen.core.errors import ModelError
from reportgen.network.backend import keras
from reportgen.network.error_text import one_line

PREFIX = "keras:"
WITHOUT_TOP = ("notop", "no_top")  # in the names of weight files without the classifier
SHA256_DIGITS = 64
CLASS_INDEX = "imagenet_class_index.json"
CLASS_INDEX_URL = f"https://storage.googleapis.com/download.tensorflow.org/data/{CLASS_INDEX}"
IMAGENET_CLASSES = 1000


class _NotCachedError(Exception):
    """A file that Keras would download."""


def cache_folder() -> Path:
    """Return the folder in which Keras keeps the files that it has downloaded for its networks."""
    home = os.environ.get("KERAS_HOME")
    folder = Path(home) if home else Path("~/.keras").expanduser()
    if not home and not os.access(folder.parent, os.W_OK):
        folder = Path("/tmp/.keras")
    return folder / "models"


def _shown_folder() -> str:
    folder, home = cache_folder(), Path.home()
    return f"~/{folder.relative_to(home)}" if folder.is_relative_to(home) else str(folder)


def make_application(name: str, weights: str | None) -> Any:
    """Make a network of `keras.applications`.

    Args:
        name: its name there, such as `ResNet50`.
        weights: file of weights to be loaded over it later; with None it has its ImageNet weights.

    Raises:
        ModelError: there is no such network, its weights are not cached, or Keras cannot make it.
    """
    make = getattr(keras.applications, name, None)
    if not callable(make) or not name[:1].isupper():
        raise ModelError(f"{PREFIX}{name} is not a network of keras.applications (an example is {PREFIX}ResNet50).")
    try:
        if weights is not None:
            return make(weights=None, include_top=not any(part in Path(weights).name for part in WITHOUT_TOP))
        with _only_cached():
            return make(weights="imagenet")
    except _NotCachedError as missing:
        raise ModelError(f"{PREFIX}{name}: {missing}, or name the file with --weights.") from None
    except Exception as error:
        raise ModelError(f"{PREFIX}{name} cannot be created ({one_line(error)}).") from error


@contextmanager
def _only_cached() -> Iterator[None]:
    """Let Keras take files from its cache, and fail at once instead of after a network timeout where one is missing."""
    files: Any = importlib.import_module("keras.src.utils.file_utils")  # where its networks take `get_file` from
    original = files.get_file
    files.get_file = _cached
    try:
        yield
    finally:
        files.get_file = original


def _cached(fname: str, origin: str, *_: Any, file_hash: str | None = None, **__: Any) -> str:
    path = cache_folder() / fname
    if not path.is_file():
        raise _NotCachedError(
            f"its ImageNet weights are not in Keras's cache and nothing is downloaded; put {origin} into {_shown_folder()}"
        )
    if file_hash is not None and not _has_hash(path, file_hash):
        raise _NotCachedError(
            f"{fname} in {_shown_folder()} is not the file that Keras expects (its checksum differs); put {origin} there again"
        )
    return str(path)


def _has_hash(path: Path, expected: str) -> bool:
    kind = "sha256" if len(expected) == SHA256_DIGITS else "md5"  # Keras's own rule
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(kind, usedforsecurity=False)).hexdigest() == expected


def imagenet_names() -> tuple[tuple[str, ...] | None, str | None]:
    """Return (ImageNet's class names from Keras's cache, None), or (None, a note on how to get them)."""
    try:
        index = json.loads((cache_folder() / CLASS_INDEX).read_bytes())
        names = tuple(str(index[str(number)][1]) for number in range(IMAGENET_CLASSES))
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return None, (
            f"The classes are numbered, not named: put {CLASS_INDEX_URL} into {_shown_folder()}, or name a file with --classes."
        )
    return names, None
