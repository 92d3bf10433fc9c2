"""Filter cards: a filter's pattern, scores, kernel and feature maps side by side, put together from the artefacts of its layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from reportgen.artefacts import initial_weights
from reportgen.artefacts.base import LayerPage
from reportgen.artefacts.data import DATA
from reportgen.artefacts.data_records import CONTACT_FIGURE, FilterData, LayerData
from reportgen.artefacts.data_view import DataCard, data_card, places
from reportgen.artefacts.feature_maps import MapCut, map_cuts, map_cuts_title
from reportgen.artefacts.layer_entry import LayerEntry
from reportgen.artefacts.minimal_patterns import FIGURE as MINIMAL_FIGURE
from reportgen.artefacts.minimal_patterns import MinimalPatternRecord
from reportgen.artefacts.patterns import (
    FIGURE,
    NATURAL_SCORES,
    PATTERNS,
    STRONGEST_FIGURE,
    PatternRecord,
    PatternsRecord,
    against_images,
    channels_drawn,
    layer_scale,
    pattern_place,
    share_of_strongest,
    strongest_filters,
    times_natural,
)
from reportgen.artefacts.views import Cut, Fact, Keys, Verdict, anchor, known_keys, verdict_view
from reportgen.artefacts.weights import kernel_cuts, kernel_grid
from reportgen.core.numbers import plain
from reportgen.core.records import TaskKind
from reportgen.core.verdicts import DEAD, NOT_COMPUTED, OK, SILENT, SKIPPED, WEAK, Score
from reportgen.render.charts import Gauge, gauge
from reportgen.render.picture import Bands
from reportgen.render.text import OF_IMAGES, Nouns, number, percent
from reportgen.render.wording import sentence

PATTERN_PIXELS = 192  # longer side on a card, CSS pixels
# Longer side of a pattern in the grid of a layer by the number of its filters: a few are large, thousands still fit some screens.
TILE_PIXELS = ((16, 128), (128, 76))
SMALL_TILE_PIXELS = 56
EVEN = 0.5  # AUROC of a label that makes no difference
SCORES: dict[Score, str] = {"activation": "mean", "peak": "peak"}
SMALL_PATTERN_PIXELS = 112
FRAGILE = 0.1  # of the activation: a pattern that keeps less under small warps depends on exact pixels
NOT_APPLICABLE = "n/a"
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
class ScoreCell:
    """A score; `note` names the image that it is of."""

    value: str
    note: str | None = None


@dataclass(frozen=True)
class ScoreTable:
    """Scores side by side: `columns` are means and peaks, a row is what they were measured on."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[ScoreCell, ...]], ...]


@dataclass(frozen=True)
class Tile:
    """A filter in the grid of its layer: number, pattern, and `scores` for paper.

    Attributes:
        size: (width, height) of the pattern in CSS pixels, kept free where there is none.
        keys: what scripts search, filter and sort it by, as (name, value).
    """

    number: int
    picture: Cut | None
    size: tuple[int, int]
    scores: tuple[str, ...]
    keys: Keys


@dataclass(frozen=True)
class Card:
    """One filter.

    Attributes:
        label: name of the class, of the model's outputs.
        basis: which comparisons the verdict rests on.
        notes: on how the pattern was found.
        kernel_label: what the slices of `kernel` are together.
    """

    anchor: str
    title: str
    label: str | None
    verdict: Verdict
    tile: Tile
    pattern: Cut | None
    basis: str | None
    notes: tuple[str, ...]
    scores: ScoreTable | None
    gauge: Gauge | None
    facts: tuple[Fact, ...]
    strongest: Strongest | None
    minimal: Minimal | None
    kernel: tuple[Cut, ...]
    kernel_label: str
    kernel_note: str | None
    maps: tuple[MapCut, ...]
    maps_title: str
    data: DataCard | None


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
    scales: dict[Score, float] = {
        score: layer_scale(entry.patterns, (score, NATURAL_SCORES[score])) for score in SCORES
    }
    pixels = tile_pixels(len(contents.layer.filters_shown))
    maps_title = map_cuts_title(page)
    made = []
    for index in contents.layer.filters_shown:
        item = None if entry.patterns is None or index not in found else entry.patterns.filters[found[index]]
        kernel, note = ((), None) if kernels is None else kernel_cuts(kernels, index, page.root)
        placed = places(contents[DATA], index, nouns.one)
        verdict = _verdict(item, index in planned, natural, owner, nouns.one)
        made.append(
            Card(
                anchor=anchor(index),
                title=f"{owner.capitalize()} {index}",
                label=contents.label(index),
                verdict=verdict,
                tile=_tile(
                    page,
                    index,
                    found.get(index),
                    item,
                    verdict,
                    pixels,
                    None if entry.data is None else entry.data.filters[index],
                ),
                pattern=None
                if item is None
                else _pattern(
                    page, *pattern_place(len(found), found[index]), f"Pattern of {owner} {index}", PATTERN_PIXELS, drawn
                ),
                basis=None if item is None else _basis(item, verdict, natural, owner, nouns, contents.layer.is_output),
                notes=()
                if item is None
                else (*_silence(item), *_search_notes(item.restart_similarity, item.redirected_relu, restarts)),
                scores=None if item is None else _scores(item, names, nouns, scales, contents.layer.is_output, placed),
                gauge=None if item is None else gauge(item.activation, item.activation_start, item.natural_maximum),
                facts=(() if item is None else _facts(item, nouns))
                + initial_weights.card_facts(entry.initial_weights, index),
                strongest=None
                if item is None or index not in strongest
                else _strongest(page, item, strongest[index], owner, nouns),
                minimal=_minimal(page, entry, index, minimal.get(index), restarts, drawn)
                if index in asked_minimal
                else None,
                kernel=kernel,
                kernel_label=f"Kernel of {owner} {index}",
                kernel_note=note,
                maps=map_cuts(page, index, placed.get("peak")),
                maps_title=maps_title,
                data=data_card(page, contents[DATA], entry.data, index),
            )
        )
    return tuple(made)


def orders(patterns: PatternsRecord | None, data: LayerData | None = None) -> tuple[tuple[str, str], ...]:
    """Return how a layer's cards can be sorted, as (key and direction, words), by the record of its patterns and on the data set."""
    found = [("index up", "number")]
    if patterns is not None:
        found += [("activation down", "activation (high to low)"), ("activation up", "activation (low to high)")]
        above = "natural maximum" if against_images(patterns) else "start"
        found += [
            ("gain down", f"above the {above} (most first)"),
            ("gain up", f"above the {above} (least first)"),
        ]
    if data is not None:
        found += [("silent down", "silent images (most first)"), ("silent up", "silent images (fewest first)")]
    return tuple(found)


def tile_pixels(filters: int) -> int:
    """Return the longer side of a pattern in the grid of a layer that shows so many filters, in CSS pixels."""
    return next((pixels for most, pixels in TILE_PIXELS if filters <= most), SMALL_TILE_PIXELS)


def _tile(
    page: LayerPage,
    index: int,
    place: int | None,
    item: PatternRecord | None,
    verdict: Verdict,
    pixels: int,
    data: FilterData | None,
) -> Tile:
    if place is None:  # the crop that excites it most, where there is no pattern
        picture = page.tile(CONTACT_FIGURE, page.layer.filters_shown.index(index), pixels, "")
    else:
        picture = page.tile(FIGURE, place, pixels, "")
    return Tile(
        index,
        picture,
        (pixels, pixels) if picture is None else (picture.width, picture.height),
        _printed(item, page.layer.is_output),
        _keys(index, page.contents.label(index), verdict, item, data),
    )


def _printed(item: PatternRecord | None, is_output: bool) -> tuple[str, ...]:
    """The scores of a pattern, in brackets what the user's images reach."""
    if item is None:
        return ()
    made = []
    for score, word in SCORES.items() if not is_output else (("activation", "logit"),):
        natural = getattr(item, NATURAL_SCORES[score])
        made.append(f"{word} {number(getattr(item, score))}" + ("" if natural is None else f" ({number(natural)})"))
    return tuple(made)


def _keys(index: int, label: str | None, verdict: Verdict, item: PatternRecord | None, data: FilterData | None) -> Keys:
    reached, reference = None, None
    words = [str(index), *([] if label is None else [label])]
    if data is not None:  # labels that the filter answers to: a search for one finds it
        words += [each.label for each in data.labels if each.auroc > EVEN]
    if item is not None:
        reached = item.activation
        reference = item.activation_start if item.natural_maximum is None else item.natural_maximum
    return known_keys(
        words=" ".join(words),
        verdict=verdict.key,
        index=index,
        activation=reached,
        gain=None if reached is None or reference is None else plain(reached - reference),
        silent=None if data is None else data.silent_image_share,
    )


def _verdict(item: PatternRecord | None, planned: bool, natural: bool, owner: str, noun: str) -> Verdict:
    if item is None:
        return verdict_view(NOT_COMPUTED if planned else SKIPPED, images=natural, owner=owner, noun=noun)
    return verdict_view(item.verdict, images=natural, owner=owner, noun=noun)


def _basis(item: PatternRecord, verdict: Verdict, natural: bool, owner: str, nouns: Nouns, is_output: bool) -> str:
    """The sentence that says which comparisons the verdict rests on, so that it can be checked in the table of scores."""
    if verdict.word not in (OK, WEAK):
        return sentence(verdict.meaning)
    if not natural:
        above = "clearly above" if verdict.word == OK else "not clearly above"
        what = "logit" if is_output else "mean activation"
        return f"Its {what} is {above} that of the initial {nouns.one}."
    if is_output:
        return f"Its logit is {'above' if verdict.word == OK else 'not above'} the natural maximum."
    if verdict.word == WEAK:
        return "Neither its mean nor its peak is above the natural maximum."
    if len(item.above) == len(SCORES):
        return "Its mean and its peak are above the natural maximum."
    (score,) = item.above
    (other,) = SCORES.keys() - {score}
    return f"Its {SCORES[score]} is above the natural maximum, its {SCORES[other]} is not."


def _scores(
    item: PatternRecord,
    names: dict[str, str],
    nouns: Nouns,
    scales: dict[Score, float],
    is_output: bool,
    shares: Mapping[Score, Callable[[float | None], str | None]],
) -> ScoreTable:
    """Mean and peak of the initial image, the pattern and the user's images, and how many times the latter the pattern reaches."""
    scores: tuple[Score, ...] = ("activation",) if is_output else tuple(SCORES)
    start = {"activation": item.activation_start, "peak": item.peak_start}
    image = {"activation": item.natural_image, "peak": item.natural_peak_image}
    rows = [
        (f"Initial {nouns.one}", tuple(_placed(start[score], shares.get(score)) for score in scores)),
        ("Pattern", tuple(_placed(getattr(item, score), shares.get(score)) for score in scores)),
    ]
    if item.natural_maximum is not None or item.natural_image is not None:
        natural, ratios = [], []
        for score in scores:
            best, times = image[score], times_natural(item, score, scales[score])
            value = number(getattr(item, NATURAL_SCORES[score]))
            where = None if best is None else names[best]
            natural.append(ScoreCell(value, "data set" if where is None and shares else where))
            ratios.append(_ratio(times, getattr(item, NATURAL_SCORES[score])))
        rows.append(("Natural maximum", tuple(natural)))
        if item.verdict in (OK, WEAK):
            rows.append(("Pattern / natural", tuple(ratios)))
    return ScoreTable(tuple("Logit" if is_output else SCORES[score].capitalize() for score in scores), tuple(rows))


def _placed(value: float | None, share: Callable[[float | None], str | None] | None) -> ScoreCell:
    """A score, with its place among the images of the data set where there is one."""
    return ScoreCell(number(value), None if share is None else share(value))


def _ratio(times: float | None, natural: float | None) -> ScoreCell:
    if times is not None:
        return ScoreCell(f"{number(times)}×")
    why = None if natural is None else "natural score below 0" if natural < 0 else "natural score almost 0"
    return ScoreCell(NOT_APPLICABLE, why)


def _facts(item: PatternRecord, nouns: Nouns) -> tuple[Fact, ...]:
    return (*_strongest_facts(item, nouns), Fact("Found by", item.search))


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
    mean = "Logit" if page.layer.is_output else "Mean"
    scores = f"{mean} {number(found.activation)}, peak {number(found.peak)}"
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
