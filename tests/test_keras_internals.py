"""Canaries: every part of Keras and TensorFlow that is no public interface and that this package reads, shadows or replaces.

Each test names the internal and fails by itself when a new version changes it, before anything that rests on it does.
"""

from __future__ import annotations

import dis
import importlib
import inspect
from typing import Any

import numpy as np
import pytest

from reportgen.network.backend import fused, keras, tf
from small_models import SHAPE, built, conv, functional, layers

USED = "reportgen relies on this internal, see {}"


def first_layer() -> Any:
    return functional(conv(2, name="conv", activation="relu")).get_layer("conv")


def test_a_layer_calls_the_call_that_stands_on_the_instance() -> None:
    """`network/graph/hooks.py` shadows `call` in a layer's `__dict__`."""
    layer = first_layer()
    layer.__dict__["call"] = lambda inputs, *rest, **named: inputs * 7
    assert float(layer(tf.ones((1, *SHAPE)))[0, 0, 0, 0]) == 7, USED.format("hooks.watch: Layer.__call__ and self.call")
    del layer.__dict__["call"]
    assert layer(tf.ones((1, *SHAPE))).shape[-1] == 2


def test_a_layer_keeps_its_activation_on_the_instance_and_looks_it_up_there() -> None:
    layer = first_layer()
    assert "activation" in layer.__dict__, USED.format("hooks: Layer.activation in __dict__")
    layer.__dict__["activation"] = lambda tensor: tensor * 0 + 5
    assert float(keras.ops.max(layer(tf.ones((1, *SHAPE))))) == 5, USED.format("hooks: self.activation in Conv2D.call")


def test_a_call_that_is_a_graph_function_has_its_python_function() -> None:
    class Compiled(keras.layers.Layer):
        @tf.function
        def call(self, inputs: Any) -> Any:
            return inputs

    assert callable(getattr(Compiled.call, "python_function", None)), USED.format("hooks: tf.function.python_function")


def test_time_distributed_says_whether_what_it_wraps_takes_training() -> None:
    wrapped = layers.TimeDistributed(layers.Dropout(0.5)).layer
    plain = layers.TimeDistributed(conv()).layer
    found = (wrapped._call_has_training_arg, plain._call_has_training_arg)
    assert found == (True, False), USED.format("hooks: Layer._call_has_training_arg")


def test_a_graph_takes_a_name_scope_on_the_instance_and_counts_its_operations() -> None:
    def trace(entry: Any) -> Any:
        graph = tf.compat.v1.get_default_graph()
        before, original = graph.version, graph.name_scope
        graph.name_scope = lambda name: original("renamed")
        try:
            with tf.name_scope("any"):
                found = tf.identity(entry)
        finally:
            del graph.name_scope
        assert graph.version == before + 1, USED.format("hooks: Graph.version")
        assert found.op.name.startswith("renamed"), USED.format("hooks: Graph.name_scope on the instance")
        return found

    tf.function(trace, autograph=False).get_concrete_function(tf.TensorSpec((1,)))


def test_a_layer_computes_in_the_policy_that_stands_on_the_instance() -> None:
    """`network/precision.py` replaces `_dtype_policy` in a layer's `__dict__`."""
    layer = first_layer()
    assert "_dtype_policy" in layer.__dict__, USED.format("precision.bfloat16: Layer._dtype_policy")
    layer.__dict__["_dtype_policy"] = keras.DTypePolicy("mixed_bfloat16")
    assert layer.compute_dtype == "bfloat16"
    assert layer(tf.ones((1, *SHAPE))).dtype == tf.bfloat16
    assert layer.kernel.dtype == "float32"


def test_an_input_keeps_its_type_and_its_layer_on_the_tensor() -> None:
    """`network/signature.py` replaces `_dtype` of an input's tensor and layer, and finds the layer by `_keras_history`."""
    model = keras.Model(entry := keras.Input(SHAPE, dtype="uint8", name="whole"), layers.Rescaling(1 / 255)(entry))
    tensor = model.inputs[0]
    layer = tensor._keras_history.operation
    assert layer.name == "whole", USED.format("signature: KerasTensor._keras_history")
    declaring = [part for part in (tensor, layer) if "_dtype" in part.__dict__]
    assert declaring, USED.format("signature.as_floating_point: _dtype in __dict__")
    for part in declaring:
        part.__dict__["_dtype"] = "float32"
    found = np.asarray(model(tf.fill((1, *SHAPE), 127.5)))
    assert found[0, 0, 0, 0] == pytest.approx(0.5), USED.format("signature.as_floating_point: _dtype of an Input")


def test_a_subclassed_model_records_the_shapes_of_its_first_call() -> None:
    class Plain(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.conv = conv()

        def call(self, inputs: Any) -> Any:
            return self.conv(inputs)

    recorded = getattr(built(Plain()), "_build_shapes_dict", None)
    assert list((recorded or {}).values()) == [(1, *SHAPE)], USED.format("signature.RECORDED: _build_shapes_dict")


def test_every_variable_is_made_by_the_constructor_of_keras_variable() -> None:
    """`network/loading/allocation_limits.py` replaces `keras.Variable.__init__`, and reads the shape at its second place."""
    parameters = list(inspect.signature(keras.Variable.__init__).parameters)
    assert parameters[:3] == ["self", "initializer", "shape"], USED.format("allocation_limits: Variable.__init__")
    shapes = []
    own, make = "__init__" in vars(keras.Variable), keras.Variable.__init__

    def recording(variable: Any, initializer: Any, shape: Any = None, *rest: Any, **named: Any) -> None:
        shapes.append(shape)
        make(variable, initializer, shape, *rest, **named)

    keras.Variable.__init__ = recording
    try:
        functional(conv(2, use_bias=False))
    finally:
        if own:
            keras.Variable.__init__ = make
        else:
            del keras.Variable.__init__
    assert (3, 3, 3, 2) in [tuple(shape) for shape in shapes if shape is not None]


def test_a_model_lists_its_layers_and_their_nodes() -> None:
    """Read by `allocation_limits.check_tensors`, `embedded_class_names`, `paths` and `network`."""
    model = functional(functional(conv(2, name="inner")), layers.ReLU(name="outer"))
    names = {layer.name for layer in model._flatten_layers()}
    assert {"inner", "outer"} <= names, USED.format("Model._flatten_layers")
    inner = list(model._flatten_layers(include_self=False, recursive=False))
    assert model not in inner
    assert "inner" not in {layer.name for layer in inner}
    (node,) = model.get_layer("outer")._inbound_nodes
    assert tuple(node.output_tensors[0].shape) == (None, 16, 16, 2), USED.format("Layer._inbound_nodes")


def test_a_functional_model_has_operations_and_a_subclassed_one_has_none() -> None:
    class Plain(keras.Model):
        pass

    assert hasattr(functional(conv()), "_operations"), USED.format("paths: Functional._operations")
    assert not hasattr(Plain(), "_operations"), USED.format("paths: Functional._operations")


def test_keras_keeps_what_is_its_own_on_a_model_under_known_names() -> None:
    """Any other private attribute that holds layers would be taken for the user's own, and its layers found twice or misnamed."""
    from reportgen.network.graph.paths import INTERNAL, TRACKING

    class Plain(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.conv = conv()

        def call(self, inputs: Any) -> Any:
            return self.conv(inputs)

    def holds_layers(value: Any) -> bool:
        items = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else (value,)
        return any(isinstance(item, keras.layers.Layer) for item in items)

    model = built(Plain())
    own = {name for name, value in vars(model).items() if name.startswith("_") and holds_layers(value)}
    own = {name for name in own if not name.startswith(TRACKING)}
    assert own, "a model keeps its layers somewhere"
    assert own <= INTERNAL, USED.format("paths.INTERNAL")


def test_applications_fetch_their_weights_by_file_utils(monkeypatch: pytest.MonkeyPatch) -> None:
    """`network/loading/applications.py` replaces `get_file`, so that nothing is downloaded."""
    asked = []

    def refuse(fname: str, origin: str, *rest: Any, file_hash: str | None = None, **named: Any) -> str:
        asked.append((fname, origin, file_hash))
        raise LookupError

    files = importlib.import_module("keras.src.utils.file_utils")
    monkeypatch.setattr(files, "get_file", refuse)
    with pytest.raises(LookupError):
        keras.applications.MobileNet(weights="imagenet")
    assert len(asked) == 1, USED.format("applications: keras.src.utils.file_utils.get_file")
    assert asked[0][1].startswith("https://")


def test_the_module_of_an_application_has_its_preprocessing() -> None:
    module = importlib.import_module(keras.applications.VGG16.__module__)
    assert module.__name__.startswith("keras.src.applications."), USED.format("custom_objects.APPLICATIONS")
    assert callable(module.preprocess_input), USED.format("preprocessing.of_application")


def test_a_functional_model_is_where_migrated_architectures_say() -> None:
    module = importlib.import_module("keras.src.models.functional")
    assert inspect.isclass(module.Functional), USED.format("legacy.architecture: keras.src.models.functional")


def test_a_merging_layer_comes_from_a_module_of_that_name() -> None:
    assert "merging" in layers.Add.__module__, USED.format("diagram: type(layer).__module__")
    assert "merging" not in layers.Conv2D.__module__


def test_values_of_variables_can_be_replaced_while_a_block_is_traced() -> None:
    """`network/selected_channels.py` hides weights that are not finite from a trace."""
    layer = first_layer()
    zeros = [(variable, tf.zeros(variable.shape)) for variable in layer.weights]
    with keras.StatelessScope(state_mapping=zeros):
        hidden = layer(tf.ones((1, *SHAPE)))
    assert float(keras.ops.max(keras.ops.abs(hidden))) == 0, USED.format("selected_channels: StatelessScope")


def test_a_variable_has_a_handle_that_graphs_capture() -> None:
    layer = first_layer()
    traced = tf.function(lambda entry: layer(entry), autograph=False)
    graph = traced.get_concrete_function(tf.TensorSpec((1, *SHAPE))).graph
    captured = {id(outside) for outside, _ in graph.captures}
    handles = {id(weight.value.handle) for weight in layer.weights}
    assert handles <= captured, USED.format("walk, applied_kernels: Variable.value.handle and Graph.captures")


def test_a_graph_gives_the_function_that_an_operation_calls() -> None:
    inner = tf.function(lambda entry: entry * 2)
    graph = tf.function(lambda entry: inner(entry)).get_concrete_function(tf.TensorSpec((1,))).graph
    (call,) = [operation for operation in graph.get_operations() if "PartitionedCall" in operation.type]
    body = graph._get_function(call.get_attr("f").name).graph
    found = {operation.type for operation in body.get_operations()}
    assert "Mul" in found, USED.format("receptive_fields.body_of: Graph._get_function")


def test_the_gradient_of_a_rectifier_can_be_replaced_in_a_trace() -> None:
    """`network/redirected_relu.py` replaces it by `gradient_override_map`."""
    from reportgen.network.redirected_relu import redirected

    def trace(entry: Any) -> Any:
        with redirected():
            found = keras.ops.relu(entry)
        (gradient,) = tf.gradients(-found, [entry])
        (upward,) = tf.gradients(found, [entry])
        return gradient, upward

    silent = tf.constant([[-1.0, -2.0]])
    downward, upward = tf.function(trace, autograph=False)(silent)
    np.testing.assert_array_equal(downward, [[0, 0]])
    np.testing.assert_array_equal(upward, [[1, 1]], USED.format("redirected_relu: gradient_override_map and Relu"))


def test_tensorflow_takes_the_option_that_keeps_convolutions_and_rectifiers_apart() -> None:
    """`network/backend.py` switches remapping off: on some processors a fused rectifier returns 0 where the layers return NaN."""
    assert tf.config.optimizer.get_experimental_options()["remapping"] is False, USED.format("backend: remapping")
    with fused():
        assert tf.config.optimizer.get_experimental_options()["remapping"] is True, USED.format("backend: remapping")
    assert tf.config.optimizer.get_experimental_options()["remapping"] is False


def test_python_says_how_many_caches_its_instructions_have() -> None:
    assert getattr(dis, "_inline_cache_entries", None), USED.format("bytecode.CACHES: dis._inline_cache_entries")


def test_a_model_checks_the_size_of_what_it_is_given_by_a_method_of_the_instance() -> None:
    """`network/network.py` shadows it where a search sees a small part of a picture."""
    model = functional(conv(2, name="conv"), shape=(32, 32, 3))
    model.__dict__["_assert_input_compatibility"] = lambda inputs: None
    found = model(tf.zeros((1, 16, 16, 3)))
    assert found.shape[0] == 1, USED.format("Network.unstated_sizes: Layer._assert_input_compatibility")
    del model.__dict__["_assert_input_compatibility"]
    with pytest.raises(ValueError, match="incompatible"):
        model(tf.zeros((1, 16, 16, 3)))
