"""The axis order of kernels is that of Keras: by a filter's own slice of a kernel Keras computes that filter's own map."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from reportgen.core.axes import by_filter, filter_shape, input_channels
from reportgen.network.backend import keras

layers = keras.layers
SIDE, CHANNELS = 6, 4
KINDS: dict[str, tuple[str, Any]] = {
    "plain": ("plain", lambda: layers.Conv2D(5, (2, 3))),
    "one axis": ("plain", lambda: layers.Conv1D(5, 3)),
    "three axes": ("plain", lambda: layers.Conv3D(5, (1, 2, 3))),
    "grouped": ("plain", lambda: layers.Conv2D(6, (2, 3), groups=2)),
    "transposed": ("transposed", lambda: layers.Conv2DTranspose(5, (2, 3))),
    "depthwise": ("depthwise", lambda: layers.DepthwiseConv2D((2, 3), depth_multiplier=2)),
}


def by_definition(name: str, maps: np.ndarray, own: np.ndarray, inputs: range) -> np.ndarray:
    """The map of one filter, tap by tap in plain Python: `own` (inputs, *taps) applied to the channels `inputs` of `maps`."""
    lengths = maps.shape[:-1]
    spread = 1 if name == "transposed" else -1
    found = np.zeros([length + spread * (taps - 1) for length, taps in zip(lengths, own.shape[1:], strict=True)])
    for place in product(*map(range, found.shape)):
        for tap in product(*map(range, own.shape[1:])):
            seen = tuple(at - spread * by for at, by in zip(place, tap, strict=True))
            if all(0 <= at < length for at, length in zip(seen, lengths, strict=True)):
                found[place] += sum(maps[(*seen, channel)] * own[(at, *tap)] for at, channel in enumerate(inputs))
    return found


@pytest.mark.parametrize("name", KINDS)
def test_each_filters_slice_makes_its_own_map(name: str) -> None:
    kind, make = KINDS[name]
    random, layer = np.random.default_rng(0), make()
    maps = random.standard_normal((*[SIDE] * layer.rank, CHANNELS)).astype(np.float32)
    expected = np.asarray(layer(maps[None]))[0]
    kernel = np.asarray(layer.kernel)
    filters = by_filter(kind, kernel)
    assert filters.shape == filter_shape(kind, kernel.shape)
    assert len(filters) == expected.shape[-1]
    for number, own in enumerate(filters):
        first = number * CHANNELS // len(filters) if len(own) < CHANNELS else 0  # of its group, or its one channel
        first -= first % len(own)
        found = by_definition(name, maps, own, range(first, first + len(own)))
        np.testing.assert_allclose(expected[..., number], found, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", KINDS)
def test_input_channels_are_those_of_a_group(name: str) -> None:
    kind, make = KINDS[name]
    layer = make()
    layer.build((None, *[SIDE] * layer.rank, CHANNELS))
    kernel = np.asarray(layer.kernel)
    assert input_channels(kind, kernel.shape) == CHANNELS // getattr(layer, "groups", 1)


def test_another_kind_is_refused() -> None:
    for kind in ("separable", "colour"):
        with pytest.raises(ValueError, match=f"not {kind}"):
            by_filter(kind, np.zeros((3, 3, 1, 1)))
