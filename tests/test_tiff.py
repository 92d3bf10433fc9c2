"""TIFF files of scientists are read exactly: many bands, 16 bits and floating point in colour, bands as pages."""

from __future__ import annotations

import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from reportgen.core.errors import ImageError
from reportgen.inputs.decoding import decode

COUNT = 12
NUMBERS = np.random.default_rng(0).integers(0, 65536, (9, 7, COUNT), dtype=np.uint16)
SCALED = (NUMBERS / 257).astype(np.float32)
EIGHT = np.round(SCALED)

LAYOUTS: dict[str, Any] = {
    "contiguous": lambda a: (a, {"photometric": "minisblack", "planarconfig": "contig"}),
    "separate": lambda a: (np.moveaxis(a, 2, 0), {"photometric": "minisblack", "planarconfig": "separate"}),
    "pages": lambda a: (np.moveaxis(a, 2, 0), {"photometric": "minisblack"}),
    "as a plain array": lambda a: (a, {"photometric": "minisblack"}),
    "deflate": lambda a: (a, {"photometric": "minisblack", "planarconfig": "contig", "compression": "zlib", "predictor": True}),
    "tiles": lambda a: (a, {"photometric": "minisblack", "planarconfig": "contig", "tile": (16, 16), "compression": "zlib"}),
    "big": lambda a: (a, {"photometric": "minisblack", "planarconfig": "contig", "bigtiff": True, "byteorder": ">"}),
}  # fmt: skip


def written(path: Path, layout: str, array: np.ndarray) -> Path:
    stored, options = LAYOUTS[layout](array)
    tifffile.imwrite(path, stored, **options)
    return path


@pytest.mark.parametrize("layout", LAYOUTS)
def test_twelve_bands_are_read_in_every_layout(tmp_path: Path, layout: str) -> None:
    assert np.array_equal(decode(written(tmp_path / "a.tif", layout, NUMBERS), COUNT), SCALED)


@pytest.mark.parametrize("layout", ["contiguous", "pages"])
def test_twelve_floating_point_bands_go_from_black_to_white(tmp_path: Path, layout: str) -> None:
    numbers = (NUMBERS / 65535 * 4 - 1).astype(np.float32)
    path = written(tmp_path / "a.tif", layout, numbers)
    assert np.array_equal(decode(path, COUNT, (-1.0, 3.0)), ((numbers.astype(float) + 1) / 4 * 255).astype(np.float32))
    with pytest.raises(ImageError, match=r"^a\.tif has floating-point pixels outside 0\.\.1"):
        decode(path, COUNT)


def test_four_samples_are_four_bands_to_a_model_of_four_and_else_colour_on_white(tmp_path: Path) -> None:
    samples = EIGHT[..., :4].astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", samples)  # the fourth is marked as transparency, as most programs write
    assert np.array_equal(decode(tmp_path / "a.tif", 4), samples)
    share = samples[..., 3:] / 255
    assert np.abs(decode(tmp_path / "a.tif", 3) - (samples[..., :3] * share + 255 * (1 - share))).max() <= 1


def test_colour_of_sixteen_bits_and_of_floating_point_is_exact(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", NUMBERS[..., :3])
    assert np.array_equal(decode(tmp_path / "a.tif", 3), SCALED[..., :3])
    tifffile.imwrite(tmp_path / "b.tif", (EIGHT[..., :3] / 255).astype(np.float32), photometric="rgb")
    np.testing.assert_allclose(decode(tmp_path / "b.tif", 3), EIGHT[..., :3], rtol=1e-7)
    luma = EIGHT[..., :3] @ (np.array([19595, 38470, 7471]) / 65536)  # Pillow's `L` before it rounds
    np.testing.assert_allclose(decode(tmp_path / "b.tif", 1)[..., 0], luma, rtol=1e-6)


def test_of_several_colour_pages_the_first_is_taken(tmp_path: Path) -> None:
    pages = np.stack([NUMBERS[..., :3], NUMBERS[..., 3:6]])
    tifffile.imwrite(tmp_path / "a.tif", pages, photometric="rgb")
    assert np.array_equal(decode(tmp_path / "a.tif", 3), SCALED[..., :3])


TURNS = {
    3: lambda a: a[::-1, ::-1],
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.swapaxes(a[::-1, ::-1], 0, 1),
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", TURNS)
def test_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    stored, options = LAYOUTS["contiguous"](NUMBERS)
    tifffile.imwrite(tmp_path / "a.tif", stored, **options, extratags=[(274, "H", 1, orientation, True)])
    assert np.array_equal(decode(tmp_path / "a.tif", COUNT), TURNS[orientation](SCALED))


def test_another_number_of_bands_names_both(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"^a\.tif has 12 channels but the model takes 3"):
        decode(written(tmp_path / "a.tif", "contiguous", NUMBERS), 3)


def test_a_compression_that_is_not_read_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tif", "contiguous", NUMBERS)
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        tag = file.pages[0].tags["Compression"]
    data[tag.valueoffset : tag.valueoffset + 2] = (5).to_bytes(2, "little")
    path.write_bytes(data)
    with pytest.raises(ImageError, match=r"^a\.tif has 12 channels of 16 bits compressed by LZW; save it uncompressed"):
        decode(path, COUNT)


def test_a_picture_of_too_many_numbers_is_refused_from_its_header(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tif", "contiguous", NUMBERS)
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        for name in ("ImageWidth", "ImageLength"):
            tag = file.pages[0].tags[name]
            data[tag.valueoffset : tag.valueoffset + 2] = (60_000).to_bytes(2, "little")
    path.write_bytes(data)
    with pytest.raises(ImageError, match=r"^a\.tif contains 43200000000 numbers, more than the limit"):
        decode(path, COUNT)


def test_a_block_that_unpacks_to_more_than_the_picture_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tif", "deflate", NUMBERS)
    bomb = zlib.compress(bytes(200_000_000), 9)
    with tifffile.TiffFile(path) as file:
        tags = file.pages[0].tags
        offset, count = tags["StripOffsets"], tags["StripByteCounts"]
    data = bytearray(path.read_bytes())
    for tag, value in ((offset, len(data)), (count, len(bomb))):
        size = 2 if tag.dtype == 3 else 4
        data[tag.valueoffset : tag.valueoffset + size] = value.to_bytes(size, "little") if value < 256**size else b""
    path.write_bytes(bytes(data) + bomb)
    tracemalloc.start()
    with pytest.raises(ImageError, match=r"^a\.tif is damaged"):
        decode(path, COUNT)
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


def test_damaged_bytes_give_pixels_or_one_sentence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = written(tmp_path / "a.tif", "contiguous", NUMBERS).read_bytes()
    generator = np.random.default_rng(4)
    for _ in range(60):
        damaged = bytearray(data)
        for position in generator.integers(0, 400, 4):
            damaged[position] = generator.integers(0, 256)
        (tmp_path / "a.tif").write_bytes(damaged)
        outcome: int | str
        try:
            outcome = decode(tmp_path / "a.tif", COUNT).ndim
        except ImageError as error:
            outcome = str(error).split()[0]
        assert outcome in (3, "a.tif")
    assert capfd.readouterr() == ("", "")
