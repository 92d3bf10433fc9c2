"""How a pattern is sought: every choice and every number of the ascent, in one place, stated in the report."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from reportgen.core.records import PICTURE_RANK
from reportgen.core.settings import Settings

ALGORITHM = 5  # raised whenever the same numbers would give another picture: stored patterns are then computed again

# The keras.io recipe is stated for pictures of 180 x 180 x 3: there a step of `rate` along the gradient of unit length moves a value by
# rate / sqrt(180 * 180 * 3) on average. Elsewhere the same average is kept.
KERAS_IO_SIDE, KERAS_IO_BANDS = 180, 3
RGB = 3  # bands of natural pictures, whose correlation is known
KERAS_IO_CROP = 25  # pixels cut off each side of a picture of that size, for display


@dataclass(frozen=True)
class Recipe:
    """One way to seek a pattern.

    method: `optvis` (optimization in a decorrelated Fourier space, then of single pixels, the picture seen through random warps) or
    `keras-io`. steps: of the ascent. rate: the optimizer's learning rate; under the schedule `cosine` it falls to zero along a cosine,
    under `constant` it stays. optimizer: a Keras optimizer's name. parameterization: `fourier` or `pixel`. decorrelation: `imagenet`,
    `images` (estimated from the user's) or `none`. limits: `logistic` keeps every value between black and white; `standardised` lets
    values go anywhere and brings the finished picture to mean 1/2 and deviation 0.15. objective: `mean-and-peak`, `leaky`, `pre-
    activation` or `activation`. transforms: whether every step sees the picture through a random affine warp. clip: where gradients are
    brought to unit size per value, what single values are clipped at. rescue: whether a picture without any gradient is let through
    silent rectifiers in the first steps. clip_norm: the length that a picture's raw gradient is clipped at, instead of bringing it to
    unit size. trim: positions of the map left out at each border. pixel_steps: the last of the steps, which move every pixel by the
    sign of its gradient, the first time by `pixel_rate` of full scale. strongest_steps: of the search for the strongest response that
    follows, on plain pixels without warps, the first by `strongest_rate`; 0 for none. wake_steps: of the one that wakes filters which
    are silent then, for single positions, the first by `wake_rate`. total_variation, l2: weights of the regularizers, in units of the
    gradient's own size. restarts: starts a filter, of which the best picture is kept.
    """

    method: str
    steps: int
    rate: float
    schedule: str
    optimizer: str
    parameterization: str
    decorrelation: str
    limits: str
    objective: str
    transforms: bool
    clip: float | None
    rescue: bool
    clip_norm: float | None = None
    trim: int = 2
    pixel_steps: int = 0
    pixel_rate: float = 0.15
    strongest_steps: int = 0
    strongest_rate: float = 0.3
    wake_steps: int = 0
    wake_rate: float = 0.1
    total_variation: float = 0.0
    l2: float = 0.0
    restarts: int = 1
    algorithm: int = ALGORITHM

    @property
    def keras_io_steps(self) -> bool:
        """Whether `rate` is the keras.io recipe's own: of a plain step along a gradient of unit length."""
        return self.method == "keras-io" and self.optimizer.lower() == "sgd" and self.clip_norm is None

    @property
    def regularized(self) -> bool:
        """Whether something is held against pictures that only excite: then weaker ones are what was asked for."""
        return self.total_variation != 0 or self.l2 != 0

    def describe(self) -> dict[str, Any]:
        """The recipe as plain JSON values."""
        return dataclasses.asdict(self)


OPTVIS = Recipe(
    method="optvis",
    steps=13,
    rate=0.8,
    schedule="cosine",
    optimizer="adam",
    parameterization="fourier",
    decorrelation="imagenet",
    limits="logistic",
    objective="mean-and-peak",
    transforms=True,
    clip=10.0,
    rescue=True,
    pixel_steps=8,
    strongest_steps=15,
    wake_steps=32,
)
# Few bold steps beat many timid ones (measured on VGG16: benchmarks/README.md).
QUALITIES = {
    "draft": dataclasses.replace(OPTVIS, steps=8, pixel_steps=4, strongest_steps=6, wake_steps=24),
    "standard": OPTVIS,
    "paper": dataclasses.replace(
        OPTVIS,
        steps=192,
        rate=0.15,
        pixel_steps=64,
        pixel_rate=0.06,
        strongest_steps=96,
        strongest_rate=0.15,
        wake_steps=96,
    ),
}
# "Visualizing what convnets learn" (keras.io): grey noise, plain gradient ascent on the layer's output, standardised for display.
KERAS_IO = Recipe(
    method="keras-io",
    steps=30,
    rate=10.0,
    schedule="constant",
    optimizer="sgd",
    parameterization="pixel",
    decorrelation="none",
    limits="standardised",
    objective="activation",
    transforms=False,
    clip=None,
    rescue=False,
)


def choose(settings: Settings, bands: int, have_images: bool) -> Recipe:
    """The recipe that `settings` ask for, for pictures of so many bands; each piece that is named replaces the method's own."""
    recipe = QUALITIES[settings.quality] if settings.method == "optvis" else KERAS_IO
    decorrelate = recipe.decorrelation != "none" if settings.decorrelate is None else settings.decorrelate
    return dataclasses.replace(
        recipe,
        **settings.recipe_fields,
        pixel_steps=_pixel_steps(recipe, settings),
        total_variation=settings.regularizers.get("tv", recipe.total_variation),
        l2=settings.regularizers.get("l2", recipe.l2),
        decorrelation=decorrelation(bands, have_images) if decorrelate else "none",
    )


def _pixel_steps(recipe: Recipe, settings: Settings) -> int:
    """How many of the last steps move single pixels: the quality's share of them; none where another way to climb was asked for."""
    other = (settings.parameterization, settings.optimizer, settings.learning_rate, settings.clip_norm)
    if any(choice is not None for choice in other):
        return 0
    return recipe.pixel_steps if settings.steps is None else recipe.pixel_steps * settings.steps // recipe.steps


def decorrelation(bands: int, have_images: bool) -> str:
    """Where the correlation of the bands comes from: ImageNet's constants for three, the user's images for any other number above one."""
    if bands == RGB:
        return "imagenet"
    return "images" if bands > 1 and have_images else "none"


def display_crop(recipe: Recipe | dict[str, Any], size: tuple[int, ...]) -> int:
    """Pixels that display leaves out at each side: the keras.io recipe's 25 of 180, in proportion; 0 for any other, and off pictures."""
    method = recipe["method"] if isinstance(recipe, dict) else recipe.method
    cropped = method == KERAS_IO.method and len(size) == PICTURE_RANK
    return KERAS_IO_CROP * min(size) // KERAS_IO_SIDE if cropped else 0
