"""What a model answers: class probabilities or something else, and the numbers behind its own softmax or sigmoid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reportgen.network.backend import tf

CLASSIFIER_RANK = 2  # batch, classes
TWO_CLASSES = 2  # what a single probability tells apart
PROBABILITY_OPERATIONS = frozenset({"Softmax", "Sigmoid"})
LOGARITHMS = frozenset({"LogSoftmax"})
UNCHANGED = frozenset({"Identity", "Cast", "Reshape", "Squeeze"})  # operations that only pass the numbers on


def answers_classes(outputs: Sequence[Any]) -> bool:
    """Whether the model's only output is one number a class."""
    return (
        len(outputs) == 1
        and tf.is_tensor(outputs[0])
        and outputs[0].shape.rank == CLASSIFIER_RANK
        and outputs[0].shape[-1] is not None
    )


def class_count(outputs: Sequence[Any]) -> int | None:
    """How many class probabilities the model answers; None where its output is something else."""
    probable = answers_classes(outputs) and _source(outputs[0]).type in PROBABILITY_OPERATIONS
    return int(outputs[0].shape[-1]) if probable else None


def heads(model: Any, answer: Any) -> dict[str, int]:
    """The place among all outputs of each output of several that is one number a class, by name; none where there is one output.

    answer: what a call of the model returned. Names are the keys of a dict, else those that the model gives its outputs.
    """
    outputs = tf.nest.flatten(answer)
    if len(outputs) < 2:
        return {}
    names = sorted(answer) if isinstance(answer, dict) else getattr(model, "output_names", None)
    if names is None or len(names) != len(outputs):
        names = [f"output {place}" for place in range(len(outputs))]
    return {str(name): place for place, name in enumerate(names) if answers_classes(outputs[place : place + 1])}


def fitting(outputs: Mapping[str, int], names: int) -> list[str]:
    """Those of several outputs, given with how many numbers each answers, that so many names of classes fit; one number tells two apart."""
    return [output for output, count in outputs.items() if max(count, TWO_CLASSES) == names]


def logits(output: Any) -> Any:
    """What the model's own softmax or sigmoid was given, shaped as `output`; `output` where there is none. Call inside a trace."""
    operation = _source(output)
    if operation.type not in PROBABILITY_OPERATIONS | LOGARITHMS:
        return output
    return tf.reshape(operation.inputs[0], tf.shape(output))


def _source(tensor: Any) -> Any:
    """The operation behind a tensor, seen through copies and casts."""
    operation = tensor.op
    while operation.type in UNCHANGED:
        operation = operation.inputs[0].op
    return operation
