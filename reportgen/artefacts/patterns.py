"""Patterns: the stored pictures of gradient ascent with their scores, their records and verdicts, their grids and their section."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from reportgen.artefacts import optimization_method
from reportgen.artefacts.base import (
    Appearance,
    Arrays,
    Artefact,
    Entry,
    Figures,
    LayerContents,
    LayerPage,
    LayerReader,
    Section,
)
from reportgen.artefacts.natural_maxima import NATURAL_MAXIMA, Natural, image_slug
from reportgen.artefacts.views import FigureView
from reportgen.core.numbers import plain
from reportgen.core.records import SEARCHES, Count, RelativePath, Search, Slug, TaskKind
from reportgen.core.verdicts import (
    CLEAR_GAIN,
    DEAD,
    NOT_COMPUTED,
    NOT_FINITE,
    SILENT,
    SKIPPED,
    VERDICTS,
    Score,
    Word,
    judge,
    prefers_strongest,
)
from reportgen.render import mosaic, palette, png
from reportgen.render import patterns as grid
from reportgen.render.figure import Figure
from reportgen.render.picture import Bands, seen
from reportgen.render.text import dimensions, named, percent, plural
from reportgen.render.wording import compared_inputs, flattened, owner_words

FILE = "patterns.npz"
FIGURE, STRIP, STRONGEST_FIGURE = "patterns.png", "strip.png", "strongest.png"
STRIP_PATTERNS = 8  # thumbnails in a row of the layer table
STRIP_PIXELS = 64  # a thumbnail's longer side; shown smaller, so that it is sharp on dense screens
SHOWN_BESIDE = 0.5  # of the strongest response: a pattern below it is shown beside the strongest picture
# Pictures beside the one that is shown: of the largest activation, of the largest peak; only where they are not the pattern.
OTHER_PICTURES = ("strongest_images", "strongest_indices", "highest_images", "highest_indices")
# More filters than this scroll in a frame of their own, and their patterns are drawn on several sheets, of which a browser decodes only
# what it shows; one figure of thousands takes hundreds of megabytes. FIGURE has them all then, small.
MOST_TILES, SHEET_PATTERNS = 256, 128
CONTACT_COLUMNS = 32
# Of the layer's largest score, as in the verdict: a reference below it is next to nothing, and a ratio to it would reach thousands.
LEAST_REFERENCE = CLEAR_GAIN
NATURAL_SCORES: dict[Score, str] = {"activation": "natural_maximum", "peak": "natural_peak"}
COMPARED = (
    "activation",
    "natural_maximum",
    "activation_start",
)  # what the mean of a pattern may be compared with, and itself
Similarity = Annotated[float, Meta(ge=-1, le=1)]


class OtherPicture(msgspec.Struct, frozen=True, kw_only=True):
    """Scores of another picture of the same filter."""

    activation: float | None
    peak: float | None
    search: Annotated[Search, Meta(description="what found it")]


class PatternRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A filter's pattern: what it reaches in the untouched model, against what, and the verdict."""

    index: Count
    label: Annotated[str | None, Meta(description="name of the class where this is the model's output")]
    verdict: Word
    above: Annotated[
        tuple[Score, ...],
        Meta(description="of an `ok`: which scores are above the natural ones, or above the start without images"),
    ]
    activation: Annotated[
        float | None,
        Meta(
            description="mean of the unit's map on the finished image, without 2 positions at each border (fewer on small maps)"
        ),
    ]
    activation_start: Annotated[float | None, Meta(description="the same of the image that the ascent started from")]
    pre_activation: Annotated[float | None, Meta(description="the same before the activation function")]
    peak: Annotated[float | None, Meta(description="largest position of the unit's map, all positions counted")]
    peak_start: float | None
    search: Annotated[Search, Meta(description="what found the image")]
    survives_warps: Annotated[
        float | None,
        Meta(
            description="share of the activation that is left in the median of warps that no search saw; null where the activation "
            "is not above 0, or the strongest image took the place of one below the user's images"
        ),
    ]
    strongest: Annotated[
        OtherPicture,
        Meta(
            description="the largest activation that any search found; its image is in `strongest_images` of the array file where "
            "it is not the pattern"
        ),
    ]
    strongest_peak: Annotated[
        OtherPicture,
        Meta(
            description="the largest peak; its image is in `peak_images` of the array file where it is neither of the two"
        ),
    ]
    best_pre_activation: Annotated[
        float | None,
        Meta(description="largest value before the activation function at any position of anything measured"),
    ]
    natural_maximum: float | None
    natural_minimum: float | None
    natural_image: Annotated[Slug | None, Meta(description="the image that reached the natural maximum")]
    natural_peak: Annotated[
        float | None,
        Meta(description="largest position on the natural images and on the images as their feature maps show them"),
    ]
    natural_peak_image: Slug | None
    restart_similarity: Annotated[
        Similarity | None,
        Meta(
            description="mean cosine similarity of the layer's other channels between the images of several starts; null for a "
            "single start or where they are all zero"
        ),
    ]
    redirected_relu: Annotated[
        bool,
        Meta(description="no gradient reached the image at first, so silent rectifiers let it pass in the first steps"),
    ]
    seed: int


class PatternsRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The patterns of a layer."""

    array: Annotated[RelativePath, Meta(description="file of the images")]
    size: Annotated[tuple[Count, ...], Meta(min_length=1, max_length=3)]
    crop: Annotated[Count, Meta(description="pixels at each side that are measured and stored but not shown")]
    steps: Count
    natural_dataset_images: Annotated[
        Count, Meta(description="images of the data set that count for natural maxima and peaks too")
    ] = 0
    natural_crops: Annotated[
        Count | None, Meta(description="natural images measured; null where patterns are compared with their start")
    ]
    recipe: Annotated[dict[str, Any], Meta(description="how the patterns were made")]
    missing: Annotated[tuple[Count, ...], Meta(description="filters whose pattern was planned and is not stored")]
    filters: Annotated[tuple[PatternRecord, ...], Meta(description="in the order of `indices` in the array file")]


@dataclass(frozen=True)
class Patterns:
    """Patterns of n filters of a layer, by ascending filter number; scores are float32 (n,), NaN where not finite.

    Attributes:
        images: uint8 (n, height, width, channels), float32 (n, steps, channels) of signals.
        indices: int32 (n,), the filters' numbers.
        search: uint8 (n,), what found each image, a position in SEARCHES.
        dead: bool (n,), whether the unit is proven dead.
        redirected_relu: bool (n,).
        strongest_activation: with the other `strongest_…` scores, of the image of the largest activation that any search found.
        highest_activation: with the other `highest_…` scores, of the image of the largest peak.
        strongest_images: (m, …), only of filters where they are not the pattern, whose numbers are in `strongest_indices`;
            likewise `highest_images`.
        seeds: of the filters.
        crop: pixels at each side that are not shown.
    """

    images: np.ndarray
    indices: np.ndarray
    activation: np.ndarray
    activation_start: np.ndarray
    pre_activation: np.ndarray
    pre_activation_start: np.ndarray
    restart_similarity: np.ndarray
    peak: np.ndarray
    peak_start: np.ndarray
    survives_warps: np.ndarray
    best_pre_activation: np.ndarray
    redirected_relu: np.ndarray
    search: np.ndarray
    dead: np.ndarray
    strongest_activation: np.ndarray
    strongest_peak: np.ndarray
    strongest_search: np.ndarray
    strongest_pre_activation: np.ndarray
    highest_activation: np.ndarray
    highest_peak: np.ndarray
    highest_search: np.ndarray
    strongest_images: np.ndarray
    strongest_indices: np.ndarray
    highest_images: np.ndarray
    highest_indices: np.ndarray
    seeds: tuple[int, ...]
    steps: int
    crop: int
    recipe: dict[str, Any]


NO_ARRAYS = ("seeds", "steps", "crop", "recipe")  # stored among the facts of a task
PATTERN_ARRAYS = tuple(field.name for field in fields(Patterns) if field.name not in (*OTHER_PICTURES, *NO_ARRAYS))


@dataclass(frozen=True)
class PatternsView:
    """The section: the grid and what must be known of it.

    Attributes:
        lost: which patterns have not been computed.
        key: what scores and ratios are.
        most_tiles: more filters than this scroll in a frame of their own.
        summary: how they were made, in one short sentence.
        method: the same with every piece of the recipe.
        parameters: the same with every number, by name.
        by_label: whether filters can be searched by labels of a data set.
    """

    figure: FigureView | None
    note: str
    lost: str | None
    key: str
    most_tiles: int
    summary: str | None
    method: str | None
    parameters: tuple[tuple[str, str], ...]
    by_label: bool


class PatternArtefact(Artefact[Patterns, PatternsRecord]):
    """Images optimized to maximize the activation of a layer's filters."""

    name = "patterns"
    comes_late = True

    def load(self, reader: LayerReader) -> Patterns | None:
        """Read the patterns; those below the user's images give way to the strongest image where that one is not."""
        natural = reader[NATURAL_MAXIMA]
        found = load_patterns(reader, TaskKind.PATTERNS, "patterns")
        return found if found is None or natural is None else above_natural(found, natural)

    def record(self, contents: LayerContents) -> PatternsRecord | None:
        """Return the patterns with their scores and verdicts."""
        found, natural = contents[self], contents[NATURAL_MAXIMA]
        if found is None:
            return None
        return PatternsRecord(
            array=contents.data_path(FILE),
            size=found.images.shape[1:-1],
            crop=found.crop,
            steps=found.steps,
            natural_crops=None if natural is None else natural.crops,
            natural_dataset_images=0 if natural is None else natural.dataset_images,
            recipe=found.recipe,
            missing=missing_filters(contents, TaskKind.PATTERNS, found),
            filters=pattern_records(
                found,
                natural,
                rectified=contents.layer.rectified,
                images=[image.slug for image in contents.plan.images],
                labels={index: contents.label(index) for index in found.indices.tolist()},
            ),
        )

    def draw(self, contents: LayerContents, record: PatternsRecord | None, appearance: Appearance) -> Figures:
        """Yield the grid of the patterns, thumbnails, and the strongest images of filters whose pattern is far from them."""
        found, bands = contents[self], appearance.bands
        if found is None or record is None:
            return
        words = [item.verdict for item in record.filters]
        flat = frozenset(position for position, word in enumerate(words) if word in (DEAD, SILENT))
        broken = frozenset(position for position, word in enumerate(words) if word == NOT_FINITE)
        total = len(found.images)
        for name, sheet in _sheets(total):
            yield (
                name,
                grid.draw(
                    found.images[sheet.start : sheet.stop],
                    found.indices[sheet.start : sheet.stop],
                    frozenset(row - sheet.start for row in flat if row in sheet),
                    frozenset(row - sheet.start for row in broken if row in sheet),
                    title=f"Patterns of {contents.layer.path}",
                    filters_total=contents.layer.filters_total,
                    crop=found.crop,
                    bands=bands,
                    words=grid.Words("pattern", *contents.owners, "Dead or silent"),
                ),
            )
        if total > MOST_TILES:
            yield FIGURE, _small(contents, found, range(total), flat, broken, bands, CONTACT_COLUMNS)
        count = min(STRIP_PATTERNS, total)
        spaced = [round(position) for position in np.linspace(0, total - 1, count)]
        yield STRIP, _small(contents, found, spaced, flat, broken, bands, count)
        rows = _rows_far_from_strongest(found, record)
        if rows:
            yield (
                STRONGEST_FIGURE,
                grid.draw(
                    found.strongest_images[rows],
                    found.strongest_indices[rows],
                    title=f"Strongest responses of {contents.layer.path}",
                    filters_total=contents.layer.filters_total,
                    bands=bands,
                    words=grid.Words(f"strongest {contents.nouns.one}", *contents.owners),
                ),
            )

    def arrays(self, contents: LayerContents) -> dict[str, Arrays]:
        """Return the images and their filters' numbers, and the strongest images and those of the highest peaks."""
        found = contents[self]
        if found is None:
            return {}
        arrays = {
            "images": found.images,
            "indices": found.indices.astype(np.int32, copy=False),
            "strongest_images": found.strongest_images,
            "strongest_indices": found.strongest_indices.astype(np.int32),
            "peak_images": found.highest_images,
            "peak_indices": found.highest_indices.astype(np.int32),
        }
        return {FILE: arrays}

    def section(self, page: LayerPage, record: PatternsRecord | None) -> Section | None:
        """Return the section; None for pooling layers."""
        if page.layer.is_pooling:
            return None
        found = page.contents[self]
        view = PatternsView(
            figure=page.figure(FIGURE),
            note=_note(page, record),
            lost=None if record is None or page.contents.later else lost_words(page.contents, record.missing),
            key=_key(page, record),
            most_tiles=MOST_TILES,
            summary=None if found is None else optimization_method.summary(found.recipe, rank=found.images.ndim - 2),
            method=None if found is None else method_words(page.contents, found),
            parameters=() if record is None else flattened(record.recipe),
            by_label=page.contents.plan.dataset is not None and bool(page.contents.plan.dataset.labels),
        )
        planned = page.contents.planned_filters(TaskKind.PATTERNS) or not page.contents.plan.layer_tasks(
            page.layer.slug, TaskKind.RESPONSES
        )
        return Section("patterns", "Patterns" if planned else "Filters", "sections/patterns.html", view)


PATTERNS = PatternArtefact()


def load_patterns(reader: LayerReader, kind: TaskKind, what: str) -> Patterns | None:
    """Read and join the stored chunks of a layer's patterns.

    Args:
        reader: of the layer.
        kind: of the tasks.
        what: what they are called where some are missing.

    Returns:
        The patterns by ascending filter number; None where none is stored.
    """
    tasks = reader.tasks(kind)
    entries: list[Entry] = []
    for task in tasks:
        entry = reader.entry(task, (*PATTERN_ARRAYS, *OTHER_PICTURES))
        if entry is None or any(len(entry[0][name]) != len(entry[1].get("seeds", ())) for name in PATTERN_ARRAYS):
            continue
        if not entries or entry[0]["images"].shape[1:] == entries[0][0]["images"].shape[1:]:
            entries.append(entry)
    planned = sum(len(task.filters) for task in tasks)
    computed = sum(len(arrays["indices"]) for arrays, _ in entries)
    if computed < planned:
        share = f"{planned - computed} of {plural(planned, *owner_words(reader.layer.is_output))}"
        if reader.awaits(kind):
            reader.later(f"{what} of {share} are not yet computed")
        else:
            reader.lost(f"{what} of {share} are not computed", tasks)
    return joined_patterns(entries) if entries else None


def joined_patterns(entries: Sequence[Entry]) -> Patterns:
    """Return the patterns of several stored tasks, arrays and facts, by ascending filter number."""
    joined = {name: np.concatenate([arrays[name] for arrays, _ in entries]) for name in PATTERN_ARRAYS}
    others = {name: np.concatenate([arrays[name] for arrays, _ in entries]) for name in OTHER_PICTURES}
    order = np.argsort(joined["indices"], kind="stable")
    seeds = [int(seed) for _, facts in entries for seed in facts["seeds"]]
    # Where memory ran out during the run, the smaller batch is reported.
    facts = min((facts for _, facts in entries), key=lambda facts: facts.get("recipe", {}).get("batch", 0))
    return Patterns(
        **{name: array[order] for name, array in joined.items()},
        **others,
        seeds=tuple(seeds[position] for position in order),
        steps=int(facts.get("steps", 0)),
        crop=int(facts.get("crop", 0)),
        recipe=dict(facts.get("recipe", {})),
    )


def above_natural(found: Patterns, natural: Natural) -> Patterns:
    """Return `found`, of which patterns below the user's images give way to the strongest image where that one is not."""
    chosen = prefers_strongest(
        found.activation,
        found.peak,
        found.strongest_activation,
        found.strongest_peak,
        natural.maximum[found.indices],
        natural.peak[found.indices],
    )
    if not chosen.any():
        return found
    changed: dict[str, Any] = {
        name: np.where(chosen, getattr(found, f"strongest_{name}"), getattr(found, name))
        for name in ("activation", "pre_activation", "peak", "search")
    }
    unknown = np.float32(np.nan)  # survival under warps was measured of the readable image alone
    changed["survives_warps"] = np.where(chosen, unknown, found.survives_warps)
    images, places = found.images.copy(), {int(number): at for at, number in enumerate(found.strongest_indices)}
    for row in np.flatnonzero(chosen):
        place = places.get(int(found.indices[row]))
        if place is not None:  # else the strongest image is the one that is shown, measured again within rounding
            images[row] = found.strongest_images[place]
    kept = [at for number, at in places.items() if number not in set(found.indices[chosen].tolist())]
    for name in ("strongest_images", "strongest_indices"):
        changed[name] = getattr(found, name)[kept]
    return replace(found, images=images, **changed)


def pattern_records(
    found: Patterns,
    natural: Natural | None,
    *,
    rectified: bool,
    images: Sequence[str] = (),
    labels: Mapping[int, str | None] | None = None,
) -> tuple[PatternRecord, ...]:
    """Return the record of each pattern, in the order of `found.indices`.

    Args:
        found: the patterns.
        natural: the layer's scores on the user's images; None without images.
        rectified: whether the unit returns exactly 0 for every negative number.
        images: slugs of the user's images, in the order that `natural` counts them.
        labels: names of classes by filter number, where these are the model's outputs.
    """
    verdicts = judge(
        activation=found.activation,
        activation_start=found.activation_start,
        peak=found.peak,
        response=np.fmax(np.fmax(found.strongest_activation, found.highest_peak), found.peak_start),
        indices=found.indices,
        natural_maximum=None if natural is None else natural.maximum,
        natural_peak=None if natural is None else natural.peak,
        rectified=rectified,
        dead=found.dead,
    )
    return tuple(
        PatternRecord(
            index=index,
            label=None if labels is None else labels.get(index),
            verdict=verdict.word,
            above=verdict.by,
            activation=plain(found.activation[row]),
            activation_start=plain(found.activation_start[row]),
            pre_activation=plain(found.pre_activation[row]),
            peak=plain(found.peak[row]),
            peak_start=plain(found.peak_start[row]),
            search=SEARCHES[int(found.search[row])],
            survives_warps=plain(found.survives_warps[row]),
            strongest=_other(found, "strongest", row),
            strongest_peak=_other(found, "highest", row),
            best_pre_activation=plain(
                found.best_pre_activation[row]
                if natural is None
                else np.fmax(found.best_pre_activation[row], natural.pre_peak[index])
            ),
            natural_maximum=None if natural is None else plain(natural.maximum[index]),
            natural_minimum=None if natural is None else plain(natural.minimum[index]),
            natural_image=None if natural is None else image_slug(images, natural.best_image, natural.maximum, index),
            natural_peak=None if natural is None else plain(natural.peak[index]),
            natural_peak_image=None if natural is None else image_slug(images, natural.peak_image, natural.peak, index),
            restart_similarity=plain(found.restart_similarity[row]),
            redirected_relu=bool(found.redirected_relu[row]),
            seed=found.seeds[row],
        )
        for row, (index, verdict) in enumerate(zip(found.indices.tolist(), verdicts, strict=True))
    )


def verdict_counts(contents: LayerContents, record: PatternsRecord | None) -> dict[str, int]:
    """Return how often each verdict falls on the shown filters; NOT_COMPUTED counts patterns that the store lacks."""
    found = () if record is None else record.filters
    counts = Counter(item.verdict for item in found)
    planned = contents.planned_filters(TaskKind.PATTERNS)
    skipped = len(set(contents.layer.filters_shown) - set(planned))
    return {str(word): counts[word] for word in VERDICTS} | {
        str(SKIPPED): skipped,
        NOT_COMPUTED: len(planned) - len(found),
    }


def missing_filters(contents: LayerContents, kind: TaskKind, found: Patterns) -> tuple[int, ...]:
    """Return the filters whose pattern was planned and is not stored."""
    return tuple(sorted(set(contents.planned_filters(kind)) - set(found.indices.tolist())))


def pattern_place(total: int, row: int) -> tuple[str, int]:
    """Return the figure that has a pattern pixel for pixel, and its place there.

    Args:
        total: number of the layer's patterns.
        row: of the pattern among them.
    """
    return next((name, row - rows.start) for name, rows in _sheets(total) if row in rows)


def layer_scale(record: PatternsRecord | None, scores: Sequence[str]) -> float:
    """Return the largest magnitude of some scores over a layer's patterns; 0 where none is known.

    Args:
        record: of a layer's patterns.
        scores: names of fields of `PatternRecord`.
    """
    known = (getattr(item, name) for item in (() if record is None else record.filters) for name in scores)
    return max((abs(value) for value in known if value is not None), default=0.0)


def times_natural(item: PatternRecord, score: Score, scale: float) -> float | None:
    """Return how many times its natural score a pattern reaches; None where that is not above LEAST_REFERENCE of the layer's scale.

    Args:
        item: the pattern.
        score: the mean (`activation`) or the peak.
        scale: of the layer, see `layer_scale`.
    """
    reached, natural = getattr(item, score), getattr(item, NATURAL_SCORES[score])
    if reached is None or natural is None or natural <= LEAST_REFERENCE * scale:
        return None
    return plain(reached / natural)


def share_of_strongest(item: PatternRecord) -> float | None:
    """Return a pattern's share of the strongest response that any search found; None where that is not above 0."""
    reached, strongest = item.activation, item.strongest.activation
    return None if reached is None or strongest is None or strongest <= 0 else plain(reached / strongest)


def is_far_from_strongest(item: PatternRecord) -> bool:
    """Return whether the strongest image is to be shown beside the pattern."""
    share = share_of_strongest(item)
    return share is not None and share < SHOWN_BESIDE


def strongest_filters(found: Patterns, record: PatternsRecord) -> tuple[int, ...]:
    """Return the filters in the figure of the strongest images, in its order."""
    return tuple(int(found.strongest_indices[row]) for row in _rows_far_from_strongest(found, record))


def against_images(record: PatternsRecord | None) -> bool | None:
    """Return whether verdicts compare patterns with the user's images, or with their start; None without patterns."""
    return None if record is None else record.natural_crops is not None


def lost_words(contents: LayerContents, lost: Sequence[int]) -> str | None:
    """Return which patterns are not in the store, as a sentence; None where all are."""
    numbers = ", ".join(str(index) for index in lost)
    return f"Not computed: {plural(len(lost), *contents.owners)} ({numbers})." if lost else None


def method_words(contents: LayerContents, found: Patterns) -> str | None:
    """Return how patterns were made, in one sentence; None where the recipe is not known."""
    return optimization_method.sentence(
        found.recipe,
        bands=found.images.shape[-1],
        rank=found.images.ndim - 2,
        crop=found.crop,
        size=found.images.shape[1:-1],
        rectified=contents.layer.rectified,
        is_output=contents.layer.is_output,
    )


def channels_drawn(found: Patterns, bands: Bands | None) -> str | None:
    """Return how the channels of a pattern are drawn, as a clause, where not in their own gray or colors."""
    return seen(found.images[:1], bands).bands


def _other(found: Patterns, other: str, row: int) -> OtherPicture:
    return OtherPicture(
        activation=plain(getattr(found, f"{other}_activation")[row]),
        peak=plain(getattr(found, f"{other}_peak")[row]),
        search=SEARCHES[int(getattr(found, f"{other}_search")[row])],
    )


def _rows_far_from_strongest(found: Patterns, record: PatternsRecord) -> list[int]:
    far = {item.index for item in record.filters if is_far_from_strongest(item)}
    return [row for row, index in enumerate(found.strongest_indices.tolist()) if index in far]


def _sheets(total: int) -> list[tuple[str, range]]:
    """The figures that have the patterns pixel for pixel, and the rows of `Patterns` that each has."""
    if total <= MOST_TILES:
        return [(FIGURE, range(total))]
    starts = range(0, total, SHEET_PATTERNS)
    stem, _, suffix = FIGURE.rpartition(".")
    return [
        (f"{stem}-{number}.{suffix}", range(start, min(start + SHEET_PATTERNS, total)))
        for number, start in enumerate(starts, start=1)
    ]


def _small(
    contents: LayerContents,
    found: Patterns,
    rows: Sequence[int],
    flat: frozenset[int],
    broken: frozenset[int],
    bands: Bands | None,
    columns: int,
) -> Figure:
    """Some patterns by their rows in `found`, at most STRIP_PIXELS long: only here are patterns ever shrunk."""
    view = seen(found.images[list(rows)], bands, crop=found.crop, width=STRIP_PIXELS)
    small = np.stack([mosaic.shrunk(pixels, STRIP_PIXELS) for pixels in view.pixels])
    tiles = mosaic.choose_tiles(len(rows), *small.shape[1:3], columns=columns, smallest=STRIP_PIXELS)
    picture = mosaic.compose(small, tiles, palette.GRAYS[palette.GAP])
    mosaic.fill(picture, tiles, [place for place, row in enumerate(rows) if row in flat], palette.GRAYS[palette.FLAT])
    hatched = [place for place, row in enumerate(rows) if row in broken]
    mosaic.hatch(picture, tiles, hatched, palette.GRAYS[palette.BROKEN], palette.GRAYS[palette.BROKEN_LINE])
    numbers = named([int(found.indices[row]) for row in rows])
    alt = f"Patterns of {contents.owners[1]} {numbers} of {contents.layer.path}, small"
    alt = alt if view.bands is None else f"{alt}: {view.bands}"
    caption = f"{plural(len(rows), 'pattern')} of {dimensions(found.images.shape[1:-1])}, at most {STRIP_PIXELS} pixels long here."
    return Figure(png.encode(picture), tiles, caption, alt, None)


def _note(page: LayerPage, record: PatternsRecord | None) -> str:
    """What the patterns are, and what they are compared with."""
    contents, is_output = page.contents, page.layer.is_output
    if record is None and contents.later:
        return "Not yet computed."
    if record is None:
        what = "the model's outputs" if is_output else "this layer"
        planned = contents.planned_filters(TaskKind.PATTERNS)
        return (
            "The patterns have not been computed; run `reportgen build` again."
            if planned
            else f"No patterns were computed for {what}.{_of_data(contents)}"
        )
    nouns = contents.nouns
    compared = f"its initial {nouns.one}"
    if record.natural_crops is not None:
        compared = compared_inputs(record.natural_crops, len(page.images), nouns, record.natural_dataset_images)
    what, meaning = "Activation-maximizing", ""
    if is_output:
        what = "Logit-maximizing"
        meaning = f" A pattern shows what raises a class's logit, not what {nouns.one}s of that class look like."
    return (
        f"{what} {nouns.one}s: {plural(record.steps, 'gradient-ascent step')} at {dimensions(record.size)}, each compared "
        f"with {compared}.{meaning}"
    )


def _of_data(contents: LayerContents) -> str:
    """What tiles show instead of patterns."""
    if not contents.plan.layer_tasks(contents.layer.slug, TaskKind.EXEMPLARS):
        return ""
    nouns = contents.nouns
    return (
        f" Each tile is the {nouns.part} of the data set’s {nouns.one}s with the largest peak; a gray one is of a "
        f"{contents.owners[0]} that none of them activates."
    )


def _key(page: LayerPage, record: PatternsRecord | None) -> str:
    """What the scores of cards are, and when there is no ratio."""
    if record is None:
        return ""
    one, restarts = page.contents.nouns.one, _similarity(page.contents, record)
    what = (
        "A class has one value, its logit."
        if page.layer.is_output
        else "Mean: of the filter’s map without its border. Peak: its largest value."
    )
    if record.natural_crops is None:
        return f"{what} Bar: mean of the pattern, from zero; ○ initial {one}. Each bar has its own scale.{restarts}"
    return (
        f"{what} Natural maximum: the largest on the {one}s and their {page.contents.nouns.part}s; ratios to less than "
        f"{percent(LEAST_REFERENCE)} of the layer’s largest score are n/a. Bar: {'logit' if page.layer.is_output else 'mean'} of the "
        f"pattern, from zero; ○ initial {one}, ▾ natural maximum. Each bar has its own scale.{restarts}"
    )


def _similarity(contents: LayerContents, record: PatternsRecord) -> str:
    restarts = int(record.recipe.get("restarts", 1))
    if restarts == 1:
        return ""
    owner, owners = contents.owners
    others = f"the other {owners}" if contents.layer.is_output else f"the layer's other {owners}"
    parts = "classes" if contents.layer.is_output else "features"
    return (
        f" Each {owner} was optimized from {restarts} random initializations, and the best {contents.nouns.one} is kept. The similarity "
        f"between restarts is the mean cosine similarity of the activations of {others}: 1 where every restart led to the same "
        f"mixture of {parts}."
    )
