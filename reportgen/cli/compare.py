"""The command `compare`."""

from __future__ import annotations

from pathlib import Path

import click

from reportgen.cli.command import GroupedCommand, report_name, say
from reportgen.cli.options import takes_options
from reportgen.core.choices import Match
from reportgen.core.settings import Command


@click.command(cls=GroupedCommand)
@click.argument("old")
@click.argument("new")
@takes_options(Command.COMPARE)
def compare(old: str, new: str, output: str | None, force: bool | None, match: str | None, quiet: bool | None) -> None:
    """Compare two reports or archives, without TensorFlow.

    OLD and NEW are folders of finished reports, or archives. Filters are matched before they are compared, since training
    again puts them in another order. Writes pages and compare.json; docs/compare.md defines every number.

    \b
    Example:
      reportgen compare release-1.zip report -o compared
    """
    from reportgen.compare.compare import examine
    from reportgen.compare.pages import write_comparison
    from reportgen.compare.views import headline
    from reportgen.report.opened import Report

    found = examine(Report.open(old), Report.open(new), Match.AUTO if match is None else Match(match))
    written = write_comparison(
        found, Path(f"{report_name(new)}-compared" if output is None else output), force=bool(force)
    )
    if not quiet:
        for sentence in found.comparison.unfair:
            say(sentence)
        say(headline(found.comparison))
        say(f"open {written.index} in a browser.")
    click.echo(str(written.index))
