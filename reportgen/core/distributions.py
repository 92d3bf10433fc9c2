"""What is installed where a report is computed: every distribution with its version and a hash of its files, kept beside the plan.

An archive states it as environment.txt. It is read where the report is built, since an archive must not depend on where it is packed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import msgspec

from reportgen.core import DISTRIBUTION, __version__
from reportgen.core.files import write_atomically
from reportgen.core.records import Record
from reportgen.core.store import json_bytes

FILE = ".store/distributions.json"
HASHED = ",sha256="  # in the line of a file in RECORD: `path,sha256=hash,bytes`; compiled modules have no hash
# Written by whoever installs, not part of what is installed; scripts outside of the library folder begin with the path of a Python.
BY_INSTALLER = re.compile(
    r"\"?(?:\.\.|/|[^/]+\.dist-info/(?:RECORD|INSTALLER|REQUESTED|direct_url\.json|uv_cache\.json),)"
)
FIELD = re.compile(r"^(Name|Version): *(.*?) *$", re.MULTILINE)
SEPARATORS = re.compile(r"[-_.]+")
PACKAGE = Path(__file__).parents[1]
TEMPLATES = (PACKAGE / "templates", PACKAGE.parent / "templates")  # of an installed package, of a checkout


@dataclass(frozen=True)
class Distribution(Record):
    """An installed distribution.

    Attributes:
        name: normalized as package indexes do: lower case, words joined by "-".
        version: as its metadata states it.
        sha256: of the sorted lines of its RECORD, without what the installer adds; None where it lists no hashes.
    """

    name: str
    version: str
    sha256: str | None


def installed() -> tuple[Distribution, ...]:
    """Return every distribution that this Python finds, by name; of two with one name the one that is imported."""
    found: dict[str, Distribution] = {}
    for each in metadata.distributions():
        stated = _stated(each)
        name = SEPARATORS.sub("-", stated.get("Name", "")).lower()
        if name and name not in found:
            found[name] = Distribution(name, stated.get("Version", "?"), _recorded_sha256(each))
    found[DISTRIBUTION] = Distribution(DISTRIBUTION, __version__, lines_sha256(_own_files()))
    return tuple(found[name] for name in sorted(found))


def lines_sha256(lines: Iterable[str]) -> str:
    """Return the SHA-256 of lines, sorted, each ended by a line feed."""
    return hashlib.sha256("".join(f"{line}\n" for line in sorted(lines)).encode()).hexdigest()


def keep(folder: Path) -> None:
    """Write what is installed into a report's folder.

    Raises:
        OSError: the file cannot be written.
    """
    write_atomically(folder / FILE, json_bytes([each.to_json() for each in installed()]))


def kept(data: bytes) -> tuple[Distribution, ...]:
    """Return what `keep` wrote.

    Raises:
        ValueError: it is something else.
    """
    return msgspec.convert(json.loads(data), tuple[Distribution, ...])


def _stated(distribution: metadata.Distribution) -> dict[str, str]:
    """The fields of its metadata that have one line; importlib would parse the whole description twice, in half a second for all."""
    text = next(filter(None, map(distribution.read_text, ("METADATA", "PKG-INFO", ""))), "")
    return dict(FIELD.findall(text.replace("\r\n", "\n").partition("\n\n")[0]))


def _recorded_sha256(distribution: metadata.Distribution) -> str | None:
    """The hash of the files that an installer recorded; None of an editable installation, whose files lie elsewhere."""
    try:
        record, origin = distribution.read_text("RECORD"), distribution.read_text("direct_url.json")
        if record is None or (origin is not None and json.loads(origin).get("dir_info", {}).get("editable")):
            return None
    except (OSError, ValueError, AttributeError):
        return None
    return lines_sha256(line for line in record.splitlines() if HASHED in line and not BY_INSTALLER.match(line))


def _own_files() -> Iterable[str]:
    """The files of this package as it runs, wherever it lies, in the form of `sha256sum`."""
    for name, folder in ((PACKAGE.name, PACKAGE), *(("templates", folder) for folder in TEMPLATES if folder.is_dir())):
        for path in folder.rglob("*"):
            relative = path.relative_to(folder).as_posix()
            if path.is_file() and "__pycache__" not in path.parts and not relative.startswith("templates/"):
                yield f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {name}/{relative}"
