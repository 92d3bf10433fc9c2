"""One picture, written with 8 bits, 16 bits and floating point in every way, is one picture: a table of every property of a file."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from reportgen.core.errors import ImageError
from reportgen.inputs.decoding import decode

Array = np.ndarray
SHAPE = (5, 7)
RANDOM = np.random.default_rng(0)
COLOUR = RANDOM.integers(0, 65536, (*SHAPE, 3), dtype=np.uint16)  # the picture in 16 bits, of which the others are made
GREY = COLOUR[..., :1]
INKS = RANDOM.integers(0, 65536, (*SHAPE, 4), dtype=np.uint16)
OPACITY = RANDOM.integers(0, 65536, (*SHAPE, 1), dtype=np.uint16)
OPACITY[0], OPACITY[1] = 0, 65535
KEY = (2, 3)  # where the transparent colour stands
PHOTOMETRIC, ORIENTATION, MAXIMUM, SIGNED_MAXIMUM, WHITE_LEVEL = 262, 274, 281, 341, 50717  # TIFF tags
DEPTHS = ("8 bits", "16 bits", "float")
WHOLE, EIGHT = DEPTHS[:2], DEPTHS[:1]
STEP = {"8 bits": 1.0, "16 bits": 1 / 257, "float": 1e-5}  # of 0..255: what one number of the file stands for


def at(depth: str, picture: Array) -> Array:
    """The 16-bit `picture` in another depth."""
    if depth == "float":
        return (picture / 65535).astype(np.float32)
    return np.round(picture / 257).astype(np.uint8) if depth == "8 bits" else np.round(picture).astype(np.uint16)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(path: Path, numbers: Array, before: bytes = b"", passes: tuple[tuple[int, ...], ...] = ((0, 0, 1, 1),)) -> None:
    """A PNG of uint8 or uint16 (height, width, 1 to 4 samples), written by the format's own rules.

    passes: first row, first column, rows apart and columns apart of each; ADAM7 of an interlaced picture.
    """
    height, width, samples = numbers.shape
    depth, colour = 8 * numbers.itemsize, {1: 0, 2: 4, 3: 2, 4: 6}[samples]
    big = numbers.astype(numbers.dtype.newbyteorder(">"))
    parts = (big[top::down, left::across] for top, left, down, across in passes)
    rows = b"".join(b"\0" + row.tobytes() for part in parts for row in part if row.size)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, len(passes) > 1))
    parts = (b"\x89PNG\r\n\x1a\n", header, before, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    path.write_bytes(b"".join(parts))


ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def png_of(*pictures: Array, key: bool = False, before: bytes = b"", **options: Any) -> Callable[[Path, str], None]:
    def write(path: Path, depth: str) -> None:
        numbers = np.concatenate([at(depth, picture) for picture in pictures], axis=-1)
        chunks = before + chunk(b"tRNS", struct.pack(f">{numbers.shape[-1]}H", *numbers[KEY])) if key else before
        png(path.with_suffix(".png"), numbers, chunks, **options)

    return write


def tiff_of(
    *pictures: Array, edit: Callable[[Array], Array] = lambda a: a, **options: Any
) -> Callable[[Path, str], None]:
    def write(path: Path, depth: str) -> None:
        numbers = edit(np.concatenate([at(depth, picture) for picture in pictures], axis=-1))
        tifffile.imwrite(path.with_suffix(".tif"), numbers, **options)

    return write


def pillow_of(
    picture: Array, suffix: str, edit: Callable[[Array], Array] = lambda a: a, **options: Any
) -> Callable[[Path, str], None]:
    def write(path: Path, depth: str) -> None:
        Image.fromarray(edit(np.squeeze(at(depth, picture)))).save(path.with_suffix(suffix), **options)

    return write


def npy_of(picture: Array, edit: Callable[[Array], Array] = lambda a: a) -> Callable[[Path, str], None]:
    return lambda path, depth: np.save(path.with_suffix(".npy"), edit(at(depth, picture)))


def negative(numbers: Array) -> Array:
    """As `numbers` are stored where white is 0."""
    return np.asarray((1 if numbers.dtype.kind == "f" else np.iinfo(numbers.dtype).max) - numbers, numbers.dtype)


def multiplied(picture: Array) -> Array:
    return np.asarray(picture * (OPACITY / 65535))


def real(picture: Array) -> Array:
    return np.asarray(picture / 257)


def on_white(picture: Array) -> Array:
    return real(picture) * (OPACITY / 65535) + 255 * (1 - OPACITY / 65535)


def keyed(picture: Array) -> Array:
    shown = real(picture)
    shown[KEY] = 255
    return shown


def printed(inks: Array) -> Array:
    return np.asarray((1 - inks[..., :3] / 65535) * (1 - inks[..., 3:] / 65535) * 255)


def planes(numbers: Array) -> Array:
    return np.moveaxis(numbers, -1, 0)


def swapped(numbers: Array) -> Array:
    return numbers.astype(numbers.dtype.newbyteorder(">"))


def turned(numbers: Array) -> Array:
    """As a picture of orientation 6 is shown."""
    return np.rot90(numbers, -1)


@dataclass(frozen=True)
class Case:
    """A way to write the picture, and what is shown of it: (height, width, bands) of 0..255, real numbers.

    roundings: how many lie between the two in 8 bits, half a step each: of the file's numbers, of its opacity, of what is shown.
    """

    write: Callable[[Path, str], None]
    shown: Array
    depths: tuple[str, ...] = DEPTHS
    roundings: int = 1


EXIF = chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0")  # orientation 6
TURN = [(ORIENTATION, "H", 1, 6, True)]
ZLIB = {"compression": "zlib"}
CASES: dict[str, Case] = {
    "PNG grey": Case(png_of(GREY), real(GREY), WHOLE),
    "PNG colour": Case(png_of(COLOUR), real(COLOUR), WHOLE),
    "PNG grey, alpha": Case(png_of(GREY, OPACITY), on_white(GREY), WHOLE, roundings=3),
    "PNG colour, alpha": Case(png_of(COLOUR, OPACITY), on_white(COLOUR), WHOLE, roundings=3),
    "PNG grey, transparent colour": Case(png_of(GREY, key=True), keyed(GREY), WHOLE),
    "PNG colour, transparent colour": Case(png_of(COLOUR, key=True), keyed(COLOUR), WHOLE),
    "PNG grey, turned": Case(png_of(GREY, before=EXIF), turned(real(GREY)), WHOLE),
    "PNG colour, turned": Case(png_of(COLOUR, before=EXIF), turned(real(COLOUR)), WHOLE),
    "PNG colour, alpha, turned": Case(png_of(COLOUR, OPACITY, before=EXIF), turned(on_white(COLOUR)), WHOLE, roundings=3),
    "PNG colour, transparent colour, turned": Case(
        png_of(COLOUR, key=True, before=EXIF), turned(keyed(COLOUR)), WHOLE),
    "PNG grey, interlaced": Case(png_of(GREY, passes=ADAM7), real(GREY), WHOLE),
    "PNG colour, alpha, interlaced": Case(png_of(COLOUR, OPACITY, passes=ADAM7), on_white(COLOUR), WHOLE, roundings=3),
    "PNG colour, significant bits": Case(png_of(COLOUR, before=chunk(b"sBIT", b"\5\5\5")), real(COLOUR), WHOLE),
    "WebP colour": Case(pillow_of(COLOUR, ".webp", lossless=True), real(COLOUR), EIGHT),
    "WebP colour, alpha": Case(
        pillow_of(np.concatenate([COLOUR, OPACITY], axis=-1), ".webp", lossless=True, exact=True), on_white(COLOUR), EIGHT, roundings=3),
    "BMP colour": Case(pillow_of(COLOUR, ".bmp"), real(COLOUR), EIGHT),
    "GIF grey": Case(pillow_of(GREY, ".gif"), real(GREY), EIGHT),
    "NumPy grey": Case(npy_of(GREY[..., 0]), real(GREY)),
    "NumPy colour": Case(npy_of(COLOUR), real(COLOUR)),
    "NumPy, big end first": Case(npy_of(COLOUR, swapped), real(COLOUR)),
    "NumPy, columns first": Case(npy_of(COLOUR, np.asfortranarray), real(COLOUR)),
    "TIFF grey": Case(tiff_of(GREY, edit=np.squeeze, photometric="minisblack"), real(GREY)),
    "TIFF grey by Pillow": Case(pillow_of(GREY, ".tif"), real(GREY)),
    "TIFF grey, LZW": Case(pillow_of(GREY, ".tif", compression="tiff_lzw"), real(GREY)),
    "TIFF grey, deflate": Case(tiff_of(GREY, edit=np.squeeze, photometric="minisblack", **ZLIB), real(GREY)),
    "TIFF grey, white is 0": Case(
        tiff_of(GREY, edit=lambda a: negative(np.squeeze(a)), photometric="miniswhite"), real(GREY)),
    "TIFF grey, white is 0, big end first": Case(
        tiff_of(GREY, edit=lambda a: negative(np.squeeze(a)), photometric="miniswhite", byteorder=">"), real(GREY)),
    "TIFF grey, white is 0, LZW": Case(
        pillow_of(GREY, ".tif", edit=negative, compression="tiff_lzw", tiffinfo={PHOTOMETRIC: 0}), real(GREY), DEPTHS[1:]),
    "TIFF grey, big end first": Case(tiff_of(GREY, edit=np.squeeze, photometric="minisblack", byteorder=">"), real(GREY)),
    "TIFF grey, alpha": Case(tiff_of(GREY, OPACITY, photometric="minisblack", extrasamples=["unassalpha"]), on_white(GREY), roundings=3),
    "TIFF grey, multiplied alpha": Case(
        tiff_of(multiplied(GREY), OPACITY, photometric="minisblack", extrasamples=["assocalpha"]), on_white(GREY), roundings=3),
    "TIFF grey, turned": Case(
        tiff_of(GREY, edit=np.squeeze, photometric="minisblack", extratags=TURN), turned(real(GREY))),
    "TIFF colour": Case(tiff_of(COLOUR, photometric="rgb"), real(COLOUR)),
    "TIFF colour, big end first": Case(tiff_of(COLOUR, photometric="rgb", byteorder=">"), real(COLOUR)),
    "TIFF colour, planes": Case(tiff_of(COLOUR, edit=planes, photometric="rgb", planarconfig="separate"), real(COLOUR)),
    "TIFF colour, deflate, differences": Case(
        tiff_of(COLOUR, photometric="rgb", predictor=True, **ZLIB), real(COLOUR), WHOLE),
    "TIFF colour, alpha": Case(tiff_of(COLOUR, OPACITY, photometric="rgb", extrasamples=["unassalpha"]), on_white(COLOUR), roundings=3),
    "TIFF colour, alpha, big end first": Case(
        tiff_of(COLOUR, OPACITY, photometric="rgb", extrasamples=["unassalpha"], byteorder=">"), on_white(COLOUR), roundings=3),
    "TIFF colour, multiplied alpha": Case(
        tiff_of(multiplied(COLOUR), OPACITY, photometric="rgb", extrasamples=["assocalpha"]), on_white(COLOUR), roundings=3),
    "TIFF colour, alpha, turned": Case(
        tiff_of(COLOUR, OPACITY, photometric="rgb", extrasamples=["unassalpha"], extratags=TURN), turned(on_white(COLOUR)), roundings=3),
    "TIFF inks": Case(tiff_of(INKS, photometric="separated"), printed(INKS), roundings=3),
}  # fmt: skip
BOTH = [(name, depth) for name, case in CASES.items() for depth in case.depths]


@pytest.mark.parametrize(("name", "depth"), BOTH)
def test_a_property_of_a_file_means_the_same_in_every_depth(tmp_path: Path, name: str, depth: str) -> None:
    case = CASES[name]
    case.write(tmp_path / "a", depth)
    (path,) = tmp_path.iterdir()
    count = case.shown.shape[-1]
    pixels = decode(path, count)
    assert (pixels.dtype, pixels.shape) == (np.uint8 if depth == "8 bits" else np.float32, case.shown.shape)
    assert np.abs(pixels - case.shown).max() <= STEP[depth] * case.roundings / 2 + 1e-4
    if count == 3 and "NumPy" not in name:
        luma = pixels.astype(float) @ (np.array([19595, 38470, 7471]) / 65536)
        assert np.abs(decode(path, 1)[..., 0] - luma).max() <= (0.5 if depth == "8 bits" else 1e-4)
    if count == 1:
        assert np.array_equal(decode(path, 3), np.repeat(pixels, 3, axis=-1))


@pytest.mark.parametrize("inks", [(0, 0, 0, 0), (255, 0, 0, 0), (0, 200, 100, 40), (0, 0, 0, 255)])
def test_inks_in_jpeg_are_the_colours_that_they_print(tmp_path: Path, inks: tuple[int, ...]) -> None:
    Image.new("CMYK", (16, 16), inks).save(tmp_path / "a.jpg", quality=95)
    shown = printed(np.array(inks)[None, None] * 257)
    assert np.abs(decode(tmp_path / "a.jpg", 3) - shown).max() <= 4  # of JPEG


def few_bits(path: Path, bits: int, numbers: Array, key: int | None = None) -> None:
    """A grey PNG of fewer than 8 bits."""
    packed = b"".join(
        b"\0" + np.packbits(np.unpackbits(row[:, np.newaxis], axis=1)[:, 8 - bits :].ravel()).tobytes()
        for row in numbers
    )
    header = struct.pack(">IIBBBBB", numbers.shape[1], numbers.shape[0], bits, 0, 0, 0, 0)
    transparent = b"" if key is None else chunk(b"tRNS", struct.pack(">H", key))
    parts = (b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header), transparent, chunk(b"IDAT", zlib.compress(packed)))
    path.write_bytes(b"".join((*parts, chunk(b"IEND", b""))))


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_a_transparent_grey_of_few_bits_is_white(tmp_path: Path, bits: int) -> None:
    numbers = RANDOM.integers(0, 2**bits, SHAPE, dtype=np.uint8)
    shown = numbers * (255 // (2**bits - 1))
    few_bits(tmp_path / "a.png", bits, numbers)
    assert np.array_equal(decode(tmp_path / "a.png", 1)[..., 0], shown)
    for key in {0, 1, int(numbers[KEY])}:
        few_bits(tmp_path / "b.png", bits, numbers, key)
        assert np.array_equal(decode(tmp_path / "b.png", 1)[..., 0], np.where(numbers == key, 255, shown))


@pytest.mark.parametrize("tag", [MAXIMUM, SIGNED_MAXIMUM, WHITE_LEVEL])
@pytest.mark.parametrize("bits", [9, 10, 12, 14])
def test_fewer_bits_in_16_are_told_by_a_tag(tmp_path: Path, tag: int, bits: int) -> None:
    white = 2**bits - 1
    numbers = COLOUR >> (16 - bits)
    for picture, kind in ((numbers, "rgb"), (numbers[..., 0], "minisblack")):
        tifffile.imwrite(tmp_path / "a.tif", picture, photometric=kind, extratags=[(tag, "H", 1, white, True)])
        shown = (picture * 255.0 / white).astype(np.float32).reshape(*SHAPE, -1)
        assert np.array_equal(decode(tmp_path / "a.tif", shown.shape[-1]), shown)


def test_the_largest_number_that_occurs_is_no_white(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.minimum(GREY[..., 0], 4000),
        photometric="minisblack",
        extratags=[(MAXIMUM, "H", 1, 4000, True)],
    )
    assert np.array_equal(decode(tmp_path / "a.tif", 1), (np.minimum(GREY, 4000) / 257).astype(np.float32))


def test_a_number_above_the_stated_white_is_one_sentence(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif", GREY[..., 0], photometric="minisblack", extratags=[(MAXIMUM, "H", 1, 4095, True)]
    )
    with pytest.raises(ImageError, match=r"^a\.tif has pixels outside 0\.\.4095, from \d+ to \d+"):
        decode(tmp_path / "a.tif", 1)


def test_packed_grey_of_12_bits_reaches_white(tmp_path: Path) -> None:
    numbers = COLOUR[:, :6, 0] >> 4
    numbers[0, 0] = 4095
    pairs = numbers.reshape(-1, 2).astype(int)
    packed = np.stack([pairs[:, 0] >> 4, (pairs[:, 0] & 15) << 4 | pairs[:, 1] >> 8, pairs[:, 1] & 255], axis=1).astype(
        np.uint8
    )
    tags = {256: 6, 257: 5, 258: 12, 259: 1, 262: 1, 273: 8, 277: 1, 278: 5, 279: packed.size}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    directory = struct.pack("<H", len(tags)) + entries + b"\0\0\0\0"
    data = packed.tobytes() + b"\0" * (packed.size % 2)
    (tmp_path / "a.tif").write_bytes(b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory)
    assert np.array_equal(decode(tmp_path / "a.tif", 1)[..., 0], (numbers * 255.0 / 4095).astype(np.float32))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "CMYK"])
def test_sixteen_bit_colour_that_only_pillow_unpacks_keeps_both_bytes(tmp_path: Path, mode: str) -> None:
    samples = {"RGB": COLOUR, "RGBA": np.concatenate([COLOUR, OPACITY], axis=-1), "CMYK": INKS}[mode]
    shown = {"RGB": real(COLOUR), "RGBA": on_white(COLOUR), "CMYK": printed(INKS)}[mode]
    tags = {
        256: SHAPE[1],
        257: SHAPE[0],
        258: 16,
        259: 5,
        262: 5 if mode == "CMYK" else 2,
        277: samples.shape[-1],
        278: SHAPE[0],
    }
    (tmp_path / "a.tif").write_bytes(lzw_tiff(samples, tags, alpha=mode == "RGBA"))
    np.testing.assert_allclose(decode(tmp_path / "a.tif", 3), shown, atol=1e-4)


@pytest.mark.parametrize(("photometric", "count", "extra"), [(2, 4, 0), (1, 2, 2), (1, 3, 0)])
def test_what_neither_reader_unpacks_names_its_compression(
    tmp_path: Path, photometric: int, count: int, extra: int
) -> None:
    tags = {256: SHAPE[1], 257: SHAPE[0], 258: 16, 259: 5, 262: photometric, 277: count, 278: SHAPE[0], 338: extra}
    (tmp_path / "a.tif").write_bytes(lzw_tiff(INKS[..., :count], tags, alpha=False))
    with pytest.raises(ImageError, match=rf"^a\.tif has {count} channels of 16 bits compressed by LZW; save it"):
        decode(tmp_path / "a.tif", 3)


def lzw_tiff(samples: Array, tags: dict[int, int], alpha: bool) -> bytes:
    """A TIFF of 16 bits a sample compressed by LZW, in the simplest way: codes of 9 bits, begun anew before they would grow."""
    codes: list[int] = []
    for number, byte in enumerate(samples.astype("<u2").tobytes()):
        codes.extend([256, byte] if number % 200 == 0 else [byte])
    bits = "".join(f"{code:09b}" for code in [*codes, 257])
    packed = int(bits.ljust(-(-len(bits) // 16) * 16, "0"), 2).to_bytes(-(-len(bits) // 16) * 2, "big")
    count = samples.shape[-1]
    depths = struct.pack(f"<{count}H", *[16] * count)
    entries = {**tags, 273: 8, 279: len(packed), **({338: 2} if alpha else {})}
    directory = struct.pack("<H", len(entries))
    for tag, value in sorted(entries.items()):
        if tag == 258:
            directory += struct.pack("<HHI", tag, 3, count)
            directory += (
                struct.pack("<I", 8 + len(packed)) if len(depths) > 4 else depths
            )  # what is short stands in its place
        elif tag == 338:
            directory += struct.pack("<HHIHH", tag, 3, 1, value, 0)
        else:
            directory += struct.pack("<HHII", tag, 4, 1, value)
    return b"II*\0" + struct.pack("<I", 8 + len(packed) + len(depths)) + packed + depths + directory + b"\0\0\0\0"


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
@pytest.mark.parametrize("suffix", [".npy", ".tif"])
def test_floating_point_numbers_of_every_precision_are_read(tmp_path: Path, kind: str, suffix: str) -> None:
    numbers = (GREY[..., 0] / 65535).astype(kind)
    path = tmp_path / f"a{suffix}"
    np.save(path, numbers) if suffix == ".npy" else tifffile.imwrite(path, numbers, photometric="minisblack")
    assert np.array_equal(decode(path, 1)[..., 0], (numbers.astype(np.float64) * 255).astype(np.float32))


def test_small_floating_point_numbers_keep_their_digits(tmp_path: Path) -> None:
    numbers = np.array([[1e-6, 3e-5, 1.0]], np.float32)
    np.save(tmp_path / "a.npy", numbers)
    np.testing.assert_allclose(decode(tmp_path / "a.npy", 1)[..., 0], numbers * 255.0, rtol=1e-7)


def test_signed_samples_and_other_colours_are_refused_by_name(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", (GREY[..., 0] >> 8).astype(np.uint8).view(np.int8), photometric="minisblack")
    with pytest.raises(ImageError, match=r"^a\.tif contains int8; save it as uint8"):
        decode(tmp_path / "a.tif", 1)
    tifffile.imwrite(tmp_path / "b.tif", COLOUR, photometric="cielab")
    with pytest.raises(ImageError, match=r"^b\.tif contains colors of the kind CIELAB; save it as RGB"):
        decode(tmp_path / "b.tif", 3)
