"""Files of Keras 1 and 2: migrated where that is exact, and then their outputs are as before; otherwise one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from model_files import H5_WARNING, save, sentence, small
from plain_convolution import convolve
from reportgen.core.settings import Settings
from reportgen.network.backend import keras
from reportgen.network.loading.hashes import weights_sha256
from reportgen.network.loading.legacy.operations import TensorFlowFunction
from reportgen.network.loading.load import load
from reportgen.network.network import Network

pytestmark = pytest.mark.filterwarnings(H5_WARNING)
HERE = Path(__file__).parent / "legacy"


@pytest.mark.parametrize(
    "name",
    [
        *("sequential.h5", "functional.h5", "functional.keras", "operations.h5", "functions.h5"),
        *("applications.h5", "applications.keras", "arguments.h5", "arguments.keras"),
    ],
)
def test_a_network_of_keras_2_returns_what_it_returned_there(name: str) -> None:
    recorded = np.load(HERE / f"{name.partition('.')[0]}.npz")
    model = load(str(HERE / name), Settings()).model
    outputs = np.asarray(model(recorded["pictures"].astype(np.float32), training=False))
    assert outputs.shape == recorded["answers"].shape
    assert recorded["answers"].std() > 0.01
    np.testing.assert_allclose(outputs, recorded["answers"], rtol=1e-4, atol=1e-5)


def test_the_same_network_of_keras_2_in_both_formats_has_one_hash() -> None:
    hashes = {weights_sha256(load(str(HERE / f"functional.{suffix}"), Settings()).model) for suffix in ("h5", "keras")}
    assert len(hashes) == 1


def test_the_hash_does_not_depend_on_where_a_layer_of_ours_stands_in_the_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = load(str(HERE / "operations.h5"), Settings()).model
    before = weights_sha256(model)
    monkeypatch.setattr(TensorFlowFunction, "__module__", "reportgen.elsewhere")
    assert "reportgen.elsewhere" in str(model.get_config())
    assert weights_sha256(model) == before


def test_layers_of_keras_2_are_walked_by_their_migrated_names() -> None:
    loaded = load(str(HERE / "sequential.h5"), Settings())
    walked = Network(loaded, Settings(preprocess="unit"))
    assert [layer_call.path for layer_call in walked.layer_calls] == [
        "block1_conv_2",
        "depthwise",
        "separable",
        "transposed",
    ]
    loaded = load(str(HERE / "operations.h5"), Settings())
    walked = Network(loaded, Settings(preprocess="none"))
    assert {
        layer_call.path: layer_call.unit.name for layer_call in walked.layer_calls if layer_call.unit is not None
    } == {
        "first": "relu6",
        "second": "linear",  # a number is added before its rectifier
        "inner/third": "linear",
    }


def keras_1(path: Path, layers: Any, weights: dict[str, list[np.ndarray]], **attributes: str) -> Path:
    """A file as Keras 1.2 wrote it (engine/topology.py, models.py). layers: the Sequential's list, or the config of a Model."""
    with h5py.File(path, "w") as file:
        if attributes.get("keras_version") != "":
            file.attrs["keras_version"] = attributes.get("keras_version", "1.2.2").encode()
        kind = "Sequential" if isinstance(layers, list) else "Model"
        file.attrs["model_config"] = json.dumps({"class_name": kind, "config": layers}).encode()
        group = file.create_group("model_weights")
        if "backend" in attributes:
            group.attrs["backend"] = attributes["backend"].encode()
        group.attrs["layer_names"] = [name.encode() for name in weights]
        for name, arrays in weights.items():
            inner = group.create_group(name)
            names = [f"{name}_{number}:0" for number in range(len(arrays))]
            inner.attrs["weight_names"] = [text.encode() for text in names]
            for text, array in zip(names, arrays, strict=True):
                inner.create_dataset(text, data=array)
    return path


def layer(kind: str, name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": {"name": name, "trainable": True, **config}}


NOTHING = {"W_regularizer": None, "b_regularizer": None, "W_constraint": None, "b_constraint": None}


def convolution(name: str, filters: int, rows: int, columns: int, kind: str = "Convolution2D", **more: Any) -> Any:
    config = {
        **{"nb_filter": filters, "nb_row": rows, "nb_col": columns, "init": "glorot_uniform", "activation": "linear"},
        **{
            "border_mode": "valid",
            "subsample": [1, 1],
            "dim_ordering": "tf",
            "bias": True,
            "activity_regularizer": None,
        },
        **NOTHING,
    }
    return layer(kind, name, **{**config, **more})


def dense(name: str, units: int, **more: Any) -> Any:
    config = {
        "output_dim": units,
        "init": "uniform",
        "activation": "linear",
        "bias": True,
        "input_dim": None,
        **NOTHING,
    }
    return layer("Dense", name, **{**config, **more})


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


PICTURES = np.random.default_rng(9).uniform(0, 1, (2, 9, 8, 3)).astype(np.float32)
ENTRY = {"batch_input_shape": [None, 9, 8, 3], "input_dtype": "float32"}


def outputs(path: Path, pictures: np.ndarray = PICTURES) -> np.ndarray:
    return np.asarray(load(str(path), Settings()).model(pictures, training=False))


def stack_of_keras_1() -> tuple[list[Any], dict[str, list[np.ndarray]], np.ndarray]:
    """(layers, weights, its outputs by plain NumPy)."""
    kernel, bias = drawn(3, 2, 3, 4), drawn(4, seed=1)
    gamma, beta, mean, variance = drawn(4, seed=2), drawn(4, seed=3), drawn(4, seed=4), 1.5 + drawn(4, seed=5)
    matrix, offset = drawn(4 * 2 * 2, 3, seed=6), drawn(3, seed=7)
    stack = [
        convolution("conv", 4, 3, 2, subsample=[2, 1], border_mode="same", activation="relu", **ENTRY),
        layer(
            "BatchNormalization",
            "bn",
            epsilon=0.01,
            mode=0,
            axis=3,
            momentum=0.99,
            gamma_regularizer=None,
            beta_regularizer=None,
        ),
        layer("MaxPooling2D", "pool", pool_size=[2, 3], strides=[2, 3], border_mode="valid", dim_ordering="tf"),
        layer("Dropout", "drop", p=0.5),
        layer("Flatten", "flat"),
        dense("dense", 3, activation="hard_sigmoid"),
    ]
    weights = {"conv": [kernel, bias], "bn": [gamma, beta, mean, variance], "dense": [matrix, offset]}
    weights = {item["config"]["name"]: weights.get(item["config"]["name"], []) for item in stack}
    maps = np.maximum(convolve(PICTURES, kernel, bias, (2, 1), how="same"), 0)
    maps = (maps - mean) / np.sqrt(variance + 0.01) * gamma + beta
    pooled = maps[:, :4, :6].reshape(2, 2, 2, 2, 3, 4).max(axis=(2, 4))
    expected = np.clip((pooled.reshape(2, -1) @ matrix + offset) * 0.2 + 0.5, 0, 1)
    return stack, weights, expected


@pytest.mark.parametrize("version", ["1.2.2", "1.0.4", ""])
def test_a_sequential_network_of_keras_1_computes_its_definition(tmp_path: Path, version: str) -> None:
    stack, weights, expected = stack_of_keras_1()
    assert expected.std() > 0.05
    path = keras_1(tmp_path / "old.h5", stack, weights, keras_version=version)
    np.testing.assert_allclose(outputs(path), expected, rtol=1e-4, atol=1e-5)


def test_kernels_of_theano_are_turned_round(tmp_path: Path) -> None:
    kernel, bias = drawn(3, 2, 3, 4), drawn(4, seed=1)
    stack = [convolution("conv", 4, 3, 2, **ENTRY)]
    path = keras_1(tmp_path / "old.h5", stack, {"conv": [kernel, bias]}, backend="theano")
    np.testing.assert_allclose(outputs(path), convolve(PICTURES, kernel[::-1, ::-1], bias), rtol=1e-4, atol=1e-5)


def test_other_convolutions_of_keras_1(tmp_path: Path) -> None:
    wide, turned = (
        drawn(3, 3, 3, 2),
        drawn(2, 2, 2, 5, seed=1),
    )  # Keras 1 kept a deconvolution's kernel with its input before its output
    stack = [
        convolution("wide", 2, 3, 3, kind="AtrousConvolution2D", atrous_rate=[2, 2], bias=False, **ENTRY),
        convolution("turned", 5, 2, 2, kind="Deconvolution2D", output_shape=[None, 6, 5, 5], bias=False),
    ]
    path = keras_1(tmp_path / "old.h5", stack, {"wide": [wide], "turned": [turned]})
    maps = convolve(PICTURES, wide, dilation=(2, 2))
    assert maps.shape[1:] == (5, 4, 2)
    spread = np.pad(maps, ((0, 0), (1, 1), (1, 1), (0, 0)))
    np.testing.assert_allclose(outputs(path), convolve(spread, turned[::-1, ::-1]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("old", [False, True], ids=["1.2", "before 1.1"])
def test_a_sequence_kernel_of_keras_1(old: bool, tmp_path: Path) -> None:
    kernel = drawn(3, 1, 2, 4)
    stored = kernel.transpose(3, 2, 0, 1) if old else kernel
    config = {"nb_filter": 4, "filter_length": 3, "subsample_length": 1, "border_mode": "valid", "activation": "linear"}
    stack = [
        layer("Convolution1D", "conv", **config, bias=False, init="zero", **NOTHING, batch_input_shape=[None, 7, 2])
    ]
    path = keras_1(tmp_path / "old.h5", stack, {"conv": [stored]})
    signal = drawn(1, 7, 2, seed=3)
    expected = convolve(signal[:, :, None], kernel)[:, :, 0]
    np.testing.assert_allclose(outputs(path, signal), expected, rtol=1e-4, atol=1e-5)


def model_of_keras_1(merge: dict[str, Any]) -> dict[str, Any]:
    def node(made: Any, *inputs: str) -> Any:
        return {
            **made,
            "name": made["config"]["name"],
            "inbound_nodes": [[[name, 0, 0] for name in inputs]] if inputs else [],
        }

    entry = layer("InputLayer", "entry", batch_input_shape=[None, 9, 8, 3], input_dtype="float32", sparse=False)
    layers = [
        node(entry),
        node(convolution("a", 2, 1, 1, bias=False), "entry"),
        node(convolution("b", 2, 1, 1, bias=False), "entry"),
        node(layer("Merge", "merged", **merge), "a", "b"),
        node(layer("ZeroPadding2D", "padded", padding=[1, 0], dim_ordering="tf"), "merged"),
        node(layer("UpSampling2D", "larger", size=[2, 1], dim_ordering="tf"), "padded"),
    ]
    return {"name": "model_1", "layers": layers, "input_layers": [["entry", 0, 0]], "output_layers": [["larger", 0, 0]]}


@pytest.mark.parametrize("mode", ["sum", "mul", "max", "ave", "concat"])
def test_a_graph_of_keras_1_with_its_merge_layer(tmp_path: Path, mode: str) -> None:
    merge = {
        "mode": mode,
        "mode_type": "raw",
        "concat_axis": -1,
        "dot_axes": -1,
        "output_shape": None,
        "output_shape_type": "raw",
    }
    first, second = drawn(1, 1, 3, 2), drawn(1, 1, 3, 2, seed=1)
    path = keras_1(tmp_path / "old.hdf5", model_of_keras_1(merge), {"a": [first], "b": [second]})
    a, b = PICTURES @ first[0, 0], PICTURES @ second[0, 0]
    joined = {
        **{"sum": a + b, "mul": a * b, "max": np.maximum(a, b), "ave": (a + b) / 2},
        "concat": np.concatenate([a, b], axis=-1),
    }[mode]
    expected = np.pad(joined, ((0, 0), (1, 1), (0, 0), (0, 0))).repeat(2, axis=1)
    np.testing.assert_allclose(outputs(path), expected, rtol=1e-4, atol=1e-6)


def test_weights_in_an_order_that_keras_3_does_not_follow_are_never_swapped(tmp_path: Path) -> None:
    model = model_of_keras_1({"mode": "sum", "mode_type": "raw", "concat_axis": -1})
    model["layers"][1:3] = model["layers"][2:0:-1]
    weights = {"b": [drawn(1, 1, 3, 2, seed=1)], "a": [drawn(1, 1, 3, 2)]}
    text = sentence(keras_1(tmp_path / "old.h5", model, weights))
    assert text.startswith("old.h5 keeps the weights of its layers in an order that Keras 3 cannot follow")


def test_axes_and_words_of_an_hdf5_file_are_read_as_they_are_written(tmp_path: Path) -> None:
    """Keras itself drops several axes on reading its own HDF5, and takes the word `dot` for a function."""
    entry = keras.Input((4, 5, 3))
    tensor = keras.layers.Softmax(axis=[1, 2])(keras.layers.UnitNormalization(axis=[1, 3])(entry))
    series = keras.layers.Reshape((20, 3))(tensor)
    model = keras.Model(entry, keras.layers.Attention(score_mode="dot")([series, series]))
    pictures = drawn(2, 4, 5, 3)
    unit = pictures / np.sqrt((pictures**2).sum(axis=(1, 3), keepdims=True))
    soft = (np.exp(unit) / np.exp(unit).sum(axis=(1, 2), keepdims=True)).reshape(2, 20, 3)
    scores = np.exp(soft @ soft.transpose(0, 2, 1))
    expected = scores / scores.sum(axis=-1, keepdims=True) @ soft
    np.testing.assert_allclose(outputs(save(model, tmp_path / "axes.h5"), pictures), expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("stack", "words"),
    [
        ([convolution("conv", 2, 1, 1, dim_ordering="th", **ENTRY)], "keeps its channels first"),
        ([convolution("conv", 2, 1, 1, border_mode="full", **ENTRY)], "pads a convolution to `full`"),
        ([layer("BatchNormalization", "bn", mode=2, **ENTRY)], "BatchNormalization with mode = 2"),
        (
            [layer("MaxoutDense", "maxout", output_dim=2, nb_feature=4, **ENTRY)],
            "needs `MaxoutDense`, which was part of Keras 2 and is not part of Keras 3",
        ),
        (model_of_keras_1({"mode": "cos", "mode_type": "raw"}), "merges layers by `cos`"),
        (model_of_keras_1({"mode": ["code"], "mode_type": "lambda"}), "merges layers by"),
        ([convolution("conv", 2, 1, 1)], "--input-shape H,W,C"),
        ([7], "its architecture is damaged"),
        ([{"class_name": "Dense"}], "its architecture is damaged"),
    ],
)
def test_what_cannot_be_migrated_exactly_is_one_sentence(tmp_path: Path, stack: Any, words: str) -> None:
    text = sentence(keras_1(tmp_path / "old.h5", stack, {}))
    assert text.startswith("old.h5 ")
    assert words in text


def test_a_network_that_does_not_state_its_input_is_built_for_the_one_that_is_given(tmp_path: Path) -> None:
    kernel, bias = drawn(3, 2, 3, 4), drawn(4, seed=1)
    path = keras_1(tmp_path / "old.h5", [convolution("conv", 4, 3, 2)], {"conv": [kernel, bias]})
    model = load(str(path), Settings(input_shape=(9, 8, 3))).model
    np.testing.assert_allclose(np.asarray(model(PICTURES)), convolve(PICTURES, kernel, bias), rtol=1e-4, atol=1e-5)


def test_a_keras_suffix_on_hdf5_is_read_as_what_it_is(tmp_path: Path) -> None:
    """Keras wrote HDF5 under this name before 2.12; and a file may have been renamed."""
    for suffix, wrong in ((".h5", ".keras"), (".keras", ".h5"), (".h5", ".H5"), (".keras", ".KERAS")):
        path = save(small(), tmp_path / f"right{suffix}").rename(tmp_path / f"small{wrong}")
        loaded = load(str(path), Settings())
        assert loaded.source == f"small{wrong}"
        for own, other in zip(small().get_weights(), loaded.model.get_weights(), strict=True):
            np.testing.assert_array_equal(own, other)


def test_what_keras_3_writes_is_not_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    original = keras.saving.load_model
    monkeypatch.setattr(
        keras.saving, "load_model", lambda path, **named: opened.append(path) or original(path, **named)
    )
    for suffix in (".keras", ".h5"):
        path = save(small(), tmp_path / f"small{suffix}")
        load(str(path), Settings())
        assert opened[-1] == path
