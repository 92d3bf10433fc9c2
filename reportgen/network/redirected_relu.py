"""Rectifiers that let a gradient through where all of a picture's units are silent: without it nothing above them can ever wake them.

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
    """Rectifiers traced while the block runs have the redirected gradient, for `tf.gradients`. Call inside a trace."""
    with tf.compat.v1.get_default_graph().gradient_override_map({"Relu": RELU, "Relu6": RELU6}):
        yield


def _relu(operation: Any, gradient: Any) -> Any:
    given = operation.inputs[0]
    silent, nothing = given < 0, tf.zeros_like(gradient)
    return _first_alive(tf.where(silent, nothing, gradient), tf.where(silent & (gradient < 0), nothing, gradient))


def _relu6(operation: Any, gradient: Any) -> Any:
    given = operation.inputs[0]
    silent, full, nothing = given < 0, given > SIX, tf.zeros_like(gradient)
    plain = tf.where(silent | full, nothing, gradient)
    return _first_alive(plain, tf.where((silent & (gradient < 0)) | (full & (gradient > 0)), nothing, gradient))


def _first_alive(plain: Any, open_gradient: Any) -> Any:
    """Per picture the plain gradient, unless it is zero throughout."""
    axes = tuple(range(1, plain.shape.rank))
    alive = tf.reduce_any(tf.not_equal(plain, tf.zeros_like(plain)), axis=axes, keepdims=True)
    return tf.where(alive, plain, open_gradient)


tf.RegisterGradient(RELU)(_relu)
tf.RegisterGradient(RELU6)(_relu6)
