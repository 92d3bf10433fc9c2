"""What is maximised: one number a picture, from its own filter's channel alone."""

from __future__ import annotations

from typing import Any

from reportgen.compute.figures import trimmed
from reportgen.network.quiet import tf

LEAK = 0.1  # of a silent position's pull: enough to wake it, too little to drown those that fire


def excitements(pre_activation: Any, rectified: bool) -> Any:
    """float32 (n, channels): the mean of each channel before its activation, over trimmed positions of maps (n, height, width, channels).

    Where the unit is rectified, silent positions count a tenth: the plain mean drowns the few positions that could fire.
    """
    values = tf.cast(trimmed(pre_activation), tf.float32)
    if rectified:
        values = tf.nn.leaky_relu(values, LEAK)
    return tf.reduce_mean(values, axis=(1, 2))


def excitement(pre_activation: Any, rectified: bool) -> Any:
    """float32 (n,): the same for each picture's own channel (n, height, width)."""
    return excitements(pre_activation[..., None], rectified)[:, 0]
