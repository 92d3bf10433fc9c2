"""Inputs without an axis of channels, or flattened: seen as the picture or signal that the convolutions see."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reportgen.compute.feature_maps import MapReader
from reportgen.compute.planning.layer_records import describe
from reportgen.core.errors import UsageError
from reportgen.core.settings import Settings
from reportgen.network.backend import keras
from reportgen.network.contract import Shape
from small_models import layers, network, randomised

PICTURE = (12, 10, 2)
COUNT = 240


def model(shape: Shape, *before: Any, data_format: str = "channels_last") -> Any:
    """Two convolutions of what `before` makes of an input of `shape`."""
    given = keras.Input(shape)
    maps = given
    for layer in before:
        maps = layer(maps)
    maps = layers.Conv2D(4, 3, activation="relu", name="first", data_format=data_format)(maps)
    maps = layers.Conv2D(3, 3, strides=2, name="second", data_format=data_format)(maps)
    return randomised(keras.Model(given, maps))


def test_a_flattened_picture_is_the_picture() -> None:
    plain, flat = model(PICTURE), model((COUNT,), layers.Rescaling(1.0), layers.Reshape(PICTURE))
    flat.set_weights(plain.get_weights())
    whole, seen = network(plain), network(flat)
    assert seen.contract.shape == PICTURE
    assert seen.notes == ["The model's input of 240 is fed as 12 × 10 × 2; --input-shape states another shape."]
    assert describe(seen, Settings(), {}) == describe(whole, Settings(), {})
    picture = np.random.default_rng(0).integers(0, 256, PICTURE, np.uint8)
    found = [[arrays["maps"] for arrays, _ in MapReader(each, each.layer_calls)(picture)] for each in (whole, seen)]
    for one, other in zip(*found, strict=True):
        assert one.any()
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("shape", "before", "seen"),
    [
        ((12, 20), [layers.Reshape((12, 20, 1))], (12, 20, 1)),
        ((COUNT,), [layers.Reshape((12, 20)), layers.Reshape((12, 20, 1))], (12, 20, 1)),
        ((COUNT,), [layers.Dense(COUNT), layers.Reshape(PICTURE)], (COUNT, 1)),  # each number comes from all
        ((12, 20), [layers.Permute((2, 1)), layers.Reshape((20, 12, 1))], (12, 20)),  # numbers change places
        ((100,), [layers.Dense(COUNT), layers.Reshape(PICTURE)], (100, 1)),
    ],
)
def test_the_first_convolution_tells_where_numbers_keep_their_places(
    shape: Shape, before: list[Any], seen: Shape
) -> None:
    walked = network(model(shape, *before))
    assert walked.contract.shape == seen
    if len(seen) == len(PICTURE):
        assert [layer_call.receptive_field for layer_call in walked.layer_calls] == [(3, 3), (5, 5)]


def test_of_pictures_with_channels_first_only_one_channel_is_flattened_alike() -> None:
    first = "channels_first"
    assert network(model((COUNT,), layers.Reshape((1, 12, 20)), data_format=first)).contract.shape == (12, 20, 1)
    assert network(model((COUNT,), layers.Reshape((2, 12, 10)), data_format=first)).contract.shape == (COUNT, 1)


def test_the_user_can_state_the_shape() -> None:
    flat = model((COUNT,), layers.Reshape(PICTURE))
    assert network(flat, input_shape=(20, 12, 1)).contract.shape == (20, 12, 1)
    with pytest.raises(UsageError, match=r"^--input-shape 12,10,3 has 360 values, the model's input of 240 has 240\.$"):
        network(flat, input_shape=(12, 10, 3))


@pytest.mark.parametrize("stated", [None, (64, 1)])
def test_a_wave_of_any_length_is_a_signal_of_one_channel(stated: Shape | None) -> None:
    given = keras.Input((None,))
    maps = layers.Conv1D(3, 5, name="wave")(keras.ops.expand_dims(given, -1))
    walked = network(randomised(keras.Model(given, maps)), input_shape=stated)
    assert walked.contract.shape == ((None, 1) if stated is None else stated)
    assert walked.layer_calls[0].receptive_field == (5,)
    ((arrays, _),) = MapReader(walked, walked.layer_calls)(np.ones((*walked.contract.size, 1), np.float32))
    assert arrays["maps"].shape == (walked.contract.size[0] - 4, 3)
