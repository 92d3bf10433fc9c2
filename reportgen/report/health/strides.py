"""The check of strides: transposed convolutions that overlap unevenly, and convolutions that skip positions of their input."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from reportgen.artefacts.layer_entry import LayerEntry
from reportgen.core.axes import TRANSPOSED
from reportgen.core.records import CONVOLUTION, LayerStatus, Plan
from reportgen.render.text import plural, shape
from reportgen.report.health.record import OK, WARNING, Check, Evidence, HealthRecord

KERNEL_CHANNELS = 2  # axes of a kernel that are no spatial ones


def strides_check(plan: Plan, layers: Sequence[LayerEntry]) -> HealthRecord | None:
    """Check kernel sizes against strides (Odena et al. 2016), and which positions of an input no layer reads."""
    known = [
        layer
        for layer in layers
        if layer.kind == CONVOLUTION
        and layer.status != LayerStatus.SKIPPED
        and layer.kernel_shape is not None
        and layer.strides is not None
    ]
    if not known:
        return None
    uneven = [layer for layer in known if layer.kernel_kind == TRANSPOSED and _is_uneven(layer)]
    skipping = {layer.path: layer for layer in known if layer.kernel_kind != TRANSPOSED and _skips(layer)}
    lost = [layer for layer in skipping.values() if _is_lost(plan, layer.path, skipping)]
    evidence = [
        *(
            Evidence(text=f"kernel {_taps(layer)}, strides {shape(layer.strides)}: overlaps unevenly", layer=layer.path)
            for layer in uneven
        ),
        *(
            Evidence(
                text=f"kernel {_taps(layer)}, strides {shape(layer.strides)}: reads {_read(layer)}", layer=layer.path
            )
            for layer in lost
        ),
    ]
    sentences = []
    if uneven:
        sentences.append(
            f"Checkerboard artifacts are likely after {plural(len(uneven), 'transposed convolution')}: kernel sizes that strides do "
            "not divide overlap unevenly."
        )
    if lost:
        sentences.append(
            f"Part of the input is ignored by {plural(len(lost), 'convolution')} with strides larger than the kernel, "
            "and no other layer reads the rest."
        )
    if sentences:
        return HealthRecord(
            check=Check.STRIDES,
            status=WARNING,
            sentence=" ".join(sentences),
            evidence=tuple(evidence),
            layers=tuple(layer.path for layer in (*uneven, *lost)),
        )
    beside = (
        f" ({plural(len(skipping), 'shortcut')} with strides larger than the kernel {'skips' if len(skipping) == 1 else 'skip'} "
        "positions that other layers read)"
        if skipping
        else ""
    )
    return HealthRecord(
        check=Check.STRIDES,
        status=OK,
        sentence=f"Strides fit the kernels of {plural(len(known), 'convolution layer')}{beside}.",
    )


def _kernel(layer: LayerEntry) -> tuple[int, ...]:
    return tuple(length or 1 for length in (layer.kernel_shape or ())[:-KERNEL_CHANNELS])


def _pairs(layer: LayerEntry) -> list[tuple[int, int, int]]:
    """Kernel size, stride and dilation on each axis."""
    kernel, strides = _kernel(layer), tuple(step or 1 for step in layer.strides or ())
    dilation = tuple(step or 1 for step in layer.dilation or (1,) * len(kernel))
    return list(zip(kernel, strides, dilation, strict=False))


def _is_uneven(layer: LayerEntry) -> bool:
    return any(step > 1 and size % step for size, step, _ in _pairs(layer))


def _skips(layer: LayerEntry) -> bool:
    """Whether a convolution leaves out positions of its input; a dilated kernel has gaps, and strides of its own steps keep to them."""
    return any(step > size for size, step, _ in _pairs(layer))


def _is_lost(plan: Plan, path: str, skipping: dict[str, LayerEntry]) -> bool:
    """Whether all that takes the same input skips positions of it; not known, and so not said, without a drawing of the network."""
    sources = {node.inputs for node in plan.diagram if node.path == path}
    if len(sources) != 1 or len(next(iter(sources))) != 1:
        return False
    source = next(iter(sources))[0]
    return all(node.path in skipping for node in plan.diagram if source in node.inputs)


def _taps(layer: LayerEntry) -> str:
    return shape(_kernel(layer))


def _read(layer: LayerEntry) -> str:
    pairs = _pairs(layer)
    every, read = prod(step for _, step, _ in pairs), prod(min(size, step) for size, step, _ in pairs)
    return f"{read} of {every} positions"
