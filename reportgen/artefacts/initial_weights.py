"""How far training moved each filter: the initial weights beside the trained ones, in figures."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from reportgen.core.records import LayerRecord
from reportgen.render.text import NONE, figure, named, plural, span
from reportgen.core.numbers import Document, plain
from reportgen.artefacts.base import StoredLayer
from reportgen.artefacts.views import Fact

MOST_MOVED = 5  # filters named as those that moved furthest


def filter_rows(arrays: Mapping[str, np.ndarray], layer: LayerRecord) -> NDArray[np.float64]:
    """float64 (filters, weights): each filter's own slice of the kernel, of any number of spatial axes.

    A separable filter's own slice is that of the pointwise kernel; the depthwise one is shared by all.
    """
    kernel = np.asarray(arrays["pointwise_kernel"] if "pointwise_kernel" in arrays else arrays["kernel"])
    if layer.kernel_kind == "depthwise":
        kernel = kernel.reshape(*kernel.shape[:-2], -1)
    elif layer.kernel_kind == "transposed":
        kernel = np.swapaxes(kernel, -1, -2)
    return kernel.reshape(-1, kernel.shape[-1]).T.astype(np.float64)


def movement_facts(stored: StoredLayer) -> Document | None:
    """`initial` of an entry of `layers` in report.json; None where either kernel is missing.

    distance: length of the difference between trained and initial weights over the length of the initial ones; cosine: of the
    angle between them. Null where a length is 0 or a weight is not finite.
    """
    if stored.weights is None or stored.initial is None:
        return None
    trained, initial = filter_rows(stored.weights, stored.layer), filter_rows(stored.initial, stored.layer)
    filters = [_moved(*pair) for pair in zip(trained, initial, strict=True)]
    distances = [item["distance"] for item in filters if item["distance"] is not None]
    cosines = [item["cosine"] for item in filters if item["cosine"] is not None]
    return {
        "array": f"data/{stored.layer.slug}/initial_weights.npz",
        **_moved(trained.ravel(), initial.ravel()),
        "distance_median": plain(np.median(distances)) if distances else None,
        "distance_minimum": min(distances, default=None),
        "distance_maximum": max(distances, default=None),
        "cosine_median": plain(np.median(cosines)) if cosines else None,
        "filters": [{"index": index, **item} for index, item in enumerate(filters)],
    }


def _moved(trained: NDArray[np.float64], initial: NDArray[np.float64]) -> Document:
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        length, start = np.linalg.norm(trained), np.linalg.norm(initial)
        distance = np.linalg.norm(trained - initial) / start
        cosine = np.clip(trained @ initial / (length * start), -1, 1)
    return {"distance": plain(distance), "cosine": plain(cosine)}


def summary(movement: Document) -> tuple[Fact, ...]:
    """The layer's figures for its page."""
    known = [item for item in movement["filters"] if item["distance"] is not None]
    furthest = sorted(known, key=lambda item: (-item["distance"], item["index"]))[:MOST_MOVED]
    return (
        Fact(
            "Moved",
            _times(movement["distance"]),
            note="length of the difference over the initial length, all weights of the layer",
        ),
        Fact(
            "Cosine",
            _figure(movement["cosine"]),
            note="1 where only the length changed, 0 where nothing of the start is left",
        ),
        Fact(
            f"Moved, {plural(len(known), 'filter')}",
            f"median {_times(movement['distance_median'])}",
            note=f"from {span(movement['distance_minimum'], movement['distance_maximum'])}",
        ),
        Fact(
            "Moved furthest",
            named([item["index"] for item in furthest]) if furthest else NONE,
            note="filters, the furthest first",
        ),
    )


def card_fact(movement: Document | None, index: int) -> tuple[Fact, ...]:
    """How far one filter moved, for its card."""
    if movement is None:
        return ()
    item = movement["filters"][index]
    return (Fact("Moved by training", _times(item["distance"]), note=f"cosine {_figure(item['cosine'])}"),)


def _times(distance: float | None) -> str:
    return NONE if distance is None else f"{figure(distance)} ×"


def _figure(value: float | None) -> str:
    return NONE if value is None else figure(value)
