"""The last step to a unit, for the wanted filters alone: a batch of eight pictures needs eight channels of a layer, not five hundred.

The result is the unit's pre-activation as the layer's own arithmetic gives it, up to rounding. Weights that are not finite count as 0 here:
one filter's NaN times another's zero gradient would be NaN. What is reported is measured with the untouched layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from math import prod
from typing import Any

from reportgen.network.backend import keras, tf


def can_select(layer: Any, normalisations: Sequence[Any]) -> bool:
    """Whether channels can be computed one by one: a plain convolution of one group, then plain batch normalisations."""
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
    """float32 (n, height, width): picture k's channel filters[k], from the layer's `inputs` (n, h, w, channels) in any float type.

    Likewise with one or three spatial axes.
    """
    rank, padding = layer.rank, layer.padding
    kernel = tf.cast(tf.gather(_finite(layer.kernel), filters, axis=rank + 1), inputs.dtype)
    if padding == "causal":  # of signals alone: what lies ahead is never looked at
        behind = layer.dilation_rate[0] * (layer.kernel_size[0] - 1)
        inputs, padding = tf.pad(inputs, ((0, 0), (behind, 0), (0, 0))), "valid"
    maps = keras.ops.conv(
        _by_tap(inputs, kernel),
        _one_of_each(layer.kernel_size, inputs.dtype),
        strides=list(layer.strides),
        padding=padding,
        dilation_rate=layer.dilation_rate,
        data_format="channels_last",
    )
    own = tf.cast(tf.squeeze(maps, -1), tf.float32)
    if layer.use_bias:
        own += _of(layer.bias, filters, rank)
    for normalisation in normalisations:
        scale = tf.math.rsqrt(_of(normalisation.moving_variance, filters, rank) + normalisation.epsilon)
        if normalisation.scale:
            scale *= _of(normalisation.gamma, filters, rank)
        own = (own - _of(normalisation.moving_mean, filters, rank)) * scale
        if normalisation.center:
            own += _of(normalisation.beta, filters, rank)
    return own


def _by_tap(inputs: Any, kernel: Any) -> Any:
    """(n, *spatial, taps): what each tap of picture k's own filter k makes of every position of its inputs, not yet moved or added up.

    kernel: (*taps, channels, n). A convolution with all n filters would compute n times as much.
    """
    *taps, channels, _ = kernel.shape
    own = tf.transpose(tf.reshape(kernel, (prod(taps), channels, -1)), (2, 1, 0))
    rows = tf.matmul(tf.reshape(inputs, (tf.shape(own)[0], -1, channels)), own)
    return tf.reshape(rows, tf.concat([tf.shape(inputs)[:-1], [prod(taps)]], 0))


def _one_of_each(taps: Sequence[int], dtype: Any) -> Any:
    """(*taps, prod(taps), 1): the kernel that looks at each tap's own channel in that tap's place, so that a convolution adds them up."""
    return tf.reshape(tf.eye(prod(taps), dtype=dtype), (*taps, prod(taps), 1))


def _of(variable: Any, filters: Any, rank: int) -> Any:
    """The filters' own entries of a variable (channels,), shaped to meet maps (n, ...) of so many spatial axes."""
    return tf.reshape(tf.cast(tf.gather(_finite(variable), filters), tf.float32), (-1, *(1,) * rank))


def _finite(variable: Any) -> Any:
    value = tf.convert_to_tensor(variable)
    return tf.where(tf.math.is_finite(value), value, tf.zeros_like(value))


def finite_weights(layers: Sequence[Any]) -> AbstractContextManager[Any]:
    """While the block is traced, weights of `layers` that are not finite read as 0; the layers keep theirs."""
    values = [(variable, _finite(variable)) for layer in layers for variable in layer.weights]
    return keras.StatelessScope(state_mapping=values)  # type: ignore[no-any-return]
