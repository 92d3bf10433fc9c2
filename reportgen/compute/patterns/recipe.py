"""How hard and how a pattern is sought: every number of the ascent, in one place, stated in the report."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

ALGORITHM = 1  # raised whenever the same numbers would give another picture: stored patterns are then computed again


@dataclass(frozen=True)
class Recipe:
    """steps of Adam at `rate` (falling to zero along a cosine) on gradients of unit size per picture, clipped at `clip` times that size.

    damping: added to Adam's divisor, in units of the picture's own gradient: coefficients that hardly matter move slowly instead of
    turning into noise.
    """

    steps: int
    rate: float
    clip: float = 10.0
    first_decay: float = 0.9
    second_decay: float = 0.99
    damping: float = 0.1
    algorithm: int = ALGORITHM

    def describe(self) -> dict[str, Any]:
        """The recipe as plain JSON values."""
        return dataclasses.asdict(self)


# Few bold steps beat many timid ones (measured on VGG16: benchmarks/README.md).
QUALITIES = {
    "draft": Recipe(steps=12, rate=0.4),
    "standard": Recipe(steps=32, rate=0.25),
    "paper": Recipe(steps=256, rate=0.15),
}


def choose(quality: str, steps: int | None) -> Recipe:
    """The recipe of a quality, with another number of steps where `--steps` names one."""
    recipe = QUALITIES[quality]
    return recipe if steps is None else dataclasses.replace(recipe, steps=steps)
