"""What is maximised: one number a picture, from its own filter's channel alone."""

from __future__ import annotations

from typing import Any

from reportgen.compute.figures import trimmed
from reportgen.network.quiet import tf

LEAK = 0.1  # of a silent position's pull: enough to wake it, too little to drown those that fire


def channel(maps: Any, filters: Any) -> Any:
    """float32 (n, height, width): picture k's channel filters[k] of `maps` (n, height, width, channels), borders trimmed."""
    inner = trimmed(maps)
    return tf.cast(tf.gather(inner, filters, axis=3, batch_dims=1), tf.float32)


def excitement(pre_activation: Any, filters: Any, rectified: bool) -> Any:
    """float32 (n,): the mean of each picture's own channel before its activation.

    Where the unit is rectified, silent positions count a tenth: the plain mean drowns the few positions that could fire.
    """
    values = channel(pre_activation, filters)
    if rectified:
        values = tf.nn.leaky_relu(values, LEAK)
    return tf.reduce_mean(values, axis=(1, 2))
