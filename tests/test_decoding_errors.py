"""Whatever is wrong with an image file, one sentence says so, without warnings, tracebacks, pickles or much memory."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile

from reportgen.core.errors import ImageError
from reportgen.inputs.decoding import PIXEL_LIMIT, decode

RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def saved(path: Path, image: Image.Image, **options: Any) -> Path:
    image.save(path, **options)
    return path


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    canary = tmp_path / "canary"

    class Trap:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
            return os.mkdir, (str(canary),)

    np.save(tmp_path / "a.npy", np.array([[Trap()]], dtype=object), allow_pickle=True)
    with pytest.raises(ImageError):
        decode(tmp_path / "a.npy", 3)
    assert not canary.exists()


def bomb(width: int, height: int) -> bytes:
    """A PNG whose header promises many pixels and whose data are a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("pillow_limit", [None, 1000])
def test_a_decompression_bomb_is_refused_from_its_header_whatever_pillow_is_set_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pillow_limit: int | None
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pillow_limit)
    (tmp_path / "a.png").write_bytes(bomb(20_000, PIXEL_LIMIT // 20_000 + 1))
    with pytest.raises(ImageError, match=r"^a\.png has 20000 x 10001 pixels, more than the limit of 200 megapixels"):
        decode(tmp_path / "a.png", 3)
    assert pillow_limit == Image.MAX_IMAGE_PIXELS


def test_a_picture_within_our_limit_is_read_whatever_pillow_is_set_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path / "a.png", Image.fromarray(RGB))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1)
    assert np.array_equal(decode(path, 3), RGB)


def test_an_array_with_too_many_pixels_is_refused_from_its_header(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|u1", "fortran_order": False, "shape": (20_000, PIXEL_LIMIT // 20_000 + 1)}
        )
        file.truncate(PIXEL_LIMIT + 10**6)  # a sparse file: no disk is used
    with pytest.raises(ImageError, match="more than the limit of 200 megapixels"):
        decode(path, 1)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tiff", "bmp", "gif", "npy"])
@pytest.mark.parametrize("lenient", [False, True])
def test_a_truncated_file_is_an_error_without_noise(
    tmp_path: Path, suffix: str, lenient: bool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", lenient)
    path = tmp_path / f"a.{suffix}"
    big = np.random.default_rng(3).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    if suffix == "npy":
        np.save(path, big)
    else:
        Image.fromarray(big).save(path)
    data = path.read_bytes()
    for length in (3, 20, len(data) // 2, len(data) - len(data) // 8):
        path.write_bytes(data[:length])
        with pytest.raises(ImageError, match=rf"^a\.{suffix} [^\n]*\.$") as caught:
            decode(path, 3)
        assert str(tmp_path) not in str(caught.value)
    assert capfd.readouterr() == ("", "")
    assert bool(ImageFile.LOAD_TRUNCATED_IMAGES) is lenient


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tiff", "bmp", "gif", "npy"])
def test_damaged_bytes_give_pixels_or_one_sentence_and_nothing_else(
    tmp_path: Path, suffix: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"a.{suffix}"
    if suffix == "npy":
        np.save(path, RGB)
    else:
        Image.fromarray(RGB).save(path)
    data = path.read_bytes()
    generator = np.random.default_rng(4)
    for _ in range(40):
        damaged = bytearray(data)
        for position in generator.integers(0, min(len(data), 120), 4):
            damaged[position] = generator.integers(0, 256)
        path.write_bytes(damaged)
        outcome: int | str
        try:
            outcome = decode(path, 3).ndim
        except ImageError as error:
            outcome = str(error).split()[0]
        assert outcome in (3, f"a.{suffix}")
    assert capfd.readouterr() == ("", "")


def test_what_pillow_logs_does_not_reach_the_terminal(tmp_path: Path) -> None:
    tags = [
        (256, 1),
        (257, 1),
        (258, 8),
        (259, 1),
        (262, 1),
        (273, 8),
        (277, 99),
        (278, 1),
        (279, 1),
    ]  # 99 samples a pixel
    entries = b"".join(struct.pack("<HHII", tag, 3, 1, value) for tag, value in tags)
    (tmp_path / "a.tif").write_bytes(b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4))
    code = (
        "import sys\nfrom reportgen.inputs.decoding import decode\n"
        "try:\n    decode(sys.argv[1], 3)\nexcept Exception as error:\n    print(error)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.tif")]
    finished = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
    assert finished.stdout.startswith("a.tif ")
    assert finished.stderr == ""


def test_what_is_no_image_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("%!PS-Adobe-3.0 EPSF-3.0")
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    expected = {
        "empty.png": "is empty",
        "text.png": "is not a PNG",
        "folder.png": "is a folder",
        "pipe.png": "is not a regular file",
        "missing.png": "does not exist",
    }
    for name, reason in expected.items():
        with pytest.raises(ImageError, match=f"^{name} {reason}"):
            decode(tmp_path / name, 3)


def test_a_file_that_may_not_be_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "a.png", Image.fromarray(RGB))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)  # the superuser may read everything, so no real file refuses
    with pytest.raises(ImageError, match=r"^a\.png cannot be read; check its permissions\.$"):
        decode(path, 3)
