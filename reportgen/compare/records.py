"""What a comparison of two reports found, as typed records: compare.json holds exactly these."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from reportgen.core.choices import Match
from reportgen.core.records import Count
from reportgen.core.store import json_bytes
from reportgen.core.verdicts import NOT_COMPUTED

SCHEMA: Literal["reportgen-compare/1"] = "reportgen-compare/1"
Change = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=-1, le=1)]


class LayerChange(StrEnum):
    """What happened to a layer."""

    IDENTICAL = "identical"
    PERMUTED = "permuted"
    FOLDED = "folded"
    CHANGED = "changed"
    RESHAPED = "reshaped"
    ADDED = "added"
    REMOVED = "removed"


SAME = (LayerChange.IDENTICAL, LayerChange.PERMUTED, LayerChange.FOLDED)  # the layer has the filters that it had


class Basis(StrEnum):
    """What the similarity `match` of the filters of a layer is of."""

    IDENTITY = "identity"
    ACTIVATION = "activation"
    BOTH = "activation and weights"
    WEIGHTS = "weights"
    POSITION = "position"


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two models."""

    name: str
    weights_sha256: str


class FilterComparison(msgspec.Struct, frozen=True, kw_only=True):
    """A filter of the new model beside the one of the old model that it is matched with."""

    index: Count
    old_index: Annotated[Count | None, Meta(description="null where no old filter is similar enough: a new filter")]
    match: Annotated[Share | None, Meta(description="similarity of the two; null where it cannot be measured")]
    weight_change: Annotated[
        Change | None, Meta(description="norm of the kernels' difference over that of the old kernel")
    ]
    bias_change: Annotated[
        float | None, Meta(description="difference of the biases, normalizations folded in, in the pre-activation")
    ]
    activation_change: Annotated[
        Change | None, Meta(description="the same ratio as weight_change, of the feature maps on the same images")
    ]
    pattern_similarity: Annotated[
        Share | None, Meta(description="largest correlation of the two patterns over all circular shifts")
    ]
    verdict: str | None
    old_verdict: str | None

    @property
    def is_shown(self) -> bool:
        """Whether the new report shows the filter."""
        return self.verdict is not None

    @property
    def is_changed(self) -> bool:
        """Whether the filter's own weights are not those that it had."""
        return self.old_index is None or self.weight_change != 0 or self.bias_change != 0


class FactChange(msgspec.Struct, frozen=True, kw_only=True):
    """A property of a layer that changed, such as its strides."""

    name: str
    old: str
    new: str


class LayerComparison(msgspec.Struct, frozen=True, kw_only=True):
    """A layer of the new model beside that of the old one; of a removed layer `path` is the old one's."""

    path: str
    old_path: Annotated[
        str | None, Meta(description="null of an added layer; another path where the layer was renamed")
    ]
    status: LayerChange
    affected: Annotated[bool, Meta(description="its own weights are the same and what reaches it is not")]
    matched_by: Annotated[Basis | None, Meta(description="what `match` of its filters is of; null without filters")]
    filters_total: Count
    old_filters_total: Count
    gone: Annotated[tuple[Count, ...], Meta(description="old filters that no new one is similar enough to")]
    facts: Annotated[tuple[FactChange, ...], Meta(description="configuration that changed")]
    notes: Annotated[tuple[str, ...], Meta(description="what the comparison of this layer could not know")]
    filters: tuple[FilterComparison, ...]

    @property
    def is_renamed(self) -> bool:
        """Whether the layer had another path."""
        return self.old_path is not None and self.old_path != self.path

    @property
    def changed(self) -> tuple[FilterComparison, ...]:
        """The filters whose own weights are not those that they had."""
        return tuple(item for item in self.filters if item.is_changed)


class NotCompared(msgspec.Struct, frozen=True, kw_only=True):
    """A layer that a report does not cover, or of which it has no kernel."""

    path: str
    reason: str


class PredictionComparison(msgspec.Struct, frozen=True, kw_only=True):
    """What both models predict for the same image; flipped: the most probable class is another."""

    image: str
    label: str
    old_label: str
    probability: float | None
    old_probability: float | None
    flipped: bool


class ClassesComparison(msgspec.Struct, frozen=True, kw_only=True):
    """What changed in the list of classes; moved: names that stand at another position."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    moved: tuple[str, ...]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a comparison found; `layers` in the order of the new model, removed ones where they were."""

    schema: Literal["reportgen-compare/1"] = SCHEMA
    old: Side
    new: Side
    match: Match
    unfair: Annotated[tuple[str, ...], Meta(description="what makes the comparison unfair, a sentence each")]
    images: Annotated[tuple[str, ...], Meta(description="images in both reports, fed to both models in the same way")]
    predictions_flipped: Count
    predictions: tuple[PredictionComparison, ...]
    classes: ClassesComparison | None
    layers: tuple[LayerComparison, ...]
    not_compared: tuple[NotCompared, ...]

    def to_json(self) -> bytes:
        """Return the bytes of compare.json."""
        return json_bytes(msgspec.to_builtins(self))


def known_verdict(verdict: str | None) -> str | None:
    """Return a verdict; None of a pattern that was not computed."""
    return None if verdict == NOT_COMPUTED else verdict
