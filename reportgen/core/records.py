"""Every fact that one room passes on to the next, as frozen dataclasses that turn into plain JSON and back."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Record:
    """A frozen fact sheet; `to_json` and `from_json` are inverse to each other (tuples become lists in between)."""

    def to_json(self) -> dict[str, Any]:
        """A dict of plain JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """The record that `to_json` wrote; lists become tuples again, unknown keys are an error."""
        return cls(**{key: _frozen(value) for key, value in data.items()})


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


PICTURE_RANK = 2  # height and width
PICTURE_AXES = PICTURE_RANK + 1  # and bands


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
        return (
            " × ".join("any" if axis is None else str(axis) for axis in self.shape) + kind
            if self.shape
            else "one number"
        )


@dataclass(frozen=True)
class ConstantInputRecord(Record):
    """What a model's input that is not looked at is held at: zero throughout, or a file's content. `file` has no folder."""

    name: str
    shape: tuple[int | None, ...] | None
    file: str | None
    sha256: str | None


@dataclass(frozen=True)
class ConstantInput:
    """An input that is not looked at, and its value for one example.

    values: None for zero; (height, width, bands) of a picture, which is fed as the user's images are; any other array as it is.
    """

    record: ConstantInputRecord
    values: Any
    is_picture: bool


@dataclass(frozen=True)
class InputContract(Record):
    """What the model expects and how a picture, a signal or a volume becomes that.

    shape: (height, width, bands) of pictures, (steps, bands) of signals, (depth, height, width, bands) of volumes, None where dynamic.
    size: the same without bands, that the user's images are fed at. low, high: what black and white of a picture become before
    `preprocess`; signals and volumes are float32 numbers fed as they are, and there low and high are the range of their patterns. name: of
    the input that is looked at, None where the model has no other; held: the others.
    floats: what is black and white in pictures of floating-point numbers.
    """

    shape: tuple[int | None, ...]
    size: tuple[int, ...]
    fit: str
    low: float
    high: float
    preprocess: str
    reason: str
    warning: str | None
    name: str | None = None
    constant_inputs: tuple[ConstantInputRecord, ...] = ()
    floats: tuple[float, float] = (0.0, 1.0)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """The contract that `to_json` wrote."""
        constant_inputs = tuple(ConstantInputRecord.from_json(item) for item in data.get("constant_inputs", ()))
        return super().from_json({**data, "constant_inputs": constant_inputs})

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
    parameters: int
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


# What found the picture of a filter, as it is stored: by its place here.
SEARCHES = ("start", "ascent", "sign ascent", "sign patches", "search for silent filters")

CONVOLUTION, POOLING = LAYER_KINDS = ("convolution", "pooling")


@dataclass(frozen=True)
class LayerRecord(Record):
    """What is known of one call of a layer before anything is computed.

    output_shape: of the unit, without the batch axis, None where dynamic. receptive_field: input pixels per spatial axis, not clipped
    by the input; None where it cannot be stated, with the reason in `receptive_field_note`. `unit`: path of the layer where the filter's
    channel has passed its own activation. `rectified`: that activation answers exactly 0 to every negative number.
    `kernel_bands`: "RGB" or "BGR" where the kernel looks at the colour input itself, else None. `macs`: multiplications
    of the forward pass up to here at the images' size, for cost estimates. `pattern_size`: of patterns, on each spatial axis of the
    input. `labels`: only of the model's own outputs, which have patterns but neither weights nor feature maps: the names of the classes
    in `filters_shown`. `kind`: one of LAYER_KINDS. `window`: what a pooling layer pools over. `kernel_kind`: how the kernel is to be read:
    "plain" (..., in, out), "transposed" (..., out, in), "depthwise" (..., in, multiplier), "separable" (a depthwise and a pointwise one),
    None where there is none. `times`: how many of the first axes of its maps are time inside a TimeDistributed.
    `kernel_note`: said of a kernel that is not the one applied.

    `status`: "rendered"; "skipped", with the `reason`; or "failed", where the model could not be traced as far. `by_request`: whether it is
    skipped because the user said so. A layer with a `reason` that is not skipped has a kernel to show and nothing else.
    """

    path: str
    name: str
    slug: str
    layer_class: str
    status: str
    reason: str | None
    unit: str
    kernel_shape: tuple[int, ...] | None
    strides: tuple[int, ...] | None
    dilation: tuple[int, ...] | None
    groups: int | None
    padding: str | None
    output_shape: tuple[int | None, ...] | None
    receptive_field: tuple[int, ...] | None
    receptive_field_note: str | None
    parameters: int
    activation: str
    rectified: bool
    kernel_bands: str | None
    filters_total: int
    filters_shown: tuple[int, ...]
    pattern_size: tuple[int, ...] | None
    macs: int
    labels: tuple[str, ...] | None = None
    kind: str = CONVOLUTION
    window: tuple[int, ...] | None = None
    kernel_kind: str | None = "plain"
    times: int = 0
    by_request: bool = False
    kernel_note: str | None = None

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


@dataclass(frozen=True)
class DiagramNode(Record):
    """One box of the drawing of the network.

    key: unique in the drawing. kind: a layer's (LAYER_KINDS), "other" for a layer of
    another kind, "merge" where tensors meet, "input" or "output". path: of the layer, "" where no layer is behind it. label: its class.
    shape: of what it gives, without the batch axis. inputs: keys of the nodes that it takes from.
    """

    key: str
    kind: str
    path: str
    label: str
    shape: tuple[int | None, ...] | None
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Task(Record):
    """One piece of work whose result the store keeps under `key`.

    kind: "image" (the picture as fed, predictions), "weights", "initial" (the weights that
    training started from), "feature_maps" (a layer, an image), "natural" (a layer's figures on the
    user's images), "patterns" and "negatives" (a layer, some filters: what excites them most and least). `layer` and `image` are slugs,
    "" where they do not apply. `cost` has no unit.
    """

    kind: str
    key: str
    layer: str
    image: str
    filters: tuple[int, ...]
    cost: float


@dataclass(frozen=True)
class Plan:
    """Everything a report is made of: the facts known before computing, and the tasks in order.

    problems: what failed before anything was computed, a sentence each.
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

    def to_json(self) -> dict[str, Any]:
        """A dict of plain JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """The plan that `to_json` wrote."""
        return cls(
            model=ModelRecord.from_json(data["model"]),
            contract=InputContract.from_json(data["contract"]),
            settings=data["settings"],
            environment=data["environment"],
            images=tuple(ImageRecord.from_json(item) for item in data["images"]),
            images_left_out=tuple(data["images_left_out"]),
            layers=tuple(LayerRecord.from_json(item) for item in data["layers"]),
            tasks=tuple(Task.from_json(item) for item in data["tasks"]),
            notes=tuple(data["notes"]),
            problems=tuple(data.get("problems", ())),
            diagram=tuple(DiagramNode.from_json(item) for item in data.get("diagram", ())),
        )

    def layer_tasks(self, slug: str, kind: str) -> tuple[Task, ...]:
        """The tasks of one kind that belong to one layer, in order."""
        return tuple(task for task in self.tasks if task.layer == slug and task.kind == kind)


@dataclass(frozen=True)
class Tiles(Record):
    """Where the tiles of a mosaic lie, in picture pixels.

    `count` tiles of tile_height x tile_width array cells, each cell drawn as scale x scale pixels, `columns` a row, `gap` pixels around
    and between tiles. The last row is padded. group: so many tiles of a row belong together, with two more gaps to the next; 0 where
    none do.
    """

    count: int
    columns: int
    tile_height: int
    tile_width: int
    scale: int
    gap: int
    group: int = 0

    @property
    def rows(self) -> int:
        """Number of rows, the last one padded."""
        return -(-self.count // self.columns)

    @property
    def width(self) -> int:
        """Width of the whole picture in pixels."""
        apart = (self.columns - 1) // self.group if self.group else 0
        return self.columns * (self.tile_width * self.scale + self.gap) + self.gap + 2 * self.gap * apart

    @property
    def height(self) -> int:
        """Height of the whole picture in pixels."""
        return self.rows * (self.tile_height * self.scale + self.gap) + self.gap

    def box(self, index: int) -> tuple[int, int, int, int]:
        """(x, y, width, height) of one tile in picture pixels."""
        row, column = divmod(index, self.columns)
        tile_width, tile_height = self.tile_width * self.scale, self.tile_height * self.scale
        return (
            self.gap + column * (tile_width + self.gap) + (2 * self.gap * (column // self.group) if self.group else 0),
            self.gap + row * (tile_height + self.gap),
            tile_width,
            tile_height,
        )


@dataclass(frozen=True)
class Figure:
    """A picture file and what its reader must be told.

    png: the file's bytes. tiles: the mosaic's layout. caption: one or two sentences that state the scale with numbers and what is shown
    of what. alt: the text for a reader who does not see it, with figures. legend: the colour bar as (low, high, palette name), its ends
    as numbers or in words; None where a picture shows its own colours.
    """

    png: bytes
    tiles: Tiles
    caption: str
    alt: str
    legend: tuple[float | str, float | str, str] | None
