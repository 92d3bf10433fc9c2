"""The page of the documentation that lists every option: `python -m reportgen.cli.reference > docs/cli.md`."""

from __future__ import annotations

from collections.abc import Iterator

import click

from reportgen.cli.main import main
from reportgen.core.errors import (
    EXIT_GATE,
    EXIT_INCOMPLETE,
    EXIT_INTERRUPTED,
    EXIT_UNEXPECTED,
    EXIT_UNVERIFIED,
    EXIT_USAGE,
)
from reportgen.core.options import SWITCH, Group, Option
from reportgen.core.run_options import OPTIONS

HEAD = """# Command line

<!-- Generated from the options table: python -m reportgen.cli.reference > docs/cli.md -->

MODEL is one of: a `.keras` file; a legacy `.h5` or `.hdf5` file; `keras:NAME` for a network of `keras.applications` with its ImageNet
weights; `package.module:callable` that returns a model. `reportgen build --help` shows the options of everyday use, `--help-all` every one.
"""
OTHER_WAYS = """## Settings in a file and from Python

Options may also stand in a TOML file, given with `--config FILE` or as `[tool.reportgen]` in `pyproject.toml`: by their long names
without the leading dashes (`max-images = 4`), a repeatable one as a list of texts, comma-separated numbers as a list of numbers (`"any"`
for an axis of any length), a switch as `true` or `false`. The command line takes precedence over the file, the file over the defaults.
`--config`, `--json`, `--shard` and `--verbose` cannot stand in a file.

`reportgen.build` and `reportgen.patterns` take the settings as keywords, with `_` for `-` and `imports` for `--import`
(`max_images=4, imports=["my.layers"]`); the report states the value of each in `report.json` under `settings`.
"""
EXIT_CODES = {
    0: "done",
    EXIT_UNEXPECTED: "unexpected failure: a bug of reportgen",
    EXIT_USAGE: "wrong usage or unreadable input; nothing was written",
    EXIT_INCOMPLETE: "the report was written, and something in it failed; each failure is named",
    EXIT_GATE: "a gate of `--fail-on` failed, or its value is not known; each is named ([gates.md](gates.md))",
    EXIT_UNVERIFIED: "verification failed; each difference is named",
    EXIT_INTERRUPTED: "interrupted; what was computed is kept, and the same command continues from there",
}


LONGEST_SENTENCE = 200  # characters of a command's explanation
BAR, LESS_THAN = r"\|", "&lt;"  # what these characters are inside a cell of a table


def reference() -> str:
    """Return the page in Markdown."""
    return "\n".join([HEAD, *_commands(), *_options(), OTHER_WAYS, *_exit_codes()])


def _commands() -> Iterator[str]:
    yield from ("| command | |", "|---|---|")
    for name, command in main.commands.items():
        arguments = [item.human_readable_name for item in command.params if isinstance(item, click.Argument)]
        yield f"| `reportgen {' '.join([name, *arguments])}` | {command.get_short_help_str(LONGEST_SENTENCE)} |"
    yield ""


def _options() -> Iterator[str]:
    for group in Group:
        yield from (f"## {group}", "", "| option | default | meaning | commands |", "|---|---|---|---|")
        yield from (_row(option) for option in OPTIONS if option.group == group)
        yield ""


def _row(option: Option) -> str:
    negation = f"--no-{option.flag.removeprefix('--')}" if option.negatable else None
    value = "" if option.kind is SWITCH else f" {option.shown_metavar}"
    flags = ", ".join(f"`{flag}`" for flag in (option.short, f"{option.flag}{value}", negation) if flag is not None)
    default = option.shown_default.replace("<", LESS_THAN)
    others = "; ".join(f"`{name}`: {meaning}" for name, meaning in option.meanings.items()).replace("<", LESS_THAN)
    cells = (flags, default, f"{option.help} {others}".strip(), ", ".join(option.commands))
    return f"| {' | '.join(cell.replace('|', BAR) for cell in cells)} |"


def _exit_codes() -> Iterator[str]:
    yield from ("## Exit codes", "", "| code | meaning |", "|---|---|")
    yield from (f"| {code} | {meaning} |" for code, meaning in sorted(EXIT_CODES.items()))
    yield from (
        "",
        "Messages, the progress bar and at the end three lines (what the report has, time and size, what to open) go to stderr; `-q` "
        "silences them. The last line of stdout is the path of the report's first page.",
        "",
    )


if __name__ == "__main__":
    print(reference(), end="")
