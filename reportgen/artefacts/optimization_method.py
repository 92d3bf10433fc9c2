"""The optimization method of patterns in one readable sentence: every piece of the recipe, as it was carried out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reportgen.core.records import PICTURE_RANK
from reportgen.render.text import AXIS_UNITS, NOUNS, OF_IMAGES, Nouns, plural, stated

# What the sentence is made of; the recipe of a store that another version wrote may lack some of it.
PIECES = frozenset(
    {
        *("method", "steps", "learning_rate", "schedule", "optimizer", "parameterization", "decorrelation", "limits"),
        *("objective", "transforms", "clip_value", "redirected_relu", "clip_norm", "trim", "restarts"),
        *("total_variation", "l2", "pixel_steps", "pixel_learning_rate"),
        *("strongest_steps", "strongest_learning_rate", "retry_steps", "retry_learning_rate"),
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
    "sgd": "SGD",
    "ftrl": "FTRL",
    "lion": "Lion",
}
KERAS_IO = "keras-io"
KERAS_IO_SHAPE = "180 × 180 × 3"  # the pictures that its step is stated for
START_IMAGES = 21  # of the bank that every filter starts from the best of
LEAK = "leaky ReLU with slope 0.1"
SOFTMAX = "0.1 × the softmax-weighted mean of the pre-activation"


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
    """Return the whole recipe in words; None where it is not one of this version.

    Args:
        recipe: Of the settings, or of a layer's patterns, which adds `precision`, `mixing`, `batch` and `planned_batch`.
        bands: Color channels of a picture.
        rank: Of its spatial axes.
        crop: Pixels of each side that display leaves out of `size`.
        size: (height, width).
        rectified: Of the layer's unit, None where many layers are meant.
        is_output: Whether the layer is the model's own outputs.
    """
    if not recipe.keys() >= PIECES:
        return None
    nouns = NOUNS[rank]
    clauses = [
        _parameterization(recipe, nouns),
        *_decorrelation(recipe, bands, nouns),
        *_limits(recipe, nouns),
        _objective(recipe, rectified, is_output),
        _transforms(recipe),
        _gradient(recipe),
        _optimizer(recipe),
        _steps(recipe, nouns),
        _penalties(recipe),
        _restarts(recipe),
        _redirected_relu(recipe, nouns),
        *_strongest(recipe, nouns),
        *_retry(recipe, rectified, is_output),
        *_precision(recipe),
    ]
    tight = memory(recipe)
    if tight is not None:
        clauses.append(tight)
    if recipe["limits"] == "standardized":
        clauses.append(f"final {nouns.made} normalized to mean 0.5 and standard deviation 0.15")
    if crop > 0:
        of = "" if size is None else f" of {min(size)}"
        clauses.append(f"{crop}{of} {AXIS_UNITS[rank]} cropped at each side for display")
    return f"{METHODS.get(recipe['method'], recipe['method'])}: {'; '.join(clauses)}."


def summary(recipe: Mapping[str, Any], *, rank: int = PICTURE_RANK) -> str | None:
    """Return the method in one short sentence; None where the recipe is not one of this version.

    Args:
        recipe: As for `sentence`.
        rank: Of a picture's spatial axes.
    """
    if not recipe.keys() >= PIECES:
        return None
    method = METHODS.get(recipe["method"], recipe["method"])
    optimizer = OPTIMIZERS.get(recipe["optimizer"].lower(), recipe["optimizer"])
    return f"{method}: {plural(recipe['steps'], 'step')} with {optimizer}; {_parameterization(recipe, NOUNS[rank])}."


def memory(recipe: Mapping[str, Any]) -> str | None:
    """As a clause, that the batch was smaller than planned; None where it was as planned."""
    batch, planned = recipe.get("batch"), recipe.get("planned_batch")
    if batch is None or planned is None or batch >= planned:
        return None
    return f"batch reduced from {planned} to {batch} (out of memory)"


def _parameterization(recipe: Mapping[str, Any], nouns: Nouns) -> str:
    name = recipe["parameterization"]
    if name == "pixel":
        noise = "gray noise" if nouns == OF_IMAGES else "noise"
        return f"{'pixel' if nouns == OF_IMAGES else 'direct'} parameterization, initialized from {noise}"
    decay = name.removeprefix("fourier").strip("()")
    words = "Fourier parameterization" + (f" with {decay}" if decay else "")
    if recipe["limits"] == "sigmoid":
        return f"{words}, initialized from the best of {START_IMAGES} random {nouns.made}s"
    return f"{words}, initialized from faint noise"


def _decorrelation(recipe: Mapping[str, Any], bands: int, nouns: Nouns) -> list[str]:
    if bands == 1:
        return []
    found = recipe["decorrelation"]
    if found == "imagenet":
        return ["ImageNet color decorrelation"]
    if found == "images" and recipe.get("mixing", found) is not None:
        return [f"channels decorrelated by their correlation in the {nouns.one}s"]
    if found == "images":
        return [f"channels not decorrelated, because they are constant in the {nouns.one}s"]
    return ["no channel decorrelation"]


def _limits(recipe: Mapping[str, Any], nouns: Nouns) -> list[str]:
    values = "pixels" if nouns == OF_IMAGES else "values"
    return [f"a sigmoid keeps {values} in range"] if recipe["limits"] == "sigmoid" else []


def _objective(recipe: Mapping[str, Any], rectified: bool | None, is_output: bool) -> str:
    objective, trim = recipe["objective"], recipe["trim"]
    if is_output:
        return "objective: the class logit"
    peaked = f"mean activation plus {SOFTMAX}"
    words = {
        ("mean-and-peak", True): peaked,
        ("mean-and-peak", None): f"{peaked} after a ReLU, otherwise mean pre-activation",
        ("leaky", True): f"mean pre-activation through a {LEAK}",
        ("leaky", None): f"mean pre-activation, before a ReLU through a {LEAK}",
        ("activation", rectified): "mean activation",
    }
    plain = "mean pre-activation" if objective in ("mean-and-peak", "leaky", "pre-activation") else str(objective)
    border = f"excluding a {trim}-cell border (less on small maps)" if trim else "over all positions"
    return f"objective: {words.get((objective, rectified), plain)}, {border}"


def _transforms(recipe: Mapping[str, Any]) -> str:
    if not recipe["transforms"]:
        return "no transforms"
    return f"one random affine transform per step: {', '.join(recipe['transforms'])}"


def _gradient(recipe: Mapping[str, Any]) -> str:
    if recipe["clip_norm"] is not None:
        return f"gradient norm clipped at {stated(recipe['clip_norm'])}"
    unit = "unit norm" if recipe["method"] == KERAS_IO and recipe["optimizer"].lower() == "sgd" else "unit RMS"
    clip = "" if recipe["clip_value"] is None else f", clipped at {stated(recipe['clip_value'])}"
    return f"gradient normalized to {unit}{clip}"


def _optimizer(recipe: Mapping[str, Any]) -> str:
    name = recipe["optimizer"]
    words = f"{OPTIMIZERS.get(name.lower(), name)}, learning rate {stated(recipe['learning_rate'])}"
    if name.lower() == "sgd" and recipe["method"] == KERAS_IO and recipe["clip_norm"] is None:
        words += f" at {KERAS_IO_SHAPE} (elsewhere scaled to the same mean step)"
    return words + (", cosine decay" if recipe["schedule"] == "cosine" else "")


def _penalties(recipe: Mapping[str, Any]) -> str:
    named = (("total-variation", recipe["total_variation"]), ("L2", recipe["l2"]))
    used = [f"{name} penalty with weight {stated(weight)}" for name, weight in named if weight]
    return f"{' and '.join(used)}, relative to the gradient’s RMS" if used else "no regularization"


def _restarts(recipe: Mapping[str, Any]) -> str:
    restarts = recipe["restarts"]
    return "1 start" if restarts == 1 else f"best of {restarts} starts"


def _redirected_relu(recipe: Mapping[str, Any], nouns: Nouns) -> str:
    if recipe["redirected_relu"]:
        return f"redirected ReLU gradients in the first steps for a {nouns.made} whose gradient is zero"
    return "ReLU gradients unchanged"


def _steps(recipe: Mapping[str, Any], nouns: Nouns) -> str:
    steps = plural(recipe["steps"], "step")
    if not recipe["pixel_steps"]:
        return steps
    return f"{steps}, the last {recipe['pixel_steps']} of {_sign_ascent(recipe['pixel_learning_rate'], nouns)}"


def _sign_ascent(learning_rate: float, nouns: Nouns) -> str:
    values = "pixels" if nouns == OF_IMAGES else "values"
    return f"sign gradient ascent on {values} (step size {stated(learning_rate)}, linear decay)"


def _strongest(recipe: Mapping[str, Any], nouns: Nouns) -> list[str]:
    steps = recipe["strongest_steps"]
    if not steps:
        return []
    return [
        f"strongest response searched separately without transforms, at least {plural(steps, 'step')} "
        f"of {_sign_ascent(recipe['strongest_learning_rate'], nouns)}"
    ]


def retry_steps(recipe: Mapping[str, Any]) -> str | None:
    """How long a rectified filter that stayed silent was re-optimized for single positions; None where it was not."""
    steps = recipe.get("retry_steps")
    return f"at most {plural(steps, 'step')}" if steps else None  # fewer on whole pictures


def _retry(recipe: Mapping[str, Any], rectified: bool | None, is_output: bool) -> list[str]:
    steps = retry_steps(recipe)
    if steps is None or rectified is False or is_output:
        return []
    rate = stated(recipe["retry_learning_rate"])
    return [f"filters still silent are re-optimized on their highest positions ({steps}, step size {rate})"]


def _precision(recipe: Mapping[str, Any]) -> list[str]:
    return [f"computed in {recipe['precision']}"] if "precision" in recipe else []
