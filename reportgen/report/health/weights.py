"""Checks of the weights: untrained layers, statistics that were never updated, duplicated filters, numbers that are not finite."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from reportgen.artefacts.health.initializers import Distribution
from reportgen.artefacts.health.layer import InitializerRecord, LayerHealth, Start
from reportgen.artefacts.layer_entry import LayerEntry
from reportgen.core.verdicts import NOT_FINITE
from reportgen.render.text import NAMED, count, listed, number, percent, plural
from reportgen.report.health.record import OK, UNKNOWN, WARNING, Check, Evidence, HealthRecord

FURTHER_CALL = re.compile(r"@\d+$")  # of a layer whose weights another entry has
FEWEST_WEIGHTS = (
    5000  # of layers without biases and normalization, of which only the kernels tell that they are untrained
)
REDUNDANT_SHARE = 0.05  # of a layer's filters: one pair among 64 is nothing unusual in a trained layer

Own = tuple[LayerEntry, LayerHealth]


def layers_with_weights(layers: Sequence[LayerEntry]) -> list[Own]:
    """Return the convolutions whose weights are stored, each once, with the record of their health."""
    return [
        (layer, layer.health)
        for layer in layers
        if layer.health is not None and layer.health.initializers and not FURTHER_CALL.search(layer.path)
    ]


def finite_check(layers: Sequence[LayerEntry]) -> HealthRecord | None:
    """Check weights, normalizations, maps and scores for numbers that are not finite."""
    evidence = [Evidence(text=text, layer=layer.path) for layer in layers if (text := _nonfinite(layer)) is not None]
    own = layers_with_weights(layers)
    if not own and not evidence:
        return None
    if evidence:
        return _warning(
            Check.FINITE,
            f"Numbers that are not finite (NaN or infinite) occur in {plural(len(evidence), 'layer')}; what depends on them is lost.",
            evidence,
        )
    with_maps = sum(bool(layer.feature_maps) for layer in layers)
    also = f", and so are all feature maps of {plural(with_maps, 'layer')}" if with_maps else ""
    return HealthRecord(
        check=Check.FINITE,
        status=OK,
        sentence=f"All weights of {plural(len(own), 'convolution layer')} are finite{also}.",
    )


def _nonfinite(layer: LayerEntry) -> str | None:
    """What of a layer is not finite."""
    parts = []
    if layer.weights is not None:
        biases = 0 if layer.weights.bias is None else layer.weights.bias.nonfinite
        parts += _counted(layer.weights.nonfinite, layer.weights.count, "kernel weight")
        parts += _counted(biases, layer.weights.bias.count if layer.weights.bias else 0, "bias", "biases")
    normalizations = () if layer.health is None else layer.health.normalizations or ()
    lost = sum(each.nonfinite for each in normalizations)
    parts += [f"{plural(lost, 'number')} of its normalization"] if lost else []
    maps = [record.image for record in layer.feature_maps if record.nonfinite_fraction]
    parts += [f"feature maps on {plural(len(maps), 'input')}"] if maps else []
    patterns = layer.verdicts.get(NOT_FINITE, 0)
    parts += [f"scores of {plural(patterns, 'pattern')}"] if patterns else []
    return f"not finite: {listed(parts)}" if parts else None


def _counted(lost: int, total: int, noun: str, nouns: str | None = None) -> list[str]:
    return [f"{count(lost)} of {plural(total, noun, nouns)}"] if lost else []


def untrained_check(layers: Sequence[LayerEntry]) -> HealthRecord | None:
    """Compare kernels with initializers; biases and normalization must agree, or be absent in a network without any trained layer."""
    own = layers_with_weights(layers)
    if not own:
        return None
    untrained = [each for each in own if each[1].start == Start.UNTRAINED]
    possible = [each for each in own if each[1].start == Start.POSSIBLE]
    trained = [each for each in own if each[1].start == Start.TRAINED]
    sizes = [kernel.weights for _, health in possible for kernel in health.initializers]
    if not trained and sum(sizes) >= FEWEST_WEIGHTS:
        untrained = [each for each in own if each[1].start in (Start.UNTRAINED, Start.POSSIBLE)]
    tested = len(untrained) + len(trained)
    if untrained:
        share = (
            f"all {plural(tested, 'layer')}"
            if len(untrained) == tested
            else f"{len(untrained)} of {plural(tested, 'layer')}"
        )
        return _warning(
            Check.UNTRAINED,
            f"{'The network' if len(untrained) == tested else 'Part of the network'} looks untrained: of the layers with enough weights "
            f"to tell, {share} {'have' if tested > 1 else 'has'} kernels that are consistent with an initializer "
            f"({_initializer_names([health for _, health in untrained])}){_agreeing(untrained)}.",
            [Evidence(text=_start_evidence(health), layer=layer.path) for layer, health in untrained],
        )
    if not tested:
        return HealthRecord(
            check=Check.UNTRAINED,
            status=UNKNOWN,
            sentence="Whether the weights are trained cannot be told: no layer has enough weights, biases or normalizations to tell.",
        )
    return HealthRecord(
        check=Check.UNTRAINED,
        status=OK,
        sentence=f"No layer looks untrained: kernels, biases or normalizations of {'each of ' if tested > 1 else ''}"
        f"{plural(tested, 'layer')} that can be tested differ from those of an initializer.",
    )


def _initializer_names(found: Sequence[LayerHealth]) -> str:
    """The initializers of layers, each by the name that fits most of them."""
    fits = [next(item for item in health.initializers if item.distribution is not None) for health in found]
    names = [item.initializers or (f"{item.distribution} of another scale",) for item in fits]
    frequent = Counter(name for each in names for name in each)
    return listed(list(dict.fromkeys(max(each, key=lambda name: frequent[name]) for each in names))[:NAMED])


def _agreeing(untrained: Sequence[Own]) -> str:
    """What else agrees with the start of training."""
    counts = {
        "constant biases": sum(health.biases_at_start is True for _, health in untrained),
        "unchanged normalizations": sum(_normalizations_at_start(health) for _, health in untrained),
    }
    whole = len(untrained)
    parts = [
        f"{what} in {'each' if number == whole else f'{number} of them'}" for what, number in counts.items() if number
    ]
    return f", with {listed(parts)}" if parts else ", and neither biases nor normalizations that say otherwise"


def _normalizations_at_start(health: LayerHealth) -> bool:
    found = health.normalizations or ()
    return bool(found) and all(each.learned_at_start is not False for each in found)


def _start_evidence(health: LayerHealth) -> str:
    """What a layer has in common with one that training has not reached."""
    parts = [_fit_words(kernel) for kernel in health.initializers if kernel.distribution is not None]
    parts += ["biases all the same, as before training"] if health.biases_at_start else []
    if _normalizations_at_start(health):
        statistics = [
            each.statistics_at_start for each in health.normalizations or () if each.statistics_at_start is not None
        ]
        with_statistics = ", moving mean 0 and variance 1" if statistics and all(statistics) else ""
        parts += [f"normalization at its start: gamma and beta constant{with_statistics}"]
    return "; ".join(parts)


def _fit_words(kernel: InitializerRecord) -> str:
    names = f" ({' or '.join(kernel.initializers[:2])})" if kernel.initializers else ""
    weights = plural(kernel.weights, "weight")
    scale = number(kernel.scale)
    shapes = {
        Distribution.UNIFORM: f"uniform within ±{scale}{names}",
        Distribution.TRUNCATED: f"truncated normal with a standard deviation of {scale}{names}",
        Distribution.NORMAL: f"normal with a standard deviation of {scale}{names}",
        Distribution.ORTHOGONAL: f"orthogonal rows of length {scale}",
    }
    if kernel.distribution not in shapes:
        return f"{weights}, all zero"
    return (
        f"{weights}, {shapes[kernel.distribution]}, Kolmogorov-Smirnov distance {number(kernel.distance)} "
        f"(an initializer stays below {number(kernel.limit)})"
    )


def normalization_check(layers: Sequence[LayerEntry]) -> HealthRecord | None:
    """Check that moving means and variances were updated."""
    own = layers_with_weights(layers)
    known = [(layer, health.normalizations) for layer, health in own if health.normalizations is not None]
    if own and not known:
        return HealthRecord(
            check=Check.NORMALIZATION,
            status=UNKNOWN,
            sentence="Whether batch statistics were updated is not known: they are not stored; run reportgen build again.",
        )
    found = [(layer, each) for layer, items in known for each in items if each.statistics_at_start is not None]
    if not found:
        return None
    idle = [(layer, each) for layer, each in found if each.statistics_at_start]
    share = f"{count(len(idle))} of {plural(len(found), 'batch normalization')} after convolutions"
    if not idle:
        return HealthRecord(
            check=Check.NORMALIZATION,
            status=OK,
            sentence=f"Batch statistics were updated: those of all {plural(len(found), 'batch normalization')} after convolutions "
            "differ from their start.",
        )
    return _warning(
        Check.NORMALIZATION,
        f"Batch statistics are at their start (mean 0, variance 1) in {share}: they were never updated, or not loaded, "
        "so these layers do not normalize.",
        [
            Evidence(text=f"moving mean 0 and variance 1 throughout in {each.name}", layer=layer.path)
            for layer, each in idle
        ],
    )


def duplicates_check(layers: Sequence[LayerEntry]) -> HealthRecord | None:
    """Count filters of the same direction as another of their layer, and filters whose kernel is zero."""
    own = [(layer, health) for layer, health in layers_with_weights(layers) if health.duplicates is not None]
    if not own:
        return None
    found = [(layer, health, *_redundant(health)) for layer, health in own]
    some = [each for each in found if each[2] or each[3]]
    total = sum(layer.filters_total for layer, *_ in found)
    repeated, zero = sum(each[2] for each in found), sum(each[3] for each in found)
    evidence = [
        Evidence(text=_duplicate_words(layer, health, extra), layer=layer.path, filters=_duplicated(health))
        for layer, health, extra, _ in sorted(some, key=lambda each: -(each[2] + each[3]) / each[0].filters_total)
    ]
    words = f"{count(repeated)} of {plural(total, 'filter')} {'repeats' if repeated == 1 else 'repeat'} another of the same layer"
    words += f", and the kernels of {count(zero)} are zero" if zero else ""
    bad = [layer.path for layer, _, extra, none in some if extra + none >= REDUNDANT_SHARE * layer.filters_total]
    if bad:
        words += f": in {plural(len(bad), 'layer')} at least {percent(REDUNDANT_SHARE)} of the filters, which could be removed"
        return HealthRecord(
            check=Check.DUPLICATES, status=WARNING, sentence=f"{words}.", evidence=tuple(evidence), layers=tuple(bad)
        )
    if not repeated and not zero:
        words = f"No two filters of a layer have the same kernel, and none is zero, among {plural(total, 'filter')}"
    return HealthRecord(check=Check.DUPLICATES, status=OK, sentence=f"{words}.", evidence=tuple(evidence))


def _redundant(health: LayerHealth) -> tuple[int, int]:
    """Filters that repeat another, and filters that are zero."""
    groups = () if health.duplicates is None else health.duplicates.groups
    return sum(len(group) - 1 for group in groups), len(health.zero_filters)


def _duplicated(health: LayerHealth) -> tuple[int, ...]:
    groups = () if health.duplicates is None else health.duplicates.groups
    return (*(index for group in groups for index in group), *health.zero_filters)


def _duplicate_words(layer: LayerEntry, health: LayerHealth, extra: int) -> str:
    parts = []
    if health.duplicates is not None and extra:
        groups, pairs = len(health.duplicates.groups), health.duplicates.pairs
        parts.append(
            f"{count(extra)} of {plural(layer.filters_total, 'filter')} "
            f"{'repeats' if extra == 1 else 'repeat'} another: {plural(pairs, 'pair')} in {plural(groups, 'group')} "
            f"with a cosine of at least {number(health.duplicates.cosine)}"
        )
    if health.zero_filters:
        parts.append(f"{count(len(health.zero_filters))} of {plural(layer.filters_total, 'kernel')} all zero")
    return "; ".join(parts)


def _warning(check: Check, sentence: str, evidence: Sequence[Evidence]) -> HealthRecord:
    """A warning about the layers of its evidence."""
    layers = tuple(dict.fromkeys(item.layer for item in evidence if item.layer is not None))
    return HealthRecord(check=check, status=WARNING, sentence=sentence, evidence=tuple(evidence), layers=layers)
