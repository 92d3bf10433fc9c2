"""The options table as click options, and what they, a settings file and defaults come to."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import click

from reportgen.core.commands import Command
from reportgen.core.errors import UsageError
from reportgen.core.options import NUMBER, SWITCH, TEXTS, WHOLE, Option, read
from reportgen.core.run_options import OPTIONS, RUN_OPTIONS, RunOptions
from reportgen.core.settings import SETTINGS, Settings, from_mapping

OWN_TABLE = "pyproject.toml"


class Value(click.ParamType):  # type: ignore[type-arg]
    """The values of an option's kind, where click has no type for them."""

    name = "value"

    def __init__(self, option: Option) -> None:
        self.kind = option.kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value that a text stands for."""
        if not isinstance(value, str):
            return value
        try:
            return self.kind.from_text(value)
        except ValueError:
            self.fail(f"{value!r} is not {self.kind.form}.", param, ctx)


def takes_options(command: Command) -> Callable[[Any], Any]:
    """Return a decorator that gives a command its options of the table."""

    def decorate(function: Any) -> Any:
        for option in reversed(OPTIONS):
            if command in option.commands:
                function = _click_option(option, command)(function)
        return function

    return decorate


def _click_option(option: Option, command: Command) -> Callable[[Any], Any]:
    """Return click's own option; one that is not given is None, or () where it is repeatable."""
    flag = f"{option.flag}/--no-{option.flag.removeprefix('--')}" if option.negatable else option.flag
    names = [flag] if option.short is None else [option.short, flag]
    attributes: dict[str, Any] = {"help": option.explained(command), "metavar": option.metavar}
    if option.kind is SWITCH:
        attributes |= {"is_flag": True, "default": None}
    elif option.choices is not None:
        attributes["type"] = click.Choice([choice.value for choice in option.choices])
    else:
        attributes |= {"type": _click_type(option), "multiple": option.kind is TEXTS}
    return click.option(*names, option.name, **attributes)


def _click_type(option: Option) -> Any:
    return {WHOLE: click.INT, NUMBER: click.FLOAT}.get(option.kind) or Value(option)


def given_settings(given: dict[str, Any]) -> dict[str, Any]:
    """Return the settings among the options of a command line, without those that were not given."""
    names = {option.name for option in SETTINGS}
    return {name: value for name, value in given.items() if name in names and value is not None and value != ()}


def explicit(given: dict[str, Any]) -> frozenset[str]:
    """Return the names of the settings that a command line or its settings file gives."""
    table = _table(given.get("config"))
    of_run = {key for option in RUN_OPTIONS for key in option.keys}
    own = {name: value for name, value in table.items() if name.replace("-", "_") not in of_run}
    return frozenset(from_mapping(own)) | frozenset(given_settings(given))


def resolve(given: dict[str, Any]) -> tuple[Settings, RunOptions]:
    """Return what the options of a command line come to: flags before the settings file before defaults.

    Args:
        given: Values by the options' names, as click has them.

    Raises:
        UsageError: The settings file cannot be read, or a value cannot be meant.
    """
    table = _table(given.get("config"))
    of_run = {option.name for option in RUN_OPTIONS}
    run = _of_run(table)
    run |= {name: value for name, value in given.items() if name in of_run and value is not None and value != ()}
    return Settings(**{**from_mapping(table), **given_settings(given)}), RunOptions(**run)


def run_options(given: dict[str, Any], names: Collection[str]) -> RunOptions:
    """Return some options of a run, of a command that takes no others from a settings file.

    Args:
        given: Values by the options' names, as click has them.
        names: Of the options.

    Raises:
        UsageError: The settings file cannot be read, or a value cannot be meant.
    """
    stated = {name: value for name, value in _of_run(_table(given.get("config"))).items() if name in names}
    own = {name: given[name] for name in names if given.get(name) not in (None, ())}
    return RunOptions(**{**stated, **own})


def _of_run(table: dict[str, Any]) -> dict[str, Any]:
    """Take the options of a run out of a settings file's table."""
    keys = {key for option in RUN_OPTIONS for key in option.keys}
    found = {name: table.pop(name) for name in list(table) if name.replace("-", "_") in keys}
    return read(RUN_OPTIONS, found, "the settings file")


def _table(file: str | None) -> dict[str, Any]:
    """Return the settings file's own table: `[tool.reportgen]`, or the whole file where it is not a pyproject.toml."""
    path = Path(OWN_TABLE if file is None else file)
    if file is None and not path.is_file():
        return {}
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"the settings file {path.name} cannot be read: {error}.") from error
    own = table
    if path.name == OWN_TABLE or "tool" in table:
        tools = table.get("tool", {})
        own = tools.get("reportgen", {}) if isinstance(tools, dict) else tools
    if not isinstance(own, dict):
        raise UsageError(
            f"the settings file {path.name} has something else than a table where [tool.reportgen] should be."
        )
    return dict(own)
