"""What is known of every layer before anything is computed, as plain records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reportgen.compute.planning.plan import pattern_size
from reportgen.core.axes import RGB_CHANNELS, input_channels
from reportgen.core.choices import FilterChoice
from reportgen.core.errors import UsageError, few
from reportgen.core.records import CONVOLUTION, POOLING, LayerRecord, LayerStatus
from reportgen.core.settings import Settings
from reportgen.core.slugs import unique_slugs
from reportgen.network.graph.layer_calls import LayerCall
from reportgen.network.graph.layer_kinds import filter_count, kernel_kind, kernel_shapes
from reportgen.network.graph.units import activation_name
from reportgen.network.network import Network


def describe(network: Network, settings: Settings, left_out: Mapping[str, str | None]) -> tuple[LayerRecord, ...]:
    """Describe every layer that convolves or pools.

    Args:
        network: the model.
        settings: `filters` and `size` are used.
        left_out: for each path the reason why the user left it out; None where it is in the report.

    Returns:
        One record per layer call, in the network's order.
    """
    slugs = unique_slugs([layer_call.path for layer_call in network.layer_calls])
    choice = FilterChoice.parse(settings.filters)
    return tuple(
        _record(network, layer_call, slug, left_out.get(layer_call.path), choice, settings)
        for layer_call, slug in zip(network.layer_calls, slugs, strict=True)
    )


def describe_output(
    network: Network, settings: Settings, classes: Sequence[str] | None, taken: Sequence[str]
) -> LayerRecord:
    """Describe the model's own output, for the classes that `--outputs` names.

    Args:
        network: the model.
        settings: `outputs` and `size` are used.
        classes: names of the model's classes; None where they are not known.
        taken: slugs of the layers.

    Raises:
        UsageError: the model has no such output or class.
    """
    layer_call = network.output
    text = str(settings.outputs)
    if network.heads:  # several outputs: NAME:CLASSES
        text = text.partition(":")[2]
        if layer_call is None or not text:
            known = list(network.heads)
            raise UsageError(
                f"--outputs {settings.outputs}: this model has several outputs; name one and its classes, as {known[0]}:5. "
                f"There are {', '.join(known)}."
            )
        if classes is not None and len(classes) != max(layer_call.channels, 2):
            classes = None  # they are another output's
    if layer_call is None:
        raise UsageError("--outputs: this model does not output one value per class, so there are no classes to show.")
    total = layer_call.channels
    names = _output_names(classes, total)
    chosen = _chosen_classes(text, names)
    return LayerRecord(
        path=layer_call.path,
        name=network.model.name,
        slug=unique_slugs([*taken, layer_call.path])[-1],
        layer_class="Logits",
        status=LayerStatus.RENDERED,
        reason=None,
        unit=layer_call.path,
        kernel_shape=None,
        strides=None,
        dilation=None,
        groups=None,
        padding=None,
        output_shape=layer_call.output_shape,
        receptive_field=None,
        receptive_field_note=layer_call.view.note,
        parameters=0,
        activation="linear",
        rectified=False,
        kernel_bands=None,
        filters_total=total,
        filters_shown=chosen,
        pattern_size=pattern_size(network.contract, None, settings),
        macs=layer_call.costs.macs,
        labels=tuple(names[number] for number in chosen),
        kernel_kind=None,
    )


def _output_names(classes: Sequence[str] | None, total: int) -> list[str]:
    """The names of the outputs; one output that tells two classes apart is the second's probability."""
    if classes is None:
        return [f"output {number}" for number in range(total)]
    if total == 1 and len(classes) == 2:
        return [classes[1]]
    if len(classes) != total:
        raise UsageError(f"--outputs: --classes has {len(classes)} names, but the model has {total} outputs.")
    return list(classes)


def _chosen_classes(text: str, names: Sequence[str]) -> tuple[int, ...]:
    """Numbers of the classes that `--outputs` means: the first N, or those named, in the model's order."""
    if text.strip().isdecimal():
        count = int(text)
        if count == 0:
            raise UsageError("--outputs 0 is a count of none; give a count from 1 on, or names of classes.")
        return tuple(range(min(count, len(names))))
    wanted = [text] if text in names else [part.strip() for part in text.split(",")]
    for name in wanted:
        if name not in names:
            raise UsageError(f"--outputs {name}: there is no such class; there are {few(names)}.")
    return tuple(sorted({names.index(name) for name in wanted}))


def _record(
    network: Network, layer_call: LayerCall, slug: str, left_out: str | None, choice: FilterChoice, settings: Settings
) -> LayerRecord:
    layer, contract = layer_call.layer, network.contract
    reason = left_out if left_out is not None else layer_call.reason
    shape = _output_shape(layer_call)
    kernel_shape = None if layer_call.is_pooling else _kernel_shape(layer)
    total = shape[-1] if shape is not None and shape[-1] is not None else 0
    if layer_call.unit is None and kernel_shape is not None:
        total = filter_count(layer)
    status = LayerStatus.SKIPPED
    if left_out is None and layer_call.failed:
        status = LayerStatus.FAILED
    elif left_out is None and (layer_call.unit is not None or kernel_shape is not None):
        status = LayerStatus.RENDERED
    shown = status != LayerStatus.SKIPPED and not layer_call.is_pooling
    return LayerRecord(
        path=layer_call.path,
        name=layer.name,
        slug=slug,
        layer_class=type(layer).__name__,
        status=status,
        reason=reason,
        unit=layer_call.unit_path,
        kernel_shape=kernel_shape,
        strides=_numbers(layer, "strides"),
        dilation=_numbers(layer, "dilation_rate"),
        groups=getattr(layer, "groups", None) if kernel_shape is not None else None,
        padding=getattr(layer, "padding", None) if kernel_shape is not None or layer_call.is_pooling else None,
        output_shape=shape,
        receptive_field=layer_call.receptive_field,
        receptive_field_note=layer_call.view.note,
        parameters=int(layer.count_params()) if layer.built else 0,
        activation=activation_name(getattr(layer, "activation", None))
        if layer_call.unit is None
        else layer_call.unit.name,
        rectified=layer_call.unit is not None and layer_call.unit.rectified,
        kernel_bands=layer_call.kernel_bands
        if kernel_shape is not None and input_channels(str(kernel_kind(layer)), kernel_shape) == RGB_CHANNELS
        else None,
        filters_total=total,
        filters_shown=choice.of(total) if shown else (),
        pattern_size=pattern_size(contract, layer_call.receptive_field, settings)
        if shown and layer_call.unit is not None
        else None,
        macs=layer_call.costs.macs,
        kind=POOLING if layer_call.is_pooling else CONVOLUTION,
        window=_numbers(layer, "pool_size") if layer_call.is_pooling else None,
        kernel_kind=kernel_kind(layer),
        kernel_note=layer_call.kernel_note,
        channel_runs=layer_call.channel_runs,
        time_axes=layer_call.times,
        by_request=left_out is not None,
    )


def _output_shape(layer_call: LayerCall) -> tuple[int | None, ...] | None:
    """The unit's shape; sizes that follow from a dynamic input are dynamic themselves."""
    if layer_call.output_shape is None:
        return None
    return tuple(
        None if varies else length for varies, length in zip(layer_call.varies, layer_call.output_shape, strict=True)
    )


def _kernel_shape(layer: Any) -> tuple[int, ...] | None:
    if not layer.built or kernel_kind(layer) is None:
        return None
    return kernel_shapes(layer)[0]


def _numbers(layer: Any, name: str) -> tuple[int, ...] | None:
    value = getattr(layer, name, None)
    if value is None:
        return None
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * getattr(layer, "rank", 1)
