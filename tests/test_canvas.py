"""The small canvas: what a filter answers on it is what it answers inside the picture that the period tiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from reportgen.compute.patterns.ascent import Ascent
from reportgen.compute.patterns.recipe import QUALITIES
from reportgen.compute.patterns.search.canvas import Canvas, canvas_for, fitting_canvas, fitting_window, whole
from reportgen.compute.patterns.shared import Shared
from reportgen.network.backend import tf
from reportgen.network.graph.layer_calls import LayerCall
from reportgen.network.network import Network
from small_models import functional, layers, network, randomised

FREE = (None, None, 3)
Stack = Callable[[], list[Any]]


def seen(stack: list[Any], traced: int = 96, shape: tuple[int | None, ...] = FREE) -> tuple[Network, LayerCall]:
    walked = network(randomised(functional(*stack, shape=shape), seed=1), image_size=traced)
    return walked, next(layer_call for layer_call in walked.layer_calls if layer_call.path == "conv")


def maps(walked: Network, layer_call: LayerCall, shown: Any) -> np.ndarray:
    read = tf.function(lambda fed: walked.units(fed, [layer_call])[0][0], autograph=False)
    return np.asarray(read(tf.constant(shown)))


STACKS: dict[str, Stack] = {
    "valid": lambda: [layers.Conv2D(3, 5), layers.Conv2D(4, 3, name="conv")],
    "same": lambda: [layers.Conv2D(3, 3, padding="same"), layers.Conv2D(4, 3, padding="same", name="conv")],
    "strides": lambda: [
        layers.Conv2D(3, 3, strides=2, padding="same", activation="relu"),
        layers.Conv2D(4, 3, strides=3, padding="same", name="conv"),
    ],
    "pooling": lambda: [
        layers.Conv2D(3, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.AveragePooling2D(2, strides=1),
        layers.Conv2D(4, 3, padding="same", name="conv"),
    ],
    "dilation": lambda: [layers.Conv2D(4, 3, dilation_rate=3, padding="same", name="conv")],
}


@pytest.mark.parametrize("size", [96, 97, 101])
@pytest.mark.parametrize("name", STACKS)
def test_a_map_on_the_canvas_is_that_of_the_tiled_picture(name: str, size: int) -> None:
    """Also where strides divide the picture otherwise than the size that the network was traced at."""
    walked, layer_call = seen(STACKS[name]())
    canvas = canvas_for(layer_call, (size, size), (96, 96), 0.5)
    assert not canvas.is_whole
    tiles = np.random.default_rng(0).random((2, *canvas.period, 3)).astype(np.float32)
    own = np.asarray(canvas.own_positions(maps(walked, layer_call, canvas.spread(tf.constant(tiles)))))
    assert canvas.count is not None
    assert own.shape[1:3] == canvas.count
    filled = canvas.filled(tiles, (size, size))
    np.testing.assert_array_equal(filled[:, :16, :16], tiles[:, :16, :16])
    assert canvas.first is not None
    inner = tuple(slice(first, first + 2 * count) for first, count in zip(canvas.first, canvas.count, strict=True))
    found = maps(walked, layer_call, filled)[(slice(None), *inner)]
    (rows, columns), (height, width) = found.shape[1:3], canvas.count
    expected = np.tile(own, (1, 2, 2, 1))[:, :rows, :columns]
    assert rows > height
    assert columns > width
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("size", [96, 97, 101])
@pytest.mark.parametrize("name", STACKS)
def test_a_position_in_the_window_is_that_of_any_picture_around_it(name: str, size: int) -> None:
    walked, layer_call = seen(STACKS[name]())
    window = fitting_window(layer_call, (size, size), (96, 96), lambda canvas: None)
    axes = layer_call.even_axes
    assert axes is not None
    assert max(window.size) < min(axis.size + 3 * axis.shift for axis in axes)
    assert window.first is not None
    tiles = np.random.default_rng(0).random((2, *window.period, 3)).astype(np.float32)
    found = np.asarray(window.own_positions(maps(walked, layer_call, window.spread(tf.constant(tiles)))))
    assert found.shape[1:3] == (1, 1)
    picture = np.random.default_rng(1).random((2, size, size, 3)).astype(np.float32)
    picture[:, : window.size[0], : window.size[1]] = tiles
    row, column = window.first
    np.testing.assert_allclose(found[:, 0, 0], maps(walked, layer_call, picture)[:, row, column], rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(window.filled(tiles, (size, size))[:, : window.size[0], : window.size[1]], tiles)


def test_the_window_is_the_whole_picture_where_a_smaller_one_would_not_do() -> None:
    def fails(canvas: Canvas) -> None:
        raise ValueError

    _, layer_call = seen(STACKS["dilation"]())
    assert fitting_window(layer_call, (96, 96), (96, 96), fails) == whole((96, 96))
    assert fitting_window(layer_call, (7, 7), (96, 96), lambda canvas: None) == whole((7, 7))
    _, after_all = seen([layers.GlobalAveragePooling2D(keepdims=True), layers.Conv2D(4, 1, name="conv")])
    assert fitting_window(after_all, (96, 96), (96, 96), lambda canvas: None) == whole((96, 96))


@pytest.mark.parametrize(("quality", "most"), [("draft", 64), ("standard", 96)])
def test_steps_on_a_window_are_as_many_as_their_pixels_allow(quality: str, most: int) -> None:
    walked, layer_call = seen(STACKS["strides"]())
    recipe = QUALITIES[quality]

    def steps(side: int) -> tuple[int, int]:
        shared = Shared(walked, recipe, 0, None, {layer_call.path: (side, side)})
        silent = Ascent(shared, layer_call, (side, side), 2)._silent
        return silent.steps[0], int(np.prod(silent._window.size))

    assert steps(96)[0] == most
    positions, pixels = steps(12)
    assert 16 <= positions < most
    assert positions * pixels <= max(16, recipe.steps + recipe.strongest_steps) * 12 * 12


def test_a_signal_has_a_canvas_of_its_own() -> None:
    walked, layer_call = seen(
        [layers.Conv1D(3, 5, strides=2, padding="same"), layers.Conv1D(4, 3, name="conv")], 200, (None, 2)
    )
    canvas = canvas_for(layer_call, (200,), walked.contract.size, 0.5)
    assert not canvas.is_whole
    tiles = np.random.default_rng(0).random((1, *canvas.period, 2)).astype(np.float32)
    own = np.asarray(canvas.own_positions(maps(walked, layer_call, canvas.spread(tf.constant(tiles)))))
    assert canvas.first is not None
    found = maps(walked, layer_call, canvas.filled(tiles, (200,)))[:, canvas.first[0] : canvas.first[0] + own.shape[1]]
    np.testing.assert_allclose(found, own, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("stack", "fields"),
    [
        ([layers.UpSampling2D(2), layers.Conv2D(4, 3, name="conv")], 0.5),
        ([layers.Conv2D(4, 60, name="conv")], 0.5),
        ([layers.Conv2D(4, 21, name="conv")], 3.0),
    ],
    ids=["upsampled", "large field", "room for single positions"],
)
def test_the_canvas_is_the_whole_picture_where_a_smaller_one_would_not_do(stack: Any, fields: float) -> None:
    _, layer_call = seen(stack)
    assert canvas_for(layer_call, (96, 96), (96, 96), fields) == whole((96, 96))


def test_a_whole_canvas_shows_what_it_is_given() -> None:
    shown = np.random.default_rng(0).random((2, 8, 9, 3)).astype(np.float32)
    canvas = whole((8, 9))
    for same in (
        canvas.spread(shown),
        canvas.filled(shown, (8, 9)),
        canvas.cropped(shown),
        canvas.own_positions(shown),
    ):
        assert same is shown or np.array_equal(same, shown)


def test_a_period_is_cut_from_the_middle() -> None:
    _, layer_call = seen([layers.Conv2D(4, 3, name="conv")])
    canvas = canvas_for(layer_call, (96, 97), (96, 97), 0.5)
    shown = np.random.default_rng(0).random((2, 96, 97, 3))
    np.testing.assert_array_equal(canvas.cropped(shown), shown[:, 40:56, 40:56])


def test_a_model_of_a_fixed_size_is_searched_on_a_small_canvas_too() -> None:
    """Whatever follows a convolution that takes one size alone, here what is flattened."""
    inner = functional(layers.Conv2D(3, 3, activation="relu"), shape=(96, 96, 3))
    stack = [inner, layers.Conv2D(4, 3, name="conv"), layers.Flatten(), layers.Dense(2)]
    walked, layer_call = seen(stack, shape=(96, 96, 3))
    recipe = QUALITIES["draft"]
    ascent = Ascent(Shared(walked, recipe, 0), layer_call, (96, 96), 2)
    assert ascent.strongest is not None
    assert ascent.strongest.steps > recipe.strongest_steps
    with pytest.raises(ValueError, match="incompatible"):
        walked.model(tf.zeros((1, 64, 64, 3)))


def test_the_search_sees_the_whole_picture_where_a_smaller_one_does_not_get_through() -> None:
    _, layer_call = seen(STACKS["same"]())

    def fails(canvas: Canvas) -> None:
        raise ValueError(f"a layer takes no pictures of {canvas.size}")

    assert fitting_canvas(layer_call, (96, 96), (96, 96), 0.5, fails) == whole((96, 96))
