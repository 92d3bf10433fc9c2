"""HDF5 files of Keras 1 and 2, copied into files that Keras 3 reads: the migrated architecture, kernels in the axis order of Keras 3."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from reportgen.core.errors import ModelError
from reportgen.network.loading.containers import text_of
from reportgen.network.loading.legacy.tables import RENAMED

FLIPPING_BACKENDS = ("theano",)  # whose convolutions flip the kernel along its spatial axes, as in mathematics
IMAGE_KERNEL_AXES = 4  # height, width, in, out: no other weight of a Keras layer has so many


def _names(group: Any, key: str) -> list[str]:
    """Return the texts that Keras keeps in an attribute, or, where they are too many for one, in numbered ones."""
    if key in group.attrs:
        return [text_of(name) for name in group.attrs[key]]
    found: list[str] = []
    while f"{key}{len(found)}" in group.attrs:
        found.append(f"{key}{len(found)}")
    return [text_of(name) for part in found for name in group.attrs[part]]


def backend_of(path: Path) -> str:
    """Return the library that the model ran on; `tensorflow` where the file does not state it."""
    with h5py.File(path, "r") as file:
        for holder in (file.get("model_weights"), file):
            if holder is not None and "backend" in holder.attrs:
                return text_of(holder.attrs["backend"])
    return "tensorflow"


def layer_kinds(architecture: Any) -> dict[str, str]:
    """Return the class of each outermost layer by its name, as the file has both."""
    config = architecture["config"]
    layers = config["layers"] if isinstance(config, dict) else config
    return {
        layer.get("name", layer["config"].get("name")): layer["class_name"]
        for layer in layers
        if isinstance(layer["config"], dict)
    }


def rewrite(source: Path, target: Path, architecture: Any, kinds: dict[str, str], version: int) -> None:
    """Write a copy of a legacy file for Keras 3, without the optimizer.

    Args:
        source: the legacy HDF5 file.
        target: where the copy is written.
        architecture: the migrated architecture.
        kinds: class by layer name, as the legacy file names both; outermost layers only.
        version: major version of the Keras that wrote the file.

    Raises:
        ModelError: the file holds a network without weights.
    """
    flip = backend_of(source) in FLIPPING_BACKENDS
    with h5py.File(source, "r") as old, h5py.File(target, "w") as new:
        new.attrs["model_config"] = json.dumps(architecture)
        if "model_weights" not in old:
            raise ModelError(
                f"{source.name} holds a network without its weights; save it again with `model.save('model.keras')`."
            )
        old.copy(old["model_weights"], new, "model_weights")
        if not flip and version > 1:
            return
        for layer in _names(new["model_weights"], "layer_names"):
            group = new["model_weights"][layer]
            for name in _names(group, "weight_names"):
                value = np.asarray(group[name])
                migrated = _kernel(value, kinds.get(layer, ""), version, flip)
                if migrated is not value:
                    del group[name]
                    group[name] = migrated


def _kernel(value: np.ndarray, kind: str, version: int, flip: bool) -> np.ndarray:
    """Return a weight in the axis order of Keras 3. kind: the class of its layer, as the file names it."""
    kind = RENAMED.get(kind, kind)
    if version == 1 and value.ndim == IMAGE_KERNEL_AXES:
        if kind == "Conv1D":
            value = _sequence_kernel(value)
        elif kind == "Conv2DTranspose":
            value = value.transpose(0, 1, 3, 2)  # Keras 1: in, out
    if flip and value.ndim >= IMAGE_KERNEL_AXES:
        return value[tuple(slice(None, None, -1) for _ in range(value.ndim - 2))]
    if flip and kind == "Conv1D" and value.ndim == IMAGE_KERNEL_AXES - 1:
        return value[::-1]
    return value


def _sequence_kernel(value: np.ndarray) -> np.ndarray:
    """Return (length, in, out) from Keras 1's (length, 1, in, out), or of the (out, in, length, 1) before Keras 1.1."""
    if value.shape[1] != 1 and value.shape[3] == 1:
        value = value.transpose(2, 3, 1, 0)
    return value[:, 0]
