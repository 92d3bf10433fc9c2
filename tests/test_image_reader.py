"""Images are decoded once a run, the arrays are those of `decode`, and no more of them are kept than the limit says."""

from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile

from reportgen.core.progress import Progress
from reportgen.core.settings import Settings
from reportgen.inputs.decoding import decode
from reportgen.inputs.image_reader import ImageReader, read
from reportgen.pipeline import build
from small_models import conv, functional, layers, pictures, randomised

GREY_16 = np.arange(20 * 24, dtype=np.uint16).reshape(20, 24) * 100


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Colour, grey, 16 bits, transparent, JPEG and an array."""
    colour, other = pictures(2, 20, 24)
    Image.fromarray(colour).save(tmp_path / "colour.png")
    Image.fromarray(other[..., 0]).save(tmp_path / "grey.png")
    Image.fromarray(GREY_16).save(tmp_path / "deep.png")
    Image.fromarray(np.dstack([colour, other[..., 0]])).save(tmp_path / "transparent.png")
    Image.fromarray(other).save(tmp_path / "photo.jpg")
    Image.fromarray(GREY_16.astype(np.float32) / 2**16).save(tmp_path / "floats.tif")
    np.save(tmp_path / "array.npy", other)
    return tmp_path


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often Pillow has unpacked the pixels of each file."""
    counts: Counter[str] = Counter()
    load = ImageFile.ImageFile.load

    def counted(self: ImageFile.ImageFile) -> Any:
        if self.tile:  # not loaded yet
            counts[Path(self.fp.name).name] += 1  # type: ignore[union-attr]
        return load(self)

    monkeypatch.setattr(ImageFile.ImageFile, "load", counted)
    return counts


@pytest.mark.parametrize("bands", [1, 3])
def test_a_run_decodes_every_image_once(folder: Path, tmp_path: Path, decoded: Counter[str], bands: int) -> None:
    stack = [conv(2, name="near"), conv(2, dilation_rate=20, name="far")]  # natural maxima at two sizes
    model = randomised(functional(*stack, layers.GlobalAveragePooling2D(), layers.Softmax(), shape=(None, None, bands)))
    names = ["colour.png", "grey.png", "deep.png", "transparent.png", "photo.jpg"]
    images = tuple(str(folder / name) for name in names)
    quick: dict[str, Any] = {"steps": 1, "filters": "1", "image_size": 32, "method": "keras-io"}
    settings = Settings(images=images, preprocess="unit", input_range=(0, 1), **quick)
    build(model, settings, tmp_path / "report", progress=Progress(False), say=lambda sentence: None)
    assert decoded == dict.fromkeys(names, 1)


def test_what_is_read_is_what_decoding_gives(folder: Path) -> None:
    reader = ImageReader()
    files = sorted(path for path in folder.iterdir() if path.is_file())
    assert len(files) == 7
    for path in files:
        for bands in (3, 1) if path.suffix != ".npy" else (3,):
            for _ in range(2):
                found, expected = reader.read(path, bands, 2), decode(path, bands)
                assert found.dtype == expected.dtype
                np.testing.assert_array_equal(found, expected)
                np.testing.assert_array_equal(read(path, bands, 2), expected)


def test_no_more_is_kept_than_the_limit_says(folder: Path, decoded: Counter[str]) -> None:
    reader = ImageReader(kept_bytes=2 * 20 * 24 * 3)
    for _ in range(3):
        for name in ("colour.png", "photo.jpg", "transparent.png"):
            reader.read(folder / name, 3, 2)
    assert decoded == {"colour.png": 1, "photo.jpg": 1, "transparent.png": 3}


def test_what_all_callers_share_cannot_be_changed(folder: Path) -> None:
    array = ImageReader().read(folder / "colour.png", 3, 2)
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 0


def test_a_copy_in_another_process_has_decoded_nothing(folder: Path, decoded: Counter[str]) -> None:
    reader = ImageReader()
    for one in (reader, reader, pickle.loads(pickle.dumps(reader))):
        one.read(folder / "colour.png", 3, 2)
    assert decoded == {"colour.png": 2}
    assert len(pickle.dumps(reader)) < 200
