"""Convolutions of several groups by operations of TensorFlow's own, in place of the function that Keras compiles with XLA.

On a processor Keras computes them with XLA, whose gradients take 50 to 300 times as long as the forward pass of TensorFlow's operations
(benchmarks/README.md), and each shape is compiled. A convolution with a group for each input channel is a depthwise one; any other has a
forward operation, and as its gradient here a convolution with the mirrored kernel of each group, or a transposed one where it moves in
strides. All are the layer's own, up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from reportgen.network.backend import keras, tf
from reportgen.network.graph.hooks import restore, shadow

Operation = Callable[[Any, Any], Any]
GRADIENT = "ReportgenGroupedConvolution"
PLANE = 2  # spatial axes that TensorFlow's operations have; those of a signal are computed with an axis of length 1 before them


def own_operation(layer: Any) -> Operation | None:
    """Return what computes a layer's convolution, without its bias, from its inputs and its kernel; None for Keras's own operation.

    Args:
        layer: Any Keras layer.
    """
    if (
        type(layer) not in (keras.layers.Conv1D, keras.layers.Conv2D)
        or not layer.built
        or layer.groups == 1
        or layer.data_format != "channels_last"
        or layer.padding not in ("same", "valid")
    ):
        return None
    strided, dilated = set(layer.strides) != {1}, set(layer.dilation_rate) != {1}
    if strided and dilated:
        return None
    if layer.kernel.shape[-2] == 1 and len(set(layer.strides)) == 1:
        return partial(_on_plane, _depthwise, layer)
    if dilated and not _mirrors(layer.strides, layer.padding.upper(), layer.kernel_size):
        return None
    return partial(_on_plane, _grouped, layer)


@contextmanager
def own_operations(layers: Sequence[Any]) -> Iterator[None]:
    """Let the grouped convolutions among `layers` compute by TensorFlow's own operations while the block is traced."""
    shadowed: list[tuple[Any, str, Any]] = []
    try:
        for layer in layers:
            operation = own_operation(layer)
            if operation is not None:
                shadow(layer, "convolution_op", operation, shadowed)
        yield
    finally:
        restore(shadowed)


def _on_plane(compute: Callable[[Any, Any, Any], Any], layer: Any, inputs: Any, kernel: Any) -> Any:
    """Compute maps (n, *spatial, filters) from `inputs` (n, *spatial, channels) and `kernel` (*lengths, channels of a group, filters)."""
    if layer.rank == PLANE:
        return compute(layer, inputs, kernel)
    return tf.squeeze(compute(layer, inputs[:, None], kernel[None]), 1)


def _plane(layer: Any, name: str) -> tuple[int, int]:
    """A layer's strides or dilation rate along both axes of a plane."""
    *first, last = getattr(layer, name)
    return (first[0] if first else 1, last)


def _depthwise(layer: Any, inputs: Any, kernel: Any) -> Any:
    *lengths, _, filters = kernel.shape
    channels = inputs.shape[-1]
    (stride, *_) = layer.strides
    return tf.nn.depthwise_conv2d(
        inputs,
        tf.reshape(kernel, (*lengths, channels, filters // channels)),
        (1, stride, stride, 1),
        layer.padding.upper(),
        dilations=_plane(layer, "dilation_rate"),
    )


def _grouped(layer: Any, inputs: Any, kernel: Any) -> Any:
    with tf.compat.v1.get_default_graph().gradient_override_map({"Conv2D": GRADIENT}):
        maps = tf.nn.conv2d(
            inputs, kernel, _plane(layer, "strides"), layer.padding.upper(), dilations=_plane(layer, "dilation_rate")
        )
    # TensorFlow has no operation for a grouped convolution and its bias in one, and fails where it tries: it does not look past this.
    return tf.ensure_shape(maps, maps.shape)


def _mirrors(strides: Sequence[int], padding: str, lengths: Sequence[int]) -> bool:
    """Whether the gradient by the inputs is a convolution with the mirrored kernel."""
    return set(strides) == {1} and (padding == "VALID" or all(length % 2 for length in lengths))


def _gradient(operation: Any, upstream: Any) -> tuple[Any, None]:
    """Compute the gradient of a grouped `Conv2D` by its inputs; there is none by its kernel."""
    inputs, kernel = operation.inputs
    groups = inputs.shape[-1] // kernel.shape[-2]
    (_, *strides, _), (_, *dilation, _) = operation.get_attr("strides"), operation.get_attr("dilations")
    padding = operation.get_attr("padding").decode()
    if _mirrors(strides, padding, kernel.shape[:2]):
        return _mirrored(upstream, kernel, groups, padding, dilation), None
    shape = tf.concat([tf.shape(inputs)[:-1], [kernel.shape[-2]]], 0)
    parts = zip(tf.split(upstream, groups, -1), tf.split(kernel, groups, -1), strict=True)
    return tf.concat([tf.nn.conv2d_transpose(each, own, shape, strides, padding) for each, own in parts], -1), None


def _mirrored(upstream: Any, kernel: Any, groups: int, padding: str, dilation: Sequence[int]) -> Any:
    *lengths, inside, filters = kernel.shape
    own = tf.reshape(tf.reverse(kernel, (0, 1)), (*lengths, inside, groups, filters // groups))
    mirrored = tf.reshape(tf.transpose(own, (0, 1, 4, 3, 2)), (*lengths, filters // groups, -1))
    if padding == "VALID":
        reach = [rate * (length - 1) for rate, length in zip(dilation, lengths, strict=True)]
        upstream = tf.pad(upstream, [(0, 0), *((length, length) for length in reach), (0, 0)])
    return tf.nn.conv2d(upstream, mirrored, 1, padding, dilations=dilation)


tf.RegisterGradient(GRADIENT)(_gradient)
