"""How pictures are scaled before the model sees them: what the model itself says, else what is likely, with the reason for the reader."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reportgen.core.channels import RGB_CHANNELS
from reportgen.core.records import PICTURE_RANK
from reportgen.core.settings import Settings
from reportgen.network.backend import keras, tf
from reportgen.network.loading.load import import_callable
from reportgen.network.signature import is_whole

EIGHT_BIT_MAXIMUM = 255.0
CAFFE_MEAN_BGR = (
    103.939,
    116.779,
    123.68,
)  # keras.applications.imagenet_utils: the ImageNet mean, as VGG and ResNet were trained
TORCH_MEAN_RGB = (0.485, 0.456, 0.406)
TORCH_STD_RGB = (0.229, 0.224, 0.225)
COLOUR_PREPROCESSES = ("torch", "caffe")

KERAS_PREFIX = "keras:"
# Default names of the networks of keras.applications without scaling of their own, and what their weights were trained with.
BACKBONES = (
    (r"vgg_?(16|19)", "caffe"),
    (r"resnet_?(50|101|152)_?v2", "tf"),
    (r"resnet_?(50|101|152)", "caffe"),
    (r"inception_?(v3|resnet_?v2)", "tf"),
    (r"xception", "tf"),
    (r"mobilenet", "tf"),
    (r"densenet_?(121|169|201)", "torch"),
    (r"nasnet", "tf"),
)
# Names of layers that tell such a network where its own name is lost: cut off at some layer and built into another model.
TRACES = (
    ("block2_sepconv1", "Xception", "tf"),
    ("block5_conv3", "VGG", "caffe"),
    ("block5_conv2", "VGG", "caffe"),
    ("conv2_block1_preact_bn", "ResNetV2", "tf"),
    ("pool2_relu", "DenseNet", "torch"),
    ("conv2_block1_out", "ResNet", "caffe"),
    ("conv_dw_1", "MobileNet", "tf"),
    ("expanded_conv_depthwise", "MobileNet", "tf"),
)
SCALING_LAYERS = (keras.layers.Rescaling, keras.layers.Normalization)
SMALL = 16.0  # what black and white may lie apart where convolutions take pictures in: scaled data keep well below, 0..255 above
CENTRED = (
    0.25  # of that distance: how far from 0 the middle may lie for a mean to have been taken off; untouched it is 0.5
)
SAME = 0.01  # of a value: a change below it changes nothing that matters
GUESSED = "If it was trained otherwise, every figure here is wrong; say how with --preprocess."


@dataclass(frozen=True)
class Scaling:
    """The preprocessing, why it was chosen, and what the reader must be warned of where that is a guess."""

    preprocess: str
    reason: str
    warning: str | None


@dataclass(frozen=True)
class Entrance:
    """What lies between the input and the first learned layer that sees it: a convolution, a recurrence or a dense layer.

    layers: called before that layer, in order. values: float (3, channels), what pictures of nothing but 0, 1 and 255 have become
    there; None where that is not known.
    """

    layers: Sequence[Any] = ()
    values: np.ndarray | None = None


def chosen(settings: Settings) -> Scaling | None:
    """What the user decided; None where the model is to be asked."""
    if settings.preprocess != "auto":
        return Scaling(settings.preprocess, "chosen by --preprocess", None)
    if settings.input_range is not None:
        return Scaling("none", "--input-range states what the model is fed", None)
    return None


def found(
    shape: Sequence[int | None], dtype: str | None, source: str, named: Sequence[str], entrance: Entrance
) -> Scaling:
    """What the model tells of the scaling of pictures of `shape` and `dtype`, else what is likely, else a default with a warning.

    Signals and volumes are never scaled: only the user can know the units of their numbers.

    source: of the model. named: names of the model, and of the models and layers inside it.
    """
    if len(shape) - 1 != PICTURE_RANK:
        return Scaling("none", "signals and volumes are fed as the numbers in their files", None)
    bands = shape[-1]
    layer = next((one for one in entrance.layers if isinstance(one, SCALING_LAYERS)), None)
    own = _own_scaling(layer, entrance.values)
    if own is not None:
        return own
    if is_whole(dtype):
        return Scaling("none", f"the model takes whole numbers ({dtype})", None)
    if source.startswith(KERAS_PREFIX):
        known = of_application(source.removeprefix(KERAS_PREFIX))
        if known is not None:
            return Scaling(known, f"{source} has it as its own preprocess_input", None)
    for name, likely in _likely(named):
        if likely not in COLOUR_PREPROCESSES or bands == RGB_CHANNELS:
            return Scaling(
                likely,
                f"likely, since the model carries `{name}` and the weights of keras.applications take it",
                f"It is not known how this model's inputs were scaled: it carries `{name}`, whose weights in keras.applications "
                f"take `{likely}`, and that was done. {GUESSED}",
            )
    return Scaling(
        "unit",
        "the default where nothing in the model says otherwise",
        f"It is not known how this model's inputs were scaled: the pictures were divided by 255 (0..1). {GUESSED}",
    )


def _own_scaling(layer: Any | None, values: np.ndarray | None) -> Scaling | None:
    """What the model's own scaling tells: `none` where it takes 0..255, `unit` where it plainly takes 0..1, None where there is none."""
    what = "the model itself scales its input before its first learned layer"
    if layer is not None:
        what = f"the model itself contains a {type(layer).__name__} layer (`{layer.name}`)"
    if values is None or not np.isfinite(values).all():
        return None if layer is None else Scaling("none", what, None)
    black, one, white = (float(row.mean()) for row in values)
    width, middle = abs(white - black), abs(white + black) / 2
    if black < 0 < one and width > SMALL:
        return Scaling("unit", f"{what}, made for 0..1: that becomes {black:.3g}..{one:.3g}, but 255 {white:.3g}", None)
    scaled = width <= SMALL or middle <= CENTRED * width
    if not scaled and layer is None:
        return None
    return Scaling("none", f"{what}: 0..255 becomes {black:.3g}..{white:.3g}", None)


def _likely(named: Sequence[str]) -> list[tuple[str, str]]:
    """(name of a known network, what its weights take), the best evidence first."""
    found = [
        (name, preprocess)
        for name in named
        for pattern, preprocess in BACKBONES
        if re.search(rf"(^|[^a-z]){pattern}", name.rpartition("/")[2], re.IGNORECASE)
    ]
    ends = {name.rpartition("/")[2] for name in named}
    return [*found, *((network, preprocess) for layer, network, preprocess in TRACES if layer in ends)]


def of_application(name: str) -> str | None:
    """What the `preprocess_input` of a network of keras.applications does, by our name for it, found by asking it; None where unknown."""
    make = getattr(keras.applications, name, None)
    function = getattr(importlib.import_module(make.__module__), "preprocess_input", None) if callable(make) else None
    if function is None:
        return None
    shown = np.linspace(0, EIGHT_BIT_MAXIMUM, RGB_CHANNELS * 4, dtype=np.float32).reshape(1, 2, 2, RGB_CHANNELS)
    answer = np.asarray(function(shown.copy()))
    for known in ("none", "tf", "torch", "caffe"):
        if np.allclose(answer, np.asarray(preprocessor(known)(shown)), rtol=SAME, atol=SAME):
            return known
    return None


def preprocessor(name: str) -> Callable[[Any], Any]:
    """The preprocessing `name` as a function of float32 pictures (n, height, width, bands) in 0..255. Raises UsageError."""
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
        return lambda pictures: tf.reverse(pictures, [-1]) - tf.constant(CAFFE_MEAN_BGR)  # a slice [::-1] is slow
    own = import_callable(name, "--preprocess")
    return lambda pictures: tf.ensure_shape(own(pictures), pictures.shape)
