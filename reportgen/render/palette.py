"""The colors of mapped pictures: 8-bit palettes whose first entries mark what is not a value.

A mapped picture holds indices: GAP between tiles, FLAT for a constant or dead tile, BROKEN and BROKEN_LINE for the
hatching of a tile that is not finite, and from FIRST_VALUE on the LEVELS steps of a scale. An odd number of levels
gives zero a step of its own in the middle. Twice as many steps would make a file a sixth larger, and neighbors are already hard to
tell apart.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from reportgen.core.choices import Colormap

SEQUENTIAL = tuple(Colormap)
DIVERGING = "RdBu_r"  # ColorBrewer's red to blue: distinguishable with every common kind of color blindness

GAP, FLAT, BROKEN, BROKEN_LINE = range(4)
FIRST_VALUE = 5
LEVELS = 127
MIDDLE_VALUE = FIRST_VALUE + LEVELS // 2

GREY = "grey"
MATPLOTLIB_NAMES = {GREY: "gray"}  # where it spells them otherwise
MAPS_WITH_GRAYS = (GREY, "cividis")
GRAYS = {  # no color map contains these grays, so a reserved color is never mistaken for a value
    GAP: 165,  # visible beside the white of the diverging map and beside FLAT
    FLAT: 128,
    BROKEN: 64,
    BROKEN_LINE: 210,
}
TINTS = {GAP: (140, 160, 195), FLAT: (168, 104, 140), BROKEN: (96, 40, 70)}  # beside MAPS_WITH_GRAYS, for the same end


def colors(name: str, count: int) -> NDArray[np.uint8]:
    """Return colors from the bottom to the top of a color map.

    Args:
        name: one of SEQUENTIAL, or DIVERGING.
        count: how many.

    Returns:
        uint8 (count, 3), RGB.

    Raises:
        ValueError: the name is none of these.
    """
    return _colors(name, count).copy()


@functools.lru_cache
def _colors(name: str, count: int) -> NDArray[np.uint8]:
    if name not in (*SEQUENTIAL, DIVERGING):
        raise ValueError(f"{name} is not one of the color maps {', '.join((*SEQUENTIAL, DIVERGING))}")
    from matplotlib import colormaps  # here, because assembling pages again does not draw

    mapped = colormaps[MATPLOTLIB_NAMES.get(name, name)].resampled(count)(np.arange(count), bytes=True)
    return np.asarray(mapped, dtype=np.uint8)[:, :3]


@functools.lru_cache
def table(name: str) -> bytes:
    """Return the palette of the color map `name` as PNG stores it: an RGB triple for each of FIRST_VALUE + LEVELS indices."""
    entries = np.full((FIRST_VALUE + LEVELS, 3), GRAYS[GAP], dtype=np.uint8)
    for index, gray in GRAYS.items():
        entries[index] = gray
    for index, tint in TINTS.items() if name in MAPS_WITH_GRAYS else ():
        entries[index] = tint
    entries[FIRST_VALUE:] = _colors(name, LEVELS)
    return entries.tobytes()


def flat_word(name: str) -> str:
    """Return the name of the color of a constant tile beside the color map `name`."""
    return "mauve" if name in MAPS_WITH_GRAYS else "gray"


def sequential_index(values: NDArray[np.floating], high: float) -> NDArray[np.uint8]:
    """Return the palette indices of finite `values` on a linear scale from 0 to `high` > 0, end colors beyond it."""
    return _index(_clipped(values, high, 0.0), FIRST_VALUE, LEVELS - 1)


def diverging_index(values: NDArray[np.floating], limit: float) -> NDArray[np.uint8]:
    """Return the palette indices of finite `values` on a linear scale from -`limit` to `limit` > 0, end colors beyond it."""
    return _index(_clipped(values, limit, -1.0), MIDDLE_VALUE, LEVELS // 2)


def _clipped(values: NDArray[np.floating], top: float, lowest: float) -> NDArray[np.floating]:
    with np.errstate(over="ignore", under="ignore"):  # a quotient too large to write is clipped like any other
        return np.clip(values / values.dtype.type(top), lowest, 1.0)


def _index(shares: NDArray[np.floating], origin: int, steps: int) -> NDArray[np.uint8]:
    indices: NDArray[np.uint8] = (np.rint(shares * steps) + origin).astype(np.uint8)
    return indices
