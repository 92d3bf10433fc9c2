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
def settled() -> Iterator[None]:
    """Leave what is there already out of every search while the block runs, so that `gc.collect` in it takes hardly any time.

    What is garbage by then stays for as long: to search all of it takes a second in a process that holds much.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
