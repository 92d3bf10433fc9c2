"""TensorFlow's own functions as layers of a Keras 2 network (`x / 127.5 - 1`, `tf.nn.relu6(x)`), which Keras 3 no longer reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reportgen.network.backend import keras, tf

CLASSES = ("TFOpLambda", "SlicingOpLambda")  # Keras 2's names for them
OPERATORS = {
    **{name: getattr(tf.math, name) for name in ("add", "subtract", "multiply", "divide", "truediv", "pow")},
    "getitem": lambda tensor, slice_spec: tensor[_index(slice_spec)],
}
PLACES = ("math", "nn", "image", "linalg", "signal")  # arithmetic alone: nothing in them reads files or runs code
# Beginnings of the names of functions that return another value at every call.
RANDOM = ("random_", "stateless_random_", "sample_", "dropout", "stateless_sample_", "fractional_")
PLAIN = frozenset(
    {
        *(
            "argsort",
            "batch_to_space",
            "boolean_mask",
            "broadcast_to",
            "cast",
            "clip_by_norm",
            "clip_by_value",
            "concat",
        ),
        *(
            "convert_to_tensor",
            "einsum",
            "expand_dims",
            "fill",
            "floor_div",
            "gather",
            "gather_nd",
            "identity",
            "meshgrid",
            "norm",
        ),
        *(
            "one_hot",
            "ones",
            "ones_like",
            "pad",
            "rank",
            "range",
            "repeat",
            "reshape",
            "reverse",
            "roll",
            "searchsorted",
        ),
        *(
            "sequence_mask",
            "shape",
            "size",
            "slice",
            "sort",
            "space_to_batch",
            "split",
            "squeeze",
            "stack",
            "stop_gradient",
        ),
        *(
            "strided_slice",
            "tensordot",
            "tile",
            "transpose",
            "truncatediv",
            "truncatemod",
            "unique",
            "unstack",
            "where",
        ),
        *("zeros", "zeros_like"),
    }
)


def function_named(name: object) -> Callable[..., Any] | None:
    """Return a function of TensorFlow by the name under which Keras 2 kept it; None where it is not plain arithmetic."""
    package, *rest = str(name).removeprefix("compat.v1.").split(".")
    root = tf.compat.v1 if str(name).startswith("compat.v1.") else tf
    if package == "__operators__" and len(rest) == 1:
        return OPERATORS.get(rest[0])
    if not rest:
        return getattr(root, package, None) if package in PLAIN else None
    if package not in PLACES or len(rest) != 1 or rest[0].startswith(("_", *RANDOM)):
        return None
    function = getattr(getattr(root, package), rest[0], None)
    return function if callable(function) and not isinstance(function, type) else None


def _index(parts: Any) -> Any:
    """Return what stands between the brackets of `tensor[...]`, from what Keras 2 wrote."""
    return tuple(_part(item) for item in parts) if isinstance(parts, (list, tuple)) else _part(parts)


def _part(item: Any) -> Any:
    if isinstance(item, dict):
        return Ellipsis if "class_name" in item else slice(item.get("start"), item.get("stop"), item.get("step"))
    return item


TENSOR = "tensor"  # the key under which an argument says which of the layer's inputs it is


class TensorFlowFunction(keras.layers.Layer):  # type: ignore[misc]
    """A function of TensorFlow, by its name there, called as in the network.

    first: its first argument. arguments: the others by name. In both `{"tensor": k}`, at any depth, stands for the layer's k-th input.
    """

    def __init__(self, function: str, first: Any, arguments: dict[str, Any], **named: Any) -> None:
        super().__init__(autocast=False, **named)
        self.function, self.first, self.arguments = function, first, arguments

    def call(self, inputs: Any) -> Any:
        """Compute the function of `inputs`, a tensor or a list of several."""
        tensors = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        function = function_named(self.function)
        assert function is not None
        return function(_filled(self.first, tensors), **_filled(dict(self.arguments), tensors))

    def get_config(self) -> dict[str, Any]:
        """Return what the layer can be made from again."""
        own = {"function": self.function, "first": self.first, "arguments": dict(self.arguments)}
        return {**super().get_config(), **own}


def _filled(value: Any, tensors: list[Any]) -> Any:
    """Return an argument with the tensors in their places."""
    if isinstance(value, dict):
        if value.keys() == {TENSOR}:
            return tensors[value[TENSOR]]
        return {key: _filled(item, tensors) for key, item in value.items()}
    return [_filled(item, tensors) for item in value] if isinstance(value, (list, tuple)) else value


keras.saving.register_keras_serializable("reportgen")(TensorFlowFunction)
REGISTERED = "reportgen>TensorFlowFunction"
