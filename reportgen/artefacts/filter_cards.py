"""One card a shown filter: its pattern, its kernel, its maps and its figures side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reportgen.core.verdicts import DEAD, OK, SILENT, SKIPPED
from reportgen.render.text import OF_IMAGES, Nouns, figure, listed, percent, plural, ratio, span
from reportgen.artefacts import initial_weights as movement
from reportgen.render.charts import Gauge, gauge
from reportgen.core.numbers import Document, plain
from reportgen.artefacts.weights import LayerPictures, Picture
from reportgen.artefacts.patterns import (
    NOT_COMPUTED,
    against_images,
    is_broken,
    is_unmoved,
    share_of_strongest,
)
from reportgen.artefacts.base import StoredLayer
from reportgen.artefacts.views import Cut, Fact, Keys, Verdict, cut, known_keys, verdict_view
from reportgen.render.wording import owner_words

PATTERN_PIXELS = 160  # longer side on a card, CSS pixels
NEGATIVE_PIXELS = 112
KERNEL_PIXELS = 56
FRAGILE = 0.1  # of the activation: a pattern that keeps less under small warps answers to exact pixels
MAP_PIXELS = 56
KERNEL_ROW = 16  # slices of a kernel in one row of a card
KERNEL_ROWS = 4  # rows before a card says how many slices it leaves to the weight grid
KERNEL_ROW_PIXELS = 240  # width of a full row, CSS pixels
ANCHOR_DIGITS = 3
RESCUED = "No gradient reached this {} at first, so silent rectifiers were opened for it."


@dataclass(frozen=True)
class MapCut:
    """A filter's map on one image. range: of its values."""

    name: str
    range: str
    cut: Cut


@dataclass(frozen=True)
class Negative:
    """What a filter answers least to. notes: what must be known of the picture."""

    title: str
    picture: Cut | None
    facts: tuple[Fact, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Strongest:
    """The picture of the strongest response, where the pattern is far from it. note: what it reaches and how it was found."""

    picture: Cut
    note: str


@dataclass(frozen=True)
class Card:
    """One filter. label: the class it stands for. headline: how far the pattern went.

    meaning: of a verdict that asks for an explanation. notes: what must be known of how the pattern was found.
    keys: what scripts find, filter and order it by, as (name, value).
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
    negative: Negative | None
    kernel: tuple[Cut, ...]
    kernel_note: str | None
    maps: tuple[MapCut, ...]
    keys: Keys


def cards(
    stored: StoredLayer, facts: Document, drawn: LayerPictures, images: Sequence[Document], root: str
) -> tuple[Card, ...]:
    """The cards of a layer in the order of `filters_shown`.

    facts: its entry of report.json; images: that of all images.
    """
    patterns = facts["patterns"] or {"filters": (), "negative": None, "recipe": {}}
    found = {item["index"]: (place, item) for place, item in enumerate(patterns["filters"])}
    owner, restarts = owner_words(stored.layer.is_output)[0], int(patterns["recipe"].get("restarts", 1))
    names = {image["slug"]: image["name"] for image in images}
    planned, natural = set(stored.planned_filters), against_images(facts["patterns"]) is True
    made = []
    for index in stored.layer.filters_shown:
        place, item = found.get(index, (None, None))
        kernel, note = _kernel(drawn, index, root)
        verdict = _verdict(item, index in planned, natural, owner, stored.nouns.one)
        made.append(
            Card(
                anchor=anchor(index),
                title=f"{owner.capitalize()} {index}",
                label=stored.label(index),
                verdict=verdict,
                pattern=_pattern(drawn, drawn.patterns, place, f"Pattern of {owner} {index}", PATTERN_PIXELS, root),
                headline=None if item is None else _headline(item),
                meaning=None if item is None or verdict.word == OK else verdict.meaning,
                notes=() if item is None else (*_silence(item), *_search_notes(item, restarts, stored.nouns)),
                gauge=None
                if item is None
                else gauge(item["activation"], item["activation_start"], item["natural_maximum"]),
                facts=(() if item is None else _facts(item, names, stored.nouns))
                + movement.card_fact(facts["initial"], index),
                strongest=None if item is None else _strongest_picture(drawn, item, owner, stored.nouns, root),
                negative=_negative(stored, patterns["negative"], drawn, index, owner, restarts, root),
                kernel=kernel,
                kernel_note=note,
                maps=_maps(drawn, index, root),
                keys=_keys(index, stored.label(index), verdict, item),
            )
        )
    return tuple(made)


def anchor(index: int) -> str:
    """The stable anchor of a filter on its layer's page: `f017`."""
    return f"f{index:0{ANCHOR_DIGITS}d}"


def orders(patterns: Document | None) -> tuple[tuple[str, str], ...]:
    """How a layer's cards can be ordered, as (key and direction, words). patterns: of its entry of report.json."""
    found = [("index up", "by number")]
    if patterns is not None:
        found += [("activation down", "largest activation first"), ("activation up", "smallest activation first")]
    if against_images(patterns):
        found += [
            ("times down", "furthest above the natural maximum"),
            ("times up", "least above the natural maximum"),
        ]
    return tuple(found)


def _keys(index: int, label: str | None, verdict: Verdict, item: Document | None) -> Keys:
    reached, natural = (None, None) if item is None else (item["activation"], item["natural_maximum"])
    return known_keys(
        words=str(index) if label is None else f"{index} {label}",
        verdict=verdict.key,
        index=index,
        activation=reached,
        times=None if reached is None or natural is None or natural <= 0 else plain(reached / natural),
    )


def _verdict(item: Document | None, planned: bool, natural: bool, owner: str, noun: str) -> Verdict:
    if item is None:
        return verdict_view(NOT_COMPUTED if planned else SKIPPED, images=natural, owner=owner, noun=noun)
    return verdict_view(item["verdict"], images=natural, owner=owner, noun=noun)


def _headline(item: Document) -> Fact | None:
    reached, natural, start = item["activation"], item["natural_maximum"], item["activation_start"]
    if reached is None:
        return None
    if item["above"] == ["peak"]:
        times = ratio(item["peak"], item["natural_peak"])
        if times is not None:
            return Fact("of the natural peak", times)
    times = ratio(reached, natural) if reached > 0 else None
    if times is not None:
        return Fact("of the natural maximum", times)
    if natural is not None and reached > natural:
        return Fact("above the natural maximum", figure(reached - natural))
    if natural is None and start is not None and reached > start:
        return Fact("above its start", figure(reached - start))
    return None


def _facts(item: Document, names: dict[str, str], nouns: Nouns) -> tuple[Fact, ...]:
    return (
        Fact("Start", figure(item["activation_start"]), note=_peak(item["peak_start"])),
        Fact("Reached", figure(item["activation"]), note=_peak(item["peak"])),
        *_natural(item, "natural_maximum", "natural_image", "Natural maximum", names),
        *_natural(item, "natural_peak", "natural_peak_image", "Natural peak", names),
        *_strongest_facts(item, nouns),
        Fact("Found by", item["search"]),
        Fact("Seed", str(item["seed"])),
    )


def _peak(value: float | None) -> str | None:
    return None if value is None else f"peak {figure(value)}"


def _natural(item: Document, name: str, image: str, term: str, names: dict[str, str]) -> tuple[Fact, ...]:
    """What the user's images reach; nothing where there are none."""
    value, best = item[name], item[image]
    if value is None and best is None:
        return ()
    return (Fact(term, figure(value), note=None if best is None else f"on {names[best]}"),)


def _strongest_facts(item: Document, nouns: Nouns) -> tuple[Fact, ...]:
    """The pattern's share of the strongest response that any search found, and how it stands small warps."""
    share, left = share_of_strongest(item), item["survives_warps"]
    strongest = item["strongest"]
    found = f"of {figure(strongest['activation'])}, by {strongest['search']}"
    return (
        *(() if share is None else (Fact("Of the strongest", percent(share), note=found),)),
        *(() if left is None else (Fact("Left under warps", percent(left), note=_fragile(left, nouns)),)),
    )


def _fragile(left: float, nouns: Nouns) -> str | None:
    exact = "pixel-exact" if nouns == OF_IMAGES else "exact"
    return f"responds only to {exact} {nouns.made}s" if left < FRAGILE else None


def _strongest_picture(drawn: LayerPictures, item: Document, owner: str, nouns: Nouns, root: str) -> Strongest | None:
    """The picture of the strongest response, where the pattern is far from it."""
    index, found = item["index"], item["strongest"]
    if drawn.strongest is None or index not in drawn.strongest_filters:
        return None
    place, label = (
        drawn.strongest_filters.index(index),
        f"{nouns.made.capitalize()} of the strongest response of {owner} {index}",
    )
    picture = cut(drawn.strongest, root, drawn.strongest.tiles.box(place), NEGATIVE_PIXELS, label)
    note = (
        f"Activation {figure(found['activation'])}, peak {figure(found['peak'])}, by {found['search']} without warps."
    )
    return Strongest(picture, note)


def _silence(item: Document) -> tuple[str, ...]:
    """How near to answering a filter came that does not."""
    nearest = item["best_pre_activation"]
    if item["verdict"] not in (SILENT, DEAD) or nearest is None:
        return ()
    return (f"The largest value before the activation function, at any position of anything tried: {figure(nearest)}.",)


def _search_notes(item: Document, restarts: int, nouns: Nouns) -> tuple[str, ...]:
    """How one picture was found."""
    restart_similarity = "not defined" if item["restart_similarity"] is None else figure(item["restart_similarity"])
    return (
        *((f"{restarts} starts, likeness {restart_similarity}.",) if restarts > 1 else ()),
        *((RESCUED.format(nouns.made),) if item["redirected_relu"] else ()),
    )


def _pattern(
    drawn: LayerPictures, picture: Picture | None, place: int | None, label: str, pixels: int, root: str
) -> Cut | None:
    if picture is None or place is None:
        return None
    whole = label if drawn.bands is None else f"{label}: {drawn.bands}"
    return cut(picture, root, picture.tiles.box(place), pixels, whole)


def _negative(
    stored: StoredLayer,
    negative: Document | None,
    drawn: LayerPictures,
    index: int,
    owner: str,
    restarts: int,
    root: str,
) -> Negative | None:
    """What a filter answers least to; None where that was not asked for, or the layer has no pattern at all."""
    if stored.patterns is None or index not in stored.planned_negatives:
        return None
    title = "Negative: answered least" + ("" if stored.layer.is_output else ", before the activation function")
    entries = {item["index"]: (place, item) for place, item in enumerate(negative["filters"] if negative else ())}
    if index not in entries:
        return Negative(title, None, (), ("Not computed.",))
    place, item = entries[index]
    lowest = item["natural_pre_minimum"]
    return Negative(
        title,
        _pattern(drawn, drawn.negatives, place, f"Negative pattern of {owner} {index}", NEGATIVE_PIXELS, root),
        (
            Fact("Start", figure(item["pre_activation_start"])),
            Fact("Reached", figure(item["pre_activation"])),
            *(() if lowest is None else (Fact(f"Lowest on {stored.nouns.one}s", figure(lowest)),)),
            Fact("Seed", str(item["seed"])),
        ),
        (*_negative_notes(item, owner, stored.nouns), *_search_notes(item, restarts, stored.nouns)),
    )


def _negative_notes(item: Document, owner: str, nouns: Nouns) -> tuple[str, ...]:
    """What the figures of a negative pattern say."""
    if is_broken(item):
        return ("A figure behind it is infinite or not a number.",)
    if is_unmoved(item):
        return (f"The {owner} answers it exactly as its start, so the {nouns.made} shows nothing.",)
    notes = [] if item["pre_activation"] < item["pre_activation_start"] else ["Nothing below its start was found."]
    if item["below_natural"] is not None:
        below = "Below" if item["below_natural"] else "Not below"
        notes.append(f"{below} the lowest on the {nouns.one}s.")
    return tuple(notes)


def _kernel(drawn: LayerPictures, index: int, root: str) -> tuple[tuple[Cut, ...], str | None]:
    picture, layout = drawn.weights, drawn.kernel
    if picture is None or layout is None:
        return (), None
    if drawn.pointwise is not None and drawn.pointwise_layout is not None:
        picture, layout = drawn.pointwise, drawn.pointwise_layout
    tiles = layout.filter_tiles(index)
    if not tiles:
        return (), "its pointwise kernel is not drawn"
    if layout.channels is not None:
        return _strongest(picture, layout.channels[index].tolist(), tiles, index, root)
    if len(tiles) == 1:
        return (cut(picture, root, picture.tiles.box(tiles[0]), KERNEL_PIXELS, f"Kernel of filter {index}"),), None
    shown = tiles[: KERNEL_ROW * KERNEL_ROWS]
    rows = [shown[first : first + KERNEL_ROW] for first in range(0, len(shown), KERNEL_ROW)]
    pixels = KERNEL_ROW_PIXELS // min(KERNEL_ROW, len(tiles))
    cuts = []
    for number, row in enumerate(rows):
        x, y, _, height = picture.tiles.box(row[0])
        last, _, width, _ = picture.tiles.box(row[-1])
        first = number * KERNEL_ROW
        label = f"Kernel of filter {index}, input channels {first} to {first + len(row) - 1}"
        cuts.append(cut(picture, root, (x, y, last + width - x, height), min(pixels, KERNEL_PIXELS) * len(row), label))
    left = len(tiles) - len(shown)
    return tuple(
        cuts
    ), f"{len(shown)} of {plural(len(tiles), 'input channel')}; all are in the weight grid" if left else None


def _strongest(
    picture: Picture, channels: list[int], tiles: range, index: int, root: str
) -> tuple[tuple[Cut, ...], str | None]:
    """The slices of a filter that weigh most, as the weight grid has them."""
    x, y, _, height = picture.tiles.box(tiles[0])
    last, _, width, _ = picture.tiles.box(tiles[-1])
    numbers = listed([str(channel) for channel in channels])
    label = f"Kernel of filter {index}, input channels {numbers}"
    pixels = min(KERNEL_ROW_PIXELS // len(channels), KERNEL_PIXELS) * len(channels)
    note = f"the strongest first: input channels {numbers}; all are in the data file"
    return (cut(picture, root, (x, y, last + width - x, height), pixels, label),), note


def _maps(drawn: LayerPictures, index: int, root: str) -> tuple[MapCut, ...]:
    made = []
    for maps in drawn.maps:
        if maps.after is not None and index < maps.after.tiles.count:
            low, high = (float(end) for end in maps.ranges[index])
            label = f"Map of filter {index} on {maps.image.name}"
            piece = cut(maps.after, root, maps.after.tiles.box(index), MAP_PIXELS, label)
            made.append(MapCut(maps.image.name, span(low, high), piece))
    return tuple(made)
