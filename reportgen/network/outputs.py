"""A model's outputs: class probabilities or something else, and the logits before its own softmax or sigmoid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reportgen.network.backend import tf

CLASSIFIER_RANK = 2  # batch, classes
TWO_CLASSES = 2  # that a single probability distinguishes
PROBABILITY_OPERATIONS = frozenset({"Softmax", "Sigmoid"})
LOGARITHMS = frozenset({"LogSoftmax"})
UNCHANGED = frozenset({"Identity", "Cast", "Reshape", "Squeeze"})  # operations that only pass the numbers on


def has_classes(outputs: Sequence[Any]) -> bool:
    """Return whether `outputs` is a single one with one number per class."""
    return (
        len(outputs) == 1
        and tf.is_tensor(outputs[0])
        and outputs[0].shape.rank == CLASSIFIER_RANK
        and outputs[0].shape[-1] is not None
    )


def class_count(outputs: Sequence[Any]) -> int | None:
    """Return the number of class probabilities of the only output; None where there are others, or it is something else."""
    probable = has_classes(outputs) and _source(outputs[0]).type in PROBABILITY_OPERATIONS
    return int(outputs[0].shape[-1]) if probable else None


def heads(model: Any, result: Any) -> dict[str, int]:
    """Find the outputs with one number per class of a model with several outputs.

    Args:
        model: the Keras model.
        result: what a call of it returned.

    Returns:
        The position of each among all outputs, by its key in a dict, else by the name that the model gives it; empty for a single output.
    """
    outputs = tf.nest.flatten(result)
    if len(outputs) < 2:
        return {}
    names = sorted(result) if isinstance(result, dict) else getattr(model, "output_names", None)
    if names is None or len(names) != len(outputs):
        names = [f"output {place}" for place in range(len(outputs))]
    return {str(name): place for place, name in enumerate(names) if has_classes(outputs[place : place + 1])}


def fitting(outputs: Mapping[str, int], names: int) -> list[str]:
    """Return the outputs that so many class names fit; one number distinguishes two classes.

    Args:
        outputs: number of values of each output, by its name.
        names: number of class names.
    """
    return [output for output, count in outputs.items() if max(count, TWO_CLASSES) == names]


def logits(output: Any) -> Any:
    """Return the input of the model's softmax or sigmoid, shaped as `output`; `output` where there is none. Call inside a trace."""
    operation = _source(output)
    if operation.type not in PROBABILITY_OPERATIONS | LOGARITHMS:
        return output
    return tf.reshape(operation.inputs[0], tf.shape(output))


def _source(tensor: Any) -> Any:
    """Return the operation that made a tensor, skipping copies and casts."""
    operation = tensor.op
    while operation.type in UNCHANGED:
        operation = operation.inputs[0].op
    return operation
