"""The three linear scales of feature maps, from values to colors, each with the sentence that states it in numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reportgen.core.choices import Normalization
from reportgen.core.settings import MapStyle
from reportgen.render import palette
from reportgen.render.text import number, percent, stated

SCALE_PERCENTILE = 99.5  # a few extreme positions, often at a padded border, would make everything else dark
HALF_LARGEST = float(np.finfo(np.float16).max)  # maps stored in half precision are clipped there
# The usual (x - mean) / std * 64 + 128, cut off at 0 and 255, ends two standard deviations from the mean on either side.
SPREAD = 2.0
BLOCK = 2**20  # values that are scaled at once, each in float64: all maps of a large image would take gigabytes
Legend = tuple[float | str, float | str, str]


@dataclass(frozen=True)
class Medium:
    """How a scale is drawn, in words.

    Attributes:
        linear: what follows the scale, `{}` for the color map.
        zero: how maps of nothing but zeros are drawn.
    """

    linear: str
    zero: str


COLORED = Medium("Linear color scale ({})", "drawn in the bottom color")
CURVED = Medium("Linear curve height", "drawn at the bottom")


@dataclass(frozen=True)
class Shared:
    """One scale for all maps: from 0 to `top`, or from -top to top where it is `diverging`.

    Attributes:
        top: 0 where every drawn value is 0.
        lowest: of all values drawn, like `highest`.
        outside: how many of the `count` values drawn are beyond an end and have its color.
        sequential: the color map of a scale that begins at 0.
        clipped: the top is where stored values were clipped, not the largest of the true ones.
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
        """The color map in use."""
        return palette.DIVERGING if self.diverging else self.sequential

    @property
    def legend(self) -> Legend | None:
        """The color bar; None where there is only one value."""
        return None if self.top == 0 else (-self.top if self.diverging else 0.0, self.top, self.palette)

    def indices(self, values: NDArray[np.floating]) -> NDArray[np.uint8] | int:
        """Return the palette indices of finite `values` of any shape."""
        if self.top == 0:
            return palette.FIRST_VALUE
        if self.diverging:
            return palette.diverging_index(values, self.top)
        return palette.sequential_index(values, self.top)

    def sentence(self, medium: Medium = COLORED) -> str:
        """Return the scale in words."""
        if self.top == 0:
            return f"All values are 0, {medium.zero}."
        top, linear = number(self.top), medium.linear.format(self.palette)
        if self.diverging:
            sentence = f"{linear} from {number(-self.top)} through 0 to {top}"
            reach, largest = f"values from {number(self.lowest)} to {number(self.highest)}", "the largest magnitude"
        else:
            sentence = f"{linear} from 0 to {top}"
            reach, largest = f"maximum {number(self.highest)}", "the maximum"
        if self.clipped:
            return f"{sentence}, the limit of half precision; larger values are clipped ({reach})."
        if self.outside == 0 or number(max(-self.lowest, self.highest)) == top:
            return f"{sentence}, {largest}."
        return (
            f"{sentence}, the {SCALE_PERCENTILE}th percentile of the nonzero magnitudes; "
            f"{percent(self.outside / self.count)} of the values are clipped ({reach})."
        )

    def trued(self, stored: tuple[float, float], true: tuple[float, float]) -> Shared:
        """Return the same scale with the true values where it ends at the ends of the stored ones.

        Args:
            stored: the smallest and largest finite value of all maps, as stored.
            true: the same before they were rounded or clipped for the store.
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

    Attributes:
        lowest: of all values drawn, like `highest`.
        below: how many of the `count` values drawn are below the scale, like `above`.
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
        """The color bar."""
        return self.low, self.high, self.palette

    def indices(self, values: NDArray[np.floating]) -> NDArray[np.uint8]:
        """Return the palette indices of finite `values` of any shape."""
        shares = (values.astype(np.float64) - self.low) / (self.high - self.low)
        return palette.sequential_index(shares, 1.0)

    def sentence(self, medium: Medium = COLORED) -> str:
        """Return the scale in words."""
        ends = f"{stated(self.low)} to {stated(self.high)}"
        clipped = "".join(
            f", {percent(values / self.count)} clipped {where}"
            for values, where in ((self.below, "below"), (self.above, "above"))
            if values
        )
        return (
            f"{medium.linear.format(self.palette)} from {ends}, the same in every figure; values from "
            f"{number(self.lowest)} to {number(self.highest)}{clipped}."
        )


@dataclass(frozen=True)
class Standardized:
    """A scale for each map: two standard deviations on either side of its mean."""

    palette: str

    @property
    def legend(self) -> Legend:
        """The color bar."""
        return f"mean − {SPREAD:g} sd", f"mean + {SPREAD:g} sd", self.palette

    def indices(self, values: NDArray[np.floating]) -> NDArray[np.uint8]:
        """Return the palette indices of one map of finite values; a map of one position is its own mean, the middle color."""
        wide = values.astype(np.float64)
        wide /= max(
            np.abs(wide).max(), np.finfo(np.float64).tiny
        )  # whatever the magnitude, a square of it can be written
        deviation = wide.std()
        shares = (wide - wide.mean()) / (deviation if deviation > 0 else 1.0)
        return palette.sequential_index((shares + SPREAD) / (2 * SPREAD), 1.0)

    def sentence(self, medium: Medium = COLORED) -> str:
        """Return the scale in words."""
        linear = medium.linear.format(self.palette)
        return (
            f"{linear} for each map, from {SPREAD:g} standard deviations below its mean to {SPREAD:g} above. Brightness cannot be "
            "compared between tiles; the table below the figures states the range of each map."
        )


Scale = Shared | Fixed | Standardized


def indices_of_maps(scale: Scale, maps: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return the palette indices of finite `maps`, at least one, (maps, ...): of many small ones at once."""
    block = 1 if isinstance(scale, Standardized) else max(1, BLOCK // maps[0].size)
    indices = np.empty(maps.shape, np.uint8)
    for start in range(0, len(maps), block):
        indices[start : start + block] = scale.indices(maps[start : start + block])
    return indices


def choose(values: NDArray[np.floating], style: MapStyle) -> Scale | None:
    """Return the scale of some maps.

    The scale of a layer ends at the 99.5th percentile of the nonzero magnitudes drawn.

    Args:
        values: finite values of every map drawn, in any shape.
        style: of feature maps.

    Returns:
        The scale; None where there are no values.
    """
    if values.size == 0:
        return None
    low, high = float(values.min()), float(values.max())
    if style.normalize == Normalization.PER_MAP:
        return Standardized(style.colormap)
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
