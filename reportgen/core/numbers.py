"""What report.json is made of: plain JSON values, and figures as they are written there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Document = dict[str, Any]


def plain(value: Any) -> float | None:
    """A figure for JSON: the shortest decimal that reads back as the same float32; None where not finite or missing."""
    if value is None or not np.isfinite(value):
        return None
    with np.errstate(over="ignore"):
        single = np.float32(value)
    return float(str(single)) if np.isfinite(single) else None


def as_list(values: Sequence[Any] | None) -> list[Any] | None:
    """A sequence as JSON holds it; None stays None."""
    return None if values is None else list(values)
