"""The patterns of a layer, pixel for pixel as they were measured."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reportgen.render import mosaic, palette, png
from reportgen.render.figure import Figure, Numbering, Tiles
from reportgen.render.picture import Bands, seen
from reportgen.render.text import NAMED, count, dimensions, named, plural

PICTURE_WIDTH = 1200  # pixels: fits a page without shrinking
ROW_LENGTHS = (16, 8, 6, 5, 4, 3, 2, 1)  # so that rows start at numbers one can count with
SMALLEST_TILE = 96  # pixels: small patterns are enlarged, a few dozen pixels are hard to judge
IMAGE_AXES = (3, 4, 5)  # of several signals, pictures or volumes
GRID_GAP = 6  # cells between pictures that are grids of channels themselves, with one cell between channels


@dataclass(frozen=True)
class Words:
    """What captions call a picture, its owner and owners, and a picture that is drawn in gray."""

    picture: str = "pattern"
    owner: str = "filter"
    owners: str = "filters"
    flat: str = "Dead"


def draw(
    images: NDArray[np.generic],
    indices: Sequence[int] | NDArray[np.integer],
    flat: Set[int] = frozenset(),
    broken: Set[int] = frozenset(),
    *,
    title: str = "Patterns",
    filters_total: int | None = None,
    crop: int = 0,
    bands: Bands | None = None,
    words: Words | None = None,
) -> Figure:
    """Draw a grid of patterns.

    Args:
        images: uint8 (n, height, width, channels), in the order of the grid; signals and volumes as `picture.seen` takes them.
        indices: the n filter numbers.
        flat: positions in `images` (not filter numbers) drawn in gray, never as noise.
        broken: the same drawn hatched; a position in both is broken.
        title: what they are of, for the alt text.
        filters_total: how many filters the layer has.
        crop: pixels of each side that are not shown.
        bands: channels to show as red, green and blue; without them 1 channel is drawn in gray, 3 as RGB, and a tile shows each
            of any other number of channels (see `picture`).
        words: for the caption.

    Returns:
        The figure.

    Raises:
        ValueError: `images` has not one to three axes between n >= 1 and its channels, `indices` has another length, a position
            is not in `images`, or `crop` leaves nothing.
    """
    words = Words() if words is None else words
    if images.ndim not in IMAGE_AXES or images.size == 0 or len(indices) != len(images):
        raise ValueError(f"patterns of shape {images.shape} do not go with {len(indices)} filter numbers")
    if not set(range(len(images))) >= flat | broken:
        raise ValueError(f"flat or broken positions beyond the {len(images)} patterns")
    view = seen(images, bands, crop=crop, of=f" of one {words.picture}")
    total, height, width = view.pixels.shape[:3]
    flat_positions, broken_positions = sorted(flat - broken), sorted(broken)
    drawn = view.bands
    layout = _layout(
        total, height, width, apart=drawn is not None and bands is None, smallest=1 if view.curved else SMALLEST_TILE
    )
    grays = palette.GRAYS
    picture = mosaic.compose(view.pixels, layout, grays[palette.GAP])
    mosaic.fill(picture, layout, flat_positions, grays[palette.FLAT])
    mosaic.hatch(picture, layout, broken_positions, grays[palette.BROKEN], grays[palette.BROKEN_LINE])

    what = f"{plural(total, words.picture)} of {dimensions(images.shape[1:-1])}"
    share = "" if filters_total is None else f" ({count(total)} of {count(filters_total)})"
    facts = [f"{words.owners.capitalize()} {_ranges([int(index) for index in indices])}{share}."]
    if crop > 0:
        left_out = plural(crop, "pixel")
        facts.append(f"{left_out} at each side {'is' if crop == 1 else 'are'} measured but not shown.")
    layers = "" if drawn is None else f", each tile shows {drawn}"
    if view.curved and drawn is None:
        layers = ", drawn as curves"
    if view.scale is not None:
        facts.append(view.scale)
    for text, positions in ((f"{words.flat}, gray", flat_positions), ("Not finite, hatched", broken_positions)):
        if positions:
            numbers = named([int(indices[item]) for item in positions])
            facts.append(f"{text}: {plural(len(positions), words.owner, words.owners)} ({numbers}).")
    numbering = _numbering([int(index) for index in indices], layout)
    if numbering.rows:
        each = (
            "a tile’s number is that of its row plus that of its column"
            if numbering.columns
            else "the first of each row is numbered"
        )
        facts.insert(1, f"{each[0].upper()}{each[1:]}.")
    enlarged = f", shown at {layout.scale}×" if layout.scale > 1 else ""
    return Figure(
        png=png.encode(picture),
        tiles=layout,
        caption=" ".join([f"{what}{enlarged}, {layout.columns} per row{layers}.", *facts]),
        alt=f"{title}: {what}{layers}.",
        legend=None,
        numbering=numbering,
    )


def _numbering(indices: list[int], layout: Tiles) -> Numbering:
    """The numbers of rows and columns whose sums are the filters; the first filter of each row where no such numbers are."""
    if layout.rows == 1:
        return Numbering((), tuple(indices), largest=None)
    rows, columns = indices[:: layout.columns], [index - indices[0] for index in indices[: layout.columns]]
    sums = [row + column for row in rows for column in columns]
    return Numbering(tuple(rows), tuple(columns) if sums[: len(indices)] == indices else (), largest=None)


def _layout(total: int, height: int, width: int, *, apart: bool, smallest: int) -> Tiles:
    """Rows that fit a page; where tiles are `apart`, they have gaps inside, so those between them must be clearly wider."""
    scale = mosaic.choose_tiles(total, height, width, smallest=smallest).scale
    gap = GRID_GAP * scale if apart else mosaic.GAP_PIXELS
    fitting = next((row for row in ROW_LENGTHS if row * (width * scale + gap) + gap <= PICTURE_WIDTH), 1)
    return mosaic.choose_tiles(total, height, width, columns=fitting, smallest=smallest, gap=gap)


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
