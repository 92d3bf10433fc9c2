"""How many pictures stand in a row of a sheet, and how far each is enlarged: by whole numbers, so that no pixel is wider than another."""

from __future__ import annotations

from dataclasses import dataclass
from math import log2

MM_PER_INCH = 25.4
GAP = 0.25  # mm between pictures at least
WIDEST_GAP = 1.5  # mm: beyond it a row falls apart
VISIBLE_DOTS = 4  # of the sheet along a pixel from which on its width can be told from that of its neighbors
USUAL, SMALLEST, LARGEST = 10.0, 4.5, 26.0  # mm along a picture's longer side: as wished, and the limits
DISTANCE, LEFT_OVER = (
    0.25,
    0.4,
)  # what a doubling of the size, and an unfinished last row, weigh against an unused margin


@dataclass(frozen=True)
class Grid:
    """Pictures in rows.

    Attributes:
        columns: of a row.
        rows: of pictures.
        scale: pixels of the sheet that a picture's pixel is enlarged to; below 1 where pictures have more pixels than the sheet.
        width: of a picture on the sheet, in pixels, like `height` and the `gap` between two.
    """

    columns: int
    rows: int
    scale: float
    width: float
    height: float
    gap: int

    def left(self, column: int) -> float:
        """Return where a column begins."""
        return column * (self.width + self.gap)


def choose(
    count: int,
    size: tuple[int, int],
    width: int,
    dpi: int,
    *,
    columns: int | None = None,
    usual: float = USUAL,
    largest: float = LARGEST,
) -> Grid:
    """Return the grid that uses a sheet best.

    Args:
        count: pictures.
        size: pixels of one, (height, width).
        width: pixels of the sheet that the grid may take.
        dpi: of the sheet.
        columns: of a row, where that is given.
        usual: the wished length of a picture's longer side, in mm.
        largest: the same at most.
    """
    per_mm = dpi / MM_PER_INCH
    gap = round(GAP * per_mm)
    best: tuple[float, Grid] | None = None
    for number in range(1, count + 1) if columns is None else (columns,):
        room = (width - (number - 1) * gap) / number
        if room < 1:
            break
        scale = _whole(room / size[1])
        longest = max(size) * scale / per_mm
        if longest > largest:
            scale = _whole(largest * per_mm / max(size))
            longest = max(size) * scale / per_mm
        rows = -(-count // number)
        used = number * size[1] * scale / width
        empty = rows * number - count if rows > 1 else 0
        score = used - DISTANCE * abs(log2(longest / usual)) - LEFT_OVER * empty / (rows * number)
        spare = (width - number * size[1] * scale) / max(number - 1, 1)
        grid = Grid(
            number, rows, scale, size[1] * scale, size[0] * scale, int(min(spare, max(WIDEST_GAP * per_mm, gap)))
        )
        if best is None or (score > best[0] and longest >= SMALLEST):
            best = score, grid
    assert best is not None
    return best[1]


def enlargement(room: float, pixels: int) -> float:
    """Return how far a photograph's pixels are enlarged to fill a room: by a whole number where one of them can be seen."""
    whole = int(room / pixels)
    return float(whole) if whole >= VISIBLE_DOTS else room / pixels


def _whole(scale: float) -> float:
    """The largest whole enlargement, or the largest reduction by a whole number."""
    return float(int(scale)) if scale >= 1 else 1 / -(-1 // scale)
