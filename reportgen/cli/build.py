"""The command `build`."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reportgen.cli.command import GroupedCommand, Written, say, silent
from reportgen.cli.gates import Gated, Gates
from reportgen.cli.options import explicit, resolve, takes_options
from reportgen.core.budget import Budget
from reportgen.core.commands import Command
from reportgen.core.errors import UsageError
from reportgen.core.execution import Execution
from reportgen.core.run_options import RunOptions
from reportgen.core.settings import Settings

if TYPE_CHECKING:
    from reportgen.core.records import Plan


@click.command(cls=GroupedCommand)
@click.argument("model")
@takes_options(Command.BUILD)
def build(model: str, **given: Any) -> Written | Gated:
    """Build a report for MODEL.

    MODEL is a .keras, .h5 or .hdf5 file, keras:NAME, or package.module:callable.

    \b
    Examples:
      reportgen build my_model.keras -i photos/ -o report
      reportgen build keras:ResNet50 -i photos/ --budget 10m
    """
    settings, run = resolve(given)
    if given["fail_on"] and run.shard is not None:
        raise UsageError("a shard has no report that gates could be judged on: give --fail-on to `reportgen assemble`.")
    gates = Gates(given, Command.BUILD, run if run.shard is None else RunOptions())
    budget = None if run.budget is None else Budget(run.budget, explicit(given))
    return gates.on_report(written(model, settings, run, budget, gates.check_plan))


def written(
    model: str,
    settings: Settings,
    run: RunOptions,
    budget: Budget | None = None,
    accept: Callable[[Plan], None] = lambda plan: None,
) -> Written:
    """Build a report as the options of a command say.

    Args:
        model: what names it.
        settings: of the report.
        run: of this run.
        budget: the time that settings are chosen for; None where they stay as they are.
        accept: raises UsageError for a plan that is not wanted.

    Returns:
        The report.

    Raises:
        ReportgenError: nothing was written.
    """
    from reportgen.core.progress import Progress
    from reportgen.core.shard import Shard
    from reportgen.pipeline import build as build_report

    built = build_report(
        model,
        settings,
        None if run.output is None else Path(run.output),
        force=run.force,
        progress=Progress(False if run.quiet else run.progress),
        say=silent if run.quiet else say,
        execution=Execution.stated(run.executor, run.jobs, run.scheduler),
        budget=budget,
        expect=not run.quiet,
        shard=None if run.shard is None else Shard.parse(run.shard, os.environ),
        accept=accept,
    )
    return replace(built, summary=None) if run.quiet else built
