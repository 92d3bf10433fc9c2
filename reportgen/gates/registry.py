"""The list of everything that a gate can be about. docs/gates.md and help are read off it."""

from __future__ import annotations

from reportgen.core.commands import Command
from reportgen.gates.comparison_quantities import COMPARISON_QUANTITIES
from reportgen.gates.quantity import Quantity
from reportgen.gates.report_quantities import REPORT_QUANTITIES

QUANTITIES = (*REPORT_QUANTITIES, *COMPARISON_QUANTITIES)


def quantities(command: Command) -> tuple[Quantity, ...]:
    """Return what gates of a command can be about."""
    return tuple(quantity for quantity in QUANTITIES if command in quantity.commands)
