"""Filter cards: a filter's pattern, scores, kernel and feature maps side by side, put together from the artefacts of its layer."""

from __future__ import annotations

from dataclasses import dataclass

from reportgen.artefacts import initial_weights
from reportgen.artefacts.base import LayerPage
from reportgen.artefacts.feature_maps import MapCut, map_cuts
from reportgen.artefacts.layer_entry import LayerEntry
from reportgen.artefacts.minimal_patterns import FIGURE as MINIMAL_FIGURE
from reportgen.artefacts.minimal_patterns import MinimalPatternRecord
from reportgen.artefacts.patterns import (
    FIGURE,
    PATTERNS,
    STRONGEST_FIGURE,
    PatternRecord,
    PatternsRecord,
    against_images,
    channels_drawn,
    share_of_strongest,
    strongest_filters,
)
from reportgen.artefacts.views import Cut, Fact, Keys, Verdict, anchor, known_keys, verdict_view
from reportgen.artefacts.weights import kernel_cuts, kernel_grid
from reportgen.core.numbers import plain
from reportgen.core.records import TaskKind
from reportgen.core.verdicts import DEAD, NOT_COMPUTED, OK, SILENT, SKIPPED
from reportgen.render.charts import Gauge, gauge
from reportgen.render.picture import Bands
from reportgen.render.text import OF_IMAGES, Nouns, number, percent, ratio

PATTERN_PIXELS = 160  # longer side on a card, CSS pixels
SMALL_PATTERN_PIXELS = 112
FRAGILE = 0.1  # of the activation: a pattern that keeps less under small warps depends on exact pixels
REDIRECTED = "The gradient was zero at first, so ReLUs passed gradients through during the first steps (redirected ReLU gradients)."


@dataclass(frozen=True)
class Minimal:
    """A filter's minimal pattern; `notes` on its picture."""

    title: str
    picture: Cut | None
    facts: tuple[Fact, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Strongest:
    """The picture of the strongest response, where the pattern is far below it; `note` states its scores and how it was found."""

    picture: Cut
    note: str


@dataclass(frozen=True)
class Card:
    """One filter.

    Attributes:
        label: name of the class, of the model's outputs.
        headline: the pattern's activation compared with the images or its start.
        meaning: of a verdict that needs an explanation.
        notes: on how the pattern was found.
        keys: what scripts search, filter and sort it by, as (name, value).
    """

    anchor: str
    title: str
    label: str | None
    verdict: Verdict
    pattern: Cut | None
    headline: Fact | None
    meaning: str | None
    notes: tuple[str, ...]
    gauge: Gauge | None
    facts: tuple[Fact, ...]
    strongest: Strongest | None
    minimal: Minimal | None
    kernel: tuple[Cut, ...]
    kernel_note: str | None
    maps: tuple[MapCut, ...]
    keys: Keys


def cards(page: LayerPage, entry: LayerEntry, bands: Bands | None) -> tuple[Card, ...]:
    """Return the cards of a layer in the order of `filters_shown`.

    Args:
        page: of the layer.
        entry: of the layer in report.json.
        bands: channels that patterns show as red, green and blue.
    """
    contents, nouns, owner = page.contents, page.contents.nouns, page.contents.owners[0]
    found = {} if entry.patterns is None else {item.index: place for place, item in enumerate(entry.patterns.filters)}
    restarts = 1 if entry.patterns is None else int(entry.patterns.recipe.get("restarts", 1))
    names = {image.slug: image.name for image in page.images}
    planned, natural = set(contents.planned_filters(TaskKind.PATTERNS)), against_images(entry.patterns) is True
    patterns = contents[PATTERNS]
    drawn = None if patterns is None else channels_drawn(patterns, bands)
    strongest = {}
    if patterns is not None and entry.patterns is not None:
        strongest = {index: place for place, index in enumerate(strongest_filters(patterns, entry.patterns))}
    kernels = kernel_grid(page)
    asked_minimal = set() if entry.patterns is None else set(contents.planned_filters(TaskKind.MINIMAL_PATTERNS))
    minimal = {}
    if entry.minimal_patterns is not None:
        minimal = {item.index: place for place, item in enumerate(entry.minimal_patterns.filters)}
    made = []
    for index in contents.layer.filters_shown:
        item = None if entry.patterns is None or index not in found else entry.patterns.filters[found[index]]
        kernel, note = ((), None) if kernels is None else kernel_cuts(kernels, index, page.root)
        verdict = _verdict(item, index in planned, natural, owner, nouns.one)
        made.append(
            Card(
                anchor=anchor(index),
                title=f"{owner.capitalize()} {index}",
                label=contents.label(index),
                verdict=verdict,
                pattern=None
                if item is None
                else _pattern(page, FIGURE, found[index], f"Pattern of {owner} {index}", PATTERN_PIXELS, drawn),
                headline=None if item is None else _headline(item, nouns),
                meaning=None if item is None or verdict.word == OK else verdict.meaning,
                notes=()
                if item is None
                else (*_silence(item), *_search_notes(item.restart_similarity, item.redirected_relu, restarts)),
                gauge=None if item is None else gauge(item.activation, item.activation_start, item.natural_maximum),
                facts=(() if item is None else _facts(item, names, nouns))
                + initial_weights.card_facts(entry.initial_weights, index),
                strongest=None
                if item is None or index not in strongest
                else _strongest(page, item, strongest[index], owner, nouns),
                minimal=_minimal(page, entry, index, minimal.get(index), restarts, drawn)
                if index in asked_minimal
                else None,
                kernel=kernel,
                kernel_note=note,
                maps=map_cuts(page, index),
                keys=_keys(index, contents.label(index), verdict, item),
            )
        )
    return tuple(made)


def orders(patterns: PatternsRecord | None) -> tuple[tuple[str, str], ...]:
    """Return how a layer's cards can be sorted, as (key and direction, words), by the record of its patterns."""
    found = [("index up", "number")]
    if patterns is not None:
        found += [("activation down", "activation (high to low)"), ("activation up", "activation (low to high)")]
    if against_images(patterns):
        found += [
            ("times down", "ratio to the natural maximum (high to low)"),
            ("times up", "ratio to the natural maximum (low to high)"),
        ]
    return tuple(found)


def _keys(index: int, label: str | None, verdict: Verdict, item: PatternRecord | None) -> Keys:
    reached, natural = (None, None) if item is None else (item.activation, item.natural_maximum)
    return known_keys(
        words=str(index) if label is None else f"{index} {label}",
        verdict=verdict.key,
        index=index,
        activation=reached,
        times=None if reached is None or natural is None or natural <= 0 else plain(reached / natural),
    )


def _verdict(item: PatternRecord | None, planned: bool, natural: bool, owner: str, noun: str) -> Verdict:
    if item is None:
        return verdict_view(NOT_COMPUTED if planned else SKIPPED, images=natural, owner=owner, noun=noun)
    return verdict_view(item.verdict, images=natural, owner=owner, noun=noun)


def _headline(item: PatternRecord, nouns: Nouns) -> Fact | None:
    reached, natural, start = item.activation, item.natural_maximum, item.activation_start
    if reached is None:
        return None
    if item.above == ("peak",):
        times = ratio(item.peak, item.natural_peak)
        if times is not None:
            return Fact("natural peak", times)
    times = ratio(reached, natural) if reached > 0 else None
    if times is not None:
        return Fact("natural maximum", times)
    if natural is not None and reached > natural:
        return Fact("above the natural maximum", number(reached - natural))
    if natural is None and start is not None and reached > start:
        return Fact(f"above the initial {nouns.one}", number(reached - start))
    return None


def _facts(item: PatternRecord, names: dict[str, str], nouns: Nouns) -> tuple[Fact, ...]:
    return (
        Fact(f"Initial {nouns.one}", number(item.activation_start), note=_peak(item.peak_start)),
        Fact("Pattern", number(item.activation), note=_peak(item.peak)),
        *_natural(item, "natural_maximum", "natural_image", "Natural maximum", names),
        *_natural(item, "natural_peak", "natural_peak_image", "Natural peak", names),
        *_strongest_facts(item, nouns),
        Fact("Found by", item.search),
        Fact("Seed", str(item.seed)),
    )


def _peak(value: float | None) -> str | None:
    return None if value is None else f"peak {number(value)}"


def _natural(item: PatternRecord, name: str, image: str, term: str, names: dict[str, str]) -> tuple[Fact, ...]:
    """What the user's images reach; nothing where there are none."""
    value, best = getattr(item, name), getattr(item, image)
    if value is None and best is None:
        return ()
    return (Fact(term, number(value), note=None if best is None else f"on {names[best]}"),)


def _strongest_facts(item: PatternRecord, nouns: Nouns) -> tuple[Fact, ...]:
    """The pattern's share of the strongest response that any search found, and how much of it is left after small warps."""
    share, left = share_of_strongest(item), item.survives_warps
    strongest = item.strongest
    found = f"of {number(strongest.activation)}, by {strongest.search}"
    return (
        *(() if share is None else (Fact("Share of the strongest response", percent(share), note=found),)),
        *(() if left is None else (Fact("Left after small warps", percent(left), note=_fragile(left, nouns)),)),
    )


def _fragile(left: float, nouns: Nouns) -> str | None:
    exact = "pixel-exact" if nouns == OF_IMAGES else "exact"
    return f"responds only to {exact} {nouns.one}s" if left < FRAGILE else None


def _strongest(page: LayerPage, item: PatternRecord, place: int, owner: str, nouns: Nouns) -> Strongest | None:
    """The picture of the strongest response, which the pattern is far from."""
    label = f"{nouns.one.capitalize()} of the strongest response of {owner} {item.index}"
    picture, found = page.tile(STRONGEST_FIGURE, place, SMALL_PATTERN_PIXELS, label), item.strongest
    if picture is None:
        return None
    scores = f"Activation {number(found.activation)}, peak {number(found.peak)}"
    return Strongest(picture, f"{scores}, found by {found.search} without warps.")


def _silence(item: PatternRecord) -> tuple[str, ...]:
    """How close a filter that is never active came to it."""
    nearest = item.best_pre_activation
    if item.verdict not in (SILENT, DEAD) or nearest is None:
        return ()
    return (f"The highest pre-activation at any position of any input that was tried: {number(nearest)}.",)


def _search_notes(similarity: float | None, redirected: bool, restarts: int) -> tuple[str, ...]:
    """How one picture was found."""
    stated = "not defined" if similarity is None else number(similarity)
    return (
        *((f"{restarts} restarts, similarity {stated}.",) if restarts > 1 else ()),
        *((REDIRECTED,) if redirected else ()),
    )


def _pattern(page: LayerPage, name: str, place: int, label: str, pixels: int, drawn: str | None) -> Cut | None:
    """A pattern cut out of its grid; `drawn` says how its channels are drawn."""
    return page.tile(name, place, pixels, label if drawn is None else f"{label}: {drawn}")


def _minimal(
    page: LayerPage, entry: LayerEntry, index: int, place: int | None, restarts: int, drawn: str | None
) -> Minimal:
    """A filter's minimal pattern, which was requested; `place` is its position among those that are stored."""
    owner, nouns = page.contents.owners[0], page.contents.nouns
    title = "Minimal pattern" + ("" if page.layer.is_output else " (pre-activation)")
    if place is None or entry.minimal_patterns is None:
        return Minimal(title, None, (), ("Not computed.",))
    item = entry.minimal_patterns.filters[place]
    lowest = item.natural_pre_minimum
    return Minimal(
        title,
        _pattern(page, MINIMAL_FIGURE, place, f"Minimal pattern of {owner} {index}", SMALL_PATTERN_PIXELS, drawn),
        (
            Fact(f"Initial {nouns.one}", number(item.pre_activation_start)),
            Fact("Pattern", number(item.pre_activation)),
            *(() if lowest is None else (Fact(f"Minimum on {nouns.one}s", number(lowest)),)),
            Fact("Seed", str(item.seed)),
        ),
        (
            *_minimal_notes(item, owner, nouns),
            *_search_notes(item.restart_similarity, item.redirected_relu, restarts),
        ),
    )


def _minimal_notes(item: MinimalPatternRecord, owner: str, nouns: Nouns) -> tuple[str, ...]:
    """Notes on the scores of a minimal pattern."""
    if item.is_broken or item.pre_activation is None or item.pre_activation_start is None:
        return ("One of its scores is infinite or not a number.",)
    if item.is_unmoved:
        return (f"The optimization had no effect: the {owner} responds to it exactly as to the initial {nouns.one}.",)
    notes = (
        []
        if item.pre_activation < item.pre_activation_start
        else [f"No decrease from the initial {nouns.one} was found."]
    )
    if item.below_natural is not None:
        below = "Below" if item.below_natural else "Not below"
        notes.append(f"{below} the minimum on the {nouns.one}s.")
    return tuple(notes)
