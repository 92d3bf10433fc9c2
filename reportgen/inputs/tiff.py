"""TIFF files that Pillow cannot read: many channels, 16-bit colour, floating-point colour, channels as pages."""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reportgen.core.axes import RGB_CHANNELS
from reportgen.core.errors import ImageError
from reportgen.inputs.samples import Meaning, Samples

# Compressions that need no other library, by their number.
READABLE = {1: "", 8: "zlib", 32946: "zlib", 32773: "packbits"}
PILLOW_BITS = 8  # per channel, up to which Pillow reads colour exactly
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, CMYK, YCBCR = 0, 1, 2, 5, 6  # photometric interpretations
# Those that are understood, and how many samples they name.
NAMED = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: RGB_CHANNELS, CMYK: 4}
CONTIGUOUS = 1  # planar configuration: a pixel's samples lie together
AXES = 3  # height, width, channels
MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # how every TIFF and BigTIFF begins
UNSPECIFIED, PREMULTIPLIED = 0, 1  # extra samples: no transparency, and opacity that the others are multiplied by
WHITE_TAGS = (50717, 341, 281)  # WhiteLevel, SMaxSampleValue, MaxSampleValue
SIXTEEN = 16
# Exif orientation -> the steps that bring (height, width, channels) upright: mirror left to right, mirror top to bottom, transpose.
UPRIGHT = {2: "h", 3: "hv", 4: "v", 5: "t", 6: "th", 7: "thv", 8: "tv"}


def read(path: Path, name: str, channels: int, limit: int) -> Samples | Meaning | None:
    """Read a TIFF file. Pages of one channel each are the channels where the model takes as many, and neither 1 nor 3.

    Args:
        path: of the file.
        name: of the file, for messages.
        channels: number of channels of the model's input.
        limit: largest number of values.

    Returns:
        The values and what they mean; the meaning alone where Pillow reads the same values; None where it reads the same picture, or the
        file is no TIFF.

    Raises:
        ImageError: the file cannot be read, or has more than `limit` values.
    """
    with path.open("rb") as opened:
        if opened.read(len(MAGIC[0])) not in MAGIC:
            return None
    import tifffile

    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        try:
            found = _source(file, page, channels)
            if found is None:
                return None
            meaning = _meaning(page, channels)
        except ImageError as error:
            raise ImageError(f"{name} {error}") from error
        except Exception:  # a damaged directory, of which Pillow may still make a picture or a sentence
            return None
        source, axes = found
        count = math.prod(source.shape)
        if count > limit:
            raise ImageError(f"{name} contains {count} numbers, more than the limit of {limit}; make it smaller.")
        if source is page and _is_left_to_pillow(page):
            return meaning
        for one in source.pages if source is not page else [page]:
            _check_compression(file, one, name)
        array = source.asarray()
        array = np.transpose(array[..., np.newaxis] if array.ndim < AXES else array, axes)
        orientation = page.tags.get("Orientation")
    return Samples(_upright(array, 1 if orientation is None else int(orientation.value)), meaning)


def colour_profile(path: Path) -> bytes | None:
    """Return the colour profile that a TIFF embeds; None where it has none, and for any other file."""
    with path.open("rb") as opened:
        if opened.read(len(MAGIC[0])) not in MAGIC:
            return None
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            tag = file.pages[0].tags.get("InterColorProfile")
            return None if tag is None else bytes(tag.value)
    except Exception:  # a damaged directory
        return None


def _source(file: Any, page: Any, channels: int) -> tuple[Any, tuple[int, int, int]] | None:
    """Return (what to read, the order that makes its axes height, width, channels); None where Pillow reads what a viewer would show."""
    samples, many, deep = page.samplesperpixel, channels not in (1, RGB_CHANNELS), page.bitspersample > PILLOW_BITS
    if samples == 1:
        series = file.series[0]
        if many and len(series.shape) == AXES and channels in (series.shape[0], series.shape[-1]):
            return series, (1, 2, 0) if series.shape[0] == channels else (0, 1, 2)
        plain = page.photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO) and page.dtype is not None
        signed = plain and page.dtype == np.int8  # Pillow would take it for uint8
        return (page, (0, 1, 2)) if signed or (plain and deep and page.dtype.kind in "fu" and _is_small(page)) else None
    transparent = any(extra != UNSPECIFIED for extra in page.extrasamples)
    pillows = page.photometric in (CMYK, YCBCR) or transparent or samples == RGB_CHANNELS
    if not (many and samples == channels) and pillows and not deep:
        return None
    return page, (1, 2, 0) if page.axes.startswith("S") else (0, 1, 2)


def _is_small(page: Any) -> bool:
    """Return whether values are floating-point or of at most 16 bits: larger integers are left to Pillow."""
    return bool(page.dtype.kind == "f" or page.bitspersample <= SIXTEEN)


def _is_left_to_pillow(page: Any) -> bool:
    """Return whether only Pillow unpacks the values of a page: packed gray, or the bytes of 16-bit colour."""
    if page.samplesperpixel == 1:
        return page.compression not in READABLE or (page.dtype.kind == "u" and page.bitspersample not in (8, SIXTEEN))
    opaque = page.photometric == RGB and len(page.extrasamples) == 1 and page.extrasamples[0] != UNSPECIFIED
    named = page.photometric in (RGB, CMYK) and page.samplesperpixel == NAMED[page.photometric] + opaque
    whole = page.bitspersample == SIXTEEN and page.dtype.kind == "u" and page.planarconfig == CONTIGUOUS
    return page.compression not in READABLE and named and whole


def _meaning(page: Any, channels: int) -> Meaning:
    """Return what the samples of a page mean to a model of so many channels. The text of its ImageError is the end of a sentence."""
    samples, photometric, white = page.samplesperpixel, int(page.photometric), _white(page)
    if samples == 1 or (channels not in (1, RGB_CHANNELS) and samples == channels):
        return Meaning(inverted=samples == 1 and photometric == WHITE_IS_ZERO, white=white)
    if photometric not in NAMED:
        raise ImageError(f"contains colors of the kind {page.photometric.name}; save it as RGB.")
    first = samples - len(page.extrasamples)
    opaque = [first + at for at, extra in enumerate(page.extrasamples) if extra != UNSPECIFIED]
    return Meaning(
        alpha=opaque[0] if opaque else None,
        premultiplied=bool(opaque) and page.extrasamples[opaque[0] - first] == PREMULTIPLIED,
        inverted=photometric == WHITE_IS_ZERO and first == 1,
        inks=photometric == CMYK and first == NAMED[CMYK],
        white=white,
    )


def _white(page: Any) -> int | None:
    """Return the value of white where a file states that it uses fewer bits than its values have; None where it does not."""
    if page.dtype is None or page.dtype.kind != "u" or not PILLOW_BITS < page.bitspersample <= SIXTEEN:
        return None
    if page.bitspersample < SIXTEEN:
        return int(2**page.bitspersample - 1)
    for number in WHITE_TAGS:
        tag = page.tags.get(number)
        if tag is not None:
            value = int(np.max(tag.value))
            bits = value.bit_length()
            if (
                value == 2**bits - 1 and PILLOW_BITS < bits < SIXTEEN
            ):  # any other is merely the largest value that occurs
                return value
    return None


def _check_compression(file: Any, page: Any, name: str) -> None:
    """Check that the compression is readable and that no block unpacks to more than a whole page."""
    if page.compression not in READABLE:
        raise ImageError(
            f"{name} has {page.samplesperpixel} channels of {page.bitspersample} bits compressed by {page.compression.name}; "
            "save it uncompressed or with deflate, or as a NumPy array (.npy)."
        )
    if READABLE[page.compression] != "zlib":
        return
    largest = max(page.nbytes, math.prod(page.chunks) * page.bitspersample // 8)  # a tile may be larger than its page
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        file.filehandle.seek(offset)
        unpacked = zlib.decompressobj().decompress(file.filehandle.read(count), largest + 1)
        if len(unpacked) > largest:
            raise ImageError(f"{name} is damaged: it contains more than its stated size; save it again.")


def _upright(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Apply an Exif orientation."""
    for step in UPRIGHT.get(orientation, ""):
        array = {"h": array[:, ::-1], "v": array[::-1], "t": np.swapaxes(array, 0, 1)}[step]
    return array
