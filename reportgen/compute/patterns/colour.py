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
    return np.asarray(CORRELATION_ROOT / np.linalg.norm(CORRELATION_ROOT, axis=0).max())


def to_pictures(planes: Any) -> Any:
    """float32 (n, height, width, bands) in [0, 1]: planes mixed into RGB where there are three, then the logistic function."""
    if planes.shape[-1] == RGB:
        planes = tf.tensordot(planes, tf.constant(mixing_matrix().T), 1)
    return tf.sigmoid(planes)


PLAIN_LOGIT = (
    2.0  # about 12 % and 88 % of full brightness: clearly dark, bright or coloured, with room to move either way
)
FEW_BANDS = 3  # up to here every corner of the cube of bands is tried


def plain(bands: int) -> np.ndarray:
    """float32 (k, bands): the plain colours that an ascent may start from, before the logistic function; the first is mid-grey.

    All corners of the cube of bands where there are few; all dark, all bright and each band alone otherwise.
    """
    if bands <= FEW_BANDS:
        corners = np.array(np.meshgrid(*[[-1, 1]] * bands, indexing="ij"), np.float32).reshape(bands, -1).T
    else:
        alone = 2 * np.eye(bands, dtype=np.float32) - 1
        corners = np.concatenate([-np.ones((1, bands), np.float32), np.ones((1, bands), np.float32), alone])
    return np.concatenate([np.zeros((1, bands), np.float32), PLAIN_LOGIT * corners])


def to_planes(logits: np.ndarray) -> np.ndarray:
    """float32 (n, bands): the planes that `to_pictures` mixes into these logits."""
    if logits.shape[-1] == RGB:
        return np.linalg.solve(mixing_matrix(), logits.T).T.astype(np.float32)
    return logits
