"""Files and folders that hold no Keras model: what they are, and what to export instead."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from reportgen.errors import ModelError

SAVE = "save the Keras model with `model.save('model.keras')` and name that file"
REBUILD = "build the network in Python, load it there, and save it with `model.save('model.keras')`"
CONVERT = "convert it to Keras where it came from, and save that with `model.save('model.keras')`"
CHECKPOINT = (
    "make the network in Python, `model.load_weights` the checkpoint, and save it with `model.save('model.keras')`"
)
KINDS = {  # suffix -> what it is, what to do
    ".pb": ("a SavedModel", SAVE),
    ".tflite": ("a TFLite model, of which no layers are left to look at", SAVE),
    ".onnx": ("an ONNX model", CONVERT),
    ".pt": ("a PyTorch file", CONVERT),
    ".pth": ("a PyTorch file", CONVERT),
    ".pt2": ("a PyTorch program", CONVERT),
    ".mlmodel": ("a Core ML model", SAVE),
    ".caffemodel": ("a Caffe model", CONVERT),
    ".safetensors": ("a file of weights without a network", REBUILD),
    ".npz": ("an archive of arrays without a network", REBUILD),
    ".npy": ("an array, not a network", REBUILD),
    ".json": ("an architecture without weights", f"make it with `keras.models.model_from_json`, load its weights, and {SAVE}"),
    ".yaml": ("an architecture without weights", REBUILD),
    ".pkl": ("a pickle, which would run code", SAVE),
    ".pickle": ("a pickle, which would run code", SAVE),
    ".joblib": ("a pickle, which would run code", SAVE),
    ".ckpt": ("a checkpoint without a network", CHECKPOINT),
    ".index": ("part of a checkpoint without a network", CHECKPOINT),
    ".meta": ("part of a TensorFlow 1 checkpoint", REBUILD),
    ".zip": ("a ZIP archive", "unpack it and name the .keras or .h5 file in it, or rename a model's own archive to .keras"),
}  # fmt: skip


def refuse_stranger(path: Path, suffixes: tuple[str, ...]) -> None:
    """Raise ModelError where a file's name says that it holds no Keras model."""
    suffix = path.suffix.lower()
    if path.name.lower().endswith(".weights.h5"):
        raise ModelError(
            f"{path.name} holds weights without a network; name the network as MODEL and this file with --weights."
        )
    if ".ckpt" in path.name.lower() and suffix not in suffixes:
        suffix = ".ckpt"
    if suffix in KINDS:
        what, to_do = KINDS[suffix]
        raise ModelError(f"{path.name} is {what}; {to_do}.")
    if suffix not in suffixes:
        raise ModelError(
            f"{path.name} does not end in {', '.join(suffixes)}; save the model with `model.save('model.keras')`."
        )


def refuse_folder(path: Path) -> NoReturn:
    """Raise ModelError for a folder, by what it looks like."""
    name = path.name or str(path)
    if (path / "saved_model.pb").exists():
        what = "is a SavedModel, which keeps no Keras layers"
    elif (path / "checkpoint").exists():
        raise ModelError(f"{name} is a folder of checkpoints; {CHECKPOINT}.")
    elif (path / "config.json").exists() and (path / "metadata.json").exists():
        raise ModelError(f"{name} is an unpacked .keras file; zip its contents into {name}.keras and name that file.")
    else:
        what = "is a folder"
    raise ModelError(f"{name} {what}; save the model with `model.save('{name}.keras')` and name that file.")
