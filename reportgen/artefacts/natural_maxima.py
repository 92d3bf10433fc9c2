"""What the user's images reach: each filter's scores on them, which patterns are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from reportgen.artefacts.base import Artefact, LayerReader
from reportgen.artefacts.data import DATA
from reportgen.artefacts.data_records import StoredData
from reportgen.artefacts.feature_maps import FEATURE_MAPS
from reportgen.artefacts.image_maps import ImageMaps
from reportgen.core.numbers import plain
from reportgen.core.records import ImageRecord, TaskKind

ARRAYS = ("maximum", "minimum", "pre_minimum", "best_image", "peak", "pre_peak", "peak_image")


@dataclass(frozen=True)
class Natural:
    """A layer's scores on the user's images, float32 (filters_total,).

    Attributes:
        maximum: largest activation of any natural picture, with `best_image`, the position of its image in the plan.
        minimum: smallest activation.
        pre_minimum: smallest activation before the activation function.
        peak: largest single position, also of the images as their feature maps show them, with `peak_image`.
        pre_peak: largest single position before the activation function.
        crops: how many natural pictures were measured.
        dataset_images: how many images of the data set count too; one with the largest is no image of the plan, and its position is -1.
    """

    maximum: np.ndarray
    minimum: np.ndarray
    pre_minimum: np.ndarray
    best_image: np.ndarray
    peak: np.ndarray
    pre_peak: np.ndarray
    peak_image: np.ndarray
    crops: int
    dataset_images: int = 0


class NaturalMaxima(Artefact[Natural, None]):
    """Scores on the user's images; the records of patterns state them."""

    name = "natural_maxima"

    def load(self, reader: LayerReader) -> Natural | None:
        """Read the scores, with the peaks of the images as their feature maps show them and what the data set reaches."""
        return _with_data(self._of_images(reader), reader[DATA])

    def _of_images(self, reader: LayerReader) -> Natural | None:
        maps = reader[FEATURE_MAPS] or ()
        for task in reader.tasks(TaskKind.NATURAL):
            entry = reader.entry(task, ARRAYS)
            if entry is not None and len(entry[0]["maximum"]) == reader.layer.filters_total:
                arrays, facts = entry
                named: dict[str, Any] = {name: arrays[name] for name in ARRAYS}
                natural = Natural(**named, crops=int(facts.get("crops", 0)))
                return _with_maps(natural, maps, reader.plan.images)
            reader.lost("natural maxima are not computed, so patterns are compared with their start", [task])
        return None


NATURAL_MAXIMA = NaturalMaxima()


def _with_maps(natural: Natural, maps: tuple[ImageMaps, ...], images: tuple[ImageRecord, ...]) -> Natural:
    """No verdict may contradict a number beside it: the peaks of the maps that are shown count too."""
    numbers = {image.slug: number for number, image in enumerate(images)}
    for item in maps:
        if item.peak.shape == natural.peak.shape:
            higher = item.peak > natural.peak
            image = np.where(higher, numbers[item.image.slug], natural.peak_image)
            natural = replace(natural, peak=np.where(higher, item.peak, natural.peak), peak_image=image)
    return natural


def _with_data(natural: Natural | None, data: StoredData | None) -> Natural | None:
    """Let the images of a data set count, each as the model is fed it."""
    if data is None:
        return natural
    arrays, images = data.arrays, int(data.facts["images"])
    highest, peak = arrays["activation_maximum"], arrays["maximum"]
    if natural is None:
        unknown, nowhere = np.full(len(peak), np.nan, np.float32), np.full(len(peak), -1, np.int32)
        lowest = arrays["activation_minimum"]
        return Natural(highest, lowest, unknown, nowhere, peak, unknown, nowhere, crops=0, dataset_images=images)
    if natural.maximum.shape != highest.shape:
        return natural
    better, higher = highest > natural.maximum, peak > natural.peak
    return replace(
        natural,
        maximum=np.where(better, highest, natural.maximum),
        minimum=np.minimum(natural.minimum, arrays["activation_minimum"]),
        best_image=np.where(better, -1, natural.best_image),
        peak=np.where(higher, peak, natural.peak),
        peak_image=np.where(higher, -1, natural.peak_image),
        dataset_images=images,
    )


def image_slug(images: Sequence[str], numbers: np.ndarray, reached: np.ndarray, index: int) -> str | None:
    """Return the slug of the image that reached a filter's natural score; None where that is not finite or the image not known."""
    if plain(reached[index]) is None:
        return None
    best = int(numbers[index])
    return images[best] if best in range(len(images)) else None
