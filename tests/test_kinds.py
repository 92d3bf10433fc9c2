"""Every kind of convolution, of one, two and three axes: found, described, and its maps and weights against plain NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from plain_convolution import convolve, depthwise, normalise, transposed
from reportgen.compute.activation_scores import Meter
from reportgen.compute.feature_maps import MapReader
from reportgen.compute.planning.layer_records import describe
from reportgen.core.settings import Settings
from reportgen.network.backend import keras, tf
from reportgen.network.graph.layer_kinds import kernels
from small_models import functional, layer_call, layers, network, randomised

LINE, PLANE, SOLID = (23, 2), (11, 9, 2), (7, 6, 8, 2)


class Renamed(layers.DepthwiseConv2D):
    """A depthwise convolution whose name says nothing."""


class AlsoRenamed(layers.Conv1DTranspose):
    """A transposed convolution whose name says nothing."""


Oracle = Callable[[np.ndarray, dict[str, np.ndarray]], np.ndarray]


def plain(**named: Any) -> Oracle:
    return lambda given, stored: convolve(given, stored["kernel"], stored["bias"], **named)


def separable(**named: Any) -> Oracle:
    def apply(given: np.ndarray, stored: dict[str, np.ndarray]) -> np.ndarray:
        middle = depthwise(given, stored["depthwise_kernel"], **named)
        return convolve(middle, stored["pointwise_kernel"], stored["bias"])

    return apply


def causal(given: np.ndarray, stored: dict[str, np.ndarray]) -> np.ndarray:
    return convolve(np.pad(given, ((0, 0), (4, 0), (0, 0))), stored["kernel"], stored["bias"], dilation=[2])


KINDS: dict[str, tuple[tuple[int, ...], Callable[[], Any], Oracle, str, tuple[int, ...]]] = {
    "Conv1D": (LINE, lambda: layers.Conv1D(3, 5, padding="same"), plain(how="same"), "plain", (5,)),
    "Conv1D strided": (LINE, lambda: layers.Conv1D(3, 4, strides=3), plain(strides=[3]), "plain", (4,)),
    "Conv1D causal": (LINE, lambda: layers.Conv1D(3, 3, dilation_rate=2, padding="causal"), causal, "plain", (5,)),
    "Conv1D grouped": (LINE, lambda: layers.Conv1D(4, 3, groups=2), plain(groups=2), "plain", (3,)),
    "Conv2D 1 x 1": (PLANE, lambda: layers.Conv2D(3, 1), plain(), "plain", (1, 1)),
    "Conv3D": (
        SOLID,
        lambda: layers.Conv3D(3, (2, 3, 1), strides=(1, 2, 1), padding="same"),
        plain(strides=[1, 2, 1], how="same"),
        "plain",
        (2, 3, 1),
    ),
    "Conv3D dilated": (SOLID, lambda: layers.Conv3D(2, 2, dilation_rate=3), plain(dilation=[3] * 3), "plain", (4,) * 3),
    "DepthwiseConv1D": (
        LINE,
        lambda: layers.DepthwiseConv1D(3, depth_multiplier=2),
        lambda given, stored: depthwise(given, stored["kernel"], stored["bias"]),
        "depthwise",
        (3,),
    ),
    "DepthwiseConv1D strided and dilated": (
        LINE,
        lambda: layers.DepthwiseConv1D(3, strides=2, dilation_rate=3, padding="same"),
        lambda given, stored: depthwise(given, stored["kernel"], stored["bias"], strides=[2], dilation=[3], how="same"),
        "depthwise",
        (7,),
    ),
    "a subclass of DepthwiseConv2D": (
        PLANE,
        lambda: Renamed(3, depth_multiplier=2, padding="same"),
        lambda given, stored: depthwise(given, stored["kernel"], stored["bias"], how="same"),
        "depthwise",
        (3, 3),
    ),
    "SeparableConv1D": (LINE, lambda: layers.SeparableConv1D(3, 3, depth_multiplier=2), separable(), "separable", (3,)),
    "SeparableConv2D": (
        PLANE,
        lambda: layers.SeparableConv2D(3, 3, strides=2, padding="same"),
        separable(strides=[2, 2], how="same"),
        "separable",
        (3, 3),
    ),
    "Conv1DTranspose": (
        LINE,
        lambda: AlsoRenamed(3, 4, strides=2, padding="same"),
        lambda given, stored: transposed(given, stored["kernel"], stored["bias"], [2], "same"),
        "transposed",
        (2,),
    ),
    "Conv2DTranspose": (
        PLANE,
        lambda: layers.Conv2DTranspose(3, (3, 2), strides=2),
        lambda given, stored: transposed(given, stored["kernel"], stored["bias"], [2, 2]),
        "transposed",
        (2, 1),
    ),
    "Conv3DTranspose": (
        SOLID,
        lambda: layers.Conv3DTranspose(3, 3, strides=2),
        lambda given, stored: transposed(given, stored["kernel"], stored["bias"], [2] * 3),
        "transposed",
        (2, 2, 2),
    ),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_found_described_and_computes_its_definition(name: str) -> None:
    shape, make, oracle, kind, field = KINDS[name]
    model = randomised(functional(layers.Activation("linear"), make(), layers.ReLU(), shape=shape))
    walked = network(model)
    (found,) = walked.layer_calls
    (record,) = describe(walked, Settings(), {})
    given = np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)
    if walked.contract.is_picture:
        given = np.round(given * 100 + 100)
    stored = kernels(found.layer)
    own = dict(zip([weight.name for weight in found.layer.weights], found.layer.get_weights(), strict=True))
    assert {key: value.tolist() for key, value in stored.items()} == {key: value.tolist() for key, value in own.items()}
    before = oracle(given[None], stored)[0]
    ((arrays, facts),) = MapReader(walked, [found])(given)
    scale = np.abs(before).max()
    np.testing.assert_allclose(
        np.ldexp(arrays["maps"].astype(np.float64), facts["exponent"]), np.maximum(before, 0), atol=2e-3 * scale
    )
    assert (record.kernel_kind, record.receptive_field, record.output_shape) == (kind, field, before.shape)
    trim = [min(2, (length - 1) // 2) for length in before.shape[:-1]]
    inner = np.maximum(before, 0)[
        tuple(slice(cut, length - cut) for cut, length in zip(trim, before.shape[:-1], strict=True))
    ]
    (measured,) = Meter(walked, [found], shape[:-1], 1)(given[None])
    np.testing.assert_allclose(measured[0], inner.reshape(-1, before.shape[-1]).mean(axis=0), rtol=1e-4, atol=1e-4)


def test_one_axis_inside_a_picture_and_a_plane_inside_a_signal_are_both_walked() -> None:
    picture = functional(
        layers.Conv2D(2, 3, name="plane"), layers.Reshape((14 * 14, 2)), layers.Conv1D(3, 4, name="line")
    )
    assert [(item.path, item.output_shape) for item in network(picture).layer_calls] == [
        ("plane", (14, 14, 2)),
        ("line", (193, 3)),
    ]
    signal = functional(
        layers.Conv1D(8, 3, name="line"), layers.Reshape((30, 8, 1)), layers.Conv2D(2, 3, name="plane"), shape=(32, 1)
    )
    assert [(item.path, item.output_shape, item.receptive_field) for item in network(signal).layer_calls] == [
        ("line", (30, 8), (3,)),
        ("plane", (28, 6, 2), (5,)),
    ]


def in_time(*stack: Any) -> Any:
    return functional(
        *(layers.TimeDistributed(layer, name=f"time{number}") for number, layer in enumerate(stack)), shape=(4, 9, 8, 3)
    )


def test_what_a_time_distributed_layer_calls_is_one_entry_with_all_its_times() -> None:
    norm = layers.BatchNormalization()
    model = randomised(in_time(layers.Conv2D(5, 3, name="conv"), norm, layers.ReLU(name="relu")))
    walked = network(model)
    (found,) = walked.layer_calls
    assert (found.path, found.unit_path, found.output_shape, found.receptive_field) == (
        "time0/conv",
        "time2/relu",
        (4, 7, 6, 5),
        (1, 3, 3),
    )
    given = np.random.default_rng(1).uniform(-1, 1, (4, 9, 8, 3)).astype(np.float32)
    stored = kernels(found.layer)
    expected = np.maximum(normalise(convolve(given, stored["kernel"], stored["bias"]), norm), 0)
    ((arrays, _),) = MapReader(walked, [found])(given)
    np.testing.assert_allclose(arrays["maps"], expected, rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(model(given[None])[0], expected, rtol=1e-4, atol=1e-4)
    (measured,) = Meter(walked, [found], (4, 9, 8), 1)(given[None])
    np.testing.assert_allclose(
        measured[0], expected[:, 2:-2, 2:-2].mean(axis=(0, 1, 2)), rtol=1e-4
    )  # no time is left out


def test_a_whole_model_inside_a_time_distributed_layer_is_walked() -> None:
    inner = keras.Sequential(
        [keras.Input((9, 8, 3)), layers.Conv2D(2, 3, name="a"), layers.Conv2D(2, 3, name="b")], name="inner"
    )
    entry = keras.Input((4, 9, 8, 3))
    outer = keras.Model(entry, layers.GlobalAveragePooling3D()(layers.TimeDistributed(inner, name="frames")(entry)))
    assert [(item.path, item.output_shape) for item in network(outer).layer_calls] == [
        ("frames/inner/a", (4, 7, 6, 2)),
        ("frames/inner/b", (4, 5, 4, 2)),
    ]


def test_channels_first_is_read_and_kept_channels_last() -> None:
    first, deep = layers.Conv2D(4, 3, data_format="channels_first", activation="relu", name="first"), {}
    deep = layers.DepthwiseConv2D(3, data_format="channels_first", name="deep")
    norm = layers.BatchNormalization(axis=1)
    model = randomised(functional(first, deep, norm, layers.ReLU(), shape=(3, 12, 10)))
    walked = network(model)
    assert (walked.contract.shape, walked.contract.size) == ((12, 10, 3), (12, 10))
    assert [(item.output_shape, item.receptive_field, item.kernel_bands) for item in walked.layer_calls] == [
        ((10, 8, 4), (3, 3), "RGB"),
        ((8, 6, 4), (5, 5), None),
    ]
    given = np.random.default_rng(1).integers(0, 256, (12, 10, 3), np.uint8)
    (one, two) = (
        arrays["maps"].astype(np.float64) * 2.0 ** facts["exponent"]
        for arrays, facts in MapReader(walked, walked.layer_calls)(given)
    )
    before = np.maximum(convolve(given[None], *first.get_weights()), 0)
    np.testing.assert_allclose(one, before[0], rtol=2e-3, atol=2e-3 * before.max())
    after = np.maximum(normalise(depthwise(before, *deep.get_weights()), norm), 0)
    np.testing.assert_allclose(two, after[0], rtol=2e-3, atol=2e-3 * after.max())
    picked = tf.function(
        lambda fed: walked.own_channels(fed, layer_call(walked, "deep"), [1], activated=True), autograph=False
    )
    np.testing.assert_allclose(
        picked(given[None].astype(np.float32))[0], after[0, ..., 1], rtol=1e-4, atol=1e-3 * after.max()
    )


def test_only_axes_that_follow_from_the_input_vary_where_no_field_is_known() -> None:
    """Squeezed to one position, and the columns of a text line read as steps."""
    entry = keras.Input((32, None, 1))
    squeezed = layers.Conv2D(3, 1, name="squeezed")(layers.GlobalAveragePooling2D(keepdims=True)(entry))
    steps = layers.Reshape((-1, 32))(layers.Permute((2, 1, 3))(layers.Multiply()([entry, entry])))
    read = layers.Conv1D(2, 3, name="read")(steps)
    walked = network(keras.Model(entry, [squeezed, read]))
    found = {record.path: record.output_shape for record in describe(walked, Settings(), {})}
    assert found == {"squeezed": (1, 1, 3), "read": (None, 2)}


def test_a_size_behind_a_resizing_is_stated_although_the_input_has_none() -> None:
    model = functional(
        layers.Conv2D(2, 3, name="before"),
        layers.Resizing(16, 12),
        layers.Conv2D(2, 3, name="after"),
        shape=(None, None, 3),
    )
    found = {record.path: record.output_shape for record in describe(network(model, image_size=32), Settings(), {})}
    assert found == {"before": (None, None, 2), "after": (14, 10, 2)}


class Own(layers.Layer):
    """A convolution of the user's own, by an operation of TensorFlow's."""

    def __init__(self, operation: Any, kernel: tuple[int, ...], trained: bool = True, **named: Any) -> None:
        super().__init__(**named)
        self.operation, self.shape, self.trained = operation, kernel, trained

    def build(self, shape: Any) -> None:
        self.weight = self.add_weight(shape=self.shape, name="weight") if self.trained else tf.ones(self.shape)
        super().build(shape)

    def call(self, inputs: Any) -> Any:
        return tf.nn.relu(self.operation(inputs, self.weight))


class Block(layers.Layer):
    """A Keras convolution between weights of the user's own that convolve nothing."""

    def build(self, shape: Any) -> None:
        self.table = self.add_weight(shape=(1, 1, shape[-1]), name="table", initializer="ones")
        self.inside = layers.Conv2D(4, 3, padding="same", name="inside")
        super().build(shape)

    def call(self, inputs: Any) -> Any:
        return self.inside(inputs * self.table) + self.table


def test_convolutions_by_operations_of_tensorflow_are_found() -> None:
    def dense(inputs: Any, kernel: Any) -> Any:
        return tf.nn.conv2d(inputs, kernel, 1, "SAME")

    def transposed(inputs: Any, kernel: Any) -> Any:
        return tf.nn.conv2d_transpose(inputs, kernel, (tf.shape(inputs)[0], 32, 32, 4), 2)

    def depthwise(inputs: Any, kernel: Any) -> Any:
        return tf.nn.depthwise_conv2d(inputs, kernel, (1, 1, 1, 1), "SAME")

    stack = [
        Own(dense, (3, 3, 3, 4), name="dense"),
        Own(depthwise, (3, 3, 4, 1), trained=False, name="blur"),
        Block(name="block"),
        Own(transposed, (3, 3, 4, 4), name="transposed"),
        Own(depthwise, (3, 3, 4, 1), name="depthwise"),
    ]
    given = keras.Input((16, 16, 3))
    maps = given
    for layer in stack:
        maps = layer(maps)
    walked = network(randomised(keras.Model(given, maps), low=0.0))
    assert {each.path: each.output_shape for each in walked.layer_calls} == {
        "dense": (16, 16, 4),
        "block/inside": (16, 16, 4),
        "transposed": (32, 32, 4),
        "depthwise": (32, 32, 4),
    }
    assert walked.by_path["dense"].receptive_field == (3, 3)
    picture = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    (found,) = (arrays["maps"] for arrays, _ in MapReader(walked, [walked.by_path["dense"]])(picture))
    expected = np.maximum(np.asarray(dense(picture[None].astype(np.float32), stack[0].weight)), 0)[0]
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3 * expected.max())
