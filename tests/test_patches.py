"""Sign patches: the affine form of a first layer, the mean that a tiling is predicted to reach, and the bound that it does reach."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from reportgen.compute.patterns.ascent import Ascent
from reportgen.compute.patterns.results import Search
from reportgen.compute.patterns.search import sign_patches
from reportgen.compute.patterns.search.gradient import ObjectiveGradient
from reportgen.compute.patterns.search.sign_patches import Affine, SignPatches
from reportgen.compute.patterns.shared import Shared
from reportgen.network.backend import tf
from reportgen.network.contract import as_shown
from reportgen.network.graph.layer_calls import LayerCall
from reportgen.network.network import Network
from small_models import QUICK, ascent, functional, layers, network, randomised

GIVEN = dataclasses.replace(QUICK, strongest_steps=1)
Stack = Callable[[], list[Any]]


@dataclasses.dataclass(frozen=True)
class Traced:
    """A layer call with the gradient of its units; patches: None where these are not affine."""

    network: Network
    layer_call: LayerCall
    size: tuple[int, ...]
    gradient: ObjectiveGradient
    patches: SignPatches | None

    @property
    def affine(self) -> Affine:
        """Of the first four filters."""
        assert self.patches is not None
        return self.patches.affine(np.arange(4))


def made(
    stack: list[Any], shape: tuple[Any, ...] = (20, 21, 3), path: str = "conv", size: Any = None, **settings: Any
) -> Traced:
    walked = network(randomised(functional(*stack, shape=shape), seed=1), **{"preprocess": "unit", **settings})
    layer_call = next(item for item in walked.layer_calls if item.path == path)
    size = size or shape[:-1]
    gradient = ObjectiveGradient(walked, layer_call, size, GIVEN, Shared(walked, GIVEN, 0).pipeline(size, 4))
    return Traced(walked, layer_call, size, gradient, SignPatches.find(layer_call, size, gradient, 0))


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
def test_the_affine_form_gives_what_the_layer_gives_and_a_tilings_mean_is_predicted(name: str) -> None:
    stack, named = AFFINE[name]
    sought = made(stack(), **named)
    form, size = sought.affine, sought.size
    assert sought.patches is not None
    place, window = sought.patches.place, sought.patches.window
    bands = form.gradient.shape[-1]
    shown = np.random.default_rng(0).random((4, *size, bands)).astype(np.float32)
    answered, _ = sought.gradient.at_position(shown, np.arange(4), place)
    seen = shown[(slice(None), *(slice(first, last + 1) for first, last in window))] - 0.5
    expected = form.level + (seen * form.gradient).reshape(4, -1).sum(1)
    np.testing.assert_allclose(answered, expected, rtol=1e-3, atol=1e-3)
    # The bound, by the picture that reaches it there.
    signs = np.full((4, *size, bands), 0.5, np.float32)
    signs[(slice(None), *(slice(first, last + 1) for first, last in window))] += np.sign(form.gradient) / 2
    reached, _ = sought.gradient.at_position(signs, np.arange(4), place)
    np.testing.assert_allclose(reached, form.bound, rtol=1e-3)
    # The mean of the map that a tile makes, over whole periods of it.
    period = tuple(2 * stride for stride in form.stride)
    tile = np.random.default_rng(1).random((4, *period, bands))
    filled = form.filled(tile, size).astype(np.float32)
    ((maps, _),) = _maps(sought, filled)
    inner = tuple(slice(at - at % 2 - 2, at - at % 2 + 2) for at in place)
    own = np.stack([maps[number][(*inner, number)] for number in range(4)]).reshape(4, -1)
    np.testing.assert_allclose(form.mean(tile, True), np.maximum(own, 0).mean(1), rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(form.mean(tile, False), own.mean(1), rtol=2e-3, atol=2e-3)


def _maps(sought: Traced, shown: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    def read(pictures: Any) -> Any:
        walked = sought.network
        return walked.units(walked.feed(as_shown(walked.contract, pictures)), [sought.layer_call])

    return [(np.asarray(one), np.asarray(two)) for one, two in tf.function(read, autograph=False)(tf.constant(shown))]


def test_a_size_that_same_padding_divides_otherwise_moves_what_a_position_sees() -> None:
    """Traced at 20 pixels, where nothing is padded in front, and optimized at 21."""
    sought = made([conv(strides=2, padding="same")], shape=(None, None, 3), size=(21, 21), image_size=20)
    form = sought.affine
    assert (form.gradient != 0).all()
    _, whole = form.tilings((21, 21), True)
    ((maps, _),) = _maps(sought, whole)
    for number in range(4):
        assert maps[number, ..., number].max() == pytest.approx(form.bound[number], rel=1e-4)


def ascending(layer: Any) -> Ascent:
    return ascent(randomised(functional(layer, shape=(20, 21, 3)), seed=1), recipe=GIVEN)


@pytest.mark.parametrize("strides", [1, 2])
def test_a_tiling_of_whole_patches_reaches_the_bound(strides: int) -> None:
    form = made([conv(strides=strides)]).affine
    found = ascending(conv(strides=strides)).find(range(4))
    assert (found.highest_peak >= 0.99 * form.bound).all()
    assert (found.highest_peak <= form.bound * 1.0001).all()
    assert (found.strongest_search == Search.SIGN_PATCHES).any() or (found.highest_search == Search.SIGN_PATCHES).any()
    assert (found.best_pre_activation <= form.bound * 1.0001).all()


def test_each_filter_begins_at_its_tiling_or_where_it_stands_and_steps_accordingly() -> None:
    """Whatever the others of its batch do."""
    sought = ascending(conv())
    found = sought.find(range(4))
    assert sought.strongest is not None
    never = np.where(np.arange(4) == 2, np.inf, 0).astype(np.float32)
    kept, begin, rates = sought.strongest.start(dataclasses.replace(found, strongest_activation=never))
    assert rates.tolist() == pytest.approx([0.06, 0.06, 0.3, 0.06])
    assert (kept.strongest_search == Search.SIGN_PATCHES).tolist()[:2] == [True, True]
    np.testing.assert_allclose(begin[2], found.images[2] / 255, rtol=1e-6)
    tilings, _ = made([conv()]).affine.tilings((20, 21), True)
    np.testing.assert_array_equal(begin[[0, 1, 3]], tilings[[0, 1, 3]])


def test_the_best_tilings_are_the_best_of_all_that_are_tried() -> None:
    form = Affine(np.random.default_rng(0).normal(size=(3, 4, 3, 2)), np.array([0.1, -2, 0]), (1, 0), (2, 1))
    patch = 0.5 + np.sign(form.gradient) / 2
    means = {(period, gap): form.mean(sign_patches.tile_of(patch, period, gap), True) for period, gap in form.choices()}
    best, whole = form.tilings((24, 24), True)
    for number in range(3):
        for pictures, allowed in (
            (best, list(means)),
            (whole, [key for key in means if key[0] >= (4, 3) and key[0][1] >= 3]),
        ):
            period, gap = max(allowed, key=lambda key: means[key][number])
            expected = form.filled(sign_patches.tile_of(patch, period, gap), (24, 24))[number]
            np.testing.assert_array_equal(pictures[number], expected)


def test_a_filter_that_is_not_finite_spoils_no_tiling() -> None:
    gradient = np.random.default_rng(0).normal(size=(3, 3, 3, 1))
    whole = Affine(gradient, np.zeros(3), (0, 0), (1, 1)).tilings((9, 9), True)
    gradient[1, 0, 0, 0] = np.nan
    spoiled = Affine(gradient, np.zeros(3), (0, 0), (1, 1)).tilings((9, 9), True)
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
    assert made(stack(), **named).patches is None


def test_filters_agree_where_their_gradients_do_whatever_the_others_are() -> None:
    one = np.random.default_rng(0).normal(size=(3, 5, 5, 2))
    other = one.copy()
    assert sign_patches.agree(one, other) is True
    other[1] *= 1.01
    assert sign_patches.agree(one, other) is False
    one[1, 0, 0, 0] = np.nan
    assert sign_patches.agree(one, other) is True
    assert sign_patches.agree(0 * other, 0 * other) is None
