"""The command `assemble`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from reportgen.cli.command import GroupedCommand, Written, say
from reportgen.cli.options import given_settings, takes_options
from reportgen.core.errors import StoreError
from reportgen.core.settings import Command


@click.command(cls=GroupedCommand)
@click.argument("folder", metavar="DIR")
@takes_options(Command.ASSEMBLE)
def assemble(folder: str, quiet: bool, **given: Any) -> Written:
    """Write the pages of the report in DIR again from its stored arrays; no TensorFlow is needed."""
    from reportgen.report.assemble import assemble as assemble_report
    from reportgen.report.theme import load_look

    drawing = given_settings(given)
    template, css = (drawing.pop(name, None) for name in ("template", "css"))
    look = load_look(*(None if path is None else Path(path) for path in (template, css)))
    try:
        written = assemble_report(Path(folder), drawing=drawing, look=look)
    except StoreError as error:
        raise StoreError(f"{folder}: {error}") from error
    for sentence in () if quiet else written.notes:
        say(sentence)
    return written
