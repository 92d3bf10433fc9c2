"""Every choice a user can make, with its default: frozen, validated where it stands, free of TensorFlow."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from reportgen.core.errors import UsageError

QUALITIES = ("draft", "standard", "paper")
FITS = ("crop", "pad", "stretch")
PRECISIONS = ("auto", "float32", "bfloat16")
METHODS = ("optvis", "keras-io")
PARAMETERIZATIONS = ("fourier", "pixel")
OBJECTIVES = ("mean-and-peak", "leaky", "pre-activation", "activation")
REGULARIZERS = ("tv", "l2")
PREPROCESSES = ("auto", "none", "unit", "tf", "torch", "caffe")
PER_MAP, PER_LAYER, FIXED = NORMALIZATIONS = ("per-map", "per-layer", "fixed")
COLORMAPS = ("viridis", "magma", "inferno", "plasma", "cividis", "grey")  # matplotlib's perceptually uniform ones
DEFAULT_FILTERS = "32"
DEFAULT_IMAGE_SIZE = 224  # the short side that most ImageNet networks were trained at
DEFAULT_MAX_IMAGES = 8
EIGHT_BIT_RANGE = (0.0, 255.0)
LARGEST_SIDE = 4096  # pixels; a larger picture would not fit into memory in any network seen
LARGEST_ARRAY = 200_000_000  # numbers of a signal or volume
FLOAT_BYTES = 4
MEMORY_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}


@dataclass(frozen=True)
class MapStyle:
    """How feature maps become colours.

    normalize: "per-map" standardises each map by itself, "per-layer" gives all maps of a layer and an image one scale that
    keeps 0 where it is, "fixed" draws every map of the report on `map_range`. colormap: of scales that are not signed.
    """

    normalize: str = PER_LAYER
    colormap: str = COLORMAPS[0]
    map_range: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        _one_of("--normalize", self.normalize, NORMALIZATIONS)
        _one_of("--colormap", self.colormap, COLORMAPS)
        low, high = self.map_range
        if not -inf < low < high < inf:
            raise UsageError(f"--map-range {low:g},{high:g}: two numbers are needed, the first below the second.")

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> MapStyle:
        """The style that stored settings state; the defaults where an older report states none."""
        given = {field.name: settings[field.name] for field in dataclasses.fields(cls) if field.name in settings}
        if "map_range" in given:
            given["map_range"] = tuple(given["map_range"])
        return cls(**given)


@dataclass(frozen=True)
class Settings:
    """All settings of one report; `describe` gives them as the report states them."""

    images: tuple[str, ...] = ()
    max_images: int = DEFAULT_MAX_IMAGES
    preprocess: str = "auto"
    input_range: tuple[float, float] | None = None
    input_shape: tuple[int | None, ...] | None = None
    input: str | None = None
    hold: tuple[str, ...] = ()
    image_size: int | None = None
    fit: str = "crop"
    classes: str | None = None
    layers: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    pooling: bool = False
    filters: str = DEFAULT_FILTERS
    quality: str = "standard"
    size: str = "auto"
    steps: int | None = None
    seed: int = 0
    precision: str = "auto"
    memory: str = "2GiB"
    method: str = "optvis"
    parameterization: str | None = None
    decorrelate: bool | None = None
    objective: str | None = None
    transforms: bool | None = None
    optimizer: str | None = None
    learning_rate: float | None = None
    clip_norm: float | None = None
    trim: int | None = None
    regularize: str | None = None
    negative: bool = False
    restarts: int = 1
    outputs: str | None = None
    bands: tuple[int, int, int] | None = None
    normalize: str = PER_LAYER
    colormap: str = COLORMAPS[0]
    map_range: tuple[float, float] = (0.0, 1.0)
    title: str | None = None
    single_file: bool = False
    template: str | None = None
    css: str | None = None
    weights: str | None = None
    initial: str | None = None
    imports: tuple[str, ...] = ()
    allow_unsafe: bool = False

    def __post_init__(self) -> None:
        _one_of("--fit", self.fit, FITS)
        _one_of("--quality", self.quality, QUALITIES)
        _one_of("--precision", self.precision, PRECISIONS)
        if self.preprocess not in PREPROCESSES and ":" not in self.preprocess:
            raise UsageError(
                f"--preprocess {self.preprocess} is none of {', '.join(PREPROCESSES)} and not of the form package.module:callable."
            )
        low, high = self.input_range if self.input_range is not None else EIGHT_BIT_RANGE
        if not -inf < low < high < inf:
            raise UsageError(f"--input-range {low:g},{high:g}: two numbers are needed, the first below the second.")
        if self.input_shape is not None and len(self.input_shape) not in SHAPE_AXES:
            raise UsageError("--input-shape takes H,W,C of pictures, STEPS,C of signals or D,H,W,C of volumes.")
        if self.input_shape is not None and any(length is not None and length < 1 for length in self.input_shape):
            raise UsageError("--input-shape: every length must be at least 1.")
        if len(self.constant_inputs) < len(self.hold):
            raise UsageError("--hold names an input twice; give each one file.")
        _at_least("--max-images", self.max_images, 1)
        if self.image_size is not None:
            _at_least("--image-size", self.image_size, 1)
        _at_least("--seed", self.seed, 0)
        if self.steps is not None:
            _at_least("--steps", self.steps, 1)
        if self.pattern_size is not None:
            _at_least("--size", self.pattern_size, 1)
        MapStyle(self.normalize, self.colormap, self.map_range)
        _one_of("--method", self.method, METHODS)
        if self.parameterization is not None:
            _one_of("--parameterization", self.parameterization, PARAMETERIZATIONS)
        if self.objective is not None:
            _one_of("--objective", self.objective, OBJECTIVES)
        for option, value in (("--learning-rate", self.learning_rate), ("--clip-norm", self.clip_norm)):
            if value is not None and not 0 < value < inf:
                raise UsageError(f"{option} {value:g} is not a number above 0.")
        if self.trim is not None:
            _at_least("--trim", self.trim, 0)
        _at_least("--restarts", self.restarts, 1)
        if self.bands is not None and any(band is None or band < 0 for band in self.bands):
            raise UsageError("--bands: bands are counted from 0.")
        parse_regularizers(self.regularize)
        FilterChoice.parse(self.filters)
        parse_memory(self.memory)

    @property
    def regularizers(self) -> dict[str, float]:
        """Weights by name, of those that are named."""
        return parse_regularizers(self.regularize)

    @property
    def constant_inputs(self) -> dict[str, str]:
        """Files by the name of the input that they are held at. Raises UsageError."""
        files = {}
        for text in self.hold:
            name, equals, file = text.partition("=")
            if not (name and equals and file):
                raise UsageError(f"--hold {text} is not of the form NAME=FILE.")
            files[name] = file
        return files

    @property
    def pattern_size(self) -> int | None:
        """Side of a pattern in pixels, None for `auto`."""
        if self.size == "auto":
            return None
        if not self.size.isdecimal():
            raise UsageError(f"--size {self.size} is neither `auto` nor a number of pixels.")
        return int(self.size)

    @property
    def memory_bytes(self) -> int:
        """What batch shapes are computed from."""
        return parse_memory(self.memory)

    def describe(self) -> dict[str, Any]:
        """The settings as plain JSON values, files without their folders: the report holds no paths of a machine."""
        described = dataclasses.asdict(self)
        described["input_range"] = EIGHT_BIT_RANGE if self.input_range is None else self.input_range
        described["image_size"] = DEFAULT_IMAGE_SIZE if self.image_size is None else self.image_size
        described["images"] = [_without_folder(item) for item in self.images]
        described["hold"] = [f"{name}={_without_folder(file)}" for name, file in self.constant_inputs.items()]
        for name in ("template", "css", "classes", "weights", "initial"):
            value = described[name]
            described[name] = None if value is None else _without_folder(value)
        return described


def _without_folder(path: str) -> str:
    return path.replace("\\", "/").rstrip("/").rpartition("/")[2]


def check_length(option: str, length: int, is_picture: bool, bands: int) -> None:
    """Raises UsageError where a stated length of the input's free axes is beyond what is computed on."""
    if is_picture and length > LARGEST_SIDE:
        raise UsageError(f"{option} {length} is above the limit of {LARGEST_SIDE} pixels.")
    if not is_picture and length * bands > LARGEST_ARRAY:
        raise UsageError(
            f"{option} {length}: so many steps of {bands} bands take {length * bands * FLOAT_BYTES:,} bytes before the network has "
            f"made anything of them, above the limit of {LARGEST_ARRAY * FLOAT_BYTES:,}."
        )


def _one_of(option: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UsageError(f"{option} {value} is none of {', '.join(allowed)}.")


def _at_least(option: str, value: int, least: int) -> None:
    if value < least:
        raise UsageError(f"{option} {value} is below {least}.")


def parse_memory(text: str) -> int:
    """Bytes of a size such as `2GiB`, `512M` or `1000000`. Raises UsageError."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMG]?)(?:i?B)?\s*", text, re.IGNORECASE)
    if found is None or float(found[1]) <= 0:
        raise UsageError(f"--memory {text} is not a size such as 2GiB, 512MiB or 1000000.")
    return int(float(found[1]) * MEMORY_UNITS[found[2].upper()])


def parse_regularizers(text: str | None) -> dict[str, float]:
    """Weights of `tv=0.1,l2=0.01`. Raises UsageError."""
    weights: dict[str, float] = {}
    for part in [] if text is None else text.split(","):
        name, _, number = part.strip().partition("=")
        try:
            weight = float(number)
        except ValueError:
            weight = -inf
        if name not in REGULARIZERS or name in weights or not 0 <= weight < inf:
            raise UsageError(f"--regularize {text} is not of the form tv=W,l2=W with weights of 0 or more.")
        weights[name] = weight
    return weights


@dataclass(frozen=True)
class FilterChoice:
    """Which filters of a layer are shown: all (`count` and `numbers` None), an evenly spaced count, or a list of numbers."""

    count: int | None = None
    numbers: tuple[int, ...] | None = None

    @classmethod
    def parse(cls, text: str) -> FilterChoice:
        """`all`, `32` (a count) or `0-15,40` (numbers; one filter is `17-17`). Raises UsageError."""
        text = text.strip()
        if text == "all":
            return cls()
        if text.isdecimal():
            if int(text) == 0:
                raise UsageError(
                    f"--filters {text} is a count of none; give `all`, a count from 1 on, or numbers such as 0-15,40 "
                    "(filter 0 alone: 0-0)."
                )
            return cls(count=int(text))
        numbers: set[int] = set()
        for part in text.split(","):
            found = re.fullmatch(r"\s*(\d{1,6})\s*(?:-\s*(\d{1,6})\s*)?", part)
            if found is None:
                raise UsageError(
                    f"--filters {text} is neither `all`, a count, nor a list such as 0-15,40 (one filter: 17-17)."
                )
            first = int(found[1])
            last = first if found[2] is None else int(found[2])
            if last < first:
                raise UsageError(f"--filters {text}: {part.strip()} runs backwards.")
            numbers.update(range(first, last + 1))
        return cls(numbers=tuple(sorted(numbers)))

    def of(self, total: int) -> tuple[int, ...]:
        """The filter numbers shown of a layer with `total` filters; numbers the layer lacks are left out."""
        if self.numbers is not None:
            return tuple(number for number in self.numbers if number < total)
        if self.count is None or self.count >= total:
            return tuple(range(total))
        if self.count == 1:
            return (0,)
        return tuple(round(position * (total - 1) / (self.count - 1)) for position in range(self.count))


TEXTS = frozenset(
    {
        *("preprocess", "fit", "classes", "quality", "precision", "title", "weights", "initial", "input"),
        *("normalize", "colormap", "template", "css"),
        *("method", "parameterization", "objective", "optimizer", "regularize"),
    }
)
TEXTS_OR_NUMBERS = frozenset({"filters", "size", "memory", "outputs"})
SWITCHES = frozenset({"allow_unsafe", "decorrelate", "transforms", "negative", "pooling", "single_file"})
FRACTIONS = frozenset({"learning_rate", "clip_norm"})
RANGES = frozenset({"input_range", "map_range"})
LISTS = frozenset({"images", "layers", "exclude", "imports", "hold"})
SHAPE_AXES = (2, 3, 4)  # of signals, pictures and volumes, bands among them
SHOWN_BANDS = 3  # red, green and blue
ANY_LENGTH = "any"  # TOML has no null: so an axis of any length is written in `input-shape`


def from_mapping(values: Mapping[str, Any], source: str = "the settings file") -> dict[str, Any]:
    """Settings of a TOML table: option names with `-` or `_`. Raises UsageError for an unknown name or a wrong type in `source`."""
    names = {field.name for field in dataclasses.fields(Settings)}
    aliases = {"import": "imports"}
    result: dict[str, Any] = {}
    for key, value in values.items():
        name = aliases.get(key, key.replace("-", "_"))
        if name not in names:
            raise UsageError(f"{source} holds an unknown option `{key}`.")
        try:
            result[name] = _converted(name, value)
        except TypeError as error:
            raise UsageError(f"{source} gives `{key}` a value of the wrong type: {value!r}.") from error
    return result


def from_call(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a Python call: as in a TOML table, and paths, tuples, NumPy numbers and None (the default). Raises UsageError."""
    return from_mapping({name: _as_toml(value) for name, value in values.items() if value is not None}, "the call")


def _as_toml(value: Any) -> Any:
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, (list, tuple)):
        return [ANY_LENGTH if item is None else _as_toml(item) for item in value]
    return value.item() if hasattr(value, "item") and hasattr(value, "dtype") else value


def _converted(name: str, value: Any) -> Any:
    """A TOML value as `Settings` holds it. Raises TypeError where it is of another kind."""
    if name in LISTS:
        items = [value] if isinstance(value, str) else value
        if isinstance(items, list) and all(isinstance(item, str) for item in items):
            return tuple(items)
    elif name in RANGES:
        if isinstance(value, list) and len(value) == 2 and all(_is_number(item, int, float) for item in value):
            return tuple(value)
    elif name == "input_shape":
        if (
            isinstance(value, list)
            and len(value) in SHAPE_AXES
            and all(item == ANY_LENGTH or _is_number(item, int) for item in value)
        ):
            return tuple(None if item == ANY_LENGTH else item for item in value)
    elif name in TEXTS:
        if isinstance(value, str):
            return value
    elif name in TEXTS_OR_NUMBERS:
        if isinstance(value, str) or _is_number(value, int):
            return str(value)
    elif name in SWITCHES:
        if isinstance(value, bool):
            return value
    elif name in FRACTIONS:
        if _is_number(value, int, float):
            return float(value)
    elif name == "bands":
        if isinstance(value, list) and len(value) == SHOWN_BANDS and all(_is_number(item, int) for item in value):
            return tuple(value)
    elif _is_number(value, int):
        return value
    raise TypeError(name)


def _is_number(value: Any, *kinds: type) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)
