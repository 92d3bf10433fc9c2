"""From the user's words to a job: the model walked, the images found, the plan made. Brings TensorFlow in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import PIL

import reportgen
from reportgen.compute import planning as plan
from reportgen.compute.layer_records import describe, describe_output
from reportgen.compute.pattern_sizes import fitted
from reportgen.compute.patterns import recipe as recipes
from reportgen.compute.patterns.ascent import Breadth
from reportgen.compute.patterns.optimizers import make as check_optimizer
from reportgen.compute.tasks import compute
from reportgen.core.errors import ModelError, UsageError, few
from reportgen.core.records import ConstantInput, InputContract, LayerRecord, ModelRecord, Plan
from reportgen.core.run import Run
from reportgen.core.settings import Settings
from reportgen.inputs import images, signals
from reportgen.inputs.classes_file import read_classes
from reportgen.inputs.constant_inputs import hold
from reportgen.network.backend import environment, gpu_details
from reportgen.network.contract import measured
from reportgen.network.error_text import readable_size
from reportgen.network.graph.layer_calls import LayerCall
from reportgen.network.initial_weights import digest, initial_kernels
from reportgen.network.loading.embedded_class_names import names_of
from reportgen.network.loading.hashes import source_sha256
from reportgen.network.loading.load import import_callable, load
from reportgen.network.network import Network, unwalked
from reportgen.network.outputs import fitting
from reportgen.network.precision import has_bfloat16
from reportgen.network.signature import signature

ALGORITHM = 2  # raised whenever the same inputs would give other arrays: stored tasks are then computed again


@dataclass(frozen=True)
class Job:
    """A plan and what is needed to carry it out."""

    plan: Plan
    network: Network
    images: tuple[images.UserImage, ...]
    recipe: recipes.Recipe
    breadths: dict[str, Breadth]
    initial: dict[str, dict[str, np.ndarray]]

    def compute(self, run: Run) -> None:
        """Do every task of the plan that is not stored yet."""
        compute(self.network, self.images, self.recipe, self.breadths, self.initial, run)


def open_network(
    specification: Any,
    settings: Settings,
    lengths: Callable[[InputContract], Sequence[Sequence[int]]] = lambda contract: (),
) -> Network:
    """The model loaded and walked, its other inputs held as the settings say. Raises ReportgenError.

    lengths: those of the user's images on each axis, which the size that the model is fed may follow, from a contract that states the
    bands and the number of axes.
    """
    loaded = load(specification, settings)
    own = signature(loaded.model, [name for name in (settings.input, *settings.constant_inputs) if name is not None])
    files = {own.of(name).name: file for name, file in settings.constant_inputs.items()}
    primary = own.primary(settings.input)

    @cache
    def constant_inputs(size: tuple[int, ...]) -> tuple[ConstantInput, ...]:
        return hold(own.inputs, primary, files, settings, size)

    return Network(loaded, settings, constant_inputs, lengths(unwalked(loaded.model, settings)))


def walk(
    specification: Any,
    settings: Settings,
    lengths: Callable[[InputContract], Sequence[Sequence[int]]] = lambda contract: (),
) -> tuple[Network, tuple[LayerRecord, ...]]:
    """The model and the record of each of its layers; lengths as for `open_network`. Raises ReportgenError."""
    network = open_network(specification, settings, lengths)
    if not network.layer_calls:
        raise ModelError(f"{network.loaded.source} has no convolution layer; there is nothing to report.")
    chosen = plan.choose_layers(
        [layer_call.path for layer_call in network.layer_calls], settings.layers, settings.exclude
    )
    return network, describe(network, settings, chosen)


def prepare(specification: Any, settings: Settings) -> Job:
    """Load, walk and plan. Raises ReportgenError; nothing is written yet."""
    collections: list[images.Collection] = []

    def collected(contract: InputContract) -> list[tuple[int, ...]]:
        bands, rank, floats = contract.bands, contract.rank, contract.floats
        collections.append(images.collect(settings.images, bands, settings.max_images, rank=rank, floats=floats))
        return [image.record.lengths for image in collections[-1].images]

    network, layers = walk(specification, settings, collected)
    collection = collections[-1]
    rendered = [layer for layer in layers if layer.status == "rendered"]
    if not rendered:
        reasons = "; ".join(f"{layer.path}: {layer.reason}" for layer in layers[:3])
        raise ModelError(f"{network.loaded.source} has no layer that can be shown ({reasons}).")
    notes = list(plan.check_filters(settings, layers))
    classes, named = read_classes(settings.classes, network.class_count), None
    if classes is None:
        loaded = network.loaded
        classes, named = names_of(loaded.model, loaded.source, loaded.classes, network.class_count)
    elif network.heads:
        named = _whose(classes, network)
    constant_inputs = [Path(file) for file in settings.constant_inputs.values()]
    profiles = images.profile_notes(
        (file.name, images.colour_profile(file)) for file in constant_inputs if _is_picture(file)
    )
    notes.extend((*collection.notes, *profiles, *network.notes))
    if not collection.images:
        why = "None of the images could be used" if collection.left_out else "No images were given"
        notes.append(f"{why}: there are no feature maps, and patterns are compared with their own start only.")
    if named is not None:
        notes.append(named)
    large = memory_note(network, settings)
    if large is not None:
        notes.append(large)
    reach = limit_patterns(network, settings, (image.read(network.contract) for image in collection.images))
    if reach is not None:
        notes.append(reach)
    differentiable = network.check_feed()
    if not differentiable:
        notes.append(f"There are no patterns: --preprocess {settings.preprocess} is not differentiable.")
    if settings.outputs is not None:
        layers = (*layers, describe_output(network, settings, classes, [layer.slug for layer in layers]))
    wanted = {layer.path: layer.pattern_size for layer in layers if layer.pattern_size is not None}
    sizes = fitted(network, wanted, settings)
    layers = tuple(replace(layer, pattern_size=sizes.get(layer.path)) for layer in layers)
    rendered = [layer for layer in layers if layer.status == "rendered"]
    _check_bands(settings, network.contract.bands)
    if settings.optimizer is not None:
        check_optimizer(settings.optimizer)
    recipe = recipes.choose(settings, network.contract.bands, bool(collection.images))
    breadths = _breadths(network, [layer for layer in rendered if layer.pattern_size is not None], settings)
    image_records = tuple(image.record for image in collection.images)
    stated = {**environment(), "numpy": np.__version__, "pillow": PIL.__version__, "reportgen": reportgen.__version__}
    identity = {
        "weights": network.weights_sha256,
        "model_code": _model_code(network),
        "algorithm": ALGORITHM,
        **{name: stated[name] for name in ("tensorflow", "keras", "numpy", "pillow", "device")},
    }
    initial = {} if settings.initial is None else initial_kernels(network, specification, settings)
    tasks = plan.plan_tasks(
        layers if differentiable else [replace(layer, filters_shown=()) for layer in layers],
        image_records,
        network.contract,
        identity,
        {**recipe.describe(), "precision": settings.precision, "bfloat16": has_bfloat16()},
        settings.seed,
        {slug: breadth.batch for slug, breadth in breadths.items()},
        classes,
        _preprocess_code(settings.preprocess),
        settings.negative,
        {path: digest(arrays) for path, arrays in initial.items()},
    )
    made = Plan(
        model=_model_record(network, classes),
        contract=network.contract,
        settings={
            **settings.describe(),
            "steps": recipe.steps,
            **_stated_size(network, settings),
            "preprocess": network.contract.preprocess,
            "input_range": (network.contract.low, network.contract.high),
            "recipe": recipe.describe(),
        },
        environment=stated,
        images=image_records,
        images_left_out=collection.left_out,
        layers=layers,
        tasks=tasks,
        notes=tuple(notes),
        diagram=network.diagram,
        problems=() if network.problem is None else (network.problem,),
    )
    return Job(made, network, collection.images, recipe, breadths, initial)


def _whose(classes: Sequence[str], network: Network) -> str | None:
    """The sentence on names of classes that fit several outputs; None where they fit one. Raises UsageError where they fit none."""
    count = len(classes)
    if not fitting(network.heads, count):
        has = few([f"{name} {each}" for name, each in network.heads.items()])
        raise UsageError(f"--classes has {count} names, and no output of the model so many classes (they have: {has}).")
    several = fitting(network.classifying, count)
    if len(several) < 2:
        return None
    return f"The {count} names of --classes fit several outputs ({few(several)}): their predictions are numbered."


def _is_picture(file: Path) -> bool:
    return file.suffix.lower() in images.SUFFIXES


def limit_patterns(network: Network, settings: Settings, arrays: Iterable[np.ndarray]) -> str | None:
    """Patterns of signals and volumes reach as far as the user's own numbers, unless `--input-range` says otherwise; says so."""
    if network.contract.is_picture or settings.input_range is not None:
        return None
    reach = signals.value_range(arrays)
    if reach is None:
        return None
    network.limit(*reach)
    return (
        f"Patterns lie between {reach[0]:.4g} and {reach[1]:.4g}, the smallest and largest number in what was given; "
        "--input-range states another range."
    )


def _breadths(network: Network, layers: list[LayerRecord], settings: Settings) -> dict[str, Breadth]:
    """Patterns sought at once, by layer slug."""
    layer_calls = network.by_path
    breadths = {}
    for layer in layers:
        assert layer.pattern_size is not None
        breadths[layer.slug] = breadth_for(network, layer_calls[layer.path], layer.pattern_size, settings)
    return breadths


def breadth_for(network: Network, layer_call: LayerCall, size: tuple[int, ...], settings: Settings) -> Breadth:
    """Patterns of a site sought at once at `size`: the batch from the layer and the settings alone, on a GPU one at a time."""
    tensor_bytes = layer_call.costs.tensor_bytes * prod(size) // prod(network.contract.size)
    batch = plan.batch_size(tensor_bytes, settings.memory_bytes, layer_call.channels)
    return Breadth(batch, 1 if gpu_details() else plan.abreast(tensor_bytes, settings.memory_bytes, batch))


def memory_note(network: Network, settings: Settings) -> str | None:
    """The sentence on a size of the user's choice that takes more than `--memory` says; None where it does not."""
    contract = network.contract
    taken = max((layer_call.costs.tensor_bytes for layer_call in network.layer_calls), default=0)
    if None not in contract.shape[:-1] or taken <= settings.memory_bytes:
        return None
    shown, what, _ = measured(contract.size)
    return (
        f"On its way through the network one {what} of {shown} becomes up to {readable_size(taken)} of numbers, more than "
        f"--memory {settings.memory}; --image-size makes it smaller."
    )


def _stated_size(network: Network, settings: Settings) -> dict[str, int | None]:
    """The setting that says how long the input's free axes are: what the user stated, in vain, or nothing where there are none."""
    contract = network.contract
    free = [size for size, own in zip(contract.size, contract.shape[:-1], strict=True) if own is None]
    return {"image_size": max(free) if free else settings.image_size}


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
    """Raises UsageError where `--bands` names a band that the model's input lacks."""
    if settings.bands is not None and max(settings.bands) >= bands:
        named = ",".join(str(band) for band in settings.bands)
        have = "1 band, number 0" if bands == 1 else f"{bands} bands, 0 to {bands - 1}"
        raise UsageError(f"--bands {named}: the model's input has {have}.")


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
