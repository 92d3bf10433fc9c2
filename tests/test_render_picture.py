"""Pictures of any number of bands: every band can be seen, or those that were chosen, and words say which."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from reportgen.render import palette, png
from reportgen.render.picture import bands_shown, cropped, seen, visible

GAP = palette.GRAYS[palette.GAP]


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_four_bands_are_two_rows_of_two_with_one_pixel_between_them() -> None:
    pixels = noise(3, 5, 4)
    grid = visible(pixels)
    assert grid.shape == (7, 11)
    corners = ((0, 0), (0, 6), (4, 0), (4, 6))
    for band, (top, left) in enumerate(corners):
        assert np.array_equal(grid[top : top + 3, left : left + 5], pixels[..., band])
    assert set(grid[3].tolist()) == set(grid[:, 5].tolist()) == {GAP}


def test_many_pictures_are_treated_as_one_is() -> None:
    pixels = noise(2, 6, 7, 5)
    for bands in (None, (4, 0, 2)):
        assert np.array_equal(visible(pixels, bands)[1], visible(pixels[1], bands))


def test_a_file_shows_what_is_visible() -> None:
    for shape, bands, mode in (((8, 9, 5), None, "L"), ((8, 9, 5), (4, 1, 0), "RGB"), ((8, 9, 3), None, "RGB")):
        pixels = noise(*shape)
        with Image.open(io.BytesIO(png.encode(seen(pixels[None], bands).pixels[0]))) as image:
            assert image.mode == mode
            assert np.array_equal(np.asarray(image), visible(pixels, bands))


@pytest.mark.parametrize(
    ("count", "bands", "expected"),
    [
        (1, None, None),
        (1, (0, 0, 0), None),
        (3, None, None),
        (3, (2, 1, 0), "channels 2, 1 and 0 of 0 to 2 as red, green and blue"),
        (5, (3, 2, 1), "channels 3, 2 and 1 of 0 to 4 as red, green and blue"),
        (2, None, "the 2 channels of one pattern, row by row, each in gray"),
    ],
)
def test_words_say_how_bands_are_shown_unless_they_have_their_own_colours(
    count: int, bands: tuple[int, int, int] | None, expected: str | None
) -> None:
    assert bands_shown(count, bands, " of one pattern") == expected


def test_cropping_leaves_out_as_much_at_each_side_and_never_everything() -> None:
    pixels = noise(2, 7, 9, 3)
    assert np.array_equal(cropped(pixels, 2), pixels[:, 2:5, 2:7])
    assert np.array_equal(cropped(pixels, 0), pixels)
    for crop in (4, -1):
        with pytest.raises(ValueError, match="cannot lose"):
            cropped(pixels, crop)


def test_a_signal_of_many_bands_is_one_picture_and_not_a_pile_of_curves() -> None:
    values = np.random.default_rng(0).normal(size=(2, 68, 24)).astype(np.float32)
    view = seen(values)
    low, high = values.min(), values.max()
    expected = np.rint((values.astype(np.float64) - low) / (high - low) * 255).astype(np.uint8)
    assert view.pixels.shape == (2, 96, 272)  # each of 24 bands 4 pixels high, each of 68 steps 4 wide
    np.testing.assert_array_equal(view.pixels[:, ::4, ::4], np.swapaxes(expected, 1, 2))
    np.testing.assert_array_equal(view.pixels[:, 3::4, 3::4], np.swapaxes(expected, 1, 2))
    assert view.curved is False
    assert "24 channels" in str(view.bands)
    assert "from top to bottom" in str(view.bands)
    assert "Black is" in str(view.scale)


def test_a_long_signal_of_many_bands_is_averaged_to_the_width_of_a_curve() -> None:
    values = np.repeat(np.arange(280.0, dtype=np.float32), 5)[None, :, None].repeat(24, axis=2)
    view = seen(values)
    assert view.pixels.shape == (1, 96, 280)
    np.testing.assert_array_equal(view.pixels[0, 0], np.rint(np.arange(280) / 279 * 255).astype(np.uint8))
    assert "5 steps" in str(view.bands)


@pytest.mark.parametrize("shape", [(1, 200, 1), (1, 200, 12), (1, 8, 24), (1, 1, 64)])
def test_signals_of_few_bands_or_few_steps_stay_curves(shape: tuple[int, ...]) -> None:
    assert seen(np.random.default_rng(0).normal(size=shape).astype(np.float32)).curved
