"""Makes the page of an archive of reports, and index.json with the same facts."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from reportgen.core import __version__
from reportgen.core.errors import OutputError, ReportgenError, UsageError
from reportgen.core.files import write_atomically
from reportgen.core.store import DAMAGE, json_bytes
from reportgen.releases.change import Change, change
from reportgen.releases.finding import find, is_report, natural
from reportgen.releases.release import Release, read_release
from reportgen.releases.shelf import shelf
from reportgen.render.text import count, data_size, plural
from reportgen.render.wording import stopped
from reportgen.report.html import render_releases
from reportgen.report.theme import own_look

SCHEMA: Literal["reportgen-index/1"] = "reportgen-index/1"
PAGE, FACTS = "index.html", "index.json"
Say = Callable[[str], None]


class ReleaseFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One report in index.json."""

    name: Annotated[str, Meta(description="path below the folder")]
    title: str
    model: str
    weights_sha256: str
    date: str | None
    version: str | None
    parameters: int
    layers: int
    filters_total: int
    filters_shown: int
    verdicts: dict[str, int]
    accuracy: Annotated[float | None, Meta(description="on the data set of the report, else that of the statement")]
    bytes: int
    since: Annotated[Change | None, Meta(description="what changed since the one before")]


class ShelfFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything in index.json."""

    schema: Literal["reportgen-index/1"] = SCHEMA
    order: str
    releases: tuple[ReleaseFacts, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Indexed:
    """The page that was written, a sentence for each thing that could not be read, and what is on the page, and its size."""

    index: Path
    problems: tuple[str, ...]
    summary: tuple[str, str] | None = None


def index(folder: Path, output: Path | None = None, *, force: bool = False, say: Say) -> Indexed:
    """Write the page of the reports below a folder.

    Args:
        folder: is searched for reports and archives of reports.
        output: where index.html and index.json go; None for the folder itself.
        force: whether an index.html there may be replaced that is none of ours.
        say: receives what is being compared, a sentence each.

    Returns:
        The page, and what is wrong.

    Raises:
        UsageError: there is no folder, or no report in it.
        OutputError: the page cannot be written.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder.")
    if is_report(folder):
        raise UsageError(f"{folder} is a report itself; name the folder that the reports are in.")
    target = folder if output is None else output
    check_output(target, force)
    releases, problems = _read(folder)
    if not releases and not problems:
        raise UsageError(f"{folder} holds no report and no archive of one.")
    releases, order = ordered(releases)
    changes, more = _changes(releases, _earlier(target / FACTS), say)
    problems += more
    root = os.path.relpath(folder.resolve(), target.resolve()).replace(os.sep, "/")
    view = shelf(releases, changes, problems, order, "" if root == "." else f"{root}/")
    name = folder.resolve().name
    facts = ShelfFacts(
        order=order,
        releases=tuple(_facts(release, own) for release, own in zip(releases, changes, strict=True)),
        problems=tuple(problems),
    )
    page = render_releases(own_look(), f"Reports in {name}", view)
    try:
        write_atomically(target / FACTS, json_bytes(msgspec.to_builtins(facts)))
        write_atomically(target / PAGE, page)
    except OSError as error:
        raise OutputError(f"{target} cannot be written: {error.strerror}.") from error
    return Indexed(target / PAGE, tuple(problems), (plural(len(releases), "report"), data_size(len(page))))


def ordered(releases: Sequence[Release]) -> tuple[list[Release], str]:
    """Return the reports by the dates that their users state, where all do, else by name; and the order in words."""
    dated = [release for release in releases if release.statement.date is not None]
    by_name = sorted(releases, key=lambda release: natural(release.name))
    if dated and len(dated) == len(releases):
        by_date = sorted(by_name, key=lambda release: release.statement.date or "")
        return by_date, "Ordered by the date in the statement of each report, the oldest first."
    if not dated:
        return by_name, "Ordered by name, since no statement has a date."
    without = len(releases) - len(dated)
    return by_name, f"Ordered by name, since {count(without)} of {plural(len(releases), 'report')} state no date."


def check_output(folder: Path, force: bool) -> None:
    """Raise OutputError where the page would take the place of another file, or cannot be written."""
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file; name a folder with --output.")
    if is_report(folder):
        raise OutputError(f"{folder} is a report, whose first page stays as it is; name another folder with --output.")
    if (folder / PAGE).exists() and not _is_ours(folder / FACTS) and not force:
        raise OutputError(
            f"{folder / PAGE} exists and was not written by `reportgen index`; name another folder with --output, or add --force."
        )


def _is_ours(path: Path) -> bool:
    """Whether this is an index.json of any version."""
    try:
        found: Any = msgspec.json.decode(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and str(found.get("schema", "")).startswith(SCHEMA.partition("/")[0])


def _read(folder: Path) -> tuple[list[Release], list[str]]:
    """The reports, and what cannot be read of others."""
    releases, problems = [], []
    for path in find(folder):
        name = path.relative_to(folder).as_posix()
        try:
            release, problem = read_release(path, name)
        except (ReportgenError, *DAMAGE) as error:
            reason = str(error).replace(f"{path}{os.sep}", "").replace(str(path), "it")
            problems.append(stopped(f"{name}: {reason}"))
            continue
        releases.append(release)
        if problem is not None:
            problems.append(stopped(problem))
    return releases, problems


def _earlier(path: Path) -> dict[tuple[str, str, str], Change]:
    """What an earlier index.json states of changes, which need not be computed again."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=ShelfFacts)
    except (OSError, ValueError):
        return {}
    known = [release.since for release in found.releases if release.since is not None]
    return {(one.old, one.new, one.version): one for one in known}


def _changes(
    releases: Sequence[Release], earlier: dict[tuple[str, str, str], Change], say: Say
) -> tuple[list[Change | None], list[str]]:
    """What changed from each report to the next, and sentences on what could not be compared."""
    found: list[Change | None] = [None] if releases else []
    problems = []
    for old, new in pairwise(releases):
        known = earlier.get((old.sha256, new.sha256, __version__))
        if known is None:
            say(f"comparing {new.name} with {old.name}")
            try:
                known = change(old, new)
            except (ReportgenError, *DAMAGE) as error:
                problems.append(stopped(f"{new.name} was not compared with {old.name}: {error}"))
        found.append(known)
    return found, problems


def _facts(release: Release, since: Change | None) -> ReleaseFacts:
    counted, model = release.counts, release.model
    return ReleaseFacts(
        name=release.name,
        title=release.title,
        model=model.name,
        weights_sha256=model.weights_sha256,
        date=release.statement.date,
        version=release.statement.version,
        parameters=model.parameters,
        layers=counted.layers,
        filters_total=counted.total,
        filters_shown=counted.shown,
        verdicts={str(word): number for word, number in counted.verdicts.items()},
        accuracy=release.accuracy,
        bytes=release.size,
        since=since,
    )
