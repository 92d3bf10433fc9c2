"""Weights in the report are those that the layer holds, named by what they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from reportgen.network.graph.layer_kinds import kernels
from small_models import functional, layers, network, randomised

NAMES: dict[str, tuple[Callable[[], Any], list[str]]] = {
    "Conv2D": (lambda: layers.Conv2D(5, (3, 2)), ["kernel", "bias"]),
    "Conv2D without bias": (lambda: layers.Conv2D(5, 3, use_bias=False), ["kernel"]),
    "grouped Conv2D": (lambda: layers.Conv2D(6, 3, groups=3), ["kernel", "bias"]),
    "DepthwiseConv2D": (lambda: layers.DepthwiseConv2D(3, depth_multiplier=2), ["kernel", "bias"]),
    "SeparableConv2D": (lambda: layers.SeparableConv2D(5, 3), ["depthwise_kernel", "pointwise_kernel", "bias"]),
    "SeparableConv2D without bias": (
        lambda: layers.SeparableConv2D(5, 3, use_bias=False),
        ["depthwise_kernel", "pointwise_kernel"],
    ),
    "Conv2DTranspose": (lambda: layers.Conv2DTranspose(5, 3), ["kernel", "bias"]),
}


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_those_of_the_layer_in_keras_order(name: str) -> None:
    make, names = NAMES[name]
    model = randomised(functional(make()))
    found = kernels(network(model).layer_calls[0].layer)
    assert list(found) == names
    for array, own in zip(found.values(), model.layers[1].get_weights(), strict=True):
        assert array.dtype == own.dtype
        np.testing.assert_array_equal(array, own)


def test_both_calls_of_a_shared_layer_have_its_weights() -> None:
    shared = layers.Conv2D(3, 3, padding="same", name="shared")
    model = randomised(functional(shared, layers.ReLU(), shared))
    first, second = (kernels(layer_call.layer) for layer_call in network(model).layer_calls)
    np.testing.assert_array_equal(first["kernel"], second["kernel"])
