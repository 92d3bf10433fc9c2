"""Whole reports of whole networks: what a user waits for, from the command to the last page, each in a process of its own.

    python benchmarks/whole.py [--networks ResNet50,MobileNetV2,vgg16,photos] [--isa default,AVX512_CORE,AVX2] [--output FOLDER]
    python benchmarks/whole.py --before CHECKOUT    # another checkout of this project beside this one, in turn

Networks of `keras.applications` have seeded random weights, which serve for time, memory and disk; `vgg16` has those of the photographs'
edge detector, `photos` is the sample. Each report is `--quality draft --filters 4` with the four photographs unless stated. For each
network the table says: seconds until the first complete page, of the whole run, of its processors, those that are neither ascent nor
measurement (wall time less `patterns_seconds` and `feature_maps_seconds` of run.json; of one process alone), the largest memory of any
process (name one network: it is the largest of all runs so far) and the disk that the report takes, and how many
patterns are above natural. `--isa` limits the instructions by ONEDNN_MAX_CPU_ISA: one machine stands for others.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from material import model_file, write
from patterns import head, row

HERE = Path(__file__).parent
NETWORKS = (
    "MobileNetV2", "ResNet50", "EfficientNetB0", "DenseNet121", "InceptionV3", "ConvNeXtTiny", "vgg16", "photos",
)  # fmt: skip
HEADINGS = (
    "network", "code", "instructions", "layers", "patterns", "processes", "first page s", "whole s", "processor s",
    "beside ascent s", "peak GiB", "disk MB", "above natural",
)  # fmt: skip
OPTIONS = {"vgg16": ["--preprocess", "caffe", "--size", "auto"], "photos": []}
POLL = 0.2  # seconds between two looks at the folder
MEGA, KIBI = 10**6, 1024


@dataclass(frozen=True)
class Measured:
    """One whole run. first_page, seconds, processor: seconds. peak: bytes. folder: of the report."""

    first_page: float
    seconds: float
    processor: float
    peak: int
    folder: Path


def file_of(network: str, folder: Path) -> Path:
    """The file of a network."""
    return HERE.parent / "sample_models" / "photos.keras" if network == "photos" else model_file(network, folder)


def is_complete(folder: Path) -> bool:
    """Whether the first page is there with those that it links to, which are written before it."""
    index, pages = folder / "index.html", list((folder / "layers").glob("*.html"))
    return bool(pages) and index.exists() and index.stat().st_mtime >= min(page.stat().st_mtime for page in pages)


def run(checkout: Path, model: Path, photographs: Path, folder: Path, isa: str, options: list[str]) -> Measured:
    """Build a report in a process of its own, and watch its folder for the first complete page."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "TF_CPP_MIN_LOG_LEVEL": "3"}
    if isa != "default":
        environment["ONEDNN_MAX_CPU_ISA"] = isa
    command = [
        sys.executable,
        "-m",
        "reportgen",
        "build",
        str(model),
        "-i",
        str(photographs),
        "-o",
        str(folder),
        "--no-progress",
        *options,
    ]
    before, started, first = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter(), None
    with (folder.parent / f"{folder.name}.log").open("w") as log:
        process = subprocess.Popen(command, cwd=checkout, env=environment, stdout=log, stderr=log)
        while process.poll() is None:
            if first is None and is_complete(folder):
                first = time.perf_counter() - started
            time.sleep(POLL)
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode not in (0, 3):
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}, see {log.name}.")
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    peak = max(json.loads((folder / "run.json").read_bytes())["peak_memory_bytes"], KIBI * after.ru_maxrss)
    return Measured(seconds if first is None else first, seconds, processor, peak, folder)


def cells(network: str, code: str, isa: str, found: Measured) -> list[object]:
    """The row of one run."""
    report = json.loads((found.folder / "report.json").read_bytes())
    stated = json.loads((found.folder / "run.json").read_bytes())
    times, processes = stated["layers"].values(), stated.get("processes", 1)
    inside = sum((each["patterns_seconds"] or 0) + (each["feature_maps_seconds"] or 0) for each in times)
    rendered = [layer for layer in report["layers"] if layer["patterns"] is not None]
    verdicts = [each["verdict"] for layer in rendered for each in layer["patterns"]["filters"]]
    disk = sum(path.stat().st_size for path in found.folder.rglob("*") if path.is_file())
    live = [verdict for verdict in verdicts if verdict not in ("dead", "silent", "not-finite")]
    return [
        network, code, isa, len(rendered), len(verdicts), processes,
        f"{found.first_page:.0f}", f"{found.seconds:.0f}", f"{found.processor:.0f}",
        f"{found.seconds - inside:.0f}" if processes == 1 else "–", f"{found.peak / KIBI**3:.2f}", f"{disk / MEGA:.0f}",
        f"{live.count('ok')} of {len(live)} live, {len(verdicts) - len(live)} silent or dead",
    ]  # fmt: skip


def parse() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--isa", default="default", help="some of default,AVX512_CORE,AVX2 and what else oneDNN knows")
    parser.add_argument("--before", type=Path, help="another checkout, measured in turn with this one")
    parser.add_argument("--options", default="--quality draft --filters 4", help="of `reportgen build`")
    parser.add_argument("--output", type=Path)
    return parser.parse_args()


def main() -> None:
    """Run the benchmark and print its table."""
    options = parse()
    folder = options.output if options.output is not None else Path(tempfile.mkdtemp(prefix="whole-"))
    write(folder)
    checkouts = {"before": options.before.resolve()} if options.before is not None else {}
    checkouts["now"] = HERE.parent.resolve()
    head(HEADINGS)
    for network in options.networks.split(","):
        model = file_of(network, folder)
        for isa in options.isa.split(","):
            for code, checkout in checkouts.items():
                report = folder / f"{network}-{isa}-{code}"
                own = [*options.options.split(), *OPTIONS.get(network, [])]
                row(cells(network, code, isa, run(checkout, model, folder / "photos", report, isa, own)))


if __name__ == "__main__":
    main()
