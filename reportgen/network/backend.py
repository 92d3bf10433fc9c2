"""TensorFlow and Keras, imported without their log messages, with their versions and device; every other module takes them from here."""

from __future__ import annotations

import logging
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from reportgen.core.cores import usable_cores
from reportgen.core.errors import UsageError

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
LOGGERS = ("tensorflow", "absl")
CUSTOM_GRADIENT = "CustomGradient-"  # how names begin under which TensorFlow registers gradients of functions


@contextmanager
def _native_output_buffered() -> Iterator[None]:
    """Buffer what native code writes to stderr while importing, and show it only if the import fails."""
    try:
        original = os.dup(2)
    except OSError:
        yield
        return
    with tempfile.TemporaryFile() as buffer:
        sys.stderr.flush()
        os.dup2(buffer.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(original, 2)
            buffer.seek(0)
            sys.stderr.write(buffer.read().decode(errors="replace"))
            raise
        finally:
            os.dup2(original, 2)
            os.close(original)


with _native_output_buffered():
    import tensorflow as tf

    tf.config.list_physical_devices()  # the probe for GPUs writes messages as well
    import keras
    from tensorflow.python.framework import ops


def _fuse(wanted: bool) -> None:
    """Let TensorFlow compute a convolution and its rectifier in one operation, or not."""
    tf.config.optimizer.set_experimental_options({"remapping": wanted})


def set_up() -> None:
    """Make TensorFlow compute as reports do, and keep its messages: a convolution fused with its rectifier returns 0 for NaN."""
    _fuse(False)
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)


set_up()


@contextmanager
def fused() -> Iterator[None]:
    """Compute a convolution and its rectifier in one operation while the block runs: faster, and NaN becomes 0.

    One call at a time: what oneDNN adds to a convolution's output, as in residual networks, belongs to the operation, not to the call, so
    that two calls of one graph at once read each other's memory, and may crash (TensorFlow 2.21, `fuse_add_src_` of `MklConvOp`).
    """
    _fuse(True)
    try:
        yield
    finally:
        _fuse(False)


@contextmanager
def gradients_forgotten() -> Iterator[None]:
    """Forget the custom gradients of functions that were traced in the block; none of these functions may be used after it.

    TensorFlow registers them by names of their own, which keeps every traced function that has one for as long as the process lives.
    """
    registered = getattr(ops.gradient_registry, "_registry", {})
    before = set(registered)
    try:
        yield
    finally:
        for name in [name for name in registered if name not in before and name.startswith(CUSTOM_GRADIENT)]:
            del registered[name]


def gpu_details() -> list[dict[str, Any]]:
    """Return what TensorFlow tells of each GPU that it computes on."""
    return [tf.config.experimental.get_device_details(device) for device in tf.config.list_physical_devices("GPU")]


def fix_threads(wanted: int | None = None) -> int:
    """Fix how many threads TensorFlow computes an operation with: sums that are split among more are rounded otherwise.

    Args:
        wanted: the number; None for what this process computes with already, else one per core that it may run on.

    Returns:
        The number.

    Raises:
        UsageError: TensorFlow computes with another number in this process already and cannot change it.
    """
    threading = tf.config.threading
    own = threading.get_intra_op_parallelism_threads() or usable_cores()
    count = own if wanted is None else wanted
    try:
        threading.set_intra_op_parallelism_threads(count)
    except RuntimeError as error:  # it computes already
        if count != own:
            raise UsageError(
                f"TensorFlow computes with {own} {'thread' if own == 1 else 'threads'} in this process already and cannot change to "
                f"{count}; leave `threads` out, or state it before anything is computed."
            ) from error
    return count


def environment() -> dict[str, str]:
    """Return the versions of python, tensorflow and keras, and the device's name; no host name."""
    names = [details.get("device_name", "GPU") for details in gpu_details()]
    return {
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "device": ", ".join(names) if names else f"CPU ({platform.machine()})",
    }


__all__ = [
    "LOGGERS",
    "environment",
    "fix_threads",
    "fused",
    "gpu_details",
    "gradients_forgotten",
    "keras",
    "set_up",
    "tf",
]
