"""environment.txt: every distribution that was installed where the report was built."""

from __future__ import annotations

from collections.abc import Iterator

from reportgen.archive.subject import Subject
from reportgen.core import DISTRIBUTION

HEAD = f"""\
# What was installed where the report was built: name==version sha256:HASH
# HASH: SHA-256 of the lines of the distribution's RECORD (path,sha256=hash,bytes), sorted, each ended by a line feed, without lines
# that have no hash, paths outside of the library folder, and RECORD, INSTALLER, REQUESTED, direct_url.json and uv_cache.json.
# That of {DISTRIBUTION} is of the lines `sha256  path` of its own files. "-": its files are not listed with hashes.
"""
NOT_RECORDED = (
    "# The report was built by a version of reportgen that did not record it; report.json states these versions.\n"
)


def environment(subject: Subject) -> bytes:
    """Return the content of environment.txt."""
    return (HEAD + "".join(f"{line}\n" for line in _lines(subject))).encode()


def _lines(subject: Subject) -> Iterator[str]:
    stated = subject.document.environment
    yield from (f"# {name}: {stated[name]}" for name in ("python", "device") if name in stated)
    if subject.distributions:
        for each in subject.distributions:
            yield f"{each.name}=={each.version} {'-' if each.sha256 is None else f'sha256:{each.sha256}'}"
    else:
        yield NOT_RECORDED.rstrip("\n")
        versions = {DISTRIBUTION if name == "reportgen" else name: version for name, version in stated.items()}
        yield from (f"{name}=={versions[name]} -" for name in sorted(versions) if name not in ("python", "device"))
