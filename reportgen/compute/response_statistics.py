"""The end of a pass over the data set: what all parts come to for each layer, and in a second reading the crops of its exemplars.

Needs no TensorFlow, so that shards can be put together where there is none.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from reportgen.core.errors import StoreError
from reportgen.core.grids import largest_box, shown_size
from reportgen.core.records import LayerRecord, Plan, Task, TaskKind
from reportgen.core.store import Store
from reportgen.inputs.crops import crop
from reportgen.inputs.dataset import Dataset
from reportgen.network.graph.axis_reach import Reach
from reportgen.survey.outcome import MOST_PICTURED, misclassified
from reportgen.survey.statistics import Part, joined_images, layer_statistics

MISSING = "parts of the data set are not computed; run the same command again"
NO_DATASET = "the data set is needed to cut crops; name it with --dataset"
# What is made of all parts at the end, without the model.
FINISHED = (TaskKind.RESPONSE_STATISTICS, TaskKind.EXEMPLARS, TaskKind.MISCLASSIFIED_PICTURES)
Images = tuple[dict[str, np.ndarray], list[str]]  # arrays and names
Box = list[tuple[int, int]]


class Keeper(Protocol):
    """Keeps what is found, as `Run` does."""

    def done(self, key: str, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any], seconds: float) -> None:
        """Keep a finished task."""

    def failed(self, key: str, reason: str) -> None:
        """Remember why a task failed."""


class StoreKeeper:
    """Keeps what is found in a store alone."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def done(self, key: str, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any], seconds: float) -> None:
        """Keep a finished task."""
        self._store.save(key, arrays, facts)

    def failed(self, key: str, reason: str) -> None:
        """Remember why a task failed."""
        self._store.save_failure(key, reason)


def finish(plan: Plan, store: Store, keeper: Keeper, missing: Collection[str], dataset: Dataset | None) -> None:
    """Sum up each layer whose parts are all there, and cut its exemplars and misclassified images; a task that lacks something fails.

    Args:
        plan: of the report.
        store: where the parts are.
        keeper: keeps the results.
        missing: keys of the tasks that are wanted.
        dataset: for the crops; None where it is not there.

    Raises:
        OutputError: a result cannot be written.
    """
    wanted = [task for task in plan.tasks if task.kind in FINISHED]
    layers = {layer.slug: layer for layer in plan.layers}
    images: Images | None = None
    for task in wanted:
        if task.key not in missing:
            continue
        try:
            if images is None:
                arrays, names, _ = joined_images(_parts(store, plan.layer_tasks("", TaskKind.DATASET_IMAGES)))
                images = arrays, names
            if task.kind == TaskKind.RESPONSE_STATISTICS:
                parts = _parts(store, plan.layer_tasks(task.layer, TaskKind.RESPONSES))
                keeper.done(task.key, *_statistics(plan, layers[task.layer], parts, images), 0.0)
            elif dataset is None:
                keeper.failed(task.key, NO_DATASET)
            elif task.kind == TaskKind.MISCLASSIFIED_PICTURES:
                keeper.done(task.key, misclassified_pictures(plan, dataset, images[0]), {}, 0.0)
            else:
                (summed,) = plan.layer_tasks(task.layer, TaskKind.RESPONSE_STATISTICS)
                found = store.load(summed.key)
                keeper.done(
                    task.key, exemplar_pictures(plan, layers[task.layer], dataset, images[0]["image"], found), {}, 0.0
                )
        except StoreError:
            keeper.failed(task.key, MISSING)


def _parts(store: Store, tasks: Sequence[Task]) -> list[Part]:
    """What is stored of all parts, in order. Raises StoreError where one is missing."""
    return [store.load(task.key) for task in sorted(tasks, key=lambda task: task.part or 0)]


def _statistics(
    plan: Plan, layer: LayerRecord, parts: Sequence[Part], images: Images
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """What is stored of a layer: see `layer_statistics`, with the names and boxes of exemplars."""
    arrays, names = images
    assert plan.dataset is not None
    labels = [*(label.label for label in plan.dataset.labels), None]  # -1 is none
    found, facts = layer_statistics(parts, arrays, len(plan.dataset.labels), bool(plan.settings.get("label_pairs")))
    if found:
        known = [row for row in np.unique(found["exemplars"]).tolist() if row >= 0]
        facts["known_images"] = {str(row): [names[row], labels[arrays["label"][row]]] for row in known}
        facts["shape"], reach = parts[0][1]["shape"], parts[0][1]["reach"]
        rows, positions = found["exemplars"], found["exemplar_positions"]
        facts["boxes"] = {
            str(index): [
                [] if row < 0 else _flat(receptive_box(reach, facts["shape"], int(at), plan.contract.size))
                for row, at in zip(rows[index], positions[index], strict=True)
            ]
            for index in layer.filters_shown
        }
    return found, facts


def _flat(box: Box) -> list[int]:
    """The first ends of all axes, then the last ones."""
    return [*(first for first, _ in box), *(last for _, last in box)]


def receptive_box(reach: Any, shape: Sequence[int], position: int, size: Sequence[int]) -> Box:
    """Return the exact part of the input that a position depends on.

    Args:
        reach: of each axis of the input, [intervals, shift, axis of the map]; None where it is not known.
        shape: of the map.
        position: in the flattened map, row by row.
        size: of the input on each spatial axis.

    Returns:
        First and last pixel on each axis, which may lie outside the input; the whole axis where that is not known.
    """
    if reach is None:
        return [(0, length - 1) for length in size]
    places = np.unravel_index(position, tuple(shape))
    boxes = []
    for (intervals, shift, axis), length in zip(reach, size, strict=True):
        own = Reach(tuple(None if each is None else (each[0], each[1]) for each in intervals), shift)
        interval = own.at(int(places[axis]))
        boxes.append((0, length - 1) if interval is None else interval)
    return boxes


def exemplar_pictures(
    plan: Plan, layer: LayerRecord, dataset: Dataset, images: np.ndarray, found: Part
) -> dict[str, np.ndarray]:
    """Read the images that stand for the shown filters again, and cut them.

    Args:
        plan: of the report.
        layer: its record.
        dataset: the images.
        images: position in the data set by row.
        found: the statistics of the layer.

    Returns:
        `crops` uint8 (shown filters, exemplars, height, width, channels), by exact receptive fields, black where there is no exemplar;
        `rows` int32 (m,), of the images that are shown, and `wholes` uint8 (m, height, width, channels).
    """
    contract, (arrays, facts) = plan.contract, found
    shown = list(layer.filters_shown)
    rows = arrays["exemplars"][shown] if arrays else np.zeros((0, 0), np.int32)
    wanted = np.unique(rows[rows >= 0])
    boxes = [[_ends(box) for box in facts["boxes"][str(index)]] for index in shown] if arrays else []
    lengths = largest_box((box for row in boxes for box in row if box), contract.size)
    size, whole_size = shown_size(lengths), shown_size(contract.size)
    crops = np.zeros((*rows.shape, *size, contract.bands), np.uint8)
    wholes = np.zeros((len(wanted), *whole_size, contract.bands), np.uint8)
    everything = [(0, length - 1) for length in contract.size]
    decoded = dataset.decoded(images[wanted].tolist(), contract)
    for number, (row, each) in enumerate(zip(wanted, decoded, strict=True)):
        if each.pixels is None:
            continue
        wholes[number] = crop(each.pixels, everything, whole_size)
        for place, at in zip(*np.nonzero(rows == row), strict=True):
            inside = [
                ends if ends[1] - ends[0] + 1 < length else (0, length - 1)
                for ends, length in zip(boxes[place][at], contract.size, strict=True)
            ]
            crops[place, at] = crop(each.pixels, inside, size)
    return {"crops": crops, "rows": wanted.astype(np.int32), "wholes": wholes}


def misclassified_pictures(plan: Plan, dataset: Dataset, images: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Read the images again that the model is wrong about with most confidence, and reduce them.

    Args:
        plan: of the report.
        dataset: the images.
        images: arrays of all parts together, see `joined_images`.

    Returns:
        `rows` int32 (n,), the most confident first, at most MOST_PICTURED, without those that cannot be read any more; `pictures` uint8
        (n, height, width, channels), as the model is fed them.
    """
    contract = plan.contract
    size, everything = shown_size(contract.size), [(0, length - 1) for length in contract.size]
    rows = misclassified(images)[:MOST_PICTURED]
    decoded = dataset.decoded(images["image"][rows].tolist(), contract)
    kept = [(row, each.pixels) for row, each in zip(rows, decoded, strict=True) if each.pixels is not None]
    return {
        "rows": np.array([row for row, _ in kept], np.int32),
        "pictures": np.array([crop(pixels, everything, size) for _, pixels in kept], np.uint8).reshape(
            len(kept), *size, contract.bands
        ),
    }


def _ends(flat: Sequence[int]) -> Box:
    """What `_flat` has made a list."""
    half = len(flat) // 2
    return list(zip(flat[:half], flat[half:], strict=True))
