"""Unsupported files and folders: what they are, and what to export instead."""

from __future__ import annotations

from pathlib import Path

from reportgen.core.errors import ModelError

SAVE = "save the Keras model with `model.save('model.keras')` and name that file"
REBUILD = "build the network in Python, load it there, and save it with `model.save('model.keras')`"
CONVERT = "convert it to Keras where it came from, and save that with `model.save('model.keras')`"
CHECKPOINT = (
    "build the network in Python, `model.load_weights` the checkpoint, and save it with `model.save('model.keras')`"
)
KINDS = {  # suffix -> what it is, what to do
    ".pb": ("a SavedModel", SAVE),
    ".tflite": ("a TFLite model, which has no Keras layers", SAVE),
    ".onnx": ("an ONNX model", CONVERT),
    ".pt": ("a PyTorch file", CONVERT),
    ".pth": ("a PyTorch file", CONVERT),
    ".pt2": ("a PyTorch program", CONVERT),
    ".mlmodel": ("a Core ML model", SAVE),
    ".caffemodel": ("a Caffe model", CONVERT),
    ".safetensors": ("a file of weights without a network", REBUILD),
    ".npz": ("an archive of arrays without a network", REBUILD),
    ".npy": ("an array, not a network", REBUILD),
    ".json": ("an architecture without weights", f"build it with `keras.models.model_from_json`, load its weights, and {SAVE}"),
    ".yaml": ("an architecture without weights", REBUILD),
    ".pkl": ("a pickle, which would run code", SAVE),
    ".pickle": ("a pickle, which would run code", SAVE),
    ".joblib": ("a pickle, which would run code", SAVE),
    ".ckpt": ("a checkpoint without a network", CHECKPOINT),
    ".index": ("part of a checkpoint without a network", CHECKPOINT),
    ".meta": ("part of a TensorFlow 1 checkpoint", REBUILD),
    ".zip": ("a ZIP archive", "unpack it and name the .keras or .h5 file in it, or rename a model's own archive to .keras"),
}  # fmt: skip


SAVED_MODEL, METADATA = "saved_model.pb", "keras_metadata.pb"
KERAS_LAYERS = b"_tf_keras_"  # in a SavedModel, the mark of an object that is a layer of Keras 2


def unsupported_file(path: Path, archive: bool) -> ModelError:
    """Return the error for a file that is neither HDF5 nor a .keras archive.

    Args:
        path: of the file.
        archive: whether it is a ZIP archive all the same.
    """
    suffix = path.suffix.lower()
    if path.name.lower().endswith(".weights.h5"):
        return ModelError(
            f"{path.name} holds weights without a network; name the network as MODEL and this file with --weights."
        )
    if path.name == SAVED_MODEL:
        return _saved_model(path.absolute().parent, f"{path.name} is a SavedModel")
    if ".ckpt" in path.name.lower():
        suffix = ".ckpt"
    if suffix not in KINDS and archive:
        suffix = ".zip"
    if suffix in KINDS:
        what, to_do = KINDS[suffix]
        return ModelError(f"{path.name} is {what}; {to_do}.")
    return ModelError(
        f"{path.name} holds no Keras model: it is neither HDF5, as .h5 and .hdf5 files are, nor a .keras archive; "
        "save the model with `model.save('model.keras')`."
    )


def unsupported_folder(path: Path) -> ModelError:
    """Return the error for a folder, by what it contains."""
    name = path.name or str(path)
    if (path / SAVED_MODEL).exists():
        return _saved_model(path, f"{name} is a SavedModel")
    if (path / "checkpoint").exists():
        return ModelError(f"{name} is a folder of checkpoints; {CHECKPOINT}.")
    if (path / "config.json").exists() and (path / "metadata.json").exists():
        return ModelError(f"{name} is an unpacked .keras file; zip its contents into {name}.keras and name that file.")
    return ModelError(f"{name} is a folder; save the model with `model.save('{name}.keras')` and name that file.")


def _saved_model(folder: Path, subject: str) -> ModelError:
    """Return the error for a SavedModel: Keras 2 may restore its layers, Keras 3 cannot."""
    name = folder.name
    if (folder / METADATA).exists() or KERAS_LAYERS in (folder / SAVED_MODEL).read_bytes():
        return ModelError(
            f"{subject} with layers of Keras 2, which Keras 3 does not read; `pip install tf_keras`, and in Python "
            f"`import tf_keras; tf_keras.models.load_model('{name}').save('{name}.h5')`; then name that file."
        )
    return ModelError(
        f"{subject} that keeps functions and no Keras layers; where the model was made, save it with "
        f"`model.save('{name}.keras')` and name that file."
    )
