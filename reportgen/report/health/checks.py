"""The list of all checks: a report's facts in, one record a check out."""

from __future__ import annotations

from collections.abc import Sequence

from reportgen.artefacts.layer_entry import LayerEntry
from reportgen.artefacts.predictions import ImageEntry
from reportgen.core.records import Plan
from reportgen.report.health.inputs import predictions_check, preprocessing_check
from reportgen.report.health.record import HealthRecord


def health_records(plan: Plan, images: Sequence[ImageEntry], layers: Sequence[LayerEntry]) -> tuple[HealthRecord, ...]:
    """Return what all checks found, in the order of `Check`.

    Args:
        plan: of the report.
        images: as report.json has them.
        layers: as report.json has them, as far as they are computed.
    """
    return (predictions_check(plan, images), preprocessing_check(plan.contract))
