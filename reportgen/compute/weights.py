"""A layer's weights as it holds them."""

from __future__ import annotations

import numpy as np

from reportgen.network.graph.layer_calls import LayerCall
from reportgen.network.graph.layer_kinds import kernels


def weights(layer_call: LayerCall) -> dict[str, np.ndarray]:
    """`kernel` (or `depthwise_kernel` and `pointwise_kernel`) in Keras order, and `bias` where the layer has one."""
    return kernels(layer_call.layer)
