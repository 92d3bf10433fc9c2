"""Opens a model: loaded, its other inputs made constant, walked; here or, by a reference, in another process."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from reportgen.core.errors import ModelError, UsageError
from reportgen.core.records import ConstantInput, InputContract
from reportgen.core.settings import Settings
from reportgen.inputs.constant_inputs import hold
from reportgen.network.initial_weights import initial_kernels
from reportgen.network.loading.load import load
from reportgen.network.network import Network, unwalked
from reportgen.network.signature import signature

Lengths = Sequence[Sequence[int]]
InitialWeights = Mapping[str, Mapping[str, np.ndarray]]  # by layer path and name of the weight


def no_lengths(contract: InputContract) -> Lengths:
    """Return the lengths of no images at all."""
    return ()


def open_network(
    specification: Any, settings: Settings, lengths: Callable[[InputContract], Lengths] = no_lengths
) -> Network:
    """Load a model and walk it.

    Args:
        specification: a live Keras model, or what names one.
        settings: how it is loaded and fed.
        lengths: gives those of the user's images on each axis, which the size that the model is fed may follow, from a contract that
            states the channels and the number of axes.

    Returns:
        The walked model, its other inputs constant as the settings say.

    Raises:
        ReportgenError: the model cannot be loaded, walked or fed.
    """
    loaded = load(specification, settings)
    own = signature(loaded.model, [name for name in (settings.input, *settings.constant_inputs) if name is not None])
    files = {own.of(name).name: file for name, file in settings.constant_inputs.items()}
    primary = own.primary(settings.input)

    @cache
    def constant_inputs(size: tuple[int, ...]) -> tuple[ConstantInput, ...]:
        return hold(own.inputs, primary, files, settings, size)

    return Network(loaded, settings, constant_inputs, lengths(unwalked(loaded.model, settings)))


def check_named(specification: Any) -> None:
    """Raise UsageError for a live model, which no other process can open."""
    if not isinstance(specification, str | os.PathLike):
        raise UsageError("A live model cannot be computed on in another process; save it and name its file.")


class ModelReference:
    """Says how to open the model of a report. What was opened stays with it, but is never pickled: a copy opens the model anew."""

    def __init__(
        self,
        specification: Any,
        settings: Settings,
        lengths: Lengths,
        weights_sha256: str,
        pattern_range: tuple[float, float] | None = None,
        *,
        network: Network | None = None,
        initial_weights: InitialWeights | None = None,
    ) -> None:
        """Refer to a model.

        Args:
            specification: what names the model, or a live one, which cannot be pickled.
            settings: how it is loaded and fed.
            lengths: of the user's images on each axis.
            weights_sha256: of the model that the report was planned for.
            pattern_range: smallest and largest value of patterns, for signals and volumes.
            network: the model where it is open in this process already.
            initial_weights: likewise.
        """
        self.specification = os.fspath(specification) if isinstance(specification, os.PathLike) else specification
        self.settings, self.lengths = settings, lengths
        self.weights_sha256, self.pattern_range = weights_sha256, pattern_range
        self._network, self._initial_weights = network, initial_weights

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what names the model. Raises UsageError for a live one."""
        check_named(self.specification)
        kept = (self.specification, self.settings, self.lengths, self.weights_sha256, self.pattern_range)
        return ModelReference, kept

    def absolute(self) -> ModelReference:
        """Return the same reference for a process in another folder: what names a file of this one is an absolute path."""
        specification, given = self.specification, self.settings
        settings = replace(
            given,
            weights=None if given.weights is None else os.path.abspath(given.weights),
            initial=None if given.initial is None else os.path.abspath(given.initial),
            hold=tuple(f"{name}={os.path.abspath(file)}" for name, file in given.constant_inputs.items()),
        )
        if isinstance(specification, str) and os.path.exists(specification):
            specification = os.path.abspath(specification)
        return ModelReference(specification, settings, self.lengths, self.weights_sha256, self.pattern_range)

    @property
    def network(self) -> Network:
        """The walked model. Raises ReportgenError where it cannot be opened, or is no longer the one that was planned for."""
        if self._network is None:
            network = open_network(self.specification, self.settings, lambda contract: self.lengths)
            if network.weights_sha256 != self.weights_sha256:
                raise ModelError(f"{network.loaded.source} has changed since the report was planned; build it again.")
            if self.pattern_range is not None:
                network.limit(*self.pattern_range)
            self._network = network
        return self._network

    @property
    def initial_weights(self) -> InitialWeights:
        """The weights that training started from. Raises ModelError where they do not fit the model."""
        if self._initial_weights is None:
            self._initial_weights = initial_kernels(self.network, self.specification, self.settings)
        return self._initial_weights
