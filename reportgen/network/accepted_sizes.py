"""The nearest input size that a network accepts: a search over whole numbers that tries candidates on the network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import prod

Size = tuple[int, ...]
Fits = Callable[[Size], bool]

# Networks that halve (or divide by three or five) and join branches again accept the multiples of their total stride.
MOST_STRIDE = 512
STRIDES = sorted(stride for odd in (1, 3, 5) for power in range(10) if (stride := odd * 2**power) <= MOST_STRIDE)
SEARCH_STEP = 64  # of the search for networks that accept everything above some length
NEAR = 32  # lengths tried one by one, for networks that accept a remainder other than 0


def next_size(
    size: Size, free: Sequence[bool], fits: Fits, longest: int, known: Iterable[Size] = (), near: int = NEAR
) -> Size | None:
    """Find the smallest size that `fits`, its free axes at least as long as those of `size`.

    Exact for networks that accept the multiples of one stride, everything from some length on, or one remainder nearby.

    Args:
        size: wanted length of each spatial axis.
        free: which axes may change.
        fits: whether the network accepts a size.
        longest: length above which nothing is tried.
        known: sizes that may fit, as of an earlier call; one that is shorter than `size` is the last resort.
        near: how many lengths are tried one by one.

    Returns:
        A size for which `fits` returned True; None where none is found.
    """
    known = list(known)
    covering = [one for one in known if all(own >= wanted for own, wanted in zip(one, size, strict=True))]
    rounded = {_rounded(size, free, stride) for stride in STRIDES}
    for candidate in sorted({*rounded, *covering}, key=lambda one: (prod(one), one)):
        if max(candidate) <= max(longest, *size) and fits(candidate):
            return candidate
    found = _enlarged(size, free, fits, longest)
    if found is None:
        found = next((one for by in range(1, near + 1) if fits(one := _longer(size, free, by))), None)
    return found if found is not None else next(filter(fits, known), None)


def _rounded(size: Size, free: Sequence[bool], stride: int) -> Size:
    """Round the free axes up to multiples of `stride`."""
    return tuple(-(-length // stride) * stride if varies else length for length, varies in zip(size, free, strict=True))


def _longer(size: Size, free: Sequence[bool], by: int) -> Size:
    """Lengthen the free axes by `by`."""
    return tuple(length + by if varies else length for length, varies in zip(size, free, strict=True))


def _enlarged(size: Size, free: Sequence[bool], fits: Fits, longest: int) -> Size | None:
    """Find a size for networks that crop or convolve much away: double until it fits, then bisect."""
    start = _rounded(size, free, SEARCH_STEP)
    most = longest - max(length for length, varies in zip(start, free, strict=True) if varies)
    failing, reach = 0, min(SEARCH_STEP, most)
    while reach > failing and not fits(_longer(start, free, reach)):
        failing, reach = reach, min(2 * reach, most)
    if reach <= failing:
        return None
    for unit in (SEARCH_STEP, 1):
        while reach - failing > unit:
            middle = failing + max((reach - failing) // 2 // unit, 1) * unit
            failing, reach = (failing, middle) if fits(_longer(start, free, middle)) else (middle, reach)
    return _longer(start, free, reach)
