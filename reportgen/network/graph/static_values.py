"""Values of small integer tensors that follow from shapes and constants alone, though the graph computes them when it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


def strided_index(
    operation: Any, begin: Sequence[int], end: Sequence[int], step: Sequence[int], shape: Sequence[int]
) -> tuple[Any, ...]:
    """Return the index that a `StridedSlice` stands for, into an array of which an axis where nothing changes has the length 1.

    Args:
        operation: the slice, with its masks.
        begin: where it begins, for each of its places.
        end: where it ends.
        step: its steps.
        shape: of the array, which has the axes of the tensor.
    """
    masks = {
        name: int(operation.get_attr(f"{name}_mask"))
        for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    }
    index: list[Any] = []
    axis = 0
    for place in range(len(begin)):
        bit = 1 << place
        if masks["ellipsis"] & bit:
            remaining = sum(not masks["new_axis"] >> later & 1 for later in range(place + 1, len(begin)))
            skipped = len(shape) - axis - remaining
            index += [slice(None)] * skipped
            axis += skipped
        elif masks["new_axis"] & bit:
            index.append(None)
        else:
            single = shape[axis] == 1
            if masks["shrink_axis"] & bit:
                index.append(0 if single else begin[place])
            elif single:
                index.append(slice(None))
            else:
                first = None if masks["begin"] & bit else begin[place]
                index.append(slice(first, None if masks["end"] & bit else end[place], step[place]))
            axis += 1
    return tuple(index)
