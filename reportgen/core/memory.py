"""The memory that this machine has left."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

KIBI = 1024
MEMORY_FACTS = Path("/proc/meminfo")
# Control groups, in which a container or a job of a scheduler has a limit that may be below the machine's.
OWN_GROUPS = Path("/proc/self/cgroup")
GROUPS = Path("/sys/fs/cgroup")
VERSION_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
VERSION_2 = ("memory.max", "memory.current", "inactive_file")


def available_bytes() -> int | None:
    """Return the bytes that new processes may take: what the machine has left, and no more than its container may; None where not known."""
    left = _of_machine()
    return left if left is None else min([left, *_of_groups()])


def _of_machine() -> int | None:
    try:
        for line in MEMORY_FACTS.read_text(encoding="utf-8").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * KIBI
    except (OSError, ValueError):  # no Linux
        pass
    try:
        return int(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):  # macOS, Windows
        return None


def _of_groups() -> Iterator[int]:
    """Yield what is left to each group that this process is in, and to the groups around it, of those that have a limit."""
    try:
        lines = OWN_GROUPS.read_text(encoding="utf-8").splitlines()
    except OSError:  # no Linux
        return
    for line in lines:
        _, kinds, name = line.split(":", 2)
        if kinds and "memory" not in kinds.split(","):
            continue
        root, files = (GROUPS / "memory", VERSION_1) if kinds else (GROUPS, VERSION_2)
        path = PurePosixPath(name)
        for each in (path, *path.parents):
            left = _left(root / each.relative_to("/"), *files)
            if left is not None:
                yield left


def _left(group: Path, limit: str, usage: str, cache: str) -> int | None:
    """What a group may still take; None for one without a limit, or that cannot be seen from inside its container."""
    try:
        most, used = (int((group / name).read_text(encoding="utf-8")) for name in (limit, usage))
        facts = dict(line.split() for line in (group / "memory.stat").read_text(encoding="utf-8").splitlines())
        return max(0, most - used + int(facts.get(cache, 0)))  # files in the cache give way
    except (OSError, ValueError):  # ValueError: the limit is `max`
        return None
