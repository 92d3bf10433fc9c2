"""Receptive fields of real networks, against the support of a gradient: which input pixels move one output position at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from reportgen.network.backend import keras, tf
from small_models import functional, layers, network, randomised

SIZE = (40, 44)
POSITIONS = 9  # output positions along a diagonal: more than any period of the networks here


def supports(model: Any, tensor: Any, inputs: int = 1) -> dict[int, tuple[tuple[int, int] | None, ...]]:
    """{output position: ((first, last) row, (first, last) column) of the input pixels with a gradient} on the middle diagonal."""
    reader = keras.Model(model.inputs[0], tensor)
    middle = min(tensor.shape[1:3]) // 2
    count = min(POSITIONS, min(tensor.shape[1:3]))
    positions = np.arange(middle - count // 2, middle - count // 2 + count)
    chosen = np.stack([np.arange(count), positions, positions], axis=1)

    @tf.function(
        autograph=False
    )  # as a graph: TensorFlow 2.21 dies of a kernel's gradient, which is not wanted, if asked eagerly
    def gradient(entry: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(entry)
            summed = tf.reduce_sum(tf.gather_nd(reader(entry), chosen))
        return tape.gradient(summed, entry)

    total = np.zeros((count, *model.inputs[0].shape[1:]), np.float32)
    for seed in range(inputs):
        picture = np.random.default_rng(seed).uniform(0.5, 1, (1, *model.inputs[0].shape[1:])).astype(np.float32)
        total += np.abs(np.asarray(gradient(tf.constant(np.repeat(picture, count, axis=0)))))
    reached = total.max(axis=-1) > 0
    found = {}
    for number, position in enumerate(positions):
        rows, columns = np.flatnonzero(reached[number].any(axis=1)), np.flatnonzero(reached[number].any(axis=0))
        found[int(position)] = tuple((int(axis[0]), int(axis[-1])) if len(axis) else None for axis in (rows, columns))
    return found


def branches(join: Any) -> Any:
    entry = keras.Input((*SIZE, 3))
    stem = layers.Conv2D(3, 3, padding="same")(entry)
    left = layers.Conv2D(3, 3, padding="same")(layers.Conv2D(3, 3, padding="same")(stem))
    right = layers.Conv2D(3, (1, 7), padding="same")(stem)
    return keras.Model(entry, layers.Conv2D(2, 3, padding="same")(join([left, right])))


def residual() -> Any:
    entry = keras.Input((*SIZE, 3))
    tensor = layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False)(entry)
    for stride in (1, 2):
        short = layers.Conv2D(4, 1, strides=stride)(tensor)
        long = layers.BatchNormalization()(layers.Conv2D(4, 3, strides=stride, padding="same")(tensor))
        long = layers.Conv2D(4, 3, padding="same", activation="relu")(long)
        tensor = layers.Activation("relu")(layers.Add()([short, long]))
    return keras.Model(entry, tensor)


def u_net(interpolation: str) -> Any:
    entry = keras.Input((*SIZE, 3))
    first = layers.Conv2D(3, 3, padding="same", activation="relu")(entry)
    down = layers.Conv2D(3, 3, padding="same", activation="relu")(layers.AveragePooling2D(2)(first))
    up = layers.UpSampling2D(2, interpolation=interpolation)(down)
    return keras.Model(entry, layers.Conv2D(2, 3, padding="same")(layers.Concatenate()([first, up])))


def transposed_decoder() -> Any:
    return functional(
        layers.Conv2D(3, 3, strides=2, padding="same"),
        layers.Conv2D(3, 3, padding="same"),
        layers.Conv2DTranspose(3, 3, strides=2, padding="same"),
        layers.Conv2D(2, 3, padding="same"),
        shape=(*SIZE, 3),
    )


def stack(*parts: Any) -> Callable[[], Any]:
    return lambda: functional(*(part() for part in parts), shape=(*SIZE, 3))


def conv(*arguments: Any, **named: Any) -> Callable[[], Any]:
    return lambda: layers.Conv2D(2, *arguments, **named)


NETWORKS: dict[str, Callable[[], Any]] = {
    "plain": stack(conv(3), conv(5), conv(1), conv((3, 7))),
    "even kernels, same": stack(conv(2, padding="same"), conv(4, padding="same")),
    "strided, valid": stack(conv(3, strides=2), conv(3, strides=2), conv(3)),
    "strided, same": stack(
        conv(3, strides=2, padding="same"), conv(3, strides=(1, 2), padding="same"), conv(3, padding="same")
    ),
    "stride above kernel": stack(conv(2, strides=3), conv(3)),
    "dilated": stack(conv(3, dilation_rate=2), conv(3, dilation_rate=(1, 3), padding="same"), conv(3)),
    "average pooling": stack(conv(3), lambda: layers.AveragePooling2D(3, 2, padding="same"), conv(3)),
    "depthwise": stack(
        conv(3), lambda: layers.DepthwiseConv2D(3, padding="same"), lambda: layers.DepthwiseConv2D(3, strides=2)
    ),
    "depthwise, dilated, same": stack(conv(3), lambda: layers.DepthwiseConv2D(3, dilation_rate=2, padding="same")),
    "depthwise, dilated, valid": stack(conv(3), lambda: layers.DepthwiseConv2D(5, dilation_rate=(2, 3)), conv(3)),
    "separable": stack(
        lambda: layers.SeparableConv2D(3, 3, dilation_rate=2, padding="same"), lambda: layers.SeparableConv2D(3, 5)
    ),
    "grouped": stack(conv(3), lambda: layers.Conv2D(4, 3, groups=2, strides=2, padding="same"), conv(3)),
    "padding and cropping": stack(
        lambda: layers.ZeroPadding2D(((3, 1), (2, 0))),
        conv(3, strides=2),
        lambda: layers.Cropping2D(((1, 2), (3, 0))),
        conv(3),
    ),
    "transposed, same": transposed_decoder,
    "transposed, valid": stack(conv(3, strides=2), lambda: layers.Conv2DTranspose(2, 4, strides=2), conv(3)),
    "transposed, stride above kernel": stack(
        conv(3, strides=3), lambda: layers.Conv2DTranspose(2, 2, strides=3), conv(3)
    ),
    "nearest": stack(conv(3, strides=2), lambda: layers.UpSampling2D((2, 3)), conv(3)),
    "bilinear": stack(conv(3, strides=2), lambda: layers.UpSampling2D((2, 3), interpolation="bilinear"), conv(3)),
    "u-net, nearest": lambda: u_net("nearest"),
    "u-net, bilinear": lambda: u_net("bilinear"),
    "sum of branches": lambda: branches(layers.Add()),
    "concatenated branches": lambda: branches(layers.Concatenate()),
    "residual": residual,
    "axes in another order": stack(conv((3, 1)), lambda: layers.Permute((2, 1, 3)), conv((2, 5))),
    "depthwise, strided and dilated": stack(
        conv(3), lambda: layers.DepthwiseConv2D(3, strides=2, dilation_rate=2, padding="same"), conv(3)
    ),
    "separable, strided and dilated": stack(
        conv(3), lambda: layers.SeparableConv2D(2, 3, strides=2, dilation_rate=(2, 3), padding="valid")
    ),
    "transposed, dilated": stack(conv(3), lambda: layers.Conv2DTranspose(2, 3, dilation_rate=2)),
    "a row at a time": stack(
        conv(3), lambda: layers.TimeDistributed(layers.Conv1D(2, 3, dilation_rate=2, padding="same")), conv(3)
    ),
    "dense along the channels, and softmax": stack(
        conv(3), lambda: layers.Dense(3, activation="softmax"), conv(3), layers.Softmax, conv(2)
    ),
    "layer normalisation": stack(conv(3), lambda: layers.LayerNormalization(), conv(3)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_receptive_field_is_the_support_of_the_gradient(name: str) -> None:
    model = randomised(NETWORKS[name](), low=0.1, high=1.0)
    found = network(model).layer_calls[-1]
    assert found.view.axes is not None, found.view.note
    measured = supports(model, model.outputs[0])
    for position, intervals in measured.items():
        assert tuple(axis.at(position) for axis in found.view.axes) == _unclipped(intervals, found, position)
    for axis, reach in enumerate(found.view.axes):
        inner = [item[axis] for item in measured.values() if item[axis] is not None]
        assert reach.size == max(last - first + 1 for first, last in inner)


def _unclipped(intervals: tuple[tuple[int, int] | None, ...], found: Any, position: int) -> tuple[Any, ...]:
    """The measured intervals; where one ends at the input's border the stated one may go on beyond it."""
    whole: list[Any] = []
    for axis, measured in enumerate(intervals):
        stated = found.view.axes[axis].at(position)
        if measured is not None and stated is not None:
            clipped = (max(stated[0], 0), min(stated[1], SIZE[axis] - 1))
            whole.append(stated if clipped == measured else measured)
        else:
            whole.append(measured)
    return tuple(whole)


def test_max_pooling_sees_its_whole_window_over_many_inputs() -> None:
    model = functional(layers.Conv2D(2, 3), layers.MaxPooling2D(3, 2), layers.Conv2D(1, 3), shape=(24, 24, 1))
    randomised(model, low=0.1, high=1.0)
    found = network(model).layer_calls[-1]
    middle = max(supports(model, model.outputs[0], inputs=40).items(), key=lambda item: item[0] == 4)[1]
    assert tuple(axis.size for axis in found.view.axes or ()) == (9, 9)
    assert [last - first + 1 for first, last in filter(None, middle)] == [9, 9]


def test_the_unit_is_what_the_field_is_stated_for() -> None:
    """Published values (Araujo et al. 2019; the strides and kernels of the papers): VGG16, ResNet-50."""
    vgg = network(keras.applications.VGG16(weights=None, include_top=False, input_shape=(64, 64, 3)))
    fields = {item.path: item.view.axes for item in vgg.layer_calls}
    expected = {
        "block1_conv1": 3,
        "block1_conv2": 5,
        "block2_conv2": 14,
        "block3_conv3": 40,
        "block4_conv3": 92,
        "block5_conv3": 196,
    }
    assert {path: axes[0].size for path, axes in fields.items() if axes is not None and path in expected} == expected
    assert all(axes is not None and axes[0].size == axes[1].size for axes in fields.values())


@pytest.mark.slow
def test_resnet50_sees_483_pixels() -> None:
    resnet = network(keras.applications.ResNet50(weights=None, include_top=False, input_shape=(64, 64, 3)))
    fields = {item.path: item.view.axes for item in resnet.layer_calls}
    last = fields["conv5_block3_2_conv"]
    assert last is not None
    assert (last[0].size, last[1].size) == (483, 483)


def test_a_global_operation_leaves_no_field_and_says_so() -> None:
    entry = keras.Input((16, 16, 3))
    tensor = layers.Conv2D(4, 3, name="before")(entry)
    scale = layers.GlobalAveragePooling2D(keepdims=True)(tensor)
    scale = layers.Conv2D(4, 1, activation="sigmoid", name="squeeze")(scale)
    tensor = layers.Conv2D(4, 3, name="after")(layers.Multiply()([tensor, scale]))
    found = {item.path: item.view for item in network(keras.Model(entry, tensor)).layer_calls}
    assert found["before"].axes is not None
    for path in ("squeeze", "after"):
        assert found[path].axes is None
        assert "whole input" in str(found[path].note)


def test_a_pooling_over_everything_that_is_spread_again_is_not_taken_for_a_window() -> None:
    entry = keras.Input((16, 16, 3))
    scale = layers.AveragePooling2D(16, strides=1)(entry)
    tensor = layers.Conv2D(2, 3, name="after")(layers.Multiply()([entry, scale]))
    found = network(keras.Model(entry, tensor)).layer_calls[0]
    assert found.view.axes is None
    assert found.view.note


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.Reshape((8, 32, 3)),
        lambda: layers.GroupNormalization(1),
        lambda: layers.Resizing(24, 24),
        lambda: layers.Softmax(axis=1),
        lambda: layers.Lambda(lambda tensor: tensor[:, ::-1]),
        lambda: layers.Lambda(lambda tensor: tf.roll(tensor, 3, 1)),
        lambda: layers.Lambda(lambda tensor: tf.cumsum(tensor, 1)),
    ],
)
def test_what_is_not_understood_is_not_guessed(make: Callable[[], Any]) -> None:
    found = network(functional(make(), layers.Conv2D(2, 3))).layer_calls[0]
    assert found.view.axes is None
    assert found.view.note


def test_a_recurrence_is_called_one_where_it_leaves_no_field() -> None:
    found = network(functional(layers.Lambda(lambda tensor: tf.map_fn(tf.identity, tensor)), layers.Conv2D(2, 3)))
    assert found.layer_calls[0].view.note == "not known: a loop or recurrence lies before this layer"


def test_costs_are_the_multiplications_of_the_forward_pass() -> None:
    model = functional(
        layers.Conv2D(4, 3, padding="same", name="a"),
        layers.DepthwiseConv2D(3, strides=2, padding="same", name="b"),
        layers.SeparableConv2D(6, 3, name="c"),
        layers.Conv2DTranspose(2, 3, strides=2, padding="same", name="d"),
        layers.Dense(5),
        layers.Conv2D(5, 3, groups=5, name="e"),
    )
    macs = {item.path: item.costs.macs for item in network(model).layer_calls}
    costs = {
        "a": 256 * 4 * 27,
        "b": 64 * 4 * 9,
        "c": 36 * 4 * 9 + 36 * 6 * 4,
        "d": 36 * 6 * 9 * 2,
        "e": 144 * 2 * 5 + 100 * 5 * 9,
    }
    total = 0
    for path, cost in costs.items():
        total += cost
        assert macs[path] == total


def test_tensors_are_counted_in_bytes() -> None:
    found = network(functional(layers.Conv2D(4, 3, padding="same", use_bias=False))).layer_calls[0]
    made = 4 * 16 * 16 * 4
    read = 4 * (16 * 16 * 3 + 3 * 3 * 3 * 4)
    assert made <= found.costs.tensor_bytes <= made + 2 * read


def test_what_the_gradient_keeps_is_counted_once() -> None:
    entry = keras.Input((16, 16, 3))
    straight = layers.ReLU(name="rectified")(layers.Conv2D(4, 3, padding="same", name="a")(entry))  # its output
    pooled = layers.MaxPooling2D(name="pooled")(straight)  # its input, which is kept already, and its output
    normalised = layers.BatchNormalization(name="normalised")(layers.Conv2D(6, 1, name="b")(pooled))  # nothing
    swished = layers.Activation("silu", name="swished")(normalised)  # its input: it has a gradient of its own
    gate = layers.Conv2D(6, 1, activation="sigmoid", name="gate")(layers.GlobalAveragePooling2D(keepdims=True)(swished))
    gated = layers.Multiply(name="gated")([swished, gate])  # both, and the gate's output is kept already
    added = layers.Add(name="added")([gated, swished])
    kept = {
        "rectified": 4 * 256 * 4,
        "pooled": 4 * 64 * 4,
        "swished": 4 * 64 * 6,
        "gate": 4 * 6,
        "gated": 4 * 64 * 6,
        "added": 0,
        "c": 4 * 64 * 2,
    }
    model = keras.Model(entry, layers.Conv2D(2, 1, activation="relu", name="c")(layers.AveragePooling2D(1)(added)))
    costs = {item.path: item.costs for item in network(model, layers=tuple(kept)).layer_calls}
    total = 0
    for path, own in kept.items():
        total += own
        assert (path, costs[path].kept_bytes) == (path, total)
    assert costs["a"].largest_bytes == 4 * 256 * 4


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ([], "RGB"),
        ([lambda: layers.Rescaling(1 / 255)], "RGB"),
        ([lambda: layers.ZeroPadding2D(3)], "RGB"),
        ([lambda: layers.Normalization(mean=[1, 2, 3], variance=[1, 1, 1])], "RGB"),
        ([lambda: layers.AveragePooling2D(2)], "RGB"),
        ([lambda: layers.Conv2D(3, 1, name="mix")], None),
        ([lambda: layers.Lambda(lambda tensor: tensor[..., ::-1])], None),
    ],
)
def test_a_kernel_is_in_colour_only_where_it_looks_at_the_bands_themselves(
    before: list[Any], expected: str | None
) -> None:
    model = functional(*(make() for make in before), layers.Conv2D(2, 3, name="looks"))
    assert network(model).layer_calls[-1].kernel_bands == expected
    if not before:
        assert network(model, preprocess="caffe").layer_calls[-1].kernel_bands == "BGR"
        assert network(functional(layers.Conv2D(2, 3), shape=(16, 16, 1))).layer_calls[-1].kernel_bands is None
