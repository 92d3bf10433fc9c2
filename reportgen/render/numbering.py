"""Where the numbers of a mosaic's rows and columns stand on a page, and how wide the mosaic is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from reportgen.render.figure import Numbering, Tiles

# CSS pixels of a full-width picture, at least, from each breakpoint of the style sheet on. The last one is that of a wide screen.
WIDTHS = (230, 387, 659, 947, 1091)
FULL = 1120  # CSS pixels of a full-width picture on a wide screen
PARTS = 8  # widths of a picture are counted in eighths of its column
NARROW = 2  # up to this tier a picture has three times its share, so that a few tiles are no stamps on a small screen
NARROW_FACTOR = 3
LINE = 12  # CSS pixels from one row's number to the next
DIGIT, SPACE = 7, 6  # CSS pixels of a digit, and between two columns' numbers
TALLEST = (
    1200  # CSS pixels up to which a mosaic is enlarged: what a screen shows with little scrolling, and a sheet of paper
)


@dataclass(frozen=True)
class Mark:
    """A number at `place`, in percent of the picture's height or width; shown from `tier` on (an index of WIDTHS)."""

    place: str
    text: str
    tier: int


@dataclass(frozen=True)
class Sheet:
    """How a mosaic stands on a page.

    Attributes:
        eighths: its width, of the column that it stands in.
        crisp: the tier from which it is enlarged, and its pixels repeated; None where it never is.
    """

    eighths: int
    crisp: int | None
    rows: tuple[Mark, ...]
    columns: tuple[Mark, ...]


def sheet(tiles: Tiles, numbering: Numbering | None) -> Sheet:
    """Return how a mosaic stands on a page.

    Args:
        tiles: its layout.
        numbering: of its rows and columns; None where they have no numbers, and the mosaic is not enlarged.
    """
    shown = min(FULL, max(tiles.width, TALLEST * tiles.width / tiles.height))
    largest = None if numbering is None else numbering.largest
    shown = min(shown, tiles.width if largest is None else largest * tiles.columns)
    eighths = min(PARTS, max(1, ceil(PARTS * shown / FULL)))
    widths = [
        width * min(1, (NARROW_FACTOR if tier < NARROW else 1) * eighths / PARTS) for tier, width in enumerate(WIDTHS)
    ]
    crisp = next((tier for tier, width in enumerate(widths) if width >= tiles.width), None)
    if numbering is None:
        return Sheet(eighths, crisp, (), ())
    boxes = [tiles.box(row * tiles.columns) for row in range(tiles.rows)] if numbering.rows else []
    rows = _marks(
        [y + height / 2 for _, y, _, height in boxes], numbering.rows, tiles.height, widths, tiles.width, LINE
    )
    if not numbering.columns:
        return Sheet(eighths, crisp, rows, ())
    spans = [
        (tiles.box(first)[0], tiles.box(first + numbering.column_tiles - 1))
        for first in range(0, tiles.columns, numbering.column_tiles)
    ]
    room = SPACE + DIGIT * max(len(str(number)) for number in numbering.columns)
    middles = [(left + last[0] + last[2]) / 2 for left, last in spans]
    return Sheet(eighths, crisp, rows, _marks(middles, numbering.columns, tiles.width, widths, tiles.width, room))


def _marks(
    places: Sequence[float], numbers: Sequence[int], extent: int, widths: Sequence[float], natural: int, room: int
) -> tuple[Mark, ...]:
    """A mark for each place that has room at some width; at every width those that are a power of two apart."""
    if len(places) < 2:
        steps = [1] * len(widths)
    else:
        pitch = (places[-1] - places[0]) / (len(places) - 1)
        steps = [_step(room * natural / (pitch * width)) for width in widths]
    marks = []
    for place, number in enumerate(numbers):
        tier = next((tier for tier, step in enumerate(steps) if place % step == 0), None)
        if tier is not None:
            marks.append(Mark(f"{100 * places[place] / extent:.3f}%", str(number), tier))
    return tuple(marks)


def _step(least: float) -> int:
    step = 1
    while step < least:
        step *= 2
    return step
