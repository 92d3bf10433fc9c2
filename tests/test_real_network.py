"""Real trained networks and real photographs, at the size people use."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from reportgen.cli.main import main

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    import material

    folder = tmp_path_factory.mktemp("material")
    material.write(folder)
    return folder


def test_vgg16_excites_its_filters_beyond_what_photographs_do(material: Path, tmp_path: Path) -> None:
    arguments = [
        "build",
        material / "vgg16.keras",
        "-i",
        material / "photos",
        "-o",
        tmp_path / "report",
        "--preprocess",
        "caffe",
    ]
    arguments += [
        "--layers",
        "block1_conv1",
        "--layers",
        "block3_conv3",
        "--filters",
        "8",
        "--size",
        "96",
        "--max-images",
        "1",
    ]
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    facts = json.loads((tmp_path / "report" / "report.json").read_bytes())
    first, third = (layer for layer in facts["layers"] if layer["status"] == "rendered")
    assert first["kernel_bands"] == "BGR"
    assert third["receptive_field"] == [40, 40]
    for layer in (first, third):
        verdicts = [entry["verdict"] for entry in layer["patterns"]["filters"]]
        assert verdicts.count("ok") >= len(verdicts) - verdicts.count("dead") - 1
        assert verdicts.count("dead") <= 2


def test_the_feature_maps_of_vgg16_are_those_that_keras_computes(material: Path, tmp_path: Path) -> None:
    arguments = [
        "build",
        material / "vgg16.keras",
        "-i",
        material / "photos" / "chelsea.png",
        "-o",
        tmp_path / "report",
    ]
    arguments += ["--preprocess", "caffe", "--layers", "block2_conv2", "--filters", "1", "--steps", "1", "--size", "64"]
    assert CliRunner().invoke(main, [str(argument) for argument in arguments]).exit_code == 0
    import keras
    from PIL import Image

    model = keras.saving.load_model(material / "vgg16.keras", compile=False)
    reader = keras.Model(model.inputs[0], model.get_layer("block2_conv2").output)
    fed = np.asarray(Image.open(tmp_path / "report" / "assets" / "images" / "chelsea.png").convert("RGB"), np.float32)
    expected = np.asarray(reader(keras.applications.vgg16.preprocess_input(fed[None].copy())))[0]
    with np.load(tmp_path / "report" / "data" / "block2_conv2" / "feature_maps.npz") as arrays:
        np.testing.assert_allclose(arrays["chelsea"], expected, rtol=2e-3, atol=2e-3 * float(expected.max()))


def test_the_sample_networks_recognise_their_sample_images(tmp_path: Path) -> None:
    for name in ("galaxies", "photos"):
        samples = ROOT / "sample_models"
        arguments = [
            "build",
            samples / f"{name}.keras",
            "-i",
            samples / name,
            "--classes",
            samples / f"{name}_classes.txt",
        ]
        arguments += ["-o", tmp_path / name, "--filters", "1", "--steps", "1"]
        assert CliRunner().invoke(main, [str(argument) for argument in arguments]).exit_code == 0
        facts = json.loads((tmp_path / name / "report.json").read_bytes())
        for image in facts["images"]:
            assert image["predictions"][0]["label"] == Path(image["name"]).stem
