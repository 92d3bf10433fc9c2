"""The user's own classes and functions, from the modules that `--import` names: offered to Keras beside what is registered."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from types import ModuleType
from typing import Any

KERAS_PACKAGES = ("keras", "tensorflow", "tf_keras")


def own_objects(modules: Iterable[ModuleType]) -> dict[str, Any]:
    """Classes that can be made from a config, and functions, by the names under which a model file would ask for them."""
    found: dict[str, Any] = {}
    for module in modules:
        package = module.__name__.partition(".")[0]
        for name, item in vars(module).items():
            home = str(getattr(item, "__module__", "")).partition(".")[0]
            made_from_config = inspect.isclass(item) and hasattr(item, "from_config") and home not in KERAS_PACKAGES
            if not name.startswith("_") and (made_from_config or (inspect.isfunction(item) and home == package)):
                found[item.__name__] = item
    return found
