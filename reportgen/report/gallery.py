"""The gallery of the first page: the most telling patterns of early, middle and deep layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from reportgen.artefacts.layer_entry import LayerEntry
from reportgen.artefacts.telling_patterns import in_depth, most_of_a_layer
from reportgen.artefacts.views import Cut, anchor, cut
from reportgen.core.records import Count, Slug
from reportgen.render.figure import Picture

GROUP_PATTERNS = 4  # of each group: one row on a screen
PATTERN_PIXELS = 128  # longer side of a pattern, CSS pixels


class Depth(StrEnum):
    """A group of the gallery: a third of the convolution layers, a half where there are two, all where there is one."""

    EARLY = "early"
    MIDDLE = "middle"
    DEEP = "deep"
    ALL = "all"


GROUPS: dict[int, tuple[Depth, ...]] = {1: (Depth.ALL,), 2: (Depth.EARLY, Depth.DEEP)}
THIRDS = (Depth.EARLY, Depth.MIDDLE, Depth.DEEP)
TITLES = {Depth.EARLY: "Early layers", Depth.MIDDLE: "Middle layers", Depth.DEEP: "Deep layers", Depth.ALL: ""}


class GalleryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One pattern of the gallery: filter `index` of the layer `slug`."""

    depth: Depth
    slug: Slug
    index: Count


@dataclass(frozen=True)
class GalleryPattern:
    """One pattern: its picture and its name, linked to the filter."""

    href: str
    picture: Cut
    layer: str
    number: str


@dataclass(frozen=True)
class GalleryGroup:
    """The patterns of one depth; `title` is empty where there is only one group."""

    title: str
    patterns: tuple[GalleryPattern, ...]


@dataclass(frozen=True)
class GalleryView:
    """The gallery and the rule by which its patterns are chosen."""

    groups: tuple[GalleryGroup, ...]
    rule: str


def gallery(layers: Sequence[LayerEntry]) -> tuple[GalleryEntry, ...]:
    """Choose the patterns, the same for the same records.

    Of each depth those that rank first among the layers' most telling patterns; in the order of layers and filters.

    Args:
        layers: of report.json.
    """
    deep = in_depth(layers)
    groups = _groups(len(deep))
    chosen: list[GalleryEntry] = []
    for number, depth in enumerate(groups):
        found = [
            (item.rank, place, item.index)
            for place, layer in enumerate(deep)
            if _group(place, len(deep), len(groups)) == number
            for item in layer.telling_patterns
        ]
        best = sorted((place, index) for _, place, index in sorted(found)[:GROUP_PATTERNS])
        chosen += [GalleryEntry(depth=depth, slug=deep[place].slug, index=index) for place, index in best]
    return tuple(chosen)


def gallery_view(
    entries: Sequence[GalleryEntry], layers: Sequence[LayerEntry], pictures: Mapping[str, Picture], noun: str
) -> GalleryView | None:
    """Return the gallery as a view.

    Args:
        entries: that were chosen.
        layers: of report.json.
        pictures: the figure of each layer's most telling patterns, by slug.
        noun: what the model is fed.

    Returns:
        The view; None where nothing was chosen.
    """
    deep = {layer.slug: layer for layer in in_depth(layers)}
    most = most_of_a_layer(len(deep))
    groups: dict[Depth, list[GalleryPattern]] = {}
    for entry in entries:
        layer = deep[entry.slug]
        if entry.slug not in pictures:
            continue
        picture = pictures[entry.slug]
        places = {item.index: place for place, item in enumerate(layer.telling_patterns)}
        label = f"Pattern of filter {entry.index} of {layer.path}"
        groups.setdefault(entry.depth, []).append(
            GalleryPattern(
                href=f"layers/{entry.slug}.html#{anchor(entry.index)}",
                picture=cut(picture, "", picture.tiles.box(places[entry.index]), PATTERN_PIXELS, label),
                layer=layer.path.rpartition("/")[2] or layer.path,
                number=str(entry.index),
            )
        )
    if not groups:
        return None
    natural = any(layer.patterns is not None and layer.patterns.natural_crops is not None for layer in deep.values())
    above = f"the natural maximum of your {noun}s" if natural else "the start"
    per_layer = f"at most {most} of each layer"
    return GalleryView(
        groups=tuple(GalleryGroup(TITLES[depth], tuple(found)) for depth, found in groups.items()),
        rule=(
            f"Chosen: patterns that stay furthest above {above} under small warps, on the scale of their layer; "
            f"blank ones last; {per_layer}."
        ),
    )


def _groups(layers: int) -> tuple[Depth, ...]:
    return GROUPS.get(layers, THIRDS) if layers else ()


def _group(place: int, layers: int, groups: int) -> int:
    """The group of the layer at a position: groups of the same size, the middle one larger or smaller where that is not possible."""
    return (2 * place + 1) * groups // (2 * layers)
