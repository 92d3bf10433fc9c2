"""One step uphill: Adam on gradients of unit size, every number of it per picture.

Source: Kingma & Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015.
"""

from __future__ import annotations

from typing import Any

from reportgen.compute.patterns.recipe import Recipe
from reportgen.network.quiet import tf


def adam(
    position: Any, first: Any, second: Any, gradient: Any, number: Any, rate: Any, recipe: Recipe
) -> tuple[Any, Any, Any]:
    """The next (position, first moment, second moment), float32 (n, ...), along `gradient`; `number` counts steps from 1.

    Each picture's gradient is divided by its own root mean square and clipped. A picture whose gradient is not finite stays where it is.
    """
    axes = tuple(range(1, len(gradient.shape)))
    finite = tf.reduce_all(tf.math.is_finite(gradient), axis=axes, keepdims=True)
    gradient = tf.where(finite, gradient, 0.0)
    size = tf.sqrt(tf.reduce_mean(tf.square(gradient), axis=axes, keepdims=True))
    gradient = tf.clip_by_value(tf.math.divide_no_nan(gradient, size), -recipe.clip, recipe.clip)
    first = recipe.first_decay * first + (1 - recipe.first_decay) * gradient
    second = recipe.second_decay * second + (1 - recipe.second_decay) * tf.square(gradient)
    unbiased_first = first / (1 - recipe.first_decay**number)
    unbiased_second = second / (1 - recipe.second_decay**number)
    return position + rate * unbiased_first / (tf.sqrt(unbiased_second) + recipe.damping), first, second
