"""A layer's weights as it holds them."""

from __future__ import annotations

import numpy as np

from reportgen.network.kernels import kernels
from reportgen.network.sites import Site


def weights(site: Site) -> dict[str, np.ndarray]:
    """`kernel` (or `depthwise_kernel` and `pointwise_kernel`) in Keras order, and `bias` where the layer has one."""
    return kernels(site.layer)
