"""Verifies a report or an archive: manifests, schema, what is said of the report, links, pages rebuilt from the stored arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from reportgen.archive import bag, rebuilt, signatures
from reportgen.archive.links import broken_links
from reportgen.archive.opened import Opened, opened
from reportgen.archive.pack import AGENT, DATE, STATEMENT, tag_files
from reportgen.core import __version__
from reportgen.core.errors import ReportgenError, UsageError
from reportgen.core.store import DAMAGE
from reportgen.render.text import plural
from reportgen.report.document import ReportDocument
from reportgen.report.location import FACTS_FILE, PAYLOAD
from reportgen.report.opened import parse_document

WORKSHOP = (".store/lock",)  # of a report's folder: no part of the report


@dataclass
class Verification:
    """What was verified.

    Attributes:
        opened: the files.
        document: report.json; None where it cannot be read.
        checks: a sentence for each thing that was checked, with what was found.
        differences: a sentence for each thing that is not as it must be.
        notes: what was not checked, and why.
    """

    opened: Opened
    document: ReportDocument | None = None
    checks: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def found(self, what: str, differences: Iterable[str]) -> None:
        """Add a check and what it has found."""
        before = len(self.differences)
        self.differences += differences
        number = len(self.differences) - before
        self.checks.append(f"{what}: {plural(number, 'difference') if number else 'as it must be'}")


def verify(path: Path) -> Verification:
    """Verify all that needs neither a model nor much time.

    Args:
        path: a report's folder, an archive, or the folder that it was unpacked into.

    Returns:
        What was found.

    Raises:
        UsageError: there is neither a report nor an archive.
    """
    files = opened(path)
    result = Verification(files)
    if files.is_bag:
        result.found("container", files.differences)
        if files.differences and not files.files:
            return result
        result.found("manifests", _manifest_differences(files))
    try:
        result.document = parse_document(files.read(PAYLOAD + FACTS_FILE), FACTS_FILE)
    except (ReportgenError, *DAMAGE) as error:
        result.found("schema", [f"{FACTS_FILE} cannot be read: {error}"])
        return result
    result.found("schema", ())
    if files.is_bag:
        _check_documents(result)
    try:
        found = list(broken_links(_shown(files), lambda name: files.read(PAYLOAD + name)))
    except DAMAGE as error:
        found = [f"the pages cannot be read: {error}"]
    result.found("links", found)
    return result


def rebuild(result: Verification, template: Path | None = None, css: Path | None = None) -> None:
    """Assemble the pages again from the stored arrays, and add what differs.

    Args:
        result: of `verify`.
        template: the folder of templates that the pages were written with; None for the built-in ones.
        css: likewise the style that was added.

    Raises:
        UsageError: the report was written with templates or a style that are not given.
    """
    if result.document is None:
        result.notes.append(f"nothing was rebuilt, since {FACTS_FILE} cannot be read")
        return
    before = len(result.differences)
    result.found("rebuilt pages", rebuilt.differences(result.opened.report, result.document, template, css))
    stated = result.document.environment.get("reportgen")
    if len(result.differences) > before and stated != __version__:
        result.notes.append(
            f"the report was built by reportgen {stated}, and this is {__version__}: other pages are expected"
        )


def check_signatures(result: Verification, signature: Path | None = None, key: Path | None = None) -> None:
    """Check detached signatures, and add what does not hold.

    Args:
        result: of `verify`.
        signature: the one that must hold; None for those that lie beside the archive.
        key: the public key; None for the keys that GnuPG knows.

    Raises:
        UsageError: `signature` is given and cannot be checked, or what is verified is no zip.
    """
    path = result.opened.path
    if not path.is_file():
        if signature is not None or key is not None:
            raise UsageError(f"{path} is a folder; --signature and --key are about an archive's zip.")
        return
    found = signatures.beside(path) if signature is None else [signature]
    if not found and key is not None:
        raise UsageError(f"there is no signature beside {path}; name it with --signature.")
    for each in found:
        checked = signatures.check(path, each, key, required=signature is not None)
        if checked.note is None:
            result.found(f"signature {checked.name} ({checked.tool})", checked.differences)
        else:
            result.notes.append(checked.note)


def _manifest_differences(files: Opened) -> Iterator[str]:
    payload = {name for name in files.files if name.startswith(PAYLOAD)}
    tags = set(files.files) - payload - {bag.TAG_MANIFEST}
    for manifest, names in ((bag.MANIFEST, payload), (bag.TAG_MANIFEST, tags)):
        try:
            data = files.read(manifest)
        except DAMAGE as error:
            yield f"{manifest} cannot be read: {error}"
            continue
        yield from _differences(files, manifest, data, names)


def _differences(files: Opened, manifest: str, data: bytes, names: set[str]) -> Iterator[str]:
    stated, actual, found = bag.read_manifest(data), {}, False
    for name in sorted(names):
        try:
            actual[name] = bag.sha256(files.files[name])
        except DAMAGE as error:
            found = True
            yield f"{name} cannot be read: {error}"
            continue
        if name not in stated:
            found = True
            yield f"{name} is not in {manifest}"
        elif stated[name] != actual[name]:
            found = True
            yield f"{name} has the SHA-256 {actual[name]}, and {manifest} states {stated[name]}"
    for name in sorted(set(stated) - names):
        found = True
        yield f"{name} is missing: {manifest} names it"
    if not found and data != bag.manifest(actual):
        yield f"{manifest} states the right hashes in another form than reportgen writes"


def _check_documents(result: Verification) -> None:
    """Compare what is said of the report with what the report and the statement give."""
    files = result.opened
    if result.differences:
        result.notes.append("what the archive's documents say was not compared with the report, since files differ")
        return
    try:
        fields = bag.read_info(files.read(bag.INFO))
        writer = fields.get(AGENT, "another program")
        if writer != f"reportgen {__version__}":
            result.notes.append(
                f"what the archive's documents say was not compared with the report: {writer} wrote them, and this is {__version__}"
            )
            return
        statement = files.read(STATEMENT) if STATEMENT in files.files else None
        payload = {name: each for name, each in files.files.items() if name.startswith(PAYLOAD)}
        expected = tag_files(payload, statement, fields.get(DATE))
        for manifest in (bag.MANIFEST, bag.TAG_MANIFEST):  # compared already
            del expected[manifest]
        wrong = [
            name for name in sorted(expected) if name not in files.files or files.read(name) != _bytes(expected, name)
        ]
        unknown = sorted(set(files.files) - set(payload) - {*expected, bag.MANIFEST, bag.TAG_MANIFEST})
    except (ReportgenError, *DAMAGE) as error:
        result.found("documents", [f"what the archive's documents must say cannot be told: {error}"])
        return
    result.found(
        "documents",
        [
            *(f"{name} does not say what {FACTS_FILE} and the statement give" for name in wrong),
            *(f"{name} is no file of an archive" for name in unknown),
        ],
    )


def _bytes(contents: Mapping[str, bag.Content], name: str) -> bytes:
    with contents[name].open() as file:
        return file.read()


def _shown(files: Opened) -> set[str]:
    """The files of the report that pages may link to."""
    return {name for name in files.report if name not in WORKSHOP}
