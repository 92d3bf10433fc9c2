"""What an option is: a dataclass field that also states its flags, kind of value, check and help, for every way to give it.

The command line, settings files, Python keywords, `docs/cli.md` and the settings in `report.json` are read off these declarations.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from typing import Any

from reportgen.core.choices import SHAPE_AXES
from reportgen.core.errors import UsageError

OPTION = "option"  # key of a field's metadata
ANY_LENGTH = "any"  # TOML has no null: so an axis of any length is written
NO_LENGTH = "none"  # the same on the command line
SHOWN_CHANNELS = 3  # red, green and blue


class Group(StrEnum):
    """The headings of help and of the documentation, in their order."""

    FIRST = "Most used"
    MODEL = "Model"
    IMAGES = "Images"
    DATASET = "Data set"
    SHOW = "What to show"
    PATTERNS = "Patterns"
    REPORT = "Report"
    FIGURES = "Figures"
    GATES = "Gates"
    RUN = "Run"
    EXPERT = "Expert settings of patterns"


OF_PATTERNS = (Group.PATTERNS, Group.EXPERT)  # what a command that computes no patterns does not take


@dataclass(frozen=True)
class Kind:
    """The values that an option takes.

    Attributes:
        form: What a value is, for messages.
        from_toml: Returns the value that a TOML value stands for; raises TypeError where it is of another type.
        from_text: Returns the value that a command line's text stands for; raises ValueError where it is of another form.
    """

    form: str
    from_toml: Callable[[Any], Any]
    from_text: Callable[[str], Any] = str


@dataclass(frozen=True, kw_only=True)
class Option:
    """One option.

    Attributes:
        name: The field's name and the Python keyword.
        kind: The values that it takes.
        group: The heading that help shows it under.
        help: One sentence.
        default: The value where none is given.
        unset: What a default of None comes to, for help.
        meanings: What it means to some commands, for their help, in place of `help` and the default.
        metavar: How help names the value.
        flag: How the command line writes it; the name with dashes where nothing else is stated.
        short: Its one-letter form.
        negatable: Whether the command line has a `--no-…` form.
        choices: The words that the value is one of.
        check: Raises UsageError for (flag, value) where the value cannot be meant.
        commands: Those that take it.
        everyday: Whether `--help` of a command with many options shows it, not `--help-all` alone.
        in_file: Whether a settings file may give it.
        recipe: The field of the pattern recipe that its value replaces.
        stated: Returns the value as the report states it.
    """

    name: str = ""
    kind: Kind
    group: Group
    help: str
    default: Any
    unset: str = ""
    meanings: Mapping[str, str] = dataclasses.field(default_factory=dict)
    metavar: str | None = None
    flag: str = ""
    short: str | None = None
    negatable: bool = False
    choices: type[StrEnum] | None = None
    check: Callable[[str, Any], object] | None = None
    commands: tuple[str, ...] = ("build", "survey", "plan")
    everyday: bool = False
    in_file: bool = True
    recipe: str | None = None
    stated: Callable[[Any], Any] | None = None

    @property
    def keys(self) -> set[str]:
        """What a settings file may call it, with `_` for `-`."""
        return {self.name, self.flag.removeprefix("--").replace("-", "_")}

    @property
    def shown_default(self) -> str:
        """The default as help states it; "" where there is nothing to say."""
        if self.unset or self.default is None or self.default is False or self.default == ():
            return self.unset
        if isinstance(self.default, tuple):
            return ",".join(f"{item:g}" for item in self.default)
        return str(self.default)

    def explained(self, command: str) -> str:
        """Return the sentence that a command's help has, with the default."""
        if command in self.meanings:
            return self.meanings[command]
        return f"{self.help} [{self.shown_default}]" if self.shown_default else self.help

    @property
    def shown_metavar(self) -> str:
        """How help names the value."""
        return self.metavar or f"[{'|'.join(self.choices or ())}]"

    def validate(self, value: Any) -> None:
        """Raise UsageError where `value` cannot be meant; None is the default and always can."""
        if value is None:
            return
        if self.choices is not None and value not in tuple(self.choices):
            raise UsageError(f"{self.flag} {value} is none of {', '.join(self.choices)}.")
        if self.check is not None:
            self.check(self.flag, value)


def option(default: Any, kind: Kind, group: Group, help: str, **attributes: Any) -> Any:
    """Declare an option as a field of a dataclass; the arguments are the attributes of `Option`."""
    declared = Option(default=default, kind=kind, group=group, help=help, **attributes)
    return dataclasses.field(default=default, metadata={OPTION: declared})


def declared(table: type) -> tuple[Option, ...]:
    """Return the options that a dataclass declares, in their order."""
    return tuple(
        dataclasses.replace(
            declaration,
            name=field.name,
            flag=declaration.flag or f"--{field.name.replace('_', '-')}",
            commands=tuple(
                command
                for command in declaration.commands
                if command != "survey" or declaration.group not in OF_PATTERNS
            ),
        )
        for field in dataclasses.fields(table)
        for declaration in [field.metadata[OPTION]]
    )


def read(options: tuple[Option, ...], values: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Return the values of a TOML table by the names of the options.

    Args:
        options: Those that may be given.
        values: TOML values by name, with `-` or `_`.
        source: Where they stand, for messages.

    Raises:
        UsageError: A name is unknown, or a value is of the wrong type.
    """
    by_key = {key: option for option in options if option.in_file for key in option.keys}
    result: dict[str, Any] = {}
    for key, value in values.items():
        option = by_key.get(key.replace("-", "_"))
        if option is None:
            raise UsageError(f"{source} holds an unknown option `{key}`.")
        try:
            result[option.name] = option.kind.from_toml(value)
        except TypeError as error:
            raise UsageError(f"{source} gives `{key}` a value of the wrong type: {value!r}.") from error
    return result


def as_toml(value: Any) -> Any:
    """Return a Python value as TOML would give it: paths as text, tuples as lists, NumPy numbers as numbers."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, (list, tuple)):
        return [ANY_LENGTH if item is None else as_toml(item) for item in value]
    return value.item() if hasattr(value, "item") and hasattr(value, "dtype") else value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _text_or_number(value: Any) -> str:
    return value if isinstance(value, str) else str(_whole(value))


def _texts(value: Any) -> tuple[str, ...]:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list):
        raise TypeError(value)
    return tuple(map(_text, items))


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(value)
    return value


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(value)
    return value


def _either(value: Any) -> int | float:
    return value if isinstance(value, float) else _whole(value)


def _several(value: Any, counts: tuple[int, ...], each: Callable[[Any], Any]) -> tuple[Any, ...]:
    if not isinstance(value, list) or len(value) not in counts:
        raise TypeError(value)
    return tuple(map(each, value))


def _separated(text: str, counts: tuple[int, ...], each: Callable[[str], Any]) -> tuple[Any, ...]:
    parts = [part.strip().lower() for part in text.split(",")]
    if len(parts) not in counts:
        raise ValueError(text)
    return tuple(map(each, parts))


def _length(text: str) -> int | None:
    return None if text in (ANY_LENGTH, NO_LENGTH) else int(text)


TEXT = Kind("a text", _text)
TEXT_OR_NUMBER = Kind("a text or a whole number", _text_or_number)
TEXTS = Kind("a list of texts", _texts)
SWITCH = Kind("true or false", _switch)
WHOLE = Kind("a whole number", _whole, int)
NUMBER = Kind("a number", lambda value: float(_either(value)), float)
RANGE = Kind(
    "two numbers LO,HI", lambda value: _several(value, (2,), _either), lambda text: _separated(text, (2,), float)
)
SHAPE = Kind(
    "of the form H,W,C (of a signal STEPS,C, of a volume D,H,W,C)",
    lambda value: _several(value, SHAPE_AXES, lambda item: None if item == ANY_LENGTH else _whole(item)),
    lambda text: _separated(text, SHAPE_AXES, _length),
)
CHANNELS = Kind(
    "three channel numbers R,G,B",
    lambda value: _several(value, (SHOWN_CHANNELS,), _whole),
    lambda text: _separated(text, (SHOWN_CHANNELS,), int),
)


def at_least(least: int) -> Callable[[str, Any], None]:
    """Return a check that a number is not below `least`."""

    def check(flag: str, value: int) -> None:
        if value < least:
            raise UsageError(f"{flag} {value} is below {least}.")

    return check


def within(least: int, most: int) -> Callable[[str, Any], None]:
    """Return a check that a number is `least` to `most`."""

    def check(flag: str, value: int) -> None:
        if not least <= value <= most:
            raise UsageError(f"{flag} {value} is not between {least} and {most}.")

    return check


def positive(flag: str, value: float) -> None:
    """Raise UsageError where a number is not above 0 and finite."""
    if not 0 < value < inf:
        raise UsageError(f"{flag} {value:g} is not a number above 0.")


def increasing(flag: str, value: tuple[float, float]) -> None:
    """Raise UsageError where two numbers are not finite or not the first below the second."""
    low, high = value
    if not -inf < low < high < inf:
        raise UsageError(f"{flag} {low:g},{high:g}: two numbers are needed, the first below the second.")


def file_name(path: str | None) -> str | None:
    """Return a path without its folders: the report holds no paths of a machine."""
    return None if path is None else path.replace("\\", "/").rstrip("/").rpartition("/")[2]
