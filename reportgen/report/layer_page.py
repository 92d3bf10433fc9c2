"""A layer's page as a view: what does this layer do?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reportgen.records import LayerRecord, Plan
from reportgen.render.text import NONE, count, figure, percent, plural, shape, span
from reportgen.report.cards import Card, cards
from reportgen.report.charts import Chart, bias_bars, histogram
from reportgen.report.drawing import ImageFile, LayerPictures, MapPictures
from reportgen.report.facts import Document, against_images
from reportgen.report.stored import StoredLayer
from reportgen.report.views import Fact, FigureView, Link, Site, Verdict, figure_view, verdict_views
from reportgen.report.wording import compared_pictures, flattened, not_finite, sentence

PICTURE_PIXELS = 40  # longer side of an image beside the maps it caused, CSS pixels


@dataclass(frozen=True)
class ImagePicture:
    """One of the user's images, small."""

    href: str
    width: int
    height: int


@dataclass(frozen=True)
class MapsView:
    """The feature maps of one image. open: unfolded when the page opens."""

    anchor: str
    name: str
    answer: str | None
    picture: ImagePicture | None
    facts: str
    after: FigureView | None
    before: FigureView | None
    open: bool


@dataclass(frozen=True)
class LayerView:
    """Everything on a layer's page."""

    site: Site
    path: str
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
    bias_facts: tuple[Fact, ...]
    bias: Chart | None
    patterns: FigureView | None
    patterns_note: str
    patterns_lost: str | None
    recipe: tuple[tuple[str, str], ...]
    maps: tuple[MapsView, ...]
    maps_note: str
    cards: tuple[Card, ...]
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
    answers = {image["slug"]: _answer(image) for image in images}
    bias = stored.weights.get("bias") if stored.weights is not None else None
    return LayerView(
        site=site,
        path=layer.path,
        lede=f"{layer.layer_class}, layer {position + 1} of {len(covered)}. {_chosen(plan, layer)}",
        previous=_neighbour(covered, position - 1),
        following=_neighbour(covered, position + 1),
        failed=sentence(facts["reason"] if facts["reason"] is not None else "failed")
        if facts["status"] == "failed"
        else None,
        verdicts=verdict_views(facts["verdicts"], images=against_images(facts["patterns"]) is True),
        facts=layer_facts(layer),
        weight_facts=_statistics(facts["weights"], "weight"),
        weight_warning=_weight_warning(facts["weights"]),
        weight_note=_weight_note(stored, drawn),
        histogram=None if facts["weights"] is None else _histogram(facts["weights"]),
        weights=None if drawn.weights is None else figure_view(drawn.weights, root),
        bias_facts=_statistics(facts["bias"], "bias"),
        bias=None if bias is None else bias_bars(bias),
        patterns=None if drawn.patterns is None else figure_view(drawn.patterns, root),
        patterns_note=_patterns_note(stored, facts, len(images)),
        patterns_lost=_patterns_lost(facts),
        recipe=flattened(facts["patterns"]["recipe"]) if facts["patterns"] else (),
        maps=tuple(
            _maps(maps, entry, answers[maps.image.slug], pictures.get(maps.image.slug), root, place == 0)
            for place, (maps, entry) in enumerate(zip(drawn.maps, facts["feature_maps"], strict=True))
        ),
        maps_note=_maps_note(plan, drawn),
        cards=cards(stored, facts, drawn, images, root),
        downloads=tuple(
            Link(f"{root}data/{layer.slug}/{name}", name)
            for name, there in (
                ("weights.npz", stored.weights is not None),
                ("patterns.npz", stored.patterns is not None),
                ("feature_maps.npz", bool(stored.maps)),
            )
            if there
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
    return (
        Fact("Class", layer.layer_class, code=True),
        Fact("Unit", layer.unit, code=True, note=unit),
        Fact("Activation", layer.activation, note=rectified),
        Fact("Kernel", shape(layer.kernel_shape), note=_kernel_bands(layer)),
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
    return NONE if layer.receptive_field is None else f"{shape(layer.receptive_field)} pixels"


def _kernel_bands(layer: LayerRecord) -> str | None:
    return None if layer.kernel_bands is None else f"its inputs are the {layer.kernel_bands} bands of the image"


def _chosen(plan: Plan, layer: LayerRecord) -> str:
    shown, total = len(layer.filters_shown), layer.filters_total
    if shown == total:
        return f"All of its {plural(total, 'filter')} are shown." if total != 1 else "Its only filter is shown."
    asked = str(plan.settings.get("filters", ""))
    how = (
        "evenly spaced from the first to the last"
        if asked.isdecimal()
        else f"chosen by --filters {asked}"
        if asked
        else "as planned"
    )
    return f"{count(shown)} of its {plural(total, 'filter')} shown, {how}."


def _neighbour(covered: list[LayerRecord], position: int) -> Link | None:
    if position not in range(len(covered)):
        return None
    return Link(f"{covered[position].slug}.html", covered[position].path)


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


def _weight_warning(statistics: Document | None) -> str | None:
    lost = not_finite(statistics, "kernel weight")
    return None if lost is None else f"{lost}; the statistics are of the others."


def _weight_note(stored: StoredLayer, drawn: LayerPictures) -> str | None:
    if drawn.weights is not None:
        return None
    if stored.weights is None:
        return (
            "The weights of this layer are not in the store."
            if stored.missing
            else "This layer has no kernel of its own."
        )
    return sentence(f"not drawn: {drawn.weights_note}")


def _histogram(statistics: Document) -> Chart | None:
    drawn = statistics["histogram"]
    return histogram(drawn["counts"], drawn["limit"] or 0.0, statistics["count"] - statistics["nonfinite"])


def _patterns_note(stored: StoredLayer, facts: Document, images: int) -> str:
    patterns = facts["patterns"]
    if patterns is None:
        return "No pattern is in the store." if stored.planned_filters else "No patterns were made for this layer."
    compared = (
        compared_pictures(patterns["natural_crops"], images)
        if against_images(patterns)
        else "the image it started from"
    )
    return (
        f"The images that excite each filter most, found by {plural(patterns['steps'], 'step')} of gradient ascent at "
        f"{shape(patterns['size'])} pixels, each compared with {compared}. "
        "A pattern shows what excites a filter, not what the filter is for."
    )


def _patterns_lost(facts: Document) -> str | None:
    lost = facts["patterns"]["missing"] if facts["patterns"] else []
    return f"Not computed: {plural(len(lost), 'filter')} ({', '.join(str(index) for index in lost)})." if lost else None


def _maps(
    maps: MapPictures,
    facts: Document,
    answer: str | None,
    picture: ImageFile | None,
    root: str,
    unfolded: bool,
) -> MapsView:
    small = None
    if picture is not None:
        scale = PICTURE_PIXELS / max(picture.width, picture.height)
        size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
        small = ImagePicture(root + picture.path, *size)
    words = f"activation {span(facts['minimum'], facts['maximum'])}, {percent(facts['zero_fraction'])} exactly zero"
    if facts["nonfinite_fraction"]:
        words += f", {percent(facts['nonfinite_fraction'])} not finite"
    return MapsView(
        anchor=f"maps-{maps.image.slug}",
        name=maps.image.name,
        answer=answer,
        picture=small,
        facts=words,
        after=None if maps.after is None else figure_view(maps.after, root),
        before=None if maps.before is None else figure_view(maps.before, root),
        open=unfolded,
    )


def _maps_note(plan: Plan, drawn: LayerPictures) -> str:
    if not plan.images:
        return "No images were given."
    if not drawn.maps:
        return "No feature maps of this layer are in the store."
    both = (
        " Where they differ, the values before the activation function are shown too."
        if any(m.before for m in drawn.maps)
        else ""
    )
    return f"What every filter answers to {plural(len(drawn.maps), 'image')}, one tile a filter.{both}"


def _answer(image: Document) -> str | None:
    if not image["predictions"]:
        return None
    best = image["predictions"][0]
    return f"{best['label']}, {percent(best['probability'])}"
