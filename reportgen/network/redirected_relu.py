"""Redirected ReLU gradients: rectifiers pass a gradient where all of a picture's values are negative, so that an ascent can start there.

Source: Olah, Mordvintsev & Schubert, "Feature Visualization", Distill 2017, and the rule of its reference implementation: per picture and
rectifier, only where the true gradient is zero throughout, and only in the direction that raises the input.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from reportgen.network.backend import tf

RELU, RELU6 = "ReportgenRedirectedRelu", "ReportgenRedirectedRelu6"
SIX = 6.0


@contextmanager
def redirected() -> Iterator[None]:
    """Give rectifiers that are traced while the block runs the redirected gradient, for `tf.gradients`. Call inside a trace."""
    with tf.compat.v1.get_default_graph().gradient_override_map({"Relu": RELU, "Relu6": RELU6}):
        yield


def _relu(operation: Any, gradient: Any) -> Any:
    """Compute the redirected gradient of `Relu`."""
    given = operation.inputs[0]
    silent, nothing = given < 0, tf.zeros_like(gradient)
    return _plain_unless_zero(tf.where(silent, nothing, gradient), tf.where(silent & (gradient < 0), nothing, gradient))


def _relu6(operation: Any, gradient: Any) -> Any:
    """Compute the redirected gradient of `Relu6`."""
    given = operation.inputs[0]
    silent, full, nothing = given < 0, given > SIX, tf.zeros_like(gradient)
    plain = tf.where(silent | full, nothing, gradient)
    return _plain_unless_zero(plain, tf.where((silent & (gradient < 0)) | (full & (gradient > 0)), nothing, gradient))


def _plain_unless_zero(plain: Any, open_gradient: Any) -> Any:
    """Return per picture the plain gradient, or `open_gradient` where it is zero throughout."""
    axes = tuple(range(1, plain.shape.rank))
    nonzero = tf.reduce_any(tf.not_equal(plain, tf.zeros_like(plain)), axis=axes, keepdims=True)
    return tf.where(nonzero, plain, open_gradient)


tf.RegisterGradient(RELU)(_relu)
tf.RegisterGradient(RELU6)(_relu6)
