"""The preprocessing of pictures: what the model itself tells, else what is likely, with the reason for the reader."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reportgen.core.axes import RGB_CHANNELS
from reportgen.core.choices import Preprocess
from reportgen.core.records import PICTURE_RANK
from reportgen.core.settings import Settings
from reportgen.network.backend import keras, tf
from reportgen.network.loading.load import import_callable
from reportgen.network.signature import is_whole

EIGHT_BIT_MAXIMUM = 255.0


COLOUR_PREPROCESSES = (Preprocess.TORCH, Preprocess.CAFFE)  # made for three channels
# keras.applications.imagenet_utils: the ImageNet mean, as VGG and ResNet were trained
CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)
TORCH_MEAN_RGB = (0.485, 0.456, 0.406)
TORCH_STD_RGB = (0.229, 0.224, 0.225)

KERAS_PREFIX = "keras:"
# Default names of the networks of keras.applications without scaling of their own, and what their weights were trained with.
BACKBONES = (
    (r"vgg_?(16|19)", Preprocess.CAFFE),
    (r"resnet_?(50|101|152)_?v2", Preprocess.TF),
    (r"resnet_?(50|101|152)", Preprocess.CAFFE),
    (r"inception_?(v3|resnet_?v2)", Preprocess.TF),
    (r"xception", Preprocess.TF),
    (r"mobilenet", Preprocess.TF),
    (r"densenet_?(121|169|201)", Preprocess.TORCH),
    (r"nasnet", Preprocess.TF),
)
# Names of layers that identify such a network where its own name is lost: cut off at some layer and built into another model.
TRACES = (
    ("block2_sepconv1", "Xception", Preprocess.TF),
    ("block5_conv3", "VGG", Preprocess.CAFFE),
    ("block5_conv2", "VGG", Preprocess.CAFFE),
    ("conv2_block1_preact_bn", "ResNetV2", Preprocess.TF),
    ("pool2_relu", "DenseNet", Preprocess.TORCH),
    ("conv2_block1_out", "ResNet", Preprocess.CAFFE),
    ("conv_dw_1", "MobileNet", Preprocess.TF),
    ("expanded_conv_depthwise", "MobileNet", Preprocess.TF),
)
SCALING_LAYERS = (keras.layers.Rescaling, keras.layers.Normalization)
SMALL = 16.0  # largest distance of black and white at the first convolution of scaled pictures; 0..255 is far above
# Of that distance: how far from 0 the middle may lie for a mean to have been subtracted; otherwise it is 0.5.
CENTRED = 0.25
SAME = 0.01  # of a value: a change below it changes nothing that matters
GUESSED = "If the model was trained differently, all results are invalid; state its preprocessing with --preprocess."


@dataclass(frozen=True)
class Scaling:
    """The preprocessing (a `Preprocess`, or package.module:callable), why it was chosen, and a warning where that is a guess."""

    preprocess: str
    reason: str
    warning: str | None


@dataclass(frozen=True)
class Entrance:
    """What lies between the input and the first learned layer that depends on it: a convolution, a recurrence or a dense layer.

    layers: called before that layer, in order. values: float (3, channels), what constant pictures of 0, 1 and 255 are at the input of that
    layer; None where that is not known.
    """

    layers: Sequence[Any] = ()
    values: np.ndarray | None = None


def chosen(settings: Settings) -> Scaling | None:
    """Return the user's choice; None where the preprocessing is to be found from the model."""
    if settings.preprocess != "auto":
        return Scaling(settings.preprocess, "set with --preprocess", None)
    if settings.input_range is not None:
        return Scaling(Preprocess.NONE, "--input-range states what the model is fed", None)
    return None


def found(
    shape: Sequence[int | None], dtype: str | None, source: str, named: Sequence[str], entrance: Entrance
) -> Scaling:
    """Find the preprocessing that a model takes, else one that is likely, else a default with a warning.

    Signals and volumes are never scaled: only the user can know the units of their numbers.

    Args:
        shape: of the primary input, channels last.
        dtype: of the primary input; None where the model does not state it.
        source: of the model, as `Loaded.source`.
        named: names of the model, and of the models and layers inside it.
        entrance: what lies before the first learned layer.
    """
    if len(shape) - 1 != PICTURE_RANK:
        return Scaling(Preprocess.NONE, "signals and volumes are fed as the numbers in their files", None)
    channels = shape[-1]
    layer = next((one for one in entrance.layers if isinstance(one, SCALING_LAYERS)), None)
    own = _own_scaling(layer, entrance.values)
    if own is not None:
        return own
    if is_whole(dtype):
        return Scaling(Preprocess.NONE, f"the model takes whole numbers ({dtype})", None)
    if source.startswith(KERAS_PREFIX):
        known = of_application(source.removeprefix(KERAS_PREFIX))
        if known is not None:
            return Scaling(known, f"{source} has it as its own preprocess_input", None)
    for name, likely in _likely(named):
        if likely not in COLOUR_PREPROCESSES or channels == RGB_CHANNELS:
            return Scaling(
                likely,
                f"guessed from the name `{name}`, a network of keras.applications",
                f"Input preprocessing was guessed: the model contains `{name}`, whose weights in keras.applications take `{likely}` "
                f"preprocessing, so that was applied. {GUESSED}",
            )
    return Scaling(
        Preprocess.UNIT,
        "the default, since nothing in the model tells its preprocessing",
        f"Input preprocessing was guessed: nothing in the model tells it, so pixels were divided by 255 (0..1). {GUESSED}",
    )


def _own_scaling(layer: Any | None, values: np.ndarray | None) -> Scaling | None:
    """Judge the model's own scaling: `none` where it takes 0..255, `unit` where it clearly takes 0..1, None where there is none."""
    what = "the model itself scales its input before its first learned layer"
    if layer is not None:
        what = f"the model itself contains a {type(layer).__name__} layer (`{layer.name}`)"
    if values is None or not np.isfinite(values).all():
        return None if layer is None else Scaling(Preprocess.NONE, what, None)
    black, one, white = (float(row.mean()) for row in values)
    width, middle = abs(white - black), abs(white + black) / 2
    if black < 0 < one and width > SMALL:
        return Scaling(
            Preprocess.UNIT, f"{what}, made for 0..1: that becomes {black:.3g}..{one:.3g}, but 255 {white:.3g}", None
        )
    scaled = width <= SMALL or middle <= CENTRED * width
    if not scaled and layer is None:
        return None
    return Scaling(Preprocess.NONE, f"{what}: 0..255 becomes {black:.3g}..{white:.3g}", None)


def _likely(named: Sequence[str]) -> list[tuple[str, Preprocess]]:
    """Return (name of a known network, preprocessing of its weights), the best evidence first."""
    found = [
        (name, preprocess)
        for name in named
        for pattern, preprocess in BACKBONES
        if re.search(rf"(^|[^a-z]){pattern}", name.rpartition("/")[2], re.IGNORECASE)
    ]
    ends = {name.rpartition("/")[2] for name in named}
    return [*found, *((network, preprocess) for layer, network, preprocess in TRACES if layer in ends)]


def of_application(name: str) -> str | None:
    """Find which `Preprocess` the `preprocess_input` of a network of keras.applications is, by trying it; None where it is another."""
    make = getattr(keras.applications, name, None)
    function = getattr(importlib.import_module(make.__module__), "preprocess_input", None) if callable(make) else None
    if function is None:
        return None
    shown = np.linspace(0, EIGHT_BIT_MAXIMUM, RGB_CHANNELS * 4, dtype=np.float32).reshape(1, 2, 2, RGB_CHANNELS)
    processed = np.asarray(function(shown.copy()))
    for known in (Preprocess.NONE, Preprocess.TF, Preprocess.TORCH, Preprocess.CAFFE):
        if np.allclose(processed, np.asarray(preprocessor(known)(shown)), rtol=SAME, atol=SAME):
            return known
    return None


def preprocessor(name: str) -> Callable[[Any], Any]:
    """Return a preprocessing as a function of float32 pictures (n, height, width, channels) in 0..255.

    Args:
        name: a `Preprocess`, or package.module:callable.

    Raises:
        UsageError: the user's own function cannot be imported.
    """
    if name == Preprocess.NONE:
        return lambda pictures: pictures
    if name == Preprocess.UNIT:
        return lambda pictures: pictures / EIGHT_BIT_MAXIMUM
    if name == Preprocess.TF:
        return lambda pictures: pictures / (EIGHT_BIT_MAXIMUM / 2) - 1.0
    if name == Preprocess.TORCH:
        return lambda pictures: (
            (pictures / EIGHT_BIT_MAXIMUM - tf.constant(TORCH_MEAN_RGB)) / tf.constant(TORCH_STD_RGB)
        )
    if name == Preprocess.CAFFE:
        return lambda pictures: tf.reverse(pictures, [-1]) - tf.constant(CAFFE_MEAN_BGR)  # a slice [::-1] is slow
    own = import_callable(name, "--preprocess")
    return lambda pictures: tf.ensure_shape(own(pictures), pictures.shape)
