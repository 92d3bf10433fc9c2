"""Which input positions an output position depends on along one axis, exactly: integer arithmetic on periodic functions, no TensorFlow.

After a strided convolution neighbouring positions depend on the same input positions, moved by the stride. After upsampling or a transposed
convolution positions come in a few phases that repeat. `Reach` keeps one interval per phase, so both are exact.
Arithmetic after Araujo, Norris & Sim, "Computing receptive fields of convolutional neural networks", Distill 2019.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import gcd

Interval = tuple[int, int]


@dataclass(frozen=True)
class Reach:
    """Position p depends on the input positions intervals[p mod n] moved by shift * (p // n), n = len(intervals); None is no position.

    Intervals are not clipped by the input. `block` > 1 between SpaceToBatchND and BatchToSpaceND: neighbours in memory are `block` apart.
    """

    intervals: tuple[Interval | None, ...] = ((0, 0),)
    shift: int = 1
    block: int = 1

    def at(self, position: int) -> Interval | None:
        """Return the first and last input position that `position` depends on."""
        turn, phase = divmod(position, len(self.intervals))
        interval = self.intervals[phase]
        return None if interval is None else (interval[0] + self.shift * turn, interval[1] + self.shift * turn)

    @property
    def size(self) -> int:
        """The receptive field: the largest number of input positions, gaps included, that one position can depend on."""
        return max((last - first + 1 for first, last in filter(None, self.intervals)), default=0)

    def _rebuilt(self, period: int, shift: int, sources: Callable[[int], Iterable[int]]) -> Reach:
        """Return the reach of an output whose position p depends on the positions sources(p) of this one."""
        intervals = tuple(_hull(self.at(source) for source in sources(position)) for position in range(period))
        return Reach(intervals, shift, self.block).simplified()

    def simplified(self) -> Reach:
        """Return the same function with its shortest period."""
        period = len(self.intervals)
        for shorter in range(1, period):
            if period % shorter == 0 and self.shift % (period // shorter) == 0:
                candidate = Reach(self.intervals[:shorter], self.shift * shorter // period, self.block)
                if all(candidate.at(position) == self.at(position) for position in range(period)):
                    return candidate
        return self

    def window(self, taps: int, stride: int, dilation: int, pad: int) -> Reach:
        """Return the reach after a convolution or pooling: output q depends on positions q * stride - pad + k * dilation, k < taps.

        Args:
            taps: length of the window.
            stride: positions between neighbouring outputs.
            dilation: positions between neighbouring taps.
            pad: positions padded before the first.
        """
        period = len(self.intervals) // gcd(len(self.intervals), stride)
        shift = self.shift * period * stride // len(self.intervals)
        step = dilation * self.block

        def sources(position: int) -> Iterable[int]:
            return (position * stride - pad * self.block + tap * step for tap in range(taps))

        return self._rebuilt(period, shift, sources)

    def spread(self, taps: int, stride: int, pad: int, dilation: int = 1) -> Reach:
        """Return the reach after a transposed convolution: input p adds to output q by tap k where q = p * stride - pad + k * dilation.

        Args:
            taps: length of the kernel.
            stride: outputs between those of neighbouring inputs.
            pad: outputs cut off before the first.
            dilation: outputs between neighbouring taps.
        """

        def sources(position: int) -> Iterable[int]:
            shifted = (position + pad - tap * dilation for tap in range(taps))
            return (place // stride for place in shifted if place % stride == 0)

        return self._rebuilt(len(self.intervals) * stride, self.shift, sources)

    def repeated(self, factor: int, interpolated: bool) -> Reach:
        """Return the reach after enlarging by an integer factor: nearest neighbour, or linear with half-pixel centres if `interpolated`."""

        def sources(position: int) -> Iterable[int]:
            if not interpolated:
                return (position // factor,)
            twice = 2 * position + 1 - factor  # 2 * factor * the position in the input, exactly
            below, remainder = divmod(twice, 2 * factor)
            return (below,) if remainder == 0 else (below, below + 1)

        return self._rebuilt(len(self.intervals) * factor, self.shift, sources)

    def moved(self, offset: int, stride: int = 1) -> Reach:
        """Return the reach after cropping or padding: output q is position q * stride + offset."""
        return self.window(1, stride, 1, -offset)

    def in_blocks(self, block: int) -> Reach:
        """Return the same function inside (or, with 1, outside) a space-to-batch frame."""
        return Reach(self.intervals, self.shift, block)

    def joined(self, other: Reach) -> Reach | None:
        """Return the reach of a sum or concatenation with a tensor of reach `other`; None where their positions have different shifts."""
        period = len(self.intervals) * len(other.intervals) // gcd(len(self.intervals), len(other.intervals))
        shift = self.shift * period // len(self.intervals)
        if shift * len(other.intervals) != other.shift * period or self.block != other.block:
            return None
        intervals = tuple(_hull((self.at(position), other.at(position))) for position in range(period))
        return Reach(intervals, shift, self.block).simplified()


def _hull(intervals: Iterable[Interval | None]) -> Interval | None:
    """Return the smallest interval around all that are not None."""
    known = [interval for interval in intervals if interval is not None]
    return (min(first for first, _ in known), max(last for _, last in known)) if known else None
