"""Layers as they compute in inference, in fewer operations: constants for batch normalizations, convolutions for gradients.

In inference a batch normalization multiplies and shifts each channel by numbers that no input changes, so what a convolution
followed by one computes is a convolution with other weights. The gradient of a convolution by its input is, at a stride of 1, again a
convolution: with the kernel mirrored and its channels swapped. As such it is computed faster than by the operation for gradients. Both are
the same up to rounding, and are used only while pictures are optimized: whatever is reported is measured with the untouched layers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from reportgen.network.backend import keras, tf
from reportgen.network.graph.hooks import restore, shadow
from reportgen.network.graph.layer_calls import LayerCall
from reportgen.network.graph.layer_kinds import as_numpy
from reportgen.network.grouped_convolutions import own_operation

DENSE_KERNELS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
DEPTHWISE_KERNELS = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
FLOATS = ("float32", "bfloat16")  # in which batch normalizations compute as they are written here

Replacement = tuple[
    tuple[Any, Callable[..., Any]], ...
]  # layers that only count together, and what computes the call of each


@dataclass(frozen=True)
class _Affine:
    """What a batch normalization does to each channel in inference, float32 (channels,) each."""

    scale: np.ndarray
    shift: np.ndarray


def replacements(layers: Sequence[Any], layer_calls: Sequence[LayerCall]) -> tuple[Replacement, ...]:
    """Find the layers that can compute in fewer operations in inference.

    Args:
        layers: every layer inside the model.
        layer_calls: of its convolutions.

    Returns:
        For each plain batch normalization, with the convolution that it is folded into if any, and for each other plain convolution,
        what computes its call.
    """
    with tf.init_scope():
        normalisations = [layer for layer in layers if _is_plain_normalisation(layer)]
        pairs = _pairs(layer_calls, normalisations)
        folded = {id(normalisation) for _, normalisation in pairs}
        found: list[Replacement] = []
        for convolution, normalisation in pairs:
            found.append(((convolution, _folded(convolution, _affine(normalisation))), (normalisation, _unchanged)))
        found += [((layer, _normalising(layer)),) for layer in normalisations if id(layer) not in folded]
        paired = {id(convolution) for convolution, _ in pairs}
        found += [((layer, _convolving(layer)),) for layer in layers if id(layer) not in paired and _mirrors(layer)]
        return tuple(found)


@contextmanager
def replaced(found: Sequence[Replacement]) -> Iterator[None]:
    """Let layers compute by their replacements while the block is traced."""
    shadowed: list[tuple[Any, str, Any]] = []
    try:
        for layer, call in (each for replacement in found for each in replacement):
            shadow(layer, "call", call, shadowed)
        yield
    finally:
        restore(shadowed)


def _pairs(layer_calls: Sequence[LayerCall], normalisations: Sequence[Any]) -> list[tuple[Any, Any]]:
    """Return the convolutions whose only reader is one batch normalization, at every call of either, with it."""
    plain = {id(layer) for layer in normalisations}
    readers: dict[int, set[int]] = defaultdict(set)
    sources: dict[int, set[int]] = defaultdict(set)
    for layer_call in layer_calls:
        unit = layer_call.unit
        first = unit.normalisations[0] if unit is not None and unit.normalisations else None
        readers[id(layer_call.layer)].add(id(first))
        if unit is not None:
            for normalisation in unit.normalisations:
                sources[id(normalisation)].add(id(layer_call.layer))
    pairs = []
    for layer_call in {id(each.layer): each for each in layer_calls}.values():
        convolution, unit = layer_call.layer, layer_call.unit
        if unit is None or not unit.normalisations or layer_call.times or not _is_plain_convolution(convolution):
            continue
        if getattr(convolution.activation, "__name__", None) != "linear":
            continue
        (normalisation, *_) = unit.normalisations
        alone = len(readers[id(convolution)]) == 1 and len(sources[id(normalisation)]) == 1
        if alone and id(normalisation) in plain and _same_channels(convolution, normalisation):
            pairs.append((convolution, normalisation))
    return pairs


def _is_plain_normalisation(layer: Any) -> bool:
    return (
        type(layer) is keras.layers.BatchNormalization
        and layer.built
        and isinstance(layer.axis, int)
        and layer.compute_dtype in FLOATS
    )


def _is_plain_convolution(layer: Any) -> bool:
    return (
        type(layer) in (*DENSE_KERNELS, *DEPTHWISE_KERNELS)
        and layer.built
        and layer.padding in ("same", "valid")
        and layer.compute_dtype in FLOATS
        and getattr(layer, "quantization_mode", None) is None
        and not getattr(layer, "lora_enabled", False)
    )


def _same_channels(convolution: Any, normalisation: Any) -> bool:
    """Whether a batch normalization works on a convolution's own channels."""
    last = convolution.data_format == "channels_last"
    return normalisation.axis in ((-1, convolution.rank + 1) if last else (1,))


def _affine(normalisation: Any) -> _Affine:
    variance = as_numpy(normalisation.moving_variance).astype(np.float64)
    scale = 1 / np.sqrt(variance + normalisation.epsilon)
    if normalisation.scale:
        scale = scale * as_numpy(normalisation.gamma)
    shift = -as_numpy(normalisation.moving_mean) * scale
    if normalisation.center:
        shift = shift + as_numpy(normalisation.beta)
    return _Affine(scale.astype(np.float32), shift.astype(np.float32))


def _unchanged(inputs: Any, training: Any = None, mask: Any = None) -> Any:
    return tf.identity(inputs)


def _normalising(layer: Any) -> Callable[..., Any]:
    """Make the call of a batch normalization that is not folded."""
    affine = _affine(layer)
    scale, shift = tf.constant(affine.scale), tf.constant(affine.shift)

    def call(inputs: Any, training: Any = None, mask: Any = None) -> Any:
        shape = [1] * inputs.shape.rank
        shape[layer.axis] = -1
        own_scale, own_shift = (tf.cast(tf.reshape(each, shape), inputs.dtype) for each in (scale, shift))
        return inputs * own_scale + own_shift

    return call


def _folded(convolution: Any, affine: _Affine) -> Callable[..., Any]:
    """Make the call of a convolution that also does what the batch normalization after it does."""
    own = as_numpy(convolution.kernel)
    depthwise = type(convolution) in DEPTHWISE_KERNELS
    kernel = own * (affine.scale.reshape(own.shape[-2:]) if depthwise else affine.scale)
    bias = as_numpy(convolution.bias) * affine.scale if convolution.use_bias else 0.0
    return _computing(convolution, kernel, (bias + affine.shift).astype(np.float32))


def _convolving(convolution: Any) -> Callable[..., Any]:
    """Make the call of a convolution that is followed by no batch normalization."""
    return _computing(
        convolution, as_numpy(convolution.kernel), as_numpy(convolution.bias) if convolution.use_bias else None
    )


def _computing(convolution: Any, kernel: np.ndarray, bias: np.ndarray | None) -> Callable[..., Any]:
    """Make the call of a convolution with these weights and its own activation function."""
    kept, shift = tf.constant(kernel), None if bias is None else tf.constant(bias)
    compute = _with_mirrored_gradient(convolution, kernel) if _mirrors(convolution) else _plainly(convolution)

    def call(inputs: Any) -> Any:
        maps = compute(inputs, tf.cast(kept, inputs.dtype))
        last = convolution.data_format == "channels_last"  # now: channels-first layers may compute channels-last
        if shift is not None and last:
            maps = tf.nn.bias_add(maps, tf.cast(shift, maps.dtype))
        elif shift is not None:
            maps += tf.cast(tf.reshape(shift, (1, -1, *(1,) * convolution.rank)), maps.dtype)
        return maps if convolution.activation is None else convolution.activation(maps)

    return call


def _plainly(convolution: Any) -> Callable[[Any, Any], Any]:
    operation = own_operation(convolution)
    if operation is not None:
        return operation
    compute, strides = keras.ops.conv, list(convolution.strides)
    if type(convolution) in DEPTHWISE_KERNELS:
        compute, strides = keras.ops.depthwise_conv, convolution.strides
    return lambda inputs, weights: compute(
        inputs,
        weights,
        strides=strides,
        padding=convolution.padding,
        data_format=convolution.data_format,
        dilation_rate=convolution.dilation_rate,
    )


def _mirrors(layer: Any) -> bool:
    """Whether the gradient of a layer by its input is a convolution with the mirrored kernel."""
    return (
        _is_plain_convolution(layer)
        and type(layer) in DENSE_KERNELS
        and layer.groups == 1
        and layer.data_format == "channels_last"
        and set(layer.strides) == {1}
        and (layer.padding == "valid" or all(length % 2 == 1 for length in layer.kernel_size))
    )


def _with_mirrored_gradient(convolution: Any, kernel: np.ndarray) -> Callable[[Any, Any], Any]:
    rank, padding, dilation = convolution.rank, convolution.padding, convolution.dilation_rate
    axes = tuple(range(rank))
    mirrored = tf.constant(np.ascontiguousarray(np.swapaxes(np.flip(kernel, axes), -1, -2)))
    reach = [rate * (length - 1) for rate, length in zip(dilation, convolution.kernel_size, strict=True)]
    plain = {"strides": 1, "data_format": "channels_last", "dilation_rate": dilation}

    def compute(inputs: Any, weights: Any) -> Any:
        @tf.custom_gradient  # type: ignore[untyped-decorator]
        def convolved(inputs: Any) -> Any:
            def gradient(upstream: Any) -> Any:
                if padding == "valid" and any(reach):
                    upstream = tf.pad(upstream, [(0, 0), *((length, length) for length in reach), (0, 0)])
                return keras.ops.conv(upstream, tf.cast(mirrored, upstream.dtype), padding=padding, **plain)

            return keras.ops.conv(inputs, weights, padding=padding, **plain), gradient

        return convolved(inputs)

    return compute
