"""Feature maps against a plain NumPy convolution: every kind of convolution, before and after its activation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from plain_convolution import convolve, normalise
from reportgen.compute.feature_maps import MapReader
from reportgen.network.backend import keras
from small_models import functional, layers, network, pictures, randomised

HALF = 2e-3  # float16 keeps eleven bits


def read(model: Any, picture: np.ndarray, **settings: Any) -> dict[str, tuple[dict[str, np.ndarray], dict[str, Any]]]:
    walked = network(model, **{"preprocess": "unit", **settings})
    return dict(
        zip([item.path for item in walked.layer_calls], MapReader(walked, walked.layer_calls)(picture), strict=True)
    )


def close(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.dtype == np.float16
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.astype(np.float64), expected, rtol=HALF, atol=HALF)


KINDS: dict[str, dict[str, Any]] = {
    "valid": {},
    "same": {"padding": "same"},
    "even kernel, same": {"kernel_size": (4, 2), "padding": "same"},
    "strided, valid": {"strides": 2},
    "strided, same": {"strides": (2, 3), "padding": "same"},
    "dilated, valid": {"dilation_rate": 2},
    "dilated, same": {"dilation_rate": (3, 2), "padding": "same"},
    "grouped": {"groups": 3, "padding": "same"},
}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("activation", ["linear", "relu"])
def test_maps_are_the_convolution_by_its_definition(name: str, activation: str) -> None:
    given = {"kernel_size": 3, **KINDS[name]}
    layer = layers.Conv2D(6, activation=activation, name="conv", **given)
    model = randomised(functional(layer, shape=(12, 15, 3)))
    (picture,) = pictures(1, 12, 15)
    arrays, facts = read(model, picture)["conv"]
    kernel, bias = layer.get_weights()
    pre = convolve(
        picture[None] / 255,
        kernel,
        bias,
        layer.strides,
        layer.dilation_rate,
        given.get("padding", "valid"),
        layer.groups,
    )[0]
    after = np.maximum(pre, 0) if activation == "relu" else pre
    close(arrays["maps"], after)
    assert facts["minimum"] == pytest.approx(after.min(), rel=1e-4, abs=1e-6)
    assert facts["maximum"] == pytest.approx(after.max(), rel=1e-4)
    assert facts["zero_fraction"] == pytest.approx((after == 0).mean(), abs=2 / after.size)
    assert facts["nonfinite_fraction"] == 0
    if activation == "relu":
        close(arrays["pre"], pre)
        assert facts["pre_minimum"] == pytest.approx(pre.min(), rel=1e-4)
        assert facts["pre_maximum"] == pytest.approx(pre.max(), rel=1e-4)
    else:
        assert "pre" not in arrays
        assert facts["pre_minimum"] is facts["pre_maximum"] is None


def test_depthwise_maps_are_one_channel_each() -> None:
    layer = layers.DepthwiseConv2D(3, depth_multiplier=2, name="conv")
    model = randomised(functional(layer, shape=(12, 15, 3)))
    (picture,) = pictures(1, 12, 15)
    kernel, bias = layer.get_weights()
    expected = convolve(picture[None] / 255, kernel.reshape(3, 3, 1, 6), bias, groups=3)[0]
    close(read(model, picture)["conv"][0]["maps"], expected)


def test_separable_maps_are_a_depthwise_then_a_pointwise_convolution() -> None:
    layer = layers.SeparableConv2D(4, 3, depth_multiplier=2, padding="same", activation="relu", name="conv")
    model = randomised(functional(layer, shape=(12, 15, 3)))
    (picture,) = pictures(1, 12, 15)
    depthwise, pointwise, bias = layer.get_weights()
    middle = convolve(picture[None] / 255, depthwise.reshape(3, 3, 1, 6), how="same", groups=3)
    pre = convolve(middle, pointwise, bias)[0]
    arrays, _ = read(model, picture)["conv"]
    close(arrays["pre"], pre)
    close(arrays["maps"], np.maximum(pre, 0))


def test_a_chain_shows_its_values_around_its_activation() -> None:
    conv, norm = layers.Conv2D(5, 3, padding="same", use_bias=False, name="conv"), layers.BatchNormalization()
    second = layers.Conv2D(4, 3, strides=2, activation="relu", name="second")
    model = randomised(functional(conv, norm, layers.ReLU(), second, shape=(12, 15, 3)))
    (picture,) = pictures(1, 12, 15)
    found = read(model, picture)
    pre = normalise(convolve(picture[None] / 255, conv.get_weights()[0], how="same"), norm)
    close(found["conv"][0]["pre"], pre[0])
    close(found["conv"][0]["maps"], np.maximum(pre[0], 0))
    kernel, bias = second.get_weights()
    behind = convolve(np.maximum(pre, 0), kernel, bias, (2, 2))[0]
    close(found["second"][0]["pre"], behind)
    close(found["second"][0]["maps"], np.maximum(behind, 0))


def test_a_chain_without_an_activation_shows_the_normalised_values() -> None:
    conv, norm = layers.Conv2D(5, 3, name="conv"), layers.BatchNormalization()
    model = randomised(functional(conv, norm, layers.MaxPooling2D(), shape=(12, 15, 3)))
    (picture,) = pictures(1, 12, 15)
    arrays, _ = read(model, picture)["conv"]
    kernel, bias = conv.get_weights()
    close(arrays["maps"], normalise(convolve(picture[None] / 255, kernel, bias), norm)[0])
    assert "pre" not in arrays


@pytest.mark.parametrize("preprocess", ["none", "unit", "tf", "caffe"])
def test_the_picture_is_fed_as_the_contract_says(preprocess: str) -> None:
    layer = layers.Conv2D(2, 1, use_bias=False, name="conv")
    model = randomised(functional(layer, shape=(4, 4, 3)))
    (picture,) = pictures(1, 4, 4)
    pixels = picture.astype(np.float64)
    fed: dict[str, Callable[[], np.ndarray]] = {
        "none": lambda: pixels,
        "unit": lambda: pixels / 255,
        "tf": lambda: pixels / 127.5 - 1,
        "caffe": lambda: pixels[..., ::-1] - np.array([103.939, 116.779, 123.68]),
    }
    expected = fed[preprocess]() @ layer.get_weights()[0][0, 0].astype(np.float64)
    np.testing.assert_allclose(
        read(model, picture, preprocess=preprocess)["conv"][0]["maps"], expected, rtol=HALF, atol=HALF
    )


@pytest.mark.parametrize("weight", [1e6, 1e-9, 1.0])
def test_numbers_that_float16_cannot_hold_are_stored_with_an_exponent(weight: float) -> None:
    layer = layers.Conv2D(1, 1, use_bias=False, name="conv")
    model = functional(layer, shape=(1, 3, 1))
    layer.set_weights([np.full((1, 1, 1, 1), weight, np.float32)])
    arrays, facts = read(model, np.array([[[0], [1], [255]]], np.uint8), preprocess="none")["conv"]
    assert arrays["maps"].dtype == np.float16
    true = np.ldexp(arrays["maps"].astype(np.float64), facts["exponent"]).ravel()
    np.testing.assert_allclose(true, [0, weight, 255 * weight], rtol=1e-3)
    assert (facts["exponent"] == 0) == (weight == 1)
    np.testing.assert_allclose([facts["minimum"], facts["maximum"]], [0, 255 * weight], rtol=1e-6)
    assert facts["zero_fraction"] == pytest.approx(1 / 3)


def test_a_channel_that_is_not_finite_is_counted_and_left_out_of_the_range() -> None:
    layer = layers.Conv2D(4, 1, name="conv", activation="relu")
    model = randomised(functional(layer, shape=(4, 4, 3)), low=0.1)
    kernel, bias = layer.get_weights()
    kernel[..., 1], kernel[..., 2] = np.nan, np.inf
    layer.set_weights([kernel, bias])
    arrays, facts = read(model, pictures(1, 4, 4)[0])["conv"]
    assert facts["nonfinite_fraction"] == 0.5
    assert np.isfinite([facts["minimum"], facts["maximum"], facts["pre_minimum"], facts["pre_maximum"]]).all()
    assert np.isnan(arrays["maps"][..., 1]).all()
    layer.set_weights([kernel * np.nan, bias])
    _, facts = read(model, pictures(1, 4, 4)[0])["conv"]
    assert (facts["minimum"], facts["maximum"], facts["nonfinite_fraction"]) == (None, None, 1)


def test_one_pass_over_all_layers_gives_what_each_gives_alone_and_traces_once() -> None:
    stack = [layers.Conv2D(3, 3, activation="relu", name=f"conv{number}") for number in range(3)]
    walked = network(randomised(functional(*stack)))
    reader = MapReader(walked, walked.layer_calls)
    shown = pictures(3)
    together = [reader(picture) for picture in shown]
    assert reader.traces == 1
    for number, item in enumerate(walked.layer_calls):
        alone = MapReader(walked, [item])
        for picture, results in zip(shown, together, strict=True):
            np.testing.assert_array_equal(alone(picture)[0][0]["maps"], results[number][0]["maps"])


def test_a_transposed_convolution_agrees_with_keras() -> None:
    layer = layers.Conv2DTranspose(3, 3, strides=2, padding="same", activation="relu", name="up")
    model = randomised(functional(layer))
    (picture,) = pictures(1)
    expected = np.asarray(keras.ops.convert_to_tensor(model(picture[None] / np.float32(255))))[0]
    close(read(model, picture)["up"][0]["maps"], expected)
