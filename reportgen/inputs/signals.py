"""Signals and volumes: arrays along one or three axes, read from files, fitted to a size, and their windows for natural maxima."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reportgen.core.errors import ImageError
from reportgen.inputs.decoding import ARRAY_SUFFIX, printable_name
from reportgen.inputs.tables import TABLE_SUFFIX, read_table

SUFFIXES = {1: (ARRAY_SUFFIX, TABLE_SUFFIX), 3: (ARRAY_SUFFIX,)}
SHORTEST_NUMBER = 2  # characters, its delimiter with it
VALUE_LIMIT = 200_000_000  # values: as many as the pixels of the largest picture that is read
VOLUME_GRID = 2  # windows per side of a volume: 8 in all, each as expensive as many pictures
AXES = {1: "(steps, {bands})", 3: "(depth, height, width, {bands})"}


def read(path: str | Path, channels: int, rank: int) -> NDArray[np.float32]:
    """Read the numbers of a file unchanged: `.npy`, or for signals CSV with one column per channel.

    Args:
        path: of the file; one without an axis of channels has one channel.
        channels: number of channels of the model's input.
        rank: number of spatial axes, 1 or 3.

    Returns:
        float32 (*lengths, channels).

    Raises:
        ImageError: one sentence with the file's name and what to do.
    """
    path = Path(path)
    name, wanted = printable_name(path), AXES[rank].format(bands=channels)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES[rank]:
        raise ImageError(
            f"{name} is not an array, but the model takes numbers of shape {wanted}; save it as {' or '.join(SUFFIXES[rank])}."
        )
    try:
        # An array is never unpickled, and nothing of it is read before its shape is checked.
        values: NDArray[Any] = (
            _table(path, name) if suffix == TABLE_SUFFIX else np.lib.format.open_memmap(path, mode="r")
        )
    except ImageError:
        raise
    except FileNotFoundError as error:
        raise ImageError(f"{name} does not exist; check its name and folder.") from error
    except PermissionError as error:
        raise ImageError(f"{name} cannot be read; check its permissions.") from error
    except Exception as error:  # damaged files make readers raise anything
        raise ImageError(f"{name} is damaged or not a NumPy array; save it again.") from error
    if values.ndim == rank and channels == 1:
        values = np.expand_dims(values, -1)
    if values.dtype.kind not in "fiu" or values.ndim != rank + 1 or values.shape[-1] != channels or values.size == 0:
        raise ImageError(
            f"{name} contains {values.dtype} of shape {values.shape}; the model takes numbers of shape {wanted}."
        )
    if values.size > VALUE_LIMIT:
        raise ImageError(
            f"{name} contains {values.size} numbers, more than the limit of {VALUE_LIMIT}; make it shorter."
        )
    numbers = np.array(values, np.float32)
    if not np.isfinite(numbers).all():
        raise ImageError(f"{name} contains numbers that are not finite; replace them.")
    return numbers


def _table(path: Path, name: str) -> NDArray[Any]:
    """Read the numbers of a CSV file."""
    if path.stat().st_size > SHORTEST_NUMBER * VALUE_LIMIT:
        raise ImageError(f"{name} is too large to be read as text; save it as .npy.")
    try:
        return read_table(path)
    except ValueError as error:
        why = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else error
        raise ImageError(f"{name} is not a table of numbers: {why}.") from error


def value_range(arrays: Iterable[NDArray[np.floating]]) -> tuple[float, float] | None:
    """Return the smallest and largest value of all arrays; None where all are equal or there is none."""
    ends = [(float(values.min()), float(values.max())) for values in arrays]
    low, high = min((low for low, _ in ends), default=0.0), max((high for _, high in ends), default=0.0)
    return (low, high) if low < high else None


def fit(values: NDArray[np.float32], size: tuple[int, ...], how: str) -> NDArray[np.float32]:
    """Fit a signal or volume to a size.

    Args:
        values: float32 (*lengths, channels).
        size: wanted length of each spatial axis.
        how: "crop" or "pad" to keep the sampling, center-cropped or zero-padded on each axis; "stretch" to resample.

    Returns:
        float32 (*size, channels).

    Raises:
        ValueError: `how` is another word.
    """
    if how == "stretch":
        return resampled(values, size)
    if how not in ("crop", "pad"):
        raise ValueError(f"fit is crop, pad or stretch, not {how}")
    for axis, wanted in enumerate(size):
        length = values.shape[axis]
        before = abs(length - wanted) // 2
        if length >= wanted:
            values = values.take(range(before, before + wanted), axis=axis)
        else:
            widths = [(0, 0)] * values.ndim
            widths[axis] = (before, wanted - length - before)
            values = np.pad(values, widths)
    return values


def resampled(values: NDArray[np.float32], size: tuple[int, ...]) -> NDArray[np.float32]:
    """Interpolate linearly, axis by axis, with the first and last position kept.

    Args:
        values: float32 (*lengths, channels).
        size: wanted length of each spatial axis.

    Returns:
        float32 (*size, channels).
    """
    for axis, wanted in enumerate(size):
        length = values.shape[axis]
        if wanted == length:
            continue
        places = np.linspace(0, length - 1, wanted)
        below = np.minimum(places.astype(int), max(length - 2, 0))
        above = np.minimum(below + 1, length - 1)
        share = np.asarray(places - below, np.float32).reshape(-1, *(1,) * (values.ndim - 1 - axis))
        values = values.take(below, axis=axis) * (1 - share) + values.take(above, axis=axis) * share
    return np.asarray(values, np.float32)


def natural_windows(values: NDArray[np.float32], size: tuple[int, ...], grid: int) -> NDArray[np.float32]:
    """Cut what natural maxima are measured on: the whole resampled to a size, then windows of that size.

    A signal has grid * grid windows, evenly spaced from its first to its last; a volume VOLUME_GRID per side. What is smaller than
    the size is first resampled.

    Args:
        values: float32 (*lengths, channels).
        size: of each window.
        grid: windows per side of a picture, of which a signal has as many in all.

    Returns:
        float32 (n, *size, channels).
    """
    rank = len(size)
    each = grid * grid if rank == 1 else VOLUME_GRID
    lengths = tuple(max(own, wanted) for own, wanted in zip(values.shape[:-1], size, strict=True))
    source = resampled(values, lengths)
    starts = (np.linspace(0, own - wanted, each).astype(int) for own, wanted in zip(lengths, size, strict=True))
    windows = [
        source[tuple(slice(first, first + wanted) for first, wanted in zip(corner, size, strict=True))]
        for corner in product(*starts)
    ]
    return np.stack([resampled(values, size), *windows])
