"""Gates before a run, as far as they can be checked then, and after it: passed, failed, or not known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from reportgen.core.commands import Command
from reportgen.core.errors import UsageError, few
from reportgen.core.records import LayerFacts, Plan
from reportgen.gates.expression import PERCENT, Gate, parse
from reportgen.gates.measured import Measured, Place, Result, Unknown, matching
from reportgen.gates.quantity import Need, Quantity, Subject, Unit
from reportgen.gates.registry import QUANTITIES, quantities
from reportgen.render.text import named, number, percent
from reportgen.report.document import ReportDocument

SHARES = (Unit.FILTERS, Unit.LAYERS, Unit.IMAGES, Unit.PARAMETERS)  # units of which there are percentages
MOST_PLACES = 5  # layers named in a sentence
RATIO_FORMAT = ".4g"  # of a ratio in a sentence


class Outcome(StrEnum):
    """What became of a gate."""

    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"  # its value cannot be known, which counts as a failure


@dataclass(frozen=True)
class Judged:
    """A gate with its outcome; `sentence` has the gate, the value and where it comes from."""

    gate: Gate
    outcome: Outcome
    sentence: str


def is_for_another(text: str, command: Command) -> bool:
    """Return whether a gate is about what only other commands know. Raises UsageError where it is no gate."""
    owners = [quantity for quantity in QUANTITIES if quantity.name == parse(text).name]
    return bool(owners) and not any(command in quantity.commands for quantity in owners)


def read_gates(texts: Iterable[str], command: Command) -> tuple[Gate, ...]:
    """Return the gates that texts state.

    Args:
        texts: as users write them.
        command: that judges them.

    Raises:
        UsageError: a text is no gate, or none of this command.
    """
    gates = tuple(dict.fromkeys(parse(text) for text in texts))
    for gate in gates:
        _check(gate, command)
    return gates


def _check(gate: Gate, command: Command) -> None:
    quantity = _quantity(gate, command)
    if gate.glob is not None and quantity.scope is None:
        raise UsageError(
            f"--fail-on {gate.text!r}: {gate.name} is not of layers, so that it takes none in parentheses."
        )
    if gate.percent and quantity.unit not in (*SHARES, Unit.RATIO):
        raise UsageError(f"--fail-on {gate.text!r}: {gate.name} is a number that nothing is a percentage of.")
    if gate.of_total and quantity.unit != Unit.FILTERS:
        raise UsageError(f"--fail-on {gate.text!r}: `of total` is for numbers of filters.")


def _quantity(gate: Gate, command: Command) -> Quantity:
    known = {quantity.name: quantity for quantity in quantities(command)}
    if gate.name in known:
        return known[gate.name]
    others = [quantity for quantity in QUANTITIES if quantity.name == gate.name]
    if others:
        raise UsageError(
            f"--fail-on {gate.text!r}: {gate.name} is for {', '.join(others[0].commands)}, not for {command}."
        )
    raise UsageError(f"--fail-on {gate.text!r}: there is no {gate.name}; the names are {', '.join(known)}.")


def check_plan(gates: Sequence[Gate], plan: Plan, command: Command) -> None:
    """Refuse what can be refused before anything is computed.

    Raises:
        UsageError: the layers of a gate match none of the plan, or it is about what the plan does not ask for.
    """
    there = {
        Need.IMAGES: bool(plan.images),
        Need.INITIAL: plan.settings.get("initial") is not None,
        Need.DATASET: plan.dataset is not None,
    }
    for gate in gates:
        quantity = _quantity(gate, command)
        _check_layers(gate, quantity, plan.layers)
        if quantity.need is not None and not there[quantity.need]:
            raise UsageError(f"--fail-on {gate.text!r}: {gate.name} cannot be known without {quantity.need}.")


def _check_layers(gate: Gate, quantity: Quantity, layers: Iterable[LayerFacts]) -> None:
    if quantity.scope is None:
        return
    of_it = [layer for layer in layers if quantity.scope(layer)]
    if gate.glob is not None and not matching(of_it, gate.glob):
        paths = list(dict.fromkeys(layer.path for layer in of_it))
        there = f"those that it can be of are {few(paths)}" if paths else "there is none that it can be of"
        raise UsageError(f"--fail-on {gate.text!r}: {gate.glob} matches no layer; {there}.")


def check_layers(
    gates: Sequence[Gate], document: ReportDocument, command: Command, old: ReportDocument | None = None
) -> None:
    """Refuse gates whose layers match none.

    Args:
        gates: as they were read.
        document: of the report, of a comparison the new one.
        command: that judges them.
        old: of a comparison the old one.

    Raises:
        UsageError: there is such a gate.
    """
    for gate in gates:
        quantity = _quantity(gate, command)
        others = () if old is None or not quantity.of_comparison else old.layers
        _check_layers(gate, quantity, (*document.layers, *others))


def judge(gates: Sequence[Gate], subject: Subject, command: Command) -> tuple[Judged, ...]:
    """Return the outcome of each gate.

    Raises:
        UsageError: as `check_layers`.
    """
    check_layers(gates, subject.document, command, subject.old)
    return tuple(
        _judged(
            gate, _quantity(gate, command).measure(subject, gate.glob, gate.of_total), _quantity(gate, command).unit
        )
        for gate in gates
    )


def _judged(gate: Gate, found: Result, unit: Unit) -> Judged:
    if isinstance(found, Unknown):
        return Judged(gate, Outcome.UNKNOWN, f"{gate.text}: not known, since {found.why}.")
    scale = found.base if gate.percent and unit in SHARES and found.base is not None else 1
    low, high = (found.value, found.value) if found.bounds is None else found.bounds
    fails = gate.verdict(low / scale, None if high is None else high / scale)
    words = _value_words(gate, found, scale)
    if fails is None:
        return Judged(gate, Outcome.UNKNOWN, f"{gate.text}: not known, since {found.lost}; known so far: {words}.")
    if not fails:
        return Judged(gate, Outcome.PASSED, f"{gate.text}: {words}.")
    places = found.where(lambda value: gate.holds(value / scale))
    return Judged(gate, Outcome.FAILED, f"{gate.text}: {words}{_where(places)}.")


def _value_words(gate: Gate, found: Measured, scale: int) -> str:
    """The value, where the limit is a percentage as one."""
    if found.is_ratio:
        number = _percent(found.value, gate.limit) if gate.percent else f"{float(found.value):{RATIO_FORMAT}}"
        return number + found.words
    return f"{_percent(found.value / scale, gate.limit)}, {found.words}" if gate.percent else found.words


def _percent(value: Fraction, limit: Fraction) -> str:
    """A share in percent, which may be above 100, with all digits where fewer would read like the limit."""
    short = _short(value)
    return f"{float(value * PERCENT)} %" if value != limit and short == _short(limit) else short


def _short(value: Fraction) -> str:
    return percent(float(value)) if value <= 1 else f"{number(float(value * PERCENT))} %"


def _where(places: Sequence[Place]) -> str:
    """The places, the first ones by name: `: conv3 (filters 7, 9), conv4 (filter 12) and 3 more`."""
    if not places:
        return ""
    return f": {few([_place(place) for place in places], MOST_PLACES)}"


def _place(place: Place) -> str:
    if not place.filters:
        return place.layer
    return f"{place.layer} ({'filter' if len(place.filters) == 1 else 'filters'} {named(place.filters)})"
