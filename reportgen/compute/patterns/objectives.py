"""What is maximised: one number a picture, from its own filter's channel alone; and what is held against the picture itself."""

from __future__ import annotations

from typing import Any

from reportgen.compute.figures import trimmed
from reportgen.network.quiet import tf

MOST, LEAST = 1.0, -1.0  # what is sought: the picture that a filter answers most to, or least
LEAK = 0.1  # of a silent position's pull: enough to wake it, too little to drown those that fire


def means(maps: Any, border: int, leaky: bool, times: int = 0) -> Any:
    """float32 (n, channels): the mean of each of `maps` (n, ..., channels) away from its border.

    times: see `trimmed`. leaky: negative positions count a tenth; the plain mean drowns the few positions that could fire.
    """
    values = tf.cast(trimmed(maps, border, times), tf.float32)
    if leaky:
        values = tf.nn.leaky_relu(values, LEAK)
    return tf.reduce_mean(values, axis=tuple(range(1, values.shape.rank - 1)))


def insistent_means(maps: Any, border: int, times: int = 0) -> Any:
    """float32 (n, channels): the leaky mean of `maps` that fire anywhere; of others, LEAK times the level of their strongest positions.

    That level is a mean in which a position counts exp(-d) for being d deviations of the map below the strongest: the plain mean of a map
    that is silent everywhere is raised most easily where it will never fire.
    """
    values = tf.cast(trimmed(maps, border, times), tf.float32)
    axes = tuple(range(1, values.shape.rank - 1))
    strongest = tf.reduce_max(values, axis=axes, keepdims=True)
    below = tf.math.divide_no_nan(strongest - values, tf.math.reduce_std(values, axis=axes, keepdims=True))
    counts = tf.stop_gradient(tf.exp(-below))
    level = tf.reduce_sum(counts * values, axis=axes) / tf.reduce_sum(counts, axis=axes)
    firing = tf.reduce_max(values, axis=axes) > 0
    return tf.where(firing, tf.reduce_mean(tf.nn.leaky_relu(values, LEAK), axis=axes), LEAK * level)


def leaky_mean(before: Any, after: Any) -> Any:
    """The leaky mean of maps from their plain means before and after a rectifier.

    Exact: a leaky rectifier gives LEAK of what goes in and the rest of what a plain one lets out.
    """
    return LEAK * before + (1 - LEAK) * after


def total_variation(pictures: Any) -> Any:
    """float32 (n,): the sum of the absolute differences of neighbouring values of `pictures` (n, *size, bands) in [0, 1].

    Source: Mahendran & Vedaldi, "Understanding Deep Image Representations by Inverting Them", CVPR 2015 (here with exponent 1).
    """
    every = tuple(range(1, pictures.shape.rank))
    sums = []
    for axis in every[:-1]:
        ends = (slice(None),) * axis
        steps = pictures[(*ends, slice(1, None))] - pictures[(*ends, slice(None, -1))]
        sums.append(tf.reduce_sum(tf.abs(steps), axis=every))
    return tf.add_n(sums)


def l2(pictures: Any) -> Any:
    """float32 (n,): half the sum of squared distances from mid-grey of `pictures` (n, *size, bands) in [0, 1]."""
    return tf.reduce_sum(tf.square(pictures - 0.5), axis=tuple(range(1, pictures.shape.rank))) / 2
