"""What model health takes from Keras itself: its initializers, and the weights of its normalization layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reportgen.artefacts.health.initializers import Distribution, fit_initializer
from reportgen.core.axes import KernelKind
from reportgen.network.backend import keras
from reportgen.network.graph.normalizations import normalization_facts

KINDS = {
    "Conv2D": (KernelKind.PLAIN, "kernel_initializer"),
    "Conv2DTranspose": (KernelKind.TRANSPOSED, "kernel_initializer"),
    "DepthwiseConv2D": (KernelKind.DEPTHWISE, "depthwise_initializer"),
}
NAMED = [
    f"{scale}_{shape}" for scale in ("glorot", "he", "lecun") for shape in ("uniform", "normal")
] + ["variance_scaling", "random_uniform", "random_normal", "truncated_normal", "orthogonal", "zeros"]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("initializer", NAMED)
def test_a_kernel_as_keras_initializes_it_is_recognized(initializer: str, kind: str) -> None:
    keras.utils.set_random_seed(1)
    order, option = KINDS[kind]
    sizes = {"depth_multiplier": 1} if kind == "DepthwiseConv2D" else {"filters": 40}
    layer = getattr(keras.layers, kind)(kernel_size=5, **sizes, **{option: initializer})
    layer.build((None, 16, 16, 24))
    fit = fit_initializer(np.asarray(layer.kernel), order)
    assert fit.names
    if initializer in ("orthogonal", "zeros") and kind != "DepthwiseConv2D":  # one column is no orthogonal matrix
        assert fit.distribution == Distribution(initializer)


def test_normalizations_are_described_by_the_ends_of_their_weights() -> None:
    layers = [
        keras.layers.BatchNormalization(name="bn"),
        keras.layers.LayerNormalization(name="ln"),
        keras.layers.GroupNormalization(2, name="gn"),
        keras.layers.BatchNormalization(center=False, scale=False, name="bare"),
    ]
    for layer in layers:
        layer.build((None, 4, 4, 6))
    layers[0].gamma.assign(np.linspace(0.5, 2, 6))
    layers[0].beta.assign([0, np.nan, 0, 0, 0, 0])
    found: list[dict[str, Any]] = normalization_facts(layers)
    assert [sorted(each["weights"]) for each in found] == [
        ["beta", "gamma", "moving_mean", "moving_variance"],
        ["beta", "gamma"],
        ["beta", "gamma"],
        ["moving_mean", "moving_variance"],
    ]
    assert found[0]["weights"]["gamma"] == {"minimum": 0.5, "maximum": 2.0, "count": 6, "nonfinite": 0}
    assert found[0]["weights"]["beta"] == {"minimum": 0.0, "maximum": 0.0, "count": 6, "nonfinite": 1}
