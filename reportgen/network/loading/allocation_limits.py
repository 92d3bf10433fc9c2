"""Limits to what a model file can make Keras allocate: variables against the numbers that the file holds, tensors against a machine."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from reportgen.core.errors import ModelError
from reportgen.network.backend import keras
from reportgen.network.error_text import readable_size, shown_name

FREE_ELEMENTS = 1 << 26  # 256 MiB of float32: what a network may always ask for
ELEMENTS_RATIO = 2  # variables per stored number above that; a saved model stores each of its variables
ELEMENT_BYTES = 4  # of float32
LARGEST_TENSOR = 16 << 30  # bytes for one picture; 64 channels at 8192 x 8192 pixels


@contextmanager
def bounded(stored: int, name: str) -> Iterator[None]:
    """Let Keras make variables of at most as many numbers as fit to `stored` ones. Raises ModelError before the first that does not.

    The constructor of every Keras variable is shadowed meanwhile: a config alone does not say how large its layers will be.
    """
    limit = max(FREE_ELEMENTS, ELEMENTS_RATIO * stored)
    asked = 0
    make = keras.Variable.__init__

    def guarded(variable: Any, initializer: Any, shape: Any = None, *rest: Any, **named: Any) -> None:
        nonlocal asked
        asked += _elements(shape)
        _check()
        make(variable, initializer, shape, *rest, **named)

    def _check() -> None:
        if asked > limit:
            raise ModelError(
                f"{name} describes a network of at least {readable_size(ELEMENT_BYTES * asked)} and holds weights of "
                f"{readable_size(ELEMENT_BYTES * stored)}; it is not loaded."
            )

    own = "__init__" in vars(keras.Variable)
    keras.Variable.__init__ = guarded
    try:
        try:
            yield
        except Exception:
            _check()  # the better sentence, where Keras made another error of ours
            raise
        _check()
    finally:
        if own:
            keras.Variable.__init__ = make
        else:
            del keras.Variable.__init__


def check_tensors(model: Any, name: str) -> None:
    """Raise ModelError where a tensor inside a model with a fixed input is larger for one picture than a machine can hold."""
    for layer in getattr(model, "_flatten_layers", lambda: ())():
        for node in getattr(layer, "_inbound_nodes", ()):
            for tensor in node.output_tensors:
                size = ELEMENT_BYTES * math.prod(length for length in tensor.shape[1:] if length is not None)
                if size > LARGEST_TENSOR:
                    raise ModelError(
                        f"{name} describes a network whose layer {shown_name(layer.name)} makes {readable_size(size)} of one picture; "
                        "it is not loaded."
                    )


def _elements(shape: Any) -> int:
    try:
        return math.prod(int(length) for length in shape)
    except (TypeError, ValueError):  # no shape, or not known: Keras says what is wrong with it
        return 0
