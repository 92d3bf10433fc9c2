"""What a quantity is that gates can be about, and what it is measured on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from reportgen.compare.records import Comparison
from reportgen.core.commands import Command
from reportgen.core.records import LayerFacts
from reportgen.gates.measured import Result
from reportgen.report.document import ReportDocument

ONE_REPORT = (Command.BUILD, Command.SURVEY, Command.ASSEMBLE, Command.VERIFY)  # commands that have one report
ANY_REPORT = (*ONE_REPORT, Command.COMPARE)  # `compare` judges its new report


class Unit(StrEnum):
    """What a quantity is counted in."""

    FILTERS = "filters"
    LAYERS = "layers"
    NUMBER = "number"
    IMAGES = "images"
    PARAMETERS = "parameters"
    RATIO = "ratio"


class Need(StrEnum):
    """What a quantity of one report cannot be known without: an option of `build`."""

    IMAGES = "--images"
    INITIAL = "--initial"
    DATASET = "--dataset"


@dataclass(frozen=True)
class Subject:
    """What gates are judged on: a report, or a comparison and its new report.

    Attributes:
        document: of the report, of a comparison the new one.
        old: the old one; None of a single report, like `comparison`.
    """

    document: ReportDocument
    old: ReportDocument | None = None
    comparison: Comparison | None = None


Measure = Callable[[Subject, str | None, bool], Result]  # (subject, glob, of total)


@dataclass(frozen=True)
class Quantity:
    """One quantity.

    Attributes:
        name: as gates call it.
        meaning: in a clause.
        unit: what it is counted in; of filters, layers and images there are percentages, and 1 as a ratio is 100 %.
        measure: its value in a report or a comparison.
        commands: those that know it.
        scope: whether a layer of a report is one that it can be of; None where a gate names no layers.
        need: what it cannot be known without.
        of_comparison: whether it is one of two reports; its layers are then those of both.
    """

    name: str
    meaning: str
    unit: Unit
    measure: Measure
    commands: tuple[Command, ...] = ANY_REPORT
    scope: Callable[[LayerFacts], bool] | None = None
    need: Need | None = None
    of_comparison: bool = False
