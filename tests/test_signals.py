"""Signals and volumes from files: the numbers as they are, brought to a size, and the windows that natural maxima are measured on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reportgen.core.errors import ImageError
from reportgen.inputs.images import collect, fit, natural_crops
from reportgen.inputs.signals import read, resampled

RAMP = np.arange(20, dtype=np.float32).reshape(10, 2)


def saved(folder: Path, values: np.ndarray, name: str = "signal.npy") -> Path:
    np.save(folder / name, values)
    return folder / name


def test_a_signal_is_read_as_the_numbers_in_its_file(tmp_path: Path) -> None:
    found = read(saved(tmp_path, RAMP.astype(np.float64) - 7.5), 2, 1)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, RAMP - 7.5)
    np.testing.assert_array_equal(read(saved(tmp_path, np.arange(5)), 1, 1), np.arange(5)[:, None])
    assert read(saved(tmp_path, np.zeros((2, 3, 4))), 1, 3).shape == (2, 3, 4, 1)


@pytest.mark.parametrize(
    "text",
    [
        "left,right\n0,1\n2.5,-3e2\n",
        "\ufeff0;1\r\n2.5;-3e2\r\n",
        "0\t1\n\n2.5\t-3e2",
        '"left","right"\n"0","1"\n"2.5","-3e2"\n',
    ],
)
def test_a_table_has_a_column_a_band_and_may_have_a_header(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_bytes(text.encode())
    np.testing.assert_array_equal(read(tmp_path / "a.csv", 2, 1), np.array([[0, 1], [2.5, -300]], np.float32))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n3\n", "row 3 has 1 column, the first has 2"),
        ("1,2\n3,x\n", "row 2 contains `x`, which is not a number"),
        ("a,b\n", "contains no numbers"),
        ("1,2,3\n", r"\(1, 3\).*\(steps, 2\)"),
        ("1,nan\n", "not finite"),
        ("\xff", "not UTF-8"),
    ],
)
def test_a_table_that_does_not_fit_is_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "a.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(ImageError, match=rf"^a\.csv .*{words}"):
        read(tmp_path / "a.csv", 2, 1)
    with pytest.raises(ImageError, match=r"save it as \.npy\."):
        read(tmp_path / "a.csv", 2, 3)


def test_a_folder_of_signals_holds_arrays_and_tables(tmp_path: Path) -> None:
    saved(tmp_path, RAMP, "b.npy")
    (tmp_path / "a.csv").write_text("1,2\n")
    (tmp_path / "c.png").write_bytes(b"ignored")
    assert [image.record.name for image in collect([tmp_path], 2, 8, rank=1).images] == ["a.csv", "b.npy"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros((4, 3)), r"\(4, 3\).*\(steps, 2\)"),
        (np.zeros((4, 4, 2)), r"\(4, 4, 2\)"),
        (np.zeros((0, 2)), r"\(0, 2\)"),
        (np.array([["a", "b"]]), "<U1"),
        (np.full((4, 2), np.nan), "not finite"),
    ],
    ids=["bands", "axes", "empty", "text", "not finite"],
)
def test_what_does_not_fit_the_model_is_one_sentence(tmp_path: Path, values: np.ndarray, words: str) -> None:
    with pytest.raises(ImageError, match=words) as caught:
        read(saved(tmp_path, values), 2, 1)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_a_file_that_is_no_array_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY")
    for name, words in (("a.npy", "damaged"), ("b.npy", "does not exist"), ("c.png", r"save it as \.npy or \.csv")):
        with pytest.raises(ImageError, match=words):
            read(tmp_path / name, 2, 1)


def test_cropping_and_padding_keep_the_middle_and_the_sampling() -> None:
    np.testing.assert_array_equal(fit(RAMP, (4,), "crop"), RAMP[3:7])
    wider = np.concatenate([np.zeros((1, 2)), RAMP, np.zeros((2, 2))])
    for how in ("crop", "pad"):
        np.testing.assert_array_equal(fit(RAMP, (13,), how), wider)
    volume = np.arange(24, dtype=np.float32).reshape(2, 3, 4, 1)
    np.testing.assert_array_equal(fit(volume, (1, 3, 2), "crop"), volume[:1, :, 1:3])


@pytest.mark.parametrize("wanted", [1, 4, 10, 25])
def test_resampling_is_linear_interpolation(wanted: int) -> None:
    values = np.random.default_rng(0).normal(size=(10, 2)).astype(np.float32)
    places = np.linspace(0, 9, wanted)
    expected = np.stack([np.interp(places, np.arange(10), values[:, band]) for band in range(2)], axis=1)
    np.testing.assert_allclose(fit(values, (wanted,), "stretch"), expected, rtol=1e-5, atol=1e-6)


def test_natural_windows_are_the_whole_and_windows_from_the_first_to_the_last() -> None:
    values = np.random.default_rng(0).normal(size=(100, 2)).astype(np.float32)
    found = natural_crops(values, (30,), 5)
    assert found.shape == (26, 30, 2)
    np.testing.assert_array_equal(found[0], resampled(values, (30,)))
    for number, first in enumerate(np.linspace(0, 70, 25).astype(int)):
        np.testing.assert_array_equal(found[1 + number], values[first : first + 30])
    np.testing.assert_array_equal(natural_crops(values, (150,), 2)[4], resampled(values, (150,)))


def test_windows_of_a_volume_lie_in_its_corners() -> None:
    values = np.random.default_rng(0).normal(size=(6, 7, 8, 1)).astype(np.float32)
    found = natural_crops(values, (2, 3, 4), 5)
    assert found.shape == (9, 2, 3, 4, 1)
    np.testing.assert_array_equal(found[1], values[:2, :3, :4])
    np.testing.assert_array_equal(found[8], values[-2:, -3:, -4:])


def test_signals_are_collected_with_their_lengths(tmp_path: Path) -> None:
    record = collect([saved(tmp_path, RAMP)], 2, 8, rank=1).images[0].record
    assert (record.width, record.height, record.lengths) == (10, 1, (10,))
    volume = collect([saved(tmp_path, np.zeros((2, 3, 4)))], 1, 8, rank=3).images[0].record
    assert (volume.width, volume.height, volume.lengths) == (4, 3, (2, 3, 4))
