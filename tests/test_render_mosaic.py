"""Mosaics hold every tile, pixel for pixel; palettes keep what is no value apart from what is one."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from reportgen.render import mosaic, palette, picture, png
from reportgen.render.figure import Tiles

GAP = 77
SHAPES = [
    (1, 1, 1),
    (17, 1, 1),
    (16, 3, 3),
    (17, 7, 7),
    (33, 5, 11),
    (3, 40, 9),
    (100, 1, 50),
    (2, 64, 64),
    (15, 33, 2),
]


def cut(image: NDArray[Any], layout: Tiles, index: int) -> NDArray[Any]:
    x, y, width, height = layout.box(index)
    return image[y : y + height, x : x + width]


def cells(tile: NDArray[Any], scale: int) -> NDArray[Any]:
    """The cells of a tile, having checked that each is one block of scale x scale equal pixels."""
    small = tile[::scale, ::scale]
    assert np.array_equal(np.kron(small, np.ones((scale, scale, *[1] * (tile.ndim - 2)), dtype=np.uint8)), tile)
    return small


@pytest.mark.parametrize(("count", "height", "width"), SHAPES)
@pytest.mark.parametrize("bands", [(), (3,)])
def test_every_tile_can_be_cut_out_again(count: int, height: int, width: int, bands: tuple[int, ...]) -> None:
    tiles = np.random.default_rng(0).integers(0, 256, (count, height, width, *bands), dtype=np.uint8)
    layout = mosaic.choose_tiles(count, height, width)
    image = mosaic.compose(tiles, layout, GAP)
    assert image.shape == (layout.height, layout.width, *bands)
    assert image.dtype == np.uint8
    for index in range(count):
        assert np.array_equal(cells(cut(image, layout, index), layout.scale), tiles[index])


@pytest.mark.parametrize(("count", "height", "width"), SHAPES)
def test_tiles_do_not_touch_and_the_rest_is_gap(count: int, height: int, width: int) -> None:
    layout = mosaic.choose_tiles(count, height, width)
    image = mosaic.compose(np.full((count, height, width), 5, dtype=np.uint8), layout, GAP)
    covered = np.zeros(image.shape, dtype=int)
    for index in range(count):
        x, y, tile_width, tile_height = layout.box(index)
        around = covered[y - 1 : y + tile_height + 1, x - 1 : x + tile_width + 1]
        assert around.shape == (tile_height + 2, tile_width + 2)
        cut(covered, layout, index)[...] += 1
    assert covered.max() == 1
    assert (image[covered == 1] == 5).all()
    assert (image[covered == 0] == GAP).all()


@pytest.mark.parametrize(
    ("height", "width", "scale"), [(1, 1, 32), (3, 3, 11), (14, 14, 3), (32, 32, 1), (200, 90, 1), (1, 100, 4)]
)
def test_small_tiles_are_enlarged_and_large_ones_kept(height: int, width: int, scale: int) -> None:
    assert mosaic.choose_tiles(5, height, width).scale == scale


def test_rows_hold_sixteen_tiles_or_all_of_fewer() -> None:
    assert [mosaic.choose_tiles(count, 9, 9).columns for count in (1, 15, 16, 17, 2048)] == [1, 15, 16, 16, 16]


def test_impossible_mosaics_are_errors() -> None:
    with pytest.raises(ValueError, match="0 tiles"):
        mosaic.choose_tiles(0, 3, 3)
    with pytest.raises(ValueError, match="do not fit"):
        mosaic.compose(np.zeros((3, 4, 5), np.uint8), mosaic.choose_tiles(3, 5, 4), 0)


def test_filling_and_hatching_change_their_tiles_only() -> None:
    layout = mosaic.choose_tiles(5, 20, 20)
    before = mosaic.compose(np.full((5, 20, 20), 9, np.uint8), layout, GAP)
    after = before.copy()
    mosaic.fill(after, layout, [1], 50)
    mosaic.hatch(after, layout, [3], 60, 61)
    assert set(np.unique(cut(after, layout, 1))) == {50}
    assert set(np.unique(cut(after, layout, 3))) == {60, 61}
    for index in (1, 3):
        cut(after, layout, index)[...] = 9
    assert np.array_equal(after, before)


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (40, 50, 3), (8, 8, 1)])
def test_pictures_are_decoded_to_the_very_pixels(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    plain = len(shape) == 2
    data = png.encode(pixels if plain else picture.visible(pixels))
    expected = pixels if plain or shape[2] == 3 else pixels[..., 0]
    with Image.open(io.BytesIO(data)) as image:
        assert image.mode == ("RGB" if shape[2:] == (3,) else "L")
        assert image.info == {}
        assert np.array_equal(np.asarray(image), expected)


def test_indexed_pictures_are_decoded_to_the_palettes_colours() -> None:
    indices = np.arange(palette.FIRST_VALUE + palette.LEVELS, dtype=np.uint8)[None]
    data = png.encode_indexed(indices, palette.table("magma"))
    with Image.open(io.BytesIO(data)) as image:
        assert image.mode == "P"
        assert np.array_equal(np.asarray(image), indices)
        colours = np.asarray(image.convert("RGB"))
    assert np.array_equal(colours.reshape(-1, 3)[palette.FIRST_VALUE :], palette.colors("magma", palette.LEVELS))
    assert colours[0, palette.FLAT].tolist() == [palette.GRAYS[palette.FLAT]] * 3


def test_the_same_pixels_give_the_same_bytes_and_no_chunk_but_pixels() -> None:
    indices = np.arange(12, dtype=np.uint8).reshape(3, 4)
    data = png.encode_indexed(indices, palette.table("viridis"))
    assert data == png.encode_indexed(indices.copy(order="F"), palette.table("viridis"))
    kinds, position = [], 8
    while position < len(data):
        kinds.append(data[position + 4 : position + 8])
        position += 12 + int.from_bytes(data[position : position + 4], "big")
    assert set(kinds) == {b"IHDR", b"PLTE", b"IDAT", b"IEND"}


@pytest.mark.parametrize("name", [*palette.SEQUENTIAL, palette.DIVERGING])
def test_reserved_colours_are_far_from_every_value(name: str) -> None:
    table = np.frombuffer(palette.table(name), dtype=np.uint8).reshape(-1, 3).astype(int)
    assert table.shape == (palette.FIRST_VALUE + palette.LEVELS, 3)
    values = table[palette.FIRST_VALUE :]
    for index in (palette.GAP, palette.FLAT, palette.BROKEN):
        assert np.abs(values - table[index]).max(axis=1).min() >= 25


@pytest.mark.parametrize("name", palette.SEQUENTIAL)
def test_sequential_maps_grow_lighter_all_the_way(name: str) -> None:
    luma = palette.colors(name, 64) @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(luma) > 0).all()
    assert (
        len(np.unique(palette.colors(name, palette.LEVELS), axis=0)) >= palette.LEVELS - 3
    )  # 8 bits round up to three together


def test_the_diverging_map_is_white_at_zero_and_red_above() -> None:
    colours = palette.colors(palette.DIVERGING, 251).astype(int)
    assert (colours[125] > 240).all()
    assert colours[251 - 40, 0] - colours[251 - 40, 2] > 100
    assert colours[40, 2] - colours[40, 0] > 100


def test_colours_handed_out_may_be_changed_without_harm() -> None:
    before = palette.colors("viridis", 9).copy()
    palette.colors("viridis", 9)[...] = 0
    assert np.array_equal(palette.colors("viridis", 9), before)


def test_unknown_maps_are_errors() -> None:
    with pytest.raises(ValueError, match="jet"):
        palette.colors("jet", 3)


def test_indices_are_linear_and_symmetric_and_clipped() -> None:
    values = np.linspace(0, 2, 127, dtype=np.float64)
    assert np.array_equal(palette.sequential_index(values, 2.0), np.arange(5, 132))
    both = np.linspace(-2, 2, 127)
    assert np.array_equal(palette.diverging_index(both, 2.0), np.arange(5, 132))
    assert palette.diverging_index(np.array([0.0, -0.0, -9.0, 9.0, 1e300]), 1e-300).tolist() == [68, 68, 5, 131, 131]
    assert palette.sequential_index(np.array([0.0, 7.0]), 2.0).tolist() == [5, 131]
