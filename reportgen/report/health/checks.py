"""The list of all checks: a report's facts in, one record a check out."""

from __future__ import annotations

from collections.abc import Sequence

from reportgen.artefacts.dataset import DatasetEntry
from reportgen.artefacts.layer_entry import LayerEntry
from reportgen.artefacts.predictions import ImageEntry
from reportgen.core.records import Plan
from reportgen.report.health.dataset import accuracy_check, calibration_check, labels_check, never_active_check
from reportgen.report.health.inputs import predictions_check, preprocessing_check
from reportgen.report.health.record import HealthRecord
from reportgen.report.health.responses import constant_check, scale_check, silent_check
from reportgen.report.health.strides import strides_check
from reportgen.report.health.weights import duplicates_check, finite_check, normalization_check, untrained_check


def health_records(
    plan: Plan, images: Sequence[ImageEntry], layers: Sequence[LayerEntry], dataset: DatasetEntry | None = None
) -> tuple[HealthRecord, ...]:
    """Return what all checks found, in the order of `Check`; one that has nothing to check is left out.

    Args:
        plan: of the report.
        images: as report.json has them.
        layers: as report.json has them, as far as they are computed.
        dataset: as report.json has it.
    """
    found = (
        finite_check(layers),
        untrained_check(layers),
        normalization_check(layers),
        predictions_check(plan, images),
        preprocessing_check(plan.contract),
        labels_check(dataset),
        accuracy_check(plan, dataset),
        calibration_check(dataset),
        silent_check(layers),
        never_active_check(plan, layers),
        constant_check(plan, layers),
        scale_check(plan, layers),
        duplicates_check(layers),
        strides_check(plan, layers),
    )
    return tuple(record for record in found if record is not None)
