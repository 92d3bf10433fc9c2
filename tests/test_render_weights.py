"""Weight pictures show every weight of a filter where the card says it is, on a scale symmetric about zero."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from reportgen.core.records import LayerRecord
from reportgen.render import palette
from reportgen.render.figure import Figure
from reportgen.render.weights import TILE_LIMIT, draw, draw_slices, kernel_layout, slices_layout

NAN = float("nan")
KINDS = {"Conv2DTranspose": "transposed", "DepthwiseConv2D": "depthwise", "SeparableConv2D": "separable"}


def layer(filters: int, layer_class: str = "Conv2D", bands: str | None = None, groups: int = 1) -> LayerRecord:
    return LayerRecord(
        path="block/conv", name="conv", slug="block-conv", layer_class=layer_class, status="rendered", reason=None,
        unit="block/conv", kernel_shape=None, strides=(1, 1), dilation=(1, 1), groups=groups, padding="same",
        output_shape=None, receptive_field=None, receptive_field_note=None, parameters=0, activation="relu",
        rectified=True, kernel_bands=bands, filters_total=filters, filters_shown=(), pattern_size=None, macs=0,
        kernel_kind=KINDS.get(layer_class, "plain"),
    )  # fmt: skip


def kernel(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(0, 0.1, shape).astype(np.float32)


def pixels(figure: Figure) -> NDArray[Any]:
    with Image.open(io.BytesIO(figure.png)) as image:
        assert image.size == (figure.tiles.width, figure.tiles.height)
        return np.asarray(image)


def tile(figure: Figure, index: int) -> NDArray[Any]:
    x, y, width, height = figure.tiles.box(index)
    return pixels(figure)[y : y + height, x : x + width][:: figure.tiles.scale, :: figure.tiles.scale]


def broken(figure: Figure) -> list[int]:
    """The tiles that hold a line of hatching, in whichever kind of picture."""
    picture = pixels(figure)
    hatching = {palette.BROKEN, palette.BROKEN_LINE}
    if picture.ndim == 3:
        hatching = {palette.GRAYS[index] for index in hatching}
    found = []
    for index in range(figure.tiles.count):
        x, y, width, height = figure.tiles.box(index)
        if set(np.unique(picture[y : y + height, x : x + width])) == hatching:
            found.append(index)
    return found


def mapped(values: NDArray[Any], limit: float) -> NDArray[Any]:
    steps = palette.LEVELS // 2
    return np.round(values.astype(np.float32) / np.float32(limit) * steps) + palette.MIDDLE_VALUE


@pytest.mark.parametrize("bands", ["RGB", "BGR"])
def test_kernels_on_colour_are_drawn_in_the_colours_they_look_for(bands: str) -> None:
    weights = np.zeros((1, 1, 3, 4), dtype=np.float32)
    weights[0, 0, 0 if bands == "RGB" else 2, 0] = 2  # looks for red
    weights[0, 0, :, 1] = -2
    weights[0, 0, 1, 2] = 1  # looks for green, half as much
    figure = draw({"kernel": weights}, layer(4, bands=bands))
    assert [tile(figure, index)[0, 0].tolist() for index in range(4)] == [
        [255, 128, 128], [0, 0, 0], [128, 191, 128], [128, 128, 128],
    ]  # fmt: skip
    assert figure.legend is None
    assert (
        "Linear scale of red, green and blue from −2.000 (none) through 0 (mid-gray) to 2.000 (full)" in figure.caption
    )


def test_kernels_on_colour_have_one_tile_a_filter() -> None:
    weights = kernel(7, 5, 3, 20)
    figure = draw({"kernel": weights}, layer(20, bands="RGB"))
    limit = np.abs(weights).max()
    for index in range(20):
        expected = 255 * (0.5 + weights[..., index].astype(float) / (2 * limit))
        assert np.abs(tile(figure, index) - expected).max() <= 0.51


@pytest.mark.parametrize(("shape", "bands"), [((3, 3, 3, 4), None), ((3, 3, 1, 4), "RGB")])
def test_other_kernels_are_never_drawn_in_colour(shape: tuple[int, ...], bands: str | None) -> None:
    figure = draw({"kernel": kernel(*shape)}, layer(4, bands=bands))
    assert figure.legend is not None
    assert figure.legend[2] == palette.DIVERGING
    assert pixels(figure).ndim == 2


def test_every_slice_stands_in_its_filters_row() -> None:
    weights = kernel(3, 2, 5, 7)
    figure = draw({"kernel": weights}, layer(7))
    limit = float(np.abs(weights).max())
    assert figure.legend == (-limit, limit, palette.DIVERGING)
    assert (
        f"Linear color scale (RdBu_r) from −{limit:.4f} (blue) through 0 (white) to {limit:.4f} (red)" in figure.caption
    )
    assert (figure.tiles.columns, figure.tiles.rows) == (5, 7)
    for index in range(7):
        for channel in range(5):
            expected = mapped(weights[:, :, channel, index], limit)
            assert np.array_equal(tile(figure, index * 5 + channel), expected)


def test_the_tiles_of_a_filter_are_its_whole_row_and_nothing_else() -> None:
    weights = kernel(3, 3, 5, 7)
    figure = draw({"kernel": weights}, layer(7))
    layout = kernel_layout({"kernel": weights}, layer(7))
    assert layout.tiles == figure.tiles
    assert list(layout.filter_tiles(2)) == [10, 11, 12, 13, 14]
    first, last = figure.tiles.box(10), figure.tiles.box(14)
    assert first[1] == last[1]
    assert (first[0], last[0] + last[2]) == (figure.tiles.gap, figure.tiles.width - figure.tiles.gap)


def test_one_input_channel_makes_one_tile_a_filter_sixteen_a_row() -> None:
    weights = kernel(5, 5, 1, 32)
    figure = draw({"kernel": weights}, layer(32))
    assert (figure.tiles.count, figure.tiles.columns) == (32, 16)
    assert np.array_equal(tile(figure, 17), mapped(weights[:, :, 0, 17], float(np.abs(weights).max())))
    layout = kernel_layout({"kernel": weights}, layer(32))
    assert list(layout.filter_tiles(17)) == [17]


def test_of_too_many_slices_the_strongest_of_some_filters_are_drawn() -> None:
    weights = kernel(3, 3, 65, 64) * np.linspace(0.1, 1, 65)[None, None, :, None].astype(np.float32)
    assert TILE_LIMIT < 65 * 64
    filters = (0, 7, 63)
    figure = draw_slices({"kernel": weights}, layer(64), filters)
    layout = slices_layout({"kernel": weights}, layer(64), filters)
    assert layout.channels is not None
    assert figure.tiles.count == 3 * 16
    assert "16 tiles per filter: of its 65 input channels those with the largest L2 norm" in figure.caption
    rows = [layout.channels[layout.place(index)] for index in filters]
    shown = np.abs(np.stack([weights[:, :, row, index] for row, index in zip(rows, filters, strict=True)])).ravel()
    limit = float(np.sort(shown)[int(np.ceil(0.995 * (shown.size - 1)))])
    assert figure.legend is not None
    assert figure.legend[1] == pytest.approx(limit)
    assert "0.5 % of the weights drawn are clipped (largest magnitude " in figure.caption
    for row, index in zip(rows, filters, strict=True):
        norms = np.sqrt((weights[..., index].astype(np.float64) ** 2).sum(axis=(0, 1)))
        assert row.tolist() == np.argsort(-norms, kind="stable")[:16].tolist()
        for place, channel in enumerate(row):
            drawn = tile(figure, layout.filter_tiles(index)[place])
            assert np.array_equal(drawn, mapped(np.clip(weights[:, :, channel, index], -limit, limit), limit))
    assert draw({"kernel": kernel(3, 3, 64, 64)}, layer(64)).tiles.count == TILE_LIMIT


def test_filters_side_by_side_stand_apart() -> None:
    tiles = draw_slices({"kernel": kernel(3, 3, 65, 64)}, layer(64), range(64)).tiles
    within = tiles.box(1)[0] - tiles.box(0)[0] - tiles.box(0)[2]
    between = tiles.box(16)[0] - tiles.box(15)[0] - tiles.box(15)[2]
    assert between == 3 * within
    assert tiles.box(tiles.columns - 1)[0] + tiles.box(0)[2] + tiles.gap == tiles.width


def test_slices_of_one_weight_are_a_matrix_of_filters_and_input_channels() -> None:
    weights = kernel(1, 1, 6, 20)
    weights[..., 3], weights[:, :, 2] = 0, 0
    weights[0, 0, 1, 5] = NAN
    figure = draw({"kernel": weights}, layer(20))
    limit = float(np.nanmax(np.abs(weights)))
    assert figure.legend == (-limit, limit, palette.DIVERGING)
    scale = figure.tiles.scale
    drawn = pixels(figure)[::scale, :: scale * figure.tiles.tile_width]
    expected = mapped(np.nan_to_num(weights[0, 0].T), limit)
    expected[5, 1] = palette.BROKEN
    assert np.array_equal(drawn, expected)
    assert "a row per filter, a column per input channel, both numbered from 0." in figure.caption
    assert "1 filter has only zeros: 3. 1 input channel has only weights of 0: 2." in figure.caption
    assert "1 filter has non-finite weights (dark gray): 5." in figure.caption


def test_a_cell_of_a_wide_kernel_is_the_root_mean_square_of_its_weights() -> None:
    weights = kernel(3, 3, 300, 129)
    weights[..., :2, 0:2] = 0
    figure = draw({"kernel": weights}, layer(129))
    assert (figure.tiles.columns, figure.tiles.rows) == (150, 65)
    assert figure.numbering is not None
    assert (figure.numbering.rows[:2], figure.numbering.columns[-1]) == ((0, 2), 298)
    drawn = pixels(figure)
    assert drawn[0, 0] == palette.FIRST_VALUE
    assert figure.legend is not None
    wanted = np.sqrt((weights[..., 4:6, 128].astype(float) ** 2).mean()) / float(figure.legend[1])
    assert abs(drawn[64, 2] - palette.FIRST_VALUE - wanted * (palette.LEVELS - 1)) <= 0.51
    assert "a cell is the root mean square over 2 filters and 2 input channels, 9 weights each." in figure.caption


def test_two_matrices_share_the_larger_scale() -> None:
    trained, start = kernel(1, 1, 65, 64), kernel(1, 1, 65, 64) * 0.5
    first, second = (
        draw({"kernel": one}, layer(64), {"kernel": two}) for one, two in ((trained, start), (start, trained))
    )
    assert first.legend == second.legend
    assert "of the cells are clipped (peak " in first.caption
    assert "clipped" not in second.caption


def test_weights_that_cancel_out_are_not_called_zeros() -> None:
    weights = np.ones((1, 1, 66, 64), dtype=np.float32)
    weights[:, :, ::2] = -1
    weights[..., 5] = 0
    weights[0, 0, 0, 7] = 3
    figure = draw({"kernel": weights}, layer(64))
    assert "1 filter has only zeros: 5." in figure.caption


def test_depthwise_kernels_stand_in_the_order_of_the_output_channels() -> None:
    weights = kernel(3, 3, 4, 2)
    figure = draw({"kernel": weights}, layer(8, "DepthwiseConv2D"))
    limit = float(np.abs(weights).max())
    for channel in range(4):
        for multiple in range(2):
            output = channel * 2 + multiple  # as TensorFlow's depthwise_conv2d numbers them
            assert np.array_equal(tile(figure, output), mapped(weights[:, :, channel, multiple], limit))
    assert list(kernel_layout({"kernel": weights}, layer(8, "DepthwiseConv2D")).filter_tiles(3)) == [3]


def test_separable_layers_show_their_depthwise_kernels_which_no_filter_owns() -> None:
    arrays = {"depthwise_kernel": kernel(3, 3, 6, 1), "pointwise_kernel": kernel(1, 1, 6, 20)}
    figure = draw(arrays, layer(20, "SeparableConv2D"))
    assert figure.tiles.count == 6
    assert "6 depthwise kernels of 3 × 3" in figure.caption.lower()
    assert "the next figure shows the pointwise kernel" in figure.caption
    layout = kernel_layout(arrays, layer(20, "SeparableConv2D"))
    assert list(layout.filter_tiles(3)) == []


def test_transposed_kernels_have_filters_before_inputs() -> None:
    weights = kernel(3, 3, 4, 6)  # 4 filters of 6 input channels
    figure = draw({"kernel": weights}, layer(4, "Conv2DTranspose"))
    assert (figure.tiles.columns, figure.tiles.rows) == (6, 4)
    assert np.array_equal(tile(figure, 2 * 6 + 5), mapped(weights[:, :, 2, 5], float(np.abs(weights).max())))
    assert "6 input channels" in figure.caption
    single = draw({"kernel": kernel(3, 3, 4, 1)}, layer(4, "Conv2DTranspose"))
    assert "each with 1 input channel" in single.caption


def test_grouped_kernels_say_that_inputs_are_those_of_the_group() -> None:
    assert (
        "each of its 2 input channels of its group" in draw({"kernel": kernel(3, 3, 2, 8)}, layer(8, groups=4)).caption
    )


@pytest.mark.parametrize("bad", [NAN, float("inf")])
@pytest.mark.parametrize("bands", [None, "RGB"])
def test_filters_that_are_not_finite_are_hatched_and_named(bad: float, bands: str | None) -> None:
    weights = kernel(8, 8, 3, 5)
    weights[1, 1, 1, 3] = bad
    figure = draw({"kernel": weights}, layer(5, bands=bands))
    position = 3 if bands else 3 * 3 + 1
    assert broken(figure) == [position]
    assert "1 filter has non-finite weights (hatched): 3." in figure.caption
    expected = {palette.BROKEN, palette.BROKEN_LINE}
    if bands:
        expected = {palette.GRAYS[index] for index in expected}
    assert set(np.unique(tile(figure, position))) == expected


def test_slices_that_are_not_finite_are_among_those_drawn_and_hatched() -> None:
    weights = kernel(3, 3, 65, 64)
    weights[0, 0, 40:42, 9] = [np.inf, -np.inf]
    weights[0, 0, 60, 11] = NAN
    assert broken(draw_slices({"kernel": weights}, layer(64), range(64))) == [9 * 16, 9 * 16 + 1, 11 * 16]


def test_filters_of_zeros_are_drawn_as_zero_and_named() -> None:
    weights = kernel(3, 3, 2, 6)
    weights[..., 4] = 0
    figure = draw({"kernel": weights}, layer(6))
    assert (tile(figure, 8) == palette.MIDDLE_VALUE).all()
    assert (tile(figure, 9) == palette.MIDDLE_VALUE).all()
    assert "1 filter has only zeros: 4." in figure.caption
    assert "zeros: 4." in figure.caption


@pytest.mark.parametrize("bands", [None, "RGB"])
def test_a_layer_of_zeros_or_of_nan_has_no_scale(bands: str | None) -> None:
    zeros = draw({"kernel": np.zeros((3, 3, 3, 2))}, layer(2, bands=bands))
    assert zeros.legend is None
    assert "All finite weights drawn are 0." in zeros.caption
    lost = draw({"kernel": np.full((3, 3, 3, 2), NAN)}, layer(2, bands=bands))
    assert lost.legend is None
    assert len(broken(lost)) == lost.tiles.count


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int8])
def test_kernels_of_other_types_are_drawn(dtype: type) -> None:
    weights: NDArray[Any] = (kernel(3, 3, 2, 4) * 100).astype(dtype)
    weights[0, 0, 0, 0] = -128  # its magnitude does not fit into eight bits with a sign
    figure = draw({"kernel": weights}, layer(4))
    assert figure.legend == (-128.0, 128.0, palette.DIVERGING)
    assert np.abs(tile(figure, 3) - mapped(weights[:, :, 1, 1], 128)).max() <= 1


@pytest.mark.parametrize("shape", [(4, 5), (1, 3, 3, 3, 4, 5)])
def test_kernels_of_no_axis_and_of_four_are_refused_with_the_fact(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"^block/conv: a kernel of shape \(.*only those of one to three spatial axes"):
        draw({"kernel": kernel(*shape)}, layer(5))


@pytest.mark.parametrize("layer_class", ["Conv2D", "Conv2DTranspose", "DepthwiseConv2D"])
def test_kernels_that_do_not_make_the_filters_are_refused(layer_class: str) -> None:
    with pytest.raises(ValueError, match="does not make 9 filters"):
        draw({"kernel": kernel(3, 3, 2, 4)}, layer(9, layer_class))


@pytest.mark.parametrize(("inputs", "filters"), [(2, 2048), (64, 64), (16, 256)])
def test_pictures_stay_within_reason(inputs: int, filters: int) -> None:
    tiles = kernel_layout({"kernel": kernel(3, 3, inputs, filters)}, layer(filters)).tiles
    assert tiles.width <= 5000
    assert tiles.height <= 20_000
