"""What templates print: finished text and numbers; a template neither computes nor formats."""

from __future__ import annotations

from dataclasses import dataclass

from reportgen.core.verdicts import DEAD, NOT_COMPUTED, NOT_FINITE, OK, SILENT, SKIPPED, VERDICTS, WEAK
from reportgen.render.figure import Picture
from reportgen.render.numbering import Sheet, sheet
from reportgen.render.palette import colors
from reportgen.render.text import OF_IMAGES, Nouns, count, number

ANCHOR_DIGITS = 3
GRADIENT_STOPS = 17  # of a color bar: odd, so that the middle of a diverging map is one of them
MEANINGS: dict[str, str] = {
    OK: "the pattern activates the {owner} more than any of the {noun}s does, by its mean or at its highest position",
    WEAK: "the pattern exceeds what the {noun}s reach neither by its mean nor at its highest position",
    SILENT: "no input that was tried activates the {owner} above zero at any position; that none can is not proven",
    DEAD: "it is proven that no input activates the {owner} above zero, or that its activation is the same for every input",
    NOT_FINITE: "a score of the pattern is infinite or not a number",
    SKIPPED: "no pattern was computed",
    NOT_COMPUTED: "the pattern was requested but has not been computed",
}
AGAINST_START: dict[str, str] = {
    OK: "the pattern activates the {owner} clearly more than the {noun} it started from, by more than that {noun}'s own activation",
    WEAK: "the pattern does not activate the {owner} clearly more than the {noun} it started from, "
    "by more than that {noun}'s own activation",
}
# What pages call a verdict, of one pattern and of several: a fact and no praise; report.json has the words.
STATUSES: dict[str, tuple[str, str]] = {
    OK: ("exceeds {reference}", "exceed {reference}"),
    WEAK: ("does not exceed {reference}", "do not exceed {reference}"),
    SILENT: ("never active", "never active"),
    DEAD: ("proven inactive", "proven inactive"),
    NOT_FINITE: ("NaN or Inf", "NaN or Inf"),
    SKIPPED: ("no pattern", "no pattern"),
    NOT_COMPUTED: ("pattern not computed", "pattern not computed"),
}


Keys = tuple[tuple[str, str], ...]  # what scripts sort and search an item by: names and values of data attributes


@dataclass(frozen=True)
class Fact:
    """One row of a list of facts; `code` values are set in a fixed-width face, the `note` is smaller, below the value."""

    term: str
    value: str
    code: bool = False
    note: str | None = None


@dataclass(frozen=True)
class Link:
    """Where a link leads, relative to its page, and its text; `code` where that is the path of a layer."""

    href: str
    label: str
    code: bool = True


@dataclass(frozen=True)
class Verdict:
    """A verdict as word, symbol (`key`) and meaning; `label` is what pages call it."""

    word: str
    key: str
    label: str
    meaning: str
    count: str = ""


@dataclass(frozen=True)
class Legend:
    """A color bar: `gradient` names a gradient of the page's sprite."""

    low: str
    middle: str | None
    high: str
    gradient: str


@dataclass(frozen=True)
class Gradient:
    """A color map as (offset in percent, color) stops."""

    key: str
    stops: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class FigureView:
    """An `img` with its caption; `sheet` says how wide it is and has the numbers of its rows and columns."""

    href: str
    width: int
    height: int
    alt: str
    caption: str
    legend: Legend | None
    sheet: Sheet


@dataclass(frozen=True)
class Cut:
    """A part of a mosaic shown through an SVG window.

    Attributes:
        window: (x, y, width, height) in the mosaic's pixels.
        width: on the page, in CSS pixels, like `height`.
        pixelated: the part is enlarged, so its pixels are repeated and not blurred.
    """

    href: str
    sheet_width: int
    sheet_height: int
    window: tuple[int, int, int, int]
    width: int
    height: int
    label: str
    pixelated: bool


@dataclass(frozen=True)
class SmallPicture:
    """A picture as it stands on a page, in CSS pixels; `pixelated` where it is enlarged, so its pixels are repeated and not blurred."""

    href: str
    width: int
    height: int
    alt: str
    pixelated: bool


def anchor(index: int) -> str:
    """Return the stable anchor of a filter on its layer's page: `f017`."""
    return f"f{index:0{ANCHOR_DIGITS}d}"


def small_picture(href: str, size: tuple[int, int], scale: float, alt: str = "") -> SmallPicture:
    """Return a picture of `size` (width, height) in pixels, scaled."""
    width, height = (max(1, round(length * scale)) for length in size)
    return SmallPicture(href, width, height, alt, scale > 1)


@dataclass(frozen=True)
class Inline:
    """Style and script inside a report of one file."""

    style: str
    script: str


@dataclass(frozen=True)
class PageContext:
    """What every page states.

    Attributes:
        root: from the page to the report's folder.
        base: the template that pages extend.
        policy: what a page may load.
        style: path of the style sheet, like `script`; unused where they are `inline`.
        nouns: of what the model is fed.
    """

    root: str
    title: str
    page_title: str
    base: str
    policy: str
    style: str
    script: str
    inline: Inline | None
    nouns: Nouns
    version: str
    gradients: tuple[Gradient, ...]


def verdict_view(
    word: str,
    *,
    images: bool,
    start: bool = False,
    amount: int | None = None,
    owner: str = "filter",
    noun: str = OF_IMAGES.one,
) -> Verdict:
    """Return the view of a verdict.

    Args:
        word: the verdict.
        images: whether patterns are compared with the user's images.
        start: whether some are compared with their initial image; where both occur, both are explained.
        amount: how often it occurs; no count is shown where None.
        owner: what they are patterns of.
        noun: what the model is fed.
    """
    meaning = MEANINGS[word]
    if word in AGAINST_START and not images:
        meaning = AGAINST_START[word]
    elif word in AGAINST_START and start:
        meaning += f"; in a layer without natural maxima, {AGAINST_START[word]}"
    return Verdict(
        word,
        verdict_key(word),
        status(word, images=images, start=start, several=amount is not None and amount != 1, noun=noun),
        meaning.format(owner=owner, noun=noun),
        "" if amount is None else count(amount),
    )


def status(word: str, *, images: bool, start: bool = False, several: bool = False, noun: str = OF_IMAGES.one) -> str:
    """Return what pages call a verdict, without a judgement: `exceeds your images`.

    Args:
        word: the verdict.
        images: whether patterns are compared with the user's images.
        start: whether some are compared with their initial image.
        several: whether it is said of several patterns.
        noun: what the model is fed.
    """
    against = [*([f"your {noun}s"] if images else []), *(["the start clearly"] if start or not images else [])]
    return STATUSES[word][several].format(reference=" or ".join(against))


def verdict_key(word: str) -> str:
    """Return a verdict as a name of signs, classes and data attributes."""
    return word.replace(" ", "-")


def known_keys(**values: str | float | None) -> Keys:
    """Return data attributes of the known values, in the order given."""
    return tuple((name, str(value)) for name, value in values.items() if value is not None)


def verdict_views(
    counts: dict[str, int], *, images: bool, start: bool = False, noun: str = OF_IMAGES.one
) -> tuple[Verdict, ...]:
    """Return the verdicts that occur.

    Args:
        counts: how often, by word.
        images: as for `verdict_view`, like `start` and `noun`.
        start: see `images`.
        noun: see `images`.
    """
    return tuple(
        verdict_view(word, images=images, start=start, amount=counts[word], noun=noun)
        for word in (*VERDICTS, NOT_COMPUTED)
        if counts[word]
    )


def figure_view(picture: Picture, root: str) -> FigureView:
    """Return the `img` of a picture file; `root` leads from the page to the report's folder."""
    return FigureView(
        root + picture.path,
        picture.tiles.width,
        picture.tiles.height,
        picture.alt,
        picture.caption,
        None if picture.legend is None else legend(*picture.legend),
        sheet(picture.tiles, picture.numbering),
    )


def legend(low: float | str, high: float | str, name: str) -> Legend:
    """Return the color bar of a linear scale, its ends as numbers or in words."""
    if isinstance(low, str) or isinstance(high, str):
        return Legend(str(low), None, str(high), gradient_key(name))
    return Legend(number(low), "0" if low < 0 < high else None, number(high), gradient_key(name))


def gradient_key(name: str) -> str:
    """Return the id of a color map in a page."""
    return f"map-{name.lower().replace('_', '-')}"


def gradients(names: set[str]) -> tuple[Gradient, ...]:
    """Return the color maps that the color bars of a page refer to."""
    result = []
    for name in sorted(names):
        stops = colors(name, GRADIENT_STOPS).tolist()
        last = GRADIENT_STOPS - 1
        result.append(
            Gradient(
                gradient_key(name),
                tuple(
                    (f"{100 * place / last:g}%", f"#{red:02x}{green:02x}{blue:02x}")
                    for place, (red, green, blue) in enumerate(stops)
                ),
            )
        )
    return tuple(result)


def cut(picture: Picture, root: str, window: tuple[int, int, int, int], longest: int, label: str) -> Cut:
    """Return a window on a mosaic.

    Args:
        picture: the mosaic.
        root: from the page to the report's folder.
        window: (x, y, width, height) in the mosaic's pixels.
        longest: its longer side on the page, in CSS pixels.
        label: its alt text.
    """
    _, _, width, height = window
    scale = longest / max(width, height)
    return Cut(
        root + picture.path,
        picture.tiles.width,
        picture.tiles.height,
        window,
        max(1, round(width * scale)),
        max(1, round(height * scale)),
        label,
        scale > 1,
    )
