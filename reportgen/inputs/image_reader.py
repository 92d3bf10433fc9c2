"""Reads the user's images, each file once: what was decoded is kept as long as it fits into a limit."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from reportgen.core.axes import RGB_CHANNELS
from reportgen.core.records import PICTURE_RANK
from reportgen.inputs import signals
from reportgen.inputs.decoding import ARRAY_SUFFIX, decode, decode_as_stored, printable_name
from reportgen.inputs.samples import UNIT, in_bands

KEPT_BYTES = 2**28  # seven photographs of 12 megapixels in 8 bits, or some thousands of the size that a network takes

Values = NDArray[Any]  # uint8 or float32 0..255 of pictures, see `samples.Picture`; float32 of signals and volumes
Key = tuple[Path, int | None, int, tuple[float, float]]


class ImageReader:
    """Decodes image files and keeps the arrays, the first ones while they fit; the others are decoded at each call.

    Nothing is ever thrown out: every pass over the images goes through them in the same order, where replacing the oldest array would
    always lose the one that is needed next. Arrays are read-only, since all callers share them.
    """

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._left = self._kept_bytes = kept_bytes
        self._kept: dict[Key, Values] = {}

    def __reduce__(self) -> tuple[type[Self], tuple[int]]:
        """A copy in another process begins empty."""
        return type(self), (self._kept_bytes,)

    def read(self, path: str | Path, bands: int, rank: int, floats: tuple[float, float] = UNIT) -> Values:
        """Return the content of an image file.

        Args:
            path: the file.
            bands: channels that the model takes.
            rank: spatial axes that the model takes: 1 for signals, 2 for pictures, 3 for volumes.
            floats: black and white of pictures of floating-point numbers, see `decode`.

        Returns:
            A picture (height, width, bands) as `decode` gives it, or a signal or volume as float32 (*lengths, bands); read-only.

        Raises:
            ImageError: the file cannot be read, or does not fit the model.
        """
        path = Path(path)
        if rank != PICTURE_RANK:
            return self._once((path, bands, rank, floats))
        if (
            bands in (1, RGB_CHANNELS) and path.suffix.lower() != ARRAY_SUFFIX
        ):  # then the file is decoded the same for both
            return in_bands(printable_name(path), self._once((path, None, rank, floats)), bands)
        return self._once((path, bands, rank, floats))

    def _once(self, key: Key) -> Values:
        if key in self._kept:
            return self._kept[key]
        path, bands, rank, floats = key
        values = np.asarray(decode_as_stored(path, floats) if bands is None else read(path, bands, rank, floats))
        values.flags.writeable = False
        if values.nbytes <= self._left:
            self._left -= values.nbytes
            self._kept[key] = values
        return values


def read(path: str | Path, bands: int, rank: int, floats: tuple[float, float] = UNIT) -> Values:
    """Return the content of an image file, decoded anew; see `ImageReader.read`.

    Args:
        path: the file.
        bands: channels that the model takes.
        rank: spatial axes that the model takes.
        floats: black and white of pictures of floating-point numbers.

    Raises:
        ImageError: the file cannot be read, or does not fit the model.
    """
    return decode(path, bands, floats) if rank == PICTURE_RANK else signals.read(path, bands, rank)
