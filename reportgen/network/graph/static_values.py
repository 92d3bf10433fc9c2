"""Values of small integer tensors that follow from shapes and constants alone, though the graph computes them when it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from reportgen.network.backend import tf

ARITHMETIC: dict[str, Callable[..., Any]] = {
    "Add": np.add,
    "AddV2": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "FloorDiv": np.floor_divide,
    "FloorMod": np.mod,
    "Maximum": np.maximum,
    "Minimum": np.minimum,
    "Neg": np.negative,
}


def static_value(tensor: Any) -> np.ndarray | None:
    """Return the value that `tensor` always has, None where it is not known: as TensorFlow itself finds it, and arithmetic on top."""
    known = tf.get_static_value(tensor)
    if known is not None:
        return np.asarray(known)
    operation = tensor.op
    if operation.type in ARITHMETIC:
        values = [static_value(given) for given in operation.inputs]
        return None if any(value is None for value in values) else np.asarray(ARITHMETIC[operation.type](*values))
    if operation.type == "Pack":
        values = [static_value(given) for given in operation.inputs]
        return None if any(value is None for value in values) else np.stack(values, operation.get_attr("axis"))  # type: ignore[arg-type]
    if operation.type == "StridedSlice":
        return _sliced(operation)
    return None


def _sliced(operation: Any) -> np.ndarray | None:
    """Return an element or a plain slice of a vector."""
    whole, begin, end, step = (static_value(given) for given in operation.inputs)
    if whole is None or begin is None or end is None or step is None or whole.ndim != 1 or len(begin) != 1:
        return None
    if operation.get_attr("ellipsis_mask") or operation.get_attr("new_axis_mask"):
        return None
    if operation.get_attr("shrink_axis_mask"):
        return np.asarray(whole[int(begin[0])])
    first = None if operation.get_attr("begin_mask") else int(begin[0])
    last = None if operation.get_attr("end_mask") else int(end[0])
    return np.asarray(whole[first : last : int(step[0])])
