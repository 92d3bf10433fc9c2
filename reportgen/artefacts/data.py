"""Evidence from a data set: what its images do to every filter of a layer, and the images that stand for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reportgen.artefacts.base import (
    Appearance,
    Arrays,
    Artefact,
    Figures,
    LayerContents,
    LayerPage,
    LayerReader,
    Section,
)
from reportgen.artefacts.data_records import (
    COLUMNS,
    CONTACT_FIGURE,
    FILE,
    LABEL_FIGURE,
    SAMPLE_COLUMNS,
    SIDES,
    STRIP_ASPECT,
    STRIP_WIDTH,
    ExemplarRecord,
    FilterData,
    FilterLabel,
    LayerData,
    SampleRecord,
    StoredData,
    exemplar_file,
    label_rows,
    sample_file,
)
from reportgen.artefacts.data_view import data_view
from reportgen.core.numbers import plain
from reportgen.core.records import TaskKind
from reportgen.render import exemplars as drawing
from reportgen.render import mosaic, palette, png
from reportgen.render.figure import Figure, Tiles
from reportgen.render.picture import visible
from reportgen.render.text import count, plural
from reportgen.survey.groups import ALIKE
from reportgen.survey.labels import LEAST_AUROC, LEVEL
from reportgen.survey.selection import EXEMPLARS, QUANTILES
from reportgen.survey.statistics import filter_labels

MOST_STATED = 128  # filters of a layer: of a wider one report.json has exemplars only of those shown, data.npz of all
PAIR_GAIN = 0.02  # of AUROC: a pair of labels is stated where it explains a filter by so much better than one


class DataArtefact(Artefact[StoredData, LayerData]):
    """What the images of a data set do to every filter."""

    name = "data"
    comes_late = True

    def load(self, reader: LayerReader) -> StoredData | None:
        """Read the statistics."""
        for task in reader.tasks(TaskKind.RESPONSE_STATISTICS):
            entry = reader.entry(task)
            if entry is not None and entry[1].get("images"):
                return StoredData(*entry, self._pictures(reader))
            if entry is not None:
                reader.lost("no image of the data set can be read")
                return None
            if reader.awaits(TaskKind.RESPONSE_STATISTICS):
                reader.later("the evidence from the data set is not yet computed")
            else:
                reader.lost("the evidence from the data set is not computed", [task])
        return None

    def _pictures(self, reader: LayerReader) -> Mapping[str, np.ndarray] | None:
        for task in reader.tasks(TaskKind.EXEMPLARS):
            entry = reader.entry(task, ("crops", "rows", "wholes"))
            if entry is not None:
                return entry[0]
            if reader.awaits(TaskKind.EXEMPLARS):
                reader.later("the crops of exemplars are not yet cut")
            else:
                reader.lost("the crops of exemplars are not cut", [task])
        return None

    def record(self, contents: LayerContents) -> LayerData | None:
        """Return the statistics of every filter."""
        found = contents[self]
        if found is None or contents.plan.dataset is None:
            return None
        arrays, facts = found.arrays, found.facts
        images, positions = int(facts["images"]), int(facts["positions"])
        silent = np.flatnonzero(arrays["silent_images"] == images)
        groups = tuple(tuple(int(number) for number in group) for group in facts["groups"])
        q = arrays.get("label_q")
        return LayerData(
            array=contents.data_path(FILE),
            images=images,
            positions=positions,
            silent_filters=tuple(int(number) for number in silent),
            groups=groups,
            group_limit=ALIKE,
            effective_filters=plain(facts["effective_filters"]),
            label_level=LEVEL,
            label_effect=LEAST_AUROC,
            label_tests=0 if q is None else int(np.isfinite(q).sum()),
            activations_exponent=int(facts["activations_exponent"]),
            peaks_exponent=int(facts["peaks_exponent"]),
            filters=tuple(_filter(contents, found, index, groups) for index in range(len(arrays["mean"]))),
        )

    def section(self, page: LayerPage, record: LayerData | None) -> Section | None:
        """Return the section of the layer; None without a data set."""
        stored = page.contents[self]
        if record is None or stored is None:
            return None
        view = data_view(page, stored, record)
        return Section("data", "Evidence from the data set", "sections/data.html", view)

    def draw(self, contents: LayerContents, record: LayerData | None, appearance: Appearance) -> Figures:
        """Yield two figures a shown filter: the largest, and samples of the whole range."""
        found = contents[self]
        if found is None or record is None:
            return
        if record.label_tests:
            yield LABEL_FIGURE, _label_figure(contents, found)
        pictures = found.pictures
        if pictures is None:
            return
        shown = list(contents.layer.filters_shown)
        empty = np.flatnonzero(found.arrays["exemplars"][shown, 0] < 0).tolist()
        yield CONTACT_FIGURE, _contact_sheet(contents, pictures["crops"][:, 0], empty, appearance)
        places = {int(row): place for place, row in enumerate(pictures["rows"])}
        height, width = contents.plan.contract.size
        for place, index in enumerate(contents.layer.filters_shown):
            boxes, rows = found.boxes(index), found.arrays["exemplars"][index]
            wholes = pictures["wholes"][[places.get(int(row), 0) for row in rows]]
            item = record.filters[index]
            owner = f"{contents.owners[0]} {index}"
            for name, chosen, columns, called, what in (  # of a filter that is never active there are none
                (exemplar_file(index), slice(0, EXEMPLARS), COLUMNS, "Exemplars", _largest_words(item)),
                (sample_file(index), slice(EXEMPLARS, None), SAMPLE_COLUMNS, "Samples", _sample_words(item)),
            ):
                if not any(boxes[chosen]):
                    continue
                yield (
                    name,
                    drawing.draw(
                        pictures["crops"][place, chosen],
                        wholes[chosen],
                        boxes[chosen],
                        (height, width),
                        columns,
                        appearance.bands,
                        what,
                        f"{called} of {owner}",
                    ),
                )

    def arrays(self, contents: LayerContents) -> dict[str, Arrays]:
        """Return each image's activation and peak for every filter, and all statistics."""
        found = contents[self]
        if found is None:
            return {}
        return {FILE: found.arrays}


DATA = DataArtefact()


def _contact_sheet(contents: LayerContents, crops: np.ndarray, empty: Sequence[int], appearance: Appearance) -> Figure:
    """The crop with the largest peak of each shown filter, from which tiles of filters without a pattern are cut."""
    pixels = visible(crops, appearance.bands)
    tiles = mosaic.choose_tiles(len(pixels), *pixels.shape[1:3], smallest=drawing.CELL)
    picture = mosaic.compose(pixels, tiles, palette.GRAYS[palette.GAP])
    mosaic.fill(picture, tiles, empty, palette.GRAYS[palette.FLAT])
    words = (
        f"The crop with the largest peak on the data set, of each shown {contents.owners[0]} of {contents.layer.path}."
    )
    return Figure(png.encode(picture), tiles, words, words, None)


def _label_figure(contents: LayerContents, found: StoredData) -> Figure:
    """The AUROC of each label for every filter, a row a label."""
    auroc = found.arrays["label_auroc"][label_rows(found)]
    finite = np.isfinite(auroc)
    indices = palette.diverging_index(np.where(finite, auroc - 0.5, 0), 0.5)
    indices[~finite] = palette.BROKEN
    height = max(1, auroc.shape[1] // STRIP_ASPECT)
    wide = max(1, -(-STRIP_WIDTH // auroc.shape[1]))
    tiles = Tiles(len(auroc), 1, height * wide, auroc.shape[1] * wide, 1, 0)
    picture = mosaic.compose(indices[:, None].repeat(height * wide, axis=1).repeat(wide, axis=2), tiles, palette.GAP)
    words = f"AUROC of {plural(len(auroc), 'label')} for every filter of {contents.layer.path}: a row a label, a column a filter."
    return Figure(
        png.encode_indexed(picture, palette.table(palette.DIVERGING)),
        tiles,
        words,
        words,
        (0.0, 1.0, palette.DIVERGING),
    )


def _largest_words(item: FilterData) -> str:
    if len(item.exemplars) < EXEMPLARS:
        return f"All {plural(len(item.exemplars), 'image')} that activate it, with different pixels, the largest peak first{SIDES}"
    return f"The {count(len(item.exemplars))} largest peaks, the largest first{SIDES}"


def _sample_words(item: FilterData) -> str:
    shares = ", ".join(f"{100 * sample.quantile:g}" for sample in item.samples)
    return f"Images at the percentiles {shares} of the peaks, likewise."


def _filter(contents: LayerContents, found: StoredData, index: int, groups: Sequence[tuple[int, ...]]) -> FilterData:
    arrays, facts = found.arrays, found.facts
    images, positions = int(facts["images"]), int(facts["positions"])
    dataset = contents.plan.dataset
    assert dataset is not None
    ordered = np.sort(found.peaks(index))
    nearest = int(arrays["nearest"][index])
    labels: list[FilterLabel] = []
    if "label_q" in arrays:
        auroc, q = arrays["label_auroc"][:, index], arrays["label_q"][:, index]
        labels = [
            FilterLabel(label=dataset.labels[at].label, auroc=plain(auroc[at]) or 0.0, q=plain(q[at]) or 0.0)
            for at in filter_labels(auroc, q)
        ]
    pair = arrays.get("pair_labels")
    if pair is not None and pair[0, index] >= 0:
        best = max((each.auroc for each in labels), default=0.5)
        area, chance = float(arrays["pair_auroc"][index]), float(arrays["pair_q"][index])
        if area >= max(LEAST_AUROC, best + PAIR_GAIN) and chance <= LEVEL:
            names = " or ".join(dataset.labels[int(number)].label for number in pair[:, index])
            labels.insert(0, FilterLabel(label=names, auroc=plain(area) or 0.0, q=plain(chance) or 0.0))
    shown = index in contents.layer.filters_shown
    stated = EXEMPLARS + len(QUANTILES) if shown or len(arrays["mean"]) <= MOST_STATED else 0
    records = [_exemplar(contents, found, index, place, ordered) for place in range(stated)]
    return FilterData(
        index=index,
        silent_image_share=int(arrays["silent_images"][index]) / images,
        silent_position_share=int(arrays["silent_positions"][index]) / (images * positions),
        minimum=plain(arrays["minimum"][index]),
        maximum=plain(arrays["maximum"][index]),
        mean=plain(arrays["mean"][index]),
        std=plain(arrays["std"][index]),
        quantiles={
            f"{share:g}": plain(value) for share, value in zip(QUANTILES, arrays["quantiles"][:, index], strict=True)
        },
        exemplars=tuple(ExemplarRecord(**each) for each in records[:EXEMPLARS] if each is not None),
        samples=tuple(
            SampleRecord(**each, quantile=share)
            for each, share in zip(records[EXEMPLARS:] if shown else (), QUANTILES if shown else (), strict=True)
            if each is not None
        ),
        labels=tuple(labels),
        group=next((group for group in groups if index in group), ()),
        nearest=None if nearest < 0 else nearest,
        correlation=plain(arrays["nearest_correlation"][index]),
    )


def _exemplar(
    contents: LayerContents, found: StoredData, index: int, place: int, ordered: np.ndarray
) -> dict[str, Any] | None:
    arrays, facts = found.arrays, found.facts
    row = int(arrays["exemplars"][index, place])
    if row < 0:
        return None
    name, label = facts["known_images"][str(row)]
    shape = facts["shape"]
    position = np.unravel_index(int(arrays["exemplar_positions"][index, place]), shape)
    boxes = found.boxes(index)
    box = boxes[place] if boxes else ()
    own = found.peaks(index)[row]
    return {
        "image": name,
        "label": label,
        "row": row,
        "position": tuple(int(at) for at in position),
        "box": tuple(box) if box else None,
        "peak": plain(arrays["exemplar_peaks"][index, place]),
        "activation": plain(arrays["exemplar_activations"][index, place]),
        "percentile": round(100 * float(np.searchsorted(ordered, own, side="right")) / len(ordered), 3),
    }
