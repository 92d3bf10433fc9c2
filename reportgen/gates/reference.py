"""The table of the documentation that lists what gates can be about: `python -m reportgen.gates.reference`, for docs/gates.md."""

from __future__ import annotations

from collections.abc import Iterator

from reportgen.core.commands import Command
from reportgen.gates.quantity import Quantity
from reportgen.gates.registry import QUANTITIES

BAR = r"\|"  # what the character is inside a cell of a table


def table() -> Iterator[str]:
    """Yield the lines of the table."""
    yield from ("| name | what it is | unit | of layers | needs | commands |", "|---|---|---|---|---|---|")
    yield from (_row(quantity) for quantity in QUANTITIES)


def _row(quantity: Quantity) -> str:
    name = f"`{quantity.name}`"
    layers = "yes" if quantity.scope is not None else ""
    need = "" if quantity.need is None else f"`{quantity.need}`"
    commands = ", ".join(str(command) for command in Command if command in quantity.commands)
    cells = (name, quantity.meaning, quantity.unit, layers, need, commands)
    return f"| {' | '.join(str(cell).replace('|', BAR) for cell in cells)} |"


if __name__ == "__main__":
    print("\n".join(table()))
