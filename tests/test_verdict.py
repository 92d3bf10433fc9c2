"""One word on each pattern: the truth table of the contract, each row with the figures that decide it."""

from __future__ import annotations

import numpy as np
import pytest

from reportgen.core.verdicts import Verdict, judge, prefers_strongest

NAN, INFINITE = float("nan"), float("inf")
LARGEST = 10.0  # figure of the layer: what is at most 1e-6 of it is rounding, a gain of at most 1e-3 of it is not clear


def row(
    activation: float,
    peak: float,
    *,
    start: float = 0.0,
    natural: tuple[float, float] | None = None,
    response: float = 0.0,
    rectified: bool = True,
    dead: bool = False,
    largest: float = LARGEST,
) -> Verdict:
    """The verdict on filter 1 of three, of which filter 2 has the layer's largest figure. natural: (maximum, peak)."""

    def over_all(value: float) -> np.ndarray:
        return np.array([0, value, largest], np.float32)

    first, _ = judge(
        activation=np.array([activation, largest], np.float32),
        activation_start=np.array([start, 0], np.float32),
        peak=np.array([peak, largest], np.float32),
        response=np.array([response, largest], np.float32),
        indices=[1, 2],
        natural_maximum=None if natural is None else over_all(natural[0]),
        natural_peak=None if natural is None else over_all(natural[1]),
        rectified=rectified,
        dead=[dead, False],
    )
    return first


@pytest.mark.parametrize(
    ("activation", "peak", "natural", "above"),
    [
        (5.0, 6.0, (2.0, 9.0), ("activation",)),
        (1.0, 9.5, (2.0, 9.0), ("peak",)),
        (2.0, 9.5, (2.0, 9.0), ("peak",)),
        (5.0, 9.5, (2.0, 9.0), ("activation", "peak")),
        (1.0, 9.0, (2.0, 9.0), ()),  # equal is not above
        (2.0, 9.0, (2.0, 9.0), ()),
        (0.0, 3.0, (2.0, 9.0), ()),
        (0.0, 3.0, (0.0, 0.0), ("peak",)),  # a single position makes it no silent filter
    ],
)
def test_ok_is_above_the_images_by_mean_or_peak_and_says_by_which(
    activation: float, peak: float, natural: tuple[float, float], above: tuple[str, ...]
) -> None:
    assert row(activation, peak, natural=natural) == Verdict("ok" if above else "weak", above)


def test_a_unit_that_is_not_rectified_is_compared_alike_below_zero() -> None:
    assert row(-1.0, -0.5, start=-3, natural=(-2.0, 0.0), rectified=False) == Verdict("ok", ("activation",))
    assert row(-3.0, -0.5, start=-3, natural=(-2.0, 0.0), rectified=False) == Verdict("weak")


@pytest.mark.parametrize(
    ("activation", "start", "peak", "rectified", "word"),
    [
        (5.0, 2.0, 5.0, True, "ok"),
        (4.0, 2.0, 5.0, True, "weak"),  # the gain must exceed |start|
        (3.0, -2.0, 5.0, False, "ok"),
        (-0.5, -2.0, 5.0, False, "weak"),
        (0.02, 0.0, 5.0, True, "ok"),  # above 1e-3 of 10
        (0.009, 0.0, 5.0, True, "weak"),
        (0.0, 0.0, 9.0, True, "weak"),  # without images a peak has nothing to be above, but it is an answer
        (0.7, 0.7, 0.7, True, "weak"),
        (0.0, 0.0, 0.0, False, "weak"),
        (0.0, 0.0, 0.0, True, "silent"),
        (NAN, 0.0, 0.0, True, "not-finite"),
    ],
)
def test_without_images_the_start_stands_in(
    activation: float, start: float, peak: float, rectified: bool, word: str
) -> None:
    assert row(activation, peak, start=start, rectified=rectified) == Verdict(
        word, ("activation",) if word == "ok" else ()
    )


@pytest.mark.parametrize("broken", [NAN, INFINITE, -INFINITE])
@pytest.mark.parametrize("name", ["activation", "start", "peak", "natural maximum", "natural peak"])
@pytest.mark.parametrize("dead", [False, True])
def test_a_figure_that_is_not_finite_goes_before_every_other_word(broken: float, name: str, dead: bool) -> None:
    finite = {"activation": 5.0, "peak": 5.0, "start": 0.0}
    if name in finite:
        assert row(**(finite | {name: broken}), dead=dead) == Verdict("not-finite")
        assert row(**(finite | {name: broken}), natural=(2.0, 2.0), dead=dead) == Verdict("not-finite")
    else:
        natural = (broken, 2.0) if name == "natural maximum" else (2.0, broken)
        assert row(**finite, natural=natural, dead=dead) == Verdict("not-finite")


def test_only_a_proof_makes_a_filter_dead_and_it_goes_before_silent_ok_and_weak() -> None:
    silence = {"natural": (0.0, 0.0)}
    assert row(0.0, 0.0, **silence).word == "silent"
    assert row(0.0, 0.0, **silence, dead=True).word == "dead"
    assert row(0.0, 0.0, dead=True).word == "dead"
    # A unit that answers one number to all, within rounding.
    assert row(0.7000003, 0.7000003, start=0.7, natural=(0.7, 0.7), response=0.7, dead=True).word == "dead"
    assert row(0.7, 0.7, start=0.7, natural=(0.7, 0.7), response=0.7).word == "weak"
    assert row(-3.0, -3.0, start=-3.0, natural=(-3.0, -3.0), response=-3.0, rectified=False).word == "weak"


@pytest.mark.parametrize(
    "answer",
    [
        {"activation": 2e-5},
        {"peak": 2e-5},
        {"start": 2e-5},
        {"response": 2e-5},
        {"natural": (2e-5, 0.0)},
        {"natural": (0.0, 2e-5)},
    ],
)
def test_a_single_answer_of_any_picture_keeps_a_filter_from_being_silent(answer: dict) -> None:
    quiet = {"activation": 9e-6, "peak": 9e-6, "start": 9e-6, "response": 9e-6, "natural": (9e-6, 9e-6)}
    assert row(**quiet).word == "silent"  # at most 1e-6 of 10
    assert row(**(quiet | answer)).word in ("ok", "weak")


def test_silence_is_a_word_for_rectified_units_alone() -> None:
    assert row(0.0, 0.0, natural=(0.0, 0.0), rectified=False).word == "weak"
    assert row(9e-6, 9e-6, natural=(5e-6, 5e-6), rectified=False).word == "ok"


def test_the_layers_largest_figure_counts_filters_whose_patterns_are_not_shown() -> None:
    def only(largest: float) -> str:
        zero, tiny = np.zeros(1, np.float32), np.array([1e-3], np.float32)
        (verdict,) = judge(
            activation=tiny,
            activation_start=zero,
            peak=tiny,
            response=tiny,
            indices=[0],
            natural_maximum=np.array([0, largest], np.float32),
            natural_peak=np.zeros(2, np.float32),
            rectified=True,
            dead=[False],
        )
        return verdict.word

    assert only(5000) == "silent"
    assert only(500) == "ok"


def test_a_layer_of_zeros_and_a_layer_without_a_finite_figure_still_get_words() -> None:
    assert row(0.0, 0.0, natural=(0.0, 0.0), largest=0.0).word == "silent"
    assert row(NAN, NAN, start=NAN, natural=(NAN, NAN), response=NAN, largest=NAN).word == "not-finite"


def test_no_patterns_get_no_verdicts() -> None:
    empty = np.empty(0, np.float32)
    assert (
        judge(
            activation=empty,
            activation_start=empty,
            peak=empty,
            response=empty,
            indices=np.empty(0, np.int32),
            natural_maximum=None,
            natural_peak=None,
            rectified=True,
            dead=[],
        )
        == ()
    )


@pytest.mark.parametrize(
    ("readable", "strongest", "expected"),
    [
        ((1.0, 1.0), (4.0, 4.0), True),  # only the strongest is above the images
        ((1.0, 1.0), (1.5, 9.0), True),  # by its peak
        ((3.0, 1.0), (4.0, 4.0), False),  # the readable one is above by its mean
        ((1.0, 6.0), (4.0, 4.0), False),  # by its peak
        ((1.0, 1.0), (1.5, 2.0), False),  # neither is
        ((1.0, 1.0), (1.0, 9.0), False),  # no stronger than the readable one
        ((NAN, NAN), (4.0, 4.0), False),  # a broken figure stays as it is
        ((1.0, 1.0), (NAN, NAN), False),
    ],
)
def test_a_pattern_below_the_images_gives_way_only_to_a_stronger_picture_above_them(
    readable: tuple[float, float], strongest: tuple[float, float], expected: bool
) -> None:
    figures = [np.array([value], np.float32) for value in (*readable, *strongest, 2.0, 5.0)]
    assert prefers_strongest(*figures).tolist() == [expected]
