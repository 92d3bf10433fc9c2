"""Walking any model: every convolution is found, has a lasting name, a unit, or a reason; and the model is left as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from reportgen.core.errors import ModelError
from reportgen.network.backend import keras, tf
from reportgen.network.graph.hooks import run_until
from small_models import (
    SHAPE,
    built,
    conv,
    functional,
    layer_call,
    layers,
    network,
    one_picture,
    pictures,
    randomised,
    unit_maps,
)


def paths(model: Any, **settings: Any) -> list[str]:
    return [item.path for item in network(model, **settings).layer_calls]


def reasons(model: Any, **settings: Any) -> dict[str, str]:
    return {item.path: item.reason for item in network(model, **settings).layer_calls if item.reason is not None}


def test_sequential_and_functional_models_name_layers_by_their_names() -> None:
    assert paths(keras.Sequential([keras.Input(SHAPE), conv(name="one"), layers.ReLU(), conv(name="two")])) == [
        "one",
        "two",
    ]
    assert paths(functional(conv(name="one"), conv(name="two"))) == ["one", "two"]


def test_nested_models_join_their_names() -> None:
    inner = keras.Sequential([keras.Input(SHAPE), conv(3, name="deep")], name="inner")
    middle = functional(conv(3, name="own"), inner, shape=SHAPE)
    middle.name = "middle"
    assert paths(functional(middle, conv(name="last"))) == ["middle/own", "middle/inner/deep", "last"]


def test_layers_stand_in_the_order_in_which_data_meets_them() -> None:
    entry = keras.Input(SHAPE)
    late, early = conv(name="a_late"), conv(name="z_early")
    middle = conv(name="m_middle")
    assert paths(keras.Model(entry, late(middle(early(entry))))) == ["z_early", "m_middle", "a_late"]


def test_a_shared_layer_has_one_path_a_call() -> None:
    entry = keras.Input(SHAPE)
    shared = conv(3, name="shared")
    both = layers.Concatenate()([shared(entry), shared(layers.AveragePooling2D(1)(entry)), conv(name="other")(entry)])
    assert sorted(paths(keras.Model(entry, both))) == ["other", "shared", "shared@2"]


def test_a_shared_model_has_one_path_a_call_of_each_layer() -> None:
    entry = keras.Input(SHAPE)
    tower = keras.Sequential([keras.Input(SHAPE), conv(name="conv")], name="tower")
    both = layers.Add()([tower(entry), tower(layers.ReLU()(entry))])
    assert paths(keras.Model(entry, both)) == ["tower/conv", "tower/conv@2"]


class Block(layers.Layer):
    def __init__(self, filters: int = 3) -> None:
        super().__init__()
        self.layers = [conv(filters), layers.ReLU(), conv(filters)]
        self.by_name = {"left": conv(filters), "right": [conv(filters)]}
        self._private = conv(filters)

    def call(self, inputs: Any) -> Any:
        for layer in self.layers:
            inputs = layer(inputs)
        return self._private(self.by_name["right"][0](self.by_name["left"](inputs)))


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3)
        self.block1 = Block()
        self.head = keras.Sequential([conv(2, name="named")])
        self.again = self.stem

    def call(self, inputs: Any) -> Any:
        return self.head(self.again(self.block1(self.stem(inputs))))


SUBCLASSED_PATHS = [
    "stem",
    "block1/layers/0",
    "block1/layers/2",
    "block1/by_name/left",
    "block1/by_name/right/0",
    "block1/_private",
    "stem@2",
    "head/named",
]


def test_subclassed_models_name_layers_by_their_attributes() -> None:
    """And not by layer names, which count up with every model made in the process."""
    for _ in range(2):
        assert paths(Subclassed(), input_shape=SHAPE) == SUBCLASSED_PATHS


def test_a_model_subclass_with_a_functional_body_is_named_as_functional() -> None:
    class Own(keras.Model):
        pass

    entry = keras.Input(SHAPE)
    assert paths(Own(entry, conv(name="inside")(entry))) == ["inside"]


def test_a_layer_that_is_never_called_is_skipped_with_that_reason() -> None:
    class Idle(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = conv(), conv()
            self.unused.build((None, *SHAPE))

        def call(self, inputs: Any) -> Any:
            return self.used(inputs)

    walked = network(Idle(), input_shape=SHAPE)
    assert {item.path: item.reason for item in walked.layer_calls} == {
        "used": None,
        "unused": "the model never calls it",
    }


def test_a_layer_inside_a_graph_function_of_its_own_is_skipped_with_a_reason_and_the_others_are_not() -> None:
    class Hidden(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.seen, self.hidden, self.after = conv(3), conv(3), conv(3)
            self.hidden.build((None, *SHAPE))  # made inside the function, its weights would be constants of it

        @tf.function
        def inside(self, inputs: Any) -> Any:
            return self.hidden(inputs)

        def call(self, inputs: Any) -> Any:
            return self.after(self.inside(self.seen(inputs)))

    walked = network(randomised(built(Hidden())), input_shape=SHAPE)
    assert [item.path for item in walked.layer_calls if item.reason is None] == ["seen", "after"]
    assert "graph function" in str(layer_call(walked, "hidden").reason)
    assert all(len(maps) == 2 for maps in unit_maps(walked))


def test_a_layer_whose_call_is_a_graph_function_is_hooked_with_its_branches() -> None:
    class Branching(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.conv = conv(3)

        @tf.function
        def call(self, inputs: Any) -> Any:
            scaled = inputs * 0
            if tf.reduce_sum(inputs) > 0:
                scaled = inputs * 2
            return self.conv(scaled)

    class Model(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.block = Branching()

        def call(self, inputs: Any) -> Any:
            return self.block(inputs)

    model = randomised(built(Model()))
    walked = network(model, input_shape=SHAPE)
    assert paths(model, input_shape=SHAPE) == ["block/conv"]
    assert layer_call(walked, "block/conv").reason is None
    ((_, after),) = unit_maps(walked)
    np.testing.assert_allclose(after, np.asarray(model.block.conv(one_picture() * 2)), rtol=1e-5, atol=1e-5)
    ((_, dark),) = [
        (np.asarray(before), np.asarray(after))
        for before, after in tf.function(lambda entry: walked.units(entry, walked.layer_calls), autograph=False)(
            -one_picture()
        )
    ]
    np.testing.assert_allclose(dark, np.broadcast_to(model.block.conv.bias, dark.shape), rtol=1e-5)


def test_a_model_whose_call_is_a_graph_function_is_hooked() -> None:
    class Model(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = conv(3), conv(3)

        @tf.function
        def call(self, inputs: Any) -> Any:
            middle = self.first(inputs)
            if tf.reduce_sum(inputs) < 0:
                middle = -middle
            return self.second(middle)

    model = randomised(built(Model()))
    walked = network(model, input_shape=SHAPE)
    assert [(item.path, item.reason) for item in walked.layer_calls] == [("first", None), ("second", None)]
    expected = model.second(model.first(one_picture()))
    np.testing.assert_allclose(unit_maps(walked)[1][1], np.asarray(expected), rtol=1e-5, atol=1e-5)


def test_a_model_that_stops_halfway_keeps_what_was_reached() -> None:
    class Halfway(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = conv(), conv()
            self.broken = False

        def call(self, inputs: Any) -> Any:
            middle = self.first(inputs)
            if self.broken:
                raise RuntimeError("no way on")
            return self.second(middle)

    model = built(Halfway())
    model.broken = True
    walked = network(model, input_shape=SHAPE)
    assert layer_call(walked, "first").reason is None
    assert "no way on" in str(layer_call(walked, "second").reason)
    assert len(unit_maps(walked)) == 1


def test_a_model_that_does_not_run_at_all_is_one_sentence() -> None:
    class Broken(keras.Model):
        def call(self, inputs: Any) -> Any:
            raise RuntimeError("no\nway")

    with pytest.raises(ModelError, match="does not run"):
        network(Broken(), input_shape=SHAPE)


def test_maps_with_more_axes_than_are_drawn_are_skipped_with_their_shape() -> None:
    deep = layers.TimeDistributed(layers.Conv3D(2, 1, name="inner"), name="deep")
    model = functional(conv(name="image"), layers.Reshape((4, 4, 4, 4, 4)), deep)
    assert list(reasons(model)) == ["deep/inner"]
    assert "4 × 4 × 4 × 2 has 4 spatial axes" in reasons(model)["deep/inner"]


def test_a_layer_that_convolves_inside_a_recurrence_says_so_and_can_be_named() -> None:
    model = functional(layers.ConvLSTM2D(2, 3, name="steps"), shape=(3, 8, 8, 1))
    assert "recurrence" in reasons(model)["steps"]
    assert layer_call(network(model, layers=("steps",)), "steps").output_shape == (6, 6, 2)


def test_any_layer_may_be_named_by_its_exact_path_and_no_other_appears() -> None:
    entry = keras.Input(SHAPE)
    added = layers.Add(name="sum")([conv(3, name="one")(entry), entry])
    model = keras.Model(entry, layers.ReLU(name="rectified")(added))
    assert paths(model) == ["one"]
    assert paths(model, layers=("*",)) == ["one"]
    walked = network(model, layers=("one", "sum", "rectified"))
    assert [(item.path, item.unit_path, item.unit.name) for item in walked.layer_calls if item.unit is not None] == [
        ("one", "one", "linear"),
        ("sum", "sum", "linear"),
        ("rectified", "rectified", "relu"),
    ]
    (_, after), _, (before, rectified) = unit_maps(walked)
    np.testing.assert_allclose(before, after + one_picture(), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(rectified, np.maximum(before, 0))


def test_no_layer_is_run_twice_and_nothing_behind_the_last_wanted_one_runs() -> None:
    ran: list[str] = []

    class Noting(layers.Layer):
        def call(self, inputs: Any) -> Any:
            ran.append(self.name)
            return inputs

    model = functional(
        Noting(name="before"), conv(name="wanted"), Noting(name="between"), conv(name="behind"), Noting(name="end")
    )
    walked = network(model)
    ran.clear()
    tf.function(lambda entry: walked.units(entry, [layer_call(walked, "wanted")]), autograph=False)(one_picture())
    assert ran == ["before"]


# The model as it was


def state(model: Any) -> dict[str, Any]:
    """Each layer's instance attributes by identity, and every weight's bytes."""
    every = list(model._flatten_layers())
    attributes = {id(layer): {name: id(value) for name, value in vars(layer).items()} for layer in every}
    return {"attributes": attributes, "weights": [np.asarray(value).tobytes() for value in model.get_weights()]}


def test_hooks_leave_no_trace_on_any_layer() -> None:
    model = randomised(
        functional(conv(name="c", activation="relu"), layers.BatchNormalization(), layers.ReLU(), conv())
    )
    built(model)
    before = state(model)
    walked = network(model)
    unit_maps(walked)
    walked.predict(pictures(1))
    assert state(model) == before


def test_a_failing_call_leaves_no_trace_either() -> None:
    class Failing(layers.Layer):
        broken = False

        def call(self, inputs: Any) -> Any:
            if self.broken:
                raise RuntimeError("no")
            return inputs

    failing = Failing()
    model = built(functional(conv(name="c", activation="relu"), failing))
    failing.broken = True
    before = state(model)
    with pytest.raises(RuntimeError, match="no"):
        run_until(model, ((one_picture(),), {}), list(model.layers), lambda call: False)
    after = state(model)
    assert after == before


def test_probabilities_are_the_models_own() -> None:
    model = randomised(functional(conv(), layers.GlobalAveragePooling2D(), layers.Dense(5, activation="softmax")))
    walked = network(model, preprocess="unit")
    shown = pictures(2)
    assert walked.class_count == 5
    np.testing.assert_allclose(walked.predict(shown), np.asarray(model(shown / np.float32(255))), rtol=1e-5)


@pytest.mark.parametrize("wrap", [lambda classes: {"class": classes}, lambda classes: [classes]], ids=["dict", "list"])
def test_probabilities_in_a_container_are_found(wrap: Callable[[Any], Any]) -> None:
    entry = keras.Input(SHAPE)
    classes = layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(conv()(entry)))
    walked = network(keras.Model(entry, wrap(classes)))
    assert walked.class_count == 3
    found = walked.predict(pictures(2))
    assert found is not None
    assert found.shape == (2, 3)


def test_numbers_that_are_no_probabilities_are_none() -> None:
    assert network(functional(conv(), layers.GlobalAveragePooling2D(), layers.Dense(5))).predict(pictures(1)) is None
    assert network(functional(conv(activation="sigmoid"))).predict(pictures(1)) is None


def test_a_wrapped_layer_is_found_by_its_own_name_where_names_last() -> None:
    wrap = layers.SpectralNormalization(layers.Conv2D(2, 3, name="inner"), name="spectral")
    series = layers.Bidirectional(layers.ConvLSTM1D(2, 3, name="steps", return_sequences=True), name="both")
    each = layers.TimeDistributed(layers.SpectralNormalization(layers.Conv1D(2, 3, name="deep")), name="each")
    each.layer.name = "normal"
    walked = network(functional(wrap, series, each))
    paths = ["spectral/inner", "both/forward_steps", "both/backward_steps", "each/normal/deep"]
    assert sorted(item.path for item in walked.layer_calls) == sorted(paths)


def test_in_a_subclassed_model_a_wrapped_layer_keeps_the_attributes_name() -> None:
    class Own(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.wrap = layers.SpectralNormalization(layers.Conv2D(2, 3))
            self.inside = functional(layers.SpectralNormalization(layers.Conv2D(2, 3, name="conv"), name="sn"))

        def call(self, inputs: Any) -> Any:
            return self.inside(inputs), self.wrap(inputs)

    assert [item.path for item in network(built(Own()), input_shape=SHAPE).layer_calls] == [
        "inside/sn/conv",
        "wrap/layer",
    ]
