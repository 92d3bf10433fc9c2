"""The values that options take beyond plain text and numbers: closed sets of words, choices of filters, sizes of memory."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf

from reportgen.core.errors import UsageError

EIGHT_BIT_RANGE = (0.0, 255.0)
DEFAULT_IMAGE_SIZE = 224  # the short side that most ImageNet networks were trained at
LARGEST_SIDE = 4096  # pixels; a larger picture would not fit into memory in any network seen
LARGEST_ARRAY = 200_000_000  # numbers of a signal or volume
FLOAT_BYTES = 4
MEMORY_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}
SHAPE_AXES = (2, 3, 4)  # of signals, pictures and volumes, channels among them


class Quality(StrEnum):
    """How much effort a pattern gets."""

    DRAFT = "draft"
    STANDARD = "standard"
    PAPER = "paper"


class Fit(StrEnum):
    """How an image is brought to the input's shape."""

    CROP = "crop"
    PAD = "pad"
    STRETCH = "stretch"


class Precision(StrEnum):
    """The arithmetic of gradient ascent."""

    AUTO = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


class Method(StrEnum):
    """The recipe that patterns are optimized by."""

    OPTVIS = "optvis"
    KERAS_IO = "keras-io"


class Parameterization(StrEnum):
    """What the optimizer's variables are."""

    FOURIER = "fourier"
    PIXEL = "pixel"


class Measure(StrEnum):
    """How a channel's map becomes one number; `mean-and-peak` and `leaky` mean the plain pre-activation where no rectifier follows."""

    MEAN_AND_PEAK = "mean-and-peak"
    LEAKY = "leaky"
    PRE_ACTIVATION = "pre-activation"
    ACTIVATION = "activation"


class Regularizer(StrEnum):
    """What is subtracted from the objective: total variation, squared contrast."""

    TOTAL_VARIATION = "tv"
    L2 = "l2"


class Preprocess(StrEnum):
    """The named kinds of preprocessing; `package.module:callable` stands beside them."""

    AUTO = "auto"
    NONE = "none"
    UNIT = "unit"  # 0..1
    TF = "tf"  # -1..1
    TORCH = "torch"  # 0..1, then standardized per channel by ImageNet's mean and deviation
    CAFFE = "caffe"  # BGR, less ImageNet's mean per channel


class Normalization(StrEnum):
    """What the color scale of a feature map spans."""

    PER_MAP = "per-map"
    PER_LAYER = "per-layer"
    FIXED = "fixed"


class Match(StrEnum):
    """How the filters of two models are matched."""

    AUTO = "auto"
    POSITION = "position"
    ACTIVATION = "activation"


class KeepMaps(StrEnum):
    """Of which channels the feature maps are kept as arrays once they are drawn; `shown` are those with a card."""

    ALL = "all"
    SHOWN = "shown"
    NONE = "none"


class Export(StrEnum):
    """Formats of tables for other programs."""

    PARQUET = "parquet"


class Colormap(StrEnum):
    """Matplotlib's perceptually uniform color scales, for maps without negative values."""

    VIRIDIS = "viridis"
    MAGMA = "magma"
    INFERNO = "inferno"
    PLASMA = "plasma"
    CIVIDIS = "cividis"
    GREY = "grey"


class Attribution(StrEnum):
    """The methods of attribution maps."""

    GRAD_CAM = "grad-cam"
    HIRESCAM = "hirescam"
    SCORE_CAM = "score-cam"


MOST_MASKS = 64  # maps that Score-CAM masks an image with; each is a pass of the whole model


class ExecutorKind(StrEnum):
    """Where work is computed."""

    IN_PROCESS = "in-process"
    PROCESSES = "processes"
    DASK = "dask"


@dataclass(frozen=True)
class FilterChoice:
    """Which filters of a layer are shown: all (`count` and `numbers` None), an evenly spaced count, or a list of numbers."""

    count: int | None = None
    numbers: tuple[int, ...] | None = None

    @classmethod
    def parse(cls, text: str) -> FilterChoice:
        """Return the choice that a text states.

        Args:
            text: `all`, `32` (a count) or `0-15,40` (numbers; one filter is `17-17`).

        Raises:
            UsageError: The text is none of these.
        """
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
        """Return the numbers of the filters shown of a layer with `total` filters; numbers that it lacks are left out."""
        if self.numbers is not None:
            return tuple(number for number in self.numbers if number < total)
        if self.count is None or self.count >= total:
            return tuple(range(total))
        if self.count == 1:
            return (0,)
        return tuple(round(position * (total - 1) / (self.count - 1)) for position in range(self.count))


def as_choice(filters: str | int | Sequence[int] | None) -> str | None:
    """Return filters of a Python call as `FilterChoice.parse` reads them: a count, a text, or numbers."""
    if filters is None or isinstance(filters, str):
        return filters
    return str(filters) if isinstance(filters, int) else ",".join(f"{number}-{number}" for number in filters)


def parse_memory(text: str) -> int:
    """Return the bytes of a size such as `2GiB`, `512M` or `1000000`; raise UsageError for any other text."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMG]?)(?:i?B)?\s*", text, re.IGNORECASE)
    if found is None or float(found[1]) <= 0:
        raise UsageError(f"--memory {text} is not a size such as 2GiB, 512MiB or 1000000.")
    return int(float(found[1]) * MEMORY_UNITS[found[2].upper()])


def parse_regularizers(text: str | None) -> dict[str, float]:
    """Return the weights of `tv=0.1,l2=0.01` by name; raise UsageError for any other text."""
    weights: dict[str, float] = {}
    for part in [] if text is None else text.split(","):
        name, _, number = part.strip().partition("=")
        try:
            weight = float(number)
        except ValueError:
            weight = -inf
        if name not in tuple(Regularizer) or name in weights or not 0 <= weight < inf:
            raise UsageError(f"--regularize {text} is not of the form tv=W,l2=W with weights of 0 or more.")
        weights[name] = weight
    return weights


def parse_pattern_size(text: str) -> int | None:
    """Return the side of a pattern in pixels, None for `auto`; raise UsageError for any other text."""
    if text == "auto":
        return None
    if not text.isdecimal():
        raise UsageError(f"--size {text} is neither `auto` nor a number of pixels.")
    if int(text) < 1:
        raise UsageError(f"--size {text} is below 1.")
    return int(text)


def parse_jobs(text: str) -> int | None:
    """Return a number of processes, None for `auto`; raise UsageError for any other text."""
    if text == "auto":
        return None
    if not text.removeprefix("-").isdecimal():
        raise UsageError(f"--jobs {text} is neither `auto` nor a number of processes.")
    if int(text) < 1:
        raise UsageError(f"--jobs {text} is below 1.")
    return int(text)


def parse_attribution(texts: tuple[str, ...]) -> tuple[Attribution, ...]:
    """Return the methods that texts such as `grad-cam,score-cam` name, each once, in the order of `Attribution`.

    Raises:
        UsageError: one is unknown.
    """
    given = [part.strip() for text in texts for part in text.split(",") if part.strip()]
    for word in given:
        if word not in tuple(Attribution):
            raise UsageError(f"--attribution {word} is none of {', '.join(Attribution)}.")
    return tuple(method for method in Attribution if method in given)


def parse_constant_inputs(texts: tuple[str, ...]) -> dict[str, str]:
    """Return the files of `NAME=FILE` texts by input name; raise UsageError for other texts, and for a name given twice."""
    files: dict[str, str] = {}
    for text in texts:
        name, equals, file = text.partition("=")
        if not (name and equals and file):
            raise UsageError(f"--hold {text} is not of the form NAME=FILE.")
        if name in files:
            raise UsageError("--hold names an input twice; give each one file.")
        files[name] = file
    return files


def check_length(option: str, length: int, is_picture: bool, channels: int) -> None:
    """Raise UsageError where a stated length of the input's free axes is beyond what is computed on."""
    if is_picture and length > LARGEST_SIDE:
        raise UsageError(f"{option} {length} is above the limit of {LARGEST_SIDE} pixels.")
    if not is_picture and length * channels > LARGEST_ARRAY:
        raise UsageError(
            f"{option} {length}: an input of {length:,} steps of {channels} {'channel' if channels == 1 else 'channels'} alone takes "
            f"{length * channels * FLOAT_BYTES:,} bytes, above the limit of {LARGEST_ARRAY * FLOAT_BYTES:,}."
        )
