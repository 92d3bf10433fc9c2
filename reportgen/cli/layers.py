"""The command `layers`."""

from __future__ import annotations

import json
import shutil
import sys
from typing import Any

import click

from reportgen.cli.command import GroupedCommand, say
from reportgen.cli.options import resolve, takes_options
from reportgen.core.commands import Command


@click.command(cls=GroupedCommand)
@click.argument("model")
@takes_options(Command.LAYERS)
def layers(model: str, **given: Any) -> None:
    """List the layers that a report of MODEL would include.

    MODEL is a .keras, .h5 or .hdf5 file, keras:NAME, or package.module:callable. Nothing is computed or written.

    \b
    Example:
      reportgen layers my_model.keras --layers 'block3_*'
    """
    from reportgen.cli.layer_table import as_table
    from reportgen.compute.planning.prepare import walk

    settings, run = resolve(given)
    network, records = walk(model, settings)
    for sentence in network.notes if network.problem is None else (*network.notes, network.problem):
        say(sentence)
    if run.json:
        click.echo(json.dumps([record.facts() for record in records], indent=1, ensure_ascii=False))
    else:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        click.echo(as_table(network.loaded.source, network.contract, records, width))
