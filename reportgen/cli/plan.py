"""The command `plan`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reportgen.cli.command import GroupedCommand, say, silent
from reportgen.cli.options import explicit, resolve, takes_options
from reportgen.core.budget import Budget
from reportgen.core.commands import Command
from reportgen.core.execution import Execution
from reportgen.core.shard import Shard

if TYPE_CHECKING:
    from reportgen.compute.planning.estimate import Estimate


@click.command(cls=GroupedCommand)
@click.argument("model")
@takes_options(Command.PLAN)
def plan(model: str, **given: Any) -> None:
    """Estimate the time, memory and disk space of a build.

    MODEL is a .keras, .h5 or .hdf5 file, keras:NAME, or package.module:callable. Give the options of the build; nothing is computed or
    written.

    \b
    Example:
      reportgen plan my_model.keras -i photos/ --budget 10m
    """
    from reportgen.compute.expectation import Expectation
    from reportgen.compute.planning.prepare import prepare
    from reportgen.pipeline import default_name

    settings, run = resolve(given)
    shard = None if run.shard is None else Shard.parse(run.shard, os.environ)
    expectation = Expectation(settings, None if run.budget is None else Budget(run.budget, explicit(given)))
    job = prepare(model, settings, choose=expectation.choose)
    folder = Path("reports") / (default_name(model) + ("" if shard is None else shard.suffix))
    found = expectation.of(job, folder if run.output is None else Path(run.output), shard)
    execution = Execution.stated(run.executor, run.jobs, run.scheduler)
    if expectation.may_settle(execution, job, shard):
        execution = expectation.settled(execution, found)
    tell = silent if run.quiet else say
    for sentence in (job.plan.contract.warning, *job.plan.notes, *expectation.remarks(found)):
        if sentence is not None:
            tell(sentence)
    if run.json:
        chosen = {name: job.plan.settings[name] for name in ("quality", "filters")}
        click.echo(json.dumps({**chosen, **found.facts(), "processes": execution.here(job.threads)}, indent=1))
    else:
        click.echo(as_text(found, job.plan.settings, execution.here(job.threads)))


def as_text(found: Estimate, settings: Mapping[str, Any], processes: int | None) -> str:
    """Return an estimate as lines of text.

    Args:
        found: the estimate.
        settings: as the report states them.
        processes: that `build` would compute in on this machine; None where a scheduler has them.
    """
    from reportgen.compute.planning.estimate import GIGA, MEGA, MILLI, duration

    rows = [
        ("layers", f"{found.layers:,}"),
        ("patterns", f"{found.patterns:,} to compute, --quality {settings['quality']} --filters {settings['filters']}"),
        ("multiply-adds", f"{found.operations / GIGA:,.1f} G"),
        ("memory", f"{found.memory_bytes / 2**30:.1f} GiB"),
        ("disk", f"{found.disk_bytes / MEGA:,.0f} MB"),
    ]
    if found.seconds is not None and found.calibration is not None:
        measured = found.calibration
        rows += [
            ("time", f"about {duration(found.seconds)} in one process, after loading"),
            (
                "measured",
                f"{measured.layer}: {measured.forward_seconds * MILLI:.1f} ms an input, "
                f"{measured.gradient_seconds * MILLI:.1f} ms with its gradient, "
                f"{measured.trace_seconds:.1f} s to trace; pace {measured.pace:.1f}",
            ),
        ]
    if processes is not None:
        rows.append(("processes", f"{processes}"))
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:{width}}  {text}" for name, text in rows)
