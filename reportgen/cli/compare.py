"""The command `compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reportgen.cli.command import GroupedCommand, report_name, say
from reportgen.cli.gates import Gates
from reportgen.cli.options import takes_options
from reportgen.core.choices import Match
from reportgen.core.commands import Command
from reportgen.core.errors import GateError
from reportgen.render.text import plural

if TYPE_CHECKING:
    from reportgen.compare.records import Comparison
    from reportgen.report.document import ReportDocument


@click.command(cls=GroupedCommand)
@click.argument("old")
@click.argument("new")
@takes_options(Command.COMPARE)
def compare(
    old: str,
    new: str,
    output: str | None,
    force: bool | None,
    match: str | None,
    quiet: bool | None,
    **given: Any,
) -> None:
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

    gates = Gates(given, Command.COMPARE)
    before, after = Report.open(old), Report.open(new)
    gates.check_layers(after.document, before.document)
    found = examine(before, after, Match.AUTO if match is None else Match(match))
    written = write_comparison(
        found, Path(f"{report_name(new)}-compared" if output is None else output), force=bool(force)
    )
    if not quiet:
        for sentence in found.comparison.unfair:
            say(sentence)
        say(headline(found.comparison))
        say(f"open {written.index} in a browser.")
    failures = _failures(gates, before.document, after.document, found.comparison)
    for failure in failures:
        say(failure)
    click.echo(str(written.index))
    if failures:
        raise GateError(f"{new}: {plural(len(failures), 'gate')} did not pass.")


def _failures(gates: Gates, old: ReportDocument, new: ReportDocument, comparison: Comparison) -> tuple[str, ...]:
    """A sentence for each gate that did not pass."""
    if not gates:
        return ()
    from reportgen.gates.quantity import Subject

    return gates.failures(lambda: Subject(new, old, comparison))
