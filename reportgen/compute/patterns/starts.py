"""Where an ascent begins: a bank of pictures that all layers are measured on at once; each filter starts from its best.

From mid-grey many filters have no gradient to follow: one of the first layers may want a plain color at its limit, one in the middle may
be silent on anything faint. Measuring a few pictures of natural contrast helps them, and saves all others some steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reportgen.compute.patterns import colour
from reportgen.compute.patterns.parameterization import Fourier, Parameterization
from reportgen.compute.patterns.randomness import derived_seed
from reportgen.compute.patterns.recipe import Recipe

NOISES = 20  # noise images of the bank beside the faint one
COLOURED = 8  # of them on a plain color each, where filters see only a few pixels
# Pixels. On VGG16 a colored start helps in the first block (fields of 3 and 5) and only tints the picture in the fourth (60 and more).
PLAIN_COLOUR_FIELD = 16
PLAIN_LOGIT = (
    1.0  # about 27 % and 73 % of full brightness: clearly dark, bright or colored, with room to move either way
)
FEW_BANDS = 3  # up to here every corner of the color cube is tried
CONTRAST = 12.0  # times the faint start: noise of about natural contrast


@dataclass(frozen=True)
class Bank:
    """Pictures that filters may begin at.

    Attributes:
        coefficients: float32 (k, ...), first faint noise, then noise of natural contrast, then some of that on plain colors.
        plain: How many come before the colored ones.
    """

    coefficients: np.ndarray
    plain: int

    def offered(self, field: int | None) -> np.ndarray:
        """Return the places of the starts that a layer is offered, by its receptive field in pixels (None where not known)."""
        colored = len(self.coefficients) - self.plain
        if field is None or field > PLAIN_COLOUR_FIELD:
            return np.arange(self.plain)
        return np.concatenate([np.arange(self.plain - colored), np.arange(self.plain, self.plain + colored)])

    def noise_of(self, place: int) -> int:
        """Return the number of the noise that a start was made of."""
        return place if place < self.plain else place - (len(self.coefficients) - self.plain)


def bank(recipe: Recipe, seed: int, parameters: Parameterization, bands: int, mixing: np.ndarray | None) -> Bank | None:
    """Return where filters may begin, from seed and size alone; None for recipes that begin from plain grey noise."""
    if not isinstance(recipe.parameterization, Fourier) or recipe.limits != "sigmoid":
        return None
    noises = np.stack([parameters.start(bank_seed(seed, number)) for number in range(1 + NOISES)])
    noises[1:] *= np.float32(CONTRAST)
    colours = parameters.plain(colour.unmixed(plain_logits(bands), mixing))
    colored = noises[-COLOURED:] + colours[np.arange(COLOURED) % len(colours)]
    return Bank(np.concatenate([noises, colored]), len(noises))


def bank_seed(seed: int, number: int) -> int:
    """Return what noise `number` of the bank is drawn from."""
    return derived_seed(seed, number, "bank")


def plain_logits(bands: int) -> np.ndarray:
    """float32 (k, bands): plain colors before the sigmoid.

    All corners of the color cube where there are few channels; all dark, all bright and each channel alone otherwise.
    """
    if bands <= FEW_BANDS:
        corners = np.array(np.meshgrid(*[[-1, 1]] * bands, indexing="ij"), np.float32).reshape(bands, -1).T
    else:
        alone = 2 * np.eye(bands, dtype=np.float32) - 1
        corners = np.concatenate([-np.ones((1, bands), np.float32), np.ones((1, bands), np.float32), alone])
    return np.asarray(PLAIN_LOGIT * corners, np.float32)
