"""The settings of a report, each declared once."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reportgen.core.choices import (
    DEFAULT_IMAGE_SIZE,
    EIGHT_BIT_RANGE,
    Attribution,
    Colormap,
    Export,
    FilterChoice,
    Fit,
    KeepMaps,
    Measure,
    Method,
    Normalization,
    Parameterization,
    Precision,
    Preprocess,
    Quality,
    parse_attribution,
    parse_constant_inputs,
    parse_memory,
    parse_pattern_size,
    parse_regularizers,
)
from reportgen.core.commands import (
    OF_MODELS,
    OF_OPENED_MODELS,
    OF_PAGES,
    OF_RUNS,
    Command,
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
)

BY_METHOD = "by method"
DEFAULT_FILTERS = "32"


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
        "Shape of an input that is not stated, or flat; `any` for a free axis.",
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


SETTINGS = declared(Settings)


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
