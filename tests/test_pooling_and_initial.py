"""From a model file to pages that show pooling layers, and the weights before training, with plain NumPy as the judge."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from page_parser import parse
from reportgen.cli.main import main
from small_models import functional, layers, randomised

POOLS = ("pool", "mean", "whole")


def model() -> object:
    return functional(
        layers.Conv2D(4, 3, activation="relu", name="conv1"),
        layers.MaxPooling2D(2, name="pool"),
        layers.AveragePooling2D((3, 2), strides=2, name="mean"),
        layers.Conv2D(3, 1, name="conv2"),
        layers.GlobalMaxPooling2D(keepdims=True, name="whole"),
        layers.GlobalAveragePooling2D(name="flat"),
        shape=(15, 14, 3),
    )


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    randomised(model(), seed=1).save_weights(folder / "before.weights.h5")
    randomised(model(), seed=2).save(folder / "after.keras")
    randomised(functional(layers.Conv2D(2, 3, name="conv1"))).save_weights(folder / "other.weights.h5")
    pixels = np.random.default_rng(3).integers(0, 256, (15, 14, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "noise.png")
    return folder


@pytest.fixture(scope="module")
def report(files: Path) -> Path:
    given = [
        "-i",
        files / "noise.png",
        "--pooling",
        "--initial",
        files / "before.weights.h5",
        "--filters",
        2,
        "--steps",
        1,
    ]
    result = run("build", files / "after.keras", "-o", files / "report", *given)
    assert result.exit_code == 0, result.output
    return files / "report"


@pytest.fixture(scope="module")
def facts(report: Path) -> dict:
    return {layer["path"]: layer for layer in json.loads((report / "report.json").read_bytes())["layers"]}


def maps(report: Path, slug: str) -> np.ndarray:
    return np.load(report / "data" / slug / "feature_maps.npz")["noise"].astype(np.float64)


def test_pooled_maps_are_those_of_plain_arithmetic(report: Path) -> None:
    given = maps(report, "conv1")
    np.testing.assert_array_equal(maps(report, "pool"), given[:12, :12].reshape(6, 2, 6, 2, 4).max(axis=(1, 3)))
    pooled = maps(report, "pool")
    mean = [[pooled[row : row + 3, column : column + 2].mean(axis=(0, 1)) for column in (0, 2, 4)] for row in (0, 2)]
    np.testing.assert_allclose(maps(report, "mean"), mean, rtol=2e-3)
    np.testing.assert_allclose(maps(report, "whole")[0, 0], maps(report, "conv2").max(axis=(0, 1)), rtol=1e-3)


def test_pooling_layers_stand_among_the_convolutions_and_have_neither_kernel_nor_patterns(facts: dict) -> None:
    assert list(facts) == ["conv1", "pool", "mean", "conv2", "whole", "flat"]
    for path in POOLS:
        layer = facts[path]
        assert (layer["kind"], layer["status"]) == ("pooling", "rendered")
        assert (layer["kernel_shape"], layer["weights"], layer["patterns"], layer["filters_shown"]) == (
            None,
            None,
            None,
            [],
        )
    assert (facts["mean"]["window"], facts["mean"]["strides"], facts["whole"]["window"]) == ([3, 2], [2, 2], None)
    assert (facts["conv1"]["kind"], facts["flat"]["status"]) == ("convolution", "skipped")
    assert "no spatial axis" in facts["flat"]["reason"]


def test_a_pooling_layers_page_shows_every_channel_before_and_after_and_nothing_else(report: Path) -> None:
    page = parse(report / "layers" / "pool.html")
    assert page.unbalanced == []
    assert "Before pooling" in page.words
    assert "After pooling" in page.words
    assert "noise.png after pooling " in page.words
    before, _, after = page.words.partition("After pooling")
    assert "4 feature maps of 13 × 12" in before
    assert "4 feature maps of 6 × 6" in after
    assert not {"weights", "patterns", "filters"} & set(page.attributes("id"))
    sources = page.attributes("src")
    assert {f"../figures/pool/feature_maps/noise{kind}.png" for kind in ("", ".pre")} <= set(sources)
    index = parse(report / "index.html")
    assert "Convolution layers 2 + 3 pooling, 1 not covered" in index.words


def test_the_weights_before_training_are_those_of_the_file(report: Path, facts: dict) -> None:
    before, after = randomised(model(), seed=1), randomised(model(), seed=2)  # type: ignore[attr-defined]
    for path in ("conv1", "conv2"):
        stored = np.load(report / facts[path]["initial_weights"]["array"])
        start, end = before.get_layer(path).get_weights()[0], after.get_layer(path).get_weights()[0]
        np.testing.assert_array_equal(stored["kernel"], start)
        for item in facts[path]["initial_weights"]["filters"]:
            own = start[..., item["index"]].ravel(), end[..., item["index"]].ravel()
            assert item["relative_change"] == pytest.approx(
                np.linalg.norm(own[1] - own[0]) / np.linalg.norm(own[0]), rel=1e-5
            )
            assert item["cosine_similarity"] == pytest.approx(
                own[0] @ own[1] / np.linalg.norm(own[0]) / np.linalg.norm(own[1]), rel=1e-4
            )


def test_only_other_initial_weights_are_read_again(files: Path, report: Path) -> None:
    def tasks() -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in (report / ".store").rglob("*.npz")}

    before = tasks()
    given = ["-i", files / "noise.png", "--pooling", "--initial", files / "after.keras", "--filters", 2, "--steps", 1]
    assert run("build", files / "after.keras", "-o", report, *given).exit_code == 0
    assert len(tasks().items() - before.items()) == 2
    layer = json.loads((report / "report.json").read_bytes())["layers"][0]
    assert (layer["initial_weights"]["relative_change"], layer["initial_weights"]["cosine_similarity"]) == (
        0,
        pytest.approx(1),
    )


@pytest.mark.parametrize("name", ["other.weights.h5", "noise.png", "nowhere.h5"])
def test_initial_weights_that_do_not_fit_are_one_sentence_and_nothing_is_written(files: Path, name: str) -> None:
    result = run("build", files / "after.keras", "-o", files / "none", "--initial", files / name, "--steps", 1)
    assert result.exit_code == 2
    assert "reportgen: --initial " in result.stderr
    assert name in result.stderr
    if name == "other.weights.h5":
        assert "the kernel of conv1 has the shape (3, 3, 3, 4), in the file (3, 3, 3, 2)." in result.stderr
    assert not (files / "none").exists()


def test_without_the_option_pooling_layers_are_not_mentioned(files: Path) -> None:
    result = run("layers", files / "after.keras", "--json")
    assert result.exit_code == 0, result.stderr
    assert [layer["path"] for layer in json.loads(result.stdout)] == ["conv1", "conv2"]
    with_pooling = run("layers", files / "after.keras", "--pooling")
    assert "MaxPooling2D" in with_pooling.stdout
