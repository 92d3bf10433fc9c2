"""The options that no report states, each declared once: of one run, and of figures for papers."""

from __future__ import annotations

from dataclasses import dataclass

from reportgen.core.budget import parse_duration
from reportgen.core.choices import (
    ExecutorKind,
    FilterChoice,
    Match,
    parse_jobs,
)
from reportgen.core.commands import (
    EVERYWHERE,
    OF_FIGURES,
    OF_FILES,
    OF_GATES,
    OF_MODELS,
    Command,
)
from reportgen.core.options import (
    SWITCH,
    TEXT,
    TEXT_OR_NUMBER,
    TEXTS,
    WHOLE,
    Group,
    at_least,
    declared,
    option,
    within,
)
from reportgen.core.paper import FigureFormat, FigureKind, PaperWidth, parse_width, parse_words
from reportgen.core.settings import SETTINGS

DEFAULT_FIGURES = tuple(FigureKind)
LEAST_DPI, MOST_DPI = 72, 2400  # a screen's, and the finest that presses expose


@dataclass(frozen=True)
class RunOptions:
    """The options of one run, which no report states.

    Raises:
        UsageError: A value cannot be meant.
    """

    output: str | None = option(
        None,
        TEXT,
        Group.FIRST,
        "Folder of the report.",
        unset="reports/<model name>",
        meanings={
            Command.ASSEMBLE: "Folder of the one report that several folders become.",
            Command.FIGURES: "Folder of the figures. [<report>-figures]",
            Command.ARCHIVE: "The archive. [DIR.zip]",
            Command.COMPARE: "Folder of the comparison. [<new>-compared]",
            Command.INDEX: "Folder of the page. [FOLDER]",
        },
        metavar="PATH",
        short="-o",
        commands=OF_FILES,
        everyday=True,
    )
    force: bool = option(
        False,
        SWITCH,
        Group.RUN,
        "Write into a folder that was not created by reportgen, or over a file that is no archive.",
        short="-f",
        commands=OF_FILES,
    )
    statement: str | None = option(
        None,
        TEXT,
        Group.RUN,
        "TOML file that states purpose, data, owner, limits; see docs/archives.md.",
        metavar="FILE",
        commands=(Command.ARCHIVE,),
        in_file=False,
    )
    model: str | None = option(
        None,
        TEXT,
        Group.RUN,
        "Check that this is the report's model.",
        metavar="MODEL",
        commands=(Command.VERIFY,),
        in_file=False,
    )
    recompute: int | None = option(
        None,
        WHOLE,
        Group.RUN,
        "Compute N random patterns, N feature maps and the attribution maps of N images again; needs --model.",
        metavar="N",
        check=at_least(1),
        commands=(Command.VERIFY,),
        in_file=False,
    )
    signature: str | None = option(
        None,
        TEXT,
        Group.RUN,
        "Detached signature of the archive.",
        unset="those beside it",
        metavar="FILE",
        commands=(Command.VERIFY,),
        in_file=False,
    )
    key: str | None = option(
        None,
        TEXT,
        Group.RUN,
        "Public key that the signature must be of.",
        unset="those that gpg knows",
        metavar="FILE",
        commands=(Command.VERIFY,),
        in_file=False,
    )
    rebuild: bool = option(
        False,
        SWITCH,
        Group.RUN,
        "Assemble the pages again from the stored arrays and compare every byte.",
        commands=(Command.VERIFY,),
        in_file=False,
    )
    match: str = option(
        Match.AUTO.value,
        TEXT,
        Group.RUN,
        "How filters are matched before they are compared.",
        choices=Match,
        commands=(Command.COMPARE,),
        in_file=False,
    )
    shard: str | None = option(
        None,
        TEXT,
        Group.RUN,
        "Compute one of N parts, for `assemble`.",
        metavar="I/N|auto",
        in_file=False,
    )
    config: str | None = option(
        None,
        TEXT,
        Group.RUN,
        "Settings in TOML; also [tool.reportgen] of ./pyproject.toml.",
        metavar="FILE",
        short="-c",
        commands=tuple(dict.fromkeys((*OF_MODELS, *OF_GATES))),
        everyday=True,
        in_file=False,
    )
    json: bool = option(
        False,
        SWITCH,
        Group.RUN,
        "Print JSON instead of text.",
        commands=(Command.LAYERS, Command.PLAN),
        everyday=True,
        in_file=False,
    )
    budget: str | None = option(
        None,
        TEXT,
        Group.RUN,
        "Choose --quality and --filters for a time such as 10m.",
        metavar="TIME",
        commands=(Command.BUILD, Command.PLAN),
        check=lambda _, value: parse_duration(value),
        everyday=True,
    )
    jobs: str = option(
        "auto",
        TEXT_OR_NUMBER,
        Group.RUN,
        "Processes that compute at once; auto: several for a long run.",
        metavar="auto|N",
        check=lambda _, value: parse_jobs(value),
    )
    executor: str | None = option(
        None,
        TEXT,
        Group.RUN,
        "Where work is computed; the report is the same.",
        unset="in-process; processes for several jobs",
        choices=ExecutorKind,
    )
    scheduler: str | None = option(
        None,
        TEXT,
        Group.RUN,
        "Address of a Dask scheduler, for --executor dask.",
        unset="a cluster on this machine",
        metavar="ADDRESS",
    )
    fail_on: tuple[str, ...] = option(
        (),
        TEXTS,
        Group.GATES,
        "Exit with 4 where this is so, such as 'dead_filters > 5%'. Repeatable.",
        metavar="GATE",
        commands=OF_GATES,
    )
    junit: str | None = option(
        None,
        TEXT,
        Group.GATES,
        "Write what became of the gates as JUnit XML.",
        metavar="FILE",
        commands=OF_GATES,
    )
    github: bool = option(
        False,
        SWITCH,
        Group.GATES,
        "Print failed gates as annotations of GitHub Actions, on stderr.",
        commands=OF_GATES,
    )
    quiet: bool = option(
        False,
        SWITCH,
        Group.RUN,
        "Print only errors and the path of the report.",
        short="-q",
        commands=(*OF_FILES, Command.VERIFY),
        everyday=True,
    )
    progress: bool | None = option(
        None, SWITCH, Group.RUN, "Progress bar.", unset="where stderr is a terminal", negatable=True
    )
    verbose: bool = option(
        False,
        SWITCH,
        Group.RUN,
        "Show the traceback of an error.",
        short="-v",
        commands=EVERYWHERE,
        in_file=False,
    )

    def __post_init__(self) -> None:
        for one in RUN_OPTIONS:
            one.validate(getattr(self, one.name))


@dataclass(frozen=True)
class FigureOptions:
    """The options of figures for papers, which no report states; `--layers` and `--exclude` choose among layers.

    Raises:
        UsageError: A value cannot be meant.
    """

    what: str = option(
        ",".join(DEFAULT_FIGURES),
        TEXT,
        Group.FIGURES,
        f"Kinds of figures: {', '.join(FigureKind)}.",
        unset="all",
        metavar="LIST",
        check=lambda flag, value: parse_words(flag, value, FigureKind),
        commands=OF_FIGURES,
        in_file=False,
    )
    figure_filters: str | None = option(
        None,
        TEXT,
        Group.FIGURES,
        "Filters per layer: all, a count, or numbers (0-15,40).",
        unset="what fits a figure",
        metavar="all|N|LIST",
        flag="--filters",
        check=lambda _, value: FilterChoice.parse(value),
        commands=OF_FIGURES,
        in_file=False,
    )
    figure_images: tuple[str, ...] = option(
        (),
        TEXTS,
        Group.FIGURES,
        "Images of the report, by name. Repeatable.",
        unset="the first 4",
        metavar="NAME",
        flag="--images",
        short="-i",
        commands=OF_FIGURES,
        in_file=False,
    )
    format: str = option(
        FigureFormat.PDF.value,
        TEXT,
        Group.FIGURES,
        f"File formats: {', '.join(FigureFormat)}; pgf needs LaTeX.",
        metavar="LIST",
        check=lambda flag, value: parse_words(flag, value, FigureFormat),
        commands=OF_FIGURES,
        in_file=False,
    )
    width: str = option(
        PaperWidth.IEEE1.value,
        TEXT,
        Group.FIGURES,
        f"Width: {', '.join(PaperWidth)}, or millimeters.",
        metavar="NAME|MM",
        check=lambda _, value: parse_width(value),
        commands=OF_FIGURES,
        in_file=False,
    )
    dpi: int = option(
        600,
        WHOLE,
        Group.FIGURES,
        "Resolution of PNG; a pixel is enlarged to a whole number of dots.",
        metavar="N",
        check=within(LEAST_DPI, MOST_DPI),
        commands=OF_FIGURES,
        in_file=False,
    )
    style: str | None = option(
        None,
        TEXT,
        Group.FIGURES,
        "Matplotlib style file that replaces single parameters.",
        metavar="FILE",
        commands=OF_FIGURES,
        in_file=False,
    )

    def __post_init__(self) -> None:
        for one in FIGURE_OPTIONS:
            one.validate(getattr(self, one.name))


RUN_OPTIONS = declared(RunOptions)
FIGURE_OPTIONS = declared(FigureOptions)
OPTIONS = (*SETTINGS, *FIGURE_OPTIONS, *RUN_OPTIONS)
