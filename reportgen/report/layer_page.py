"""A layer's page as a view: what does this layer do?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reportgen.core.records import LayerRecord, Plan
from reportgen.core.settings import MapStyle
from reportgen.render.text import NONE, count, dimensions, figure, percent, plural, shape, span
from reportgen.artefacts.filter_cards import Card, cards, orders
from reportgen.render.charts import Chart, bias_bars, histogram
from reportgen.core.numbers import Document
from reportgen.artefacts.weights import ImageFile, LayerPictures
from reportgen.artefacts.feature_maps import ACTIVATION, POOLED, MapsView, RangesView, maps_note, maps_views, ranges_view
from reportgen.artefacts.initial_weights import summary
from reportgen.artefacts.patterns import against_images
from reportgen.artefacts.minimal_patterns import PatternsView, patterns_view
from reportgen.artefacts.base import StoredLayer
from reportgen.artefacts.views import Fact, FigureView, Link, Site, Verdict, figure_view, verdict_views
from reportgen.render.wording import MODEL_OUTPUTS, not_finite, owner_words, sentence, stopped


@dataclass(frozen=True)
class InitialView:
    """The weights before training, beside the trained ones."""

    facts: tuple[Fact, ...]
    figure: FigureView | None


@dataclass(frozen=True)
class LayerView:
    """Everything on a layer's page. is_output: of the model's outputs, which have neither weights nor maps.

    with_weights, with_filters: whether the layer has a kernel, and filters of its own with patterns; one that pools has neither.
    heading: a layer's path, or what the outputs are called. owners: filters, or classes. orders: of the cards, for scripts.
    """

    site: Site
    heading: str
    is_output: bool
    with_weights: bool
    with_filters: bool
    owners: str
    lede: str
    previous: Link | None
    following: Link | None
    failed: str | None
    verdicts: tuple[Verdict, ...]
    facts: tuple[Fact, ...]
    weight_facts: tuple[Fact, ...]
    weight_warning: str | None
    weight_note: str | None
    histogram: Chart | None
    weights: FigureView | None
    pointwise: FigureView | None
    initial: InitialView | None
    bias_facts: tuple[Fact, ...]
    bias: Chart | None
    patterns: PatternsView
    maps: tuple[MapsView, ...]
    maps_note: str
    map_ranges: RangesView | None
    cards: tuple[Card, ...]
    orders: tuple[tuple[str, str], ...]
    downloads: tuple[Link, ...]


def layer_view(
    site: Site,
    plan: Plan,
    stored: StoredLayer,
    facts: Document,
    drawn: LayerPictures,
    images: Sequence[Document],
    pictures: dict[str, ImageFile],
) -> LayerView:
    """The view of one layer.

    facts: its entry of report.json; images: that of all images; pictures: by slug.
    """
    layer, root = stored.layer, site.root
    covered = [item for item in plan.layers if item.status != "skipped"]
    position = covered.index(layer)
    bias = stored.weights.get("bias") if stored.weights is not None else None
    return LayerView(
        site=site,
        heading=page_heading(layer),
        is_output=layer.is_output,
        with_weights=not layer.is_output and not layer.is_pooling,
        with_filters=not layer.is_pooling,
        owners=owner_words(layer.is_output)[1],
        lede=_lede(plan, layer, covered),
        previous=_neighbour(covered, position - 1),
        following=_neighbour(covered, position + 1),
        failed=sentence(facts["reason"] if facts["reason"] is not None else "failed")
        if facts["status"] == "failed"
        else None,
        verdicts=verdict_views(
            facts["verdicts"], images=against_images(facts["patterns"]) is True, noun=stored.nouns.one
        ),
        facts=_facts(layer),
        weight_facts=_statistics(facts["weights"], "weight"),
        weight_warning=_weight_warning(facts["weights"], layer),
        weight_note=_weight_note(stored, drawn),
        histogram=None if facts["weights"] is None else _histogram(facts["weights"]),
        weights=None if drawn.weights is None else figure_view(drawn.weights, root),
        pointwise=None if drawn.pointwise is None else figure_view(drawn.pointwise, root),
        initial=_initial(facts["initial"], drawn, root),
        bias_facts=_statistics(facts["bias"], "bias"),
        bias=None if bias is None else bias_bars(bias),
        patterns=patterns_view(stored, facts["patterns"], drawn, len(images), root),
        maps=maps_views(
            drawn, facts["feature_maps"], images, pictures, root, POOLED if layer.is_pooling else ACTIVATION
        ),
        maps_note=maps_note(plan, drawn, layer.is_pooling)
        if layer.is_met
        else "There are no feature maps: no data was seen to pass this layer.",
        map_ranges=ranges_view(drawn, MapStyle.of(plan.settings), stored.nouns.one, layer.is_pooling),
        cards=cards(stored, facts, drawn, images, root),
        orders=orders(facts["patterns"]),
        downloads=tuple(
            Link(f"{root}data/{layer.slug}/{name}", name)
            for name, there in (
                ("weights.npz", stored.weights is not None),
                ("initial_weights.npz", stored.initial is not None),
                ("patterns.npz", stored.patterns is not None),
                ("feature_maps.npz", bool(stored.maps)),
            )
            if there
        ),
    )


def _initial(movement: Document | None, drawn: LayerPictures, root: str) -> InitialView | None:
    if movement is None:
        return None
    return InitialView(summary(movement), None if drawn.initial is None else figure_view(drawn.initial, root))


def page_heading(layer: LayerRecord) -> str:
    """What a page is called: by the layer's path, or as the model's outputs."""
    return MODEL_OUTPUTS if layer.is_output else layer.path


def output_facts(layer: LayerRecord) -> tuple[Fact, ...]:
    """What is known of the model's outputs, which are no layer: they have no kernel and no place of their own."""
    return (
        Fact("Figure", "logit", note="the class's number before softmax or sigmoid, where the model ends in one"),
        Fact("Output", shape(layer.output_shape), note="one position, a channel a class"),
        Fact("Receptive field", _receptive_field(layer), note=layer.receptive_field_note),
        Fact("Classes shown", f"{count(len(layer.filters_shown))} of {count(layer.filters_total)}"),
    )


def _facts(layer: LayerRecord) -> tuple[Fact, ...]:
    if layer.is_output:
        return output_facts(layer)
    return pooling_facts(layer) if layer.is_pooling else layer_facts(layer)


def pooling_facts(layer: LayerRecord) -> tuple[Fact, ...]:
    """What is known of a layer that pools: it has no kernel and no filters of its own."""
    return (
        Fact("Class", layer.layer_class, code=True),
        Fact("Window", shape(layer.window), note="the whole map" if layer.window is None else None),
        Fact("Strides", shape(layer.strides)),
        Fact("Padding", NONE if layer.padding is None else layer.padding),
        Fact("Output", shape(layer.output_shape)),
        Fact("Receptive field", _receptive_field(layer), note=layer.receptive_field_note),
        Fact(
            "Channels",
            count(layer.filters_total),
            note="each is pooled by itself: there is no kernel to show and no pattern to seek",
        ),
    )


def layer_facts(layer: LayerRecord) -> tuple[Fact, ...]:
    """What is known of the layer before anything is computed."""
    rectified = "answers exactly 0 to every negative number" if layer.rectified else None
    unit = (
        "where the filter's channel has passed its own activation"
        if layer.unit != layer.path
        else "the layer's own output"
    )
    if not layer.is_met:
        unit = rectified = "the layer's own: what follows it was not seen"
    return (
        Fact("Class", layer.layer_class, code=True),
        Fact("Unit", layer.unit, code=True, note=unit),
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
    bands = None if layer.kernel_bands is None else f"its inputs are the {layer.kernel_bands} bands of the input"
    return "; ".join(note for note in (bands, layer.kernel_note) if note is not None) or None


def _lede(plan: Plan, layer: LayerRecord, covered: list[LayerRecord]) -> str:
    if layer.is_output:
        return (
            "The model's classes, each by its logit: its number before softmax or sigmoid, where the model ends in one. "
            f"{_chosen(plan, layer)}"
        )
    if layer.is_pooling:
        return f"{layer.layer_class}. Every channel by itself, before and after pooling."
    layers = [item for item in covered if not item.is_output and not item.is_pooling]
    place = f"{layer.layer_class}, layer {layers.index(layer) + 1} of {len(layers)}."
    if layer.status == "rendered" and layer.reason is not None:
        return f"{place} Its weights alone are shown: {stopped(layer.reason)}"
    return f"{place} {_chosen(plan, layer)}"


def _chosen(plan: Plan, layer: LayerRecord) -> str:
    shown, total = len(layer.filters_shown), layer.filters_total
    owner, owners = owner_words(layer.is_output)
    if shown == total:
        return f"All of its {plural(total, owner, owners)} are shown." if total != 1 else f"Its only {owner} is shown."
    option, by_count = (
        ("outputs", "the first ones") if layer.is_output else ("filters", "evenly spaced from the first to the last")
    )
    asked = plan.settings.get(option)
    asked = "" if asked is None else str(asked)
    how = by_count if asked.isdecimal() else f"chosen by --{option} {asked}" if asked else "as planned"
    return f"{count(shown)} of its {plural(total, owner, owners)} shown, {how}."


def _neighbour(covered: list[LayerRecord], position: int) -> Link | None:
    if position not in range(len(covered)):
        return None
    return Link(f"{covered[position].slug}.html", page_heading(covered[position]), code=not covered[position].is_output)


def _statistics(statistics: Document | None, noun: str) -> tuple[Fact, ...]:
    if statistics is None:
        return ()
    plurals = "biases" if noun == "bias" else "weights"
    return (
        Fact(plurals.capitalize(), count(statistics["count"])),
        Fact("Range", span(statistics["minimum"], statistics["maximum"])),
        Fact("Mean", figure(statistics["mean"])),
        Fact("Standard deviation", figure(statistics["std"])),
        Fact("Exactly zero", percent(statistics["zero_fraction"])),
    )


def _weight_warning(statistics: Document | None, layer: LayerRecord) -> str | None:
    lost = not_finite(statistics, "kernel weight")
    said = [] if lost is None else [f"{lost}; the statistics are of the others."]
    if layer.kernel_note is not None:
        said.append(f"Kernel, statistics and weights.npz are of {layer.kernel_note}.")
    return " ".join(said) or None


def _weight_note(stored: StoredLayer, drawn: LayerPictures) -> str | None:
    if drawn.weights is not None:
        return None
    if stored.weights is None:
        return (
            "The weights of this layer are not in the store."
            if stored.missing or stored.layer.status == "failed"
            else "This layer has no kernel of its own."
        )
    return sentence(f"not drawn: {drawn.weights_note}")


def _histogram(statistics: Document) -> Chart | None:
    drawn = statistics["histogram"]
    return histogram(drawn["counts"], drawn["limit"] or 0.0, statistics["count"] - statistics["nonfinite"])
