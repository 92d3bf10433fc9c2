"""The page of one of the user's images as a view: predictions, attribution maps, and what their checks say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reportgen.artefacts.attribution import AttributionRecord
from reportgen.artefacts.attribution_figures import FORMULAS, NAMES, SOURCES, MapView, drawing_words, map_views
from reportgen.artefacts.base import ImageFile
from reportgen.artefacts.data_records import exemplar_file
from reportgen.artefacts.misclassified import LEAST_IMAGES, MOST_OF_LAYER, ExplainedImage, UnusualFilter
from reportgen.artefacts.predictions import ImageEntry, ImageView, image_views
from reportgen.artefacts.views import Link, PageContext, SmallPicture, anchor, small_picture
from reportgen.core.choices import Attribution
from reportgen.render.figure import Picture
from reportgen.render.text import PERCENT, number, percent, plural, shape
from reportgen.render.wording import sentence

EXEMPLAR_PIXELS = 280  # longer side of a filter's exemplars, CSS pixels


@dataclass(frozen=True)
class Group:
    """The maps of one output at one layer."""

    anchor: str
    title: str
    layer: str
    unit: str | None
    grid: str
    drawn: str
    maps: tuple[MapView, ...]


@dataclass(frozen=True)
class UnusualView:
    """A filter whose response is unusual for the image's label."""

    href: str
    layer: str
    filter: str
    rank: str
    peak: str
    exemplars: SmallPicture | None


@dataclass(frozen=True)
class WhyView:
    """Why an image may have been misclassified."""

    sentence: str
    note: str
    filters: tuple[UnusualView, ...]


@dataclass(frozen=True)
class ImagePageView:
    """Everything on an image's page.

    Attributes:
        lede: what is shown, and how many maps fail a check.
        image: with its predictions.
        groups: of maps.
        formulas: (formula, source) of each method.
        problem: why maps are missing.
        why: of a misclassified image of the data set.
    """

    page: PageContext
    lede: str
    image: ImageView
    previous: Link | None
    following: Link | None
    groups: tuple[Group, ...]
    formulas: tuple[tuple[str, str], ...]
    problem: str | None
    downloads: tuple[Link, ...]
    why: WhyView | None = None


def image_path(slug: str) -> str:
    """Return where an image's page lies, relative to the report."""
    return f"images/{slug}.html"


def image_view(
    context: PageContext,
    entry: ImageEntry,
    shown: Sequence[ImageEntry],
    file: ImageFile,
    arrays: Mapping[str, np.ndarray],
    why: WhyView | None = None,
) -> ImagePageView:
    """Return the view of an image's page.

    Args:
        context: what every page states.
        entry: of the image in report.json.
        shown: all images that have a page, in their order.
        file: its picture.
        arrays: of its attribution maps.
        why: of a misclassified image.
    """
    place = [other.slug for other in shown].index(entry.slug)
    records = entry.attribution
    (image,) = image_views([entry], {entry.slug: file}, context.root)
    methods = [method for method in Attribution if any(record.method == method for record in records)]
    return ImagePageView(
        page=context,
        lede=_lede(records),
        image=image,
        previous=_neighbor(shown, place - 1),
        following=_neighbor(shown, place + 1),
        groups=_groups(entry, arrays, file, context.root),
        formulas=tuple((FORMULAS[method], SOURCES[method]) for method in methods),
        problem=None if entry.attribution_note is None else sentence(entry.attribution_note),
        downloads=(Link(context.root + records[0].array, "attribution.npz"),) if records else (),
        why=why,
    )


def why_view(found: ExplainedImage, exemplars: Mapping[str, Picture], root: str, noun: str) -> WhyView:
    """Return what is known of a misclassified image beside its maps.

    Args:
        found: its record.
        exemplars: figures of filters' exemplars, by path.
        root: from the page to the report's folder.
        noun: of what the model is fed.
    """
    predictions = found.image.predictions or ()
    taken = f"{predictions[0].label} ({percent(predictions[0].probability)})" if predictions else "another class"
    first = f"Label {found.label} ({percent(found.class_probability)}), taken for {taken}."
    if not found.unusual:
        few = f"No filter is compared: there are fewer than {LEAST_IMAGES} other {noun}s with this label, or no layer was surveyed."
        return WhyView(first, few, ())
    amount = plural(found.unusual[0].images, f"other {noun}")
    note = (
        f"Of the filters shown, those whose peak on this {noun} is furthest in a tail of the {amount} with the label {found.label}, at "
        f"most {MOST_OF_LAYER} per layer. Their exemplars are the {noun}s of the data set that excite them most. An unusual response is "
        "where to look, not a proof of the cause."
    )
    return WhyView(first, note, tuple(_unusual(each, exemplars, root, noun) for each in found.unusual))


def _rank(each: UnusualFilter, noun: str) -> str:
    """The percentile in words."""
    others = f"{plural(each.images, f'other {noun}')} with the label"
    if each.percentile in (0, PERCENT):
        return (
            f"Percentile {each.percentile:g}: {'larger' if each.percentile else 'smaller'} than on all of the {others}"
        )
    return f"Percentile {each.percentile:g} of the {others}"


def _unusual(each: UnusualFilter, exemplars: Mapping[str, Picture], root: str, noun: str) -> UnusualView:
    picture = exemplars.get(f"figures/{each.slug}/{exemplar_file(each.index)}")
    small = None
    if picture is not None:
        size = (picture.tiles.width, picture.tiles.height)
        small = small_picture(root + picture.path, size, EXEMPLAR_PIXELS / max(size), picture.alt)
    apart = ""
    if each.deviations is not None:
        side = "above" if each.deviations > 0 else "below"
        apart = f", {number(abs(each.deviations))} robust standard deviations {side}"
    return UnusualView(
        href=f"{root}layers/{each.slug}.html#{anchor(each.index)}",
        layer=each.layer,
        filter=f"filter {each.index}",
        rank=_rank(each, noun),
        peak=f"peak {number(each.peak)}; median of the label {number(each.median)}{apart}",
        exemplars=small,
    )


def _lede(records: Sequence[AttributionRecord]) -> str:
    if not records:
        return "No attribution maps."
    methods = ", ".join(NAMES[method] for method in Attribution if any(each.method == method for each in records))
    failed = sum(bool(record.failed) for record in records)
    judged = "none fails a check" if not failed else f"{failed} {'fails' if failed == 1 else 'fail'} a check"
    return f"{plural(len(records), 'attribution map')} ({methods}); {judged}."


def _groups(
    entry: ImageEntry,
    arrays: Mapping[str, np.ndarray],
    file: ImageFile,
    root: str,
) -> tuple[Group, ...]:
    keys = dict.fromkeys((record.output, record.layer) for record in entry.attribution)
    views = map_views(entry.slug, entry.attribution, arrays, file, root)
    groups = []
    for place, (output, layer) in enumerate(keys):
        members = [
            (record, view)
            for record, view in zip(entry.attribution, views, strict=True)
            if (record.output, record.layer) == (output, layer)
        ]
        first = members[0][0]
        title = "Attribution maps" if output is None else f"Attribution maps of output {output}"
        groups.append(
            Group(
                anchor=f"maps-{place}",
                title=title,
                layer=layer,
                unit=None if first.unit == layer else first.unit,
                grid=f"{shape(first.grid)} positions, {plural(first.channels, 'map')}",
                drawn=drawing_words(first.grid, file.lengths),
                maps=tuple(view for _, view in members),
            )
        )
    return tuple(groups)


def _neighbor(shown: Sequence[ImageEntry], place: int) -> Link | None:
    if place not in range(len(shown)):
        return None
    return Link(f"{shown[place].slug}.html", shown[place].name, code=False)
