"""From what the user asked for to a job: the model open, the images found, the plan made."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from math import prod
from typing import Any

import msgspec
import numpy as np

from reportgen.compute import machine
from reportgen.compute.opening import InitialWeights, Lengths, ModelReference, no_lengths, open_network
from reportgen.compute.patterns import recipe as recipes
from reportgen.compute.patterns import results
from reportgen.compute.patterns.optimizers import make as check_optimizer
from reportgen.compute.planning import notes as noted
from reportgen.compute.planning import plan as planning
from reportgen.compute.planning.attributions import labelled_classes, plan_attribution
from reportgen.compute.planning.layer_records import describe, describe_output
from reportgen.compute.planning.pattern_sizes import fitted
from reportgen.compute.responses import LARGEST_BATCH, LARGEST_MAPS
from reportgen.compute.work import Job
from reportgen.core.choices import FilterChoice
from reportgen.core.errors import ModelError, UsageError
from reportgen.core.records import DatasetRecord, ImageRecord, InputContract, LayerRecord, ModelRecord, Plan, Task
from reportgen.core.settings import Settings
from reportgen.inputs import images, signals
from reportgen.inputs.classes_file import read_classes
from reportgen.inputs.dataset import Dataset, open_dataset
from reportgen.inputs.image_reader import ImageReader
from reportgen.inputs.label_map import matched
from reportgen.network.backend import fix_threads, gpu_details
from reportgen.network.graph.layer_calls import LayerCall
from reportgen.network.initial_weights import digest, initial_kernels
from reportgen.network.loading.embedded_class_names import names_of
from reportgen.network.loading.hashes import source_sha256
from reportgen.network.loading.load import import_callable
from reportgen.network.network import Network
from reportgen.network.precision import has_bfloat16

ALGORITHM = 2  # raised whenever the same inputs would give other arrays: stored tasks are then computed again
IDENTIFYING = ("tensorflow", "keras", "numpy", "pillow", "device")  # of the environment: what results may depend on
FEW_REASONS = 3  # of layers that cannot be shown: more do not help


def walk(
    specification: Any, settings: Settings, lengths: Callable[[InputContract], Lengths] = no_lengths
) -> tuple[Network, tuple[LayerRecord, ...]]:
    """Open a model and describe its layers.

    Args:
        specification: a live Keras model, or what names one.
        settings: how it is loaded and fed, and which layers are wanted.
        lengths: as for `open_network`.

    Returns:
        The model, and the record of each layer that convolves or pools.

    Raises:
        ReportgenError: the model cannot be opened, or has no convolution.
    """
    network = open_network(specification, settings, lengths)
    if not network.layer_calls:
        raise ModelError(f"{network.loaded.source} has no convolution layer; there is nothing to report.")
    paths = [layer_call.path for layer_call in network.layer_calls]
    return network, describe(network, settings, planning.choose_layers(paths, settings.layers, settings.exclude))


Effort = tuple[tuple[LayerRecord, ...], tuple[Task, ...], dict[str, int], recipes.Recipe]
"""What settings of effort come to: the layers with their filters, the tasks, batches of patterns by layer slug, and the recipe."""
Choose = Callable[[Network, Callable[[Settings], Effort]], Settings]


def prepare(
    specification: Any, settings: Settings, reader: ImageReader | None = None, choose: Choose | None = None
) -> Job:
    """Open the model, find the images and plan the report; nothing is written.

    Args:
        specification: a live Keras model, or what names one.
        settings: all choices of the user.
        reader: decodes the images.
        choose: returns the settings to go on with, which may differ in `quality` and `filters`.

    Returns:
        The job that makes the report.

    Raises:
        ReportgenError: the model or an image cannot be read, or the settings do not fit them.
    """
    reader = ImageReader() if reader is None else reader
    threads = fix_threads(settings.threads)
    network, layers, collection = _open(specification, settings, reader)
    filter_notes = planning.check_filters(settings, layers)
    _check_bands(settings, network.contract.bands)
    if settings.optimizer is not None:
        check_optimizer(settings.optimizer)
    classes, classes_note = _class_names(network, settings)
    memory_note = noted.memory(network, settings)
    range_note = limit_patterns(
        network, settings, (image.read(reader, network.contract) for image in collection.images)
    )
    differentiable = network.check_feed()
    layers = _with_pattern_sizes(network, layers, settings, classes)
    recipe = recipes.choose(settings, network.contract.bands, bool(collection.images))
    batches = _batches(network, layers, settings)
    initial = {} if settings.initial is None else initial_kernels(network, specification, settings)
    versions = machine.versions()
    records = tuple(image.record for image in collection.images)
    dataset = (
        None if settings.dataset is None else open_dataset(settings.dataset, settings.dataset_limit, import_callable)
    )
    dataset_record = None if dataset is None else dataset.record(matched(dataset.labels, classes, settings.label_map))
    batch = response_batch(network, settings)
    true_classes = labelled_classes(dataset, dataset_record)
    attribution = plan_attribution(network, settings, classes, bool(collection.images or true_classes))
    notes = (
        *filter_notes,
        *collection.notes,
        *noted.constant_input_profiles(settings),
        *network.notes,
        noted.no_images(collection, settings),
        classes_note,
        memory_note,
        range_note,
        None if differentiable else noted.no_gradient(settings),
        *attribution.notes,
    )
    facts = planning.TaskFacts(
        layers=_differentiated(layers, differentiable),
        images=records,
        contract=network.contract,
        identity=_identity(network, versions, threads),
        recipe=_recipe_facts(recipe, settings),
        seed=settings.seed,
        batches=batches,
        classes=classes,
        feed_key=_preprocess_code(settings.preprocess),
        negative=settings.negative,
        initial={path: digest(arrays) for path, arrays in initial.items()},
        patterns=settings.patterns,
        dataset=None if dataset is None else _dataset_facts(dataset, dataset_record, batch, settings.label_pairs),
        attribution=attribution.depends or {},
        attribution_passes=attribution.passes,
        true_classes=true_classes,
    )
    if choose is not None:
        own, contract = layers, network.contract

        def effort(other: Settings) -> Effort:
            shown = _with_filters(own, other)
            own_batches = _batches(network, shown, other)
            made = recipes.choose(other, contract.bands, bool(collection.images))
            changed = dataclasses.replace(
                facts,
                layers=_differentiated(shown, differentiable),
                recipe=_recipe_facts(made, other),
                batches=own_batches,
            )
            return shown, planning.plan_tasks(changed), own_batches, made

        settings = choose(network, effort)
        layers, tasks, batches, recipe = effort(settings)
    else:
        tasks = planning.plan_tasks(facts)
    plan = Plan(
        model=_model_record(network, classes),
        contract=network.contract,
        settings=_resolved(settings, network, recipe, threads),
        environment=versions,
        images=records,
        images_left_out=collection.left_out,
        layers=layers,
        tasks=tasks,
        notes=tuple(note for note in notes if note is not None),
        diagram=network.diagram,
        problems=() if network.problem is None else (network.problem,),
        dataset=dataset_record,
        attribution=attribution.layers,
    )
    reference = _reference(specification, settings, network, records, initial, range_note is not None)
    return Job(plan, reference, collection.images, reader, recipe, batches, machine.stated(), dataset, batch)


def _open(
    specification: Any, settings: Settings, reader: ImageReader
) -> tuple[Network, tuple[LayerRecord, ...], images.Collection]:
    """The model, its layers, of which at least one can be shown, and the images, which are decoded before the model is walked."""
    collections: list[images.Collection] = []

    def lengths(contract: InputContract) -> Lengths:
        collections.append(
            images.collect(
                settings.images,
                contract.bands,
                settings.max_images,
                rank=contract.rank,
                floats=contract.floats,
                reader=reader,
            )
        )
        return [image.record.lengths for image in collections[-1].images]

    network, layers = walk(specification, settings, lengths)
    if not any(layer.status == "rendered" for layer in layers):
        reasons = "; ".join(f"{layer.path}: {layer.reason}" for layer in layers[:FEW_REASONS])
        raise ModelError(f"{network.loaded.source} has no layer that can be shown ({reasons}).")
    return network, layers, collections[-1]


def _differentiated(layers: Sequence[LayerRecord], differentiable: bool) -> Sequence[LayerRecord]:
    """The layers, without patterns where nothing can be differentiated."""
    return layers if differentiable else [msgspec.structs.replace(layer, filters_shown=()) for layer in layers]


def _recipe_facts(recipe: recipes.Recipe, settings: Settings) -> dict[str, Any]:
    """What patterns depend on, with what is stored of them, so that a new score is computed and not missed in an older report."""
    return {
        **recipe.describe(),
        "precision": settings.precision,
        "bfloat16": has_bfloat16(),
        "arrays": results.ARRAYS,
    }


def _with_filters(layers: Iterable[LayerRecord], settings: Settings) -> tuple[LayerRecord, ...]:
    """The layers with the filters that other settings show; classes stay."""
    choice = FilterChoice.parse(settings.filters)
    return tuple(
        msgspec.structs.replace(layer, filters_shown=choice.of(layer.filters_total))
        if layer.filters_shown and not layer.is_output
        else layer
        for layer in layers
    )


def _class_names(network: Network, settings: Settings) -> tuple[tuple[str, ...] | None, str | None]:
    """The names of the classes, the user's before the model's own, and a note on names that fit several outputs."""
    classes = read_classes(settings.classes, network.class_count)
    if classes is None:
        loaded = network.loaded
        return names_of(loaded.model, loaded.source, loaded.classes, network.class_count)
    return classes, noted.ambiguous_classes(classes, network) if network.heads else None


def _with_pattern_sizes(
    network: Network, layers: Sequence[LayerRecord], settings: Settings, classes: Sequence[str] | None
) -> tuple[LayerRecord, ...]:
    """The layers, the model's output among them where it is wanted, with sizes of patterns that the network accepts."""
    if settings.outputs is not None:
        layers = [*layers, describe_output(network, settings, classes, [layer.slug for layer in layers])]
    wanted = {layer.path: layer.pattern_size for layer in layers if layer.pattern_size is not None}
    sizes = fitted(network, wanted, settings)
    return tuple(msgspec.structs.replace(layer, pattern_size=sizes.get(layer.path)) for layer in layers)


def _reference(
    specification: Any,
    settings: Settings,
    network: Network,
    records: Sequence[ImageRecord],
    initial: InitialWeights,
    limited: bool,
) -> ModelReference:
    return ModelReference(
        specification,
        settings,
        tuple(record.lengths for record in records),
        network.weights_sha256,
        (network.contract.low, network.contract.high) if limited else None,
        network=network,
        initial_weights=initial,
    )


def limit_patterns(network: Network, settings: Settings, arrays: Iterable[np.ndarray]) -> str | None:
    """Limit patterns of signals and volumes to the range of the user's own values, unless `--input-range` states another.

    Args:
        network: the model, whose contract is changed.
        settings: `input_range` is used.
        arrays: the user's signals or volumes.

    Returns:
        A note that states the range; None where it was not limited.
    """
    if network.contract.is_picture or settings.input_range is not None:
        return None
    limits = signals.value_range(arrays)
    if limits is None:
        return None
    network.limit(*limits)
    return noted.pattern_range(*limits)


def _batches(network: Network, layers: Iterable[LayerRecord], settings: Settings) -> dict[str, int]:
    """How many patterns are optimized at once, by layer slug."""
    layer_calls = network.by_path
    return {
        layer.slug: batch_for(network, layer_calls[layer.path], layer.pattern_size, settings, len(layer.filters_shown))
        for layer in layers
        if layer.status == "rendered" and layer.pattern_size is not None
    }


def batch_for(network: Network, layer_call: LayerCall, size: tuple[int, ...], settings: Settings, filters: int) -> int:
    """Return how many patterns of a layer are optimized at once, from the layer, the filters and the settings alone.

    Args:
        network: the model.
        layer_call: the layer.
        size: of the patterns, on each spatial axis.
        settings: `memory` is used.
        filters: how many are wanted.
    """
    picture_bytes = planning.picture_bytes(layer_call.costs.kept_bytes, layer_call.costs.largest_bytes)
    picture_bytes = picture_bytes * prod(size) // prod(network.contract.size)
    return planning.batch_size(picture_bytes, settings.memory_bytes, filters)


def response_batch(network: Network, settings: Settings) -> int:
    """Return how many images of the data set are computed at once: by the network, `--memory`, and whether there is a GPU."""
    largest = max((1, *(layer_call.costs.largest_bytes for layer_call in network.layer_calls)))
    room = max(1, settings.memory_bytes // (planning.TENSORS_AT_ONCE * largest))
    if not gpu_details():
        room = min(room, max(1, LARGEST_MAPS // largest))
    return min(LARGEST_BATCH, 1 << (room.bit_length() - 1))  # a power of two, so that parts are whole batches


def _dataset_facts(dataset: Dataset, record: DatasetRecord | None, batch: int, pairs: bool) -> planning.DatasetFacts:
    """What the tasks of a data set follow from."""
    assert record is not None
    parts = [[dataset.images[at] for at in part] for part in dataset.parts]
    return planning.DatasetFacts(
        hashes=[[image.sha256 for image in part] for part in parts],
        names=[[[image.name, image.label] for image in part] for part in parts],
        labels=[[label.label, label.class_index] for label in record.labels],
        batch=batch,
        pairs=pairs,
    )


def _resolved(settings: Settings, network: Network, recipe: recipes.Recipe, threads: int) -> dict[str, Any]:
    """The settings as the report states them: what was chosen for the user is stated too."""
    contract = network.contract
    free = [size for size, own in zip(contract.size, contract.shape[:-1], strict=True) if own is None]
    return {
        **settings.describe(),
        "steps": recipe.steps,
        "image_size": max(free) if free else settings.image_size,
        "preprocess": contract.preprocess,
        "input_range": (contract.low, contract.high),
        "recipe": recipe.describe(),
        "threads": threads,
    }


def _model_record(network: Network, classes: tuple[str, ...] | None) -> ModelRecord:
    loaded = network.loaded
    return ModelRecord(
        name=loaded.name,
        source=loaded.source,
        sha256=loaded.sha256,
        weights_sha256=network.weights_sha256,
        parameters=sum(int(np.prod(weight.shape)) for weight in network.model.weights),
        input_shape=network.contract.shape,
        classes=classes,
    )


def _check_bands(settings: Settings, bands: int) -> None:
    """Raise UsageError where `--bands` names a channel that the model's input lacks."""
    if settings.bands is not None and max(settings.bands) >= bands:
        named = ",".join(str(band) for band in settings.bands)
        have = "1 band, number 0" if bands == 1 else f"{bands} bands, 0 to {bands - 1}"
        raise UsageError(f"--bands {named}: the model's input has {have}.")


def _identity(network: Network, versions: dict[str, str], threads: int) -> dict[str, Any]:
    """What the key of every task depends on."""
    return {
        "weights": network.weights_sha256,
        "model_code": _model_code(network),
        "algorithm": ALGORITHM,
        "threads": threads,  # sums are split among them, and rounded otherwise
        **{name: versions[name] for name in IDENTIFYING},
    }


def _preprocess_code(preprocess: str) -> str:
    """A hash of the source of the user's own preprocessing, so that a change of it is noticed; "" for ours."""
    return "" if ":" not in preprocess else source_sha256([import_callable(preprocess, "--preprocess")])


def _model_code(network: Network) -> str:
    """A hash of the source of the user's own layers: weights and config need not tell what a `call` does; "" where all are Keras's."""
    parts = [network.model, *network.layers]
    own = [type(part) for part in parts] + [
        activation for part in parts if callable(activation := getattr(part, "activation", None))
    ]
    own = [part for part in own if str(getattr(part, "__module__", None)).partition(".")[0] != "keras"]
    return source_sha256(own)
