"""The command `index`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from reportgen.cli.command import GroupedCommand, Written, say, silent
from reportgen.cli.options import takes_options
from reportgen.core.commands import Command


@click.command(cls=GroupedCommand)
@click.argument("folder", metavar="FOLDER")
@takes_options(Command.INDEX)
def index(folder: str, output: str | None, force: bool | None, quiet: bool | None) -> Written:
    """Write one page on all reports in a folder, without TensorFlow.

    FOLDER is searched for reports and archives of reports: of releases, or of the epochs of a training. The page has a line for each,
    what changed from one to the next, and charts over all of them.

    \b
    Example:
      reportgen index releases
    """
    from reportgen.releases.writing import index as write_index

    target = None if output is None else Path(output)
    written = write_index(Path(folder), target, force=bool(force), say=silent if quiet else say)
    return replace(written, summary=None) if quiet else written
