"""A layer's entry in report.json, and the list of the artefacts that it is made of: a new artefact is registered here."""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from reportgen.artefacts.base import Artefact, LayerContents, LayerReader
from reportgen.artefacts.data import DATA
from reportgen.artefacts.data_records import LayerData
from reportgen.artefacts.feature_maps import FEATURE_MAPS, FeatureMapRecord
from reportgen.artefacts.health.layer import LayerHealth, layer_health
from reportgen.artefacts.health.normalization import NORMALIZATION
from reportgen.artefacts.initial_weights import INITIAL_WEIGHTS, InitialWeightsRecord
from reportgen.artefacts.minimal_patterns import MINIMAL_PATTERNS, MinimalPatternsRecord
from reportgen.artefacts.natural_maxima import NATURAL_MAXIMA
from reportgen.artefacts.patterns import PATTERNS, PatternsRecord, verdict_counts
from reportgen.artefacts.pooling import POOLING
from reportgen.artefacts.telling_patterns import TELLING_PATTERNS, TellingPattern
from reportgen.artefacts.weights import WEIGHTS, WeightsRecord
from reportgen.core.records import Count, LayerFacts, LayerRecord, LayerStatus, Plan
from reportgen.core.store import Store
from reportgen.render.wording import clause

# In the order of their sections on a layer's page, which moves weights behind the maps.
ARTEFACTS: tuple[Artefact[Any, Any], ...] = (
    WEIGHTS,
    NORMALIZATION,
    INITIAL_WEIGHTS,
    NATURAL_MAXIMA,
    PATTERNS,
    TELLING_PATTERNS,
    MINIMAL_PATTERNS,
    DATA,
    FEATURE_MAPS,
    POOLING,
)


class LayerEntry(LayerFacts, frozen=True, kw_only=True):
    """One entry of `layers`: the layer's facts, and the record of each of its artefacts."""

    verdicts: Annotated[dict[str, Count], Meta(description="how often each verdict falls on the shown filters")]
    weights: WeightsRecord | None
    initial_weights: InitialWeightsRecord | None
    patterns: PatternsRecord | None
    telling_patterns: tuple[TellingPattern, ...]
    minimal_patterns: MinimalPatternsRecord | None
    feature_maps: tuple[FeatureMapRecord, ...]
    data: Annotated[LayerData | None, Meta(description="on the data set; null without one")] = None
    health: Annotated[LayerHealth | None, Meta(description="null of what is no convolution, or is not covered")]


FACTS = tuple(field.name for field in msgspec.structs.fields(LayerFacts))
RECORDS = frozenset(field.name for field in msgspec.structs.fields(LayerEntry)) - {*FACTS, "verdicts", "health"}


def read_layer(plan: Plan, store: Store, layer: LayerRecord, awaited: Set[str] = frozenset()) -> LayerContents:
    """Read whatever the store holds of a layer; a damaged task counts as missing, one of `awaited` as not yet computed."""
    return LayerReader(plan, store, layer, awaited).contents(ARTEFACTS)


def layer_entry(contents: LayerContents) -> LayerEntry:
    """Return the entry of a layer; one that lacks anything the plan asks for is `failed`, and shows what is there."""
    layer = contents.layer
    own = [clause(layer.reason)] if layer.status == LayerStatus.FAILED and layer.reason else []
    missing = list(dict.fromkeys((*own, *contents.missing)))
    records: dict[str, Any] = {
        artefact.name: artefact.record(contents) for artefact in ARTEFACTS if artefact.name in RECORDS
    }
    return LayerEntry(
        **{
            **{name: getattr(layer, name) for name in FACTS},
            "status": LayerStatus.FAILED if contents.missing else layer.status,
            "reason": "; ".join(missing) if missing else layer.reason,
            "verdicts": verdict_counts(contents, records[PATTERNS.name]),
            "health": layer_health(contents, records),
        },
        **records,
    )


def records_of(entry: LayerEntry) -> Iterator[tuple[Artefact[Any, Any], Any]]:
    """Yield each artefact with its record in the entry; None where it has none."""
    for artefact in ARTEFACTS:
        yield artefact, getattr(entry, artefact.name, None)
