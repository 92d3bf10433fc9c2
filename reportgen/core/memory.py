"""The memory that this machine has left."""

from __future__ import annotations

import os
from pathlib import Path

KIBI = 1024
MEMORY_FACTS = Path("/proc/meminfo")
GROUP = Path("/sys/fs/cgroup")  # of a container's process, whose limit may be below the machine's


def available_bytes() -> int | None:
    """Return the bytes that new processes may take: what the machine has left, and no more than its container may; None where not known."""
    left = [found for found in (_of_machine(), _of_group()) if found is not None]
    return min(left) if left else None


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


def _of_group() -> int | None:
    try:
        limit, used = ((GROUP / name).read_text(encoding="utf-8") for name in ("memory.max", "memory.current"))
        return max(0, int(limit) - int(used))
    except (OSError, ValueError):  # no container, or one without a limit ("max")
        return None
