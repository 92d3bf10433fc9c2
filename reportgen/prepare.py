"""From the user's words to a job: the model walked, the images found, the plan made. Brings TensorFlow in."""

from __future__ import annotations

import hashlib
import inspect
import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL

import reportgen
from reportgen import images, plan
from reportgen.compute.job import compute
from reportgen.compute.patterns import recipe as recipes
from reportgen.describe import describe
from reportgen.errors import ModelError, UsageError
from reportgen.network.load import import_callable, load
from reportgen.network.network import Network
from reportgen.network.precision import has_bfloat16
from reportgen.network.quiet import keras, tf
from reportgen.records import LayerRecord, ModelRecord, Plan
from reportgen.run import Run
from reportgen.settings import Settings


@dataclass(frozen=True)
class Job:
    """A plan and what is needed to carry it out."""

    plan: Plan
    network: Network
    images: tuple[images.UserImage, ...]
    recipe: recipes.Recipe
    batches: dict[str, int]

    def compute(self, run: Run) -> None:
        """Do every task of the plan that is not stored yet."""
        compute(self.network, self.images, self.recipe, self.batches, run)


def walk(specification: str, settings: Settings) -> tuple[Network, tuple[LayerRecord, ...]]:
    """The model and the record of each of its layers. Raises ReportgenError."""
    network = Network(load(specification, settings), settings)
    if not network.sites:
        raise ModelError(f"{network.loaded.source} has no convolution layer; there is nothing to report.")
    chosen = plan.choose_layers([site.path for site in network.sites], settings.layers, settings.exclude)
    return network, describe(network, settings, chosen)


def prepare(specification: str, settings: Settings) -> Job:
    """Load, walk and plan. Raises ReportgenError; nothing is written yet."""
    network, layers = walk(specification, settings)
    rendered = [layer for layer in layers if layer.status == "rendered"]
    if not rendered:
        reasons = "; ".join(f"{layer.path}: {layer.reason}" for layer in layers[:3])
        raise ModelError(f"{network.loaded.source} has no layer that can be shown ({reasons}).")
    notes = list(plan.check_filters(settings, layers))
    classes = _classes(settings.classes, network.class_count)
    collection = images.collect(settings.images, network.contract.bands, settings.max_images)
    notes.extend(collection.notes)
    if not collection.images:
        notes.append(
            "No images were given: there are no feature maps, and patterns are compared with their own start only."
        )
    recipe = recipes.choose(settings.quality, settings.steps)
    batches = _batches(network, rendered, settings)
    image_records = tuple(image.record for image in collection.images)
    identity = {
        "weights": network.weights_sha256,
        "model_code": _model_code(network),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
    }
    tasks = plan.plan_tasks(
        layers,
        image_records,
        network.contract,
        identity,
        {**recipe.describe(), "precision": settings.precision, "bfloat16": has_bfloat16()},
        settings.seed,
        batches,
        classes,
        _preprocess_code(settings.preprocess),
    )
    made = Plan(
        model=_model_record(network, classes),
        contract=network.contract,
        settings={**settings.describe(), "recipe": recipe.describe()},
        environment=_environment(),
        images=image_records,
        images_left_out=collection.left_out,
        layers=layers,
        tasks=tasks,
        notes=tuple(notes),
    )
    return Job(made, network, collection.images, recipe, batches)


def _batches(network: Network, layers: list[LayerRecord], settings: Settings) -> dict[str, int]:
    """Patterns sought at once, by layer slug."""
    tensor_bytes = {site.path: site.costs.tensor_bytes for site in network.sites}
    pixels = network.contract.size[0] * network.contract.size[1]
    batches = {}
    for layer in layers:
        assert layer.pattern_size is not None
        at_pattern_size = tensor_bytes[layer.path] * layer.pattern_size[0] * layer.pattern_size[1] // pixels
        batches[layer.slug] = plan.batch_size(at_pattern_size, settings.memory_bytes)
    return batches


def _model_record(network: Network, classes: tuple[str, ...] | None) -> ModelRecord:
    loaded = network.loaded
    return ModelRecord(
        name=loaded.name,
        source=loaded.source,
        sha256=loaded.sha256,
        weights_sha256=network.weights_sha256,
        parameters=int(network.model.count_params()),
        input_shape=network.contract.shape,
        classes=classes,
    )


def _environment() -> dict[str, Any]:
    graphics = [tf.config.experimental.get_device_details(device) for device in tf.config.list_physical_devices("GPU")]
    names = [details.get("device_name", "GPU") for details in graphics]
    return {
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
        "pillow": PIL.__version__,
        "reportgen": reportgen.__version__,
        "device": ", ".join(names) if names else f"CPU ({platform.machine()})",
    }


def _classes(file: str | None, count: int | None) -> tuple[str, ...] | None:
    """Class names from a file: one a line, or a JSON list. Raises UsageError."""
    if file is None:
        return None
    path = Path(file)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"--classes {path.name} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8 text'}."
        ) from error
    if text.lstrip().startswith("["):
        try:
            names = json.loads(text)
        except ValueError as error:
            raise UsageError(f"--classes {path.name} is not a JSON list: {error}.") from error
        if not all(isinstance(name, str) for name in names):
            raise UsageError(f"--classes {path.name} holds something else than names.")
    else:
        names = [line.strip() for line in text.splitlines() if line.strip()]
    if count is not None and len(names) != count:
        raise UsageError(f"--classes {path.name} names {len(names)} classes, the model answers {count}.")
    return tuple(names)


def _preprocess_code(preprocess: str) -> str:
    """A hash of the source of the user's own preprocessing, so that a change of it is noticed; "" for ours."""
    return "" if ":" not in preprocess else _code_key([import_callable(preprocess, "--preprocess")])


def _model_code(network: Network) -> str:
    """A hash of the source of the user's own layers: weights and config need not tell what a `call` does; "" where all are Keras's."""
    parts = [network.model, *network.layers]
    own = [type(part) for part in parts] + [
        activation for part in parts if callable(activation := getattr(part, "activation", None))
    ]
    own = [part for part in own if str(getattr(part, "__module__", None)).partition(".")[0] != "keras"]
    return _code_key(own) if own else ""


def _code_key(objects: Sequence[Any]) -> str:
    """A hash of the source of the modules that define `objects`, as far as there is any."""
    digest = hashlib.sha256()
    for name in sorted({str(getattr(item, "__module__", None)) for item in objects}):
        try:
            digest.update(inspect.getsource(sys.modules[name]).encode())
        except (KeyError, OSError, TypeError):  # made without a file
            digest.update(name.encode())
    return digest.hexdigest()
