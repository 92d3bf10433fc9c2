"""Every option of the command line, declared once: the settings of a report, and the options of one run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from reportgen.core.budget import parse_duration
from reportgen.core.choices import (
    DEFAULT_IMAGE_SIZE,
    EIGHT_BIT_RANGE,
    Attribution,
    Colormap,
    ExecutorKind,
    Export,
    FilterChoice,
    Fit,
    KeepMaps,
    Match,
    Measure,
    Method,
    Normalization,
    Parameterization,
    Precision,
    Preprocess,
    Quality,
    parse_attribution,
    parse_constant_inputs,
    parse_jobs,
    parse_memory,
    parse_pattern_size,
    parse_regularizers,
)
from reportgen.core.errors import UsageError
from reportgen.core.options import (
    CHANNELS,
    NUMBER,
    RANGE,
    SHAPE,
    SWITCH,
    TEXT,
    TEXT_OR_NUMBER,
    TEXTS,
    WHOLE,
    Group,
    as_toml,
    at_least,
    declared,
    file_name,
    increasing,
    option,
    positive,
    read,
    within,
)
from reportgen.core.paper import FigureFormat, FigureKind, PaperWidth, parse_width, parse_words


class Command(StrEnum):
    """The commands, of which each module in `cli` is one."""

    BUILD = "build"
    SURVEY = "survey"
    LAYERS = "layers"
    PLAN = "plan"
    ASSEMBLE = "assemble"
    ARCHIVE = "archive"
    VERIFY = "verify"
    FIGURES = "figures"
    COMPARE = "compare"
    INDEX = "index"


BY_METHOD = "by method"
DEFAULT_FILTERS = "32"
OF_MODELS = (Command.BUILD, Command.SURVEY, Command.LAYERS, Command.PLAN)  # commands that load a model
OF_OPENED_MODELS = (*OF_MODELS, Command.VERIFY)  # commands that load one and may run code or read files for it
OF_PAGES = (Command.BUILD, Command.SURVEY, Command.ASSEMBLE, Command.PLAN)  # commands that write pages
OF_RUNS = (Command.BUILD, Command.SURVEY, Command.PLAN)  # commands that compute, or say what would be computed
OF_FIGURES = (Command.FIGURES,)
DEFAULT_FIGURES = tuple(FigureKind)
LEAST_DPI, MOST_DPI = 72, 2400  # a screen's, and the finest that presses expose
OF_FILES = (*OF_PAGES, Command.FIGURES, Command.ARCHIVE, Command.COMPARE, Command.INDEX)  # commands that write files
OF_GATES = (
    Command.BUILD,
    Command.SURVEY,
    Command.ASSEMBLE,
    Command.VERIFY,
    Command.COMPARE,
)  # commands that end with a report or a comparison
EVERYWHERE = tuple(Command)


def _known_preprocessing(flag: str, value: str) -> None:
    if value not in tuple(Preprocess) and ":" not in value:
        raise UsageError(
            f"{flag} {value} is none of {', '.join(Preprocess)} and not of the form package.module:callable."
        )


def _lengths(flag: str, value: tuple[int | None, ...]) -> None:
    if any(length is not None and length < 1 for length in value):
        raise UsageError(f"{flag}: every length must be at least 1.")


def _channel_numbers(flag: str, value: tuple[int | None, ...]) -> None:
    if any(number is None or number < 0 for number in value):
        raise UsageError(f"{flag}: channels are numbered from 0.")


@dataclass(frozen=True)
class Settings:
    """The settings of one report; `describe` gives them as the report states them.

    Raises:
        UsageError: A value cannot be meant.
    """

    # Model
    weights: str | None = option(
        None,
        TEXT,
        Group.MODEL,
        "Load weights from FILE (.weights.h5, .h5, .keras).",
        metavar="FILE",
        commands=OF_OPENED_MODELS,
        everyday=True,
        stated=file_name,
    )
    imports: tuple[str, ...] = option(
        (),
        TEXTS,
        Group.MODEL,
        "Import a module with custom layers first. Repeatable.",
        metavar="MODULE",
        flag="--import",
        commands=OF_OPENED_MODELS,
    )
    allow_unsafe: bool = option(
        False,
        SWITCH,
        Group.MODEL,
        "Run Python code inside the model file; only for files that you trust.",
        commands=OF_OPENED_MODELS,
    )
    input_shape: tuple[int | None, ...] | None = option(
        None,
        SHAPE,
        Group.MODEL,
        "Shape of an input that the model does not state; `any` for a free axis.",
        metavar="H,W,C",
        check=_lengths,
        commands=OF_MODELS,
    )
    input: str | None = option(
        None,
        TEXT,
        Group.MODEL,
        "Input to visualize, of a model with several.",
        unset="the only image input",
        metavar="NAME",
        commands=OF_MODELS,
    )
    hold: tuple[str, ...] = option(
        (),
        TEXTS,
        Group.MODEL,
        "Constant for another input. Repeatable.",
        unset="zero",
        metavar="NAME=FILE",
        check=lambda _, value: parse_constant_inputs(value),
        commands=OF_OPENED_MODELS,
        stated=lambda value: [f"{name}={file_name(file)}" for name, file in parse_constant_inputs(value).items()],
    )
    classes: str | None = option(
        None,
        TEXT,
        Group.MODEL,
        "Class names: one per line, or a JSON list or index.",
        metavar="FILE",
        everyday=True,
        stated=file_name,
    )

    # Images
    images: tuple[str, ...] = option(
        (),
        TEXTS,
        Group.FIRST,
        "Input images: a file or a folder. Repeatable.",
        metavar="IMAGE_OR_FOLDER",
        short="-i",
        everyday=True,
        stated=lambda value: [file_name(path) for path in value],
    )
    max_images: int = option(
        8,
        WHOLE,
        Group.IMAGES,
        "Show feature maps of the first N images.",
        metavar="N",
        check=at_least(1),
    )
    preprocess: str = option(
        Preprocess.AUTO.value,
        TEXT,
        Group.FIRST,
        "auto, none, unit, tf, torch, caffe or module:callable.",
        metavar="NAME",
        check=_known_preprocessing,
        commands=OF_OPENED_MODELS,
        everyday=True,
    )
    input_range: tuple[float, float] | None = option(
        None,
        RANGE,
        Group.IMAGES,
        "Pixel range: what black and white become before --preprocess.",
        unset="0,255",
        metavar="LO,HI",
        check=increasing,
        stated=lambda value: EIGHT_BIT_RANGE if value is None else value,
    )
    image_size: int | None = option(
        None,
        WHOLE,
        Group.IMAGES,
        "Length of the input's free axes.",
        unset=f"{DEFAULT_IMAGE_SIZE}, or as the files",
        metavar="PIXELS",
        check=at_least(1),
        commands=OF_MODELS,
        stated=lambda value: DEFAULT_IMAGE_SIZE if value is None else value,
    )
    fit: str = option(Fit.CROP.value, TEXT, Group.IMAGES, "How images are resized to the input's shape.", choices=Fit)
    bands: tuple[int, int, int] | None = option(
        None,
        CHANNELS,
        Group.IMAGES,
        "Channels of the input displayed as red, green, blue, from 0.",
        unset="each in gray",
        metavar="R,G,B",
        check=_channel_numbers,
    )

    # Data set
    dataset: str | None = option(
        None,
        TEXT,
        Group.DATASET,
        "Many labeled images: folder, table, tar, .npz, callable.",
        metavar="PATH",
        commands=(*OF_RUNS, Command.ASSEMBLE),
        everyday=True,
        stated=file_name,
    )
    dataset_limit: int | None = option(
        None,
        WHOLE,
        Group.DATASET,
        "Take N of its images, evenly spaced.",
        unset="all",
        metavar="N",
        check=at_least(1),
        commands=OF_RUNS,
    )
    label_map: str | None = option(
        None,
        TEXT,
        Group.DATASET,
        "JSON object or CSV from labels to names of classes.",
        unset="by name",
        metavar="FILE",
        commands=OF_RUNS,
        stated=file_name,
    )

    label_pairs: bool = option(
        False,
        SWITCH,
        Group.DATASET,
        "Also test for each filter whether two labels together explain it.",
        commands=OF_RUNS,
    )
    export: str | None = option(
        None,
        TEXT,
        Group.DATASET,
        "Also write tables of what the data set shows, for pandas and DuckDB.",
        choices=Export,
        commands=(*OF_RUNS, Command.ASSEMBLE),
    )

    # What to show
    layers: tuple[str, ...] = option(
        (),
        TEXTS,
        Group.SHOW,
        "Include layers by path. Repeatable.",
        unset="all convolutions",
        metavar="GLOB",
        commands=(*OF_MODELS, Command.FIGURES),
        everyday=True,
    )
    exclude: tuple[str, ...] = option(
        (),
        TEXTS,
        Group.SHOW,
        "Exclude layers by path. Repeatable.",
        metavar="GLOB",
        commands=(*OF_MODELS, Command.FIGURES),
    )
    filters: str = option(
        DEFAULT_FILTERS,
        TEXT_OR_NUMBER,
        Group.FIRST,
        "Filters per layer: all, a count, or numbers (0-15,40).",
        metavar="all|N|LIST",
        check=lambda _, value: FilterChoice.parse(value),
        commands=OF_MODELS,
        everyday=True,
    )
    pooling: bool = option(
        False, SWITCH, Group.SHOW, "Also show pooling layers, before and after them.", commands=OF_MODELS
    )
    outputs: str | None = option(
        None,
        TEXT_OR_NUMBER,
        Group.SHOW,
        "Also class logits: the first N, named ones, or HEAD:N.",
        metavar="N|NAMES",
        everyday=True,
    )
    initial: str | None = option(
        None,
        TEXT,
        Group.SHOW,
        "Weights before training, to show how far each filter changed.",
        metavar="FILE",
        stated=file_name,
    )

    attribution: tuple[str, ...] = option(
        (),
        TEXTS,
        Group.SHOW,
        f"Maps of what a prediction rests on: {', '.join(Attribution)}. Repeatable.",
        metavar="LIST",
        check=lambda _, value: parse_attribution(value),
        stated=lambda value: [method.value for method in parse_attribution(value)],
    )
    attribution_layers: tuple[str, ...] = option(
        (),
        TEXTS,
        Group.SHOW,
        "Layers of attribution maps, by path. Repeatable.",
        unset="the last maps that the classes are computed from",
        metavar="GLOB",
    )
    attribution_classes: tuple[str, ...] = option(
        (),
        TEXTS,
        Group.SHOW,
        "Further classes of attribution maps: names, numbers or HEAD:CLASS. Repeatable.",
        unset="the predicted class",
        metavar="NAMES",
    )

    # Patterns
    quality: str = option(
        Quality.STANDARD.value,
        TEXT,
        Group.FIRST,
        "Optimization effort per pattern.",
        choices=Quality,
        commands=(Command.BUILD, Command.PLAN),
        everyday=True,
    )
    size: str = option(
        "auto",
        TEXT_OR_NUMBER,
        Group.PATTERNS,
        "Length of the patterns' free axes.",
        metavar="auto|PIXELS",
        check=lambda _, value: parse_pattern_size(value),
        commands=OF_MODELS,
    )
    patterns: bool = option(
        True,
        SWITCH,
        Group.PATTERNS,
        "Optimize patterns; with --no-patterns only what images show.",
        negatable=True,
        commands=(Command.BUILD, Command.PLAN),
    )
    negative: bool = option(False, SWITCH, Group.PATTERNS, "Also show the image that minimizes each filter.")
    steps: int | None = option(
        None,
        WHOLE,
        Group.PATTERNS,
        "Gradient-ascent steps per pattern.",
        unset="by quality",
        metavar="N",
        check=at_least(1),
        recipe="steps",
    )
    restarts: int = option(
        1,
        WHOLE,
        Group.PATTERNS,
        "Random restarts per pattern; the best is kept.",
        metavar="K",
        check=at_least(1),
        recipe="restarts",
    )
    seed: int = option(0, WHOLE, Group.PATTERNS, "Seed of every random start.", metavar="N", check=at_least(0))

    # Report
    title: str | None = option(
        None, TEXT, Group.REPORT, "Title of the report.", unset="the model's name", metavar="TEXT"
    )
    single_file: bool = option(
        False,
        SWITCH,
        Group.REPORT,
        "Write one self-contained HTML file.",
        negatable=True,
        commands=OF_PAGES,
        everyday=True,
    )
    normalize: str = option(
        Normalization.PER_LAYER.value,
        TEXT,
        Group.REPORT,
        "What the color scale of a feature map spans.",
        choices=Normalization,
        commands=OF_PAGES,
    )
    colormap: str = option(
        Colormap.VIRIDIS.value,
        TEXT,
        Group.REPORT,
        "Colormap of non-negative feature maps.",
        choices=Colormap,
        commands=OF_PAGES,
    )
    map_range: tuple[float, float] = option(
        (0.0, 1.0),
        RANGE,
        Group.REPORT,
        "Range of the color scale with --normalize fixed.",
        metavar="LO,HI",
        check=increasing,
        commands=OF_PAGES,
    )
    keep_maps: str = option(
        KeepMaps.ALL.value,
        TEXT,
        Group.REPORT,
        "Feature maps kept as arrays; shown: of filters with a card.",
        choices=KeepMaps,
    )
    template: str | None = option(
        None,
        TEXT,
        Group.REPORT,
        "Folder of Jinja templates that replace the report's.",
        metavar="DIR",
        commands=(*OF_PAGES, Command.VERIFY),
        stated=file_name,
    )
    css: str | None = option(
        None,
        TEXT,
        Group.REPORT,
        "Extra CSS file.",
        metavar="FILE",
        commands=(*OF_PAGES, Command.VERIFY),
        stated=file_name,
    )

    # Run
    memory: str = option(
        "2GiB",
        TEXT_OR_NUMBER,
        Group.RUN,
        "Memory that batch sizes are computed from.",
        metavar="SIZE",
        check=lambda _, value: parse_memory(value),
    )
    threads: int | None = option(
        None,
        WHOLE,
        Group.RUN,
        "Threads of each operation; more round differently.",
        unset="one per core",
        metavar="N",
        check=at_least(1),
    )

    # Expert settings of patterns
    method: str = option(Method.OPTVIS.value, TEXT, Group.EXPERT, "Optimization method.", choices=Method)
    parameterization: str | None = option(
        None,
        TEXT,
        Group.EXPERT,
        "Image parameterization.",
        unset=BY_METHOD,
        choices=Parameterization,
    )
    decorrelate: bool | None = option(
        None, SWITCH, Group.EXPERT, "Color decorrelation.", unset=BY_METHOD, negatable=True
    )
    objective: str | None = option(None, TEXT, Group.EXPERT, "What is maximized.", unset=BY_METHOD, choices=Measure)
    transforms: bool | None = option(
        None,
        SWITCH,
        Group.EXPERT,
        "Random jitter, scale and rotation in each step.",
        unset=BY_METHOD,
        negatable=True,
    )
    optimizer: str | None = option(
        None,
        TEXT,
        Group.EXPERT,
        "Any element-wise Keras optimizer.",
        unset=BY_METHOD,
        metavar="NAME",
    )
    learning_rate: float | None = option(
        None,
        NUMBER,
        Group.EXPERT,
        "Learning rate of the optimizer.",
        unset="by method and quality",
        metavar="RATE",
        check=positive,
        recipe="learning_rate",
    )
    clip_norm: float | None = option(
        None,
        NUMBER,
        Group.EXPERT,
        "Clip the gradient's norm instead of normalizing it.",
        metavar="LENGTH",
        check=positive,
        recipe="clip_norm",
    )
    trim: int | None = option(
        None,
        WHOLE,
        Group.EXPERT,
        "Border cells of the map excluded from the objective.",
        unset="2",
        metavar="CELLS",
        check=at_least(0),
        recipe="trim",
    )
    regularize: str | None = option(
        None,
        TEXT,
        Group.EXPERT,
        "Weights of total-variation and contrast penalties.",
        unset="none",
        metavar="tv=W,l2=W",
        check=lambda _, value: parse_regularizers(value),
    )
    precision: str = option(
        Precision.AUTO.value, TEXT, Group.EXPERT, "Arithmetic of gradient ascent.", choices=Precision
    )

    def __post_init__(self) -> None:
        for one in SETTINGS:
            one.validate(getattr(self, one.name))

    @property
    def regularizers(self) -> dict[str, float]:
        """Weights by name, of those that are named."""
        return parse_regularizers(self.regularize)

    @property
    def constant_inputs(self) -> dict[str, str]:
        """Files by the name of the input that keeps their values."""
        return parse_constant_inputs(self.hold)

    @property
    def pattern_size(self) -> int | None:
        """Side of a pattern in pixels, None for `auto`."""
        return parse_pattern_size(self.size)

    @property
    def memory_bytes(self) -> int:
        """What batch shapes are computed from."""
        return parse_memory(self.memory)

    @property
    def recipe_fields(self) -> dict[str, Any]:
        """Values by field of the pattern recipe, of the options that were given and replace one field as they are."""
        values = {one.recipe: getattr(self, one.name) for one in SETTINGS if one.recipe is not None}
        return {name: value for name, value in values.items() if value is not None}

    def describe(self) -> dict[str, Any]:
        """Return the settings as plain JSON values, files without their folders: the report holds no paths of a machine."""
        values = {one.name: getattr(self, one.name) for one in SETTINGS}
        return {one.name: values[one.name] if one.stated is None else one.stated(values[one.name]) for one in SETTINGS}


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


SETTINGS = declared(Settings)
RUN_OPTIONS = declared(RunOptions)
FIGURE_OPTIONS = declared(FigureOptions)
OPTIONS = (*SETTINGS, *FIGURE_OPTIONS, *RUN_OPTIONS)


@dataclass(frozen=True)
class MapStyle:
    """How feature maps become colors.

    normalize: "per-map" standardizes each map by itself, "per-layer" gives all maps of a layer and an image one scale that keeps 0 where
    it is, "fixed" draws every map of the report on `map_range`. colormap: of scales that are not signed.
    """

    normalize: str = Settings.normalize
    colormap: str = Settings.colormap
    map_range: tuple[float, float] = Settings.map_range

    def __post_init__(self) -> None:
        for one in SETTINGS:
            if one.name in MAP_STYLE:
                one.validate(getattr(self, one.name))

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> MapStyle:
        """Return the style that stored settings state; the defaults where an older report states none."""
        given = {name: settings[name] for name in MAP_STYLE if name in settings}
        if "map_range" in given:
            given["map_range"] = tuple(given["map_range"])
        return cls(**given)


MAP_STYLE = tuple(field.name for field in dataclasses.fields(MapStyle))


def from_mapping(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings of a TOML table; see `read`."""
    return read(SETTINGS, values, "the settings file")


def from_call(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings of a Python call: as in a TOML table, and paths, tuples, NumPy numbers and None (the default)."""
    return read(SETTINGS, {name: as_toml(value) for name, value in values.items() if value is not None}, "the call")
