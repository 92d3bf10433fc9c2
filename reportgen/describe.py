"""What is known of every layer before anything is computed, as plain records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reportgen.network.network import Network, Site, kernels
from reportgen.network.quiet import keras
from reportgen.plan import pattern_size
from reportgen.records import LayerRecord
from reportgen.settings import FilterChoice, Settings
from reportgen.slugs import unique_slugs

RGB = 3


def describe(network: Network, settings: Settings, left_out: Mapping[str, str | None]) -> tuple[LayerRecord, ...]:
    """One record a site, in order; `left_out` gives the reason for each path that the user left out."""
    slugs = unique_slugs([site.path for site in network.sites])
    choice = FilterChoice.parse(settings.filters)
    return tuple(
        _record(network, site, slug, left_out.get(site.path), choice, settings)
        for site, slug in zip(network.sites, slugs, strict=True)
    )


def _record(
    network: Network, site: Site, slug: str, left_out: str | None, choice: FilterChoice, settings: Settings
) -> LayerRecord:
    layer, contract = site.layer, network.contract
    reason = site.reason if site.reason is not None else left_out
    shape = _output_shape(network, site)
    total = shape[-1] if shape is not None and shape[-1] is not None else 0
    sizes = None if site.view.axes is None else tuple(axis.size for axis in site.view.axes)
    kernel_shape = _kernel_shape(layer)
    return LayerRecord(
        path=site.path,
        name=layer.name,
        slug=slug,
        layer_class=type(layer).__name__,
        status="rendered" if reason is None else "skipped",
        reason=reason,
        unit=site.unit_path,
        kernel_shape=kernel_shape,
        strides=_numbers(layer, "strides"),
        dilation=_numbers(layer, "dilation_rate"),
        groups=getattr(layer, "groups", None),
        padding=getattr(layer, "padding", None),
        output_shape=shape,
        receptive_field=sizes,
        receptive_field_note=site.view.note,
        parameters=int(layer.count_params()) if layer.built else 0,
        activation="linear" if site.unit is None else site.unit.name,
        rectified=site.unit is not None and site.unit.rectified,
        kernel_bands=site.kernel_bands
        if kernel_shape is not None and kernel_shape[_input_axis(layer)] == RGB
        else None,
        filters_total=total,
        filters_shown=choice.of(total) if reason is None else (),
        pattern_size=pattern_size(contract, sizes, settings) if reason is None else None,
        macs=site.costs.macs,
    )


def _input_axis(layer: Any) -> int:
    """Where a kernel counts the layer's inputs: transposed convolutions keep them last."""
    return -1 if isinstance(layer, keras.layers.Conv2DTranspose) else -2


def _output_shape(network: Network, site: Site) -> tuple[int | None, ...] | None:
    """The unit's shape; sizes that follow from a dynamic input are dynamic themselves."""
    if site.output_shape is None:
        return None
    height, width = (
        None if own is None else length
        for own, length in zip(network.contract.shape[:2], site.output_shape[:2], strict=True)
    )
    return height, width, site.output_shape[2]


def _kernel_shape(layer: Any) -> tuple[int, ...] | None:
    return tuple(next(iter(kernels(layer).values())).shape) if layer.built else None


def _numbers(layer: Any, name: str) -> tuple[int, ...] | None:
    value = getattr(layer, name, None)
    if value is None:
        return None
    return tuple(value) if isinstance(value, (tuple, list)) else (value, value)
