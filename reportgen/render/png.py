"""PNG files with nothing in them but pixels: the same bytes for the same pixels."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# What is left after PNG's filters hardly ever recurs, so of all matches only runs are looked for. On mosaics of maps no strategy of
# levels 6 and 9, with or without filters, makes a smaller file, and each takes four to ten times as long; on patterns likewise.
LEVEL = 1
COLOR_TYPE = 25  # place of the byte that says how samples become colors
INDEXED = 3
HEADER = slice(12, 29)  # the first chunk without its length and checksum
AFTER_HEADER = 33


def encode_indexed(indices: NDArray[np.uint8], table: bytes) -> bytes:
    """Return a palette PNG of `indices`, uint8 (height, width), with the RGB triples of `table`."""
    gray = bytearray(encode(indices))  # Pillow filters gray pictures, and never indexed ones, where maps gain most
    gray[COLOR_TYPE] = INDEXED
    gray[HEADER.stop : AFTER_HEADER] = struct.pack(">I", zlib.crc32(gray[HEADER]))
    palette = b"PLTE" + table
    chunk = struct.pack(">I", len(table)) + palette + struct.pack(">I", zlib.crc32(palette))
    return bytes(gray[:AFTER_HEADER]) + chunk + bytes(gray[AFTER_HEADER:])


def encode(pixels: NDArray[np.uint8]) -> bytes:
    """Return a PNG of `pixels`: uint8 (height, width) as gray, or (height, width, 3) as RGB."""
    buffer = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.save(buffer, "PNG", compress_level=LEVEL, compress_type=zlib.Z_RLE)
    return buffer.getvalue()


def decode(data: bytes) -> NDArray[np.uint8]:
    """Return the pixels of a PNG as `encode` took them: uint8 (height, width) of a gray one, otherwise (height, width, 3)."""
    image = Image.open(io.BytesIO(data))
    return np.asarray(image if image.mode == "L" else image.convert("RGB"))
