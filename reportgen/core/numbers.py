"""Numbers as report.json states them: the one place where a float32 becomes a decimal."""

from __future__ import annotations

from typing import Any

import numpy as np


def plain(value: Any) -> float | None:
    """Return a number as JSON holds it.

    Args:
        value: a number of any type, or None.

    Returns:
        The shortest decimal that reads back as the same float32; None where the value is missing or not finite.
    """
    if value is None or not np.isfinite(value):
        return None
    with np.errstate(over="ignore"):
        single = np.float32(value)
    return float(str(single)) if np.isfinite(single) else None
