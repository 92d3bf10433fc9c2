"""What is known of attribution maps before they are computed: where they are, what they depend on, and how much they take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reportgen.compute.attribution import checks
from reportgen.compute.attribution.targets import class_labels, named
from reportgen.compute.planning.plan import picture_bytes
from reportgen.core.choices import MOST_MASKS, Attribution, parse_attribution
from reportgen.core.records import AttributedLayer, DatasetRecord
from reportgen.core.settings import Settings
from reportgen.inputs.dataset import Dataset
from reportgen.network.class_scores import find_places
from reportgen.network.network import Network

CONTENTS = 1  # raised whenever the same inputs would give other maps or checks
NO_IMAGES = (
    "There are no attribution maps: --attribution needs images, or a data set with labels of the model's classes."
)
LARGEST_BATCH = 8  # inputs at once: more only takes memory
GRADIENT_PASSES = 2  # a pass and its gradient by the last maps, at most


@dataclass(frozen=True)
class AttributionPlan:
    """The attribution maps of a report.

    Attributes:
        layers: where they are.
        depends: what the maps of an image depend on beside it; empty where there are none.
        passes: about how many passes of the model they take per image.
        notes: on what has no maps.
    """

    layers: tuple[AttributedLayer, ...] = ()
    depends: dict[str, Any] | None = None
    passes: int = 0
    notes: tuple[str, ...] = ()


def plan_attribution(
    network: Network, settings: Settings, classes: Sequence[str] | None, has_images: bool
) -> AttributionPlan:
    """Find the places of attribution maps, where any are wanted.

    Raises:
        UsageError: `--attribution-layers` or `--attribution-classes` names what is not there.
    """
    wanted = parse_attribution(settings.attribution)
    if not wanted:
        return AttributionPlan()
    if not has_images:
        return AttributionPlan(
            notes=(
                "--attribution needs images, or a data set with labels of the model's classes: there are no attribution maps.",
            )
        )
    places, notes = find_places(network, settings.attribution_layers)
    heads = tuple(dict.fromkeys(place.head for place in places))
    further = named(heads, class_labels(heads, classes), settings.attribution_classes) if places else ()
    layers = tuple(
        AttributedLayer(place.head.name, place.path, place.unit, place.grid, place.channels) for place in places
    )
    if not layers:
        return AttributionPlan(notes=notes)
    depends = {
        "attribution": [method.value for method in wanted],
        "places": [layer.to_json() for layer in layers],
        "named": [[target.head.name, target.label] for target in further],
        "batch": batch_of(network, settings.memory_bytes),
        "contents": CONTENTS,
    }
    return AttributionPlan(layers, depends, _passes(wanted, layers, len(further)), notes)


def labelled_classes(dataset: Dataset | None, record: DatasetRecord | None) -> dict[str, int]:
    """Return the class that the label of each image of a data set stands for, by the image's hash, where it stands for one."""
    if dataset is None or record is None:
        return {}
    classes = {label.label: label.class_index for label in record.labels}
    found = {image.sha256: classes.get(image.label) for image in dataset.images if image.label is not None}
    return {sha256: number for sha256, number in found.items() if number is not None}


def batch_of(network: Network, memory_bytes: int) -> int:
    """Return how many inputs pass the model together, from the model and `--memory` alone."""
    costs = [layer_call.costs for layer_call in network.layer_calls]
    one = max((picture_bytes(each.kept_bytes, each.largest_bytes) for each in costs), default=1)
    return max(1, min(LARGEST_BATCH, memory_bytes // max(1, one)))


def _passes(wanted: Sequence[Attribution], layers: Sequence[AttributedLayer], further: int) -> int:
    """Counted for the predicted class of each output, and those that were named."""
    passes = 0
    for layer in layers:
        passes += checks.ORDERS * checks.STEPS
        for method in wanted:
            if method == Attribution.SCORE_CAM:
                passes += (1 + checks.MASKED_DRAWS) * min(layer.channels, MOST_MASKS)
            else:
                passes += (1 + further) * GRADIENT_PASSES * (1 + checks.DRAWS)
            passes += (1 + further) * 2 * checks.STEPS
    return passes
