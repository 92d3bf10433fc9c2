"""The fields by which OWASP's AIBOM initiative scores how complete a bill of materials is, restated from its public registry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Bom = dict[str, Any]
MODEL = "machine-learning-model"


def model(bom: Bom) -> Bom:
    """The first component of a bill of materials that is a model; that which it describes where there is none."""
    found = [each for each in bom.get("components", ()) if each["type"] == MODEL]
    return found[0] if found else bom["metadata"]["component"]


def _key(name: str) -> Callable[[Bom], Any]:
    return lambda bom: bom.get(name)


def _component(name: str) -> Callable[[Bom], Any]:
    return lambda bom: model(bom).get(name)


def _property(name: str) -> Callable[[Bom], Any]:
    def found(bom: Bom) -> Any:
        places = (bom["metadata"].get("properties", ()), model(bom).get("modelCard", {}).get("properties", ()))
        return [each["value"] for place in places for each in place if each["name"] == name]

    return found


def _download(bom: Bom) -> Any:
    return [each for each in bom.get("externalReferences", ()) if each["type"] == "distribution"]


Field = tuple[str, float, Callable[[Bom], Any]]
REQUIRED: list[Field] = [(name, 4, _key(name)) for name in ("bomFormat", "specVersion", "serialNumber", "version")]
METADATA: list[Field] = [
    *((name, 4, _property(name)) for name in ("primaryPurpose", "suppliedBy")),
    *((name, 1, _property(name)) for name in ("standardCompliance", "domain", "autonomyType")),
]
BASIC: list[Field] = [
    ("name", 4, _component("name")),
    *((name, 2, _component(name)) for name in ("type", "purl", "description", "licenses")),
]
CARD: list[Field] = [
    *(
        (name, 2, _property(name))
        for name in ("energyConsumption", "hyperparameter", "limitation", "safetyRiskAssessment", "typeOfModel")
    ),
    *(
        (name, 1, _property(name))
        for name in (
            "modelExplainability",
            "energyQuantity",
            "energyUnit",
            "informationAboutTraining",
            "informationAboutApplication",
            "metric",
            "metricDecisionThreshold",
            "modelDataPreprocessing",
            "useSensitivePersonalInformation",
        )
    ),
]
CATEGORIES: list[tuple[float, list[Field]]] = [
    (20, REQUIRED),
    (20, METADATA),
    (20, BASIC),
    (30, CARD),
    (10, [("downloadLocation", 10, _download)]),
]


def score(bom: Bom) -> float:
    """From 0 to 100: in each category the points of its fields that are there, as a share of all, times the category's weight."""
    total = 0.0
    for weight, fields in CATEGORIES:
        points = sum(value for _, value, found in fields if found(bom))
        total += weight * points / sum(value for _, value, _ in fields)
    return total
