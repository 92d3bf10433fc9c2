"""What figures share: choice of filters, their labels, color bars, bars of length, and the clauses of captions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reportgen.artefacts.layer_entry import LayerEntry
from reportgen.core.choices import FilterChoice
from reportgen.figures.grid import Grid
from reportgen.figures.sheet import Sheet
from reportgen.figures.source import Facts, Request
from reportgen.render import palette
from reportgen.render.scale import COLORED, CURVED, Legend, Scale
from reportgen.render.text import count, number, plural
from reportgen.render.wording import owner_words

LAST_PARTS = "Layers are named by the last part of their paths."
MIDDLE_GRAY = 128  # of a tile that would be noise or is constant
BAR_MM, BAR_TICK_MM = 2.0, 0.6  # a color bar's thickness, and its ticks' length
TALLEST_BAR_MM, CLEARLY = 40.0, 1.4  # a color bar's height at most, and what is clearly higher
BAR_LENGTHS = (1, 2, 4, 5, 8, 10, 16, 20, 25, 32, 40, 50, 64, 80, 100, 128, 160, 200, 256, 320, 400, 500, 512)
BAR_SHARE = 0.6  # of a picture's width, at most, that a bar of length takes
UNEVEN = 0.5  # of the distance between two numbers: how far one may be off its place
ENDS_MM = 0.8  # height of the strokes at the ends of a bar of length


def chosen(shown: Sequence[int], request: Request) -> list[int]:
    """Return the positions in `shown` of the filters that a request names."""
    wanted = set(request.filters)
    return [position for position, number in enumerate(shown) if number in wanted]


def tile_labels(layer: LayerEntry, numbers: Sequence[int]) -> list[str]:
    """Return what stands above each picture: the filter's number, or the class's name."""
    if layer.labels is None:
        return [str(number) for number in numbers]
    names = dict(zip(layer.filters_shown, layer.labels, strict=True))
    return [names.get(number, str(number)) for number in numbers]


def owners_of(layer: LayerEntry) -> str:
    """Return what the channels of a layer are called."""
    return owner_words(layer.is_output)[1]


def counted(numbers: Sequence[int], layer: LayerEntry) -> str:
    """Return `8 of 64 filters (evenly spaced) of conv1`, or `all 64 filters of conv1`, of the filters with some numbers."""
    total, (owner, owners) = layer.filters_total, owner_words(layer.is_output)
    if len(numbers) < total:
        which = f"{count(len(numbers))} of {plural(total, owner, owners)}{' (evenly spaced)' if _is_spaced(numbers, total) else ''}"
    else:
        which = f"the only {owner}" if total == 1 else f"all {count(total)} {owners}"
    return which if layer.is_output else f"{which} of {layer.path}"


def _is_spaced(numbers: Sequence[int], total: int) -> bool:
    """Whether numbers are spread evenly from the first to the last of all."""
    step = (total - 1) / max(len(numbers) - 1, 1)
    off = (abs(number - place * step) for place, number in enumerate(numbers))
    return len(numbers) > 2 and max(off) < max(1.0, UNEVEN * step)


def steps_and_seed(facts: Facts, recipe: Mapping[str, Any], steps: int) -> str:
    """Return the sentence on how patterns were made, in short; the methods paragraph has all of it."""
    name = {"optvis": "Feature visualization by optimization", "keras-io": "Gradient ascent as on keras.io"}
    method = name.get(str(recipe.get("method")), "Gradient ascent")
    precision = f", {recipe['precision']}" if "precision" in recipe else ""
    return f"{method}, {plural(steps, 'step')}{precision}, seed {facts.settings.get('seed', 0)}."


def spaced(numbers: Sequence[int], most: int) -> tuple[int, ...]:
    """Return at most `most` of some numbers, evenly spaced from the first to the last."""
    return tuple(numbers[place] for place in FilterChoice(count=most).of(len(numbers)))


def color_bar(sheet: Sheet, x: float, y: float, height: float, legend: Legend, *, curves: bool = False) -> float:
    """Draw a vertical color bar, for `curves` an axis, with the numbers of its ends and of zero; returns its right edge."""
    low, high, name = legend
    thick = 0 if curves else sheet.mm(BAR_MM)
    if curves:
        sheet.line((x, x), (y, y + height))
    else:
        colors = palette.colors(name, palette.LEVELS)[::-1, None]
        sheet.picture(x, y, colors, thick, height / palette.LEVELS, frame=True)
    ends: list[tuple[float, str]] = [(y, _end(high)), (y + height, _end(low))]
    if isinstance(low, float) and isinstance(high, float) and low < 0 < high:
        ends.insert(1, (y + height * high / (high - low), "0"))
    right = x + thick
    for at, words in ends:
        sheet.line((x + thick, x + thick + sheet.mm(BAR_TICK_MM)), (at, at))
        left = x + thick + 1.5 * sheet.mm(BAR_TICK_MM)
        half = sheet.pt(sheet.small * 0.36)
        inside = min(max(at, y + half), y + height - half)
        sheet.text(left, inside + half, words)
        right = max(right, left + sheet.text_width(words))
    return right


def bar_height(sheet: Sheet, height: float) -> float:
    """Return how high a color bar is beside pictures of a height: as high, or clearly less."""
    tallest = sheet.mm(TALLEST_BAR_MM)
    return height if height < tallest * CLEARLY else tallest


def color_bar_width(sheet: Sheet, legend: Legend) -> float:
    """Return how much room a color bar and its numbers take."""
    words = max(sheet.text_width(_end(end)) for end in legend[:2])
    return sheet.mm(BAR_MM) + 1.5 * sheet.mm(BAR_TICK_MM) + words


def scale_bars(
    sheet: Sheet, y: float, place: Grid, width: int, field: Sequence[int | None] | None
) -> tuple[float, float]:
    """Draw a bar of a round number of pixels, and one as long as the receptive field where a picture is larger.

    Returns:
        Where they end below and to the right.
    """
    half = sheet.mm(ENDS_MM) / 2
    letters = sheet.pt(sheet.small * 0.36)
    length = next((item for item in reversed(BAR_LENGTHS) if item <= width * BAR_SHARE), 1)
    x, right = 0.0, 0.0
    bars = [(length, plural(length, "pixel"))]
    across = None if not field else field[-1]
    if across is not None and 1 < across < width:
        bars.append((across, f"receptive field, {across} pixels"))
    for pixels, words in bars:
        end = x + pixels * place.scale
        middle = y + half
        sheet.line((x, end), (middle, middle), width=1.0)
        for at in (x, end):
            sheet.line((at, at), (middle - half, middle + half))
        sheet.text(end + sheet.mm(0.8), middle + letters, words)
        right = end + sheet.mm(0.8) + sheet.text_width(words)
        x = right + sheet.mm(3.2)
    return y + 2 * half + sheet.pt(sheet.small * 0.4), right


def _end(value: float | str) -> str:
    return number(value) if isinstance(value, float) else value


def scale_words(scale: Scale, *, curves: bool = False) -> str:
    """Return a scale in words, its colors by their names where they have any."""
    sentence = scale.sentence(CURVED if curves else COLORED)
    return sentence.replace(f"({palette.DIVERGING})", "(blue, white at 0, red)")


def images_of(names: Sequence[str], total: int) -> str:
    """Return `all 4 images`, `2 of 8 images` or `the image cat.jpg`."""
    if total == 1:
        return f"the image {names[0]}"
    return f"all {plural(total, 'image')}" if len(names) == total else f"{len(names)} of {plural(total, 'image')}"
