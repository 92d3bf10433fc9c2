"""Hashes that tell models apart: of a file's bytes, of a model whatever file it came from, of the user's Python code."""

from __future__ import annotations

import hashlib
import inspect
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reportgen.network.backend import keras

# Where a layer of ours stands in the package says nothing of a model that has one.
OWN_MODULE = re.compile(r'"module": "reportgen\.[^"]*"')


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def weights_sha256(model: Any) -> str:
    """Return the SHA-256 of the model's architecture and weights: the same for the same model saved twice, whatever its file's bytes.

    Weights enter by position, shape, dtype and bytes: names of subclassed models' variables change with every load. Random generators'
    states are not weights: they change with every load, too.
    """
    digest = hashlib.sha256()
    try:
        config = model.get_config()
        text = json.dumps(config, sort_keys=True, default=_plain)
    except Exception:  # a subclassed model may have no config; its weights still distinguish it
        text = type(model).__name__
    digest.update(OWN_MODULE.sub('"module": "reportgen"', text).encode())
    for variable in model.weights:
        value = keras.ops.convert_to_numpy(variable)
        digest.update(f"{value.shape}{value.dtype}".encode())
        digest.update(np.ascontiguousarray(value).reshape(-1).view(np.uint8).data)  # the bytes, not copied
    return digest.hexdigest()


def source_sha256(objects: Sequence[Any]) -> str:
    """Return a hash of the source of the modules that define `objects`, as far as there is any; "" for none."""
    if not objects:
        return ""
    digest = hashlib.sha256()
    for name in sorted({str(getattr(item, "__module__", None)) for item in objects}):
        try:
            digest.update(inspect.getsource(sys.modules[name]).encode())
        except (KeyError, OSError, TypeError):  # made without a file
            digest.update(name.encode())
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    """Return an object of a config as JSON."""
    try:
        return keras.saving.serialize_keras_object(value)
    except Exception:
        return type(value).__name__
