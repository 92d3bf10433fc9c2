"""The patterns of a layer in report.json: what was reached, against what, and the verdict on it."""

from __future__ import annotations

from collections import Counter

from reportgen.records import Plan
from reportgen.report.documents import Document, plain
from reportgen.report.stored import Natural, Patterns, StoredLayer, kernels_zero
from reportgen.verdict import SKIPPED, VERDICTS, judge

NOT_COMPUTED = "not computed"  # stands among the verdict counts, but is no verdict: there is no pattern to judge
NEGATIVE_IMAGES, NEGATIVE_INDICES = "negative_images", "negative_indices"  # arrays of `patterns.npz`


def pattern_facts(plan: Plan, stored: StoredLayer) -> Document | None:
    """Patterns, their figures and verdicts; None where none is stored."""
    found, natural, layer = stored.patterns, stored.natural, stored.layer
    if found is None:
        return None
    verdicts = judge(
        activation=found.activation,
        activation_start=found.activation_start,
        indices=found.indices,
        natural_maximum=None if natural is None else natural.maximum,
        natural_minimum=None if natural is None else natural.minimum,
        rectified=layer.rectified,
        proven=kernels_zero(stored.weights, layer)[found.indices],
    )
    filters = []
    for position, (index, verdict) in enumerate(zip(found.indices.tolist(), verdicts, strict=True)):
        filters.append(
            {
                "index": index,
                "label": stored.label(index),
                "verdict": verdict.word,
                "dead_proven": verdict.dead_proven,
                "activation": plain(found.activation[position]),
                "activation_start": plain(found.activation_start[position]),
                "natural_maximum": plain(natural.maximum[index]) if natural is not None else None,
                "natural_minimum": plain(natural.minimum[index]) if natural is not None else None,
                "natural_image": _best_image(plan, natural, index),
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
        "likeness": plain(found.likeness[position]),
        "rescued": bool(found.rescued[position]),
        "seed": found.seeds[position],
    }


def against_images(patterns: Document | None) -> bool | None:
    """Whether the verdicts of a layer compare patterns with the images, or with their start; None without patterns."""
    return None if patterns is None else patterns["natural_crops"] is not None


def is_broken(negative: Document) -> bool:
    """Whether a figure behind an entry of `negative` is infinite or not a number."""
    return any(negative[name] is None for name in ("activation", "pre_activation", "pre_activation_start"))


def is_unmoved(negative: Document) -> bool:
    """Whether the filter answers to a negative pattern what it answered to its start: then the picture shows nothing."""
    return not is_broken(negative) and bool(negative["pre_activation"] == negative["pre_activation_start"])


def _best_image(plan: Plan, natural: Natural | None, index: int) -> str | None:
    """Slug of the image that reached a filter's natural maximum."""
    if natural is None or plain(natural.maximum[index]) is None:
        return None
    best = int(natural.best_image[index])
    return plan.images[best].slug if best in range(len(plan.images)) else None


def verdict_counts(stored: StoredLayer, patterns: Document | None) -> dict[str, int]:
    """How often each verdict falls on the shown filters; NOT_COMPUTED counts patterns that the store lacks."""
    counts = Counter(item["verdict"] for item in (patterns["filters"] if patterns else ()))
    counts[SKIPPED] = len(set(stored.layer.filters_shown) - set(stored.planned_filters))
    lost = len(stored.planned_filters) - (len(patterns["filters"]) if patterns else 0)
    return {word: counts[word] for word in VERDICTS} | {NOT_COMPUTED: lost}
