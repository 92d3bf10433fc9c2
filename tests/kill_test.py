"""Kills builds at random moments and compares what becomes of them with a report that was left alone, byte for byte.

    python tests/kill_test.py --kills 50

A build that was killed is started again in the same folder, until it ends by itself. Moments are drawn from the time in which a run
writes, since nothing can be lost before.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from sample_build import ROOT, SAMPLES, contents

BUILD = ("build", SAMPLES / "galaxies.keras", "-i", SAMPLES / "galaxies", "--layers", "conv[12]", "--filters", "8")
EFFORT = ("--steps", "2", "--method", "keras-io")
POLL = 0.005  # seconds between two looks at the folder
PATIENCE = 600.0  # seconds that a build may take at most


class Build:
    """A build in a process of its own."""

    def __init__(self, output: Path) -> None:
        """Start it."""
        self._plan = output / ".store" / "plan.json"
        self._before = self._planned()
        command = [sys.executable, "-m", "reportgen", *map(str, BUILD), *EFFORT, "-o", str(output)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    def _planned(self) -> int:
        try:
            return self._plan.stat().st_mtime_ns
        except OSError:
            return 0

    def writes(self) -> bool:
        """Wait until it writes to its folder; returns whether it does so, or has ended."""
        while self._planned() == self._before:
            if self.process.poll() is not None:
                return False
            time.sleep(POLL)
        return True

    def killed(self, delay: float) -> bool:
        """Kill it `delay` seconds after it began to write; returns whether it was still there."""
        if self.writes():
            try:
                self.process.wait(delay)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.communicate()
                return True
        return False

    def ended(self) -> None:
        """Wait until it has ended as it should."""
        _, said = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == 0, said


def check(kills: int, seed: int, folder: Path) -> tuple[int, set[str]]:
    """Kill builds `kills` times.

    Args:
        kills: how often.
        seed: of the moments.
        folder: an empty one, for the reports.

    Returns:
        How many reports were finished, and the files that differ in any of them from a report that was left alone.
    """
    alone = folder / "alone"
    Build(alone).ended()
    began, ended = ((alone / name).stat().st_mtime for name in (".store/plan.json", "run.json"))
    expected = contents(alone)
    chance, reports, differing, done = random.Random(seed), 0, set[str](), 0
    while done < kills:
        output = folder / f"killed-{reports}"
        while done < kills:
            build = Build(output)
            if not build.killed(chance.uniform(0, ended - began)):
                build.ended()
                break
            done += 1
            print(f"{done} of {kills} killed", flush=True)
        else:
            Build(output).ended()
        found, reports = contents(output), reports + 1
        differing |= {name for name in {*found, *expected} if found.get(name) != expected.get(name)}
    return reports, differing


def main(arguments: Sequence[str] | None = None) -> int:
    """Check as the command line says; returns the exit code."""
    parser = argparse.ArgumentParser(description="Kills builds at random moments and compares the reports.")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        reports, differing = check(given.kills, given.seed, Path(folder))
    print(f"{given.kills} kills, {reports} reports; files that differ: {', '.join(sorted(differing)) or 'none'}")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
