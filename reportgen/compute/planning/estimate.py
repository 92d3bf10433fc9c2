"""What a report will take: operations, time, memory and disk."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from reportgen.compute.planning.calibration import Calibration
from reportgen.compute.planning.plan import MEASURING_COST, STEP_COST, picture_bytes
from reportgen.core.choices import FLOAT_BYTES
from reportgen.core.records import PATTERN_KINDS, LayerRecord, Task, TaskKind
from reportgen.inputs.dataset import PART_IMAGES
from reportgen.network.network import Network

if TYPE_CHECKING:
    from reportgen.compute.patterns.recipe import Recipe
    from reportgen.compute.work import Job

# Seconds beside operations, in units that the calibration measures, so that a slower machine is expected to be slower there too.
LAYER_TRACES = (
    0.3  # of both passes as far as the layer: what its own part of the shared trace takes, and traces that are its own
)
SHARED_TRACES = 5  # the same of the whole network, for all layers: predictions, maps, natural maxima, bounds
# Seconds where the calibration's pace is 1.
STEP_SECONDS_PER_VALUE = 5e-8  # warp, gradient by coefficients and optimizer, for a value of a picture in a step
LAYER_SECONDS = 2.5  # page of a layer, drawings of its kernels, first runs of its graphs, and what its ascent prepares
PATTERN_SECONDS = 0.08  # measured, stored and drawn, whatever the network
MAPS_SECONDS_PER_VALUE = 6e-8  # stored and drawn

# Bytes, as reports of ResNet50, VGG16 and the sample models take.
MAP_BYTES = 1.5  # a value of a feature map: float16, compressed
PATTERN_BYTES = 3  # a value of a pattern: two arrays of 8 bits and the drawings
WEIGHT_BYTES = 3.8  # a value of a kernel: float32, compressed
RESPONSE_BYTES = (
    13  # of a filter on an image of a data set: peak, activation, position and samples, and the first two in data.npz
)
EXEMPLAR_BYTES = 160_000  # of a shown filter: crops and whole images, as arrays and in two figures
DRAWN_BYTES = 600  # the drawing of a feature map, and that of a filter's kernel
LAYER_BYTES = 60_000  # a page
PROGRAM_BYTES = 600_000_000  # TensorFlow and this program, before a model is loaded
LOADED_WEIGHTS = 2  # times the weights' bytes: the variables, and what convolutions make of them

GIGA, MEGA, MILLI, MINUTE, HOUR = 1e9, 1e6, 1e3, 60, 3600


@dataclass(frozen=True)
class Estimate:
    """What is still to be done, and what it takes.

    Attributes:
        layers: in the report.
        patterns: to be computed, minimal ones included.
        operations: multiply-adds.
        seconds: until the report is complete; None where nothing was measured.
        ascending: layers whose patterns, or some of them, are to be computed.
        ascent_seconds: of `seconds`, those of these patterns; None where nothing was measured.
        memory_bytes: peak of one process.
        disk_bytes: of the finished report.
        calibration: what the time follows from.
    """

    layers: int
    patterns: int
    operations: float
    seconds: float | None
    ascending: int
    ascent_seconds: float | None
    memory_bytes: float
    disk_bytes: float
    calibration: Calibration | None

    def facts(self) -> dict[str, Any]:
        """Return the numbers as plain JSON values."""
        return {
            "layers": self.layers,
            "patterns": self.patterns,
            "operations": round(self.operations),
            "seconds": None if self.seconds is None else round(self.seconds, 1),
            "memory_bytes": round(self.memory_bytes),
            "disk_bytes": round(self.disk_bytes),
            "calibration": None if self.calibration is None else self.calibration.stated(),
        }


def steps_of(recipe: Recipe) -> int:
    """Return the steps that are made for a pattern: of all starts, and of the search for the strongest response."""
    return recipe.steps * recipe.restarts + recipe.strongest_steps


def seconds_of(layers: Sequence[LayerRecord], tasks: Iterable[Task], steps: int, calibration: Calibration) -> float:
    """Return how long tasks take in one process, and all pages.

    Args:
        layers: of the report.
        tasks: those that are not done yet.
        steps: of an ascent of one pattern, all of its restarts and searches counted.
        calibration: of this machine.

    Returns:
        Seconds from now on, the model being loaded.
    """
    own = {layer.slug: layer for layer in layers}
    forward = calibration.forward_seconds / calibration.macs
    stepping = calibration.gradient_seconds / (STEP_COST * calibration.macs)
    measuring = MEASURING_COST / (STEP_COST * steps + MEASURING_COST)  # of a pattern's operations
    climbing = (1 - measuring) * stepping + measuring * forward
    deepest = max((layer.macs for layer in layers), default=1) or 1
    seconds, ascending = SHARED_TRACES * calibration.trace_seconds, set()
    fixed = LAYER_SECONDS * sum(layer.status == "rendered" for layer in layers)
    for task in tasks:
        seconds += task.cost * (climbing if task.kind in PATTERN_KINDS else forward)
        layer = own.get(task.layer)
        if layer is None:
            continue
        if task.kind in PATTERN_KINDS and layer.pattern_size is not None:
            values = len(task.filters) * prod(layer.pattern_size)
            fixed += steps * values * STEP_SECONDS_PER_VALUE + len(task.filters) * PATTERN_SECONDS
            ascending.add(layer.slug)
        elif task.kind is TaskKind.FEATURE_MAPS:
            fixed += _values(layer) * MAPS_SECONDS_PER_VALUE
    seconds += sum(LAYER_TRACES * calibration.trace_seconds * own[slug].macs / deepest for slug in ascending)
    return seconds + calibration.pace * fixed


def disk_bytes(layers: Sequence[LayerRecord], tasks: Iterable[Task], bands: int) -> float:
    """Return what a report takes on disk; bands: channels of the input."""
    own = {layer.slug: layer for layer in layers}
    total = float(LAYER_BYTES * len(layers))
    for task in tasks:
        layer = own.get(task.layer)
        if layer is None:
            continue
        if task.kind in PATTERN_KINDS and layer.pattern_size is not None:
            total += PATTERN_BYTES * len(task.filters) * prod(layer.pattern_size) * bands
        elif task.kind is TaskKind.FEATURE_MAPS:
            total += MAP_BYTES * _values(layer) + DRAWN_BYTES * layer.filters_total
        elif task.kind is TaskKind.RESPONSES:
            total += RESPONSE_BYTES * PART_IMAGES * layer.filters_total
        elif task.kind is TaskKind.EXEMPLARS:
            total += EXEMPLAR_BYTES * len(layer.filters_shown)
        elif task.kind is TaskKind.WEIGHTS:
            total += WEIGHT_BYTES * prod(length or 1 for length in layer.kernel_shape or ())
            total += DRAWN_BYTES * layer.filters_total
    return total


def memory_bytes(network: Network, layers: Sequence[LayerRecord], batches: Mapping[str, int]) -> float:
    """Return the peak memory of one process: the program, the model, and the pictures of the layer that takes most."""
    whole, calls = prod(network.contract.size), network.by_path
    pictures = [
        batches[layer.slug]
        * picture_bytes(calls[layer.path].costs.kept_bytes, calls[layer.path].costs.largest_bytes)
        * prod(layer.pattern_size)
        / whole
        for layer in layers
        if layer.pattern_size is not None and layer.slug in batches
    ]
    weights = FLOAT_BYTES * sum(int(np.prod(weight.shape)) for weight in network.model.weights)
    return PROGRAM_BYTES + LOADED_WEIGHTS * weights + max(pictures, default=0)


def _values(layer: LayerRecord) -> int:
    """Values of a layer's feature maps of one image."""
    return prod(length or 1 for length in layer.output_shape or ())


def estimate(job: Job, left: Collection[str], calibration: Calibration | None) -> Estimate:
    """Estimate a job.

    Args:
        job: the job.
        left: keys of the tasks that are to be computed.
        calibration: of this machine; None for an estimate without time.

    Returns:
        The estimate.
    """
    plan, network = job.plan, job.model.network
    once = {task.key: task for task in plan.tasks if task.key in left}
    tasks, steps = list(once.values()), steps_of(job.recipe)
    ascents = [task for task in tasks if task.kind in PATTERN_KINDS]
    slugs = {task.layer for task in ascents}
    ascending = [layer for layer in plan.layers if layer.slug in slugs]
    return Estimate(
        layers=sum(layer.status == "rendered" for layer in plan.layers),
        patterns=sum(len(task.filters) for task in ascents),
        operations=sum(task.cost for task in tasks),
        seconds=None if calibration is None else seconds_of(plan.layers, tasks, steps, calibration),
        ascending=len(ascending),
        ascent_seconds=None
        if calibration is None or not ascents
        else seconds_of(ascending, ascents, steps, calibration),
        memory_bytes=memory_bytes(network, plan.layers, job.batches),
        disk_bytes=disk_bytes(plan.layers, plan.tasks, plan.contract.bands),
        calibration=calibration,
    )


def in_words(found: Estimate) -> str:
    """Return an estimate in one line, without a full stop."""
    counts = f"{_counted(found.layers, 'layer')}, {_counted(found.patterns, 'pattern')}, {found.operations / GIGA:,.1f} G multiply-adds"
    spans = [] if found.seconds is None else [f"about {duration(found.seconds)}"]
    spans += [f"{found.memory_bytes / 2**30:.1f} GiB of memory", f"{found.disk_bytes / MEGA:,.0f} MB on disk"]
    return f"{counts}; expected: {', '.join(spans)}"


def duration(seconds: float) -> str:
    """Return a duration in words, as exactly as an expectation can be."""
    if seconds < MINUTE:
        return f"{max(1, round(seconds))} s"
    if seconds < HOUR:
        return f"{round(seconds / MINUTE)} min"
    return f"{seconds / HOUR:.1f} h"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
