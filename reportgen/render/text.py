"""Numbers, counts and lists in words: the only place where pages and captions format a number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

DIGITS = 4  # significant digits of a score on a page or in a caption; report.json has them all
SMALLEST_PLAIN = 1e-3  # below it, and from LARGEST_PLAIN on, a power of ten reads better than a row of zeros
LARGEST_PLAIN = 1e6
PERCENT = 100
LEAST_PERCENT = 0.1  # the last digit shown
NAMED = 8  # more numbers than this are too many for a sentence
THOUSAND = 1000
UNITS = ("bytes", "kB", "MB", "GB", "TB")
MINUTE, HOUR = 60, 3600  # seconds
NONE = "—"
AXIS_UNITS = {1: "steps", 2: "pixels", 3: "voxels"}  # by number of spatial axes


@dataclass(frozen=True)
class Nouns:
    """What a page calls an input of the model.

    Attributes:
        one: one of the user's.
        part: a part of one, at its own resolution.
        made: one that was optimized.
    """

    one: str
    part: str
    made: str


NOUNS = {  # by number of spatial axes
    1: Nouns("signal", "section", "signal"),
    2: Nouns("image", "crop", "picture"),
    3: Nouns("volume", "block", "volume"),
}
OF_IMAGES = NOUNS[2]
MINUS = "−"
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float | None) -> str:
    """Return a measured number to DIGITS significant digits; a dash where there is none or it is not finite."""
    if value is None or not math.isfinite(value):
        return NONE
    if value == 0:
        return "0"
    sign, size = (MINUS if value < 0 else ""), abs(value)
    rounded = float(f"{size:.{DIGITS}g}")
    if SMALLEST_PLAIN <= rounded < LARGEST_PLAIN:
        decimals = max(0, DIGITS - 1 - math.floor(math.log10(rounded)))
        return sign + f"{rounded:,.{decimals}f}"
    mantissa, exponent = f"{size:.{DIGITS - 1}e}".split("e")
    return f"{sign}{mantissa} × 10{str(int(exponent)).translate(SUPERSCRIPTS)}"


def stated(value: float) -> str:
    """Return a number that somebody chose, as they would type it, with a true minus sign: `255`, `−1`, `0.5`."""
    return (MINUS if value < 0 else "") + f"{abs(value):g}"


def count(value: int) -> str:
    """Return a whole number with a comma between thousands."""
    return f"{value:,}"


def data_size(size: int) -> str:
    """Return a number of bytes in decimal units: `26.2 MB`."""
    scaled, unit = float(size), 0
    while scaled >= THOUSAND and unit < len(UNITS) - 1:
        scaled, unit = scaled / THOUSAND, unit + 1
    return f"{scaled:.1f} {UNITS[unit]}" if unit else f"{size} {UNITS[0]}"


def elapsed(seconds: float) -> str:
    """Return how long something took: `44 s`, `3 min 12 s`, `2 h 5 min`."""
    whole = max(1, round(seconds))
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE} s"
    return f"{whole // HOUR} h {whole % HOUR // MINUTE} min"


def plural(amount: int, noun: str, nouns: str | None = None) -> str:
    """Return `1 filter` or `1,024 filters`; `nouns` where the plural does not end in s."""
    return f"{count(amount)} {noun if amount == 1 else nouns if nouns is not None else noun + 's'}"


def percent(fraction: float | None) -> str:
    """Return a fraction in percent, never rounded to 0 or 100 unless it is that."""
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
    """Return `224 × 224 × 3`, with `variable` for an axis that is free."""
    if axes is None:
        return NONE
    return " × ".join("variable" if axis is None else str(axis) for axis in axes)


def dimensions(lengths: Sequence[int | None]) -> str:
    """Return the size of a signal, picture or volume: `200 steps`, `224 × 224 pixels`, `8 × 64 × 64 voxels`."""
    return f"{shape(lengths)} {AXIS_UNITS[len(lengths)]}"


def span(low: float | None, high: float | None) -> str:
    """Return a range of scores; a dash where neither end is known."""
    return NONE if low is None and high is None else f"{number(low)} … {number(high)}"


def ratio(value: float | None, reference: float | None) -> str | None:
    """Return `3.200×` where both are known and the reference is positive; otherwise None."""
    if value is None or reference is None or reference <= 0:
        return None
    return f"{number(value / reference)}×"


def named(numbers: Sequence[int]) -> str:
    """Return the first few of `numbers` and how many more there are: "5, 12, 40 and 17 more"."""
    shown = ", ".join(str(item) for item in numbers[:NAMED])
    return shown if len(numbers) <= NAMED else f"{shown} and {len(numbers) - NAMED} more"


def listed(items: Sequence[str]) -> str:
    """Return `3, 2 and 1`."""
    return " and ".join((", ".join(items[:-1]), items[-1])) if len(items) > 1 else "".join(items)
