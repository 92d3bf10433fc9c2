"""Evidence from a data set: its records in report.json, what is stored of it, and the names of its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from reportgen.artefacts.views import anchor
from reportgen.core.records import Count, RelativePath
from reportgen.survey.values import whole

FILE = "data.npz"
FOLDER = "exemplars"
LABEL_FIGURE = "labels.png"
MOST_LABELS = 40  # rows of the map of labels and filters
STRIP_ASPECT, STRIP_WIDTH = 16, 320  # of a row of it, and its width in pixels at least
COLUMNS, SAMPLE_COLUMNS = 3, 2  # of the largest, and of the samples: squares
SIDES = ": left the receptive field, right the whole image."
CONTACT_FIGURE = "exemplars.png"
Share = Annotated[float, Meta(ge=0, le=1)]


class ExemplarRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An image that stands for a filter, and where its largest position is."""

    image: Annotated[str, Meta(description="its name in the data set")]
    label: str | None
    row: Annotated[Count, Meta(description="of the arrays in data.npz")]
    position: Annotated[tuple[Count, ...], Meta(description="of the peak in the unit's map, one number an axis")]
    box: Annotated[
        tuple[int, ...] | None,
        Meta(
            description="top, left, bottom and right pixel of the receptive field at that position, ends included, in the image as "
            "the model is fed it; only of filters with pictures"
        ),
    ]
    peak: float | None
    activation: float | None
    percentile: Annotated[float | None, Meta(description="share of images in percent with a smaller or equal peak")]


class SampleRecord(ExemplarRecord, frozen=True, kw_only=True):
    """The image at a quantile of the peaks, of images with different pixels."""

    quantile: Share


class FilterLabel(msgspec.Struct, frozen=True, kw_only=True):
    """A label that a filter tells from all others by the images' peaks."""

    label: str
    auroc: Share
    q: Annotated[Share, Meta(description="corrected for all filters and labels of the layer (Benjamini and Hochberg)")]


class FilterData(msgspec.Struct, frozen=True, kw_only=True):
    """One filter on the data set."""

    index: Count
    silent_image_share: Annotated[Share, Meta(description="images on which every position of the unit is exactly 0")]
    silent_position_share: Annotated[Share, Meta(description="positions, of all images, that are exactly 0")]
    minimum: Annotated[float | None, Meta(description="of all positions, like `maximum`")]
    maximum: float | None
    mean: Annotated[float | None, Meta(description="of the images' activations, like `std`")]
    std: float | None
    quantiles: Annotated[dict[str, float | None], Meta(description="of the images' peaks")]
    exemplars: Annotated[
        tuple[ExemplarRecord, ...],
        Meta(description="empty where no image activates it; of a layer of more than 128 filters only of those shown"),
    ]
    samples: Annotated[tuple[SampleRecord, ...], Meta(description="only of the filters shown")]
    labels: Annotated[tuple[FilterLabel, ...], Meta(description="empty where no label explains it")]
    group: Annotated[tuple[Count, ...], Meta(description="filters that answer alike, itself among them; empty if none")]
    nearest: Annotated[Count | None, Meta(description="the filter with the largest |r| with it over the images")]
    correlation: Annotated[float | None, Meta(description="r with that filter")]


class LayerData(msgspec.Struct, frozen=True, kw_only=True):
    """A layer on the data set."""

    array: RelativePath
    images: Count
    positions: Annotated[Count, Meta(description="of a map")]
    silent_filters: Annotated[tuple[Count, ...], Meta(description="exactly 0 at every position of every image")]
    groups: tuple[tuple[Count, ...], ...]
    group_limit: Annotated[Share, Meta(description="least |r| of the activations of two filters in a group")]
    effective_filters: Annotated[
        float | None, Meta(description="participation ratio of the correlations of the filters that vary")
    ]
    label_level: Annotated[Share, Meta(description="largest q of a label that is stated")]
    label_effect: Annotated[Share, Meta(description="least AUROC, or 1 minus the largest, of a label that is stated")]
    label_tests: Annotated[Count, Meta(description="tests that q is corrected for")]
    activations_exponent: Annotated[
        int, Meta(description="`activations` in data.npz are divided by 2 to the power of it")
    ]
    peaks_exponent: int
    filters: tuple[FilterData, ...]


@dataclass(frozen=True)
class StoredData:
    """What is stored of a layer.

    Attributes:
        arrays: as `layer_statistics` gives them.
        facts: likewise, with `boxes` by filter, `known_images` by row and the `shape` of maps.
        pictures: `crops` of the shown filters, `wholes` of the images in `rows`; None where there are none.
    """

    arrays: Mapping[str, np.ndarray]
    facts: Mapping[str, Any]
    pictures: Mapping[str, np.ndarray] | None

    def peaks(self, index: int) -> np.ndarray:
        """The peaks of a filter, float32 (images,)."""
        return whole(self.arrays["peaks"][:, index], int(self.facts["peaks_exponent"]))

    def activations(self, index: int) -> np.ndarray:
        """The activations of a filter, float32 (images,)."""
        return whole(self.arrays["activations"][:, index], int(self.facts["activations_exponent"]))

    def boxes(self, index: int) -> Sequence[Sequence[int]]:
        """The receptive fields of a filter's exemplars and samples; none of a filter that is not shown."""
        found: Sequence[Sequence[int]] = self.facts["boxes"].get(str(index), ())
        return found


def label_rows(found: StoredData) -> list[int]:
    """Return the labels of the map of labels and filters, those first that some filter tells apart best."""
    auroc = found.arrays["label_auroc"]
    best = np.nan_to_num(np.abs(auroc - 0.5), nan=-1).max(axis=1)
    order = np.argsort(-best, kind="stable")[:MOST_LABELS]
    return [int(label) for label in np.sort(order) if best[label] >= 0]


def exemplar_file(index: int) -> str:
    """Return the name of the figure of a filter's exemplars in the layer's folder."""
    return f"{FOLDER}/{anchor(index)}.png"


def sample_file(index: int) -> str:
    """Return the name of the figure of a filter's samples."""
    return f"{FOLDER}/{anchor(index)}-samples.png"
