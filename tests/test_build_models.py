"""Whole builds of small models that are unusual in one way each, and of the user's own preprocessing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import keras
import numpy as np
import pytest
import tifffile
from click.testing import Result
from PIL import Image

from sample_build import SINGLE_ASCENT, run
from small_models import randomised

pytestmark = pytest.mark.slow  # whole searches or builds; the fast tests cover their parts

ROOT = Path(__file__).parent.parent
layers = keras.layers


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 24, 3), np.uint8)).save(path)
    return path


def build(model: Any, folder: Path, *arguments: object) -> Result:
    model.save(folder / "model.keras")
    quick = ["--filters", "2", "--steps", "2", *SINGLE_ASCENT]
    return run("build", folder / "model.keras", "-o", folder / "report", *quick, *arguments)


def facts(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "report" / "report.json").read_bytes()))


def small(*stack: Any, policy: str | None = None) -> Any:
    keras.utils.set_random_seed(0)
    entry = keras.Input((16, 16, 3))
    tensor = layers.Conv2D(3, 3, activation="relu", name="conv", dtype=policy)(entry)
    for layer in stack:
        tensor = layer(tensor)
    return keras.Model(entry, tensor)


# Of the kinds of 16 bits and of mixed policies one each is fast; all others are alike.
@pytest.mark.parametrize(
    "policy",
    [
        "bfloat16",
        "mixed_float16",
        "float64",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("float16", "mixed_bfloat16")),
    ],
)
def test_every_precision_of_a_model_is_reported(tmp_path: Path, picture: Path, policy: str) -> None:
    result = build(small(policy=policy), tmp_path, "-i", picture, "--method", "optvis")  # every search
    assert result.exit_code == 0, result.output
    with np.load(tmp_path / "report" / "data" / "conv" / "weights.npz") as arrays:
        assert arrays["kernel"].dtype.kind == "f"


def test_one_sigmoid_tells_two_classes_apart(tmp_path: Path, picture: Path) -> None:
    model = small(layers.Flatten(), layers.Dense(1, activation="sigmoid"))
    names = tmp_path / "names.txt"
    names.write_text("cat\ndog\n")
    assert build(model, tmp_path, "-i", picture, "--classes", names).exit_code == 0
    predictions = {entry["label"]: entry["probability"] for entry in facts(tmp_path)["images"][0]["predictions"]}
    assert set(predictions) == {"cat", "dog"}
    assert sum(predictions.values()) == pytest.approx(1)
    with Image.open(tmp_path / "report" / "assets" / "images" / "picture.png") as shown:  # as the model was fed it
        fed = np.asarray(shown.convert("RGB"), np.float32) / 255
    assert predictions["dog"] == pytest.approx(float(model(fed[None])[0, 0]), rel=1e-4)


def test_predictions_that_are_not_finite_are_a_problem(tmp_path: Path, picture: Path) -> None:
    dense = layers.Dense(2, activation="softmax")
    model = small(layers.Flatten(), dense)
    dense.set_weights([weights * np.nan for weights in dense.get_weights()])
    result = build(model, tmp_path, "-i", picture)
    assert result.exit_code == 3
    assert "not finite" in result.stderr
    assert facts(tmp_path)["images"][0]["predictions"] is None


PREPROCESSES: dict[str, str] = {
    "halves": "return pictures / 2",
    "stops": "import tensorflow as tf\n    return tf.stop_gradient(pictures)",
    "fails": "raise OSError('no such file as mean.npy')",
    "shrinks": "return pictures[:, ::2]",
}


@pytest.fixture
def preprocess(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    def write(name: str) -> str:
        (tmp_path / f"own_{name}.py").write_text(f"def prepare(pictures):\n    {PREPROCESSES[name]}\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        return f"own_{name}:prepare"

    return write


def test_the_users_own_preprocessing_is_used(tmp_path: Path, preprocess: Callable[[str], str], picture: Path) -> None:
    assert build(small(), tmp_path, "-i", picture, "--preprocess", preprocess("halves")).exit_code == 0
    assert facts(tmp_path)["layers"][0]["patterns"] is not None


def test_without_a_gradient_there_are_no_patterns_and_a_sentence_says_why(
    tmp_path: Path, preprocess: Callable[[str], str], picture: Path
) -> None:
    result = build(small(), tmp_path, "-i", picture, "--preprocess", preprocess("stops"))
    assert result.exit_code == 0, result.output
    assert "not differentiable" in result.stderr
    layer = facts(tmp_path)["layers"][0]
    assert layer["patterns"] is None
    assert layer["status"] == "rendered"
    assert layer["feature_maps"]


@pytest.mark.parametrize(("name", "words"), [("fails", "mean.npy"), ("shrinks", "8")])
def test_preprocessing_that_does_not_work_is_named_before_anything_is_computed(
    tmp_path: Path, preprocess: Callable[[str], str], picture: Path, name: str, words: str
) -> None:
    result = build(small(), tmp_path, "-i", picture, "--preprocess", preprocess(name))
    assert result.exit_code == 2
    assert "--preprocess" in result.stderr
    assert words in result.stderr
    assert not (tmp_path / "report").exists()


def test_options_of_the_run_may_stand_in_the_settings_file(tmp_path: Path) -> None:
    config = tmp_path / "settings.toml"
    config.write_text(f"output = {json.dumps(str(tmp_path / 'elsewhere'))}\nquiet = true\nsteps = 1\n")
    small().save(tmp_path / "model.keras")
    result = run("build", tmp_path / "model.keras", "-c", config)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    assert (tmp_path / "elsewhere" / "index.html").is_file()


@pytest.mark.parametrize("text", ["[tool]\nreportgen = 3\n", "tool = 3\n", "steps = 'many'\n", "output = 3\n", "[[[\n"])
def test_a_settings_file_that_makes_no_sense_is_one_sentence(tmp_path: Path, text: str) -> None:
    config = tmp_path / "settings.toml"
    config.write_text(text)
    result = build(small(), tmp_path, "-c", config)
    assert result.exit_code == 2, result.output
    assert "settings file" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_times_add_up_over_runs_and_a_damaged_run_json_does_no_harm(tmp_path: Path) -> None:
    model = small()
    assert build(model, tmp_path).exit_code == 0
    path = tmp_path / "report" / "run.json"
    first = json.loads(path.read_bytes())["layers"]["conv"]["patterns_seconds"]
    assert first > 0
    assert build(model, tmp_path, "--filters", "1-1").exit_code == 0
    assert build(model, tmp_path).exit_code == 0
    assert json.loads(path.read_bytes())["layers"]["conv"]["patterns_seconds"] == first
    path.write_text('{"tasks": [1, 2]}')
    assert build(model, tmp_path).exit_code == 0


def test_twelve_floating_point_bands_beside_a_held_vector_go_all_the_way(tmp_path: Path) -> None:
    picture, age = keras.Input((16, 16, 12), name="picture"), keras.Input((1,), name="age")
    maps = layers.Add()([layers.Conv2D(2, 3, name="conv")(picture), layers.Reshape((1, 1, 2))(layers.Dense(2)(age))])
    classes = layers.Softmax()(layers.GlobalAveragePooling2D()(layers.ReLU()(maps)))
    model = randomised(keras.Model([age, picture], classes), low=-1e-4, high=1e-4)
    numbers = np.random.default_rng(0).uniform(0, 10_000, (16, 16, 12)).astype(np.float32)
    tifffile.imwrite(tmp_path / "field.tif", numbers, photometric="minisblack", planarconfig="contig")
    (tmp_path / "age.csv").write_text("age\n40\n")
    result = build(
        model,
        tmp_path,
        "-i",
        tmp_path / "field.tif",
        "--input-range",
        "0,10000",
        "--hold",
        f"age={tmp_path / 'age.csv'}",
    )
    assert result.exit_code == 0, result.output
    report = facts(tmp_path)
    jsonschema.validate(report, json.loads((ROOT / "reportgen" / "report" / "report.schema.json").read_bytes()))
    assert (report["input"]["name"], report["input"]["preprocess"]) == ("picture", "none")
    assert report["input"]["floats"] == [0, 10_000]
    assert [(one["name"], one["file"]) for one in report["input"]["constant_inputs"]] == [("age", "age.csv")]
    seen = np.rint(numbers / 10_000 * 255) * 10_000 / 255
    expected = model.predict_on_batch([np.array([[40.0]]), seen[None].astype(np.float32)])[0]
    given = {item["label"]: item["probability"] for item in report["images"][0]["predictions"]}
    assert [given[f"output {number}"] for number in range(2)] == pytest.approx(expected.tolist(), rel=1e-3)
    with np.load(tmp_path / "report" / "data" / "conv" / "patterns.npz") as arrays:
        assert arrays["images"].shape[1:] == (16, 16, 12)
    assert "constant: the content of age.csv" in (tmp_path / "report" / "index.html").read_text(encoding="utf-8")


def forked(**outputs: Any) -> Any:
    """A model with an output of each name: so many classes, or what a layer makes."""
    entry = keras.Input((16, 16, 3))
    flat = layers.Flatten()(layers.Conv2D(3, 3, activation="relu", name="conv")(entry))
    made = {
        name: layers.Dense(wanted, activation="softmax", name=name)(flat) if isinstance(wanted, int) else wanted(flat)
        for name, wanted in outputs.items()
    }
    return randomised(keras.Model(entry, made), low=-0.1, high=0.1)


def test_every_classifying_output_is_asked_and_named(tmp_path: Path, picture: Path) -> None:
    model = forked(species=2, box=layers.Dense(4, name="box"), breed=3)
    names = tmp_path / "names.txt"
    names.write_text("pug\nboxer\nbeagle\n")
    result = build(model, tmp_path, "-i", picture, "--classes", names)
    assert result.exit_code == 0, result.output
    (image,) = facts(tmp_path)["images"]
    assert [each["name"] for each in image["outputs"]] == ["breed", "species"]  # as Keras sorts a dict
    assert image["predictions"] == image["outputs"][0]["predictions"]
    with Image.open(tmp_path / "report" / "assets" / "images" / "picture.png") as shown:
        fed = np.asarray(shown.convert("RGB"), np.float32) / 255
    expected = {name: np.asarray(output)[0] for name, output in model(fed[None]).items()}
    for each, labels in zip(image["outputs"], (["pug", "boxer", "beagle"], ["output 0", "output 1"]), strict=True):
        given = {item["label"]: item["probability"] for item in each["predictions"]}
        np.testing.assert_allclose([given[label] for label in labels], expected[each["name"]], rtol=1e-4)
        assert [item["probability"] for item in each["predictions"]] == sorted(given.values(), reverse=True)
    page = (tmp_path / "report" / "index.html").read_text()
    breed, species = page.index(">breed</p>"), page.index(">species</p>")
    assert breed < page.index("beagle", breed) < species < page.index("output 1", species)


def test_names_that_fit_two_outputs_are_not_used(tmp_path: Path, picture: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("cat\ndog\n")
    assert build(forked(one=2, two=2), tmp_path, "-i", picture, "--classes", names).exit_code == 0
    (image,) = facts(tmp_path)["images"]
    assert {item["label"] for each in image["outputs"] for item in each["predictions"]} == {"output 0", "output 1"}
    assert any("2 names of --classes fit several outputs (one, two)" in note for note in facts(tmp_path)["notes"])


def test_an_output_that_is_not_finite_hides_no_other(tmp_path: Path, picture: Path) -> None:
    model = forked(breed=3, species=2)
    model.get_layer("breed").set_weights([np.full((588, 3), np.nan, np.float32), np.zeros(3, np.float32)])
    assert build(model, tmp_path, "-i", picture).exit_code == 3
    (image,) = facts(tmp_path)["images"]
    assert [each["predictions"] is None for each in image["outputs"]] == [True, False]
    page = (tmp_path / "report" / "index.html").read_text()
    assert "Predictions for picture.png, species" in page
    assert "Output breed: the predictions are not finite numbers." in page
    assert "Predictions for picture.png, breed" not in page


def test_the_overview_says_whose_prediction_it_shows(tmp_path: Path, picture: Path) -> None:
    assert build(forked(breed=3, species=2), tmp_path, "-i", picture).exit_code == 0
    assert "Prediction, breed<" in (tmp_path / "report" / "index.html").read_text(encoding="utf-8")


def test_names_that_fit_no_output_are_refused(tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("cat\ndog\nhen\nowl\n")
    result = build(forked(breed=3, species=2), tmp_path, "--classes", names)
    assert result.exit_code == 2
    assert "--classes has 4 names, and no output of the model so many classes (they have: breed 3, species 2)" in (
        result.stderr
    )


def test_a_model_with_one_output_has_no_others(tmp_path: Path, picture: Path) -> None:
    assert build(small(layers.Flatten(), layers.Dense(2, activation="softmax")), tmp_path, "-i", picture).exit_code == 0
    (image,) = facts(tmp_path)["images"]
    assert image["outputs"] == []
    assert len(image["predictions"]) == 2
