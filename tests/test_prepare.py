"""From a model to a finished report in one process: dead, silent and other filters are told apart, and the user's model is as it was."""

from __future__ import annotations

import importlib
import json
import linecache
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reportgen.compute.patterns import results
from reportgen.compute.planning.prepare import prepare
from reportgen.core.errors import ModelError, UsageError
from reportgen.core.progress import Progress
from reportgen.core.settings import Settings
from reportgen.network.backend import keras, tf
from reportgen.pipeline import build, default_name
from small_models import functional, layers, pictures, randomised

QUICK: dict[str, Any] = {"steps": 3, "preprocess": "unit"}


@pytest.fixture
def images(tmp_path: Path) -> str:
    folder = tmp_path / "images"
    folder.mkdir()
    for number, picture in enumerate(pictures(2, 20, 24)):
        Image.fromarray(picture).save(folder / f"{number}.png")
    return str(folder)


def report(model: Any, tmp_path: Path, **settings: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """(report.json, problems) of a build of `model`."""
    path = tmp_path / "model.keras"
    model.save(path)
    built = build(
        str(path),
        Settings(**{**QUICK, **settings}),
        tmp_path / "report",
        progress=Progress(False),
        say=lambda words: None,
    )
    return json.loads((tmp_path / "report" / "report.json").read_bytes()), built.problems


def filters(facts: dict[str, Any], path: str) -> list[dict[str, Any]]:
    (layer,) = [layer for layer in facts["layers"] if layer["path"] == path]
    found: list[dict[str, Any]] = layer["patterns"]["filters"]
    return found


def planted() -> Any:
    """Filter 0 lives; 1 is zero with a negative bias; 2 is zero with a positive one; 3 cannot fire on [0, 1]; 4 is NaN."""
    layer = layers.Conv2D(5, 3, activation="relu", name="conv")
    model = randomised(functional(layer))
    kernel = layer.get_weights()[0]
    kernel[..., 1:3] = 0
    kernel[..., 3] = -np.abs(kernel[..., 3])
    kernel[..., 4] = np.nan
    layer.set_weights([kernel, np.array([0.5, -1, 2, -0.1, 0], np.float32)])
    return model


@pytest.mark.parametrize("with_images", [True, False])
def test_filters_that_no_input_can_excite_are_proven_dead(tmp_path: Path, images: str, with_images: bool) -> None:
    facts, problems = report(planted(), tmp_path, images=(images,) if with_images else ())
    found = filters(facts, "conv")
    assert [item["verdict"] for item in found][1:] == ["dead", "dead", "dead", "not-finite"]
    assert found[0]["verdict"] in ("ok", "weak")
    assert [item["verdict"] == "dead" for item in found] == [False, True, True, True, False]
    assert [item["activation"] for item in found[1:]] == [0, 2, 0, None]
    assert found[4]["natural_maximum"] is found[4]["natural_peak"] is found[4]["peak"] is None
    for name in ("natural_maximum", "natural_peak"):
        assert [item[name] for item in found[1:4]] == ([0, 2, 0] if with_images else [None] * 3)
    assert len(problems) == 1
    assert "filter 4" in problems[0]


@pytest.mark.parametrize("with_images", [True, False])
def test_a_filter_that_never_activates_is_silent_where_the_bounds_leave_it_room(
    tmp_path: Path, images: str, with_images: bool
) -> None:
    """It computes the difference of two alike filters less 0.1: never above zero, but the bounds take them for independent."""
    below = layers.Conv2D(2, 1, activation="relu", name="below")
    above = layers.Conv2D(2, 1, activation="relu", name="above")
    model = functional(below, above)
    below.set_weights([np.array([[[[1, 1], [0, 0], [0, 0]]]], np.float32), np.zeros(2, np.float32)])
    above.set_weights([np.array([[[[1, 1], [-1, 1]]]], np.float32), np.array([-0.1, 0], np.float32)])
    facts, problems = report(model, tmp_path, images=(images,) if with_images else ())
    silent, lively = filters(facts, "above")
    assert (silent["verdict"], silent["above"]) == ("silent", [])
    assert silent["best_pre_activation"] == pytest.approx(-0.1, abs=1e-6)
    measured = ["activation", "activation_start", "peak", "peak_start"]
    assert [silent[name] for name in measured] == [0] * 4
    assert silent["strongest"]["activation"] == silent["strongest"]["peak"] == 0
    assert lively["verdict"] in ("ok", "weak")
    assert problems == ()


@pytest.mark.slow
def test_a_kernel_of_zeros_is_proof_for_every_kind_of_convolution(tmp_path: Path) -> None:
    plain, depthwise = (
        layers.Conv2D(4, 3, name="plain"),
        layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise"),
    )
    separable = layers.SeparableConv2D(6, 3, name="separable")
    transposed = layers.Conv2DTranspose(6, 3, name="transposed")
    model = randomised(functional(plain, depthwise, separable, transposed))

    def silence(layer: Any, position: int, index: tuple[Any, ...]) -> None:
        weights = layer.get_weights()
        weights[position][index] = 0
        layer.set_weights(weights)

    silence(plain, 0, (..., 2))
    silence(depthwise, 0, (..., 1, 1))  # the second of input channel 1: filter 3
    silence(separable, 1, (..., 4))
    silence(transposed, 0, (..., 5, slice(None)))
    facts, _ = report(model, tmp_path)
    proven = {
        layer["path"]: [item["index"] for item in layer["patterns"]["filters"] if item["verdict"] == "dead"]
        for layer in facts["layers"]
    }
    # Filters 4 and 5 of the depthwise layer read nothing but filter 2 below, whose map is the same for all inputs.
    assert proven == {"plain": [2], "depthwise": [3, 4, 5], "separable": [4], "transposed": [5]}


def model_state(model: Any) -> dict[str, Any]:
    every = list(model._flatten_layers())
    return {
        "config": json.dumps(model.get_config(), default=str, sort_keys=True),
        "weights": [value.tobytes() for value in model.get_weights()],
        "attributes": [{name: id(value) for name, value in vars(layer).items()} for layer in every],
        "policies": [layer.dtype_policy.name for layer in every],
        "trainable": [layer.trainable for layer in every],
    }


@pytest.mark.slow
def test_a_whole_build_leaves_the_users_model_as_it_was(tmp_path: Path, images: str) -> None:
    entry = keras.Input((16, 16, 3))
    inner = keras.Sequential(
        [keras.Input((16, 16, 3)), layers.SeparableConv2D(4, 3, padding="same"), layers.BatchNormalization()]
    )
    tensor = layers.ReLU()(inner(layers.Rescaling(1 / 255)(entry)))
    shared = layers.Conv2D(4, 3, padding="same", activation="relu", name="shared")
    tensor = layers.Dropout(0.5)(layers.Add()([tensor, shared(shared(tensor))]))
    classes = layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(tensor))
    model = randomised(keras.Model(entry, classes))
    model(tf.zeros((1, 16, 16, 3)))
    kernel, bias = shared.get_weights()
    kernel[..., 1] = np.nan
    shared.set_weights([kernel, bias])
    before = model_state(model)
    built = build(
        model,
        Settings(**QUICK, images=(images,)),
        tmp_path / "report",
        progress=Progress(False),
        say=lambda words: None,
    )
    assert built.index.is_file()
    after = model_state(model)
    assert {name for name in before if before[name] != after[name]} == set()


def test_a_filter_number_that_some_layers_lack_is_noted_and_the_others_are_shown(tmp_path: Path) -> None:
    model = randomised(functional(layers.Conv2D(4, 3, name="small"), layers.Conv2D(8, 3, name="wide")))
    facts, problems = report(model, tmp_path, filters="2,6-7")
    assert [layer["filters_shown"] for layer in facts["layers"]] == [[2], [2, 6, 7]]
    assert any(note.startswith("small has 4 filters") for note in facts["notes"])
    assert problems == ()


def prepared(model: Any, tmp_path: Path, **settings: Any) -> Any:
    path = tmp_path / "model.keras"
    model.save(path)
    return prepare(str(path), Settings(**{**QUICK, **settings})).plan


def test_a_filter_number_that_no_layer_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no layer has a filter 4"):
        prepared(randomised(functional(layers.Conv2D(4, 3))), tmp_path, filters="4-5")


def test_the_same_model_and_settings_give_the_same_plan(tmp_path: Path, images: str) -> None:
    first = prepared(randomised(functional(layers.Conv2D(4, 3))), tmp_path, images=(images,))
    settings = Settings(**{**QUICK, "images": (images,)})
    assert prepare(str(tmp_path / "model.keras"), settings).plan == first  # a second save would carry another date


def test_patterns_of_a_dynamic_input_are_sized_by_the_receptive_field(tmp_path: Path) -> None:
    stack = [
        layers.Conv2D(4, 3, name="near"),
        layers.Conv2D(4, 25, name="far"),
        layers.Conv2D(2, 3, dilation_rate=60, name="wide"),
    ]
    plan = prepared(randomised(functional(*stack, shape=(None, None, 3))), tmp_path, image_size=160)
    assert {layer.path: (layer.receptive_field, layer.pattern_size) for layer in plan.layers} == {
        "near": ((3, 3), (64, 64)),
        "far": ((27, 27), (64, 64)),
        "wide": ((147, 147), (224, 224)),
    }
    assert all(layer.output_shape[:2] == (None, None) for layer in plan.layers)


def classifier() -> Any:
    stack = [layers.Conv2D(6, 3, name="conv"), layers.GlobalAveragePooling2D(), layers.Softmax()]
    return randomised(functional(*stack))


def test_outputs_come_last_with_tasks_of_their_own(tmp_path: Path, images: str) -> None:
    without = prepared(classifier(), tmp_path, images=(images,))
    settings = Settings(**{**QUICK, "images": (images,), "outputs": "2", "negative": True})
    plan = prepare(str(tmp_path / "model.keras"), settings).plan
    assert [layer.path for layer in plan.layers] == ["conv", "logits"]
    assert plan.layers[:1] == without.layers
    assert plan.layers[1].labels == ("output 0", "output 1")
    assert [task.kind for task in plan.tasks if task.layer == plan.layers[1].slug] == [
        *("natural", "patterns", "minimal_patterns"),
    ]
    assert {task.key for task in without.tasks} < {task.key for task in plan.tasks}


def test_the_plan_states_the_recipe_that_the_settings_make(tmp_path: Path) -> None:
    plan = prepared(
        classifier(), tmp_path, method="keras-io", optimizer="lion", restarts=2, trim=1, regularize="tv=0.5", steps=None
    )
    stated = plan.settings["recipe"]
    assert (stated["method"], stated["optimizer"], stated["restarts"]) == ("keras-io", "lion", 2)
    assert (stated["trim"], stated["total_variation"], stated["steps"]) == (1, 0.5, 30)
    assert plan.settings["steps"] == 30


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"optimizer": "muon"}, "--optimizer muon"),
        ({"optimizer": "no-such"}, "--optimizer no-such is no optimizer"),
        ({"bands": (0, 1, 3)}, "--bands 0,1,3: the model's input has 3 bands"),
        ({"outputs": "cow"}, "--outputs cow: there is no such class"),
    ],
    ids=str,
)
def test_what_a_model_or_keras_lacks_is_refused_before_anything_is_computed(
    tmp_path: Path, settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=f"^{words}"):
        prepared(classifier(), tmp_path, **settings)


def test_less_memory_makes_smaller_batches(tmp_path: Path) -> None:
    model = randomised(functional(layers.Conv2D(8, 3)))
    counts = {memory: len(prepared(model, tmp_path, memory=memory).tasks) for memory in ("2GiB", "64K")}
    assert counts["64K"] > counts["2GiB"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cat\ndog\n", None),
        ("\ufeffcat\r\n\r\ndog\r\n", None),
        ('["cat", "dog"]', None),
        ("cat\n", "names 1 class, the model has 2"),
        ('["cat", 2]', "something other than names"),
        ('["cat", "dog"', "is not JSON"),
    ],
)
def test_class_names_are_lines_or_a_json_list(tmp_path: Path, text: str, words: str | None) -> None:
    model = functional(layers.Conv2D(2, 3), layers.GlobalAveragePooling2D(), layers.Softmax())
    (tmp_path / "names.txt").write_bytes(text.encode())
    if words is None:
        plan = prepared(randomised(model), tmp_path, classes=str(tmp_path / "names.txt"))
        assert plan.model.classes == ("cat", "dog")
    else:
        with pytest.raises(UsageError, match=words):
            prepared(randomised(model), tmp_path, classes=str(tmp_path / "names.txt"))


def test_a_model_without_convolutions_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no convolution layer"):
        prepared(functional(layers.Flatten(), layers.Dense(2)), tmp_path)


def test_a_score_that_older_reports_lack_gives_patterns_other_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, keys = randomised(functional(layers.Conv2D(2, 3))), []
    for arrays in (results.ARRAYS, (*results.ARRAYS, "new_score")):
        monkeypatch.setattr(results, "ARRAYS", arrays)
        keys.append({task.kind: task.key for task in prepared(model, tmp_path).tasks})
    assert {kind for kind in keys[0] if keys[0][kind] != keys[1][kind]} == {"patterns"}


def test_another_preprocessing_code_gives_other_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = randomised(functional(layers.Conv2D(2, 3)))
    monkeypatch.syspath_prepend(tmp_path)
    keys = []
    for number, factor in enumerate((2, 3)):
        name = f"scaling_{number}_of_a_test"
        (tmp_path / f"{name}.py").write_text(f"def scale(x):\n    return x * {factor}\n")
        plan = prepared(model, tmp_path, preprocess=f"{name}:scale")
        keys.append({task.kind: task.key for task in plan.tasks})
    assert keys[0]["weights"] == keys[1]["weights"]
    assert keys[0]["patterns"] != keys[1]["patterns"]


def test_another_code_of_the_users_own_layers_gives_other_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights and what the layers say of themselves are the same."""
    monkeypatch.syspath_prepend(tmp_path)
    source = """
import keras, tensorflow as tf

class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.conv = keras.layers.Conv2D(2, 3, kernel_initializer="ones")

    def call(self, inputs):
        return tf.nn.{function}(self.conv(inputs))

def make():
    model = Own()
    model(tf.zeros((1, 8, 8, 3)))
    return model
"""
    keys = []
    for function in ("relu", "tanh", "relu"):
        (tmp_path / "own_network_of_a_test.py").write_text(source.format(function=function))
        sys.modules.pop("own_network_of_a_test", None)
        importlib.invalidate_caches()
        linecache.checkcache()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "dont_write_bytecode", True)
            job = prepare("own_network_of_a_test:make", Settings(**QUICK, input_shape=(8, 8, 3)))
        keys.append({task.key for task in job.plan.tasks})
    assert not keys[0] & keys[1]
    assert keys[0] == keys[2]


@pytest.mark.parametrize(
    ("specification", "name"),
    [
        ("models/My Net.keras", "my-net"),
        ("net.v2.h5", "net-v2"),
        ("keras:ResNet50", "resnet50"),
        ("package.module:make", "make"),
        ("module:make", "make"),
    ],
)
def test_a_report_is_named_after_its_model(specification: str, name: str) -> None:
    assert default_name(specification) == name
