"""The pre-activations of chosen filters alone: a batch of eight pictures needs eight channels of a layer, not five hundred.

The result is the layer's own, up to rounding. Weights that are not finite count as 0 here: one filter's NaN times another's zero gradient
would be NaN. What is reported is measured with the untouched layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from math import prod
from typing import Any

from reportgen.network.backend import keras, tf


def can_select(layer: Any, normalisations: Sequence[Any]) -> bool:
    """Return whether channels can be computed one by one: a plain convolution of one group, then plain batch normalizations.

    Args:
        layer: a Keras layer.
        normalisations: the layers between it and its activation, in order.
    """
    return (
        type(layer) in (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
        and layer.groups == 1
        and layer.data_format == "channels_last"
        and not getattr(layer, "lora_enabled", False)
        and all(
            type(normalisation) is keras.layers.BatchNormalization and normalisation.axis in (-1, layer.rank + 1)
            for normalisation in normalisations
        )
    )


def selected(layer: Any, normalisations: Sequence[Any], inputs: Any, filters: Any) -> Any:
    """Compute the pre-activation of one chosen filter per picture. Call inside a trace.

    Args:
        layer: a convolution for which `can_select` is True, with one, two or three spatial axes.
        normalisations: the layers between it and its activation, in order.
        inputs: (n, *spatial, channels), the layer's input in any floating-point type.
        filters: int (n,), the filter of each picture.

    Returns:
        float32 (n, *spatial): the map of picture k's filter filters[k].
    """
    rank, padding = layer.rank, layer.padding
    kernel = tf.cast(tf.gather(_finite(layer.kernel), filters, axis=rank + 1), inputs.dtype)
    if padding == "causal":  # of signals alone: outputs depend on no later step
        earlier = layer.dilation_rate[0] * (layer.kernel_size[0] - 1)
        inputs, padding = tf.pad(inputs, ((0, 0), (earlier, 0), (0, 0))), "valid"
    maps = keras.ops.conv(
        _by_tap(inputs, kernel),
        _shift_and_sum_kernel(layer.kernel_size, inputs.dtype),
        strides=list(layer.strides),
        padding=padding,
        dilation_rate=layer.dilation_rate,
        data_format="channels_last",
    )
    own = tf.cast(tf.squeeze(maps, -1), tf.float32)
    if layer.use_bias:
        own += _entries(layer.bias, filters, rank)
    for normalisation in normalisations:
        scale = tf.math.rsqrt(_entries(normalisation.moving_variance, filters, rank) + normalisation.epsilon)
        if normalisation.scale:
            scale *= _entries(normalisation.gamma, filters, rank)
        own = (own - _entries(normalisation.moving_mean, filters, rank)) * scale
        if normalisation.center:
            own += _entries(normalisation.beta, filters, rank)
    return own


def _by_tap(inputs: Any, kernel: Any) -> Any:
    """Multiply every position of picture k by each tap of filter k: (n, *spatial, taps), not yet shifted and summed.

    kernel: (*taps, channels, n). A convolution with all n filters would compute n times as much.
    """
    *taps, channels, _ = kernel.shape
    own = tf.transpose(tf.reshape(kernel, (prod(taps), channels, -1)), (2, 1, 0))
    rows = tf.matmul(tf.reshape(inputs, (tf.shape(own)[0], -1, channels)), own)
    return tf.reshape(rows, tf.concat([tf.shape(inputs)[:-1], [prod(taps)]], 0))


def _shift_and_sum_kernel(taps: Sequence[int], dtype: Any) -> Any:
    """Return the kernel (*taps, prod(taps), 1) with which a convolution shifts each tap's channel into place and sums."""
    return tf.reshape(tf.eye(prod(taps), dtype=dtype), (*taps, prod(taps), 1))


def _entries(variable: Any, filters: Any, rank: int) -> Any:
    """Gather the filters' entries of a variable (channels,), shaped to broadcast with maps (n, *spatial) of rank spatial axes."""
    return tf.reshape(tf.cast(tf.gather(_finite(variable), filters), tf.float32), (-1, *(1,) * rank))


def _finite(variable: Any) -> Any:
    """Replace values that are not finite by 0."""
    value = tf.convert_to_tensor(variable)
    return tf.where(tf.math.is_finite(value), value, tf.zeros_like(value))


def finite_weights(layers: Sequence[Any]) -> AbstractContextManager[Any]:
    """Let weights of `layers` that are not finite read as 0 while the block is traced; the layers keep theirs."""
    values = [(variable, _finite(variable)) for layer in layers for variable in layer.weights]
    return keras.StatelessScope(state_mapping=values)  # type: ignore[no-any-return]
