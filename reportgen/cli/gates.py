"""Gates on the command line: read before the work, judged after it, and named in words, as JUnit XML and for GitHub."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reportgen.cli.command import Written, say
from reportgen.cli.options import run_options
from reportgen.core.commands import Command
from reportgen.core.errors import OutputError, UsageError
from reportgen.core.run_options import RunOptions

if TYPE_CHECKING:
    from reportgen.core.records import Plan
    from reportgen.gates.expression import Gate
    from reportgen.gates.quantity import Subject
    from reportgen.report.document import ReportDocument

OPTIONS = ("fail_on", "junit", "github")


@dataclass(frozen=True)
class Gated:
    """A report that a command has written, and a sentence for each gate that did not pass."""

    written: Written
    failures: tuple[str, ...]


class Gates:
    """The gates of one command."""

    def __init__(self, given: dict[str, Any], command: Command, run: RunOptions | None = None) -> None:
        """Read the gates; nothing is judged yet.

        Args:
            given: options of the command line as click has them, of which those of gates and `config` are used.
            command: that is run.
            run: what the options come to where the command has read its settings file already.

        Raises:
            UsageError: a gate cannot be meant, or the file for JUnit XML has no folder.
        """
        self._command = command
        options = run_options(given, OPTIONS) if run is None else run
        self._junit = None if options.junit is None else Path(options.junit)
        self._github = options.github
        self._gates: tuple[Gate, ...] = ()
        if not options.fail_on:
            if options.junit is not None or options.github:
                raise UsageError("--junit and --github say what became of gates; state one with --fail-on.")
            return
        from reportgen.gates.judging import is_for_another, read_gates

        is_shared = not given.get("fail_on")  # a settings file is of several commands
        others = [text for text in options.fail_on if is_shared and is_for_another(text, command)]
        for text in others:
            say(f"the gate {text!r} of the settings file is not for {command}, and is not judged.")
        self._gates = read_gates([text for text in options.fail_on if text not in others], command)
        if self._junit is not None and (self._junit.is_dir() or not self._junit.absolute().parent.is_dir()):
            raise UsageError(f"--junit {self._junit} cannot be written: name a file in a folder that there is.")

    def __bool__(self) -> bool:
        """Whether there is any gate."""
        return bool(self._gates)

    @property
    def check_plan(self) -> Callable[[Plan], None]:
        """Raises UsageError for a plan that a gate does not fit."""

        def check(plan: Plan) -> None:
            if self._gates:
                from reportgen.gates.judging import check_plan

                check_plan(self._gates, plan, self._command)

        return check

    def check_layers(self, document: ReportDocument, old: ReportDocument | None = None) -> None:
        """Raise UsageError where the layers of a gate match none of a report, of a comparison none of both."""
        if self._gates:
            from reportgen.gates.judging import check_layers

            check_layers(self._gates, document, self._command, old)

    def failures(self, make_subject: Callable[[], Subject]) -> tuple[str, ...]:
        """Judge the gates, and write and print what became of them where that is wanted.

        Args:
            make_subject: reads what they are judged on; not called where there is no gate.

        Returns:
            A sentence for each that did not pass.

        Raises:
            UsageError: the layers of a gate match none.
            OutputError: the file for JUnit XML cannot be written.
        """
        if not self._gates:
            return ()
        from reportgen.gates.documents import github_commands, junit
        from reportgen.gates.judging import Outcome, judge

        judged = judge(self._gates, make_subject(), self._command)
        if self._junit is not None:
            _write(self._junit, junit(judged, self._command))
        for line in github_commands(judged) if self._github else ():
            _print(line)
        return tuple(f"gate {one.outcome}: {one.sentence}" for one in judged if one.outcome != Outcome.PASSED)

    def on_report(self, written: Written) -> Written | Gated:
        """Return a report that was written with what became of the gates on it."""
        return Gated(written, self.failures(lambda: subject(written.index))) if self._gates else written


def subject(report: Path) -> Subject:
    """Read what gates on a report are judged on."""
    from reportgen.gates.quantity import Subject
    from reportgen.report.opened import Report

    return Subject(Report.open(report).document)


def _write(path: Path, data: bytes) -> None:
    from reportgen.core.files import write_atomically

    try:
        write_atomically(path, data)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}.") from error


def _print(line: str) -> None:
    import click

    click.echo(line, err=True)
