"""What a runner is asked and what it answers: the same for our own systems and for every peer, each in a process of its own.

Needs nothing but NumPy, so that it runs in any peer's environment.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

IMAGENET_MEAN = (123.68, 116.779, 103.939)  # red, green, blue: what VGG16's inputs were reduced by
AGREEMENT = 1e-3  # of the largest activation: what two libraries' float32 convolutions may differ by
KIBIBYTES_PER_GIBIBYTE = 2**20
ARRAYS = ("images", "way", "way_filters", "way_seconds")  # of a Result; the rest are numbers and words
STATUS = Path("/proc/self/status")
CLEAR = Path("/proc/self/clear_refs")
CLEAR_PEAK = "5"  # what the kernel takes as "forget the highest memory so far"


@dataclass(frozen=True)
class Result:
    """Finished pictures of one system on one layer.

    images: uint8 (n, height, width, 3), RGB. start_up: seconds until the ascent could begin, the model already loaded. seconds: of the
    ascent alone. cpu: seconds that all processors together computed for it. memory: GiB at the peak above the loaded model. difference:
    from our own activations on a photograph, relative to the largest; NaN for the network itself. way: float32 (steps, k, *size, 3),
    RGB from 0 to 1, what each step saw of some filters' pictures, `way_filters`. way_seconds: (steps, 2), seconds a filter until then, on
    the clock and computed. All three None where that was not recorded.
    """

    system: str
    filters: list[int]
    images: np.ndarray
    start_up: float
    seconds: float
    cpu: float
    memory: float = math.nan
    versions: str = ""
    difference: float = math.nan
    way: np.ndarray | None = None
    way_filters: np.ndarray | None = None
    way_seconds: np.ndarray | None = None

    @property
    def pace(self) -> float:
        """Seconds a filter."""
        return self.seconds / len(self.filters)

    @property
    def effort(self) -> float:
        """CPU seconds a filter: what a busy machine changes least."""
        return self.cpu / len(self.filters)

    def write(self, path: Path) -> None:
        """Write it for `read`."""
        np.savez(path, **{name: value for name, value in vars(self).items() if value is not None})


def read(path: Path) -> Result:
    """The Result that a runner wrote."""
    with np.load(path) as stored:
        values = {name: stored[name] for name in stored.files}
    return Result(**{name: value if name in ARRAYS else value.tolist() for name, value in values.items()})


def now() -> np.ndarray:
    """Seconds on the clock and seconds that this process computed, to take the difference of two."""
    return np.array([time.perf_counter(), time.process_time()])


def parser() -> argparse.ArgumentParser:
    """The arguments of every runner."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--network", type=Path, help="the network: a .keras file for ours, weights (.npz) for peers")
    arguments.add_argument("--reference", type=Path, help="a photograph and our activations for it (.npz)")
    arguments.add_argument("--layer")
    arguments.add_argument("--filters", type=lambda text: [int(number) for number in text.split(",")])
    arguments.add_argument("--size", type=int, help="side of the pictures, pixels")
    arguments.add_argument("--output", type=Path)
    return arguments


class Memory:
    """The memory of this process, from the moment when the model is loaded; NaN where the system does not tell.

    Not from `getrusage`: its peak never falls again, and starts at that of the process that started this one.
    """

    def __init__(self) -> None:
        try:
            CLEAR.write_text(CLEAR_PEAK)
        except OSError:  # then the peak includes what loading took for a moment
            pass
        self._loaded = _memory("VmRSS")

    def above(self) -> float:
        """GiB at the peak above the loaded model."""
        return _memory("VmHWM") - self._loaded


def _memory(field: str) -> float:
    if not STATUS.exists():
        return math.nan
    values = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
    return int(values[field].split()[0]) / KIBIBYTES_PER_GIBIBYTE


def weights_until(path: Path, layer: str) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """(name, kernel (height, width, in, out), bias (out,)) of every convolution up to `layer`, for RGB minus IMAGENET_MEAN."""
    with np.load(path) as stored:
        names = sorted({key.partition("/")[0] for key in stored.files})
        names = names[: names.index(layer) + 1]
        return [(name, stored[f"{name}/kernel"], stored[f"{name}/bias"]) for name in names]


def opens_block(name: str) -> bool:
    """Whether a pooling layer stands before this convolution."""
    return name.endswith("_conv1") and not name.startswith("block1_")


def photograph(reference: Path, white: float) -> np.ndarray:
    """float32 (1, height, width, 3), RGB from 0 to `white`: what a peer's network is compared on."""
    with np.load(reference) as stored:
        return stored["photograph"].astype(np.float32) * np.float32(white / 255)


def difference(reference: Path, maps: np.ndarray) -> float:
    """How far `maps` (1, height, width, channels) are from ours, relative to the largest. Raises AssertionError where too far."""
    with np.load(reference) as stored:
        expected = stored["maps"]
    found = float(np.abs(maps - expected).max() / np.abs(expected).max())
    assert found <= AGREEMENT, f"the rebuilt network differs from the real one by {found:.2g} of its largest activation"
    return found


def versions(packages: Sequence[str]) -> str:
    """`name version` of each package, as a table states them."""
    return ", ".join(f"{package} {version(package)}" for package in packages)


def eight_bit(pictures: np.ndarray, largest: float) -> np.ndarray:
    """uint8 of `pictures` whose white is `largest`."""
    return np.clip(np.rint(np.asarray(pictures) * (255 / largest)), 0, 255).astype(np.uint8)
