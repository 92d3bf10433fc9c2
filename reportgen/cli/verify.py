"""The command `verify`."""

from __future__ import annotations

from pathlib import Path

import click

from reportgen.cli.command import GroupedCommand, say
from reportgen.cli.options import takes_options
from reportgen.core.errors import VerificationError
from reportgen.core.settings import Command
from reportgen.render.text import plural


@click.command(cls=GroupedCommand)
@click.argument("path")
@takes_options(Command.VERIFY)
def verify(path: str, rebuild: bool | None, template: str | None, css: str | None, quiet: bool | None) -> None:
    """Check that a report or an archive at PATH is what it states.

    Every difference is named on stdout, and the exit code is then 5.
    """
    from reportgen.archive.verify import rebuild as rebuild_pages
    from reportgen.archive.verify import verify as verify_files

    result = verify_files(Path(path))
    if rebuild:
        rebuild_pages(result, *(None if given is None else Path(given) for given in (template, css)))
    if not quiet:
        for sentence in (*result.checks, *result.notes):
            say(sentence)
    for difference in result.differences:
        click.echo(difference)
    if result.differences:
        raise VerificationError(f"{path}: {plural(len(result.differences), 'difference')}.")
