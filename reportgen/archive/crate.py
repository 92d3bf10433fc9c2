"""ro-crate-metadata.json: the archive as an RO-Crate 1.1, so that repositories of research data can read what it has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reportgen.archive.subject import NOT_STATED, FileFacts, Subject
from reportgen.core import __version__
from reportgen.core.store import json_bytes
from reportgen.report.location import PAYLOAD

NAME = "ro-crate-metadata.json"
CONTEXT = ["https://w3id.org/ro/crate/1.1/context", {"sha256": "https://schema.org/sha256"}]
SPECIFICATION = "https://w3id.org/ro/crate/1.1"
MODEL, TOOL, ACTION, OWNER = "#model", "#reportgen", "#build", "#owner"
TYPES = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "json": "application/json",
    "png": "image/png",
    "npz": "application/zip",
    "md": "text/markdown",
    "txt": "text/plain",
    "toml": "application/toml",
    "failed": "text/plain",
}
JSON = dict[str, Any]


def crate(subject: Subject, documents: Mapping[str, FileFacts]) -> bytes:
    """Return the content of ro-crate-metadata.json.

    Args:
        subject: of the archive.
        documents: those beside the report, by path relative to the archive.
    """
    files = {**{PAYLOAD + path: facts for path, facts in subject.files.items()}, **documents}
    return json_bytes({"@context": CONTEXT, "@graph": list(_graph(subject, files))})


def _graph(subject: Subject, files: Mapping[str, FileFacts]) -> Iterator[JSON]:
    document, statement = subject.document, subject.statement
    yield {
        "@id": NAME,
        "@type": "CreativeWork",
        "conformsTo": {"@id": SPECIFICATION},
        "about": {"@id": "./"},
    }
    root: JSON = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"Report of the model {subject.name}",
        "description": f"What the filters of the convolutional network {document.model.source} respond to, as reportgen shows it.",
        "license": statement.license or NOT_STATED,
        "hasPart": [{"@id": path} for path in sorted(files)],
        "about": {"@id": MODEL},
        "mentions": {"@id": ACTION},
        "mainEntity": {"@id": f"{PAYLOAD}index.html"},
    }
    if subject.date is not None:
        root["datePublished"] = subject.date
    if statement.owner is not None:
        root["publisher"] = {"@id": OWNER}
        yield {"@id": OWNER, "@type": "Organization", "name": statement.owner}
    yield root
    yield {
        "@id": ACTION,
        "@type": "CreateAction",
        "name": "Building the report",
        "instrument": {"@id": TOOL},
        "object": [{"@id": MODEL}, *({"@id": f"#image-{image.slug}"} for image in document.images)],
        "result": [{"@id": f"{PAYLOAD}index.html"}, {"@id": f"{PAYLOAD}report.json"}],
    }
    yield {
        "@id": TOOL,
        "@type": "SoftwareApplication",
        "name": "reportgen",
        "version": str(document.environment.get("reportgen", __version__)),
    }
    model: JSON = {"@id": MODEL, "@type": "CreativeWork", "name": subject.name, "alternateName": document.model.source}
    if document.model.sha256 is not None:
        model["sha256"] = document.model.sha256
    for name, value in (("version", statement.version), ("description", statement.purpose)):
        if value is not None:
            model[name] = value
    yield model
    for image in document.images:
        yield {"@id": f"#image-{image.slug}", "@type": "CreativeWork", "name": image.name, "sha256": image.sha256}
    for path in sorted(files):
        kind = TYPES.get(path.rpartition(".")[2], "application/octet-stream")
        yield {
            "@id": path,
            "@type": "File",
            "name": path.rpartition("/")[2],
            "encodingFormat": kind,
            "contentSize": str(files[path].size),
            "sha256": files[path].sha256,
        }
