"""The condition of a gate as users write it: `NAME[(LAYER GLOB)] OPERATOR NUMBER[%] [of total]`."""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from fractions import Fraction

from reportgen.core.errors import UsageError

OPERATORS = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}
FORM = "NAME[(LAYER GLOB)] OPERATOR NUMBER[%] [of total]"
GRAMMAR = re.compile(
    r"""(?P<name>[A-Za-z_]\w*) \s*
        (?:\( \s* (?P<glob>.*?) \s* \) \s*)?      # a layer's name may contain parentheses: the last one before the operator ends it
        (?P<operator>>=|<=|==|!=|>|<) \s*
        (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?) \s*
        (?P<percent>%)?
        (?P<total>\s* of \s+ total)?""",
    re.VERBOSE | re.ASCII,
)
PERCENT = 100


@dataclass(frozen=True)
class Gate:
    """A condition under which a command fails.

    Attributes:
        text: as the user wrote it, in one line.
        name: of the quantity.
        glob: the layers that it is of, matched as `--layers` does; None for all.
        operator: between the quantity and the limit, a key of OPERATORS.
        limit: the number, of a percentage the fraction.
        percent: whether the number is a percentage.
        of_total: whether every filter counts, not those alone that the report shows.
    """

    text: str
    name: str
    glob: str | None
    operator: str
    limit: Fraction
    percent: bool
    of_total: bool

    def holds(self, value: Fraction) -> bool:
        """Return whether a value is one that the gate fails on."""
        return bool(OPERATORS[self.operator](value, self.limit))

    def verdict(self, low: Fraction, high: Fraction | None) -> bool | None:
        """Return whether the gate fails on a value of which bounds are known.

        Args:
            low: the least that it can be.
            high: the most; None where there is no bound.

        Returns:
            True where it fails on all of these values, False where it fails on none, None where that is not known.
        """
        if low == high:
            return self.holds(low)
        if self.operator in ("==", "!="):
            inside = low <= self.limit and (high is None or self.limit <= high)
            return None if inside else self.operator == "!="
        upwards = self.operator in (">", ">=")
        at_high = upwards if high is None else self.holds(high)
        return self.holds(low) if self.holds(low) == at_high else None


def parse(text: str) -> Gate:
    """Return the gate that a text states; which names there are is not looked at.

    Raises:
        UsageError: the text is of another form.
    """
    line = " ".join(text.split())
    found = GRAMMAR.fullmatch(line)
    if found is None or found["glob"] == "":
        raise UsageError(f"--fail-on {line!r} is not of the form {FORM}, such as 'dead_filters > 5%'.")
    limit = Fraction(found["number"])
    return Gate(
        text=line,
        name=found["name"],
        glob=found["glob"],
        operator=found["operator"],
        limit=limit / PERCENT if found["percent"] else limit,
        percent=found["percent"] is not None,
        of_total=found["total"] is not None,
    )
