"""The page of one layer as a view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reportgen.artefacts.base import Artefact, LayerPage, Section
from reportgen.artefacts.filter_cards import Card, cards, orders
from reportgen.artefacts.initial_weights import INITIAL_WEIGHTS
from reportgen.artefacts.layer_entry import LayerEntry, records_of
from reportgen.artefacts.patterns import against_images
from reportgen.artefacts.pooling import pooling_facts
from reportgen.artefacts.views import Fact, Link, PageContext, Verdict, verdict_views
from reportgen.artefacts.weights import WEIGHTS
from reportgen.core.records import LayerRecord, LayerStatus, Plan
from reportgen.render.picture import Bands
from reportgen.render.text import NONE, count, dimensions, plural, shape
from reportgen.render.wording import MODEL_OUTPUTS, owner_words, sentence, stopped

LAST: tuple[Artefact[Any, Any], ...] = (WEIGHTS, INITIAL_WEIGHTS)  # sections: patterns answer first


@dataclass(frozen=True)
class LayerView:
    """Everything on a layer's page.

    Attributes:
        heading: the layer's path, or what the outputs are called.
        is_output: whether these are the model's outputs, which have neither weights nor maps.
        has_filters: whether the layer has filters of its own; a pooling layer has none.
        owner: filter, or class; `owners` its plural.
        shown: of how many filters the verdicts are, as words after their counts.
        later: what the run is still to compute.
        sections: of the artefacts, in the order of the page.
        orders: how scripts can sort the cards.
    """

    page: PageContext
    heading: str
    is_output: bool
    has_filters: bool
    owner: str
    owners: str
    lede: str
    previous: Link | None
    following: Link | None
    failed: str | None
    later: str | None
    verdicts: tuple[Verdict, ...]
    shown: str
    facts: tuple[Fact, ...]
    sections: tuple[Section, ...]
    cards: tuple[Card, ...]
    orders: tuple[tuple[str, str], ...]
    downloads: tuple[Link, ...]


def layer_view(
    context: PageContext, page: LayerPage, entry: LayerEntry, bands: Bands | None, files: Sequence[str]
) -> LayerView:
    """Return the view of one layer.

    Args:
        context: what every page states.
        page: what the sections are made from.
        entry: of the layer in report.json.
        bands: channels that patterns show as red, green and blue.
        files: names of the layer's array files.
    """
    layer, plan = page.layer, page.contents.plan
    covered = [item for item in plan.layers if item.status != LayerStatus.SKIPPED]
    position = covered.index(layer)
    records = sorted(records_of(entry), key=lambda item: item[0] in LAST)
    sections = [artefact.section(page, record) for artefact, record in records]
    failed = sentence(entry.reason if entry.reason is not None else "failed")
    return LayerView(
        page=context,
        heading=page_heading(layer),
        is_output=layer.is_output,
        has_filters=not layer.is_pooling,
        owner=owner_words(layer.is_output)[0],
        owners=owner_words(layer.is_output)[1],
        lede=_lede(layer, covered),
        previous=_neighbor(covered, position - 1),
        following=_neighbor(covered, position + 1),
        failed=failed if entry.status == LayerStatus.FAILED else None,
        later=sentence("; ".join(page.contents.later)) if page.contents.later else None,
        verdicts=verdict_views(
            entry.verdicts, images=against_images(entry.patterns) is True, noun=page.contents.nouns.one
        ),
        shown="" if layer.is_pooling else _shown(plan, layer),
        facts=_facts(layer),
        sections=tuple(section for section in sections if section is not None),
        cards=() if layer.is_pooling else cards(page, entry, bands),
        orders=orders(entry.patterns, entry.data),
        downloads=tuple(Link(page.root + page.contents.data_path(name), name) for name in files),
    )


def page_heading(layer: LayerRecord) -> str:
    """Return what a page is called: by the layer's path, or as the model's outputs."""
    return MODEL_OUTPUTS if layer.is_output else layer.path


def output_facts(layer: LayerRecord) -> tuple[Fact, ...]:
    """Return what is known of the model's outputs, which are no layer: they have no kernel and no place of their own."""
    return (
        Fact("Score", "logit", note="before softmax or sigmoid, where the model ends in one"),
        Fact("Output", shape(layer.output_shape), note="one position, one channel per class"),
        Fact("Receptive field", _receptive_field(layer), note=layer.receptive_field_note),
        Fact("Classes shown", f"{count(len(layer.filters_shown))} of {count(layer.filters_total)}"),
    )


def _facts(layer: LayerRecord) -> tuple[Fact, ...]:
    if layer.is_output:
        return output_facts(layer)
    return pooling_facts(layer) if layer.is_pooling else layer_facts(layer)


def layer_facts(layer: LayerRecord) -> tuple[Fact, ...]:
    """Return what is known of the layer before anything is computed."""
    rectified = "zero for every negative value" if layer.rectified else None
    unit = (
        "after the normalization or activation that follows the layer"
        if layer.unit != layer.path
        else "the layer's output"
    )
    if not layer.is_met:
        unit = rectified = "of the layer itself: what follows it was not observed"
    return (
        Fact("Type", layer.layer_class, code=True),
        Fact("Measured at", layer.unit, code=True, note=unit),
        Fact("Activation", layer.activation, note=rectified),
        Fact("Kernel", shape(layer.kernel_shape), note=_kernel_note(layer)),
        Fact("Strides", shape(layer.strides)),
        Fact("Dilation", shape(layer.dilation)),
        Fact("Groups", NONE if layer.groups is None else count(layer.groups)),
        Fact("Padding", NONE if layer.padding is None else layer.padding),
        Fact("Output", shape(layer.output_shape)),
        Fact("Receptive field", _receptive_field(layer), note=layer.receptive_field_note),
        Fact("Parameters", count(layer.parameters)),
        Fact("Filters shown", f"{count(len(layer.filters_shown))} of {count(layer.filters_total)}"),
    )


def _receptive_field(layer: LayerRecord) -> str:
    return NONE if layer.receptive_field is None else dimensions(layer.receptive_field)


def _kernel_note(layer: LayerRecord) -> str | None:
    bands = None if layer.kernel_bands is None else f"reads the {layer.kernel_bands} input directly"
    return "; ".join(note for note in (bands, layer.kernel_note) if note is not None) or None


def _lede(layer: LayerRecord, covered: list[LayerRecord]) -> str:
    if layer.is_output:
        return "The classes of the model, each by its logit: the value before softmax or sigmoid, where the model ends in one."
    if layer.is_pooling:
        return f"{layer.layer_class} · each channel before and after pooling"
    layers = [item for item in covered if not item.is_output and not item.is_pooling]
    place = f"{layer.layer_class} · convolution layer {layers.index(layer) + 1} of {len(layers)}"
    if layer.status == LayerStatus.RENDERED and layer.reason is not None:
        return f"{place} · only its weights are shown: {stopped(layer.reason)}"
    return place


def _shown(plan: Plan, layer: LayerRecord) -> str:
    """The denominators of the counts: filters shown, of all, and how they were chosen."""
    shown, total = len(layer.filters_shown), layer.filters_total
    owner, owners = owner_words(layer.is_output)
    if shown == total:
        return f"of all {plural(total, owner, owners)}" if total != 1 else f"of 1 {owner}"
    option, by_count = (
        ("outputs", "the first ones")
        if layer.is_output
        else ("filters", "evenly spaced; --filters all shows every one")
    )
    asked = plan.settings.get(option)
    asked = "" if asked is None else str(asked)
    how = by_count if asked.isdecimal() else f"selected by --{option} {asked}" if asked else "as planned"
    return f"of {count(shown)} shown, of {plural(total, owner, owners)} ({how})"


def _neighbor(covered: list[LayerRecord], position: int) -> Link | None:
    if position not in range(len(covered)):
        return None
    return Link(f"{covered[position].slug}.html", page_heading(covered[position]), code=not covered[position].is_output)
