"""Names that are safe in files, addresses and anchors, made from any text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

SLUG_LENGTH = 64  # the contract's limit; with a folder and a suffix every file system takes it
NAMELESS = "unnamed"
DEVICE_NAMES = frozenset(  # Windows opens a device, not a file, under these names, whatever the suffix
    ["con", "prn", "aux", "nul", *(f"{port}{digit}" for port in ("com", "lpt") for digit in range(10))]
)


def unique_slugs(names: Sequence[str]) -> list[str]:
    """One slug a name, in order: `[a-z0-9_-]`, 1 to 64 characters, not starting with "-", no two the same.

    The first name that cleans to a slug gets it as it is, unless Windows keeps it for a device; later ones get "-2",
    "-3", ..., skipping whatever another name cleans to. The same names in the same order give the same slugs. Of a
    name too long the end is kept, which tells a layer from its neighbours.
    """
    cleaned = [_clean(name) for name in names]
    taken = set(cleaned) | DEVICE_NAMES
    given: set[str] = set()
    latest: dict[str, int] = {}
    slugs = []
    for base in cleaned:
        slug = base
        number = latest.get(base, 1)
        if base in given or base in DEVICE_NAMES:
            while slug in taken:
                number += 1
                suffix = f"-{number}"
                slug = base[: SLUG_LENGTH - len(suffix)] + suffix
        latest[base] = number
        given.add(slug)
        taken.add(slug)
        slugs.append(slug)
    return slugs


def _clean(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9_-]+", "-", plain).strip("-")
    slug = slug[-SLUG_LENGTH:].strip("-")
    return slug if slug else NAMELESS
