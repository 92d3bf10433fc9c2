"""Networks that cut their input into pieces and fold these into the batch: windows, patches, the frames of a film."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reportgen.compute.feature_maps import MapReader
from reportgen.network.backend import keras
from reportgen.network.network import MIXED_PIECES
from small_models import ascent, layers, network, randomised

ops = keras.ops
SIDE, TILES = 8, 3  # of a square patch, and how many lie along an axis
PATCHES = TILES * TILES


def patch_network() -> tuple[Any, Any]:
    """A network that applies another to each patch of a picture, and that other one."""
    patch = keras.Input((SIDE, SIDE, 3))
    maps = layers.Conv2D(4, 3, padding="same", activation="relu", name="first")(patch)
    maps = layers.BatchNormalization(name="norm")(layers.Conv2D(5, 3, use_bias=False, name="second")(maps))
    inside = keras.Model(patch, layers.ReLU(name="relu")(maps), name="inside")
    given = keras.Input((SIDE * TILES, SIDE * TILES, 3))
    cut = ops.reshape(given, (-1, TILES, SIDE, TILES, SIDE, 3))
    cut = ops.reshape(ops.transpose(cut, (0, 1, 3, 2, 4, 5)), (-1, SIDE, SIDE, 3))
    seen = ops.max(ops.reshape(layers.GlobalMaxPooling2D()(inside(cut)), (-1, PATCHES, 5)), axis=1)
    return randomised(keras.Model(given, layers.Dense(3, activation="softmax", name="classes")(seen))), inside


def patches(picture: np.ndarray) -> np.ndarray:
    """The patches of a picture, row by row."""
    rows = (picture[row * SIDE :][:SIDE] for row in range(TILES))
    return np.stack([each[:, column * SIDE :][:, :SIDE] for each in rows for column in range(TILES)])


def test_maps_have_an_axis_for_the_pieces() -> None:
    model, inside = patch_network()
    walked = network(model)
    assert [(each.path, each.output_shape, each.times) for each in walked.layer_calls] == [
        ("inside/first", (PATCHES, SIDE, SIDE, 4), 1),
        ("inside/second", (PATCHES, SIDE - 2, SIDE - 2, 5), 1),
    ]
    picture = np.random.default_rng(0).integers(0, 256, (SIDE * TILES, SIDE * TILES, 3), np.uint8)
    _, (arrays, facts) = MapReader(walked, walked.layer_calls)(picture)
    expected = np.asarray(inside(patches(picture).astype(np.float32)))
    assert expected.max() > 0
    found = arrays["maps"].astype(np.float64) * 2.0 ** facts["exponent"]
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3 * expected.max())


def test_patterns_excite_the_filter_in_any_piece() -> None:
    model, inside = patch_network()
    found = ascent(model, "inside/second", preprocess="none").find([0, 4])
    for picture, filter_number, peak in zip(found.images, found.indices, found.peak, strict=True):
        maps = np.asarray(inside(patches(picture).astype(np.float32)))[..., filter_number]
        assert peak == pytest.approx(maps.max(), rel=1e-4)
    assert (found.activation > found.activation_start).any()


@pytest.mark.parametrize("by_input", [False, True])
def test_pieces_that_cannot_be_told_apart_are_refused(by_input: bool) -> None:
    given = keras.Input((SIDE, SIDE, 3))
    maps = layers.Conv2D(4, 3, padding="same", name="before")(given)
    both = [maps, ops.flip(maps, 2)]
    pieces = ops.reshape(ops.stack(both, 1), (-1, SIDE, SIDE, 4)) if by_input else ops.concatenate(both, 0)
    pieces = layers.Conv2D(4, 3, padding="same", name="pieces")(pieces)
    joined = ops.mean(ops.reshape(pieces, (-1, 2, SIDE, SIDE, 4)), 1) if by_input else ops.add(*ops.split(pieces, 2, 0))
    walked = network(randomised(keras.Model(given, layers.Conv2D(2, 3, name="after")(joined))))
    reasons = {each.path: each.reason for each in walked.layer_calls}
    assert reasons == {"before": None, "pieces": None if by_input else MIXED_PIECES, "after": None}


def test_a_batch_that_is_not_cut_has_no_pieces() -> None:
    given = keras.Input((SIDE, SIDE, 3))
    maps = layers.TimeDistributed(layers.Conv1D(4, 3, name="rows"))(given)
    walked = network(randomised(keras.Model(given, layers.Conv2D(4, 3, name="plain")(maps))))
    assert [(each.times, each.pieces) for each in walked.layer_calls] == [(1, False), (0, False)]
