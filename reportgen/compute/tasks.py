"""How each kind of task is computed: one function per artefact, all of them listed in COMPUTATIONS."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reportgen.compute.natural_maxima import natural_maxima
from reportgen.compute.patterns.ascent import Ascent
from reportgen.compute.patterns.objectives import Direction
from reportgen.compute.patterns.recipe import display_crop
from reportgen.compute.planning.plan import crop_grid
from reportgen.compute.predictions import predict
from reportgen.compute.responses import (
    Reduced,
    batches,
    image_arrays,
    layer_arrays,
    pixel_hash,
    prediction_arrays,
    sampling_seeds,
)
from reportgen.compute.work import Notify, Progressed, Result, Work
from reportgen.compute.workspace import Workspace
from reportgen.core.errors import ReportgenError
from reportgen.core.garbage import collected
from reportgen.core.records import LayerRecord, Plan, Task, TaskKind
from reportgen.core.stored_maps import compact
from reportgen.inputs.dataset import Decoded
from reportgen.inputs.images import natural_crops
from reportgen.network.backend import gradients_forgotten, tf
from reportgen.network.error_text import one_line
from reportgen.network.graph.layer_calls import stored_weights
from reportgen.network.graph.normalizations import normalization_facts

Tasks = Sequence[Task]


def compute_image(workspace: Workspace, tasks: Tasks, notify: Notify) -> Iterator[Result]:
    """Yield each image as the model is fed it, and the predictions for it."""
    for task in tasks:
        notify(Progressed(f"{task.image}: predictions"))
        image = workspace.fitted(task.image)
        yield Result(task.key, {"picture": image}, predict(workspace.network, image, workspace.plan.model.classes))


def compute_weights(workspace: Workspace, tasks: Tasks, notify: Notify) -> Iterator[Result]:
    """Yield each layer's weights, see `stored_weights`.

    Beside them `normalization`, what is stored of the normalizations that follow; None where that was not observed.
    """
    for task in tasks:
        layer_call = workspace.layer_calls[task.layer]
        notify(Progressed(f"{layer_call.path}: weights"))
        unit = layer_call.unit
        following = None if unit is None else normalization_facts(unit.normalisations)
        yield Result(task.key, stored_weights(layer_call), {"normalization": following})


def compute_initial_weights(workspace: Workspace, tasks: Tasks, notify: Notify) -> Iterator[Result]:
    """Yield the weights that each layer's training started from."""
    for task in tasks:
        yield Result(task.key, workspace.job.model.initial_weights[workspace.layers[task.layer].path])


def compute_feature_maps(workspace: Workspace, tasks: Tasks, notify: Notify) -> Iterator[Result]:
    """Yield the feature maps of several layers for one image, in one pass through the model."""
    image = tasks[0].image
    notify(Progressed(f"{image}: feature maps"))
    reader = workspace.map_reader(tuple(task.layer for task in tasks))
    before, started = reader.traces, time.perf_counter()
    results = reader(workspace.fitted(image))
    share, traces = (time.perf_counter() - started) / len(tasks), reader.traces - before
    for task, (arrays, facts) in zip(tasks, results, strict=True):
        yield Result(task.key, compact(arrays), facts, share, traces)


def compute_responses(workspace: Workspace, tasks: Tasks, notify: Notify) -> Iterator[Result]:
    """Yield what units of several layers do on one part of the data set, and what the model predicts there, in one pass."""
    dataset, record = workspace.job.dataset, workspace.plan.dataset
    assert dataset is not None
    assert record is not None
    assert tasks[0].part is not None
    layers = [task for task in tasks if task.kind == TaskKind.RESPONSES]
    of_images = [task for task in tasks if task.kind == TaskKind.DATASET_IMAGES]
    positions, doing = dataset.parts[tasks[0].part], f"data set, part {tasks[0].part + 1} of {len(dataset.parts)}"
    notify(Progressed(doing))
    observer = workspace.observer(tuple(task.layer for task in layers), bool(of_images))
    before, share = observer.traces, sum(task.cost for task in tasks) / len(positions)
    started = time.perf_counter()
    decoded: list[Decoded] = []
    reduced: list[list[Reduced]] = [[] for _ in layers]
    outputs: list[list[np.ndarray]] = []
    for batch in batches(dataset, positions, workspace.network.contract, observer.batch):
        usable = [each for each in batch.decoded if each.pixels is not None]
        decoded += [each.forgotten(pixel_hash(each)) if each.pixels is not None else each for each in batch.decoded]
        if usable:
            found, predicted = observer(batch.pictures, sampling_seeds(usable))
            for own, one in zip(reduced, found, strict=True):
                own.append(one)
            outputs.append(predicted)
        notify(Progressed(cost=share * len(batch.decoded)))
    seconds = (time.perf_counter() - started) / len(tasks)
    labels = {label.label: number for number, label in enumerate(record.labels)}
    classes = [label.class_index for label in record.labels]
    arrays, facts = image_arrays(decoded, positions, labels, classes, workspace.network.contract.rank)
    for task, own in zip(layers, reduced, strict=True):
        kept, stated = layer_arrays(own, arrays["pixels"], workspace.layer_calls[task.layer])
        yield Result(task.key, kept, stated, seconds, observer.traces - before)
        before = observer.traces
    for task in of_images:
        if outputs and outputs[0]:  # of several outputs, the first that classifies
            arrays |= prediction_arrays(np.concatenate([each[0] for each in outputs]), arrays["class"])
        yield Result(task.key, arrays, facts, seconds)


def compute_natural_maxima(workspace: Workspace, tasks: Tasks, notify: Notify) -> Iterator[Result]:
    """Yield the largest scores of several layers on the user's images, in one pass over crops of the size of their patterns."""
    size = workspace.layers[tasks[0].layer].pattern_size
    assert size is not None
    images = list(workspace.images.values())
    layer_calls = [workspace.layer_calls[task.layer] for task in tasks]
    meter = workspace.shared.meter(layer_calls, size)
    before = meter.traces
    grid, share = crop_grid(len(images)), sum(task.cost for task in tasks) / len(images)

    def crops() -> Iterator[tuple[int, np.ndarray]]:
        for number, image in enumerate(images):
            notify(Progressed(f"{image.record.name}: natural maxima"))
            yield number, natural_crops(workspace.pixels(image), size, grid)

    results = natural_maxima(meter, crops(), lambda number: notify(Progressed(cost=share)))
    for task, (arrays, facts) in zip(tasks, results, strict=True):
        yield Result(task.key, arrays, facts, traces=meter.traces - before)


def compute_patterns(workspace: Workspace, tasks: Tasks, notify: Notify) -> Iterator[Result]:
    """Yield the chunks of one layer's patterns, by one ascent that is traced once; with half the batch where a GPU's memory runs out."""
    left = {task.key: task for task in tasks}
    batch = workspace.job.batches[tasks[0].layer]
    while left:
        try:
            with gradients_forgotten():  # else each layer's graphs are kept as long as the process lives
                for result in _ascend(workspace, list(left.values()), batch, notify):
                    del left[result.key]
                    yield result
        except tf.errors.ResourceExhaustedError:
            if batch == 1:
                raise
            batch //= 2


def compute_attribution(workspace: Workspace, tasks: Tasks, notify: Notify) -> Iterator[Result]:
    """Yield the attribution maps of each image, with their checks."""
    for task in tasks:
        record = workspace.images[task.image].record
        started = time.perf_counter()

        def tell(what: str, name: str = record.name) -> None:
            notify(Progressed(f"{name}: {what}"))

        true = workspace.true_classes.get(record.sha256)
        arrays, facts = workspace.attributor(record.sha256, workspace.fitted(task.image), tell, true)
        yield Result(task.key, arrays, facts, time.perf_counter() - started)


def _ascend(workspace: Workspace, tasks: Tasks, batch: int, notify: Notify) -> Iterator[Result]:
    """Yield the results of `tasks` of one layer, so many filters at once."""
    layer, recipe, settings = workspace.layers[tasks[0].layer], workspace.job.recipe, workspace.plan.settings
    size = layer.pattern_size
    assert size is not None
    notify(Progressed(f"{layer.path}: patterns (tracing)"))
    parts = [
        (task.filters, Direction.MAXIMIZE if task.kind == TaskKind.PATTERNS else Direction.MINIMIZE) for task in tasks
    ]
    dead = workspace.dead(layer, notify)
    ascent = Ascent(
        workspace.shared,
        workspace.layer_calls[layer.slug],
        size,
        batch,
        settings["precision"],
        list(dict.fromkeys(direction for _, direction in parts)),
        dead,
    )
    notify(Progressed(f"{layer.path}: patterns"))
    filters, finished, traces = sum(len(task.filters) for task in tasks), 0, 0
    step = Progressed(cost=sum(task.cost for task in tasks) / ascent.steps_of(parts))
    started = time.perf_counter()
    for number, found in ascent.find_each(parts, lambda: notify(step)):
        task = tasks[number]
        facts = {
            "steps": recipe.steps,
            "size": list(size),
            "seeds": list(found.seeds),
            "recipe": {**ascent.describe(), **_batches(workspace, layer, batch)},
            "crop": display_crop(recipe, size),
        }
        seconds = time.perf_counter() - started  # batches that are optimized beside each other share the time
        new_traces = ascent.traces - traces
        yield Result(task.key, {**found.arrays(), "dead": dead[found.indices]}, facts, seconds, new_traces)
        started, traces = time.perf_counter(), traces + new_traces
        finished += len(task.filters)
        notify(Progressed(f"{layer.path}: patterns, {finished} of {filters}"))


def _batches(workspace: Workspace, layer: LayerRecord, batch: int) -> dict[str, int]:
    """The batch, and that which was planned: where memory ran out it is smaller, and other runs may give other bytes."""
    return {"batch": batch, "planned_batch": workspace.job.batches[layer.slug]}


@dataclass(frozen=True)
class Computation:
    """How the tasks of an artefact become results.

    Attributes:
        kinds: of its tasks.
        group: what tasks have in common that are one piece of work, from a task and its layer (None where it has none).
        compute: yields a result for each task of a piece of work, as soon as there is one.
    """

    kinds: tuple[TaskKind, ...]
    group: Callable[[Task, LayerRecord | None], Hashable]
    compute: Callable[[Workspace, Tasks, Notify], Iterator[Result]]


def _alone(task: Task, layer: LayerRecord | None) -> Hashable:
    return task.key


COMPUTATIONS = (  # in the order in which a run goes through them: the cheap ones first
    Computation((TaskKind.IMAGE,), _alone, compute_image),
    Computation((TaskKind.WEIGHTS,), _alone, compute_weights),
    Computation((TaskKind.INITIAL,), _alone, compute_initial_weights),
    Computation((TaskKind.FEATURE_MAPS,), lambda task, layer: task.image, compute_feature_maps),
    Computation((TaskKind.RESPONSES, TaskKind.DATASET_IMAGES), lambda task, layer: task.part, compute_responses),
    Computation((TaskKind.ATTRIBUTION,), _alone, compute_attribution),
    Computation((TaskKind.NATURAL,), lambda task, layer: layer and layer.pattern_size, compute_natural_maxima),
    Computation((TaskKind.PATTERNS, TaskKind.MINIMAL_PATTERNS), lambda task, layer: task.layer, compute_patterns),
)


def divide(plan: Plan, keys: Iterable[str]) -> list[Work]:
    """Divide tasks into pieces of work.

    Args:
        plan: the plan.
        keys: of the tasks that are to be computed; of tasks that share a key, the first is.

    Returns:
        The work in the order of COMPUTATIONS, within which tasks keep the plan's order.
    """
    left, layers = set(keys), {layer.slug: layer for layer in plan.layers}
    work = []
    for computation in COMPUTATIONS:
        groups: dict[Any, list[Task]] = {}
        for kind in computation.kinds:
            for task in plan.tasks:
                if task.kind == kind and task.key in left:
                    left.discard(task.key)
                    groups.setdefault(computation.group(task, layers.get(task.layer)), []).append(task)
        work += [Work(computation.kinds[0], tuple(tasks)) for tasks in groups.values()]
    return work


def carry_out(workspace: Workspace, work: Work, notify: Notify) -> Iterator[Result]:
    """Compute a piece of work in this process.

    Args:
        workspace: the job, open in this process.
        work: what to compute.
        notify: receives the progress; may be called from several threads, one at a time.

    Yields:
        One result per task, as soon as there is one. A failure becomes the reason of all tasks that have none yet; only interruptions
        are raised.
    """
    (computation,) = (each for each in COMPUTATIONS if work.kind in each.kinds)
    left = {task.key for task in work.tasks}
    with collected():
        try:
            for result in computation.compute(workspace, work.tasks, notify):
                left.discard(result.key)
                yield result
        except Exception as error:
            reason = str(error) if isinstance(error, ReportgenError) else one_line(error)
            yield from (Result(task.key, failure=reason) for task in work.tasks if task.key in left)
