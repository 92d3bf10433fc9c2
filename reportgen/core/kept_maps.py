"""Which channels' maps a report keeps as arrays once its figures are drawn, and whether those that the store has are enough for a plan."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from reportgen.core.choices import KeepMaps
from reportgen.core.records import LayerRecord, Plan
from reportgen.core.settings import MapStyle
from reportgen.core.store import json_bytes

KEPT = "kept"  # among the facts of a task: absent where all of its maps are stored


def wanted_channels(plan: Plan, layer: LayerRecord) -> tuple[int, ...] | None:
    """Return the channels of a layer whose maps are kept; None for all."""
    keep = KeepMaps(plan.settings.get("keep_maps", KeepMaps.ALL))
    if keep == KeepMaps.ALL:
        return None
    return layer.filters_shown if keep == KeepMaps.SHOWN else ()


def look(plan: Plan) -> str:
    """Return what stands for everything, beside the maps themselves, that the figures of a plan's maps and their texts depend on."""
    mapped = [layer.slug for layer in plan.layers if layer.is_met and not layer.is_output]
    images = [[image.slug, image.name, image.sha256] for image in plan.images if image.shown]
    facts = [msgspec.to_builtins(MapStyle.of(plan.settings)), mapped, images]
    return hashlib.sha256(json_bytes(facts)).hexdigest()


def suffices(facts: Mapping[str, Any], plan: Plan, layer: str) -> bool:
    """Return whether a stored feature-map task is enough for a plan: where it is not, it is computed again.

    Args:
        facts: of the task.
        plan: its settings say which maps are kept and how all are drawn.
        layer: slug of the task's layer.
    """
    kept = facts.get(KEPT)
    if kept is None:
        return True
    wanted = wanted_channels(plan, next(each for each in plan.layers if each.slug == layer))
    return wanted is not None and set(wanted) <= set(kept["channels"]) and kept["look"] == look(plan)
