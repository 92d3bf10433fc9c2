"""What a report covers and what became of it, in numbers: the same on the first page and in the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from reportgen.artefacts.layer_entry import LayerEntry
from reportgen.artefacts.patterns import against_images
from reportgen.artefacts.views import Fact, Verdict, status, verdict_view
from reportgen.core.records import CONVOLUTION, LayerStatus
from reportgen.core.verdicts import NOT_COMPUTED, SKIPPED, VERDICTS
from reportgen.render.text import count, listed, plural


@dataclass(frozen=True)
class Counts:
    """Numbers of a report.

    Attributes:
        layers: convolution layers that are covered, of `layers_total`: those that the options exclude are counted there.
        pooling: pooling layers that are covered.
        left_out: layers that are not covered, for whatever reason.
        shown: filters that are visualized, of `total` in the covered layers.
        verdicts: how often each verdict falls on the shown filters, in the order in which pages list them.
        natural: whether any pattern is compared with the user's images; `start`: whether any is with its start.
        images: how many of the user's there are, each called `noun`.
        patterned: whether patterns were requested; without them no filter is visualized, and none has a status.
    """

    layers: int
    layers_total: int
    pooling: int
    left_out: int
    shown: int
    total: int
    verdicts: dict[str, int]
    natural: bool
    start: bool
    images: int
    noun: str
    patterned: bool = True

    @property
    def facts(self) -> tuple[Fact, ...]:
        """The large numbers of the first page."""
        filters = f"of {count(self.total)}" if self.shown != self.total else None
        return (
            Fact("Convolution layers", count(self.layers), note=self._beside),
            Fact("Filters visualized" if self.patterned else "Filters", count(self.shown), note=filters),
            Fact(f"Input {self.noun}s", count(self.images), note=None if self.images else "none given"),
        )

    @property
    def _beside(self) -> str | None:
        """What there is besides the covered convolution layers."""
        excluded = self.layers_total - self.layers
        left = self.left_out - excluded
        parts = [
            *([f"of {count(self.layers_total)}"] if excluded else []),
            *([f"+ {count(self.pooling)} pooling"] if self.pooling else []),
            *([f"{count(left)} not covered"] if left else []),
        ]
        return ", ".join(parts) if parts else None

    @property
    def statuses(self) -> tuple[Verdict, ...]:
        """The verdicts that occur, each with its share of the visualized filters."""
        return tuple(
            verdict_view(word, images=self.natural, start=self.start, amount=number, noun=self.noun)
            for word, number in self.verdicts.items()
            if number and self.patterned
        )

    @property
    def sentence(self) -> str:
        """The same in one line, without the full stop."""
        filters = f"{count(self.shown)} of {plural(self.total, 'filter')}{' visualized' if self.patterned else ''}"
        layers = plural(self.layers, "convolution layer")
        found = [
            f"{count(number)} {status(word, images=self.natural, start=self.start, several=number != 1, noun=self.noun)}"
            for word, number in self.verdicts.items()
            if number and word != SKIPPED and self.patterned
        ]
        return f"{filters} in {layers}" + (f": {listed(found)}" if found else "")


def counts(layers: Iterable[LayerEntry], images: int, noun: str, *, patterned: bool = True) -> Counts:
    """Return the numbers of a report.

    Args:
        layers: of report.json.
        images: number of the user's images.
        noun: what one of them is called.
        patterned: whether patterns were requested.
    """
    entries = [layer for layer in layers if layer.labels is None]
    shown = [layer for layer in entries if layer.status != LayerStatus.SKIPPED]
    covered = [layer for layer in shown if layer.kind == CONVOLUTION]
    excluded = sum(
        layer.status == LayerStatus.SKIPPED and layer.by_request and layer.kind == CONVOLUTION for layer in entries
    )
    references = {against_images(layer.patterns) for layer in shown} - {None} or {images > 0}
    words: Counter[str] = Counter()
    for layer in covered:
        words.update(layer.verdicts)
    return Counts(
        layers=len(covered),
        layers_total=len(covered) + excluded,
        pooling=len(shown) - len(covered),
        left_out=len(entries) - len(shown),
        shown=sum(len(layer.filters_shown) for layer in covered),
        total=sum(layer.filters_total for layer in covered),
        verdicts={word: words[word] for word in (*VERDICTS, NOT_COMPUTED)},
        natural=True in references,
        start=False in references,
        images=images,
        noun=noun,
        patterned=patterned,
    )
