"""The settings of a report as rows: those that differ from their defaults first, then all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reportgen.core.settings import SETTINGS, Settings
from reportgen.render.wording import flattened, setting

RECIPE = "recipe"  # the optimization method, which is stated in words and in full on each layer's page
NOT_GIVEN = "not given"
UNSET: tuple[object, ...] = (None, "", (), [])
Rows = tuple[tuple[str, str], ...]


def chosen_settings(settings: Mapping[str, Any]) -> Rows:
    """Return (option, value) of the settings that are not the default of their option, as they would be typed.

    What an automatic default came to counts as a value.
    """
    defaults, flags = Settings().describe(), {option.name: option.flag for option in SETTINGS}
    return tuple(
        (flags[name], setting(settings[name]))
        for name in flags
        if name in settings and _plain(settings[name]) not in (_plain(defaults[name]), None)
    )


def all_settings(settings: Mapping[str, Any]) -> Rows:
    """Return every setting and every parameter of the recipe by name; an option that was not given says so."""
    given = {name: NOT_GIVEN if value in UNSET else value for name, value in settings.items() if name != RECIPE}
    return flattened({**given, **({RECIPE: settings[RECIPE]} if RECIPE in settings else {})})


def _plain(value: Any) -> Any:
    """A value as JSON has it; None where nothing was given."""
    if value in UNSET:
        return None
    return list(value) if isinstance(value, tuple) else value
