"""Receptive fields along one axis, against counting: every window is opened position by position."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from reportgen.network.graph.axis_reach import Reach

RANGE = range(-60, 61)


def seen_by(reach: Reach, positions: range) -> list[tuple[int, int] | None]:
    return [reach.at(position) for position in positions]


def hull(sets: list[set[int]]) -> list[tuple[int, int] | None]:
    return [(min(found), max(found)) if found else None for found in sets]


def windowed(
    before: dict[int, set[int]], taps: int, stride: int, dilation: int, pad: int, positions: range
) -> dict[int, set[int]]:
    return {
        position: set().union(*(before[position * stride - pad + tap * dilation] for tap in range(taps)))
        for position in positions
    }


IDENTITY = {position: {position} for position in range(-4000, 4000)}


def test_a_new_reach_sees_its_own_position() -> None:
    assert seen_by(Reach(), range(-3, 3)) == [(p, p) for p in range(-3, 3)]
    assert Reach().size == 1


@pytest.mark.parametrize(
    ("taps", "stride", "dilation", "pad"), list(itertools.product((1, 2, 3), (1, 2, 3), (1, 2), (0, 1, 2)))
)
def test_one_window_sees_what_counting_sees(taps: int, stride: int, dilation: int, pad: int) -> None:
    reach = Reach().window(taps, stride, dilation, pad)
    counted = windowed(IDENTITY, taps, stride, dilation, pad, RANGE)
    assert seen_by(reach, RANGE) == hull([counted[position] for position in RANGE])
    assert reach.size == (taps - 1) * dilation + 1


def test_windows_after_each_other_grow_by_the_textbook_sum() -> None:
    """Araujo et al. 2019, equation 2: 1 + sum over layers of (taps - 1) x the product of strides before."""
    reach, expected, jump = Reach(), 1, 1
    for taps, stride in [(7, 2), (3, 2), (3, 1), (1, 1), (3, 2), (5, 3), (3, 1)]:
        reach = reach.window(taps, stride, 1, taps // 2)
        expected += (taps - 1) * jump
        jump *= stride
        assert reach.size == expected
    assert reach.at(1)[0] - reach.at(0)[0] == jump  # type: ignore[index]


@pytest.mark.parametrize(("taps", "stride", "pad"), list(itertools.product((1, 2, 3, 4), (1, 2, 3), (0, 1))))
def test_a_transposed_window_is_the_window_read_backwards(taps: int, stride: int, pad: int) -> None:
    """Output q hears input p exactly where the plain convolution's output p looks at position q."""
    reach = Reach().spread(taps, stride, pad)
    forward = windowed(IDENTITY, taps, stride, 1, pad, range(-200, 200))
    backwards = [{source for source, looked in forward.items() if position in looked} for position in RANGE]
    assert seen_by(reach, RANGE) == hull(backwards)


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
def test_nearest_enlarging_repeats(factor: int) -> None:
    reach = Reach().repeated(factor, False)
    assert seen_by(reach, RANGE) == [(position // factor, position // factor) for position in RANGE]


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
def test_linear_enlarging_sees_both_neighbours_of_the_half_pixel_centre(factor: int) -> None:
    reach = Reach().repeated(factor, True)
    for position in RANGE:
        centre = (position + 0.5) / factor - 0.5
        assert reach.at(position) == (int(np.floor(centre + 1e-9)), int(np.ceil(centre - 1e-9)))


def test_strides_after_enlarging_see_in_turns() -> None:
    reach = Reach().repeated(3, False).window(2, 2, 1, 0)
    assert seen_by(reach, RANGE) == [(2 * p // 3, (2 * p + 1) // 3) for p in RANGE]
    assert reach.size == 2


def test_enlarging_and_striding_back_is_the_identity() -> None:
    assert Reach().repeated(4, False).window(1, 4, 1, 0) == Reach()


def test_cropping_and_padding_move() -> None:
    assert Reach().moved(3).at(0) == (3, 3)
    assert Reach().moved(-2).at(0) == (-2, -2)
    assert Reach().window(3, 2, 1, 0).moved(1).moved(-1) == Reach().window(3, 2, 1, 0)
    assert Reach().moved(1, 2).at(3) == (7, 7)


def test_branches_in_step_join_to_both_their_views() -> None:
    wide, shifted = Reach().window(5, 2, 1, 2), Reach().window(1, 2, 1, -4)
    joined = wide.joined(shifted)
    assert joined is not None
    assert joined.at(0) == (-2, 4)
    assert joined.at(5) == (8, 14)
    assert shifted.joined(wide) == joined


def test_branches_with_other_periods_join_position_by_position() -> None:
    up = Reach().window(3, 2, 1, 1).repeated(2, False)
    joined = up.joined(Reach())
    assert joined is not None
    for position in RANGE:
        first, last = up.at(position)  # type: ignore[misc]
        assert joined.at(position) == (min(first, position), max(last, position))


def test_branches_out_of_step_do_not_join() -> None:
    assert Reach().joined(Reach().window(1, 2, 1, 0)) is None


def test_gaps_of_a_transposed_convolution_see_nothing_and_fill_when_looked_over() -> None:
    reach = Reach().spread(1, 2, 0)
    assert seen_by(reach, range(4)) == [(0, 0), None, (1, 1), None]
    assert seen_by(reach.window(2, 1, 1, 0), range(4)) == [(0, 0), (1, 1), (1, 1), (2, 2)]
    assert reach.size == 1


def test_a_window_in_a_space_to_batch_frame_is_a_dilated_window() -> None:
    """Depthwise dilation runs as SpaceToBatch, a plain window, BatchToSpace."""
    assert Reach().in_blocks(3).window(4, 1, 1, 0).in_blocks(1) == Reach().window(4, 1, 3, 0)
