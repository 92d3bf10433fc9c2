"""Limits to what a model file can make Keras allocate: variables by the size of the file's arrays, tensors by that of a machine."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from reportgen.core.errors import ModelError
from reportgen.network.backend import keras
from reportgen.network.error_text import readable_size, shown_name

FREE_ELEMENTS = 1 << 26  # 256 MiB of float32: what a network may always allocate
ELEMENTS_RATIO = 2  # above that, variable elements per stored element; a saved model stores each of its variables
ELEMENT_BYTES = 4  # of float32
LARGEST_TENSOR = 16 << 30  # bytes for one picture; 64 channels at 8192 x 8192 pixels


@contextmanager
def bounded(stored: int, name: str) -> Iterator[None]:
    """Bound the size of the variables that Keras creates while the block runs.

    The constructor of Keras's variables is replaced meanwhile: a config alone does not tell how large its layers will be.

    Args:
        stored: number of elements in the file's arrays.
        name: of the file, for messages.

    Raises:
        ModelError: before a variable is created that exceeds the limit.
    """
    limit = max(FREE_ELEMENTS, ELEMENTS_RATIO * stored)
    requested = 0
    make = keras.Variable.__init__

    def guarded(variable: Any, initializer: Any, shape: Any = None, *rest: Any, **named: Any) -> None:
        nonlocal requested
        requested += _elements(shape)
        _check()
        make(variable, initializer, shape, *rest, **named)

    def _check() -> None:
        if requested > limit:
            raise ModelError(
                f"{name} describes a network of at least {readable_size(ELEMENT_BYTES * requested)} but contains weights of "
                f"{readable_size(ELEMENT_BYTES * stored)}; it is not loaded."
            )

    own = "__init__" in vars(keras.Variable)
    keras.Variable.__init__ = guarded
    try:
        try:
            yield
        except Exception:
            _check()  # the better message, where Keras raised another error in place of ours
            raise
        _check()
    finally:
        if own:
            keras.Variable.__init__ = make
        else:
            del keras.Variable.__init__


def check_tensors(model: Any, name: str) -> None:
    """Check the size of the tensors inside a model with a fixed input.

    Args:
        model: the Keras model.
        name: of its file, for messages.

    Raises:
        ModelError: a tensor of one picture exceeds LARGEST_TENSOR.
    """
    for layer in getattr(model, "_flatten_layers", lambda: ())():
        for node in getattr(layer, "_inbound_nodes", ()):
            for tensor in node.output_tensors:
                size = ELEMENT_BYTES * math.prod(length for length in tensor.shape[1:] if length is not None)
                if size > LARGEST_TENSOR:
                    raise ModelError(
                        f"{name} describes a network whose layer {shown_name(layer.name)} returns {readable_size(size)} per picture; "
                        "it is not loaded."
                    )


def _elements(shape: Any) -> int:
    """Return the number of elements of a shape; 0 where it is not known."""
    try:
        return math.prod(int(length) for length in shape)
    except (TypeError, ValueError):  # no shape, or not known: Keras reports what is wrong with it
        return 0
