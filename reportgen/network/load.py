"""Load a model from what the user named: a file, a `keras.applications` name, or a callable; code inside a file never runs unasked."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reportgen.errors import ModelError, UsageError
from reportgen.network.quiet import keras
from reportgen.settings import Settings

FILE_SUFFIXES = (".keras", ".h5", ".hdf5")
ELSEWHERE = {
    ".pb": "a SavedModel", ".tflite": "a TFLite model", ".onnx": "an ONNX model", ".pt": "a PyTorch file", ".pth": "a PyTorch file",
    ".safetensors": "a file of weights without a network", ".json": "an architecture without weights",
}  # fmt: skip
CODE_CLASSES = frozenset({"Lambda", "__lambda__"})
HASH_BLOCK = 1 << 20
TERMINAL_CODES = re.compile(r"\x1b\[[0-9;]*m")
PREAMBLES = (
    "Exception encountered when calling",
    "Graph execution error",
)  # what Keras and TensorFlow say before the fact
LONGEST_LINE = 200  # characters; two lines of a terminal


@dataclass(frozen=True)
class Loaded:
    """A live model and where it came from. `sha256` is of the file, None where there is none."""

    model: Any
    name: str
    source: str
    sha256: str | None


def load(specification: Any, settings: Settings) -> Loaded:
    """The model that `specification` names or is, with weights of `settings.weights` over it. Raises ModelError or UsageError."""
    for module in settings.imports:
        _import(module, "--import")
    if isinstance(specification, os.PathLike):
        specification = os.fspath(specification)
    if not isinstance(specification, str):
        loaded = _from_object(specification)
    elif specification.startswith("keras:"):
        loaded = _from_applications(specification.removeprefix("keras:"), settings)
    elif _is_callable_name(specification):
        loaded = _from_callable(specification)
    else:
        loaded = _from_file(Path(specification), settings)
    if settings.weights is not None:
        _load_weights(loaded.model, Path(settings.weights))
    return loaded


def _is_callable_name(text: str) -> bool:
    return re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", text) is not None and not Path(text).exists()


def _import(module: str, option: str) -> Any:
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # a module beside the model is found as `python -m` would find it
    try:
        return importlib.import_module(module)
    except Exception as error:
        raise UsageError(f"{option} {module}: the module cannot be imported ({one_line(error)}).") from error


def import_callable(name: str, option: str) -> Any:
    """The object behind `package.module:callable`. Raises UsageError."""
    module_name, _, attribute = name.partition(":")
    target = _import(module_name, option)
    for part in attribute.split("."):
        if not hasattr(target, part):
            raise UsageError(f"{option} {name}: {module_name} has no `{attribute}`.")
        target = getattr(target, part)
    if not callable(target):
        raise UsageError(f"{option} {name} is not callable.")
    return target


def _from_object(model: Any) -> Loaded:
    if not isinstance(model, keras.Model):
        raise ModelError(f"a {type(model).__name__} was given, not a Keras model.")
    return Loaded(model, model.name, "a live model", None)


def _from_callable(specification: str) -> Loaded:
    make = import_callable(specification, "MODEL")
    try:
        model = make()
    except Exception as error:
        raise ModelError(f"{specification}() failed: {one_line(error)}") from error
    if not isinstance(model, keras.Model):
        raise ModelError(f"{specification}() returned {type(model).__name__}, not a Keras model.")
    return Loaded(model, specification.rpartition(":")[2], specification, None)


def _from_applications(name: str, settings: Settings) -> Loaded:
    make = getattr(keras.applications, name, None)
    if not callable(make) or not name[:1].isupper():
        raise ModelError(f"keras:{name} is not a network of keras.applications (an example is keras:ResNet50).")
    try:
        model = make(weights=None if settings.weights is not None else "imagenet")
    except Exception as error:
        raise ModelError(
            f"keras:{name}: the ImageNet weights are not in Keras's cache and cannot be fetched ({one_line(error)}); "
            "give the weights file with --weights."
        ) from error
    return Loaded(model, name, f"keras:{name}", None)


def _from_file(path: Path, settings: Settings) -> Loaded:
    if path.is_dir():
        raise ModelError(
            f"{path.name} is a folder; save the model with `model.save('{path.name}.keras')` and name that file."
        )
    if not path.exists():
        raise ModelError(
            f"there is no file {path}; MODEL is a .keras, .h5 or .hdf5 file, keras:NAME or package.module:callable."
        )
    suffix = path.suffix.lower()
    if path.name.lower().endswith(".weights.h5"):
        raise ModelError(
            f"{path.name} holds weights without a network; name the network as MODEL and this file with --weights."
        )
    if suffix in ELSEWHERE:
        raise ModelError(
            f"{path.name} is {ELSEWHERE[suffix]}; save the Keras model with `model.save('model.keras')` and name that file."
        )
    if suffix not in FILE_SUFFIXES:
        raise ModelError(
            f"{path.name} does not end in {', '.join(FILE_SUFFIXES)}; save the model with `model.save('model.keras')`."
        )
    try:
        digest = file_sha256(path)
    except OSError as error:
        raise ModelError(f"{path.name} cannot be read: {error.strerror}.") from error
    if suffix == ".keras" and not zipfile.is_zipfile(path):
        raise ModelError(
            f"{path.name} cannot be read as a Keras model (it is not a ZIP archive, as .keras files are: damaged, or renamed); "
            "save it again with `model.save('model.keras')`."
        )
    if not settings.allow_unsafe:
        _refuse_code(path)
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=not settings.allow_unsafe)
    except Exception as error:
        raise ModelError(_why_unreadable(path, error)) from error
    if not isinstance(model, keras.Model):
        raise ModelError(f"{path.name} holds a {type(model).__name__}, not a Keras model.")
    return Loaded(model, path.stem, path.name, digest)


def _why_unreadable(path: Path, error: Exception) -> str:
    text = str(error)
    missing = re.search(r"Could not locate (?:class|function) '([^']+)'", text) or re.search(
        r"Unknown layer: '?([\w>]+)", text
    )
    if missing is not None:
        return f"{path.name} needs `{missing[1]}`, which is not part of Keras; name the module that defines it with --import."
    why = one_line(text.replace(str(path), path.name))
    return f"{path.name} cannot be read as a Keras model ({why}); save it again with `model.save('model.keras')`."


def _refuse_code(path: Path) -> None:
    """Raise ModelError where the architecture inside the file would bring Python code to life."""
    try:
        config = _architecture(path)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, EOFError):
        return  # not readable as what it says it is: the loader's own sentence is the better one
    code = _first_code(config)
    if code is not None:
        raise ModelError(
            f"{path.name} contains Python code ({code}) that would run on loading; add --allow-unsafe if you trust where it comes from."
        )


def _architecture(path: Path) -> Any:
    # By name, as Keras does: one file can be HDF5 from the front and ZIP from behind.
    if path.suffix.lower() == ".keras":
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read("config.json"))
    import h5py  # a dependency of Keras

    with h5py.File(path, "r") as file:
        return json.loads(file.attrs["model_config"])


def _first_code(node: Any) -> str | None:
    if isinstance(node, dict):
        if node.get("class_name") in CODE_CLASSES:
            inner = node.get("config")
            name = inner.get("name") if isinstance(inner, dict) else None
            return f"Lambda layer `{name}`" if name else "a Lambda layer"
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            found = _first_code(item)
            if found is not None:
                return found
    return None


def _load_weights(model: Any, path: Path) -> None:
    if not path.is_file():
        raise ModelError(f"--weights {path}: there is no such file.")
    try:
        if path.suffix == ".keras":
            other = keras.saving.load_model(path, compile=False)
            model.set_weights(other.get_weights())
        else:
            model.load_weights(path)
    except Exception as error:
        raise ModelError(f"--weights {path.name} does not fit the network: {one_line(error)}") from error


def one_line(error: BaseException | str) -> str:
    """What an error's text says, in one line of at most 200 characters.

    Keras prints in bold, puts a line before and whole configs behind.
    """
    lines = [line.strip() for line in TERMINAL_CODES.sub("", str(error)).splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].startswith(PREAMBLES):
        del lines[0]
    text = lines[0] if lines else type(error).__name__
    return text if len(text) <= LONGEST_LINE else text[: LONGEST_LINE - 3] + "..."


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(HASH_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def weights_sha256(model: Any) -> str:
    """SHA-256 of the model's architecture and weights: the same for the same model saved twice, whatever its file's bytes.

    Weights enter by position, shape, dtype and bytes: names of subclassed models' variables change with every load. Random generators'
    states are not weights: they change with every load, too.
    """
    digest = hashlib.sha256()
    try:
        config = model.get_config()
        text = json.dumps(config, sort_keys=True, default=_plain)
    except Exception:  # a subclassed model need not describe itself; its weights still tell it apart
        text = type(model).__name__
    digest.update(text.encode())
    for variable in model.weights:
        value = keras.ops.convert_to_numpy(variable)
        digest.update(f"{value.shape}{value.dtype}".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    try:
        return keras.saving.serialize_keras_object(value)
    except Exception:
        return type(value).__name__
