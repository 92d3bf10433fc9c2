"""The report of a sample network by the command line, its files, and when they were written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
from click.testing import CliRunner, Result
from PIL import Image

from reportgen.cli.main import main

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "sample_models"
QUICK = ["--filters", "3", "--steps", "2", "--layers", "conv[12]"]
ONE_LAYER = ["--filters", "3", "--steps", "2", "--layers", "conv1"]
SINGLE_ASCENT = ["--method", "keras-io"]  # half the time, where it does not matter how patterns are found
BARE = ["--filters", "1", "--steps", "1", "--layers", "conv1", *SINGLE_ASCENT]  # nor what is in the report


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def build(
    output: Path, *arguments: object, model: Path = SAMPLES / "galaxies.keras", extent: Sequence[str] = QUICK
) -> Result:
    return run("build", model, "-o", output, *extent, *arguments)


def dates(moment: datetime) -> set[str]:
    """The day of `moment`, as it is usually written."""
    forms = ("%Y-%m-%d", "%Y%m%d", "%d.%m.%Y", "%m/%d/%Y", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%c")
    return {moment.strftime(form) for form in forms}


def told(folder: Path, words: Iterable[str]) -> set[tuple[str, str]]:
    """(file, word) for each of `words` that stands in a file of a report; run.json and packed arrays are left out."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "run.json"]
    return {(path.name, word) for path in files for word in words if word.encode() in path.read_bytes()}


def contents(folder: Path) -> dict[str, str]:
    """SHA-256 of every file but run.json, by relative path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "run.json"
    }


def stored(folder: Path) -> dict[str, int]:
    """When each stored task was written."""
    return {path.name: path.stat().st_mtime_ns for path in (folder / ".store").rglob("*.npz")}


def draw(path: Path) -> Path:
    Image.fromarray(np.arange(64 * 64, dtype=np.uint16).reshape(64, 64).astype(np.uint8)).save(path)
    return path
