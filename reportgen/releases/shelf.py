"""The page of an archive of reports as a view: a row for each, what changed since the one before, and charts over all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from reportgen.artefacts.views import Keys, Verdict, known_keys
from reportgen.core.errors import few
from reportgen.core.verdicts import DEAD, NOT_COMPUTED, SILENT, SKIPPED
from reportgen.releases.change import Change
from reportgen.releases.release import Release
from reportgen.render.depth import depth_bars
from reportgen.render.text import count, data_size, listed, number, percent, plural
from reportgen.report.depth_charts import DepthChart

FEW_LAYERS = 3  # named in a row
LONG = 30  # rows: a longer table has its own scroll bar
FEWEST = 2  # reports: with one there is nothing over releases


@dataclass(frozen=True)
class Row:
    """One report.

    Attributes:
        href: of its first page or its archive.
        about: the lines below its title: what is stated of it, its path.
        changes: lines on what changed since the report before, each with what it links to or "".
        keys: what scripts search and sort it by.
    """

    title: str
    href: str
    is_archive: bool
    name: str
    about: str
    date: str
    model: str
    parameters: str
    layers: str
    filters: str
    verdicts: tuple[Verdict, ...]
    validation: tuple[str, ...]
    size: str
    changes: tuple[tuple[str, str], ...]
    keys: Keys


@dataclass(frozen=True)
class Shelf:
    """The whole page.

    Attributes:
        ticks: the names at the ends of the charts.
        with_dates: whether any report has a date; `with_accuracy`: whether anything is known of validation.
        is_long: whether there are more rows than a screen shows.
    """

    lede: str
    order: str
    problems: tuple[str, ...]
    rows: tuple[Row, ...]
    charts: tuple[DepthChart, ...]
    ticks: tuple[str, ...]
    with_dates: bool
    with_accuracy: bool
    is_long: bool


def shelf(
    releases: Sequence[Release],
    changes: Sequence[Change | None],
    problems: Sequence[str],
    order: str,
    root: str,
) -> Shelf:
    """Return the view.

    Args:
        releases: the reports in the order of the page.
        changes: of each what changed since the one before; None of the first, and where that is not known.
        problems: what could not be read, a sentence each.
        order: the order in words.
        root: from the page to the folder that was searched, "" or with a slash at its end.
    """
    rows = tuple(_row(release, own, root, at) for at, (release, own) in enumerate(zip(releases, changes, strict=True)))
    names = [release.name for release in releases]
    charts = _charts(releases, changes) if len(releases) >= FEWEST else ()
    return Shelf(
        lede=f"{plural(len(releases), 'report')} of {_models(releases)}." if releases else "No report can be read.",
        order=order if releases else "",
        problems=tuple(problems),
        rows=rows,
        charts=charts,
        ticks=(names[0], names[-1]) if any(chart.constant is None for chart in charts) else (),
        with_dates=any(row.date for row in rows),
        with_accuracy=any(row.validation for row in rows),
        is_long=len(rows) > LONG,
    )


def _models(releases: Sequence[Release]) -> str:
    names = list(dict.fromkeys(release.model.name for release in releases))
    return listed(names) if len(names) <= FEW_LAYERS else plural(len(names), "model")


def _row(release: Release, change: Change | None, root: str, place: int) -> Row:
    model, statement, counted = release.model, release.statement, release.counts
    parts = [statement.name, statement.version and f"version {statement.version}".replace("version epoch", "epoch")]
    shown = f"{count(counted.shown)} of {count(counted.total)}" if counted.shown != counted.total else ""
    return Row(
        title=release.title,
        href=root + quote(release.href),
        is_archive=release.path.is_file(),
        name=release.name,
        about=" · ".join(part for part in parts if part),
        date=statement.date or "",
        model=model.name,
        parameters=count(model.parameters),
        layers=count(counted.layers),
        filters=shown or count(counted.total),
        verdicts=counted.statuses,
        validation=_validation(release),
        size=data_size(release.size),
        changes=_since(release, change, root) if place else (("the first", ""),),
        keys=known_keys(
            words=f"{release.title} {release.name} {model.name}",
            place=place,
            date=statement.date,
            parameters=model.parameters,
            filters=counted.total,
            accuracy=release.accuracy,
            change=None if change is None else change.largest_change,
            size=release.size,
        ),
    )


def _validation(release: Release) -> tuple[str, ...]:
    """What was measured on the report's data set, and what the statement says of validation."""
    found, lines = release.measured, []
    if found is not None and found.images:
        right = f"{count(found.correct)} of {plural(found.images, 'image')} of {release.dataset}"
        lines.append(f"accuracy {percent(found.accuracy)}: {right}")
    if release.statement.validation:
        lines.append(f"stated: {release.statement.validation}" if lines else release.statement.validation)
    return tuple(lines)


def _since(release: Release, change: Change | None, root: str) -> tuple[tuple[str, str], ...]:
    """What changed since the report before."""
    if change is None:
        return (("not compared", ""),)
    lines = [(_layer_words(change), "")]
    if change.filters_changed:
        found = f"{count(change.filters_changed)} of {plural(change.filters, 'filter')} changed"
        middle = f", median weight change {number(change.weight_change)}" if change.weight_change else ""
        lines.append((found + middle, ""))
    if change.largest_change and change.largest_at is not None:
        path, index = change.largest_at
        words = f"largest change {number(change.largest_change)}: {path}, filter {index}"
        lines.append((words, _filter_link(release, change, root)))
    if change.filters_added or change.filters_removed:
        lines.append((f"filters: {count(change.filters_added)} new, {count(change.filters_removed)} gone", ""))
    if change.predictions:
        lines.append((f"{count(change.predictions_flipped)} of {plural(change.predictions, 'prediction')} flipped", ""))
    if change.verdicts_changed:
        lines.append((f"status of {count(change.verdicts_changed)} of {plural(change.verdicts, 'filter')} changed", ""))
    if change.not_compared:
        lines.append((f"{plural(change.not_compared, 'layer')} not compared", ""))
    if change.unfair:
        lines.append((f"{plural(change.unfair, 'difference')} in how they were built", ""))
    return tuple(lines)


def _layer_words(change: Change) -> str:
    total = sum(change.layers.values()) - len(change.removed)
    parts = [
        _paths(f"{count(len(change.changed))} of {plural(total, 'layer')} changed", change.changed)
        if change.changed
        else "",
        _paths(f"{plural(len(change.added), 'layer')} added", change.added) if change.added else "",
        _paths(f"{plural(len(change.removed), 'layer')} removed", change.removed) if change.removed else "",
        f"{count(change.renamed)} renamed" if change.renamed else "",
        f"{count(change.affected)} unchanged and fed something else" if change.affected else "",
    ]
    return "; ".join(part for part in parts if part) or f"no change in {plural(total, 'layer')}"


def _paths(words: str, paths: Sequence[str]) -> str:
    """What was counted, with the paths where they are few."""
    return f"{words}: {', '.join(paths)}" if len(paths) <= FEW_LAYERS else words


def _filter_link(release: Release, change: Change, root: str) -> str:
    """Where the new report shows the filter that changed most; "" where it does not, or is an archive."""
    if release.path.is_file() or change.largest_page is None:
        return ""
    return root + quote(release.href.removesuffix("index.html")) + change.largest_page


def _charts(releases: Sequence[Release], changes: Sequence[Change | None]) -> tuple[DepthChart, ...]:
    """Charts of what is known of at least one report; of parameters only where they differ."""
    names = [release.name for release in releases]
    inactive = [_share(release, (SILENT, DEAD)) for release in releases]
    weights = [None if change is None else change.largest_change for change in changes]
    flipped = [
        None if change is None or not change.predictions else change.predictions_flipped / change.predictions
        for change in changes
    ]
    sizes = [float(release.model.parameters) for release in releases]
    every: list[tuple[str, str, list[float | None], Callable[[float | None], str], float]] = [
        ("Accuracy", _accuracy_meaning(releases), [release.accuracy for release in releases], percent, 1.0),
        ("Inactive filters", "never active or proven inactive, of those with a status", inactive, percent, 1.0),
        (
            "Weight change",
            "‖w − w₀‖ / ‖w₀‖ from the report before, of the filter that changed most",
            weights,
            number,
            0.0,
        ),
        ("Predictions flipped", "since the report before", flipped, percent, 1.0),
    ]
    if len(set(sizes)) > 1:
        every.append(("Parameters", "of the model", list(sizes), number, 0.0))
    return tuple(
        _chart(title, meaning, values, words, top, names)
        for title, meaning, values, words, top in every
        if any(value is not None for value in values)
    )


def _accuracy_meaning(releases: Sequence[Release]) -> str:
    measured = sum(release.measured is not None for release in releases)
    if measured == len(releases):
        return "on the data set of each report"
    return "on the data set of a report, else as stated" if measured else "as stated"


def _share(release: Release, words: Sequence[str]) -> float | None:
    verdicts = release.counts.verdicts
    judged = sum(amount for word, amount in verdicts.items() if word not in (SKIPPED, NOT_COMPUTED))
    return sum(verdicts[word] for word in words) / judged if judged else None


def _chart(
    title: str,
    meaning: str,
    values: Sequence[float | None],
    words: Callable[[float | None], str],
    top: float,
    names: Sequence[str],
) -> DepthChart:
    known = [(value, place) for place, value in enumerate(values) if value is not None]
    (low, lowest), (high, highest) = min(known), max(known, key=lambda pair: (pair[0], -pair[1]))
    end = max(top, high) or 1.0
    lost = [name for name, value in zip(names, values, strict=True) if value is None]
    unknown = f"; not known of {few(lost, FEW_LAYERS)}" if lost else ""
    alt = (
        f"{title} over {plural(len(values), 'report')}: lowest {words(low)} in {names[lowest]}, highest {words(high)} "
        f"in {names[highest]}{unknown}. Scale 0 to {words(end)}."
    )
    constant = f"{words(low)} in each{unknown}" if low == high else None
    return DepthChart(title, meaning, words(end), alt, constant, depth_bars(values, end))
