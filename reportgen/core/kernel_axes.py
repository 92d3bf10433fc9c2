"""The axis order of convolution kernels in Keras, in one place: every kind as (filters, inputs, *taps), and back.

| kind | as Keras keeps it |
|---|---|
| plain | (*taps, inputs, filters) |
| transposed | (*taps, filters, inputs) |
| depthwise | (*taps, channels, multiplier); filter c * multiplier + m is applied to channel c alone |

A separable layer has two kernels, a depthwise and a plain (pointwise) one. Taps are the positions of a kernel along its spatial axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

PLAIN, TRANSPOSED, DEPTHWISE = "plain", "transposed", "depthwise"


def filter_shape(kind: str, shape: Sequence[int]) -> tuple[int, ...]:
    """Return the shape (filters, inputs, *taps) of a kernel, from its shape in Keras.

    Args:
        kind: "plain", "transposed" or "depthwise".
        shape: of the kernel as Keras keeps it.

    Returns:
        The number of filters, the number of input channels that each is applied to (in a grouped convolution those of one group), and
        the number of taps along each spatial axis.

    Raises:
        ValueError: there is no such kind.
    """
    *taps, first, last = shape
    if kind == PLAIN:
        return (last, first, *taps)
    if kind == TRANSPOSED:
        return (first, last, *taps)
    if kind == DEPTHWISE:
        return (first * last, 1, *taps)
    raise ValueError(f"a kernel is {PLAIN}, {TRANSPOSED} or {DEPTHWISE}, not {kind}")


def input_channels(kind: str, shape: Sequence[int]) -> int:
    """Return how many input channels a kernel of this shape, as Keras keeps it, is applied to; in a grouped convolution those of one group.

    Of a separable layer the kernel is the depthwise one.
    """
    return shape[-1] if kind == TRANSPOSED else shape[-2]


def by_filter(kind: str, kernel: NDArray[Any]) -> NDArray[Any]:
    """Return a kernel as (filters, inputs, *taps); a view where NumPy can make one.

    Args:
        kind: "plain", "transposed" or "depthwise".
        kernel: as Keras keeps it.

    Raises:
        ValueError: there is no such kind.
    """
    shape = filter_shape(kind, kernel.shape)
    if kind == DEPTHWISE:
        kernel = kernel.reshape(*shape[2:], 1, shape[0])
    return np.moveaxis(kernel, (-2, -1), (0, 1) if kind == TRANSPOSED else (1, 0))


def as_kept(kind: str, filters: NDArray[Any], channels: int = 1) -> NDArray[Any]:
    """Return a kernel as Keras keeps it: the inverse of `by_filter`.

    Args:
        kind: "plain", "transposed" or "depthwise".
        filters: (filters, inputs, *taps).
        channels: of a depthwise kernel, the number of channels that it is applied to.

    Raises:
        ValueError: there is no such kind.
    """
    filter_shape(kind, (1, 1))
    kernel = np.moveaxis(filters, (0, 1) if kind == TRANSPOSED else (1, 0), (-2, -1))
    return kernel.reshape(*kernel.shape[:-2], channels, -1) if kind == DEPTHWISE else kernel
