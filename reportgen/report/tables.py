"""The evidence from a data set as Parquet tables, for pandas, DuckDB and others."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reportgen.artefacts.base import stored_entry
from reportgen.core import DISTRIBUTION
from reportgen.core.errors import UsageError
from reportgen.core.records import Plan, TaskKind
from reportgen.core.store import Store
from reportgen.report.document import ReportDocument
from reportgen.survey.statistics import joined_images

FOLDER = "data/tables"
Columns = Mapping[str, Sequence[Any]]


def check() -> None:
    """Raise UsageError where there is no library that writes Parquet."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"--export parquet needs pyarrow; install it with `pip install '{DISTRIBUTION}[parquet]'`."
        ) from error


def tables(plan: Plan, store: Store, report: ReportDocument) -> Iterator[tuple[str, bytes]]:
    """Yield the path of each table relative to the report, and its bytes.

    `filters` has a row for each filter of each layer, `labels` and `exemplars` one for each that is stated of a filter, `images` one for
    each image that was read, in the order of the rows of the arrays in data.npz.

    Args:
        plan: of the report.
        store: of the report.
        report: its document.
    """
    for name, rows in (("filters", _filters(report)), ("labels", _labels(report)), ("exemplars", _exemplars(report))):
        yield f"{FOLDER}/{name}.parquet", _packed(rows)
    images = _images(plan, store)
    if images is not None:
        yield f"{FOLDER}/images.parquet", _packed(images)


def _packed(columns: Columns) -> bytes:
    import pyarrow
    from pyarrow import parquet

    buffer = io.BytesIO()
    parquet.write_table(pyarrow.table({name: list(values) for name, values in columns.items()}), buffer)
    return buffer.getvalue()


def _by_column(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Columns:
    return {name: [row[name] for row in rows] for name in names}


def _filters(report: ReportDocument) -> Columns:
    own = ("silent_image_share", "silent_position_share", "minimum", "maximum", "mean", "std", "nearest", "correlation")
    rows = []
    for layer in report.layers:
        for item in () if layer.data is None else layer.data.filters:
            row = {"layer": layer.path, "filter": item.index, **{name: getattr(item, name) for name in own}}
            row |= {f"peak_{share}": value for share, value in item.quantiles.items()}
            best = item.labels[0] if item.labels else None
            row |= {
                "label": None if best is None else best.label,
                "auroc": None if best is None else best.auroc,
                "q": None if best is None else best.q,
                "group": list(item.group),
            }
            rows.append(row)
    return _by_column(rows, list(rows[0]) if rows else ("layer", "filter"))


def _labels(report: ReportDocument) -> Columns:
    rows = [
        {"layer": layer.path, "filter": item.index, "label": each.label, "auroc": each.auroc, "q": each.q}
        for layer in report.layers
        for item in (() if layer.data is None else layer.data.filters)
        for each in item.labels
    ]
    return _by_column(rows, ("layer", "filter", "label", "auroc", "q"))


def _exemplars(report: ReportDocument) -> Columns:
    names = ("image", "label", "row", "peak", "activation", "percentile")
    rows = [
        {
            "layer": layer.path,
            "filter": item.index,
            "place": place,
            "position": list(each.position),
            **{name: getattr(each, name) for name in names},
        }
        for layer in report.layers
        for item in (() if layer.data is None else layer.data.filters)
        for place, each in enumerate(item.exemplars)
    ]
    return _by_column(rows, ("layer", "filter", "place", *names, "position"))


def _images(plan: Plan, store: Store) -> Columns | None:
    found = [stored_entry(store, task) for task in plan.layer_tasks("", TaskKind.DATASET_IMAGES)]
    parts = [entry for entry in found if entry is not None]
    if not parts or plan.dataset is None:
        return None
    arrays, names, hashes = joined_images(parts)
    labels = [*(label.label for label in plan.dataset.labels), None]  # -1 is none
    columns: dict[str, Sequence[Any]] = {
        "row": list(range(len(names))),
        "image": names,
        "sha256": hashes,
        "label": [labels[number] for number in arrays["label"]],
        "class": [None if number < 0 else number for number in arrays["class"].tolist()],
    }
    if "top_classes" in arrays:
        columns["predicted"] = arrays["top_classes"][:, 0].tolist()
        columns["probability"] = arrays["top_probabilities"][:, 0].tolist()
        columns["class_probability"] = [
            value if value == value else None for value in arrays["class_probability"].tolist()
        ]
    return columns
