"""The command `verify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reportgen.cli.command import GroupedCommand, say, silent
from reportgen.cli.gates import Gates
from reportgen.cli.options import given_settings, takes_options
from reportgen.core.commands import Command
from reportgen.core.errors import GateError, UsageError, VerificationError
from reportgen.core.run_options import RunOptions
from reportgen.render.text import plural

if TYPE_CHECKING:
    from reportgen.archive.verify import Verification


@click.command(cls=GroupedCommand)
@click.argument("path")
@takes_options(Command.VERIFY)
def verify(
    path: str,
    rebuild: bool | None,
    model: str | None,
    recompute: int | None,
    signature: str | None,
    key: str | None,
    quiet: bool | None,
    **given: Any,
) -> None:
    """Check that a report or an archive is what it states.

    PATH is the report's folder or the archive. Every difference is named on stdout, and the exit code is then 5; it is 4 where a gate
    of --fail-on does not pass. TensorFlow is needed only with --model.

    \b
    Example:
      reportgen verify report.zip --model my_model.keras
    """
    from reportgen.archive.verify import check_signatures
    from reportgen.archive.verify import rebuild as rebuild_pages
    from reportgen.archive.verify import verify as verify_files

    RunOptions(recompute=recompute)
    gates = Gates(given, Command.VERIFY)
    if recompute is not None and model is None:
        raise UsageError("--recompute needs the model: name it with --model.")
    settings = given_settings(given)
    template, css = (settings.pop(name, None) for name in ("template", "css"))
    result = verify_files(Path(path))
    if result.document is not None:
        gates.check_layers(result.document)
    check_signatures(result, *(None if name is None else Path(name) for name in (signature, key)))
    if rebuild:
        rebuild_pages(result, *(None if name is None else Path(name) for name in (template, css)))
    if model is not None:
        _verify_model(result, model, settings, recompute, silent if quiet else say)
    for sentence in () if quiet else (*result.checks, *result.notes):
        say(sentence)
    for difference in result.differences:
        click.echo(difference)
    failures = _judged(gates, result, path)
    for failure in failures:
        say(failure)
    if result.differences:
        raise VerificationError(f"{path}: {plural(len(result.differences), 'difference')}.")
    if failures:
        raise GateError(f"{path}: {plural(len(failures), 'gate')} did not pass.")


def _judged(gates: Gates, result: Verification, path: str) -> tuple[str, ...]:
    """A sentence for each gate that did not pass; of a report that cannot be read no gate can be judged."""
    document = result.document
    if document is None:
        return (f"gates were not judged, since the report in {path} cannot be read.",) if gates else ()
    from reportgen.gates.quantity import Subject

    return gates.failures(lambda: Subject(document))


def _verify_model(result: Verification, model: str, given: dict[str, Any], recompute: int | None, tell: Any) -> None:
    """Compare the model with the report, and what it gives with what the report has."""
    from reportgen.archive.rebuilt import stored_run
    from reportgen.core.store import DAMAGE

    if result.document is None:
        result.notes.append("the model was not compared, since report.json cannot be read")
        return
    from reportgen.compute.recompute import identity_differences, settings_of
    from reportgen.compute.recompute import recompute as compute_again

    settings = settings_of(result.document.settings, given)
    wrong = list(identity_differences(model, result.document.model, settings))
    result.found("model", wrong)
    if recompute is None:
        return
    if any("weights" in sentence for sentence in wrong):
        result.notes.append("nothing was computed again, since this is another model")
        return
    try:
        with stored_run(result.opened) as folder:
            compared = compute_again(model, settings, folder, recompute, tell)
    except DAMAGE as error:
        result.found("recomputed", [f"the stored arrays cannot be read: {error}"])
        return
    what = f"{plural(compared.patterns, 'pattern')} and maps of {plural(compared.maps, 'layer and image', 'layers and images')}"
    if compared.attributions:
        what += f", and attribution maps of {plural(compared.attributions, 'image')},"
    result.found(
        f"weights of {plural(compared.weights, 'layer')}, {what} computed again, {compared.identical} the same to the byte",
        compared.differences,
    )
    result.notes += compared.notes
