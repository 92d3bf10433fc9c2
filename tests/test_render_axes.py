"""What has one or three spatial axes: curves that pass where the numbers are, slices that are all there, and words that state both."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

import report_fixture
from reportgen.render import curves, feature_maps, palette, patterns, slices, weights
from reportgen.render.figure import Figure
from reportgen.render.picture import seen


def pixels(figure: Figure) -> np.ndarray:
    with Image.open(io.BytesIO(figure.png)) as image:
        assert image.size == (figure.tiles.width, figure.tiles.height)
        return np.asarray(image)


def tile(figure: Figure, index: int) -> np.ndarray:
    x, y, width, height = figure.tiles.box(index)
    scale = figure.tiles.scale
    return pixels(figure)[y : y + height : scale, x : x + width : scale]


def middle(picture: np.ndarray) -> np.ndarray:
    """For each column of a curve the row of its ink's centre, counted from the bottom as a share of the room."""
    ink = np.clip(200.0 - picture, 0, None)
    rows = np.arange(len(picture))[:, None]
    room = len(picture) - 2 * curves.MARGIN - 1
    return 1 - ((ink * rows).sum(axis=0) / ink.sum(axis=0) - curves.MARGIN) / room


def test_a_curve_passes_where_the_numbers_are() -> None:
    shares = np.stack([np.linspace(0, 1, 200), np.full(200, 0.25), 0.5 + 0.4 * np.sin(np.linspace(0, 6, 200))])
    drawn = curves.draw(shares, curves.Canvas(60, 106))
    for picture, expected in zip(drawn, shares, strict=True):
        found = middle(picture[:, curves.MARGIN : -curves.MARGIN])
        np.testing.assert_allclose(found, np.interp(np.linspace(0, 199, 100), np.arange(200), expected), atol=0.02)


def test_a_single_spike_among_many_positions_is_seen() -> None:
    shares = np.zeros((1, 10_000))
    shares[0, 4_321] = 1
    (drawn,) = curves.draw(shares, curves.Canvas(40, 100))
    assert (drawn[curves.MARGIN + 1] < 128).any()


def test_positions_that_are_few_have_a_mark_each_and_zero_has_a_line() -> None:
    (drawn,) = curves.draw(np.array([[0.0, 1, 0.5]]), curves.Canvas(47, 86), zero=0.5)
    room, across = 47 - 2 * curves.MARGIN - 1, 86 - 2 * curves.MARGIN - 1
    for step, share in enumerate((0.0, 1, 0.5)):
        y, x = curves.MARGIN + round((1 - share) * room), curves.MARGIN + round(step * across / 2)
        assert (drawn[y - 1 : y + 2, x - 1 : x + 2] == curves.INK).all()
    assert (drawn[curves.MARGIN + round(0.5 * room), :2] == curves.ZERO_LINE).all()


def test_slices_lie_row_by_row_and_each_is_whole() -> None:
    volume = np.arange(2 * 7 * 3 * 4, dtype=np.uint8).reshape(2, 7, 3, 4)
    flat = slices.laid_out(volume, 255)
    assert flat.shape == (2, *slices.flat_size((7, 3, 4))) == (2, 11, 14)
    for number in range(7):
        row, column = divmod(number, 3)
        np.testing.assert_array_equal(flat[:, 4 * row : 4 * row + 3, 5 * column : 5 * column + 4], volume[:, number])
    assert (flat[:, 8:, 5:] == 255).all()


def kernel(*axes: int) -> dict[str, np.ndarray]:
    return {"kernel": np.random.default_rng(0).normal(size=axes).astype(np.float32)}


def layer(**changes: Any) -> Any:
    return report_fixture.layer("line", **changes)


def test_a_kernel_of_one_axis_is_drawn_as_curves_about_zero() -> None:
    arrays = kernel(5, 2, 3)
    drawn = weights.draw(arrays, layer(filters_total=3))
    limit = np.abs(arrays["kernel"]).max()
    assert (drawn.tiles.count, drawn.tiles.columns, drawn.legend) == (6, 2, None)
    for number in range(6):
        filters, inputs = divmod(number, 2)
        shares = (arrays["kernel"][:, inputs, filters] + limit) / (2 * limit)
        canvas = curves.Canvas(drawn.tiles.tile_height, drawn.tiles.tile_width)
        np.testing.assert_array_equal(tile(drawn, number), curves.draw(shares[None], canvas, 0.5)[0])
    assert "3 filters of 5 taps, one row per filter and one tile for each of its 2 input channels" in drawn.caption
    assert "curve" in drawn.caption


def test_a_kernel_of_three_axes_is_drawn_as_slices() -> None:
    arrays = kernel(2, 3, 4, 1, 5)
    drawn = weights.draw(arrays, layer(filters_total=5))
    limit = np.abs(arrays["kernel"]).max()
    for number in range(5):
        expected = palette.diverging_index(arrays["kernel"][..., 0, number], limit)
        found = tile(drawn, number)
        np.testing.assert_array_equal(found[:, :4], expected[0])
        np.testing.assert_array_equal(found[:, 5:], expected[1])
    assert "2 × 3 × 4 (each tile shows 2 slices along the first axis from left to right)" in drawn.caption


def test_maps_of_one_axis_are_curves_on_the_stated_scale() -> None:
    maps = np.random.default_rng(0).uniform(0, 3, (50, 4)).astype(np.float32)
    maps[:, 1], maps[:, 2] = 2.0, np.nan
    drawn = feature_maps.draw(maps, title="line")
    assert "4 feature maps of 50 steps" in drawn.caption
    assert "Linear curve height from 0 to" in drawn.caption
    assert "color" not in drawn.caption
    assert (tile(drawn, 1) == palette.GRAYS[palette.FLAT]).all()
    assert set(np.unique(tile(drawn, 2))) == {palette.GRAYS[palette.BROKEN], palette.GRAYS[palette.BROKEN_LINE]}


def test_maps_of_three_axes_are_slices() -> None:
    maps = np.random.default_rng(0).uniform(0, 3, (2, 5, 4, 3)).astype(np.float32)
    drawn = feature_maps.draw(maps, title="solid")
    assert "3 feature maps of 2 × 5 × 4 voxels" in drawn.caption
    top = np.sort(maps.ravel())[int(np.ceil(0.995 * (maps.size - 1)))]
    np.testing.assert_array_equal(tile(drawn, 1)[:, 5:], palette.sequential_index(maps[1, ..., 1], float(top)))


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        ((2, 40, 1), ["2 patterns of 40 steps", "drawn as curves"]),
        ((2, 40, 3), ["the curves of its 3 channels from top to bottom"]),
        ((2, 6, 9, 8, 1), ["6 × 9 × 8 voxels", "6 slices along the first axis row by row", "Black is"]),
        ((2, 2, 9, 8, 3), ["2 slices along the first axis"]),
    ],
)
def test_patterns_of_signals_and_volumes_state_how_they_are_drawn(axes: tuple[int, ...], words: list[str]) -> None:
    images = np.random.default_rng(0).normal(size=axes).astype(np.float32)
    drawn = patterns.draw(images, [0, 1])
    assert all(text in drawn.caption for text in words), drawn.caption


def test_all_patterns_of_a_layer_share_one_scale_from_the_smallest_to_the_largest_number() -> None:
    images = np.zeros((2, 30, 2), np.float32)
    images[0, :, 0], images[1, 3, 1] = -2.0, 6.0
    view = seen(images)
    assert view.scale == "Linear curve height from −2.000 to 6.000."
    np.testing.assert_allclose(middle(view.pixels[0, :48, 10:-10])[:5], 0, atol=0.03)
    np.testing.assert_allclose(middle(view.pixels[0, 49:, 10:-10])[:5], 0.25, atol=0.03)
