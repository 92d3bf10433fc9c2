"""model-card.md: the model under the headings of Mitchell et al. (2019), the user's statement quoted as theirs."""

from __future__ import annotations

from collections.abc import Iterator

from reportgen.archive.markdown import link, plain, quoted, table
from reportgen.archive.subject import GRID, NOT_STATED, STRIP, Subject, judged, share_words, silent_words
from reportgen.core.verdicts import DEAD, SILENT
from reportgen.render.text import count, percent, plural
from reportgen.render.wording import stopped
from reportgen.report.location import PAYLOAD

MISSING = f"*{NOT_STATED[0].upper()}{NOT_STATED[1:]}.*"
LABELS = {
    "name": "Name",
    "version": "Version",
    "date": "Date",
    "owner": "Owner",
    "contact": "Contact",
    "license": "License",
    "source": "Source",
    "domain": "Domain",
    "standards": "Standards",
    "energy": "Energy",
    "signed_by": "Signed by",
}


def model_card(subject: Subject) -> bytes:
    """Return the content of model-card.md."""
    return ("\n\n".join(_sections(subject)) + "\n").encode()


def _sections(subject: Subject) -> Iterator[str]:
    statement = subject.statement
    yield f"# Model card: {plain(subject.name)}"
    yield (
        f"What is quoted here is the user's statement, as given to `reportgen archive`; all else is what reportgen read or measured, and "
        f"stands in {link(f'{PAYLOAD}report.json')}. The report's first page is {link(f'{PAYLOAD}index.html')}."
    )
    yield "## Model details"
    yield from _stated(subject, *LABELS)
    yield _facts(subject)
    if statement.changes is not None:
        yield "Changes since the version before:"
        yield quoted(statement.changes)
    yield "## Intended use"
    yield from _quotations(("Purpose", statement.purpose), ("Users", statement.users))
    yield from _quotations(("Out of scope", statement.out_of_scope), ("Autonomy", statement.autonomy))
    yield "## Factors"
    yield from _quotations(("Persons and groups affected", statement.people))
    yield "## Metrics"
    yield (
        "Of each filter: the activation score (the mean of its feature map after the activation function, a border excluded) of a pattern "
        "found by gradient ascent, compared with the largest score on the user's images, and a verdict that follows from both. "
        f"{plain(subject.accuracy_words)}"
    )
    yield from _quotations(("Thresholds", statement.thresholds))
    yield "## Evaluation data"
    yield _images(subject)
    if subject.dataset_words is not None:
        yield f"Measured besides: {plain(subject.dataset_words)}."
    yield from _quotations(("Validation", statement.validation))
    yield "## Training data"
    yield from _quotations(("Data", statement.data), ("Training", statement.training))
    yield "## Quantitative analyses"
    yield from _analyses(subject)
    yield "## Ethical considerations"
    yield from _quotations(("Risks", statement.people), ("Personal data", statement.personal_data))
    yield "## Caveats and recommendations"
    yield "\n".join(f"- {limit}" for limit in subject.method_limits)
    if subject.document.problems:
        yield "Problems that the report names:"
        yield "\n".join(f"- {plain(stopped(problem))}" for problem in subject.document.problems)
    yield from _quotations(("Limits", statement.limits))


def _stated(subject: Subject, *names: str) -> Iterator[str]:
    for name in names:
        value = getattr(subject.statement, name)
        if value is not None:
            yield f"{LABELS[name]}:"
            yield quoted(value)
    missing = [LABELS[name].lower() for name in names if getattr(subject.statement, name) is None]
    if missing:
        yield f"*{NOT_STATED[0].upper()}{NOT_STATED[1:]}: {', '.join(missing)}.*"


def _quotations(*items: tuple[str, str | None]) -> Iterator[str]:
    for label, text in items:
        yield f"{label}:" if text is not None else f"{label}: {MISSING}"
        if text is not None:
            yield quoted(text)


def _facts(subject: Subject) -> str:
    document = subject.document
    model, environment = document.model, document.environment
    rows = [
        ("model read by the tool", plain(f"{model.name} ({model.source})")),
        ("SHA-256 of the file", model.sha256 or "none: the model was no file"),
        ("SHA-256 of architecture and weights", model.weights_sha256),
        ("parameters", count(model.parameters)),
        ("input", plain(subject.input_words)),
        *(("output", plain(words)) for words in subject.outputs),
        ("computed with", plain(", ".join(f"{name} {environment[name]}" for name in sorted(environment)))),
    ]
    return table(("fact", "value"), rows)


def _images(subject: Subject) -> str:
    images = subject.document.images
    if not images:
        return "The report was built without images."
    rows = [
        (
            plain(image.name),
            image.sha256,
            ""
            if not image.predictions
            else plain(f"{image.predictions[0].label} {_probability(image.predictions[0])}"),
        )
        for image in images
    ]
    return table(("image", "SHA-256", "most probable class"), rows)


def _probability(prediction: object) -> str:
    return percent(getattr(prediction, "probability", None))


def _analyses(subject: Subject) -> Iterator[str]:
    if subject.layers:
        yield from _verdicts(subject)
    else:
        yield "The report has no patterns."
    if subject.surveyed:
        yield "Filters whose feature maps are zero on every image of the data set:"
        yield table(
            ("layer", "filters of all", "page"),
            ((plain(layer.path), silent_words(layer), link(subject.page(layer))) for layer in subject.surveyed),
        )
    yield "What the checks of model health found:"
    yield table(
        ("check", "status", "finding"),
        ((each.check, each.status, plain(each.sentence)) for each in subject.document.health),
    )
    for layer in subject.pictured:
        yield f"![Patterns of layer {plain(layer.path)}]({subject.figure(layer, STRIP)})"


def _verdicts(subject: Subject) -> Iterator[str]:
    counted = ", ".join(f"{count(number)} {word}" for word, number in subject.verdicts.items())
    yield f"Verdicts on {plural(subject.filters_shown, 'filter')} shown in {plural(len(subject.layers), 'layer')}: {counted}."
    yield table(
        ("layer", "filters shown of all", "dead", "silent", "page", "patterns"),
        (
            (
                plain(layer.path),
                f"{count(judged(layer))} of {count(layer.filters_total)}",
                share_words(layer, DEAD),
                share_words(layer, SILENT),
                link(subject.page(layer)),
                "" if (figure := subject.figure(layer, GRID)) is None else link(figure),
            )
            for layer in subject.layers
        ),
    )
