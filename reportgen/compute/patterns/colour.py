"""Colour decorrelation: natural pictures' red, green and blue rise and fall together, so ascent runs in directions that do not.

Source of the constants: the colour correlation of ImageNet as published with "Feature Visualization" (Distill 2017).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from reportgen.network.quiet import tf

CORRELATION_ROOT = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]], np.float32)
RGB = 3


def mixing_matrix() -> np.ndarray:
    """float32 (3, 3), rows R, G, B: the correlation's square root over its largest column norm."""
    return CORRELATION_ROOT / np.linalg.norm(CORRELATION_ROOT, axis=0).max()


def to_pictures(planes: Any) -> Any:
    """float32 (n, height, width, bands) in [0, 1]: planes mixed into RGB where there are three, then the logistic function."""
    if planes.shape[-1] == RGB:
        planes = tf.tensordot(planes, tf.constant(mixing_matrix().T), 1)
    return tf.sigmoid(planes)
