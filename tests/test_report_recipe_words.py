"""The recipe in words: every piece of it, as it was carried out, in a sentence that a paper could print."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from reportgen.artefacts.optimization_method import METHODS, PIECES, sentence
from reportgen.compute.patterns.recipe import KERAS_IO, OPTVIS, QUALITIES, Recipe
from reportgen.core.choices import Method


def words(recipe: Recipe, *, bands: int = 3, **more: Any) -> str:
    described = recipe.describe() | {"precision": "float32", "mixing": None}
    text = sentence({**described, **more.pop("facts", {})}, bands=bands, **more)
    assert text is not None
    return text


def changed(recipe: Recipe, **changes: Any) -> str:
    return words(dataclasses.replace(recipe, **changes), rectified=True)


def test_every_field_of_a_recipe_has_its_words_but_the_number_of_the_algorithm() -> None:
    assert {field.name for field in dataclasses.fields(Recipe)} - {"algorithm"} == PIECES
    assert set(Method) == set(METHODS)


def test_the_standard_recipe_reads_as_it_is() -> None:
    recipe = dataclasses.replace(OPTVIS, steps=24, rate=0.3, clip=10.0, schedule="cosine")
    assert words(recipe, rectified=True, facts={"precision": "bfloat16"}) == (
        "Feature visualization by optimization: Fourier image, begun at the best of several random pictures; colours "
        "decorrelated by ImageNet’s correlation; values kept between black and white by a logistic function; the mean "
        "activation and a tenth of the level of the strongest positions before it, without 2 positions at each border (fewer "
        "on small maps); one random affine warp a step; gradient of unit size per value clipped at 10; Adam at 0.3 falling "
        "along a cosine; 24 steps, the last 8 by the sign of each pixel’s gradient, at most 0.15; no regularizer; one start; "
        "silent rectifiers opened in the first steps for a picture that no gradient reaches; the strongest response searched "
        "beside it without warps, at least 15 steps by the sign of each pixel’s gradient, at most 0.3; what is silent then is "
        "searched for single positions, 32 steps of at most 0.1; sought in bfloat16."
    )


def test_the_keras_io_recipe_reads_as_it_is() -> None:
    assert words(KERAS_IO, rectified=True, crop=25, size=(180, 200)) == (
        "Gradient ascent as in keras.io’s “Visualizing what convnets learn”: plain pixels from grey noise; bands not "
        "decorrelated; mean of the activation without 2 positions at each border (fewer on small maps); no transforms; "
        "gradient of unit length; plain steps of 10 at 180 × 180 × 3 (the same average step elsewhere); 30 steps; no "
        "regularizer; one start; silent rectifiers left shut; sought in float32; the finished picture standardised to mean "
        "1/2 and deviation 0.15; 25 of 180 pixels cropped at each side for display."
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"parameterization": "pixel"}, "plain pixels from grey noise"),
        ({"limits": "standardised"}, "Fourier image from faint noise"),
        ({"decorrelation": "none"}, "bands not decorrelated"),
        ({"limits": "standardised"}, "standardised to mean 1/2 and deviation 0.15"),
        ({"objective": "pre-activation"}, "mean of the pre-activation without"),
        ({"objective": "activation"}, "mean of the activation without"),
        ({"trim": 0}, "over all positions"),
        ({"trim": 1}, "without 1 position at each border"),
        ({"transforms": False}, "no transforms"),
        ({"clip": None}, "gradient of unit size per value;"),
        ({"clip_norm": 0.5}, "raw gradient clipped at length 0.5"),
        ({"optimizer": "rmsprop", "rate": 0.01}, "RMSprop at 0.01 falling along a cosine"),
        ({"optimizer": "sgd", "schedule": "constant"}, "plain steps of 0.3;"),
        ({"optimizer": "Own", "schedule": "constant"}, "Own at 0.3;"),
        ({"steps": 1, "pixel_steps": 0}, "; 1 step;"),
        ({"pixel_steps": 0}, "; 13 steps;"),
        (
            {"pixel_steps": 5, "pixel_rate": 0.2},
            "13 steps, the last 5 by the sign of each pixel’s gradient, at most 0.2;",
        ),
        ({"strongest_steps": 7}, "without warps, at least 7 steps by the sign of each pixel’s gradient, at most 0.3;"),
        ({"wake_steps": 1, "wake_rate": 0.5}, "searched for single positions, 1 step of at most 0.5;"),
        ({"objective": "leaky"}, "mean of the leaky pre-activation (negative positions count a tenth) without"),
        ({"total_variation": 0.25}, "total variation weighing 0.25 against it, in units of the gradient’s size"),
        (
            {"total_variation": 0.25, "l2": 2},
            "total variation weighing 0.25 and squared contrast weighing 2 against it",
        ),
        ({"restarts": 3}, "the best of 3 starts"),
        ({"rescue": False}, "silent rectifiers left shut"),
    ],
)
def test_each_piece_that_is_chosen_is_stated(changes: dict[str, Any], expected: str) -> None:
    assert expected in changed(dataclasses.replace(OPTVIS, rate=0.3), **changes)
    assert expected not in changed(dataclasses.replace(OPTVIS, rate=0.3))


def test_a_keras_io_rate_is_scaled_only_where_the_ascent_scales_it() -> None:
    assert "Adam at 10;" in changed(KERAS_IO, optimizer="adam")
    clipped = changed(KERAS_IO, clip_norm=1.0)
    assert "plain steps of 10;" in clipped
    assert "180" not in clipped


def test_the_objective_is_stated_as_far_as_the_unit_is_known() -> None:
    leaky = dataclasses.replace(OPTVIS, objective="leaky")
    either = "pre-activation, leaky where the unit is rectified (negative positions count a tenth), without"
    for recipe in (OPTVIS, leaky):
        assert "; mean of the pre-activation without" in words(recipe, rectified=False)
        outputs = words(recipe, is_output=True)
        assert "the class’s logit;" in outputs
        assert "mean" not in outputs
    assert either in words(leaky)
    assert (
        "a tenth of the level of the strongest positions before it where the unit is rectified, else the mean "
        "pre-activation, without 2 positions"
    ) in words(OPTVIS)


def test_signals_have_no_pixels() -> None:
    text = words(OPTVIS, bands=1, rank=1, rectified=True)
    assert text.count("by the sign of each value’s gradient") == 2
    assert "pixel" not in text
    assert "image" not in text


def test_searches_that_were_not_made_are_not_stated() -> None:
    assert "strongest response" not in changed(OPTVIS, strongest_steps=0)
    assert "what is silent" not in changed(OPTVIS, wake_steps=0)
    for more in ({"rectified": False}, {"is_output": True}):  # such a unit is never silent
        assert "what is silent" not in words(OPTVIS, **more)


@pytest.mark.parametrize(
    ("batch", "expected"), [(8, None), (2, "2 pictures at once instead"), (1, "1 picture at once")]
)
def test_a_batch_that_memory_made_smaller_is_stated(batch: int, expected: str | None) -> None:
    text = words(OPTVIS, facts={"batch": batch, "planned_batch": 8})
    assert ("; 2 pictures" in text or "; 1 picture" in text) == (expected is not None)
    assert expected is None or f"; {expected}" in text
    assert ("of 8, because memory ran out." in text) == (expected is not None)


def test_bands_are_decorrelated_only_where_they_were() -> None:
    recipe = dataclasses.replace(OPTVIS, decorrelation="images")
    found, never = {"mixing": [[1.0]]}, {"mixing": None}
    assert "bands decorrelated by their correlation in the images" in words(recipe, bands=5, facts=found)
    assert "because they never change in the images" in words(recipe, bands=5, facts=never)
    assert "decorrelated" not in words(dataclasses.replace(OPTVIS, decorrelation="none"), bands=1)


@pytest.mark.parametrize("recipe", [*QUALITIES.values(), KERAS_IO])
def test_a_recipe_of_the_settings_is_stated_without_what_layers_decide(recipe: Recipe) -> None:
    text = sentence(recipe.describe(), bands=3)
    assert text is not None
    assert "sought in" not in text
    assert f"{recipe.steps} steps" in text


def test_a_recipe_that_lacks_a_piece_has_no_sentence() -> None:
    assert sentence({"optimizer": "adam", "steps": 3}, bands=3) is None
