"""A virtual environment of its own for every peer, made at first use: peers need versions that exclude each other, and ours."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

DEFAULT_FOLDER = Path.home() / ".cache" / "reportgen-benchmarks"
INSTALLED = "installed.txt"  # what an environment was made from, written last


@dataclass(frozen=True)
class Peer:
    """One library as it is run.

    runner: the script beside `peers/protocol.py`. environment: its folder's name. installs: the arguments of one `pip install` after the
    other. arguments: of the runner, besides the task's.
    """

    runner: str
    environment: str
    installs: tuple[tuple[str, ...], ...]
    arguments: tuple[str, ...] = ()


LUCENT = (("torch-lucent==0.1.8", "torch==2.13.0", "torchvision==0.28.0", "kornia==0.4.1"),)

PEERS = {
    "tf-keras-vis": Peer("run_tf_keras_vis.py", "tf-keras-vis", (("tf-keras-vis==0.8.7", "tensorflow==2.21.0"),)),
    # Its own list asks for TensorFlow with CUDA, gigabytes that nothing here uses: so its dependencies are named instead.
    "xplique": Peer(
        "run_xplique.py",
        "xplique",
        (
            (
                "tensorflow==2.20.0",
                "tensorflow-probability[tf]==0.25.0",
                "deprecated==1.3.1",
                "einops==0.8.2",
                "matplotlib==3.11.2",
                "opencv-python-headless==5.0.0.93",
                "scikit-image==0.25.2",
                "scikit-learn==1.7.2",
                "scipy==1.15.3",
            ),
            ("--no-deps", "xplique==2.0.2"),
        ),
    ),
    "torch-lucent": Peer("run_torch_lucent.py", "torch-lucent", LUCENT),
    "torch-lucent-unscaled": Peer("run_torch_lucent.py", "torch-lucent", LUCENT, ("--unscaled",)),
}


def python_of(name: str, folder: Path) -> Path:
    """The Python of a peer's environment below `folder`, made now unless it is there. Raises CalledProcessError."""
    place = folder / PEERS[name].environment
    python = place / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    wanted = repr(PEERS[name].installs)
    installed = place / INSTALLED
    if installed.exists() and installed.read_text() == wanted:
        return python
    print(f"making an environment for {name} in {place}", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
    for arguments in PEERS[name].installs:
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *arguments], check=True)
    installed.write_text(wanted)
    return python
