"""Model health as a view: warnings first, each with links to the layers and filters that it names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reportgen.artefacts.layer_entry import LayerEntry
from reportgen.artefacts.views import Link, anchor
from reportgen.core.records import LayerStatus
from reportgen.render.text import NAMED, listed, plural
from reportgen.report.health.record import OK, UNKNOWN, WARNING, Evidence, HealthRecord, Status

FIRST_LAYERS = 4  # links below a warning; its evidence has more
WORDS = {WARNING: "warning", UNKNOWN: "not checked", OK: "no finding"}
SIGNS = {WARNING: "weak", UNKNOWN: "skipped", OK: "ok"}  # the signs of verdicts that read alike


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
        layers: the first of those that a warning is about; `further` how many more there are, in words.
        more: evidence that is not listed, in words.
    """

    anchor: str
    status: str
    sign: str
    word: str
    sentence: str
    layers: tuple[Link, ...]
    further: str | None
    evidence: tuple[EvidenceView, ...]
    more: str | None


@dataclass(frozen=True)
class HealthView:
    """All checks: `summary` says what they found, `warnings` come first, and `others` names the rest."""

    summary: str
    warnings: tuple[CheckView, ...]
    rest: str
    others: tuple[CheckView, ...]


def health_view(health: Sequence[HealthRecord], layers: Sequence[LayerEntry]) -> HealthView | None:
    """Return the view of model health; None where nothing was checked."""
    if not health:
        return None
    pages = {layer.path: layer for layer in layers if layer.status != LayerStatus.SKIPPED}
    by_status = {status: [_check(each, pages) for each in health if each.status == status] for status in Status}
    warnings, unknown, fine = (by_status[status] for status in (WARNING, UNKNOWN, OK))
    rest = [
        *([f"{plural(len(fine), 'check')} without a finding"] if fine else []),
        *([f"{plural(len(unknown), 'check')} that could not be done"] if unknown else []),
    ]
    found = plural(len(warnings), "warning") if warnings else "no warning"
    summary = f"{found[0].upper()}{found[1:]} from {plural(len(health), 'check')} of weights, responses and inputs"
    return HealthView(
        f"{summary}{f'; {len(unknown)} could not be done' if unknown else ''}.",
        tuple(warnings),
        listed(rest).capitalize(),
        (*unknown, *fine),
    )


def _check(record: HealthRecord, pages: Mapping[str, LayerEntry]) -> CheckView:
    left, linked = len(record.evidence) - NAMED, [path for path in record.layers if path in pages]
    shown = FIRST_LAYERS if len(linked) > FIRST_LAYERS + 1 else len(linked)  # "1 more" takes as much room as its name
    return CheckView(
        anchor=f"health-{record.check}",
        status=record.status,
        sign=SIGNS[record.status],
        word=WORDS[record.status],
        sentence=record.sentence,
        layers=tuple(Link(f"layers/{pages[path].slug}.html", path) for path in linked[:shown]),
        further=f"and {len(linked) - shown} more" if len(linked) > shown else None,
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
