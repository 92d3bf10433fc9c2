"""Bounds over the input's range: no value ever outside them, exact where they can be, and which units they prove dead."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from reportgen.compute.bounds import Bounds, bounds_of
from reportgen.compute.intervals.graph import RULES, Bounded, Known, variables
from reportgen.compute.intervals.interval import TENSOR_FLOAT, Interval, everywhere
from reportgen.network.backend import keras, tf
from reportgen.network.network import Network
from small_models import functional, layers, network, randomised

SHAPE = (9, 8, 3)
SEVERAL = 4  # random inputs, and as many of nothing but the range's two ends
Functions = Mapping[str, Callable[[Any], Any]]


def extremes(trunk: Callable[[Any], Any], shape: Sequence[int], low: float, high: float) -> np.ndarray:
    """float32 (n, *shape): inputs within the range, among them some of its ends alone and some that drive the trunk's channels far."""
    random = np.random.default_rng(0)
    within = random.uniform(low, high, (SEVERAL, *shape))
    ends = random.choice([low, high], (SEVERAL, *shape))
    plain = [np.full((1, *shape), end) for end in (low, high, (low + high) / 2)]

    @tf.function(autograph=False)
    def slopes(entry: Any) -> Any:
        outputs = trunk(entry)
        rows = tf.reshape(outputs, (-1, outputs.shape[-1]))
        middle = rows[rows.shape[0] // 2]
        return tf.concat([tf.gradients(middle[channel], entry)[0] for channel in range(rows.shape[-1])], 0)

    upward = np.asarray(slopes(tf.constant(within[:1], tf.float32))) > 0
    driven = [np.where(upward, high, low), np.where(upward, low, high)]
    return np.concatenate([within, ends, *plain, *driven]).astype(np.float32)


def checked(
    trunk: Callable[[Any], Any],
    functions: Functions,
    shape: Sequence[int] = SHAPE,
    low: float = 0,
    high: float = 255,
) -> dict[str, Interval]:
    """The bounds of each function of the trunk's output, after every tensor on the way was found within its own for many inputs."""
    kept: list[Any] = []
    entry: list[Any] = []
    ends: dict[str, Any] = {}

    def trace(given: Any) -> list[Any]:
        entry.append(given)
        maps = trunk(given)
        for name, function in functions.items():
            with tf.name_scope(re.sub("[^a-z0-9]", "_", name)):
                ends[name] = function(maps)
        kept.extend(
            tensor
            for operation in given.graph.get_operations()
            for tensor in operation.outputs[: 1 if operation.type.startswith("Fused") else None]
            if tensor.dtype.is_floating or tensor.dtype.is_integer or tensor.dtype.is_bool
        )
        return kept

    traced = tf.function(trace, autograph=False).get_concrete_function(tf.TensorSpec((1, *shape), tf.float32))
    given = {**variables(traced.graph), entry[0].name: everywhere(entry[0], low, high, True)}
    known = Bounded(traced.graph, given, kept)
    outputs = [traced(tf.constant(one[None])) for one in extremes(trunk, shape, low, high)]
    for number, tensor in enumerate(kept):
        seen = np.stack([np.asarray(output[number]).astype(np.float64) for output in outputs])
        value, what = known.of(tensor), f"{tensor.op.type} {tensor.name}"
        if isinstance(value, Known):
            np.testing.assert_array_equal(seen, np.broadcast_to(value.array, seen.shape), err_msg=what)
            continue
        assert isinstance(value, Interval)
        assert (value.low <= seen).all(), f"{what}: {(value.low - seen).max()} below"
        assert (seen <= value.high).all(), f"{what}: {(seen - value.high).max()} above"
        still = np.broadcast_to(~value.varies, seen.shape[1:])
        assert (seen[:, still] == seen[:1, still]).all(), f"{what} varies"
    found = {name: known.of(tensor) for name, tensor in ends.items()}
    assert all(isinstance(value, Interval) for value in found.values())
    return {name: value for name, value in found.items() if isinstance(value, Interval)}


def conv(filters: int = 4, **named: Any) -> Any:
    return layers.Conv2D(filters, 3, **{"padding": "same", **named})


def overflowing(maps: Any) -> Any:
    """In half precision exp(20) is infinite, so that of its logarithm and 40 the smaller is 40."""
    return maps * tf.minimum(tf.math.log(1 + tf.exp(-maps)), 40)


ONE = np.linspace(-1, 1.5, 4).astype(np.float32)
ROWS = np.linspace(-1, 1, 18).reshape(2, 9).astype(np.float32)
WINDOWS: dict[str, Callable[[], Any]] = {
    "valid": lambda: conv(padding="valid"),
    "same": conv,
    "strided": lambda: conv(strides=(2, 3)),
    "strided, valid": lambda: conv(strides=2, padding="valid"),
    "even kernel": lambda: layers.Conv2D(4, (2, 4), padding="same"),
    "kernel larger than the map": lambda: layers.Conv2D(4, 19, padding="same"),
    "dilated": lambda: conv(dilation_rate=2),
    "dilated, valid": lambda: conv(dilation_rate=(2, 3), padding="valid"),
    "grouped": lambda: conv(groups=2),
    "depthwise": lambda: layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same"),
    "depthwise, dilated": lambda: layers.DepthwiseConv2D(3, dilation_rate=2, padding="same"),
    "depthwise, strided": lambda: layers.DepthwiseConv2D(3, strides=2),
    "separable": lambda: layers.SeparableConv2D(3, 3, depth_multiplier=2),
    "transposed": lambda: layers.Conv2DTranspose(3, 3, strides=2, padding="same"),
    "transposed, valid": lambda: layers.Conv2DTranspose(3, 2, strides=3),
    "max pooling": lambda: layers.MaxPooling2D(3, 2, padding="same"),
    "average pooling": lambda: layers.AveragePooling2D(3, 2, padding="same"),
}
OTHERS: dict[str, Callable[[], Any]] = {
    "batch normalisation": layers.BatchNormalization,
    "layer normalisation": layers.LayerNormalization,
    "group normalisation": lambda: layers.GroupNormalization(2),
    "unit normalisation": layers.UnitNormalization,
    "rms normalisation": layers.RMSNormalization,
    "prelu": lambda: layers.PReLU(shared_axes=(1, 2)),
    "prelu of positions": layers.PReLU,
    "leaky relu": lambda: layers.LeakyReLU(0.2),
    "relu of every kind": lambda: layers.ReLU(max_value=5, negative_slope=0.1, threshold=1),
    "softmax": layers.Softmax,
    "global average": lambda: layers.GlobalAveragePooling2D(keepdims=True),
    "global maximum": lambda: layers.GlobalMaxPooling2D(keepdims=True),
    "nearest": lambda: layers.UpSampling2D((2, 3)),
    "bilinear": lambda: layers.UpSampling2D(2, interpolation="bilinear"),
    "padding": lambda: layers.ZeroPadding2D(((1, 2), (0, 3))),
    "cropping": lambda: layers.Cropping2D(((1, 2), (0, 3))),
    "axes in another order": lambda: layers.Permute((3, 1, 2)),
    "refolded": lambda: layers.Reshape((8, 3, 12)),
    "flattened": lambda: keras.Sequential([layers.Flatten(), layers.Dense(4), layers.Reshape((1, 1, 4))]),
    "dense": lambda: layers.Dense(3),
    "einsum": lambda: layers.EinsumDense("bhwc,cd->bhwd", (None, None, 3), bias_axes="d"),
    "einsum over positions": lambda: layers.EinsumDense("bhwc,hd->bdwc", (2, None, 4)),
}
MOVES: Functions = {
    "padding with another number": lambda maps: tf.pad(maps, ((0, 0), (1, 1), (1, 1), (0, 2)), constant_values=7.0),
    "mirrored padding": lambda maps: tf.pad(maps, ((0, 0), (1, 1), (1, 1), (1, 0)), "REFLECT"),
    "a known matrix from the left": lambda maps: tf.matmul(ROWS, tf.transpose(maps, (0, 2, 1, 3))),
    "space to depth": lambda maps: tf.nn.space_to_depth(maps[:, :8], 2),
    "depth to space": lambda maps: tf.nn.depth_to_space(tf.concat([maps, 9 - 3 * maps], -1), 2),
    "shuffled channels": lambda maps: tf.reshape(
        tf.transpose(tf.reshape(maps, (-1, 9, 8, 2, 2)), (0, 1, 2, 4, 3)), (-1, 9, 8, 4)
    ),
    "reversed channels": lambda maps: tf.reverse(maps, [-1]),
    "reversed by a slice": lambda maps: maps[..., ::-1],
    "every other channel": lambda maps: maps[:, 1:-1, None, ::2, 1::2][:, :, 0],
    "one channel": lambda maps: maps[..., 2][..., None],
    "gathered channels": lambda maps: tf.gather(maps, [2, 0, 0], axis=-1),
    "gathered rows": lambda maps: tf.gather(maps, [[2, 0], [1, 1]], axis=1)[:, 0],
    "split and joined": lambda maps: tf.concat([part * scale for scale, part in enumerate(tf.split(maps, [1, 3], -1))], -1),
    "unstacked and stacked": lambda maps: tf.stack(
        [band - 2.0 * place for place, band in enumerate(tf.unstack(maps, axis=-1))][::-1], -1
    ),
    "joined with coordinates": lambda maps: tf.concat([maps, tf.reshape(tf.range(72.0), (1, 9, 8, 1))], -1),
    "joined rows": lambda maps: tf.concat([maps, 1000 + maps], 1),
    "tiled": lambda maps: tf.tile(maps, (1, 2, 1, 3)),
    "drawn out": lambda maps: tf.broadcast_to(maps[:, :1], (2, 1, 9, 8, 4))[0],
}  # fmt: skip
ARITHMETIC: Functions = {
    "fused batch normalisation": lambda maps: tf.compat.v1.nn.fused_batch_norm(
        maps, ONE + 2, ONE, mean=ONE * 3, variance=ONE + 2, is_training=False
    )[0],
    "steep leaky relu": lambda maps: tf.nn.leaky_relu(maps, 1.5),
    "squeeze and excitation": lambda maps: maps * tf.sigmoid(tf.reduce_mean(maps, (1, 2), keepdims=True)),
    "sum": lambda maps: tf.reduce_sum(maps, (1, 2), keepdims=True),
    "sum of channels": lambda maps: tf.reduce_sum(maps, -1, keepdims=True),
    "least of channels": lambda maps: tf.reduce_min(maps, -1)[..., None],
    "most of channels": lambda maps: tf.reduce_max(maps, -1)[..., None],
    "absolute": tf.abs,
    "square": lambda maps: maps * maps + tf.square(maps),
    "differences": lambda maps: tf.math.squared_difference(maps, maps[:, :1]) - tf.negative(maps),
    "extremes": lambda maps: tf.maximum(tf.minimum(maps, maps[:, :1]), ONE),
    "clipped": lambda maps: tf.clip_by_value(maps, ONE - 3, ONE + 2),
    "added up": lambda maps: tf.add_n([maps, maps[:, :, ::-1] * ONE, ONE + tf.zeros_like(maps)]),
    "divided": lambda maps: maps / (ONE - 5) + 1 / (3 + tf.nn.relu(maps)),
    "divided by what may be 0": lambda maps: tf.tanh(tf.math.divide_no_nan(maps, tf.nn.relu(maps[:, :1])))
    + tf.tanh(tf.math.divide_no_nan(maps, maps[:, :1])),
    "roots": lambda maps: tf.sqrt(tf.abs(maps)) + tf.math.rsqrt(1 + tf.abs(maps)) + tf.math.reciprocal(ONE - 2),
    "powers": lambda maps: tf.pow(maps, 2.0) + tf.pow(maps, 3.0) + tf.pow(1 + tf.abs(maps), -1.5) + maps**0,
    "exponentials": lambda maps: tf.exp(-tf.abs(maps)) + tf.math.expm1(tf.minimum(maps, 2)),
    "logarithms": lambda maps: tf.math.log1p(tf.nn.relu(maps)) + tf.math.log(1 + tf.abs(maps)),
    "chosen": lambda maps: tf.where(maps > maps[:, :1], maps - 3, tf.zeros_like(maps)),
    "comparisons": lambda maps: tf.cast((maps >= 1) & ~(maps < ONE) | (maps <= -2), tf.float32)
    + tf.cast(tf.equal(maps, 0.0), tf.float32),
    "rounded": lambda maps: tf.floor(maps) + tf.round(maps) + tf.sign(maps) + tf.cast(tf.cast(maps, tf.int32), tf.float32),
    "waves": lambda maps: tf.sin(maps) + tf.cos(maps) + tf.atan(maps),
    "half precision that overflows": lambda maps: overflowing(tf.cast(-20 - tf.nn.sigmoid(maps), tf.float16)),
    "half precision": lambda maps: tf.cast(tf.cast(maps, tf.float16) * 0.37, tf.float32),
}  # fmt: skip
ACTIVATIONS = (
    "relu", "relu6", "elu", "selu", "sigmoid", "tanh", "softplus", "softsign", "exponential", "hard_sigmoid", "hard_swish",
    "silu", "gelu", "mish", "celu", "leaky_relu", "hard_tanh", "tanh_shrink", "squareplus", "soft_shrink", "hard_shrink",
    "log_sigmoid", "linear", "sparse_plus", "sparse_sigmoid",
)  # fmt: skip


def of_layers(kinds: Mapping[str, Callable[[], Any]]) -> Functions:
    return {name: kind() for name, kind in kinds.items()}


GROUPS: dict[str, Callable[[], Functions]] = {
    "windows": lambda: of_layers(WINDOWS),
    "other layers": lambda: of_layers(OTHERS),
    "moves": lambda: MOVES,
    "arithmetic": lambda: ARITHMETIC,
    "activations": lambda: {name: keras.activations.get(name) for name in ACTIVATIONS},
}


@pytest.mark.parametrize("group", GROUPS)
def test_no_value_is_ever_outside_its_bounds(group: str) -> None:
    """Behind a convolution whose channels are negative and positive, and in front of another."""
    before, behind = functional(layers.Rescaling(1 / 64, -1.5), conv(4), shape=SHAPE), conv(2)
    kinds = GROUPS[group]()
    maps = tf.zeros((1, *SHAPE[:2], 4))
    for kind in kinds.values():
        kind(maps)
    behind(maps)
    parts = [before, behind, *(kind for kind in kinds.values() if isinstance(kind, keras.layers.Layer))]
    for number, part in enumerate(parts):
        randomised(part, number)
    found = checked(before, kinds)
    assert [name for name, value in found.items() if not np.isfinite((value.low, value.high)).all()] == []


def outputs(walked: Network, layer_calls: Sequence[Any], inputs: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """(before, after) of the units by the untouched model, one input at a time: (n, 1, ..., channels)."""
    shape = (1, *inputs.shape[1:])

    def read(pictures: Any) -> Any:
        return walked.units(walked.feed(pictures), layer_calls)

    traced = tf.function(read, autograph=False, input_signature=[tf.TensorSpec(shape, tf.float32)])
    several = [traced(tf.constant(one[None])) for one in inputs]
    return [
        tuple(np.stack([np.asarray(tf.cast(output[place][side], tf.float32)) for output in several]) for side in (0, 1))
        for place in range(len(layer_calls))
    ]  # type: ignore[misc]


def shown_range(walked: Network) -> tuple[float, float]:
    return (0.0, 255.0) if walked.contract.is_picture else (walked.contract.low, walked.contract.high)


def sound(walked: Network) -> dict[str, Bounds]:
    """The bounds of all layer calls, after none was found wrong for many inputs."""
    layer_calls = [one for one in (*walked.layer_calls, walked.output) if one is not None and one.unit is not None]
    found = bounds_of(walked, layer_calls, walked.contract.size)
    assert list(found) == [one.path for one in layer_calls]
    low, high = shown_range(walked)
    shape = (*walked.contract.size, walked.contract.bands)

    def trunk(pictures: Any) -> Any:
        return tf.cast(walked.units(walked.feed(pictures), layer_calls[:1])[0][0], tf.float32)

    seen = outputs(walked, layer_calls, extremes(trunk, shape, low, high))
    for one, (before, after) in zip(layer_calls, seen, strict=True):
        bounds = found[one.path]
        assert bounds.before_low.shape == bounds.after_high.shape == bounds.dead.shape == (one.channels,)
        assert (bounds.before_low <= before).all(), one.path
        assert (before <= bounds.before_high).all(), one.path
        assert (bounds.after_low <= after).all(), one.path
        assert (after <= bounds.after_high).all(), one.path
        assert np.isfinite(bounds.after_high).all(), one.path
        assert (after[..., bounds.dead] == after[:1, ..., bounds.dead]).all(), one.path
    return found


PICTURE = (8, 8, 3)


def nested() -> Any:
    inner = functional(conv(4, activation="relu", name="first"), conv(3, name="second"), shape=(8, 8, 4))
    entry = keras.Input(PICTURE)
    return keras.Model(entry, layers.ReLU()(inner(conv(4, name="outer", activation="silu")(entry))))


def shared() -> Any:
    entry, twice = keras.Input(PICTURE), conv(3, activation="relu", name="twice")
    return keras.Model(entry, twice(twice(entry)))


def residual() -> Any:
    entry = keras.Input(PICTURE)
    stem = conv(4, name="stem", use_bias=False)(entry)
    activated = layers.ReLU()(layers.BatchNormalization()(stem))
    branch = layers.BatchNormalization()(conv(4, name="branch")(activated))
    summed = layers.ReLU()(layers.Add()([activated, branch]))
    pooled = layers.GlobalAveragePooling2D()(conv(5, name="last", strides=2, activation="gelu")(summed))
    return keras.Model(entry, layers.Dense(3, activation="softmax")(pooled))


class Written(keras.Model):
    """A subclassed model that makes its kernel itself, inside a graph function of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = conv(4), conv(3, activation="relu")

    def build(self, shape: Any) -> None:
        self.own = self.add_weight(shape=(3, 3, 4, 4), name="own")

    def call(self, inputs: Any) -> Any:
        return self.second(tf.nn.relu(self.mix(self.first(inputs))))

    @tf.function
    def mix(self, maps: Any) -> Any:
        kernel = tf.convert_to_tensor(self.own)
        return tf.nn.conv2d(maps, kernel / tf.reduce_sum(tf.abs(kernel), axis=(0, 1, 2), keepdims=True), 1, "SAME")


def subclassed() -> Any:
    model = Written()
    model(tf.zeros((1, *PICTURE)))
    return model


def several_inputs() -> Any:
    entry, other = keras.Input(PICTURE, name="picture"), keras.Input((4,), name="other")
    gate = layers.Reshape((1, 1, 4))(layers.Dense(4, activation="sigmoid")(other))
    maps = layers.Multiply()([conv(4, name="a")(entry), gate])
    return keras.Model([entry, other], conv(3, name="b")(maps))


def half() -> Any:
    policy = keras.DTypePolicy("mixed_bfloat16")
    stack = [conv(4, activation="relu", dtype=policy), conv(4, activation="relu", dtype=policy), conv(2, dtype=policy)]
    return functional(*stack, shape=PICTURE)


def of(*stack: Callable[[], Any], shape: tuple[int, ...] = PICTURE) -> Callable[[], Any]:
    return lambda: functional(*(make() for make in stack), shape=shape)


MODELS: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "nested": (nested, {}),
    "shared": (shared, {"preprocess": "tf"}),
    "residual": (residual, {"preprocess": "caffe"}),
    "subclassed": (subclassed, {"input_shape": PICTURE, "preprocess": "torch"}),
    "several inputs": (several_inputs, {"input_range": (-1.0, 1.0)}),
    "half precision": (half, {"preprocess": "unit"}),
    "time": (
        of(
            lambda: layers.TimeDistributed(conv(3, activation="relu")),
            lambda: layers.TimeDistributed(layers.MaxPooling2D()),
            lambda: layers.Conv3D(2, 2),
            shape=(3, 8, 8, 2),
        ),
        {},
    ),
    "signal": (
        of(
            lambda: layers.Conv1D(4, 3, padding="causal", dilation_rate=2, activation="elu"),
            lambda: layers.MaxPooling1D(2),
            lambda: layers.Conv1DTranspose(3, 3, strides=2, padding="same", activation="relu"),
            lambda: layers.SeparableConv1D(3, 3),
            shape=(16, 2),
        ),
        {},
    ),
    "volume": (
        of(
            lambda: layers.Conv3D(4, 3, padding="same", activation="relu"),
            lambda: layers.AveragePooling3D(2, padding="same"),
            lambda: layers.UpSampling3D(2),
            lambda: layers.Conv3DTranspose(2, 3, strides=2),
            shape=(4, 5, 6, 1),
        ),
        {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", MODELS)
def test_no_unit_is_ever_outside_its_bounds(kind: str) -> None:
    make, settings = MODELS[kind]
    sound(network(randomised(make(), 1), **settings))


def affine(
    function: Callable[[np.ndarray], np.ndarray], size: Sequence[int], low: float, high: float
) -> tuple[np.ndarray, np.ndarray]:
    """(least, most) by channel of an affine function of the box [low, high]: its slopes are its values at one number each."""
    zero = function(np.zeros((1, *size), np.float32)).astype(np.float64)
    basis = np.eye(int(np.prod(size)), dtype=np.float32).reshape(-1, *size)
    slopes = function(basis).astype(np.float64) - zero
    middle = zero[0] + slopes.sum(axis=0) * (low + high) / 2
    reach = np.abs(slopes).sum(axis=0) * (high - low) / 2
    axes = tuple(range(middle.ndim - 1))
    return (middle - reach).min(axis=axes), (middle + reach).max(axis=axes)


FIRST: dict[str, tuple[Callable[[], Any], dict[str, Any], tuple[float, float]]] = {
    **{name: (WINDOWS[name], {}, (0.0, 255.0)) for name in WINDOWS if not re.search("pooling|larger|separable", name)},
    "divided by 255": (conv, {"preprocess": "unit"}, (0.0, 1.0)),
    "between -1 and 1": (conv, {"preprocess": "tf"}, (-1.0, 1.0)),
    "another range": (conv, {"input_range": (2.0, 3.0)}, (2.0, 3.0)),
}


@pytest.mark.parametrize("kind", FIRST)
def test_the_bounds_of_a_first_layer_are_exact(kind: str) -> None:
    make, settings, (low, high) = FIRST[kind]
    size = (6, 7, 4 if kind == "grouped" else 3)
    model = randomised(functional(make(), shape=size))
    walked = network(model, **settings)
    (bounds,) = bounds_of(walked, walked.layer_calls, size[:2]).values()
    least, most = affine(lambda inputs: np.asarray(model(inputs)), size, low, high)
    slack = 1.01 * TENSOR_FLOAT * max(abs(low), abs(high)) * np.abs(model.layers[-1].weights[0]).sum()
    for bound, closed in ((bounds.before_high, most), (-bounds.before_low, -least)):
        assert (bound >= closed).all()
        np.testing.assert_allclose(bound, closed, rtol=0, atol=slack)


def test_a_picture_reaches_the_bound_of_a_first_layer() -> None:
    walked = network(randomised(functional(conv(4, padding="valid"), shape=(3, 3, 3))), preprocess="caffe")
    (bounds,) = bounds_of(walked, walked.layer_calls, (3, 3)).values()
    kernel = np.asarray(walked.model.layers[-1].kernel)[..., ::-1, :]  # of bands in the order B, G, R
    pictures = np.where(np.moveaxis(kernel, -1, 0) > 0, 255, 0).astype(np.float32)
    ((before, _),) = outputs(walked, walked.layer_calls, pictures)
    reached = np.diagonal(before[:, 0, 0, 0, :])
    np.testing.assert_allclose(reached, bounds.before_high, rtol=3 * TENSOR_FLOAT)


def test_a_sum_that_is_rounded_upwards_stays_within_its_bound() -> None:
    walked = network(randomised(functional(layers.Conv2D(64, 3, use_bias=False), shape=(3, 3, 3))))
    (bounds,) = bounds_of(walked, walked.layer_calls, (3, 3)).values()
    kernel = np.asarray(walked.model.layers[-1].kernel)
    pictures = np.where(np.moveaxis(kernel, -1, 0) > 0, 255, 0).astype(np.float32)
    ((before, _),) = outputs(walked, walked.layer_calls, pictures)
    reached = np.diagonal(before[:, 0, 0, 0, :])
    exact = 255 * np.maximum(kernel.astype(np.float64), 0).sum(axis=(0, 1, 2))
    assert (reached > exact).any()
    assert (reached <= bounds.before_high).all()


def test_bands_keep_their_order_through_preprocessing() -> None:
    """In BGR the first band may reach 151.1 and the last 131.3: of 140 that must be exceeded one filter lives."""
    walked = network(functional(layers.Conv2D(2, 1, activation="relu", name="c"), shape=PICTURE), preprocess="caffe")
    kernel = np.zeros((1, 1, 3, 2), np.float32)
    kernel[0, 0, 0, 0] = kernel[0, 0, 2, 1] = 1
    walked.model.get_layer("c").set_weights([kernel, np.full(2, -140, np.float32)])
    found = sound(walked)["c"]
    assert found.dead.tolist() == [False, True]
    np.testing.assert_allclose(found.before_high, [255 - 103.939 - 140, 255 - 123.68 - 140], atol=0.2)


def planted(model: Any, dead: Mapping[str, Sequence[int]]) -> Any:
    """`model` with random weights in which the filters `dead` of the layers by these names have a bias far below zero."""
    randomised(model, 3, -0.3, 0.5)
    for layer in model._flatten_layers():
        if layer.name in dead:
            bias = np.asarray(layer.bias).copy()
            bias[list(dead[layer.name])] = -1e9
            layer.bias.assign(bias)
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.gamma.assign(np.ones(layer.gamma.shape))
    return model


def in_a_row() -> Any:
    return functional(*(conv(5, activation="relu", name=name) for name in "abc"), shape=PICTURE)


def normalised() -> Any:
    parts = [(conv(5, name=name), layers.BatchNormalization(), layers.ReLU()) for name in "abc"]
    return functional(*(layer for part in parts for layer in part), shape=PICTURE)


def inside() -> Any:
    inner = functional(*(conv(5, activation="relu", name=name) for name in "ab"), shape=PICTURE)
    entry = keras.Input(PICTURE)
    return keras.Model(entry, conv(5, activation="relu", name="c")(inner(entry)))


@pytest.mark.parametrize("make", [in_a_row, normalised, inside])
def test_planted_dead_filters_are_proven_at_every_depth_and_no_others(make: Callable[[], Any]) -> None:
    dead = {"a": [1], "b": [0, 4], "c": [2]}
    found = sound(network(planted(make(), dead), preprocess="unit"))
    assert {path.rpartition("/")[2]: np.flatnonzero(bounds.dead).tolist() for path, bounds in found.items()} == dead


def test_a_shared_layer_is_dead_where_it_is() -> None:
    """Its filters see 0..255 first, and then nothing but what is at most 1."""
    entry, twice = keras.Input(PICTURE), layers.Conv2D(3, 1, activation="relu", name="twice")
    model = keras.Model(entry, twice(layers.Activation("sigmoid")(twice(entry))))
    twice.set_weights([np.ones((1, 1, 3, 3), np.float32), np.array([0, -5, -1000], np.float32)])
    found = sound(network(model))
    assert found["twice"].dead.tolist() == [False, False, True]
    assert found["twice@2"].dead.tolist() == [False, True, True]


def test_a_filter_without_a_positive_weight_is_dead_up_to_a_bias_of_zero() -> None:
    walked = network(functional(conv(3, activation="relu", name="c"), shape=PICTURE))
    bias = np.array([0, 1e-6, -1], np.float32)
    walked.model.get_layer("c").set_weights([np.full((3, 3, 3, 3), -1, np.float32), bias])
    assert sound(walked)["c"].dead.tolist() == [True, False, True]


def test_above_dead_filters_everything_is_constant() -> None:
    """Whatever the activation: a filter that sees nothing but dead ones has its bias as its value for every input."""
    stack = (conv(3, activation="relu", name="a"), conv(2, name="b"), conv(2, name="c"))
    model = planted(functional(*stack, shape=PICTURE), {"a": [0, 1, 2]})
    found = sound(network(model))
    assert found["b"].dead.all()
    np.testing.assert_allclose(found["b"].after_low, np.asarray(model.get_layer("b").bias), rtol=1e-6)
    assert found["c"].dead.all(), "the same map for every input, although padding makes its border differ"
    assert (found["c"].after_low < found["c"].after_high).all()


def test_a_filter_with_an_empty_kernel_is_constant_and_its_neighbour_is_not() -> None:
    walked = network(functional(conv(2, activation="sigmoid", name="c"), shape=PICTURE))
    kernel = np.zeros((3, 3, 3, 2), np.float32)
    kernel[0, 0, 0, 1] = 1e-3
    walked.model.get_layer("c").set_weights([kernel, np.ones(2, np.float32)])
    assert sound(walked)["c"].dead.tolist() == [True, False]


def test_a_saturated_unit_has_one_value() -> None:
    walked = network(functional(layers.Conv2D(2, 1, activation="tanh", name="c"), shape=PICTURE))
    walked.model.get_layer("c").set_weights([np.full((1, 1, 3, 2), 0.01, np.float32), np.array([20, 0], np.float32)])
    found = sound(walked)["c"]
    assert found.dead.tolist() == [True, False]
    assert found.varies.tolist() == [True, True], "its last digits may still change"


def test_only_a_rectified_unit_is_dead_for_never_exceeding_zero() -> None:
    walked = network(functional(conv(1, activation="leaky_relu", name="c"), shape=PICTURE))
    walked.model.get_layer("c").set_weights([np.full((3, 3, 3, 1), -1, np.float32), np.full(1, -1, np.float32)])
    found = sound(walked)["c"]
    assert found.after_high[0] < 0
    assert found.dead.tolist() == [False]


PADDED: dict[str, tuple[tuple[Any, ...], bool]] = {
    "valid": ((lambda: conv(1, padding="valid"),), True),
    "same": ((lambda: conv(1),), False),
    "one tap at the border": ((lambda: layers.Conv2D(1, (1, 3), padding="same"),), False),
    "strides that never see the border": ((lambda: layers.Conv2D(1, 3, strides=3, padding="same"),), False),
    "padded before": ((layers.ZeroPadding2D, lambda: conv(1, padding="valid")), False),
    "dilated": ((lambda: conv(1, dilation_rate=2),), False),
    "depthwise": ((lambda: layers.DepthwiseConv2D(3, padding="same"),), False),
    "transposed": ((lambda: layers.Conv2DTranspose(1, 3),), False),
    "transposed, every tap": ((lambda: layers.Conv2DTranspose(1, 3), lambda: layers.Cropping2D(2)), False),
}


@pytest.mark.parametrize("kind", PADDED)
def test_a_filter_that_fires_at_padding_alone_is_not_dead(kind: str) -> None:
    """Inputs are 1 to 2, weights -1, and the bias lies between what all taps see and what those at the border see."""
    parts, dead = PADDED[kind]
    stack = [part() for part in parts]
    model = functional(layers.Rescaling(1 / 255, 1), *stack, layers.ReLU(), shape=(8, 8, 1))
    layer = next(one for one in stack if one.weights)
    kernel = np.full(layer.weights[0].shape, -1, np.float32)
    layer.set_weights([kernel, np.full(1, kernel.size - 0.5, np.float32)])
    walked = network(model)
    (bounds,) = sound(walked).values()
    ((_, after),) = outputs(walked, walked.layer_calls, np.zeros((1, 8, 8, 1), np.float32))
    assert bool(after.max() > 0) is not dead
    assert bounds.dead.tolist() == [dead]


@pytest.mark.parametrize("pooling", [layers.MaxPooling2D, layers.AveragePooling2D])
def test_pooling_does_not_see_its_own_padding(pooling: Any) -> None:
    """Zeros around what is never above -1 would be seen as the largest."""
    stack = (pooling(3, 2, padding="same"), layers.Conv2D(1, 1, name="c"), layers.ReLU())
    model = functional(layers.Rescaling(-1 / 255, -1), *stack, shape=(8, 8, 1))
    model.get_layer("c").set_weights([np.ones((1, 1, 1, 1), np.float32), np.full(1, 0.5, np.float32)])
    assert sound(network(model))["c"].dead.tolist() == [True]


@pytest.mark.parametrize("name", ["silu", "gelu", "mish", "hard_swish"])
def test_functions_of_several_operations_are_bounded_as_one(name: str) -> None:
    """Taken apart, x times what lies between 0 and 1 would be as low as x."""
    walked = network(functional(layers.Conv2D(1, 1, activation=name, name="c"), shape=PICTURE), preprocess="tf")
    walked.model.get_layer("c").set_weights([np.full((1, 1, 3, 1), 10, np.float32), np.zeros(1, np.float32)])
    found = sound(walked)["c"]
    least = np.asarray(keras.activations.get(name)(tf.linspace(-30.0, 30.0, 6001))).min()
    assert 1.1 * least <= found.after_low[0] <= least
    np.testing.assert_allclose(found.after_high, 30, rtol=2 * TENSOR_FLOAT)


def test_a_rule_that_does_not_fit_leaves_the_result_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(operation: Any, operands: Any) -> Any:
        raise ValueError(operation.type)

    monkeypatch.setitem(RULES, "Pad", failing)
    walked = network(randomised(functional(layers.ZeroPadding2D(), conv(2, name="c"), shape=PICTURE)))
    found = bounds_of(walked, walked.layer_calls, PICTURE[:2])["c"]
    assert np.isinf(found.after_high).all()
    assert not found.dead.any()


def test_what_is_not_known_becomes_known_again_behind_a_limit() -> None:
    unknown = keras.layers.Lambda(lambda maps: tf.cumsum(maps, axis=1))
    model = functional(
        conv(2, name="a"), unknown, conv(2, activation="relu6", name="b"), conv(2, name="c"), shape=PICTURE
    )
    found = bounds_of(walked := network(randomised(model)), walked.layer_calls, PICTURE[:2])
    assert np.isinf(found["b"].before_high).all()
    assert found["b"].after_high.tolist() == [6, 6]
    assert np.isfinite(found["c"].before_high).all()
    assert not any(bounds.dead.any() for bounds in found.values())


class Moving(keras.layers.Layer):
    """Adds what is not the same in every run: a number drawn, or one that is counted on."""

    def __init__(self, drawn: bool) -> None:
        super().__init__()
        self.drawn = drawn
        self.count = self.add_weight(shape=(), initializer="zeros", trainable=False, name="count")

    def call(self, inputs: Any) -> Any:
        if self.drawn:
            return inputs * 0 + tf.random.uniform(())
        self.count.assign_add(tf.reduce_mean(inputs))
        return inputs * 0 + tf.convert_to_tensor(self.count)


@pytest.mark.parametrize("drawn", [True, False])
def test_what_a_run_changes_is_no_constant(drawn: bool) -> None:
    walked = network(randomised(functional(Moving(drawn), layers.Conv2D(2, 1, name="c"), shape=PICTURE)))
    found = bounds_of(walked, walked.layer_calls, PICTURE[:2])["c"]
    assert not found.dead.any()
    assert np.isinf(found.after_high).all()


def test_a_weight_that_is_not_finite_leaves_its_own_filter_unbounded() -> None:
    walked = network(randomised(functional(conv(3, activation="relu", name="c"), shape=PICTURE)))
    kernel, bias = walked.model.get_layer("c").get_weights()
    kernel[0, 0, 0, 0] = bias[2] = np.nan
    walked.model.get_layer("c").set_weights([kernel, bias])
    found = bounds_of(walked, walked.layer_calls, PICTURE[:2])["c"]
    assert np.isinf(found.before_high).tolist() == [True, False, True]
    assert not found.dead.any()


def test_signals_are_bounded_within_the_range_of_their_contract() -> None:
    walked = network(functional(layers.Conv1D(1, 1, name="c"), shape=(8, 1)))
    walked.model.get_layer("c").set_weights([np.ones((1, 1, 1), np.float32), np.zeros(1, np.float32)])
    walked.limit(-3.0, 7.0)
    found = sound(walked)["c"]
    np.testing.assert_allclose([found.before_low[0], found.before_high[0]], [-3, 7], rtol=2 * TENSOR_FLOAT)
