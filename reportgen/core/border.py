"""The border of a feature map: the positions at its edges that scores leave out, because padding shows there first."""

from __future__ import annotations

from collections.abc import Sequence

BORDER = 2  # positions at each end of an axis, unless stated: few enough to leave most of a small map


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
