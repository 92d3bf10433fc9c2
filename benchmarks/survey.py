"""Images a second of a pass over a data set beside the plain forward pass of the same network, and memory as the data set grows.

    python benchmarks/survey.py photos|vgg16|resnet50 [--images N] [--rounds N]
    python benchmarks/survey.py memory [--images N]

The pass is measured whole: decoding, every statistic of every layer, and the arrays that are kept of each part. The plain
pass only predicts, from arrays in memory. Both have the same batches, and take turns, so that other work on the machine meets both.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

SAMPLES = Path(__file__).parent.parent / "sample_models"
MODELS = ("photos", "vgg16", "resnet50")
SIDE = {"photos": 64, "vgg16": 224, "resnet50": 224}
CLASSES = 4


def model_file(name: str, folder: Path) -> Path:
    """A network with random weights, saved; the sample network as it is."""
    if name == "photos":
        return SAMPLES / "photos.keras"
    from reportgen.network.backend import keras

    make = {"vgg16": keras.applications.VGG16, "resnet50": keras.applications.ResNet50}[name]
    path = folder / f"{name}.keras"
    make(weights=None).save(path)
    return path


def crops(folder: Path, side: int, count: int) -> Path:
    """So many crops of the sample photographs, in folders by photograph."""
    random = np.random.default_rng(0)
    photographs = sorted((SAMPLES / "photos").glob("*.jpg"))[:CLASSES]
    for number in range(count):
        path = photographs[number % len(photographs)]
        target = folder / path.stem / f"{number:06d}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(path) as image:
            edge = int(random.integers(min(side, min(image.size)), min(image.size) + 1))
            left, top = (int(random.integers(0, length - edge + 1)) for length in image.size)
            image.crop((left, top, left + edge, top + edge)).resize((side, side)).save(target, quality=90)
    return folder


def compare(name: str, count: int, rounds: int) -> dict[str, float]:
    """Images a second of both passes: the medians of several rounds, which take turns."""
    from reportgen.compute.planning.prepare import prepare
    from reportgen.compute.responses import sampling_seeds
    from reportgen.compute.tasks import carry_out, divide
    from reportgen.compute.workspace import Workspace
    from reportgen.core.records import TaskKind
    from reportgen.core.settings import Settings

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        images = crops(folder / "images", SIDE[name], count)
        settings = Settings(dataset=str(images), patterns=False, filters="1")
        job = prepare(str(model_file(name, folder)), settings)
        workspace, dataset = Workspace(job), job.dataset
        assert dataset is not None
        keys = [task.key for task in job.plan.tasks if task.kind in (TaskKind.RESPONSES, TaskKind.DATASET_IMAGES)]
        work = divide(job.plan, keys)
        contract, batch = workspace.network.contract, job.batch
        decoded = list(dataset.decoded(range(count), contract))
        pictures = np.stack([each.pixels for each in decoded]).astype(np.float32)
        layers = tuple(task.layer for task in work[0].tasks if task.kind == TaskKind.RESPONSES)
        observer = workspace.observer(layers, True)

        def plain() -> None:
            for start in range(0, count, batch):
                workspace.network.predict(pictures[start : start + batch])

        def reductions() -> None:
            for start in range(0, count, batch):
                part = slice(start, start + batch)
                observer(pictures[part], sampling_seeds(decoded[part]))

        def whole() -> None:
            for one in work:
                for result in carry_out(workspace, one, lambda news: None):
                    assert result.failure is None, result.failure

        taken: dict[str, list[float]] = {"plain": [], "reductions": [], "whole": []}
        for turn in range(rounds + 1):
            for what, run in (("plain", plain), ("reductions", reductions), ("whole", whole)):
                started = time.perf_counter()
                run()
                if turn:  # the first traces
                    taken[what].append(time.perf_counter() - started)
        seconds = {what: float(np.median(each)) for what, each in taken.items()}
        ratios = [plain / whole for plain, whole in zip(taken["plain"], taken["whole"], strict=True)]
        return {
            **{f"{what} images a second": round(count / each, 1) for what, each in seconds.items()},
            "share of the plain pass": round(float(np.median(ratios)), 3),
        }


def memory(count: int) -> dict[str, float]:
    """The peak memory of a whole command on `count` images that repeat 200 crops, in MB; and the bytes that it leaves in the store."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        own = sorted(crops(folder / "crops", 64, 200).rglob("*.jpg"))
        rows = [f"{own[number % 200]},{own[number % 200].parent.name}" for number in range(count)]
        (folder / "images.csv").write_text("path,label\n" + "\n".join(rows) + "\n")
        command = [sys.executable, "-m", "reportgen", "survey", str(SAMPLES / "photos.keras"), "-q"]
        options = ["--dataset", str(folder / "images.csv"), "-o", str(folder / "report"), "--filters", "4"]
        started = time.perf_counter()
        subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL)
        run = json.loads((folder / "report" / "run.json").read_bytes())
        store = sum(path.stat().st_size for path in (folder / "report" / ".store").rglob("*") if path.is_file())
        return {
            "images": count,
            "seconds": round(time.perf_counter() - started, 1),
            "peak memory MB": round(run["peak_memory_bytes"] / 1e6),
            "store MB": round(store / 1e6, 1),
        }


def main() -> None:
    """Print what was measured, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=(*MODELS, "memory"))
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    found = memory(given.images) if given.what == "memory" else compare(given.what, given.images, given.rounds)
    print(json.dumps({"what": given.what, **found}))


if __name__ == "__main__":
    main()
