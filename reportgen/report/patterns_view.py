"""The part of a layer's page that shows its patterns, how they were made, and the negative ones."""

from __future__ import annotations

from dataclasses import dataclass

from reportgen.render.text import dimensions, plural
from reportgen.report import recipe_words
from reportgen.report.documents import Document
from reportgen.report.layer_figures import LayerPictures
from reportgen.report.pattern_facts import against_images
from reportgen.report.stored import Patterns, StoredLayer
from reportgen.report.views import FigureView, figure_view
from reportgen.report.wording import compared_pictures, flattened, owner_words


@dataclass(frozen=True)
class NegativesView:
    """What filters answer least to. lost: which of them are not in the store."""

    figure: FigureView | None
    note: str
    lost: str | None


@dataclass(frozen=True)
class PatternsView:
    """The grid and what must be known of it. recipe: in words; pieces: the same with every number, by name.

    lost: which patterns are not in the store. negatives: None where none were asked for, or none can be shown.
    """

    figure: FigureView | None
    note: str
    lost: str | None
    recipe: str | None
    pieces: tuple[tuple[str, str], ...]
    negatives: NegativesView | None


def patterns_view(
    stored: StoredLayer, facts: Document | None, drawn: LayerPictures, images: int, root: str
) -> PatternsView:
    """The view of a layer's patterns. facts: `patterns` of its entry of report.json; images: how many there are."""
    return PatternsView(
        figure=None if drawn.patterns is None else figure_view(drawn.patterns, root),
        note=_note(stored, facts, images),
        lost=_lost(stored, stored.planned_filters, stored.patterns) if facts else None,
        recipe=None if stored.patterns is None else _recipe(stored, stored.patterns),
        pieces=flattened(facts["recipe"]) if facts else (),
        negatives=_negatives(stored, drawn, images, root) if facts and stored.planned_negatives else None,
    )


def _note(stored: StoredLayer, patterns: Document | None, images: int) -> str:
    if patterns is None:
        what = "the model's outputs" if stored.layer.is_output else "this layer"
        return "No pattern is in the store." if stored.planned_filters else f"No patterns were made for {what}."
    nouns = stored.nouns
    compared = (
        compared_pictures(patterns["natural_crops"], images, nouns)
        if against_images(patterns)
        else f"the {nouns.one} it started from"
    )
    whom = "raise the logit of each class" if stored.layer.is_output else "excite each filter"
    meaning = (
        f"A pattern shows what raises a class's logit, not what {nouns.one}s of that class look like."
        if stored.layer.is_output
        else "A pattern shows what excites a filter, not what the filter is for."
    )
    return (
        f"The {nouns.one}s that {whom} most, found by {plural(patterns['steps'], 'step')} of gradient ascent at "
        f"{dimensions(patterns['size'])}, each compared with {compared}. {meaning}{_likeness(stored, patterns)}"
    )


def _likeness(stored: StoredLayer, patterns: Document) -> str:
    restarts = int(patterns["recipe"].get("restarts", 1))
    if restarts == 1:
        return ""
    owner, owners = owner_words(stored.layer.is_output)
    others = f"the other {owners}" if stored.layer.is_output else f"the layer's other {owners}"
    parts = "classes" if stored.layer.is_output else "features"
    return (
        f" Each {owner} was sought from {restarts} starts, and the best {stored.nouns.made} is kept. Likeness is the mean cosine between "
        f"what {others} answer to the {stored.nouns.made}s of two starts: 1 where every start led to the same mixture of {parts}."
    )


def _recipe(stored: StoredLayer, found: Patterns) -> str | None:
    return recipe_words.sentence(
        found.recipe,
        bands=found.images.shape[-1],
        rank=found.images.ndim - 2,
        crop=found.crop,
        size=found.images.shape[1:-1],
        rectified=stored.layer.rectified,
        is_output=stored.layer.is_output,
    )


def _lost(stored: StoredLayer, planned: tuple[int, ...], found: Patterns | None) -> str | None:
    there = () if found is None else found.indices.tolist()
    lost = sorted(set(planned).difference(there))
    numbers = ", ".join(str(index) for index in lost)
    return f"Not computed: {plural(len(lost), *owner_words(stored.layer.is_output))} ({numbers})." if lost else None


def _negatives(stored: StoredLayer, drawn: LayerPictures, images: int, root: str) -> NegativesView:
    owner = owner_words(stored.layer.is_output)[0]
    how, figure = (
        ("downwards", "the logit")
        if stored.layer.is_output
        else ("downwards and by the plain mean", "the unit's before its activation function")
    )
    compared = (
        f", compared with the lowest on {compared_pictures(stored.natural.crops, images, stored.nouns)}"
        if stored.natural is not None
        else ""
    )
    tight = None if stored.negatives is None else recipe_words.memory(stored.negatives.recipe)
    return NegativesView(
        figure=None if drawn.negatives is None else figure_view(drawn.negatives, root),
        note=f"The {stored.nouns.one} that each {owner} answers least to, sought like the patterns but {how}. "
        f"Its figure is {figure}{compared}." + ("" if tight is None else f" {tight.capitalize()}."),
        lost=_lost(stored, stored.planned_negatives, stored.negatives),
    )
