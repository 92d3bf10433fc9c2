"""How a model is called: the one input that is looked at, among others that are held at constant values."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from reportgen.core.choices import DEFAULT_IMAGE_SIZE, SHAPE_AXES
from reportgen.core.errors import ModelError, UsageError, few
from reportgen.core.records import PICTURE_AXES, ConstantInput, ModelInput
from reportgen.network.backend import keras, tf

Arrange = Callable[[Mapping[str, Any]], tuple[tuple[Any, ...], dict[str, Any]]]
OWN_PARAMETERS = frozenset({"training", "mask"})  # of a `call` that are no inputs
RECORDED = "_build_shapes_dict"  # where Keras keeps the shapes of a subclassed model's first call, also in its file


@dataclass(frozen=True)
class Signature:
    """The inputs of a model in order. arrange: from a value for each name to the (args, kwargs) that the model is called with."""

    inputs: tuple[ModelInput, ...]
    arrange: Arrange

    def of(self, name: str) -> ModelInput:
        """The input with this name, which is also found by the key or position that it has in the model's own structure."""
        for one in self.inputs:
            if name in (one.name, one.alias):
                return one
        raise UsageError(f"the model has no input `{name}`; its inputs are {_listed(self.inputs)}.")

    def primary(self, name: str | None) -> ModelInput:
        """The input that the report is about: `name` (`--input`), else the only one, the only picture, or the only signal or volume."""
        if name is not None:
            return self.of(name)
        if len(self.inputs) == 1:
            return self.inputs[0]
        for axes in ((PICTURE_AXES,), SHAPE_AXES):
            alike = [one for one in self.inputs if one.shape is not None and len(one.shape) in axes]
            if len(alike) == 1:
                return alike[0]
            if alike:
                break
        if all(one.shape is not None and len(one.shape) not in SHAPE_AXES for one in self.inputs):
            raise ModelError(
                f"none of the model's {len(self.inputs)} inputs is a picture, signal or volume: {_listed(self.inputs)}."
            )
        raise UsageError(
            f"the model has {len(self.inputs)} inputs; say with --input which is looked at: {_listed(self.inputs)}."
        )


def _listed(inputs: Sequence[ModelInput]) -> str:
    return few([f"{one.name} ({one.described})" for one in inputs])


def signature(model: Any, stated: Sequence[str] = ()) -> Signature:
    """The inputs of `model`: those it states, else those that its first call recorded, else those that its `call` names.

    stated: names of inputs that the user speaks of, for a model that says nothing: they become the keys of one dict.
    """
    tensors = getattr(model, "inputs", None)
    if tensors:
        return _stated(model, tensors)
    shapes = getattr(model, RECORDED, None) or {}
    parameters = _parameters(model)
    if len(shapes) > 1 or len(parameters) > 1:
        # Keras records the shape of the first argument alone, or all of them by name.
        named = {name.removesuffix("_shape"): shape for name, shape in shapes.items()}
        if len(named) == 1:
            named = {parameters[0]: next(iter(named.values()))}
        inputs = tuple(ModelInput(name, _lengths(named.get(name)), None, None, False) for name in parameters)
        return Signature(inputs, lambda values: ((), {name: values[name] for name in parameters}))
    recorded = next(iter(shapes.values()), None)
    if recorded is not None and _lengths(recorded) is None:
        return _recorded(recorded)
    if recorded is None and stated:
        keys = tuple(dict.fromkeys(stated))
        return Signature(
            tuple(ModelInput(name, None, None, None, False) for name in keys),
            lambda values: (({name: values[name] for name in keys},), {}),
        )
    only = ModelInput(parameters[0] if parameters else "inputs", _lengths(recorded), None, None, False)
    return Signature((only,), lambda values: ((values[only.name],), {}))


def _stated(model: Any, tensors: Sequence[Any]) -> Signature:
    """Of a Functional or Sequential model, whose inputs may be nested lists and dicts."""
    names = [_layer_name(tensor) for tensor in tensors]
    structure = model.input if len(tensors) > 1 else tensors[0]
    paths = {
        id(tensor): "/".join(str(key) for key in path) or None
        for path, tensor in keras.tree.flatten_with_path(structure)
    }
    inputs = tuple(
        ModelInput(name, _lengths(tensor.shape), str(tensor.dtype), paths[id(tensor)], True)
        for name, tensor in zip(names, tensors, strict=True)
    )
    by_tensor = {id(tensor): name for tensor, name in zip(tensors, names, strict=True)}

    def arrange(values: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (keras.tree.map_structure(lambda tensor: values[by_tensor[id(tensor)]], structure),), {}

    return Signature(inputs, arrange)


def _layer_name(tensor: Any) -> str:
    """The name of the input's layer, which the model's file keeps; the tensor's own would change with every load."""
    history = getattr(tensor, "_keras_history", None)
    return str(tensor.name if history is None else history.operation.name)


def _recorded(shapes: Any) -> Signature:
    """Of a subclassed model that was called with a list or dict of inputs."""
    names: list[str] = []
    inputs: list[ModelInput] = []

    def visit(shape: Any, path: str) -> Any:
        lengths = _lengths(shape)
        if lengths is None:
            pairs = shape.items() if isinstance(shape, Mapping) else enumerate(shape)
            kept = {key: visit(item, f"{path}/{key}" if path else str(key)) for key, item in pairs}
            return kept if isinstance(shape, Mapping) else list(kept.values())
        names.append(path)
        inputs.append(ModelInput(path, lengths, None, None, False))
        return path

    structure = visit(shapes, "")

    def filled(node: Any, values: Mapping[str, Any]) -> Any:
        if isinstance(node, str):
            return values[node]
        if isinstance(node, dict):
            return {key: filled(item, values) for key, item in node.items()}
        return [filled(item, values) for item in node]

    return Signature(tuple(inputs), lambda values: ((filled(structure, values),), {}))


def _lengths(shape: Any) -> tuple[int | None, ...] | None:
    """A shape without its batch axis; None where `shape` is none, but several or nothing at all."""
    if not isinstance(shape, (tuple, list)) or not shape:
        return None
    if not all(axis is None or isinstance(axis, int) for axis in shape):
        return None
    return tuple(shape[1:])


def _parameters(model: Any) -> list[str]:
    """Names of what a subclassed model's `call` must be given."""
    function = getattr(type(model).call, "python_function", type(model).call)
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    _, *given = inspect.signature(function).parameters.items()  # the first is the model itself, whatever it is called
    return [
        name
        for name, parameter in given
        if name not in OWN_PARAMETERS and parameter.kind in kinds and parameter.default is inspect.Parameter.empty
    ]


class Arguments:
    """What a model is called with: a batch for the input that is looked at, and the others' constants, repeated for the batch."""

    def __init__(
        self,
        own: Signature,
        primary: ModelInput,
        constant_inputs: Sequence[ConstantInput],
        feed: Callable[[Any], Any],
        size: tuple[int, ...],
    ) -> None:
        """held: one an input that is not looked at. feed: from a picture to what the model takes. size: of the one that is looked at.

        Raises ModelError where an input has no shape to make zeros of.
        """
        self._own, self._name = own, primary.name
        self._constants: dict[str, Any] = {}
        for one in constant_inputs:
            with tf.init_scope():
                self._constants[one.record.name] = _constant(own.of(one.record.name), one, feed, size)

    def __call__(self, fed: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """(args, kwargs) of a call of the model on `fed`, (n, *size, bands) as the model takes it."""
        values = {self._name: fed}
        count = fed.shape[0] if fed.shape[0] is not None else tf.shape(fed)[0]
        for name, constant in self._constants.items():
            values[name] = tf.repeat(constant, count, axis=0)
            if fed.shape[0] is not None:
                values[name] = tf.ensure_shape(values[name], (fed.shape[0], *constant.shape[1:]))
        return self._own.arrange(values)


def _constant(
    one: ModelInput, constant_inputs: ConstantInput, feed: Callable[[Any], Any], size: tuple[int, ...]
) -> Any:
    """The value of a held input as a batch of one. Free axes of zeros are as long as those of the looked-at input, where it has as many."""
    if constant_inputs.values is None:
        if one.shape is None:
            raise ModelError(
                f"the model does not state the shape of its input {one.name}; give --hold {one.name}=FILE."
            )
        is_picture = len(one.shape) == PICTURE_AXES
        others = (
            size if len(one.shape) == len(size) + 1 else (DEFAULT_IMAGE_SIZE if is_picture else 1,) * len(one.shape)
        )
        lengths = [axis if axis is not None else other for axis, other in zip(one.shape, (*others, 1), strict=False)]
        return tf.zeros((1, *lengths), one.dtype if one.dtype is not None else tf.float32)
    values = np.asarray(constant_inputs.values)
    if constant_inputs.is_picture:
        fed = feed(tf.constant(values[None], tf.float32))
        return tf.cast(
            tf.round(fed) if is_whole(one.dtype) else fed, one.dtype if one.dtype is not None else tf.float32
        )
    kind = one.dtype if one.dtype is not None else "float32" if values.dtype.kind == "f" else "int32"
    return tf.cast(tf.constant(values[None]), kind)


@contextmanager
def taken_as_floats(model: Any, name: str) -> Iterator[None]:
    """While the block runs, the model takes whole numbers for its input `name` as floating-point numbers, which gradients can pass.

    Their values are the same: a picture's 0..255. A model whose input is not of a whole-number type is left as it is.
    """
    tensors = [tensor for tensor in getattr(model, "inputs", None) or () if _layer_name(tensor) == name]
    declaring = [
        part for tensor in tensors for part in (tensor, tensor._keras_history.operation) if is_whole(part.dtype)
    ]
    originals = [(part, part.__dict__["_dtype"]) for part in declaring if "_dtype" in part.__dict__]
    try:
        for part, _ in originals:
            part.__dict__["_dtype"] = "float32"
        yield
    finally:
        for part, original in originals:
            part.__dict__["_dtype"] = original


def is_whole(dtype: str | None) -> bool:
    """Whether a type holds whole numbers only."""
    return dtype is not None and "int" in dtype
