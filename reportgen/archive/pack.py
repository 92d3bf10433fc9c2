"""Packs a finished report with everything that is said of it into one zip: the same bytes for the same report and statement."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from reportgen.archive import bag
from reportgen.archive.audit import audit
from reportgen.archive.bag import BytesContent, Content, FileContent
from reportgen.archive.bom import bom
from reportgen.archive.contents import report_files, unchanging
from reportgen.archive.crate import NAME as CRATE
from reportgen.archive.crate import crate
from reportgen.archive.environment import environment
from reportgen.archive.model_card import model_card
from reportgen.archive.statement import NOTHING, parse_statement, stated_date
from reportgen.archive.subject import FileFacts, Subject
from reportgen.core import __version__
from reportgen.core.distributions import FILE as DISTRIBUTIONS
from reportgen.core.distributions import kept
from reportgen.core.errors import OutputError, UsageError
from reportgen.report.location import FACTS_FILE, PAYLOAD, is_archive
from reportgen.report.opened import parse_document, read_document

STATEMENT, AGENT = "statement.toml", "Bag-Software-Agent"
DATE = "Bagging-Date"
DOCUMENTS: Mapping[str, Callable[[Subject], bytes]] = {
    "audit.md": audit,
    "bom.cdx.json": bom,
    "environment.txt": environment,
    "model-card.md": model_card,
}


def archive(folder: Path, output: Path, statement: bytes | None = None, *, force: bool = False) -> Path:
    """Write the archive of a finished report.

    Args:
        folder: of the report.
        output: the zip.
        statement: content of the user's TOML file; None where there is none.
        force: whether `output` may be a file that is no archive.

    Returns:
        `output`.

    Raises:
        UsageError: the report is unfinished or lacks files, or the statement cannot be used.
        StoreError: the report has no stored arrays.
        OutputError: the file cannot be written, or a run is writing to the report.
    """
    if output.is_dir() or (output.exists() and not is_archive(output) and not force):
        raise OutputError(
            f"{output} exists and is no archive; name another file with --output, or add --force to replace it."
        )
    if output.resolve().is_relative_to(folder.resolve()):
        raise OutputError(f"{output} is inside of the report; name a file outside of it with --output.")
    with unchanging(folder):
        read_document(folder)
        payload: dict[str, Content] = {
            PAYLOAD + path: FileContent(place) for path, place in report_files(folder).items()
        }
        date = stated_date(NOTHING if statement is None else parse_statement(statement, STATEMENT))
        contents = {**payload, **tag_files(payload, statement, date)}
        temporary = output.with_name(f".{output.name}.{os.getpid()}.tmp")
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                bag.write_zip(file, contents)
            os.replace(temporary, output)
        except OSError as error:
            raise OutputError(f"{output} cannot be written: {error.strerror}.") from error
        finally:
            temporary.unlink(missing_ok=True)
    return output


def tag_files(payload: Mapping[str, Content], statement: bytes | None, date: str | None) -> dict[str, Content]:
    """Return the files of an archive beside the report, by name.

    Args:
        payload: the files of the report, by path relative to the archive.
        statement: content of the user's statement; None where there is none.
        date: of the archive.

    Raises:
        UsageError: the report or the statement cannot be read.
        Exception: of many kinds where a file is damaged, see `store.DAMAGE`.
    """
    facts = {path: FileFacts(bag.sha256(content), content.size) for path, content in payload.items()}
    subject = _subject(payload, facts, statement, date)
    files = {name: write(subject) for name, write in DOCUMENTS.items()}
    if statement is not None:
        files[STATEMENT] = statement
    stated = {name: FileFacts(bag.sha256(BytesContent(data)), len(data)) for name, data in files.items()}
    files[CRATE] = crate(subject, stated)
    files[bag.BAGIT] = bag.DECLARATION
    files[bag.INFO] = bag.info(_fields(subject, facts))
    files[bag.MANIFEST] = bag.manifest({path: each.sha256 for path, each in facts.items()})
    tags = {name: bag.sha256(BytesContent(data)) for name, data in files.items()}
    files[bag.TAG_MANIFEST] = bag.manifest(tags)
    return {name: BytesContent(data) for name, data in files.items()}


def _subject(
    payload: Mapping[str, Content], facts: Mapping[str, FileFacts], statement: bytes | None, date: str | None
) -> Subject:
    def read(path: str) -> bytes:
        with payload[PAYLOAD + path].open() as file:
            return file.read()

    try:
        distributions = kept(read(DISTRIBUTIONS)) if PAYLOAD + DISTRIBUTIONS in payload else ()
    except ValueError as error:
        raise UsageError(f"{DISTRIBUTIONS} of the report cannot be read: {error}.") from error
    stated = {path.removeprefix(PAYLOAD): each for path, each in facts.items()}
    return Subject(
        parse_document(read(FACTS_FILE), FACTS_FILE),
        NOTHING if statement is None else parse_statement(statement, STATEMENT),
        "" if statement is None else bag.sha256(BytesContent(statement)),
        date,
        stated,
        distributions,
        read,
    )


def _fields(subject: Subject, facts: Mapping[str, FileFacts]) -> list[tuple[str, str]]:
    """The fields of bag-info.txt."""
    statement = subject.statement
    fields = [
        (AGENT, f"reportgen {__version__}"),
        (DATE, subject.date),
        ("Contact-Name", statement.contact),
        ("External-Description", f"Report of the model {subject.name}"),
        ("External-Identifier", f"sha256:{subject.document.model.weights_sha256}"),
        ("Payload-Oxum", f"{sum(each.size for each in facts.values())}.{len(facts)}"),
        ("Source-Organization", statement.owner),
    ]
    return [(name, value) for name, value in fields if value is not None]
