"""Seconds a filter and activation reached: our qualities beside the keras.io recipe and other libraries, on a real VGG16.

    python benchmarks/patterns.py [--filters 64] [--size 128,auto] [--layers block1_conv2,block3_conv3,block5_conv3] [--output FOLDER]
    python benchmarks/patterns.py --peers all --peer-filters 2     # tf-keras-vis, xplique and torch-lucent as well, each in its environment
    python benchmarks/patterns.py --linear 16,64,256               # how time and memory grow with the number of filters
    python benchmarks/patterns.py --network ResNet50               # of keras.applications, seeded random weights, at its block ends

For every layer and system it prints seconds a filter (with the start-up apart) and, in brackets, CPU seconds, which a busy machine
changes less; the share above the natural maximum among filters that are not dead, the median activation, the median activation under
16 held-out small warps (a picture that only works pixel-exact is noise), and the peak memory above the loaded model. A filter is dead that
neither the photographs nor our best quality in the run excite. Activations are measured on the finished 8-bit pictures with the
untouched model. Every system runs in a process of its own; libraries run with their own defaults, on few filters, because they take
long. The pictures are written side by side.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reportgen.network.backend import tf  # first, so that TensorFlow keeps quiet

import numpy as np

from environments import DEFAULT_FOLDER, PEERS, python_of
from material import PHOTOGRAPHS, model_file, write
from peers.protocol import Result, read
from pictures import side_by_side
from reportgen.compute.activation_scores import Meter
from reportgen.compute.patterns import transforms
from reportgen.compute.patterns.recipe import QUALITIES
from reportgen.inputs.images import decode, natural_crops
from reportgen.network.graph.layer_kinds import kernels
from reportgen.network.loading.load import load
from reportgen.network.network import Network
from reportgen.compute.planning.plan import pattern_size
from reportgen.core.settings import Settings
from systems import KERAS_IO

HERE = Path(__file__).parent
HELD_OUT = 16  # of the warps that a report measures three of
KERAS_IO_FILTERS = 4  # the recipe takes seconds a filter: some of them tell its pace and its share
DEAD = 1e-6  # of the layer's largest natural activation
CROPS = 5  # natural crops a side of each photograph, as in a report of few images
METER_BATCH = 8
LINEAR_LAYER = "block3_conv3"  # wide enough for 256 filters
LOG_LINES = 5  # of a failed runner's log: the error itself
LUCENT = "torch-lucent"
LAYERS = {
    "vgg16": "block1_conv2,block3_conv3,block5_conv3",
    "ResNet50": "conv2_block3_3_conv,conv3_block4_3_conv,conv4_block6_3_conv,conv5_block3_3_conv",
}
HEADINGS = (
    "layer", "system", "filters", "s / filter (CPU)", "vs keras.io", "vs torch-lucent", "start-up s", "above natural", "median",
    "held-out warps", "median, shared", "held-out, shared", "GiB above model", "s until the recipe's activation (CPU)",
)  # fmt: skip


@dataclass(frozen=True)
class Bench:
    """What all runs share: the folder that everything is written to, the network, its two files, and each system's Python."""

    folder: Path
    network: Network
    keras_file: Path
    weights_file: Path
    pythons: dict[str, Path]

    def run(self, system: str, layer: str, filters: Sequence[int], size: int) -> Result | None:
        """The result of one system, from a process of its own; None where it fails, which is said on stderr."""
        name = f"{layer}-{size}-{len(filters)}-{system}"
        output, log = self.folder / "runs" / f"{name}.npz", self.folder / "runs" / f"{name}.log"
        if system in PEERS:
            runner = HERE / "peers" / PEERS[system].runner
            command = [self.pythons[system], "-E", runner, "--network", self.weights_file]  # -E: none of our own paths
            command += ["--reference", self.reference(layer, size), *PEERS[system].arguments]
        else:
            command = [sys.executable, HERE / "systems.py", system, "--network", self.keras_file]
        command += ["--layer", layer, "--filters", ",".join(map(str, filters)), "--size", size, "--output", output]
        with log.open("w") as said:
            environment = {
                **os.environ,
                "TF_CPP_MIN_LOG_LEVEL": "3",
                "OMP_WAIT_POLICY": "passive",
            }  # waiting is no work
            ended = subprocess.run([str(part) for part in command], stdout=said, stderr=said, env=environment)
        if ended.returncode != 0:
            last = "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES:])
            print(f"{system} failed on {layer}, all it said is in {log}:\n{last}", file=sys.stderr)
            return None
        return read(output)

    def crops(self, size: int) -> np.ndarray:
        """The natural pictures, uint8 (n, size, size, 3)."""
        photographs = [decode(self.folder / "photos" / f"{name}.png", 3) for name in PHOTOGRAPHS]
        return np.concatenate([natural_crops(pixels, (size, size), CROPS) for pixels in photographs])

    def reference(self, layer: str, size: int) -> Path:
        """A photograph and our own activations for it, by which a peer's rebuilt network is checked."""
        path = self.folder / "runs" / f"{layer}-{size}-reference.npz"
        if not path.exists():
            picture = self.crops(size)[:1]
            fed = self.network.feed(tf.constant(picture, tf.float32))
            layer_calls = [self.layer_call(layer)]
            read = tf.function(lambda inputs: self.network.units(inputs, layer_calls)[0][1], autograph=False)
            np.savez(path, photograph=picture, maps=np.asarray(read(fed)))
        return path

    def layer_call(self, layer: str):
        """The layer call of a layer."""
        return next(layer_call for layer_call in self.network.layer_calls if layer_call.path == layer)

    def side(self, layer: str, size: str) -> int:
        """Pixels of `--size`, which may be `auto`: then by the layer's receptive field, as in a report."""
        if self.network.contract.shape[0] is not None:
            return self.network.contract.size[0]
        fields = [axis.size for axis in self.layer_call(layer).view.axes]
        return pattern_size(self.network.contract, fields, Settings(size=size))[0]


def export_weights(network: Network, path: Path) -> None:
    """Write the convolutions' weights for other libraries: the first kernel takes RGB, so that only the mean is left to subtract."""
    arrays = {}
    for number, layer_call in enumerate(network.layer_calls):
        stored = kernels(layer_call.layer)
        arrays[f"{layer_call.path}/kernel"] = stored["kernel"][:, :, ::-1] if number == 0 else stored["kernel"]
        arrays[f"{layer_call.path}/bias"] = stored["bias"]
    np.savez(path, **arrays)


def spread(items: Sequence[int], count: int) -> list[int]:
    """Up to `count` of `items`, evenly spaced."""
    return [items[round(at)] for at in np.linspace(0, len(items) - 1, min(count, len(items)))]


def held_out(meter: Meter, images: np.ndarray, filters: list[int]) -> np.ndarray:
    """float32 (n,): each picture's mean activation under small warps that no ascent saw."""
    height, width = images.shape[1:3]
    total = np.zeros(len(images))
    for number in range(HELD_OUT):
        warp = transforms.held_out(number, (height, width))
        warped = transforms.apply(tf.constant(images, tf.float32), warp.sources, warp.weights)
        pictures = np.asarray(tf.cast(tf.round(warped), tf.uint8))
        total += meter(pictures)[0][np.arange(len(filters)), filters]
    return total / HELD_OUT


def row(cells: Sequence[object]) -> None:
    """Print one row of a table, at once."""
    print("|", " | ".join(str(cell) for cell in cells), "|", flush=True)


def head(headings: Sequence[str]) -> None:
    """Print the head of a table."""
    row(headings)
    print("|" + "---|" * len(headings), flush=True)


def table(bench: Bench, layer: str, size: int, results: dict[str, Result], best: str | None) -> None:
    """Print the rows of one layer. best: the system that, beside the photographs, decides which filters are dead."""
    meter = Meter(bench.network, [bench.layer_call(layer)], (size, size), METER_BATCH)
    natural = meter(bench.crops(size))[0].max(axis=0)
    reached = {
        system: meter(result.images)[0][np.arange(len(result.filters)), result.filters]
        for system, result in results.items()
    }
    warped = {system: held_out(meter, result.images, result.filters) for system, result in results.items()}
    most = dict(enumerate(natural))
    if best in results:
        for number, figure in zip(results[best].filters, reached[best], strict=True):
            most[number] = max(most[number], figure)
    shared = set.intersection(*(set(result.filters) for result in results.values()))
    for system, result in results.items():
        alive = [at for at, number in enumerate(result.filters) if most[number] > DEAD * natural.max()]
        common = [at for at, number in enumerate(result.filters) if number in shared]
        above = sum(reached[system][at] > natural[result.filters[at]] for at in alive)
        row(
            [
                layer,
                result.system,
                len(result.filters),
                f"{result.pace:.3f} ({result.effort:.3f})",
                faster(results.get(KERAS_IO), result),
                faster(results.get(LUCENT), result),
                f"{result.start_up:.1f}",
                f"{above} of {len(alive)} alive",
                f"{np.median(reached[system]):.3g}",
                f"{np.median(warped[system]):.3g}",
                f"{np.median(reached[system][common]):.3g}",
                f"{np.median(warped[system][common]):.3g}",
                f"{result.memory:.2f}",
                until(meter, result, results.get(KERAS_IO), reached.get(KERAS_IO)),
            ]
        )


def until(meter: Meter, result: Result, recipe: Result | None, wanted: np.ndarray | None) -> str:
    """Median seconds a filter until a step sees a picture as active as the recipe's finished one, by the clock and by CPU time."""
    if recipe is result:
        return f"{result.pace:.3f} ({result.effort:.3f})"
    if recipe is None or wanted is None or result.way is None:
        return "–"
    goals = dict(zip(recipe.filters, wanted, strict=True))
    moments, missed = [], 0
    for place, number in enumerate(result.way_filters.tolist()):
        if number not in goals:
            continue
        pictures = np.rint(np.clip(result.way[:, place], 0, 1) * 255).astype(np.uint8)
        active = np.flatnonzero(meter(pictures)[0][:, number] >= goals[number])
        moments += [result.way_seconds[active[0]]] if len(active) else []
        missed += len(active) == 0
    if not moments:
        return f"not in {missed}"
    clock, effort = np.median(moments, axis=0)
    return f"{clock:.3f} ({effort:.3f})" + (f", not in {missed} of {missed + len(moments)}" if missed else "")


def faster(slow: Result | None, result: Result) -> str:
    """How many times faster a result is than another, by the clock and by CPU time; a dash where there is no other."""
    return "–" if slow is None else f"{slow.pace / result.pace:.1f} ({slow.effort / result.effort:.1f})"


def fastest(bench: Bench, layer: str, size: int, wanted: dict[str, list[int]], repeats: int) -> dict[str, Result]:
    """Each system's answer of least CPU time of `repeats` runs in turn; libraries run once."""
    results: dict[str, Result] = {}
    for repeat in range(repeats):
        for system, numbers in wanted.items():
            result = None if repeat > 0 and system in PEERS else bench.run(system, layer, numbers, size)
            if result is not None and (system not in results or result.cpu < results[system].cpu):
                results[system] = result
    return results


def compare(bench: Bench, options: argparse.Namespace, size: str) -> list[Result]:
    """Run every system on every layer at one `--size`, print the table and write the pictures. Returns all results."""
    own = bench.network.contract.shape[0]  # a fixed size, which no other replaces
    print(f"\nsize {size if own is None else own}\n")
    head(HEADINGS)
    every = []
    best = max(options.qualities, key=list(QUALITIES).index, default=None)
    for layer in options.layers.split(","):
        pixels = bench.side(layer, size)
        filters = spread(range(bench.layer_call(layer).channels), options.filters)
        recipe = spread(filters, max(KERAS_IO_FILTERS, options.peer_filters))
        wanted = {KERAS_IO: recipe} if KERAS_IO in options.peers else {}
        wanted |= dict.fromkeys(options.qualities, filters)
        wanted |= {peer: spread(recipe, options.peer_filters) for peer in PEERS if peer in options.peers}
        results = fastest(bench, layer, pixels, wanted, options.repeats)
        if results:
            table(bench, layer, pixels, results, best)
            side_by_side(list(results.values())).save(bench.folder / f"{layer}-{pixels}.png")
        every += results.values()
    return every


def linear(bench: Bench, options: argparse.Namespace) -> None:
    """Print how seconds and memory grow with the number of filters of one layer."""
    size = bench.side(LINEAR_LAYER, options.size.split(",")[0])
    print(f"\n{LINEAR_LAYER}, {size} pixels\n")
    head(["system", "filters", "s", "s / filter (CPU)", "start-up s", "GiB above model"])
    for quality in options.qualities:
        for count in options.linear:
            filters = spread(range(bench.layer_call(LINEAR_LAYER).channels), count)
            result = bench.run(quality, LINEAR_LAYER, filters, size)
            if result is not None:
                row(
                    [
                        result.system,
                        len(filters),
                        f"{result.seconds:.1f}",
                        f"{result.pace:.3f} ({result.effort:.3f})",
                        f"{result.start_up:.1f}",
                        f"{result.memory:.2f}",
                    ]
                )


def parse() -> argparse.Namespace:
    """The options, checked."""
    peers = [KERAS_IO, *PEERS]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--filters", type=int, default=64, help="filters of a layer for our qualities")
    parser.add_argument("--size", default="128", help="pixels, or `auto`; several give a table each")
    parser.add_argument(
        "--network", default="vgg16", help="or a network of keras.applications, without libraries beside it"
    )
    parser.add_argument("--layers", help="those of LAYERS where not given")
    parser.add_argument("--qualities", default=",".join(QUALITIES), help="empty for none")
    parser.add_argument("--peers", default=KERAS_IO, help=f"some of {','.join(peers)}, or `all`; empty for none")
    parser.add_argument("--peer-filters", type=int, default=2, help="filters of a layer for each library")
    parser.add_argument(
        "--repeats", type=int, default=1, help="runs of our qualities and the recipe; that of least CPU time counts"
    )
    parser.add_argument("--environments", type=Path, default=DEFAULT_FOLDER, help="where libraries are installed")
    parser.add_argument("--linear", help="numbers of filters to time instead, such as 16,64,256")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    options.qualities = [name for name in options.qualities.split(",") if name]
    options.peers = peers if options.peers == "all" else [name for name in options.peers.split(",") if name]
    options.linear = None if options.linear is None else [int(count) for count in options.linear.split(",")]
    options.layers = options.layers or LAYERS.get(options.network)
    if options.layers is None:
        parser.error(f"name --layers of {options.network}")
    unknown = (set(options.qualities) - set(QUALITIES)) | (set(options.peers) - set(peers))
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    return options


def main() -> None:
    """Run the benchmark and print its tables."""
    options = parse()
    folder = options.output if options.output is not None else Path(tempfile.mkdtemp(prefix="patterns-"))
    write(folder)
    (folder / "runs").mkdir(exist_ok=True)
    settings = Settings(preprocess="caffe")
    file = model_file(options.network, folder)  # which `write` has made of vgg16
    network = Network(load(str(file), settings), settings)
    weights = folder / "vgg16-rgb.npz"
    if options.network == "vgg16":
        export_weights(network, weights)
    pythons = {}
    if options.linear is None:
        pythons = {peer: python_of(peer, options.environments) for peer in PEERS if peer in options.peers}
    bench = Bench(folder, network, file, weights, pythons)
    if options.linear is not None:
        linear(bench, options)
        return
    results = [result for size in options.size.split(",") for result in compare(bench, options, size)]
    print()
    for system in dict.fromkeys(result.system for result in results):
        runs = [result for result in results if result.system == system]
        differences = [result.difference for result in runs if not math.isnan(result.difference)]
        checked = f"; its network differs from ours by at most {max(differences):.1g}" if differences else ""
        print(f"{system}: {runs[0].versions}{checked}")
    print(f"pictures in {folder}")


if __name__ == "__main__":
    main()
