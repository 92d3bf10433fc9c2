"""Layers x filters x images as ordered tasks with keys and costs: pure arithmetic, the same plan for the same inputs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from math import prod
from typing import Any

from reportgen.core.choices import FilterChoice, check_length
from reportgen.core.errors import FEW_NAMES, UsageError, few
from reportgen.core.records import ImageRecord, InputContract, LayerRecord, Task, TaskKind
from reportgen.core.settings import Settings
from reportgen.core.store import json_bytes
from reportgen.survey.outcome import MOST_PICTURED

KEY_LENGTH = 40  # hexadecimal digits of SHA-256: far beyond any chance of two tasks sharing one
# Multiply-adds in forward passes. A gradient by the input alone takes as many as the pass itself.
STEP_COST = 2  # an ascent step: the pass and its gradient
# Measuring the pattern, the strongest picture, and three warps of the one that is shown; the starts are measured for all layers at once.
MEASURING_COST = 5
RESPONSE_CONTENTS, STATISTICS_CONTENTS = 1, 1  # raised when something else is stored of a data set
MAPS_COST = 1  # all feature maps of an image
WEIGHT_CONTENTS = 3  # counts what has been added to a weights task: the normalizations that follow, and their arrays
WEIGHTS_PER_FORWARD = 10  # layers whose weights are stored in the time of a forward pass
AUTO_SMALLEST, AUTO_LARGEST, AUTO_STEP = 64, 224, 32  # pixels: sides of patterns sized by receptive field
AUTO_FIELDS = 2  # receptive fields along a side of such a pattern
LARGEST_BATCH = 16  # more only takes memory
TENSORS_AT_ONCE = (
    6  # of the largest on the way, beside those that the gradient keeps: operations' inputs, outputs and workspace
)
MANY_IMAGES = 8  # beyond these the images themselves are variety enough
MOST_EXPLAINED = 6  # misclassified images of a data set that have a page: the most confident ones
FEW_GRID, MANY_GRID = 5, 2  # crops along a side of an image


def choose_layers(paths: Sequence[str], include: Sequence[str], exclude: Sequence[str]) -> dict[str, str | None]:
    """Choose the layers that are in the report.

    Args:
        paths: of all convolution layers, in order.
        include: globs of which a path must match one; all paths do where there are none.
        exclude: globs of which a path must match none.

    Returns:
        None for each path that is in the report, else why it is left out.

    Raises:
        UsageError: a glob matches nothing, or no layer is left.
    """
    for option, globs in (("--layers", include), ("--exclude", exclude)):
        for glob in globs:
            if not any(fnmatchcase(path, glob) for path in paths):
                raise UsageError(f"{option} {glob} matches no convolution layer; the model has {few(paths)}.")
    chosen: dict[str, str | None] = {}
    for path in paths:
        if include and not any(fnmatchcase(path, glob) for glob in include):
            chosen[path] = "left out: no --layers pattern names it"
        elif any(fnmatchcase(path, glob) for glob in exclude):
            chosen[path] = "left out by --exclude"
        else:
            chosen[path] = None
    if all(chosen.values()):
        raise UsageError("--layers and --exclude leave no layer to report.")
    return chosen


def check_filters(settings: Settings, layers: Sequence[LayerRecord]) -> tuple[str, ...]:
    """Check the filter numbers of `--filters`.

    Returns:
        Notes on numbers that some layers lack.

    Raises:
        UsageError: no layer has any of them.
    """
    numbers = FilterChoice.parse(settings.filters).numbers
    rendered = [layer for layer in layers if layer.is_met and not layer.is_pooling]
    if numbers is None or not rendered:
        return ()
    most = max(layer.filters_total for layer in rendered)
    if numbers[0] >= most:
        raise UsageError(
            f"--filters {settings.filters}: no layer has a filter {numbers[0]}; the widest has {most} (0 to {most - 1})."
        )
    lacking = [layer for layer in rendered if numbers[-1] >= layer.filters_total]
    if len(lacking) > FEW_NAMES:
        paths = few([layer.path for layer in lacking])
        return (f"{paths} have fewer filters than --filters {settings.filters} names; the missing ones are left out.",)
    return tuple(
        f"{layer.path} has {_counted(layer.filters_total, 'filter')}: of --filters {settings.filters}, "
        f"{_left_out(sum(number >= layer.filters_total for number in numbers))}."
        for layer in lacking
    )


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _left_out(count: int) -> str:
    return "1 does not exist and is left out" if count == 1 else f"{count} do not exist and are left out"


def pattern_size(contract: InputContract, receptive_field: Sequence[int] | None, settings: Settings) -> tuple[int, ...]:
    """Return the length of a layer's patterns on each spatial axis.

    That is the input's own length where it is fixed, else `--size`, else twice the receptive field within limits. Whether the network
    accepts that is another question.

    Args:
        contract: of the model's input.
        receptive_field: of the layer, per spatial axis; None where it is not known.
        settings: `size` is used.

    Raises:
        UsageError: `--size` contradicts an input that is fixed on all axes.
    """
    wanted = settings.pattern_size
    if wanted is not None:
        check_length("--size", wanted, contract.is_picture, contract.bands)
        if None not in contract.shape[:-1] and any(own != wanted for own in contract.shape[:-1]):
            fixed = " × ".join(str(own) for own in contract.shape[:-1])
            raise UsageError(
                f"--size {wanted}: this model's input is fixed at {fixed}, and so are its patterns; leave --size out."
            )
    sides = []
    for axis, own in enumerate(contract.shape[:-1]):
        if own is not None:
            sides.append(own)
        elif wanted is not None:
            sides.append(wanted)
        else:
            side = AUTO_LARGEST if receptive_field is None else AUTO_FIELDS * receptive_field[axis]
            sides.append(max(AUTO_SMALLEST, min(AUTO_LARGEST, -(-side // AUTO_STEP) * AUTO_STEP)))
    return tuple(sides)


def picture_bytes(kept_bytes: int, largest_bytes: int) -> int:
    """Return what an ascent of one pattern takes, of the size that the bytes were counted at."""
    return kept_bytes + TENSORS_AT_ONCE * largest_bytes


def batch_size(picture_bytes: int, memory_bytes: int, filters: int) -> int:
    """Return how many patterns of a layer are optimized at once, the filters divided evenly among batches.

    Args:
        picture_bytes: what an ascent of one pattern takes.
        memory_bytes: what `--memory` allows.
        filters: that are wanted of the layer.
    """
    room, filters = max(1, memory_bytes // max(1, picture_bytes)), max(1, filters)
    return -(-filters // -(-filters // min(LARGEST_BATCH, room)))


def crop_grid(image_count: int) -> int:
    """Return how many natural crops lie along a side of each image: 5 for up to eight images, 2 for more."""
    return MANY_GRID if image_count > MANY_IMAGES else FEW_GRID


def natural_crop_count(image_count: int) -> int:
    """Return how many natural inputs a filter's pattern is compared with: every image whole, and its crops."""
    return image_count * (1 + crop_grid(image_count) ** 2)


def task_key(kind: str, facts: Mapping[str, Any]) -> str:
    """Return the name under which a task's result is stored: a hash of everything that the result depends on."""
    return hashlib.sha256(json_bytes([kind, facts])).hexdigest()[:KEY_LENGTH]


@dataclass(frozen=True)
class DatasetFacts:
    """What the tasks of a data set follow from.

    Attributes:
        hashes: of the images of each part.
        names: what else each part's images are known by: names and labels, as JSON values.
        labels: the data set's labels and the classes that they stand for, as JSON values.
        batch: images that are computed at once.
        pairs: whether pairs of labels are tested.
    """

    hashes: Sequence[Sequence[str]]
    names: Sequence[Any]
    labels: Any
    batch: int
    pairs: bool


@dataclass(frozen=True)
class TaskFacts:
    """What the tasks of a report follow from.

    Attributes:
        layers: the records of all layers.
        images: of all images, those of natural maxima included.
        contract: of the model's input.
        identity: what every key depends on: hash of the weights, versions.
        recipe: every number of the ascent.
        seed: of all randomness.
        batches: patterns that are optimized at once, by layer slug.
        classes: names of the model's classes, if known.
        feed_key: stands for the code of the preprocessing where that is the user's; "" otherwise.
        negative: whether minimal patterns are wanted.
        initial: what stands for the weights that training started from, by layer path; empty where they are not shown.
        patterns: whether patterns are wanted.
        dataset: None where there is none.
        attribution: what the attribution maps of an image depend on beside it; empty where there are none.
        attribution_passes: about how many passes of the model they take per image.
        true_classes: the class that the label of an image of the data set stands for, by the image's hash.
    """

    layers: Sequence[LayerRecord]
    images: Sequence[ImageRecord]
    contract: InputContract
    identity: Mapping[str, Any]
    recipe: Mapping[str, Any]
    seed: int
    batches: Mapping[str, int]
    classes: Sequence[str] | None
    feed_key: str
    negative: bool = False
    initial: Mapping[str, str] = field(default_factory=dict)
    patterns: bool = True
    dataset: DatasetFacts | None = None
    attribution: Mapping[str, Any] = field(default_factory=dict)
    attribution_passes: int = 0
    true_classes: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def rendered(self) -> list[LayerRecord]:
        """Layers that are in the report."""
        return [layer for layer in self.layers if layer.status == "rendered"]

    @cached_property
    def shown(self) -> list[ImageRecord]:
        """Images that have feature maps."""
        return [image for image in self.images if image.shown]

    @cached_property
    def fed(self) -> dict[str, Any]:
        """How an image becomes what the model is fed, up to its size."""
        contract = self.contract
        facts: dict[str, Any] = {
            "range": [contract.low, contract.high],
            "preprocess": contract.preprocess,
            "code": self.feed_key,
            "floats": list(contract.floats),
        }
        if contract.constant_inputs:
            facts["input"] = contract.name
            facts["held"] = [[one.name, one.shape, one.sha256] for one in contract.constant_inputs]
            facts["held_fit"] = contract.fit
        return facts

    @cached_property
    def sized(self) -> dict[str, Any]:
        """The same with its size."""
        contract = self.contract
        return {**self.fed, "size": list(contract.size), "fit": contract.fit, "bands": contract.bands}

    @cached_property
    def forward_cost(self) -> float:
        """What one pass of an image through the whole model costs."""
        return max((layer.macs for layer in self.rendered), default=1)

    def pattern_cost(self, layer: LayerRecord) -> float:
        """Return what a pass of one input of the size of a layer's patterns costs, up to this layer."""
        assert layer.pattern_size is not None
        return layer.macs * prod(layer.pattern_size) / prod(self.contract.size)

    def pattern_facts(self, layer: LayerRecord) -> dict[str, Any]:
        """Return what all scores of a layer on inputs of the size of its patterns depend on."""
        assert layer.pattern_size is not None
        return {**self.identity, **self.fed, "layer": layer.path, "size": list(layer.pattern_size)}


def plan_tasks(facts: TaskFacts) -> tuple[Task, ...]:
    """Return all tasks of a report, in the order in which they are done."""
    return tuple(task for make in PLANNED for task in make(facts))


def _image_tasks(facts: TaskFacts) -> Iterator[Task]:
    """One per image shown: the image as fed, and its predictions."""
    classes = None if facts.classes is None else list(facts.classes)
    for image in facts.shown:
        key = task_key(TaskKind.IMAGE, {**facts.identity, **facts.sized, "image": image.sha256, "classes": classes})
        yield Task(TaskKind.IMAGE, key, "", image.slug, (), facts.forward_cost)


def _weight_tasks(facts: TaskFacts) -> Iterator[Task]:
    """One per layer with a kernel, and one more for the weights that its training started from."""
    for layer in facts.layers:
        if layer.status == "skipped" or layer.is_output or layer.kernel_shape is None:
            continue
        key = task_key(TaskKind.WEIGHTS, {**facts.identity, "layer": layer.path, "contents": WEIGHT_CONTENTS})
        yield Task(TaskKind.WEIGHTS, key, layer.slug, "", (), facts.forward_cost / WEIGHTS_PER_FORWARD)
        if facts.initial:
            key = task_key(TaskKind.INITIAL, {"layer": layer.path, "weights": facts.initial[layer.path]})
            yield Task(TaskKind.INITIAL, key, layer.slug, "", (), 0.0)


def _feature_map_tasks(facts: TaskFacts) -> Iterator[Task]:
    """One per image shown and layer that it passes."""
    layers = [layer for layer in facts.rendered if layer.is_met and not layer.is_output]
    for image in facts.shown:
        for layer in layers:
            key = task_key(
                TaskKind.FEATURE_MAPS, {**facts.identity, **facts.sized, "layer": layer.path, "image": image.sha256}
            )
            cost = MAPS_COST * facts.forward_cost / len(layers)
            yield Task(TaskKind.FEATURE_MAPS, key, layer.slug, image.slug, (), cost)


def _natural_tasks(facts: TaskFacts) -> Iterator[Task]:
    """One per layer with patterns: the largest scores on the user's images."""
    hashes = [image.sha256 for image in facts.images]
    for layer in facts.rendered if hashes and facts.patterns else []:
        if layer.pattern_size is not None:
            key = task_key(TaskKind.NATURAL, {**facts.pattern_facts(layer), "images": hashes})
            together = [each for each in facts.rendered if each.pattern_size == layer.pattern_size]
            deepest = max(facts.pattern_cost(each) for each in together)  # one pass measures them all
            cost = natural_crop_count(len(hashes)) * deepest / len(together)
            yield Task(TaskKind.NATURAL, key, layer.slug, "", (), cost)


def _attribution_tasks(facts: TaskFacts) -> Iterator[Task]:
    """One per image shown: all of its attribution maps."""
    for image in facts.shown if facts.attribution else []:
        depends = {**_attributed(facts), "image": image.sha256, "true": facts.true_classes.get(image.sha256)}
        key = task_key(TaskKind.ATTRIBUTION, depends)
        yield Task(TaskKind.ATTRIBUTION, key, "", image.slug, (), facts.attribution_passes * facts.forward_cost)


def _attributed(facts: TaskFacts) -> dict[str, Any]:
    """What the attribution maps of any image depend on."""
    classes = None if facts.classes is None else list(facts.classes)
    return {**facts.identity, **facts.sized, **facts.attribution, "classes": classes, "seed": facts.seed}


def _misclassified_tasks(facts: TaskFacts) -> Iterator[Task]:
    """One for each misclassified image of the data set that is explained; which these are is known after the pass."""
    if facts.dataset is None or not facts.attribution or not facts.true_classes:
        return
    depends = {
        **_attributed(facts),
        "images": facts.dataset.hashes,
        "names": facts.dataset.names,
        "labels": facts.dataset.labels,
    }
    for place in range(MOST_EXPLAINED):
        key = task_key(TaskKind.MISCLASSIFIED, {**depends, "place": place})
        cost = facts.attribution_passes * facts.forward_cost
        yield Task(TaskKind.MISCLASSIFIED, key, "", "", (), cost, place)


def _pattern_tasks(facts: TaskFacts) -> Iterator[Task]:
    """One per layer and batch of filters, and one more for their minimal patterns."""
    recipe, contract = facts.recipe, facts.contract
    kinds = (TaskKind.PATTERNS, TaskKind.MINIMAL_PATTERNS) if facts.negative else (TaskKind.PATTERNS,)
    steps = recipe["steps"] * recipe["restarts"] + recipe["strongest_steps"]
    for layer in facts.rendered:
        if layer.pattern_size is None or not facts.patterns:
            continue
        batch = facts.batches[layer.slug]
        cost = batch * facts.pattern_cost(layer) * (STEP_COST * steps + MEASURING_COST)
        for start in range(0, len(layer.filters_shown), batch):
            chunk = layer.filters_shown[start : start + batch]
            depends = {
                **facts.pattern_facts(layer),
                "filters": list(chunk),
                "batch": batch,
                "recipe": recipe,
                "seed": facts.seed,
            }
            if recipe["decorrelation"] == "images":
                depends["images"] = [[image.sha256 for image in facts.images], list(contract.size), contract.fit]
            for kind in kinds:
                yield Task(kind, task_key(kind, depends), layer.slug, "", chunk, cost)


def surveyed(layers: Sequence[LayerRecord]) -> list[LayerRecord]:
    """Return the layers whose units are measured on the data set: those in the report that have any."""
    return [layer for layer in layers if layer.status == "rendered" and layer.is_met and not layer.is_pooling]


def _dataset_tasks(facts: TaskFacts) -> Iterator[Task]:
    """One per part of the data set for its images and one per layer, which share a pass; and one per layer that sums them up.

    The last ones, crops and pictures of misclassified images, are cut in a second reading.
    """
    dataset = facts.dataset
    if dataset is None:
        return
    layers = surveyed(facts.layers)
    keys: dict[str, list[str]] = {layer.slug: [] for layer in layers}
    images = []
    for part, hashes in enumerate(dataset.hashes):
        common = {
            **facts.identity,
            **facts.sized,
            "images": list(hashes),
            "batch": dataset.batch,
            "stored": RESPONSE_CONTENTS,
        }
        cost = len(hashes) * facts.forward_cost / (1 + len(layers))
        images.append(
            task_key(TaskKind.DATASET_IMAGES, {**common, "names": dataset.names[part], "labels": dataset.labels})
        )
        yield Task(TaskKind.DATASET_IMAGES, images[-1], "", "", (), cost, part)
        for layer in layers:
            keys[layer.slug].append(task_key(TaskKind.RESPONSES, {**common, "layer": layer.path}))
            yield Task(TaskKind.RESPONSES, keys[layer.slug][-1], layer.slug, "", (), cost, part)
    for layer in layers:
        depends = {
            "parts": keys[layer.slug],
            "images": images,
            "filters": list(layer.filters_shown),
            "stored": STATISTICS_CONTENTS,
            "pairs": dataset.pairs,
        }
        key = task_key(TaskKind.RESPONSE_STATISTICS, depends)
        yield Task(TaskKind.RESPONSE_STATISTICS, key, layer.slug, "", (), 0.0)
        if facts.contract.is_picture:
            yield Task(TaskKind.EXEMPLARS, task_key(TaskKind.EXEMPLARS, depends), layer.slug, "", (), 0.0)
    if facts.contract.is_picture and facts.true_classes:
        key = task_key(TaskKind.MISCLASSIFIED_PICTURES, {"images": images, "most": MOST_PICTURED})
        yield Task(TaskKind.MISCLASSIFIED_PICTURES, key, "", "", (), 0.0)


PLANNED = (
    _image_tasks,
    _weight_tasks,
    _feature_map_tasks,
    _dataset_tasks,
    _attribution_tasks,
    _natural_tasks,
    _pattern_tasks,
    _misclassified_tasks,
)
