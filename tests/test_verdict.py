"""One word on each pattern: the truth table of the contract, each row with the figures that decide it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reportgen.verdict import Verdict, judge

NAN = float("nan")


def word(
    reached: float,
    start: float,
    natural: tuple[float, float] | None,
    *,
    rectified: bool = True,
    largest: float = 10.0,
    proven: bool = False,
) -> Verdict:
    """The verdict on filter 1 of three, in a layer whose largest figure is `largest` (that of filter 2)."""
    arguments: dict[str, Any] = {"natural_maximum": None, "natural_minimum": None}
    if natural is not None:
        minimum, maximum = natural
        arguments = {
            "natural_minimum": np.array([0, minimum, 0], np.float32),
            "natural_maximum": np.array([0, maximum, largest], np.float32),
        }
    first, _ = judge(
        activation=np.array([reached, largest], np.float32),
        activation_start=np.array([start, 0], np.float32),
        indices=[1, 2],
        rectified=rectified,
        proven=[proven, False],
        **arguments,
    )
    return first


@pytest.mark.parametrize(
    ("reached", "start", "natural", "rectified", "expected"),
    [
        # with images: (natural minimum, natural maximum)
        (5.0, 0.1, (0.0, 2.0), True, "ok"),
        (2.0, 0.1, (0.0, 2.0), True, "weak"),  # equal is not above
        (1.0, 0.1, (0.0, 2.0), True, "weak"),
        (-1.0, -3.0, (-4.0, -2.0), False, "ok"),
        (NAN, 0.1, (0.0, 2.0), True, "not-finite"),
        (1.0, NAN, (0.0, 2.0), True, "not-finite"),
        (1.0, 0.0, (0.0, NAN), True, "not-finite"),
        (1.0, 0.0, (NAN, 2.0), True, "not-finite"),
        (NAN, 0.0, (0.0, 0.0), True, "not-finite"),  # stands before dead
        (float("inf"), 0.0, (0.0, 2.0), True, "not-finite"),
        (0.0, 0.0, (0.0, 0.0), True, "dead"),
        (9e-6, 0.0, (0.0, 9e-6), True, "dead"),  # at most 1e-6 of 10
        (2e-5, 0.0, (0.0, 9e-6), True, "ok"),
        (9e-6, 0.0, (0.0, 2e-5), True, "weak"),
        (9e-6, 0.0, (0.0, 5e-6), False, "ok"),  # not rectified: small is not dead
        (-3.0, -3.0, (-3.0, -3.0), False, "dead"),  # the same number to all
        (0.7, 0.7, (0.7, 0.7), True, "dead"),
        (0.7000003, 0.7, (0.7, 0.7), True, "dead"),
        (0.70001, 0.7, (0.7, 0.7), True, "ok"),
        (0.7, 0.7, (0.6, 0.7), True, "weak"),
        (0.7, 0.2, (0.7, 0.7), True, "dead"),
        # without images: the start stands in
        (5.0, 2.0, None, True, "ok"),
        (4.0, 2.0, None, True, "weak"),  # the gain must exceed |start|
        (3.0, -2.0, None, False, "ok"),
        (-0.5, -2.0, None, False, "weak"),
        (0.02, 0.0, None, True, "ok"),  # above 1e-3 of 10
        (0.009, 0.0, None, True, "weak"),
        (0.0, 0.0, None, True, "dead"),
        (9e-6, 0.0, None, True, "dead"),
        (9e-6, 0.0, None, False, "weak"),
        (0.7, 0.7, None, False, "dead"),
        (NAN, 0.0, None, True, "not-finite"),
    ],
)
def test_each_row_of_the_contract_gets_its_word(
    reached: float, start: float, natural: tuple[float, float] | None, rectified: bool, expected: str
) -> None:
    assert word(reached, start, natural, rectified=rectified).word == expected


def test_only_a_dead_filter_whose_weights_imply_it_is_proven_dead() -> None:
    assert word(0.0, 0.0, (0.0, 0.0), proven=True) == Verdict("dead", True)
    assert word(0.0, 0.0, (0.0, 0.0), proven=False) == Verdict("dead", False)
    assert word(5.0, 0.0, (0.0, 1.0), proven=True) == Verdict("ok", False)
    assert word(NAN, 0.0, (0.0, 0.0), proven=True) == Verdict("not-finite", False)


def test_the_layers_largest_figure_counts_filters_whose_patterns_are_not_shown() -> None:
    (verdict,) = judge(
        activation=np.array([1e-3], np.float32),
        activation_start=np.array([0], np.float32),
        indices=[0],
        natural_maximum=np.array([0, 5000], np.float32),
        natural_minimum=np.zeros(2, np.float32),
        rectified=True,
        proven=[False],
    )
    assert verdict.word == "dead"


def test_a_layer_of_zeros_and_a_layer_without_a_finite_figure_still_get_words() -> None:
    assert word(0.0, 0.0, (0.0, 0.0), largest=0.0).word == "dead"
    assert word(NAN, NAN, (NAN, NAN), largest=NAN).word == "not-finite"


def test_no_patterns_get_no_verdicts() -> None:
    empty = np.empty(0, np.float32)
    assert (
        judge(
            activation=empty,
            activation_start=empty,
            indices=np.empty(0, np.int32),
            natural_maximum=None,
            natural_minimum=None,
            rectified=True,
            proven=[],
        )
        == ()
    )
