"""One call of one layer: where its filters are measured, and what is known of it before anything is computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from reportgen.core.axes import ChannelOrder
from reportgen.core.records import ChannelRun
from reportgen.network.graph.axis_reach import Reach
from reportgen.network.graph.input_views import View
from reportgen.network.graph.layer_kinds import POOLINGS, kernels
from reportgen.network.graph.normalizations import normalization_arrays
from reportgen.network.graph.receptive_fields import Costs
from reportgen.network.graph.units import Unit


@dataclass(frozen=True)
class LayerCall:
    """One call of one layer, as found in the first trace.

    unit: where its filters are measured; None with `reason` where that is impossible. view, costs: of the unit, traced at the images' size.
    output_shape: of the unit without batch, channels last, at that size. varies: for each axis of it whether its length follows from one
    of the input's that is dynamic. times: how many of its axes, the first ones, are folded into the batch: time inside a
    TimeDistributed, or pieces. pieces: whether the model's own operations cut inputs into pieces. channels_first: how
    the layer itself keeps its maps. is_output: not a layer but the model's own output before softmax or sigmoid, one position with a
    channel per class. failed: the model cannot be traced that far at any size that was tried. place: of an output among all.
    kernel_note: a note on its kernel, see `applied_kernels`. channel_runs: of a convolution which channels it is applied to; None where
    that was not observed.
    """

    path: str
    layer: Any
    occurrence: int
    unit: Unit | None
    unit_path: str
    view: View
    costs: Costs
    output_shape: tuple[int, ...] | None
    kernel_bands: ChannelOrder | None
    reason: str | None
    is_output: bool = False
    varies: tuple[bool, ...] = ()
    times: int = 0
    pieces: bool = False
    channels_first: bool = False
    failed: bool = False
    kernel_note: str | None = None
    place: int = 0
    channel_runs: tuple[ChannelRun, ...] | None = None

    @property
    def is_pooling(self) -> bool:
        """Whether the layer pools."""
        return isinstance(self.layer, POOLINGS)

    @property
    def receptive_field(self) -> tuple[int, ...] | None:
        """Input pixels per spatial axis of the input; None where it cannot be stated."""
        return None if self.view.axes is None else tuple(axis.size for axis in self.view.axes)

    @property
    def even_axes(self) -> tuple[Reach, ...] | None:
        """The reach along each axis of the input where that of neighbouring positions is the same, moved by a stride; None elsewhere."""
        axes = self.view.axes
        return axes if axes is not None and all(len(axis.intervals) == 1 for axis in axes) else None

    @property
    def channels(self) -> int:
        """Number of filters; 0 where the output is not known."""
        return 0 if self.output_shape is None else self.output_shape[-1]


def unreached(path: str, layer: Any, reason: str, failed: bool = False) -> LayerCall:
    """Make the layer call of a layer that cannot be measured.

    Args:
        path: of the layer.
        layer: the Keras layer.
        reason: why it cannot be measured.
        failed: whether the model should have reached it and failed.
    """
    return LayerCall(path, layer, 1, None, path, View(None, None, False), Costs(), None, None, reason, failed=failed)


def stored_weights(layer_call: LayerCall) -> dict[str, np.ndarray]:
    """Return what is stored of a layer's weights.

    Returns:
        `kernel`, or `depthwise_kernel` and `pointwise_kernel`, in Keras's order, `bias` if any, and the weights of the normalizations
        between the layer and its activation.
    """
    following = () if layer_call.unit is None else layer_call.unit.normalisations
    return {**kernels(layer_call.layer), **normalization_arrays(following)}
