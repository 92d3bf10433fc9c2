"""When networks are computed in bfloat16: where the processor is faster in it, and what happens where a layer cannot."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from reportgen.compute.patterns import precision as of_ascents
from reportgen.compute.patterns.ascent import Ascent
from reportgen.compute.patterns.objectives import channel
from reportgen.compute.patterns.shared import Shared
from reportgen.compute.planning.calibration import calibrate
from reportgen.compute.planning.prepare import prepare
from reportgen.core.errors import ModelError
from reportgen.core.settings import Settings
from reportgen.network import precision
from reportgen.network.backend import keras, tf
from tests.small_models import QUICK, conv, functional, layer_call, layers, network, randomised, same

VECTORS = frozenset({"avx512f", "avx512_bf16"})
AMX = VECTORS | {"amx_tile", "amx_bf16"}


class Stubborn(keras.layers.Layer):  # type: ignore[misc]
    """Adds a number of its own type, so it computes in float32 alone."""

    def call(self, inputs: Any) -> Any:
        return inputs + tf.constant(1.0, tf.float32)


class OwnGradient(layers.Layer):  # type: ignore[misc]
    """Doubles, with a gradient that is written for float32."""

    def call(self, inputs: Any) -> Any:
        @tf.custom_gradient  # type: ignore[untyped-decorator]
        def doubled(tensor: Any) -> Any:
            return 2 * tensor, lambda upstream: upstream * tf.constant(2.0, tf.float32)

        return doubled(inputs)


class Sensitive(layers.Layer):  # type: ignore[misc]
    """Leaves of large numbers what bfloat16 rounds away."""

    def call(self, inputs: Any) -> Any:
        large = 1000 * tf.reduce_max(inputs)
        return inputs + large - large


@pytest.mark.parametrize(
    ("flags", "environment", "expected"),
    [
        (AMX, {}, True),
        (AMX, {"ONEDNN_MAX_CPU_ISA": "DEFAULT"}, True),
        (AMX, {"ONEDNN_MAX_CPU_ISA": "ALL"}, True),
        (AMX, {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_AMX"}, True),
        (AMX, {"ONEDNN_MAX_CPU_ISA": "AVX10_1_512_AMX_FP16"}, True),
        (AMX, {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16"}, False),
        (AMX, {"ONEDNN_MAX_CPU_ISA": "avx512_core"}, False),
        (AMX, {"ONEDNN_MAX_CPU_ISA": "AVX2"}, False),
        (AMX, {"ONEDNN_MAX_CPU_ISA": "SSE41"}, False),
        (AMX, {"DNNL_MAX_CPU_ISA": "AVX512_CORE"}, False),
        (AMX, {"ONEDNN_MAX_CPU_ISA": "ALL", "DNNL_MAX_CPU_ISA": "AVX2"}, True),
        (AMX, {"TF_ENABLE_ONEDNN_OPTS": "0"}, False),
        (AMX, {"TF_ENABLE_ONEDNN_OPTS": "1"}, True),
        (VECTORS, {}, True),
        (VECTORS, {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16"}, True),
        (VECTORS, {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_AMX"}, True),
        (VECTORS, {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_VNNI"}, False),
        (VECTORS, {"ONEDNN_MAX_CPU_ISA": "AVX2"}, False),
        (VECTORS - {"avx512_bf16"}, {}, False),
        (frozenset(), {}, False),
    ],
)
def test_bfloat16_is_chosen_where_convolutions_are_faster_in_it(
    monkeypatch: pytest.MonkeyPatch, flags: frozenset[str], environment: dict[str, str], expected: bool
) -> None:
    monkeypatch.setattr(precision, "_cpu_flags", lambda: flags)
    monkeypatch.setattr(precision, "gpu_details", list)
    for name in (*precision.LIMITS, "TF_ENABLE_ONEDNN_OPTS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert precision.has_bfloat16.__wrapped__() is expected


def test_a_gpu_decides_by_its_own_arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "_cpu_flags", lambda: AMX)
    for capability, expected in (((7, 5), False), ((8, 0), True), ((9, 0), True)):
        monkeypatch.setattr(precision, "gpu_details", lambda found=capability: [{"compute_capability": found}])
        assert precision.has_bfloat16.__wrapped__() is expected


def test_a_measurement_survives_a_layer_that_cannot_compute_in_bfloat16() -> None:
    job = prepare(randomised(functional(conv(2), Stubborn(), conv(3))), Settings(preprocess="unit", filters="1"))
    found = calibrate(job.model.network, job.plan.layers, "bfloat16")
    assert found.layer == job.plan.layers[-1].path
    assert min(found.forward_seconds, found.gradient_seconds, found.trace_seconds) > 0


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which bfloat16 pays for every layer."""
    monkeypatch.setattr(of_ascents, "has_bfloat16", lambda: True)
    monkeypatch.setattr(of_ascents, "BFLOAT16_PAYS", 1)
    monkeypatch.setattr(of_ascents, "INTENSITY", 0)


def ascent(walked: Any, path: str, shared: Shared | None = None, precision: str = "auto") -> Ascent:
    return Ascent(shared or Shared(walked, QUICK, 0), layer_call(walked, path), (16, 16), 2, precision=precision)


def test_bfloat16_pays_for_dense_convolutions_of_many_channels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not for a few multiplications for each value that is kept, not in small networks, and not beside grouped convolutions."""
    monkeypatch.setattr(of_ascents, "has_bfloat16", lambda: True)
    wide = [conv(64, name="first"), conv(64), conv(64), conv(64)]
    thin = [layers.Conv2D(32, 1, activation="relu") for _ in range(30)]
    cases = {
        "dense": (functional(*wide, conv(64, name="conv"), shape=(64, 64, 3)), True),
        "small": (functional(*wide, conv(64, name="conv"), shape=(16, 16, 3)), False),
        "pointwise": (functional(*thin, conv(4, name="conv"), shape=(128, 128, 3)), False),
        "depthwise": (functional(*wide, layers.DepthwiseConv2D(3), conv(64, name="conv"), shape=(64, 64, 3)), False),
        "grouped": (functional(*wide, conv(64, groups=32), conv(64, name="conv"), shape=(64, 64, 3)), False),
        "normalized": (functional(*wide, layers.GroupNormalization(8), conv(64, name="conv"), shape=(64, 64, 3)), True),
    }
    found = {}
    for name, (model, _) in cases.items():
        walked = network(model)
        found[name] = of_ascents.pays(walked, layer_call(walked, "conv"), walked.contract.size)
    assert found == {name: expected for name, (_, expected) in cases.items()}


@pytest.mark.usefixtures("fast")
def test_patterns_behind_a_layer_that_cannot_compute_in_bfloat16_are_computed_in_float32() -> None:
    walked = network(
        randomised(functional(conv(2, name="before"), Stubborn(), conv(3, name="behind"))), preprocess="unit"
    )
    for path, expected in (("before", "bfloat16"), ("behind", "float32")):
        found = ascent(walked, path)
        assert np.isfinite(found.find([0, 1]).activation).all()
        assert found.describe()["precision"] == expected


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("layer", [OwnGradient, lambda: layers.Resizing(12, 12, interpolation="bicubic")])
def test_patterns_whose_gradient_exists_in_float32_alone_are_computed_in_it(layer: Callable[[], Any]) -> None:
    walked = network(randomised(functional(layer(), conv(4, name="conv"))), preprocess="unit")
    exact, found = (ascent(walked, "conv", precision=wanted) for wanted in ("float32", "auto"))
    assert same(exact.find([0, 1]), found.find([0, 1]))
    assert found.describe()["precision"] == "float32"
    with pytest.raises((TypeError, ModelError)):  # what was asked for is not replaced
        ascent(walked, "conv", precision="bfloat16").find([0, 1])


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("objective", ["mean-and-peak", "activation", "pre-activation"])
def test_many_layers_are_compared_in_one_pass_as_each_is_alone(monkeypatch: pytest.MonkeyPatch, objective: str) -> None:
    stack = [
        conv(4, name="a", activation="relu"),
        layers.BatchNormalization(),
        conv(5, name="b"),
        Sensitive(),
        conv(6, name="c"),
    ]
    walked = network(randomised(functional(*stack, Stubborn(), conv(3, name="d"))), preprocess="unit")
    sizes = {each.path: (16, 16) for each in walked.layer_calls}
    own = dataclasses.replace(QUICK, objective=channel(measure=objective))
    alone = {path: ascent(walked, path, Shared(walked, own, 0)).describe()["precision"] for path in "abcd"}
    monkeypatch.setattr("reportgen.compute.patterns.ascent.agrees", None)  # is not asked
    shared = Shared(walked, own, 0, None, sizes)
    assert {path: ascent(walked, path, shared).describe()["precision"] for path in "abcd"} == alone
    assert alone == {"a": "bfloat16", "b": "bfloat16", "c": "float32", "d": "float32"}
