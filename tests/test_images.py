"""The user's images are found in order, counted honestly and resized as the interface defines."""

from __future__ import annotations

import hashlib
import io
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms

from reportgen.core.errors import ImageError
from reportgen.inputs.decoding import decode
from reportgen.inputs.images import collect, fit, natural_crops

BICUBIC = Image.Resampling.BICUBIC


def noise(height: int, width: int, bands: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, bands), dtype=np.uint8)


def write(path: Path, seed: int = 0, height: int = 6, width: int = 5) -> Path:
    Image.fromarray(noise(height, width, 3, seed)).save(path)
    return path


def resized(pixels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    bands = [
        Image.fromarray(pixels[..., band].copy()).resize((width, height), BICUBIC) for band in range(pixels.shape[2])
    ]
    return np.stack([np.asarray(band) for band in bands], axis=-1)


def test_files_and_folders_keep_the_order_of_the_user(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("b.png", "a.JPG", "c.webp"):
        write(folder / name)
    (folder / "notes.txt").write_text("not an image")
    (folder / "._a.png").write_bytes(b"not an image either")
    (folder / "deeper.png").mkdir()
    first = write(tmp_path / "z.png")
    found = collect([first, folder], 3, 8)
    assert [image.record.name for image in found.images] == ["z.png", "a.JPG", "b.png", "c.webp"]
    assert found.left_out == ()
    assert found.notes == ()


def test_of_a_folder_with_folders_one_image_of_each_is_taken_in_turn(tmp_path: Path) -> None:
    for name in (
        "top.png",
        "cats/a.png",
        "cats/b.png",
        "dogs/a.png",
        "dogs/.hidden.png",
        ".thumbnails/a.png",
        "dogs/deep/x.png",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write(tmp_path / name, len(name))
    (tmp_path / "dogs" / "b.png").write_bytes(b"no")
    found = collect([tmp_path], 3, 8)
    names = ["top.png", "cats/a.png", "dogs/a.png", "dogs/deep/x.png", "cats/b.png"]
    assert [image.record.name for image in found.images] == names
    assert len({image.record.slug for image in found.images}) == len(names)
    assert [item["name"] for item in found.left_out] == ["dogs/b.png"]


def test_a_pattern_that_no_shell_expanded_stands_for_its_files_in_order(tmp_path: Path) -> None:
    for name in ("b.png", "a.png", "deep/c.png", "d.webp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write(tmp_path / name, len(name))
    (tmp_path / "bad.png").write_bytes(b"no")
    found = collect([tmp_path / "*.png"], 3, 8)
    assert [image.record.name for image in found.images] == ["a.png", "b.png"]
    assert [item["name"] for item in found.left_out] == ["bad.png"]
    everywhere = collect([str(tmp_path / "**" / "*.png")], 3, 8)
    assert [image.record.name for image in everywhere.images] == ["a.png", "b.png", "c.png"]
    with pytest.raises(ImageError, match=r"^no image matches \*\.jpg; image files end in \.png"):
        collect([tmp_path / "*.jpg"], 3, 8)
    write(tmp_path / "[x].png")  # a file of that very name is that file
    assert [image.record.name for image in collect([tmp_path / "[x].png"], 3, 8).images] == ["[x].png"]


def test_thousands_of_images_are_counted_and_only_the_first_are_decoded(tmp_path: Path) -> None:
    for index in range(3):
        write(tmp_path / f"a{index}.png", index)
    for index in range(3000):
        (tmp_path / f"b{index:04}.png").touch()  # would be left out, were it read
    found = collect([tmp_path], 3, 2, natural_limit=3)
    assert found.left_out == ()
    assert found.notes == (
        "3003 images were given. The first 3 are used for natural maxima; feature maps are shown for the first 2.",
    )


def test_records_state_size_and_hash_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "cat.png", height=7, width=4)
    record = collect([path], 3, 8).images[0].record
    assert (record.height, record.width, record.name, record.slug, record.shown) == (7, 4, "cat.png", "cat", True)
    assert record.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def profile(name: str) -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(name)).tobytes()


def renamed(description: str) -> bytes:
    """The sRGB profile under another description of as many letters."""
    found = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile("sRGB")))).strip()
    assert len(description) == len(found)
    data = profile("sRGB")
    assert found.encode("utf-16-be") in data
    return data.replace(found.encode("utf-16-be"), description.encode("utf-16-be"))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_a_colour_profile_is_stated_and_the_numbers_are_those_of_the_file(tmp_path: Path, suffix: str) -> None:
    pixels = noise(6, 5, 3)
    options = {"lossless": True} if suffix == ".webp" else {}
    Image.fromarray(pixels).save(tmp_path / f"plain{suffix}", **options)
    Image.fromarray(pixels).save(tmp_path / f"usual{suffix}", icc_profile=profile("sRGB"), **options)
    Image.fromarray(pixels).save(tmp_path / f"wide{suffix}", icc_profile=renamed("Wide gamut P3"), **options)
    found = collect([tmp_path / f"{name}{suffix}" for name in ("plain", "usual", "wide")], 3, 8)
    assert [image.record.colour_profile for image in found.images] == [None, None, "Wide gamut P3"]
    assert found.notes == (
        f"wide{suffix} carries a color profile (Wide gamut P3). Pixel values are used as stored, like keras.utils.load_img does, "
        "and are not converted to sRGB.",
    )
    contents = [decode(image.path, 3) for image in found.images]
    assert np.array_equal(contents[0], contents[2])


def test_profiles_of_sixteen_bits_of_floating_point_and_of_gamma_are_stated_too(tmp_path: Path) -> None:
    tag = [(34675, "B", len(profile("sRGB")), renamed("Wide gamut P3"), True)]
    for name, kind in (("a", np.uint16), ("b", np.float32), ("c", np.float64)):
        tifffile.imwrite(tmp_path / f"{name}.tif", np.zeros((4, 4, 3), kind), photometric="rgb", extratags=tag)
    tifffile.imwrite(
        tmp_path / "d.tif", np.zeros((4, 4, 3), np.uint8), photometric="rgb", extratags=[(34675, "B", 4, b"junk", True)]
    )
    Image.fromarray(noise(4, 4, 3)).save(tmp_path / "e.png")
    data = (tmp_path / "e.png").read_bytes()
    gamma = b"gAMA" + (100_000).to_bytes(4, "big")
    (tmp_path / "e.png").write_bytes(data[:33] + b"\0\0\0\4" + gamma + zlib.crc32(gamma).to_bytes(4, "big") + data[33:])
    found = collect([tmp_path], 3, 8)
    assert [image.record.colour_profile for image in found.images] == [
        *["Wide gamut P3"] * 3,
        "one that cannot be read",
        "gamma 1",
    ]
    (note,) = found.notes
    assert note.startswith(
        "5 images carry color profiles (Wide gamut P3; one that cannot be read; gamma 1). Pixel values"
    )


def test_a_file_named_twice_counts_once(tmp_path: Path) -> None:
    path = write(tmp_path / "a.png")
    link = tmp_path / "b.png"
    link.symlink_to(path)
    found = collect([path, str(path), tmp_path, tmp_path / ".." / tmp_path.name / "a.png"], 3, 8)
    assert [image.record.name for image in found.images] == ["a.png"]


def test_images_of_one_name_in_two_folders_get_two_slugs(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "y").mkdir()
    found = collect([write(tmp_path / "x" / "a.png"), write(tmp_path / "y" / "a.png", 1)], 3, 8)
    assert [image.record.slug for image in found.images] == ["a", "a-2"]


def test_the_first_images_are_shown_and_the_limits_are_stated(tmp_path: Path) -> None:
    for index in range(10):
        write(tmp_path / f"{index}.png", index)
    found = collect([tmp_path], 3, 2, natural_limit=6)
    assert [image.record.shown for image in found.images] == [True] * 2 + [False] * 4
    assert found.notes == (
        "10 images were given. The first 6 are used for natural maxima; feature maps are shown for the first 2.",
    )
    assert collect([tmp_path], 3, 8).notes == (
        "10 images were given. All are used for natural maxima; feature maps are shown for the first 8.",
    )
    assert collect([tmp_path], 3, 1, natural_limit=1).notes == (
        "10 images were given. The first is used for natural maxima; feature maps are shown for the first.",
    )
    assert collect([tmp_path], 3, 10).notes == ()


def test_a_bad_file_in_a_folder_is_left_out_and_named(tmp_path: Path) -> None:
    write(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    (tmp_path / "c.png").symlink_to(tmp_path / "nowhere.png")
    found = collect([tmp_path, tmp_path], 3, 8)
    assert [image.record.name for image in found.images] == ["a.png"]
    assert [item["name"] for item in found.left_out] == ["b.png", "c.png"]
    assert all(item["reason"].startswith(item["name"]) for item in found.left_out)
    assert str(tmp_path) not in str(found.left_out)


def test_a_bad_file_in_a_folder_does_not_take_a_place(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no")
    write(tmp_path / "b.png")
    write(tmp_path / "c.png", 1)
    found = collect([tmp_path], 3, 1, natural_limit=2)
    assert [(image.record.name, image.record.shown) for image in found.images] == [("b.png", True), ("c.png", False)]


@pytest.mark.parametrize("folder_first", [False, True])
def test_a_bad_file_named_directly_is_an_error(tmp_path: Path, folder_first: bool) -> None:
    write(tmp_path / "a.png")
    bad = tmp_path / "b.png"
    bad.write_bytes(b"no")
    with pytest.raises(ImageError, match=r"^b\.png is not a PNG"):
        collect([tmp_path, bad] if folder_first else [bad], 3, 8)


def test_a_bad_file_named_directly_is_an_error_beyond_the_limit_too(tmp_path: Path) -> None:
    bad = tmp_path / "b.png"
    bad.write_bytes(b"no")
    with pytest.raises(ImageError, match=r"^b\.png"):
        collect([write(tmp_path / "a.png"), bad], 3, 1, natural_limit=1)


def test_a_folder_without_images_names_itself_and_the_suffixes(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=rf"^the folder {tmp_path.name} has no images; .*\.png, .*\.npy") as caught:
        collect([tmp_path], 3, 8)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("name", ["nowhere.png", "a\x00b.png"])
def test_a_missing_file_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(ImageError):
        collect([tmp_path / name], 3, 8)


def test_names_that_are_not_unicode_can_be_written_as_json(tmp_path: Path) -> None:
    path = tmp_path / b"caf\xe9.png".decode("utf-8", "surrogateescape")
    try:
        write(path)
    except OSError:
        pytest.skip("this file system takes Unicode names only")
    assert collect([path], 3, 8).images[0].record.name.encode() == b"caf?.png"


@pytest.mark.parametrize("bands", [1, 2, 3, 5])
@pytest.mark.parametrize("size", [(5, 8), (9, 3), (12, 17), (30, 40)])
def test_stretch_is_pillows_bicubic_band_by_band(bands: int, size: tuple[int, int]) -> None:
    pixels = noise(12, 17, bands)
    assert np.array_equal(fit(pixels, size, "stretch"), resized(pixels, *size))


def test_rgb_is_resized_as_pillow_resizes_rgb() -> None:
    pixels = noise(33, 21, 3)
    whole = np.asarray(Image.fromarray(pixels).resize((16, 9), BICUBIC))
    assert np.array_equal(fit(pixels, (9, 16), "stretch"), whole)


def test_crop_keeps_the_centre_and_the_aspect_ratio() -> None:
    pixels = noise(10, 30, 3)
    assert np.array_equal(fit(pixels, (10, 10), "crop"), pixels[:, 10:20])
    assert np.array_equal(fit(pixels, (5, 5), "crop"), resized(pixels, 5, 15)[:, 5:10])
    tall = np.swapaxes(pixels, 0, 1)
    assert np.array_equal(fit(tall, (10, 10), "crop"), tall[10:20])


def test_pad_shows_everything_centred_on_black() -> None:
    pixels = np.maximum(noise(10, 30, 3), 1)
    padded = fit(pixels, (30, 30), "pad")
    assert np.array_equal(padded[10:20], pixels)
    assert not padded[:10].any()
    assert not padded[20:].any()
    assert np.array_equal(fit(pixels, (15, 15), "pad")[5:10], resized(pixels, 5, 15))


@pytest.mark.parametrize("how", ["crop", "pad", "stretch"])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 5000), (5000, 1), (224, 224), (3, 7)])
def test_fit_always_gives_the_size_asked_for(how: str, height: int, width: int) -> None:
    assert fit(noise(height, width, 2), (32, 48), how).shape == (32, 48, 2)


def test_fit_of_the_same_size_changes_nothing() -> None:
    pixels = noise(8, 9, 3)
    assert all(np.array_equal(fit(pixels, (8, 9), how), pixels) for how in ("crop", "pad", "stretch"))


@pytest.mark.parametrize("how", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("size", [(5, 8), (9, 3), (12, 17), (30, 40), (7, 11)])
def test_floating_point_pictures_are_fitted_as_8_bits_are_but_not_rounded(how: str, size: tuple[int, int]) -> None:
    eight = noise(12, 17, 3)
    eight[:, 8:], eight[:3] = 255, 0  # edges, beside which the filter goes beyond black and white
    real = fit(eight.astype(np.float32), size, how)
    assert real.dtype == np.float32
    assert (real.min() >= 0, real.max() <= 255) == (True, True)
    # Pillow rounds after each axis; the weights of its filter, some of them negative, make of the first half at most 5/8.
    assert np.abs(real - fit(eight, size, how)).max() <= 5 / 8 + 1 / 2 + 0.01
    grid = natural_crops(eight.astype(np.float32), size, 2)
    assert np.abs(grid - natural_crops(eight, size, 2)).max() <= 5 / 8 + 1 / 2 + 0.01


def test_floating_point_pictures_of_the_right_size_are_not_changed() -> None:
    real = np.random.default_rng(0).uniform(0, 255, (6, 9, 2)).astype(np.float32)
    for how in ("crop", "pad", "stretch"):
        assert np.array_equal(fit(real, (6, 9), how), real)
    assert np.array_equal(natural_crops(real, (6, 9), 2), np.stack([real] * 5))
    assert np.array_equal(natural_crops(real, (3, 4), 2)[1], real[:3, :4])


def test_floating_point_is_resized_by_pillows_bicubic_where_nothing_is_clipped() -> None:
    real = np.random.default_rng(0).uniform(100, 150, (12, 17, 1)).astype(np.float32)
    whole = np.asarray(Image.fromarray(real[..., 0]).resize((8, 5), Image.Resampling.BICUBIC))
    np.testing.assert_allclose(fit(real, (5, 8), "stretch")[..., 0], whole, rtol=1e-6)


def test_an_unknown_way_to_fit_is_an_error() -> None:
    with pytest.raises(ValueError, match="squeeze"):
        fit(noise(2, 2, 1), (2, 2), "squeeze")


def slow_crops(pixels: NDArray[np.uint8], height: int, width: int, grid: int) -> list[NDArray[np.uint8]]:
    """The definition word by word, one pixel of every crop at a time."""
    crops = [resized(pixels, height, width)]
    rows, columns, bands = pixels.shape
    scale = max(height / rows, width / columns)
    if scale > 1:
        rows, columns = max(height, round(rows * scale)), max(width, round(columns * scale))
        pixels = resized(pixels, rows, columns)
    for i in range(grid):
        for j in range(grid):
            top, left = (rows - height) * i // (grid - 1), (columns - width) * j // (grid - 1)
            crop = np.zeros((height, width, bands), dtype=np.uint8)
            for y in range(height):
                for x in range(width):
                    crop[y, x] = pixels[top + y, left + x]
            crops.append(crop)
    return crops


@pytest.mark.parametrize("grid", [2, 5])
@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((40, 31, 3), (8, 8)),  # larger than the size
        ((8, 8, 1), (8, 8)),  # the very size
        ((8, 29, 3), (8, 8)),  # room in x only
        ((5, 9, 3), (12, 12)),  # enlarged
        ((20, 6, 2), (10, 12)),  # too small in x only
        ((3, 40, 1), (12, 7)),
        ((9, 5, 1), (12, 12)),  # the longer side is rounded up: 21.6
    ],
)
def test_natural_crops_are_those_of_the_definition(
    shape: tuple[int, int, int], size: tuple[int, int], grid: int
) -> None:
    pixels = noise(*shape)
    crops = natural_crops(pixels, size, grid)
    expected = slow_crops(pixels, *size, grid)
    assert crops.dtype == np.uint8
    assert crops.shape == (1 + grid * grid, *size, shape[2])
    assert [index for index, crop in enumerate(expected) if not np.array_equal(crop, crops[index])] == []


@pytest.mark.parametrize("shape", [(1, 60, 1), (50, 3, 3)])
def test_strips_too_long_to_enlarge_give_nearly_the_same_crops(
    shape: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    smooth = resized(noise(shape[0], max(shape[1] // 4, 1), shape[2]), shape[0], shape[1])
    whole = natural_crops(smooth, (20, 24), 5)
    monkeypatch.setattr("reportgen.inputs.images.ENLARGED_LIMIT", 100)
    assert np.abs(natural_crops(smooth, (20, 24), 5).astype(int) - whole).max() <= 2


def test_a_strip_of_a_million_pixels_does_not_need_gigabytes() -> None:
    assert natural_crops(np.zeros((1, 10**6, 1), np.uint8), (64, 64), 2).shape == (5, 64, 64, 1)
