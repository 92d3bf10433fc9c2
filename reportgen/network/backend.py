"""Bring in TensorFlow and Keras without their chatter; every other module takes them from here."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")


@contextmanager
def _native_output_held_back() -> Iterator[None]:
    """Hold back what native code writes to stderr while importing, and show it only if the import fails."""
    try:
        original = os.dup(2)
    except OSError:
        yield
        return
    with tempfile.TemporaryFile() as constant_inputs:
        sys.stderr.flush()
        os.dup2(constant_inputs.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(original, 2)
            constant_inputs.seek(0)
            sys.stderr.write(constant_inputs.read().decode(errors="replace"))
            raise
        finally:
            os.dup2(original, 2)
            os.close(original)


with _native_output_held_back():
    import tensorflow as tf

    tf.config.list_physical_devices()  # the probe for GPUs talks as well
    import keras


def _fuse(wanted: bool) -> None:
    tf.config.optimizer.set_experimental_options({"remapping": wanted})


_fuse(False)  # a convolution fused with its rectifier answers 0 where the layers themselves answer NaN


@contextmanager
def fused() -> Iterator[None]:
    """While the block runs, what is called computes a convolution and its rectifier in one operation: faster, and NaN becomes 0."""
    _fuse(True)
    try:
        yield
    finally:
        _fuse(False)


logging.getLogger("tensorflow").setLevel(logging.ERROR)
logging.getLogger("absl").setLevel(logging.ERROR)

__all__ = ["fused", "keras", "tf"]
