"""The command line's entry point, the only place that prints errors and picks exit codes. No TensorFlow at import time."""

from __future__ import annotations

import atexit
import gc
import os
import sys
import time
import traceback
import warnings
from typing import Any

import click

from reportgen.cli.archive import archive
from reportgen.cli.assemble import assemble
from reportgen.cli.build import build
from reportgen.cli.command import CONTEXT, VERBOSE, Written, say
from reportgen.cli.compare import compare
from reportgen.cli.figures import figures
from reportgen.cli.gates import Gated
from reportgen.cli.index import index
from reportgen.cli.layers import layers
from reportgen.cli.plan import plan
from reportgen.cli.survey import survey
from reportgen.cli.verify import verify
from reportgen.core import __version__
from reportgen.core.errors import EXIT_GATE, EXIT_INCOMPLETE, EXIT_INTERRUPTED, EXIT_UNEXPECTED, ReportgenError
from reportgen.render.text import elapsed, plural

HELP = """Build static HTML reports that visualize the filters of Keras convolutional networks.

\b
Examples:
  reportgen layers my_model.keras
  reportgen build my_model.keras -i photos/ -o report
"""


class Commands(click.Group):
    """The commands; what one of them returns or raises becomes its last words and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command and leave; every failure becomes one sentence on stderr."""
        if not sys.warnoptions:
            warnings.simplefilter("ignore")  # libraries talk to developers; the user gets our own sentences
        code, started = 0, time.perf_counter()
        try:
            written = super().invoke(ctx)
            if written is not None:
                code = _finish(written, time.perf_counter() - started)
        except KeyboardInterrupt:
            say("interrupted; what was computed is kept, the same command continues from there.")
            code = EXIT_INTERRUPTED
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            if ctx.meta.get(VERBOSE):
                traceback.print_exc()
            code = _failed(error)
        sys.stdout.flush()
        sys.stderr.flush()
        if code == EXIT_INTERRUPTED:
            os._exit(code)  # TensorFlow's threads would keep the process for seconds
        sys.exit(code)


def _finish(result: Written | Gated, seconds: float) -> int:
    """Name the problems of a written report, what is in it, gates that did not pass, and its first page; return the exit code."""
    written, failures = (result.written, result.failures) if isinstance(result, Gated) else (result, ())
    for problem in written.problems:
        say(problem)
    if written.summary is not None:
        counts, size = written.summary
        problems = plural(len(written.problems), "problem") + ", named above" if written.problems else "no problems"
        say(f"{counts}; {problems}.")
        say(f"{elapsed(seconds)}; {size}.")
        say(f"open {written.index} in a browser.")
    for failure in failures:
        say(failure)
    click.echo(str(written.index))
    return EXIT_GATE if failures else EXIT_INCOMPLETE if written.problems else 0


def _failed(error: Exception) -> int:
    """Print why nothing was written; return the exit code."""
    if isinstance(error, ReportgenError):
        say(str(error))
        return error.exit_code
    say(f"unexpected failure, please report it: {type(error).__name__}: {error} (-v shows where)")
    return EXIT_UNEXPECTED


@click.group(cls=Commands, help=HELP, context_settings=CONTEXT)
@click.version_option(__version__, "--version", prog_name="reportgen")
def main() -> None:
    """Run a command; see `HELP`."""


# A process that ends need not search what it held for garbage: after a large model that takes seconds.
atexit.register(gc.freeze)

for command in (build, survey, plan, layers, assemble, figures, archive, verify, compare, index):
    main.add_command(command)
