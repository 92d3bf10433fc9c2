"""How attribution maps are drawn and described: two pictures each, scale, formula, checks in words, and a chart of the curves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reportgen.artefacts.attribution import (
    CORRELATION_LIMIT,
    CURVES,
    AttributionRecord,
    Check,
    Outcome,
    StoredAttribution,
)
from reportgen.artefacts.base import ImageFile
from reportgen.artefacts.views import Legend, SmallPicture, legend, small_picture
from reportgen.core.choices import MOST_MASKS, Attribution
from reportgen.core.grids import cell_numbers
from reportgen.core.records import PICTURE_RANK
from reportgen.render import palette
from reportgen.render.attribution import MOST_COVERED, STRIP_HEIGHT, draw_map, draw_over, place_words
from reportgen.render.paths import LineChart, line_chart
from reportgen.render.text import AXIS_UNITS, NOUNS, count, listed, number, percent, plural

SAME = 1e-5  # of the largest magnitude: two maps that differ by less do so by rounding
PICTURE_PIXELS = 224  # longer side of a picture on a page, CSS pixels
NAMES = {Attribution.GRAD_CAM: "Grad-CAM", Attribution.HIRESCAM: "HiResCAM", Attribution.SCORE_CAM: "Score-CAM"}
FORMULAS = {
    Attribution.GRAD_CAM: (
        "Grad-CAM: Σₖ αₖ Aₖ, where αₖ is the mean over all positions of ∂y/∂Aₖ. The published map is the ReLU of this sum; "
        "here the values below zero stay visible"
    ),
    Attribution.HIRESCAM: (
        "HiResCAM: Σₖ ∂y/∂Aₖ · Aₖ, position by position. Where global average pooling and one dense layer follow, the map adds up "
        "exactly to the class’s logit less its bias"
    ),
    Attribution.SCORE_CAM: (
        "Score-CAM: Σₖ wₖ Aₖ, where wₖ is how much more probable the class is for the input masked with map k than for an input of "
        "zeros. The published map is the ReLU of this sum"
    ),
}
SOURCES = {
    Attribution.GRAD_CAM: "Selvaraju et al. 2017",
    Attribution.HIRESCAM: "Draelos and Carin 2020",
    Attribution.SCORE_CAM: "Wang et al. 2020",
}
ROLES = {"predicted": "predicted", "only": "the only number of this output", "true": "true class", "named": "requested"}
OUTCOMES = {Outcome.PASSED: "ok", Outcome.FAILED: "not-finite", Outcome.NOT_POSSIBLE: "skipped"}  # signs of the sprite


@dataclass(frozen=True)
class CheckRow:
    """One check in words; `sign` names a sign of the page's sprite."""

    name: str
    sign: str
    outcome: str
    text: str


@dataclass(frozen=True)
class CurvesView:
    """The chart of a map's curves, with the ends of its scale in words."""

    chart: LineChart
    top: str
    low: str
    alt: str


@dataclass(frozen=True)
class MapView:
    """One attribution map on a page."""

    anchor: str
    title: str
    role: str
    score: str
    picture: SmallPicture
    over: SmallPicture
    legend: Legend | None
    caption: str
    failed: str | None
    checks: tuple[CheckRow, ...]
    curves: CurvesView | None


def figure_paths(image: str, record: AttributionRecord) -> tuple[str, str]:
    """Return where the pictures of a map lie, relative to the report: alone, and over the image."""
    base = f"figures/images/{image}/{record.method.value}-{record.key}"
    return f"{base}.png", f"{base}-over.png"


def scale_tops(records: Sequence[AttributionRecord]) -> dict[str, float]:
    """Return the end of each map's color scale by its key: the largest magnitude of all classes of the same method, layer and output."""
    tops: dict[tuple[str, str, str | None], float] = {}
    for record in records:
        group = _group(record)
        ends = [abs(end) for end in (record.minimum, record.maximum) if end is not None]
        tops[group] = max([tops.get(group, 0.0), *ends])
    return {record.key: tops[_group(record)] for record in records}


def _group(record: AttributionRecord) -> tuple[str, str, str | None]:
    """What maps have in common that are drawn on one scale."""
    return record.method.value, record.layer, record.output


def draw(
    image: str,
    records: Sequence[AttributionRecord],
    stored: StoredAttribution,
    picture: np.ndarray,
    file: ImageFile,
) -> Iterator[tuple[str, bytes]]:
    """Yield (path, PNG file) of every picture.

    Args:
        image: its slug.
        records: of its maps.
        stored: their arrays.
        picture: the image as the model receives it, (*size, channels).
        file: its own picture.
    """
    tops = scale_tops(records)
    for record in records:
        values, (alone, over) = stored.arrays[record.key], figure_paths(image, record)
        yield alone, draw_map(values, picture.shape[:-1], tops[record.key], file.width)
        yield over, draw_over(values, picture, tops[record.key], file.width)


def map_views(
    image: str,
    records: Sequence[AttributionRecord],
    arrays: Mapping[str, np.ndarray],
    file: ImageFile,
    root: str,
) -> tuple[MapView, ...]:
    """Return the views of an image's maps.

    Args:
        image: its slug.
        records: of its maps.
        arrays: theirs.
        file: the picture of the image.
        root: from the page to the report's folder.
    """
    tops, size, groups = scale_tops(records), file.lengths, Counter(map(_group, records))
    whole = (size[1], size[0]) if len(size) == PICTURE_RANK else (file.width, file.height)
    strip = (file.width, STRIP_HEIGHT) if len(size) == 1 else whole
    views = []
    for record in records:
        twin = _twin(record, records, arrays)
        alone, over = figure_paths(image, record)
        top = tops[record.key]
        said = said_of(record, arrays[record.key])
        title = f"{NAMES[record.method]} · {_class(record)}"
        views.append(
            MapView(
                anchor=record.key,
                title=title,
                role=ROLES[record.role],
                score=_score(record),
                picture=_picture(root, alone, strip, f"{title} at {record.layer}: {said}"),
                over=_picture(root, over, whole, f"The same map over the image in gray: {title}"),
                legend=legend(-top, top, palette.DIVERGING) if top > 0 else None,
                caption=_caption(record, said, top, groups[_group(record)] > 1) + twin,
                failed=_failed(record),
                checks=_check_rows(record),
                curves=_curves(record, arrays),
            )
        )
    return tuple(views)


def _class(record: AttributionRecord) -> str:
    return record.label if record.output is None else f"{record.output}: {record.label}"


def _picture(root: str, path: str, size: tuple[int, int], alt: str) -> SmallPicture:
    return small_picture(root + path, size, PICTURE_PIXELS / max(size), alt)


def _score(record: AttributionRecord) -> str:
    """The score that is explained, and what the model returns."""
    value = percent(record.value) if record.is_probability else number(record.value)
    words = {
        "logit": f"Logit {number(record.score)}, probability {value}",
        "log probability": f"Log probability {number(record.score)} (no logit was found), probability {value}",
        "output": f"Output {value} (it ends in neither softmax nor sigmoid; whether it is a logit is not known)",
    }
    return words[record.kind]


def said_of(record: AttributionRecord, values: np.ndarray) -> str:
    """Return what a map says, as a clause: where it is highest and lowest, and how much lies above zero."""
    if not np.isfinite(values).all():
        return "some of its values are not finite"
    if not values.any():
        return "zero everywhere"
    if values.min() == values.max():
        return f"{number(float(values.max()))} everywhere"
    parts = [f"highest ({number(record.maximum)}) {_where(int(values.argmax()), record.grid)}"]
    parts.append(f"lowest ({number(record.minimum)}) {_where(int(values.argmin()), record.grid)}")
    parts.append(f"{percent(float((values > 0).mean()))} of the positions above zero")
    return "; ".join(parts)


def _where(flat: int, grid: Sequence[int]) -> str:
    return place_words([int(at) for at in np.unravel_index(flat, grid)], grid)


def _caption(record: AttributionRecord, said: str, top: float, of_many: bool) -> str:
    shared = " of these maps" if of_many else ""
    scale = (
        f"Linear scale ({palette.DIVERGING}) from {number(-top)} through 0 to {number(top)}, the largest magnitude{shared}."
        if top > 0
        else "All values are 0."
    )
    measured = ""
    if record.channels_measured < record.channels:
        chosen = f"{count(record.channels_measured)} of {count(record.channels)} maps"
        measured = f" Made of {chosen}: " + (
            "those with the widest range of values."
            if record.channels_measured == MOST_MASKS
            else "the others are constant."
        )
    return f"{said[0].upper() + said[1:]}. {scale}{measured}"


def _twin(record: AttributionRecord, records: Sequence[AttributionRecord], arrays: Mapping[str, np.ndarray]) -> str:
    """The sentence on a map of the other gradient method that is the same; "" where there is none."""
    if record.method != Attribution.HIRESCAM:
        return ""
    same = (record.output, record.layer, record.number, record.sign)
    for other in records:
        if other.method == Attribution.GRAD_CAM and (other.output, other.layer, other.number, other.sign) == same:
            one, two = arrays[record.key], arrays[other.key]
            if np.allclose(one, two, rtol=0, atol=SAME * float(np.abs(two).max())):
                return " Grad-CAM gives the same map here: the gradient is the same at every position, as before global average pooling."
    return ""


def drawing_words(grid: Sequence[int], size: Sequence[int]) -> str:
    """Return how maps of a grid are drawn over an input, as sentences."""
    blocks = " × ".join(str(least) if least == most else f"{least}–{most}" for least, most in _blocks(grid, size))
    unit = AXIS_UNITS[len(size)]
    return (
        f"Each position is drawn on {blocks} {unit} by repeating it; nothing is interpolated. Over the gray {NOUNS[len(size)].one} a "
        f"color covers up to {percent(MOST_COVERED)}, in proportion to its magnitude, so read values off the map beside it."
    )


def _blocks(grid: Sequence[int], size: Sequence[int]) -> list[tuple[int, int]]:
    """The fewest and the most positions of the input that a position of the map lies over, on each axis."""
    found = []
    for cells, length in zip(grid, size, strict=True):
        counts = np.bincount(cell_numbers([cells], [length]), minlength=cells)
        found.append((int(counts.min()), int(counts.max())))
    return found


def _failed(record: AttributionRecord) -> str | None:
    if not record.failed:
        return None
    return f"This map fails {plural(len(record.failed), 'check')} ({listed(list(record.failed))}): do not rely on it alone."


def _check_rows(record: AttributionRecord) -> tuple[CheckRow, ...]:
    texts = {
        Check.DELETION: _deletion(record),
        Check.INSERTION: _insertion(record),
        Check.RANDOMIZATION: _randomization(record),
    }
    return tuple(
        CheckRow(
            check.value.capitalize(),
            OUTCOMES[Outcome(record.checks[check.value])],
            record.checks[check.value],
            text,
        )
        for check, text in texts.items()
    )


def _deletion(record: AttributionRecord) -> str:
    outcome = record.checks[Check.DELETION.value]
    text = f"area {number(record.deletion_area)}, in random order {number(record.random_area)}"
    if outcome == Outcome.NOT_POSSIBLE:
        return _flat(record)
    if outcome == Outcome.FAILED:
        return (
            f"{text}: removing the map’s highest positions first lowers the class no faster than removing random ones"
        )
    return f"{text} (lower is better)"


def _insertion(record: AttributionRecord) -> str:
    outcome = record.checks[Check.INSERTION.value]
    text = f"area {number(record.insertion_area)}, in random order {number(record.random_area)}"
    if outcome == Outcome.NOT_POSSIBLE:
        return _flat(record)
    if outcome == Outcome.FAILED:
        return (
            f"{text}: restoring the map’s highest positions first raises the class no faster than restoring random ones"
        )
    return f"{text} (higher is better)"


def _flat(record: AttributionRecord) -> str:
    """Why curves cannot tell anything."""
    if record.minimum == record.maximum:
        return "the map is constant, so it has no highest positions"
    if record.span is None:
        return "an output is not finite"
    words = percent if record.is_probability else number
    return f"replacing positions changes the output by {words(record.span)} at most, even where all are replaced"


def _randomization(record: AttributionRecord) -> str:
    if not record.randomized:
        return "no layer above has weights of its own, so there is nothing to randomize"
    if record.correlation is None:
        return "the map, or that of random weights, is constant, so they cannot be compared"
    draws = plural(sum(value is not None for value in record.correlations), "draw")
    text = (
        f"mean |Spearman correlation| with the map of shuffled weights above {number(record.correlation)} "
        f"({draws}; limit {CORRELATION_LIMIT:g})"
    )
    if record.checks[Check.RANDOMIZATION.value] == Outcome.FAILED:
        return (
            f"{text}: random weights give nearly the same pattern or its negative, so it does not come from what was learned "
            "above the layer"
        )
    return text


def _curves(record: AttributionRecord, arrays: Mapping[str, np.ndarray]) -> CurvesView | None:
    found = {name: arrays[f"{record.key}.{name}"].astype(float) for name in CURVES}
    every = np.concatenate(list(found.values()))
    if not np.isfinite(every).all():
        return None
    low, top = (0.0, 1.0) if record.is_probability else (float(every.min()), float(every.max()))
    if low == top:
        return None
    chart = line_chart([(name, values.tolist()) for name, values in found.items()], low, top)
    words = percent if record.is_probability else number
    ends = {name: f"from {words(float(values[0]))} to {words(float(values[-1]))}" for name, values in found.items()}
    alt = (
        f"{'Probability' if record.is_probability else 'Output'} of {record.label} in {plural(len(found['deletion']) - 1, 'step')}. "
        f"Deletion: {ends['deletion']}, area {number(record.deletion_area)}; insertion: {ends['insertion']}, area "
        f"{number(record.insertion_area)}; random order: area {number(record.random_area)}."
    )
    return CurvesView(chart, words(top), words(low), alt)
