"""The record of one layer's health: what the checks of the whole network and the charts over depth read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from reportgen.artefacts.base import Arrays, LayerContents
from reportgen.artefacts.feature_maps import FEATURE_MAPS, FeatureMapRecord
from reportgen.artefacts.health.duplicates import find_duplicates
from reportgen.artefacts.health.initializers import Distribution, Fit, fit_initializer
from reportgen.artefacts.health.normalization import NORMALIZATION, NormalizationRecord
from reportgen.artefacts.image_maps import ImageMaps
from reportgen.artefacts.patterns import PatternRecord, PatternsRecord
from reportgen.artefacts.weights import WEIGHTS
from reportgen.core.axes import DEPTHWISE, PLAIN, KernelKind
from reportgen.core.numbers import plain
from reportgen.core.records import Count, LayerRecord
from reportgen.core.verdicts import DEAD, OK, SILENT, WEAK

JUDGED = (OK, WEAK, SILENT, DEAD)  # the verdicts that say whether a filter responds to anything
LEAST_OBSERVED = 64  # positions of a map on all images together; with fewer a filter may be constant by chance
BOUNDED = (
    Distribution.UNIFORM,
    Distribution.TRUNCATED,
    Distribution.ORTHOGONAL,
    Distribution.ZEROS,
)  # which any training leaves at once
Fraction = Annotated[float, Meta(ge=0, le=1)]


class Start(StrEnum):
    """Whether a layer's weights are those that training starts from."""

    UNTRAINED = "untrained"  # the kernel agrees with an initializer, and so do biases or normalization
    POSSIBLE = "possible"  # the kernel does, and there are neither biases nor normalization
    TRAINED = "trained"
    UNTESTED = "untested"  # too few weights, or other things that say nothing


class InitializerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel beside the initializer that it agrees with."""

    kernel: str
    weights: Count
    distribution: Annotated[Distribution | None, Meta(description="null where it agrees with none, or is not tested")]
    initializers: Annotated[
        tuple[str, ...],
        Meta(description="those that have its scale; none where only the shape of the distribution agrees"),
    ]
    scale: Annotated[
        float | None,
        Meta(
            description="bound of a uniform distribution, standard deviation of a normal one, length of orthogonal rows"
        ),
    ]
    distance: Annotated[float | None, Meta(description="of Kolmogorov and Smirnov; an initializer stays below `limit`")]
    limit: float | None


class DuplicatesRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Filters of a layer that do the same."""

    cosine: Annotated[float | None, Meta(description="from which two kernels count as the same; null where none can")]
    pairs: Count
    groups: tuple[tuple[Count, ...], ...]


class LayerHealth(msgspec.Struct, frozen=True, kw_only=True):
    """What a layer's weights, maps and verdicts tell; a number is null where what it is of is not there."""

    start: Start
    initializers: Annotated[tuple[InitializerRecord, ...], Meta(description="one a kernel")]
    biases_at_start: Annotated[
        bool | None, Meta(description="one number throughout, or as PyTorch draws them; null without biases")
    ]
    normalizations: Annotated[
        tuple[NormalizationRecord, ...] | None, Meta(description="between it and its activation; null where not known")
    ]
    weight_rms: Annotated[float | None, Meta(description="root mean square of the finite kernel weights")]
    duplicates: Annotated[DuplicatesRecord | None, Meta(description="null where weights are not finite")]
    zero_filters: Annotated[tuple[Count, ...], Meta(description="filters whose kernel is zero")]
    judged: Annotated[Count, Meta(description="filters with a verdict that says whether they respond to anything")]
    silent_filters: Annotated[tuple[Count, ...], Meta(description="those of them that are silent or dead")]
    silent_share: Fraction | None
    activation_median: Annotated[float | None, Meta(description="over the filters with a pattern, like the next")]
    natural_maximum_median: float | None
    map_zero_fraction: Annotated[Fraction | None, Meta(description="mean over the images")]
    map_scale: Annotated[float | None, Meta(description="largest absolute value of the maps, median over the images")]
    constant_maps: Annotated[
        tuple[Count, ...] | None,
        Meta(
            description="filters with one and the same value at all positions of all images; null with too few of both"
        ),
    ]
    saturated_fraction: Annotated[
        Fraction | None, Meta(description="map values at a bound of the activation function; null where it has none")
    ]


def layer_health(contents: LayerContents, records: Mapping[str, Any]) -> LayerHealth | None:
    """Return the record of a layer's health; None of what is no convolution.

    Args:
        contents: of the layer.
        records: of its artefacts, by name.
    """
    layer = contents.layer
    if layer.is_pooling or layer.is_output or layer.status == "skipped":
        return None
    arrays, maps = contents[WEIGHTS], contents[FEATURE_MAPS] or ()
    return LayerHealth(
        **_of_weights({} if arrays is None else arrays, contents[NORMALIZATION], layer),
        **_of_patterns(records["patterns"]),
        **_of_maps(maps, records["feature_maps"] or (), layer),
    )


def _of_weights(
    arrays: Arrays, normalizations: tuple[NormalizationRecord, ...] | None, layer: LayerRecord
) -> dict[str, Any]:
    kinds = {name: _kind(name, layer) for name in arrays if name.endswith("kernel")}
    fits = {name: fit_initializer(arrays[name], kind) for name, kind in kinds.items()}
    biases = _biases_at_start(arrays.get("bias"), tuple(fits.values()))
    values = np.concatenate([np.ravel(arrays[name]) for name in kinds]).astype(np.float64) if kinds else np.zeros(0)
    finite = values[np.isfinite(values)]
    found = find_duplicates(arrays, layer) if kinds else None
    return {
        "start": _start(tuple(fits.values()), biases, normalizations),
        "initializers": tuple(_fit_record(name, arrays[name].size, fit) for name, fit in fits.items()),
        "biases_at_start": biases,
        "normalizations": normalizations,
        "weight_rms": plain(np.sqrt(np.mean(finite**2))) if len(finite) else None,
        "duplicates": None
        if found is None
        else DuplicatesRecord(cosine=plain(found.cosine), pairs=found.pairs, groups=found.groups),
        "zero_filters": () if found is None else found.zero,
    }


def _kind(name: str, layer: LayerRecord) -> KernelKind:
    """How the axes of one of a layer's kernels are to be read; a separable layer has two."""
    own = {"depthwise_kernel": DEPTHWISE, "pointwise_kernel": PLAIN}
    return own.get(name, layer.kernel_kind or PLAIN)


def _fit_record(name: str, size: int, fit: Fit) -> InitializerRecord:
    agrees = fit.distribution is not None
    return InitializerRecord(
        kernel=name,
        weights=size,
        distribution=fit.distribution,
        initializers=fit.names,
        scale=plain(fit.scale) if agrees else None,
        distance=plain(fit.distance) if agrees else None,
        limit=plain(fit.limit) if agrees else None,
    )


def _biases_at_start(bias: np.ndarray | None, fits: Sequence[Fit]) -> bool | None:
    """Whether biases are one number throughout, or within the bound in which PyTorch draws them together with its kernel."""
    if bias is None or not bias.size:
        return None
    if np.ptp(bias) == 0:
        return bias.size > 1 or not bias.any()
    return any("PyTorch default" in fit.names and bool(np.max(np.abs(bias)) <= fit.scale) for fit in fits)


def _start(fits: Sequence[Fit], biases: bool | None, normalizations: tuple[NormalizationRecord, ...] | None) -> Start:
    """Judge a layer: training changes biases and normalization at once, so either one that is changed decides."""
    tested = [fit for fit in fits if fit.tested]
    others = [biases, *(_at_start(each) for each in normalizations or ())]
    if any(fit.distribution is None for fit in tested) or any(other is False for other in others):
        return Start.TRAINED
    if not tested:
        return Start.UNTESTED
    if any(others):
        return Start.UNTRAINED
    if all(fit.names and fit.distribution in BOUNDED for fit in tested):
        return Start.POSSIBLE
    return Start.UNTESTED


def _at_start(normalization: NormalizationRecord) -> bool | None:
    """Learned weights count; only where there are none do the statistics, which change without training too."""
    learned = normalization.learned_at_start
    return normalization.statistics_at_start if learned is None else learned


def _of_patterns(patterns: PatternsRecord | None) -> dict[str, Any]:
    filters: Sequence[PatternRecord] = () if patterns is None else patterns.filters
    judged = [item for item in filters if item.verdict in JUDGED]
    silent = tuple(item.index for item in judged if item.verdict in (SILENT, DEAD))
    compared = [item for item in judged if item.activation is not None]
    return {
        "judged": len(judged),
        "silent_filters": silent,
        "silent_share": plain(len(silent) / len(judged)) if judged else None,
        "activation_median": _median([item.activation for item in compared]),
        "natural_maximum_median": _median([item.natural_maximum for item in compared]),
    }


def _of_maps(maps: Sequence[ImageMaps], records: Sequence[FeatureMapRecord], layer: LayerRecord) -> dict[str, Any]:
    zeros = [record.zero_fraction for record in records if record.zero_fraction is not None]
    scales = [
        max(abs(record.minimum), abs(record.maximum))
        for record in records
        if record.minimum is not None and record.maximum is not None
    ]
    saturated = [each.saturated_fraction(layer) for each in maps]
    known = [each for each in saturated if each is not None]
    return {
        "map_zero_fraction": plain(np.mean(zeros)) if zeros else None,
        "map_scale": _median(scales),
        "constant_maps": _constant_maps(maps),
        "saturated_fraction": plain(np.mean(known)) if known and len(known) == len(maps) else None,
    }


def _constant_maps(maps: Sequence[ImageMaps]) -> tuple[int, ...] | None:
    """Channels with one value in all maps; None of a single image, or where each has too few positions."""
    distinct = {each.image.sha256: each for each in maps}
    if len(distinct) < 2 or sum(each.positions or 0 for each in distinct.values()) < LEAST_OBSERVED:
        return None
    ranges = np.stack([each.ranges for each in distinct.values()])
    return tuple(np.flatnonzero(ranges[..., 0].min(axis=0) == ranges[..., 1].max(axis=0)).tolist())


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return plain(np.median(known)) if known else None
