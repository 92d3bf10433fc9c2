"""What a model expects to be fed is found, stated with its reason, and exactly what training code of the field does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reportgen.core.errors import ModelError, UsageError
from reportgen.core.settings import Settings
from reportgen.network import contract as contracts
from reportgen.network.backend import keras, tf
from reportgen.network.contract import as_shown, make_contract, make_feed
from reportgen.network.network import UNSCALED
from reportgen.network.signature import signature
from small_models import functional, layers, network, pictures


def contract(model: Any, **settings: Any) -> Any:
    return network(model, **{"preprocess": "auto", **settings}).contract


def input_shape(model: Any, stated: Any) -> Any:
    return contracts.input_shape(signature(model).primary(None), stated)


def conv() -> Any:
    return layers.Conv2D(2, 3)


SCALING: dict[str, Callable[[], Any]] = {
    "Rescaling": lambda: layers.Rescaling(1 / 127.5, offset=-1),
    "Normalization": lambda: layers.Normalization(mean=[1.0, 2, 3], variance=[1.0, 1, 1]),
}


@pytest.mark.parametrize("name", SCALING)
def test_a_model_that_scales_its_own_input_is_fed_as_it_is(name: str) -> None:
    found = contract(functional(SCALING[name](), conv()))
    assert (found.preprocess, found.warning) == ("none", None)
    assert name in found.reason


@pytest.mark.parametrize("name", SCALING)
def test_scaling_inside_nested_models_is_found_and_so_is_scaling_between_other_layers(name: str) -> None:
    inner = keras.Sequential([keras.Input((16, 16, 3)), layers.ZeroPadding2D(1), SCALING[name]()], name="inner")
    assert contract(functional(keras.Sequential([keras.Input((16, 16, 3)), inner]), conv())).preprocess == "none"


def test_scaling_inside_a_subclassed_model_is_found() -> None:
    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.scale = conv(), SCALING["Rescaling"]()

        def call(self, inputs: Any) -> Any:
            return self.conv(self.scale(inputs))

    assert contract(Own(), input_shape=(16, 16, 3)).preprocess == "none"


def test_a_model_that_says_nothing_gets_the_default_and_a_warning() -> None:
    found = contract(functional(conv()))
    assert found.preprocess == "unit"
    assert found.reason
    assert "--preprocess" in str(found.warning)


def test_scaling_behind_the_first_convolution_is_not_the_inputs() -> None:
    assert contract(functional(conv(), SCALING["Rescaling"](), conv())).preprocess == "unit"


def test_a_stated_input_range_is_what_the_model_is_fed() -> None:
    found = contract(functional(conv()), input_range=(-1.0, 1.0))
    assert (found.preprocess, found.warning) == ("none", None)
    assert "--input-range" in found.reason
    assert contract(functional(conv()), input_range=(-1.0, 1.0), preprocess="unit").preprocess == "unit"


def test_a_choice_wins_over_what_is_found() -> None:
    found = contract(functional(SCALING["Rescaling"](), conv()), preprocess="tf")
    assert (found.preprocess, found.reason, found.warning) == ("tf", "set with --preprocess", None)


@pytest.mark.parametrize("mode", ["tf", "torch", "caffe"])
def test_named_preprocessing_is_that_of_keras_applications(mode: str) -> None:
    shown = pictures(3).astype(np.float32)
    fed = network(functional(conv()), preprocess=mode).feed(tf.constant(shown))
    expected = keras.applications.imagenet_utils.preprocess_input(shown.copy(), data_format="channels_last", mode=mode)
    np.testing.assert_allclose(np.asarray(fed), expected, rtol=1e-5, atol=1e-5)


def test_unit_divides_by_255_and_none_does_nothing() -> None:
    shown = tf.constant([[[[0.0, 51.0, 255.0]]]])
    feed = make_feed(contract(functional(conv()), preprocess="unit"))
    np.testing.assert_allclose(np.asarray(feed(shown)).ravel(), [0, 0.2, 1], rtol=1e-6)
    np.testing.assert_array_equal(make_feed(contract(functional(conv()), preprocess="none"))(shown), shown)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (-0.5, 3.0), (0.0, 65535.0)])
def test_the_input_range_is_what_black_and_white_become_before_preprocessing(low: float, high: float) -> None:
    shown = tf.constant([[[[0.0], [127.5], [255.0]]]])
    model = functional(layers.Conv2D(2, 1), shape=(1, 3, 1))
    fed = make_feed(contract(model, preprocess="none", input_range=(low, high)))(shown)
    np.testing.assert_allclose(np.asarray(fed).ravel(), [low, (low + high) / 2, high], rtol=1e-6, atol=1e-6)
    divided = make_feed(contract(model, preprocess="unit", input_range=(low, high)))(shown)
    np.testing.assert_allclose(np.asarray(divided), np.asarray(fed) / 255, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("mode", ["torch", "caffe"])
def test_colour_preprocessing_of_other_bands_is_refused(mode: str) -> None:
    with pytest.raises(UsageError, match=rf"--preprocess {mode} is made for 3 channels.* 1"):
        network(functional(conv(), shape=(16, 16, 1)), preprocess=mode)


def test_preprocessing_of_ones_own_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_scaling_of_a_test.py").write_text("def scale(x):\n    return x * 2 - 3\nnumber = 4\n")
    monkeypatch.syspath_prepend(tmp_path)
    feed = network(functional(conv()), preprocess="own_scaling_of_a_test:scale").feed
    np.testing.assert_array_equal(np.asarray(feed(tf.ones((1, 1, 1, 3)))), -np.ones((1, 1, 1, 3)))
    for name, word in [("own_scaling_of_a_test:nothing", "has no"), ("own_scaling_of_a_test:number", "callable")]:
        with pytest.raises(UsageError, match=f"--preprocess {name}.*{word}"):
            network(functional(conv()), preprocess=name)
    with pytest.raises(UsageError, match="cannot be imported"):
        network(functional(conv()), preprocess="no_such_module_of_a_test:scale")


# Sizes


class Silent(keras.Model):
    """A subclassed model: it states no input."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = layers.Conv2D(2, 3)

    def call(self, inputs: Any) -> Any:
        return self.conv(inputs)


def called(shape: tuple[int, ...]) -> Any:
    model = Silent()
    model(tf.zeros((1, *shape)))
    return model


@pytest.mark.parametrize(
    ("own", "settings", "shape", "size"),
    [
        ((20, 24, 3), {}, (20, 24, 3), (20, 24)),
        ((20, 24, 3), {"image_size": 64}, (20, 24, 3), (20, 24)),
        ((20, 24, 3), {"input_shape": (20, None, 3)}, (20, 24, 3), (20, 24)),
        ((None, None, 1), {}, (None, None, 1), (224, 224)),
        ((None, None, 1), {"image_size": 64}, (None, None, 1), (64, 64)),
        ((None, None, 3), {"input_shape": (32, 48, 3)}, (32, 48, 3), (32, 48)),
        ((None, None, 3), {"input_shape": (None, 48, 3)}, (None, 48, 3), (48, 48)),
        ((20, None, 3), {}, (20, None, 3), (20, 20)),
        ((None, None, None), {"input_shape": (32, 48, 3)}, (32, 48, 3), (32, 48)),
    ],
)
def test_a_fixed_size_wins_and_a_dynamic_one_is_chosen(
    own: Any, settings: dict[str, Any], shape: tuple[int | None, ...], size: tuple[int, int]
) -> None:
    model = functional(layers.ReLU(), shape=own)
    found = make_contract(input_shape(model, settings.get("input_shape")), Settings(**settings), UNSCALED)
    assert (found.shape, found.size, found.bands) == (shape, size, shape[2])


def test_a_shape_recorded_by_a_first_call_fixes_the_channels_not_the_size() -> None:
    assert input_shape(called((20, 24, 3)), None) == (None, None, 3)
    assert input_shape(called((20, 24, 3)), (32, 48, 3)) == (32, 48, 3)
    with pytest.raises(UsageError, match=r"--input-shape \S* contradicts the model's own input \S*,3"):
        input_shape(called((20, 24, 3)), (32, 48, 1))


def test_an_input_that_is_not_stated_asks_for_the_option() -> None:
    with pytest.raises(ModelError, match="--input-shape H,W,C"):
        input_shape(Silent(), None)
    assert input_shape(Silent(), (32, 48, 3)) == (32, 48, 3)
    with pytest.raises(ModelError, match=r"how many channels.*--input-shape"):
        input_shape(functional(layers.ReLU(), shape=(None, None, None)), None)


def test_an_input_shape_that_contradicts_the_model_is_refused() -> None:
    model = functional(conv(), shape=(20, 24, 3))
    with pytest.raises(UsageError, match="--input-shape 20,25,3 contradicts the model's own input 20,24,3"):
        input_shape(model, (20, 25, 3))
    with pytest.raises(UsageError, match=r"--input-shape \S*,4 contradicts"):
        input_shape(model, (20, 24, 4))


@pytest.mark.parametrize("shape", [(2, 3, 4, 5, 6), (2, 4, 16, 16, 3)])
def test_inputs_that_are_no_images_are_refused_with_their_shape(shape: tuple[int, ...]) -> None:
    entry = keras.Input(shape)
    with pytest.raises(ModelError, match=",".join(map(str, shape))):
        network(keras.Model(entry, layers.ReLU()(entry)))


@pytest.mark.parametrize(
    ("shape", "stated", "size"),
    [
        ((None, 3), (None, 3), (224,)),
        ((40, 1), (40, 1), (40,)),
        ((None, 16, 12, 1), (None, 16, 12, 1), (12, 16, 12)),
        ((8, None, 12, 2), (8, None, 12, 2), (8, 12, 12)),
    ],
)
def test_signals_and_volumes_have_one_length_an_axis(
    shape: tuple[int, ...], stated: tuple[int, ...], size: tuple[int, ...]
) -> None:
    entry = keras.Input(shape)
    model = keras.Model(entry, layers.Dense(2)(entry))
    found = make_contract(input_shape(model, None), Settings(), UNSCALED)
    assert (found.shape, found.size, found.bands, found.rank) == (stated, size, shape[-1], len(size))
    assert (found.preprocess, found.warning, found.is_picture) == ("none", None, False)


def test_signals_are_fed_as_they_are_and_their_patterns_span_the_stated_range() -> None:
    entry = keras.Input((5, 2))
    model = keras.Model(entry, layers.Dense(2)(entry))
    stated = make_contract(input_shape(model, None), Settings(input_range=(-3.0, 5.0)), UNSCALED)
    values = np.array([-4.0, 0.0, 300.0], np.float32)
    np.testing.assert_array_equal(make_feed(stated)(values), values)
    np.testing.assert_allclose(as_shown(stated, np.array([0, 0.5, 1])), [-3, 1, 5])
    pictures_contract = contract(functional(conv()), input_range=(-3.0, 5.0))
    np.testing.assert_allclose(as_shown(pictures_contract, np.array([0, 0.5, 1])), [0, 127.5, 255])


def test_a_stated_shape_of_another_number_of_axes_is_one_sentence() -> None:
    entry = keras.Input((None, 2))
    with pytest.raises(UsageError, match="has 3 axes, the model's input has 2"):
        input_shape(keras.Model(entry, layers.Dense(2)(entry)), (4, 4, 2))
