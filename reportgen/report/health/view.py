"""Model health as a view: warnings first, each with links to the layers and filters that it names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reportgen.artefacts.layer_entry import LayerEntry
from reportgen.artefacts.views import Link, anchor
from reportgen.core.records import LayerStatus
from reportgen.render.text import NAMED, listed, plural
from reportgen.report.health.record import OK, UNKNOWN, WARNING, Evidence, HealthRecord, Status

BY_URGENCY = (WARNING, UNKNOWN, OK)
WORDS = {WARNING: "warning", UNKNOWN: "not checked", OK: "no finding"}
SIGNS = {WARNING: "weak", UNKNOWN: "not-computed", OK: "ok"}  # the signs of verdicts that read alike


@dataclass(frozen=True)
class EvidenceView:
    """One fact; `layer` leads to the page of its layer, `filters` to those of its filters that have a card there."""

    text: str
    layer: Link | None
    filters: tuple[Link, ...]


@dataclass(frozen=True)
class CheckView:
    """One check.

    Attributes:
        anchor: of the check on the page.
        sign: name of a symbol of the page, and `word` beside it.
        more: evidence that is not listed, in words.
    """

    anchor: str
    status: str
    sign: str
    word: str
    sentence: str
    evidence: tuple[EvidenceView, ...]
    more: str | None


@dataclass(frozen=True)
class HealthView:
    """All checks, warnings first; `summary` counts them."""

    summary: str
    checks: tuple[CheckView, ...]


def health_view(health: Sequence[HealthRecord], layers: Sequence[LayerEntry]) -> HealthView | None:
    """Return the view of model health; None where nothing was checked."""
    if not health:
        return None
    pages = {layer.path: layer for layer in layers if layer.status != LayerStatus.SKIPPED}
    ordered = sorted(health, key=lambda record: BY_URGENCY.index(record.status))
    return HealthView(_summary(health), tuple(_check(record, pages) for record in ordered))


def _summary(health: Sequence[HealthRecord]) -> str:
    counts = {status: sum(record.status == status for record in health) for status in Status}
    parts = [
        plural(counts[WARNING], "warning") if counts[WARNING] else "no warning",
        *([f"{counts[UNKNOWN]} not possible"] if counts[UNKNOWN] else []),
    ]
    return f"{plural(len(health), 'check')}: {listed(parts)}."


def _check(record: HealthRecord, pages: Mapping[str, LayerEntry]) -> CheckView:
    left = len(record.evidence) - NAMED
    return CheckView(
        anchor=f"health-{record.check}",
        status=record.status,
        sign=SIGNS[record.status],
        word=WORDS[record.status],
        sentence=record.sentence,
        evidence=tuple(_evidence(item, pages) for item in record.evidence[:NAMED]),
        more=f"and {left} more, all in report.json" if left > 0 else None,
    )


def _evidence(item: Evidence, pages: Mapping[str, LayerEntry]) -> EvidenceView:
    layer = pages.get(item.layer) if item.layer is not None else None
    if layer is None:
        return EvidenceView(item.text, None, ())
    href = f"layers/{layer.slug}.html"
    shown = set(layer.filters_shown)
    filters = [index for index in item.filters if index in shown][:NAMED]
    return EvidenceView(
        item.text,
        Link(href, layer.path),
        tuple(Link(f"{href}#{anchor(index)}", str(index), code=False) for index in filters),
    )
