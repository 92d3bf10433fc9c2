"""Evidence from a data set as pages show it: on the card of a filter, and of the layer as a whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import groupby

import numpy as np

from reportgen.artefacts.base import LayerPage
from reportgen.artefacts.data_records import (
    LABEL_FIGURE,
    FilterData,
    LayerData,
    StoredData,
    exemplar_file,
    label_rows,
    sample_file,
)
from reportgen.artefacts.views import Cut, Fact, FigureView, Link, anchor
from reportgen.core.verdicts import Score
from reportgen.render.text import PERCENT, count, number, percent, plural
from reportgen.survey.groups import LEAST_IMAGES
from reportgen.survey.values import whole

MOST_NAMED = 128  # filters on a page whose exemplars are named there; of more the page would be too large, and report.json names them
HISTOGRAM_BINS = 32
HISTOGRAM_SIZE = (192, 40)  # CSS pixels
MOST_LINKS = 8  # of a group, on a card
BEST_FILTERS = 4  # of a label
STRIP_PIXELS = 320
MOST_PLACED = 3  # maps of an image that are named with their place
HIGH_PERCENT = 99  # of the data set's images have smaller peaks


@dataclass(frozen=True)
class Histogram:
    """The peaks of all images: `path` of an SVG of `width` and `height`, and what it says in words."""

    path: str
    width: int
    height: int
    low: str
    high: str
    alt: str


@dataclass(frozen=True)
class ExemplarRow:
    """An exemplar or a sample in a table."""

    place: str
    image: str
    label: str
    peak: str
    percentile: str


@dataclass(frozen=True)
class DataCard:
    """What a card says of the data set.

    Attributes:
        labels: sentences.
        alike: filters that answer alike.
        more: how many others do.
    """

    exemplars: FigureView | None
    samples: FigureView | None
    facts: tuple[Fact, ...]
    labels: tuple[str, ...]
    alike: tuple[Link, ...]
    more: str
    histogram: Histogram | None
    rows: tuple[ExemplarRow, ...]
    has_labels: bool


@dataclass(frozen=True)
class LabelRow:
    """A label with the filters that tell it apart best; `strip` has the AUROC of every filter."""

    label: str
    images: str
    best: tuple[Link, ...]
    strip: Cut | None


@dataclass(frozen=True)
class DataView:
    """The section of a layer.

    Attributes:
        groups: each a list of filters.
        labels: of which `labels_note` says how they were chosen.
    """

    note: str
    facts: tuple[Fact, ...]
    silent: tuple[Link, ...]
    more_silent: str
    groups: tuple[tuple[Link, ...], ...]
    labels: tuple[LabelRow, ...]
    labels_note: str
    legend: str


def data_card(page: LayerPage, stored: StoredData | None, record: LayerData | None, index: int) -> DataCard | None:
    """Return what the card of a filter says of the data set; None without one."""
    if record is None or stored is None:
        return None
    item = record.filters[index]
    samples = [(f"percentile {100 * each.quantile:g}", each) for each in item.samples]
    largest = [(str(place + 1), each) for place, each in enumerate(item.exemplars)]
    has_labels = any(each.label is not None for _, each in (*largest, *samples))
    others = [number for number in item.group if number != index]
    shown = set(page.layer.filters_shown)
    histogram = _histogram(stored.peaks(index), item.maximum, page.contents.nouns.one)
    return DataCard(
        exemplars=page.figure(exemplar_file(index)),
        samples=page.figure(sample_file(index)),
        facts=_facts(record, item, page.contents.nouns.one, histogram is not None),
        labels=_label_words(item) if record.label_tests and item.silent_image_share < 1 else (),
        alike=tuple(_link(number, shown) for number in others[:MOST_LINKS]),
        more=f"and {count(len(others) - MOST_LINKS)} more" if len(others) > MOST_LINKS else "",
        histogram=histogram,
        rows=tuple(
            ExemplarRow(place, each.image, each.label or "", number(each.peak), f"{each.percentile:.1f}")
            for place, each in (*largest, *samples)
            if each.percentile is not None and len(shown) <= MOST_NAMED
        ),
        has_labels=has_labels,
    )


def data_view(page: LayerPage, stored: StoredData, record: LayerData) -> DataView:
    """Return the section of a layer."""
    nouns, (owner, owners) = page.contents.nouns, page.contents.owners
    dataset = page.contents.plan.dataset
    source = "" if dataset is None else f" of {dataset.source}"
    total = len(record.filters)
    shown = set(page.layer.filters_shown)
    effective = record.effective_filters
    return DataView(
        note=(
            f"{plural(record.images, nouns.one)}{source}, all {plural(total, owner, owners)}. A peak is the largest position of the "
            f"{owner}’s map for one {nouns.one}, a mean is over the positions away from its border."
        ),
        facts=(
            Fact(
                "Never active",
                f"{count(len(record.silent_filters))} of {count(total)}",
                note=f"exactly 0 at every position of every {nouns.one}",
            ),
            Fact(
                "Silent positions",
                percent(float(np.mean([item.silent_position_share for item in record.filters]))),
                note=f"share of positions that are exactly 0, mean over {owners}",
            ),
            Fact(
                "Effective number",
                "not known" if effective is None else f"{number(effective)} of {count(total)}",
                note=f"participation ratio of the correlations between {owners}; as many as answer independently"
                if effective is not None
                else f"no {owner} varies, or there are fewer than {LEAST_IMAGES} {nouns.one}s",
            ),
            Fact(
                f"{owners.capitalize()} that answer alike",
                count(sum(len(group) for group in record.groups)),
                note=f"in {plural(len(record.groups), 'group')}, by |r| ≥ {record.group_limit:g} of the means over {nouns.one}s",
            ),
            *(
                (
                    Fact(
                        "Explained by a label",
                        f"{count(sum(bool(item.labels) for item in record.filters))} of {count(total)}",
                        note=f"by an AUROC of at least {record.label_effect:g}, or at most {1 - record.label_effect:g}, of the peaks; "
                        f"{count(record.label_tests)} Mann-Whitney tests in this layer, false discovery rate {record.label_level:g} "
                        "(Benjamini-Hochberg)",
                    ),
                )
                if record.label_tests
                else ()
            ),
        ),
        silent=tuple(_link(number, shown) for number in record.silent_filters[:MOST_LINKS]),
        more_silent=f"and {count(len(record.silent_filters) - MOST_LINKS)} more"
        if len(record.silent_filters) > MOST_LINKS
        else "",
        groups=tuple(tuple(_link(number, shown) for number in group) for group in record.groups),
        labels=_label_table(page, stored, record, shown),
        labels_note=_labels_note(page, stored, record),
        legend="Blue: the label’s peaks are lower; white: AUROC 0.5, no difference; red: higher. One column a filter, from 0 on.",
    )


def places(stored: StoredData | None, index: int, noun: str) -> Mapping[Score, Callable[[float | None], str | None]]:
    """Return what tells the place of a filter's scores among those of the data set's images: `above 99.8 % of images`.

    Args:
        stored: of the layer.
        index: of the filter.
        noun: what the model is fed.

    Returns:
        By score; nothing without a data set.
    """
    if stored is None:
        return {}
    return {
        "activation": partial(_place, np.sort(stored.activations(index)), noun),
        "peak": partial(_place, np.sort(stored.peaks(index)), noun),
    }


def peak_words(stored: StoredData | None, peaks: np.ndarray, owners: tuple[str, str], noun: str) -> str | None:
    """Return which maps of an image have the highest place among those of the data set's images, as a sentence.

    Args:
        stored: of the layer.
        peaks: the largest value of each of its maps on the image, float (filters,).
        owners: what a map belongs to, one and several.
        noun: what the model is fed.

    Returns:
        The sentence; None without a data set, or where no peak can be placed.
    """
    if stored is None or len(peaks) != stored.arrays["peaks"].shape[1]:
        return None
    known = whole(stored.arrays["peaks"], int(stored.facts["peaks_exponent"]))
    usable = np.isfinite(peaks) & np.isfinite(known).all(axis=0)
    if not usable.any():
        return None
    below = np.where(usable, (known < peaks.astype(np.float32)).sum(axis=0), -1)
    best = np.argsort(-below, kind="stable")[:MOST_PLACED]
    named = ", ".join(
        f"{owners[0]} {index} above {'all' if below[index] == len(known) else _share(int(below[index]), len(known))}"
        for index in best.tolist()
        if below[index] > 0
    )
    high = int((below >= HIGH_PERCENT * len(known) / PERCENT).sum())
    among = f"{count(high)} of {plural(len(peaks), *owners)} above {HIGH_PERCENT} %"
    return f"Peaks compared with those of the data set’s {plural(len(known), noun)}: {f'{named}; ' if named else ''}{among}."


def _share(below: int, total: int) -> str:
    """A share in percent; as a count of the total where it is too close to none or all to be told apart in percent."""
    words = percent(below / total)
    return f"{count(below)} of {count(total)}" if words[0] in "<>" else words


def _place(ordered: np.ndarray, noun: str, value: float | None) -> str | None:
    if value is None or not np.isfinite(ordered).all():
        return None
    below = int(np.searchsorted(ordered, np.float32(value), side="left"))
    if below == len(ordered):
        return f"above all {plural(below, noun)}"
    share = _share(below, len(ordered))
    return f"above {share} {noun}s" if " of " in share else f"above {share} of {noun}s"


def _facts(record: LayerData, item: FilterData, noun: str, has_histogram: bool) -> tuple[Fact, ...]:
    if item.silent_image_share == 1:
        return (Fact("Active", f"on none of {plural(record.images, noun)}"),)
    quantiles = item.quantiles
    return (
        Fact(
            "Silent",
            f"on {percent(item.silent_image_share)} of {noun}s",
            note=f"{percent(item.silent_position_share)} of positions",
        ),
        Fact("Mean ± std", f"{number(item.mean)} ± {number(item.std)}"),
        Fact("Peak: median", number(quantiles["0.5"])),
        Fact("99 % of peaks below", number(quantiles["0.99"])),
        *(() if has_histogram else (Fact("Largest", number(item.maximum)),)),  # a histogram ends with it
    )


def _label_words(item: FilterData) -> tuple[str, ...]:
    """What labels tell of a filter."""
    if not item.labels:
        return ("No label explains it.",)
    words = []
    for above, word in ((True, "Higher on"), (False, "Lower on")):
        own = [each for each in item.labels if (each.auroc > 0.5) == above]
        if own:
            named_labels = ", ".join(f"{each.label} (AUROC {each.auroc:.3f})" for each in own)
            words.append(f"{word} {named_labels}.")
    return tuple(words)


def _histogram(peaks: np.ndarray, largest: float | None, noun: str) -> Histogram | None:
    finite = peaks[np.isfinite(peaks)]
    if not finite.size or finite.min() == finite.max():
        return None
    counts, edges = np.histogram(finite.astype(np.float64), HISTOGRAM_BINS)
    width, height = HISTOGRAM_SIZE
    step, tallest = width / HISTOGRAM_BINS, int(counts.max())
    tops = [height - (max(1, round(height * int(each) / tallest)) if each else 0) for each in counts]
    runs = [(top, len(list(equal))) for top, equal in groupby(tops)]
    path = f"M0 {height}" + "".join(f"V{top}h{step * bins:g}" for top, bins in runs)
    low, high = number(float(edges[0])), number(float(edges[-1]) if largest is None else largest)
    return Histogram(
        f"{path}V{height}Z",
        width,
        height,
        low,
        high,
        f"Peaks of {plural(len(finite), noun)} from {low} to {high} in {HISTOGRAM_BINS} bins; tallest bin {plural(tallest, noun)}.",
    )


def _link(index: int, shown: set[int]) -> Link:
    """A filter by number, with the address of its card where it has one."""
    return Link(f"#{anchor(index)}" if index in shown else "", str(index), code=False)


def _label_table(page: LayerPage, stored: StoredData, record: LayerData, shown: set[int]) -> tuple[LabelRow, ...]:
    dataset = page.contents.plan.dataset
    if dataset is None or not record.label_tests:
        return ()
    auroc, images = stored.arrays["label_auroc"], stored.arrays["label_images"]
    rows = []
    for place, label in enumerate(label_rows(stored)):
        best = np.argsort(-np.nan_to_num(auroc[label], nan=-1), kind="stable")[:BEST_FILTERS]
        links = []
        for index in best.tolist():
            link = _link(index, shown)
            links.append(Link(link.href, f"{index} ({auroc[label, index]:.3f})", code=False))
        strip = page.tile(LABEL_FIGURE, place, STRIP_PIXELS, f"AUROC of {dataset.labels[label].label} for every filter")
        rows.append(LabelRow(dataset.labels[label].label, count(int(images[label])), tuple(links), strip))
    return tuple(rows)


def _labels_note(page: LayerPage, stored: StoredData, record: LayerData) -> str:
    dataset = page.contents.plan.dataset
    if dataset is None or not record.label_tests:
        return ""
    shown, total = len(label_rows(stored)), len(dataset.labels)
    which = (
        f"All {plural(total, 'label')}"
        if shown == total
        else f"{shown} of {plural(total, 'label')}, those told apart best"
    )
    return (
        f"{which}: the filters with the largest AUROC of their peaks. AUROC is the probability that an image with the label has a larger "
        "peak than one without. The tests take images as independent; crops of one photograph are not."
    )
