"""bom.cdx.json: the model as a CycloneDX 1.6 machine-learning bill of materials, with what the report measured as its metrics."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeGuard
from urllib.parse import quote

from reportgen.archive.subject import INDEX, MEASURED, STRIP, Subject, judged, share, silent_words
from reportgen.core import __version__
from reportgen.core.store import json_bytes
from reportgen.render.text import plural
from reportgen.render.wording import stopped
from reportgen.report.location import FACTS_FILE, PAYLOAD

SPECIFICATION = "1.6"
MODEL, DESCRIBED = "model", "described-model"
FAMILY = "convolutional neural network"
LIBRARIES = ("tensorflow", "keras", "numpy", "pillow")  # that computed the report; environment.txt has all
NAMESPACE = uuid.UUID("6f1a6a0e-3c1f-5d0b-9b60-2f5a0b6f9a11")  # of serial numbers, any fixed one
JSON = dict[str, Any]


def bom(subject: Subject) -> bytes:
    """Return the content of bom.cdx.json."""
    statement = subject.statement
    facts = subject.files[FACTS_FILE].sha256
    component: JSON = {
        **_identity(subject),
        "bom-ref": MODEL,
        "purl": _purl(subject),
        "modelCard": _model_card(subject),
        "externalReferences": [
            {
                "type": "documentation",
                "url": f"{PAYLOAD}{INDEX}",
                "hashes": [{"alg": "SHA-256", "content": subject.files[INDEX].sha256}],
            }
        ],
        "properties": [{"name": f"reportgen:{name}", "value": value} for name, value in _properties(subject)],
    }
    metadata: JSON = {
        "tools": {"components": [{"type": "application", "name": "reportgen", "version": __version__}]},
        "component": {**_identity(subject), "bom-ref": DESCRIBED},
        "properties": _named(SUPPLY, subject),
    }
    if statement.owner is not None:
        metadata["supplier"] = {"name": statement.owner}
    if statement.signed_by is not None:
        metadata["authors"] = [{"name": statement.signed_by}]
    if subject.date is not None:
        metadata["timestamp"] = f"{subject.date}T00:00:00Z"
    libraries = _libraries(subject)
    content: JSON = {
        "bomFormat": "CycloneDX",
        "specVersion": SPECIFICATION,
        "serialNumber": f"urn:uuid:{uuid.uuid5(NAMESPACE, f'{facts} {subject.statement_sha256} {subject.date}')}",
        "version": 1,
        "metadata": metadata,
        "components": [component, *libraries],
        "dependencies": [
            {"ref": DESCRIBED, "dependsOn": [MODEL]},
            {"ref": MODEL, "dependsOn": [library["bom-ref"] for library in libraries]},
            *({"ref": library["bom-ref"]} for library in libraries),
        ],
    }
    if _is_reference(statement.source):
        content["externalReferences"] = [{"type": "distribution", "url": statement.source}]
    return json_bytes(content)


def _identity(subject: Subject) -> JSON:
    """What the model is called, whose it is, and the hash of its file."""
    statement, model = subject.statement, subject.document.model
    found: JSON = {
        "type": "machine-learning-model",
        "name": subject.name,
        "description": statement.purpose or _description(subject),
    }
    if model.sha256 is not None:
        found["hashes"] = [{"alg": "SHA-256", "content": model.sha256}]
    if statement.version is not None:
        found["version"] = statement.version
    if statement.license is not None:
        found["licenses"] = [{"license": {"name": statement.license}}]
    if statement.owner is not None:
        found["supplier"] = found["manufacturer"] = {"name": statement.owner}
    return found


def _purl(subject: Subject) -> str:
    """The model's package URL: of no registry, with the hash of its file."""
    version, sha256 = subject.statement.version, subject.document.model.sha256
    stated = "" if version is None else f"@{quote(version, safe='')}"
    return f"pkg:generic/{quote(subject.name, safe='')}{stated}" + (
        "" if sha256 is None else f"?checksum=sha256:{sha256}"
    )


def _named(names: Mapping[str, Callable[[Subject], str | None]], subject: Subject) -> list[JSON]:
    """Properties under the names that the AIBOM fields of OWASP have, of which something is known."""
    values = ((name, value(subject)) for name, value in names.items())
    return [{"name": name, "value": value} for name, value in values if value is not None]


def _description(subject: Subject) -> str:
    model = subject.document.model
    return f"Convolutional network of {plural(model.parameters, 'parameter')}, read from {model.source}."


def _model_card(subject: Subject) -> JSON:
    statement = subject.statement
    parameters: JSON = {
        "architectureFamily": FAMILY,
        "modelArchitecture": subject.document.model.name,
        "inputs": [{"format": subject.input_words}],
        "outputs": [{"format": words} for words in subject.outputs],
    }
    if subject.is_classifier:
        parameters["task"] = "classification"
    if statement.data is not None:
        parameters["datasets"] = [
            {"type": "dataset", "name": "training data, as the user states", "description": statement.data}
        ]
    considerations: JSON = {"technicalLimitations": list(_limitations(subject))}
    if statement.users is not None:
        considerations["users"] = [statement.users]
    if statement.purpose is not None:
        considerations["useCases"] = [statement.purpose]
    if statement.people is not None:
        considerations["ethicalConsiderations"] = [{"name": statement.people}]
    return {
        "modelParameters": parameters,
        "quantitativeAnalysis": {
            "performanceMetrics": list(_metrics(subject)),
            "graphics": {
                "description": "Patterns that gradient ascent found for filters, from an early to a late layer.",
                "collection": list(_graphics(subject)),
            },
        },
        "considerations": considerations,
        "properties": _named(CARD, subject),
    }


def _metrics(subject: Subject) -> Iterator[JSON]:
    for layer in subject.layers:
        counted = judged(layer)
        for word in MEASURED:
            yield {
                "type": f"share of {word} filters",
                "value": repr(share(layer, word)),
                "slice": f"layer {layer.path}: {layer.verdicts.get(word, 0)} of {counted} filters shown, {layer.filters_total} in all",
            }
    outcome, data = subject.outcome, subject.document.dataset
    if outcome is not None and data is not None:
        where = f"{plural(outcome.images, 'labeled image')} of the data set {data.source}, SHA-256 {data.sha256}"
        yield {"type": "accuracy", "value": repr(outcome.accuracy), "slice": where}
    for layer in subject.surveyed:
        assert layer.data is not None
        yield {
            "type": "share of filters that are zero on every image of the data set",
            "value": repr(len(layer.data.silent_filters) / layer.filters_total),
            "slice": f"layer {layer.path}: {silent_words(layer)} filters, {plural(layer.data.images, 'image')}",
        }
    for layer in subject.convolutions:
        if layer.weights is not None and layer.weights.zero_fraction is not None:
            yield {
                "type": "share of weights that are zero",
                "value": repr(layer.weights.zero_fraction),
                "slice": f"layer {layer.path}",
            }


def _graphics(subject: Subject) -> Iterator[JSON]:
    for layer in subject.pictured:
        path = subject.figure(layer, STRIP)
        assert path is not None
        content = base64.b64encode(subject.read(path.removeprefix(PAYLOAD))).decode()
        yield {
            "name": f"Patterns of layer {layer.path} ({path})",
            "image": {"contentType": "image/png", "encoding": "base64", "content": content},
        }


def _limitations(subject: Subject) -> Iterator[str]:
    yield from subject.method_limits
    yield from (f"The report names a problem: {stopped(problem)}" for problem in subject.document.problems)
    if subject.statement.limits is not None:
        yield f"Stated by the user: {subject.statement.limits}"
    if subject.statement.out_of_scope is not None:
        yield f"Out of scope, as the user states: {subject.statement.out_of_scope}"


def _properties(subject: Subject) -> Iterator[tuple[str, str]]:
    document, statement = subject.document, subject.statement
    yield "source", document.model.source
    yield "weights_sha256", document.model.weights_sha256
    yield "parameters", str(document.model.parameters)
    yield "schema", document.schema
    yield "report_sha256", subject.files[FACTS_FILE].sha256
    yield "images", str(len(document.images))
    yield "filters_shown", str(subject.filters_shown)
    yield from ((f"verdicts:{word}", str(number)) for word, number in subject.verdicts.items())
    yield from ((f"environment:{name}", str(value)) for name, value in sorted(document.environment.items()))
    yield from ((f"statement:{name}", value) for name, value in statement.items())


def _libraries(subject: Subject) -> list[JSON]:
    """The libraries that computed the report, with the hash of their files as a property: it is that of no single file."""
    stated = {each.name: each for each in subject.distributions}
    libraries = []
    for name in LIBRARIES:
        version = subject.document.environment.get(name)
        if version is None:
            continue
        library: JSON = {
            "type": "library",
            "bom-ref": f"pkg:pypi/{name}@{version}",
            "name": name,
            "version": version,
            "purl": f"pkg:pypi/{name}@{version}",
        }
        known = stated.get(name)
        if known is not None and known.sha256 is not None:
            library["properties"] = [{"name": "reportgen:files_sha256", "value": known.sha256}]
        libraries.append(library)
    return libraries


def _stated(name: str) -> Callable[[Subject], str | None]:
    def value(subject: Subject) -> str | None:
        found: str | None = getattr(subject.statement, name)
        return found

    return value


SUPPLY: Mapping[str, Callable[[Subject], str | None]] = {
    "primaryPurpose": _stated("purpose"),
    "suppliedBy": _stated("owner"),
    "standardCompliance": _stated("standards"),
    "domain": _stated("domain"),
    "autonomyType": _stated("autonomy"),
    "typeOfModel": lambda subject: FAMILY,
}
CARD: Mapping[str, Callable[[Subject], str | None]] = {
    "energyConsumption": _stated("energy"),
    "hyperparameter": _stated("training"),
    "limitation": lambda subject: subject.statement.limits or " ".join(subject.method_limits),
    "safetyRiskAssessment": _stated("people"),
    "modelExplainability": lambda subject: f"What its filters respond to: {PAYLOAD}{INDEX}",
    "informationAboutTraining": lambda subject: subject.statement.training or subject.statement.data,
    "informationAboutApplication": _stated("users"),
    "metric": lambda subject: (
        subject.statement.validation or f"Shares of dead and silent filters. {subject.accuracy_words}"
    ),
    "metricDecisionThreshold": _stated("thresholds"),
    "modelDataPreprocessing": lambda subject: f"{subject.document.input.preprocess}: {subject.document.input.reason}",
    "useSensitivePersonalInformation": _stated("personal_data"),
}


def _is_reference(text: str | None) -> TypeGuard[str]:
    """Whether a text can stand where the format asks for an address."""
    return text is not None and not any(character.isspace() or character in '<>"{}|\\^`' for character in text)
