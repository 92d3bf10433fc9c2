"""The pattern grid shows the very pixels that were measured, and never noise in place of a dead filter."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from reportgen.render import palette
from reportgen.render.figure import Figure
from reportgen.render.patterns import PICTURE_WIDTH, Words, draw

FLAT, BROKEN, LINE = (palette.GRAYS[index] for index in (palette.FLAT, palette.BROKEN, palette.BROKEN_LINE))


def noise(count: int, height: int, width: int, bands: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, bands), dtype=np.uint8)


def tile(figure: Figure, index: int) -> NDArray[Any]:
    with Image.open(io.BytesIO(figure.png)) as image:
        assert image.size == (figure.tiles.width, figure.tiles.height)
        picture = np.asarray(image)
    x, y, width, height = figure.tiles.box(index)
    return picture[y : y + height, x : x + width]


@pytest.mark.parametrize(("count", "height", "width"), [(1, 128, 128), (9, 100, 140), (17, 32, 32), (3, 7, 90)])
@pytest.mark.parametrize("bands", [1, 3])
def test_patterns_are_shown_pixel_for_pixel(count: int, height: int, width: int, bands: int) -> None:
    images = noise(count, height, width, bands)
    figure = draw(images, np.arange(count))
    scale = figure.tiles.scale
    for index in range(count):
        expected = images[index] if bands == 3 else images[index, ..., 0]
        enlarged = np.repeat(np.repeat(expected, scale, axis=0), scale, axis=1)
        assert np.array_equal(tile(figure, index), enlarged)
    assert figure.legend is None


@pytest.mark.parametrize(
    ("side", "columns"), [(32, 8), (64, 8), (96, 8), (128, 8), (224, 5), (299, 3), (700, 1), (1300, 1)]
)
def test_rows_fit_a_page(side: int, columns: int) -> None:
    figure = draw(np.zeros((9, side, side, 1), np.uint8), range(9))
    assert figure.tiles.columns == columns
    assert figure.tiles.width <= max(PICTURE_WIDTH, side + 2 * figure.tiles.gap)


@pytest.mark.parametrize("bands", [1, 3])
def test_dead_and_broken_patterns_are_never_shown_as_noise(bands: int) -> None:
    images = noise(6, 128, 128, bands)
    figure = draw(images, [3, 7, 11, 20, 21, 40], flat={1, 2, 4}, broken={4, 5})
    assert all(set(np.unique(tile(figure, index))) == {FLAT} for index in (1, 2))
    assert all(set(np.unique(tile(figure, index))) == {BROKEN, LINE} for index in (4, 5))
    assert np.array_equal(tile(figure, 0).reshape(128, 128, bands), images[0])
    assert "Dead, gray: 2 filters (7, 11)." in figure.caption
    assert "Not finite, hatched: 2 filters (21, 40)." in figure.caption


@pytest.mark.parametrize(("bands", "rows", "columns"), [(2, 1, 2), (4, 2, 2), (5, 2, 3), (10, 3, 4), (13, 4, 4)])
@pytest.mark.parametrize(("height", "width", "scale"), [(128, 100, 1), (8, 6, None)])
def test_of_other_bands_every_one_stands_in_the_tile_in_its_place(
    bands: int, rows: int, columns: int, height: int, width: int, scale: int | None
) -> None:
    images = noise(2, height, width, bands)
    figure = draw(images, [0, 1])
    assert scale in (figure.tiles.scale, None)
    assert (figure.tiles.tile_height, figure.tiles.tile_width) == (rows * (height + 1) - 1, columns * (width + 1) - 1)
    assert figure.tiles.gap >= 4 * figure.tiles.scale  # wider than what stands between the bands of one pattern
    cells = tile(figure, 1)[:: figure.tiles.scale, :: figure.tiles.scale]
    for cell in range(rows * columns):
        top, left = cell // columns * (height + 1), cell % columns * (width + 1)
        shown = cells[top : top + height, left : left + width]
        expected = images[1, ..., cell] if cell < bands else np.full((height, width), palette.GRAYS[palette.GAP])
        assert np.array_equal(shown, expected)
    words = f"each tile shows the {bands} channels of one pattern, row by row, each in gray."
    assert words in figure.caption
    assert words in figure.alt


@pytest.mark.parametrize(("count", "bands"), [(5, (3, 2, 0)), (3, (2, 0, 1)), (2, (1, 0, 0))])
def test_bands_that_are_chosen_are_shown_as_red_green_and_blue(count: int, bands: tuple[int, int, int]) -> None:
    images = noise(2, 128, 100, count)
    figure = draw(images, [0, 1], bands=bands)
    assert np.array_equal(tile(figure, 1), np.stack([images[1, ..., band] for band in bands], axis=-1))
    words = f"channels {bands[0]}, {bands[1]} and {bands[2]} of 0 to {count - 1} as red, green and blue."
    assert words in figure.caption
    assert words in figure.alt


def test_one_band_is_grey_whatever_bands_are_chosen() -> None:
    images = noise(1, 128, 128, 1)
    figure = draw(images, [0], bands=(0, 0, 0))
    assert np.array_equal(tile(figure, 0), images[0, ..., 0])
    assert "1 per row." in figure.caption


@pytest.mark.parametrize("bands", [1, 3, 5])
def test_what_display_leaves_out_is_not_shown_and_the_caption_says_so(bands: int) -> None:
    images = noise(3, 180, 150, bands)
    inner = draw(images[:, 20:-20, 20:-20], [0, 1, 2])
    figure = draw(images, [0, 1, 2], crop=20)
    assert np.array_equal(tile(figure, 2), tile(inner, 2))
    assert "3 patterns of 180 × 150 pixels" in figure.caption
    assert "20 pixels at each side are measured but not shown." in figure.caption
    assert "not shown" not in inner.caption
    assert "1 pixel at each side is measured but not shown" in draw(images, [0, 1, 2], crop=1).caption


def test_captions_name_the_pictures_and_whose_they_are() -> None:
    words = Words("minimal pattern", "class", "classes", "Unmoved")
    figure = draw(noise(2, 8, 8, 3), [3, 9], {1}, filters_total=10, words=words)
    assert figure.caption.startswith("2 minimal patterns of 8 × 8 pixels")
    assert "Classes 3, 9 (2 of 10). Unmoved, gray: 1 class (9)." in figure.caption


def test_the_caption_states_what_is_shown_of_what() -> None:
    caption = draw(noise(5, 32, 48, 3), [0, 1, 2, 9, 30], filters_total=64).caption
    assert "5 patterns of 32 × 48 pixels, shown at 2×, 5 per row" in caption
    assert "Filters 0-2, 9, 30 (5 of 64)." in caption
    many = draw(np.zeros((20, 4, 4, 1), np.uint8), range(0, 40, 2)).caption
    assert "Filters 0, 2, 4, 6, 8, 10, 12, 14 and 12 more." in many


def test_the_alt_text_begins_with_the_title() -> None:
    assert draw(noise(2, 8, 9, 1), [4, 5], title="conv1").alt.startswith("conv1: 2 patterns of 8 × 9 pixels.")


def test_what_does_not_go_together_is_an_error() -> None:
    with pytest.raises(ValueError, match="do not go with 3 filter numbers"):
        draw(noise(2, 4, 4, 1), [1, 2, 3])
    with pytest.raises(ValueError, match="beyond the 2 patterns"):
        draw(noise(2, 4, 4, 1), [1, 2], flat={2})
    with pytest.raises(ValueError, match="cannot lose 2 at each side"):
        draw(noise(2, 4, 9, 1), [1, 2], crop=2)
    with pytest.raises(ValueError, match="patterns of shape"):
        draw(np.zeros((0, 4, 4, 1), np.uint8), [])
