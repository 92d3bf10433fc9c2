"""Layers whose names TensorFlow takes for no scope: traced under safe names, shown under their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from plain_convolution import convolve
from reportgen.network.backend import keras, tf
from reportgen.network.graph.hooks import safe_scopes
from small_models import built, conv, functional, layers, network, one_picture, randomised, unit_maps

ODD = [
    "my conv",
    "conv:0",
    "^x",
    "Faltung für Ränder",
    "日本",
    " ",
    "a,b;c",
    "con\tv",
    "<lambda>",
    "conv@2",
    "a[0]",
    "?",
]


def named(name: str) -> Any:
    return randomised(
        functional(conv(name=name), layers.BatchNormalization(name=f"{name} 2"), layers.ReLU(name=f"_{name}"))
    )


@pytest.mark.parametrize("name", ODD)
def test_a_layer_with_any_name_is_walked_under_it(name: str) -> None:
    model = named(name)
    walked = network(model)
    (layer_call,) = walked.layer_calls
    assert (layer_call.path, layer_call.unit_path, layer_call.reason, layer_call.receptive_field) == (
        name,
        f"_{name}",
        None,
        (3, 3),
    )
    assert layer_call.unit is not None
    assert layer_call.unit.name == "relu"
    ((before, after),) = unit_maps(walked)
    gamma, beta, mean, variance = (np.asarray(weight) for weight in model.layers[2].weights)
    kernel, bias = (np.asarray(weight) for weight in model.layers[1].weights)
    maps = convolve(np.asarray(one_picture()), kernel, bias, how="same")
    expected = (maps - mean) / np.sqrt(variance + model.layers[2].epsilon) * gamma + beta
    np.testing.assert_allclose(before, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(after, np.maximum(before, 0))
    assert model.layers[1].name == name


@pytest.mark.parametrize("name", ["_odd", "-odd", "an odd model", "\\odd", ">odd", "odd>"])
def test_a_model_with_any_name_is_walked_and_asked(name: str) -> None:
    stack = [
        conv(name="conv"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(2, activation="softmax", name="the classes"),
    ]
    model = randomised(functional(*stack))
    model.name = name
    walked = network(model)
    assert [(layer_call.path, layer_call.reason) for layer_call in walked.layer_calls] == [("conv", None)]
    picture = np.full((1, 16, 16, 3), 7, np.uint8)
    np.testing.assert_allclose(walked.predict(picture), np.asarray(model(picture.astype(np.float32))), rtol=1e-5)


def test_scopes_of_the_users_own_code_are_made_safe_too() -> None:
    class Own(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(name="an odd model")
            self.conv = conv(name="a convolution")

        def call(self, inputs: Any) -> Any:
            with tf.name_scope("my scope"), tf.name_scope(""), keras.name_scope("-another"):
                return self.conv(inputs)

    walked = network(built(Own()), input_shape=(16, 16, 3))
    assert [(layer_call.path, layer_call.reason) for layer_call in walked.layer_calls] == [("conv", None)]


def test_graphs_are_left_as_they_were() -> None:
    graph = tf.Graph()
    original = graph.name_scope
    with graph.as_default(), safe_scopes():
        with tf.name_scope("plain"):
            assert tf.identity(1.0).name.startswith("plain/")
        assert graph.name_scope != original
    assert graph.name_scope == original
