"""TIFF files that Pillow cannot read: many bands, 16-bit colour, floating-point colour, bands as pages."""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reportgen.errors import ImageError

READABLE = {
    1: "",
    8: "zlib",
    32946: "zlib",
    32773: "packbits",
}  # compressions that need no other library, by their number
PILLOW_BITS = 8  # a band, up to which Pillow reads colour exactly
CMYK, YCBCR = 5, 6  # photometric interpretations that Pillow converts
AXES = 3  # height, width, bands
MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # how every TIFF and BigTIFF begins
UNSPECIFIED = 0  # an extra sample that is no transparency
COLOUR_BANDS = 3
# Exif orientation -> the steps that bring (height, width, bands) upright: mirror left to right, mirror top to bottom, transpose.
UPRIGHT = {2: "h", 3: "hv", 4: "v", 5: "t", 6: "th", 7: "thv", 8: "tv"}


def read(path: Path, name: str, bands: int, limit: int) -> NDArray[Any] | None:
    """(height, width, samples) in the file's own type, upright; None where Pillow reads the file as well.

    Pages of one band each are the bands where the model takes as many, and neither 1 nor 3. Raises ImageError, one sentence that starts
    with `name`, for what cannot be read, and for more than `limit` numbers.
    """
    with path.open("rb") as opened:
        if opened.read(len(MAGIC[0])) not in MAGIC:
            return None
    import tifffile

    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        try:
            found = _source(file, page, bands)
        except Exception:  # a damaged directory, of which Pillow may still make a picture or a sentence
            return None
        if found is None:
            return None
        source, axes = found
        count = math.prod(source.shape)
        if count > limit:
            raise ImageError(f"{name} holds {count} numbers, more than the limit of {limit}; make it smaller.")
        for one in source.pages if source is not page else [page]:
            _check_compression(file, one, name)
        array = np.transpose(source.asarray(), axes)
        orientation = page.tags.get("Orientation")
    return _upright(array, 1 if orientation is None else int(orientation.value))


def _source(file: Any, page: Any, bands: int) -> tuple[Any, tuple[int, int, int]] | None:
    """(what to read, the order that makes its axes height, width, bands); None where Pillow gives exactly what a viewer would show."""
    samples, many = page.samplesperpixel, bands not in (1, COLOUR_BANDS)
    if samples == 1:
        series = file.series[0]
        if not many or len(series.shape) != AXES or bands not in (series.shape[0], series.shape[-1]):
            return None
        return series, (1, 2, 0) if series.shape[0] == bands else (0, 1, 2)
    transparent = any(extra != UNSPECIFIED for extra in page.extrasamples)
    if not (many and samples == bands) and (
        page.photometric in (CMYK, YCBCR)
        or transparent
        or (page.bitspersample <= PILLOW_BITS and samples == COLOUR_BANDS)
    ):
        return None
    return page, (1, 2, 0) if page.axes.startswith("S") else (0, 1, 2)


def _check_compression(file: Any, page: Any, name: str) -> None:
    """Raises ImageError for a compression that is not read, and for a block that unpacks to more than a whole page."""
    if page.compression not in READABLE:
        raise ImageError(
            f"{name} has {page.samplesperpixel} bands of {page.bitspersample} bits compressed by {page.compression.name}; "
            "save it uncompressed or with deflate, or as a NumPy array (.npy)."
        )
    if READABLE[page.compression] != "zlib":
        return
    largest = max(page.nbytes, math.prod(page.chunks) * page.bitspersample // 8)  # a tile may be larger than its page
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        file.filehandle.seek(offset)
        unpacked = zlib.decompressobj().decompress(file.filehandle.read(count), largest + 1)
        if len(unpacked) > largest:
            raise ImageError(f"{name} is damaged: it holds more than its size says; save it again.")


def _upright(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    for step in UPRIGHT.get(orientation, ""):
        array = {"h": array[:, ::-1], "v": array[::-1], "t": np.swapaxes(array, 0, 1)}[step]
    return array
