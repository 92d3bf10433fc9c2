"""What a model expects to be fed is read off the model where it says so, and guessed aloud where it does not."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from reportgen.compute.feature_maps import MapReader
from reportgen.core.settings import Settings
from reportgen.network.backend import keras, tf
from reportgen.network.loading.load import Loaded
from reportgen.network.network import Network
from reportgen.network.preprocessing import of_application
from small_models import functional, layers, pictures, randomised

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
Model = Callable[[], Any]


def conv(name: str = "conv") -> Any:
    return layers.Conv2D(2, 3, name=name)


def contract(model: Any, source: str = "m.keras", **settings: Any) -> Any:
    return Network(Loaded(model, "m", source, None), Settings(**settings)).contract


def arithmetic(scale: Callable[[Any], Any]) -> Any:
    entry = keras.Input((16, 16, 3))
    return keras.Model(entry, conv()(scale(entry)))


def normalised_by_batches(mean: float, deviation: float) -> Any:
    layer = layers.BatchNormalization()
    model = functional(layer, conv())
    layer.moving_mean.assign(np.full(3, mean, np.float32))
    layer.moving_variance.assign(np.full(3, deviation**2, np.float32))
    return model


def augmented() -> Any:
    return functional(
        layers.RandomFlip(), layers.Resizing(8, 8), layers.RandomRotation(0.1), layers.Rescaling(1 / 255), conv()
    )


TAKES_255: dict[str, tuple[Model, str]] = {
    "a Rescaling layer": (lambda: functional(layers.Rescaling(1 / 255), conv()), "becomes 0..1"),
    "Rescaling around 0": (lambda: functional(layers.Rescaling(1 / 127.5, offset=-1), conv()), "becomes -1..1"),
    "Rescaling behind augmentation": (augmented, "Rescaling layer"),
    "Rescaling and then Normalization": (
        lambda: functional(layers.Rescaling(1 / 255), layers.Normalization(mean=MEAN, variance=STD**2), conv()), "Rescaling"),
    "Normalization of 0..255": (
        lambda: functional(layers.Normalization(mean=MEAN * 255, variance=(STD * 255) ** 2), conv()), "becomes -1.99..2.44"),
    "a division": (lambda: arithmetic(lambda x: x / 255.0), "scales its input .*becomes 0..1"),
    "other arithmetic": (lambda: arithmetic(lambda x: x / 127.5 - 1.0), "becomes -1..1"),
    "a mean taken off": (lambda: arithmetic(lambda x: x[..., ::-1] - np.float32((103.939, 116.779, 123.68))), "becomes -115..140"),
    "batches of 0..255": (lambda: normalised_by_batches(120, 60), "scales its input"),
}  # fmt: skip
TAKES_1: dict[str, Model] = {
    "Normalization of 0..1": lambda: functional(layers.Normalization(mean=MEAN, variance=STD**2), conv()),
    "Rescaling of 0..1": lambda: functional(layers.Rescaling(2, offset=-1), conv()),
    "arithmetic": lambda: arithmetic(lambda x: x * 2 - 1),
    "batches of 0..1": lambda: normalised_by_batches(0.45, 0.25),
}
SILENT: dict[str, Model] = {
    "nothing": lambda: functional(conv()),
    "padding": lambda: functional(layers.ZeroPadding2D(), conv()),
    "normalisation that was never trained": lambda: functional(layers.BatchNormalization(), conv()),
    "a dense layer, whose small weights make its outputs small": lambda: functional(
        layers.Dense(2, kernel_initializer=keras.initializers.Constant(1e-3)), conv()
    ),
    "arithmetic that changes nothing": lambda: arithmetic(lambda x: x * 1.0 + 1e-7),
}


@pytest.mark.parametrize("name", TAKES_255)
def test_a_model_that_takes_0_to_255_is_fed_that(name: str) -> None:
    make, words = TAKES_255[name]
    found = contract(make())
    assert (found.preprocess, found.warning) == ("none", None)
    assert re.search(words, found.reason)


@pytest.mark.parametrize("name", TAKES_1)
def test_a_model_whose_own_scaling_is_made_for_0_to_1_is_fed_that(name: str) -> None:
    found = contract(TAKES_1[name]())
    assert (found.preprocess, found.warning) == ("unit", None)
    assert "made for 0..1" in found.reason


@pytest.mark.parametrize("name", SILENT)
def test_what_says_nothing_is_guessed_with_a_warning(name: str) -> None:
    found = contract(SILENT[name]())
    assert found.preprocess == "unit"
    assert "guessed" in str(found.warning)


def fed_by_batches(shape: tuple[int, ...], mean: float = 0.1) -> Any:
    """A normalisation of numbers near `mean`, then a convolution of as many axes as `shape` has."""
    kind = {2: layers.Conv1D, 3: layers.Conv2D, 4: layers.Conv3D}[len(shape)]
    normal = layers.BatchNormalization(scale=False, center=False)
    model = randomised(functional(normal, kind(8, 3, name="conv"), shape=shape))
    normal.moving_mean.assign(np.full(shape[-1], mean, np.float32))
    normal.moving_variance.assign(np.full(shape[-1], 0.2, np.float32))
    return model


ARRAYS: dict[str, Model] = {
    "a signal's batches": lambda: fed_by_batches((128, 2)),
    "a volume's batches": lambda: fed_by_batches((8, 8, 8, 1)),
    "a signal's Rescaling": lambda: functional(
        layers.Rescaling(2, offset=-1), layers.Conv1D(2, 3), shape=(128, 2)),
    "a signal's Normalization": lambda: functional(
        layers.Normalization(mean=[0.4, 0.5], variance=[0.1, 0.1]), layers.Conv1D(2, 3), shape=(128, 2)),
    "a known name": lambda: keras.Sequential([keras.Input((128, 3)), layers.Conv1D(2, 3)], name="vgg16"),
}  # fmt: skip


@pytest.mark.parametrize("name", ARRAYS)
def test_signals_and_volumes_are_never_rescaled_by_a_guess(name: str) -> None:
    found = contract(ARRAYS[name]())
    assert (found.preprocess, found.warning) == ("none", None)


def test_the_maps_of_a_signal_behind_a_normalisation_are_those_of_keras() -> None:
    model = fed_by_batches((128, 2))
    signal = np.random.default_rng(1).normal(0.1, 0.5, (128, 2)).astype(np.float32)
    walked = Network(Loaded(model, "m", "m.keras", None), Settings())
    (layer_call,) = [item for item in walked.layer_calls if item.path == "conv"]
    ((arrays, facts),) = MapReader(walked, [layer_call])(signal)
    expected = np.asarray(model(signal[None]))[0]
    np.testing.assert_allclose(arrays["maps"], expected, rtol=1e-3, atol=1e-3)  # of float16
    assert facts["maximum"] == pytest.approx(expected.max(), rel=1e-6)


def test_numbers_of_a_stated_range_reach_a_network_of_pictures_unscaled() -> None:
    found = contract(fed_by_batches((16, 16, 2)), input_range=(0.0, 1.0))
    assert (found.preprocess, found.low, found.high, found.floats, found.warning) == ("none", 0, 1, (0, 1), None)


def test_a_stated_range_is_believed_before_anything_else() -> None:
    found = contract(arithmetic(lambda x: x * 2 - 1), input_range=(0.0, 255.0))
    assert (found.preprocess, found.low, found.high, found.warning) == ("none", 0, 255, None)
    assert "--input-range" in found.reason


APPLICATIONS = {
    "VGG16": "caffe", "ResNet50": "caffe", "ResNet50V2": "tf", "MobileNetV2": "tf", "InceptionV3": "tf", "Xception": "tf",
    "DenseNet121": "torch", "NASNetMobile": "tf", "EfficientNetB0": "none", "ConvNeXtTiny": "none", "MobileNetV3Small": "none",
}  # fmt: skip


@pytest.mark.parametrize("name", APPLICATIONS)
def test_a_network_of_keras_applications_has_its_own_preprocessing(name: str) -> None:
    assert of_application(name) == APPLICATIONS[name]


def test_a_network_named_by_keras_gets_its_own_preprocessing_without_a_warning() -> None:
    found = contract(functional(conv()), source="keras:DenseNet121")
    assert (found.preprocess, found.warning) == ("torch", None)
    assert "keras:DenseNet121" in found.reason


def backbone(name: str, first: str = "conv") -> Any:
    entry = keras.Input((16, 16, 3))
    return keras.Model(entry, conv(first)(entry), name=name)


@pytest.mark.parametrize(
    ("name", "likely"),
    [("vgg16", "caffe"), ("resnet50", "caffe"), ("resnet50v2", "tf"), ("mobilenetv2_1.00_224", "tf"), ("densenet121", "torch"),
     ("inception_resnet_v2", "tf"), ("my_vgg16", "caffe")],
)  # fmt: skip
def test_a_known_network_inside_is_named_in_the_warning_with_what_is_likely(name: str, likely: str) -> None:
    found = contract(functional(backbone(name), conv("other")))
    assert found.preprocess == likely
    assert f"`{name}`" in str(found.warning)
    assert f"`{likely}`" in str(found.warning)


def test_a_network_that_lost_its_name_is_known_by_its_layers() -> None:
    found = contract(backbone("feature_extractor", first="block5_conv3"))
    assert found.preprocess == "caffe"
    assert "`VGG`" in str(found.warning)


def test_a_known_network_that_scales_its_own_input_needs_no_guess() -> None:
    found = contract(functional(layers.Rescaling(1 / 255), backbone("vgg16")))
    assert (found.preprocess, found.warning) == ("none", None)


def test_colour_preprocessing_is_not_guessed_for_other_bands() -> None:
    entry = keras.Input((16, 16, 1))
    assert contract(keras.Model(entry, conv()(entry), name="vgg16")).preprocess == "unit"


def test_kernels_that_meet_blue_first_are_shown_so_when_the_order_was_found() -> None:
    walked = Network(Loaded(backbone("vgg16"), "m", "m.keras", None), Settings())
    assert [item.kernel_bands for item in walked.layer_calls] == ["BGR"]
    shown = pictures(1).astype(np.float32)
    np.testing.assert_allclose(
        np.asarray(walked.feed(tf.constant(shown)))[..., 0], shown[..., 2] - 103.939, rtol=1e-5, atol=1e-4
    )
