"""What changed from one release to the next, in numbers: `compare` says it in full."""

from __future__ import annotations

from statistics import median

import msgspec

from reportgen.artefacts.views import anchor
from reportgen.compare.compare import compare_reports
from reportgen.compare.records import SAME, Comparison, LayerChange
from reportgen.core import __version__
from reportgen.releases.release import Release, opened
from reportgen.report.opened import Report


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What changed from one report to another; a number is None where it cannot be known.

    Attributes:
        old: SHA-256 of the report.json of the old report, `new` of the new one; with `version`, of reportgen, what the rest depends on.
        layers: how many convolution layers there are of each status.
        changed: paths of those whose own filters are others, in the order of the model.
        added, removed: paths of those that only one of the models has.
        filters: of the compared layers; `filters_changed` and `filters_added` of them, `filters_removed` of the old ones.
        weight_change: of the filters in both, the median; `largest_change` the largest, of the filter `largest_at` (path, number),
            which the new report shows at `largest_page`.
        verdicts: filters with a verdict in both reports; `verdicts_changed` of them.
        predictions: images with a prediction in both; `predictions_flipped` of them.
        unfair: how many things make the comparison unfair.
    """

    old: str
    new: str
    version: str = __version__
    layers: dict[str, int]
    changed: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    renamed: int
    affected: int
    not_compared: int
    filters: int
    filters_changed: int
    filters_added: int
    filters_removed: int
    weight_change: float | None
    largest_change: float | None
    largest_at: tuple[str, int] | None
    largest_page: str | None = None
    verdicts: int
    verdicts_changed: int
    predictions: int
    predictions_flipped: int
    unfair: int


def change(old: Release, new: Release) -> Change:
    """Return what changed from one report to another.

    Raises:
        StoreError: an array of a report is missing or damaged.
    """
    with opened(old.path) as before, opened(new.path) as after:
        found = summary(compare_reports(before, after), old.sha256, new.sha256)
        return msgspec.structs.replace(found, largest_page=_page(after, found.largest_at))


def _page(report: Report, at: tuple[str, int] | None) -> str | None:
    """Where a report shows a filter; None where it does not."""
    layer = None if at is None else next((one for one in report.document.layers if one.path == at[0]), None)
    if at is None or layer is None or at[1] not in layer.filters_shown:
        return None
    return f"layers/{layer.slug}.html#{anchor(at[1])}"


def summary(found: Comparison, old: str, new: str) -> Change:
    """Return a comparison in numbers; `old` and `new` are the hashes of the reports."""
    layers = found.layers
    pairs = [(layer.path, item) for layer in layers for item in layer.filters]
    known = [(item.weight_change, path, item.index) for path, item in pairs if item.weight_change is not None]
    largest = max(known, key=lambda one: one[0], default=None)
    judged = [item for _, item in pairs if item.verdict is not None and item.old_verdict is not None]
    return Change(
        old=old,
        new=new,
        layers={
            str(status): number for status in LayerChange if (number := sum(one.status == status for one in layers))
        },
        changed=tuple(one.path for one in layers if one.status in (LayerChange.CHANGED, LayerChange.RESHAPED)),
        added=tuple(one.path for one in layers if one.status == LayerChange.ADDED),
        removed=tuple(one.path for one in layers if one.status == LayerChange.REMOVED),
        renamed=sum(one.is_renamed for one in layers),
        affected=sum(one.affected for one in layers),
        not_compared=len(found.not_compared),
        filters=len(pairs),
        filters_changed=sum(len(one.changed) for one in layers if one.status not in SAME),
        filters_added=sum(item.old_index is None for _, item in pairs),
        filters_removed=sum(len(one.gone) for one in layers),
        weight_change=median(value for value, *_ in known) if known else None,
        largest_change=None if largest is None else largest[0],
        largest_at=None if largest is None else largest[1:],
        verdicts=len(judged),
        verdicts_changed=sum(item.verdict != item.old_verdict for item in judged),
        predictions=len(found.predictions),
        predictions_flipped=found.predictions_flipped,
        unfair=len(found.unfair),
    )
