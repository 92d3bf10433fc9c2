"""The normalization layers that follow a convolution: whether their weights and statistics are those that training starts from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from reportgen.artefacts.base import Artefact, LayerReader
from reportgen.core.records import Count, TaskKind

STATISTICS = {"moving_mean": 0.0, "moving_variance": 1.0}  # and what Keras sets them to first


class NormalizationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A normalization layer between a convolution and its activation."""

    layer_class: str = msgspec.field(name="class")
    name: str
    learned_at_start: Annotated[
        bool | None, Meta(description="each learned weight has one value throughout; null where there is none")
    ]
    statistics_at_start: Annotated[
        bool | None, Meta(description="moving mean 0 and variance 1 throughout; null where there are no statistics")
    ]
    nonfinite: Count


class Normalization(Artefact[tuple[NormalizationRecord, ...], None]):
    """Stored beside the weights; the record of a layer's health has it."""

    name = "normalization"

    def load(self, reader: LayerReader) -> tuple[NormalizationRecord, ...] | None:
        """Read the normalizations in order; None where a store says nothing of them."""
        for task in reader.tasks(TaskKind.WEIGHTS):
            entry = reader.entry(task)
            found = None if entry is None else entry[1].get("normalization")
            return None if found is None else tuple(_record(item) for item in found)
        return None


NORMALIZATION = Normalization()


def _record(facts: Mapping[str, Any]) -> NormalizationRecord:
    weights = facts["weights"]
    learned = [_is_constant(each) for name, each in weights.items() if name not in STATISTICS]
    statistics = [_is_constant(weights[name], first) for name, first in STATISTICS.items() if name in weights]
    return NormalizationRecord(
        layer_class=facts["class"],
        name=facts["name"],
        learned_at_start=all(learned) if learned else None,
        statistics_at_start=all(statistics) if statistics else None,
        nonfinite=sum(each["nonfinite"] for each in weights.values()),
    )


def _is_constant(ends: Mapping[str, Any], value: float | None = None) -> bool:
    """Whether all of a weight is one number: `value` where that is given."""
    return not ends["nonfinite"] and ends["minimum"] == ends["maximum"] and (value is None or ends["minimum"] == value)
