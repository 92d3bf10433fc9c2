"""What a pattern's recipe can be composed of, for `reportgen.patterns`: objectives, parameterizations and transforms.

The fourth piece, the optimizer, is any Keras optimizer that works element by element.
"""

from __future__ import annotations

from reportgen.compute.patterns.objectives import Objective, channel, l2, of_layer, total_variation
from reportgen.compute.patterns.parameterization import fourier, pixels
from reportgen.compute.patterns.transforms import jitter, rotate, scale

__all__ = [
    "Objective",
    "channel",
    "fourier",
    "jitter",
    "l2",
    "of_layer",
    "pixels",
    "rotate",
    "scale",
    "total_variation",
]
