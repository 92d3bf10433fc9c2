"""Minimal patterns: images optimized by gradient descent to minimize the pre-activation of filters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from reportgen.artefacts import optimization_method
from reportgen.artefacts.base import (
    Appearance,
    Arrays,
    Artefact,
    Figures,
    LayerContents,
    LayerPage,
    LayerReader,
    Section,
)
from reportgen.artefacts.natural_maxima import NATURAL_MAXIMA
from reportgen.artefacts.patterns import PATTERNS, Patterns, Similarity, load_patterns, lost_words, missing_filters
from reportgen.artefacts.views import FigureView
from reportgen.core.numbers import plain
from reportgen.core.records import Count, RelativePath, TaskKind
from reportgen.render import patterns as grid
from reportgen.render.text import count
from reportgen.render.wording import compared_inputs

FILE, FIGURE = "minimal_patterns.npz", "minimal_patterns.png"


class MinimalPatternRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A filter's minimal pattern."""

    index: Count
    activation: float | None
    pre_activation: Annotated[float | None, Meta(description="mean before the activation function: what is minimized")]
    pre_activation_start: float | None
    natural_pre_minimum: Annotated[float | None, Meta(description="the lowest such mean on the user's images")]
    below_natural: Annotated[bool | None, Meta(description="whether pre_activation is below natural_pre_minimum")]
    restart_similarity: Similarity | None
    redirected_relu: bool
    seed: int

    @property
    def is_broken(self) -> bool:
        """Whether a score is infinite or not a number."""
        return any(value is None for value in (self.activation, self.pre_activation, self.pre_activation_start))

    @property
    def is_unmoved(self) -> bool:
        """Whether the filter responds to the image as it did to the start: then it shows nothing."""
        return not self.is_broken and self.pre_activation == self.pre_activation_start


class MinimalPatternsRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The minimal patterns of a layer."""

    array: Annotated[RelativePath, Meta(description="file of the images")]
    missing: Annotated[
        tuple[Count, ...], Meta(description="filters whose minimal pattern was planned and is not stored")
    ]
    filters: Annotated[
        tuple[MinimalPatternRecord, ...], Meta(description="in the order of `indices` in the array file")
    ]


@dataclass(frozen=True)
class MinimalPatternsView:
    """The section; `lost` names those that have not been computed."""

    figure: FigureView | None
    note: str
    lost: str | None


class MinimalPatterns(Artefact[Patterns, MinimalPatternsRecord]):
    """The images that a layer's filters respond to least."""

    name = "minimal_patterns"
    comes_late = True

    def load(self, reader: LayerReader) -> Patterns | None:
        """Read the minimal patterns, which are only shown beside patterns."""
        found = load_patterns(reader, TaskKind.MINIMAL_PATTERNS, "minimal patterns")
        if found is not None and reader[PATTERNS] is None:
            if not reader.awaits(TaskKind.PATTERNS):
                reader.lost("minimal patterns are not shown without the patterns")
            return None
        return found

    def record(self, contents: LayerContents) -> MinimalPatternsRecord | None:
        """Return the minimal patterns with their scores."""
        found, natural = contents[self], contents[NATURAL_MAXIMA]
        if found is None:
            return None
        records = []
        for row, index in enumerate(found.indices.tolist()):
            reached = plain(found.pre_activation[row])
            lowest = None if natural is None else plain(natural.pre_minimum[index])
            records.append(
                MinimalPatternRecord(
                    index=index,
                    activation=plain(found.activation[row]),
                    pre_activation=reached,
                    pre_activation_start=plain(found.pre_activation_start[row]),
                    natural_pre_minimum=lowest,
                    below_natural=None if reached is None or lowest is None else reached < lowest,
                    restart_similarity=plain(found.restart_similarity[row]),
                    redirected_relu=bool(found.redirected_relu[row]),
                    seed=found.seeds[row],
                )
            )
        missing = missing_filters(contents, TaskKind.MINIMAL_PATTERNS, found)
        return MinimalPatternsRecord(array=contents.data_path(FILE), missing=missing, filters=tuple(records))

    def draw(self, contents: LayerContents, record: MinimalPatternsRecord | None, appearance: Appearance) -> Figures:
        """Yield the grid of the minimal patterns."""
        found = contents[self]
        if found is None or record is None:
            return
        owner, owners = contents.owners
        drawn = grid.draw(
            found.images,
            found.indices,
            frozenset(position for position, item in enumerate(record.filters) if item.is_unmoved),
            frozenset(position for position, item in enumerate(record.filters) if item.is_broken),
            title=f"Minimal patterns of {contents.layer.path}",
            filters_total=contents.layer.filters_total,
            crop=found.crop,
            bands=appearance.bands,
            words=grid.Words("minimal pattern", owner, owners, "Optimization without effect"),
        )
        what = f"Optimized to minimize each {owner}'s {'logit' if contents.layer.is_output else 'pre-activation'}."
        below = below_natural(record.filters, is_output=contents.layer.is_output, noun=contents.nouns.one)
        scores = "" if below is None else f" {below}"
        yield FIGURE, replace(drawn, caption=f"{what}{scores} {drawn.caption}")

    def arrays(self, contents: LayerContents) -> dict[str, Arrays]:
        """Return the images and their filters' numbers."""
        found = contents[self]
        if found is None:
            return {}
        return {FILE: {"images": found.images, "indices": found.indices.astype(np.int32, copy=False)}}

    def section(self, page: LayerPage, record: MinimalPatternsRecord | None) -> Section | None:
        """Return the section; None where none were requested, or the layer has no patterns."""
        contents, found = page.contents, page.contents[self]
        if contents[PATTERNS] is None or not contents.planned_filters(TaskKind.MINIMAL_PATTERNS):
            return None
        lost = contents.planned_filters(TaskKind.MINIMAL_PATTERNS) if record is None else record.missing
        words = None if contents.later else lost_words(contents, sorted(lost))
        view = MinimalPatternsView(page.figure(FIGURE), _note(page, found), words)
        return Section("minimal-patterns", "Minimal patterns", "sections/minimal_patterns.html", view)


MINIMAL_PATTERNS = MinimalPatterns()


def below_natural(filters: Sequence[MinimalPatternRecord], *, is_output: bool, noun: str) -> str | None:
    """Return how many minimal patterns go below what the images reach, as a sentence.

    Args:
        filters: the records of the patterns.
        is_output: whether they are of the model's outputs.
        noun: what the model is fed.

    Returns:
        The sentence; None where there is nothing to compare.
    """
    known = [item.below_natural for item in filters if item.below_natural is not None]
    if not known:
        return None
    what = "logit" if is_output else "pre-activation"
    verb = "goes" if sum(known) == 1 else "go"
    return f"{count(sum(known))} of {count(len(known))} {verb} below the lowest {what} on the {noun}s."


def _note(page: LayerPage, found: Patterns | None) -> str:
    contents, natural = page.contents, page.contents[NATURAL_MAXIMA]
    how, score = "optimized like the patterns, but by gradient descent and on the plain mean", "mean pre-activation"
    if page.layer.is_output:
        how, score = "optimized like the patterns, but by gradient descent", "logit"
    compared = ""
    if natural is not None:
        images = compared_inputs(natural.crops, len(page.images), contents.nouns)
        compared = f"; compared with the lowest on {images}"
    tight = None if found is None else optimization_method.memory(found.recipe)
    return f"The {contents.nouns.one} with the lowest {score} found for each {contents.owners[0]}: {how}{compared}." + (
        "" if tight is None else f" {tight.capitalize()}."
    )
