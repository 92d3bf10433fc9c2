"""A file that Keras cannot read: the sentence states the cause, and which Keras or Python it needs."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest

from model_files import H5_WARNING, save, sentence, with_architecture
from reportgen.core.settings import Settings
from reportgen.network.backend import keras
from reportgen.network.error_text import one_line
from reportgen.network.loading.load import load
from small_models import layers

pytestmark = pytest.mark.filterwarnings(H5_WARNING)
HERE = keras.__version__


def nested() -> Any:
    inner = keras.Sequential([keras.Input((6, 6, 2)), layers.Conv2D(2, 1, name="deep")], name="inner")
    entry = keras.Input((8, 8, 3))
    tensor = layers.Activation("relu", name="act")(layers.Conv2D(2, 3, name="conv")(entry))
    return keras.Model(entry, inner(layers.TimeDistributed(layers.Dense(2, name="dense"), name="each")(tensor)))


def part(architecture: Any, name: str) -> dict[str, Any]:
    """The object of this name, at any depth."""
    config = architecture.get("config") if isinstance(architecture, dict) else None
    if isinstance(config, dict) and config.get("name") == name:
        return architecture
    items = (
        architecture.values()
        if isinstance(architecture, dict)
        else architecture
        if isinstance(architecture, list)
        else ()
    )
    return next(filter(None, (part(item, name) for item in items)), {})


def written_by(path: Path, version: str) -> None:
    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            file.attrs["keras_version"] = version
        return
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["metadata.json"] = json.dumps({**json.loads(members["metadata.json"]), "keras_version": version}).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def refused(tmp_path: Path, suffix: str, change: Callable[[Any], None], version: str = HERE) -> str:
    path = with_architecture(save(nested(), tmp_path / f"newer{suffix}"), change)
    written_by(path, version)
    return sentence(path)


BOTH = pytest.mark.parametrize("suffix", [".keras", ".h5"])


@BOTH
@pytest.mark.parametrize(
    ("name", "kind"), [("conv", "Conv2D"), ("act", "Activation"), ("dense", "Dense"), ("deep", "Conv2D")]
)
def test_an_argument_of_a_newer_keras_is_named_with_both_versions(
    tmp_path: Path, suffix: str, name: str, kind: str
) -> None:
    text = refused(tmp_path, suffix, lambda model: part(model, name)["config"].update(new_thing=[1]), "3.99.0")
    assert text == (
        f"newer{suffix} gives its {kind} layer `{name}` the argument `new_thing`, which Keras {HERE} does not know; "
        f"it was written by Keras 3.99.0: install that version, or save the model again with Keras {HERE}."
    )


@BOTH
def test_an_unknown_argument_is_not_laid_to_a_newer_keras_where_the_file_is_older(tmp_path: Path, suffix: str) -> None:
    text = refused(tmp_path, suffix, lambda model: part(model, "conv")["config"].update(old_thing=1), "3.0.5")
    assert text.endswith(f"which Keras {HERE} does not know; it was written by Keras 3.0.5: load it there.")


def test_a_layer_of_a_newer_keras_is_not_called_the_users(tmp_path: Path) -> None:
    text = refused(tmp_path, ".keras", lambda model: part(model, "conv").update(class_name="ConvNew"), "3.99.0")
    assert text.startswith(
        f"newer.keras needs `ConvNew`, which Keras {HERE} does not have; it was written by Keras 3.99.0"
    )
    text = refused(tmp_path, ".h5", lambda model: part(model, "conv").update(class_name="ConvNew"), "3.99.0")
    assert "name the module that defines it with --import. If a newer Keras has it" in text  # HDF5 keeps no modules
    text = refused(tmp_path, ".h5", lambda model: part(model, "conv").update(class_name="ConvNew"))
    assert (
        text == "newer.h5 needs `ConvNew`, which is not part of Keras; name the module that defines it with --import."
    )


@BOTH
def test_a_function_without_a_name_is_told_from_one_that_can_be_imported(tmp_path: Path, suffix: str) -> None:
    text = refused(tmp_path, suffix, lambda model: part(model, "conv")["config"].update(activation="<lambda>"))
    assert "a function without a name (<lambda>) in its Conv2D layer `conv`" in text
    assert "give the function a name" in text
    text = refused(tmp_path, suffix, lambda model: part(model, "act")["config"].update(activation="own_relu"))
    assert (
        text
        == f"newer{suffix} needs `own_relu`, which is not part of Keras; name the module that defines it with --import."
    )


@BOTH
@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (
            {"filters": -2},
            "Invalid value for argument `filters`. Expected a strictly positive value. Received filters=-2",
        ),
        (
            {"data_format": "up"},
            "The `data_format` argument must be one of {'channels_first', 'channels_last'}. Received: data_format=up",
        ),
    ],
)
def test_a_cause_that_keras_buries_under_configs_is_stated_alone(
    tmp_path: Path, suffix: str, change: dict[str, Any], cause: str
) -> None:
    text = refused(tmp_path, suffix, lambda model: part(model, "deep")["config"].update(change))
    assert text.startswith(f"newer{suffix} cannot be read as a Keras model ({cause}); save it again")


def test_a_config_behind_a_cause_is_left_out() -> None:
    assert (
        one_line(
            ValueError(
                "<class> could not be.\n\nconfig={}.\n\nException encountered: Why. Full object config: {'a': 1}"
            )
        )
        == "Why."
    )


OWN = """
import keras

class Strict(keras.layers.Layer):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def get_config(self):
        return {"factor": self.factor, "scale": 1}

    def call(self, inputs):
        return inputs * self.factor

squash, widen = (lambda x: x / 2), (lambda x: x * 2)
"""


def test_an_argument_that_a_users_own_class_does_not_take_is_the_class_s_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_strict_of_a_test.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    own = __import__("own_strict_of_a_test")
    entry = keras.Input((8, 8, 3))
    path = save(keras.Model(entry, layers.Conv2D(2, 3)(own.Strict(2)(entry))), tmp_path / "own.keras")
    assert sentence(path, imports=("own_strict_of_a_test",)) == (
        "own.keras gives its Strict layer the argument `scale`, which the class does not take; "
        "let its `__init__` take `**kwargs` and hand them to its base class."
    )


def test_a_nameless_function_of_an_imported_module_is_never_taken_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_nameless_of_a_test.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    path = with_architecture(
        save(nested(), tmp_path / "nameless.keras"),
        lambda model: part(model, "conv")["config"].update(activation="<lambda>"),
    )
    assert "a function without a name" in sentence(path, imports=("own_nameless_of_a_test",))


# `lambda x: tf.nn.relu(x) * 2` and `lambda x: x[:, 1:] if x is None else x * 2 + 1`, marshalled by each Python.
CODES = {
    (3, 8): (
        "4wEAAAAAAAAAAAAAAAEAAAADAAAAQwAAAHMQAAAAdABqAaACfAChAWQBFABTACkCTukCAAAAKQPaAnRm2gJubtoEcmVsdakB2gF4qQByBwAAAPoFbWsucHnaCDxsYW1iZGE+AgAAAPMAAAAA",
        "4wEAAAAAAAAAAAAAAAEAAAAEAAAAQwAAAHMoAAAAfABkAGsIchx8AGQAZACFAmQBZACFAmYCGQBTAHwAZAIUAGQBFwBTACkDTukBAAAA6QIAAACpAKkB2gF4cgMAAAByAwAAAPoFbWsucHnaCDxsYW1iZGE+AwAAAPMAAAAA",
    ),
    (3, 10): (
        "4wEAAAAAAAAAAAAAAAEAAAADAAAAQwAAAHMQAAAAdABqAaACfAChAWQBFABTACkCTukCAAAAKQPaAnRm2gJubtoEcmVsdakB2gF4qQByBwAAAPoKL3RtcC9tay5wedoIPGxhbWJkYT4CAAAAcwIAAAAQAA==",
        "4wEAAAAAAAAAAAAAAAEAAAAEAAAAQwAAAHMoAAAAfABkAHUAcg58AGQAZACFAmQBZACFAmYCGQBTAHwAZAIUAGQBFwBTACkDTukBAAAA6QIAAACpAKkB2gF4cgMAAAByAwAAAPoKL3RtcC9tay5wedoIPGxhbWJkYT4DAAAAcwIAAAAoAA==",
    ),
    (3, 11): (
        "4wEAAAAAAAAAAAAAAAMAAAADAAAA80YAAACXAHQAAAAAAAAAAAAAAGoBAAAAAAAAAACgAgAAAAAAAAAAAAAAAAAAAAAAAAAAfACmAQAAqwEAAAAAAAAAAGQBegUAAFMAKQJO6QIAAAApA9oCdGbaAm5u2gRyZWx1qQHaAXhzAQAAACD6Ci90bXAvbWsucHn6CDxsYW1iZGE+cgkAAAACAAAAcxcAAACAAI1ijGWPaopqmBGJbYxtmGHRDh+AAPMAAAAA",
        "4wEAAAAAAAAAAAAAAAQAAAADAAAA8zIAAACXAHwAgA58AGQAZACFAmQBZACFAmYCGQAAAAAAAAAAAG4HfABkAnoFAABkAXoAAABTACkDTukBAAAA6QIAAACpAKkB2gF4cwEAAAAg+govdG1wL21rLnB5+gg8bGFtYmRhPnIIAAAAAwAAAHMmAAAAgACYIZgpiGGQAZABkAGQMZAykDKQBYxoiGioEahRqRWwEakZgADzAAAAAA==",
    ),
    (3, 12): (
        "4wEAAAAAAAAAAAAAAAMAAAADAAAA80YAAACXAHQAAAAAAAAAAABqAgAAAAAAAAAAAAAAAAAAAAAAAGoFAAAAAAAAAAAAAAAAAAAAAAAAfACrAQAAAAAAAGQBegUAAFMAKQJO6QIAAAApA9oCdGbaAm5u2gRyZWx1qQHaAXhzAQAAACD6Ci90bXAvbWsucHn6CDxsYW1iZGE+cgkAAAACAAAAcxcAAACAAIxij2WJZY9qiWqYEYttmGHRDh+AAPMAAAAA",
        "4wEAAAAAAAAAAAAAAAQAAAADAAAA8ywAAACXAHwAgAt8AGQAZACFAmQBZACFAmYCGQAAAFMAfABkAnoFAABkAXoAAABTACkDTukBAAAA6QIAAACpAKkB2gF4cwEAAAAg+govdG1wL21rLnB5+gg8bGFtYmRhPnIIAAAAAwAAAHMgAAAAgACYIZgpiGGSAZAxkTKQBYlogACoEahRqRWwEakZgADzAAAAAA==",
    ),
    (3, 13): (
        "4wEAAAAAAAAAAAAAAAMAAAADAAAA80YAAACVAFsAAAAAAAAAAABSAgAAAAAAAAAAAAAAAAAAAAAAAFIFAAAAAAAAAAAAAAAAAAAAAAAAVQA1AQAAAAAAAFMBLQUAACQAKQJO6QIAAAApA9oCdGbaAm5u2gRyZWx1qQHaAXhzAQAAACDaCi90bXAvbWsucHnaCDxsYW1iZGE+cgkAAAACAAAAcxUAAACAAIxij2WJZY9qiWqYEYttmGHSDh/zAAAAAA==",
        "4wEAAAAAAAAAAAAAAAQAAAADAAAA8y4AAACVAFUAYwsAAFUAUwBTADICUwFTADICNAIFAAAAJABVAFMCLQUAAFMBLQAAACQAKQNO6QEAAADpAgAAAKkAqQHaAXhzAQAAACDaCi90bXAvbWsucHnaCDxsYW1iZGE+cggAAAADAAAAcyIAAACAAJghmSmIYZIBkDGRMpAFiWjQDjKoEahRqRWwEakZ0A4y8wAAAAA=",
    ),
}  # fmt: skip


def with_code(path: Path, code: str) -> Path:
    """A file whose Lambda layer `twice`, inside an inner model, holds this code."""
    entry = keras.Input((8, 8, 3))
    inner = keras.Sequential([keras.Input((8, 8, 3)), layers.Lambda(lambda x: x, output_shape=(8, 8, 3), name="twice")])
    save(keras.Model(entry, layers.Conv2D(2, 3, name="conv")(inner(entry))), path)

    def change(model: Any) -> None:
        function = part(model, "twice")["config"]["function"]
        function["config"]["code"] = code

    return with_architecture(path, change)


@BOTH
@pytest.mark.parametrize("python", [version for version in CODES if version != sys.version_info[:2]])
@pytest.mark.parametrize("which", [0, 1])
def test_code_of_another_python_is_never_run_and_its_layer_named(
    tmp_path: Path, suffix: str, python: tuple[int, int], which: int
) -> None:
    text = sentence(with_code(tmp_path / f"coded{suffix}", CODES[python][which]), allow_unsafe=True)
    assert text.startswith(
        f"coded{suffix}: its Lambda layer `twice` holds Python code that another version of Python compiled"
    )
    assert f"this is Python {'.'.join(map(str, sys.version_info[:3]))}" in text
    assert "create the report with that Python" in text


@BOTH
def test_code_of_this_python_runs_where_it_is_allowed(tmp_path: Path, suffix: str) -> None:
    path = with_code(tmp_path / f"coded{suffix}", CODES[sys.version_info[:2]][1])  # type: ignore[index]
    loaded = load(str(path), Settings(allow_unsafe=True)).model
    found = loaded.layers[1](keras.ops.ones((1, 8, 8, 3)))
    assert float(keras.ops.min(found)) == float(keras.ops.max(found)) == 3.0
