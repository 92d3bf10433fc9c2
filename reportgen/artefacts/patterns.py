"""The patterns of a layer in report.json: what was reached, against what, and the verdict on it."""

from __future__ import annotations

from collections import Counter

import numpy as np

from reportgen.core.records import SEARCHES, Plan
from reportgen.core.verdicts import DEAD, SKIPPED, VERDICTS, judge
from reportgen.core.numbers import Document, plain
from reportgen.artefacts.base import Natural, Patterns, StoredLayer

NOT_COMPUTED = "not computed"  # stands among the verdict counts, but is no verdict: there is no pattern to judge
# Arrays of `patterns.npz`.
NEGATIVE_IMAGES, NEGATIVE_INDICES = "negative_images", "negative_indices"
STRONGEST_IMAGES, STRONGEST_INDICES = "strongest_images", "strongest_indices"
PEAK_IMAGES, PEAK_INDICES = "peak_images", "peak_indices"
SHOWN_BESIDE = 0.5  # of the strongest response: a pattern below it is shown beside the strongest picture


def pattern_facts(plan: Plan, stored: StoredLayer) -> Document | None:
    """Patterns, their figures and verdicts; None where none is stored."""
    found, natural, layer = stored.patterns, stored.natural, stored.layer
    if found is None:
        return None
    verdicts = judge(
        activation=found.activation,
        activation_start=found.activation_start,
        peak=found.peak,
        response=np.fmax(np.fmax(found.strongest_activation, found.highest_peak), found.peak_start),
        indices=found.indices,
        natural_maximum=None if natural is None else natural.maximum,
        natural_peak=None if natural is None else natural.peak,
        rectified=layer.rectified,
        dead=found.dead,
    )
    filters = []
    for position, (index, verdict) in enumerate(zip(found.indices.tolist(), verdicts, strict=True)):
        filters.append(
            {
                "index": index,
                "label": stored.label(index),
                "verdict": verdict.word,
                "above": list(verdict.by),
                "dead_proven": verdict.word == DEAD,
                "activation": plain(found.activation[position]),
                "activation_start": plain(found.activation_start[position]),
                "peak": plain(found.peak[position]),
                "peak_start": plain(found.peak_start[position]),
                "search": SEARCHES[int(found.search[position])],
                "survives_warps": plain(found.survives_warps[position]),
                "strongest": _other(found, "strongest", position),
                "strongest_peak": _other(found, "highest", position),
                "best_pre_activation": _reach(found, natural, position, index),
                "natural_maximum": plain(natural.maximum[index]) if natural is not None else None,
                "natural_minimum": plain(natural.minimum[index]) if natural is not None else None,
                "natural_image": None if natural is None else _image(plan, natural.best_image, natural.maximum, index),
                "natural_peak": plain(natural.peak[index]) if natural is not None else None,
                "natural_peak_image": None
                if natural is None
                else _image(plan, natural.peak_image, natural.peak, index),
                **_search(found, position),
            }
        )
    return {
        "array": _array(stored),
        "size": list(found.images.shape[1:-1]),
        "crop": found.crop,
        "steps": found.steps,
        "natural_crops": None if natural is None else natural.crops,
        "recipe": found.recipe,
        "missing": _missing(stored.planned_filters, found),
        "filters": filters,
        "negative": negative_facts(stored),
    }


def negative_facts(stored: StoredLayer) -> Document | None:
    """The pictures that filters answer least to, before the activation function; None where none is stored.

    below_natural: whether that is lower than on any of the user's images; None where either figure is not known.
    """
    found, natural = stored.negatives, stored.natural
    if found is None:
        return None
    filters = []
    for position, index in enumerate(found.indices.tolist()):
        reached = plain(found.pre_activation[position])
        lowest = None if natural is None else plain(natural.pre_minimum[index])
        filters.append(
            {
                "index": index,
                "activation": plain(found.activation[position]),
                "pre_activation": reached,
                "pre_activation_start": plain(found.pre_activation_start[position]),
                "natural_pre_minimum": lowest,
                "below_natural": None if reached is None or lowest is None else reached < lowest,
                **_search(found, position),
            }
        )
    return {
        "array": _array(stored),
        "key": NEGATIVE_IMAGES,
        "missing": _missing(stored.planned_negatives, found),
        "filters": filters,
    }


def _array(stored: StoredLayer) -> str:
    return f"data/{stored.layer.slug}/patterns.npz"


def _missing(planned: tuple[int, ...], found: Patterns) -> list[int]:
    return sorted(set(planned) - set(found.indices.tolist()))


def _search(found: Patterns, position: int) -> Document:
    """How one picture was found."""
    return {
        "restart_similarity": plain(found.restart_similarity[position]),
        "redirected_relu": bool(found.redirected_relu[position]),
        "seed": found.seeds[position],
    }


def share_of_strongest(item: Document) -> float | None:
    """A pattern's share of the strongest response that any search found, from its entry of report.json; None where that is not above 0."""
    reached, strongest = item["activation"], item["strongest"]["activation"]
    return None if reached is None or strongest is None or strongest <= 0 else plain(reached / strongest)


def is_far(item: Document) -> bool:
    """Whether the strongest picture is to be shown beside the pattern."""
    share = share_of_strongest(item)
    return share is not None and share < SHOWN_BESIDE


def against_images(patterns: Document | None) -> bool | None:
    """Whether the verdicts of a layer compare patterns with the images, or with their start; None without patterns."""
    return None if patterns is None else patterns["natural_crops"] is not None


def is_broken(negative: Document) -> bool:
    """Whether a figure behind an entry of `negative` is infinite or not a number."""
    return any(negative[name] is None for name in ("activation", "pre_activation", "pre_activation_start"))


def is_unmoved(negative: Document) -> bool:
    """Whether the filter answers to a negative pattern what it answered to its start: then the picture shows nothing."""
    return not is_broken(negative) and bool(negative["pre_activation"] == negative["pre_activation_start"])


def _other(found: Patterns, other: str, position: int) -> Document:
    """Figures of the strongest picture of a filter, or of that of its highest peak."""
    return {
        "activation": plain(getattr(found, f"{other}_activation")[position]),
        "peak": plain(getattr(found, f"{other}_peak")[position]),
        "search": SEARCHES[int(getattr(found, f"{other}_search")[position])],
    }


def _reach(found: Patterns, natural: Natural | None, position: int, index: int) -> float | None:
    """The largest pre-activation at any position of anything that was measured."""
    reached = (
        found.best_pre_activation[position]
        if natural is None
        else np.fmax(found.best_pre_activation[position], natural.pre_peak[index])
    )
    return plain(reached)


def _image(plan: Plan, numbers: np.ndarray | None, reached: np.ndarray | None, index: int) -> str | None:
    """Slug of the image that reached a filter's natural figure."""
    if numbers is None or reached is None or plain(reached[index]) is None:
        return None
    best = int(numbers[index])
    return plan.images[best].slug if best in range(len(plan.images)) else None


def verdict_counts(stored: StoredLayer, patterns: Document | None) -> dict[str, int]:
    """How often each verdict falls on the shown filters; NOT_COMPUTED counts patterns that the store lacks."""
    counts = Counter(item["verdict"] for item in (patterns["filters"] if patterns else ()))
    counts[SKIPPED] = len(set(stored.layer.filters_shown) - set(stored.planned_filters))
    lost = len(stored.planned_filters) - (len(patterns["filters"]) if patterns else 0)
    return {word: counts[word] for word in VERDICTS} | {NOT_COMPUTED: lost}
