"""The command `assemble`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from reportgen.cli.command import GroupedCommand, Written, say
from reportgen.cli.gates import Gated, Gates
from reportgen.cli.options import given_settings, takes_options
from reportgen.core.commands import Command
from reportgen.core.errors import StoreError, UsageError


@click.command(cls=GroupedCommand)
@click.argument("folders", metavar="DIR...", nargs=-1, required=True)
@takes_options(Command.ASSEMBLE)
def assemble(
    folders: tuple[str, ...], quiet: bool, output: str | None, force: bool | None, **given: Any
) -> Written | Gated:
    """Write the pages of an existing report again, without TensorFlow.

    DIR is the report's folder; its stored arrays are read, and nothing is computed. Several folders, the shards of one report, become
    one report in --output.

    \b
    Examples:
      reportgen assemble report --single-file
      reportgen assemble shard-1 shard-2 -o report
    """
    from reportgen.core.store import Store
    from reportgen.pipeline import finish_dataset
    from reportgen.report.assemble import assemble as assemble_report
    from reportgen.report.theme import load_look

    gates = Gates(given, Command.ASSEMBLE)
    if output is None and len(folders) > 1:
        raise UsageError("several folders become one report: name its folder with --output.")
    drawing = given_settings(given)
    dataset = drawing.pop("dataset", None)
    template, css = (drawing.pop(name, None) for name in ("template", "css"))
    look = load_look(*(None if path is None else Path(path) for path in (template, css)))
    folder = Path(folders[0] if output is None else output)
    problems = () if output is None else _merge(folders, folder, bool(force))
    try:
        if gates:
            gates.check_plan(Store(folder).load_plan())
        finish_dataset(folder, dataset)
        written = assemble_report(folder, drawing=drawing, look=look)
    except StoreError as error:
        raise StoreError(f"{folder}: {error}") from error
    for sentence in () if quiet else written.notes:
        say(sentence)
    written = replace(written, problems=(*problems, *written.problems), summary=None if quiet else written.summary)
    return gates.on_report(written)


def _merge(folders: tuple[str, ...], output: Path, force: bool) -> tuple[str, ...]:
    """Bring what is stored in several folders into one; returns what shards are missing."""
    from reportgen.pipeline import check_output
    from reportgen.report.merging import merge

    check_output(output, force)
    return merge([Path(folder) for folder in folders], output)
