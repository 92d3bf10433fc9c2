"""Layers that compute in fewer operations while pictures climb: the same maps and the same gradients, and only where they may."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from reportgen.network.backend import keras, tf
from reportgen.network.contract import as_shown
from reportgen.network.network import Network
from small_models import functional, layers, network, randomised

LAST = {"name": "last"}
STACKS: dict[str, tuple[Callable[[], list[Any]], int, int]] = {  # layers, replacements of a pair, of a layer alone
    "folded": (lambda: [layers.Conv2D(5, 3), layers.BatchNormalization(), layers.ReLU()], 1, 1),
    "without a bias": (
        lambda: [layers.Conv2D(5, 3, use_bias=False, padding="same"), layers.BatchNormalization()],
        1,
        1,
    ),
    "strides": (lambda: [layers.Conv2D(5, 3, strides=2), layers.BatchNormalization(scale=False)], 1, 1),
    "dilated": (lambda: [layers.Conv2D(5, 3, dilation_rate=2), layers.BatchNormalization(center=False)], 1, 1),
    "depthwise": (lambda: [layers.DepthwiseConv2D(3, depth_multiplier=2), layers.BatchNormalization()], 1, 1),
    "grouped": (lambda: [layers.Conv2D(6, 3), layers.Conv2D(6, 3, groups=3), layers.BatchNormalization()], 1, 2),
    "before": (lambda: [layers.BatchNormalization(), layers.ReLU(), layers.Conv2D(4, 3, activation="gelu")], 0, 3),
    "after an activation": (lambda: [layers.Conv2D(5, 3, activation="relu"), layers.BatchNormalization()], 0, 3),
}


def built(name: str) -> tuple[Network, Any]:
    """A network that ends with a convolution after one of the stacks, and that convolution's call."""
    model = randomised(functional(*STACKS[name][0](), layers.Conv2D(4, 3, **LAST)), seed=3)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([np.random.default_rng(1).uniform(0.4, 1.6, each.shape) for each in layer.get_weights()])
    walked = network(model, preprocess="unit")
    return walked, walked.by_path["last"]


def maps_and_gradient(walked: Network, layer_call: Any, pictures: Any, filters: Any) -> list[np.ndarray]:
    @tf.function(autograph=False)
    def read(pictures: Any, filters: Any) -> tuple[Any, Any]:
        maps = walked.own_channels(walked.feed(as_shown(walked.contract, pictures)), layer_call, filters)
        return maps, tf.gradients(tf.square(maps), [pictures])[0]

    return [np.asarray(each) for each in read(pictures, filters)]


@pytest.mark.parametrize("name", STACKS)
def test_maps_and_gradients_are_those_of_the_layers_themselves(name: str) -> None:
    walked, layer_call = built(name)
    pictures = tf.constant(np.random.default_rng(0).random((2, *walked.contract.size, 3), dtype=np.float32))
    found = maps_and_gradient(walked, layer_call, pictures, tf.constant([1, 3]))
    pairs = [len(each) for each in walked._replacements]
    assert (pairs.count(2), pairs.count(1)) == STACKS[name][1:]
    walked.__dict__["_replacements"] = ()
    expected = maps_and_gradient(walked, layer_call, pictures, tf.constant([1, 3]))
    for one, other in zip(found, expected, strict=True):
        assert np.abs(other).max() > 0
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * np.abs(other).max())


def test_a_normalization_that_follows_two_convolutions_is_folded_into_neither() -> None:
    shared, inputs = layers.BatchNormalization(), keras.Input((12, 12, 3))
    sides = [shared(layers.Conv2D(4, 3, name=name)(inputs)) for name in ("left", "right")]
    model = randomised(keras.Model(inputs, layers.Conv2D(2, 3, name="last")(layers.add(sides))))
    walked = network(model, preprocess="unit")
    assert all(len(each) == 1 for each in walked._replacements)


def test_the_layers_themselves_stay_as_they_are() -> None:
    walked, layer_call = built("folded")
    before = {layer.name: layer.call for layer in walked.layers}
    maps_and_gradient(walked, layer_call, tf.zeros((1, *walked.contract.size, 3)), tf.constant([0]))
    assert {layer.name: layer.call for layer in walked.layers} == before
