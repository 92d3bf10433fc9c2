"""Random numbers that depend on nothing but their key: a filter's picture is the same whatever is computed beside it."""

from __future__ import annotations

import hashlib
import json

import numpy as np

SEED_BITS = 48  # fits exactly into the double that JSON readers use for numbers


def derived_seed(seed: int, *key: str | int) -> int:
    """A number below 2**48 from the run's `seed` and a key such as (layer path, filter, purpose)."""
    text = json.dumps([seed, *key], ensure_ascii=False)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[: SEED_BITS // 8], "big")


def generator(seed: int) -> np.random.Generator:
    """A fresh counter-based generator (Philox) for a derived seed."""
    return np.random.Generator(np.random.Philox(key=seed))
