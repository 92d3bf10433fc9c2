"""A model with several inputs: one is the primary input, the others are constant, and everything else is as if it had one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reportgen.compute.opening import open_network
from reportgen.core.errors import ModelError, UsageError
from reportgen.core.settings import Settings
from reportgen.network.backend import keras, tf
from reportgen.network.network import Network
from reportgen.network.signature import signature
from small_models import layer_call, layers, pictures, randomised

SIDE = 8


def branches(structure: str) -> Any:
    """A picture, a vector of three numbers and four token ids, all of which the first convolution's output depends on."""
    picture = keras.Input((SIDE, SIDE, 3), name="picture")
    vector = keras.Input((3,), name="vector")
    tokens = keras.Input((4,), dtype="int32", name="tokens")
    words = layers.Dense(2, name="words")(layers.Flatten()(layers.Embedding(10, 2, name="embedding")(tokens)))
    context = layers.Dense(2, name="context")(vector)
    maps = layers.Conv2D(2, 3, padding="same", name="conv")(picture)
    maps = layers.Add(name="add")([maps, layers.Reshape((1, 1, 2))(context), layers.Reshape((1, 1, 2))(words)])
    maps = layers.Conv2D(3, 3, activation="relu", name="second")(maps)
    classes = layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(maps))
    nested: dict[str, Any] = {
        "list": [vector, picture, tokens],
        "dict": {"picture": picture, "tokens": tokens, "vector": vector},
        "nested": {"rest": [tokens, vector], "see": {"left": picture}},
    }
    return randomised(keras.Model(nested[structure], classes), seed=1)


def opened(model: Any, **settings: Any) -> Network:
    """The walked network with constant inputs read from files, as on the command line."""
    return open_network(model, Settings(**{"preprocess": "unit", **settings}))


def maps(network: Network, path: str, shown: np.ndarray) -> np.ndarray:
    read = tf.function(lambda fed: network.units(network.feed(fed), [layer_call(network, path)]), autograph=False)
    ((_, after),) = read(tf.constant(shown, tf.float32))
    return np.asarray(after)


@pytest.fixture(scope="module", params=["list", "dict", "nested"])
def model(request: pytest.FixtureRequest) -> Any:
    return branches(request.param)


def test_the_only_picture_is_looked_at_and_the_others_are_zero(model: Any) -> None:
    network = opened(model)
    contract = network.contract
    assert (contract.name, contract.shape) == ("picture", (SIDE, SIDE, 3))
    assert {(one.name, one.shape, one.file) for one in contract.constant_inputs} == {
        ("vector", (3,), None),
        ("tokens", (4,), None),
    }
    assert [item.path for item in network.layer_calls] == ["conv", "second"]
    assert layer_call(network, "second").receptive_field == (5, 5)
    shown = pictures(2, SIDE, SIDE)
    values = {"picture": shown / np.float32(255), "vector": np.zeros((2, 3)), "tokens": np.zeros((2, 4), np.int32)}
    expected = model.predict_on_batch(keras.tree.map_structure(lambda tensor: values[tensor.name], model.input))
    np.testing.assert_allclose(network.predict(shown), expected, rtol=1e-4)


def test_a_picture_goes_before_a_signal() -> None:
    picture, signal = keras.Input((SIDE, SIDE, 3), name="picture"), keras.Input((5, 2), name="signal")
    joined = layers.Add()(
        [layers.Conv2D(2, 3)(picture), layers.Reshape((1, 1, 2))(layers.GlobalMaxPooling1D()(signal))]
    )
    model = keras.Model([signal, picture], joined)
    assert opened(model).contract.name == "picture"
    assert opened(model, input="signal").contract.shape == (5, 2)


def test_an_input_is_held_at_the_numbers_of_its_file(model: Any, tmp_path: Path) -> None:
    vector, tokens = np.array([3.0, -2, 5], np.float32), np.array([1, 9, 0, 4])
    np.save(tmp_path / "v.npy", vector)
    (tmp_path / "t.csv").write_text("first,second,third,fourth\n1,9,0,4\n")
    network = opened(model, hold=(f"vector={tmp_path / 'v.npy'}", f"tokens={tmp_path / 't.csv'}"))
    assert {one.name: one.file for one in network.contract.constant_inputs} == {"vector": "v.npy", "tokens": "t.csv"}
    shown = pictures(2, SIDE, SIDE)
    values = {"picture": shown / np.float32(255), "vector": np.stack([vector] * 2), "tokens": np.stack([tokens] * 2)}
    expected = model.predict_on_batch(keras.tree.map_structure(lambda tensor: values[tensor.name], model.input))
    np.testing.assert_allclose(network.predict(shown), expected, rtol=1e-4)
    silent = maps(opened(model), "second", shown)
    assert not np.allclose(maps(network, "second", shown), silent)


def siamese() -> Any:
    """Two pictures through one shared convolution, and a convolution that the right one alone reaches."""
    left, right = keras.Input((SIDE, SIDE, 3), name="left"), keras.Input((SIDE, SIDE, 3), name="right")
    shared = layers.Conv2D(2, 3, name="shared")
    own = layers.Conv2D(2, 3, name="own")(shared(right))
    both = layers.Conv2D(2, 1, name="both")(layers.Concatenate()([layers.Cropping2D(1)(shared(left)), own]))
    return randomised(keras.Model([left, right], both), seed=2)


def test_of_two_pictures_the_user_says_which() -> None:
    with pytest.raises(
        UsageError, match=r"2 inputs; name the primary one with --input: left \(8 × 8 × 3\), right \(8 × 8 × 3\)\.$"
    ):
        opened(siamese())
    with pytest.raises(UsageError, match=r"no input `middle`; its inputs are left"):
        opened(siamese(), input="middle")


def test_inputs_of_which_none_can_be_shown_are_not_offered() -> None:
    noise, label = keras.Input((8,), name="noise"), keras.Input((1,), name="label")
    both = layers.Reshape((3, 3, 1))(layers.Concatenate()([noise, label]))
    with pytest.raises(ModelError, match=r"none of the model's 2 inputs is a picture.*noise \(8\), label \(1\)"):
        signature(keras.Model([noise, label], layers.Conv2DTranspose(1, 3)(both))).primary(None)


def test_what_the_input_does_not_reach_is_left_out_with_that_reason() -> None:
    network = opened(siamese(), input="left")
    reasons = {item.path: item.reason for item in network.layer_calls}
    apart = "it does not depend on the primary input"
    assert reasons == {"shared": apart, "shared@2": None, "own": apart, "both": None}  # Keras runs the longer way first


def test_a_held_picture_is_fed_as_the_users_images_are(tmp_path: Path) -> None:
    model, right = siamese(), pictures(1, SIDE, SIDE, seed=5)
    Image.fromarray(right[0]).save(tmp_path / "r.png")
    network = opened(model, input="left", hold=(f"right={tmp_path / 'r.png'}",), preprocess="tf")
    shown = pictures(2, SIDE, SIDE)
    expected = model.predict_on_batch([shown / 127.5 - 1, np.repeat(right, 2, axis=0) / 127.5 - 1])
    np.testing.assert_allclose(maps(network, "both", shown), expected, rtol=1e-3, atol=1e-4)


class Called(keras.Model):
    """A subclassed model that is called with a dict."""

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        self.conv, self.dense = layers.Conv2D(2, 3), layers.Dense(2)

    def call(self, inputs: Any) -> Any:
        return self.conv(inputs["image"]) + self.dense(inputs["age"])[:, None, None, :]


class Named(Called):
    """The same called with two arguments."""

    def call(self, image: Any, age: Any, training: bool = False) -> Any:
        return Called.call(self, {"image": image, "age": age})


def test_a_subclassed_model_is_called_as_it_was_called_first() -> None:
    model = Called()
    model({"age": np.ones((1, 1), np.float32), "image": np.ones((1, SIDE, SIDE, 3), np.float32)})
    network = opened(randomised(model), image_size=SIDE)
    assert (network.contract.name, network.contract.shape) == ("image", (None, None, 3))
    assert [(one.name, one.shape) for one in network.contract.constant_inputs] == [("age", (1,))]
    assert [(item.path, item.reason) for item in network.layer_calls] == [("conv", None)]


def test_a_call_may_name_the_model_itself_as_it_likes() -> None:
    class Own(keras.Model):
        def call(this, image: Any, training: bool = False) -> Any:  # noqa: N805
            return image

    assert [one.name for one in signature(Own()).inputs] == ["image"]


def test_a_model_that_was_never_called_is_called_with_what_the_options_name(tmp_path: Path) -> None:
    np.save(tmp_path / "age.npy", np.array([[4.0]], np.float32))
    stated: dict[str, Any] = {
        "input": "image",
        "hold": (f"age={tmp_path / 'age.npy'}",),
        "input_shape": (SIDE, SIDE, 3),
    }
    for model in (Called(), Named()):
        network = opened(model, **stated)
        assert [(item.path, item.reason) for item in network.layer_calls] == [("conv", None)]
        shown = pictures(1, SIDE, SIDE)
        given = shown / np.float32(255), np.array([[4.0]], np.float32)
        expected = model(*given) if isinstance(model, Named) else model(dict(zip(("image", "age"), given, strict=True)))
        np.testing.assert_allclose(
            maps(network, "conv", shown)[0], np.asarray(expected)[0] - _dense(model), rtol=1e-4, atol=1e-5
        )


def _dense(model: Any) -> np.ndarray:
    return np.asarray(model.dense(np.array([[4.0]], np.float32)))[0]


def test_normalisation_of_another_input_is_not_taken_for_the_pictures() -> None:
    picture, vector = keras.Input((SIDE, SIDE, 3), name="picture"), keras.Input((2,), name="vector")
    scaled = layers.Reshape((1, 1, 2))(layers.Normalization(mean=[1.0, 2], variance=[1.0, 1])(vector))
    model = keras.Model([vector, picture], layers.Add()([layers.Conv2D(2, 3)(picture), scaled]))
    assert opened(model, preprocess="auto").contract.preprocess == "unit"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("vector", "is not of the form NAME=FILE"),
        ("vector=missing.npy", "no such file"),
        ("vector=wrong.npy", r"numbers of shape \(2, 2\), the input takes 3"),
        ("vector=nan.npy", "not finite"),
        ("tokens=half.npy", "contains 2.5, the input takes integers \\(int32\\)"),
        ("tokens=large.npy", r"contains 3e\+09, the input takes integers \(int32\)"),
        ("vector=broken.npy", "cannot be read"),
        ("vector=text.csv", "cannot be read"),
        ("vector=picture.png", "no image"),
        ("picture=wrong.npy", "this is the primary input"),
        ("nobody=wrong.npy", "no input `nobody`"),
    ],
)  # fmt: skip
def test_a_held_value_that_does_not_fit_is_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    np.save(tmp_path / "wrong.npy", np.ones((2, 2)))
    np.save(tmp_path / "nan.npy", np.array([1, np.nan, 2]))
    np.save(tmp_path / "half.npy", np.array([1, 2.5, 3, 4]))
    np.save(tmp_path / "large.npy", np.array([1, 2, 3e9, 4]))
    (tmp_path / "broken.npy").write_bytes(b"\x93NUMPY")
    (tmp_path / "text.csv").write_text("a,b\nc,d\n")
    Image.new("RGB", (4, 4)).save(tmp_path / "picture.png")
    name, _, file = text.partition("=")
    with pytest.raises(UsageError, match=words) as caught:
        opened(branches("list"), hold=(f"{name}={tmp_path / file}" if file else name,))
    assert "\n" not in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_settings_state_held_files_without_their_folders() -> None:
    described = Settings(hold=("a=/home/somebody/a.npy", "b=c.npy")).describe()
    assert json.loads(json.dumps(described["hold"])) == ["a=a.npy", "b=c.npy"]
    with pytest.raises(UsageError, match="twice"):
        Settings(hold=("a=b.npy", "a=c.npy"))


@pytest.mark.parametrize("sequential", [False, True])
def test_a_model_that_takes_whole_numbers_is_fed_them_and_lets_gradients_through(sequential: bool) -> None:
    stack = [layers.Rescaling(1 / 255), layers.Conv2D(2, 3, name="conv")]
    entry = keras.Input((SIDE, SIDE, 3), dtype="uint8")
    model = keras.Sequential([entry, *stack]) if sequential else keras.Model(entry, stack[1](stack[0](entry)))
    network = opened(randomised(model), preprocess="auto")
    assert network.contract.preprocess == "none"
    shown = pictures(2, SIDE, SIDE)
    np.testing.assert_allclose(maps(network, "conv", shown), model.predict_on_batch(shown), rtol=1e-4, atol=1e-5)

    def slope(fed: Any) -> Any:
        ((_, after),) = network.units(network.feed(fed), [layer_call(network, "conv")])
        return tf.gradients(after, [fed])[0]

    assert np.abs(np.asarray(tf.function(slope, autograph=False)(tf.constant(shown, tf.float32)))).max() > 0
    assert [tensor.dtype for tensor in model.inputs] == ["uint8"]


def test_whole_numbers_are_not_scaled_where_nothing_is_said() -> None:
    entry = keras.Input((SIDE, SIDE, 3), dtype="uint8")
    model = keras.Model(entry, layers.Conv2D(2, 3)(keras.ops.cast(entry, "float32")))
    contract = opened(model, preprocess="auto").contract
    assert (contract.preprocess, contract.warning) == ("none", None)
    assert "whole numbers (uint8)" in contract.reason
