"""How much of what is there our qualities find: their pictures beside the best that a slow, strong search finds.

    python benchmarks/reference.py [--layers vgg16:block2_conv2,photos:backbone/block2_conv1] [--filters 16] [--size 64]
    python benchmarks/reference.py --before CHECKOUT     # the same of another checkout's kernel, in the same run

The search is written here, apart from the kernel that it judges: from each filter's best natural crop, its second best, and two noise
images, many steps of every pixel by the sign of its gradient towards the mean, and once more towards the largest position. The best
known of a filter is the largest activation that the search or any quality reached; "silent" filters that the search activates are counted.
Activations are of finished 8-bit pictures in the untouched model; nothing here asserts anything.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from reportgen.network.backend import tf  # first, so that TensorFlow keeps quiet

import numpy as np

from material import PHOTOGRAPHS, write
from patterns import head, row, spread
from peers.protocol import read
from reportgen.compute.activation_scores import Scores, Meter, trimmed
from reportgen.compute.patterns import transforms
from reportgen.compute.patterns.ascent import Ascent
from reportgen.compute.patterns.shared import Shared
from reportgen.compute.patterns.recipe import QUALITIES
from reportgen.inputs.images import decode, natural_crops
from reportgen.network.loading.load import load
from reportgen.network.network import Network
from reportgen.compute.planning.prepare import batch_for
from reportgen.core.settings import Settings

HERE = Path(__file__).parent
LAYERS = ",".join(
    (
        "vgg16:block1_conv2",
        "vgg16:block2_conv2",
        "vgg16:block3_conv3",
        "photos:backbone/block1_conv1",
        "photos:backbone/block2_conv1",
        "photos:backbone/block3_conv1",
    )
)
CROPS, BATCH = 5, 8
STEPS, PEAK_STEPS = 120, 40
RATE, MOMENTUM = 0.1, 0.5
NOISES = (0.05, 0.2)  # deviations of the noise around mid-grey


class Search:
    """The strong search on one layer."""

    def __init__(self, network: Network, layer_call, size: tuple[int, ...]) -> None:
        self.size, self.bands, self.network = size, network.contract.bands, network
        self.meter = Meter(network, [layer_call], size, BATCH)
        rectified = layer_call.unit.rectified

        def gradient(pictures, filters, towards_peak):
            maps = tf.cast(
                network.own_channels(network.feed(255.0 * pictures), layer_call, filters)[..., None], tf.float32
            )
            inner = trimmed(maps)
            mean = tf.reduce_mean(tf.nn.leaky_relu(inner, 0.02) if rectified else inner, axis=(1, 2, 3))
            peak = tf.reduce_max(maps, axis=(1, 2, 3))
            value = tf.where(towards_peak, peak, mean + 0.05 * peak if rectified else mean)
            return tf.gradients(value, [pictures])[0]

        shape = (BATCH, *size, self.bands)
        self.gradient = tf.function(
            gradient,
            input_signature=[
                tf.TensorSpec(shape, tf.float32),
                tf.TensorSpec((BATCH,), tf.int32),
                tf.TensorSpec((), tf.bool),
            ],
            autograph=False,
        )

    def optimized(self, starts: np.ndarray, filters: np.ndarray, steps: int, towards_peak: bool) -> np.ndarray:
        """uint8 (n, *size, bands), from float pictures between 0 and 1."""
        ended = []
        for at in range(0, len(filters), BATCH):
            rows = np.minimum(np.arange(at, at + BATCH), len(filters) - 1)
            pictures, momentum = starts[rows].astype(np.float32), 0.0
            for step in range(steps):
                gradient = np.asarray(self.gradient(pictures, filters[rows].astype(np.int32), towards_peak))
                length = np.sqrt((gradient**2).mean(axis=(1, 2, 3), keepdims=True))
                momentum = MOMENTUM * momentum + gradient / np.maximum(length, 1e-30)
                rate = RATE * (1 + np.cos(np.pi * step / steps)) / 2
                pictures = np.clip(pictures + rate * np.sign(momentum), 0, 1).astype(np.float32)
            ended.append(pictures[: len(filters) - at])
        return np.round(255 * np.concatenate(ended)).astype(np.uint8)

    def best(self, filters: np.ndarray, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(the largest activation, the largest peak) of each filter over all starts, float (n,)."""
        natural = self.meter.scores(crops)[0]
        order = np.argsort(-natural.pre_peak[:, filters], axis=0)
        random = np.random.default_rng(0)
        starts = [crops[order[0]] / 255, crops[order[1]] / 255]
        starts += [
            np.clip(0.5 + d * random.standard_normal((len(filters), *self.size, self.bands)), 0, 1) for d in NOISES
        ]
        activation, peak = np.zeros(len(filters)), np.zeros(len(filters))
        for start in starts:
            for steps, towards_peak in ((STEPS, False), (PEAK_STEPS, True)):
                found = self.own(self.optimized(start, filters, steps, towards_peak), filters)
                activation, peak = np.maximum(activation, found.activation), np.maximum(peak, found.peak)
        return activation, peak

    def own(self, images: np.ndarray, filters: np.ndarray) -> Scores:
        """The scores of each picture's own filter, (n,) each."""
        return self.meter.scores(images)[0].of(np.arange(len(filters)), filters)

    def warped(self, images: np.ndarray, filters: np.ndarray) -> np.ndarray:
        """Float (n,): the mean activation through the held-out warps."""
        total = np.zeros(len(filters))
        for number in range(transforms.HELD_OUT):
            warp = transforms.held_out(number, self.size)
            seen = transforms.apply(tf.constant(images, tf.float32), warp.sources, warp.weights)
            total += self.own(np.asarray(tf.cast(tf.round(seen), tf.uint8)), filters).activation
        return total / transforms.HELD_OUT


def before(checkout: Path, quality: str, model: Path, layer: str, filters: np.ndarray, size: int) -> np.ndarray:
    """The pictures of another checkout's quality, uint8 (n, size, size, bands); it must take pictures that VGG16 takes."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "result.npz"
        command = [
            sys.executable,
            checkout / "benchmarks" / "systems.py",
            quality,
            "--network",
            model,
            "--layer",
            layer,
        ]
        command += ["--filters", ",".join(map(str, filters)), "--size", size, "--output", output]
        environment = {**os.environ, "PYTHONPATH": str(checkout), "TF_CPP_MIN_LOG_LEVEL": "3"}
        subprocess.run([str(part) for part in command], check=True, env=environment, capture_output=True)
        return read(output).images


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", default=LAYERS)
    parser.add_argument("--filters", type=int, default=16)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--qualities", default="draft,standard")
    parser.add_argument("--before", type=Path, help="another checkout, for VGG16's layers")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    folder = options.output or Path(tempfile.mkdtemp(prefix="reference-"))
    write(folder)
    head(
        ("layer", "quality", "filters", "silent (activated by the search)", "strongest: median, 5th percentile", "pattern: median",
         "pattern through warps", "peak: median", "above natural", "below start")
    )  # fmt: skip
    for name in options.layers.split(","):
        table(name, options, folder)


def table(name: str, options: argparse.Namespace, folder: Path) -> None:
    """Print the rows of one layer."""
    model, _, layer = name.partition(":")
    settings = Settings(preprocess="caffe") if model == "vgg16" else Settings()
    file = folder / "vgg16.keras" if model == "vgg16" else HERE.parent / "sample_models" / f"{model}.keras"
    pictures = (
        [folder / "photos" / f"{photograph}.png" for photograph in PHOTOGRAPHS]
        if model == "vgg16"
        else sorted((HERE.parent / "sample_models" / model).iterdir())
    )
    network = Network(load(str(file), settings), settings)
    layer_call = network.by_path[layer]
    size = tuple(options.size if own is None else own for own in network.contract.shape[:-1])
    filters = np.array(spread(range(layer_call.channels), options.filters))
    crops = np.concatenate([natural_crops(decode(path, network.contract.bands), size, CROPS) for path in pictures])
    search = Search(network, layer_call, size)
    best, peak = search.best(filters, crops)
    measured = search.meter.scores(crops)[0]
    natural, natural_peak = measured.activation.max(axis=0)[filters], measured.peak.max(axis=0)[filters]
    shown, rows = {}, []
    if options.before is not None and model == "vgg16":
        for quality in options.qualities.split(","):
            images = before(options.before, quality, file, layer, filters, size[0])
            rows.append((f"{quality}, before", images, images, images, None))
    for quality in options.qualities.split(","):
        batch = batch_for(network, layer_call, size, settings, len(filters))
        ascent = Ascent(Shared(network, QUALITIES[quality], 0), layer_call, size, batch, "auto")
        found = ascent.find(filters.tolist())
        rows.append((quality, found.images, found.strongest_images, found.highest_images, found.activation_start))
    scores = {}
    for quality, *kinds, _ in rows:
        scores[quality] = [search.own(images, filters) for images in kinds]
        best = np.maximum(best, np.max([each.activation for each in scores[quality]], axis=0))
        peak = np.maximum(peak, np.max([each.peak for each in scores[quality]], axis=0))
    live = best > 1e-6 * best.max()
    for quality, images, _, _, start in rows:
        pattern, strongest, highest = scores[quality]
        shown[quality] = images
        mute = np.maximum(strongest.activation, highest.peak) <= 1e-6 * best.max()
        share = (strongest.activation / best)[live]
        above = ((pattern.activation > natural) | (pattern.peak > natural_peak))[live].sum()
        row(
            [
                name, quality, len(filters), f"{mute.sum()} ({(mute & live).sum()})",
                f"{np.median(share):.3f}, {np.percentile(share, 5):.3f}",
                f"{np.median((pattern.activation / best)[live]):.3f}",
                f"{np.median((search.warped(images, filters) / best)[live]):.3f}",
                f"{np.median((highest.peak / peak)[live]):.3f}", f"{above} of {live.sum()}",
                "–" if start is None else int((pattern.activation < start).sum()),
            ]
        )  # fmt: skip
    np.savez(folder / f"{model}-{layer.replace('/', '-')}.npz", filters=filters, **shown)


if __name__ == "__main__":
    main()
