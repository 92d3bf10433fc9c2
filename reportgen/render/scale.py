"""From a feature map's values to colours: the three linear scales, each with the sentence that states it in numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reportgen.core.choices import Normalization
from reportgen.core.settings import MapStyle
from reportgen.render import palette
from reportgen.render.text import figure, percent, stated

SCALE_PERCENTILE = 99.5  # a few extreme positions, often at a padded border, would leave everything else in the dark
HALF_LARGEST = float(np.finfo(np.float16).max)  # maps stored in half precision are cut off there
# The usual (x - mean) / std * 64 + 128, cut off at 0 and 255, ends two standard deviations from the mean on either side.
SPREAD = 2.0
Legend = tuple[float | str, float | str, str]


@dataclass(frozen=True)
class Medium:
    """How a scale is drawn, in words. linear: what runs along it, `{}` for the colour map. bottom, top, end: what is beyond it does."""

    linear: str
    bottom: str
    top: str
    end: str


COLOURED = Medium("Colours ({})", "has the bottom colour", "have the top colour", "have an end colour")
CURVED = Medium("Heights of the curves", "lies at the bottom", "are cut off at the top", "are cut off at an end")


@dataclass(frozen=True)
class Shared:
    """One scale for all maps: from 0 to `top`, or from -top to top where it is `diverging`.

    top: 0 where every drawn value is 0. lowest, highest: of all values drawn. outside: how many of the `count` values
    drawn are beyond an end and have its colour. clipped: the top is where stored values were cut off, not the largest
    of the true ones. sequential: the colour map of a scale that begins at 0.
    """

    top: float
    diverging: bool
    lowest: float
    highest: float
    outside: int
    count: int
    sequential: str
    clipped: bool = False

    @property
    def palette(self) -> str:
        """The colour map in use."""
        return palette.DIVERGING if self.diverging else self.sequential

    @property
    def legend(self) -> Legend | None:
        """The colour bar; None where there is only one value."""
        return None if self.top == 0 else (-self.top if self.diverging else 0.0, self.top, self.palette)

    def indices(self, values: NDArray[np.floating]) -> NDArray[np.uint8] | int:
        """The palette indices of finite `values` of any shape."""
        if self.top == 0:
            return palette.FIRST_VALUE
        if self.diverging:
            return palette.diverging_index(values, self.top)
        return palette.sequential_index(values, self.top)

    def sentence(self, medium: Medium = COLOURED) -> str:
        """The scale in words."""
        if self.top == 0:
            return f"Every value drawn is 0 and {medium.bottom}."
        top, linear = figure(self.top), medium.linear.format(self.palette)
        if self.diverging:
            sentence = f"{linear} are linear from {figure(-self.top)} through 0 to {top}"
            outside, beyond = "outside", medium.end
            reach, largest = f"from {figure(self.lowest)} to {figure(self.highest)}", "the largest magnitude"
        else:
            sentence = f"{linear} are linear from 0 to {top}"
            outside, beyond = "above", medium.top
            reach, largest = f"up to {figure(self.highest)}", "the largest value"
        if self.clipped:
            return f"{sentence}, where the stored values end; the true ones go {reach} and {beyond} beyond it."
        if self.outside == 0:
            return f"{sentence}, {largest}."
        return (
            f"{sentence}, the {SCALE_PERCENTILE}th percentile of the magnitudes other than 0; "
            f"{percent(self.outside / self.count)} of the values lie {outside} ({reach}) and {beyond}."
        )

    def trued(self, stored: tuple[float, float], true: tuple[float, float]) -> Shared:
        """The same scale with the true figures where it ends at the ends of what was stored.

        stored, true: the smallest and largest finite value of all maps, as stored and before.
        """
        lowest = true[0] if self.lowest == stored[0] else self.lowest
        highest = true[1] if self.highest == stored[1] else self.highest
        largest = max(abs(lowest), abs(highest))
        clipped = self.top == HALF_LARGEST < largest and self.outside == 0
        ends_at_largest = self.outside == 0 and self.top > 0 and not clipped
        top = largest if ends_at_largest else self.top
        return replace(self, top=top, lowest=lowest, highest=highest, clipped=clipped)


@dataclass(frozen=True)
class Fixed:
    """The same scale for every layer and image, from `low` to `high`.

    lowest, highest: of all values drawn. below, above: how many of the `count` values drawn lie there.
    """

    low: float
    high: float
    lowest: float
    highest: float
    below: int
    above: int
    count: int
    palette: str

    @property
    def legend(self) -> Legend:
        """The colour bar."""
        return self.low, self.high, self.palette

    def indices(self, values: NDArray[np.floating]) -> NDArray[np.uint8]:
        """The palette indices of finite `values` of any shape."""
        shares = (values.astype(np.float64) - self.low) / (self.high - self.low)
        return palette.sequential_index(shares, 1.0)

    def sentence(self, medium: Medium = COLOURED) -> str:
        """The scale in words."""
        ends = f"{stated(self.low)} to {stated(self.high)}"
        outside = " and ".join(
            f"{percent(number / self.count)} lie {where} and {beyond}"
            for number, where, beyond in (
                (self.below, "below", medium.bottom.replace("has", "have").replace("lies", "lie")),
                (self.above, "above", medium.top),
            )
            if number
        )
        return (
            f"{medium.linear.format(self.palette)} are linear from {ends}, the same in every figure; the values go from "
            f"{figure(self.lowest)} to {figure(self.highest)}{': ' if outside else ''}{outside}."
        )


@dataclass(frozen=True)
class Standardised:
    """A scale of its own for each map: two standard deviations on either side of its mean."""

    palette: str

    @property
    def legend(self) -> Legend:
        """The colour bar."""
        return f"mean − {SPREAD:g} sd", f"mean + {SPREAD:g} sd", self.palette

    def indices(self, values: NDArray[np.floating]) -> NDArray[np.uint8]:
        """The palette indices of one map of finite values; a map of one position is its own mean, the middle colour."""
        wide = values.astype(np.float64)
        wide /= max(
            np.abs(wide).max(), np.finfo(np.float64).tiny
        )  # whatever the magnitude, a square of it can be written
        deviation = wide.std()
        shares = (wide - wide.mean()) / (deviation if deviation > 0 else 1.0)
        return palette.sequential_index((shares + SPREAD) / (2 * SPREAD), 1.0)

    def sentence(self, medium: Medium = COLOURED) -> str:
        """The scale in words."""
        linear = medium.linear.format(self.palette)
        return (
            f"Each map has a scale of its own: {linear[0].lower()}{linear[1:]} are linear from {SPREAD:g} standard deviations below "
            f"its mean to {SPREAD:g} above. So brightness cannot be compared between tiles; each map's own range stands in the "
            "table below the pictures."
        )


Scale = Shared | Fixed | Standardised


def choose(values: NDArray[np.floating], style: MapStyle) -> Scale | None:
    """The scale of the finite `values` of every map drawn, in any shape; None where there are none.

    That of a layer is taken from the maps drawn: the 99.5th percentile of the magnitudes other than 0.
    """
    if values.size == 0:
        return None
    low, high = float(values.min()), float(values.max())
    if style.normalize == Normalization.PER_MAP:
        return Standardised(style.colormap)
    if style.normalize == Normalization.FIXED:
        bottom, top = style.map_range
        below, above = int(np.count_nonzero(values < bottom)), int(np.count_nonzero(values > top))
        return Fixed(bottom, top, low, high, below, above, values.size, style.colormap)
    magnitudes = np.abs(values).ravel()
    other_than_zero = magnitudes[magnitudes > 0]
    if other_than_zero.size == 0:
        return Shared(0.0, False, low, high, 0, magnitudes.size, style.colormap)
    rank = math.ceil(SCALE_PERCENTILE / 100 * (other_than_zero.size - 1))
    other_than_zero.partition(rank)
    limit = other_than_zero[rank]
    outside = int(np.count_nonzero(other_than_zero > limit))
    return Shared(float(limit), low < 0, low, high, outside, magnitudes.size, style.colormap)
