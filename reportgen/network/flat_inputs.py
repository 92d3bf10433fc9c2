"""Inputs that a model takes flattened or without an axis of channels, as a picture of 784 numbers: the shape that its convolutions see."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from reportgen.core.choices import SHAPE_AXES
from reportgen.core.records import ModelInput, Shape
from reportgen.network.backend import keras
from reportgen.network.graph.layer_kinds import CONVOLUTIONS

FLAT_AXES = 2  # at most: an input of more has channels
PROBES = 3  # numbers that are changed one at a time


def seen_shape(model: Any, own: ModelInput, layers: Sequence[Any]) -> Shape | None:
    """Return the shape in which the first convolution sees a model's only input that is nothing but reshaped before, channels last.

    Args:
        model: a Keras model.
        own: its primary input.
        layers: every layer inside it.

    Returns:
        The shape, of as many numbers as the input's own; None where that is the input's own shape, or is not known.
    """
    lengths = [length for length in own.shape or () if length is not None]
    first = next((layer for layer in layers if isinstance(layer, CONVOLUTIONS)), None)
    if own.shape is None or len(lengths) < len(own.shape) or len(lengths) > FLAT_AXES or first is None:
        return None
    try:
        (given,) = model.inputs
        shape = tuple(first.input.shape[1:])
        fits = None not in shape and prod(shape) == prod(lengths) and shape != own.shape and len(shape) in SHAPE_AXES
        plain = first.data_format == "channels_last" or shape[0] == 1
        if not fits or not plain or not _keeps_places(keras.Model(given, first.input), lengths):
            return None
    except Exception:  # a model without a graph of Keras's, or with several inputs
        return None
    return shape if first.data_format == "channels_last" else (*shape[1:], 1)


def _keeps_places(beginning: Any, shape: Sequence[int]) -> bool:
    """Whether each number that goes in decides the one at its own place of what comes out, flattened, and no other."""
    count = prod(shape)
    changed = sorted({0, count // PROBES, count - 1})
    inputs = np.zeros((1 + len(changed), count), np.float32)
    inputs[np.arange(len(changed)) + 1, changed] = 1
    outputs = np.asarray(beginning(inputs.reshape(-1, *shape), training=False)).reshape(len(inputs), -1)
    moved = outputs[1:] != outputs[:1]
    return bool((moved.sum(axis=1) == 1).all() and moved[np.arange(len(changed)), changed].all())
