"""Whether a convolution applies the kernel that its layer keeps, told by the graph of a trace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reportgen.network.graph.hooks import Call

CONVOLVING = frozenset(  # TensorFlow's operations that convolve; all take the kernel second
    {
        *("Conv2D", "Conv3D", "DepthwiseConv2dNative"),
        *("Conv2DBackpropInput", "Conv3DBackpropInput", "Conv3DBackpropInputV2"),  # transposed
    }
)
PASSING = frozenset(
    {"Identity", "Cast", "ExpandDims", "Reshape", "Squeeze", "ReadVariableOp", "Transpose", "Split", "SplitV"}
)
OTHER_KERNEL = "the weights as they are stored: the layer transforms them before it convolves"


def read_variables(graph: Any) -> dict[int, str]:
    """Return the name of the operation that stands for each variable in `graph`, by the id of the variable's handle."""
    return {id(outside): inside.op.name for outside, inside in graph.captures}


def kernel_note(call: Call, variables: Mapping[int, str], operations: Sequence[Any]) -> str | None:
    """Return a note on the kernel of a convolution's call where another one is applied; None where it is applied as it is kept.

    Args:
        call: of a convolution. One with no or several convolving operations is assumed to apply its kernel as it is kept.
        variables: of the trace's graph, as `read_variables` returns them.
        operations: all of the graph.
    """
    found = [one for one in operations[call.first_operation : call.last_operation] if one.type in CONVOLVING]
    if len(found) != 1:
        return None
    kept = {variables.get(id(weight.value.handle)) for weight in call.layer.weights if hasattr(weight.value, "handle")}
    source = found[0].inputs[1].op
    while source.type in PASSING and source.name not in kept:
        place = 1 if source.type == "Split" else 0  # whose first input is the axis
        source = source.inputs[place].op
    return None if source.name in kept else OTHER_KERNEL
