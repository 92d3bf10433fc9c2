"""How a model is called: its primary input, and constant values for all others."""

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
OWN_PARAMETERS = frozenset({"training", "mask"})  # parameters of a `call` that are no inputs
RECORDED = "_build_shapes_dict"  # where Keras keeps the shapes of a subclassed model's first call, also in its file


@dataclass(frozen=True)
class Signature:
    """The inputs of a model in order. arrange: makes the (args, kwargs) of a call from a value for each name."""

    inputs: tuple[ModelInput, ...]
    arrange: Arrange

    def of(self, name: str) -> ModelInput:
        """Return the input with this name, or with this key or position in the model's own structure.

        Raises:
            UsageError: there is no such input.
        """
        for one in self.inputs:
            if name in (one.name, one.alias):
                return one
        raise UsageError(f"the model has no input `{name}`; its inputs are {_listed(self.inputs)}.")

    def primary(self, name: str | None) -> ModelInput:
        """Return the input that the report is about: `name`, else the only one, the only picture, or the only signal or volume.

        Args:
            name: what `--input` says.

        Raises:
            UsageError: there is no such input, or several fit.
            ModelError: no input is a picture, signal or volume.
        """
        if name is not None:
            return self.of(name)
        if len(self.inputs) == 1:
            return self.inputs[0]
        for axes in ((PICTURE_AXES,), SHAPE_AXES):
            fitting = [one for one in self.inputs if one.shape is not None and len(one.shape) in axes]
            if len(fitting) == 1:
                return fitting[0]
            if fitting:
                break
        if all(one.shape is not None and len(one.shape) not in SHAPE_AXES for one in self.inputs):
            raise ModelError(
                f"none of the model's {len(self.inputs)} inputs is a picture, signal or volume: {_listed(self.inputs)}."
            )
        raise UsageError(
            f"the model has {len(self.inputs)} inputs; name the primary one with --input: {_listed(self.inputs)}."
        )


def _listed(inputs: Sequence[ModelInput]) -> str:
    return few([f"{one.name} ({one.described})" for one in inputs])


def signature(model: Any, stated: Sequence[str] = ()) -> Signature:
    """Find the inputs of `model`: those it states, else those that its first call recorded, else those that its `call` names.

    Args:
        model: the Keras model.
        stated: names of inputs in the user's options; for a model that states none they become the keys of one dict.
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
    """Find the inputs of a Functional or Sequential model, which may be nested lists and dicts."""
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
    """Return the name of the input's layer, which the model's file keeps; the tensor's own changes with every load."""
    history = getattr(tensor, "_keras_history", None)
    return str(tensor.name if history is None else history.operation.name)


def _recorded(shapes: Any) -> Signature:
    """Find the inputs of a subclassed model that was called with a list or dict of them."""
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
    """Return a shape without its batch axis; None where `shape` is several shapes or nothing at all."""
    if not isinstance(shape, (tuple, list)) or not shape:
        return None
    if not all(axis is None or isinstance(axis, int) for axis in shape):
        return None
    return tuple(shape[1:])


def _parameters(model: Any) -> list[str]:
    """Return the names of the required parameters of a subclassed model's `call`."""
    function = getattr(type(model).call, "python_function", type(model).call)
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    _, *given = inspect.signature(function).parameters.items()  # the first is the model itself, whatever it is called
    return [
        name
        for name, parameter in given
        if name not in OWN_PARAMETERS and parameter.kind in kinds and parameter.default is inspect.Parameter.empty
    ]


class Arguments:
    """What a model is called with: a batch for its primary input, and the constants of the others, repeated for the batch."""

    def __init__(
        self,
        own: Signature,
        primary: ModelInput,
        constant_inputs: Sequence[ConstantInput],
        feed: Callable[[Any], Any],
        size: tuple[int, ...],
    ) -> None:
        """Prepare the constants.

        Args:
            own: the inputs of the model.
            primary: the input that the report is about.
            constant_inputs: one for every other input.
            feed: turns a picture into what the model takes.
            size: length of each spatial axis of the primary input.

        Raises:
            ModelError: an input is to be zero and has no known shape.
        """
        self._own, self._name = own, primary.name
        self._constants: dict[str, Any] = {}
        for one in constant_inputs:
            with tf.init_scope():
                self._constants[one.record.name] = _constant(own.of(one.record.name), one, feed, size)

    def __call__(self, fed: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return (args, kwargs) of a call of the model on `fed` (n, *size, channels), as the model takes it."""
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
    """Return the value of a constant input as a batch of one; free axes of zeros follow the primary input, if it has as many."""
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
def as_floating_point(model: Any, name: str) -> Iterator[None]:
    """Declare the model's integer input as floating-point while the block runs, so that gradients can pass it.

    Its values are the same: a picture's 0..255. A model whose input is not of an integer type is left unchanged.

    Args:
        model: the Keras model.
        name: of the input.
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
    """Return whether a type is one of integers."""
    return dtype is not None and "int" in dtype
