"""Pictures of any number of bands: every band can be seen, or those that were chosen, and words say which."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from reportgen.render import palette, png
from reportgen.render.picture import bands_shown, cropped, seen, visible

GAP = palette.GREYS[palette.GAP]


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
        (3, (2, 1, 0), "bands 2, 1 and 0 of 0 to 2 as red, green and blue"),
        (5, (3, 2, 1), "bands 3, 2 and 1 of 0 to 4 as red, green and blue"),
        (2, None, "the 2 bands of one pattern, row by row, each in grey"),
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
