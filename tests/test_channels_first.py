"""Channels-first networks on a processor: the same as their channels-last twins, whatever TensorFlow has operations for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reportgen.compute.feature_maps import MapReader
from reportgen.compute.patterns.objectives import Direction
from reportgen.compute.patterns.recipe import OPTVIS
from reportgen.compute.patterns.search.canvas import whole
from reportgen.compute.patterns.search.gradient import Aim, ObjectiveGradient
from reportgen.compute.patterns.shared import Shared
from reportgen.compute.planning.layer_records import describe
from reportgen.core.settings import Settings
from reportgen.network import channels_first
from reportgen.network.backend import keras, tf
from reportgen.network.channels_first import FIRST, LAST, computed_channels_last
from reportgen.network.network import Network
from small_models import functional, layers, network, randomised

SIZES = {1: (40,), 2: (20, 16), 3: (10, 9, 8)}
BANDS = {1: 2, 2: 3, 3: 2}
BATCH = 2


def model(data_format: str, rank: int) -> Any:
    """Every kind of layer that has a data format, strides and paddings that differ at both ends, branches, groups and normalizations."""

    def of(kind: str, *arguments: Any, **named: Any) -> Any:
        return getattr(layers, kind.format(rank))(*arguments, data_format=data_format, **named)

    axis = 1 if data_format == FIRST else -1
    given = keras.Input((BANDS[rank], *SIZES[rank]) if data_format == FIRST else (*SIZES[rank], BANDS[rank]))
    maps = of("Conv{}D", 6, 3, strides=2, padding="same", activation="relu", name="strided")(given)
    maps = layers.BatchNormalization(axis=axis, name="norm")(maps)
    branch = of("Conv{}D", 6, 3, padding="same", activation="tanh", name="branch")(maps)
    if rank < 3:
        maps = of("DepthwiseConv{}D", 3, padding="same", depth_multiplier=2, name="depthwise")(maps)
        branch = of("SeparableConv{}D", 12, 3, padding="same", activation="tanh", name="separable")(maps)
    maps = layers.Concatenate(axis=axis)([maps, branch])
    maps = of("MaxPooling{}D", 2, padding="same")(maps)
    maps = of("Conv{}D", 8, 3, padding="same", use_bias=False, name="folded")(maps)
    maps = layers.ReLU(name="relu")(layers.BatchNormalization(axis=axis, name="after")(maps))
    maps = of("Conv{}DTranspose", 5, 3, strides=2, padding="same", activation="relu", name="transposed")(maps)
    maps = of("AveragePooling{}D", 2)(maps)
    maps = of("Conv{}D", 4, 2, activation="elu", name="last")(maps)
    pooled = of("GlobalAveragePooling{}D")(maps)
    return randomised(keras.Model(given, layers.Dense(3, activation="softmax", name="classes")(pooled)))


@pytest.fixture(scope="module", params=[1, 2, 3])
def twins(request: pytest.FixtureRequest) -> tuple[Network, Network]:
    first, last = model(FIRST, request.param), model(LAST, request.param)
    last.set_weights(first.get_weights())
    return network(first), network(last)


def pictures(walked: Network) -> np.ndarray:
    drawn = np.random.default_rng(0).random((BATCH, *walked.contract.size, walked.contract.bands), np.float32)
    return np.asarray(drawn * 255 if walked.contract.is_picture else drawn, np.float32)


def assert_close(one: Any, other: Any) -> None:
    one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
    assert np.abs(other).max() > 0
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * np.abs(other).max())


def test_layers_are_described_alike(twins: tuple[Network, Network]) -> None:
    one, other = (describe(walked, Settings(), {}) for walked in twins)
    assert one == other
    assert all(record.receptive_field is not None for record in one if record.path != "transposed")


def test_maps_and_probabilities_are_the_same(twins: tuple[Network, Network]) -> None:
    found = [
        [arrays["maps"].astype(np.float64) * 2.0 ** facts["exponent"] for arrays, facts in reader(pictures(walked)[0])]
        for walked in twins
        for reader in [MapReader(walked, walked.layer_calls)]
    ]
    for layer_call, one, other in zip(twins[0].layer_calls, *found, strict=True):
        assert one.shape[-1] == layer_call.channels
        assert_close(one, other)
    assert_close(*(walked.predict(pictures(walked)) for walked in twins))


def test_gradients_are_the_same(twins: tuple[Network, Network]) -> None:
    for path in twins[0].by_path:
        found = []
        for walked in twins:
            layer_call, size = walked.by_path[path], walked.contract.size
            if layer_call.is_output:
                continue
            shared = Shared(walked, OPTVIS, 0, None, dict.fromkeys(walked.by_path, size))
            gradient = ObjectiveGradient(walked, layer_call, size, OPTVIS, shared.pipeline(size, BATCH))
            seen = tf.constant(np.random.default_rng(0).random((BATCH, *size, walked.contract.bands), np.float32))
            function = gradient.function(whole(size), BATCH, Aim.READABLE, Direction.MAXIMIZE)
            found.append(function(seen, np.array([0, layer_call.channels - 1], np.int32)))
        for each in zip(*found, strict=True):
            assert_close(*each)


def test_a_model_that_was_never_called_is_built() -> None:
    class Unbuilt(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = (layers.Conv2D(4, 3, data_format=FIRST, name=name) for name in ("one", "two"))

        def call(self, inputs: Any) -> Any:
            return self.two(self.one(inputs))

    walked = network(Unbuilt(), input_shape=(20, 16, 3))
    assert [layer_call.output_shape for layer_call in walked.layer_calls] == [(18, 14, 4), (16, 12, 4)]
    assert walked._build(walked.contract.size) is None  # else a network of any size would be tried at ever larger ones


def test_on_a_gpu_layers_compute_as_they_are_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels_first, "gpu_details", lambda: [{"device_name": "any"}])
    stack = [layers.Conv2D(4, 3, data_format=FIRST, name="folded"), layers.BatchNormalization(axis=1)]
    walked = network(
        randomised(functional(*stack, layers.Conv2D(2, 3, data_format=FIRST, name="last"), shape=(3, 20, 16)))
    )

    def read(fed: Any) -> Any:
        return walked.own_channels(fed, walked.by_path["last"], [0, 1])

    graph = tf.function(read, autograph=False).get_concrete_function(tf.constant(pictures(walked))).graph
    formats = {each.get_attr("data_format") for each in graph.get_operations() if each.type == "Conv2D"}
    assert formats == {b"NCHW"}


def test_layers_are_as_they_were_afterwards_and_untouched_on_a_gpu_or_with_a_call_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Own(layers.Conv2D):
        def call(self, inputs: Any) -> Any:
            return inputs

    plain, own, last = layers.Conv2D(2, 3, data_format=FIRST), Own(2, 3, data_format=FIRST), layers.Conv2D(2, 3)
    before = [dict(each.__dict__) for each in (plain, own, last)]
    with computed_channels_last([plain, own, last]):
        assert ["call" in each.__dict__ for each in (plain, own, last)] == [True, False, False]
    assert [dict(each.__dict__) for each in (plain, own, last)] == before
    monkeypatch.setattr(channels_first, "gpu_details", lambda: [{"device_name": "any"}])
    with computed_channels_last([plain]):
        assert "call" not in plain.__dict__
