"""No Python code inside a model file runs unless the user allows it."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from model_files import H5_WARNING, save, sentence, small, with_config
from reportgen.core.settings import Settings
from reportgen.network.backend import keras, tf
from reportgen.network.loading.load import load
from small_models import layers


def lambda_model(marker: Path) -> Any:
    """A model whose Lambda layer writes a file as soon as it is called, loading included."""
    target = str(marker)

    write = lambda inputs, target: (open(target, "w").close(), inputs)[1]  # noqa: E731 - only a lambda is saved as code
    sneaky = layers.Lambda(write, output_shape=(8, 8, 3), arguments={"target": target}, name="sneaky")
    entry = keras.Input((8, 8, 3))
    return keras.Model(entry, layers.Conv2D(2, 3)(sneaky(entry)))


def nested_lambda_model(marker: Path) -> Any:
    inner = lambda_model(marker)
    entry = keras.Input((8, 8, 3))
    return keras.Model(entry, layers.ReLU()(inner(entry)))


@pytest.mark.filterwarnings(H5_WARNING)
@pytest.mark.parametrize("make", [lambda_model, nested_lambda_model], ids=["outer", "nested"])
@pytest.mark.parametrize("suffix", [".keras", ".h5", ".hdf5"])
def test_code_in_a_file_is_refused_before_anything_runs(
    tmp_path: Path, suffix: str, make: Callable[[Path], Any]
) -> None:
    marker = tmp_path / "ran"
    path = save(make(marker), tmp_path / f"unsafe{suffix}")
    marker.unlink(missing_ok=True)
    text = sentence(path)
    assert "Lambda layer `sneaky`" in text
    assert "--allow-unsafe" in text
    assert not marker.exists()


@pytest.mark.filterwarnings(H5_WARNING)
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_code_in_a_file_runs_when_the_user_allows_it(tmp_path: Path, suffix: str) -> None:
    """The marker of the test above can be written at all."""
    marker = tmp_path / "ran"
    path = save(lambda_model(marker), tmp_path / f"unsafe{suffix}")
    marker.unlink(missing_ok=True)
    model = load(str(path), Settings(allow_unsafe=True)).model
    model(tf.zeros((1, 8, 8, 3)))
    assert marker.exists()


@pytest.mark.filterwarnings(H5_WARNING)
def test_an_h5_file_that_looks_like_a_zip_from_behind_hides_no_code(tmp_path: Path) -> None:
    """ZIP readers look at a file's end, HDF5 at its beginning: one file can be both."""
    marker = tmp_path / "ran"
    path = save(lambda_model(marker), tmp_path / "both.h5")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("config.json", json.dumps({"class_name": "Functional", "config": {}}))
    assert zipfile.is_zipfile(path)
    marker.unlink(missing_ok=True)
    assert "--allow-unsafe" in sentence(path)
    assert not marker.exists()


def test_code_in_a_file_of_weights_does_not_run(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    weights = save(lambda_model(marker), tmp_path / "weights.keras")
    model = save(small(), tmp_path / "small.keras")
    marker.unlink(missing_ok=True)
    loaded = load(str(model), Settings(weights=str(weights))).model
    assert not marker.exists()
    with zipfile.ZipFile(weights) as archive, h5py.File(BytesIO(archive.read("model.weights.h5"))) as file:
        np.testing.assert_array_equal(loaded.get_weights()[0], file["layers/conv2d/vars/0"])


def test_a_function_from_any_module_is_not_called_by_a_config(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    path = save(small(), tmp_path / "small.keras")
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
    config["config"]["layers"][1] = {
        "module": "os",
        "class_name": "system",
        "config": {"command": f"touch {marker}"},
        "registered_name": None,
        "build_config": {},
    }
    with_config(path, json.dumps(config).encode())
    sentence(path)
    assert not marker.exists()
