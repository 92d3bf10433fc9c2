"""The parts of an ascent, each against its definition: randomness, Fourier planes, colour, warps, objectives, recipes."""

from __future__ import annotations

import hashlib
import json
from math import cos, sin

import numpy as np
import pytest

from reportgen.compute.figures import padded, trimmed
from reportgen.compute.patterns import colour, fourier, objectives, recipe, transforms
from reportgen.compute.patterns.randomness import derived_seed, generator
from reportgen.network.quiet import tf

# Randomness


def test_a_derived_seed_is_a_hash_of_its_key_alone() -> None:
    digest = hashlib.sha256(json.dumps([7, "block/conv", 3, "start"]).encode()).digest()
    assert derived_seed(7, "block/conv", 3, "start") == int.from_bytes(digest[:6], "big")
    assert derived_seed(0, "a", 1) < 2**48


def test_every_part_of_a_key_counts() -> None:
    keys = [(0, "a", 1), (1, "a", 1), (0, "b", 1), (0, "a", 2), (0, "a", "1"), (0, "a1"), (0, 1, "a"), (0, "a", 1, "x")]
    assert len({derived_seed(*key) for key in keys}) == len(keys)  # type: ignore[arg-type]


def test_a_generator_starts_afresh_and_touches_no_global_one() -> None:
    np.random.seed(3)
    before = np.random.get_state()[1].tobytes()  # type: ignore[index, union-attr]
    first = generator(5).standard_normal(4)
    np.testing.assert_array_equal(first, generator(5).standard_normal(4))
    assert not np.array_equal(first, generator(6).standard_normal(4))
    assert np.random.get_state()[1].tobytes() == before  # type: ignore[index, union-attr]


def test_random_numbers_are_those_that_earlier_reports_used() -> None:
    """A change here changes every picture: it needs another `algorithm` in the recipe."""
    np.testing.assert_allclose(generator(1).standard_normal(3), STANDARD_NORMAL_OF_SEED_1)


STANDARD_NORMAL_OF_SEED_1 = np.random.Generator(np.random.Philox(key=1)).standard_normal(3)


# Fourier planes


@pytest.mark.parametrize(("height", "width"), [(8, 8), (7, 9), (12, 5), (1, 6)])
def test_planes_are_the_inverse_transform_of_the_scaled_spectrum(height: int, width: int) -> None:
    spectra = (
        np.random.default_rng(0).standard_normal((2, *fourier.spectrum_shape(height, width, 3))).astype(np.float32)
    )
    found = np.asarray(fourier.to_planes(tf.constant(spectra), height, width))
    scaled = (spectra[..., 0] + 1j * spectra[..., 1]) * fourier.frequency_scale(height, width)
    expected = np.fft.irfft2(scaled.astype(np.complex128), (height, width)).transpose(0, 2, 3, 1) / 4
    assert found.shape == (2, height, width, 3)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_each_frequency_moves_at_the_pace_of_natural_images() -> None:
    scale = fourier.frequency_scale(16, 16)
    assert scale.shape == (16, 9)
    assert scale[0, 1] == scale[1, 0] == pytest.approx(16 * 16)
    assert scale[0, 0] == pytest.approx(fourier.MEAN_GAIN * 16 * 16)
    assert scale[0, 4] == pytest.approx(16 / (4 / 16))
    assert scale[3, 4] == scale[-3, 4] == pytest.approx(16 / (5 / 16))
    assert (fourier.frequency_scale(9, 16)[1:] < np.sqrt(9 * 16) * 16 + 1).all()


@pytest.mark.parametrize("bands", [1, 3])
def test_the_spectrum_of_a_plain_colour_is_that_colour_everywhere(bands: int) -> None:
    wanted = np.random.default_rng(0).uniform(0.1, 0.9, (4, bands)).astype(np.float32)
    spectra = fourier.plain(colour.to_planes(np.log(wanted / (1 - wanted))), 7, 10)
    found = np.asarray(colour.to_pictures(fourier.to_planes(tf.constant(spectra), 7, 10)))
    np.testing.assert_allclose(found, np.broadcast_to(wanted[:, None, None], found.shape), rtol=1e-4)


def test_a_start_is_faint_smooth_and_its_seeds_own() -> None:
    start = fourier.start(5, 32, 32, 3)
    assert start.shape == (3, 32, 17, 2)
    assert start.dtype == np.float32
    assert start.std() == pytest.approx(0.01, rel=0.05)
    assert start.tobytes() == fourier.start(5, 32, 32, 3).tobytes()
    assert start.tobytes() != fourier.start(6, 32, 32, 3).tobytes()
    pictures = np.asarray(colour.to_pictures(fourier.to_planes(tf.constant(start[None]), 32, 32)))
    assert 0.35 < pictures.min() < pictures.max() < 0.65


# Colour


def test_colour_directions_are_those_of_the_published_correlation() -> None:
    matrix = colour.mixing_matrix()
    root = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])
    np.testing.assert_allclose(matrix, root / np.sqrt((root**2).sum(0)).max(), rtol=1e-6)
    assert np.linalg.norm(matrix[:, 0]) == pytest.approx(1)


def test_three_bands_are_mixed_into_red_green_and_blue() -> None:
    planes = np.random.default_rng(0).standard_normal((2, 3, 4, 3)).astype(np.float32)
    found = np.asarray(colour.to_pictures(tf.constant(planes)))
    expected = np.empty_like(planes)
    for band in range(3):
        mixed = sum(colour.mixing_matrix()[band, plane] * planes[..., plane] for plane in range(3))
        expected[..., band] = 1 / (1 + np.exp(-mixed))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("bands", [1, 2, 4])
def test_other_bands_are_left_apart(bands: int) -> None:
    planes = np.random.default_rng(0).standard_normal((2, 3, 4, bands)).astype(np.float32)
    np.testing.assert_allclose(colour.to_pictures(tf.constant(planes)), 1 / (1 + np.exp(-planes)), rtol=1e-5)


# Warps


def mirrored(position: int, length: int) -> int:
    while not 0 <= position < length:
        position = -position if position < 0 else 2 * (length - 1) - position
        if length == 1:
            return 0
    return position


def slow_warp(pictures: np.ndarray, shift_y: float, shift_x: float, scale: float, angle: float) -> np.ndarray:
    """Bilinear sampling pixel by pixel: the source of a pixel is it moved back, turned back and shrunk back about the centre."""
    count, height, width, bands = pictures.shape
    result = np.zeros((count, height, width, bands))
    middle = np.array([(height - 1) / 2, (width - 1) / 2])
    turn = np.array([[cos(angle), sin(angle)], [-sin(angle), cos(angle)]])
    for y in range(height):
        for x in range(width):
            source = turn @ (np.array([y, x]) - middle - [shift_y, shift_x]) / scale + middle
            top, left = int(np.floor(source[0])), int(np.floor(source[1]))
            down, right = source - [top, left]
            for row, weight_y in ((top, 1 - down), (top + 1, down)):
                for column, weight_x in ((left, 1 - right), (left + 1, right)):
                    value = pictures[:, mirrored(row, height), mirrored(column, width)]
                    result[:, y, x] += weight_y * weight_x * value
    return result


WARPS = [
    (0.0, 0.0, 1.0, 0.0),
    (2.0, -3.0, 1.0, 0.0),
    (0.4, 0.7, 1.0, 0.0),
    (0.0, 0.0, 1.1, 0.0),
    (0.0, 0.0, 0.5, 0.0),
    (0.0, 0.0, 1.0, 0.3),
    (1.3, -2.2, 0.93, -0.17),
    (30.0, 0.0, 1.0, 0.0),
]


@pytest.mark.parametrize("numbers", WARPS, ids=str)
@pytest.mark.parametrize("size", [(9, 12), (6, 5)], ids=str)
def test_a_warp_samples_between_pixels_and_mirrors_beyond_the_border(
    numbers: tuple[float, ...], size: tuple[int, int]
) -> None:
    pictures = np.random.default_rng(0).uniform(size=(3, *size, 2)).astype(np.float32)
    warp = transforms.affine(*size, *numbers)
    found = np.asarray(transforms.apply(tf.constant(pictures), warp.sources, warp.weights))
    np.testing.assert_allclose(found, slow_warp(pictures, *numbers), atol=1e-5)


def test_no_warp_is_exactly_the_identity() -> None:
    pictures = np.random.default_rng(0).uniform(size=(2, 7, 8, 3)).astype(np.float32)
    warp = transforms.affine(7, 8, 0, 0, 1, 0)
    np.testing.assert_array_equal(transforms.apply(tf.constant(pictures), warp.sources, warp.weights), pictures)


def test_the_gradient_of_a_warp_is_its_transpose() -> None:
    """<W x, y> = <x, W' y>: a linear map's gradient is exact or wrong."""
    random = np.random.default_rng(0)
    given = tf.constant(random.uniform(size=(2, 9, 12, 3)).astype(np.float32))
    target = random.uniform(size=(2, 9, 12, 3)).astype(np.float32)
    warp = transforms.draw(0, 3, 9, 12)
    with tf.GradientTape() as tape:
        tape.watch(given)
        product = tf.reduce_sum(transforms.apply(given, warp.sources, warp.weights) * target)
    back = np.asarray(tape.gradient(product, given), np.float64)
    assert (back * np.asarray(given)).sum() == pytest.approx(float(product), rel=1e-5)
    matrix = np.zeros((108, 108))
    for corner in range(4):
        np.add.at(matrix, (np.arange(108), warp.sources[corner]), warp.weights[corner])
    expected = np.einsum("pq,npb->nqb", matrix, target.reshape(2, 108, 3)).reshape(back.shape)
    np.testing.assert_allclose(back, expected, rtol=1e-4, atol=1e-5)


def test_weights_of_a_warp_sum_to_one_and_sources_are_pixels() -> None:
    for step in range(20):
        warp = transforms.draw(1, step, 10, 14)
        assert warp.sources.dtype == np.int32
        assert warp.weights.dtype == np.float32
        assert 0 <= warp.sources.min() <= warp.sources.max() < 140
        assert warp.weights.min() >= -1e-6
        np.testing.assert_allclose(warp.weights.sum(0), 1, rtol=1e-5)


def test_a_drawn_warp_depends_on_seed_and_step_alone() -> None:
    first = transforms.draw(3, 4, 8, 8)
    generator(9).standard_normal(1000)
    transforms.draw(5, 6, 20, 20)
    again = transforms.draw(3, 4, 8, 8)
    assert first.sources.tobytes() == again.sources.tobytes()
    assert first.weights.tobytes() == again.weights.tobytes()
    others = [transforms.draw(3, 5, 8, 8), transforms.draw(4, 4, 8, 8)]
    assert all(other.weights.tobytes() != first.weights.tobytes() for other in others)


def test_drawn_warps_stay_within_their_limits() -> None:
    """Read off the map itself: where the centre and its neighbour to the right come from."""
    height = width = 65
    grid = np.stack(np.meshgrid(np.arange(65.0), np.arange(65.0), indexing="ij"), -1).reshape(-1, 2)
    shifts, scales, angles = [], [], []
    for step in range(60):
        warp = transforms.draw(0, step, height, width)
        position = (grid[warp.sources] * warp.weights[..., None]).sum(0).reshape(65, 65, 2)
        across = (position[32, 36] - position[32, 28]) / 8
        scales.append(1 / np.linalg.norm(across))
        angles.append(np.degrees(np.arctan2(across[0], across[1])))
        shifts.append(np.abs(position[32, 32] - 32).max() * scales[-1])
    assert 0.9 - 1e-3 <= min(scales) < 0.93 < 1.07 < max(scales) <= 1.1 + 1e-3
    assert -10.01 <= min(angles) < -7 < 7 < max(angles) <= 10.01
    assert 3 < max(shifts) <= 65 / 16 * 1.2


# Objectives and figures


@pytest.mark.parametrize("rectified", [False, True])
def test_the_objective_is_the_mean_of_the_trimmed_channel_before_activation(rectified: bool) -> None:
    channel = np.random.default_rng(0).standard_normal((3, 7, 4)).astype(np.float32)
    found = np.asarray(objectives.excitement(tf.constant(channel), rectified))
    inner = channel[:, 2:-2, 1:-1].astype(np.float64)
    expected = np.where(inner > 0, inner, 0.1 * inner) if rectified else inner
    assert (channel < 0).any()
    np.testing.assert_allclose(found, expected.mean((1, 2)), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("height", "width", "inner"), [(1, 1, (1, 1)), (3, 5, (1, 1)), (8, 4, (4, 2)), (2, 9, (2, 5))])
def test_trimming_leaves_out_the_border_of_each_axis_by_itself(height: int, width: int, inner: tuple[int, int]) -> None:
    maps = np.arange(height * width, dtype=np.float32).reshape(1, height, width, 1)
    found = np.asarray(trimmed(tf.constant(maps)))
    assert found.shape[1:3] == inner
    assert found.mean() == pytest.approx(maps.mean())


def test_a_batch_is_filled_with_its_last_row() -> None:
    rows = np.arange(6).reshape(3, 2)
    assert padded(rows, 5).tolist() == [[0, 1], [2, 3], [4, 5], [4, 5], [4, 5]]
    assert padded(rows, 3) is rows


# Recipes


def test_a_recipe_states_every_number_and_steps_can_be_named() -> None:
    for quality in ("draft", "standard", "paper"):
        chosen = recipe.choose(quality, None)
        assert set(chosen.describe()) >= {"steps", "rate", "clip", "first_decay", "second_decay", "algorithm"}
        named = recipe.choose(quality, 7)
        assert named.describe() == {**chosen.describe(), "steps": 7}
    assert (
        recipe.choose("draft", None).steps < recipe.choose("standard", None).steps < recipe.choose("paper", None).steps
    )
