"""The maps of a layer on one image as the store has them: those after the activation function, and what they lack of those before it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

MAPS, BEFORE, BELOW = "maps", "pre", "below"
BITS = np.uint16  # of a float16, to tell numbers apart that compare as equal


def compact(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the arrays of a feature-map task as they are stored.

    Args:
        arrays: `maps`, float16 (..., channels); `pre`, the maps before the activation function, where that differs; others.

    Returns:
        The same in Fortran order: map by map, whose neighbors are alike, they compress better than channel by channel. Where the maps
        differ from `pre` in nothing but a 0 for whatever is not above 0, as after ReLU, `below` has that and 0 elsewhere, in place of
        `pre`: half of the bytes.
    """
    stored = {name: np.asfortranarray(array) for name, array in arrays.items()}
    maps, pre = stored[MAPS], stored.get(BEFORE)
    if pre is not None and maps.shape == pre.shape and maps.dtype == pre.dtype == np.float16:
        below = np.asfortranarray(np.where(maps > 0, np.float16(0), pre))
        if np.array_equal(np.where(maps > 0, maps, below).view(BITS), pre.view(BITS)):
            del stored[BEFORE]
            stored[BELOW] = below
    return stored


def before(arrays: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Return the maps before the activation function, of stored arrays; None where they are those after it."""
    if BELOW in arrays:
        return np.where(arrays[MAPS] > 0, arrays[MAPS], arrays[BELOW])
    return arrays.get(BEFORE)
