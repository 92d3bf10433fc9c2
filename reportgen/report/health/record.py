"""What a check of model health states: its status, one sentence, and the evidence by layer."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from reportgen.core.records import Count


class Check(StrEnum):
    """What is checked, in the order of the page."""

    FINITE = "finite"
    UNTRAINED = "untrained"
    NORMALIZATION = "normalization"
    PREDICTIONS = "predictions"
    PREPROCESSING = "preprocessing"
    LABELS = "labels"
    ACCURACY = "accuracy"
    CALIBRATION = "calibration"
    SILENT = "silent"
    NEVER_ACTIVE = "never_active"
    CONSTANT = "constant"
    SCALE = "scale"
    DUPLICATES = "duplicates"
    STRIDES = "strides"


class Status(StrEnum):
    """What a check found; `unknown` where it could not be done."""

    OK = "ok"
    WARNING = "warning"
    UNKNOWN = "unknown"


OK, WARNING, UNKNOWN = Status


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """One fact that a check rests on."""

    text: str
    layer: Annotated[str | None, Meta(description="path of the layer that it is of")] = None
    filters: Annotated[tuple[Count, ...], Meta(description="the filters that it names")] = ()


class HealthRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One check of the whole network."""

    check: Check
    status: Status
    sentence: str
    evidence: tuple[Evidence, ...] = ()
    layers: Annotated[tuple[str, ...], Meta(description="paths of the layers that a warning is about")] = ()
