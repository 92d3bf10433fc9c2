"""Python's search for garbage, where it would look at the same hundred thousands of objects again and again."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused() -> Iterator[None]:
    """Search for no garbage while the block runs, as where it makes many objects of which none is any yet."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def collected() -> Iterator[None]:
    """Free what the block makes when it ends, without a search of what was there before.

    TensorFlow's graphs refer to themselves: without this those of many layers are in memory at once. To search all objects of a process
    that holds much takes a second each time; what is garbage when the block begins stays until it has ended.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.collect()
        gc.unfreeze()
