"""What the model expects to be fed, and how an 8-bit picture becomes that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reportgen.errors import ModelError, UsageError
from reportgen.network.load import import_callable
from reportgen.network.quiet import keras, tf
from reportgen.records import InputContract, ModelInput
from reportgen.settings import Settings

Shape = tuple[int | None, int | None, int]
EIGHT_BIT_MAXIMUM = 255.0
EIGHT_BIT_RANGE = (0.0, EIGHT_BIT_MAXIMUM)
CAFFE_MEAN_BGR = (
    103.939,
    116.779,
    123.68,
)  # keras.applications.imagenet_utils: the ImageNet mean, as VGG and ResNet were trained
TORCH_MEAN_RGB = (0.485, 0.456, 0.406)
TORCH_STD_RGB = (0.229, 0.224, 0.225)
COLOUR_BANDS = 3
COLOUR_PREPROCESSES = ("torch", "caffe")


def input_shape(own: ModelInput, stated: Shape | None) -> Shape:
    """(height, width, bands) of the input that is looked at, None where dynamic. Raises ModelError where it cannot be known.

    `stated` is `--input-shape`. A shape that was merely recorded by a first call fixes the channels, not the size.
    """
    if own.shape is not None:
        return _completed(own.shape, stated, fixed=own.fixed)
    if stated is None:
        raise ModelError("the model does not state its input; give --input-shape H,W,C (for example 224,224,3).")
    return _completed(stated, stated, fixed=True)


def _completed(shape: tuple[int | None, ...], stated: Shape | None, fixed: bool) -> Shape:
    if len(shape) != COLOUR_BANDS:
        raise ModelError(
            f"the model's input has the shape {_show(shape)}; only images (height, width, bands) can be reported so far."
        )
    height, width, bands = shape if fixed else (None, None, shape[2])
    if stated is not None:
        if bands is not None and stated[2] != bands:
            raise UsageError(f"--input-shape names {stated[2]} bands, the model's input has {bands}.")
        for own, given in zip((height, width), stated[:2], strict=True):
            if own is not None and given is not None and own != given:
                raise UsageError(f"--input-shape {_show(stated)} contradicts the model's own input {_show(shape)}.")
        height = height if height is not None else stated[0]
        width = width if width is not None else stated[1]
        bands = stated[2]
    if bands is None:
        raise ModelError("the model does not state how many bands its input has; give --input-shape H,W,C.")
    return height, width, bands


def _show(shape: tuple[int | None, ...]) -> str:
    return ",".join("any" if axis is None else str(axis) for axis in shape)


def make_contract(shape: Shape, settings: Settings, layers: list[Any]) -> InputContract:
    """The contract for a model whose `layers` run in this order. Raises UsageError where a choice does not fit the bands."""
    preprocess, reason, warning = _chosen_preprocess(settings, layers)
    if preprocess in COLOUR_PREPROCESSES and shape[2] != COLOUR_BANDS:
        raise UsageError(f"--preprocess {preprocess} is made for 3 bands, the model's input has {shape[2]}.")
    height, width, _ = shape
    size = (_first(height, width, settings.image_size), _first(width, height, settings.image_size))
    low, high = settings.input_range
    return InputContract(shape, size, settings.fit, low, high, preprocess, reason, warning)


def _first(own: int | None, other: int | None, default: int) -> int:
    """A fixed side wins; a dynamic one beside a fixed one makes a square."""
    if own is not None:
        return own
    return other if other is not None else default


def _chosen_preprocess(settings: Settings, layers: list[Any]) -> tuple[str, str, str | None]:
    if settings.preprocess != "auto":
        return settings.preprocess, "chosen by --preprocess", None
    for layer in layers:
        if isinstance(layer, (keras.layers.Rescaling, keras.layers.Normalization)):
            return "none", f"the model itself contains a {type(layer).__name__} layer (`{layer.name}`)", None
    if tuple(settings.input_range) != EIGHT_BIT_RANGE:
        return "none", "--input-range states what the model is fed", None
    return (
        "unit",
        "the default where nothing in the model says otherwise",
        "It is not known how this model's inputs were scaled: the pictures were divided by 255 (0..1). If it was trained otherwise, "
        "every figure here is wrong; say how with --preprocess.",
    )


def make_feed(contract: InputContract) -> Callable[[Any], Any]:
    """A function from float32 pictures (n, height, width, bands) in [0, 255] to what the model is fed, differentiable in TensorFlow."""
    prepare = _preprocessor(contract.preprocess)
    scale = (contract.high - contract.low) / EIGHT_BIT_MAXIMUM

    def feed(pictures: Any) -> Any:
        if scale != 1 or contract.low != 0:
            pictures = pictures * scale + contract.low
        return prepare(pictures)

    return feed


def _preprocessor(name: str) -> Callable[[Any], Any]:
    if name == "none":
        return lambda pictures: pictures
    if name == "unit":
        return lambda pictures: pictures / EIGHT_BIT_MAXIMUM
    if name == "tf":
        return lambda pictures: pictures / (EIGHT_BIT_MAXIMUM / 2) - 1.0
    if name == "torch":
        return lambda pictures: (
            (pictures / EIGHT_BIT_MAXIMUM - tf.constant(TORCH_MEAN_RGB)) / tf.constant(TORCH_STD_RGB)
        )
    if name == "caffe":
        return lambda pictures: pictures[..., ::-1] - tf.constant(CAFFE_MEAN_BGR)
    own = import_callable(name, "--preprocess")
    return lambda pictures: tf.ensure_shape(own(pictures), pictures.shape)
