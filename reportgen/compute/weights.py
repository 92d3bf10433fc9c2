"""A layer's weights as it holds them."""

from __future__ import annotations

import numpy as np

from reportgen.network.network import Site, kernels


def weights(site: Site) -> dict[str, np.ndarray]:
    """`kernel` (or `depthwise_kernel` and `pointwise_kernel`) in Keras order, and `bias` where the layer has one."""
    return kernels(site.layer)


def zero_filters(site: Site, filters_total: int) -> np.ndarray:
    """bool (filters_total,): the filter's own slice of the kernel is exactly zero, so its channel cannot answer to anything."""
    found = weights(site)
    kernel = found.get("pointwise_kernel", found.get("kernel"))
    if kernel is None or kernel.shape[-1] != filters_total:
        return np.zeros(filters_total, bool)
    return np.asarray((kernel == 0).all(axis=tuple(range(kernel.ndim - 1))))
