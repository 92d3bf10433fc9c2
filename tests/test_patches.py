"""Sign patches: the affine form of a first layer, the mean that a tiling is predicted to reach, and the bound that it does reach."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from reportgen.compute.patterns import patches
from reportgen.compute.patterns.ascent import Ascent, Breadth
from reportgen.compute.patterns.found import PATCHES
from reportgen.compute.patterns.patches import Affine
from small_models import QUICK, functional, layers, network, randomised

GIVEN = dataclasses.replace(QUICK, strongest_steps=1)
Stack = Callable[[], list[Any]]


def made(
    stack: list[Any], shape: tuple[int, ...] = (20, 21, 3), path: str = "conv", size: Any = None, **settings: Any
) -> Ascent:
    walked = network(randomised(functional(*stack, shape=shape), seed=1), **{"preprocess": "unit", **settings})
    layer_call = next(item for item in walked.layer_calls if item.path == path)
    recipe = GIVEN if shape[-1] == 3 else dataclasses.replace(GIVEN, decorrelation="none")
    return Ascent(walked, layer_call, size or shape[:-1], Breadth(4), recipe, 0)


def exact(sought: Ascent) -> Affine:
    assert sought._affine is not None
    place, window = sought._affine
    level, slope = sought._slopes(np.arange(4), place, sought._grey())
    inner = tuple(slice(first, last + 1) for first, last in window)
    stride = tuple(axis.shift for axis in sought._layer_call.view.axes or ())
    return Affine(slope[(slice(None), *inner)], level, tuple(first for first, _ in window), stride)


def conv(**named: Any) -> Any:
    return layers.Conv2D(4, 3, activation="relu", name="conv", **named)


AFFINE: dict[str, tuple[Stack, dict[str, Any]]] = {
    "plain": (lambda: [conv()], {}),
    "same": (lambda: [conv(padding="same")], {}),
    "strides": (lambda: [conv(strides=2, padding="same")], {}),
    "long strides": (lambda: [layers.Conv2D(4, (5, 4), strides=(3, 2), name="conv")], {}),
    "rescaling": (lambda: [layers.Rescaling(1 / 127.5, offset=-1), conv()], {"preprocess": "none"}),
    "normalisation": (
        lambda: [layers.Normalization(mean=[9, 8, 7], variance=[4, 5, 6]), conv()],
        {"preprocess": "none"},
    ),
    "caffe": (lambda: [conv()], {"preprocess": "caffe"}),
    "batch normalisation": (
        lambda: [layers.Conv2D(4, 3, name="conv"), layers.BatchNormalization(), layers.ReLU()],
        {},
    ),
    "two layers": (lambda: [layers.Conv2D(3, 3), conv()], {}),
    "one band": (lambda: [conv()], {"shape": (20, 21, 1)}),
    "signal": (
        lambda: [layers.Conv1D(4, 5, strides=2, padding="same", activation="relu", name="conv")],
        {"shape": (40, 2)},
    ),
}


@pytest.mark.parametrize("name", AFFINE)
def test_the_affine_form_gives_what_the_layer_answers_and_a_tilings_mean_is_predicted(name: str) -> None:
    stack, named = AFFINE[name]
    sought = made(stack(), **named)
    form, size = exact(sought), sought._size
    assert sought._affine is not None
    place, window = sought._affine
    bands = form.slope.shape[-1]
    shown = np.random.default_rng(0).random((4, *size, bands)).astype(np.float32)
    answered, _ = sought.slope.at_position(shown, np.arange(4), place)
    seen = shown[(slice(None), *(slice(first, last + 1) for first, last in window))] - 0.5
    expected = form.level + (seen * form.slope).reshape(4, -1).sum(1)
    np.testing.assert_allclose(answered, expected, rtol=1e-3, atol=1e-3)
    # The bound, by the picture that reaches it there.
    signs = np.full((4, *size, bands), 0.5, np.float32)
    signs[(slice(None), *(slice(first, last + 1) for first, last in window))] += np.sign(form.slope) / 2
    reached, _ = sought.slope.at_position(signs, np.arange(4), place)
    np.testing.assert_allclose(reached, form.bound, rtol=1e-3)
    # The mean of the map that a tile makes, over whole periods of it.
    period = tuple(2 * stride for stride in form.stride)
    tile = np.random.default_rng(1).random((4, *period, bands))
    filled = form._filled(tile, size).astype(np.float32)
    ((maps, _),) = _maps(sought, filled)
    inner = tuple(slice(at - at % 2 - 2, at - at % 2 + 2) for at in place)
    own = np.stack([maps[number][(*inner, number)] for number in range(4)]).reshape(4, -1)
    np.testing.assert_allclose(form._mean(tile, True), np.maximum(own, 0).mean(1), rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(form._mean(tile, False), own.mean(1), rtol=2e-3, atol=2e-3)


def _maps(sought: Ascent, shown: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    from reportgen.network.backend import tf
    from reportgen.network.contract import as_shown

    def read(pictures: Any) -> Any:
        walked = sought._network
        return walked.units(walked.feed(as_shown(walked.contract, pictures)), [sought._layer_call])

    return [(np.asarray(one), np.asarray(two)) for one, two in tf.function(read, autograph=False)(tf.constant(shown))]


def test_a_size_that_same_padding_divides_otherwise_moves_what_a_position_sees() -> None:
    """Traced at 20 pixels, where nothing is padded in front, and sought at 21."""
    sought = made([conv(strides=2, padding="same")], shape=(None, None, 3), size=(21, 21), image_size=20)
    form = exact(sought)
    assert (form.slope != 0).all()
    _, whole = form.tilings((21, 21), True)
    ((maps, _),) = _maps(sought, whole)
    for number in range(4):
        assert maps[number, ..., number].max() == pytest.approx(form.bound[number], rel=1e-4)


@pytest.mark.parametrize("strides", [1, 2])
def test_a_tiling_of_whole_patches_reaches_the_bound(strides: int) -> None:
    sought = made([conv(strides=strides)])
    form = exact(sought)
    found = sought.seek(range(4))
    assert (found.highest_peak >= 0.99 * form.bound).all()
    assert (found.highest_peak <= form.bound * 1.0001).all()
    assert (found.strongest_search == PATCHES).any() or (found.highest_search == PATCHES).any()
    assert (found.best_pre_activation <= form.bound * 1.0001).all()


def test_each_filter_begins_at_its_tiling_or_where_it_stands_and_steps_accordingly() -> None:
    """Whatever the others of its batch do."""
    sought = made([conv()])
    found = sought.seek(range(4))
    never = np.where(np.arange(4) == 2, np.inf, 0).astype(np.float32)
    kept, begin, rates = sought._before_search(dataclasses.replace(found, strongest_activation=never))
    assert rates.tolist() == pytest.approx([0.06, 0.06, 0.3, 0.06])
    assert (kept.strongest_search == PATCHES).tolist()[:2] == [True, True]
    np.testing.assert_allclose(begin[2], found.images[2] / 255, rtol=1e-6)
    tilings, _ = exact(sought).tilings((20, 21), True)
    np.testing.assert_array_equal(begin[[0, 1, 3]], tilings[[0, 1, 3]])


def test_the_best_tilings_are_the_best_of_all_that_are_tried() -> None:
    form = Affine(np.random.default_rng(0).normal(size=(3, 4, 3, 2)), np.array([0.1, -2, 0]), (1, 0), (2, 1))
    patch = 0.5 + np.sign(form.slope) / 2
    means = {(period, gap): form._mean(patches._tile(patch, period, gap), True) for period, gap in form._choices()}
    best, whole = form.tilings((24, 24), True)
    for number in range(3):
        for pictures, allowed in (
            (best, list(means)),
            (whole, [key for key in means if key[0] >= (4, 3) and key[0][1] >= 3]),
        ):
            period, gap = max(allowed, key=lambda key: means[key][number])
            expected = form._filled(patches._tile(patch, period, gap), (24, 24))[number]
            np.testing.assert_array_equal(pictures[number], expected)


def test_a_filter_that_is_not_finite_spoils_no_tiling() -> None:
    slope = np.random.default_rng(0).normal(size=(3, 3, 3, 1))
    whole = Affine(slope, np.zeros(3), (0, 0), (1, 1)).tilings((9, 9), True)
    slope[1, 0, 0, 0] = np.nan
    spoiled = Affine(slope, np.zeros(3), (0, 0), (1, 1)).tilings((9, 9), True)
    for one, other in zip(whole, spoiled, strict=True):
        assert one[[0, 2]].tobytes() == other[[0, 2]].tobytes()


NOT_AFFINE: dict[str, tuple[Stack, dict[str, Any]]] = {
    "behind a rectifier": (lambda: [layers.Conv2D(3, 3, activation="relu"), conv()], {}),
    "behind tanh": (lambda: [layers.Activation("tanh"), conv()], {}),
    "behind pooling": (lambda: [layers.MaxPooling2D(2), conv()], {}),
    "more than the picture": (lambda: [layers.Conv2D(4, 21, padding="same", name="conv")], {"shape": (20, 20, 3)}),
    "upsampled": (lambda: [layers.UpSampling2D(2), conv()], {}),
}


@pytest.mark.parametrize("name", NOT_AFFINE)
def test_what_is_not_affine_is_not_taken_for_it(name: str) -> None:
    stack, named = NOT_AFFINE[name]
    assert made(stack(), **named)._affine is None


def test_filters_agree_where_their_slopes_do_whatever_the_others_are() -> None:
    one = np.random.default_rng(0).normal(size=(3, 5, 5, 2))
    other = one.copy()
    assert patches.agree(one, other) is True
    other[1] *= 1.01
    assert patches.agree(one, other) is False
    one[1, 0, 0, 0] = np.nan
    assert patches.agree(one, other) is True
    assert patches.agree(0 * other, 0 * other) is None
