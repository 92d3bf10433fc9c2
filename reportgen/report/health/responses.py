"""Checks of what layers respond with: silent filters, constant or saturated layers, and the scale over depth."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from reportgen.artefacts.health.layer import LayerHealth
from reportgen.artefacts.layer_entry import LayerEntry
from reportgen.core.records import NodeKind, Plan
from reportgen.render.text import NOUNS, count, number, percent, plural
from reportgen.report.health.record import OK, UNKNOWN, WARNING, Check, Evidence, HealthRecord

SILENT_SHARE = 0.25  # of a layer's filters: as much of its width is lost
NORMAL_95 = 1.645  # standard errors that 95 % of a normal distribution lie above, on one side
CONSTANT_SHARE = (
    0.9  # of a layer's maps that have one value on all images; 0.38 of one layer of VGG16 do on four photographs
)
SATURATED_SHARE = 0.9  # of a layer's map values at a bound of its activation function
SCALE_RATIO = 1e4  # of the largest and the smallest scale of two layers; 45 in VGG16
HALF_LARGEST, HALF_SMALLEST = 65504.0, 2.0**-14  # what float16 holds with all its digits

Own = tuple[LayerEntry, LayerHealth]


def silent_check(layers: Sequence[LayerEntry]) -> HealthRecord | None:
    """Count silent and dead filters, layer by layer; of a layer that shows some filters, a bound of the share counts."""
    own = _own(layers)
    known = [(layer, health) for layer, health in own if health.judged]
    if not known:
        return (
            _unknown(Check.SILENT, "How many filters are silent is not known: no pattern is computed.") if own else None
        )
    silent, judged = sum(len(health.silent_filters) for _, health in known), sum(health.judged for _, health in known)
    some = sorted((each for each in known if each[1].silent_filters), key=lambda each: -(each[1].silent_share or 0))
    evidence = tuple(
        Evidence(
            text=f"{_of(len(health.silent_filters), health.judged, 'filter')} with a pattern, of {count(layer.filters_total)}",
            layer=layer.path,
            filters=health.silent_filters,
        )
        for layer, health in some
    )
    bad = tuple(layer.path for layer, health in some if _least_share(layer, health) >= SILENT_SHARE)
    verb, them = ("is", "it") if silent == 1 else ("are", "them")
    words = f"{_of(silent, judged, 'filter')} with a pattern {verb} silent or dead: no input that was tried activates {them}"
    if bad:
        words = f"In {plural(len(bad), 'layer')} at least {percent(SILENT_SHARE)} of the filters are silent or dead. In all, {words}"
        return HealthRecord(check=Check.SILENT, status=WARNING, sentence=f"{words}.", evidence=evidence, layers=bad)
    if not silent:
        words = f"None of {plural(judged, 'filter')} with a pattern is silent or dead"
    return HealthRecord(check=Check.SILENT, status=OK, sentence=f"{words}.", evidence=evidence)


def _least_share(layer: LayerEntry, health: LayerHealth) -> float:
    """The share of a layer's filters that is silent; of a sample of them, what it is at least with 95 % confidence (Wilson 1927)."""
    share, judged = len(health.silent_filters) / health.judged, health.judged
    if judged == layer.filters_total:
        return share
    square = NORMAL_95**2 / judged
    return (share + square / 2 - sqrt(square * (share * (1 - share) + square / 4))) / (1 + square)


def constant_check(plan: Plan, layers: Sequence[LayerEntry]) -> HealthRecord | None:
    """Find layers that give the same for everything, or lie at the bounds of their activation function."""
    own, noun = _own(layers), NOUNS[plan.contract.rank].one
    known = [(layer, health) for layer, health in own if health.constant_maps is not None]
    bounded = [(layer, health) for layer, health in own if health.saturated_fraction is not None]
    if not known and not bounded:
        why = f"needs feature maps of at least two {noun}s"
        return (
            _unknown(Check.CONSTANT, f"Whether a layer is constant or saturated is not known: that {why}.")
            if own
            else None
        )
    evidence = [
        Evidence(
            text=f"{_of(len(maps), layer.filters_total, 'map')} with one value on all {noun}s",
            layer=layer.path,
            filters=maps,
        )
        for layer, health in known
        if len(maps := health.constant_maps or ()) >= CONSTANT_SHARE * layer.filters_total
    ]
    final = _final(plan)
    evidence += [
        Evidence(text=f"{percent(share)} of the values at a bound of {layer.activation}", layer=layer.path)
        for layer, health in bounded
        if (share := health.saturated_fraction or 0.0) >= SATURATED_SHARE and layer.path not in final
    ]
    if evidence:
        paths = tuple(dict.fromkeys(item.layer for item in evidence if item.layer is not None))
        return HealthRecord(
            check=Check.CONSTANT,
            status=WARNING,
            sentence=f"{plural(len(paths), 'layer is', 'layers are')} constant or saturated: most of what "
            f"{'it returns' if len(paths) == 1 else 'they return'} does not depend on the {noun}.",
            evidence=tuple(evidence),
            layers=paths,
        )
    sentence = "No layer is constant or saturated"
    if known:
        layer, health = max(known, key=lambda each: len(each[1].constant_maps or ()) / each[0].filters_total)
        number_of = len(health.constant_maps or ())
        most = (
            f"most in {layer.path}, {_of(number_of, layer.filters_total, 'map')}" if number_of else "none in any layer"
        )
        sentence += f": few maps have one and the same value on all {noun}s ({most})"
    return HealthRecord(check=Check.CONSTANT, status=OK, sentence=f"{sentence}.")


def _final(plan: Plan) -> set[str]:
    """Paths of layers that only an output takes from: a sigmoid there is made to be near its bounds."""
    after: dict[str, list[str]] = {}
    for node in plan.diagram:
        for source in node.inputs:
            after.setdefault(source, []).append(node.key)
    kinds = {node.key: node.kind for node in plan.diagram}

    def ends(key: str, left: int) -> bool:
        following = after.get(key, [])
        return bool(left and following) and all(
            kinds[each] == NodeKind.OUTPUT or (kinds[each] == NodeKind.OTHER and ends(each, left - 1))
            for each in following
        )

    return {node.path for node in plan.diagram if node.path and ends(node.key, len(kinds))}


def scale_check(plan: Plan, layers: Sequence[LayerEntry]) -> HealthRecord | None:
    """Compare the largest values of the maps over depth, with each other and with what float16 holds."""
    own, noun = _own(layers), NOUNS[plan.contract.rank].one
    known = [(layer.path, health.map_scale) for layer, health in own if health.map_scale is not None]
    positive = [(path, scale) for path, scale in known if scale > 0]
    if not positive:
        return (
            _unknown(Check.SCALE, f"The scale over depth is not known: there are no feature maps of {noun}s.")
            if own
            else None
        )
    low, high = min(positive, key=lambda each: each[1]), max(positive, key=lambda each: each[1])
    evidence = tuple(
        Evidence(text=f"largest value {number(scale)}, median over the {noun}s", layer=path)
        for path, scale in dict((low, high)).items()
    )
    span = f"the largest values of a layer's maps are between {number(low[1])} ({low[0]}) and {number(high[1])} ({high[0]})"
    bad = []
    if high[1] / low[1] >= SCALE_RATIO:
        place = [path for path, _ in positive]
        way = "explodes" if place.index(high[0]) > place.index(low[0]) else "vanishes"
        bad.append(f"The scale {way} over depth: {span}, a ratio of {number(high[1] / low[1])}.")
    if high[1] > HALF_LARGEST:
        bad.append(f"In {high[0]} values reach {number(high[1])}, which float16 cannot hold.")
    if low[1] < HALF_SMALLEST:
        bad.append(f"In {low[0]} no value exceeds {number(low[1])}, which float16 holds with few digits.")
    if bad:
        return HealthRecord(
            check=Check.SCALE,
            status=WARNING,
            sentence=" ".join(bad),
            evidence=evidence,
            layers=tuple(dict((low, high))),
        )
    return HealthRecord(
        check=Check.SCALE,
        status=OK,
        sentence=f"The scale neither explodes nor vanishes over depth: {span}.",
        evidence=evidence,
    )


def _own(layers: Sequence[LayerEntry]) -> list[Own]:
    """The convolutions, with the record of their health."""
    return [(layer, layer.health) for layer in layers if layer.health is not None]


def _of(some: int, total: int, noun: str) -> str:
    return f"{count(some)} of {plural(total, noun)} ({percent(some / total)})"


def _unknown(check: Check, why: str) -> HealthRecord:
    return HealthRecord(check=check, status=UNKNOWN, sentence=why)
