"""One trace of a network for all layers: each layer's part is what tracing it alone gives, whatever lies beyond it."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from reportgen.compute.patterns.objectives import Direction
from reportgen.compute.patterns.recipe import KERAS_IO, OPTVIS, Recipe
from reportgen.compute.patterns.search.canvas import whole
from reportgen.compute.patterns.search.gradient import Aim, ObjectiveGradient
from reportgen.compute.patterns.shared import FEWEST, Shared
from reportgen.network.backend import keras, tf
from reportgen.network.network import Network
from small_models import SHAPE, layers, network, randomised

SIZE, BATCH = SHAPE[:-1], 2


def branching() -> Any:
    """Every kind of junction: a nested model, a layer used twice, a residual, a concatenation, channels gated and split."""
    inside = keras.Input((None, None, 4))
    block = keras.Model(
        inside, layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same", name="inner")(inside)))
    )
    given = keras.Input(SHAPE)
    maps = layers.Conv2D(4, 3, padding="same", activation="relu", name="first")(given)
    twice = layers.Conv2D(4, 3, padding="same", name="twice")
    maps = layers.add([maps, twice(block(maps)), twice(maps)])
    branches = [
        layers.Conv2D(3, 1, activation="swish", name="one")(maps),
        layers.DepthwiseConv2D(3, padding="same", name="depthwise")(maps),
        layers.Conv2D(3, 3, padding="same", activation="relu", name="three")(layers.MaxPooling2D(3, 1, "same")(maps)),
    ]
    maps = layers.concatenate(branches)
    gate = layers.Conv2D(10, 1, activation="sigmoid", name="gate")(layers.GlobalAveragePooling2D(keepdims=True)(maps))
    maps = layers.multiply([maps, gate])
    left, right = keras.ops.split(maps, 2, axis=-1)
    left, right = layers.Conv2D(3, 3, name="left")(left), layers.Conv2D(3, 3, strides=1, name="right")(right)
    maps = layers.LayerNormalization()(layers.concatenate([left, right]))
    return randomised(
        keras.Model(given, layers.Conv2DTranspose(5, 3, strides=2, name="last")(maps)), low=-0.2, high=0.2
    )


def gradients(
    walked: Network, recipe: Recipe, aim: Aim, redirecting: bool = False
) -> dict[str, tuple[bool, list[np.ndarray], list[np.ndarray]]]:
    """By path: whether a layer shares the trace, and its objective and gradient as it does and as it is traced alone."""
    shared = Shared(walked, recipe, 0, None, dict.fromkeys(walked.by_path, SIZE))
    pipeline = shared.pipeline(SIZE, BATCH)
    pictures = tf.constant(np.random.default_rng(0).random((BATCH, *SHAPE), dtype=np.float32))
    found = {}
    for path, layer_call in walked.by_path.items():
        if layer_call.is_output:
            continue
        find_trace = partial(shared.network_trace, layer_call, SIZE)
        own, alone = (
            ObjectiveGradient(walked, layer_call, SIZE, recipe, pipeline, *more) for more in ((find_trace,), ())
        )
        filters = np.array([0, layer_call.channels - 1], np.int32)
        values = [
            [
                np.asarray(each)
                for each in one.function(whole(SIZE), BATCH, aim, Direction.MAXIMIZE, redirecting)(pictures, filters)
            ]
            for one in (own, alone)
        ]
        found[path] = (own.traces == 0, *values)
    assert len(found) >= FEWEST
    return found


@pytest.mark.parametrize(
    ("recipe", "aim", "redirecting"),
    [
        (OPTVIS, Aim.READABLE, False),
        (OPTVIS, Aim.POSITIONS, False),
        (OPTVIS, Aim.STRONGEST, True),
        (KERAS_IO, Aim.READABLE, False),
    ],
)
def test_a_part_of_the_shared_trace_is_what_the_layer_alone_gives(recipe: Recipe, aim: Aim, redirecting: bool) -> None:
    found = gradients(network(branching()), recipe, aim, redirecting)
    for path, (_, own, alone) in found.items():
        for one, other in zip(own, alone, strict=True):
            assert np.abs(other).max() > 0, path
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * np.abs(other).max(), err_msg=path)
    alone_only = {path for path, (shares, _, _) in found.items() if not shares}
    assert alone_only == {"left", "right"}  # of the channels that they split each has no gradient from the other


def test_what_lies_beyond_a_layer_cannot_harm_it() -> None:
    given = keras.Input(SHAPE)
    maps = layers.Conv2D(4, 3, name="first")(given)
    maps = layers.Conv2D(4, 3, name="second")(maps)
    broken = layers.Conv2D(4, 3, name="broken")
    maps = broken(layers.Activation(lambda values: tf.sqrt(values - values), name="root")(maps))  # an infinite gradient
    model = randomised(keras.Model(given, layers.Conv2D(4, 3, name="beyond")(maps)))
    broken.set_weights([np.full_like(weight, np.nan) for weight in broken.get_weights()])
    found = gradients(network(model), OPTVIS, Aim.READABLE)
    for path in ("first", "second"):
        shares, own, alone = found[path]
        assert shares
        np.testing.assert_array_equal(own[1], alone[1])
        assert np.isfinite(own[1]).all()
    assert not found["broken"][0]


def test_a_layer_behind_an_operation_with_a_state_is_traced_alone() -> None:
    class Counting(layers.Layer):
        def call(self, inputs: Any) -> Any:
            return inputs + 0.01 * tf.random.normal(tf.shape(inputs)[:1])[:, None, None, None]

    given = keras.Input(SHAPE)
    maps = given
    for number in range(FEWEST):
        maps = layers.Conv2D(4, 3, name=f"before_{number}")(maps)
    model = randomised(keras.Model(given, layers.Conv2D(4, 3, name="behind")(Counting()(maps))))
    shares = {path: each[0] for path, each in gradients(network(model), OPTVIS, Aim.READABLE).items()}
    assert shares == {**{f"before_{number}": True for number in range(FEWEST)}, "behind": False}


def test_few_layers_share_no_trace() -> None:
    model = randomised(keras.Sequential([keras.Input(SHAPE), layers.Conv2D(4, 3), layers.Conv2D(4, 3)]))
    walked = network(model)
    shared = Shared(walked, OPTVIS, 0, None, dict.fromkeys(walked.by_path, SIZE))
    (layer_call, *_) = walked.layer_calls
    assert shared.network_trace(layer_call, SIZE, BATCH, "float32", redirecting=False, activated=False) is None
