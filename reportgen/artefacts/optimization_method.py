"""How patterns were sought, in one readable sentence: every piece of the recipe, as it was carried out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reportgen.core.records import PICTURE_RANK
from reportgen.render.text import AXIS_UNITS, NOUNS, OF_IMAGES, Nouns, plural, stated

# What the sentence is made of; the recipe of a store that another version wrote may lack some of it.
PIECES = frozenset(
    {
        *(
            "method",
            "steps",
            "rate",
            "schedule",
            "optimizer",
            "parameterization",
            "decorrelation",
            "limits",
            "objective",
        ),
        *("transforms", "clip", "rescue", "clip_norm", "trim", "total_variation", "l2", "restarts"),
        *("pixel_steps", "pixel_rate", "strongest_steps", "strongest_rate", "wake_steps", "wake_rate"),
    }
)
METHODS = {
    "optvis": "Feature visualization by optimization",
    "keras-io": "Gradient ascent as in keras.io’s “Visualizing what convnets learn”",
}
OPTIMIZERS = {  # names that are not written as they are typed
    "adam": "Adam",
    "adamw": "AdamW",
    "adamax": "Adamax",
    "adagrad": "Adagrad",
    "adadelta": "Adadelta",
    "nadam": "Nadam",
    "rmsprop": "RMSprop",
    "ftrl": "FTRL",
    "lion": "Lion",
}
KERAS_IO = "keras-io"
KERAS_IO_SHAPE = "180 × 180 × 3"  # the pictures that its step is stated for


def sentence(
    recipe: Mapping[str, Any],
    *,
    bands: int,
    rank: int = PICTURE_RANK,
    crop: int = 0,
    size: Sequence[int] | None = None,
    rectified: bool | None = None,
    is_output: bool = False,
) -> str | None:
    """The whole recipe; None where it is not one of this version.

    recipe: of the settings, or of a layer's patterns, which adds `precision`, `mixing`, `batch` and `planned_batch`.
    bands: of a picture. rank: of its spatial axes. crop: pixels of each side that display leaves out of `size` (height, width).
    rectified: of the layer's unit, None where many layers are meant. is_output: the layer is the model's own outputs.
    """
    if not recipe.keys() >= PIECES:
        return None
    nouns = NOUNS[rank]
    clauses = [
        _picture(recipe, nouns),
        *_colours(recipe, bands, nouns),
        *_limits(recipe, rank),
        _objective(recipe, rectified, is_output),
        "one random affine warp a step" if recipe["transforms"] else "no transforms",
        _gradient(recipe),
        _optimizer(recipe),
        _steps(recipe, nouns),
        _regularizers(recipe),
        _restarts(recipe),
        _rescue(recipe, nouns),
        *_strongest(recipe, nouns),
        *_waking(recipe, rectified, is_output),
        *_precision(recipe),
    ]
    tight = memory(recipe, nouns.made)
    if tight is not None:
        clauses.append(tight)
    if recipe["limits"] == "standardised":
        clauses.append(f"the finished {nouns.made} standardised to mean 1/2 and deviation 0.15")
    if crop > 0:
        of = "" if size is None else f" of {min(size)}"
        clauses.append(f"{crop}{of} {AXIS_UNITS[rank]} cropped at each side for display")
    return f"{METHODS.get(recipe['method'], recipe['method'])}: {'; '.join(clauses)}."


def memory(recipe: Mapping[str, Any], noun: str) -> str | None:
    """As a clause, that fewer pictures were sought at once than planned; None where they were as planned."""
    batch, planned = recipe.get("batch"), recipe.get("planned_batch")
    if batch is None or planned is None or batch >= planned:
        return None
    return f"{plural(batch, noun)} at once instead of {planned}, because memory ran out"


def _picture(recipe: Mapping[str, Any], nouns: Nouns) -> str:
    if recipe["parameterization"] == "pixel":
        return "plain pixels from grey noise" if nouns == OF_IMAGES else "plain numbers from noise"
    if recipe["limits"] == "logistic":
        return f"Fourier {nouns.one}, begun at the best of several random {nouns.made}s"
    return f"Fourier {nouns.one} from faint noise"


def _colours(recipe: Mapping[str, Any], bands: int, nouns: Nouns) -> list[str]:
    if bands == 1:
        return []
    found = recipe["decorrelation"]
    if found == "imagenet":
        return ["colours decorrelated by ImageNet’s correlation"]
    if found == "images" and recipe.get("mixing", found) is not None:
        return [f"bands decorrelated by their correlation in the {nouns.one}s"]
    if found == "images":
        return [f"bands not decorrelated, because they never change in the {nouns.one}s"]
    return ["bands not decorrelated"]


def _limits(recipe: Mapping[str, Any], rank: int) -> list[str]:
    ends = "between black and white" if rank == PICTURE_RANK else "within their range"
    return [f"values kept {ends} by a logistic function"] if recipe["limits"] == "logistic" else []


def _objective(recipe: Mapping[str, Any], rectified: bool | None, is_output: bool) -> str:
    if is_output:
        return "the class’s logit"
    leak = "negative positions count a tenth"
    peaked = "the mean activation and a tenth of the level of the strongest positions before it"
    if recipe["objective"] == "activation":
        figure = "activation"
    elif recipe["objective"] == "mean-and-peak" and rectified is not False:
        figure = ""
    elif recipe["objective"] == "leaky" and rectified is None:
        figure = f"pre-activation, leaky where the unit is rectified ({leak}),"
    elif recipe["objective"] == "leaky" and rectified:
        figure = f"leaky pre-activation ({leak})"
    else:
        figure = "pre-activation"
    trim = recipe["trim"]
    border = (
        f"without {plural(trim, 'position')} at each border (fewer on small maps)" if trim else "over all positions"
    )
    if not figure:
        where = " where the unit is rectified, else the mean pre-activation" if rectified is None else ""
        return f"{peaked}{where}, {border}"
    return f"mean of the {figure} {border}"


def _gradient(recipe: Mapping[str, Any]) -> str:
    if recipe["clip_norm"] is not None:
        return f"raw gradient clipped at length {stated(recipe['clip_norm'])}"
    size = (
        "of unit length"
        if recipe["method"] == KERAS_IO and recipe["optimizer"].lower() == "sgd"
        else "of unit size per value"
    )
    return f"gradient {size}" + ("" if recipe["clip"] is None else f" clipped at {stated(recipe['clip'])}")


def _optimizer(recipe: Mapping[str, Any]) -> str:
    name, rate = recipe["optimizer"], stated(recipe["rate"])
    plain = name.lower() == "sgd"
    used = f"plain steps of {rate}" if plain else f"{OPTIMIZERS.get(name.lower(), name)} at {rate}"
    if plain and recipe["method"] == KERAS_IO and recipe["clip_norm"] is None:
        used += f" at {KERAS_IO_SHAPE} (the same average step elsewhere)"
    return used + (" falling along a cosine" if recipe["schedule"] == "cosine" else "")


def _regularizers(recipe: Mapping[str, Any]) -> str:
    named = (("total variation", recipe["total_variation"]), ("squared contrast", recipe["l2"]))
    used = [f"{name} weighing {stated(weight)}" for name, weight in named if weight]
    return f"{' and '.join(used)} against it, in units of the gradient’s size" if used else "no regularizer"


def _restarts(recipe: Mapping[str, Any]) -> str:
    restarts = recipe["restarts"]
    return "one start" if restarts == 1 else f"the best of {restarts} starts"


def _rescue(recipe: Mapping[str, Any], nouns: Nouns) -> str:
    if recipe["rescue"]:
        return f"silent rectifiers opened in the first steps for a {nouns.made} that no gradient reaches"
    return "silent rectifiers left shut"


def _steps(recipe: Mapping[str, Any], nouns: Nouns) -> str:
    steps = plural(recipe["steps"], "step")
    if not recipe["pixel_steps"]:
        return steps
    return f"{steps}, the last {recipe['pixel_steps']} {_by_sign(nouns)}, at most {stated(recipe['pixel_rate'])}"


def _by_sign(nouns: Nouns) -> str:
    return f"by the sign of each {'pixel' if nouns == OF_IMAGES else 'value'}’s gradient"


def _strongest(recipe: Mapping[str, Any], nouns: Nouns) -> list[str]:
    steps = recipe["strongest_steps"]
    if not steps:
        return []
    return [
        f"the strongest response searched beside it without warps, at least {plural(steps, 'step')} "
        f"{_by_sign(nouns)}, at most {stated(recipe['strongest_rate'])}"
    ]


def waking(recipe: Mapping[str, Any]) -> str | None:
    """How long a rectified filter that stayed silent was searched for single positions; None where it was not."""
    steps = recipe.get("wake_steps")
    return plural(steps, "step") if steps else None


def _waking(recipe: Mapping[str, Any], rectified: bool | None, is_output: bool) -> list[str]:
    steps = waking(recipe)
    if steps is None or rectified is False or is_output:
        return []
    rate = stated(recipe["wake_rate"])
    return [f"what is silent then is searched for single positions, {steps} of at most {rate}"]


def _precision(recipe: Mapping[str, Any]) -> list[str]:
    return [f"sought in {recipe['precision']}"] if "precision" in recipe else []
