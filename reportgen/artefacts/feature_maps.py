"""Feature maps of the user's images: every channel before and after the activation function, image by image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from reportgen.artefacts import image_maps
from reportgen.artefacts.base import (
    Appearance,
    Arrays,
    Artefact,
    Figures,
    ImageFile,
    LayerContents,
    LayerPage,
    LayerReader,
    Section,
)
from reportgen.artefacts.data import DATA
from reportgen.artefacts.data_view import peak_words
from reportgen.artefacts.image_maps import ImageMaps
from reportgen.artefacts.predictions import ImageEntry
from reportgen.artefacts.views import Cut, FigureView, SmallPicture, small_picture
from reportgen.core.choices import Normalization
from reportgen.core.errors import few
from reportgen.core.kept_maps import wanted_channels
from reportgen.core.numbers import plain
from reportgen.core.records import Count, LayerRecord, RelativePath, Slug, TaskKind
from reportgen.core.settings import MapStyle
from reportgen.render import feature_maps as mosaic
from reportgen.render.figure import Figure
from reportgen.render.mosaic import COLUMNS
from reportgen.render.scale import HALF_LARGEST
from reportgen.render.text import number, percent, plural, span

FILE = "feature_maps.npz"
PICTURE_PIXELS = 40  # longer side of an image beside its maps, CSS pixels
MOST_MAP_CUTS = 2048  # on the cards of a page, which is too large for a browser with more
MOST_BESIDE_EXEMPLARS = 1024  # the same where cards have crops of a data set as well
MAP_PIXELS = 56  # the same of a map on a card
Place = Callable[[float | None], str | None]
Fraction = Annotated[float, Meta(ge=0, le=1)]


class FeatureMapRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The feature maps of one image, as they were before they were rounded for the array file."""

    image: Slug
    array: Annotated[RelativePath | None, Meta(description="file of the maps; null where none are kept")]
    key: Annotated[str | None, Meta(description="name of the array in that file")]
    channels: Annotated[
        tuple[Count, ...] | None, Meta(description="the channels in the array; null where it has all of them")
    ]
    minimum: float | None
    maximum: float | None
    zero_fraction: Fraction | None
    nonfinite_fraction: Fraction | None
    pre_minimum: float | None
    pre_maximum: float | None
    silenced_fraction: Annotated[
        Fraction | None,
        Meta(description="values that the rectifier sets from below 0 to 0; null where the activation is no rectifier"),
    ]


@dataclass(frozen=True)
class ImageMapsView:
    """The feature maps of one image.

    Attributes:
        after_title: heading of the maps after the activation function, or after pooling; `before_title` likewise.
        open: whether they are expanded at first.
        place: which of its peaks are high among those of the data set; None without one.
        stacked: whether the two figures stand one below the other, since they have too many columns to be beside each other.
    """

    anchor: str
    name: str
    prediction: str | None
    picture: SmallPicture | None
    facts: str
    after: FigureView | None
    before: FigureView | None
    before_title: str
    after_title: str
    open: bool
    stacked: bool
    place: str | None = None


@dataclass(frozen=True)
class RangesView:
    """The range of every map of a layer: a row a channel, called `owner`, and a cell for each of `columns`."""

    caption: str
    owner: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class FeatureMapsView:
    """The section: what is shown, image by image, and the ranges of the maps where each has a scale of its own."""

    note: str
    images: tuple[ImageMapsView, ...]
    ranges: RangesView | None


@dataclass(frozen=True)
class MapCut:
    """A filter's map on one image; `range` of its values, the peak by name."""

    name: str
    range: str
    cut: Cut


class FeatureMaps(Artefact[tuple[ImageMaps, ...], tuple[FeatureMapRecord, ...]]):
    """The maps of every channel of a layer, for each image that is shown."""

    name = "feature_maps"

    def load(self, reader: LayerReader) -> tuple[ImageMaps, ...]:
        """Read the maps of every image that has them."""
        images = {image.slug: image for image in reader.plan.images}
        tasks = reader.tasks(TaskKind.FEATURE_MAPS)
        found, lost = [], []
        for task in tasks:
            maps = image_maps.read(images[task.image], reader.entry(task))
            if maps is None:
                lost.append(images[task.image].name)
            else:
                found.append(maps)
        if lost:
            share = f"{len(lost)} of {plural(len(tasks), reader.nouns.one)}"
            reader.lost(f"feature maps of {share} are not computed ({few(lost)})", tasks)
        return tuple(found)

    def record(self, contents: LayerContents) -> tuple[FeatureMapRecord, ...]:
        """Return the facts of each image's maps."""
        return tuple(_record(contents, maps) for maps in contents[self] or ())

    def draw(
        self, contents: LayerContents, record: tuple[FeatureMapRecord, ...] | None, appearance: Appearance
    ) -> Figures:
        """Yield a mosaic of each image after the activation function, and one before it where that differs."""
        for maps in contents[self] or ():
            if maps.is_drawn:
                for kind, name in figures(maps.image.slug).items():
                    kept = maps.figure(kind)
                    if kept is not None:
                        yield name, kept
                continue
            title = f"{contents.layer.path} on {maps.image.name}"
            for name, array, words, prefix in (
                (after_figure(maps.image.slug), maps.maps, title, ""),
                (before_figure(maps.image.slug), maps.pre, f"{title}, {steps(contents.layer)[0].lower()}", "pre_"),
            ):
                drawn = None if array is None else _mosaic(array, words, appearance.maps, maps.facts, prefix)
                if drawn is not None:
                    yield name, drawn

    def arrays(self, contents: LayerContents) -> dict[str, Arrays]:
        """Return float16 maps after the activation function, an array an image: of the channels that are kept."""
        found = {}
        for maps in contents[self] or ():
            channels = _kept(contents, maps)
            if channels is None:
                found[maps.image.slug] = np.asfortranarray(_half(maps.maps))
            elif channels:
                places = [channel if maps.channels is None else maps.channels.index(channel) for channel in channels]
                found[maps.image.slug] = np.asfortranarray(_half(maps.maps[..., places]))
        return {FILE: found} if found else {}

    def section(self, page: LayerPage, record: tuple[FeatureMapRecord, ...] | None) -> Section | None:
        """Return the section; None for the model's outputs, which have one number each, and for pooling layers, which have their own."""
        if page.layer.is_output or page.layer.is_pooling:
            return None
        return maps_section(page, record or (), without_maps(page) or _note(page))


FEATURE_MAPS = FeatureMaps()


def steps(layer: LayerRecord) -> tuple[str, str]:
    """Return what the maps before, and those after, the layer's own activation function or pooling are called."""
    return ("Before pooling", "After pooling") if layer.is_pooling else ("Pre-activation", "Post-activation")


def maps_by_task(contents: LayerContents) -> dict[str, list[ImageMaps]]:
    """Return a layer's maps by task, since equal images share one; nothing while some are not computed."""
    tasks, found = contents.plan.layer_tasks(contents.layer.slug, TaskKind.FEATURE_MAPS), contents[FEATURE_MAPS] or ()
    shared: dict[str, list[ImageMaps]] = {}
    for task, maps in zip(tasks, found, strict=True) if len(tasks) == len(found) else ():
        shared.setdefault(task.key, []).append(maps)
    return shared


def figures(image: str) -> dict[str, str]:
    """Return the file names of an image's figures by what they are kept as."""
    return {"after": after_figure(image), "before": before_figure(image)}


def after_figure(image: str) -> str:
    """Return the file name of an image's maps after the activation function."""
    return f"feature_maps/{image}.png"


def before_figure(image: str) -> str:
    """Return the file name of an image's maps before the activation function."""
    return f"feature_maps/{image}.pre.png"


def maps_section(page: LayerPage, records: Sequence[FeatureMapRecord], note: str) -> Section:
    """Return the section of a layer's maps, image by image."""
    predictions = {image.slug: _prediction(image) for image in page.images}
    found = page.contents[FEATURE_MAPS] or ()
    views = tuple(
        _view(page, maps, record, predictions[maps.image.slug], unfolded=place == 0)
        for place, (maps, record) in enumerate(zip(found, records, strict=True))
    )
    style = (found[0].style if found else None) or MapStyle.of(page.contents.plan.settings)
    view = FeatureMapsView(
        note, views, _ranges_view(page, found) if style.normalize == Normalization.PER_MAP and found else None
    )
    return Section("maps", "Feature maps", "sections/feature_maps.html", view)


def map_cuts(page: LayerPage, index: int, place: Place | None = None) -> tuple[MapCut, ...]:
    """Return a filter's map on each image, of a page with many filters on the first ones, for its card.

    Args:
        page: of the layer.
        index: of the filter.
        place: tells where a peak is among those of the data set.
    """
    made = []
    for maps in (page.contents[FEATURE_MAPS] or ())[: _most_cuts(page)]:
        name = after_figure(maps.image.slug)
        if name not in page.pictures or index >= page.pictures[name].tiles.count:
            continue
        piece = page.tile(name, index, MAP_PIXELS, f"Map of filter {index} on {maps.image.name}")
        if piece is not None:
            made.append(MapCut(maps.image.name, _peak(maps, index, place), piece))
    return tuple(made)


def map_cuts_title(page: LayerPage) -> str:
    """Return the heading of the maps on a card, which says where it does not show all."""
    found = page.contents[FEATURE_MAPS] or ()
    total, most = len(found), _most_cuts(page)
    return (
        "Feature maps"
        if total <= most
        else f"Feature maps, the first {most} of {plural(total, page.contents.nouns.one)}; all are below"
    )


def _most_cuts(page: LayerPage) -> int:
    """On how many images a card shows its filter's map."""
    most = MOST_MAP_CUTS if page.contents[DATA] is None else MOST_BESIDE_EXEMPLARS
    return max(1, most // max(1, len(page.layer.filters_shown)))


def _peak(maps: ImageMaps, index: int, place: Place | None) -> str:
    """A map's largest value, which natural peaks count too, and its smallest where that is below zero."""
    low, _ = maps.range_of(index)
    peak = float(maps.peak[index])
    above = None if place is None or not isfinite(peak) else place(peak)
    return (
        f"peak {number(peak)}"
        + ("" if above is None else f", {above}")
        + (f", minimum {number(low)}" if low < 0 else "")
    )


def _record(contents: LayerContents, maps: ImageMaps) -> FeatureMapRecord:
    names = ("minimum", "maximum", "zero_fraction", "nonfinite_fraction", "pre_minimum", "pre_maximum")
    channels = _kept(contents, maps)
    has_array = channels is None or len(channels) > 0
    return FeatureMapRecord(
        image=maps.image.slug,
        array=contents.data_path(FILE) if has_array else None,
        key=maps.image.slug if has_array else None,
        channels=channels,
        **{name: plain(maps.facts.get(name)) for name in names},
        silenced_fraction=maps.silenced_fraction(contents.layer),
    )


def _kept(contents: LayerContents, maps: ImageMaps) -> tuple[int, ...] | None:
    """The channels whose maps the report keeps, of those that are there; None for all."""
    wanted = wanted_channels(contents.plan, contents.layer)
    if wanted is None or maps.channels is None:
        return maps.channels if wanted is None else wanted
    return tuple(channel for channel in wanted if channel in maps.channels)


def _half(maps: np.ndarray) -> np.ndarray:
    """`maps` as float16, finite values beyond what it holds clipped."""
    if maps.dtype == np.float16:
        return maps
    clipped = np.clip(maps, -HALF_LARGEST, HALF_LARGEST)
    return np.where(np.isfinite(maps), clipped, maps).astype(np.float16)


def _mosaic(maps: np.ndarray, title: str, style: MapStyle, facts: dict[str, Any], prefix: str) -> Figure | None:
    low, high = facts.get(f"{prefix}minimum"), facts.get(f"{prefix}maximum")
    truth = None if low is None or high is None else (float(low), float(high))
    try:
        return mosaic.draw(maps, title=title, style=style, true_range=truth)
    except ValueError:  # not (height, width, channels): the arrays are still in the data file
        return None


def without_maps(page: LayerPage) -> str | None:
    """Return why a layer's page has no feature maps; None where it has some."""
    if not page.layer.is_met:
        return "There are no feature maps: no data was observed to pass through this layer."
    if not page.contents.plan.images:
        return f"No {page.contents.nouns.one}s were given."
    if not page.contents[FEATURE_MAPS]:
        return "The feature maps of this layer have not been computed; run `reportgen build` again."
    return None


def _note(page: LayerPage) -> str:
    """What the maps are of."""
    found = page.contents[FEATURE_MAPS] or ()
    has_before = any(before_figure(maps.image.slug) in page.pictures for maps in found)
    both = " Pre-activation and post-activation, each with its own scale." if has_before else ""
    return f"Feature maps of every filter on {plural(len(found), page.contents.nouns.one)}, one tile per filter.{both}"


def _ranges_view(page: LayerPage, found: Sequence[ImageMaps]) -> RangesView:
    """A column for every mosaic: of each image that before, where there is one, then that after."""
    owner = "channel" if page.layer.is_pooling else "filter"
    before, after = (title.lower() for title in steps(page.layer))
    columns: list[tuple[str, list[list[float]]]] = []
    for maps in found:
        if maps.before_ranges is not None:
            columns.append((f"{maps.image.name}, {before}", maps.before_ranges.tolist()))
        columns.append((f"{maps.image.name}, {after}", maps.ranges.tolist()))
    when = f"{before} and {after}" if len(columns) > len(found) else after
    return RangesView(
        f"Minimum and maximum of every {owner}'s map on each {page.contents.nouns.one}, {when}.",
        owner.capitalize(),
        tuple(name for name, _ in columns),
        tuple(
            (str(number), tuple(span(*ends) for ends in row))
            for number, row in enumerate(zip(*(ranges for _, ranges in columns), strict=True))
        ),
    )


def _view(
    page: LayerPage, maps: ImageMaps, record: FeatureMapRecord, prediction: str | None, unfolded: bool
) -> ImageMapsView:
    picture, after = page.image_files.get(maps.image.slug), after_figure(maps.image.slug)
    what = "activation" if not page.layer.is_pooling else steps(page.layer)[1].lower()
    words = f"{what} {span(record.minimum, record.maximum)}, {zeros(record.zero_fraction, record.silenced_fraction)}"
    if record.nonfinite_fraction:
        words += f", {percent(record.nonfinite_fraction)} not finite"
    return ImageMapsView(
        anchor=f"maps-{maps.image.slug}",
        name=maps.image.name,
        prediction=prediction,
        picture=None if picture is None else _small(picture, page.root),
        facts=words,
        after=page.figure(after),
        before=page.figure(before_figure(maps.image.slug)),
        before_title=steps(page.layer)[0],
        after_title=steps(page.layer)[1],
        open=unfolded,
        place=peak_words(page.contents[DATA], maps.peak, page.contents.owners, page.contents.nouns.one),
        stacked=after in page.pictures and page.pictures[after].tiles.columns > COLUMNS,
    )


def _small(picture: ImageFile, root: str) -> SmallPicture:
    size = picture.width, picture.height
    return small_picture(root + picture.path, size, PICTURE_PIXELS / max(size))


def zeros(zero: float | None, silenced: float | None) -> str:
    """Return how much of some maps is zero, and how much of it is due to ReLU.

    Args:
        zero: the share of the values that is zero.
        silenced: the share that ReLU sets from below 0 to 0; None where the activation function is no rectifier.
    """
    share = f"{percent(zero)} zeros"
    if silenced is None:
        return share
    if silenced and silenced == zero:
        return f"{share} (all from ReLU)"
    return f"{share} ({percent(silenced)} of the values from ReLU)"


def _prediction(image: ImageEntry) -> str | None:
    if not image.predictions:
        return None
    best = image.predictions[0]
    return f"{best.label}, {percent(best.probability)}"
