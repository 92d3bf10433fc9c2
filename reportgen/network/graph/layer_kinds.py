"""Which layers convolve or pool, and their kernels: by class and attribute, never by a layer's name or a weight's position."""

from __future__ import annotations

from typing import Any

import numpy as np

from reportgen.core.axes import DEPTHWISE, PLAIN, SEPARABLE, TRANSPOSED, KernelKind, filter_shape
from reportgen.network.backend import keras

layers = keras.layers
CONVOLUTIONS = (
    layers.Conv1D, layers.Conv2D, layers.Conv3D, layers.DepthwiseConv1D, layers.DepthwiseConv2D, layers.SeparableConv1D,
    layers.SeparableConv2D, layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose,
)  # fmt: skip
POOLINGS = (
    layers.MaxPooling1D, layers.MaxPooling2D, layers.MaxPooling3D,
    layers.AveragePooling1D, layers.AveragePooling2D, layers.AveragePooling3D,
    layers.GlobalMaxPooling1D, layers.GlobalMaxPooling2D, layers.GlobalMaxPooling3D,
    layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D, layers.GlobalAveragePooling3D,
)  # fmt: skip
TRANSPOSED_CONVOLUTIONS = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)


def kernel_kind(layer: Any) -> KernelKind | None:
    """Return how a convolution's kernel is to be read; None for a layer that is no convolution."""
    if not isinstance(layer, CONVOLUTIONS):
        return None
    if isinstance(layer, (layers.SeparableConv1D, layers.SeparableConv2D)):
        return SEPARABLE
    if isinstance(layer, (layers.DepthwiseConv1D, layers.DepthwiseConv2D)):
        return DEPTHWISE
    return TRANSPOSED if isinstance(layer, TRANSPOSED_CONVOLUTIONS) else PLAIN


def kernels(layer: Any) -> dict[str, np.ndarray]:
    """Return a convolution's weights: `kernel`, or `depthwise_kernel` and `pointwise_kernel`, and `bias` where it has one."""
    found = {name: as_numpy(getattr(layer, name)) for name in _kernel_names(layer)}
    if getattr(layer, "use_bias", False) and layer.bias is not None:
        found["bias"] = as_numpy(layer.bias)
    return found


def kernel_shapes(layer: Any) -> list[tuple[int, ...]]:
    """Return the shape of a built convolution's kernel, or those of its depthwise and its pointwise kernel."""
    return [tuple(getattr(layer, name).shape) for name in _kernel_names(layer)]


def _kernel_names(layer: Any) -> tuple[str, ...]:
    """Return the attributes that hold a convolution's kernels."""
    return ("depthwise_kernel", "pointwise_kernel") if kernel_kind(layer) == SEPARABLE else ("kernel",)


def filter_count(layer: Any) -> int:
    """Return the number of filters of a built convolution, from its kernel.

    Raises:
        ValueError: the layer is no convolution.
    """
    kind = kernel_kind(layer)
    if kind is None:
        raise ValueError(f"a {type(layer).__name__} is no convolution")
    return filter_shape(PLAIN if kind == SEPARABLE else kind, kernel_shapes(layer)[-1])[0]


def as_numpy(variable: Any) -> np.ndarray:
    """Return a variable's values in a type that NumPy can store; bfloat16 becomes float32, without loss."""
    values = np.asarray(keras.ops.convert_to_numpy(variable))
    return values if values.dtype.kind == "f" else values.astype(np.float32)
