"""The networks of keras.applications: from Keras's cache or the user's file, never from a network; and the names of a model's classes."""

from __future__ import annotations

import hashlib
import importlib
import json
import socket
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from model_files import H5_WARNING, save, sentence
from reportgen.core.errors import ModelError
from reportgen.core.settings import Settings
from reportgen.network.backend import keras
from reportgen.network.loading import applications
from reportgen.network.loading.applications import make_application
from reportgen.network.loading.embedded_class_names import names_of
from reportgen.network.loading.load import load
from reportgen.network.preprocessing import of_application
from small_models import functional, layers, randomised

NAMES = sorted(
    name for name in dir(keras.applications) if name[0].isupper() and callable(getattr(keras.applications, name))
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of Keras's, and no network."""

    def offline(*arguments: Any, **named: Any) -> None:
        raise AssertionError("nothing may be fetched")

    monkeypatch.setattr(socket.socket, "connect", offline)
    monkeypatch.setattr(socket, "getaddrinfo", offline)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    folder = tmp_path / "keras" / "models"
    folder.mkdir(parents=True)
    return folder


def tiny(name: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A network of two layers in the place of `name`, which asks for its weights as Keras's own do; returns its weights' MD5."""
    files = importlib.import_module("keras.src.utils.file_utils")
    source = randomised(functional(layers.Conv2D(2, 3), layers.GlobalAveragePooling2D(), shape=(8, 8, 3)))
    digest: dict[str, str] = {}

    def make(weights: str | None = "imagenet", include_top: bool = True) -> Any:
        stack = [layers.Conv2D(2, 3), layers.GlobalAveragePooling2D(), *([layers.Dense(1000)] if include_top else [])]
        model = functional(*stack, shape=(8, 8, 3))
        if weights == "imagenet":
            path = files.get_file(
                "tiny.h5", "https://example.org/tiny.h5", cache_subdir="models", file_hash=digest["md5"]
            )
            model.load_weights(path)
        return model

    monkeypatch.setattr(keras.applications, name, make)
    whole = randomised(make(weights=None))
    whole.save("tiny.h5")
    digest["md5"] = hashlib.md5(Path("tiny.h5").read_bytes()).hexdigest()
    source.save("tiny_notop.h5")
    return digest["md5"]


@pytest.mark.filterwarnings(H5_WARNING)
def test_weights_come_from_the_cache_or_from_a_file_and_are_named_where_they_are_missing(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny("VGG16", monkeypatch)
    text = sentence("keras:VGG16")
    assert text.startswith("keras:VGG16: its ImageNet weights are not in Keras's cache")
    assert "https://example.org/tiny.h5 into" in text
    assert "--weights" in text
    (cache / "tiny.h5").write_bytes(b"half a file")
    assert "its checksum differs" in sentence("keras:VGG16")
    (cache / "tiny.h5").write_bytes(Path("tiny.h5").read_bytes())
    loaded = load("keras:VGG16", Settings())
    assert (loaded.name, loaded.source, loaded.sha256) == ("VGG16", "keras:VGG16", None)
    (cache / "tiny.h5").unlink()
    by_file = load("keras:VGG16", Settings(weights="tiny.h5"))
    without_top = load("keras:VGG16", Settings(weights="tiny_notop.h5"))
    for own, other in zip(loaded.model.get_weights(), by_file.model.get_weights(), strict=True):
        np.testing.assert_array_equal(own, other)
    assert len(without_top.model.get_weights()) == 2


def test_a_network_of_keras_names_its_own_file() -> None:
    text = sentence("keras:MobileNet")
    assert "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet/mobilenet_1_0_224_tf.h5" in text


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.input_shape. is undefined:UserWarning")  # Keras's own words on MobileNetV3
@pytest.mark.parametrize("name", NAMES)
def test_every_network_of_keras_names_its_own_file(name: str) -> None:
    without_values = keras.StatelessScope(initialize_variables=False)  # most of the time goes into these
    with without_values, pytest.raises(ModelError, match=r"put https://storage\.googleapis\.com/\S+/[\w.-]+\.h5 into"):
        make_application(name, None)
    keras.backend.clear_session()  # or Keras gives all these variables values in the next scope


@pytest.mark.parametrize("name", NAMES)
def test_every_network_of_keras_has_a_preprocessing_of_its_own(name: str) -> None:
    assert of_application(name) in ("none", "tf", "torch", "caffe")


def test_all_networks_of_keras_are_walked_above() -> None:
    assert {"VGG16", "ResNet50", "EfficientNetB0", "ConvNeXtTiny", "NASNetMobile", "MobileNetV3Small"} <= set(NAMES)
    assert len(NAMES) > 30


def test_imagenets_names_are_read_from_the_cache_or_a_note_says_how_to_get_them(cache: Path) -> None:
    names, note = names_of(object(), "keras:VGG16", None, 1000)
    assert names is None
    assert note is not None
    assert applications.CLASS_INDEX_URL in note
    index = {str(number): [f"n{number:08}", f"thing_{number}"] for number in range(1000)}
    (cache / "imagenet_class_index.json").write_text(json.dumps(index))
    names, note = names_of(object(), "keras:VGG16", None, 1000)
    assert names is not None
    assert (len(names), names[7], note) == (1000, "thing_7", None)
    (cache / "imagenet_class_index.json").write_text("[]")
    assert names_of(object(), "keras:VGG16", None, 1000)[0] is None


def classifier(classes: int) -> Any:
    return randomised(functional(layers.Conv2D(2, 3), layers.GlobalAveragePooling2D(), layers.Dense(classes)))


def found(path: Path, count: int) -> tuple[str, ...] | None:
    loaded = load(str(path), Settings())
    return names_of(loaded.model, loaded.source, loaded.classes, count)[0]


CLASSES = ["cat", "dog", "newt"]


@pytest.mark.filterwarnings(H5_WARNING)
def test_class_names_in_the_notes_of_a_file_are_its_classes_where_their_number_fits(tmp_path: Path) -> None:
    path = save(classifier(3), tmp_path / "named.keras")
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["metadata.json"] = json.dumps({**json.loads(members["metadata.json"]), "class_names": CLASSES}).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    assert found(path, 3) == tuple(CLASSES)
    assert found(path, 4) is None
    for value in (CLASSES, json.dumps(CLASSES), np.array([name.encode() for name in CLASSES])):
        path = save(classifier(3), tmp_path / "named.h5")
        with h5py.File(path, "r+") as file:
            file.attrs["classes"] = value
        assert found(path, 3) == tuple(CLASSES)


def test_class_names_in_an_attribute_a_config_or_a_vocabulary_are_the_models_own() -> None:
    model = classifier(3)
    assert names_of(model, "a live model", None, 3) == (None, None)
    model.class_names = CLASSES
    names, note = names_of(model, "a live model", None, 3)
    assert names == tuple(CLASSES)
    assert note is not None
    assert "the model's own" in note
    assert names_of(model, "a live model", None, None) == (None, None)
    del model.class_names
    model.table = layers.StringLookup(vocabulary=CLASSES, invert=True, num_oov_indices=0)
    assert names_of(model, "a live model", None, 3)[0] == tuple(CLASSES)
    one = classifier(1)
    one.classes = ["no", "yes"]
    assert names_of(one, "a live model", None, 1)[0] == ("no", "yes")


def test_class_names_that_are_no_names_are_not_taken() -> None:
    model = classifier(3)
    for value in ([1, 2, 3], ["a", "a", "b"], ["a", "", "b"], "abc", ["a", "b"]):
        model.class_names = value
        assert names_of(model, "a live model", None, 3) == (None, None)
