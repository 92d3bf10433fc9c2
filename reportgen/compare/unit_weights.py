"""A layer's filters as they act: each filter's own kernel, its bias, and the normalizations that follow, which can be folded in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from reportgen.artefacts.layer_entry import LayerEntry
from reportgen.core.axes import DEPTHWISE, NORMALIZATION_PREFIX, PLAIN, by_filter

STATISTICS = ("moving_mean", "moving_variance")  # what a normalization has that can be folded into a kernel
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class UnitWeights:
    """The filters of a layer.

    Attributes:
        kernel: float64 (filters, inputs, taps); inputs are those of one group. Of a separable layer the product of both kernels.
        bias: float64 (filters,), zero where the layer has none.
        normalizations: weights of each normalization that follows, by Keras's names, in order.
        groups: into which the input channels are divided: 1, or as many as there are channels in a depthwise layer.
    """

    kernel: Numbers
    bias: Numbers
    normalizations: tuple[Mapping[str, NDArray[np.floating]], ...]
    groups: int

    @classmethod
    def of(
        cls, arrays: Mapping[str, NDArray[np.floating]], layer: LayerEntry, *, normalized: bool = True
    ) -> UnitWeights:
        """Return the filters of a layer from its stored arrays; without the normalizations where not `normalized`."""
        if "pointwise_kernel" in arrays:
            kernel, groups = _separable(arrays["depthwise_kernel"], arrays["pointwise_kernel"]), 1
        else:
            kind = layer.kernel_kind or PLAIN
            kernel = by_filter(kind, arrays["kernel"])
            groups = arrays["kernel"].shape[-2] if kind == DEPTHWISE else layer.groups or 1
        filters = len(kernel)
        rows = np.ascontiguousarray(kernel.reshape(filters, kernel.shape[1], -1), np.float64)
        bias = np.ravel(arrays["bias"]).astype(np.float64) if "bias" in arrays else np.zeros(filters)
        return cls(rows, bias, _normalizations(arrays) if normalized else (), groups)

    @property
    def filters(self) -> int:
        """How many there are."""
        return len(self.kernel)

    @property
    def inputs(self) -> int:
        """How many input channels the layer is applied to."""
        return int(self.kernel.shape[1]) * self.groups

    @property
    def structure(self) -> tuple[tuple[str, ...], ...]:
        """Names of the weights of each normalization: weights of two layers are compared one by one where these agree."""
        return tuple(tuple(sorted(each)) for each in self.normalizations)

    @cached_property
    def own(self) -> Numbers:
        """What each filter has besides its kernel: bias and weights of the normalizations, (filters, numbers)."""
        columns = [self.bias[:, None]]
        for each in self.normalizations:
            columns += [_by_filter(each[name], self.filters) for name in sorted(each)]
        return np.concatenate(columns, axis=1)

    @cached_property
    def folded(self) -> tuple[Numbers, Numbers, Numbers] | None:
        """Factor of each kernel and bias behind it, with the normalizations folded in, and the size of the bias's terms; (filters,) each.

        None where a normalization has no statistics of its own, so that it depends on the input.
        """
        factor, bias, terms = np.ones(self.filters), self.bias, np.abs(self.bias)
        for each in self.normalizations:
            if not all(name in each for name in STATISTICS) or any(
                np.size(value) not in (1, self.filters) for value in each.values()
            ):
                return None
            spread = np.sqrt(
                np.ravel(each["moving_variance"]).astype(np.float64)
                + float(np.ravel(each.get("epsilon", np.zeros(1)))[0])
            )
            scale = np.ravel(each["gamma"]).astype(np.float64) / spread if "gamma" in each else 1 / spread
            mean = np.ravel(each["moving_mean"]).astype(np.float64)
            beta = np.ravel(each["beta"]).astype(np.float64) if "beta" in each else np.zeros(self.filters)
            terms = (terms + np.abs(mean)) * np.abs(scale) + np.abs(beta)
            factor, bias = factor * scale, (bias - mean) * scale + beta
        return factor, bias, terms

    @property
    def signs(self) -> Numbers:
        """The sign that each kernel has once the normalizations are folded in, (filters,)."""
        return np.ones(self.filters) if self.folded is None else np.where(self.folded[0] < 0, -1.0, 1.0)

    @property
    def is_finite(self) -> bool:
        """Whether every weight is a finite number."""
        return bool(np.isfinite(self.kernel).all() and np.isfinite(self.own).all())


def lacks_normalizations(layer: LayerEntry) -> bool:
    """Whether normalizations follow a layer whose weights its report, of an earlier version, does not have."""
    follow = layer.health is not None and bool(layer.health.normalizations)
    arrays = () if layer.weights is None else tuple(layer.weights.arrays)
    return follow and not any(name.startswith(NORMALIZATION_PREFIX) for name in arrays)


def _separable(depthwise: NDArray[np.floating], pointwise: NDArray[np.floating]) -> Numbers:
    """The plain kernel that does the same as a depthwise and a pointwise one: (filters, inputs, taps)."""
    channels, multiplier = depthwise.shape[-2:]
    own = depthwise.reshape(-1, channels, multiplier).astype(np.float64)
    mixed = np.reshape(pointwise, (channels, multiplier, -1)).astype(np.float64)
    return np.asarray(np.einsum("tcm,cmf->fct", own, mixed))


def _normalizations(arrays: Mapping[str, NDArray[np.floating]]) -> tuple[Mapping[str, NDArray[np.floating]], ...]:
    found: dict[int, dict[str, NDArray[np.floating]]] = {}
    for name, array in arrays.items():
        if name.startswith(NORMALIZATION_PREFIX):
            place, _, rest = name.removeprefix(NORMALIZATION_PREFIX).partition("_")
            number, own = (int(place), rest) if place.isdecimal() else (1, name.removeprefix(NORMALIZATION_PREFIX))
            found.setdefault(number, {})[own] = array
    return tuple(found[number] for number in sorted(found))


def _by_filter(values: NDArray[np.floating], filters: int) -> Numbers:
    """Weights as (filters, numbers); those that belong to no filter alone are each one's."""
    if values.ndim and values.shape[-1] == filters:
        return np.moveaxis(values, -1, 0).reshape(filters, -1).astype(np.float64)
    return np.broadcast_to(np.ravel(values).astype(np.float64), (filters, values.size))
