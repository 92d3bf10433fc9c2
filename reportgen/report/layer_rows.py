"""The tables of layers on the first page: those that are covered, the model's outputs, and those that are not covered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from reportgen.artefacts.layer_entry import LayerEntry
from reportgen.artefacts.patterns import against_images
from reportgen.artefacts.views import Keys, SmallPicture, Verdict, known_keys, small_picture, verdict_key, verdict_views
from reportgen.core.records import CONVOLUTION, LayerStatus
from reportgen.core.verdicts import NOT_COMPUTED, OK, SKIPPED
from reportgen.render.figure import Picture
from reportgen.render.text import NAMED, NONE, count, plural, shape
from reportgen.render.wording import MODEL_OUTPUTS, sentence

THUMBNAIL_PIXELS = 34  # height of a thumbnail, CSS pixels
EXCLUDED = "Excluded by the options --layers or --exclude."


@dataclass(frozen=True)
class LayerRow:
    """One row of the layer table.

    Attributes:
        number: among the convolution layers from input to output, from 1; None of a pooling layer.
        later: whether patterns are still to be computed.
        keys: what scripts search, filter and sort it by, as (name, value).
    """

    number: str | None
    path: str
    href: str
    class_name: str
    kernel: str
    output: str
    receptive_field: str
    parameters: str
    filters: str
    verdicts: tuple[Verdict, ...]
    failed: str | None
    partial: str | None
    later: bool
    strip: SmallPicture | None
    keys: Keys


@dataclass(frozen=True)
class OutputsView:
    """The model's outputs, which are no layer; `label` of the link to their page, `classes` the names of those shown."""

    href: str
    label: str
    note: str
    classes: str
    verdicts: tuple[Verdict, ...]
    failed: str | None
    strip: SmallPicture | None


@dataclass(frozen=True)
class LeftOut:
    """Layers that the report does not cover for the same reason: `title` is the path of a single one, else how many they are."""

    title: str
    paths: tuple[str, ...]
    class_names: str
    reason: str


def layer_row(layer: LayerEntry, number: int | None, strip: Picture | None, noun: str, is_unfinished: bool) -> LayerRow:
    """Return the row of a layer.

    Args:
        layer: of report.json.
        number: of a convolution layer, from 1.
        strip: thumbnails of its patterns.
        noun: what the model is fed.
        is_unfinished: whether the run goes on.
    """
    convolves = layer.kind == CONVOLUTION
    window = f"window {shape(layer.window)}" if layer.window else "global"
    return LayerRow(
        number=None if number is None else count(number),
        path=layer.path,
        href=f"layers/{layer.slug}.html",
        class_name=layer.layer_class,
        kernel=shape(layer.kernel_shape) if convolves else window,
        output=shape(layer.output_shape),
        receptive_field=shape(layer.receptive_field),
        parameters=count(layer.parameters),
        filters=f"{count(len(layer.filters_shown))} of {count(layer.filters_total)}" if convolves else NONE,
        verdicts=_verdicts(layer, noun),
        failed=_failed(layer),
        partial=sentence(layer.reason) if layer.status == LayerStatus.RENDERED and layer.reason else None,
        later=is_unfinished and layer.status == LayerStatus.RENDERED and layer.verdicts[NOT_COMPUTED] > 0,
        strip=None if strip is None else _thumbnails(strip),
        keys=_keys(layer),
    )


def outputs_view(layer: LayerEntry, strip: Picture | None, noun: str) -> OutputsView:
    """Return what the first page shows of the model's outputs."""
    shown, total = len(layer.filters_shown), layer.filters_total
    return OutputsView(
        href=f"layers/{layer.slug}.html",
        label=f"{MODEL_OUTPUTS}: {count(shown)} of {plural(total, 'class', 'classes')}",
        note="Patterns that maximize the logit of a class: its value before softmax or sigmoid, where the model ends in one. "
        "Classes are not counted among the layers and filters above.",
        classes=_few(layer.labels or ()),
        verdicts=_verdicts(layer, noun),
        failed=_failed(layer),
        strip=None if strip is None else _thumbnails(strip),
    )


def left_out(layers: Sequence[LayerEntry]) -> tuple[LeftOut, ...]:
    """Return the layers that are not covered, one entry per reason, in the order met."""
    groups: dict[str, list[LayerEntry]] = {}
    for layer in layers:
        if layer.status == LayerStatus.SKIPPED:
            reason = sentence(layer.reason if layer.reason is not None else "not requested")
            groups.setdefault(EXCLUDED if layer.by_request else reason, []).append(layer)
    return tuple(
        LeftOut(
            title=found[0].path if len(found) == 1 else plural(len(found), "layer"),
            paths=() if len(found) == 1 else tuple(layer.path for layer in found),
            class_names=", ".join(dict.fromkeys(layer.layer_class for layer in found)),
            reason=reason,
        )
        for reason, found in groups.items()
    )


def _keys(layer: LayerEntry) -> Keys:
    """Shapes by their size, verdicts by how many are not `ok`; a variable axis counts once."""
    doubtful = sum(number for word, number in layer.verdicts.items() if word not in (OK, SKIPPED))
    return known_keys(
        words=f"{layer.path} {layer.layer_class}",
        verdict=" ".join(verdict_key(word) for word, number in layer.verdicts.items() if number),
        path=layer.path,
        kernel=_size(layer.kernel_shape),
        output=_size(layer.output_shape),
        field=_size(layer.receptive_field),
        parameters=layer.parameters,
        filters=len(layer.filters_shown),
        doubtful=doubtful,
    )


def _size(axes: Sequence[int | None] | None) -> int | None:
    return None if axes is None else prod(axis for axis in axes if axis is not None)


def _few(names: Sequence[str]) -> str:
    left = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {count(left)} more" if left > 0 else "")


def _verdicts(layer: LayerEntry, noun: str) -> tuple[Verdict, ...]:
    return verdict_views(layer.verdicts, images=against_images(layer.patterns) is True, noun=noun)


def _failed(layer: LayerEntry) -> str | None:
    if layer.status != LayerStatus.FAILED:
        return None
    return sentence(layer.reason if layer.reason is not None else "failed")


def _thumbnails(strip: Picture) -> SmallPicture:
    size = strip.tiles.width, strip.tiles.height
    return small_picture(strip.path, size, THUMBNAIL_PIXELS / strip.tiles.height, strip.alt)
