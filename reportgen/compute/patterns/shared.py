"""What the ascents of several layers share in one process: starts and their scores, meters, and what is traced once for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import cached_property
from typing import Any

import numpy as np

from reportgen.compute.activation_scores import Meter, Scores
from reportgen.compute.patterns import colour, parameterization, starts
from reportgen.compute.patterns.parameterization import Parameterization
from reportgen.compute.patterns.pipeline import PicturePipeline
from reportgen.compute.patterns.precision import agreements, pays
from reportgen.compute.patterns.recipe import Recipe
from reportgen.compute.patterns.starts import Bank
from reportgen.network.contract import as_shown
from reportgen.network.graph.layer_calls import LayerCall
from reportgen.network.network import Network
from reportgen.network.precision import bfloat16
from reportgen.network.redirected_relu import redirected
from reportgen.network.shared_trace import SharedTrace

MEASURED_AT_ONCE = 4  # inputs, whatever the layers: a score must not depend on what else is asked for
# Layers of similar depth are measured by one trace of the deepest of them: tracing each by itself takes longer than what a few more
# operations cost.
DEPTHS = 6
FEWEST = 3  # layers of a size that one trace of the network pays for: it goes as far as the deepest of them

Size = tuple[int, ...]


class Shared:
    """Everything about an ascent that does not depend on its layer, made once.

    Attributes:
        network: The model.
        recipe: Every choice and every number of the ascents.
        seed: Of all random numbers.
        mixing: float32 (bands, bands), the correlation of the color channels; None where they are taken as independent.
    """

    def __init__(
        self,
        network: Network,
        recipe: Recipe,
        seed: int,
        correlation: np.ndarray | None = None,
        sizes: Mapping[str, Size] | None = None,
    ) -> None:
        """Share between layers.

        Args:
            network: The model.
            recipe: Of all ascents.
            seed: Of all random numbers.
            correlation: float32 (bands, bands), of the color channels in the user's images, for a recipe that takes it from these.
            sizes: Of the patterns by layer path, of the layers that will be asked for; those that are not named are measured alone.
        """
        self.network, self.recipe, self.seed = network, recipe, seed
        self.mixing = {"imagenet": colour.imagenet(), "images": correlation}.get(recipe.decorrelation)
        self._sizes = {} if sizes is None else dict(sizes)
        self._parameters: dict[Size, Parameterization] = {}
        self._pipelines: dict[tuple[Size, int], PicturePipeline] = {}
        self._banks: dict[Size, Bank | None] = {}
        self._bank_images: dict[Size, np.ndarray] = {}
        self._bank_scores: dict[tuple[str, Size], Scores] = {}
        self._meters: dict[tuple[tuple[str, ...], Size, int], Meter] = {}
        self._network_traces: dict[tuple[Any, ...], SharedTrace | None] = {}
        self._agreements: dict[Size, dict[str, bool]] = {}

    @property
    def traces(self) -> int:
        """How often anything was traced: measurements, and the network for the ascents of all layers."""
        return sum(meter.traces for meter in self._meters.values()) + len(self._network_traces)

    def parameters(self, size: Size) -> Parameterization:
        """Return how pictures of this size are represented."""
        if size not in self._parameters:
            contract = self.network.contract
            self._parameters[size] = parameterization.make(
                self.recipe, size, contract.bands, self.mixing, contract.is_picture
            )
        return self._parameters[size]

    def pipeline(self, size: Size, batch: int) -> PicturePipeline:
        """Return what moves batches of pictures of this size."""
        if (size, batch) not in self._pipelines:
            bands = self.network.contract.bands
            made = PicturePipeline(size, bands, batch, self.recipe, self.parameters(size), self.seed)
            self._pipelines[size, batch] = made
        return self._pipelines[size, batch]

    def meter(self, layer_calls: Sequence[LayerCall], size: Size, batch: int = MEASURED_AT_ONCE) -> Meter:
        """Return what measures layers on inputs of this size, together in one pass."""
        key = tuple(layer_call.path for layer_call in layer_calls), size, batch
        if key not in self._meters:
            self._meters[key] = Meter(self.network, layer_calls, size, batch)
        return self._meters[key]

    def scores(self, layer_call: LayerCall, size: Size, images: np.ndarray, batch: int) -> Scores:
        """Return the scores of all of a layer's units on finished `images` (n, *size, bands), float32 (n, channels) each."""
        meter, place = self.own_meter(layer_call, size, batch)
        return meter.scores(images)[place]

    def own_meter(self, layer_call: LayerCall, size: Size, batch: int) -> tuple[Meter, int]:
        """Return the meter of a layer and of others of similar depth, and which of them it is."""
        together = self._of_similar_depth(layer_call, size)
        return self.meter(together, size, batch), together.index(layer_call)

    def network_trace(
        self, layer_call: LayerCall, size: Size, batch: int, precision: str, redirecting: bool, activated: bool
    ) -> SharedTrace | None:
        """Return the trace of the network that ascents of this size are cut out of.

        Args:
            layer_call: of the ascent.
            size: of its pictures.
            batch: how many there are.
            precision: that the network computes in, `float32` or `bfloat16`.
            redirecting: whether silent rectifiers let the gradient through.
            activated: whether it begins after each layer's activation function.

        Returns:
            The trace, made at the first call; None where too few layers would share it, or where the network cannot be traced so far.
        """
        together = [each for each in self._of_size(layer_call, size) if self.network.has_entry(each)]
        if len(together) < FEWEST:
            return None
        key = size, batch, precision, redirecting, activated
        if key not in self._network_traces:
            network = self.network

            def entries(pictures: Any) -> dict[str, Any]:
                low, open_rectifiers = precision == "bfloat16", redirected() if redirecting else nullcontext()
                with bfloat16(network.layers) if low else nullcontext(), open_rectifiers:
                    fed = network.feed(as_shown(network.contract, pictures))
                    return network.entries(fed, together, activated)

            def traced() -> SharedTrace | None:
                try:
                    return SharedTrace(entries, (batch, *size, network.contract.bands))
                except Exception:  # each layer is then traced by itself, and says what is wrong with it
                    return None

            self._network_traces[key] = traced()
        return self._network_traces[key]

    def agrees(self, layer_call: LayerCall, size: Size) -> bool | None:
        """Return whether bfloat16 gives a layer's objectives as float32 does; None where that has to be asked of the layer alone."""
        if size not in self._agreements:
            together = [each for each in self._of_size(layer_call, size) if pays(self.network, each, size)]
            own = self.network, together, size, self.recipe, self.parameters(size), self.seed
            self._agreements[size] = agreements(*own)
        return self._agreements[size].get(layer_call.path)

    def bank(self, size: Size) -> Bank | None:
        """Return the starts of this size; None for a recipe that begins elsewhere."""
        if size not in self._banks:
            bank = starts.bank(self.recipe, self.seed, self.parameters(size), self.network.contract.bands, self.mixing)
            self._banks[size] = bank
        return self._banks[size]

    def finished(self, size: Size, coefficients: Any) -> np.ndarray:
        """Return what `coefficients` stand for as it is measured and shown."""
        parameters = self.parameters(size)
        return self.shown(parameters.finish(parameters.to_pictures(coefficients)))

    def shown(self, finished: Any) -> np.ndarray:
        """Return finished pictures as they are shown: signals and volumes in their own numbers."""
        contract = self.network.contract
        return np.asarray(finished if contract.is_picture else as_shown(contract, finished))

    def bank_images(self, size: Size) -> np.ndarray:
        """Return all starts of the bank as finished pictures (k, *size, bands)."""
        if size not in self._bank_images:
            bank = self.bank(size)
            assert bank is not None
            self._bank_images[size] = self.finished(size, bank.coefficients)
        return self._bank_images[size]

    def bank_scores(self, layer_call: LayerCall, size: Size) -> Scores:
        """Return the scores of all of a layer's units on the bank, which is measured for all layers of this size in one pass."""
        key = layer_call.path, size
        if key not in self._bank_scores:
            together = self._of_size(layer_call, size)
            found = self.meter(together, size).scores(self.bank_images(size))
            for each, scores in zip(together, found, strict=True):
                self._bank_scores[each.path, size] = scores
        return self._bank_scores[key]

    @cached_property
    def _by_path(self) -> dict[str, LayerCall]:
        return self.network.by_path

    def _of_size(self, layer_call: LayerCall, size: Size) -> list[LayerCall]:
        """The layer and all others whose patterns have this size, in the network's order."""
        paths = {path for path, own in self._sizes.items() if own == size} | {layer_call.path}
        return [each for path, each in self._by_path.items() if path in paths]

    def _of_similar_depth(self, layer_call: LayerCall, size: Size) -> list[LayerCall]:
        """The same of those that are about as deep, by the operations up to them; the model's output stands alone."""
        if layer_call.is_output:
            return [layer_call]
        most = max(each.costs.macs for each in self.network.layer_calls)

        def depth(each: LayerCall) -> int:
            return -(-DEPTHS * each.costs.macs // max(1, most))

        return [
            each for each in self._of_size(layer_call, size) if not each.is_output and depth(each) == depth(layer_call)
        ]
