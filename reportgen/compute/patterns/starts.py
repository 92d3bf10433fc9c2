"""Where an ascent begins: a bank of pictures that all filters of a layer are measured on at once; each begins at the one it likes best.

From mid-grey many filters have nothing to climb: a filter of the first layers may want a plain colour at its limit, one in the
middle may be silent on anything faint. One look at a few pictures of natural contrast saves them, and saves all others some steps.
"""

from __future__ import annotations

import numpy as np

from reportgen.compute.patterns import colour
from reportgen.compute.patterns.parameterization import Parameterization
from reportgen.compute.patterns.randomness import derived_seed
from reportgen.compute.patterns.recipe import Recipe

NOISES = 20  # clouds of the bank beside the faint one
COLOURED = 8  # of them on a plain colour each, where filters see only a few pixels
# Pixels. On VGG16 a coloured start helps in the first block (fields of 3 and 5) and only tints the picture in the fourth (60 and more).
PLAIN_COLOUR_FIELD = 16
PLAIN_LOGIT = (
    1.0  # about 27 % and 73 % of full brightness: clearly dark, bright or coloured, with room to move either way
)
FEW_BANDS = 3  # up to here every corner of the cube of bands is tried
CONTRAST = 12.0  # times the faint start: clouds of about natural contrast


def bank(
    recipe: Recipe,
    seed: int,
    path: str,
    field: int | None,
    parameters: Parameterization,
    bands: int,
    mixing: np.ndarray | None,
) -> np.ndarray | None:
    """float32 (k, *parameters.shape): where filters may begin, first a faint cloud; from layer and seed alone.

    field: the receptive field in pixels, None where not known. None for recipes that begin from plain grey noise.
    """
    if recipe.parameterization != "fourier" or recipe.limits != "logistic":
        return None
    noises = np.stack([parameters.start(cloud_seed(seed, path, number)) for number in range(1 + NOISES)])
    noises[1:] *= np.float32(CONTRAST)
    if field is not None and field <= PLAIN_COLOUR_FIELD:
        colours = parameters.plain(colour.unmixed(plain_logits(bands), mixing))
        noises[-COLOURED:] += colours[np.arange(COLOURED) % len(colours)]
    return noises


def cloud_seed(seed: int, path: str, number: int) -> int:
    """What picture `number` of a layer's bank is drawn from."""
    return derived_seed(seed, path, number, "bank")


def plain_logits(bands: int) -> np.ndarray:
    """float32 (k, bands): plain colours before the logistic function.

    All corners of the cube of bands where there are few; all dark, all bright and each band alone otherwise.
    """
    if bands <= FEW_BANDS:
        corners = np.array(np.meshgrid(*[[-1, 1]] * bands, indexing="ij"), np.float32).reshape(bands, -1).T
    else:
        alone = 2 * np.eye(bands, dtype=np.float32) - 1
        corners = np.concatenate([-np.ones((1, bands), np.float32), np.ones((1, bands), np.float32), alone])
    return np.asarray(PLAIN_LOGIT * corners, np.float32)
