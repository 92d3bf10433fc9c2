"""The table that `reportgen layers` prints: whole where there is room, and never wider than the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Sequence

from reportgen.core.errors import few
from reportgen.core.records import InputContract, LayerRecord

NONE = "-"
GAP = "  "
LEAST_PATH = 24  # characters: what a path is shortened to before another column has to go
NAMED = 4  # paths that a line names before it counts the rest
INDENT = "  "
UNIT, ACTIVATION = "measured at", "activation"  # headings
Column = tuple[str, Callable[[LayerRecord], str], bool]  # heading, cell, whether numbers are lined up on the right


def as_table(source: str, contract: InputContract, layers: Sequence[LayerRecord], width: int | None = None) -> str:
    """Return plain text: the model's input, a line per layer, a summary, and which layers are not covered or not in full, and why.

    Args:
        source: What names the model.
        contract: What the model is fed.
        layers: The records of its layers, from input to output.
        width: Columns of the terminal; None for a file, where nothing is shortened.
    """
    rendered = [layer for layer in layers if layer.is_met]
    head = f"{source}: input {by(contract.shape)}, preprocessing {contract.preprocess} ({contract.reason})"
    lines = [*_wrapped(head, width), "", *_table(rendered, width), "", *_wrapped(_summary(layers), width)]
    unstated = _grouped((layer.receptive_field_note, layer) for layer in rendered if layer.receptive_field is None)
    if unstated:
        lines += ["", "receptive field not stated:"]
        for note, group in unstated.items():
            lines += _wrapped(f"{_which(group, rendered)}: {note}", width, INDENT)
    others = [layer for layer in layers if not layer.is_met]
    for heading, status in (
        ("failed:", "failed"),
        ("only the weights:", "rendered"),
        ("not in the report:", "skipped"),
    ):
        groups = _grouped((layer.reason, layer) for layer in others if layer.status == status)
        if groups:
            lines += ["", heading, *_reasons(groups, width)]
    return "\n".join(lines)


def by(lengths: Sequence[int | None] | None) -> str:
    """Return `3x3x64`, `?` for a length that varies, a dash where there is nothing to say."""
    return NONE if lengths is None else "x".join("?" if length is None else str(length) for length in lengths)


def _measured_at(layer: LayerRecord) -> str:
    place = "own output" if layer.unit == layer.path else layer.unit
    return f"{place} ({layer.activation})"


def _filters(layer: LayerRecord) -> str:
    return f"{len(layer.filters_shown)} of {layer.filters_total}"


COLUMNS: tuple[Column, ...] = (
    ("layer", lambda layer: layer.path, False),
    ("class", lambda layer: layer.layer_class, False),
    ("kernel", lambda layer: by(layer.kernel_shape if layer.kernel_shape is not None else layer.window), False),
    (UNIT, _measured_at, False),
    ("output", lambda layer: by(layer.output_shape), False),
    ("receptive field", lambda layer: by(layer.receptive_field), False),
    ("parameters", lambda layer: f"{layer.parameters:,}", True),
    ("filters shown", _filters, True),
)
# What goes first where the terminal is narrow: where a filter is measured is on its layer's page, the class is nearly always the same.
SACRIFICES = (ACTIVATION, "class", "parameters", "receptive field", "kernel")


def _table(layers: Sequence[LayerRecord], width: int | None) -> list[str]:
    """Return the lines of the table: where filters are measured goes first, then long paths are shortened, then columns go."""
    columns = list(COLUMNS)
    if width is not None and _width(columns, layers) > width:
        columns[[name for name, _, _ in columns].index(UNIT)] = (ACTIVATION, lambda layer: layer.activation, False)
    for name in SACRIFICES:
        if width is None or _width(columns, layers) - max(_longest(columns[0], layers) - LEAST_PATH, 0) <= width:
            break
        columns = [column for column in columns if column[0] != name]
    widths = [_longest(column, layers) for column in columns]
    if width is not None:
        widths[0] = max(len(columns[0][0]), min(widths[0], width - sum(widths[1:]) - len(GAP) * (len(columns) - 1)))
    rows = [[cell(layer) for _, cell, _ in columns] for layer in layers]
    cells = [[name for name, _, _ in columns], ["-" * length for length in widths], *rows]
    return [
        GAP.join(
            text.rjust(length) if right else shortened(text, length).ljust(length)
            for text, length, (_, _, right) in zip(row, widths, columns, strict=True)
        ).rstrip()
        for row in cells
    ]


def _longest(column: Column, layers: Sequence[LayerRecord]) -> int:
    return max(len(column[0]), *(len(column[1](layer)) for layer in layers), 0)


def _width(columns: Sequence[Column], layers: Sequence[LayerRecord]) -> int:
    return sum(_longest(column, layers) for column in columns) + len(GAP) * (len(columns) - 1)


def shortened(path: str, length: int) -> str:
    """Return `path` in so many characters: its middle goes, since both ends tell layers apart."""
    if len(path) <= length:
        return path
    if length < 2:
        return path[:length]
    front = (length - 1) // 3  # a third: the end of a path tells more than its beginning
    return f"{path[:front]}…{path[front + 1 - length :]}"


def _summary(layers: Sequence[LayerRecord]) -> str:
    rendered = [layer for layer in layers if layer.is_met]
    filters, shown = sum(layer.filters_total for layer in rendered), sum(len(layer.filters_shown) for layer in rendered)
    share = "all shown" if shown == filters else f"{shown:,} shown"
    words = f"{_counted(len(rendered), 'layer')}, {_counted(filters, 'filter')}, {share}"
    others = [str(layer.status) for layer in layers if not layer.is_met]
    counts = (("failed", "failed"), ("rendered", "with weights alone"), ("skipped", "not in the report"))
    return "; ".join([words, *(f"{others.count(status)} {what}" for status, what in counts if status in others)])


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun if number == 1 else noun + 's'}"


def _grouped(reasons: Iterable[tuple[str | None, LayerRecord]]) -> dict[str, list[LayerRecord]]:
    groups: dict[str, list[LayerRecord]] = {}
    for reason, layer in reasons:
        groups.setdefault(reason or "no reason is known", []).append(layer)
    return groups


def _which(layers: Sequence[LayerRecord], table: Sequence[LayerRecord]) -> str:
    """Return which layers of the table a group is: one by one, or from which to which they stand there."""
    if len(layers) <= NAMED:
        return ", ".join(map(_name, layers))
    first, last = table.index(layers[0]), table.index(layers[-1])
    if last - first + 1 == len(layers):
        if len(layers) == len(table):
            return "all layers"
        end = "on" if last == len(table) - 1 else f"to {layers[-1].path}"
        return f"all layers from {layers[0].path} {end}"
    return few([_name(layer) for layer in layers], NAMED)


def _name(layer: LayerRecord) -> str:
    return f"{layer.path} ({layer.layer_class})"


def _reasons(groups: dict[str, list[LayerRecord]], width: int | None) -> list[str]:
    """Return a line per reason, with the layers that share it; in a file, each of many layers on a line of its own."""
    lines = []
    for reason, layers in groups.items():
        names = [_name(layer) for layer in layers]
        if width is None and len(names) > NAMED:
            lines += [f"{INDENT}{reason}:", *(2 * INDENT + name for name in names)]
        else:
            lines += _wrapped(f"{few(names, NAMED)}: {reason}", width, INDENT)
    return lines


def _wrapped(text: str, width: int | None, indent: str = "") -> list[str]:
    if width is None:
        return [indent + text]
    return textwrap.wrap(
        text, width, initial_indent=indent, subsequent_indent=2 * indent, break_long_words=False, break_on_hyphens=False
    )
