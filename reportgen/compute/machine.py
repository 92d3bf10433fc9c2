"""What results may depend on beside the model, the images and the settings: versions and the device; and the number of threads."""

from __future__ import annotations

from typing import Any

import numpy as np

from reportgen.core import __version__
from reportgen.inputs.decoding import PILLOW_VERSION
from reportgen.network.backend import environment
from reportgen.network.precision import has_bfloat16


def versions() -> dict[str, str]:
    """Return the versions of Python, reportgen and the libraries that compute, and the device's name, as a report states them."""
    return {**environment(), "numpy": np.__version__, "pillow": PILLOW_VERSION, "reportgen": __version__}


def stated() -> dict[str, Any]:
    """Return what must be alike wherever a job is computed: the versions, without Python's, and whether bfloat16 pays."""
    return {**{name: version for name, version in versions().items() if name != "python"}, "bfloat16": has_bfloat16()}
