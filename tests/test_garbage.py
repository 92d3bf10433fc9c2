"""Python's search for garbage: as it was after each block, and without what was there before."""

from __future__ import annotations

import gc
import weakref

from reportgen.core.garbage import collected, paused


def test_the_search_is_off_in_the_block_alone() -> None:
    with paused():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_a_search_that_the_user_has_switched_off_stays_off() -> None:
    gc.disable()
    try:
        with paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


class Node:
    """What refers to itself, so that only a search frees it."""

    def __init__(self) -> None:
        self.own = self


def test_what_a_block_makes_is_freed_when_it_ends_and_what_was_there_is_searched_afterwards_alone() -> None:
    gc.disable()  # else a search of its own may come first
    try:
        there = Node()
        before = weakref.ref(there)
        with collected():
            assert not any(each is there for each in gc.get_objects())
            del there
            made = weakref.ref(Node())
        assert made() is None
        assert before() is not None
        gc.collect()
        assert before() is None
    finally:
        gc.enable()
