"""audit.md: where each clause that auditors ask for is answered, by page, figure and number, or that the tool does not state it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from reportgen.archive.markdown import link, plain, table
from reportgen.archive.subject import GRID, INDEX, NOT_STATED, Subject, judged, silent_words
from reportgen.core.verdicts import DEAD, SILENT
from reportgen.render.text import count, percent, plural
from reportgen.report.health.record import Status
from reportgen.report.location import FACTS_FILE, PAYLOAD

AI_ACT, NIST, ISO, FDA = "EU AI Act, Annex IV", "NIST AI RMF 1.0", "ISO/IEC 42001", "FDA draft guidance, January 2025"
FIRST_PAGE, FACTS = PAYLOAD + INDEX, PAYLOAD + FACTS_FILE
INTRODUCTION = f"""\
Where this archive answers what auditors ask for. "User" marks what the user states and the tool cannot check; "{NOT_STATED}" what is in
neither the report nor the statement. The clauses are named, not quoted: read them in their own documents. This table is not a
statement of conformity."""


@dataclass(frozen=True)
class Clause:
    """One thing that is asked for.

    Attributes:
        source: the document that asks.
        number: of the clause.
        subject: what it asks for, in short.
        answers: returns what the archive has on it; nothing where it has nothing.
    """

    source: str
    number: str
    subject: str
    answers: Callable[[Subject], Iterator[str]]


def audit(subject: Subject) -> bytes:
    """Return the content of audit.md."""
    rows = (
        (plain(each.source), each.number, each.subject, "<br>".join(each.answers(subject)) or NOT_STATED)
        for each in CLAUSES
    )
    parts = (
        f"# Audit table: {plain(subject.name)}",
        INTRODUCTION,
        table(("source", "clause", "asks for", "answer"), rows),
        "## Numbers by layer",
        _layers(subject),
    )
    return ("\n\n".join(parts) + "\n").encode()


def _layers(subject: Subject) -> str:
    if not subject.layers:
        return "The report has no patterns, so no filter has a verdict."
    rows = [
        (
            plain(layer.path),
            link(subject.page(layer)),
            "" if (figure := subject.figure(layer, GRID)) is None else link(figure),
            count(judged(layer)),
            count(layer.verdicts.get(DEAD, 0)),
            count(layer.verdicts.get(SILENT, 0)),
        )
        for layer in subject.layers
    ]
    return table(("layer", "page", "figure of patterns", "filters shown", "dead", "silent"), rows)


def _user(*names: str) -> Callable[[Subject], Iterator[str]]:
    """Answers with what the user states under these keys."""

    def answers(subject: Subject) -> Iterator[str]:
        for name in names:
            value = getattr(subject.statement, name)
            if value is not None:
                yield f"User, {name.replace('_', ' ')}: “{plain(value)}”"

    return answers


def _together(*parts: Callable[[Subject], Iterator[str]]) -> Callable[[Subject], Iterator[str]]:
    def answers(subject: Subject) -> Iterator[str]:
        for part in parts:
            yield from part(subject)

    return answers


def _identity(subject: Subject) -> Iterator[str]:
    model = subject.document.model
    yield (
        f"{link(FIRST_PAGE)}, model facts: {plain(model.source)}, SHA-256 {model.sha256 or 'none (no file)'}, "
        f"of architecture and weights {model.weights_sha256}"
    )


def _software(subject: Subject) -> Iterator[str]:
    environment = subject.document.environment
    stated = ", ".join(f"{name} {environment[name]}" for name in sorted(environment) if name != "device")
    yield f"{link('environment.txt')}; the report was computed with {plain(stated)}"


def _hardware(subject: Subject) -> Iterator[str]:
    device = subject.document.environment.get("device")
    if device:
        yield f"Only of the report itself: computed on {plain(str(device))} ({link(FACTS)}, `environment`)"


def _architecture(subject: Subject) -> Iterator[str]:
    model = subject.document.model
    yield (
        f"{link(FIRST_PAGE)}, architecture and layer table: {plural(model.parameters, 'parameter')}, "
        f"{plural(len(subject.convolutions), 'layer')} with filters in the report; input {plain(subject.input_words)}"
    )
    for words in subject.outputs:
        yield f"Output: {plain(words)}"


def _filters(subject: Subject) -> Iterator[str]:
    """What the filters respond to, with a figure of a few layers."""
    for layer in subject.pictured:
        figure = subject.figure(layer, GRID)
        place = f"{link(subject.page(layer))}" + ("" if figure is None else f", figure {link(figure)}")
        yield f"What the filters of {plain(layer.path)} respond to: {place}, {plural(judged(layer), 'filter')}"


def _health(subject: Subject) -> Iterator[str]:
    if not subject.layers:
        return
    counted = ", ".join(f"{count(number)} {word}" for word, number in subject.verdicts.items())
    yield f"{link(FIRST_PAGE)}, verdicts: of {plural(subject.filters_shown, 'filter')} shown, {counted}; by layer below"


def _checks(subject: Subject) -> Iterator[str]:
    """The checks of model health: how many there are, and each that warns."""
    found = [each for each in subject.document.health if each.status == Status.WARNING]
    place = link(f"{FIRST_PAGE}#health")
    if subject.document.health:
        yield f"{place}: {plural(len(subject.document.health), 'check')} of model health, {plural(len(found), 'warning')}"
    yield from (f"{place}, {each.check}: {plain(each.sentence)}" for each in found)


def _survey(subject: Subject) -> Iterator[str]:
    """What the images of a data set show."""
    if subject.dataset_words is None:
        return
    yield f"{link(f'{FIRST_PAGE}#data')}: {plain(subject.dataset_words)}"
    if subject.outcome is not None:
        yield plain(subject.accuracy_words)
    for layer in subject.surveyed:
        assert layer.data is not None
        if layer.data.silent_filters:
            yield f"{link(subject.page(layer))}: {silent_words(layer)} filters are zero on every image of the data set"


def _predictions(subject: Subject) -> Iterator[str]:
    images = subject.document.images
    if not subject.is_classifier:
        return
    yield f"{link(FIRST_PAGE)}, predictions of {plural(len(images), 'image')} of the user: single examples, no rate of error"
    for image in images[:1]:
        if image.predictions:
            first = image.predictions[0]
            yield f"For example {plain(image.name)}: {plain(first.label)}, {percent(first.probability)}"


def _limits(subject: Subject) -> Iterator[str]:
    yield f"{link('model-card.md')}, caveats: limits of the method"
    problems = subject.document.problems
    yield (
        f"{link(FIRST_PAGE)}: {plural(len(problems), 'problem')} named"
        if problems
        else f"{link(FIRST_PAGE)}: no problem named"
    )


def _tests(subject: Subject) -> Iterator[str]:
    dated = "without a date" if subject.date is None else f"dated {subject.date}"
    yield f"This report is a test of the filters, {dated}; `reportgen verify` checks it, a detached signature signs it"


def _method(subject: Subject) -> Iterator[str]:
    for layer in subject.pictured[:1]:
        if layer.patterns is not None:
            yield (
                f"{link(subject.page(layer))}, method: {plural(layer.patterns.steps, 'step')} of gradient ascent, "
                f"seed {subject.document.settings.get('seed', 0)}; every parameter in {link(FACTS)}, `patterns.recipe`"
            )


def _preprocessing(subject: Subject) -> Iterator[str]:
    contract = subject.document.input
    yield f"{link(FACTS)}, `input`: preprocessing {plain(contract.preprocess)} ({plain(contract.reason)})"


def _nothing(subject: Subject) -> Iterator[str]:
    return iter(())


CLAUSES = (
    Clause(
        AI_ACT, "1(a)", "purpose, provider, version", _together(_user("purpose", "owner", "version", "name"), _identity)
    ),
    Clause(AI_ACT, "1(b)", "interaction with other hardware and software", _nothing),
    Clause(AI_ACT, "1(c)", "versions of software", _software),
    Clause(AI_ACT, "1(d)", "forms in which it is placed on the market", _user("source", "license")),
    Clause(AI_ACT, "1(e)", "hardware that it runs on", _hardware),
    Clause(AI_ACT, "1(f)–(h)", "product, user interface, instructions for use", _user("users")),
    Clause(
        AI_ACT,
        "2(b)",
        "general logic, design choices, what is optimized for, expected output",
        _together(_architecture, _filters, _user("training", "data", "standards")),
    ),
    Clause(
        AI_ACT,
        "2(g)",
        "validation and test: data, metrics, logs and reports, dated and signed",
        _together(_tests, _health, _checks, _survey, _predictions, _user("validation", "signed_by")),
    ),
    Clause(
        AI_ACT,
        "3",
        "capabilities and limits, foreseeable risks, specification of input data",
        _together(
            _health, _checks, _limits, _preprocessing, _user("limits", "out_of_scope", "people", "personal_data")
        ),
    ),
    Clause(AI_ACT, "6", "changes through the lifecycle", _user("changes")),
    Clause(
        NIST,
        "MEASURE 2.9",
        "the model is explained, validated and documented; its output is interpreted in context",
        _together(_filters, _method, _health, _checks, _survey, _user("purpose", "validation")),
    ),
    Clause(
        ISO,
        "A.6.2.7",
        "technical documentation for interested parties",
        _together(
            _identity, _architecture, lambda subject: iter((f"{link('model-card.md')}, {link('bom.cdx.json')}",))
        ),
    ),
    Clause(
        FDA,
        "model description: inputs and outputs",
        "what the model takes and gives",
        _together(_architecture, _preprocessing),
    ),
    Clause(FDA, "model description: architecture", "layers, features, parameters", _together(_architecture, _filters)),
    Clause(FDA, "model description: training", "data, optimization, loss function", _user("data", "training")),
    Clause(
        FDA,
        "model description: quality control",
        "criteria for input data, thresholds",
        _user("thresholds", "validation"),
    ),
)
