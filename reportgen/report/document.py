"""Every fact on the pages as one JSON document, `report.json`: the contract with other programs.

Figures that were float32 are written as the shortest decimal that reads back as the same float32; a figure that is
not finite is null.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from reportgen.core.records import ImageRecord, LayerRecord, Plan
from reportgen.core.verdicts import NOT_FINITE
from reportgen.render.text import named, plural
from reportgen.core.numbers import Document, as_list, plain
from reportgen.artefacts.initial_weights import movement_facts
from reportgen.artefacts.patterns import is_broken, pattern_facts, verdict_counts
from reportgen.artefacts.base import ImageMaps, StoredImage, StoredLayer
from reportgen.render.wording import clause, owner_words, stopped

SCHEMA = "reportgen/1"
HISTOGRAM_BINS = 41  # odd, so that zero lies in the middle of a bin and not on an edge; enough to see a second mode
NO_PROBABILITIES = "the model's output is no list of class probabilities"  # a fact of the model, not a problem


def document(plan: Plan, images: list[Document], layers: list[Document], overview: Document | None) -> Document:
    """The whole document from its parts."""
    return {
        "schema": SCHEMA,
        "title": str(plan.settings.get("title") or plan.model.name),
        "model": plan.model.to_json(),
        "input": {**plan.contract.to_json(), "shape": list(plan.contract.shape), "size": list(plan.contract.size)},
        "settings": plan.settings,
        "environment": plan.environment,
        "images": images,
        "images_left_out": [dict(item) for item in plan.images_left_out],
        "layers": layers,
        "overview": overview,
        "diagram": [node.to_json() for node in plan.diagram],
        "notes": list(plan.notes),
        "problems": list(problems(plan, images, layers)),
    }


def image_facts(image: ImageRecord, stored: StoredImage) -> Document:
    """One entry of `images`. `predictions_note`: why an image that the model was to be asked about has no predictions."""
    predictions, note = stored.predictions, stored.problem
    if note is None and stored.picture is not None and not predictions:
        note = NO_PROBABILITIES
    return {
        "name": image.name,
        "slug": image.slug,
        "sha256": image.sha256,
        "width": image.width,
        "height": image.height,
        "lengths": list(image.lengths),
        "colour_profile": image.colour_profile,
        "shown": image.shown,
        "predictions": _ranked(predictions),
        "predictions_note": note,
        "outputs": [{"name": each["name"], "predictions": _ranked(each["predictions"])} for each in stored.outputs],
    }


def _ranked(predictions: list[Document] | None) -> list[Document] | None:
    if predictions is None:
        return None
    return [{"label": item["label"], "probability": plain(item["probability"])} for item in predictions]


def layer_record(layer: LayerRecord) -> Document:
    """What is known of a layer before anything is computed: the first part of an entry of `layers`."""
    return {
        "path": layer.path,
        "name": layer.name,
        "slug": layer.slug,
        "class": layer.layer_class,
        "status": layer.status,
        "reason": layer.reason,
        "unit": layer.unit,
        "kernel_shape": as_list(layer.kernel_shape),
        "strides": as_list(layer.strides),
        "dilation": as_list(layer.dilation),
        "groups": layer.groups,
        "padding": layer.padding,
        "output_shape": as_list(layer.output_shape),
        "receptive_field": as_list(layer.receptive_field),
        "receptive_field_note": layer.receptive_field_note,
        "parameters": layer.parameters,
        "activation": layer.activation,
        "rectified": layer.rectified,
        "kernel_bands": layer.kernel_bands,
        "filters_total": layer.filters_total,
        "filters_shown": list(layer.filters_shown),
        "labels": as_list(layer.labels),
        "kernel_kind": layer.kernel_kind,
        "kernel_note": layer.kernel_note,
        "time_axes": layer.time_axes,
        "kind": layer.kind,
        "window": as_list(layer.window),
        "by_request": layer.by_request,
    }


def layer_facts(plan: Plan, stored: StoredLayer) -> Document:
    """One entry of `layers`. A layer that lacks anything the plan asks for is `failed`, and shows what is there."""
    layer = stored.layer
    own = [clause(layer.reason)] if layer.status == "failed" and layer.reason else []
    missing = list(dict.fromkeys((*own, *stored.missing)))
    patterns = pattern_facts(plan, stored)
    return {
        **layer_record(layer),
        "status": "failed" if stored.missing else layer.status,
        "reason": "; ".join(missing) if missing else layer.reason,
        "weights": weight_facts(stored),
        "bias": bias_facts(stored),
        "initial": movement_facts(stored),
        "verdicts": verdict_counts(stored, patterns),
        "patterns": patterns,
        "feature_maps": [map_facts(layer, maps) for maps in stored.maps],
    }


def weight_facts(stored: StoredLayer) -> Document | None:
    """Statistics over every kernel entry that is finite, and a histogram symmetric about zero; None without weights."""
    if stored.weights is None:
        return None
    kernels = {name: array for name, array in stored.weights.items() if name.endswith("kernel")}
    values = np.concatenate([np.ravel(array).astype(np.float64) for array in kernels.values()])
    finite = values[np.isfinite(values)]
    limit = float(np.max(np.abs(finite), initial=0))
    counts = np.histogram(finite, HISTOGRAM_BINS, (-limit, limit))[0] if limit > 0 else np.zeros(0, np.int64)
    return {
        "array": f"data/{stored.layer.slug}/weights.npz",
        "arrays": {name: list(array.shape) for name, array in stored.weights.items()},
        "count": len(values),
        "nonfinite": len(values) - len(finite),
        "histogram": {"limit": plain(limit), "counts": counts.tolist()},
        **_statistics(finite),
    }


def bias_facts(stored: StoredLayer) -> Document | None:
    """Statistics over every finite bias; None where the layer has none."""
    if stored.weights is None or "bias" not in stored.weights:
        return None
    values = np.ravel(stored.weights["bias"]).astype(np.float64)
    finite = values[np.isfinite(values)]
    return {"count": len(values), "nonfinite": len(values) - len(finite), **_statistics(finite)}


def _statistics(finite: np.ndarray) -> Document:
    if not len(finite):
        return dict.fromkeys(("minimum", "maximum", "mean", "std", "zero_fraction"))
    return {
        "minimum": plain(finite.min()),
        "maximum": plain(finite.max()),
        "mean": plain(finite.mean()),
        "std": plain(finite.std()),
        "zero_fraction": plain(np.mean(finite == 0)),
    }


def map_facts(layer: LayerRecord, maps: ImageMaps) -> Document:
    """One entry of `feature_maps`."""
    figures = ("minimum", "maximum", "zero_fraction", "nonfinite_fraction", "pre_minimum", "pre_maximum")
    return {
        "image": maps.image.slug,
        "array": f"data/{layer.slug}/feature_maps.npz",
        "key": maps.image.slug,
        **{name: plain(maps.facts.get(name)) for name in figures},
        "silenced_fraction": silenced_fraction(layer, maps),
    }


def silenced_fraction(layer: LayerRecord, maps: ImageMaps) -> float | None:
    """Which part of the values a rectifier sets from below 0 to 0; None where there is no rectifier.

    A negative number too small for the store is a negative zero there, and still counts.
    """
    if maps.pre is None or not layer.rectified:
        return None
    return plain(np.mean(np.signbit(maps.pre) & (maps.maps == 0)))


def problems(plan: Plan, images: Iterable[Document], layers: Iterable[Document]) -> tuple[str, ...]:
    """One sentence for each thing that failed or was left out: exit code 3 where there is any."""
    sentences = list(plan.problems)
    sentences += [_left_out(item.get("name", "an image"), item.get("reason", "")) for item in plan.images_left_out]
    for image in images:
        if image["predictions_note"] not in (None, NO_PROBABILITIES):
            sentences.append(stopped(f"{image['name']}: {image['predictions_note']}"))
    for layer in layers:
        if layer["status"] == "failed":
            sentences.append(stopped(f"{layer['path']}: {layer['reason'] or 'failed'}"))
        sentences += _broken_patterns(layer)
    return tuple(sentences)


def _broken_patterns(layer: Document) -> list[str]:
    """A sentence on the patterns of a layer that are not finite, and one on the negative ones."""
    patterns = layer["patterns"]
    if patterns is None:
        return []
    negative = (patterns["negative"] or {"filters": ()})["filters"]
    sentences = []
    for what, wrong in (
        ("pattern", [item["index"] for item in patterns["filters"] if item["verdict"] == NOT_FINITE]),
        ("negative pattern", [item["index"] for item in negative if is_broken(item)]),
    ):
        if wrong:
            share = f"{len(wrong)} of {plural(len(layer['filters_shown']), what)}"
            owner, owners = owner_words(layer["labels"] is not None)
            verb, noun = ("is", owner) if len(wrong) == 1 else ("are", owners)
            sentences.append(f"{layer['path']}: {share} {verb} not finite ({noun} {named(wrong)}).")
    return sentences


def _left_out(name: str, reason: str) -> str:
    """The sentence on an image that was left out; the reason may begin with the image's name, which stands once."""
    bare = clause(reason)
    fact = f"it {bare.removeprefix(f'{name} ')}" if bare.startswith(f"{name} ") else bare
    return stopped(f"{name}: left out, {fact or 'it cannot be read'}")
