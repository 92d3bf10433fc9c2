"""The command `archive`."""

from __future__ import annotations

from pathlib import Path

import click

from reportgen.cli.command import GroupedCommand, say
from reportgen.cli.options import takes_options
from reportgen.core.commands import Command


@click.command(cls=GroupedCommand)
@click.argument("folder", metavar="DIR")
@takes_options(Command.ARCHIVE)
def archive(folder: str, output: str | None, force: bool | None, statement: str | None, quiet: bool | None) -> None:
    """Pack a report into a zip archive that `verify` checks.

    DIR is the report's folder; the same report gives the same bytes. The archive has the report with its stored arrays,
    manifests, a bill of materials, a model card and an audit table.

    \b
    Example:
      reportgen archive report --statement model.toml
    """
    from reportgen.archive.pack import archive as pack
    from reportgen.archive.statement import read_statement

    given = None if statement is None else read_statement(Path(statement))[1]
    named = Path(folder) if Path(folder).name not in ("", "..") else Path(folder).resolve()
    target = named.with_name(f"{named.name}.zip") if output is None else Path(output)
    written = pack(Path(folder), target, given, force=bool(force))
    if not quiet and given is None:
        say("purpose, data, owner and limits of the model are not stated; --statement FILE.toml states them.")
    click.echo(str(written))
