"""What the pages of a comparison print: sentences, rows of the table of layers, and filters side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from reportgen.artefacts.patterns import against_images
from reportgen.artefacts.views import Cut, Fact, Legend, Link, PageContext, Verdict, cut, verdict_view
from reportgen.compare.compare import Examination
from reportgen.compare.figures import KERNELS, NEW_PATTERNS, OLD_PATTERNS, PairFigures
from reportgen.compare.records import (
    SAME,
    Basis,
    Comparison,
    FilterComparison,
    LayerChange,
    LayerComparison,
    PredictionComparison,
)
from reportgen.core.errors import few
from reportgen.render.kernel_pairs import row_box
from reportgen.render.text import NONE, count, listed, number, percent, plural
from reportgen.render.wording import HASH_SHOWN, stopped
from reportgen.report.document import ReportDocument

PATTERN_PIXELS, KERNEL_PIXELS = 160, 200  # longer side on a page, CSS pixels
SIGNS = {  # a sign of the page's sprite for what happened to a layer; the word stands beside it
    **dict.fromkeys(SAME, "ok"),
    LayerChange.CHANGED: "weak",
    LayerChange.RESHAPED: "weak",
    LayerChange.ADDED: "not-computed",
    LayerChange.REMOVED: "skipped",
}
AFFECTED_SIGN = "silent"
HEADLINE_NAMES = 4  # layers that the first sentence names
MEANINGS = {
    LayerChange.IDENTICAL: "all weights are the same to the byte",
    LayerChange.PERMUTED: "the same filters in another order, or input channels in another order",
    LayerChange.FOLDED: "the same filters; a normalization was moved into the kernel, or out of it",
    LayerChange.CHANGED: "weights, or the configuration, are others",
    LayerChange.RESHAPED: "the kernel has another shape",
    LayerChange.ADDED: "the old model has no such layer",
    LayerChange.REMOVED: "the new model has no such layer",
}
BASES = {
    Basis.IDENTITY: "same weights",
    Basis.ACTIVATION: "activation",
    Basis.BOTH: "activation and weights",
    Basis.WEIGHTS: "weights",
    Basis.POSITION: "position",
}


@dataclass(frozen=True)
class StatusView:
    """What happened to a layer: `sign` is a symbol of the page, `word` stands beside it."""

    sign: str
    word: str


@dataclass(frozen=True)
class LayerRow:
    """A layer in the table; `href` is "" where it has no page of its own."""

    path: str
    was: str | None
    href: str
    statuses: tuple[StatusView, ...]
    filters: str
    weight_change: str
    activation_change: str
    matched: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class PairView:
    """A filter beside the one that it is matched with."""

    anchor: str
    title: str
    layer: Link | None
    old_pattern: Cut | None
    new_pattern: Cut | None
    old_kernel: Cut | None
    new_kernel: Cut | None
    kernel_note: str | None
    verdicts: tuple[Verdict | None, Verdict | None]
    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class PredictionRow:
    """What both models say of an image."""

    image: str
    old: str
    new: str
    flipped: bool


@dataclass(frozen=True)
class ComparisonView:
    """The first page of a comparison."""

    page: PageContext
    lede: str
    counts: tuple[Fact, ...]
    fair: str | None
    unfair: tuple[str, ...]
    notes: tuple[str, ...]
    rows: tuple[LayerRow, ...]
    most: tuple[PairView, ...]
    most_note: str
    predictions: tuple[PredictionRow, ...]
    predictions_note: str
    classes: tuple[str, ...]
    meanings: tuple[tuple[StatusView, str], ...]
    models: tuple[Fact, ...]
    not_compared: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ChangedLayerView:
    """The page of a layer that changed, or that is affected by what changed."""

    page: PageContext
    heading: str
    was: str | None
    statuses: tuple[StatusView, ...]
    lede: str
    previous: Link | None
    following: Link | None
    notes: tuple[str, ...]
    facts: tuple[Fact, ...]
    pairs: tuple[PairView, ...]
    pairs_note: str
    legend: Legend | None
    rows: tuple[tuple[str, ...], ...]


def statuses(layer: LayerComparison) -> tuple[StatusView, ...]:
    """Return what happened to a layer as signs and words."""
    found = [StatusView(SIGNS[layer.status], str(layer.status))]
    if layer.is_renamed:
        found.append(StatusView("ok", "renamed"))
    if layer.affected:
        found.append(StatusView(AFFECTED_SIGN, "affected"))
    return tuple(found)


def has_page(layer: LayerComparison) -> bool:
    """Whether a layer has a page: it changed, or what reaches it did."""
    return bool(layer.filters) and (layer.status not in SAME or layer.affected)


def ranked(layer: LayerComparison) -> list[FilterComparison]:
    """Return the filters, those that changed most first: by their weights, of a layer with the same weights by their activation.

    Those that both reports have a pattern of come first, and new filters last.
    """
    own = layer.status not in SAME

    def key(item: FilterComparison) -> tuple[float, ...]:
        change = item.weight_change if own else item.activation_change
        return (
            item.old_index is None,
            0 if item.verdict is not None and item.old_verdict is not None else 1,
            -(change if change is not None else np.inf if own else 0),
            -(item.activation_change or 0),
            item.index,
        )

    return sorted(layer.filters, key=key)


def row(layer: LayerComparison, slug: str | None) -> LayerRow:
    """Return a layer's row of the table.

    Args:
        layer: the layer.
        slug: of its page; None where it has none.
    """
    return LayerRow(
        path=layer.path,
        was=layer.old_path if layer.is_renamed else None,
        href="" if slug is None else f"layers/{slug}.html",
        statuses=statuses(layer),
        filters=_filters(layer),
        weight_change=_spread([item.weight_change for item in layer.filters]),
        activation_change=_spread([item.activation_change for item in layer.filters]),
        matched=_matched(layer),
        notes=tuple(stopped(note[:1].upper() + note[1:]) for note in (*_fact_sentences(layer), *layer.notes)),
    )


def _fact_sentences(layer: LayerComparison) -> Iterator[str]:
    for fact in layer.facts:
        yield f"{fact.name}: {fact.old}, now {fact.new}"


def _filters(layer: LayerComparison) -> str:
    """How many filters changed, are new or gone, of how many."""
    if layer.status == LayerChange.ADDED:
        return plural(layer.filters_total, "filter")
    if layer.status == LayerChange.REMOVED:
        return f"{plural(layer.old_filters_total, 'filter')} gone"
    new = sum(item.old_index is None for item in layer.filters)
    changed = len(layer.changed) - new
    parts = [
        *([f"{count(changed)} changed"] if changed else []),
        *([f"{count(new)} new"] if new else []),
        *([f"{count(len(layer.gone))} gone"] if layer.gone else []),
    ]
    return f"{', '.join(parts) if parts else 'none changed'} of {count(layer.filters_total)}"


def _spread(values: Sequence[float | None]) -> str:
    """The median and the largest of what is known."""
    known = [value for value in values if value is not None]
    if not known:
        return NONE
    if max(known) == 0:
        return "0"
    return f"median {number(float(np.median(known)))}, largest {number(max(known))}"


def _matched(layer: LayerComparison) -> str:
    if layer.matched_by is None:
        return NONE
    known = [item.match for item in layer.filters if item.match is not None and item.old_index is not None]
    least = f", least {number(min(known))}" if known and layer.matched_by != Basis.IDENTITY else ""
    return f"{BASES[layer.matched_by]}{least}"


def pair_view(
    found: Examination,
    layer: LayerComparison,
    item: FilterComparison,
    figures: PairFigures,
    slug: str,
    root: str,
    link: Link | None,
) -> PairView:
    """Return two filters side by side.

    Args:
        found: the comparison.
        layer: theirs.
        item: the new filter, and which old one it is matched with.
        figures: the pictures of its layer.
        slug: of the layer.
        root: from the page to the comparison's folder.
        link: to the layer's page; None on that page itself.
    """
    cuts: dict[str, Cut | None] = {}
    for name, places, words in (
        (OLD_PATTERNS, figures.old, f"Old pattern, filter {item.old_index}"),
        (NEW_PATTERNS, figures.new, f"New pattern, filter {item.index}"),
    ):
        picture = figures.picture(name, slug)
        shown = picture is not None and item.index in places
        cuts[name] = (
            cut(picture, root, picture.tiles.box(places[item.index]), PATTERN_PIXELS, words)
            if picture is not None and shown
            else None
        )
    kernels: list[Cut | None] = [None, None]
    picture = figures.picture(KERNELS, slug)
    if picture is not None and item.index in figures.kernels:
        place = figures.kernels[item.index]
        kernels = [
            cut(picture, root, row_box(picture.tiles, place, which), KERNEL_PIXELS, f"{word} kernel, filter {index}")
            for which, word, index in ((0, "Old", item.old_index), (1, "New", item.index))
        ]
    return PairView(
        anchor=f"f{item.index:03d}" if link is None else f"{slug}-f{item.index:03d}",
        title=_title(item),
        layer=link,
        old_pattern=cuts[OLD_PATTERNS],
        new_pattern=cuts[NEW_PATTERNS],
        old_kernel=kernels[0],
        new_kernel=kernels[1],
        kernel_note=_kernel_note(figures.channels.get(item.index), figures.limits.get(item.index, 0.0)),
        verdicts=(
            _verdict(found.old.document, layer.old_path, item.old_verdict),
            _verdict(found.new.document, layer.path, item.verdict),
        ),
        facts=_numbers(found, layer, item),
    )


def _title(item: FilterComparison) -> str:
    if item.old_index is None:
        return f"Filter {item.index}, new"
    return f"Filter {item.index}" if item.old_index == item.index else f"Filter {item.index}, was {item.old_index}"


def _kernel_note(channels: tuple[int, ...] | None, limit: float) -> str | None:
    if channels is None:
        return None
    names = f"input {'channel' if len(channels) == 1 else 'channels'} {listed([str(channel) for channel in channels])}"
    return f"{names}; scale from {number(-limit)} to {number(limit)}"


def _verdict(document: ReportDocument, path: str | None, word: str | None) -> Verdict | None:
    entry = next((layer for layer in document.layers if layer.path == path), None)
    if word is None or entry is None:
        return None
    return verdict_view(word, images=bool(against_images(entry.patterns)))


def _numbers(found: Examination, layer: LayerComparison, item: FilterComparison) -> tuple[Fact, ...]:
    facts = [
        Fact("Weight change", number(item.weight_change)),
        Fact("Bias change", number(item.bias_change)),
        Fact("Activation change", number(item.activation_change)),
        Fact("Pattern similarity", number(item.pattern_similarity)),
    ]
    if layer.matched_by is not None:
        facts.append(Fact("Match", number(item.match), note=f"by {BASES[layer.matched_by]}"))
    scores = [
        None
        if entry is None or entry.patterns is None
        else next((each.activation for each in entry.patterns.filters if each.index == index), None)
        for document, path, index in (
            (found.old.document, layer.old_path, item.old_index),
            (found.new.document, layer.path, item.index),
        )
        for entry in [next((each for each in document.layers if each.path == path), None)]
    ]
    if any(score is not None for score in scores):
        facts.append(Fact("Activation of the pattern", f"{number(scores[0])} → {number(scores[1])}"))
    return tuple(facts)


def headline(comparison: Comparison) -> str:
    """Return what happened in a sentence or two."""
    layers = comparison.layers
    if not layers:
        return "The reports have no layer that can be compared."
    changed = [layer for layer in layers if layer.status not in SAME]
    same = [layer for layer in layers if layer.status in SAME]
    affected = sum(layer.affected for layer in same)
    if not changed:
        how = [
            f"{count(sum(layer.status == status for layer in layers))} {status}"
            for status in SAME
            if any(layer.status == status for layer in layers)
        ]
        sentence = f"No filter changed: of {plural(len(layers), 'layer')} {listed(how)}."
        if comparison.old.weights_sha256 != comparison.new.weights_sha256 and all(
            layer.status == LayerChange.IDENTICAL and not layer.is_renamed for layer in layers
        ):
            sentence += (
                " The models differ all the same, in what the reports do not cover, such as dense layers or names."
            )
        return sentence
    every = len(changed) == len(layers) > 1
    named = "" if every else f" ({few([layer.path for layer in changed], HEADLINE_NAMES)})"
    words = f"{'All ' if every else f'{count(len(changed))} of '}{plural(len(layers), 'layer')} changed{named}"
    rest = (
        f"; {count(affected)} more {'has' if affected == 1 else 'have'} the same weights and other inputs"
        if affected
        else ""
    )
    filters = [item for layer in layers for item in layer.filters]
    lost = sum(item.old_index is None for item in filters)
    matches = f" {count(len(filters) - lost)} of {plural(len(filters), 'filter')} have a match in the old model."
    return f"{words}{rest}.{matches if filters else ''}"


def counts(comparison: Comparison) -> tuple[Fact, ...]:
    """Return the numbers at the head of the first page."""
    layers = comparison.layers
    filters = [item for layer in layers for item in layer.filters]
    changed = sum(item.is_changed for item in filters)
    facts = [
        Fact(
            "Layers changed", count(sum(layer.status not in SAME for layer in layers)), note=f"of {count(len(layers))}"
        ),
        Fact("Layers affected", count(sum(layer.affected for layer in layers))),
        Fact("Filters changed", count(changed), note=f"of {count(len(filters))}"),
    ]
    if comparison.predictions:
        facts.append(
            Fact(
                "Predictions flipped",
                count(comparison.predictions_flipped),
                note=f"of {count(len(comparison.predictions))}",
            )
        )
    return tuple(facts)


def prediction_row(item: PredictionComparison) -> PredictionRow:
    """Return what both models say of an image."""
    return PredictionRow(
        image=item.image,
        old=f"{item.old_label} {percent(item.old_probability)}",
        new=f"{item.label} {percent(item.probability)}",
        flipped=item.flipped,
    )


def class_sentences(comparison: Comparison) -> tuple[str, ...]:
    """Return what changed in the list of classes."""
    classes = comparison.classes
    if classes is None:
        return ()
    return tuple(
        f"{plural(len(names), 'class is', 'classes are')} {word}: {few(list(names))}."
        for names, word in ((classes.added, "new"), (classes.removed, "gone"), (classes.moved, "at another position"))
        if names
    )


def model_facts(found: Examination) -> tuple[Fact, ...]:
    """Return what the two models and reports are."""
    facts = []
    for word, report in (("Old", found.old), ("New", found.new)):
        model = report.model
        facts += [
            Fact(f"{word} model", model.name, note=f"{model.source}, {plural(model.parameters, 'parameter')}"),
            Fact(f"{word} weights (SHA-256)", f"{model.weights_sha256[:HASH_SHOWN]}…", code=True),
        ]
    return tuple(facts)


def layer_numbers(layer: LayerComparison) -> tuple[Fact, ...]:
    """Return the numbers of a layer for its page."""
    return (
        Fact("Filters", _filters(layer)),
        Fact(
            "Weight change",
            _spread([item.weight_change for item in layer.filters]),
            note="‖new − old‖ / ‖old‖ of each kernel",
        ),
        Fact(
            "Activation change",
            _spread([item.activation_change for item in layer.filters]),
            note="the same ratio of the feature maps",
        ),
        Fact("Matched by", _matched(layer)),
        *(
            [Fact("New filters", few([str(item.index) for item in layer.filters if item.old_index is None]))]
            if any(item.old_index is None for item in layer.filters)
            else []
        ),
        *([Fact("Filters gone", few([str(index) for index in layer.gone]))] if layer.gone else []),
    )


def with_link(pair: PairView, link: Link) -> PairView:
    """Return a pair that says which layer it is of."""
    return replace(pair, layer=link)


def filter_rows(layer: LayerComparison) -> tuple[tuple[str, ...], ...]:
    """Return a row of numbers for each filter of a layer."""
    return tuple(
        (
            str(item.index),
            "new" if item.old_index is None else str(item.old_index),
            number(item.match),
            number(item.weight_change),
            number(item.bias_change),
            number(item.activation_change),
            number(item.pattern_similarity),
            item.old_verdict or NONE,
            item.verdict or NONE,
        )
        for item in layer.filters
    )
