"""Layers x filters x images as ordered tasks with keys and costs: pure arithmetic, the same plan for the same inputs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from math import prod
from typing import Any

from reportgen.core.choices import FilterChoice, check_length
from reportgen.core.errors import FEW_NAMES, UsageError, few
from reportgen.core.records import ImageRecord, InputContract, LayerRecord, Task, TaskKind
from reportgen.core.settings import Settings
from reportgen.core.store import json_bytes

KEY_LENGTH = 40  # hexadecimal digits of SHA-256: far beyond any chance of two tasks sharing one
STEP_OVER_FORWARD = 3  # an ascent step is a forward pass and its gradient, about twice as dear
AUTO_SMALLEST, AUTO_LARGEST, AUTO_STEP = 64, 224, 32  # pixels: sides of patterns sized by receptive field
LARGEST_BATCH = 8  # two cores are busy with this many; more only takes memory
MOST_ABREAST = 2  # batches whose steps overlap: what one core does alone in one is hidden behind the other
BYTES_OVER_FORWARD = 3  # what an ascent keeps for the gradient, over the tensors of the forward pass


def choose_layers(paths: Sequence[str], include: Sequence[str], exclude: Sequence[str]) -> dict[str, str | None]:
    """{path: None where it is in the report, else why it is left out}. Raises UsageError for a glob that matches nothing."""
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
    """Notes on filter numbers that some layers lack. Raises UsageError where no layer has any of them."""
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
        return (
            f"{few([layer.path for layer in lacking])} have fewer filters than --filters {settings.filters} names: "
            "those that are not there were left out.",
        )
    return tuple(
        f"{layer.path} has {layer.filters_total} filters: of --filters {settings.filters}, "
        f"{sum(number >= layer.filters_total for number in numbers)} are not there and were left out."
        for layer in lacking
    )


def pattern_size(contract: InputContract, receptive_field: Sequence[int] | None, settings: Settings) -> tuple[int, ...]:
    """A layer's patterns' length on each axis: the input's own where fixed, else `--size`, else twice the receptive field within limits.

    Whether the network accepts that is another question. Raises UsageError where `--size` contradicts an input that is fixed on all axes.
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
            reach = AUTO_LARGEST if receptive_field is None else 2 * receptive_field[axis]
            sides.append(max(AUTO_SMALLEST, min(AUTO_LARGEST, -(-reach // AUTO_STEP) * AUTO_STEP)))
    return tuple(sides)


def batch_size(tensor_bytes: int, memory_bytes: int, filters: int) -> int:
    """How many patterns of a layer of so many filters are sought at once: from what one picture's forward pass takes, and `--memory`."""
    return max(1, min(LARGEST_BATCH, filters, memory_bytes // max(1, BYTES_OVER_FORWARD * tensor_bytes)))


def abreast(tensor_bytes: int, memory_bytes: int, batch: int) -> int:
    """How many batches are sought at the same time by a processor's cores, as far as `--memory` goes; no picture depends on it.

    By the forward pass alone: on VGG16 a whole ascent was measured to take half of that, since much of it is not kept.
    """
    return max(1, min(MOST_ABREAST, memory_bytes // max(1, tensor_bytes * batch)))


def task_key(kind: str, facts: Mapping[str, Any]) -> str:
    """The name under which a task's result is stored: a hash of everything that the result depends on."""
    return hashlib.sha256(json_bytes([kind, facts])).hexdigest()[:KEY_LENGTH]


def plan_tasks(
    layers: Iterable[LayerRecord],
    images: Sequence[ImageRecord],
    contract: InputContract,
    identity: Mapping[str, Any],
    recipe: Mapping[str, Any],
    seed: int,
    batches: Mapping[str, int],
    classes: Sequence[str] | None,
    feed_key: str,
    negative: bool = False,
    initial: Mapping[str, str] | None = None,
) -> tuple[Task, ...]:
    """All tasks of a report, in the order in which they are done.

    identity: what every key starts from (weights hash, versions). recipe: the ascent's numbers. batches: patterns sought at once,
    by layer slug. feed_key: stands for the preprocessing's own code where that is the user's. negative: whether every filter is also
    asked what it answers least to. initial: what stands for the weights that training started from, by layer path.
    """
    fed: dict[str, Any] = {"range": [contract.low, contract.high], "preprocess": contract.preprocess, "code": feed_key}
    fed["floats"] = list(contract.floats)
    if contract.constant_inputs:
        constant_inputs = [[one.name, one.shape, one.sha256] for one in contract.constant_inputs]
        fed = {**fed, "input": contract.name, "held": constant_inputs, "held_fit": contract.fit}
    shaped = {**fed, "size": list(contract.size), "fit": contract.fit, "bands": contract.bands}
    rendered = [layer for layer in layers if layer.status == "rendered"]
    kept = [layer for layer in layers if layer.status != "skipped" and not layer.is_output]
    mapped = [layer for layer in rendered if layer.is_met and not layer.is_output]
    shown = [image for image in images if image.shown]
    pixels = prod(contract.size)
    tasks = []
    whole = max((layer.macs for layer in rendered), default=1)
    for image in shown:
        facts = {**identity, **shaped, "image": image.sha256, "classes": None if classes is None else list(classes)}
        tasks.append(Task(TaskKind.IMAGE, task_key("image", facts), "", image.slug, (), whole))
    for layer in kept:
        if layer.kernel_shape is None:
            continue
        tasks.append(
            Task(
                TaskKind.WEIGHTS, task_key("weights", {**identity, "layer": layer.path}), layer.slug, "", (), whole / 10
            )
        )
        if initial:
            key = task_key("initial", {"layer": layer.path, "weights": initial[layer.path]})
            tasks.append(Task(TaskKind.INITIAL, key, layer.slug, "", (), 0.0))
    for image in shown:
        for layer in mapped:
            facts = {**identity, **shaped, "layer": layer.path, "image": image.sha256}
            tasks.append(
                Task(
                    TaskKind.FEATURE_MAPS,
                    task_key("feature_maps", facts),
                    layer.slug,
                    image.slug,
                    (),
                    2 * whole / len(mapped),
                )
            )
    patterns = []
    for layer in rendered:
        if layer.pattern_size is None:
            continue
        forward = layer.macs * prod(layer.pattern_size) / pixels
        common = {**identity, **fed, "layer": layer.path, "size": list(layer.pattern_size)}
        if images:
            key = task_key("natural", {**common, "images": [image.sha256 for image in images]})
            cost = natural_crop_count(len(images)) * forward / len(rendered)
            tasks.append(Task(TaskKind.NATURAL, key, layer.slug, "", (), cost))
        batch = batches[layer.slug]
        for start in range(0, len(layer.filters_shown), batch):
            chunk = layer.filters_shown[start : start + batch]
            facts = {**common, "filters": list(chunk), "batch": batch, "recipe": recipe, "seed": seed}
            if recipe["decorrelation"] == "images":
                facts["images"] = [[image.sha256 for image in images], list(contract.size), contract.fit]
            steps = recipe["steps"] * recipe["restarts"] + recipe["strongest_steps"]
            cost = batch * forward * (STEP_OVER_FORWARD * steps + 2)
            for kind in (TaskKind.PATTERNS, TaskKind.NEGATIVES) if negative else (TaskKind.PATTERNS,):
                patterns.append(Task(kind, task_key(kind, facts), layer.slug, "", chunk, cost))
    return (*tasks, *patterns)


NATURAL_BATCH = 4  # pictures measured at once, whatever the layers: a figure must not depend on what else is asked for
MANY_IMAGES = 8  # beyond these the images themselves are variety enough
FEW_GRID, MANY_GRID = 5, 2


def crop_grid(image_count: int) -> int:
    """Natural crops a side of each image: 5 for up to eight images, 2 for more."""
    return MANY_GRID if image_count > MANY_IMAGES else FEW_GRID


def natural_crop_count(image_count: int) -> int:
    """How many natural pictures a filter's pattern is compared with: every image whole, and its crops."""
    return image_count * (1 + crop_grid(image_count) ** 2)
