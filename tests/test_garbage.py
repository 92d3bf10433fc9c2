"""Python's search for garbage: as it was after each block, and without what was there before."""

from __future__ import annotations

import gc

from reportgen.core.garbage import paused, settled


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


def test_what_is_there_before_the_block_is_searched_after_it_alone() -> None:
    there: list[object] = []
    there.append(there)
    with settled():
        assert not any(each is there for each in gc.get_objects())
        made: list[object] = []
        made.append(made)
        assert any(each is made for each in gc.get_objects())
    assert any(each is there for each in gc.get_objects())
