"""The patterns of a layer, pixel for pixel as they were measured."""

from __future__ import annotations

from collections.abc import Sequence, Set

import numpy as np
from numpy.typing import NDArray

from reportgen.records import Figure
from reportgen.render import mosaic, palette, png
from reportgen.render.picture import visible
from reportgen.render.text import NAMED, count, named, plural, shape

PICTURE_WIDTH = 1200  # pixels: fits a page without shrinking
ROW_LENGTHS = (16, 8, 6, 5, 4, 3, 2, 1)  # so that rows start at numbers one can count with
SMALLEST_TILE = 96  # pixels: small patterns are enlarged, a few dozen pixels are hard to judge
DRAWN_BANDS = (1, 3)


def draw(
    images: NDArray[np.uint8],
    indices: Sequence[int] | NDArray[np.integer],
    dead: Set[int] = frozenset(),
    broken: Set[int] = frozenset(),
    *,
    title: str = "Patterns",
    filters_total: int | None = None,
) -> Figure:
    """The grid of `images`, uint8 (n, height, width, bands), in the order given.

    indices: the n filter numbers. dead, broken: positions in `images` (not filter numbers) drawn as plain grey and
    hatched, never as noise; a position in both is broken. title: what they are of, for the alt text. filters_total:
    how many filters the layer has. 1 band is drawn grey, 3 as RGB; of any other number only the first band is drawn,
    and the caption says so. Raises ValueError where `images` is not (n >= 1, height, width, bands), `indices` has
    another length, or a position is not in `images`.
    """
    if images.ndim != 4 or images.size == 0 or len(indices) != len(images):
        raise ValueError(f"patterns of shape {images.shape} do not go with {len(indices)} filter numbers")
    if not set(range(len(images))) >= dead | broken:
        raise ValueError(f"dead or broken positions beyond the {len(images)} patterns")
    total, height, width, bands = images.shape
    flat_positions, broken_positions = sorted(dead - broken), sorted(broken)
    layout = mosaic.choose_tiles(total, height, width, smallest=SMALLEST_TILE)
    pitch = layout.tile_width * layout.scale + layout.gap
    fitting = next((row for row in ROW_LENGTHS if row * pitch + layout.gap <= PICTURE_WIDTH), 1)
    layout = mosaic.choose_tiles(total, height, width, columns=fitting, smallest=SMALLEST_TILE)
    greys = palette.GREYS
    picture = mosaic.compose(visible(images), layout, greys[palette.GAP])
    mosaic.fill(picture, layout, flat_positions, greys[palette.FLAT])
    mosaic.hatch(picture, layout, broken_positions, greys[palette.BROKEN], greys[palette.BROKEN_LINE])

    what = f"{plural(total, 'pattern')} of {shape((height, width))} pixels"
    share = "" if filters_total is None else f"{count(total)} of {count(filters_total)} "
    facts = [f"{share}filters: {_ranges([int(index) for index in indices])}."]
    facts[0] = facts[0][0].upper() + facts[0][1:]
    if bands not in DRAWN_BANDS:
        facts.append(f"Only the first of {bands} bands is drawn, as grey.")
    for text, positions in (("Dead, plain grey", flat_positions), ("Not finite, hatched", broken_positions)):
        if positions:
            numbers = named([int(indices[item]) for item in positions])
            facts.append(f"{text}: {plural(len(positions), 'filter')} ({numbers}).")
    enlarged = f", each pixel drawn as {shape((layout.scale, layout.scale))}" if layout.scale > 1 else ""
    return Figure(
        png=png.encode(picture),
        tiles=layout,
        caption=" ".join([f"{what}{enlarged}, {layout.columns} a row, in their own colours.", *facts]),
        alt=" ".join([f"{title}: {what}.", *facts]),
        legend=None,
    )


def _ranges(numbers: list[int]) -> str:
    """The first few runs of consecutive numbers and how many numbers are left: "0-15, 40 and 17 more"."""
    runs: list[list[int]] = []
    for item in numbers:
        if runs and item == runs[-1][1] + 1:
            runs[-1][1] = item
        else:
            runs.append([item, item])
    text = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs[:NAMED])
    left = sum(last - first + 1 for first, last in runs[NAMED:])
    return f"{text} and {left} more" if left > 0 else text
