"""The command `figures`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from reportgen.cli.command import GroupedCommand, Written, report_name, say, silent
from reportgen.cli.options import takes_options
from reportgen.core.commands import Command
from reportgen.core.errors import UsageError
from reportgen.core.paper import TWO_COLUMNS, FigureFormat, parse_words
from reportgen.core.run_options import FIGURE_OPTIONS, FigureOptions


@click.command(cls=GroupedCommand)
@click.argument("report", metavar="DIR|ZIP")
@takes_options(Command.FIGURES)
def figures(report: str, quiet: bool, output: str | None, force: bool | None, **given: Any) -> Written:
    """Write figures for a paper from a report, without TensorFlow.

    DIR is the report's folder, ZIP its archive. Beside the figures: figures.tex to include, captions, a
    bibliography and a methods paragraph.

    \b
    Example:
      reportgen figures report --layers conv1
    """
    names = {option.name for option in FIGURE_OPTIONS}
    options = FigureOptions(**{name: value for name, value in given.items() if name in names and value is not None})
    formats = tuple(FigureFormat(word) for word in parse_words("--format", options.format, FigureFormat))

    from reportgen.figures.selection import selected
    from reportgen.figures.writing import write
    from reportgen.report.opened import Report

    selection = selected(options, layers=tuple(given["layers"] or ()), exclude=tuple(given["exclude"] or ()))
    opened = Report.open(report)
    folder = Path(f"{report_name(report)}-figures" if output is None else output)
    if Path(report).is_dir() and folder.resolve().is_relative_to(Path(report).resolve()):
        raise UsageError(f"{folder} is in the report itself, whose files stay as they are; give another folder.")
    return write(
        opened,
        folder,
        selection,
        formats,
        wide=options.width in TWO_COLUMNS,
        force=bool(force),
        say=silent if quiet else say,
    )
