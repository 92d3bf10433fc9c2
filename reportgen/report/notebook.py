"""How a report, a layer and a filter show themselves in a notebook: small HTML that needs no network, scripts or styles."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from numpy.typing import NDArray

from reportgen.artefacts.layer_entry import LayerEntry
from reportgen.artefacts.patterns import PatternRecord
from reportgen.core.records import ModelRecord
from reportgen.render import png
from reportgen.render.picture import seen
from reportgen.render.text import count, number, plural, shape

MOST_ROWS = 40  # layers that a notebook lists
PATTERN_PIXELS = 160  # shown height of a filter's pattern


def report_html(model: ModelRecord, layers: Sequence[LayerEntry], images: int) -> str:
    """Return the model's facts and its layers."""
    rows = [
        (
            layer.path,
            layer.layer_class,
            shape(layer.kernel_shape),
            f"{count(len(layer.filters_shown))} of {count(layer.filters_total)}",
            _verdicts(layer.verdicts),
        )
        for layer in layers[:MOST_ROWS]
    ]
    left = len(layers) - len(rows)
    facts = ", ".join(
        [
            plural(model.parameters, "parameter"),
            plural(len(layers), "layer"),
            plural(images, "image"),
        ]
    )
    more = f"<p>{plural(left, 'further layer')}.</p>" if left > 0 else ""
    head = ("layer", "class", "kernel", "filters shown", "patterns")
    return f"<p><strong>{escape(model.name)}</strong>: {escape(facts)}</p>{_table(head, rows)}{more}"


def layer_html(record: LayerEntry, strip: bytes | None) -> str:
    """Return a layer's facts and a few of its patterns, `strip` as PNG."""
    facts = [
        ("class", record.layer_class),
        ("kernel", shape(record.kernel_shape)),
        ("output", shape(record.output_shape)),
        ("activation", record.activation),
        ("filters shown", f"{count(len(record.filters_shown))} of {count(record.filters_total)}"),
        ("patterns", _verdicts(record.verdicts)),
    ]
    picture = "" if strip is None else f"<p>{_image(strip, f'The first patterns of {record.path}')}</p>"
    return f"<p><strong>{escape(record.path)}</strong></p>{_table((), facts)}{picture}"


def filter_html(
    name: str, record: PatternRecord | None, pattern: NDArray[Any] | None, bands: tuple[int, int, int] | None
) -> str:
    """Return a filter's pattern, its channels shown as `bands`, and its scores."""
    facts: list[tuple[str, str]] = []
    if record is not None:
        facts = [
            ("verdict", str(record.verdict)),
            ("activation", number(record.activation)),
            ("initial image", number(record.activation_start)),
            ("natural maximum", number(record.natural_maximum)),
            ("peak", number(record.peak)),
            ("natural peak", number(record.natural_peak)),
        ]
    picture = ""
    if pattern is not None:
        pixels = seen(pattern[None], bands).pixels[0]
        picture = f"<p>{_image(png.encode(pixels), f'Pattern of {name}', PATTERN_PIXELS)}</p>"
    return f"<p><strong>{escape(name)}</strong></p>{picture}{_table((), facts)}"


def _verdicts(counts: dict[str, int]) -> str:
    return ", ".join(f"{amount} {word}" for word, amount in counts.items() if amount)


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table>{f'<thead><tr>{titles}</tr></thead>' if head else ''}<tbody>{body}</tbody></table>" if body else ""


def _image(data: bytes, alt: str, height: int | None = None) -> str:
    size = "" if height is None else f' height="{height}" style="image-rendering: pixelated"'
    return f'<img alt="{escape(alt)}"{size} src="data:image/png;base64,{base64.b64encode(data).decode()}">'
