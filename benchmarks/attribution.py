"""Grad-CAM beside tf-keras-vis and xplique: seconds per image, and whether the maps are the same.

    python benchmarks/attribution.py                               # each peer in an environment of its own, made at first use
    python benchmarks/attribution.py --python tf-keras-vis=PATH    # one that is there

The network is VGG16's trained convolution stack (`material.py`) with global average pooling and a dense layer of seeded weights, ending
in softmax; images are photographs at 224 pixels. Each system explains the same class of each image at block5_conv3, one image at a time,
after a first one that is not timed (traces). Printed is the median of the images; the difference is the largest one from our map, both
with ReLU and before any enlarging, relative to our largest value. xplique returns enlarged maps alone, so ours is enlarged by the same
function.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

import material
from environments import DEFAULT_FOLDER, python_of

HERE = Path(__file__).parent
SIDE, CLASSES, LAYER = 224, 10, "block5_conv3"
SYSTEMS = ("tf-keras-vis", "xplique")
LIMIT = 1e-4  # of the largest value


def make_model(folder: Path) -> Path:
    """The network with a head, as a file."""
    from reportgen.network.backend import keras

    stack = material.vgg16()
    inputs = keras.Input((SIDE, SIDE, 3))
    tensor = inputs
    for layer in stack.layers[1:]:
        tensor = layer(tensor)
    tensor = keras.layers.GlobalAveragePooling2D(name="pooled")(tensor)
    head = keras.layers.Dense(CLASSES, kernel_initializer=keras.initializers.GlorotNormal(0), name="logits")
    model = keras.Model(inputs, keras.layers.Softmax(name="classes")(head(tensor)))
    model.save(folder / "classifier.keras")
    return folder / "classifier.keras"


def make_images(folder: Path) -> np.ndarray:
    """The photographs as the network takes them: BGR less the ImageNet mean, float32 (n, SIDE, SIDE, 3)."""
    from PIL import Image

    material.photographs(folder / "photos")
    mean = np.array([103.939, 116.779, 123.68], np.float32)
    pictures = [
        np.asarray(Image.open(path).convert("RGB").resize((SIDE, SIDE)), np.float32)[..., ::-1] - mean
        for path in sorted((folder / "photos").glob("*.png"))
    ]
    return np.stack(pictures)


def ours(model: Path, images: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[float]]:
    """(maps, classes, seconds) of this package."""
    from reportgen.compute.attribution.methods import grad_cam
    from reportgen.core.settings import Settings
    from reportgen.network.backend import tf
    from reportgen.network.class_scores import ScoreReader, find_places
    from reportgen.network.loading.load import load
    from reportgen.network.network import Network

    settings = Settings(preprocess="none")
    network = Network(load(str(model), settings), settings)
    (place,), _ = find_places(network, (LAYER,))
    reader = ScoreReader(network, place, len(images))
    classes = reader.outputs(images)[0].argmax(axis=1)
    maps, seconds = [], []
    for image, number in zip([images[0], *images], [classes[0], *classes], strict=True):
        started = time.perf_counter()
        seen = reader.seen(tf.constant(image[None]), int(number))
        maps.append(grad_cam(seen.maps, seen.gradient))
        seconds.append(time.perf_counter() - started)
    return np.stack(maps[1:]), classes, seconds[1:]


def main() -> None:
    """Print one line per system."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--peers", default=",".join(SYSTEMS))
    arguments.add_argument("--python", action="append", default=[], help="SYSTEM=PATH of an environment that is there")
    arguments.add_argument("--environments", type=Path, default=DEFAULT_FOLDER)
    given = arguments.parse_args()
    known = dict(text.split("=", 1) for text in given.python)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, images = make_model(folder), make_images(folder)
        maps, classes, seconds = ours(model, images)
        print(f"reportgen: {median(seconds):.3f} s per image")
        np.savez(folder / "task.npz", images=images, classes=classes, maps=maps)
        for peer in given.peers.split(","):
            python = known.get(peer) or str(python_of(peer, given.environments))
            runner = HERE / "peers" / "grad_cam.py"
            made = subprocess.run(
                [python, runner, peer, model, folder / "task.npz", LAYER, folder / "answer.npz"],
                capture_output=True,
                text=True,
            )
            if made.returncode:
                print(f"{peer}: failed: {made.stderr.strip().splitlines()[-1]}", file=sys.stderr)
                continue
            with np.load(folder / "answer.npz") as answer:
                own = answer["expected"] if "expected" in answer else np.maximum(maps, 0)
                apart = float(np.abs(answer["maps"] - own).max() / np.abs(own).max())
                same = "the same" if apart <= LIMIT else "another map"
                print(
                    f"{answer['version']}: {float(np.median(answer['seconds'])):.3f} s per image; difference {apart:.1e} ({same})"
                )


if __name__ == "__main__":
    main()
