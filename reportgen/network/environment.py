"""What the network runs on: versions and device, as the report states them."""

from __future__ import annotations

import platform
from typing import Any

from reportgen.network.backend import keras, tf


def graphics() -> list[dict[str, Any]]:
    """What TensorFlow tells of each GPU that it computes on."""
    return [tf.config.experimental.get_device_details(device) for device in tf.config.list_physical_devices("GPU")]


def environment() -> dict[str, str]:
    """Versions of python, tensorflow and keras, and the device's name; no host name."""
    names = [details.get("device_name", "GPU") for details in graphics()]
    return {
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "device": ", ".join(names) if names else f"CPU ({platform.machine()})",
    }
