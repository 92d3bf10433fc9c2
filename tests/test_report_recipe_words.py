"""The recipe in words: every piece of it, as it was carried out, in a sentence that a paper could print."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from reportgen.artefacts.optimization_method import METHODS, PIECES, START_IMAGES, sentence
from reportgen.compute.patterns import parameterization, starts
from reportgen.compute.patterns.recipe import KERAS_IO, OPTVIS, QUALITIES, Recipe
from reportgen.core.choices import Method
from reportgen.recipes import channel, fourier, jitter, l2, pixels, rotate, total_variation


def words(recipe: Recipe, *, bands: int = 3, **more: Any) -> str:
    described = recipe.describe() | {"precision": "float32", "mixing": None}
    text = sentence({**described, **more.pop("facts", {})}, bands=bands, **more)
    assert text is not None
    return text


def changed(recipe: Recipe, **changes: Any) -> str:
    return words(dataclasses.replace(recipe, **changes), rectified=True)


def test_every_piece_of_a_recipe_has_its_words_but_the_number_of_the_algorithm() -> None:
    assert OPTVIS.describe().keys() - {"algorithm"} == PIECES
    assert set(Method) == set(METHODS)


def test_the_number_of_random_images_is_that_of_the_bank() -> None:
    parameters = parameterization.make(OPTVIS, (8, 8), 3, None)
    bank = starts.bank(OPTVIS, 0, parameters, 3, None)
    assert bank is not None
    assert len(bank.offered(None)) == len(bank.offered(3)) == START_IMAGES


def test_the_standard_recipe_reads_as_it_is() -> None:
    recipe = dataclasses.replace(OPTVIS, steps=24, learning_rate=0.3, clip_value=10.0, schedule="cosine")
    assert words(recipe, rectified=True, facts={"precision": "bfloat16"}) == (
        "Feature visualization by optimization: Fourier parameterization, initialized from the best of 21 random pictures; "
        "ImageNet color decorrelation; a sigmoid keeps pixels in range; objective: mean activation plus 0.1 × the "
        "softmax-weighted mean of the pre-activation, excluding a 2-cell border (less on small maps); one random affine "
        "transform per step: jitter(share=0.03125), scale(0.95, 1.05), rotate(5); gradient normalized to unit RMS, clipped at "
        "10; Adam, learning rate 0.3, cosine decay; 24 steps, the last 8 of sign gradient ascent on pixels (step size 0.15, "
        "linear decay); no regularization; 1 start; redirected ReLU gradients in the first steps for a picture whose gradient "
        "is zero; strongest response searched separately without transforms, at least 15 steps of sign gradient ascent on "
        "pixels (step size 0.3, linear decay); filters still silent are re-optimized on their highest positions (at most 96 steps, "
        "step size 0.1); computed in bfloat16."
    )


def test_the_keras_io_recipe_reads_as_it_is() -> None:
    assert words(KERAS_IO, rectified=True, crop=25, size=(180, 200)) == (
        "Gradient ascent as in keras.io’s “Visualizing what convnets learn”: pixel parameterization, initialized from gray "
        "noise; no channel decorrelation; objective: mean activation, excluding a 2-cell border (less on small maps); no "
        "transforms; gradient normalized to unit norm; SGD, learning rate 10 at 180 × 180 × 3 (elsewhere scaled to the same "
        "mean step); 30 steps; no regularization; 1 start; ReLU gradients unchanged; computed in float32; final picture "
        "normalized to mean 0.5 and standard deviation 0.15; 25 of 180 pixels cropped at each side for display."
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"parameterization": pixels()}, "pixel parameterization, initialized from gray noise"),
        (
            {"parameterization": fourier(decay=1.5)},
            "Fourier parameterization with decay=1.5, initialized from the best",
        ),
        ({"limits": "standardized"}, "Fourier parameterization, initialized from faint noise"),
        ({"decorrelation": "none"}, "no channel decorrelation"),
        ({"limits": "standardized"}, "normalized to mean 0.5 and standard deviation 0.15"),
        ({"objective": channel(measure="pre-activation")}, "objective: mean pre-activation, excluding"),
        ({"objective": channel(measure="activation")}, "objective: mean activation, excluding"),
        ({"objective": channel(3) + 0.5 * channel(7)}, "objective: channel(3) + 0.5 * channel(7), excluding"),
        ({"trim": 0}, "over all positions"),
        ({"trim": 1}, "excluding a 1-cell border"),
        ({"transforms": ()}, "no transforms"),
        ({"transforms": (jitter(8), rotate(3))}, "one random affine transform per step: jitter(8), rotate(3);"),
        ({"clip_value": None}, "normalized to unit RMS;"),
        ({"clip_norm": 0.5}, "gradient norm clipped at 0.5"),
        ({"optimizer": "rmsprop", "learning_rate": 0.01}, "RMSprop, learning rate 0.01, cosine decay"),
        ({"optimizer": "sgd", "schedule": "constant"}, "SGD, learning rate 0.3;"),
        ({"optimizer": "Own", "schedule": "constant"}, "Own, learning rate 0.3;"),
        ({"steps": 1, "pixel_steps": 0}, "; 1 step;"),
        ({"pixel_steps": 0}, "; 13 steps;"),
        (
            {"pixel_steps": 5, "pixel_learning_rate": 0.2},
            "13 steps, the last 5 of sign gradient ascent on pixels (step size 0.2,",
        ),
        ({"strongest_steps": 7}, "at least 7 steps of sign gradient ascent on pixels (step size 0.3,"),
        ({"retry_steps": 1, "retry_learning_rate": 0.5}, "on their highest positions (at most 1 step, step size 0.5)"),
        ({"objective": channel(measure="leaky")}, "mean pre-activation through a leaky ReLU with slope 0.1, excluding"),
        (
            {"objective": OPTVIS.objective - 0.25 * total_variation()},
            "total-variation penalty with weight 0.25, relative to the gradient’s RMS",
        ),
        (
            {"objective": OPTVIS.objective - 0.25 * total_variation() - 2 * l2()},
            "total-variation penalty with weight 0.25 and L2 penalty with weight 2",
        ),
        ({"restarts": 3}, "best of 3 starts"),
        ({"redirected_relu": False}, "ReLU gradients unchanged"),
    ],
)
def test_each_piece_that_is_chosen_is_stated(changes: dict[str, Any], expected: str) -> None:
    assert expected in changed(dataclasses.replace(OPTVIS, learning_rate=0.3), **changes)
    assert expected not in changed(dataclasses.replace(OPTVIS, learning_rate=0.3))


def test_a_keras_io_learning_rate_is_scaled_only_where_the_ascent_scales_it() -> None:
    assert "Adam, learning rate 10;" in changed(KERAS_IO, optimizer="adam")
    clipped = changed(KERAS_IO, clip_norm=1.0)
    assert "SGD, learning rate 10;" in clipped
    assert "180" not in clipped


def test_the_objective_is_stated_as_far_as_the_unit_is_known() -> None:
    leaky = dataclasses.replace(OPTVIS, objective=channel(measure="leaky"))
    for recipe in (OPTVIS, leaky):
        assert "; objective: mean pre-activation, excluding" in words(recipe, rectified=False)
        outputs = words(recipe, is_output=True)
        assert "objective: the class logit;" in outputs
        assert "mean " not in outputs
    assert "mean pre-activation, before a ReLU through a leaky ReLU with slope 0.1, excluding" in words(leaky)
    assert "pre-activation after a ReLU, otherwise mean pre-activation, excluding a 2-cell border" in words(OPTVIS)


def test_signals_have_no_pixels() -> None:
    text = words(OPTVIS, bands=1, rank=1, rectified=True)
    assert text.count("sign gradient ascent on values") == 2
    assert "pixel" not in text
    assert "image" not in text
    assert "direct parameterization" in words(KERAS_IO, bands=1, rank=1)


def test_searches_that_were_not_made_are_not_stated() -> None:
    assert "strongest response" not in changed(OPTVIS, strongest_steps=0)
    assert "filters still silent" not in changed(OPTVIS, retry_steps=0)
    for more in ({"rectified": False}, {"is_output": True}):  # such a unit is never silent
        assert "filters still silent" not in words(OPTVIS, **more)


@pytest.mark.parametrize(
    ("batch", "expected"), [(8, None), (2, "batch reduced from 8 to 2"), (1, "batch reduced from 8 to 1")]
)
def test_a_batch_that_memory_made_smaller_is_stated(batch: int, expected: str | None) -> None:
    text = words(OPTVIS, facts={"batch": batch, "planned_batch": 8})
    assert ("batch reduced" in text) == (expected is not None)
    assert expected is None or f"; {expected} (out of memory)." in text


def test_bands_are_decorrelated_only_where_they_were() -> None:
    recipe = dataclasses.replace(OPTVIS, decorrelation="images")
    found, never = {"mixing": [[1.0]]}, {"mixing": None}
    assert "channels decorrelated by their correlation in the images" in words(recipe, bands=5, facts=found)
    assert "because they are constant in the images" in words(recipe, bands=5, facts=never)
    assert "decorrelated" not in words(dataclasses.replace(OPTVIS, decorrelation="none"), bands=1)


@pytest.mark.parametrize("recipe", [*QUALITIES.values(), KERAS_IO])
def test_a_recipe_of_the_settings_is_stated_without_what_layers_decide(recipe: Recipe) -> None:
    text = sentence(recipe.describe(), bands=3)
    assert text is not None
    assert "computed in" not in text
    assert f"{recipe.steps} steps" in text


def test_a_recipe_that_lacks_a_piece_has_no_sentence() -> None:
    assert sentence({"optimizer": "adam", "steps": 3}, bands=3) is None
