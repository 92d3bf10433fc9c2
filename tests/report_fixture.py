"""A small stored run that has everything a report must cope with, made without a model."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from reportgen.core.choices import Normalization
from reportgen.core.records import (
    POOLING,
    SEARCHES,
    DiagramNode,
    ImageRecord,
    InputContract,
    LayerRecord,
    ModelRecord,
    Plan,
    Task,
)
from reportgen.core.store import Store

HOSTILE_PATH = "backbone/../<script>alert(1)</script>\"&'"
HOSTILE_IMAGE = 'a "cat" & <b>dog</b> 🐈.jpg'
MISSING_KEYS = ("pp-deep-late", "nn-deep-late")
# Filters by what is said of them: proven dead, of every layer that shows it; silent, far from the strongest response, the pattern too
# frail to stand warps, a single position higher than the shown picture's, of one layer each.
DEAD = 1
SILENT = ("deep", 10)
FAR = ("colour", 4)
FRAIL = ("colour", 5)
HIGHER = ("point", 0)
RECIPE: dict[str, Any] = {
    "method": "optvis",
    "steps": 64,
    "learning_rate": 0.05,
    "schedule": "cosine",
    "optimizer": "adam",
    "parameterization": "fourier",
    "decorrelation": "imagenet",
    "limits": "sigmoid",
    "objective": "mean-and-peak",
    "transforms": ["jitter(share=0.03125)", "scale(0.95, 1.05)", "rotate(5)"],
    "clip_value": 10.0,
    "redirected_relu": True,
    "clip_norm": None,
    "trim": 2,
    "total_variation": 0.0,
    "l2": 0.0,
    "restarts": 1,
    "pixel_steps": 24,
    "pixel_learning_rate": 0.1,
    "strongest_steps": 15,
    "strongest_learning_rate": 0.3,
    "retry_steps": 16,
    "retry_learning_rate": 0.1,
    "algorithm": 5,
    "precision": "float32",
    "mixing": [[0.7, 0.2, 0.1], [0.7, 0.0, -0.2], [0.7, -0.2, 0.1]],
}
IMAGES = (
    ImageRecord(HOSTILE_IMAGE, "cat", "c" * 64, 640, 480, True),
    ImageRecord("plain.png", "plain", "d" * 64, 32, 32, True),
    ImageRecord("only_natural.png", "only_natural", "e" * 64, 32, 32, False),
)


def layer(slug: str, **changes: Any) -> LayerRecord:
    """A plain 3x3 convolution with some facts changed."""
    facts: dict[str, Any] = {
        "path": slug,
        "name": slug,
        "slug": slug,
        "layer_class": "Conv2D",
        "status": "rendered",
        "reason": None,
        "unit": slug,
        "kernel_shape": (3, 3, 3, 6),
        "strides": (1, 1),
        "dilation": (1, 1),
        "groups": 1,
        "padding": "same",
        "output_shape": (None, None, 6),
        "receptive_field": (3, 3),
        "receptive_field_note": None,
        "parameters": 168,
        "activation": "relu",
        "rectified": True,
        "kernel_bands": None,
        "filters_total": 6,
        "filters_shown": (0, 1, 2, 3, 4, 5),
        "pattern_size": (16, 16),
        "macs": 1,
    }
    return LayerRecord(**{**facts, **changes})


LAYERS = (
    layer("colour", path=HOSTILE_PATH, name="conv", unit=HOSTILE_PATH, kernel_bands="RGB"),
    layer(
        "deep",
        kernel_shape=(3, 3, 6, 70),
        output_shape=(7, 5, 70),
        filters_total=70,
        filters_shown=tuple(range(0, 70, 5)),
        unit="deep/relu",
    ),
    layer(
        "point",
        kernel_shape=(1, 1, 70, 4),
        output_shape=(1, 1, 4),
        filters_total=4,
        filters_shown=(0, 1, 2, 3),
        activation="linear",
        rectified=False,
        receptive_field=None,
        receptive_field_note="it sees the whole image",
    ),
    layer(
        "head", layer_class="Dense", status="skipped", reason="it is no convolution", filters_total=0, filters_shown=()
    ),
)
OUTPUTS = layer(
    "logits",
    layer_class="Logits",
    kernel_shape=None,
    strides=None,
    dilation=None,
    groups=None,
    padding=None,
    output_shape=(1, 1, 9),
    receptive_field=None,
    receptive_field_note="the whole input: these are the model's outputs",
    parameters=0,
    activation="linear",
    rectified=False,
    filters_total=9,
    filters_shown=(0, 4),
    labels=("cat <i>", "dog"),
)
POOL = layer(
    "pool",
    layer_class="MaxPooling2D",
    kind=POOLING,
    kernel_kind=None,
    kernel_shape=None,
    window=(2, 2),
    strides=(2, 2),
    dilation=None,
    groups=None,
    output_shape=(None, None, 6),
    receptive_field=(4, 4),
    parameters=0,
    activation="linear",
    rectified=False,
    filters_shown=(),
    pattern_size=None,
)
DIAGRAM = (
    DiagramNode("0", "input", "", "Input", (None, None, 3), ()),
    DiagramNode("1", "convolution", HOSTILE_PATH, "Conv2D", (None, None, 6), ("0",)),
    DiagramNode("2", "pooling", "pool", "MaxPooling2D", (None, None, 6), ("1",)),
    DiagramNode("3", "convolution", "deep", "Conv2D", (7, 5, 70), ("2",)),
    DiagramNode("4", "merge", "add", "Add", (7, 5, 70), ("2", "3")),
    DiagramNode("5", "convolution", "point", "Conv2D", (1, 1, 4), ("4",)),
    DiagramNode("6", "output", "", "Output", (9,), ("5",)),
)


class Writer:
    """Collects tasks while it fills a store."""

    def __init__(self, folder: Path) -> None:
        """Of an empty report folder."""
        self.store = Store(folder)
        self.tasks: list[Task] = []

    def save(
        self,
        kind: str,
        key: str,
        arrays: Mapping[str, np.ndarray],
        facts: Mapping[str, Any],
        *,
        layer: str = "",
        image: str = "",
        filters: tuple[int, ...] = (),
        missing: bool = False,
    ) -> None:
        """Plan a task and, unless it is `missing`, store it."""
        self.tasks.append(Task(kind, key, layer, image, filters, 1.0))
        if not missing:
            self.store.save(key, arrays, facts)


def make(
    folder: Path,
    *,
    images: bool = True,
    missing: bool = True,
    negative: bool = False,
    outputs: bool = False,
    whole: bool = False,
) -> Plan:
    """Store a run in `folder`: three layers, one skipped, filters of every verdict, hostile names.

    images: the user gave images. missing: the second chunk of the deep layer's patterns is not in the store. negative: minimal
    patterns were requested. outputs: so were two of the model's nine classes. whole: and whatever else a report can
    have: a layer that pools, weights before training, a drawing of the network, a scale of its own for each map.
    """
    writer = Writer(folder)
    numbers = np.random.Generator(np.random.PCG64(7))
    for image in IMAGES[:2] if images else ():
        picture = numbers.integers(0, 256, (20, 24, 3), dtype=np.uint8)
        predictions = [{"label": "cat <i>", "probability": 0.75}, {"label": "dog", "probability": 0.25}]
        facts = {"predictions": predictions if image.slug == "cat" else None}
        writer.save("image", f"im-{image.slug}", {"picture": picture}, facts, image=image.slug)
    for record, size in zip(LAYERS, ((20, 24), (7, 5), (1, 1)), strict=False):
        _layer(writer, record, size, numbers, images=images)
        if whole:
            start = numbers.standard_normal(record.kernel_shape).astype(np.float32)
            writer.save("initial", f"in-{record.slug}", {"kernel": start}, {}, layer=record.slug)
        _patterns(writer, record, numbers, images=images, missing=missing, negative=negative)
    if whole:
        _maps(writer, POOL, (20, 24), numbers, images=images)
    if outputs:
        _patterns(writer, OUTPUTS, numbers, images=images, missing=missing, negative=negative)
    plan = Plan(
        model=ModelRecord("tiny", "tiny.keras", "a" * 64, "b" * 64, 1234, (None, None, None, 3), ("cat", "dog")),
        contract=InputContract(
            (None, None, 3), (20, 24), "crop", 0.0, 255.0, "none", "it rescales itself", "It was guessed."
        ),
        settings={
            **{"filters": "all", "seed": 0, "title": None, "layers": [], "nested": {"deep": True}},
            **{"bands": None, "negative": negative, "outputs": "cat <i>,dog" if outputs else None},
            "recipe": {name: value for name, value in RECIPE.items() if name not in ("precision", "mixing")},
            **({"normalize": Normalization.PER_MAP.value, "pooling": True, "initial": "start.keras"} if whole else {}),
        },
        environment={"python": "3.11", "numpy": "2", "reportgen": "0.1.0", "device": "CPU"},
        images=IMAGES if images else (),
        images_left_out=({"name": "torn.jpg", "reason": "it is cut short"},) if images else (),
        layers=(*LAYERS[:1], *((POOL,) if whole else ()), *LAYERS[1:], *((OUTPUTS,) if outputs else ())),
        tasks=tuple(writer.tasks),
        notes=("One note.",),
        diagram=DIAGRAM if whole else (),
    )
    writer.store.save_plan(plan)
    return plan


def _layer(
    writer: Writer,
    record: LayerRecord,
    size: tuple[int, int],
    numbers: np.random.Generator,
    *,
    images: bool,
) -> None:
    """Store a layer's weights and maps."""
    slug, total = record.slug, record.filters_total
    kernel = numbers.standard_normal(record.kernel_shape).astype(np.float32)
    kernel[..., 1] = 0
    arrays = {"kernel": kernel, "bias": numbers.standard_normal(total).astype(np.float32)}
    writer.save("weights", f"ww-{slug}", arrays, {}, layer=slug)
    _maps(writer, record, size, numbers, images=images)


def _maps(
    writer: Writer, record: LayerRecord, size: tuple[int, int], numbers: np.random.Generator, *, images: bool
) -> None:
    """Store a layer's maps on every shown image, and those before where they are others."""
    slug, total = record.slug, record.filters_total
    for image in IMAGES[:2] if images else ():
        pre = numbers.standard_normal((*size, total)).astype(np.float16)
        pre[..., 1] = 0
        if slug == SILENT[0]:
            pre[..., SILENT[1]] = -0.5
        maps = np.maximum(pre, 0) if record.rectified else pre
        if record.is_pooling:
            maps = np.maximum.reduce([pre[row::2, column::2] for row in (0, 1) for column in (0, 1)])
        facts = {
            "minimum": float(maps.min()),
            "maximum": float(maps.max()),
            "zero_fraction": float((maps == 0).mean()),
            "nonfinite_fraction": 0.0,
            "pre_minimum": float(pre.min()),
            "pre_maximum": float(pre.max()),
        }
        both = {"maps": maps, "pre": pre} if maps is not pre else {"maps": maps}
        both["peak"] = maps.max(axis=(0, 1)).astype(np.float32)
        writer.save("feature_maps", f"fm-{slug}-{image.slug}", both, facts, layer=slug, image=image.slug)


def _patterns(
    writer: Writer,
    record: LayerRecord,
    numbers: np.random.Generator,
    *,
    images: bool,
    missing: bool,
    negative: bool,
) -> None:
    """Store a layer's natural maxima and its patterns in two chunks."""
    slug, total, shown = record.slug, record.filters_total, record.filters_shown
    if images:
        natural = np.linspace(1, 2, total, dtype=np.float32)
        natural[1] = 0
        if slug == SILENT[0]:
            natural[SILENT[1]] = 0
        best = (np.arange(total) % len(IMAGES)).astype(np.int32)
        arrays = natural_arrays(natural, best)
        writer.save("natural", f"na-{slug}", arrays, {"crops": 78}, layer=slug)
    half = len(shown) // 2
    for name, chunk in (("early", shown[:half]), ("late", shown[half:])):
        activation = np.full(len(chunk), 3, np.float32)
        for place, index in enumerate(chunk):
            activation[place] = {1: 0.0, 3: np.nan}.get(index, 1.5 if index == 2 else 3.0)
        pixels = numbers.integers(0, 256, (len(chunk), 16, 12, 3), dtype=np.uint8)
        key = f"pp-{slug}-{name}"
        lost = missing and key in MISSING_KEYS
        if slug == SILENT[0]:
            activation[np.array(chunk) == SILENT[1]] = 0
        arrays, facts = found(chunk, pixels, activation)
        arrays["dead"] = np.array(chunk) == DEAD
        _others(slug, chunk, arrays)
        writer.save("patterns", key, arrays, facts, layer=slug, filters=chunk, missing=lost)
    for name, chunk in (("early", shown[:half]), ("late", shown[half:])) if negative else ():
        pixels = np.random.Generator(np.random.PCG64(8)).integers(0, 256, (len(chunk), 16, 12, 3), dtype=np.uint8)
        key = f"nn-{slug}-{name}"
        lost = missing and key in MISSING_KEYS
        arrays, facts = found(chunk, pixels, np.zeros(len(chunk), np.float32))
        reached = [{1: 0.25, 2: -1.0, 3: np.nan}.get(index, -2.0) for index in chunk]  # 1 stays where it was
        arrays["pre_activation"] = np.array(reached, np.float32)
        facts["seeds"] = [2000 + index for index in chunk]
        writer.save("minimal_patterns", key, arrays, facts, layer=slug, filters=chunk, missing=lost)


def _others(slug: str, chunk: tuple[int, ...], arrays: dict[str, np.ndarray]) -> None:
    """Plant what searches beside the readable one found, of the filters of `slug` that are named above."""
    numbers = np.array(chunk)
    if slug == FAR[0] and FAR[1] in chunk:
        row = chunk.index(FAR[1])
        arrays["strongest_activation"][row], arrays["strongest_peak"][row] = 9, 11
        arrays["strongest_search"][row] = SEARCHES.index("sign patches")
        arrays["highest_activation"][row], arrays["highest_peak"][row] = 9, 11
        arrays["strongest_images"] = 255 - arrays["images"][[row]]
        arrays["strongest_indices"] = numbers[[row]].astype(np.int32)
    if slug == FRAIL[0] and FRAIL[1] in chunk:
        arrays["survives_warps"][chunk.index(FRAIL[1])] = 0.05
    if slug == HIGHER[0] and HIGHER[1] in chunk:
        row = chunk.index(HIGHER[1])
        arrays["highest_activation"][row], arrays["highest_peak"][row] = 0.5, 13
        arrays["highest_search"][row] = SEARCHES.index("search for silent filters")
        arrays["highest_images"] = 255 - arrays["images"][[row]]
        arrays["highest_indices"] = numbers[[row]].astype(np.int32)


def natural_arrays(maximum: np.ndarray, best: np.ndarray) -> dict[str, np.ndarray]:
    """What the store holds of natural maxima: `maximum` float32 (filters,), reached on `best`; peaks 5 above where it is not 0."""
    peak = np.where(maximum == 0, 0, maximum + 5).astype(np.float32)
    return {
        "maximum": maximum,
        "minimum": np.zeros_like(maximum),
        "pre_minimum": np.full_like(maximum, -1.5),
        "best_image": best,
        "peak": peak,
        "pre_peak": np.where(peak == 0, np.float32(-0.25), peak),
        "peak_image": best,
    }


def found(
    chunk: tuple[int, ...], pixels: np.ndarray, activation: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and facts of a stored chunk of patterns, uint8 (n, height, width, bands), as an ascent leaves them.

    The shown pictures are the strongest and the highest too, found by signs of gradients; their peaks are twice `activation`.
    """
    count = len(chunk)
    peak, search = 2 * activation, np.full(count, SEARCHES.index("sign ascent"), np.uint8)
    arrays = {
        "images": pixels,
        "indices": np.array(chunk, np.int32),
        "activation": activation,
        "activation_start": np.zeros(count, np.float32),
        "pre_activation": activation,
        "pre_activation_start": np.full(count, 0.25, np.float32),
        "peak": peak,
        "peak_start": np.zeros(count, np.float32),
        "survives_warps": np.full(count, 0.75, np.float32),
        "best_pre_activation": np.where(peak == 0, np.float32(-0.125), peak),
        "restart_similarity": np.full(count, np.nan, np.float32),
        "redirected_relu": np.zeros(count, bool),
        "search": search,
        "dead": np.zeros(count, bool),
        "strongest_pre_activation": activation,
    }
    for other in ("strongest", "highest"):
        arrays |= {f"{other}_activation": activation.copy(), f"{other}_peak": peak.copy()}
        arrays |= {f"{other}_search": search.copy()}
        arrays |= {f"{other}_images": pixels[:0], f"{other}_indices": np.zeros(0, np.int32)}
    facts = {
        "steps": 64,
        "size": list(pixels.shape[1:3]),
        "seeds": [1000 + index for index in chunk],
        "recipe": RECIPE,
        "crop": 0,
    }
    return arrays, facts


def replan(folder: Path, plan: Plan, **changes: Any) -> Plan:
    """Store `plan` again with some of it changed."""
    changed = dataclasses.replace(plan, **changes)
    Store(folder).save_plan(changed)
    return changed
