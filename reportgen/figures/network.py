"""Draft."""

from reportgen.figures.sheet import Sheet
from reportgen.figures.source import Drawn, Facts


def draw(facts: Facts, sheet: Sheet) -> Drawn | None:
    """Draw."""
    return None
