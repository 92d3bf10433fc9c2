"""The classes of an image that maps are made for: the predicted one of each output, and those that the user names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from reportgen.core.errors import UsageError, few
from reportgen.network.class_scores import Head
from reportgen.network.outputs import TWO_CLASSES, fitting

HALF = 0.5


class Role(StrEnum):
    """Why a class has a map."""

    PREDICTED = "predicted"
    ONLY = "only"  # output, whose classes have no names
    TRUE = "true"
    NAMED = "named"


@dataclass(frozen=True)
class Target:
    """One class of one output.

    Attributes:
        number: of the output's value that its score is.
        sign: -1 where that value is the score against it: the first of two classes that one number tells apart.
        label: the name of the class.
    """

    head: Head
    number: int
    sign: int
    label: str
    role: Role


def class_labels(heads: Sequence[Head], classes: Sequence[str] | None) -> dict[str | None, tuple[str, ...]]:
    """Return the names of each output's classes, as predictions have them.

    Args:
        heads: the outputs.
        classes: names that fit one of them; None where there are none.
    """
    sizes = {str(head.name): head.count for head in heads}
    owners = [] if classes is None else fitting(sizes, len(classes))
    return {
        head.name: tuple(classes)
        if classes is not None and owners == [str(head.name)]
        else tuple(f"output {number}" for number in range(head.count))
        for head in heads
    }


def _target(head: Head, labels: Sequence[str], number: int, role: Role) -> Target:
    """The target for a class; where one number tells two classes apart, its sign."""
    if head.count == 1 and len(labels) == TWO_CLASSES:
        return Target(head, 0, 1 if number else -1, labels[number], role)
    return Target(head, number, 1, labels[number], role)


def predicted(head: Head, labels: Sequence[str], outputs: np.ndarray) -> Target:
    """Return the class with the largest value.

    Args:
        head: the output.
        labels: of its classes.
        outputs: (classes,), its values.
    """
    if head.count == 1 and len(labels) == TWO_CLASSES:
        return _target(head, labels, int(outputs[0] >= HALF), Role.PREDICTED)
    return _target(head, labels, int(np.argmax(outputs)), Role.ONLY if head.count == 1 else Role.PREDICTED)


def true_class(head: Head, labels: Sequence[str], number: int) -> Target | None:
    """Return the class that an image's label stands for; None where the output has no such class."""
    count = TWO_CLASSES if head.count == 1 else head.count
    if number >= count:
        return None
    if head.count == 1 and len(labels) != TWO_CLASSES:
        return Target(head, 0, 1 if number else -1, labels[0] if number else f"not {labels[0]}", Role.TRUE)
    return _target(head, labels, number, Role.TRUE)


def named(heads: Sequence[Head], labels: dict[str | None, tuple[str, ...]], texts: Sequence[str]) -> tuple[Target, ...]:
    """Return the classes that the user names: by name, by number from 0, or as HEAD:CLASS; separated by commas where no name has one.

    Raises:
        UsageError: there is no such class.
    """
    found: dict[tuple[str | None, int, int], Target] = {}
    for text in texts:
        parts = [text] if _matches(heads, labels, text) else [part.strip() for part in text.split(",") if part.strip()]
        for part in parts:
            matches = _matches(heads, labels, part)
            if not matches:
                known = [
                    f"{head.name}:{label}" if head.name else label for head in heads for label in labels[head.name]
                ]
                raise UsageError(f"--attribution-classes {part}: there is no such class; there are {few(known)}.")
            for target in matches:
                found.setdefault((target.head.name, target.number, target.sign), target)
    return tuple(found.values())


def _matches(heads: Sequence[Head], labels: dict[str | None, tuple[str, ...]], text: str) -> list[Target]:
    """The classes of any output that a text names."""
    result = []
    for head in heads:
        prefix = f"{head.name}:"
        own = text.removeprefix(prefix) if head.name is not None and text.startswith(prefix) else text
        names = labels[head.name]
        if own in names:
            result.append(_target(head, names, names.index(own), Role.NAMED))
        elif own.isdecimal() and int(own) < len(names):
            result.append(_target(head, names, int(own), Role.NAMED))
    return result
