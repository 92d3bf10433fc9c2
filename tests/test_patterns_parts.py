"""The parts of an ascent, each against its definition: randomness, Fourier planes, bands, warps, objectives, recipes."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from math import cos, sin
from typing import Any

import numpy as np
import pytest

from reportgen.compute.activation_scores import padded, trimmed
from reportgen.compute.patterns import colour, fourier, parameterization, recipe, reductions, transforms
from reportgen.compute.patterns.randomness import derived_seed, generator
from reportgen.core.settings import Settings
from reportgen.network.backend import tf

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
    before = np.random.get_state()[1].tobytes()  # type: ignore[index]
    first = generator(5).standard_normal(4)
    np.testing.assert_array_equal(first, generator(5).standard_normal(4))
    assert not np.array_equal(first, generator(6).standard_normal(4))
    assert np.random.get_state()[1].tobytes() == before  # type: ignore[index]


def test_random_numbers_are_those_that_earlier_reports_used() -> None:
    """A change here changes every picture: it needs another `algorithm` in the recipe."""
    np.testing.assert_allclose(generator(1).standard_normal(3), STANDARD_NORMAL_OF_SEED_1)


STANDARD_NORMAL_OF_SEED_1 = np.random.Generator(np.random.Philox(key=1)).standard_normal(3)


# Fourier planes


@pytest.mark.parametrize(("height", "width"), [(8, 8), (7, 9), (12, 5), (1, 6)])
def test_planes_are_the_inverse_transform_of_the_scaled_spectrum(height: int, width: int) -> None:
    spectra = (
        np.random.default_rng(0).standard_normal((2, *fourier.spectrum_shape((height, width), 3))).astype(np.float32)
    )
    found = np.asarray(fourier.to_planes(tf.constant(spectra), (height, width)))
    scaled = (spectra[..., 0] + 1j * spectra[..., 1]) * fourier.frequency_scale((height, width))
    expected = np.fft.irfft2(scaled.astype(np.complex128), (height, width)).transpose(0, 2, 3, 1) / 4
    assert found.shape == (2, height, width, 3)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_each_frequency_moves_at_the_pace_of_natural_images() -> None:
    scale = fourier.frequency_scale((16, 16))
    assert scale.shape == (16, 9)
    assert scale[0, 1] == scale[1, 0] == pytest.approx(16 * 16)
    assert scale[0, 0] == pytest.approx(fourier.MEAN_GAIN * 16 * 16)
    assert scale[0, 4] == pytest.approx(16 / (4 / 16))
    assert scale[3, 4] == scale[-3, 4] == pytest.approx(16 / (5 / 16))
    assert (fourier.frequency_scale((9, 16))[1:] < np.sqrt(9 * 16) * 16 + 1).all()


def mixing_of(bands: int) -> np.ndarray | None:
    """What a recipe mixes so many bands by: nothing for one, ImageNet's for three, one with all numbers different for others."""
    if bands == 1:
        return None
    if bands == 3:
        return colour.imagenet()
    return (np.eye(bands) + np.random.default_rng(bands).uniform(-0.2, 0.2, (bands, bands))).astype(np.float32)


BANDS = [1, 2, 3, 4, 12]


@pytest.mark.parametrize("bands", BANDS)
def test_the_spectrum_of_a_plain_colour_is_that_colour_everywhere(bands: int) -> None:
    wanted = np.random.default_rng(0).uniform(0.1, 0.9, (4, bands)).astype(np.float32)
    mixing = mixing_of(bands)
    made = parameterization.make(recipe.OPTVIS, (7, 10), bands, mixing)
    coefficients = made.plain(colour.unmixed(np.log(wanted / (1 - wanted)), mixing))
    assert coefficients.shape == (4, *made.shape) == (4, bands, 7, 6, 2)
    found = np.asarray(made.to_pictures(tf.constant(coefficients)))
    np.testing.assert_allclose(found, np.broadcast_to(wanted[:, None, None], found.shape), rtol=1e-4)


def test_the_pixels_of_a_plain_colour_are_that_colour_everywhere() -> None:
    planes = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    np.testing.assert_array_equal(
        parameterization.pixels().plain(planes, (2, 5)), np.tile(planes[:, None, None], (1, 2, 5, 1))
    )


def test_a_start_is_faint_smooth_and_its_seeds_own() -> None:
    start = fourier.start(5, (32, 32), 3)
    assert start.shape == (3, 32, 17, 2)
    assert start.dtype == np.float32
    assert start.std() == pytest.approx(0.01, rel=0.05)
    assert start.tobytes() == fourier.start(5, (32, 32), 3).tobytes()
    assert start.tobytes() != fourier.start(6, (32, 32), 3).tobytes()
    made = parameterization.make(recipe.OPTVIS, (32, 32), 3, colour.imagenet())
    assert made.start(5).tobytes() == start.tobytes()
    pictures = np.asarray(made.to_pictures(start[None]))
    assert 0.35 < pictures.min() < pictures.max() < 0.65


def test_a_pixel_start_is_even_noise_around_grey_and_its_seeds_own() -> None:
    start = parameterization.pixels().start(5, (40, 50), 3)
    assert start.shape == (40, 50, 3)
    assert start.dtype == np.float32
    assert -0.125 <= start.min() < -0.124
    assert 0.124 < start.max() < 0.125
    assert np.histogram(start, 5)[0] == pytest.approx(np.full(5, 1200), rel=0.1)
    assert start.tobytes() == parameterization.pixels().start(5, (40, 50), 3).tobytes()
    assert start.tobytes() != parameterization.pixels().start(6, (40, 50), 3).tobytes()


# Finished pictures


def test_a_picture_within_limits_is_rounded_to_eight_bits() -> None:
    shown = np.array([0, 0.4 / 255, 0.6 / 255, 0.5, 254.4 / 255, 254.6 / 255, 1], np.float32).reshape(1, 1, 7, 1)
    assert np.asarray(parameterization.rounded(shown)).reshape(-1).tolist() == [0, 0, 1, 128, 254, 255, 255]


def test_a_standardised_picture_has_its_own_mean_and_deviation_whatever_is_beside_it() -> None:
    random = np.random.default_rng(0)
    shown = np.stack([random.normal(5, 2, (20, 30, 3)), random.normal(-1, 0.01, (20, 30, 3)), np.full((20, 30, 3), 7)])
    found = np.asarray(parameterization.standardized(tf.constant(shown.astype(np.float32))))
    assert found.dtype == np.uint8
    for number in range(3):
        values = 2 * shown[number].astype(np.float32).astype(np.float64) - 1
        values = (values - values.mean()) / (values.std() + 1e-5) * 0.15 + 0.5
        expected = (np.clip(values, 0, 1) * 255).astype(np.uint8)
        different = np.abs(found[number].astype(int) - expected)
        assert different.max() <= 1
        assert (different > 0).mean() < 0.01  # truncation: a value just below a whole grey level
    assert np.asarray(found[:2].mean(axis=(1, 2, 3))) == pytest.approx([127, 127], abs=1)
    assert np.asarray(found[:2].std(axis=(1, 2, 3))) == pytest.approx([0.15 * 255] * 2, rel=0.02)
    assert (found[2] == 127).all()


# Bands


def test_colour_directions_are_those_of_the_published_correlation() -> None:
    matrix = colour.imagenet()
    root = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])
    assert matrix.dtype == np.float32
    assert np.linalg.norm(matrix, axis=0).max() == pytest.approx(1)
    left, lengths, right = np.linalg.svd(root)
    assert lengths[1] < 0.3 * lengths[0]
    found = left.T @ matrix @ right.T  # in the published directions nothing is mixed, and none is slow
    np.testing.assert_allclose(found, found[0, 0] * np.diag([1, 0.6, 0.6]), atol=1e-6)


@pytest.mark.parametrize("bands", BANDS)
def test_each_band_is_its_own_mixture_of_the_planes(bands: int) -> None:
    planes = np.random.default_rng(0).standard_normal((2, 3, 4, bands)).astype(np.float32)
    mixing = mixing_of(bands)
    found = np.asarray(colour.mixed(tf.constant(planes), mixing))
    expected = np.empty_like(planes)
    for band in range(bands):
        expected[..., band] = (
            planes[..., band]
            if mixing is None
            else sum(mixing[band, plane] * planes[..., plane] for plane in range(bands))
        )
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bands", BANDS)
def test_unmixed_planes_mix_into_what_they_came_from(bands: int) -> None:
    values = np.random.default_rng(0).standard_normal((5, bands)).astype(np.float32)
    mixing = mixing_of(bands)
    planes = colour.unmixed(values, mixing)
    assert planes.dtype == np.float32
    back = np.asarray(colour.mixed(tf.constant(planes[:, None, None, :]), mixing))[:, 0, 0]
    np.testing.assert_allclose(back, values, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("bands", BANDS)
def test_limits_are_the_logistic_function_or_none(bands: int) -> None:
    mixing = mixing_of(bands)
    pixel = dataclasses.replace(recipe.OPTVIS, parameterization=parameterization.pixels())
    planes = np.random.default_rng(0).standard_normal((2, 3, 4, bands)).astype(np.float32)
    mixed = planes if mixing is None else planes @ mixing.T
    found = parameterization.make(pixel, (3, 4), bands, mixing).to_pictures(planes)
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-mixed)), rtol=1e-4)
    free = dataclasses.replace(pixel, limits="standardized")
    found = parameterization.make(free, (3, 4), bands, mixing).to_pictures(3 * planes)
    np.testing.assert_allclose(found, (3 * mixed + 1) / 2, rtol=1e-4, atol=1e-4)


def some_pictures(bands: int) -> list[np.ndarray]:
    """uint8 pictures of different sizes whose bands rise and fall together, each direction with its own variance."""
    random = np.random.default_rng(bands)
    directions = np.linalg.qr(random.standard_normal((bands, bands)))[0] * 40 / np.arange(1, bands + 1)
    sizes = [(20, 31), (25, 18)]
    return [
        np.clip(random.standard_normal((*size, bands)) @ directions.T + 127, 0, 255).astype(np.uint8) for size in sizes
    ]


@pytest.mark.parametrize("bands", BANDS)
def test_bands_are_mixed_along_the_directions_that_vary_independently_in_the_images(bands: int) -> None:
    images = some_pictures(bands)
    found = colour.estimated(iter(images))
    assert found is not None
    assert found.shape == (bands, bands)
    assert found.dtype == np.float32
    values = np.concatenate([image.reshape(-1, bands) for image in images]).astype(np.float64)
    variances, directions = np.linalg.eigh(np.atleast_2d(np.cov(values.T, bias=True)))
    lengths = np.linalg.norm(found, axis=0)
    np.testing.assert_allclose(lengths, np.maximum(np.sqrt(variances[::-1] / variances.max()), 0.6), rtol=1e-4)
    restart_similarity = np.abs((found / lengths).T @ directions[:, ::-1])
    np.testing.assert_allclose(restart_similarity, np.eye(bands), atol=1e-3)
    assert (found.sum(axis=0) >= 0).all()


def test_bands_that_hardly_vary_still_move() -> None:
    """A constant band and one that repeats another: two directions without any variance, kept at 0.6 of the fastest."""
    image = np.random.default_rng(0).integers(0, 256, (30, 30, 4), dtype=np.uint8)
    image[..., 1], image[..., 3] = 100, image[..., 0]
    found = colour.estimated([image])
    assert found is not None
    lengths = np.linalg.norm(found, axis=0)
    assert lengths[0] == pytest.approx(1)
    assert lengths[2:] == pytest.approx([0.6, 0.6], rel=1e-4)
    np.testing.assert_allclose((found / lengths).T @ (found / lengths), np.eye(4), atol=1e-5)
    np.testing.assert_allclose(np.abs(found[:, 0]), [np.sqrt(0.5), 0, 0, np.sqrt(0.5)], atol=0.05)


@pytest.mark.parametrize("bands", [1, 3, 12])
def test_images_of_one_colour_say_nothing_of_their_bands(bands: int) -> None:
    assert colour.estimated([np.full((9, 8, bands), 77, np.uint8)] * 2) is None
    assert colour.estimated([]) is None


def test_an_almost_constant_image_still_counts() -> None:
    image = np.full((30, 30, 3), 200, np.uint8)
    image[0, 0, 1] = 201
    found = colour.estimated([image])
    assert found is not None
    assert np.isfinite(found).all()
    np.testing.assert_allclose(np.abs(found[:, 0]), [0, 1, 0], atol=1e-5)


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
    warp = transforms.affine(size, numbers[:2], *numbers[2:])
    found = np.asarray(transforms.apply(tf.constant(pictures), warp.sources, warp.weights))
    np.testing.assert_allclose(found, slow_warp(pictures, *numbers), atol=1e-5)


def test_no_warp_is_exactly_the_identity() -> None:
    pictures = np.random.default_rng(0).uniform(size=(2, 7, 8, 3)).astype(np.float32)
    warp = transforms.affine((7, 8), (0, 0), 1, 0)
    np.testing.assert_array_equal(transforms.apply(tf.constant(pictures), warp.sources, warp.weights), pictures)


def test_the_gradient_of_a_warp_is_its_transpose() -> None:
    """<W x, y> = <x, W' y>: a linear map's gradient is exact or wrong."""
    random = np.random.default_rng(0)
    given = tf.constant(random.uniform(size=(2, 9, 12, 3)).astype(np.float32))
    target = random.uniform(size=(2, 9, 12, 3)).astype(np.float32)
    warp = transforms.draw(0, 3, (9, 12))
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
        warp = transforms.draw(1, step, (10, 14))
        assert warp.sources.dtype == np.int32
        assert warp.weights.dtype == np.float32
        assert 0 <= warp.sources.min() <= warp.sources.max() < 140
        assert warp.weights.min() >= -1e-6
        np.testing.assert_allclose(warp.weights.sum(0), 1, rtol=1e-5)


def test_a_drawn_warp_depends_on_seed_and_step_alone() -> None:
    first = transforms.draw(3, 4, (8, 8))
    generator(9).standard_normal(1000)
    transforms.draw(5, 6, (20, 20))
    again = transforms.draw(3, 4, (8, 8))
    assert first.sources.tobytes() == again.sources.tobytes()
    assert first.weights.tobytes() == again.weights.tobytes()
    others = [transforms.draw(3, 5, (8, 8)), transforms.draw(4, 4, (8, 8))]
    assert all(other.weights.tobytes() != first.weights.tobytes() for other in others)


@pytest.mark.parametrize("strength", [1.0, 2.0])
def test_drawn_warps_stay_within_their_limits_and_come_near_them(strength: float) -> None:
    """Read off the map itself: where the centre and its neighbours to either side come from."""
    height = width = 65
    grid = np.stack(np.meshgrid(np.arange(65.0), np.arange(65.0), indexing="ij"), -1).reshape(-1, 2)
    shifts, scales, angles = [], [], []
    for step in range(60):
        warp = transforms.draw(0, step, (height, width), strength)
        position = (grid[warp.sources] * warp.weights[..., None]).sum(0).reshape(65, 65, 2)
        across = (position[32, 36] - position[32, 28]) / 8
        scales.append(1 / np.linalg.norm(across) - 1)
        angles.append(np.arctan2(across[0], across[1]))
        shifts.append(np.linalg.norm(position[32, 32] - 32) * (1 + scales[-1]))
    for found, limit in ((scales, 0.05), (angles, 5 * np.pi / 180)):
        limit *= strength
        assert -1.01 * limit <= min(found) < -0.7 * limit < 0.7 * limit < max(found) <= 1.01 * limit
    limit = strength / 32 * 65
    assert 0.8 * limit < max(shifts) <= 1.42 * limit  # to both sides at once


# Objectives and figures


@pytest.mark.parametrize("border", [0, 1, 2, 5])
@pytest.mark.parametrize("leaky", [False, True])
def test_the_objective_is_the_mean_of_each_trimmed_map(leaky: bool, border: int) -> None:
    maps = np.random.default_rng(0).standard_normal((3, 7, 4, 5)).astype(np.float32)
    found = np.asarray(reductions.means(tf.constant(maps), border, leaky))
    rows, columns = min(border, 3), min(border, 1)
    inner = maps[:, rows : 7 - rows, columns : 4 - columns].astype(np.float64)
    expected = np.where(inner > 0, inner, 0.1 * inner) if leaky else inner
    assert (maps < 0).any()
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected.mean((1, 2)), rtol=1e-5, atol=1e-7)


def test_total_variation_is_the_sum_of_differences_of_neighbours() -> None:
    shown = np.random.default_rng(0).uniform(size=(3, 5, 7, 2)).astype(np.float32)
    expected = np.zeros(3)
    for y in range(5):
        for x in range(7):
            if y + 1 < 5:
                expected += np.abs(shown[:, y + 1, x] - shown[:, y, x]).sum(1)
            if x + 1 < 7:
                expected += np.abs(shown[:, y, x + 1] - shown[:, y, x]).sum(1)
    np.testing.assert_allclose(reductions.total_variation(tf.constant(shown)), expected, rtol=1e-5)


def test_l2_is_half_the_squared_distance_from_grey() -> None:
    shown = np.random.default_rng(0).uniform(size=(3, 5, 7, 2)).astype(np.float32)
    expected = [sum((value - 0.5) ** 2 for value in picture.reshape(-1).tolist()) / 2 for picture in shown]
    np.testing.assert_allclose(reductions.l2(tf.constant(shown)), expected, rtol=1e-5)
    assert np.asarray(reductions.l2(tf.fill((2, 4, 4, 3), 0.5))).tolist() == [0, 0]


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


def chosen(bands: int = 3, have_images: bool = True, **settings: Any) -> recipe.Recipe:
    return recipe.choose(Settings(**settings), bands, have_images)


def test_a_recipe_states_every_number_and_steps_can_be_named() -> None:
    for quality, pixel_steps in (("draft", 3), ("standard", 4), ("paper", 2)):
        stated = chosen(quality=quality).describe()
        assert set(stated) == {*(field.name for field in dataclasses.fields(recipe.Recipe)), "total_variation", "l2"}
        assert set(stated) >= {
            "steps",
            "learning_rate",
            "clip_value",
            "optimizer",
            "decorrelation",
            "restarts",
            "algorithm",
        }
        assert json.loads(json.dumps(stated)) == stated
        assert chosen(quality=quality, steps=7).describe() == {**stated, "steps": 7, "pixel_steps": pixel_steps}
    draft, standard, paper = (chosen(quality=quality).steps for quality in ("draft", "standard", "paper"))
    assert draft < standard < paper


def test_the_keras_io_recipe_has_the_articles_numbers_whatever_the_quality() -> None:
    for quality in ("draft", "paper"):
        stated = chosen(method="keras-io", quality=quality)
        assert stated == recipe.KERAS_IO
    assert (stated.steps, stated.learning_rate, stated.optimizer, stated.schedule) == (30, 10, "sgd", "constant")
    assert (str(stated.parameterization), stated.decorrelation, stated.limits) == ("pixel", "none", "standardized")
    assert (str(stated.objective), stated.transforms) == ("channel('activation')", ())
    assert (stated.clip_value, stated.redirected_relu) == (None, False)
    assert (stated.trim, stated.objective.penalties, stated.restarts) == (2, {}, 1)


@pytest.mark.parametrize("method", ["optvis", "keras-io"])
@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ({"steps": 3}, {"steps": 3, "pixel_steps": 1}),
        ({"parameterization": "fourier"}, {"parameterization": "fourier", "pixel_steps": 0}),
        ({"parameterization": "pixel"}, {"parameterization": "pixel", "pixel_steps": 0}),
        ({"learning_rate": 0.25}, {"learning_rate": 0.25, "pixel_steps": 0}),
        ({"optimizer": "lion"}, {"optimizer": "lion", "pixel_steps": 0}),
        ({"objective": "pre-activation"}, {"objective": "pre-activation"}),
        ({"clip_norm": 1.5}, {"clip_norm": 1.5, "pixel_steps": 0}),
        ({"trim": 0}, {"trim": 0}),
        ({"regularize": "tv=0.5"}, {"total_variation": 0.5}),
        ({"regularize": "l2=2,tv=0"}, {"l2": 2, "total_variation": 0}),
        ({"restarts": 3}, {"restarts": 3}),
        ({"decorrelate": True}, {"decorrelation": "imagenet"}),
        ({"decorrelate": False}, {"decorrelation": "none"}),
        ({"transforms": True}, {"transforms": ["jitter(share=0.03125)", "scale(0.95, 1.05)", "rotate(5)"]}),
        ({"transforms": False}, {"transforms": []}),
        ({"negative": True, "outputs": "1", "seed": 4}, {}),
    ],
    ids=str,
)
def test_each_setting_replaces_its_own_piece_of_the_recipe_and_no_other(
    method: str, named: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Where other steps are asked for, none moves single pixels."""
    if method == "keras-io":  # which never does
        expected = {name: value for name, value in expected.items() if name != "pixel_steps"}
    assert chosen(method=method, **named).describe() == {**chosen(method=method).describe(), **expected}


def test_the_keras_io_recipe_optimizes_pixels_anyway() -> None:
    assert chosen(method="keras-io", parameterization="pixel") == recipe.KERAS_IO
    assert chosen(parameterization="fourier") == dataclasses.replace(recipe.OPTVIS, pixel_steps=0)


@pytest.mark.parametrize(
    ("bands", "have_images", "expected"),
    [
        (1, True, "none"),
        (1, False, "none"),
        (2, True, "images"),
        (2, False, "none"),
        (3, True, "imagenet"),
        (3, False, "imagenet"),
        (4, True, "images"),
        (12, True, "images"),
        (12, False, "none"),
    ],
)
def test_the_correlation_of_bands_is_imagenets_for_three_and_the_images_own_for_others(
    bands: int, have_images: bool, expected: str
) -> None:
    assert chosen(bands, have_images).decorrelation == expected
    assert chosen(bands, have_images, decorrelate=True, method="keras-io").decorrelation == expected
    assert chosen(bands, have_images, decorrelate=False).decorrelation == "none"
    assert chosen(bands, have_images, method="keras-io").decorrelation == "none"


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [(180, 180, 25), (360, 360, 50), (90, 90, 12), (180, 400, 25), (64, 32, 4), (7, 7, 0)],
)
def test_the_keras_io_border_is_left_out_of_display_in_proportion(height: int, width: int, expected: int) -> None:
    assert (
        recipe.display_crop(recipe.KERAS_IO, (height, width)) == expected == int(25 / 180 * min(height, width) + 1e-9)
    )
    assert recipe.display_crop(recipe.KERAS_IO.describe(), (height, width)) == expected
    for other in recipe.QUALITIES.values():
        assert (
            recipe.display_crop(other, (height, width)) == recipe.display_crop(other.describe(), (height, width)) == 0
        )


# Signals and volumes


@pytest.mark.parametrize("size", [(9,), (10,), (4, 5, 6)])
def test_signals_and_volumes_are_the_inverse_transform_of_their_scaled_spectrum(size: tuple[int, ...]) -> None:
    spectra = np.random.default_rng(0).standard_normal((2, *fourier.spectrum_shape(size, 3))).astype(np.float32)
    scaled = (spectra[..., 0] + 1j * spectra[..., 1]) * fourier.frequency_scale(size)
    expected = np.moveaxis(np.fft.irfftn(scaled, size, axes=range(2, 2 + len(size))), 1, -1) / fourier.MAGIC
    found = np.asarray(fourier.to_planes(tf.constant(spectra), size))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_a_warp_of_a_signal_samples_it_between_its_steps() -> None:
    signal = np.random.default_rng(0).uniform(size=(2, 12, 3)).astype(np.float32)
    warp = transforms.affine((12,), (0.75,), 1.1, 0.3)
    places = (np.arange(12) - 5.5 - 0.75) / 1.1 + 5.5
    mirrored = np.where(places < 0, -places, np.where(places > 11, 22 - places, places))
    found = np.asarray(transforms.apply(tf.constant(signal), warp.sources, warp.weights))
    for number, band in np.ndindex(2, 3):
        expected = np.interp(mirrored, np.arange(12), signal[number, :, band])
        np.testing.assert_allclose(found[number, :, band], expected, rtol=1e-5)


def test_a_warp_of_a_volume_moves_it_along_every_axis() -> None:
    volume = np.random.default_rng(0).uniform(size=(1, 4, 5, 6, 2)).astype(np.float32)
    warp = transforms.affine((4, 5, 6), (1, -1, 2), 1, 0)
    found = np.asarray(transforms.apply(tf.constant(volume), warp.sources, warp.weights))
    np.testing.assert_allclose(found[:, 1:, :4, 2:], volume[:, :3, 1:, :4], rtol=1e-6)
