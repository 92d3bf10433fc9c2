"""Grouped convolutions by TensorFlow's own operations, held against dense convolutions with a block-diagonal kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reportgen.core.settings import Settings
from reportgen.network.backend import fused, keras, tf
from reportgen.network.grouped_convolutions import own_operation, own_operations
from reportgen.network.loading.load import load
from reportgen.network.network import Network

FILTERS, CHANNELS = 24, 12


def dense_kernel(kernel: np.ndarray, groups: int) -> np.ndarray:
    """The kernel (*lengths, channels, filters) of one group that computes what `kernel` of several does."""
    *lengths, inside, filters = kernel.shape
    dense = np.zeros((*lengths, inside * groups, filters), np.float32)
    outside = filters // groups
    for group in range(groups):
        dense[..., group * inside : (group + 1) * inside, group * outside : (group + 1) * outside] = kernel[
            ..., group * outside : (group + 1) * outside
        ]
    return dense


@pytest.mark.parametrize("groups", [3, CHANNELS])
@pytest.mark.parametrize(
    ("rank", "size", "stated"),
    [
        (2, 3, {"padding": "same"}),
        (2, 3, {"padding": "valid"}),
        (2, 4, {"padding": "same"}),
        (2, 3, {"padding": "same", "strides": 2}),
        (2, 4, {"padding": "valid", "strides": 2}),
        (2, 3, {"padding": "same", "strides": (2, 1)}),
        (2, 3, {"padding": "same", "dilation_rate": 2}),
        (2, 3, {"padding": "valid", "dilation_rate": 2}),
        (1, 3, {"padding": "same"}),
        (1, 5, {"padding": "valid", "strides": 2}),
    ],
)
def test_maps_and_gradients_are_those_of_a_dense_convolution(
    groups: int, rank: int, size: int, stated: dict[str, Any]
) -> None:
    kind = keras.layers.Conv2D if rank == 2 else keras.layers.Conv1D
    layer = kind(FILTERS, size, groups=groups, activation="relu", bias_initializer="normal", **stated)
    shape = (2, *(11, 9)[:rank], CHANNELS)
    layer.build(shape)
    assert own_operation(layer) is not None
    dense = kind(FILTERS, size, activation="relu", **stated)
    dense.build(shape)
    dense.set_weights([dense_kernel(np.asarray(layer.kernel), groups), np.asarray(layer.bias)])
    inputs = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    weights = np.random.default_rng(1).standard_normal(dense.compute_output_shape(shape)).astype(np.float32)

    def both(given: Any) -> list[Any]:
        with own_operations([layer]):
            grouped = layer(given)
        wanted = dense(given)
        return [
            grouped, wanted, *tf.gradients(grouped * weights, [given]), *tf.gradients(wanted * weights, [given])
        ]  # fmt: skip

    with fused():
        grouped, wanted, by_grouped, by_wanted = tf.function(both, autograph=False)(tf.constant(inputs))
    np.testing.assert_allclose(grouped, wanted, atol=1e-5)
    np.testing.assert_allclose(by_grouped, by_wanted, atol=1e-5)
    assert np.abs(np.asarray(by_wanted)).max() > 0


@pytest.mark.parametrize(
    "layer", [keras.layers.Conv2D(4, 3), keras.layers.Conv3D(4, 3, groups=2), keras.layers.Dense(3)]
)
def test_other_layers_keep_their_operation(layer: Any) -> None:
    layer.build((None, 5, 5, 5, 2)[-(getattr(layer, "rank", 2) + 2) :])
    assert own_operation(layer) is None
    with own_operations([layer]):
        assert "convolution_op" not in layer.__dict__


def test_a_network_computes_grouped_convolutions_without_xla(tmp_path: Path) -> None:
    given = keras.Input((12, 12, 3))
    maps = keras.layers.Conv2D(8, 3, activation="relu", name="first")(given)
    maps = keras.layers.Conv2D(8, 3, groups=8, padding="same", name="depthwise")(maps)
    maps = keras.layers.Conv2D(8, 3, groups=2, padding="same", activation="relu", name="grouped")(maps)
    keras.Model(given, maps).save(tmp_path / "model.keras")
    settings = Settings(preprocess="unit")
    network = Network(load(str(tmp_path / "model.keras"), settings), settings)
    kinds: set[str] = set()

    def read(pictures: Any, filters: Any) -> Any:
        own = network.own_channels(network.feed(pictures), network.by_path["grouped"], filters)
        (gradient,) = tf.gradients(own, [pictures])
        kinds.update(operation.type for operation in pictures.graph.get_operations())
        return gradient

    gradient = tf.function(read, autograph=False)(tf.random.uniform((2, 12, 12, 3)), tf.constant([0, 7]))
    assert np.abs(np.asarray(gradient)).max() > 0
    assert "DepthwiseConv2dNative" in kinds
    assert not any("PartitionedCall" in kind for kind in kinds)
    assert network.by_path["grouped"].receptive_field == (7, 7)
