"""Whole reports of models that take signals and volumes, and of layers that were named: arrays as promised, every picture there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import reportgen
from page_parser import parse
from reportgen.cli.main import main
from reportgen.network.backend import keras
from small_models import layers, randomised

BUILD = ("--filters", "2", "--steps", "2", "-q")


def built(model: Any, folder: Path, inputs: dict[str, np.ndarray], *options: str) -> Path:
    model.save(folder / "model.keras")
    for name, values in inputs.items():
        np.save(folder / f"{name}.npy", values)
    given = [argument for name in inputs for argument in ("-i", str(folder / f"{name}.npy"))]
    arguments = ["build", str(folder / "model.keras"), "-o", str(folder / "report"), *given, *BUILD, *options]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return folder / "report"


def facts(report: Path) -> dict[str, Any]:
    return dict(json.loads((report / "report.json").read_bytes()))


def small(shape: tuple[int, ...], *stack: Any) -> Any:
    model = keras.Sequential([keras.Input(shape), *stack, layers.Flatten(), layers.Dense(2, activation="softmax")])
    return randomised(model)


LINES = {f"line{number}": np.random.default_rng(number).normal(size=(50, 2)).astype(np.float32) for number in range(2)}


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = small((40, 2), layers.Conv1D(3, 5, activation="relu", name="c"), layers.SeparableConv1D(3, 3, name="s"))
    return built(model, tmp_path_factory.mktemp("line"), LINES)


def test_patterns_of_signals_are_float32_within_the_signals_own_range(line: Path) -> None:
    low, high = min(map(np.min, LINES.values())), max(map(np.max, LINES.values()))
    for layer in facts(line)["layers"]:
        assert layer["patterns"]["size"] == [40]
        with np.load(line / layer["patterns"]["array"]) as arrays:
            assert (arrays["images"].dtype, arrays["images"].shape) == (np.float32, (2, 40, 2))
            assert low <= arrays["images"].min() < arrays["images"].max() <= high
    assert (facts(line)["input"]["low"], facts(line)["input"]["high"]) == pytest.approx((low, high))
    assert any("--input-range" in note for note in facts(line)["notes"])


def test_the_scores_of_a_signals_pattern_are_those_of_the_stored_pattern(line: Path) -> None:
    model = keras.models.load_model(line.parent / "model.keras")
    with np.load(line / "data" / "c" / "patterns.npz") as arrays:
        scores = np.asarray(model.layers[0](arrays["images"]))[:, 2:-2].mean(axis=1)
        expected = [scores[place, index] for place, index in enumerate(arrays["indices"])]
    stated = [item["activation"] for item in facts(line)["layers"][0]["patterns"]["filters"]]
    np.testing.assert_allclose(stated, expected, rtol=1e-4, atol=1e-5)


def test_every_figure_of_a_signal_model_is_there(line: Path) -> None:
    for path in ("c/weights", "c/patterns", "c/feature_maps/line0", "c/feature_maps/line0.pre", "s/pointwise_weights"):
        assert (line / "figures" / f"{path}.png").is_file(), path
    page = (line / "layers" / "s.html").read_text("utf-8")
    assert "pointwise_weights.png" in page
    assert page.count('fill="url(#map-rdbu-r)"') >= 1
    assert 'id="map-rdbu-r"' in page  # the colour bar of the pointwise kernel, the only coloured picture there
    assert "3 depthwise kernels" in page
    assert "40 steps" in page
    with np.load(line / "data" / "c" / "feature_maps.npz") as arrays:
        assert arrays["line1"].shape == (36, 3)
    assert facts(line)["images"][0]["lengths"] == [50]


NOT_OF_SIGNALS = (
    "(--fit crop)",  # what was chosen by --fit
    "decorrelation images",  # what was chosen by --decorrelate
    "pixel_learning_rate",  # pieces of the recipe by their names
    "pixel_steps",
)


def test_pages_of_signals_call_them_signals(line: Path) -> None:
    for path in (line / "index.html", *sorted((line / "layers").iterdir())):
        page = parse(path)
        own = page.words.partition("It is one of many local maxima")[0]  # what follows cites studies and lists settings
        own += " ".join(page.attributes("alt", "aria-label"))
        for text in NOT_OF_SIGNALS:
            own = own.replace(text, "")
        assert re.findall(r".*?((?:image|picture|crop|pixel).{,30})", own, re.I) == [], path.name
        assert "signal" in own


def test_python_makes_the_same_patterns_of_signals_as_a_report(line: Path) -> None:
    found = reportgen.patterns(
        str(line.parent / "model.keras"),
        "c",
        filters=2,
        steps=2,
        images=[LINES["line0"], str(line.parent / "line1.npy")],
    )
    with np.load(line / "data" / "c" / "patterns.npz") as arrays:
        np.testing.assert_array_equal(found.images, arrays["images"])


def test_a_volume_is_reported_with_its_slices(tmp_path: Path) -> None:
    model = small((6, 8, 7, 1), layers.Conv3D(2, 3, activation="relu", name="c"))
    report = built(model, tmp_path, {"scan": np.random.default_rng(0).normal(size=(6, 8, 7))})
    with np.load(report / "data" / "c" / "patterns.npz") as arrays:
        assert (arrays["images"].dtype, arrays["images"].shape) == (np.float32, (2, 6, 8, 7, 1))
        assert np.ptp(arrays["images"]) > 0
    page = (report / "layers" / "c.html").read_text("utf-8")
    for words in ("3 slices along the first axis", "6 × 8 × 7 voxels", "4 slices along the first axis"):
        assert words in page


def test_a_named_sum_has_maps_and_patterns_and_no_kernel(tmp_path: Path) -> None:
    entry = keras.Input((12, 12, 1))
    first = layers.Conv2D(2, 3, padding="same", name="first")(entry)
    model = randomised(keras.Model(entry, layers.Add(name="sum")([first, entry])))
    picture = np.random.default_rng(0).integers(0, 256, (12, 12), np.uint8)
    report = built(model, tmp_path, {"grey": picture}, "--layers", "sum", "--preprocess", "none")
    named = {layer["path"]: layer for layer in facts(report)["layers"]}
    assert (named["first"]["status"], named["sum"]["status"]) == ("skipped", "rendered")
    assert (named["sum"]["kernel_shape"], named["sum"]["weights"], named["sum"]["kernel_kind"]) == (None, None, None)
    assert len(named["sum"]["patterns"]["filters"]) == 2
    with np.load(report / "data" / "sum" / "feature_maps.npz") as arrays:
        np.testing.assert_allclose(
            arrays["grey"], np.asarray(model(picture[None, ..., None].astype(np.float32)))[0], rtol=2e-3, atol=0.2
        )


def test_channels_first_patterns_are_found(tmp_path: Path) -> None:
    model = small((1, 12, 10), layers.Conv2D(2, 3, data_format="channels_first", activation="relu", name="c"))
    report = built(model, tmp_path, {"grey": np.random.default_rng(0).integers(0, 256, (12, 10), np.uint8)})
    with np.load(report / "data" / "c" / "patterns.npz") as arrays:
        assert arrays["images"].shape == (2, 12, 10, 1)
    with np.load(report / "data" / "c" / "feature_maps.npz") as arrays:
        assert arrays["grey"].shape == (10, 8, 2)
