"""Numbers of more than 8 bits reach the model as they are: predictions, maps and natural maxima are Keras's own on the file's numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner
from PIL import Image

import reportgen
from reportgen.cli.main import main
from reportgen.compute.opening import open_network
from reportgen.compute.planning.prepare import prepare
from reportgen.core.errors import ImageError
from reportgen.core.settings import Settings
from reportgen.inputs.images import read
from reportgen.network.backend import keras, tf
from small_models import layers, network, randomised

pytestmark = pytest.mark.slow  # whole searches or builds; the fast tests cover their parts

SIDE = 12
SPECTRUM = (
    np.random.default_rng(0).exponential(3e-4, (SIDE, SIDE)).astype(np.float32)
)  # mostly below 1 / 255 of the largest
SPECTRUM[3, 4] = 1
SIXTEEN = np.random.default_rng(1).integers(
    0, 300, (SIDE, SIDE), dtype=np.uint16
)  # but for two, all round to 0 or 1 of 255
SIXTEEN[5, 5] = 65535


def small(dtype: str | None = None) -> Any:
    entry = keras.Input((SIDE, SIDE, 1), dtype=dtype, name="picture")
    numbers = entry if dtype is None else layers.Rescaling(1 / 255)(entry)
    maps = layers.Conv2D(3, 3, activation="relu", use_bias=False, name="conv")(numbers)
    output = layers.Dense(2, activation="softmax", name="classes")(layers.Flatten()(maps))
    model = randomised(keras.Model(entry, output), seed=2)
    kernel = model.get_layer("conv").kernel
    kernel.assign(30 * np.abs(kernel))
    model.get_layer("classes").kernel.assign(model.get_layer("classes").kernel / 10)
    return model


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unrounded")
    small().save(folder / "model.keras")
    np.save(folder / "spectrum.npy", SPECTRUM)
    tifffile.imwrite(folder / "spectrum.tif", SPECTRUM, photometric="minisblack")
    Image.fromarray(SIXTEEN).save(folder / "sixteen.png")
    images = [
        option for name in ("spectrum.npy", "spectrum.tif", "sixteen.png") for option in ("-i", str(folder / name))
    ]
    words = ["build", str(folder / "model.keras"), "-o", str(folder / "report"), *images, "--input-range", "0,1"]
    result = CliRunner().invoke(main, [*words, "--filters", "all", "--steps", "2", "-q"])
    assert result.exit_code == 0, result.output
    return folder / "report"


def facts(report: Path) -> dict[str, Any]:
    return dict(json.loads((report / "report.json").read_bytes()))


def batch(numbers: np.ndarray) -> np.ndarray:
    return numbers.astype(np.float32)[None, ..., None]


def conv_of(model: Any) -> Any:
    return keras.Model(model.inputs[0], model.get_layer("conv").output)


def test_predictions_are_kerass_own_on_the_files_numbers(report: Path) -> None:
    model = keras.models.load_model(report.parent / "model.keras")
    given = (SPECTRUM, SPECTRUM, SIXTEEN / np.float32(65535))
    for image, numbers in zip(facts(report)["images"], given, strict=True):
        output = np.asarray(model(batch(numbers)))[0]
        rounded = np.asarray(model(batch(np.round(numbers * 255) / 255)))[0]
        assert not np.allclose(output, rounded, rtol=1e-3)  # the test can tell
        found = {item["label"]: item["probability"] for item in image["predictions"]}
        assert [found["output 0"], found["output 1"]] == pytest.approx(output.tolist(), rel=1e-5)


def test_maps_and_natural_maxima_are_kerass_own_on_the_files_numbers(report: Path) -> None:
    model = conv_of(keras.models.load_model(report.parent / "model.keras"))
    given = (SPECTRUM, SPECTRUM, SIXTEEN / np.float32(65535))
    outputs = [np.asarray(model(batch(numbers)))[0] for numbers in given]
    with np.load(report / "data" / "conv" / "feature_maps.npz") as maps:
        for found, output in zip((maps[name] for name in maps.files), outputs, strict=True):
            np.testing.assert_allclose(found, output, rtol=1e-3, atol=1e-3)  # of float16
    (layer,) = facts(report)["layers"]
    assert layer["patterns"]["size"] == [SIDE, SIDE]  # so every crop is the whole picture
    peaks = np.max([output[2:-2, 2:-2].mean(axis=(0, 1)) for output in outputs], axis=0)
    found = [item["natural_maximum"] for item in layer["patterns"]["filters"]]
    np.testing.assert_allclose(found, peaks, rtol=1e-5)


def test_what_is_drawn_of_them_says_what_black_and_white_are(report: Path) -> None:
    page = (report / "index.html").read_text()
    assert page.count("in 8 bits, black is an input of 0, white of 1") >= 3
    with Image.open(report / "assets" / "images" / "spectrum.png") as image:
        assert np.array_equal(np.asarray(image), np.round(SPECTRUM * 255))


def test_eight_bits_need_no_such_words(tmp_path: Path) -> None:
    Image.fromarray((SIXTEEN % 256).astype(np.uint8)).save(tmp_path / "eight.png")
    built = reportgen.build(
        small(), tmp_path / "eight.png", tmp_path / "report", filters="1", steps=2, preprocess="none"
    )
    assert "in 8 bits" not in built.index.read_text()


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-80.0, 0.0), (-1.0, 1.0), (0.0, 255.0), (-3.0, 1000.0)])
def test_numbers_of_the_stated_range_are_what_the_model_is_fed(tmp_path: Path, low: float, high: float) -> None:
    numbers = np.random.default_rng(3).uniform(low, high, (SIDE, SIDE)).astype(np.float32)
    np.save(tmp_path / "a.npy", numbers)
    walked = network(small(), preprocess="auto", input_range=(low, high))
    fed = np.asarray(walked.fed(tf.constant(read(tmp_path / "a.npy", 1, 2, walked.contract.floats))))[..., 0]
    np.testing.assert_allclose(fed, numbers, rtol=3e-7, atol=2e-7 * max(-low, 0))  # of single precision


def test_a_held_picture_of_floating_point_is_not_rounded(tmp_path: Path) -> None:
    other = keras.Input((SIDE, SIDE, 1), name="other")
    primary = keras.Input((SIDE, SIDE, 1), name="primary")
    both = layers.Concatenate()([primary, other])
    model = randomised(keras.Model([primary, other], layers.Conv2D(2, 3, name="conv")(both)))
    tifffile.imwrite(tmp_path / "constant.tif", SPECTRUM, photometric="minisblack")
    walked = open_network(
        model, Settings(input="primary", hold=(f"other={tmp_path / 'constant.tif'}",), input_range=(0.0, 1.0))
    )
    (found,) = walked.layer_calls
    seen = np.asarray(walked.units(walked.fed(tf.zeros((1, SIDE, SIDE, 1))), [found])[0][0])
    expected = np.asarray(model([np.zeros((1, SIDE, SIDE, 1), np.float32), batch(SPECTRUM)]))
    np.testing.assert_allclose(seen, expected, rtol=1e-5, atol=1e-6)


def test_a_model_of_whole_numbers_is_fed_the_nearest(tmp_path: Path) -> None:
    model = small("uint8")
    numbers = np.random.default_rng(4).uniform(0, 1, (SIDE, SIDE)).astype(np.float32)
    whole = np.round(numbers * 255).astype(np.uint8)
    walked = network(model, preprocess="auto")
    shown = (numbers * 255)[None, ..., None]
    output = np.asarray(model(whole[None, ..., None]))
    np.testing.assert_allclose(walked.predict(shown), output, rtol=1e-6)
    assert np.array_equal(walked.predict(shown), walked.predict(whole[None, ..., None]))


@pytest.mark.parametrize("kind", ["float16", "float32", "float64", "uint16"])
def test_python_takes_arrays_of_every_kind_that_files_hold(kind: str) -> None:
    model = small()
    numbers = (SIXTEEN if kind == "uint16" else SPECTRUM.astype(kind))[..., None]
    found = reportgen.patterns(model, "conv", filters=3, steps=2, images=[numbers], input_range=(0.0, 1.0))
    real = batch(numbers[..., 0] / np.float32(65535) if kind == "uint16" else numbers[..., 0])
    peaks = np.asarray(conv_of(model)(real))[0, 2:-2, 2:-2].mean(axis=(0, 1))
    np.testing.assert_allclose([record["natural_maximum"] for record in found.records], peaks, rtol=1e-5)


def test_python_refuses_numbers_outside_the_range_and_names_them() -> None:
    with pytest.raises(
        ImageError, match=r"^an image has floating-point pixels outside 0\.\.1, from 0 to 2; .*--input-range"
    ):
        reportgen.patterns(small(), "conv", filters=1, steps=2, images=[np.eye(SIDE, dtype=np.float32)[..., None] * 2])


def test_floats_and_files_of_them_are_the_same_to_python(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", SPECTRUM)
    model = small()
    ways = [[SPECTRUM[..., None]], [tmp_path / "a.npy"], [str(tmp_path / "a.npy")]]
    found = [reportgen.patterns(model, "conv", filters=1, steps=2, images=way).records for way in ways]
    assert found[0] == found[1] == found[2]


def test_the_colour_profile_of_a_held_picture_is_stated(tmp_path: Path) -> None:
    primary, other = keras.Input((SIDE, SIDE, 1), name="primary"), keras.Input((SIDE, SIDE, 3), name="other")
    both = layers.Concatenate()([primary, other])
    model = randomised(keras.Model([primary, other], layers.Conv2D(2, 3, name="conv")(both)))
    Image.new("RGB", (SIDE, SIDE)).save(tmp_path / "constant.png", icc_profile=b"junk")
    job = prepare(model, Settings(input="primary", hold=(f"other={tmp_path / 'constant.png'}",)))
    assert any(
        note.startswith("constant.png carries a color profile (one that cannot be read).") for note in job.plan.notes
    )
