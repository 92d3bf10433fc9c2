"""Words in, settings out: the command line, the only place that prints errors and picks exit codes. No TensorFlow at import time."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tomllib
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from reportgen.core.errors import EXIT_INCOMPLETE, EXIT_INTERRUPTED, EXIT_UNEXPECTED, ReportgenError, UsageError
from reportgen.core.settings import (
    COLORMAPS,
    FITS,
    METHODS,
    NORMALIZATIONS,
    OBJECTIVES,
    PARAMETERIZATIONS,
    PRECISIONS,
    QUALITIES,
    SHAPE_AXES,
    Settings,
    from_mapping,
)
from reportgen.core.version import __version__

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}
RUN_OPTIONS = {"output": None, "force": False, "quiet": False, "progress": None}  # of one run, not of the report
MODEL_HELP = "MODEL is a .keras, .h5 or .hdf5 file, keras:NAME, or package.module:callable."


class Numbers(click.ParamType):  # type: ignore[type-arg]
    """Comma-separated numbers, `any` or `none` for an axis that may have any length."""

    def __init__(self, name: str, counts: tuple[int, ...], whole: bool, least: int = 1) -> None:
        self.name, self._counts, self._whole, self._least = name, counts, whole, least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A tuple of as many numbers as one of `counts`."""
        if isinstance(value, tuple):
            return value
        parts = [part.strip().lower() for part in str(value).split(",")]
        try:
            if len(parts) not in self._counts:
                raise ValueError
            numbers = tuple(self._number(part) for part in parts)
        except ValueError:
            self.fail(f"{value!r} is not of the form {self.name}.", param, ctx)
        return numbers

    def _number(self, text: str) -> float | int | None:
        if not self._whole:
            return float(text)
        if text in ("any", "none"):
            return None
        if int(text) < self._least:
            raise ValueError(text)
        return int(text)


MODEL_OPTIONS = (
    click.option("--weights", metavar="FILE", help="Weights loaded over the model (.weights.h5, .h5, .keras)."),
    click.option(
        "--import", "imports", multiple=True, metavar="MODULE", help="Import this first, for custom layers. Repeatable."
    ),
    click.option("--allow-unsafe", is_flag=True, default=None, help="Let Python code inside the model file run."),
    click.option(
        "--input-shape", type=Numbers("H,W,C", SHAPE_AXES, True), help="For a model that does not state its input."
    ),
    click.option("--input", metavar="NAME", help="Which of several inputs is looked at. [the only picture]"),
    click.option(
        "--hold", multiple=True, metavar="NAME=FILE", help="What another input is held at. Repeatable. [zero]"
    ),
    click.option("--layers", multiple=True, metavar="GLOB", help="Only layers whose path matches. Repeatable. [all]"),
    click.option("--exclude", multiple=True, metavar="GLOB", help="Not these layers. Repeatable."),
    click.option("--pooling", is_flag=True, default=None, help="Also pooling layers, before and after them."),
    click.option("--filters", metavar="all|N|LIST", help="How many filters, or which (0-15,40). [32]"),
    click.option(
        "--preprocess", metavar="NAME", help="auto, none, unit, tf, torch, caffe or package.module:callable. [auto]"
    ),
    click.option(
        "--image-size", type=int, metavar="PIXELS", help="Length of the input's free axes. [224; or as the files]"
    ),
    click.option("--size", metavar="auto|PIXELS", help="Length of the patterns' free axes. [auto]"),
    click.option("-c", "--config", metavar="FILE", help="Settings in TOML; also [tool.reportgen] of ./pyproject.toml."),
    click.option("-v", "--verbose", is_flag=True, help="Show tracebacks."),
)
BUILD_OPTIONS = (
    click.option("-i", "--images", multiple=True, metavar="IMAGE_OR_FOLDER", help="Images to look at. Repeatable."),
    click.option("--max-images", type=int, metavar="N", help="Feature maps for the first N images. [8]"),
    click.option("-o", "--output", metavar="DIR", help="Folder of the report. [reports/<model name>]"),
    click.option("-f", "--force", is_flag=True, default=None, help="Write into a folder that is not ours."),
    click.option(
        "--input-range", type=Numbers("LO,HI", (2,), False), help="What black and white mean to the model. [0,255]"
    ),
    click.option("--fit", type=click.Choice(FITS), help="How images are brought to the input's shape. [crop]"),
    click.option("--classes", metavar="FILE", help="Class names: lines, or a JSON list or index."),
    click.option("--quality", type=click.Choice(QUALITIES), help="Effort per pattern. [standard]"),
    click.option("--steps", type=int, metavar="N", help="Steps per pattern. [by quality]"),
    click.option("--seed", type=int, metavar="N", help="Seed of every random start. [0]"),
    click.option("--precision", type=click.Choice(PRECISIONS), help="Arithmetic of the ascent. [auto]"),
    click.option("--memory", metavar="SIZE", help="What batch shapes are computed from. [2GiB]"),
    click.option("--negative", is_flag=True, default=None, help="Also the picture that each filter likes least."),
    click.option("--restarts", type=int, metavar="K", help="Starts per pattern; the best is kept. [1]"),
    click.option(
        "--outputs",
        metavar="N|NAMES",
        help="Also patterns of the model's first N classes, or of named ones; HEAD:N of several outputs.",
    ),
    click.option(
        "--bands",
        type=Numbers("R,G,B", (3,), True, least=0),
        help="Bands shown as red, green, blue, from 0. [each in grey]",
    ),
    click.option("--initial", metavar="FILE", help="Weights before training, to show how far each filter moved."),
    click.option("--title", help="Title of the report. [the model's name]"),
    click.option("-q", "--quiet", is_flag=True, default=None, help="Only errors and the path of the report."),
    click.option("--progress/--no-progress", default=None, help="Progress bar. [where stderr is a terminal]"),
)
FORM_OPTIONS = (
    click.option("--single-file/--no-single-file", default=None, help="One HTML that holds the whole report. [no]"),
    click.option("--template", metavar="DIR", help="Templates of your own, over those of the report."),
    click.option("--css", metavar="FILE", help="A style of your own, added to the report's."),
)
DRAWING_OPTIONS = (
    click.option("--normalize", type=click.Choice(NORMALIZATIONS), help="What a map's colours span. [per-layer]"),
    click.option("--colormap", type=click.Choice(COLORMAPS), help="Of feature maps without signs. [viridis]"),
    click.option("--map-range", type=Numbers("LO,HI", (2,), False), help="What --normalize fixed spans. [0,1]"),
)
METHOD_OPTIONS = (
    click.option("--method", type=click.Choice(METHODS), help="How patterns are sought. [optvis]"),
    click.option("--parameterization", type=click.Choice(PARAMETERIZATIONS), help="Of the picture. [by method]"),
    click.option("--decorrelate/--no-decorrelate", default=None, help="Move along independent colours. [by method]"),
    click.option("--objective", type=click.Choice(OBJECTIVES), help="What is maximised. [by method]"),
    click.option("--transforms/--no-transforms", default=None, help="A random warp every step. [by method]"),
    click.option("--optimizer", metavar="NAME", help="Any element-wise Keras optimizer. [by method]"),
    click.option("--learning-rate", type=float, metavar="RATE", help="Of the optimizer. [by method and quality]"),
    click.option("--clip-norm", type=float, metavar="LENGTH", help="Clip raw gradients instead of scaling them."),
    click.option("--trim", type=int, metavar="CELLS", help="Border of the map that the objective leaves out. [2]"),
    click.option("--regularize", metavar="tv=W,l2=W", help="Weights of total variation and contrast. [none]"),
)


def options(*groups: tuple[Callable[[Any], Any], ...]) -> Callable[[Any], Any]:
    """One decorator of many click options, in the order in which help shows them."""

    def decorate(function: Any) -> Any:
        for option in reversed([option for group in groups for option in group]):
            function = option(function)
        return function

    return decorate


@click.group(context_settings=CONTEXT)
@click.version_option(__version__, "--version", prog_name="reportgen")
def main() -> None:
    r"""Static reports of what a Keras convolutional network's filters look for.

    \b
    reportgen build my_model.keras -i photos/ -o report
    """


@main.command(epilog=MODEL_HELP)
@click.argument("model")
@options(BUILD_OPTIONS, FORM_OPTIONS, DRAWING_OPTIONS, METHOD_OPTIONS, MODEL_OPTIONS)
def build(
    model: str,
    verbose: bool,
    output: str | None,
    force: bool | None,
    quiet: bool | None,
    progress: bool | None,
    **given: Any,
) -> None:
    """Load MODEL, compute, and write a report."""

    def work() -> int:
        from reportgen.core.progress import Progress
        from reportgen.pipeline import build as build_report

        settings, run = _resolve(given, {"output": output, "force": force, "quiet": quiet, "progress": progress})
        built = build_report(
            model,
            settings,
            None if run["output"] is None else Path(run["output"]),
            force=run["force"],
            progress=Progress(False if run["quiet"] else run["progress"]),
            say=_silent if run["quiet"] else _say,
        )
        return _finish(built.index, built.problems)

    _run(work, verbose)


@main.command(epilog=MODEL_HELP)
@click.argument("model")
@click.option("--json", "as_json", is_flag=True, help="A JSON list on stdout.")
@options(MODEL_OPTIONS)
def layers(model: str, as_json: bool, verbose: bool, **given: Any) -> None:
    """List what a report of MODEL would cover."""

    def work() -> int:
        from reportgen.cli.layer_table import as_table
        from reportgen.compute.prepare import walk

        network, records = walk(model, _resolve(given, {})[0])
        for sentence in network.notes if network.problem is None else (*network.notes, network.problem):
            _say(sentence)
        if as_json:
            from reportgen.report.facts import layer_record

            click.echo(json.dumps([layer_record(record) for record in records], indent=1, ensure_ascii=False))
        else:
            width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
            click.echo(as_table(network.loaded.source, network.contract, records, width))
        return 0

    _run(work, verbose)


@main.command()
@click.argument("folder", metavar="DIR")
@options(FORM_OPTIONS, DRAWING_OPTIONS)
@click.option("-q", "--quiet", is_flag=True, help="Only errors and the path of the report.")
@click.option("-v", "--verbose", is_flag=True, help="Show tracebacks.")
def assemble(folder: str, quiet: bool, verbose: bool, template: str | None, css: str | None, **given: Any) -> None:
    """Make the pages of DIR again from its stored arrays."""

    def work() -> int:
        from reportgen.report.assemble import assemble as assemble_report
        from reportgen.report.theme import load_look

        look = load_look(*(None if path is None else Path(path) for path in (template, css)))
        drawing = {name: value for name, value in given.items() if value is not None}
        result = assemble_report(Path(folder), drawing=drawing, look=look)
        for sentence in () if quiet else result.notes:
            _say(sentence)
        return _finish(result.index, result.problems)

    _run(work, verbose)


def _resolve(given: dict[str, Any], run_options: dict[str, Any]) -> tuple[Settings, dict[str, Any]]:
    """Flags over the settings file over defaults: the settings of the report, and the options of this run."""
    table = _table(given.pop("config", None))
    run = {name: table.pop(name, default) for name, default in RUN_OPTIONS.items()}
    for name, value in run.items():
        if value is not None and not isinstance(value, str if name == "output" else bool):
            raise UsageError(f"the settings file gives `{name}` a value of the wrong type: {value!r}.")
    run.update({name: value for name, value in run_options.items() if value is not None})
    stated = {name: value for name, value in given.items() if value is not None and value != ()}
    return Settings(**{**from_mapping(table), **stated}), run


def _table(file: str | None) -> dict[str, Any]:
    """The settings file's own table: `[tool.reportgen]`, or the whole file where it is not a pyproject.toml."""
    path = Path("pyproject.toml" if file is None else file)
    if file is None and not path.is_file():
        return {}
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"the settings file {path.name} cannot be read: {error}.") from error
    own = table
    if path.name == "pyproject.toml" or "tool" in table:
        tools = table.get("tool", {})
        own = tools.get("reportgen", {}) if isinstance(tools, dict) else tools
    if not isinstance(own, dict):
        raise UsageError(
            f"the settings file {path.name} has something else than a table where [tool.reportgen] should be."
        )
    return dict(own)


def _finish(index: Path, problems: tuple[str, ...]) -> int:
    for problem in problems:
        click.echo(f"reportgen: {problem}", err=True)
    click.echo(str(index))
    return EXIT_INCOMPLETE if problems else 0


def _say(sentence: str) -> None:
    click.echo(f"reportgen: {sentence}", err=True)


def _silent(sentence: str) -> None:
    pass


def _run(work: Callable[[], int], verbose: bool) -> None:
    """Do `work` and leave with its exit code; every failure becomes one sentence on stderr."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # libraries talk to developers; the user gets our own sentences
    try:
        code = work()
    except KeyboardInterrupt:
        click.echo("reportgen: interrupted; what was computed is kept, the same command goes on from there.", err=True)
        code = EXIT_INTERRUPTED
    except ReportgenError as error:
        if verbose:
            traceback.print_exc()
        click.echo(f"reportgen: {error}", err=True)
        code = error.exit_code
    except click.ClickException:
        raise
    except Exception as error:
        if verbose:
            traceback.print_exc()
        click.echo(
            f"reportgen: unexpected failure, please report it: {type(error).__name__}: {error} (-v shows where)",
            err=True,
        )
        code = EXIT_UNEXPECTED
    sys.stdout.flush()
    sys.stderr.flush()
    if code == EXIT_INTERRUPTED:
        os._exit(code)  # TensorFlow's threads would keep the process for seconds
    sys.exit(code)
