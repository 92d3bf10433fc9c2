"""The part of a layer's page that shows its feature maps, image by image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reportgen.core.choices import Normalization
from reportgen.core.records import Plan
from reportgen.core.settings import MapStyle
from reportgen.render.text import NOUNS, percent, plural, span
from reportgen.report.documents import Document
from reportgen.report.layer_figures import ImageFile, LayerPictures, MapPictures
from reportgen.report.views import FigureView, figure_view

ACTIVATION, POOLED = "the activation function", "pooling"
PICTURE_PIXELS = 40  # longer side of an image beside the maps it caused, CSS pixels


@dataclass(frozen=True)
class ImagePicture:
    """One of the user's images, small. pixelated: larger than it is nevertheless, so its pixels are repeated."""

    href: str
    width: int
    height: int
    pixelated: bool


@dataclass(frozen=True)
class MapsView:
    """The feature maps of one image. step: what lies between before and after. open: unfolded when the page opens."""

    anchor: str
    name: str
    answer: str | None
    picture: ImagePicture | None
    facts: str
    after: FigureView | None
    before: FigureView | None
    step: str
    open: bool


def maps_views(
    drawn: LayerPictures,
    facts: Sequence[Document],
    images: Sequence[Document],
    pictures: dict[str, ImageFile],
    root: str,
    step: str = ACTIVATION,
) -> tuple[MapsView, ...]:
    """One view an image.

    facts: `feature_maps` of report.json; images: all of them there; pictures: by slug; step: what lies between before and after.
    """
    answers = {image["slug"]: _answer(image) for image in images}
    return tuple(
        _view(maps, entry, answers[maps.image.slug], pictures.get(maps.image.slug), root, step, place == 0)
        for place, (maps, entry) in enumerate(zip(drawn.maps, facts, strict=True))
    )


def maps_note(plan: Plan, drawn: LayerPictures, pooling: bool = False) -> str:
    """What the maps are of."""
    noun = NOUNS[plan.contract.rank].one
    if not plan.images:
        return f"No {noun}s were given."
    if not drawn.maps:
        return "No feature maps of this layer are in the store."
    if drawn.maps[0].before is not None and pooling:
        return (
            f"What every channel is on {plural(len(drawn.maps), noun)}, one tile a channel. On the left what the layer is "
            "given, on the right what it passes on, each on its own stated scale."
        )
    both = (
        " On the left the values before the activation function, on the right those after it, each on its own stated scale."
        if any(m.before for m in drawn.maps)
        else ""
    )
    return f"What every filter answers to {plural(len(drawn.maps), noun)}, one tile a filter.{both}"


@dataclass(frozen=True)
class RangesView:
    """The range of every map of a layer: a row a channel, called `owner`, and a cell for each of `columns`."""

    caption: str
    owner: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


def ranges_view(drawn: LayerPictures, style: MapStyle, noun: str, pooling: bool = False) -> RangesView | None:
    """The table that maps drawn each on a scale of its own need; None where they share one.

    A column for every picture of maps: of each image those before, where there are any, then those after.
    """
    if style.normalize != Normalization.PER_MAP or not drawn.maps:
        return None
    step, owner = (POOLED, "channel") if pooling else (ACTIVATION, "filter")
    columns: list[tuple[str, list[list[float]]]] = []
    for maps in drawn.maps:
        if maps.before_ranges is not None:
            columns.append((f"{maps.image.name}, before", maps.before_ranges.tolist()))
        columns.append((f"{maps.image.name}, after", maps.ranges.tolist()))
    when = f"before and after {step}" if len(columns) > len(drawn.maps) else f"after {step}"
    return RangesView(
        f"Smallest and largest value of every {owner}'s map on each {noun}, {when}.",
        owner.capitalize(),
        tuple(name for name, _ in columns),
        tuple(
            (str(number), tuple(span(*ends) for ends in row))
            for number, row in enumerate(zip(*(ranges for _, ranges in columns), strict=True))
        ),
    )


def _view(
    maps: MapPictures,
    facts: Document,
    answer: str | None,
    picture: ImageFile | None,
    root: str,
    step: str,
    unfolded: bool,
) -> MapsView:
    small = None
    if picture is not None:
        scale = PICTURE_PIXELS / max(picture.width, picture.height)
        size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
        small = ImagePicture(root + picture.path, *size, scale > 1)
    what = "activation" if step == ACTIVATION else f"after {step}"
    words = f"{what} {span(facts['minimum'], facts['maximum'])}, {zeros(facts['zero_fraction'], facts['silenced_fraction'])}"
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
        step=step,
        open=unfolded,
    )


def zeros(zero: float | None, silenced: float | None) -> str:
    """How much of some maps is zero, and how much of that a rectifier made so; silenced: None where there is no rectifier."""
    share = f"{percent(zero)} exactly zero"
    if silenced is None:
        return share
    if silenced and silenced == zero:
        return f"{share}, all of it silenced by the rectifier"
    return f"{share}; the rectifier silences {percent(silenced)} of the values"


def _answer(image: Document) -> str | None:
    if not image["predictions"]:
        return None
    best = image["predictions"][0]
    return f"{best['label']}, {percent(best['probability'])}"
