"""The model that the user names: a file, a network of `keras.applications`, a callable, or a model in memory."""

from __future__ import annotations

import importlib
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reportgen.core.errors import ModelError, UsageError
from reportgen.core.settings import Settings
from reportgen.network.backend import keras
from reportgen.network.error_text import one_line
from reportgen.network.loading.applications import PREFIX, make_application
from reportgen.network.loading.model_files import load_file, load_weights


@dataclass(frozen=True)
class Loaded:
    """A model in memory and where it came from. sha256: of the file, None where there is none. classes: names that the file states."""

    model: Any
    name: str
    source: str
    sha256: str | None
    classes: tuple[str, ...] | None = None


def load(specification: Any, settings: Settings) -> Loaded:
    """Load a model. Code inside a file runs only where the settings allow it.

    Args:
        specification: a path, `keras:NAME`, `package.module:callable`, or a Keras model.
        settings: of the run; the file `weights` is loaded over the model.

    Raises:
        ModelError: the model cannot be loaded.
        UsageError: a module cannot be imported.
    """
    modules = [_import(module, "--import") for module in settings.imports]
    if isinstance(specification, os.PathLike):
        specification = os.fspath(specification)
    if not isinstance(specification, str):
        loaded = _from_object(specification)
    elif specification.startswith(PREFIX):
        loaded = _from_applications(specification.removeprefix(PREFIX), settings)
    elif _is_callable_name(specification):
        loaded = _from_callable(specification)
    else:
        path = Path(specification)
        found = load_file(path, settings, modules)
        loaded = Loaded(found.model, path.stem, path.name, found.sha256, found.classes)
    if settings.weights is not None:
        load_weights(loaded.model, Path(settings.weights))
    return loaded


def _is_callable_name(text: str) -> bool:
    return re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", text) is not None and not Path(text).exists()


def _import(module: str, option: str) -> Any:
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # a module beside the model is found as `python -m` would find it
    try:
        return importlib.import_module(module)
    except Exception as error:
        raise UsageError(f"{option} {module}: the module cannot be imported ({one_line(error)}).") from error


def import_callable(name: str, option: str) -> Any:
    """Import a callable.

    Args:
        name: `package.module:callable`.
        option: that names it, for messages.

    Raises:
        UsageError: it cannot be imported or is not callable.
    """
    module_name, _, attribute = name.partition(":")
    target = _import(module_name, option)
    for part in attribute.split("."):
        if not hasattr(target, part):
            raise UsageError(f"{option} {name}: {module_name} has no `{attribute}`.")
        target = getattr(target, part)
    if not callable(target):
        raise UsageError(f"{option} {name} is not callable.")
    return target


def _from_object(model: Any) -> Loaded:
    if not isinstance(model, keras.Model):
        raise ModelError(f"a {type(model).__name__} was given, not a Keras model.")
    return Loaded(model, model.name, "a live model", None)


def _from_callable(specification: str) -> Loaded:
    make = import_callable(specification, "MODEL")
    try:
        model = make()
    except Exception as error:
        raise ModelError(f"{specification}() failed: {one_line(error)}") from error
    if not isinstance(model, keras.Model):
        raise ModelError(f"{specification}() returned {type(model).__name__}, not a Keras model.")
    return Loaded(model, specification.rpartition(":")[2], specification, None)


def _from_applications(name: str, settings: Settings) -> Loaded:
    return Loaded(make_application(name, settings.weights), name, f"{PREFIX}{name}", None)
