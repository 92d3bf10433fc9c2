"""The axes of kernels, images and feature maps, in one place: their order in Keras, color channels, and the border of a map.

Every kind of kernel, which `by_filter` returns as (filters, inputs, *taps):

| kind | as Keras keeps it |
|---|---|
| plain | (*taps, inputs, filters) |
| transposed | (*taps, filters, inputs) |
| depthwise | (*taps, channels, multiplier); filter c * multiplier + m is applied to channel c alone |

A separable layer has two kernels, a depthwise and a plain (pointwise) one. Taps are the positions of a kernel along its spatial axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

NORMALIZATION_PREFIX = (
    "normalization_"  # of the names of arrays that lie beside a kernel, of the normalizations that follow it
)
RGB_CHANNELS = 3  # red, green and blue
BORDER = 2  # positions at each end of an axis that scores leave out: padding shows there first; few enough to leave most of a small map


class KernelKind(StrEnum):
    """How the axes of a kernel are to be read, without its spatial axes."""

    PLAIN = "plain"  # (..., in, out)
    TRANSPOSED = "transposed"  # (..., out, in)
    DEPTHWISE = "depthwise"  # (..., in, multiplier)
    SEPARABLE = "separable"  # a depthwise and a pointwise kernel


PLAIN, TRANSPOSED, DEPTHWISE, SEPARABLE = KernelKind


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


class ChannelOrder(StrEnum):
    """The order of the three channels of a colour picture, or of a kernel that is applied to one."""

    RGB = "RGB"
    BGR = "BGR"  # as Caffe, and so the weights of VGG and ResNet in keras.applications, take them


def border_width(length: int, border: int = BORDER) -> int:
    """Return how many positions are left out at each end of an axis of `length` positions: at most `border`, never all."""
    return min(border, (length - 1) // 2)


def inner_slices(lengths: Sequence[int], border: int = BORDER, times: int = 0) -> tuple[slice, ...]:
    """Return the slices that cut the border off a map.

    Args:
        lengths: positions of the map on each axis, without batch and channels.
        border: positions to leave out at each end of an axis.
        times: how many of the first axes are time steps, which have no border.

    Returns:
        One slice per axis.
    """
    widths = [0 if axis < times else border_width(length, border) for axis, length in enumerate(lengths)]
    return tuple(slice(width, length - width) for width, length in zip(widths, lengths, strict=True))


def readable_shape(shape: Sequence[int | None]) -> str:
    """Return lengths along axes for a message, `any` where one is free."""
    return " × ".join("any" if length is None else str(length) for length in shape)
