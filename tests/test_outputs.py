"""The model's own outputs as something to look for: before softmax or sigmoid, a channel a class."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from plain_convolution import convolve
from reportgen.compute.patterns.objectives import Direction
from reportgen.compute.patterns.recipe import KERAS_IO
from reportgen.compute.planning.layer_records import describe_output
from reportgen.core.errors import UsageError
from reportgen.core.settings import Settings
from reportgen.network.backend import keras, tf
from reportgen.network.network import Network
from reportgen.network.outputs import class_count
from reportgen.recipes import pixels
from small_models import QUICK, ascent, conv, functional, layers, network, pictures, randomised, same

CLASSES = 5


def headed(*head: Any, units: int = CLASSES, **dense: Any) -> Any:
    """A classifier: convolution, rectifier, the mean of every map, a dense layer, and what `head` adds."""
    body = [conv(6, activation="relu", name="conv"), layers.GlobalAveragePooling2D()]
    return randomised(functional(*body, layers.Dense(units, name="dense", **dense), *head), low=-1, high=1)


def nested() -> Any:
    body = keras.Sequential([keras.Input((16, 16, 3)), conv(6, activation="relu", name="conv")])
    entry = keras.Input((16, 16, 3))
    head = keras.Sequential(
        [
            keras.Input((16, 16, 6)),
            layers.GlobalAveragePooling2D(),
            layers.Dense(CLASSES, activation="softmax", name="dense"),
        ]
    )
    return randomised(keras.Model(entry, head(body(entry))), low=-1, high=1)


def half(*head: Callable[[], Any]) -> Any:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        return headed(*[make() for make in head])
    finally:
        keras.config.set_dtype_policy("float32")


CLASSIFIERS: dict[str, Callable[[], Any]] = {
    "dense with softmax": lambda: headed(activation="softmax"),
    "softmax as an activation": lambda: headed(layers.Activation("softmax")),
    "softmax as a layer": lambda: headed(layers.Softmax()),
    "sigmoid": lambda: headed(activation="sigmoid"),
    "one sigmoid": lambda: headed(layers.Activation("sigmoid"), units=1),
    "linear": lambda: headed(),
    "something after softmax that changes nothing": lambda: headed(
        layers.Softmax(), layers.Dropout(0.5), layers.Activation("linear")
    ),
    "nested": nested,
    "half precision but for softmax": lambda: half(lambda: layers.Softmax(dtype="float32")),
    "half precision but for the answer": lambda: half(layers.Softmax, lambda: layers.Activation(None, dtype="float32")),
}


def layer_of(model: Any, name: str) -> Any:
    return next(layer for layer in model._flatten_layers() if layer.name == name)


def logits(model: Any, shown: np.ndarray) -> np.ndarray:
    """float64 (n, classes) by definition, of pictures in [0, 1]."""
    kernel, bias = layer_of(model, "conv").get_weights()
    features = np.maximum(convolve(shown, kernel, bias, how="same"), 0).mean((1, 2))
    kernel, bias = layer_of(model, "dense").get_weights()
    return np.asarray(features @ kernel.astype(np.float64) + bias)


def answers(walked: Network, shown: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    assert walked.output is not None
    layer_call = walked.output
    ((before, after),) = tf.function(lambda entry: walked.units(entry, [layer_call]), autograph=False)(
        tf.constant(shown)
    )
    return np.asarray(before, np.float64), np.asarray(after, np.float64)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_output_is_what_softmax_or_sigmoid_is_given(name: str) -> None:
    model = CLASSIFIERS[name]()
    walked = network(model)
    shown = pictures(3).astype(np.float32) / 255
    expected = logits(model, shown)
    before, after = answers(walked, shown)
    assert walked.output is not None
    assert walked.output.is_output
    assert walked.output.output_shape == (1, 1, expected.shape[1])
    assert before.shape == (3, 1, 1, expected.shape[1])
    loose = name.startswith("half precision")
    np.testing.assert_allclose(before[:, 0, 0], expected, rtol=0.05 if loose else 1e-4, atol=0.05 if loose else 1e-5)
    np.testing.assert_array_equal(before, after)


def two_outputs() -> Any:
    model = functional(conv(2), layers.ReLU())
    return keras.Model(model.inputs, [model.outputs[0], layers.Softmax()(model.outputs[0])])


NO_CLASSIFIERS: dict[str, Callable[[], Any]] = {
    "maps": lambda: functional(conv(2)),
    "class maps": lambda: functional(conv(2, activation="softmax")),
    "two outputs": two_outputs,
    "three dimensions": lambda: functional(conv(2), layers.Reshape((16, 32))),
}


@pytest.mark.parametrize("name", NO_CLASSIFIERS)
def test_a_model_without_one_number_a_class_has_no_output_to_show(name: str) -> None:
    walked = network(randomised(NO_CLASSIFIERS[name]()))
    assert walked.output is None
    assert walked.layer_calls
    with pytest.raises(UsageError, match=r"^--outputs: this model does not output one value per class"):
        describe_output(walked, Settings(outputs="1"), None, [])


def test_the_output_and_a_layer_are_measured_in_one_pass() -> None:
    walked = network(CLASSIFIERS["dense with softmax"]())
    assert walked.output is not None
    layer_calls = [walked.output, *walked.layer_calls]
    shown = tf.constant(pictures(2).astype(np.float32) / 255)
    together = tf.function(lambda entry: walked.units(entry, layer_calls), autograph=False)(shown)
    (alone,) = tf.function(lambda entry: walked.units(entry, walked.layer_calls), autograph=False)(shown)
    np.testing.assert_allclose(together[1], alone, rtol=1e-6)
    np.testing.assert_allclose(together[0][0], answers(walked, shown)[0], rtol=1e-5)


def test_a_layer_that_is_called_like_the_output_does_not_hide_it() -> None:
    walked = network(randomised(functional(conv(6, name="logits"), layers.GlobalAveragePooling2D(), layers.Softmax())))
    assert walked.output is not None
    paths = [path for path, _ in walked.named.values()]
    assert "logits" in paths
    assert walked.output.path not in paths


# Which classes

NAMES = ("cat", "dog", "tabby, tiger", "owl", "fox")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("1", (0,)),
        ("3", (0, 1, 2)),
        (" 2 ", (0, 1)),
        ("99", (0, 1, 2, 3, 4)),
        ("dog", (1,)),
        ("fox,cat", (0, 4)),
        ("owl , owl, dog", (1, 3)),
        ("tabby, tiger", (2,)),
    ],
)
def test_outputs_are_the_first_few_classes_or_those_named_in_the_models_order(
    words: str, expected: tuple[int, ...]
) -> None:
    walked = network(CLASSIFIERS["dense with softmax"]())
    record = describe_output(walked, Settings(outputs=words), NAMES, ["conv"])
    assert record.filters_shown == expected
    assert record.labels == tuple(NAMES[number] for number in expected)
    assert record.is_output
    assert (record.path, record.slug, record.filters_total) == ("logits", "logits", CLASSES)
    assert (record.pattern_size, record.receptive_field) == ((16, 16), None)
    assert (record.status, record.rectified, record.activation) == ("rendered", False, "linear")


def test_without_names_classes_are_numbered() -> None:
    walked = network(CLASSIFIERS["linear"]())
    assert describe_output(walked, Settings(outputs="2"), None, []).labels == ("output 0", "output 1")
    assert describe_output(walked, Settings(outputs="output 3"), None, []).filters_shown == (3,)


@pytest.mark.parametrize("words", ["cow", "cat,cow", "Cat", "cat;dog", "-1", "1.5"])
def test_a_class_that_is_not_there_is_refused_and_the_classes_are_named(words: str) -> None:
    walked = network(CLASSIFIERS["dense with softmax"]())
    with pytest.raises(UsageError, match=r"^--outputs .*: there is no such class; there are cat, dog") as caught:
        describe_output(walked, Settings(outputs=words), NAMES, [])
    assert "\n" not in str(caught.value)


def test_no_class_at_all_is_refused() -> None:
    walked = network(CLASSIFIERS["dense with softmax"]())
    with pytest.raises(UsageError, match=r"^--outputs 0 is a count of none; give a count from 1 on"):
        describe_output(walked, Settings(outputs="0"), NAMES, [])


@pytest.mark.parametrize("words", ["1", "2", "dog"])
def test_the_one_channel_of_two_classes_stands_for_the_second(words: str) -> None:
    """Two names, one number, the second one's: there is no second channel to seek, and the first is not the first class's."""
    walked = network(CLASSIFIERS["one sigmoid"]())
    record = describe_output(walked, Settings(outputs=words), ("cat", "dog"), [])
    assert record.filters_total == 1
    assert record.filters_shown == (0,)
    assert record.labels == ("dog",)


# Sought


@pytest.mark.parametrize(
    ("name", "recipe"),
    [
        ("dense with softmax", QUICK),
        ("nested", QUICK),
        ("sigmoid", dataclasses.replace(KERAS_IO, steps=4)),
        ("linear", dataclasses.replace(QUICK, parameterization=pixels())),
    ],
)
def test_the_logit_of_every_class_rises_and_falls(name: str, recipe: Any) -> None:
    model = CLASSIFIERS[name]()
    sought = ascent(model, path="logits", recipe=recipe)
    most, least = sought.find(range(4)), sought.find(range(4), direction=Direction.MINIMIZE)
    reached = logits(model, most.images / 255)
    np.testing.assert_allclose(most.responses, reached, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(most.activation, reached[range(4), range(4)], rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(most.activation, most.pre_activation)
    assert (most.activation > most.activation_start).all()
    assert (least.activation < least.activation_start).all()
    assert same(most, sought.find([2]), [2])


def test_the_softmax_is_never_what_is_climbed() -> None:
    """So certain a model that no class's probability has a gradient left; and a class that rises only where others fall faster."""
    model = headed(activation="softmax")
    kernel, bias = layer_of(model, "dense").get_weights()
    layer_of(model, "dense").set_weights([1e4 * kernel, bias])
    shown = pictures(1).astype(np.float32) / 255
    with tf.GradientTape() as tape:
        entry = tf.Variable(shown)
        certain = model(entry)[0, 1]
    assert not np.asarray(tape.gradient(certain, entry)).any()
    certain = ascent(model, path="logits", recipe=QUICK).find(range(4))
    layer_of(model, "dense").set_weights([kernel, bias])
    plain = ascent(model, path="logits", recipe=QUICK).find(range(4))
    assert (certain.activation > certain.activation_start).all()
    assert np.abs(certain.images.astype(int) - plain.images).max() <= 2  # the bias hardly counts beside such weights


def test_a_class_that_is_not_finite_leaves_the_other_classes_as_they_were() -> None:
    model = headed(activation="softmax")
    whole = ascent(model, path="logits").find(range(4))
    kernel, bias = layer_of(model, "dense").get_weights()
    kernel[0, 2] = np.nan
    layer_of(model, "dense").set_weights([kernel, bias])
    found = ascent(model, path="logits").find(range(4))
    assert np.isnan(found.activation).tolist() == [False, False, True, False]
    assert found.images[[0, 1, 3]].tobytes() == whole.images[[0, 1, 3]].tobytes()


def test_what_is_no_tensor_is_no_class_probability() -> None:
    """A subclassed model may answer nothing, or a plain number."""
    assert [class_count([answer]) for answer in (None, 3)] == [None, None]


def forked() -> Any:
    entry = keras.Input((16, 16, 3))
    pooled = layers.GlobalAveragePooling2D()(conv(6, activation="relu", name="conv")(entry))
    heads = [layers.Dense(3, activation="softmax", name="breed"), layers.Dense(2, name="species")]
    return randomised(keras.Model(entry, [head(pooled) for head in heads]), low=-1, high=1)


@pytest.mark.parametrize(
    ("wanted", "labels"),
    [("species:1", ("output 0",)), ("breed:5", ("pug", "boxer", "beagle")), ("breed:beagle", ("beagle",))],
)
def test_the_classes_of_a_named_output_are_shown_by_their_own_logits(wanted: str, labels: tuple[str, ...]) -> None:
    model = forked()
    walked = network(model, outputs=wanted)
    record = describe_output(walked, Settings(outputs=wanted), ["pug", "boxer", "beagle"], [])
    assert record.labels == labels
    assert walked.output is not None
    fed = tf.constant(pictures(2).astype(np.float32) / 255)
    read = tf.function(lambda entry: walked.units(entry, [walked.output]), autograph=False)
    ((before, _),) = read(fed)
    head = model.get_layer(wanted.partition(":")[0])
    pooled = np.asarray(keras.Model(model.inputs[0], head.input)(fed))
    kernel, bias = (np.asarray(weight) for weight in head.weights)
    np.testing.assert_allclose(np.asarray(before)[:, 0, 0], pooled @ kernel + bias, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("wanted", ["5", "breed", "nothing:5", "breed:"])
def test_of_several_outputs_one_has_to_be_named(wanted: str) -> None:
    with pytest.raises(
        UsageError, match=r"several outputs; name one and its classes, as breed:5. There are breed, species"
    ):
        describe_output(network(forked(), outputs=wanted), Settings(outputs=wanted), None, [])
