"""Arrays of values as tiles of a sheet: pixels on a color scale, a curve of one axis; flat and broken ones are told apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reportgen.figures.labels import MIDDLE_GRAY
from reportgen.figures.sheet import Sheet
from reportgen.figures.style import DARK, LIGHT, MIDDLE
from reportgen.render import palette
from reportgen.render.scale import Scale
from reportgen.render.text import number

HATCH = "//////"
CURVE_POINTS = 0.5  # width of a curve's line
PLANE = 2  # axes of what is drawn as pixels


def colored(indices: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
    """Return palette indices (...) as RGB (..., 3)."""
    table = np.frombuffer(palette.table(name), np.uint8).reshape(-1, 3)
    return table[indices]


def plane(values: NDArray[np.generic]) -> NDArray[np.float32]:
    """Return what is drawn of a map: itself with one or two axes, of a volume the middle slice along the first axis."""
    array = np.asarray(values, np.float32)
    while array.ndim > PLANE:
        array = array[array.shape[0] // 2]
    return array


def is_flat(values: NDArray[np.floating]) -> bool:
    """Return whether finite values of more than one position are all the same."""
    return values.size > 1 and bool(np.ptp(values) == 0)


def value_tile(
    sheet: Sheet, x: float, y: float, size: tuple[float, float], values: NDArray[np.float32], scale: Scale | None
) -> None:
    """Draw a map or a signal into a tile: gray where it is constant, hatched where it is not finite.

    Args:
        sheet: to draw on.
        x: left edge.
        y: top edge.
        size: of the tile on the sheet, (height, width).
        values: (height, width), or (steps,) for a curve.
        scale: of colors or of the curve's height.
    """
    height, width = size
    if not np.isfinite(values).all():
        sheet.box(x, y, width, height, fill="white", edge=MIDDLE, hatch=HATCH)
    elif values.ndim == 1:
        _curve(sheet, x, y, size, values, scale)
    elif scale is None or is_flat(values):
        across, down = width / values.shape[1], height / values.shape[0]
        sheet.picture(x, y, np.full(values.shape, MIDDLE_GRAY, np.uint8), across, down)
        words = number(float(values.flat[0]))
        if sheet.text_width(words) < 0.9 * width and height > sheet.pt(sheet.small):
            sheet.text(x + width / 2, y + height / 2, words, across="center", down="center", color="white")
    else:
        indices = np.broadcast_to(np.asarray(scale.indices(values), np.uint8), values.shape)
        pixels = colored(indices, scale.palette)
        sheet.picture(x, y, pixels, width / values.shape[1], height / values.shape[0])


def _curve(
    sheet: Sheet, x: float, y: float, size: tuple[float, float], values: NDArray[np.float32], scale: Scale | None
) -> None:
    if scale is None:
        sheet.box(x, y, size[1], size[0], edge=LIGHT)
        return
    indices = np.broadcast_to(np.asarray(scale.indices(values), np.uint8), values.shape)
    shares = (indices.astype(np.float64) - palette.FIRST_VALUE) / (palette.LEVELS - 1)
    curve(sheet, x, y, size, shares, 0.5 if scale.palette == palette.DIVERGING else None)


def curve(
    sheet: Sheet,
    x: float,
    y: float,
    size: tuple[float, float],
    shares: NDArray[np.floating],
    zero: float | None = None,
) -> None:
    """Draw a curve into a box.

    Args:
        sheet: to draw on.
        x: left edge.
        y: top edge.
        size: of the box on the sheet, (height, width).
        shares: (steps,), 0 at the bottom and 1 at the top.
        zero: the share at which a faint line is drawn.
    """
    height, width = size
    sheet.box(x, y, width, height, edge=LIGHT)
    if zero is not None:
        sheet.line((x, x + width), (y + height * (1 - zero),) * 2, color=LIGHT)
    steps = np.arange(len(shares)) / max(len(shares) - 1, 1)
    sheet.line((x + width * steps).tolist(), (y + height * (1 - shares)).tolist(), color=DARK, width=CURVE_POINTS)
