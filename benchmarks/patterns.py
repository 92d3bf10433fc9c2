"""Seconds a filter and activation reached: our qualities beside the keras.io recipe, on a real VGG16 with real photographs.

    python benchmarks/patterns.py [--filters 64] [--size 128] [--layers block1_conv2,block3_conv3,block5_conv3] [--output FOLDER]

For every layer and system it prints seconds a filter (with tracing apart), the share above the natural maximum among filters that are
not dead, the median activation, and the median activation under 16 held-out small warps: a picture that only works pixel-exact is noise.
Activations are measured on the finished 8-bit pictures. The pictures are written side by side.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from material import PHOTOGRAPHS, write
from PIL import Image

from reportgen.compute.figures import Meter
from reportgen.compute.patterns import transforms
from reportgen.compute.patterns.ascent import Ascent
from reportgen.compute.patterns.recipe import QUALITIES
from reportgen.images import decode, natural_crops
from reportgen.network.load import load
from reportgen.network.network import Network
from reportgen.network.quiet import tf
from reportgen.plan import batch_size
from reportgen.settings import Settings

HELD_OUT = 16
HELD_OUT_SEED = 10**6  # far from any seed that an ascent used
KERAS_IO_FILTERS = 4  # the recipe takes seconds a filter: some of them tell its pace and its share
DEAD = 1e-6


@dataclass(frozen=True)
class Result:
    """Finished pictures of one system on one layer."""

    system: str
    filters: list[int]
    images: np.ndarray
    tracing: float
    seconds: float


def keras_io(network: Network, site, size: int, filters: list[int]) -> Result:
    """The recipe of the keras.io example "Visualizing what convnets learn", one filter at a time, in the model's own input range.

    Grey noise, the mean activation without 2 border cells, 30 steps of 10 (at a range of 2) along the l2-normalised gradient, standard
    deviation .15.
    """
    steps, trim, spread, contrast = 30, 2, 0.125, 0.15
    rate = 10.0 * size / 180 / 2  # the article's 10 at 180 pixels in a range of 2, in pictures of range 1

    @tf.function(autograph=False)
    def step(picture, number):
        with tf.GradientTape() as tape:
            tape.watch(picture)
            ((_, maps),) = network.units(network.feed(picture * 255.0), [site])
            value = tf.reduce_mean(maps[:, trim:-trim, trim:-trim, number])
        return picture + rate * tf.math.l2_normalize(tape.gradient(value, picture))

    random = np.random.default_rng(0)
    started = time.perf_counter()
    step(tf.zeros((1, size, size, 3)), tf.constant(0))
    tracing = time.perf_counter() - started
    images = []
    started = time.perf_counter()
    for number in filters:
        picture = tf.constant(0.5 + (random.random((1, size, size, 3), np.float32) - 0.5) * spread)
        for _ in range(steps):
            picture = step(picture, tf.constant(number))
        values = picture.numpy()[0]
        values = (values - values.mean()) / (values.std() + 1e-5) * contrast + 0.5
        images.append(np.clip(values * 255, 0, 255).astype(np.uint8))
    return Result("keras.io recipe", filters, np.stack(images), tracing, time.perf_counter() - started)


def ours(network: Network, site, size: int, filters: list[int], quality: str) -> Result:
    """One of our qualities, all filters."""
    side = (size, size)
    pixels = network.contract.size[0] * network.contract.size[1]
    batch = batch_size(site.costs.tensor_bytes * size * size // pixels, Settings().memory_bytes)
    started = time.perf_counter()
    ascent = Ascent(network, site, side, batch, QUALITIES[quality], 0, "auto")
    ascent.seek(filters[:1])  # the first run of a graph still optimizes it
    tracing = time.perf_counter() - started
    started = time.perf_counter()
    found = [ascent.seek(filters[start : start + batch]).images for start in range(0, len(filters), batch)]
    return Result(
        f"reportgen {quality} ({ascent.precision})",
        filters,
        np.concatenate(found),
        tracing,
        time.perf_counter() - started,
    )


def held_out(meter: Meter, images: np.ndarray, filters: list[int]) -> np.ndarray:
    """float32 (n,): each picture's mean activation under small warps that no ascent saw."""
    height, width = images.shape[1:3]
    total = np.zeros(len(images))
    for number in range(HELD_OUT):
        warp = transforms.draw(HELD_OUT_SEED, number, height, width)
        warped = transforms.apply(tf.constant(images, tf.float32), warp.sources, warp.weights)
        pictures = np.asarray(tf.cast(tf.round(warped), tf.uint8))
        total += meter(pictures)[0][np.arange(len(filters)), filters]
    return total / HELD_OUT


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--filters", type=int, default=64)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--layers", default="block1_conv2,block3_conv3,block5_conv3")
    parser.add_argument("--qualities", default="draft,standard,paper")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    folder = options.output if options.output is not None else Path(tempfile.mkdtemp(prefix="patterns-"))
    write(folder)
    settings = Settings(preprocess="caffe")
    network = Network(load(str(folder / "vgg16.keras"), settings), settings)
    sites = {site.path: site for site in network.sites}
    side = (options.size, options.size)
    crops = np.concatenate(
        [natural_crops(decode(folder / "photos" / f"{name}.png", 3), side, 5) for name in PHOTOGRAPHS]
    )
    print(
        "| layer | system | filters | s / filter | vs keras.io | tracing s | above natural | median | held-out warps |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for name in options.layers.split(","):
        site = sites[name]
        filters = [round(at) for at in np.linspace(0, site.channels - 1, min(options.filters, site.channels))]
        meter = Meter(network, [site], side, 8)
        natural = meter(crops)[0].max(axis=0)
        results = [keras_io(network, site, options.size, filters[:: max(1, len(filters) // KERAS_IO_FILTERS)])]
        results += [ours(network, site, options.size, filters, quality) for quality in options.qualities.split(",")]
        reached = {r.system: meter(r.images)[0][np.arange(len(r.filters)), r.filters] for r in results}
        best = np.maximum(natural[filters], reached[results[-1].system])
        dead = {number for number, figure in zip(filters, best, strict=True) if figure <= DEAD * natural.max()}
        slow = results[0].seconds / len(results[0].filters)
        for result in results:
            alive = [at for at, number in enumerate(result.filters) if number not in dead]
            above = sum(reached[result.system][at] > natural[result.filters[at]] for at in alive)
            warped = held_out(meter, result.images, result.filters)
            pace = result.seconds / len(result.filters)
            print(
                f"| {name} | {result.system} | {len(result.filters)} | {pace:.3f} | {slow / pace:.1f} | {result.tracing:.1f} "
                f"| {above} of {len(alive)} alive | {np.median(reached[result.system]):.3g} | {np.median(warped):.3g} |",
                flush=True,
            )
            shown = result.images[:16]
            Image.fromarray(np.concatenate(list(shown), axis=1)).save(
                folder / f"{name}-{result.system.replace(' ', '-')}.png"
            )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"\npeak memory of the whole process: {peak:.2f} GiB; pictures in {folder}")


if __name__ == "__main__":
    main()
