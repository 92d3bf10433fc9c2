"""The table that `reportgen layers` prints."""

from __future__ import annotations

from collections.abc import Sequence

from reportgen.records import InputContract, LayerRecord

HEADINGS = ("layer", "class", "kernel", "unit", "output", "field", "parameters", "filters")


def as_table(source: str, contract: InputContract, layers: Sequence[LayerRecord]) -> str:
    """Plain text, one line a layer, numbers right-aligned, then what is left out and why."""
    rows = [_row(layer) for layer in layers if layer.status == "rendered"]
    widths = [max(len(row[column]) for row in (HEADINGS, *rows)) for column in range(len(HEADINGS))]
    lines = [f"{source}: input {by(contract.shape)}, preprocessing {contract.preprocess} ({contract.reason})", ""]
    lines.append(_line(HEADINGS, widths))
    lines.append("  ".join("-" * width for width in widths))
    lines.extend(_line(row, widths) for row in rows)
    skipped = [layer for layer in layers if layer.status != "rendered"]
    if skipped:
        lines.extend(["", "not in the report:"])
        lines.extend(f"  {layer.path} ({layer.layer_class}): {layer.reason}" for layer in skipped)
    return "\n".join(lines)


def by(lengths: Sequence[int | None] | None) -> str:
    """`3x3x64`, `?` for a length that varies."""
    return "?" if lengths is None else "x".join("?" if length is None else str(length) for length in lengths)


def _row(layer: LayerRecord) -> tuple[str, ...]:
    shown = layer.filters_total if layer.is_pooling else len(layer.filters_shown)
    unit = layer.activation if layer.unit == layer.path else f"{layer.activation} at {layer.unit}"
    return (
        layer.path,
        layer.layer_class,
        by(layer.kernel_shape),
        unit,
        by(layer.output_shape),
        by(layer.receptive_field),
        f"{layer.parameters:,}",
        str(layer.filters_total) if shown == layer.filters_total else f"{shown} of {layer.filters_total}",
    )


RIGHT_ALIGNED = frozenset({"parameters", "filters"})


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(
        cell.rjust(width) if heading in RIGHT_ALIGNED else cell.ljust(width)
        for cell, width, heading in zip(cells, widths, HEADINGS, strict=True)
    ).rstrip()
