"""Classes and functions that Keras may use beside those registered: the user's own, and the private ones of keras.applications."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from reportgen.network.backend import keras

APPLICATIONS = "keras.src.applications."
KERAS_PACKAGES = ("keras", "tensorflow", "tf_keras")


def own_objects(modules: Iterable[ModuleType]) -> dict[str, Any]:
    """Return classes that can be made from a config, and functions, by the names under which a model file refers to them.

    Args:
        modules: the user's own, as `--import` names them.
    """
    found: dict[str, Any] = {}
    for module in modules:
        package = module.__name__.partition(".")[0]
        for name, item in vars(module).items():
            home = str(getattr(item, "__module__", "")).partition(".")[0]
            made_from_config = inspect.isclass(item) and hasattr(item, "from_config") and home not in KERAS_PACKAGES
            # A lambda has no name that distinguishes it from others.
            named = inspect.isfunction(item) and item.__name__.isidentifier()
            if not name.startswith("_") and (made_from_config or (named and home == package)):
                found[item.__name__] = item
    return found


def application_layers(parts: Iterable[dict[str, Any]]) -> dict[str, type]:
    """Return layers that keras.applications define for themselves, by each name under which a file refers to them.

    A layer counts as theirs where the file names no other module for it and its config has no key that theirs does not take.

    Args:
        parts: the JSON objects of an architecture.
    """
    known = {
        name: item
        for module_name, module in list(sys.modules.items())
        if module_name.startswith(APPLICATIONS)
        for name, item in vars(module).items()
        if inspect.isclass(item) and issubclass(item, keras.layers.Layer) and item.__module__ == module_name
    }
    found: dict[str, type] = {}
    for part in parts:
        name, config = str(part.get("class_name")), part.get("config")
        item = known.get(name.removeprefix("Custom>"))  # what Keras 2 registered without a package
        if item is None or not isinstance(config, dict):
            continue
        module = part.get("module")
        if (module is None or ".applications." in str(module)) and config.keys() <= _taken(item):
            found |= {name: item, str(part.get("registered_name") or name): item}
    return found


def _taken(item: type) -> set[str]:
    """Return the keys that a layer's config may have."""
    return {"name", "trainable", "dtype", *inspect.signature(item).parameters} - {"kwargs"}
