"""What every command has in common: help in groups that fits on a screen, `-v`, and how it speaks to the user."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import click

from reportgen.core.commands import Command
from reportgen.core.options import Group
from reportgen.core.run_options import OPTIONS

ONE_SCREEN = 24  # options; a command with more shows those of everyday use, the rest with --help-all
VERBOSE = "reportgen.verbose"  # key of what click's contexts share
WIDTH = 100  # columns of help at most
WIDEST_TERM = 32  # columns; what is longer has a line of its own
EVERYTHING = "reportgen.everything"  # the same, of whether help shows every option
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": WIDTH}
BY_NAME = {option.name: option for option in OPTIONS}


class Written(Protocol):
    """A report that a command has written: its first page, one sentence for each thing that failed in it, and what is in it."""

    @property
    def index(self) -> Path:
        """The path of the first page."""

    @property
    def problems(self) -> tuple[str, ...]:
        """The sentences."""

    @property
    def summary(self) -> tuple[str, str] | None:
        """What is in it in numbers, and its size; None where nothing is to be said of them."""


class GroupedCommand(click.Command):
    """A command whose help shows its options in the groups of their table."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **{"context_settings": CONTEXT, **attributes})
        if self.is_long:
            self.params.append(
                click.Option(
                    ["--help-all"],
                    is_flag=True,
                    is_eager=True,
                    expose_value=False,
                    callback=_show_everything,
                    help="Show every option and exit.",
                )
            )

    @property
    def is_long(self) -> bool:
        """Whether help of all options would not fit on a screen."""
        return len(self.params) > ONE_SCREEN

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options in the table's groups, their explanations under one another."""
        everything = not self.is_long or ctx.meta.get(EVERYTHING, False)
        groups: dict[Group, list[tuple[str, str]]] = {group: [] for group in Group}
        hidden = 0
        for parameter in self.get_params(ctx):
            option = BY_NAME.get(str(parameter.name))
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record is None:
                continue
            if option is None or option.everyday or everything:
                groups[Group.RUN if option is None else option.group].append(record)
            else:
                hidden += 1
        width = min(max(len(term) for records in groups.values() for term, _ in records), WIDEST_TERM)
        for group, records in groups.items():
            if records:
                with formatter.section(group):
                    formatter.write_dl([(term.ljust(width), text) for term, text in records], col_max=width)
                    if group == Group.GATES:
                        _write_gates(formatter, Command(str(self.name)))
        if hidden:
            formatter.write_paragraph()
            formatter.write_text(f"{hidden} more options: {ctx.command_path} --help-all, or docs/cli.md.")

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; `-v` is the business of whoever prints its errors."""
        ctx.meta[VERBOSE] = bool(ctx.params.pop("verbose", False))
        return super().invoke(ctx)


def _write_gates(formatter: click.HelpFormatter, command: Command) -> None:
    from reportgen.gates.expression import FORM
    from reportgen.gates.registry import quantities

    formatter.write_paragraph()
    formatter.write_text(f"GATE is {FORM}, where NAME is one of these:")
    formatter.write_dl([(item.name, item.meaning) for item in quantities(command)], col_max=WIDEST_TERM)


def _show_everything(ctx: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        ctx.meta[EVERYTHING] = True
        click.echo(ctx.get_help())
        ctx.exit()


def say(sentence: str) -> None:
    """Print a sentence on stderr."""
    click.echo(f"reportgen: {sentence}", err=True)


def silent(sentence: str) -> None:
    """Print nothing."""


def report_name(path: str) -> str:
    """Return what a report is called by its place: the name of its folder, or of its archive without the suffix."""
    resolved = Path(path).resolve()
    if resolved.suffix == ".zip":
        return resolved.stem
    return resolved.parent.name if resolved.is_file() else resolved.name
