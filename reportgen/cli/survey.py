"""The command `survey`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from reportgen.cli.build import written
from reportgen.cli.command import GroupedCommand, Written
from reportgen.cli.gates import Gated, Gates
from reportgen.cli.options import resolve, takes_options
from reportgen.core.commands import Command
from reportgen.core.errors import UsageError


@click.command(cls=GroupedCommand)
@click.argument("model")
@takes_options(Command.SURVEY)
def survey(model: str, **given: Any) -> Written | Gated:
    """Show what the images of a data set do to every filter of MODEL, without patterns.

    MODEL is a .keras, .h5 or .hdf5 file, keras:NAME, or package.module:callable.

    \b
    Example:
      reportgen survey my_model.keras --dataset photos/ -o report
    """
    settings, run = resolve(given)
    if settings.dataset is None:
        raise UsageError("survey needs images: name them with --dataset.")
    gates = Gates(given, Command.SURVEY, run)
    return gates.on_report(written(model, replace(settings, patterns=False), run, accept=gates.check_plan))
