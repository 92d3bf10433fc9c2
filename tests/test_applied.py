"""Whether a kernel that is shown is the one that is applied."""

from __future__ import annotations

from typing import Any

import pytest

from reportgen.network.backend import keras, tf
from reportgen.network.graph.applied_kernels import OTHER_KERNEL
from small_models import functional, layers, network


class Standardised(layers.Conv2D):  # type: ignore[misc]
    """Weight standardisation, as its paper's own code has it."""

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        mean, variance = tf.nn.moments(kernel, axes=[0, 1, 2], keepdims=True)
        return super().convolution_op(inputs, (kernel - mean) * tf.math.rsqrt(variance + 1e-5))


class Scaled(layers.DepthwiseConv2D):  # type: ignore[misc]
    """A kernel times a number of its own."""

    def call(self, inputs: Any) -> Any:
        return tf.nn.depthwise_conv2d(inputs, self.kernel * 2.0, [1, 1, 1, 1], "VALID")


@pytest.mark.parametrize(
    "make", [Standardised, lambda *given, **named: Scaled(3, name="c")], ids=["standardised", "scaled"]
)
def test_a_kernel_that_the_call_transforms_is_said_not_to_be_the_one_applied(make: Any) -> None:
    (layer_call,) = network(functional(make(4, 3, name="c"), layers.ReLU())).layer_calls
    assert layer_call.kernel_note == OTHER_KERNEL


PLAIN: dict[str, Any] = {
    "plain": lambda: [layers.Conv2D(4, 3, name="c")],
    "causal": lambda: [layers.Reshape((32, 24)), layers.Conv1D(4, 3, padding="causal", dilation_rate=2, name="c")],
    "depthwise": lambda: [layers.DepthwiseConv2D(3, dilation_rate=2, name="c")],
    "depthwise signals": lambda: [layers.Reshape((32, 24)), layers.DepthwiseConv1D(3, name="c")],
    "separable": lambda: [layers.SeparableConv2D(4, 3, name="c")],
    "transposed": lambda: [layers.Conv2DTranspose(4, 3, strides=2, name="c")],
    "transposed signals": lambda: [layers.Reshape((32, 24)), layers.Conv1DTranspose(4, 3, name="c")],
    "volumes": lambda: [layers.Reshape((4, 8, 8, 3)), layers.Conv3D(4, 3, name="c")],
    "transposed volumes": lambda: [layers.Reshape((4, 8, 8, 3)), layers.Conv3DTranspose(4, 3, name="c")],
    "half": lambda: [layers.Conv2D(4, 3, dtype="mixed_bfloat16", name="c")],
    "strided, grouped": lambda: [layers.Conv2D(6, 3, strides=2, groups=3, name="c")],
    "spectral": lambda: [layers.SpectralNormalization(layers.Conv2D(4, 3, name="c"))],  # divided in training, then kept
}


@pytest.mark.parametrize("name", PLAIN)
def test_a_kernel_that_is_applied_as_it_is_kept_needs_no_word(name: str) -> None:
    (layer_call,) = network(functional(*PLAIN[name]())).layer_calls
    assert layer_call.unit is not None
    assert layer_call.kernel_note is None


def test_two_calls_of_a_shared_layer_and_a_subclass_without_a_change_need_no_word() -> None:
    class Own(layers.Conv2D):  # type: ignore[misc]
        def call(self, inputs: Any) -> Any:
            return super().call(inputs) * 2

    shared, entry = Own(3, 3, padding="same", name="c"), keras.Input((16, 16, 3))
    assert [
        layer_call.kernel_note for layer_call in network(keras.Model(entry, shared(shared(entry)))).layer_calls
    ] == [None, None]
