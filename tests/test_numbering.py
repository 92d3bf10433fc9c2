"""Numbers beside a mosaic stand where their tiles are, and at every width of a page there are as many as have room."""

from __future__ import annotations

import numpy as np
import pytest

from reportgen.render import mosaic, patterns
from reportgen.render.figure import Numbering, Tiles
from reportgen.render.numbering import FULL, LINE, PARTS, WIDTHS, sheet


def test_each_number_stands_at_the_middle_of_its_tiles() -> None:
    tiles = Tiles(12, 6, 5, 4, 3, 2, group=3)
    made = sheet(tiles, Numbering((0, 2), (0, 1), 3))
    assert [mark.text for mark in made.rows + made.columns] == ["0", "2", "0", "1"]
    for mark, index in zip(made.rows, (0, 6), strict=True):
        _, y, _, height = tiles.box(index)
        assert float(mark.place.rstrip("%")) == pytest.approx(100 * (y + height / 2) / tiles.height, abs=1e-3)
    for mark, index in zip(made.columns, (1, 4), strict=True):
        x, _, width, _ = tiles.box(index)
        assert float(mark.place.rstrip("%")) == pytest.approx(100 * (x + width / 2) / tiles.width, abs=1e-3)


@pytest.mark.parametrize("count", [5, 64, 512, 2048])
def test_at_every_width_the_numbers_of_rows_are_a_line_apart_and_the_first_is_there(count: int) -> None:
    tiles = mosaic.choose_tiles(count, 7, 7, columns=mosaic.columns_for(count), smallest=7, gap=1)
    made = sheet(tiles, mosaic.row_numbers(tiles))
    for tier, width in enumerate(WIDTHS):
        shown = width * (min(1, 3 * made.eighths / PARTS) if tier < 2 else made.eighths / PARTS)
        height = shown * tiles.height / tiles.width
        places = [float(mark.place.rstrip("%")) / 100 * height for mark in made.rows if mark.tier <= tier]
        assert len(places) >= 1
        assert min(np.diff(places), default=LINE) >= LINE - 1e-3
    assert len(made.rows) == tiles.rows  # on a wide screen none is left out


def test_small_mosaics_are_enlarged_to_a_share_of_the_page_and_wide_ones_fill_it() -> None:
    few, many = (mosaic.choose_tiles(count, 7, 7, smallest=7, gap=1) for count in (3, 64))
    assert sheet(few, mosaic.row_numbers(few)).eighths == 3
    assert (sheet(many, mosaic.row_numbers(many)).eighths, sheet(many, mosaic.row_numbers(many)).crisp) == (8, 0)
    wide = mosaic.choose_tiles(64, 112, 112, gap=2)
    assert wide.width > FULL
    assert sheet(wide, mosaic.row_numbers(wide)).crisp is None  # a page shrinks it, which must not drop pixels
    curves = mosaic.choose_tiles(2, 48, 140, smallest=1)
    assert (
        sheet(curves, Numbering((), (0, 1), largest=None)).eighths == 3
    )  # 286 pixels, not enlarged to two eighths each


@pytest.mark.parametrize(
    ("indices", "rows", "columns"),
    [
        (list(range(20)), (0, 8, 16), (0, 1, 2, 3, 4, 5, 6, 7)),
        ([3 * index for index in range(10)], (0, 24), (0, 3, 6, 9, 12, 15, 18, 21)),
        ([0, 85, 170, 255], (), (0, 85, 170, 255)),
        ([0, 1, 2, 3, 4, 5, 6, 7, 9, 11], (0, 9), ()),
    ],
)
def test_patterns_are_numbered_by_their_filters(
    indices: list[int], rows: tuple[int, ...], columns: tuple[int, ...]
) -> None:
    figure = patterns.draw(np.zeros((len(indices), 128, 128, 3), np.uint8), indices)
    assert figure.numbering is not None
    assert (figure.numbering.rows, figure.numbering.columns) == (rows, columns)
