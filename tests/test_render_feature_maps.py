"""Feature-map mosaics show every channel on one scale, and the caption's numbers are true."""

from __future__ import annotations

import io
import tracemalloc
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from reportgen.core.choices import Normalization
from reportgen.core.settings import MapStyle
from reportgen.render import palette
from reportgen.render.feature_maps import draw
from reportgen.render.figure import Figure
from reportgen.render.scale import choose, indices_of_maps

NAN, INF = float("nan"), float("inf")
TOP = palette.FIRST_VALUE + palette.LEVELS - 1
RESERVED = {palette.GAP, palette.FLAT, palette.BROKEN, palette.BROKEN_LINE}


def indices(figure: Figure, tile: int) -> NDArray[Any]:
    """The palette indices of one tile, every cell once."""
    with Image.open(io.BytesIO(figure.png)) as image:
        assert image.size == (figure.tiles.width, figure.tiles.height)
        picture = np.asarray(image)
    x, y, width, height = figure.tiles.box(tile)
    scale = figure.tiles.scale
    return picture[y : y + height : scale, x : x + width : scale]


def picture(figure: Figure) -> NDArray[Any]:
    with Image.open(io.BytesIO(figure.png)) as image:
        return np.asarray(image)


def only(figure: Figure, colours: set[int]) -> list[int]:
    """The tiles that hold all of these palette indices and no other."""
    drawn, found = picture(figure), []
    for index in range(figure.tiles.count):
        x, y, width, height = figure.tiles.box(index)
        if set(np.unique(drawn[y : y + height, x : x + width])) == colours:
            found.append(index)
    return found


def flat(figure: Figure) -> list[int]:
    return only(figure, {palette.FLAT})


def broken(figure: Figure) -> list[int]:
    return only(figure, {palette.BROKEN, palette.BROKEN_LINE})


def positive(height: int, width: int, channels: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).uniform(0.1, 3, (height, width, channels)).astype(np.float32)


@pytest.mark.parametrize("shape", [(7, 7, 1), (5, 9, 17), (1, 1, 40), (30, 2, 16), (1, 6, 33)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_every_channel_is_drawn_in_order_on_the_stated_scale(shape: tuple[int, int, int], dtype: type) -> None:
    maps: NDArray[Any] = positive(*shape).astype(dtype)
    figure = draw(maps, title="t")
    assert figure.tiles.count == shape[2]
    assert figure.legend is not None
    low, high, name = figure.legend
    assert (low, name) == (0, "viridis")
    for channel in range(shape[2]):
        share = np.minimum(maps[..., channel].astype(float) / high, 1)
        drawn = indices(figure, channel).astype(float)
        assert np.abs(drawn - palette.FIRST_VALUE - share * (palette.LEVELS - 1)).max() <= 0.51


def test_few_values_are_scaled_to_the_largest() -> None:
    maps = positive(3, 3, 8)
    figure = draw(maps, title="t")
    assert figure.legend == (0.0, float(maps.max()), "viridis")
    assert f"Linear color scale (viridis) from 0 to {maps.max():.3f}, the maximum." in figure.caption


def test_values_beyond_the_percentile_are_counted_and_the_largest_is_named() -> None:
    maps = np.zeros((20, 50, 4))
    maps[..., :2] = np.arange(1, 2001).reshape(20, 50, 2)  # 2000 values other than 0; the 99.5th percentile is 1991
    figure = draw(maps, title="t")
    assert figure.legend == (0.0, 1991.0, "viridis")
    assert "from 0 to 1,991, the 99.5th percentile of the nonzero magnitudes; " in figure.caption
    assert "0.4 % of the values are clipped (maximum 2,000)." in figure.caption  # 9 of 2000 drawn: 0.45
    assert "Constant, gray: 2 maps" in figure.caption
    assert indices(figure, 1)[-1, -1] == TOP


def test_zeros_do_not_pull_the_scale_down() -> None:
    maps = np.zeros((50, 50, 2), dtype=np.float16)
    maps[3, 4], maps[5, 6] = 2, 1
    assert draw(maps, title="t").legend == (0.0, 2.0, "viridis")


def test_maps_of_both_signs_are_drawn_symmetric_about_zero() -> None:
    maps = positive(4, 4, 3)
    maps[0, 0, 1] = -9
    maps[1, 1] = 0
    figure = draw(maps, title="t", style=MapStyle(colormap="magma"))
    assert figure.legend == (-9.0, 9.0, palette.DIVERGING)
    assert "Linear color scale (RdBu_r) from −9.000 through 0 to 9.000, the largest magnitude." in figure.caption
    assert indices(figure, 1)[0, 0] == palette.FIRST_VALUE
    assert indices(figure, 2)[1, 1] == palette.MIDDLE_VALUE


def test_both_ends_of_a_clipped_signed_scale_are_named() -> None:
    maps = np.linspace(-1, 1, 3000).reshape(30, 50, 2)
    maps[0, 0, 0], maps[0, 1, 0] = -50, 70
    caption = draw(maps, title="t").caption
    assert "of the values are clipped (values from −50.00 to 70.00)" in caption


def test_magma_is_used_on_request() -> None:
    figure = draw(positive(3, 3, 2), title="t", style=MapStyle(colormap="magma"))
    assert figure.legend is not None
    assert figure.legend[2] == "magma"
    with Image.open(io.BytesIO(figure.png)) as image:
        assert bytes(image.getpalette() or []) == palette.table("magma")


def test_constant_maps_are_flat_grey_and_named_and_leave_the_scale_alone() -> None:
    maps = positive(4, 5, 6)
    maps[..., 2], maps[..., 4] = 0, 100
    figure = draw(maps, title="t")
    assert flat(figure) == [2, 4]
    assert (indices(figure, 2) == palette.FLAT).all()
    assert figure.legend is not None
    assert figure.legend[1] < 4
    assert "Constant, gray: 2 maps (2, 4), from 0 to 100.0." in figure.caption
    assert "2, 4" in figure.caption


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_maps_that_are_not_finite_are_hatched_and_named(bad: float, dtype: type) -> None:
    maps: NDArray[Any] = positive(8, 8, 3).astype(dtype)
    maps[2, 3, 1] = bad
    figure = draw(maps, title="t")
    assert (broken(figure), flat(figure)) == ([1], [])
    assert "Not finite, hatched: 1 map (1)." in figure.caption
    assert figure.legend is not None
    assert figure.legend[0] == 0
    assert not RESERVED & set(np.unique(indices(figure, 0)))


@pytest.mark.parametrize("shape", [(4, 4, 5), (1, 1, 5)])
def test_nothing_but_nan_is_a_figure_without_a_scale(shape: tuple[int, int, int]) -> None:
    figure = draw(np.full(shape, NAN, dtype=np.float16), title="t")
    assert broken(figure) == [0, 1, 2, 3, 4]
    assert figure.legend is None
    assert "No map has values to draw. Not finite, hatched: 5 maps" in figure.caption


def test_a_dead_layer_is_all_flat() -> None:
    figure = draw(np.zeros((4, 4, 20), dtype=np.float16), title="t")
    assert flat(figure) == list(range(20))
    assert figure.legend is None
    assert "Constant, gray: 20 maps (0, 1, 2, 3, 4, 5, 6, 7 and 12 more), all 0." in figure.caption


def test_a_map_of_one_position_is_a_value_and_not_constant() -> None:
    maps = np.array([[[0.0, 1.0, 0.5]]])
    figure = draw(maps, title="t")
    assert flat(figure) == []
    assert [indices(figure, tile).item() for tile in range(3)] == [palette.FIRST_VALUE, TOP, palette.MIDDLE_VALUE]
    dead = draw(np.zeros((1, 1, 3)), title="t")
    assert (flat(dead), dead.legend) == ([], None)
    assert "All values are 0" in dead.caption
    assert indices(dead, 2).item() == palette.FIRST_VALUE


@pytest.mark.parametrize(
    "maps",
    [
        np.full((2, 2, 2), 65504, np.float16) * np.arange(2, dtype=np.float16),
        np.array([[[3e38], [-3e38]]], np.float32),
        np.array([[[1e308], [-1e308]]]),
        np.array([[[5e-324], [0]]]),
        np.array([[[6e-8], [0]]], np.float16),
        np.array([[[1], [-4]]], np.int8),
        np.array([[[True], [False]]]),
    ],
)
def test_extreme_values_and_other_types_are_drawn_without_a_warning(maps: NDArray[Any]) -> None:
    figure = draw(maps, title="t")
    assert broken(figure) == []


def test_two_thousand_channels_are_all_there() -> None:
    figure = draw(positive(2, 2, 2048), title="t")
    assert (figure.tiles.rows, figure.tiles.columns) == (32, 64)
    assert figure.numbering is not None
    assert figure.numbering.rows[-1] + figure.numbering.columns[-1] == 2047
    assert "2,048 feature maps of 2 × 2" in figure.alt


def test_the_true_range_replaces_that_of_clipped_arrays() -> None:
    maps = positive(30, 30, 2)
    maps[0, 0, 0] = 65504
    assert "(maximum 123,500)" in draw(maps, title="t", true_range=(0.0, 123456.0)).caption


def test_a_scale_that_ends_where_stored_values_were_cut_off_says_so() -> None:
    maps = np.array([[[65504.0], [1.0], [-65504.0]]])
    figure = draw(maps, title="t", true_range=(-70000.0, 123456.0))
    assert figure.legend == (-65504.0, 65504.0, palette.DIVERGING)
    assert (
        "to 65,500, the limit of half precision; larger values are clipped (values from −70,000 to 123,500)"
        in figure.caption
    )


@pytest.mark.parametrize("sign", [1, -1])
def test_a_scale_that_ends_at_the_largest_value_states_it_as_it_was_before_it_was_rounded(sign: int) -> None:
    true = np.array([[[1.0], [0.5]], [[0.25], [1000.4]]], np.float32) * sign
    stored = true.astype(np.float16)
    assert abs(float(stored[1, 1, 0])) == 1000.5  # what half precision makes of it
    figure = draw(stored, title="t", true_range=(float(true.min()), float(true.max())))
    assert figure.legend is not None
    assert figure.legend[1] == pytest.approx(1000.4, abs=1e-3)
    assert f"to 1,000, the {'maximum' if sign > 0 else 'largest magnitude'}" in figure.caption


def test_the_range_of_other_maps_does_not_become_that_of_the_maps_drawn() -> None:
    maps = positive(4, 4, 3)
    maps[..., 1] = 500
    maps[0, 0, 2] = NAN
    maps[0, 1, 2] = 900
    figure = draw(maps, title="t", true_range=(0.1, 900.0))
    assert figure.legend == (0.0, float(maps[..., 0].max()), "viridis")


def test_what_cannot_be_drawn_is_an_error() -> None:
    for shape in ((3,), (3, 3, 0), (1, 3, 3, 3, 3)):
        with pytest.raises(ValueError, match="two to four axes"):
            draw(np.zeros(shape), title="t")


def test_large_maps_are_averaged_and_the_caption_says_so() -> None:
    maps = np.zeros((224, 200, 2), np.float32)
    maps[::2, :, 0], maps[..., 1] = 2, 1
    maps[0, 0, 1] = 0
    figure = draw(maps, title="t")
    assert (figure.tiles.tile_height, figure.tiles.tile_width) == (112, 100)
    assert set(np.unique(indices(figure, 0))) == {palette.MIDDLE_VALUE}
    assert "2 feature maps of 224 × 200 pixels" in figure.caption
    assert "Downsampled to 112 × 100 by averaging." in figure.caption
    spectrum = draw(positive(3, 200, 2), title="t")  # no row is lost for the sake of the columns
    assert (spectrum.tiles.tile_height, spectrum.tiles.tile_width) == (3, 100)


def test_the_alt_text_names_the_strongest_channels_and_repeats_nothing_of_the_caption() -> None:
    maps = np.zeros((3, 4, 5), np.float32)
    maps[1, 2] = [1, 5, 2, 9, 3]
    words = "conv1 on cat: mosaic of 5 feature maps of 3 × 4 pixels, largest values in channels 3, 1 and 4."
    assert draw(maps, title="conv1 on cat").alt == words


def test_the_input_is_left_as_it_was() -> None:
    maps = positive(4, 4, 3)
    before = maps.copy()
    draw(maps, title="t")
    assert np.array_equal(maps, before)


def test_per_map_each_map_spans_two_deviations_about_its_own_mean() -> None:
    maps = positive(9, 7, 3) * np.array([1, 1000, 1e-6], np.float32)
    figure = draw(maps, title="t", style=MapStyle("per-map", "magma"))
    for channel in range(3):
        own = maps[..., channel].astype(np.float64)
        eight_bit = np.clip((own - own.mean()) / own.std() * 64 + 128, 0, 256) / 256  # the usual recipe
        drawn = indices(figure, channel).astype(float)
        assert np.abs(drawn - palette.FIRST_VALUE - eight_bit * (palette.LEVELS - 1)).max() <= 0.51
    assert figure.legend == ("mean − 2 sd", "mean + 2 sd", "magma")
    assert "Brightness cannot be compared between tiles" in figure.caption


def test_a_fixed_scale_is_the_same_whatever_the_maps_hold_and_counts_what_lies_outside() -> None:
    maps = np.zeros((10, 10, 1), np.float16)
    maps[0, 0], maps[1, :], maps[2, 0] = -1, 3, 0.5
    figure = draw(maps, title="t", style=MapStyle("fixed", map_range=(0.0, 2.0)))
    assert figure.legend == (0.0, 2.0, "viridis")
    assert indices(figure, 0)[2, 0] == palette.FIRST_VALUE + round(0.25 * (palette.LEVELS - 1))
    assert {int(indices(figure, 0)[0, 0]), int(indices(figure, 0)[1, 1])} == {palette.FIRST_VALUE, TOP}
    assert "from 0 to 2, the same in every figure; values from −1.000 to 3.000, 1.0 % clipped below" in figure.caption
    assert "10.0 % clipped above" in figure.caption


@pytest.mark.parametrize("name", ["grey", "cividis"])
def test_a_constant_map_is_no_grey_where_values_are_greys(name: str) -> None:
    maps = positive(4, 4, 2)
    maps[..., 1] = 2
    figure = draw(maps, title="t", style=MapStyle(colormap=name))
    assert flat(figure) == [1]
    assert "Constant, mauve: 1 map (1)" in figure.caption


@pytest.mark.parametrize("normalize", ["per-layer", "fixed", "per-map"])
def test_maps_of_a_large_image_are_scaled_in_little_memory_and_as_each_alone(normalize: str) -> None:
    maps = np.random.default_rng(1).normal(size=(96, 256, 256)).astype(np.float32)
    scale = choose(maps, MapStyle(normalize=Normalization(normalize), map_range=(-1.0, 1.0)))
    assert scale is not None
    tracemalloc.start()
    found = indices_of_maps(scale, maps)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * maps.nbytes  # all at once they are copied as float64 more than once
    np.testing.assert_array_equal(found, [scale.indices(each) for each in maps])
