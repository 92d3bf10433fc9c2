"""How a pattern is found: every choice and every number of the ascent, in one place, stated in the report."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from reportgen.compute.patterns import parameterization as parameterizations
from reportgen.compute.patterns.objectives import Objective, channel, l2, total_variation
from reportgen.compute.patterns.optimizers import described, own_learning_rate
from reportgen.compute.patterns.parameterization import Fourier, Pixels
from reportgen.compute.patterns.transforms import STANDARD, Transform, checked
from reportgen.core.axes import RGB_CHANNELS
from reportgen.core.choices import Measure
from reportgen.core.errors import UsageError
from reportgen.core.records import PICTURE_RANK
from reportgen.core.settings import Settings

ALGORITHM = 10  # raised whenever the same numbers would give another picture: stored patterns are then computed again

# The keras.io recipe is stated for pictures of 180 x 180 x 3: there a step of one learning rate along the gradient of unit
# length moves a value by rate / sqrt(180 * 180 * 3) on average. Elsewhere the same average is kept.
KERAS_IO_SIDE = 180
KERAS_IO_CROP = 25  # pixels cut off each side of a picture of that size, for display


@dataclass(frozen=True)
class Recipe:
    """One way to find a pattern.

    Attributes:
        method: `optvis` (optimization in a decorrelated Fourier space, then of single pixels, the picture seen through random warps) or
            `keras-io`.
        steps: Of the ascent.
        learning_rate: The optimizer's.
        schedule: Under `cosine` the learning rate falls to zero along a cosine, under `constant` it stays.
        optimizer: A Keras optimizer's name, or one that serves as a model.
        parameterization: What the optimizer moves.
        decorrelation: `imagenet`, `images` (estimated from the user's) or `none`.
        limits: `sigmoid` keeps every value between black and white; `standardized` lets values go anywhere and brings the finished
            picture to mean 1/2 and deviation 0.15.
        objective: What is maximized, less penalties.
        transforms: What every step sees the picture through; none for the picture itself.
        clip_value: Where gradients are brought to unit size per value, what single values are clipped at.
        redirected_relu: Whether silent rectifiers let the gradient of a picture that has none through in the first steps.
        clip_norm: The length that a picture's raw gradient is clipped at, instead of bringing it to unit size.
        trim: Positions of the map left out at each border.
        pixel_steps: The last of the steps, which move every pixel by the sign of its gradient, the first time by `pixel_learning_rate` of
            full scale.
        strongest_steps: Of the search for the strongest response that follows, on plain pixels without warps, the first by
            `strongest_learning_rate`; 0 for none.
        retry_steps: At most of the one for filters that are silent then, for single positions, the first by `retry_learning_rate`.
        restarts: Starts per filter, of which the best picture is kept.
        algorithm: See ALGORITHM.
    """

    method: str
    steps: int
    learning_rate: float
    schedule: str
    optimizer: Any
    parameterization: Fourier | Pixels
    decorrelation: str
    limits: str
    objective: Objective
    transforms: tuple[Transform, ...]
    clip_value: float | None
    redirected_relu: bool
    clip_norm: float | None = None
    trim: int = 2
    pixel_steps: int = 0
    pixel_learning_rate: float = 0.15
    strongest_steps: int = 0
    strongest_learning_rate: float = 0.3
    retry_steps: int = 0
    retry_learning_rate: float = 0.1
    restarts: int = 1
    algorithm: int = ALGORITHM

    @property
    def coefficient_steps(self) -> int:
        """Steps of coefficients, before those of single pixels."""
        return self.steps - self.pixel_steps

    @property
    def keras_io_steps(self) -> bool:
        """Whether the learning rate is the keras.io recipe's own: of a plain step along a gradient of unit length."""
        plain = isinstance(self.optimizer, str) and self.optimizer.lower() == "sgd"
        return self.method == "keras-io" and plain and self.clip_norm is None

    @property
    def regularized(self) -> bool:
        """Whether there are penalties: then weaker pictures are what was asked for."""
        return bool(self.objective.penalties)

    def describe(self) -> dict[str, Any]:
        """The recipe as plain JSON values."""
        return {
            **{field.name: getattr(self, field.name) for field in dataclasses.fields(self)},
            "optimizer": described(self.optimizer),
            "parameterization": str(self.parameterization),
            "transforms": [str(transform) for transform in self.transforms],
            **self.objective.describe(),
        }


OPTVIS = Recipe(
    method="optvis",
    steps=13,
    learning_rate=0.8,
    schedule="cosine",
    optimizer="adam",
    parameterization=parameterizations.fourier(),
    decorrelation="imagenet",
    limits="sigmoid",
    objective=channel(measure=Measure.MEAN_AND_PEAK),
    transforms=STANDARD,
    clip_value=10.0,
    redirected_relu=True,
    pixel_steps=8,
    strongest_steps=15,
    retry_steps=96,
)
# A few large steps beat many small ones (measured on VGG16: benchmarks/README.md).
QUALITIES = {
    "draft": dataclasses.replace(OPTVIS, steps=8, pixel_steps=4, strongest_steps=6, retry_steps=64),
    "standard": OPTVIS,
    "paper": dataclasses.replace(
        OPTVIS,
        steps=192,
        learning_rate=0.15,
        pixel_steps=64,
        pixel_learning_rate=0.06,
        strongest_steps=96,
        strongest_learning_rate=0.15,
        retry_steps=192,
    ),
}
# "Visualizing what convnets learn" (keras.io): grey noise, plain gradient ascent on the layer's output, standardized for display.
KERAS_IO = Recipe(
    method="keras-io",
    steps=30,
    learning_rate=10.0,
    schedule="constant",
    optimizer="sgd",
    parameterization=parameterizations.pixels(),
    decorrelation="none",
    limits="standardized",
    objective=channel(measure=Measure.ACTIVATION),
    transforms=(),
    clip_value=None,
    redirected_relu=False,
)


def choose(
    settings: Settings,
    bands: int,
    have_images: bool,
    *,
    objective: Objective | None = None,
    parameterization: Fourier | Pixels | None = None,
    transforms: Sequence[Transform] | None = None,
    optimizer: Any = None,
) -> Recipe:
    """Return the recipe that settings ask for; each piece that is named replaces the method's own.

    Args:
        settings: Words, each of which stands for one of the values below.
        bands: Color channels of the pictures.
        have_images: Whether there are images, whose color channels tell their correlation.
        objective: In place of the settings' own; penalties of the settings are subtracted from it.
        parameterization: In place of the settings' own.
        transforms: In place of the settings' own; none for the picture itself.
        optimizer: A Keras optimizer in place of the settings' name; its learning rate counts where the settings state none.

    Raises:
        UsageError: A value cannot be used.
    """
    if parameterization is not None and not isinstance(parameterization, Fourier | Pixels):
        raise UsageError(
            f"parameterization: {parameterization!r} is neither a name nor a parameterization such as fourier()."
        )
    base = QUALITIES[settings.quality] if settings.method == "optvis" else KERAS_IO
    if settings.parameterization is not None:
        parameterization = _first(parameterization, parameterizations.BY_NAME[settings.parameterization])
    if settings.transforms is not None:
        transforms = _first(transforms, STANDARD if settings.transforms else ())
    decorrelate = _first(settings.decorrelate, base.decorrelation != "none")
    other_steps = (parameterization, _first(optimizer, settings.optimizer), settings.learning_rate, settings.clip_norm)
    own_rate = own_learning_rate(optimizer)
    as_given = {**({} if own_rate is None else {"learning_rate": own_rate}), **settings.recipe_fields}
    return dataclasses.replace(
        base,
        **as_given,
        pixel_steps=_pixel_steps(base, settings.steps) if all(choice is None for choice in other_steps) else 0,
        optimizer=_first(optimizer, _first(settings.optimizer, base.optimizer)),
        parameterization=_first(parameterization, base.parameterization),
        objective=_objective(base, settings, objective),
        transforms=checked(_first(transforms, base.transforms)),
        decorrelation=decorrelation(bands, have_images) if decorrelate else "none",
    )


Value = TypeVar("Value")


def _first(value: Value | None, other: Value) -> Value:
    return other if value is None else value


def _objective(base: Recipe, settings: Settings, given: Objective | None) -> Objective:
    """What is maximized: what is given or named, or the method's own; less the penalties of the settings."""
    if given is not None and not isinstance(given, Objective):
        raise UsageError(f"objective: {given!r} is neither a name nor an objective such as channel(3).")
    measure = base.objective.own_measure
    assert measure is not None
    wanted = channel(measure=settings.objective) if given is None else given
    weights = settings.regularizers
    penalties = weights.get("tv", 0.0) * total_variation() + weights.get("l2", 0.0) * l2()
    return wanted.with_measure(measure) - penalties


def _pixel_steps(recipe: Recipe, steps: int | None) -> int:
    """How many of the last steps move single pixels: the quality's share of them."""
    return recipe.pixel_steps if steps is None else recipe.pixel_steps * steps // recipe.steps


def decorrelation(bands: int, have_images: bool) -> str:
    """Where the correlation of color channels comes from: ImageNet for three, the user's images for any other number above one."""
    if bands == RGB_CHANNELS:  # whose correlation in natural pictures is known
        return "imagenet"
    return "images" if bands > 1 and have_images else "none"


def display_crop(recipe: Recipe | dict[str, Any], size: tuple[int, ...]) -> int:
    """Pixels that display leaves out at each side: the keras.io recipe's 25 of 180, in proportion; 0 for any other, and off pictures."""
    method = recipe["method"] if isinstance(recipe, dict) else recipe.method
    cropped = method == KERAS_IO.method and len(size) == PICTURE_RANK
    return KERAS_IO_CROP * min(size) // KERAS_IO_SIDE if cropped else 0
