"""Figures, shapes and counts as a reader wants them set: the only place where pages format anything."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

DIGITS = 4  # significant digits of a figure on a page; report.json has them all
SMALLEST_PLAIN = 1e-3  # below it, and from LARGEST_PLAIN on, a power of ten reads better than a row of zeros
LARGEST_PLAIN = 1e6
PERCENT = 100
LEAST_PERCENT = 0.1  # the last digit shown
NONE = "—"
MINUS = "−"
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
HASH_SHOWN = 12  # hexadecimal digits that tell files apart at a glance; the whole hash stands beside it


def figure(value: float | None, digits: int = DIGITS) -> str:
    """A measured number to `digits` significant digits; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return NONE
    if value == 0:
        return "0"
    sign, size = (MINUS if value < 0 else ""), abs(value)
    rounded = float(f"{size:.{digits}g}")
    if SMALLEST_PLAIN <= rounded < LARGEST_PLAIN:
        decimals = max(0, digits - 1 - math.floor(math.log10(rounded)))
        return sign + f"{rounded:,.{decimals}f}"
    mantissa, exponent = f"{size:.{digits - 1}e}".split("e")
    return f"{sign}{mantissa} × 10{str(int(exponent)).translate(SUPERSCRIPTS)}"


def count(value: int) -> str:
    """A whole number with its thousands apart."""
    return f"{value:,}"


def plural(number: int, noun: str, nouns: str | None = None) -> str:
    """`1 filter`, `1,024 filters`."""
    return f"{count(number)} {noun if number == 1 else nouns if nouns is not None else noun + 's'}"


def percent(fraction: float | None) -> str:
    """A fraction in percent, never rounded to nothing or to everything unless it is."""
    if fraction is None:
        return NONE
    if fraction in (0, 1):
        return f"{fraction * PERCENT:.0f} %"
    hundredths = fraction * PERCENT
    if hundredths < LEAST_PERCENT:
        return f"< {LEAST_PERCENT} %"
    if hundredths > PERCENT - LEAST_PERCENT:
        return f"> {PERCENT - LEAST_PERCENT} %"
    return f"{hundredths:.1f} %"


def shape(axes: Sequence[int | None] | None) -> str:
    """`224 × 224 × 3`, with `any` for an axis that is free."""
    if axes is None:
        return NONE
    return " × ".join("any" if axis is None else str(axis) for axis in axes)


def span(low: float | None, high: float | None) -> str:
    """A range of figures; a dash where neither end is known."""
    return NONE if low is None and high is None else f"{figure(low)} … {figure(high)}"


def ratio(value: float | None, reference: float | None) -> str | None:
    """`×3.2` where both are known and the reference is positive."""
    if value is None or reference is None or reference <= 0:
        return None
    return f"×{figure(value / reference, digits=3)}"


def sentence(text: str) -> str:
    """A first capital and a full stop. Not for text that starts with a name: names keep their case."""
    return stopped(text[:1].upper() + text[1:])


def stopped(text: str) -> str:
    """A full stop where there is none."""
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def flattened(values: Mapping[str, Any], prefix: str = "") -> tuple[tuple[str, str], ...]:
    """Settings as (name, value) rows in the order of names; nested names joined by a dot."""
    rows: list[tuple[str, str]] = []
    for name in sorted(values):
        value = values[name]
        if isinstance(value, Mapping):
            rows += flattened(value, f"{prefix}{name}.") if value else [(prefix + name, "none")]
        else:
            rows.append((prefix + name, setting(value)))
    return tuple(rows)


def setting(value: Any) -> str:
    """One resolved setting as it would be typed."""
    if value is None or value == "" or value == () or value == []:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(setting(item) for item in value)
    return str(value)
