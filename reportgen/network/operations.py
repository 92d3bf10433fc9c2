"""TensorFlow's own functions as layers of a Keras 2 network (`x / 127.5 - 1`, `tf.nn.relu6(x)`), which Keras 3 no longer reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reportgen.network.quiet import keras, tf

CLASSES = ("TFOpLambda", "SlicingOpLambda")  # Keras 2's words for them
SLICE = "__operators__.getitem"
SUMS = {name: getattr(tf.math, name) for name in ("add", "subtract", "multiply", "divide", "truediv", "pow")}
BY_VALUE = (
    *("abs", "exp", "log", "maximum", "minimum", "negative", "rsqrt", "sigmoid", "softplus", "sqrt", "square", "tanh"),
    *("reduce_max", "reduce_mean", "reduce_min", "reduce_sum", "l2_normalize"),
)
NEURAL = (
    *(
        "bias_add",
        "depth_to_space",
        "elu",
        "gelu",
        "l2_normalize",
        "leaky_relu",
        "relu",
        "relu6",
        "selu",
        "sigmoid",
        "silu",
    ),
    *("softmax", "softplus", "space_to_depth", "swish", "tanh"),
)
SHAPES = (
    "cast",
    "clip_by_value",
    "concat",
    "expand_dims",
    "identity",
    "pad",
    "reshape",
    "squeeze",
    "stack",
    "transpose",
)
FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{f"math.{name}": function for name, function in SUMS.items()},
    **{f"__operators__.{name}": function for name, function in SUMS.items()},
    **{f"math.{name}": getattr(tf.math, name) for name in BY_VALUE},
    **{f"nn.{name}": getattr(tf.nn, name) for name in NEURAL},
    **{name: getattr(tf, name) for name in SHAPES},
    "image.resize": tf.image.resize,
}


def _slice(tensor: Any, slice_spec: list[Any]) -> Any:
    return tensor[tuple(_part(item) for item in slice_spec)]


def _part(item: Any) -> Any:
    """One index of `tensor[...]`, as Keras 2 wrote it."""
    if isinstance(item, dict):
        return Ellipsis if "class_name" in item else slice(item.get("start"), item.get("stop"), item.get("step"))
    return item


FUNCTIONS[SLICE] = _slice


class TensorFlowFunction(keras.layers.Layer):  # type: ignore[misc]
    """A function of TensorFlow, by its name there, called as in the network.

    arguments: all but the first tensor, by name. tensors: names of those arguments that are tensors of the network, in the order in which
    they follow the first one.
    """

    def __init__(self, function: str, arguments: dict[str, Any], tensors: list[str], **named: Any) -> None:
        super().__init__(**named)
        self.function, self.arguments, self.tensors = function, arguments, list(tensors)

    def call(self, inputs: Any) -> Any:
        """The function's value; `inputs` is a tensor, or a list that begins with what the function takes first."""
        more: dict[str, Any] = {}
        if self.tensors:
            more = dict(zip(self.tensors, inputs[-len(self.tensors) :], strict=True))
            inputs = inputs[: -len(self.tensors)]
            inputs = inputs[0] if len(inputs) == 1 else inputs
        return FUNCTIONS[self.function](inputs, **dict(self.arguments), **more)

    def get_config(self) -> dict[str, Any]:
        """What the layer can be made from again."""
        own = {"function": self.function, "arguments": dict(self.arguments), "tensors": list(self.tensors)}
        return {**super().get_config(), **own}


keras.saving.register_keras_serializable("reportgen")(TensorFlowFunction)
REGISTERED = "reportgen>TensorFlowFunction"
