"""Attribution maps against formulas written by hand, and what they say of a model that is known."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from reportgen.compute.attribution import checks, methods
from reportgen.compute.attribution.maps import Attributor
from reportgen.core.errors import UsageError
from reportgen.core.grids import cell_numbers
from reportgen.core.records import InputContract, ModelRecord, Plan
from reportgen.core.settings import Settings
from reportgen.network.backend import keras, tf
from reportgen.network.class_scores import ScoreReader, find_places
from small_models import conv, functional, layers, network, pictures, randomised

PICTURE = pictures(1, seed=5).astype(np.float32) / 255
CLASSES = 3


def stack() -> list[Any]:
    """Layers of a classifier: global average pooling and one dense layer follow the last convolution."""
    return [
        conv(4, name="first", activation="relu"),
        layers.MaxPooling2D(name="pool"),
        conv(6, name="last", activation="relu"),
        layers.GlobalAveragePooling2D(name="mean"),
        layers.Dense(CLASSES, name="classes"),
        layers.Softmax(name="probabilities"),
    ]


@cache
def flat() -> Any:
    """The classifier as one flat model."""
    return randomised(functional(*stack()))


def reader(model: Any, globs: tuple[str, ...] = (), batch: int = 4, head: str | None = None) -> ScoreReader:
    walked = network(model)
    places, _ = find_places(walked, globs)
    (place,) = [each for each in places if each.head.name == head]
    return ScoreReader(walked, place, batch)


def plan(model: Any, **settings: Any) -> tuple[Any, Plan]:
    """The walked network and as much of a plan as attribution reads."""
    walked = network(model)
    chosen = Settings(**settings)
    record = ModelRecord("small", "small.keras", None, "", 1, (16, 16, 3), None)
    contract = InputContract((16, 16, 3), (16, 16), "crop", 0, 1, "none", "", None)
    return walked, Plan(record, contract, chosen.describe(), {}, (), (), (), (), ())


def attributed(
    model: Any, picture: np.ndarray = PICTURE[0], **settings: Any
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    walked, made = plan(model, **{"attribution": ("grad-cam,hirescam,score-cam",), **settings})
    arrays, facts = Attributor(walked, made, 4)("image", picture, lambda what: None)
    return arrays, facts["maps"]


def hand_written(model: Any, number: int) -> tuple[np.ndarray, np.ndarray, float]:
    """(maps, gradient of a class's logit by them, logit), by a tape over the layers of `flat`."""
    maps = tf.convert_to_tensor(PICTURE)
    for name in ("first", "pool", "last"):
        maps = model.get_layer(name)(maps)
    with tf.GradientTape() as tape:
        tape.watch(maps)
        logit = model.get_layer("classes")(model.get_layer("mean")(maps))[0, number]
    return maps.numpy()[0], tape.gradient(logit, maps).numpy()[0], float(logit)


@pytest.mark.parametrize("number", range(CLASSES))
def test_grad_cam_is_the_hand_written_gradient_of_the_logit_and_not_of_the_probability(number: int) -> None:
    maps, gradient, logit = hand_written(flat(), number)
    expected = np.einsum("hwk,k->hw", maps, gradient.mean((0, 1)))
    seen = reader(flat()).seen(PICTURE, number)
    assert seen.score == pytest.approx(logit, abs=1e-5)
    np.testing.assert_allclose(methods.grad_cam(seen.maps, seen.gradient), expected, atol=1e-6)


@pytest.mark.parametrize("number", range(CLASSES))
def test_hirescam_adds_up_to_the_logit_less_its_bias_where_pooling_and_one_dense_layer_follow(number: int) -> None:
    seen = reader(flat()).seen(PICTURE, number)
    bias = float(flat().get_layer("classes").bias[number])
    assert methods.hirescam(seen.maps, seen.gradient).sum() == pytest.approx(seen.score - bias, abs=1e-5)


def test_score_cam_is_the_plain_loop_over_masks() -> None:
    model = flat()
    arrays, facts = attributed(model, attribution=("score-cam",), attribution_classes=("0,1,2",))
    maps = hand_written(model, 0)[0]
    background = model(np.zeros_like(PICTURE)).numpy()[0]
    for each in facts:
        expected = np.zeros(maps.shape[:2])
        for channel in range(maps.shape[-1]):
            one = maps[..., channel]
            if one.max() > one.min():
                large = tf.image.resize(
                    one[..., None], (16, 16), "bilinear"
                ).numpy()  # no corners aligned, no antialiasing
                mask = (large - large.min()) / (large.max() - large.min())
                confidence = model(PICTURE * mask[None]).numpy()[0]
                expected += (confidence - background)[each["number"]] * one
        np.testing.assert_allclose(arrays[each["key"]], expected, atol=1e-5)


class Block(layers.Layer):
    """Two convolutions in a layer of the user's."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.pool = conv(4, activation="relu"), layers.MaxPooling2D()
        self.last = conv(6)

    def call(self, inputs: Any) -> Any:
        return tf.nn.relu(self.last(self.pool(self.first(inputs))))


class Subclassed(keras.Model):
    """A model whose `call` is Python."""

    def __init__(self) -> None:
        super().__init__()
        self.block, self.mean, self.classes = Block(), layers.GlobalAveragePooling2D(), layers.Dense(CLASSES)

    def call(self, inputs: Any) -> Any:
        return tf.nn.softmax(self.classes(self.mean(self.block(inputs))))


def nested() -> Any:
    inside = functional(*stack()[:3], shape=(None, None, 3))
    return functional(keras.Model(inside.input, inside.output, name="backbone"), *stack()[3:])


def inner_softmax() -> Any:
    return functional(*stack()[:4], layers.Dense(CLASSES, activation="softmax"))


def shared() -> Any:
    """The same layers, of which the last convolution is called on two inputs."""
    entry, parts = keras.Input((16, 16, 3)), stack()
    maps = parts[2](parts[1](parts[0](entry)))
    other = parts[2](layers.MaxPooling2D()(parts[0](layers.Rescaling(-1.0)(entry))))
    tensor = layers.Add()([maps, layers.Rescaling(0.0)(other)])
    for layer in parts[3:]:
        tensor = layer(tensor)
    return keras.Model(entry, tensor)


def subclassed() -> Any:
    model = Subclassed()
    model(PICTURE)
    return model


@pytest.mark.parametrize("make", [nested, inner_softmax, shared, subclassed])
def test_models_of_every_kind_have_the_maps_of_their_flat_twin(make: Any) -> None:
    model = make()
    model.set_weights(flat().get_weights())
    expected = reader(flat()).seen(PICTURE, 1)
    globs = ("last",) if make is shared else ()
    seen = reader(model, globs).seen(PICTURE, 1)
    for formula in (methods.grad_cam, methods.hirescam):
        np.testing.assert_allclose(
            formula(seen.maps, seen.gradient), formula(expected.maps, expected.gradient), atol=1e-6
        )


def test_the_last_maps_are_those_behind_a_residual_addition_so_that_nothing_passes_beside_them() -> None:
    entry = keras.Input((16, 16, 3))
    first = conv(4, name="first", activation="relu")(entry)
    last = layers.BatchNormalization(name="norm")(conv(4, name="last")(first))
    tensor = layers.ReLU(name="end")(layers.Add(name="add")([first, last]))
    model = keras.Model(entry, layers.Dense(2, activation="softmax")(layers.GlobalMaxPooling2D()(tensor)))
    (place,), _ = find_places(network(model), ())
    assert place.path == "end"
    (place,), _ = find_places(network(model), ("l*",))
    assert (place.path, place.unit) == ("last", "norm")


def test_an_addition_in_the_models_own_code_is_followed_too() -> None:
    entry = keras.Input((16, 16, 3))
    first = conv(4, name="first", activation="relu")(entry)
    tensor = keras.ops.relu(conv(4, name="last")(first) + first)
    dense = layers.Dense(2, activation="softmax", name="classes")
    model = randomised(keras.Model(entry, dense(layers.GlobalAveragePooling2D()(tensor))))
    (place,), _ = find_places(network(model), ())
    assert (place.path, place.unit) == ("last", "last, then AddV2, Relu")
    seen = reader(model).seen(PICTURE, 1)
    assert methods.hirescam(seen.maps, seen.gradient).sum() == pytest.approx(
        seen.score - float(dense.bias[1]), abs=1e-5
    )


def half_precision() -> Any:
    """The classifier in mixed precision, its probabilities included."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        return randomised(functional(*stack()))
    finally:
        keras.config.set_dtype_policy(policy)


def functions() -> Any:
    """Activations that are functions of the model's own code."""
    inputs = layers.Input((16, 16, 3))
    first = keras.activations.silu(layers.Conv2D(4, 3)(inputs))
    maps = keras.activations.gelu(layers.Conv2D(6, 3)(first))
    return randomised(
        keras.Model(inputs, layers.Dense(CLASSES, activation="softmax")(layers.GlobalAveragePooling2D()(maps)))
    )


def over_time() -> Any:
    """A convolution of each of four images."""
    inputs = layers.Input((4, 16, 16, 3))
    maps = layers.TimeDistributed(layers.Conv2D(6, 3, activation="relu"))(inputs)
    mean = layers.GlobalAveragePooling1D()(layers.TimeDistributed(layers.GlobalAveragePooling2D())(maps))
    return randomised(keras.Model(inputs, layers.Dense(CLASSES, activation="softmax")(mean)))


@pytest.mark.parametrize("make", [half_precision, functions, over_time])
def test_half_precision_functions_and_time_have_maps_of_the_logit(make: Any) -> None:
    model = make()
    shape = model.input_shape[1:]
    picture = np.random.default_rng(7).random(shape, np.float32)
    arrays, facts = attributed(model, picture, attribution=("hirescam,score-cam",))
    assert [each["kind"] for each in facts] == ["logit", "logit"]
    assert arrays["m0"].shape == tuple(facts[0]["grid"])
    assert arrays["m0"].ndim == len(shape) - 1
    assert all(np.isfinite(values).all() and np.ptp(values) > 0 for name, values in arrays.items() if "." not in name)
    if make is functions:  # maps are read before a function of several operations: the sum is not exact then
        return
    dense = next(layer for layer in reversed(model.layers) if layer.weights)
    bias = float(dense.get_weights()[1][facts[0]["number"]])
    tolerance = 0.02 if make is half_precision else 1e-4  # float16 has eleven bits
    assert float(arrays["m0"].sum()) + bias == pytest.approx(facts[0]["score"], rel=tolerance, abs=tolerance)


def test_only_variables_above_the_maps_are_randomized_and_the_model_keeps_its_own() -> None:
    model = flat()
    before = [weight.copy() for weight in model.get_weights()]
    assert [variable.path for variable in reader(model).place.above] == ["classes/kernel", "classes/bias"]
    attributed(model)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_random_weights_are_the_same_values_in_other_places_and_the_same_each_time() -> None:
    weights = [tf.reshape(tf.range(24.0), (4, 6))]
    (one,), (again,), (other,) = (checks.shuffled(weights, 0, draw) for draw in (0, 0, 1))
    np.testing.assert_array_equal(np.sort(np.ravel(one)), np.arange(24))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)
    assert not np.array_equal(one, weights[0])


def test_maps_of_each_output_are_its_own_and_of_one_number_for_two_classes_both_signs_are_told_apart() -> None:
    body = functional(*stack()[:4])
    outputs = {
        "animal": layers.Dense(CLASSES, activation="softmax")(body.output),
        "outdoor": layers.Dense(1, activation="sigmoid")(body.output),
    }
    model = randomised(keras.Model(body.input, outputs), seed=3)
    _, facts = attributed(model, attribution=("hirescam",), attribution_classes=("animal:0,animal:1,animal:2",))
    assert [each["output"] for each in facts] == ["animal"] * CLASSES + ["outdoor"]
    assert {each["label"] for each in facts[:CLASSES]} == {"output 0", "output 1", "output 2"}
    seen = reader(model, head="outdoor").seen(PICTURE, 0)
    assert 1 / (1 + np.exp(-seen.score)) == pytest.approx(float(model(PICTURE)["outdoor"][0, 0]), abs=1e-6)


def test_without_a_softmax_the_score_is_the_output_and_of_probabilities_made_otherwise_their_logarithm() -> None:
    linear = randomised(functional(*stack()[:5]))
    assert {each["kind"] for each in attributed(linear, attribution=("grad-cam",))[1]} == {"output"}
    entry = functional(*stack())
    halved = layers.Average()([entry.output, layers.Softmax()(layers.Rescaling(2.0)(entry.layers[-2].output))])
    ensemble = randomised(keras.Model(entry.input, halved))
    (facts,) = attributed(ensemble, attribution=("grad-cam",))[1]
    assert facts["kind"] == "log probability"
    assert facts["score"] == pytest.approx(np.log(facts["value"]), abs=1e-5)


def test_a_planted_trigger_is_where_the_maps_are_highest_and_what_deletion_removes() -> None:
    """Class 1 is the largest response of a filter that looks for a white patch."""
    model = functional(
        layers.Conv2D(2, 4, strides=4, activation="relu", name="last"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(2),
        layers.Softmax(),
    )
    kernel = np.zeros((4, 4, 3, 2), np.float32)
    kernel[..., 1] = 1
    model.set_weights([kernel, np.float32([0.1, -20]), np.float32([[0, 0], [0, 4]]), np.float32([1, 0])])
    picture = np.full((16, 16, 3), 0.2, np.float32)
    picture[8:12, 4:8] = 1
    arrays, facts = attributed(model, picture)
    for each in facts:
        assert each["label"] == "output 1"
        assert np.unravel_index(arrays[each["key"]].argmax(), (4, 4)) == (2, 1)
        deletion = arrays[f"{each['key']}.deletion"]
        assert deletion[0] > 0.9 > 0.5 > deletion[1]
        assert each["deletion_area"] < each["random_area"] < each["insertion_area"]


def test_layers_and_classes_that_are_not_there_are_named() -> None:
    with pytest.raises(UsageError, match="--attribution-layers nowhere"):
        find_places(network(flat()), ("nowhere",))
    with pytest.raises(UsageError, match="--attribution-classes zebra"):
        attributed(flat(), attribution_classes=("zebra",))
    places, notes = find_places(network(functional(conv(4))), ())
    assert places == ()
    assert "not one number per class" in notes[0]


def test_curves_begin_at_the_image_end_at_its_mean_and_enlarging_repeats_positions() -> None:
    picture = pictures(1)[0].astype(np.float32)
    cells = cell_numbers((3, 5), (16, 16))
    assert [cells[0, 0], cells[-1, -1], len(np.unique(cells))] == [0, 14, 15]
    made = checks.altered(picture, picture.mean((0, 1)), cells, np.arange(15))
    np.testing.assert_array_equal(made[0], picture)
    np.testing.assert_allclose(made[-1], np.broadcast_to(picture.mean((0, 1)), picture.shape))
    assert (made[1] == picture).all(axis=-1)[6:].all()
    assert not (made[1] == picture).all(axis=-1)[:5, :3].any()


def test_rank_correlation_is_spearmans_with_ties_and_none_of_a_constant_map() -> None:
    one, other = np.array([1.0, 2, 2, 3]), np.array([10.0, 30, 20, 40])
    assert checks.rank_correlation(one, other) == pytest.approx(0.9486833)  # 4.5 / sqrt(4.5 * 5)
    assert checks.rank_correlation(one, -(one**3)) == pytest.approx(-1)
    assert checks.rank_correlation(one, np.ones(4)) is None
