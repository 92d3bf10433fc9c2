"""The formulas of objectives: maps and pictures reduced to one number each. Call inside a trace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reportgen.compute.activation_scores import trimmed
from reportgen.core.choices import Measure
from reportgen.network.backend import tf

LEAKY_SLOPE = 0.1  # of a silent position: enough to activate it, too little to outweigh those that are active


def means(maps: Any, border: int, leaky: bool, times: int = 0) -> Any:
    """float32 (n, channels): the mean of each of `maps` (n, ..., channels) away from its border.

    times: see `trimmed`. leaky: through a leaky ReLU; the plain mean drowns the few positions that could be active.
    """
    values = tf.cast(trimmed(maps, border, times), tf.float32)
    if leaky:
        values = tf.nn.leaky_relu(values, LEAKY_SLOPE)
    return tf.reduce_mean(values, axis=tuple(range(1, values.shape.rank - 1)))


def means_and_peaks(maps: Any, border: int, times: int = 0) -> Any:
    """float32 (n, channels): the mean of `maps` after a rectifier, and LEAKY_SLOPE times the level of their strongest positions before it.

    maps: (n, ..., channels), before the rectifier. That level is a mean in which a position counts exp(-d) for being d deviations of the
    map below the strongest: the plain mean of a map that is silent everywhere is raised most easily where it will never be active.
    """
    values = tf.cast(trimmed(maps, border, times), tf.float32)
    axes = tuple(range(1, values.shape.rank - 1))
    strongest = tf.reduce_max(values, axis=axes, keepdims=True)
    below = tf.math.divide_no_nan(strongest - values, tf.math.reduce_std(values, axis=axes, keepdims=True))
    counts = tf.stop_gradient(tf.exp(-below))
    level = tf.reduce_sum(counts * values, axis=axes) / tf.reduce_sum(counts, axis=axes)
    return tf.reduce_mean(tf.nn.relu(values), axis=axes) + LEAKY_SLOPE * level


def own(measure: Measure | None, maps: Any, border: int, *, rectified: bool, times: int = 0) -> Any:
    """float32 (n,): what an objective of one channel counts, of `maps` (n, ..., 1).

    rectified: whether the unit returns exactly 0 for every negative number.
    """
    if measure is Measure.MEAN_AND_PEAK and rectified:
        return means_and_peaks(maps, border, times)[:, 0]
    return means(maps, border, measure is Measure.LEAKY and rectified, times)[:, 0]


def separate_peaks(maps: Any, blocks: Sequence[int], border: int, times: int = 0) -> Any:
    """float32 (n, channels): the sum of the largest position of each block of `maps` (n, ..., channels), cut into blocks from a corner.

    blocks: positions along each spatial axis. Where blocks are as wide as the receptive field, their peaks hardly share a pixel: each is
    raised as if it were alone, which activates filters that a mean over positions leaves silent.
    """
    values = tf.cast(trimmed(maps, border, times), tf.float32)
    shape = values.shape.as_list()
    values = tf.reshape(values, (-1, *shape[1 + times :]))  # time is folded into the batch
    for axis, block in enumerate(blocks, start=1):
        own = min(block, values.shape[axis])
        parts = [
            tf.reduce_max(part, axis=axis, keepdims=True)
            for part in tf.split(values, _lengths(values.shape[axis], own), axis)
        ]
        values = tf.concat(parts, axis)
    values = tf.reshape(values, (-1, *shape[1 : 1 + times], *values.shape[1:]))
    return tf.reduce_sum(values, axis=tuple(range(1, values.shape.rank - 1)))


def _lengths(whole: int, part: int) -> list[int]:
    return [min(part, whole - start) for start in range(0, whole, part)]


def leaky_mean(before: Any, after: Any) -> Any:
    """The leaky mean of maps from their plain means before and after a rectifier.

    Exact: a leaky rectifier gives LEAKY_SLOPE of what goes in and the rest of what a plain one lets out.
    """
    return LEAKY_SLOPE * before + (1 - LEAKY_SLOPE) * after


def total_variation(pictures: Any) -> Any:
    """float32 (n,): the sum of the absolute differences of neighbouring values of `pictures` (n, *size, channels) in [0, 1]."""
    every = tuple(range(1, pictures.shape.rank))
    sums = []
    for axis in every[:-1]:
        ends = (slice(None),) * axis
        steps = pictures[(*ends, slice(1, None))] - pictures[(*ends, slice(None, -1))]
        sums.append(tf.reduce_sum(tf.abs(steps), axis=every))
    return tf.add_n(sums)


def l2(pictures: Any) -> Any:
    """float32 (n,): half the sum of squared distances from mid-grey of `pictures` (n, *size, channels) in [0, 1]."""
    return tf.reduce_sum(tf.square(pictures - 0.5), axis=tuple(range(1, pictures.shape.rank))) / 2
