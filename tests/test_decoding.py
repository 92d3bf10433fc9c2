"""Image files become the pixels that a viewer shows, or one sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from reportgen.core.errors import ImageError
from reportgen.inputs.decoding import decode

RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
GREY = RGB[..., 0].copy()
ORIENTATION = 0x0112


def saved(path: Path, image: Image.Image, **options: Any) -> Path:
    image.save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["png", "tiff", "bmp", "gif", "webp", "PNG"])
def test_grey_in_every_lossless_format_is_repeated_for_three_bands(tmp_path: Path, suffix: str) -> None:
    path = saved(tmp_path / f"a.{suffix}", Image.fromarray(GREY), **({"lossless": True} if suffix == "webp" else {}))
    assert np.array_equal(decode(path, 3), np.stack([GREY] * 3, axis=-1))


@pytest.mark.parametrize("suffix", ["png", "tiff", "bmp", "webp"])
def test_colour_in_every_lossless_format_is_exact(tmp_path: Path, suffix: str) -> None:
    path = saved(tmp_path / f"a.{suffix}", Image.fromarray(RGB), **({"lossless": True} if suffix == "webp" else {}))
    pixels = decode(path, 3)
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, RGB)


def test_jpeg_is_decoded(tmp_path: Path) -> None:
    flat = np.full((16, 24, 3), (200, 100, 50), dtype=np.uint8)
    path = saved(tmp_path / "a.jpg", Image.fromarray(flat), quality=95)
    assert np.abs(decode(path, 3).astype(int) - flat).max() <= 3


def test_rgb_to_one_band_is_the_luma_of_itu_r_601(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", Image.fromarray(RGB))
    luma = (RGB.astype(np.int64) @ np.array([19595, 38470, 7471]) + 32768) >> 16  # 0.299, 0.587, 0.114 in 16 bits
    assert np.array_equal(decode(path, 1), luma[..., np.newaxis])


def test_grey_to_one_band_is_exact(tmp_path: Path) -> None:
    assert np.array_equal(decode(saved(tmp_path / "a.png", Image.fromarray(GREY)), 1), GREY[..., np.newaxis])


def test_one_bit_pictures_are_black_and_white(tmp_path: Path) -> None:
    bits = GREY > 127
    path = saved(tmp_path / "a.png", Image.fromarray(bits))
    with Image.open(path) as image:
        assert image.mode == "1"
    assert np.array_equal(decode(path, 1)[..., 0], np.where(bits, 255, 0))


def on_white(colour: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.float64]:
    share = alpha[..., np.newaxis] / 255
    return np.asarray(colour * share + 255 * (1 - share))


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    alpha = np.random.default_rng(1).integers(0, 256, GREY.shape, dtype=np.uint8)
    alpha[0], alpha[1] = 0, 255
    colour = Image.fromarray(np.dstack([RGB, alpha]))
    expected = on_white(RGB, alpha)
    for name in ("a.png", "a.tiff"):
        assert np.abs(decode(saved(tmp_path / name, colour), 3) - expected).max() <= 1
    grey = Image.merge("LA", (Image.fromarray(GREY), Image.fromarray(alpha)))
    expected = on_white(GREY[..., np.newaxis], alpha)
    pixels = decode(saved(tmp_path / "b.png", grey), 1)
    assert np.abs(pixels - expected).max() <= 1
    assert (pixels[0] == 255).all()
    assert np.array_equal(pixels[1, :, 0], GREY[1])


def test_a_transparent_palette_colour_is_white(tmp_path: Path) -> None:
    image = Image.fromarray((np.arange(12) % 3).reshape(3, 4).astype(np.uint8))
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    colours = np.array([[10, 20, 30], [255, 255, 255], [70, 80, 90]])
    expected = colours[(np.arange(12) % 3).reshape(3, 4)]
    for name in ("a.png", "a.gif"):
        assert np.array_equal(decode(saved(tmp_path / name, image, transparency=1), 3), expected)
    half = saved(tmp_path / "b.png", image, transparency=bytes([255, 0, 255]))
    assert np.array_equal(decode(half, 3), expected)


@pytest.mark.parametrize(("array", "key"), [(GREY, int(GREY[2, 3])), (RGB, tuple(map(int, RGB[2, 3])))])
def test_a_transparent_key_colour_is_white(tmp_path: Path, array: NDArray[np.uint8], key: object) -> None:
    path = saved(tmp_path / "a.png", Image.fromarray(array), transparency=key)
    assert (decode(path, 3)[2, 3] == 255).all()
    assert np.array_equal(decode(path, 3)[0, 0], np.broadcast_to(array[0, 0], 3))


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    inks = np.zeros((1, 4, 4), dtype=np.uint8)
    inks[0, [0, 1, 2], [0, 1, 2]] = 255  # cyan, magenta, yellow, paper
    path = saved(tmp_path / "a.tiff", Image.frombytes("CMYK", (4, 1), inks.tobytes()))
    expected = [[[0, 255, 255], [255, 0, 255], [255, 255, 0], [255, 255, 255]]]
    assert decode(path, 3).tolist() == expected


SIXTEEN = np.array([[0, 128, 129, 257, 32767], [32768, 40000, 65277, 65406, 65535]], dtype=np.uint16)
SCALED = (SIXTEEN / 257).astype(np.float32)


@pytest.mark.parametrize("suffix", ["png", "tiff"])
@pytest.mark.parametrize("bands", [1, 3])
def test_sixteen_bits_are_scaled_and_not_rounded(tmp_path: Path, suffix: str, bands: int) -> None:
    path = saved(tmp_path / f"a.{suffix}", Image.fromarray(SIXTEEN))
    pixels = decode(path, bands)
    assert pixels.dtype == np.float32
    assert np.array_equal(pixels, np.repeat(SCALED[..., np.newaxis], bands, axis=2))


def test_big_endian_sixteen_bits_are_scaled_too(tmp_path: Path) -> None:
    image = Image.frombytes("I;16B", (5, 2), SIXTEEN.astype(">u2").tobytes())
    assert np.array_equal(decode(saved(tmp_path / "a.tiff", image), 1)[..., 0], SCALED)


def test_whole_numbers_beyond_sixteen_bits_are_an_error(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.tiff", Image.fromarray(np.array([[0, 70000]], dtype=np.int32)))
    with pytest.raises(ImageError, match=r"^a\.tiff has pixels outside 0\.\.65535"):
        decode(path, 1)


def test_floats_from_0_to_1_are_read_and_others_refused(tmp_path: Path) -> None:
    unit = np.array([[0, 0.5, 1]], dtype=np.float32)
    assert decode(saved(tmp_path / "a.tiff", Image.fromarray(unit)), 1).ravel().tolist() == [0, 127.5, 255]
    for name, wrong in (("b.tiff", unit * 2), ("c.tiff", unit - 1), ("d.tiff", unit * np.float32("nan"))):
        with pytest.raises(ImageError, match=rf"^{name[0]}\.tiff has floating-point pixels outside 0\.\.1"):
            decode(saved(tmp_path / name, Image.fromarray(wrong)), 1)


TURNS: dict[
    int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
] = {  # how a viewer must turn what is stored (Exif 2.3)
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: np.swapaxes(a, 0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.swapaxes(a[::-1, ::-1], 0, 1),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("kind", ["png", "webp", "tiff", "tiff_lzw", "pages.tiff"])
def test_exif_orientation_is_applied_once(tmp_path: Path, orientation: int, kind: str) -> None:
    image = Image.fromarray(RGB)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options: dict[str, Any] = {"exif": exif}
    if kind == "webp":
        options |= {"lossless": True}
    if kind == "tiff_lzw":
        options |= {"compression": "tiff_lzw"}
    if kind == "pages.tiff":
        options |= {"save_all": True, "append_images": [image]}
    path = saved(tmp_path / f"a.{kind.split('_')[0]}", image, **options)
    assert np.array_equal(decode(path, 3), TURNS[orientation](RGB))


def test_exif_orientation_of_a_jpeg_and_of_sixteen_bits_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    wide = np.zeros((16, 48, 3), dtype=np.uint8)
    wide[:, :16] = 255
    pixels = decode(saved(tmp_path / "a.jpg", Image.fromarray(wide), exif=exif), 3)
    assert pixels.shape == (48, 16, 3)
    assert pixels[:12].min() > 240
    assert pixels[-12:].max() < 15
    turned = decode(saved(tmp_path / "a.png", Image.fromarray(SIXTEEN), exif=exif), 1)
    assert np.array_equal(turned[..., 0], np.rot90(SCALED, -1))


def test_orientation_behind_the_pixels_of_a_png_is_found(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    path = saved(tmp_path / "a.png", Image.fromarray(RGB), exif=exif)
    data = path.read_bytes()
    start = data.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(data[start : start + 4], "big")
    tail = data.index(b"IEND") - 4
    path.write_bytes(data[:start] + data[end:tail] + data[start:end] + data[tail:])
    assert np.array_equal(decode(path, 3), np.rot90(RGB, -1))


def test_a_damaged_exif_block_does_not_spoil_the_picture(tmp_path: Path) -> None:
    block = b"Exif\0\0II*\0\x08\0\0\0\x03\0\x0f\x01\x02\0\xff\0\0\0\xf0\xf0\0\0"  # text beyond the block's end
    pixels = decode(saved(tmp_path / "a.jpg", Image.fromarray(np.full((8, 8, 3), 77, np.uint8)), exif=block), 3)
    assert np.abs(pixels.astype(int) - 77).max() <= 2


def test_the_first_frame_of_an_animation_is_taken(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((4, 4), value, dtype=np.uint8)) for value in (10, 200)]
    path = saved(tmp_path / "a.gif", frames[0], save_all=True, append_images=frames[1:])
    assert (decode(path, 1) == 10).all()


@pytest.mark.parametrize(
    ("image", "found"), [(Image.fromarray(RGB), "3 channels"), (Image.fromarray(GREY), "1 channel")]
)
@pytest.mark.parametrize("bands", [2, 4])
def test_a_mismatch_of_bands_names_both_numbers(tmp_path: Path, image: Image.Image, found: str, bands: int) -> None:
    with pytest.raises(ImageError, match=rf"^a\.png has {found} but the model takes {bands}; .*\.npy"):
        decode(saved(tmp_path / "a.png", image), bands)


@pytest.mark.parametrize("bands", [1, 3, 4])
def test_arrays_with_the_right_bands_are_taken_as_they_are(tmp_path: Path, bands: int) -> None:
    array = np.random.default_rng(2).integers(0, 256, (4, 6, bands), dtype=np.uint8)
    np.save(tmp_path / "a.npy", np.asfortranarray(array))
    assert np.array_equal(decode(tmp_path / "a.npy", bands), array)
    wide = array.astype(np.uint16) * 257
    np.save(tmp_path / "b.npy", wide.astype(">u2"))
    assert np.array_equal(decode(tmp_path / "b.npy", bands), array)
    assert type(decode(tmp_path / "b.npy", bands)) is np.ndarray


def test_flat_arrays_are_grey_pictures(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", GREY)
    assert np.array_equal(decode(tmp_path / "a.npy", 1), GREY[..., np.newaxis])
    assert np.array_equal(decode(tmp_path / "a.npy", 3), np.stack([GREY] * 3, axis=-1))
    with pytest.raises(ImageError, match="has 1 channel but the model takes 4"):
        decode(tmp_path / "a.npy", 4)


def test_arrays_with_other_bands_are_an_error(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", RGB)
    with pytest.raises(ImageError, match=r"^a\.npy has 3 channels but the model takes 1"):
        decode(tmp_path / "a.npy", 1)


@pytest.mark.parametrize(
    "array",
    [np.zeros((2, 2), complex), np.zeros((2, 2), bool), np.zeros(4, np.uint8), np.zeros((1, 2, 2, 3), np.uint8), np.zeros((0, 2), np.uint8),
     np.zeros((2, 2), np.int8), np.zeros((2, 2), np.uint32)],
)  # fmt: skip
def test_arrays_of_another_kind_are_an_error(tmp_path: Path, array: NDArray[np.generic]) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(ImageError, match=r"^a\.npy "):
        decode(tmp_path / "a.npy", 3)


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_floating_point_arrays_go_from_the_stated_black_to_the_stated_white(tmp_path: Path, kind: str) -> None:
    numbers = np.random.default_rng(3).uniform(-1, 3, (4, 6, 2)).astype(kind)
    numbers[0, 0] = -1, 3
    np.save(tmp_path / "a.npy", numbers)
    expected = ((numbers.astype(float) + 1) / 4 * 255).astype(np.float32)
    assert np.array_equal(decode(tmp_path / "a.npy", 2, (-1.0, 3.0)), expected)
    assert decode(tmp_path / "a.npy", 2, (-1.0, 3.0))[0, 0].tolist() == [0, 255]
    with pytest.raises(
        ImageError, match=r"^a\.npy has floating-point pixels outside 0\.\.1, from -1 to 3; .*--input-range"
    ):
        decode(tmp_path / "a.npy", 2)


def test_sixteen_bit_arrays_have_their_white_whatever_floats_mean(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", SIXTEEN)
    assert np.array_equal(decode(tmp_path / "a.npy", 1, (0.0, 9.0))[..., 0], SCALED)
