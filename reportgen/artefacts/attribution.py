"""The attribution maps of an image: their records in report.json, their arrays, and what their checks say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from reportgen.artefacts.base import Arrays, failures, stored_entry
from reportgen.core.choices import Attribution
from reportgen.core.numbers import plain
from reportgen.core.records import Count, ImageRecord, Plan, RelativePath, TaskKind
from reportgen.core.store import Store

ARRAYS_FILE = "attribution.npz"
CURVES = ("deletion", "insertion", "random")
# A map whose ranks explain more than half of the variance of the ranks that random weights give has hardly changed.
CORRELATION_LIMIT = 0.7
LEAST_SPAN = 0.01  # of a probability of 1, or of the image's own value: curves that are flatter cannot rank positions


class Check(StrEnum):
    """What is checked of a map."""

    DELETION = "deletion"
    INSERTION = "insertion"
    RANDOMIZATION = "randomization"


class Outcome(StrEnum):
    """What a check says."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_POSSIBLE = "not possible"


class AttributionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One attribution map with its checks."""

    method: Attribution
    output: Annotated[str | None, Meta(description="the output's name; null of a model with one")]
    layer: Annotated[str, Meta(description="path of the layer whose maps it is made of")]
    unit: Annotated[str, Meta(description="path of the layer at which they are read")]
    grid: Annotated[tuple[Count, ...], Meta(description="positions of the map on each spatial axis")]
    channels: Count
    channels_measured: Annotated[Count, Meta(description="of these maps, those that it is made of")]
    label: str
    number: Annotated[Count, Meta(description="position of the class's value in the output")]
    sign: Annotated[int, Meta(description="-1 of the first of two classes that one number tells apart, else 1")]
    role: Annotated[str, Meta(description="predicted, true, named, or only: of an output with a single number")]
    kind: Annotated[str, Meta(description="the score: logit, log probability, or output where neither could be found")]
    score: Annotated[float | None, Meta(description="of the class, which the map explains")]
    value: Annotated[float | None, Meta(description="what the model returns for the class")]
    is_probability: bool
    array: RelativePath
    key: Annotated[str, Meta(description="name of the signed map in the array file; its curves follow a dot")]
    minimum: float | None
    maximum: float | None
    total: Annotated[float | None, Meta(description="sum over all positions")]
    deletion_area: Annotated[
        float | None, Meta(description="mean of `value` while the highest positions are replaced first")
    ]
    insertion_area: Annotated[float | None, Meta(description="the same while they are restored first")]
    random_area: Annotated[float | None, Meta(description="the same in random orders")]
    span: Annotated[float | None, Meta(description="largest less smallest value along these curves")]
    randomized: Annotated[Count, Meta(description="variables above the layer whose values were shuffled")]
    correlations: Annotated[
        tuple[float | None, ...],
        Meta(description="Spearman's, with the map of each draw; null where one is constant or not finite"),
    ]
    correlation: Annotated[float | None, Meta(description="mean of their magnitudes; null where none is known")]
    checks: dict[str, str]

    @property
    def failed(self) -> tuple[str, ...]:
        """The checks that it fails."""
        return tuple(name for name, outcome in self.checks.items() if outcome == Outcome.FAILED)


@dataclass(frozen=True)
class StoredAttribution:
    """The stored attribution maps of an image.

    Attributes:
        arrays: by name; none where they are missing.
        facts: of each map.
        problem: why they are missing although they were planned, as a clause.
    """

    arrays: Mapping[str, np.ndarray]
    facts: tuple[dict[str, Any], ...]
    problem: str | None = None


NOTHING = StoredAttribution({}, ())


def load_attribution(plan: Plan, store: Store, image: ImageRecord) -> StoredAttribution:
    """Read what the store holds of an image's maps; nothing and no problem where the plan asks for nothing."""
    for task in plan.tasks:
        if task.kind == TaskKind.ATTRIBUTION and task.image == image.slug:
            entry = stored_entry(store, task)
            if entry is not None:
                return StoredAttribution(entry[0], tuple(entry[1]["maps"]))
            reasons = "; ".join(failures(store, [task]))
            return StoredAttribution(
                {}, (), "its attribution maps are not computed" + (f": {reasons}" if reasons else "")
            )
    return NOTHING


def attribution_arrays(stored: StoredAttribution) -> Arrays:
    """Return the arrays for other programs."""
    return stored.arrays


def array_path(image: str) -> str:
    """Return where the arrays of an image's maps lie, relative to the report."""
    return f"data/images/{image}/{ARRAYS_FILE}"


def attribution_records(image: ImageRecord, stored: StoredAttribution) -> tuple[AttributionRecord, ...]:
    """Return the records of an image's maps."""
    return tuple(_record(image, facts, stored.arrays[facts["key"]]) for facts in stored.facts)


def _record(image: ImageRecord, facts: dict[str, Any], values: np.ndarray) -> AttributionRecord:
    finite = values[np.isfinite(values)].astype(np.float64)
    known = [abs(value) for value in facts["correlations"] if value is not None]
    correlation = fmean(known) if known else None
    taken = {**facts, "method": Attribution(facts["method"])}
    for name in ("grid", "correlations"):
        taken[name] = tuple(facts[name])
    return AttributionRecord(
        **taken,
        array=array_path(image.slug),
        minimum=plain(finite.min()) if finite.size else None,
        maximum=plain(finite.max()) if finite.size else None,
        total=plain(finite.sum()) if finite.size else None,
        correlation=plain(correlation),
        checks=_checks(facts, correlation, finite.size < values.size or not finite.any()),
    )


def _checks(facts: Mapping[str, Any], correlation: float | None, is_empty: bool) -> dict[str, str]:
    """The outcome of each check."""
    random, span = facts["random_area"], facts["span"]
    scale = 1.0 if facts["is_probability"] else abs(facts["value"] or 0.0)

    def curve(own: float | None, is_better: bool) -> str:
        if own is None or random is None or is_empty or span is None or span < LEAST_SPAN * scale:
            return Outcome.NOT_POSSIBLE.value
        return (Outcome.PASSED if is_better else Outcome.FAILED).value

    deletion, insertion = facts["deletion_area"], facts["insertion_area"]
    known = random is not None
    changed = Outcome.NOT_POSSIBLE
    if correlation is not None:
        changed = Outcome.FAILED if correlation > CORRELATION_LIMIT else Outcome.PASSED
    return {
        Check.DELETION.value: curve(deletion, known and deletion is not None and deletion < random),
        Check.INSERTION.value: curve(insertion, known and insertion is not None and insertion > random),
        Check.RANDOMIZATION.value: changed.value,
    }
