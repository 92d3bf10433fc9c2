"""A model from a file: recognized, checked, migrated where an older Keras wrote it, and only then loaded."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py  # a dependency of Keras

from reportgen.core.errors import ModelError
from reportgen.core.settings import Settings
from reportgen.network.backend import keras
from reportgen.network.error_text import misfit, one_line
from reportgen.network.loading import safety
from reportgen.network.loading.allocation_limits import bounded, check_tensors
from reportgen.network.loading.containers import CURRENT, WEIGHTS, Contents, holds_model, inspect_file, rewrite_archive
from reportgen.network.loading.custom_objects import application_layers, own_objects
from reportgen.network.loading.hashes import file_sha256
from reportgen.network.loading.legacy import architecture as legacy
from reportgen.network.loading.legacy import weights as legacy_weights
from reportgen.network.loading.legacy.tables import MODELS
from reportgen.network.loading.load_errors import refusal, unreadable
from reportgen.network.loading.unsupported import unsupported_file, unsupported_folder

FILE_SUFFIXES = (".keras", ".h5", ".hdf5")
HDF5_SIGNATURE, ZIP_SIGNATURE = b"\x89HDF\r\n\x1a\n", b"PK\x03\x04"


@dataclass(frozen=True)
class ModelFile:
    """A model in memory, the SHA-256 of the file that it came from, and the names of its classes where the file states them."""

    model: Any
    sha256: str
    classes: tuple[str, ...] | None


def load_file(path: Path, settings: Settings, modules: Iterable[ModuleType]) -> ModelFile:
    """Load the model in a file; no code of the file runs unless the settings allow it.

    Args:
        path: of the file.
        settings: of the run.
        modules: what `--import` names.

    Raises:
        ModelError: the file holds no model that can be loaded safely.
    """
    if path.is_dir():
        raise unsupported_folder(path)
    if not path.exists():
        raise ModelError(
            f"there is no file {path}; MODEL is a .keras, .h5 or .hdf5 file, keras:NAME or package.module:callable."
        )
    try:
        digest = file_sha256(path)
        suffix = suffix_by_content(path)
    except OSError as error:
        raise ModelError(f"{path.name} cannot be read: {error.strerror}.") from error
    if suffix is None:
        raise _unrecognized(path)
    with tempfile.TemporaryDirectory(prefix="reportgen-") as folder:
        readable = path
        if path.suffix != suffix:
            readable = Path(folder) / f"{path.stem}{suffix}"
            readable.symlink_to(path.resolve())
        try:
            contents = inspect_file(readable)
            readable, own = _for_keras(readable, path.name, Path(folder), contents, settings, modules)
        except ModelError:
            raise
        except Exception as error:  # readers raise anything on damaged files
            raise ModelError(unreadable(path.name, one_line(error))) from error
        stored = contents.elements + _stored_in_weights(settings.weights)
        try:
            with bounded(stored, path.name):
                model = keras.saving.load_model(
                    readable, custom_objects=own, compile=False, safe_mode=not settings.allow_unsafe
                )
        except ModelError:
            raise
        except Exception as error:
            text = (str(error) or type(error).__name__).replace(str(readable), path.name)
            raise ModelError(refusal(path.name, text, contents.architecture, contents.written_by)) from error
    if not isinstance(model, keras.Model):
        raise ModelError(f"{path.name} holds a {type(model).__name__}, not a Keras model.")
    check_tensors(model, path.name)
    if contents.version < CURRENT:
        legacy.check_order(legacy.migrate(contents.architecture, contents.version, path.name), model, path.name)
    return ModelFile(model, digest, contents.classes)


def suffix_by_content(path: Path) -> str | None:
    """Return `.keras` or `.h5`, by what the file contains and not by its name; None where it is neither.

    Before Keras 2.12 a `.keras` file was HDF5, and callbacks save under any name. A damaged file is taken for what its name says.
    """
    with path.open("rb") as file:
        start = file.read(len(HDF5_SIGNATURE))
    named = path.suffix.lower()
    if start == HDF5_SIGNATURE:
        return path.suffix if path.suffix in FILE_SUFFIXES[1:] else ".h5"
    if start.startswith(ZIP_SIGNATURE) and (named in FILE_SUFFIXES or holds_model(path)):
        return ".keras"
    return None


def _unrecognized(path: Path) -> ModelError:
    """Return the error for a file that is neither HDF5 nor a .keras archive."""
    if path.suffix.lower() in FILE_SUFFIXES and not path.name.lower().endswith(".weights.h5"):
        what = "ZIP archive, as .keras files are" if path.suffix.lower() == ".keras" else "HDF5 file"
        return ModelError(unreadable(path.name, f"it is no {what}: damaged, or renamed"))
    return unsupported_file(path, zipfile.is_zipfile(path))


def _for_keras(
    path: Path, name: str, folder: Path, contents: Contents, settings: Settings, modules: Iterable[ModuleType]
) -> tuple[Path, dict[str, Any]]:
    """Return (the file for Keras, the user's objects that it may need); the file is `path` itself, or a migrated copy in `folder`."""
    architecture = contents.architecture
    if architecture is None:
        raise _without_network(path, name)
    if not isinstance(architecture, dict) or not isinstance(architecture.get("config"), (dict, list)):
        raise ModelError(unreadable(name, "its architecture is no JSON object with a config"))
    own = own_objects(modules)
    wanted = safety.functions_named(architecture, name)
    own = {key: item for key, item in own.items() if isinstance(item, type) or key in wanted}
    own = {**application_layers(safety.parts(architecture, name)), **own}
    copy = folder / f"migrated{path.suffix}"
    if path.suffix == ".keras":
        changed = safety.drop_training(architecture, name)
        if contents.version < CURRENT:
            changed, architecture = True, legacy.migrate(architecture, contents.version, name)
        safety.check(architecture, name, own, settings.allow_unsafe, contents.written_by)
        if changed:
            rewrite_archive(path, copy, architecture)
        return copy if changed else path, own
    version = contents.version
    migrated = legacy.migrate(architecture, version, name) if version < CURRENT else architecture
    safety.check(migrated, name, own, settings.allow_unsafe, contents.written_by)
    migrated = legacy.with_modules(_with_input(migrated, name, settings))
    if migrated == architecture and legacy_weights.backend_of(path) not in legacy_weights.FLIPPING_BACKENDS:
        return path, own
    legacy_weights.rewrite(path, copy, migrated, legacy_weights.layer_kinds(architecture), version)
    return copy, own


def _with_input(architecture: Any, name: str, settings: Settings) -> Any:
    """Add `--input-shape` to a Sequential model of HDF5 that states no input shape: without, it has no weights until it is built."""
    config = architecture["config"]
    if architecture.get("class_name") != "Sequential" or not isinstance(config, dict) or not config.get("layers"):
        return architecture
    layers = config["layers"]
    first = layers[0].get("config", {})
    stated = any(key in first for key in ("batch_input_shape", "batch_shape", "input_shape"))
    if stated or config.get("build_input_shape") or layers[0].get("class_name") in MODELS:
        return architecture
    if settings.input_shape is None:
        raise ModelError(f"{name} does not state its input; give --input-shape H,W,C (for example 224,224,3).")
    entry = {"batch_shape": [None, *settings.input_shape], "dtype": "float32", "name": "input_layer"}
    return {**architecture, "config": {**config, "layers": [{"class_name": "InputLayer", "config": entry}, *layers]}}


def _without_network(path: Path, name: str) -> ModelError:
    """Return the error for an HDF5 file without an architecture."""
    with h5py.File(path, "r") as file:
        if "layer_names" in file.attrs or {"layers", "_layer_checkpoint_dependencies", "vars"} & set(file):
            return ModelError(
                f"{name} holds weights without a network; name the network as MODEL and this file with --weights."
            )
    return ModelError(
        f"{name} holds no Keras model; save the model with `model.save('model.keras')` and name that file."
    )


def _stored_in_weights(weights: str | None) -> int:
    """Return the number of elements in a file of weights; 0 where it cannot be read, which loading it will report."""
    if weights is None:
        return 0
    path = Path(weights)
    try:
        with tempfile.TemporaryDirectory(prefix="reportgen-") as folder:
            readable = Path(folder) / f"named{suffix_by_content(path)}"
            readable.symlink_to(path.resolve())
            return inspect_file(readable).elements
    except Exception:
        return 0


def load_weights(model: Any, path: Path) -> None:
    """Load weights into a model; of a .keras file only its arrays are read.

    Args:
        model: the Keras model.
        path: of the file of weights.

    Raises:
        ModelError: the weights cannot be read or do not fit the model.
    """
    if not path.is_file():
        raise ModelError(f"--weights {path}: there is no such file.")
    suffix = suffix_by_content(path)
    if suffix is None:
        raise ModelError(
            f"--weights {path.name} is neither HDF5, as .weights.h5 and .h5 files are, nor a .keras archive; "
            "save them with `model.save_weights('model.weights.h5')`."
        )
    try:
        with tempfile.TemporaryDirectory(prefix="reportgen-") as folder:
            readable = Path(folder) / f"named{suffix}"
            readable.symlink_to(path.resolve())
            inspect_file(readable)
            if suffix == ".keras":
                with zipfile.ZipFile(readable) as archive:
                    if WEIGHTS not in archive.namelist():
                        raise ModelError(f"{path.name} is an archive without weights ({WEIGHTS}).")
                    archive.extract(WEIGHTS, folder)
                readable = Path(folder) / WEIGHTS
            elif _is_of_keras_3(readable):
                readable = readable.rename(readable.with_name("named.weights.h5"))
            model.load_weights(readable)
    except ModelError as error:
        raise ModelError(f"--weights {error}") from error
    except Exception as error:
        raise ModelError(f"--weights {path.name} does not fit the network: {misfit(error)}") from error


def _is_of_keras_3(path: Path) -> bool:
    """Return whether an HDF5 file of weights has the layout of Keras 3, whatever its name."""
    with h5py.File(path, "r") as file:
        return "layer_names" not in file.attrs and "model_weights" not in file
