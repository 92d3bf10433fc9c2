"""Loading what the user named: every failure is one sentence that says what to do, and no code in a file runs unasked."""

from __future__ import annotations

import hashlib
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from model_files import H5_WARNING, save, sentence, small, with_config, without_config
from reportgen.core.errors import ModelError, ReportgenError, UsageError
from reportgen.core.settings import Settings
from reportgen.network.backend import keras
from reportgen.network.error_text import one_line
from reportgen.network.loading.hashes import weights_sha256
from reportgen.network.loading.load import load
from small_models import functional, layers, randomised


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".hdf5"])
def test_a_saved_model_comes_back_with_its_weights_and_its_hash(tmp_path: Path, suffix: str) -> None:
    path = save(small(), tmp_path / f"my model{suffix}")
    loaded = load(str(path), Settings())
    for own, other in zip(small().get_weights(), loaded.model.get_weights(), strict=True):
        np.testing.assert_array_equal(own, other)
    assert (loaded.name, loaded.source) == ("my model", f"my model{suffix}")
    assert loaded.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_same_model_saved_twice_has_one_weights_hash(tmp_path: Path) -> None:
    other = small()
    paths = [save(other, tmp_path / name) for name in ("a.keras", "b.keras")]
    hashes = {weights_sha256(load(str(path), Settings()).model) for path in paths}
    assert hashes == {weights_sha256(other)}
    other.weights[0].assign(other.weights[0] + 1e-6)
    assert weights_sha256(other) not in hashes


def test_another_architecture_with_the_same_weights_has_another_hash() -> None:
    def model(activation: str) -> Any:
        made = functional(layers.Conv2D(2, 3, name="conv", activation=activation), shape=(8, 8, 3))
        made.name = "m"
        return randomised(made)

    assert weights_sha256(model("relu")) != weights_sha256(model("tanh"))


def test_a_missing_file_is_named_with_what_model_may_be(tmp_path: Path) -> None:
    text = sentence(tmp_path / "gone.keras")
    assert "gone.keras" in text
    for word in (".keras", ".h5", "keras:NAME", "package.module:callable"):
        assert word in text


def test_a_folder_is_named_with_how_to_save(tmp_path: Path) -> None:
    (tmp_path / "saved_model").mkdir()
    text = sentence(tmp_path / "saved_model")
    assert text.startswith("saved_model is a folder; save the model with `model.save('saved_model.keras')`")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("m.pb", "SavedModel"),
        ("m.tflite", "TFLite"),
        ("m.onnx", "ONNX"),
        ("m.pt", "PyTorch"),
        ("m.PTH", "PyTorch"),
        ("m.safetensors", "weights without"),
        ("m.json", "without weights"),
        ("m.pkl", "a pickle, which would run code; save the Keras model"),
        ("m.joblib", "a pickle"),
        ("model.ckpt.index", "a checkpoint without a network; build the network in Python"),
        ("model.ckpt-1000.data-00000-of-00001", "a checkpoint"),
        ("m.npz", "arrays without a network"),
        ("m.mlmodel", "Core ML"),
        ("m.zip", "unpack it"),
        ("m.txt", "holds no Keras model: it is neither HDF5"),
        ("m", "nor a .keras archive"),
        ("m.weights.h5", "--weights"),
    ],
)
def test_a_file_of_another_kind_is_recognised_by_its_name(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / name).write_bytes(b"anything")
    text = sentence(tmp_path / name)
    assert text.startswith(name)
    assert words in text
    assert str(tmp_path) not in text


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def noise(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 8)


DAMAGE: dict[str, tuple[str, Callable[[Path], None]]] = {
    "truncated .keras": (".keras", truncated),
    "empty .keras": (".keras", lambda path: path.write_bytes(b"") and None),
    "noise as .keras": (".keras", noise),
    ".keras without its config": (".keras", without_config),
    ".keras with a config of words": (".keras", lambda path: with_config(path, b"no json")),
    ".keras with an empty config": (".keras", lambda path: with_config(path, b"{}")),
    ".keras with a list for a config": (".keras", lambda path: with_config(path, b"[1]")),
    "truncated .h5": (".h5", truncated),
    "noise as .h5": (".h5", noise),
    "empty .h5": (".h5", lambda path: path.write_bytes(b"") and None),
}


@pytest.mark.filterwarnings(H5_WARNING)
@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_file_is_one_sentence_with_its_name_and_no_folder(tmp_path: Path, name: str) -> None:
    suffix, damage = DAMAGE[name]
    path = save(small(), tmp_path / f"broken{suffix}")
    damage(path)
    text = sentence(path)
    assert text.startswith(f"broken{suffix} cannot be read as a Keras model (")
    assert str(tmp_path) not in text


@pytest.mark.filterwarnings(H5_WARNING)
def test_an_h5_file_without_an_architecture_is_one_sentence(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["numbers"] = [1, 2, 3]
    text = sentence(tmp_path / "data.h5")
    assert text.startswith("data.h5 ")
    assert str(tmp_path) not in text


CUSTOM = """
import keras

@keras.saving.register_keras_serializable("tests")
class OwnScale(keras.layers.Layer):
    def call(self, inputs):
        return inputs * 2

def model():
    entry = keras.Input((8, 8, 3))
    return keras.Model(entry, keras.layers.Conv2D(2, 3)(OwnScale()(entry)))

def number():
    return 3

def broken():
    raise RuntimeError("first line" + chr(10) + "second line")

constant = 7
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "own_model_of_a_test.py").write_text(CUSTOM)
    monkeypatch.syspath_prepend(tmp_path)
    return "own_model_of_a_test"


@pytest.mark.filterwarnings(H5_WARNING)
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_custom_layer_asks_for_its_module_and_loads_with_it(tmp_path: Path, module: str, suffix: str) -> None:
    path = save(load(f"{module}:model", Settings()).model, tmp_path / f"custom{suffix}")
    for name in [name for name in keras.saving.get_custom_objects() if "OwnScale" in name]:
        keras.saving.get_custom_objects().pop(name)
    sys.modules.pop(module)
    text = sentence(path)
    assert "OwnScale" in text
    assert "--import" in text
    assert len(load(str(path), Settings(imports=(module,))).model.layers) == 3
    sys.modules.pop(module)


def test_a_callable_makes_the_model(module: str) -> None:
    loaded = load(f"{module}:model", Settings())
    assert (loaded.name, loaded.source, loaded.sha256) == ("model", f"{module}:model", None)
    assert isinstance(loaded.model, keras.Model)


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("own_model_of_a_test:nothing", UsageError, "has no `nothing`"),
        ("own_model_of_a_test:constant", UsageError, "not callable"),
        ("own_model_of_a_test:number", ModelError, "returned int, not a Keras model"),
        ("own_model_of_a_test:broken", ModelError, "failed: first line"),
        ("no_such_module_of_a_test:model", UsageError, "cannot be imported"),
    ],
)
def test_a_callable_that_makes_no_model_is_one_sentence(
    module: str, name: str, kind: type[ReportgenError], words: str
) -> None:
    with pytest.raises(kind, match=words) as caught:
        load(name, Settings())
    assert "\n" not in str(caught.value)
    assert name.partition(":")[0] in str(caught.value)


def test_an_import_that_fails_is_one_sentence() -> None:
    assert "--import no_such_module_of_a_test" in sentence(
        "keras:VGG16", UsageError, imports=("no_such_module_of_a_test",)
    )


@pytest.mark.parametrize("name", ["VGG17", "vgg16", "", "imagenet_utils", "__class__", "os.system"])
def test_a_network_that_keras_does_not_have_is_named(name: str) -> None:
    text = sentence(f"keras:{name}")
    assert text.startswith(f"keras:{name} is not a network of keras.applications")


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras", ".h5"])
@pytest.mark.filterwarnings(H5_WARNING)
def test_weights_are_loaded_over_the_model(tmp_path: Path, suffix: str) -> None:
    other = small()
    other.weights[0].assign(other.weights[0] + 1)
    path = tmp_path / f"better{suffix}"
    other.save_weights(path) if suffix == ".weights.h5" else other.save(path)
    loaded = load(str(save(small(), tmp_path / "base.keras")), Settings(weights=str(path)))
    np.testing.assert_array_equal(loaded.model.get_weights()[0], small().get_weights()[0] + 1)


@pytest.mark.filterwarnings(H5_WARNING)
@pytest.mark.parametrize("suffix", [".weights.h5", ".keras", ".h5"])
def test_weights_of_another_network_are_one_sentence(tmp_path: Path, suffix: str) -> None:
    other = functional(layers.Conv2D(5, 5, name="conv"), layers.Conv2D(5, 1), shape=(8, 8, 3))
    path = tmp_path / f"other{suffix}"
    other.save_weights(path) if suffix == ".weights.h5" else other.save(path)
    text = sentence(save(small(), tmp_path / "base.keras"), weights=str(path))
    assert text.startswith(f"--weights other{suffix} does not fit the network")
    assert str(tmp_path) not in text


def test_missing_weights_are_one_sentence(tmp_path: Path) -> None:
    assert "no such file" in sentence(save(small(), tmp_path / "base.keras"), weights=str(tmp_path / "gone.weights.h5"))


def test_an_errors_text_becomes_one_line() -> None:
    assert one_line(ValueError("\n  first\nsecond")) == "first"
    assert one_line(ValueError()) == "ValueError"
    assert one_line(ValueError("x" * 500)) == "x" * 197 + "..."
    keras_says = (
        "Exception encountered when calling Conv2D.call().\n\n\x1b[1mNegative size.\x1b[0m\n\nArguments received"
    )
    assert one_line(ValueError(keras_says)) == "Negative size."


@pytest.mark.parametrize(
    "fact",
    [
        "The op has no kernel.\n\t [[{{node net/conv}}]] [Op:__inference_read_626]",
        "{{function_node __wrapped__Conv2D}} The op has no kernel. [Op:Conv2D]",
        "2 root error(s) found.\n  (0) UNIMPLEMENTED:  The op has no kernel.\n\t [[{{node net/conv}}]]\n  (1) CANCELLED: other",
    ],
)
@pytest.mark.parametrize("place", ['  File "a.py", line 1, in run\n    model(x)\n\n', "<stack traces unavailable>\n"])
def test_where_in_its_graph_tensorflow_failed_is_left_out_of_the_line(fact: str, place: str) -> None:
    where = f"Detected at node net/conv defined at (most recent call last):\n{place}"
    assert one_line(ValueError(f"Graph execution error:\n\n{where}{fact}")) == "The op has no kernel."
    assert one_line(ValueError(f"{where}{where}{fact}")) == "The op has no kernel."


@pytest.mark.parametrize(
    ("inside", "words"),
    [
        (
            "saved_model.pb",
            "is a SavedModel that keeps functions and no Keras layers; where the model was made, save it with",
        ),
        ("checkpoint", "is a folder of checkpoints; build the network in Python"),
        ("config.json", "is a folder; save the model with"),
    ],
)
def test_a_folder_is_named_by_what_lies_in_it(tmp_path: Path, inside: str, words: str) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / inside).write_bytes(b"")
    assert f"kept {words}" in sentence(tmp_path / "kept")


def test_an_unpacked_keras_file_says_how_to_pack_it(tmp_path: Path) -> None:
    with zipfile.ZipFile(save(small(), tmp_path / "small.keras")) as archive:
        archive.extractall(tmp_path / "small")
    assert "zip its contents into small.keras" in sentence(tmp_path / "small")


def test_weights_alone_are_recognised_by_their_content(tmp_path: Path) -> None:
    small().save_weights(tmp_path / "best.weights.h5")
    renamed = (tmp_path / "best.weights.h5").rename(tmp_path / "best.h5")
    assert "holds weights without a network; name the network as MODEL and this file with --weights" in sentence(
        renamed
    )
    loaded = load(str(save(small(), tmp_path / "base.keras")), Settings(weights=str(renamed)))
    np.testing.assert_array_equal(loaded.model.get_weights()[0], small().get_weights()[0])


@pytest.mark.filterwarnings(H5_WARNING)
def test_weights_alone_as_keras_2_wrote_them_are_recognised_and_taken(tmp_path: Path) -> None:
    other = small()
    other.weights[0].assign(other.weights[0] + 1)
    with h5py.File(save(other, tmp_path / "whole.h5")) as whole, h5py.File(tmp_path / "old.h5", "w") as file:
        for name in whole["model_weights"]:
            whole.copy(whole["model_weights"][name], file, name)
        for key, value in whole["model_weights"].attrs.items():
            file.attrs[key] = value
    assert "holds weights without a network" in sentence(tmp_path / "old.h5")
    loaded = load(str(save(small(), tmp_path / "base.keras")), Settings(weights=str(tmp_path / "old.h5")))
    np.testing.assert_array_equal(loaded.model.get_weights()[0], small().get_weights()[0] + 1)


@pytest.mark.parametrize("name", ["weights.pt", "weights.ckpt", "weights", "weights.npz"])
def test_weights_of_another_kind_are_one_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"anything")
    text = sentence(save(small(), tmp_path / "base.keras"), weights=str(tmp_path / name))
    assert text.startswith(f"--weights {name} is neither HDF5, as .weights.h5 and .h5 files are, nor a .keras archive")


NAMES = [
    "model",
    "model.ckpt",
    "model.pt",
    "model.H5",
    "model.weights.h5",
    "model.zip",
    "model.json",
    "best.0.97",
    "model.tflite",
]


@pytest.mark.filterwarnings(H5_WARNING)
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("name", NAMES)
def test_a_model_is_known_by_what_it_holds_whatever_its_name(tmp_path: Path, name: str, suffix: str) -> None:
    path = save(small(), tmp_path / f"right{suffix}").rename(tmp_path / name)
    loaded = load(str(path), Settings())
    assert loaded.source == name
    for own, other in zip(small().get_weights(), loaded.model.get_weights(), strict=True):
        np.testing.assert_array_equal(own, other)


@pytest.mark.filterwarnings(H5_WARNING)
@pytest.mark.parametrize("suffix", [".weights.h5", ".keras", ".h5"])
@pytest.mark.parametrize("name", ["weights", "weights.ckpt", "weights.keras", "weights.h5", "weights.weights.h5"])
def test_weights_are_known_by_what_they_are_whatever_their_name(tmp_path: Path, name: str, suffix: str) -> None:
    other = small()
    other.weights[0].assign(other.weights[0] + 1)
    path = tmp_path / f"better{suffix}"
    other.save_weights(path) if suffix == ".weights.h5" else other.save(path)
    path = path.rename(tmp_path / name)
    loaded = load(str(save(small(), tmp_path / "base.keras")), Settings(weights=str(path)))
    np.testing.assert_array_equal(loaded.model.get_weights()[0], small().get_weights()[0] + 1)


@pytest.mark.parametrize("name", ["model.keras", "model.h5", "model"])
def test_weights_under_the_name_of_a_model_are_told(tmp_path: Path, name: str) -> None:
    small().save_weights(tmp_path / "best.weights.h5")
    path = (tmp_path / "best.weights.h5").rename(tmp_path / name)
    assert sentence(path).startswith(f"{name} holds weights without a network; name the network as MODEL")


@pytest.mark.parametrize(
    ("name", "words"), [("m.npz", "an archive of arrays"), ("m.pt", "a PyTorch file"), ("m", "a ZIP archive")]
)
def test_an_archive_of_another_kind_is_told_by_its_name(tmp_path: Path, name: str, words: str) -> None:
    with zipfile.ZipFile(tmp_path / name, "w") as archive:
        archive.writestr("data.pkl", b"")
    assert sentence(tmp_path / name).startswith(f"{name} is {words}")


@pytest.mark.parametrize("mark", ["keras_metadata.pb", "saved_model.pb"])
@pytest.mark.parametrize("named", ["kept", "kept/saved_model.pb"])
def test_a_saved_model_of_keras_2_says_how_its_layers_are_found_again(tmp_path: Path, mark: str, named: str) -> None:
    """What the sentence says was tried with tf_keras 2.21 on a model that it had saved."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "saved_model.pb").write_bytes(b"")
    (tmp_path / "kept" / mark).write_bytes(b"\x12\x0f_tf_keras_layer")
    text = sentence(tmp_path / named)
    assert "`import tf_keras; tf_keras.models.load_model('kept').save('kept.h5')`; then name that file" in text
