"""Units, where a filter's channel has passed its own activation, their values around it, and rectifiers found by evaluation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from reportgen.network.backend import keras, tf
from small_models import SHAPE, built, conv, functional, layer_call, layers, network, one_picture, randomised, unit_maps

RELU6 = layers.ReLU(max_value=6)
UNITS: dict[str, tuple[Callable[[], list[Any]], str, str, bool]] = {
    "inside": (lambda: [conv(name="c", activation="relu")], "c", "relu", True),
    "none": (lambda: [conv(name="c")], "c", "linear", False),
    "activation layer": (lambda: [conv(name="c"), layers.Activation("tanh", name="a")], "a", "tanh", False),
    "relu layer": (lambda: [conv(name="c"), layers.ReLU(name="a")], "a", "relu", True),
    "normalised": (
        lambda: [conv(name="c"), layers.BatchNormalization(name="n"), layers.ReLU(name="a")],
        "a",
        "relu",
        True,
    ),
    "normalised, no activation": (lambda: [conv(name="c"), layers.BatchNormalization(name="n")], "n", "linear", False),
    "normalised, then pooled": (
        lambda: [conv(name="c"), layers.BatchNormalization(name="n"), layers.MaxPooling2D(), layers.ReLU()],
        "n",
        "linear",
        False,
    ),
    "activation inside, then normalised": (
        lambda: [conv(name="c", activation="relu"), layers.BatchNormalization(), layers.ReLU()],
        "c",
        "relu",
        True,
    ),
    "dropout between": (lambda: [conv(name="c"), layers.Dropout(0.5), layers.ReLU(name="a")], "a", "relu", True),
    "pooled between": (lambda: [conv(name="c"), layers.MaxPooling2D(), layers.ReLU()], "c", "linear", False),
    "leaky layer": (lambda: [conv(name="c"), layers.LeakyReLU(name="a")], "a", "leaky_relu", False),
    "elu layer": (lambda: [conv(name="c"), layers.ELU(name="a")], "a", "elu", False),
    "prelu layer": (lambda: [conv(name="c"), layers.PReLU(name="a", shared_axes=[1, 2])], "a", "prelu", False),
    "threshold": (lambda: [conv(name="c"), layers.ReLU(threshold=1.0, name="a")], "a", "relu (threshold 1)", True),
    "six": (lambda: [conv(name="c"), layers.ReLU(6.0, name="a")], "a", "relu6", True),
    "four": (lambda: [conv(name="c"), layers.ReLU(max_value=4, name="a")], "a", "relu (max 4)", True),
    "sloping": (
        lambda: [conv(name="c"), layers.ReLU(negative_slope=0.1, name="a")],
        "a",
        "leaky_relu (slope 0.1)",
        False,
    ),
    "everything": (
        lambda: [conv(name="c"), layers.ReLU(4, 0.1, 0.05, name="a")],
        "a",
        "leaky_relu (slope 0.1, max 4, threshold 0.05)",
        False,
    ),
    "sloping six": (
        lambda: [conv(name="c"), layers.ReLU(6, 0.1, name="a")],
        "a",
        "leaky_relu (slope 0.1, max 6)",
        False,
    ),
    "leaky layer of another slope": (
        lambda: [conv(name="c"), layers.LeakyReLU(negative_slope=0.05, name="a")],
        "a",
        "leaky_relu (slope 0.05)",
        False,
    ),
    "elu layer of another alpha": (lambda: [conv(name="c"), layers.ELU(0.5, name="a")], "a", "elu (alpha 0.5)", False),
    "layer as activation": (lambda: [conv(name="c", activation=layers.LeakyReLU(name="lk"))], "c", "leaky_relu", False),
    "six as activation": (lambda: [conv(name="c", activation=layers.ReLU(6.0))], "c", "relu6", True),
    "group normalised": (
        lambda: [conv(name="c"), layers.GroupNormalization(2, name="n"), layers.ReLU(name="a")],
        "a",
        "relu",
        True,
    ),
    "layer normalised": (
        lambda: [conv(name="c"), layers.LayerNormalization(name="n"), layers.Activation("gelu", name="a")],
        "a",
        "gelu",
        False,
    ),
    "normalised to unit length": (lambda: [conv(name="c"), layers.UnitNormalization(name="n")], "n", "linear", False),
    "normalised twice": (
        lambda: [conv(name="c"), layers.BatchNormalization(), layers.LayerNormalization(), layers.ReLU(name="a")],
        "a",
        "relu",
        True,
    ),
}


@pytest.mark.parametrize("name", UNITS)
def test_the_unit_is_where_the_filters_own_activation_was_passed(name: str) -> None:
    make, path, activation, _ = UNITS[name]
    found = layer_call(network(functional(*make(), layers.GlobalAveragePooling2D())), "c")
    assert found.unit is not None
    assert (found.unit_path, found.unit.name) == (path, activation)


@pytest.mark.parametrize("name", UNITS)
def test_pre_activation_and_activation_are_those_of_keras(name: str) -> None:
    make, path, activation, _ = UNITS[name]
    model = randomised(functional(*make(), layers.GlobalAveragePooling2D()))
    ((before, after),) = unit_maps(network(model))
    end = model.get_layer(path)
    np.testing.assert_allclose(
        after, np.asarray(keras.Model(model.inputs[0], end.output)(one_picture())), rtol=1e-5, atol=1e-6
    )
    if activation == "linear":
        np.testing.assert_array_equal(before, after)
    elif path == "c":
        np.testing.assert_allclose(np.asarray(end.activation(before)), after, rtol=1e-5, atol=1e-6)
        assert not np.array_equal(before, after)
    else:
        np.testing.assert_allclose(
            before, np.asarray(keras.Model(model.inputs[0], end.input)(one_picture())), rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize(
    ("activation", "rectified"),
    [
        ("relu", True),
        ("relu6", True),
        (layers.ReLU(max_value=6), True),
        ("linear", False),
        (None, False),
        ("leaky_relu", False),
        ("gelu", False),
        ("elu", False),
        ("selu", False),
        ("swish", False),
        ("hard_swish", False),
        ("sigmoid", False),
        ("hard_sigmoid", False),
        ("softplus", False),
        ("tanh", False),
        ("exponential", False),
        (layers.ReLU(negative_slope=0.1), False),
    ],
    ids=str,
)
def test_a_rectifier_is_found_by_evaluating_the_activation(activation: Any, rectified: bool) -> None:
    inside = layer_call(network(functional(conv(name="c", activation=activation))), "c")
    assert inside.unit is not None
    assert inside.unit.rectified is rectified
    if isinstance(activation, str):
        behind = layer_call(network(functional(conv(name="c"), layers.Activation(activation))), "c")
        assert behind.unit is not None
        assert behind.unit.rectified is rectified


def test_a_chain_ends_where_a_sum_begins() -> None:
    entry = keras.Input(SHAPE)
    normalised = layers.BatchNormalization(name="n")(conv(3, name="c")(entry))
    found = layer_call(network(keras.Model(entry, layers.ReLU()(layers.Add()([entry, normalised])))), "c")
    assert found.unit is not None
    assert (found.unit_path, found.unit.name, found.unit.rectified) == ("n", "linear", False)


@pytest.mark.parametrize("shared", ["c", "n"])
def test_a_tensor_that_two_layers_consume_ends_the_chain(shared: str) -> None:
    entry = keras.Input(SHAPE)
    convolved = conv(3, name="c")(entry)
    normalised = layers.BatchNormalization(name="n")(convolved)
    activated = layers.ReLU()(normalised)
    model = keras.Model(entry, layers.Add()([activated, convolved if shared == "c" else normalised]))
    found = layer_call(network(model), "c")
    assert found.unit is not None
    assert (found.unit_path, found.unit.name) == (shared, "linear")


def test_the_models_own_output_may_be_the_chains_end() -> None:
    found = layer_call(
        network(functional(conv(name="c"), layers.BatchNormalization(name="n"), layers.ReLU(name="a"))), "c"
    )
    assert found.unit_path == "a"


@pytest.mark.parametrize(
    ("function", "name", "rectified"),
    [(tf.nn.relu, "relu", True), (tf.nn.relu6, "relu6", True), (tf.nn.elu, "elu", False), (tf.tanh, "tanh", False)],
)
def test_a_function_outside_any_layer_is_the_units_activation(function: Any, name: str, rectified: bool) -> None:
    class Plain(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = conv(3), layers.BatchNormalization()

        def call(self, inputs: Any) -> Any:
            return function(self.norm(self.conv(inputs)))

    model = randomised(built(Plain()))
    walked = network(model, input_shape=SHAPE)
    (found,) = walked.layer_calls
    assert found.unit is not None
    assert (found.unit_path, found.unit.name, found.unit.rectified) == ("norm", name, rectified)
    ((before, after),) = unit_maps(walked)
    np.testing.assert_allclose(after, np.asarray(model(one_picture())), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(before, np.asarray(model.norm(model.conv(one_picture()))), rtol=1e-5, atol=1e-6)


def test_each_call_of_a_shared_layer_has_its_own_maps() -> None:
    entry = keras.Input(SHAPE)
    shared = conv(3, name="shared", activation="relu")
    first = shared(entry)
    model = randomised(keras.Model(entry, [first, shared(first)]))
    maps = unit_maps(network(model))
    expected = model(one_picture())
    np.testing.assert_allclose(maps[0][1], np.asarray(expected[0]), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(maps[1][1], np.asarray(expected[1]), rtol=1e-5, atol=1e-6)


COMPOSED: dict[str, Callable[[Any], Any]] = {
    "gelu": lambda tensor: tf.nn.gelu(tensor),
    "gelu_tanh": lambda tensor: tf.nn.gelu(tensor, approximate=True),
    "silu": lambda tensor: keras.ops.silu(tensor),
    "mish": lambda tensor: tensor * tf.tanh(tf.math.softplus(tensor)),
    "hard_silu": lambda tensor: keras.ops.hard_silu(tensor),
    "leaky_relu": lambda tensor: tf.nn.leaky_relu(tensor, 0.3),
    "softsign": lambda tensor: tf.nn.softsign(tensor),
}


class Functions(keras.Model):
    """One convolution for each function, which is called on its output outside any layer."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = {name: conv(2) for name in COMPOSED}
        self.scaled = conv(2)

    def call(self, inputs: Any) -> Any:
        outputs = [function(self.convs[name](inputs)) for name, function in COMPOSED.items()]
        return tf.concat([*outputs, 3 * self.scaled(inputs)], -1)


def test_functions_made_of_several_operations_are_recognized_by_their_values() -> None:
    model = randomised(built(Functions()), low=-2, high=2)
    walked = network(model, input_shape=SHAPE)
    found = {item.path.removeprefix("convs/"): item for item in walked.layer_calls if item.unit is not None}
    assert {path: item.unit.name for path, item in found.items() if item.unit is not None} == {
        **{name: name for name in COMPOSED},
        "leaky_relu": "leaky_relu (slope 0.3)",
        "scaled": "linear",
    }
    expected = np.asarray(model(one_picture()))
    for number, (before, after) in enumerate(unit_maps(walked)[:-1]):
        np.testing.assert_allclose(after, expected[..., 2 * number : 2 * number + 2], rtol=1e-4, atol=1e-5)
        assert not np.array_equal(before, after)


@pytest.mark.parametrize(
    "normalisation",
    [
        lambda: layers.GroupNormalization(2),
        lambda: layers.LayerNormalization(axis=[1, 2]),
        lambda: layers.UnitNormalization(),
    ],
    ids=["group", "layer", "unit"],
)
def test_a_channel_behind_a_normalisation_over_channels_or_places_is_computed_with_all_of_them(
    normalisation: Any,
) -> None:
    walked = network(randomised(functional(conv(4, name="c"), normalisation(), layers.ReLU())))
    found = layer_call(walked, "c")
    ((before, after),) = unit_maps(walked)
    pictures, filters = tf.repeat(one_picture(), 2, axis=0), tf.constant([3, 1])
    for activated, maps in ((False, before), (True, after)):
        own = tf.function(
            lambda fed, chosen, own=activated: walked.own_channels(fed, found, chosen, own), autograph=False
        )
        np.testing.assert_allclose(
            np.asarray(own(pictures, filters)), maps[0].transpose(2, 0, 1)[[3, 1]], rtol=1e-4, atol=1e-5
        )
