"""The facts that one package passes on to the next: the model, its input, images, layers, and the plan made of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Self

import msgspec
from msgspec import Meta

from reportgen.core.axes import ChannelOrder, KernelKind, readable_shape

PICTURE_RANK = 2  # height and width
PICTURE_AXES = PICTURE_RANK + 1  # and channels
Count = Annotated[int, Meta(ge=0)]
SLUG_PATTERN = r"^[a-z0-9_-]{1,64}$"
Slug = Annotated[str, Meta(pattern=SLUG_PATTERN)]
Shape = tuple[int | None, ...]
RelativePath = Annotated[
    str,
    Meta(pattern=r"^(?!/)(?!.*\.\./)[^\\]+$", description="relative to the report's folder, with slashes"),
]


class Record:
    """Base of the dataclasses that are stored as JSON; `to_json` and `from_json` are inverse to each other."""

    def to_json(self) -> dict[str, Any]:
        """Return a dict of plain JSON values."""
        converted: dict[str, Any] = msgspec.to_builtins(self)
        return converted

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Return the record that `to_json` wrote.

        Raises:
            ValueError: a key is missing, or a value has the wrong type.
        """
        return msgspec.convert(data, cls)


class LayerStatus(StrEnum):
    """Whether a layer is in the report."""

    RENDERED = "rendered"
    SKIPPED = "skipped"
    FAILED = "failed"


class LayerKind(StrEnum):
    """What a layer does to its input."""

    CONVOLUTION = "convolution"
    POOLING = "pooling"


class NodeKind(StrEnum):
    """What a node of the network diagram stands for."""

    INPUT = "input"
    CONVOLUTION = "convolution"
    POOLING = "pooling"
    OTHER = "other"
    MERGE = "merge"
    OUTPUT = "output"


class TaskKind(StrEnum):
    """What a task computes."""

    IMAGE = "image"
    WEIGHTS = "weights"
    INITIAL = "initial"
    FEATURE_MAPS = "feature_maps"
    DATASET_IMAGES = "dataset_images"
    RESPONSES = "responses"
    RESPONSE_STATISTICS = "response_statistics"
    EXEMPLARS = "exemplars"
    MISCLASSIFIED = "misclassified"
    MISCLASSIFIED_PICTURES = "misclassified_pictures"
    NATURAL = "natural"
    ATTRIBUTION = "attribution"
    PATTERNS = "patterns"
    MINIMAL_PATTERNS = "minimal_patterns"


PATTERN_KINDS = frozenset({TaskKind.PATTERNS, TaskKind.MINIMAL_PATTERNS})


class Search(StrEnum):
    """What found the picture of a filter. Stored as the position in this list, so its order is part of the store's format."""

    START = "start"
    ASCENT = "ascent"
    SIGN_ASCENT = "sign ascent"
    SIGN_PATCHES = "sign patches"
    SILENT = "search for silent filters"


SEARCHES = tuple(Search)
CONVOLUTION, POOLING = LayerKind.CONVOLUTION, LayerKind.POOLING


@dataclass(frozen=True)
class ModelInput(Record):
    """One of a model's inputs.

    shape: without the batch axis, None where dynamic; None as a whole where the model does not state it. dtype: None where it does not
    say. alias: the input's key or position in the structure that the model is called with. fixed: the model states its shape, which
    otherwise was merely recorded by a first call.
    """

    name: str
    shape: tuple[int | None, ...] | None
    dtype: str | None
    alias: str | None
    fixed: bool

    @property
    def described(self) -> str:
        """Shape and type in words of a message."""
        if self.shape is None:
            return "of a shape that the model does not state"
        kind = "" if self.dtype is None or self.dtype.startswith("float") else f" {self.dtype}"
        return readable_shape(self.shape) + kind if self.shape else "one number"


@dataclass(frozen=True)
class ConstantInputRecord(Record):
    """An input that is not visualized, and its constant value: zero throughout where `file` is None. `file` has no folder."""

    name: str
    shape: tuple[int | None, ...] | None
    file: str | None
    sha256: str | None


@dataclass(frozen=True)
class ConstantInput:
    """An input that is not visualized, with its value for one example.

    Attributes:
        values: None for zero; (height, width, channels) of an image, which is preprocessed as the user's images are; any other
            array as it is.
    """

    record: ConstantInputRecord
    values: Any
    is_picture: bool


@dataclass(frozen=True)
class InputContract(Record):
    """What the model expects, and how an image, a signal or a volume becomes that.

    Attributes:
        shape: (height, width, channels) of images, (steps, channels) of signals, (depth, height, width, channels) of volumes,
            None where dynamic.
        size: the lengths that the user's images are resized to, without channels.
        fit: how they are resized: crop, pad or stretch.
        low: value of black before `preprocess`; of signals and volumes, which are float32 values passed as they are, the lower end of
            their patterns' range.
        high: the same of white, and the upper end.
        name: of the primary input, None where the model has no other.
        constant_inputs: the model's other inputs.
        floats: black and white in images of floating-point numbers.
    """

    shape: tuple[int | None, ...]
    size: Annotated[tuple[Count, ...], Meta(min_length=1, max_length=3)]
    fit: str
    low: float
    high: float
    preprocess: str
    reason: str
    warning: str | None
    name: str | None = None
    constant_inputs: tuple[ConstantInputRecord, ...] = ()
    floats: tuple[float, float] = (0.0, 1.0)

    @property
    def bands(self) -> int:
        """Number of input channels."""
        bands = self.shape[-1]
        assert bands is not None
        return bands

    @property
    def rank(self) -> int:
        """Number of spatial axes: 1 of signals, 2 of pictures, 3 of volumes."""
        return len(self.size)

    @property
    def is_picture(self) -> bool:
        """Whether the user's images are pictures and patterns uint8; signals and volumes are float32 numbers."""
        return self.rank == PICTURE_RANK


@dataclass(frozen=True)
class ModelRecord(Record):
    """The model as the report names it. `sha256` is of the file (None for a live model), `source` has no folder."""

    name: str
    source: str
    sha256: str | None
    weights_sha256: str
    parameters: Count
    input_shape: tuple[int | None, ...]
    classes: tuple[str, ...] | None


@dataclass(frozen=True)
class ImageRecord(Record):
    """One of the user's images. `name`: file name without folder; width and height after EXIF orientation, pixels.

    `shown`: its feature maps are in the report; otherwise it only counts for natural maxima. `lengths`: one a spatial axis; a signal
    is `width` steps long and of height 1. `colour_profile`: the colours that a picture's numbers stand for, where its file says that they
    are not sRGB; the model is fed the numbers all the same.
    """

    name: str
    slug: str
    sha256: str
    width: int
    height: int
    shown: bool
    lengths: tuple[int, ...] = ()
    colour_profile: str | None = None


class ChannelRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run of the input channels of a convolution, and where they come from.

    sources: (path of a layer call, its first channel), several where outputs are added position by position and channel by channel; the
    path is "" for the model's input. Empty where it is not known.
    """

    channels: Count
    sources: tuple[tuple[str, Count], ...]


class LayerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one call of a layer before anything is computed: the first part of an entry of `layers` in report.json.

    A layer with a `reason` that is neither skipped nor failed has a kernel to show and nothing else.
    """

    path: Annotated[str, Meta(description="unique in the model; the k-th call of a shared layer ends in @k")]
    name: str
    slug: str
    layer_class: str = msgspec.field(name="class")
    status: LayerStatus
    reason: Annotated[str | None, Meta(description="why a layer is skipped or failed, or shows its weights alone")]
    unit: Annotated[str, Meta(description="path of the layer where the filter's channel has passed its own activation")]
    kernel_shape: Shape | None
    strides: Shape | None
    dilation: Shape | None
    groups: int | None
    padding: str | None
    output_shape: Annotated[
        Shape | None, Meta(description="of the unit, without the batch axis; null where an axis is free")
    ]
    receptive_field: Annotated[
        tuple[int | None, ...] | None,
        Meta(
            description="input positions on each spatial axis, not clipped by the input; null where it cannot be stated"
        ),
    ]
    receptive_field_note: str | None
    parameters: Count
    activation: str
    rectified: Annotated[bool, Meta(description="the activation function returns exactly 0 for every negative number")]
    kernel_bands: Annotated[
        ChannelOrder | None,
        Meta(description="order of the kernel's input channels where they are the color channels of the input itself"),
    ]
    filters_total: Count
    filters_shown: Annotated[tuple[Count, ...], Meta(extra_json_schema={"uniqueItems": True})]
    labels: Annotated[
        tuple[str, ...] | None,
        Meta(description="only of the model's own outputs: names of the classes in `filters_shown`, in that order"),
    ] = None
    kind: LayerKind = LayerKind.CONVOLUTION
    window: Annotated[Shape | None, Meta(description="of a pooling layer; null where that is the whole map")] = None
    kernel_kind: KernelKind | None = KernelKind.PLAIN
    time_axes: Annotated[
        Count,
        Meta(
            description="how many of the first axes of its maps are time inside a TimeDistributed, or pieces of the input"
        ),
    ] = 0
    by_request: Annotated[bool, Meta(description="skipped because --layers or --exclude says so")] = False
    kernel_note: Annotated[
        str | None, Meta(description="said of a kernel that is not the one that the layer's call applies")
    ] = None
    channel_runs: Annotated[
        tuple[ChannelRun, ...] | None,
        Meta(
            description="which channels of which layers a convolution is applied to; null where that was not observed"
        ),
    ] = None

    @property
    def is_pooling(self) -> bool:
        """Whether this layer pools: it has feature maps before and after it, but no kernel, no filters and no patterns."""
        return self.kind == POOLING

    @property
    def is_met(self) -> bool:
        """Whether data that the report is about passes this layer, so that there is more to show of it than its kernel."""
        return self.status == "rendered" and self.reason is None

    @property
    def is_output(self) -> bool:
        """Whether this is not a layer but the model's output, one filter a class."""
        return self.labels is not None


class LayerRecord(LayerFacts, frozen=True, kw_only=True):
    """A layer as the plan has it.

    Attributes:
        pattern_size: of its patterns, on each spatial axis of the input; None where it has none.
        macs: multiplications of the forward pass up to here at the images' size, for cost estimates.
    """

    pattern_size: tuple[int, ...] | None
    macs: int

    def facts(self) -> dict[str, Any]:
        """Return what report.json states of the layer before anything is computed, as plain JSON values."""
        names = {field.encode_name for field in msgspec.structs.fields(LayerFacts)}
        return {name: value for name, value in msgspec.to_builtins(self).items() if name in names}


@dataclass(frozen=True)
class DiagramNode(Record):
    """One box of the drawing of the network.

    key: unique in the drawing. path: of the layer, "" where no layer is behind it. label: its class.
    shape: of what it gives, without the batch axis. inputs: keys of the nodes that it takes from.
    """

    key: str
    kind: NodeKind
    path: str
    label: str
    shape: tuple[int | None, ...] | None
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class AttributedLayer(Record):
    """Where attribution maps are computed: the maps of a layer that one of the model's outputs is computed from.

    output: its name, None where the model has one. path: of the layer. unit: path of the layer at which its maps are read. grid:
    positions of a map on each spatial axis. channels: number of its maps.
    """

    output: str | None
    path: str
    unit: str
    grid: tuple[Count, ...]
    channels: Count


@dataclass(frozen=True)
class Task(Record):
    """One piece of work whose result the store keeps under `key`.

    Attributes:
        kind: what is computed: of an image its pixels as fed and the predictions, of a layer the rest; patterns and minimal patterns of
            some filters.
        layer: slug; "" where it does not apply, like `image`.
        cost: of the computation in multiply-adds.
        part: of the data set, from 0; None where it does not apply.
    """

    kind: TaskKind
    key: str
    layer: str
    image: str
    filters: tuple[int, ...]
    cost: float
    part: int | None = None


@dataclass(frozen=True)
class LabelRecord(Record):
    """A label of the data set.

    images: how many have it. class_index: the model's class that it stands for, None where none is known.
    """

    label: str
    images: Count
    class_index: int | None = None


@dataclass(frozen=True)
class DatasetRecord(Record):
    """The data set as the plan has it; whether its images can be decoded is found when they are read.

    Attributes:
        source: the name of the folder, file or callable, without its folder.
        found: how many images there are.
        images: how many of them are taken, evenly spaced.
        labels: in the order of their names; empty where there are none.
        parts: how many images each part has, in order; a part is read in one piece.
        sha256: of names, hashes and labels of the images that are taken.
    """

    source: str
    found: Count
    images: Count
    labels: tuple[LabelRecord, ...]
    parts: tuple[int, ...]
    sha256: str


@dataclass(frozen=True)
class Plan(Record):
    """Everything a report is made of: the facts known before computing, and the tasks in order.

    problems: what failed before anything was computed, a sentence each. attribution: the layers of attribution maps.
    """

    model: ModelRecord
    contract: InputContract
    settings: dict[str, Any]
    environment: dict[str, Any]
    images: tuple[ImageRecord, ...]
    images_left_out: tuple[dict[str, str], ...]
    layers: tuple[LayerRecord, ...]
    tasks: tuple[Task, ...]
    notes: tuple[str, ...]
    diagram: tuple[DiagramNode, ...] = ()
    problems: tuple[str, ...] = ()
    dataset: DatasetRecord | None = None
    attribution: tuple[AttributedLayer, ...] = ()

    def layer_tasks(self, slug: str, kind: str) -> tuple[Task, ...]:
        """The tasks of one kind that belong to one layer, in order."""
        return tuple(task for task in self.tasks if task.layer == slug and task.kind == kind)
