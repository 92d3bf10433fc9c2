"""What a run is expected to take, and what a budget chooses: arithmetic over plans, with measurements that are given."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from reportgen.compute import expectation
from reportgen.compute.expectation import Expectation, rungs
from reportgen.compute.patterns.transforms import HELD_OUT
from reportgen.compute.planning.calibration import Calibration, calibrate
from reportgen.compute.planning.estimate import duration, estimate, seconds_of, steps_of
from reportgen.compute.planning.plan import MEASURING_COST, STEP_COST
from reportgen.compute.planning.prepare import prepare
from reportgen.core.budget import Budget, parse_duration
from reportgen.core.choices import Quality
from reportgen.core.errors import UsageError
from reportgen.core.records import PATTERN_KINDS
from reportgen.core.settings import Settings
from tests.small_models import conv, functional, randomised

SLOW = Calibration("conv", (8, 8), 2, 1e4, 0.01, 0.03, 0.5, 1.0)
QUALITIES = list(Quality)


def test_durations() -> None:
    assert [parse_duration(text) for text in ("90s", "10m", "1h30m", "2H", "1m30s")] == [90, 600, 5400, 7200, 90]
    for text in ("", "10", "0m", "m", "1.5h", "-3m", "30m1h", "soon", "٣m"):
        with pytest.raises(UsageError, match="--budget"):
            parse_duration(text)


def test_expectations_are_no_more_exact_than_they_can_be() -> None:
    assert [duration(seconds) for seconds in (0.2, 59, 480, 9000)] == ["1 s", "59 s", "8 min", "2.5 h"]


def effort(settings: Settings) -> tuple[int, float]:
    filters = float("inf") if settings.filters == "all" else float(settings.filters)
    return QUALITIES.index(Quality(settings.quality)), filters


def test_every_rung_is_at_least_the_one_below_it_in_both_settings() -> None:
    efforts = [effort(settings) for settings in rungs(Settings(), ())]
    assert len(set(efforts)) == len(efforts)
    for below, above in pairwise(efforts):
        assert below[0] <= above[0]
        assert below[1] <= above[1]


def test_what_was_given_stays() -> None:
    own = Settings(quality="paper", filters="0-2")
    assert {settings.filters for settings in rungs(own, ("filters",))} == {"0-2"}
    assert {settings.quality for settings in rungs(own, ("quality",))} == {"paper"}
    assert list(rungs(own, ("quality", "filters"))) == [own]


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Any, Expectation]]:
    """What a budget comes to on a small model and a machine of known speed."""
    monkeypatch.setattr(expectation, "calibrate", lambda *_: SLOW)
    model = randomised(functional(conv(12), conv(12)))

    def choose(text: str, given: tuple[str, ...] = (), **settings: Any) -> tuple[Any, Expectation]:
        own = Settings(preprocess="unit", **settings)
        found = Expectation(own, Budget(text, frozenset(given)))
        return prepare(model, own, choose=found.choose), found

    return choose


def test_a_larger_budget_never_chooses_less(chosen: Callable[..., tuple[Any, Expectation]]) -> None:
    efforts = [effort(chosen(text)[1].settings) for text in ("1s", "20s", "60s", "3m", "30m", "10h")]
    assert len(set(efforts)) > 2
    assert all(below[0] <= above[0] and below[1] <= above[1] for below, above in pairwise(efforts))


def test_the_chosen_settings_alone_make_the_same_plan(chosen: Callable[..., tuple[Any, Expectation]]) -> None:
    job, found = chosen("20s")
    plain = prepare(
        job.model.specification,
        Settings(preprocess="unit", quality=found.settings.quality, filters=found.settings.filters),
    )
    assert job.plan == plain.plan
    assert job.batches == plain.batches
    assert job.recipe == plain.recipe
    assert "budget" not in job.plan.settings


def test_an_impossible_budget_gets_the_least_and_says_so(
    chosen: Callable[..., tuple[Any, Expectation]], tmp_path: Any
) -> None:
    job, found = chosen("1s")
    remarks = list(found.remarks(found.of(job, tmp_path)))
    (remark,) = remarks
    assert "the least there is" in remark
    assert "--quality draft --filters 1" in remark
    job, found = chosen("1s", ("quality", "filters"), quality="draft", filters="2")
    assert ["settings that were given" in remark for remark in found.remarks(found.of(job, tmp_path))] == [True]


def test_processes_follow_from_the_patterns_that_are_missing() -> None:
    job = prepare(randomised(functional(conv(2), conv(3))), Settings(preprocess="unit", filters="1"))
    others = [task.key for task in job.plan.tasks if task.kind not in PATTERN_KINDS]
    own = [task.key for task in job.plan.tasks if task.kind in PATTERN_KINDS]
    every, one, none = (estimate(job, [*others, *keys], SLOW) for keys in (own, own[:1], []))
    assert [found.ascending for found in (every, one, none)] == [2, 1, 0]
    assert (one.ascent_seconds or 0) < (every.ascent_seconds or 0) < (every.seconds or 0)
    assert none.ascent_seconds is None


def test_measuring_is_expected_at_the_rate_of_the_models_own_precision() -> None:
    """Where pictures climb much faster than the model computes, as in bfloat16, measuring them is what takes long."""
    assert MEASURING_COST == 2 + HELD_OUT  # two pictures, and the warps of one
    job = prepare(randomised(functional(conv(2), conv(3))), Settings(preprocess="unit", filters="1", quality="draft"))
    ascents = [task for task in job.plan.tasks if task.kind in PATTERN_KINDS]
    passes = sum(task.cost for task in ascents) / (STEP_COST * steps_of(job.recipe) + MEASURING_COST)
    base, slower = (dataclasses.replace(SLOW, forward_seconds=seconds) for seconds in (1.0, 2.0))
    expected = [seconds_of(job.plan.layers, ascents, steps_of(job.recipe), each) for each in (base, slower)]
    assert expected[1] - expected[0] == pytest.approx(MEASURING_COST * passes / SLOW.macs)


def test_a_measurement_is_positive_and_of_the_deepest_layer() -> None:
    job = prepare(randomised(functional(conv(2), conv(3))), Settings(preprocess="unit", filters="1"))
    found = calibrate(job.model.network, job.plan.layers)
    assert found.layer == job.plan.layers[-1].path
    assert min(found.forward_seconds, found.gradient_seconds, found.trace_seconds, found.pace) > 0
